//! What operators do to queues: drain, send dead letters again, throw them away.
//!
//! Belongs here: dispatch, store and recording changed together. Does not belong here: HTTP (controllers),
//! pausing (control), why a job waits (waiting).

pub(crate) mod waiting;

use crate::app::App;
use crate::error::AppError;
use crate::queue::{Job, first_queue};
use crate::store::jobs::{JobOrigin, StoredJob};
use crate::store::notifications::Page;
use crate::store::operations::{JobFilter, Removal};
use crate::telemetry::{Detail, Part, Place};
use futures_util::StreamExt;
use std::sync::Arc;

/// Jobs changed in one transaction at most, and looked up at once.
const BATCH: usize = 500;
/// Dead letters sent again at one time.
const REQUEUES_MAX: usize = 64;

/// Takes the waiting jobs out of a queue, delayed ones too where asked: their notifications have failed.
/// The dead letters are all discarded. The answer is how many jobs there were.
pub(crate) async fn drain(app: &App, queue: Place, delayed: bool) -> Result<u64, AppError> {
    let drained = if queue == Place::Dlq {
        let mut discarded = 0;
        for id in dead_ids(app).await? {
            discarded += u64::from(discard(app, id).await?);
        }
        discarded
    } else {
        let jobs = app.queues.drain(queue, delayed).await?;
        remove(app, queue, jobs).await?
    };
    let what = Detail::of("drain", queue.name());
    app.telemetry
        .control_applied(queue, what, drained.saturating_mul(1000));
    Ok(drained)
}

async fn remove(app: &App, queue: Place, jobs: Vec<Job>) -> Result<u64, AppError> {
    let is_station = queue != Place::Mail && queue != Place::InApp;
    let mut removed = 0;
    for batch in jobs.chunks(BATCH) {
        let removal = Removal {
            status: "failed",
            tier: queue.name(),
            reason: "drained".to_owned(),
        };
        let ids = batch.iter().map(|job| job.id).collect();
        removed += app.store.remove_jobs(ids, removal, app.now()).await?;
        for job in batch {
            if is_station {
                app.telemetry.parked_job_lost(job.part, queue);
            } else {
                app.telemetry.job_lost(job.part, queue);
            }
        }
    }
    Ok(removed)
}

/// Sends a dead letter to its first queue again, as its first run; false where no such job is dead.
pub(crate) async fn requeue(app: &App, id: i64) -> Result<bool, AppError> {
    let Some(stored) = app.store.requeue_dead(id, app.now()).await? else {
        return Ok(false);
    };
    let queue = first_queue(stored.job.channel);
    let rank = u64::from(stored.job.priority.rank());
    let part = match recorded_part(app, &stored) {
        Some(part) => app.telemetry.job_requeued(part, queue, rank),
        // It died in a run that another recording tells of: here it begins.
        None => app.telemetry.resume_job(stored.job.kind.class(), queue, 1),
    };
    let what = Detail::of("requeue", &id.to_string());
    app.telemetry.control_applied(Place::Dlq, what, 1000);
    app.queues.requeue(Job::new(stored.job, part)).await?;
    Ok(true)
}

/// Sends every dead letter again; the answer is how many there were.
pub(crate) async fn retry_all(app: &Arc<App>) -> Result<u64, AppError> {
    let ids = dead_ids(app).await?;
    let requeued = futures_util::stream::iter(ids)
        .map(|id| requeue(app, id))
        .buffer_unordered(REQUEUES_MAX);
    let results: Vec<Result<bool, AppError>> = requeued.collect().await;
    let mut count = 0;
    for result in results {
        count += u64::from(result?);
    }
    Ok(count)
}

/// Throws a dead letter away; false where no such job is dead.
pub(crate) async fn discard(app: &App, id: i64) -> Result<bool, AppError> {
    let (found, _total) = app.store.job_records(JobFilter::One(id), one()).await?;
    let dead = found.into_iter().find(|record| record.is_dead);
    let Some(stored) = dead.and_then(|record| record.stored) else {
        return Ok(false);
    };
    let removal = Removal {
        status: "discarded",
        tier: Place::Dlq.name(),
        reason: "an operator threw it away".to_owned(),
    };
    if app.store.remove_jobs(vec![id], removal, app.now()).await? == 0 {
        return Ok(false);
    }
    if let Some(part) = recorded_part(app, &stored) {
        app.telemetry.dead_letter_discarded(part);
    }
    let what = Detail::of("discard", &id.to_string());
    app.telemetry.control_applied(Place::Dlq, what, 1000);
    app.queues.discard(id).await?;
    Ok(true)
}

/// Its part in this recording, where its dead letter is told there.
fn recorded_part(app: &App, stored: &StoredJob) -> Option<Part> {
    let JobOrigin { run, part } = stored.origin.as_ref()?;
    (app.queues.run_id().as_ref() == Some(run)).then_some(*part)
}

async fn dead_ids(app: &App) -> Result<Vec<i64>, AppError> {
    let mut ids = Vec::new();
    loop {
        let page = Page {
            offset: ids.len() as u64,
            limit: BATCH as u64,
        };
        let (dead, _total) = app.store.job_records(JobFilter::Dead, page).await?;
        let is_last = dead.len() < BATCH;
        ids.extend(dead.into_iter().map(|record| record.id));
        if is_last {
            return Ok(ids);
        }
    }
}

/// The page that one job is on.
pub(crate) const fn one() -> Page {
    Page {
        offset: 0,
        limit: 1,
    }
}
