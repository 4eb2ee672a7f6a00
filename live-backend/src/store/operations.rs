//! What operators see and change of stored jobs, and the settings they leave behind.
//!
//! Belongs here: jobs looked up, requeued and removed by people, each change all or nothing with its
//! notification. Does not belong here: runs (jobs), how rows are kept, dispatch (queue).

use super::jobs::StoredJob;
use super::notifications::{Listed, Page};
use super::{Store, StoreError};
use crate::models::{Channel, UserId, WallMs};

/// A job with the notification it delivers and the history of its runs.
#[derive(Clone, Debug)]
pub(crate) struct JobRecord {
    pub(crate) id: i64,
    pub(crate) channel: Channel,
    pub(crate) user: UserId,
    /// The job itself; `None` once it is gone, because it was delivered, expired or removed.
    pub(crate) stored: Option<StoredJob>,
    /// It rests with the dead letters.
    pub(crate) is_dead: bool,
    pub(crate) notification: Listed,
}

/// Which jobs are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum JobFilter {
    One(i64),
    /// Those that rest with the dead letters, oldest first.
    Dead,
    /// Those of one channel whose notification ended with this status, newest first.
    Ended(Channel, &'static str),
}

/// Why a job is taken away by a person.
#[derive(Clone, Debug)]
pub(crate) struct Removal {
    /// What the history says happened.
    pub(crate) status: &'static str,
    pub(crate) tier: &'static str,
    pub(crate) reason: String,
}

impl Store {
    /// Jobs with their histories, and how many there are in all.
    pub(crate) async fn job_records(
        &self,
        filter: JobFilter,
        page: Page,
    ) -> Result<(Vec<JobRecord>, u64), StoreError> {
        match self {
            Self::Embedded(store) => store.job_records(filter, page).await,
            Self::MongoDb(store) => Box::pin(store.job_records(filter, page)).await,
        }
    }

    /// A dead letter waits for its first run again; `None` where no such job is dead.
    pub(crate) async fn requeue_dead(
        &self,
        job: i64,
        now: WallMs,
    ) -> Result<Option<StoredJob>, StoreError> {
        match self {
            Self::Embedded(store) => store.requeue_dead(job, now).await,
            Self::MongoDb(store) => Box::pin(store.requeue_dead(job, now)).await,
        }
    }

    /// Those jobs are gone and their notifications have failed, unless they were delivered; the answer is
    /// how many jobs there were.
    pub(crate) async fn remove_jobs(
        &self,
        jobs: Vec<i64>,
        removal: Removal,
        now: WallMs,
    ) -> Result<u64, StoreError> {
        match self {
            Self::Embedded(store) => store.remove_jobs(jobs, removal, now).await,
            Self::MongoDb(store) => Box::pin(store.remove_jobs(jobs, removal, now)).await,
        }
    }

    /// What operators set and is kept over restarts, by name.
    pub(crate) async fn settings(&self) -> Result<Vec<(String, String)>, StoreError> {
        match self {
            Self::Embedded(store) => store.settings().await,
            Self::MongoDb(store) => Box::pin(store.settings()).await,
        }
    }

    /// Keeps one setting; `None` forgets it.
    pub(crate) async fn set_setting(
        &self,
        name: String,
        value: Option<String>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.set_setting(name, value).await,
            Self::MongoDb(store) => Box::pin(store.set_setting(name, value)).await,
        }
    }
}
