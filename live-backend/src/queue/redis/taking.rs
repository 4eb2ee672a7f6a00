//! One channel's jobs in the hands of this process: waiting for one, taking it, ending its run.
//!
//! Belongs here: BullMQ's side of a run: marker, lock, completed or failed. Does not belong here: the run.

use super::Inner;
use super::link::{Link, unreachable};
use super::parcel::Parcel;
use crate::models::{Channel, WallMs};
use crate::queue::{Job, QueueError, first_queue};
use crate::security::random_hex;
use bullmq::redis_connection::ManagedConn;
use bullmq::{Worker, WorkerOptions};
use futures_util::FutureExt;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// A run that is not heard of for so long is given to another process.
pub(super) const LOCK: Duration = Duration::from_secs(10);
/// Longest wait without a look of our own.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// After an error.
const ERROR_PAUSE: Duration = Duration::from_millis(200);
/// Jobs with data that make no sense, refused in one go.
const UNFIT_MAX: usize = 100;

/// How a run ended.
pub(super) enum Ending<'a> {
    Completed,
    Failed(&'a str),
    /// It was not run, and waits again until then.
    PutBack(u64),
}

/// One channel.
pub(super) struct Taking {
    channel: Channel,
    /// By which Redis knows who holds a job.
    token: String,
    worker: OnceCell<Worker>,
    waiting: OnceCell<ManagedConn>,
    active: Mutex<BTreeMap<i64, Active>>,
}

/// A job that runs here.
struct Active {
    bull: bullmq::Job,
    parcel: Parcel,
    since: WallMs,
}

/// What is in the queue now.
struct Seen {
    has_job: bool,
    next_due_ms: Option<u64>,
}

impl Taking {
    pub(super) fn new(channel: Channel) -> Self {
        Self {
            channel,
            token: random_hex::<16>(),
            worker: OnceCell::new(),
            waiting: OnceCell::new(),
            active: Mutex::default(),
        }
    }

    /// Waits until a job may be taken.
    pub(super) async fn has_job(&self, link: &Link) {
        loop {
            match self.look(link).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(%error, "{error}");
                    tokio::time::sleep_until(Instant::now() + ERROR_PAUSE).await;
                }
            }
        }
    }

    /// Looks; where there is nothing, waits for the marker that BullMQ sets with a job.
    async fn look(&self, link: &Link) -> Result<bool, QueueError> {
        let seen = self.see(link).await?;
        if seen.has_job {
            return Ok(true);
        }
        let keys = link.keys(first_queue(self.channel))?;
        let wait = seen.next_due_ms.map_or(WAIT_MAX, |due_ms| {
            Duration::from_millis(due_ms.saturating_sub(wall_ms()))
                .clamp(Duration::from_millis(1), WAIT_MAX)
        });
        let connection = self.waiting.get_or_try_init(|| link.waiting_connection());
        pop_marker(connection.await?.clone(), &[keys.marker()], wait).await?;
        Ok(false)
    }

    async fn see(&self, link: &Link) -> Result<Seen, QueueError> {
        let keys = link.keys(first_queue(self.channel))?;
        let mut pipe = redis::pipe();
        pipe.cmd("HEXISTS").arg(keys.meta()).arg("paused");
        pipe.cmd("LLEN").arg(keys.wait());
        pipe.cmd("ZCARD").arg(keys.prioritized());
        pipe.cmd("ZRANGE")
            .arg(keys.delayed())
            .arg(0)
            .arg(0)
            .arg("WITHSCORES");
        let (is_paused, waiting, prioritized, delayed): (bool, u64, u64, Vec<(String, String)>) =
            link.pipe(&pipe).await?;
        let next_due_ms = delayed.first().and_then(|(_, score)| due_ms(score));
        let is_due = next_due_ms.is_some_and(|due_ms| due_ms <= wall_ms());
        Ok(Seen {
            has_job: !is_paused && (waiting > 0 || prioritized > 0 || is_due),
            next_due_ms: next_due_ms.filter(|_| !is_paused),
        })
    }

    /// Takes the next job that makes sense.
    pub(super) async fn take(&self, inner: &Inner) -> Option<Job> {
        for _ in 0..UNFIT_MAX {
            let worker = self
                .worker
                .get_or_try_init(|| open_worker(&inner.link, self.channel));
            let fetched = match worker.await {
                Ok(worker) => {
                    let fetched = worker.get_next_job_nonblocking(&self.token).await;
                    // Nobody else empties the worker's list of events.
                    while worker.next_event().now_or_never().flatten().is_some() {}
                    fetched.map_err(unreachable)
                }
                Err(error) => Err(error),
            };
            let mut bull = match fetched {
                Ok(Some(bull)) => bull,
                Ok(None) => return None,
                Err(error) => {
                    tracing::debug!(%error, "{error}");
                    return None;
                }
            };
            match inner.fit(&mut bull, self.channel).await {
                Ok(Some((job, parcel))) => {
                    let active = Active {
                        bull,
                        parcel,
                        since: inner.now(),
                    };
                    self.active().insert(job.id, active);
                    return Some(job);
                }
                // The store is out of reach: its lock runs out, and it comes again.
                Ok(None) => return None,
                Err(reason) => {
                    let id = bull.id().to_owned();
                    tracing::warn!(%reason, "job {id} of queue {} is refused: {reason}", self.channel);
                    if let Err(error) = bull.move_to_failed(&reason).await {
                        tracing::debug!(%error, "{error}");
                    }
                }
            }
        }
        None
    }

    /// The run of a job that was taken here is over; the answer is what is known of it.
    pub(super) async fn end(&self, id: i64, ending: Ending<'_>) -> Option<Parcel> {
        let active = self.active().remove(&id)?;
        let Active {
            mut bull, parcel, ..
        } = active;
        let ended = match ending {
            Ending::Completed => bull.move_to_completed("delivered").await,
            Ending::Failed(reason) => bull.move_to_failed(reason).await,
            Ending::PutBack(due_ms) => bull.move_to_delayed(due_ms).await,
        };
        if let Err(error) = ended {
            // Its lock runs out; whoever takes it again finds in the store that it is done.
            tracing::debug!(%error, id, "end of job {id}: {error}");
        }
        Some(parcel)
    }

    /// Tells Redis that the runs of this process go on.
    pub(super) async fn extend_locks(&self) {
        let running: Vec<bullmq::Job> = self.active().values().map(|it| it.bull.clone()).collect();
        let lock_ms = u64::try_from(LOCK.as_millis()).unwrap_or(u64::MAX);
        for bull in running {
            if let Err(error) = bull.extend_lock(&self.token, lock_ms).await {
                tracing::debug!(%error, "lock of job {}: {error}", bull.id());
            }
        }
    }

    /// Whether a run goes on here.
    pub(super) fn is_busy(&self) -> bool {
        !self.active().is_empty()
    }

    /// How often this job was taken.
    pub(super) fn starts(&self, id: i64) -> u32 {
        let active = self.active();
        active
            .get(&id)
            .map_or(0, |active| active.bull.attempts_started())
    }

    /// Since when this job runs here.
    pub(super) fn active_since(&self, id: i64) -> Option<WallMs> {
        self.active().get(&id).map(|active| active.since)
    }

    fn active(&self) -> MutexGuard<'_, BTreeMap<i64, Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn open_worker(link: &Link, channel: Channel) -> Result<Worker, QueueError> {
    let options = WorkerOptions {
        connection: link.options(),
        autorun: false,
        lock_duration: u64::try_from(LOCK.as_millis()).unwrap_or(u64::MAX),
        ..WorkerOptions::default()
    };
    let name = first_queue(channel).name();
    // It only fetches; what it would process comes to our own workers.
    let unused = |_job: bullmq::Job, _token| async { Ok(serde_json::Value::Null) };
    let worker = Worker::with_options(name, unused, options).await;
    worker.map_err(unreachable)
}

/// Waits for one of these markers, but no longer than told.
pub(super) async fn pop_marker(
    mut connection: ManagedConn,
    markers: &[String],
    wait: Duration,
) -> Result<(), QueueError> {
    let mut pop = redis::cmd("BZPOPMIN");
    for marker in markers {
        pop.arg(marker);
    }
    pop.arg(wait.as_secs_f64());
    let popped = pop.query_async::<redis::Value>(&mut connection);
    // A connection that is cut without a word would wait for ever.
    match tokio::time::timeout(wait + WAIT_MAX, popped).await {
        Ok(Ok(_marker)) => Ok(()),
        Ok(Err(error)) => Err(unreachable(error.into())),
        Err(_elapsed) => Err(QueueError::Unreachable {
            text: "Redis does not answer".to_owned(),
        }),
    }
}

/// BullMQ keeps a due time in ms above twelve bits of order.
pub(super) fn due_ms(score: &str) -> Option<u64> {
    score.parse().ok().map(|score: u64| score >> 12)
}

/// BullMQ's times are wall times.
pub(super) fn wall_ms() -> u64 {
    crate::telemetry::Clock::start().wall_ms()
}
