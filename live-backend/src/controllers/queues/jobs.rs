//! `GET /api/queues/:name/jobs`: the jobs of a queue, and one job with its runs and why it waits.
//!
//! Belongs here: the shape of answers. Does not belong here: where a job stands (queue, store).

use super::super::paging::{AskedPage, OfAll};
use super::{job_number, named};
use crate::app::App;
use crate::error::AppError;
use crate::models::{Channel, UserId, WallMs};
use crate::operations::one;
use crate::operations::waiting::{self, WhyWaiting};
use crate::queue::{Dispatched, Phase, QUEUES, Standing, first_queue};
use crate::router::ServerState;
use crate::store::notifications::{Delivery, Listed};
use crate::store::operations::{JobFilter, JobRecord};
use crate::telemetry::Place;
use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};

/// States that jobs are listed by.
pub(super) const STATES: &[&str] = &["waiting", "active", "delayed", "completed", "failed"];

#[derive(Deserialize)]
pub(crate) struct Asked {
    state: Option<String>,
    #[serde(flatten)]
    page: AskedPage,
}

#[derive(Serialize)]
pub(crate) struct Answer {
    queue: &'static str,
    state: &'static str,
    jobs: Vec<Job>,
    #[serde(flatten)]
    page: OfAll,
}

/// A job in a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Job {
    job_id: String,
    notification_id: String,
    channel: Channel,
    user_id: UserId,
    priority: String,
    state: &'static str,
    /// The run that comes next or goes on; for jobs that are over, runs made.
    attempt: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<WallMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<WallMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<Delivery>,
}

pub(super) async fn list(
    State(server): State<ServerState>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Answer>, AppError> {
    let (app, queue, paged) = (&server.app, named(&name)?, asked.page.read()?);
    let is_station = matches!(queue, Place::Retry1 | Place::Retry2 | Place::InAppRetry);
    let default = if is_station { "delayed" } else { "waiting" };
    let (range, channel) = (paged.range(), channel_of(queue));
    let in_dispatch = async |phase, state| {
        let offset = usize::try_from(range.offset).unwrap_or(usize::MAX);
        let limit = usize::try_from(range.limit).unwrap_or(usize::MAX);
        let (jobs, total) = app.queues.jobs(queue, phase, offset, limit).await?;
        let jobs = jobs.into_iter().map(|job| Job::dispatched(job, state));
        Ok::<_, AppError>((state, jobs.collect(), total))
    };
    let in_store = async |filter, state| {
        let (records, total) = app.store.job_records(filter, range).await?;
        let jobs = records.into_iter().map(|record| Job::stored(record, state));
        Ok::<_, AppError>((state, jobs.collect::<Vec<_>>(), total))
    };
    let (state, jobs, total) = match (queue, asked.state.as_deref().unwrap_or(default)) {
        (Place::Dlq, "waiting") => in_store(JobFilter::Dead, "waiting").await?,
        (_, "waiting") => in_dispatch(Phase::Waiting, "waiting").await?,
        (_, "active") => in_dispatch(Phase::Active, "active").await?,
        (_, "delayed") => in_dispatch(Phase::Delayed, "delayed").await?,
        (Place::Mail | Place::InApp, "completed") => {
            in_store(JobFilter::Ended(channel, "delivered"), "completed").await?
        }
        (Place::Mail | Place::InApp, "failed") => {
            in_store(JobFilter::Ended(channel, "failed"), "failed").await?
        }
        (_, "completed") => ("completed", Vec::new(), 0),
        (_, "failed") => ("failed", Vec::new(), 0),
        _ => {
            let message = format!("state is one of {}", STATES.join(", "));
            return Err(AppError::field("state", message));
        }
    };
    Ok(Json(Answer {
        queue: queue.name(),
        state,
        jobs,
        page: paged.of(total),
    }))
}

/// One job.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Detail {
    job_id: String,
    /// Where it is; absent once it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<&'static str>,
    state: &'static str,
    /// The run that comes next or goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u16>,
    channel: Channel,
    user_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<Delivery>,
    why_waiting: Option<WhyWaiting>,
    /// What it delivers, with the history of its runs.
    notification: Listed,
}

pub(super) async fn show(
    State(server): State<ServerState>,
    Path((name, job_id)): Path<(String, String)>,
) -> Result<Json<Detail>, AppError> {
    let (app, queue, id) = (&server.app, named(&name)?, job_number(&job_id)?);
    let (record, place) = place_of(app, id).await?;
    let first = first_queue(record.channel);
    if place.is_some_and(|place| place != queue) || (place.is_none() && queue != first) {
        let now_in = place.map_or(first, |place| place).name();
        let message = format!("job {id} is not in {}; look in {now_in}", queue.name());
        return Err(AppError::not_found(message));
    }
    let standing = match place {
        Some(place) if place != Place::Dlq => app.queues.standing(place, id).await?,
        _ => None,
    };
    let why_waiting = match (standing, place) {
        (Some(standing), Some(place)) => waiting::why(app, record.channel, place, standing).await?,
        _ => None,
    };
    let state = match (standing, place) {
        (Some(Standing::Active), _) => "active",
        (Some(Standing::Delayed { .. }), _) => "delayed",
        (Some(Standing::Waiting { .. }), _) | (None, Some(_)) => "waiting",
        (None, None) if record.notification.status == "delivered" => "completed",
        (None, None) => "failed",
    };
    Ok(Json(Detail {
        job_id,
        queue: place.map(Place::name),
        state,
        attempt: record.stored.as_ref().map(|stored| stored.attempt),
        channel: record.channel,
        user_id: record.user,
        last_error: last_error(&record.notification),
        why_waiting,
        notification: record.notification,
    }))
}

/// The job and the queue it is in; `None` once it is over.
pub(super) async fn place_of(app: &App, id: i64) -> Result<(JobRecord, Option<Place>), AppError> {
    let (records, _total) = app.store.job_records(JobFilter::One(id), one()).await?;
    let Some(record) = records.into_iter().next() else {
        return Err(AppError::not_found("there is no such job"));
    };
    if record.is_dead {
        return Ok((record, Some(Place::Dlq)));
    }
    let Some(stored) = &record.stored else {
        return Ok((record, None));
    };
    for queue in QUEUES {
        if app.queues.standing(queue, id).await?.is_some() {
            return Ok((record, Some(queue)));
        }
    }
    // On its way between two queues: the row knows where it goes.
    let parked = stored.parked.as_ref();
    let via = parked.and_then(|(station, _due)| Place::from_name(station));
    let place = via.unwrap_or(first_queue(record.channel));
    Ok((record, Some(place)))
}

const fn channel_of(queue: Place) -> Channel {
    match queue {
        Place::InApp | Place::InAppRetry => Channel::InApp,
        _ => Channel::Email,
    }
}

fn last_error(notification: &Listed) -> Option<Delivery> {
    let history = notification.delivery_history.iter().rev();
    history
        .into_iter()
        .find(|entry| entry.status == "failed")
        .cloned()
}

impl Job {
    fn dispatched(found: Dispatched, state: &'static str) -> Self {
        let Dispatched { job, since, due_at } = found;
        Self {
            job_id: job.id.to_string(),
            notification_id: job.notification,
            channel: job.channel,
            user_id: job.user,
            priority: job.priority.name().to_owned(),
            state,
            attempt: u64::from(job.part.attempt),
            since: Some(since),
            due_at,
            last_error: None,
        }
    }

    fn stored(record: JobRecord, state: &'static str) -> Self {
        let last_error = last_error(&record.notification);
        Self {
            job_id: record.id.to_string(),
            channel: record.channel,
            user_id: record.user,
            priority: record.notification.priority,
            state,
            attempt: record.notification.attempts,
            since: record.notification.delivery_history.last().map(|it| it.at),
            due_at: None,
            last_error,
            notification_id: record.notification.id,
        }
    }
}
