//! Stored jobs and Redis kept in step: adding, adding again, bringing back, forgetting what is done.
//!
//! Belongs here: what happens once in a while, and additions that may fail. Does not belong here: runs.

use super::Inner;
use super::link::addition;
use super::parcel::{Parcel, run_id};
use super::taking::wall_ms;
use crate::queue::{LeftJob, QUEUES, QueueError, first_queue};
use crate::security::random_hex;
use crate::store::jobs::RunEnd;
use crate::store::step::RunStep;
use crate::telemetry::Place;
use flowreel_engine::model::id::RequestId;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Jobs that may wait or rest; past it new requests are refused with 503, nothing is dropped.
const JOBS_MAX: u64 = 200_000;
/// How often locks are refreshed; several times within one.
const LOCKS_EVERY: Duration = Duration::from_secs(1);
/// The same after the stop, when it is waited for the last runs.
const LAST_RUNS_EVERY: Duration = Duration::from_millis(50);
/// How often it is looked whether somebody is gone.
const HOUSE_EVERY: Duration = Duration::from_secs(1);
/// The rest of the house is looked after in one of so many rounds.
const REST_EVERY: u64 = 2;
/// How long nobody else does what one does for all, after it was last done.
const HOUSE_LEASE: Duration = Duration::from_secs(6);
/// A sweep goes over every stored job that is open.
const SWEEP_EVERY: u64 = 3 * REST_EVERY;
/// Done jobs that are kept for people to look at.
const COMPLETED_KEPT: isize = 1_000;
const FAILED_KEPT: isize = 5_000;
/// Removed at once.
const TRIM_BATCH: isize = 5_000;
/// Jobs asked about at once.
const ASK_BATCH: usize = 500;
/// Longest wait for an addition while a request waits for its answer.
const ADD_MAX: Duration = Duration::from_millis(500);
/// After an addition that failed, the next ones are left to the sweep for so long.
const REST_MS: u64 = 1_000;

/// What this process knows about how full the queues are and whether Redis answers.
pub(super) struct Outbox {
    /// By which Redis knows who looks after the queues.
    token: String,
    open_count: AtomicU64,
    failed_at_ms: AtomicU64,
    is_down: AtomicBool,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            token: random_hex::<16>(),
            open_count: AtomicU64::new(0),
            failed_at_ms: AtomicU64::new(0),
            is_down: AtomicBool::new(false),
        }
    }
}

impl Outbox {
    pub(super) fn has_room(&self) -> bool {
        self.open_count.load(Ordering::Relaxed) < JOBS_MAX
    }

    /// How many jobs wait or rest, as just counted.
    pub(super) fn note_open(&self, count: u64) {
        self.open_count.store(count, Ordering::Relaxed);
    }
}

impl Inner {
    /// Adds these; where that fails they stay stored, and the sweep adds them.
    ///
    /// They are sent together; those of one queue enter it in this order.
    pub(super) async fn add_or_leave(&self, additions: Vec<(Place, Parcel)>) {
        let outbox = &self.outbox;
        let failed_at = outbox.failed_at_ms.load(Ordering::Relaxed);
        if wall_ms().saturating_sub(failed_at) < REST_MS {
            return;
        }
        let of = |queue: Place| {
            let wait = self.faults.queue_delay(queue);
            let its = additions.iter().filter(move |(other, _)| *other == queue);
            its.map(|(_, parcel)| addition(parcel, parcel.bull_id(), wait))
                .collect()
        };
        let adding = futures_util::future::try_join(
            self.link.add(Place::Mail, of(Place::Mail)),
            self.link.add(Place::InApp, of(Place::InApp)),
        );
        let result = tokio::time::timeout(ADD_MAX, adding).await;
        let error = match result {
            Ok(Ok(((), ()))) => {
                if outbox.is_down.swap(false, Ordering::Relaxed) {
                    tracing::info!("Redis answers again");
                }
                return;
            }
            Ok(Err(error)) => error,
            Err(_elapsed) => QueueError::Unreachable {
                text: "Redis does not answer".to_owned(),
            },
        };
        outbox.failed_at_ms.store(wall_ms(), Ordering::Relaxed);
        if !outbox.is_down.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "{error}; accepted jobs stay stored and are added later");
        }
    }

    /// Looks after the queues, for ever.
    pub(super) async fn keep_house(&self) {
        let mut ticks = tokio::time::interval(HOUSE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut round, mut suspects) = (0_u64, BTreeSet::new());
        loop {
            ticks.tick().await;
            round = round.wrapping_add(1);
            let kept = self.keep_house_once(round, &mut suspects).await;
            if let Err(error) = kept {
                tracing::debug!(%error, "{error}");
            }
        }
    }

    async fn keep_house_once(
        &self,
        round: u64,
        suspects: &mut BTreeSet<String>,
    ) -> Result<(), QueueError> {
        for queue in [Place::Mail, Place::InApp] {
            self.bring_back(queue).await?;
        }
        if !round.is_multiple_of(REST_EVERY) {
            return Ok(());
        }
        self.counts().await?;
        // The rest costs much, and two that see the same gap would both fill it.
        if !self.keeps_house().await? {
            suspects.clear();
            return Ok(());
        }
        for queue in QUEUES {
            self.trim(queue).await?;
        }
        if round.is_multiple_of(SWEEP_EVERY) {
            self.sweep(suspects).await?;
        }
        Ok(())
    }

    /// Whether this process looks after what one does for all; another one does once this one is gone.
    async fn keeps_house(&self) -> Result<bool, QueueError> {
        let script = redis::Script::new(KEEP_HOUSE);
        let mut call = script.key("flowreel:house");
        let lease_ms = u64::try_from(HOUSE_LEASE.as_millis()).unwrap_or(u64::MAX);
        call.arg(&self.outbox.token).arg(lease_ms);
        self.link.script(&call).await
    }

    /// Adds stored jobs that Redis lacks twice in a row: once may be an addition under way.
    async fn sweep(&self, suspects: &mut BTreeSet<String>) -> Result<(), QueueError> {
        let rows = self.store.open_jobs().await;
        let now = self.now();
        let left: Vec<LeftJob> = match rows {
            Ok(rows) => rows.into_iter().map(|row| LeftJob::new(row, now)).collect(),
            Err(error) => {
                tracing::debug!(%error, "{error}");
                return Ok(());
            }
        };
        let missing = self.missing(&left).await?;
        let (again, once): (Vec<&LeftJob>, Vec<&LeftJob>) = missing
            .into_iter()
            .partition(|left| suspects.contains(&bull_id(left)));
        *suspects = once.into_iter().map(bull_id).collect();
        // The looks may have taken longer than the lease, and then another process fills the gap.
        if again.is_empty() || !self.keeps_house().await? {
            return Ok(());
        }
        tracing::info!(
            "{} stored jobs are added to their queues again",
            again.len()
        );
        self.add_left(&again).await
    }

    /// Adds those that Redis lacks.
    pub(super) async fn add_missing(&self, left: &[LeftJob]) -> Result<(), QueueError> {
        let missing = self.missing(left).await?;
        self.add_left(&missing).await
    }

    /// Stored jobs whose next run is nowhere in Redis, or over there and not in the store. Our workers store
    /// first, so a run that went well and is not stored was another program's: the job is done.
    pub(super) async fn missing<'a>(
        &self,
        left: &'a [LeftJob],
    ) -> Result<Vec<&'a LeftJob>, QueueError> {
        let mut missing = Vec::new();
        for chunk in left.chunks(ASK_BATCH) {
            let mut pipe = redis::pipe();
            for left in chunk {
                let id = bull_id(left);
                let first = self.link.keys(first_queue(left.stored.job.channel))?;
                let via = rest_of(left);
                for keys in [Some(first), via.map(|via| self.link.keys(via)).transpose()?] {
                    let keys = keys.unwrap_or(first);
                    pipe.cmd("HMGET")
                        .arg(keys.job_key(&id))
                        .arg("timestamp")
                        .arg("finishedOn")
                        .arg("failedReason");
                }
            }
            let found: Vec<Found> = self.link.pipe(&pipe).await?;
            for (left, pair) in chunk.iter().zip(found.chunks(2)) {
                let is_open = |found: &Found| found.0.is_some() && found.1.is_none();
                if pair.iter().any(is_open) {
                    continue;
                }
                let is_done = matches!(pair.first(), Some((Some(_), Some(_), None)));
                if is_done && self.is_same(left).await? {
                    self.served_elsewhere(left).await;
                } else {
                    missing.push(left);
                }
            }
        }
        Ok(missing)
    }

    /// Whether the job over there tells the same: a new store, or one that was set back, gives numbers again.
    async fn is_same(&self, left: &LeftJob) -> Result<bool, QueueError> {
        let (id, job) = (bull_id(left), &left.stored.job);
        let queue = first_queue(job.channel);
        let found = self.parcels(queue, std::slice::from_ref(&id)).await?;
        let found = found.get(&id);
        Ok(found.is_some_and(|parcel| parcel.notification_id == job.notification))
    }

    async fn served_elsewhere(&self, left: &LeftJob) {
        let job = &left.stored.job;
        let end = RunEnd {
            job: job.id,
            request: RequestId(0),
            notification: job.notification.clone(),
            channel: job.channel,
            attempt: left.stored.attempt,
            code: None,
            reason: "served by another program".to_owned(),
            is_missed: false,
        };
        let delivered = RunStep::DELIVERED;
        let stored = self.store.step(end, delivered, self.now()).await;
        if let Err(error) = stored {
            tracing::debug!(%error, job.id, "delivery of job {} cannot be stored: {error}", job.id);
        }
    }

    async fn add_left(&self, left: &[&LeftJob]) -> Result<(), QueueError> {
        for left in left {
            let (job, attempt) = (left.stored.job.clone(), left.stored.attempt);
            let queue = first_queue(job.channel);
            let run = self.run_id();
            let known = left.stored.origin.as_ref();
            let known = known.filter(|origin| run.as_ref() == Some(&origin.run));
            let user = job.user;
            let class = job.kind.class();
            // What is over there and not here is in the way of the new one.
            let id = bull_id(left);
            self.forget(queue, &id).await?;
            match left.parked {
                None => {
                    // What was requeued is no dead letter, even where that could not be said in time.
                    if attempt == 1 {
                        self.discard(job.id).await?;
                    }
                    let part = known.map_or_else(
                        || self.telemetry.resume_job(class, queue, attempt),
                        |origin| origin.part.with_attempt(attempt),
                    );
                    let parcel = self.parcel(&job, part);
                    self.link
                        .add(queue, vec![addition(&parcel, id, Duration::ZERO)])
                        .await?;
                }
                Some((via, rest)) => {
                    self.forget(via, &id).await?;
                    let failed = attempt.saturating_sub(1);
                    let part = known.map_or_else(
                        || {
                            let rest_ns = u64::try_from(rest.as_nanos()).unwrap_or(u64::MAX);
                            self.telemetry.resume_delayed(class, via, failed, rest_ns)
                        },
                        |origin| origin.part.with_attempt(failed),
                    );
                    let mut parcel = self.parcel(&job, part);
                    parcel.attempt = attempt;
                    self.rest(via, &parcel, rest, user).await?;
                }
            }
        }
        Ok(())
    }

    /// A job that is over, or should not be there.
    pub(super) async fn forget(&self, queue: Place, id: &str) -> Result<(), QueueError> {
        let queue = self.link.queue(queue)?;
        let removed = queue.remove(id).await.map_err(super::link::unreachable)?;
        if !removed {
            tracing::debug!("job {id} of queue {} is locked and stays", queue.name());
        }
        Ok(())
    }

    /// Active jobs that nobody holds any more wait again, in front.
    async fn bring_back(&self, queue: Place) -> Result<(), QueueError> {
        let keys = self.link.keys(queue)?;
        let script = redis::Script::new(BRING_BACK);
        let mut call = script.key(keys.active());
        call.key(keys.wait())
            .key(keys.events())
            .key(keys.marker())
            .key(keys.stalled());
        call.arg(keys.key_prefix());
        let back: u64 = self.link.script(&call).await?;
        if back > 0 {
            tracing::info!(
                "{back} jobs of queue {} were left by a process that is gone",
                queue.name()
            );
        }
        Ok(())
    }

    /// Of jobs that are over only so many are kept; the others are counted.
    async fn trim(&self, queue: Place) -> Result<(), QueueError> {
        let keys = self.link.keys(queue)?;
        for (set, kept, word) in [
            (keys.completed(), COMPLETED_KEPT, "completed"),
            (keys.failed(), FAILED_KEPT, "failed"),
        ] {
            let mut pipe = redis::pipe();
            pipe.cmd("ZRANGE").arg(&set).arg(0).arg(-kept - 1);
            let (mut ids,): (Vec<String>,) = self.link.pipe(&pipe).await?;
            ids.truncate(usize::try_from(TRIM_BATCH).unwrap_or(usize::MAX));
            if ids.is_empty() {
                continue;
            }
            let mut pipe = redis::pipe();
            pipe.atomic();
            pipe.cmd("ZREM").arg(&set).arg(&ids);
            for id in &ids {
                let key = keys.job_key(id);
                pipe.cmd("DEL")
                    .arg(&key)
                    .arg(format!("{key}:logs"))
                    .ignore();
            }
            let (removed,): (u64,) = self.link.pipe(&pipe).await?;
            let mut pipe = redis::pipe();
            let field = trimmed_field(queue, word);
            pipe.cmd("HINCRBY")
                .arg(TRIMMED)
                .arg(field)
                .arg(removed)
                .ignore();
            self.link.pipe::<()>(&pipe).await?;
        }
        Ok(())
    }

    /// Refreshes locks until the last run that began before the stop is over.
    pub(super) async fn keep_locks(&self, stop: &CancellationToken) {
        let is_busy = || self.mail.is_busy() || self.in_app.is_busy();
        while is_busy() || !stop.is_cancelled() {
            let every = if stop.is_cancelled() {
                LAST_RUNS_EVERY
            } else {
                LOCKS_EVERY
            };
            tokio::select! {
                () = stop.cancelled(), if !stop.is_cancelled() => continue,
                () = tokio::time::sleep_until(Instant::now() + every) => {}
            }
            tokio::join!(
                self.mail.extend_locks(&self.link),
                self.in_app.extend_locks(&self.link)
            );
        }
    }
}

/// Jobs that were trimmed, by queue and how they ended; beside BullMQ's own keys.
pub(super) const TRIMMED: &str = "flowreel:trimmed";

pub(super) fn trimmed_field(queue: Place, word: &str) -> String {
    format!("{}:{word}", queue.name())
}

/// When it was added, when it was over, and why where that was no good end.
type Found = (Option<String>, Option<String>, Option<String>);

fn bull_id(left: &LeftJob) -> String {
    run_id(&left.stored.job.id.to_string(), left.stored.attempt)
}

/// Where it rests or has rested, due or not.
fn rest_of(left: &LeftJob) -> Option<Place> {
    let (station, _due_at) = left.stored.parked.as_ref()?;
    Place::from_name(station)
}

/// One process keeps the house for as long as it says so in time.
const KEEP_HOUSE: &str = r"
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
";

/// Taking a job and locking it is one step of BullMQ, so an active job without a lock is nobody's.
const BRING_BACK: &str = r"
local back = 0
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  local key = ARGV[1] .. id
  if redis.call('EXISTS', key .. ':lock') == 0 and redis.call('LREM', KEYS[1], 1, id) == 1 then
    redis.call('SREM', KEYS[5], id)
    if redis.call('EXISTS', key) == 1 then
      redis.call('RPUSH', KEYS[2], id)
      redis.call('HINCRBY', key, 'stc', 1)
      redis.call('XADD', KEYS[3], '*', 'event', 'waiting', 'jobId', id, 'prev', 'active')
      redis.call('XADD', KEYS[3], '*', 'event', 'stalled', 'jobId', id)
      back = back + 1
    end
  end
end
if back > 0 then redis.call('ZADD', KEYS[4], 0, '0') end
return back
";
