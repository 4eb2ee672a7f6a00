//! Rests: delayed jobs of retry-1, retry-2 and in-app-retry, sent on when they are due.
//!
//! Belongs here: due times, who sends a job on, waking a user's jobs. Does not belong here: how long a
//! rest is (worker/backoff).
//!
//! Whoever sends a job on holds its lock, adds it to its first queue under an id that says which run it
//! is, and only then ends its rest: a process that dies in between leaves it to the next one, which adds
//! nothing new.

use super::Inner;
use super::link::addition;
use super::parcel::Parcel;
use super::scripts::lock_ms;
use super::taking::{due_ms, pop_marker, wall_ms};
use crate::models::UserId;
use crate::queue::{QueueError, first_queue};
use crate::security::random_hex;
use crate::telemetry::{Part, Place};
use bullmq::queue::BulkJob;
use bullmq::redis_connection::ManagedConn;
use redis::Pipeline;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Where jobs rest.
pub(super) const PLACES: [Place; 3] = [Place::Retry1, Place::Retry2, Place::InAppRetry];
/// Longest wait without a look of our own.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// The same where a job is due that another process holds, which may be gone.
const HELD_WAIT_MAX: Duration = Duration::from_secs(1);
const ERROR_PAUSE: Duration = Duration::from_millis(500);
/// Jobs that are sent on between two looks.
const BATCH: isize = 100;
/// What a user's resting jobs are found by outlives any rest.
const INDEX_LIFE_S: u64 = 86_400;
/// As BullMQ keeps its events.
const EVENTS_MAX: u64 = 10_000;

/// What this process holds about rests.
#[derive(Default)]
pub(super) struct Rests {
    waiting: OnceCell<ManagedConn>,
    /// Recorded as due, and not yet in their first queue: recorded once, however often it is tried.
    leaving: Mutex<BTreeMap<String, Part>>,
}

impl Inner {
    /// The job rests at `via`.
    pub(super) async fn rest(
        &self,
        via: Place,
        parcel: &Parcel,
        rest: Duration,
        user: UserId,
    ) -> Result<(), QueueError> {
        let id = parcel.bull_id();
        // BullMQ takes a delay of 0 as none, and the job would wait for a worker of this queue.
        let rest = rest.max(Duration::from_millis(1));
        let mut index = redis::pipe();
        if via == Place::InAppRetry {
            let key = index_key(user);
            index.cmd("SADD").arg(&key).arg(&id).ignore();
            index.cmd("EXPIRE").arg(&key).arg(INDEX_LIFE_S).ignore();
        }
        self.link.add(via, vec![addition(parcel, id, rest)]).await?;
        // After the job: whoever wakes it takes an index without one for old.
        if !index.is_empty() {
            self.link.pipe::<()>(&index).await?;
        }
        Ok(())
    }

    /// Sends due jobs on, for ever.
    pub(super) async fn send_due_on(&self) {
        loop {
            if let Err(error) = self.send_due_on_once().await {
                tracing::debug!(%error, "{error}");
                tokio::time::sleep_until(Instant::now() + ERROR_PAUSE).await;
            }
        }
    }

    async fn send_due_on_once(&self) -> Result<(), QueueError> {
        let now_ms = wall_ms();
        let (mut next_ms, mut has_sent, mut wait_max) = (None, false, WAIT_MAX);
        let mut markers = Vec::with_capacity(PLACES.len());
        let due_until = now_ms
            .saturating_add(1)
            .saturating_mul(4096)
            .saturating_sub(1);
        let looks = PLACES.map(|via| self.look_at_rest(via, due_until));
        let seen = futures_util::future::try_join_all(looks).await?;
        for (via, looked) in PLACES.into_iter().zip(seen) {
            markers.push(self.link.keys(via)?.marker());
            let (is_paused, mut due, promoted, prioritized, next) = looked;
            if is_paused {
                continue;
            }
            due.extend(promoted.into_iter().rev().chain(prioritized));
            for id in due {
                if self.leave(via, &id).await? {
                    has_sent = true;
                } else {
                    wait_max = HELD_WAIT_MAX;
                }
            }
            let first = next.first().and_then(|(_, score)| due_ms(score));
            next_ms = [next_ms, first].into_iter().flatten().min();
        }
        if has_sent {
            return Ok(());
        }
        let wait = next_ms.map_or(wait_max, |next_ms: u64| {
            Duration::from_millis(next_ms.saturating_sub(wall_ms()))
                .clamp(Duration::from_millis(1), wait_max)
        });
        let connection = self
            .rests
            .waiting
            .get_or_try_init(|| self.link.waiting_connection());
        pop_marker(connection.await?.clone(), &markers, wait).await
    }

    async fn look_at_rest(&self, via: Place, due_until: u64) -> Result<Looked, QueueError> {
        let keys = self.link.keys(via)?;
        let mut pipe = redis::pipe();
        pipe.cmd("HEXISTS").arg(keys.meta()).arg("paused");
        pipe.cmd("ZRANGEBYSCORE")
            .arg(keys.delayed())
            .arg(0)
            .arg(due_until);
        pipe.arg("LIMIT").arg(0).arg(BATCH);
        // Somebody promoted these by hand.
        pipe.cmd("LRANGE").arg(keys.wait()).arg(-BATCH).arg(-1);
        pipe.cmd("ZRANGE").arg(keys.prioritized()).arg(0).arg(BATCH);
        let due_after = due_until.saturating_add(1);
        pipe.cmd("ZRANGEBYSCORE")
            .arg(keys.delayed())
            .arg(due_after)
            .arg("+inf");
        pipe.arg("WITHSCORES").arg("LIMIT").arg(0).arg(1);
        self.link.pipe(&pipe).await
    }

    /// One job leaves its rest; the answer is whether it was this process that sent it on.
    async fn leave(&self, via: Place, id: &str) -> Result<bool, QueueError> {
        let keys = self.link.keys(via)?;
        let (job_key, token) = (keys.job_key(id), random_hex::<16>());
        let mut pipe = redis::pipe();
        pipe.cmd("SET").arg(format!("{job_key}:lock")).arg(&token);
        pipe.arg("NX").arg("PX").arg(lock_ms(via));
        pipe.cmd("HMGET")
            .arg(&job_key)
            .arg("data")
            .arg("finishedOn");
        let (locked, found): (Option<String>, (Option<String>, Option<String>)) =
            self.link.pipe(&pipe).await?;
        if locked.is_none() {
            return Ok(false);
        }
        let (Some(data), None) = found else {
            // Another process, which looked at the same time, has sent it on; or it was taken out.
            self.unlock(&job_key, &token).await?;
            return Ok(false);
        };
        let value: serde_json::Value = serde_json::from_str(&data).unwrap_or_default();
        let mut user = None;
        let (queue, job) = match serde_json::from_value::<Parcel>(value.clone()) {
            Ok(mut parcel) => {
                user = UserId::parse(&parcel.recipient.user_id);
                let part = self.recorded_due(via, id, &parcel);
                parcel.part = Some(part.to_string());
                parcel.run = self.run_id();
                let id = parcel.bull_id();
                let queue = first_queue(parcel.channel);
                let wait = self.faults.queue_delay(queue);
                (queue, addition(&parcel, id, wait))
            }
            // Another program's: whoever takes it reads it.
            Err(_not_ours) => {
                let queue = if via == Place::InAppRetry {
                    Place::InApp
                } else {
                    Place::Mail
                };
                (
                    queue,
                    BulkJob::new("foreign", value).job_id(format!("{}-{id}", via.name())),
                )
            }
        };
        self.link.add(queue, vec![job]).await?;
        self.end_rest(via, id, user).await?;
        self.leaving(|leaving| leaving.remove(&leaving_key(via, id)));
        Ok(true)
    }

    /// Records that the job is due, once.
    fn recorded_due(&self, via: Place, id: &str, parcel: &Parcel) -> Part {
        let key = leaving_key(via, id);
        if let Some(part) = self.leaving(|leaving| leaving.get(&key).copied()) {
            return part;
        }
        let failed = parcel.attempt.saturating_sub(1);
        let known = parcel.part_in(self.run_id().as_deref());
        let part = known.unwrap_or_else(|| {
            let class = parcel.kind.class();
            self.telemetry.resume_delayed(class, via, failed, 0)
        });
        let queue = first_queue(parcel.channel);
        let rank = u64::from(parcel.priority.rank());
        let part = self
            .telemetry
            .retry_due(part.with_attempt(failed), via, queue, rank);
        self.leaving(|leaving| leaving.insert(key, part));
        part
    }

    async fn unlock(&self, job_key: &str, token: &str) -> Result<(), QueueError> {
        let script = redis::Script::new(UNLOCK);
        let mut call = script.key(format!("{job_key}:lock"));
        call.arg(token);
        self.link.script(&call).await
    }

    /// The rest is over, as BullMQ says it: completed.
    async fn end_rest(&self, via: Place, id: &str, user: Option<UserId>) -> Result<(), QueueError> {
        let keys = self.link.keys(via)?;
        let (job_key, now_ms) = (keys.job_key(id), wall_ms());
        let mut pipe = Pipeline::new();
        pipe.atomic();
        pipe.cmd("ZREM").arg(keys.delayed()).arg(id).ignore();
        pipe.cmd("LREM").arg(keys.wait()).arg(0).arg(id).ignore();
        pipe.cmd("ZREM").arg(keys.prioritized()).arg(id).ignore();
        pipe.cmd("ZADD")
            .arg(keys.completed())
            .arg(now_ms)
            .arg(id)
            .ignore();
        pipe.cmd("HSET")
            .arg(&job_key)
            .arg("processedOn")
            .arg(now_ms);
        pipe.arg("finishedOn").arg(now_ms).arg("delay").arg(0);
        pipe.arg("returnvalue").arg("\"due\"").ignore();
        pipe.cmd("XADD")
            .arg(keys.events())
            .arg("MAXLEN")
            .arg("~")
            .arg(EVENTS_MAX);
        pipe.arg("*")
            .arg("event")
            .arg("completed")
            .arg("jobId")
            .arg(id);
        pipe.arg("returnvalue")
            .arg("\"due\"")
            .arg("prev")
            .arg("delayed")
            .ignore();
        pipe.cmd("DEL").arg(format!("{job_key}:lock")).ignore();
        if let Some(user) = user.filter(|_| via == Place::InAppRetry) {
            pipe.cmd("SREM").arg(index_key(user)).arg(id).ignore();
        }
        self.link.pipe::<()>(&pipe).await
    }

    /// That user's jobs at in-app-retry are due now, the oldest first; false where the queue is paused and
    /// keeps them.
    pub(super) async fn wake(&self, user: UserId) -> Result<bool, QueueError> {
        let key = index_key(user);
        let keys = self.link.keys(Place::InAppRetry)?;
        let mut pipe = redis::pipe();
        pipe.cmd("HEXISTS").arg(keys.meta()).arg("paused");
        pipe.cmd("SMEMBERS").arg(&key);
        let (is_paused, mut ids): (bool, Vec<String>) = self.link.pipe(&pipe).await?;
        if is_paused {
            return Ok(false);
        }
        ids.sort_by_key(|id| job_number(id));
        for id in ids {
            let mut pipe = redis::pipe();
            pipe.cmd("ZSCORE").arg(keys.delayed()).arg(&id);
            let (score,): (Option<String>,) = self.link.pipe(&pipe).await?;
            if score.is_some() {
                // The end of its rest takes it out of the index, so that a process that dies here leaves it.
                self.leave(Place::InAppRetry, &id).await?;
            } else {
                let mut pipe = redis::pipe();
                pipe.cmd("SREM").arg(&key).arg(&id).ignore();
                self.link.pipe::<()>(&pipe).await?;
            }
        }
        Ok(true)
    }

    fn leaving<T>(&self, change: impl FnOnce(&mut BTreeMap<String, Part>) -> T) -> T {
        let leaving = &self.rests.leaving;
        change(&mut leaving.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What one look at a rest finds: paused, due, promoted, promoted with a priority, the next one.
type Looked = (
    bool,
    Vec<String>,
    Vec<String>,
    Vec<String>,
    Vec<(String, String)>,
);

/// Which jobs of one user rest; beside BullMQ's own keys.
fn index_key(user: UserId) -> String {
    format!("flowreel:resting:{user}")
}

/// The stored job's number in the id of one of its runs.
fn job_number(id: &str) -> u64 {
    let number = id.split('-').next().and_then(|number| number.parse().ok());
    number.unwrap_or(u64::MAX)
}

/// Only its own.
const UNLOCK: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
";

fn leaving_key(via: Place, id: &str) -> String {
    format!("{}:{id}", via.name())
}
