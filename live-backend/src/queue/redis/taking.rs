//! One channel's jobs in the hands of this process: waiting for one, taking it, ending its run.
//!
//! Belongs here: BullMQ's side of a run: marker, lock, completed or failed, and who asks along with whom.
//! Does not belong here: the run, the scripts.
//!
//! Nothing is taken ahead: as many jobs as members ask for at this moment, so that an urgent one that comes
//! next is the next one taken.

use super::Inner;
use super::gather::Gather;
use super::link::{Link, unreachable};
use super::parcel::Parcel;
use super::scripts::{self, End, Ended, Found};
use crate::models::{Channel, WallMs};
use crate::queue::{Job, QueueError, first_queue};
use crate::security::random_hex;
use crate::telemetry::Place;
use bullmq::redis_connection::ManagedConn;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// A run that is not heard of for so long is given to another process. One that was only frozen for that
/// long may send its mail, and so does the next one: a mail cannot be taken back.
const MAIL_LOCK: Duration = Duration::from_secs(10);
/// Later news of the user waits for it, so it is short. Where a process was only frozen, the next one finds
/// in the store what a client has confirmed; what both write comes under one id, by which a client tells it.
const IN_APP_LOCK: Duration = Duration::from_secs(3);
/// Longest wait without a look of our own.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// After an error.
const ERROR_PAUSE: Duration = Duration::from_millis(200);
/// Jobs with data that make no sense, refused in one go.
const UNFIT_MAX: usize = 100;
/// Jobs that are taken or ended by one call at most: a script holds everybody else up.
const BATCH: usize = 64;
/// Locks that are kept by one call.
const LOCKS_BATCH: usize = 500;
/// What BullMQ keeps as the result of a good run.
const RESULT: &str = "delivered";

/// How a run ended.
#[derive(Clone, Copy)]
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
    waiting: OnceCell<ManagedConn>,
    active: Mutex<BTreeMap<i64, Active>>,
    takes: Gather<(), Option<Taken>>,
    ends: Gather<End, Result<Ended, QueueError>>,
    backs: Gather<String, ()>,
    /// Jobs that waited when Redis was asked last, less those that somebody went for since.
    left: AtomicU64,
}

/// A job that runs here.
struct Active {
    /// In its queue.
    id: String,
    /// How often it was taken.
    starts: u32,
    parcel: Parcel,
    since: WallMs,
}

/// A job that was taken and that nobody runs yet.
pub(super) struct Taken {
    pub(super) found: Found,
    inner: Arc<Inner>,
    channel: Channel,
    is_kept: bool,
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
            waiting: OnceCell::new(),
            active: Mutex::default(),
            takes: Gather::default(),
            ends: Gather::default(),
            backs: Gather::default(),
            left: AtomicU64::new(0),
        }
    }

    /// Waits until a job may be taken.
    pub(super) async fn has_job(&self, link: &Link) {
        loop {
            if self.expects_one() {
                return;
            }
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

    /// Goes for one of the jobs that waited when Redis was asked last.
    fn expects_one(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        let had = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        had.is_ok()
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
        if !is_paused {
            let left = waiting.saturating_add(prioritized).saturating_sub(1);
            self.left.store(left, Ordering::Relaxed);
        }
        Ok(Seen {
            has_job: !is_paused && (waiting > 0 || prioritized > 0 || is_due),
            next_due_ms: next_due_ms.filter(|_| !is_paused),
        })
    }

    /// Takes the next job that makes sense.
    pub(super) async fn take(&self, inner: &Arc<Inner>) -> Option<Job> {
        for _ in 0..UNFIT_MAX {
            let taken = self.next(inner).await?;
            match inner.fit(&taken, self.channel).await {
                Ok(Some((job, parcel))) => {
                    let active = Active {
                        starts: taken.found.starts,
                        id: taken.keep(),
                        parcel,
                        since: inner.now(),
                    };
                    self.active().insert(job.id, active);
                    return Some(job);
                }
                // The store is out of reach: its lock runs out, and it comes again.
                Ok(None) => {
                    taken.keep();
                    return None;
                }
                Err(reason) => {
                    let id = taken.keep();
                    tracing::warn!(%reason, "job {id} of queue {} is refused: {reason}", self.channel);
                    self.finish(inner, id, Ending::Failed(&reason)).await;
                }
            }
        }
        None
    }

    /// The next job as it lies in Redis; several that ask at the same moment are served by one call.
    async fn next(&self, inner: &Arc<Inner>) -> Option<Taken> {
        let (answered, must_serve) = self.takes.ask(());
        if must_serve {
            let serving = serve_takes(Arc::clone(inner), self.channel);
            inner.calls.spawn(serving);
        }
        answered.await.ok().flatten()
    }

    /// The run of a job that was taken here is over; the answer is what is known of it.
    pub(super) async fn end(
        &self,
        inner: &Arc<Inner>,
        id: i64,
        ending: Ending<'_>,
    ) -> Option<Parcel> {
        let active = self.active().remove(&id)?;
        self.finish(inner, active.id, ending).await;
        Some(active.parcel)
    }

    async fn finish(&self, inner: &Arc<Inner>, id: String, ending: Ending<'_>) {
        let Some(end) = ending.of(&id) else {
            return self.end_as_bullmq(&inner.link, &id, ending).await;
        };
        let (answered, must_serve) = self.ends.ask(end);
        if must_serve {
            let serving = serve_ends(Arc::clone(inner), self.channel);
            inner.calls.spawn(serving);
        }
        // Where it fails its lock runs out; whoever takes it again finds in the store that it is done.
        match answered.await {
            Ok(Ok(Ended::Done)) | Err(_) => {}
            Ok(Ok(Ended::Related)) => self.end_as_bullmq(&inner.link, &id, ending).await,
            Ok(Ok(Ended::Refused(code))) => {
                tracing::debug!(code, "end of job {id}: it is not ours any more ({code})");
            }
            Ok(Err(error)) => tracing::debug!(%error, "end of job {id}: {error}"),
        }
    }

    /// Ends what is rare by BullMQ's own scripts.
    async fn end_as_bullmq(&self, link: &Link, id: &str, ending: Ending<'_>) {
        if let Err(error) = self.try_as_bullmq(link, id, ending).await {
            tracing::debug!(%error, "end of job {id}: {error}");
        }
    }

    /// The crate gives no way to name a token, so the lock is handed over to the empty one first.
    async fn try_as_bullmq(
        &self,
        link: &Link,
        id: &str,
        ending: Ending<'_>,
    ) -> Result<(), QueueError> {
        let queue = self.queue();
        let is_ours = scripts::hand_over(link, queue, &self.token, id).await?;
        let bull = link.queue(queue)?.get_job(id).await;
        let Some(mut bull) = bull.map_err(unreachable)?.filter(|_| is_ours) else {
            return Ok(());
        };
        let ended = match ending {
            Ending::Completed => bull.move_to_completed(RESULT).await,
            Ending::Failed(reason) => bull.move_to_failed(reason).await,
            Ending::PutBack(due_ms) => bull.move_to_delayed(due_ms).await,
        };
        ended.map_err(unreachable)
    }

    /// Tells Redis that the runs of this process go on.
    pub(super) async fn extend_locks(&self, link: &Link) {
        let running: Vec<String> = self.active().values().map(|it| it.id.clone()).collect();
        for ids in running.chunks(LOCKS_BATCH) {
            match scripts::extend(link, self.queue(), &self.token, ids).await {
                Ok(lost) if lost.is_empty() => {}
                Ok(lost) => tracing::debug!("locks of {} are gone", lost.join(", ")),
                Err(error) => tracing::debug!(%error, "locks of {} jobs: {error}", ids.len()),
            }
        }
    }

    /// Whether a run goes on here.
    pub(super) fn is_busy(&self) -> bool {
        !self.active().is_empty()
    }

    /// How often this job was taken.
    pub(super) fn starts(&self, id: i64) -> u32 {
        self.active().get(&id).map_or(0, |active| active.starts)
    }

    /// Since when this job runs here.
    pub(super) fn active_since(&self, id: i64) -> Option<WallMs> {
        self.active().get(&id).map(|active| active.since)
    }

    const fn queue(&self) -> Place {
        first_queue(self.channel)
    }

    fn active(&self) -> MutexGuard<'_, BTreeMap<i64, Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ending<'_> {
    /// As several are told at once; `None` where it is for BullMQ's own script.
    fn of(self, id: &str) -> Option<End> {
        let (is_good, value) = match self {
            Self::Completed => (true, format!("\"{RESULT}\"")),
            Self::Failed(reason) => (false, reason.to_owned()),
            Self::PutBack(_due_ms) => return None,
        };
        Some(End {
            id: id.to_owned(),
            is_good,
            value,
        })
    }
}

impl Taken {
    /// It has somebody who runs it or ends it.
    fn keep(mut self) -> String {
        self.is_kept = true;
        std::mem::take(&mut self.found.id)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // Whoever asked for it has gone meanwhile: another one shall have it before its lock runs out.
        if !self.is_kept
            && let Ok(runtime) = Handle::try_current()
        {
            let (inner, channel) = (Arc::clone(&self.inner), self.channel);
            let backs = &inner.taking(channel).backs;
            if backs.ask(std::mem::take(&mut self.found.id)).1 {
                let serving = serve_backs(Arc::clone(&inner), channel);
                inner.calls.spawn_on(serving, &runtime);
            }
        }
    }
}

async fn serve_takes(inner: Arc<Inner>, channel: Channel) {
    let taking = inner.taking(channel);
    // Whoever is ready at this moment asks along.
    tokio::task::yield_now().await;
    while let Some(mut asks) = taking.takes.next(BATCH) {
        asks.retain(|ask| !ask.answer.is_closed());
        if asks.is_empty() {
            continue;
        }
        let found = scripts::take(&inner.link, taking.queue(), &taking.token, asks.len()).await;
        let (found, left) = found.unwrap_or_else(|error| {
            tracing::debug!(%error, "{error}");
            (Vec::new(), 0)
        });
        taking.left.store(left, Ordering::Relaxed);
        let mut found = found.into_iter();
        for ask in asks {
            let taken = found.next().map(|found| Taken {
                found,
                inner: Arc::clone(&inner),
                channel,
                is_kept: false,
            });
            // Where nobody waits any more it is dropped, and so given back.
            drop(ask.answer.send(taken));
        }
    }
}

async fn serve_ends(inner: Arc<Inner>, channel: Channel) {
    let taking = inner.taking(channel);
    tokio::task::yield_now().await;
    while let Some(asks) = taking.ends.next(BATCH) {
        let ends = asks.iter().map(|ask| &ask.what);
        let ended = scripts::finish(&inner.link, taking.queue(), &taking.token, ends).await;
        let mut ended = match ended {
            Ok(ended) => Ok(ended.into_iter()),
            Err(error) => Err(error),
        };
        for ask in asks {
            let answer = match &mut ended {
                Ok(ended) => Ok(ended.next().unwrap_or(Ended::Done)),
                Err(error) => Err(error.clone()),
            };
            drop(ask.answer.send(answer));
        }
    }
}

async fn serve_backs(inner: Arc<Inner>, channel: Channel) {
    let taking = inner.taking(channel);
    while let Some(asks) = taking.backs.next(BATCH) {
        let ids: Vec<String> = asks.into_iter().map(|ask| ask.what).collect();
        let back = scripts::give_back(&inner.link, taking.queue(), &taking.token, &ids).await;
        if let Err(error) = back {
            // Their locks run out.
            tracing::debug!(%error, "{} jobs are not given back: {error}", ids.len());
        }
    }
}

/// How long a job of this queue is a process's own that is not heard of.
pub(super) const fn lock(queue: Place) -> Duration {
    match queue {
        Place::InApp | Place::InAppRetry => IN_APP_LOCK,
        _ => MAIL_LOCK,
    }
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
