//! Jobs as stored: what must still be delivered, and how every run ended.
//!
//! Belongs here: jobs as the rest of the program sees them, each change all or nothing with the
//! notification it delivers. Does not belong here: how they are kept, which job is next (queue).

use super::step::RunStep;
use super::{Store, StoreError};
use crate::models::{Channel, NotificationType, Priority, UserId, WallMs};
use crate::telemetry::Part;
use flowreel_engine::model::id::RequestId;
use flowreel_engine::recording::RunId;
use std::sync::Once;

/// A job that was just stored.
#[derive(Clone, Debug)]
pub(crate) struct NewJob {
    pub(crate) id: i64,
    pub(crate) channel: Channel,
    pub(crate) kind: NotificationType,
    pub(crate) notification: String,
    pub(crate) user: UserId,
    pub(crate) priority: Priority,
}

/// A job that an earlier process left.
#[derive(Clone, Debug)]
pub(crate) struct StoredJob {
    pub(crate) job: NewJob,
    /// Its next run, from 1.
    pub(crate) attempt: u16,
    /// Where it is parked and until when; `None` waits in its first queue.
    pub(crate) parked: Option<(String, WallMs)>,
    /// Its request in the recording of the process that left it, where there was one.
    pub(crate) origin: Option<JobOrigin>,
}

/// Which request a job is of: the recorded run, and the part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobOrigin {
    /// The run's id, in hexadecimal digits.
    pub(crate) run: String,
    pub(crate) part: Part,
}

impl JobOrigin {
    /// As it is stored with job `job`; what cannot be read leaves the job without a request, and a warning.
    pub(super) fn read(job: i64, run: String, part: &str) -> Option<Self> {
        static WARNED: Once = Once::new();
        let is_run = run.parse::<RunId>().is_ok();
        match part.parse() {
            Ok(part) if is_run => Some(Self { run, part }),
            _ => {
                // Stored jobs are looked through again and again.
                WARNED.call_once(|| {
                    tracing::warn!(
                        "the request of job {job} is stored as `{part}` of run `{run}`, which makes no sense; \
                         its runs are recorded as a request of their own"
                    );
                });
                None
            }
        }
    }
}

/// How one run ended, for the history.
#[derive(Clone, Debug)]
pub(crate) struct RunEnd {
    pub(crate) job: i64,
    /// Its request in this run, 0 where none is known: what becomes of its jobs is told in one document.
    pub(crate) request: RequestId,
    /// What it delivers: a queue may know the job's number from another store, or from before this one was set
    /// back.
    pub(crate) notification: String,
    pub(crate) channel: Channel,
    pub(crate) attempt: u16,
    pub(crate) code: Option<u16>,
    pub(crate) reason: String,
    /// The user had no socket that could have got it.
    pub(crate) is_missed: bool,
}

/// What the history calls the rung of the ladder that run number `attempt` is on.
pub(super) const fn tier(channel: Channel, attempt: u16) -> &'static str {
    match (channel, attempt) {
        (Channel::Email, 0 | 1) => "mail",
        (Channel::Email, 2) => "retry_1",
        (Channel::Email, _) => "retry_2",
        (Channel::InApp, 0 | 1) => "in_app",
        (Channel::InApp, _) => "in_app_retry",
    }
}

/// An in-app job of the same user that is to be told before another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EarlierJob {
    pub(crate) id: i64,
    /// Its next run, or the one that goes on.
    pub(crate) attempt: u16,
    /// It rests, or has rested, because the user was away.
    pub(crate) is_missed: bool,
}

/// Earlier jobs that are told of at once.
pub(crate) const EARLIER_MAX: usize = 64;

impl Store {
    /// What a step of a run leaves: of its job, its notification and that one's history; nothing where that is
    /// stored already.
    pub(crate) async fn step(
        &self,
        run: RunEnd,
        step: RunStep,
        now: WallMs,
    ) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.step(run, step, now).await,
            Self::MongoDb(store) => Box::pin(store.step(run, step, now)).await,
        }
    }

    /// A confirmation that came after its run had given up: delivered, the next run finds it so.
    pub(crate) async fn confirm_late(
        &self,
        user: UserId,
        notification: String,
        socket_id: String,
        now: WallMs,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Embedded(store) => store.confirm_late(user, notification, socket_id, now).await,
            Self::MongoDb(store) => {
                Box::pin(store.confirm_late(user, notification, socket_id, now)).await
            }
        }
    }

    /// Jobs that are neither done nor dead, oldest first.
    pub(crate) async fn open_jobs(&self) -> Result<Vec<StoredJob>, StoreError> {
        match self {
            Self::Embedded(store) => store.open_jobs().await,
            Self::MongoDb(store) => Box::pin(store.open_jobs()).await,
        }
    }

    /// In-app jobs of this job's user with its priority or a higher one that were stored before it and are
    /// to be told yet, oldest first: those that wait or run, and those that found the user away. At most
    /// [`EARLIER_MAX`].
    pub(crate) async fn earlier_jobs(
        &self,
        user: UserId,
        priority: Priority,
        job: i64,
    ) -> Result<Vec<EarlierJob>, StoreError> {
        match self {
            Self::Embedded(store) => store.earlier_jobs(user, priority, job).await,
            Self::MongoDb(store) => Box::pin(store.earlier_jobs(user, priority, job)).await,
        }
    }

    /// How many jobs rest with the dead letters.
    pub(crate) async fn dead_job_count(&self) -> Result<u64, StoreError> {
        match self {
            Self::Embedded(store) => store.dead_job_count().await,
            Self::MongoDb(store) => Box::pin(store.dead_job_count()).await,
        }
    }
}
