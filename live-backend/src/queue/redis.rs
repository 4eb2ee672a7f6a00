//! Queues on Redis in BullMQ's own layout, so that its tools read and serve them too.
//!
//! Belongs here: what the queues can do, over the parts below. Does not belong here: the store's rows,
//! what a run does (worker), what operators may do (operations).
//!
//! The store is the truth. A job of ours is added under its stored number and run (`17-2`), so adding it
//! again changes nothing; what Redis lacks is added again by a sweep over the stored rows. Its data are
//! whole: another program can serve it, and a job that another program adds is stored first (foreign).

mod figures;
mod foreign;
mod gather;
mod link;
mod operators;
mod outbox;
mod parcel;
mod rests;
mod scripts;
mod taking;
#[cfg(test)]
mod tests;
mod turns;

use super::{Job, LeftJob, NamedCounts, Phase, QueueError, Standing, Turn, first_queue};
use crate::faults::Faults;
use crate::models::{Channel, Priority, UserId, WallMs};
use crate::store::Store;
use crate::store::jobs::NewJob;
use crate::telemetry::{Part, Place, Telemetry};
use link::Link;
use outbox::Outbox;
use parcel::{FailedRun, Parcel};
use rests::Rests;
use std::sync::Arc;
use std::time::Duration;
use taking::{Ending, Taking};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use turns::Turns;

/// Longest time for what an operator asks: BullMQ's own calls wait for a Redis that is away.
const OPERATION_MAX: Duration = Duration::from_secs(5);
const STIR_MAX: Duration = Duration::from_millis(500);

/// All queues; cheap to copy.
#[derive(Clone)]
pub(crate) struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    link: Link,
    telemetry: Telemetry,
    store: Store,
    faults: Arc<Faults>,
    mail: Taking,
    in_app: Taking,
    outbox: Outbox,
    rests: Rests,
    turns: Turns,
    /// Calls to Redis that go on for whoever asked.
    calls: TaskTracker,
}

impl Redis {
    /// Connects; the URL may name a user, a password, a database, and TLS (`rediss://`), where `ca` is trusted
    /// in place of the public certificates.
    pub(crate) async fn open(
        url: &str,
        ca: Option<&[u8]>,
        telemetry: Telemetry,
        store: Store,
        faults: Arc<Faults>,
    ) -> Result<Self, QueueError> {
        let link = Link::open(url, ca).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                link,
                telemetry,
                store,
                faults,
                mail: Taking::new(Channel::Email),
                in_app: Taking::new(Channel::InApp),
                outbox: Outbox::default(),
                rests: Rests::default(),
                turns: Turns::default(),
                calls: TaskTracker::new(),
            }),
        })
    }

    /// Whether another request's jobs may be accepted, by the last figures this process has seen.
    pub(crate) fn has_room(&self) -> bool {
        self.inner.outbox.has_room()
    }

    /// Whether Redis answers.
    pub(crate) async fn is_well(&self) -> bool {
        self.inner.link.answers().await
    }

    /// The run that is recorded, as its id's digits.
    pub(crate) fn run_id(&self) -> Option<String> {
        self.inner.run_id()
    }

    /// A request's stored jobs enter their queues. Where Redis is out of reach the stored rows wait for
    /// the next sweep.
    pub(crate) async fn announce(&self, main: Part, from: Place, jobs: Vec<NewJob>) {
        let telemetry = &self.inner.telemetry;
        let parts = telemetry.split(main, u16::try_from(jobs.len()).unwrap_or(u16::MAX));
        let mut additions = Vec::with_capacity(jobs.len());
        for (job, part) in jobs.into_iter().zip(parts) {
            let rank = u64::from(job.priority.rank());
            let part = match job.channel {
                Channel::Email => telemetry.email_queued(part, from, rank, 0),
                Channel::InApp => telemetry.in_app_queued(part, from, rank),
            };
            additions.push((first_queue(job.channel), self.inner.parcel(&job, part)));
        }
        self.inner.add_or_leave(additions).await;
    }

    /// Jobs that an earlier process left: those that Redis has already stay as they are.
    pub(crate) async fn resume(&self, jobs: Vec<LeftJob>) {
        if let Err(error) = self.inner.add_missing(&jobs).await {
            tracing::warn!(%error, "{error}; {} stored jobs wait for the next sweep", jobs.len());
        }
    }

    /// Waits until a job of this channel may be taken.
    pub(crate) async fn has_job(&self, channel: Channel) {
        self.inner.taking(channel).has_job(&self.inner.link).await;
    }

    /// Takes the next job of this channel.
    pub(crate) async fn take(&self, channel: Channel) -> Option<Job> {
        self.inner.taking(channel).take(&self.inner).await
    }

    /// Whether a taken in-app job may be told now.
    pub(crate) async fn turn(
        &self,
        job: &Job,
        sockets: impl Future<Output = Option<String>>,
    ) -> Turn {
        self.inner.turn(job, sockets).await
    }

    /// What the job tells was written to those sockets.
    pub(crate) async fn written(&self, job: &Job, sockets: Option<&str>) {
        let sockets = sockets.unwrap_or_default();
        self.inner.mark_written(job, sockets).await;
    }

    /// A taken job was not run, and waits again.
    pub(crate) async fn put_back(&self, job: &Job, rest: Duration) {
        self.inner.put_back(job, rest).await;
    }

    /// Somebody who was told of a job takes none: another one looks.
    pub(crate) async fn stir(&self, channel: Channel) {
        // Whoever stirs is leaving, which a Redis that is away must not hold up.
        let stirred = tokio::time::timeout(STIR_MAX, self.inner.stir(channel)).await;
        if let Ok(Err(error)) = stirred {
            tracing::debug!(%error, "{error}");
        }
    }

    /// The run of a taken job went well.
    pub(crate) async fn completed(&self, job: &Job) {
        let taking = self.inner.taking(job.channel);
        drop(taking.end(&self.inner, job.id, Ending::Completed).await);
        self.inner.turns.ended(job.id);
    }

    /// A taken job is gone without a good run.
    pub(crate) async fn dropped(&self, job: &Job, reason: &str) {
        let taking = self.inner.taking(job.channel);
        drop(
            taking
                .end(&self.inner, job.id, Ending::Failed(reason))
                .await,
        );
        self.inner.turns.ended(job.id);
    }

    /// The run of a taken job failed and it rests at `via`.
    pub(crate) async fn park(&self, job: Job, via: Place, rest: Duration, reason: &str) {
        let mut parcel = self.inner.after_failure(&job, reason).await;
        parcel.attempt = job.part.attempt.saturating_add(1);
        if let Err(error) = self.inner.rest(via, &parcel, rest, job.user).await {
            tracing::warn!(%error, job.id, "{error}; job {} waits for the next sweep", job.id);
        }
    }

    /// The last run of a taken job failed and it rests with the dead letters.
    pub(crate) async fn bury(&self, job: Job, reason: &str) {
        let parcel = self.inner.after_failure(&job, reason).await;
        if let Err(error) = self.inner.add_dead(&parcel).await {
            tracing::warn!(%error, job.id, "{error}; dead letter {} is in the store only", job.id);
        }
    }

    /// The user is here again: in-app jobs parked for that user are due now.
    pub(crate) async fn wake_user(&self, user: UserId) {
        if let Err(error) = self.inner.wake(user).await.map(drop) {
            tracing::warn!(%error, "{error}; the jobs of a user who came wait until they are due");
        }
    }

    /// Sends parked jobs on when they are due, keeps locks fresh, brings back what a dead process held and
    /// adds what Redis lacks, until stopped.
    pub(crate) fn start(&self, tracker: &TaskTracker, stop: &CancellationToken) {
        let inner = Arc::clone(&self.inner);
        let stopped = stop.clone();
        tracker.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = inner.send_due_on() => {}
            }
        });
        let inner = Arc::clone(&self.inner);
        let stopped = stop.clone();
        tracker.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = inner.keep_house() => {}
            }
        });
        // Runs that have begun go on after the stop, and so do their locks.
        let (inner, stopped) = (Arc::clone(&self.inner), stop.clone());
        tracker.spawn(async move {
            inner.keep_locks(&stopped).await;
            inner.calls.close();
            inner.calls.wait().await;
        });
    }

    /// Figures of every queue.
    pub(crate) async fn counts(&self) -> Result<[NamedCounts; 6], QueueError> {
        self.inner.counts().await
    }

    /// Nothing leaves a paused queue by itself; the answer is whether that changed anything.
    pub(crate) async fn set_paused(&self, queue: Place, paused: bool) -> Result<bool, QueueError> {
        in_time(self.inner.set_paused(queue, paused)).await
    }

    /// Takes the waiting jobs out of a queue, the delayed ones too where asked.
    pub(crate) async fn drain(&self, queue: Place, delayed: bool) -> Result<Vec<Job>, QueueError> {
        self.inner.drain(queue, delayed).await
    }

    /// One dead letter enters its first queue again, as stored and recorded by the caller.
    pub(crate) async fn requeue(&self, job: Job) -> Result<(), QueueError> {
        in_time(self.inner.requeue(job)).await
    }

    /// One dead letter is gone.
    pub(crate) async fn discard(&self, job: i64) -> Result<(), QueueError> {
        in_time(self.inner.discard(job)).await
    }

    /// Jobs of a queue in the order in which they leave, and how many there are.
    pub(crate) async fn jobs(
        &self,
        queue: Place,
        phase: Phase,
        offset: usize,
        limit: usize,
    ) -> Result<(Vec<super::Dispatched>, u64), QueueError> {
        self.inner.jobs(queue, phase, offset, limit).await
    }

    /// Where a job stands in a queue; `None` where it is not there.
    pub(crate) async fn standing(
        &self,
        queue: Place,
        job: i64,
    ) -> Result<Option<Standing>, QueueError> {
        self.inner.standing(queue, job).await
    }
}

/// What is given up is not done later: nothing of it is kept.
async fn in_time<T>(
    operation: impl Future<Output = Result<T, QueueError>>,
) -> Result<T, QueueError> {
    let done = tokio::time::timeout(OPERATION_MAX, operation).await;
    done.unwrap_or_else(|_elapsed| {
        Err(QueueError::Unreachable {
            text: "Redis does not answer".to_owned(),
        })
    })
}

impl Inner {
    const fn taking(&self, channel: Channel) -> &Taking {
        match channel {
            Channel::Email => &self.mail,
            Channel::InApp => &self.in_app,
        }
    }

    fn run_id(&self) -> Option<String> {
        let run_id = self.telemetry.run_id();
        run_id.map(|run_id| run_id.to_string())
    }

    /// Sets the marker by which BullMQ tells that there may be a job.
    async fn stir(&self, channel: Channel) -> Result<(), QueueError> {
        let keys = self.link.keys(first_queue(channel))?;
        let mut pipe = redis::pipe();
        pipe.cmd("ZADD").arg(keys.marker()).arg(0).arg("0").ignore();
        self.link.pipe::<()>(&pipe).await
    }

    fn now(&self) -> WallMs {
        WallMs(self.telemetry.clock().wall_ms())
    }

    fn parcel(&self, job: &NewJob, part: Part) -> Parcel {
        Parcel::new(job, part, self.run_id(), self.now())
    }

    /// The taken job leaves its queue as failed; what is known of it goes on with this failure.
    async fn after_failure(self: &Arc<Self>, job: &Job, reason: &str) -> Parcel {
        let ending = Ending::Failed(reason);
        let taken = self.taking(job.channel).end(self, job.id, ending).await;
        self.turns.ended(job.id);
        let mut parcel = taken.unwrap_or_else(|| Parcel::of(job, self.run_id(), self.now()));
        parcel.part = Some(job.part.to_string());
        parcel.failed(FailedRun {
            attempt: job.part.attempt,
            error: reason.to_owned(),
            time: self.now().to_string(),
        });
        parcel
    }

    /// The job goes on under its request where that is of the recorded run; else as a request of its own.
    fn part_of(&self, parcel: &Parcel, queue: Place) -> Part {
        let known = parcel.part_in(self.run_id().as_deref());
        known.unwrap_or_else(|| {
            let class = parcel.kind.class();
            self.telemetry.resume_job(class, queue, parcel.attempt)
        })
    }
}

/// BullMQ serves jobs without a priority first, then by rising number; equals keep their order.
const fn bull_priority(priority: Priority) -> u32 {
    match priority {
        Priority::Urgent => 0,
        Priority::High => 1,
        Priority::Normal => 2,
        Priority::Low => 3,
    }
}
