//! `/api/queues`: what waits where and why, and what administrators do about it.
//!
//! Belongs here: the shape of requests and answers. Does not belong here: what an operation does
//! (operations), how figures are counted (queue, telemetry).

mod jobs;

use crate::app::App;
use crate::control::{self, ControlCommand};
use crate::error::AppError;
use crate::models::Channel;
use crate::operations;
use crate::queue::{QueueCounts, queue_named};
use crate::router::ServerState;
use crate::router::access::Access;
use crate::router::route::Route;
use crate::router::schema::{Field, Schema, TEXT, always, maybe};
use crate::telemetry::Place;
use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const PAGED: &[Field] = &[
    maybe("page", Schema::Whole(1, 4_294_967_295)),
    maybe("limit", Schema::Whole(1, 100)),
    maybe("state", Schema::OneOf(jobs::STATES)),
];
const DRAIN: &[Field] = &[maybe("delayed", Schema::Flag)];

static QUEUE: Schema = Schema::Open(&[
    always("name", TEXT),
    always("waiting", Schema::Count),
    always("active", Schema::Count),
    always("completed", Schema::Count),
    always("failed", Schema::Count),
    always("delayed", Schema::Count),
    always("isPaused", Schema::Flag),
    always("processingRate", Schema::Number),
]);
static QUEUES: Schema = Schema::Object(&[always("queues", Schema::List(&QUEUE))]);
static JOB: Schema = Schema::Open(&[always("jobId", TEXT), always("state", TEXT)]);
static JOBS: Schema = Schema::Object(&[
    always("queue", TEXT),
    always("state", TEXT),
    always("jobs", Schema::List(&JOB)),
    always("page", Schema::Count),
    always("limit", Schema::Count),
    always("total", Schema::Count),
]);
static DRAINED: Schema = Schema::Object(&[always("queue", TEXT), always("drained", Schema::Count)]);
static DONE: Schema = Schema::Object(&[
    always("jobId", TEXT),
    maybe("queue", TEXT),
    always("status", TEXT),
]);
static RETRIED: Schema = Schema::Object(&[always("requeued", Schema::Count)]);

/// Its entries of the table of routes.
pub(crate) fn routes() -> Vec<Route> {
    let mut all = looks();
    all.extend(changes());
    all
}

fn looks() -> Vec<Route> {
    vec![
        Route::get("/api/queues", Access::Admin, list)
            .does("Every queue with its figures.")
            .answers(200, &QUEUES),
        Route::get("/api/queues/{name}", Access::Admin, show)
            .does("One queue with its figures.")
            .answers(200, &QUEUE)
            .refuses(&[404]),
        Route::get("/api/queues/{name}/jobs", Access::Admin, jobs::list)
            .does("Jobs of a queue in one state, in the order in which they leave.")
            .asks(PAGED)
            .answers(200, &JOBS)
            .refuses(&[404]),
        Route::get(
            "/api/queues/{name}/jobs/{job_id}",
            Access::Admin,
            jobs::show,
        )
        .does("One job: its runs, and why it still waits.")
        .answers(200, &JOB)
        .refuses(&[404]),
    ]
}

fn changes() -> Vec<Route> {
    vec![
        Route::post("/api/queues/{name}/pause", Access::Admin, pause)
            .does("Nothing leaves the queue by itself until it is resumed, over restarts too.")
            .answers(200, &QUEUE)
            .refuses(&[404]),
        Route::post("/api/queues/{name}/resume", Access::Admin, resume)
            .does("Lets a paused queue go on.")
            .answers(200, &QUEUE)
            .refuses(&[404]),
        Route::post("/api/queues/{name}/drain", Access::Admin, drain)
            .does("Takes waiting jobs out, whose notifications have failed then.")
            .asks(DRAIN)
            .answers(200, &DRAINED)
            .refuses(&[404]),
        Route::post(
            "/api/queues/dlq/jobs/{job_id}/requeue",
            Access::Admin,
            requeue,
        )
        .does("Sends a dead letter to its first queue again, as its first run.")
        .answers(200, &DONE)
        .refuses(&[404, 409]),
        Route::post(
            "/api/queues/dlq/jobs/{job_id}/discard",
            Access::Admin,
            discard,
        )
        .does("Throws a dead letter away.")
        .answers(200, &DONE)
        .refuses(&[404]),
        Route::post("/api/queues/dlq/retry-all", Access::Admin, retry_all)
            .does("Sends every dead letter again.")
            .answers(200, &RETRIED)
            .refuses(&[409]),
    ]
}

#[derive(Serialize)]
pub(crate) struct Queues {
    queues: Vec<Queue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Queue {
    name: &'static str,
    #[serde(flatten)]
    counts: QueueCounts,
    /// Jobs that left per second over the last 10 s.
    processing_rate: f64,
    /// From entering to being taken, in ms; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    average_wait_time: Option<f64>,
    workers: Workers,
}

#[derive(Serialize)]
struct Workers {
    active: u64,
    idle: u64,
}

async fn list(State(server): State<ServerState>) -> Result<Json<Queues>, AppError> {
    let queues = queues(&server.app).await?;
    Ok(Json(Queues { queues }))
}

async fn show(
    State(server): State<ServerState>,
    Path(name): Path<String>,
) -> Result<Json<Queue>, AppError> {
    let queue = named(&name)?;
    let all = queues(&server.app).await?;
    let found = all.into_iter().find(|it| it.name == queue.name());
    found.map(Json).ok_or_else(AppError::internal)
}

async fn queues(app: &App) -> Result<Vec<Queue>, AppError> {
    let recorded = app.telemetry.status().queues;
    let counts = app.queues.counts().await?;
    let queues = counts.into_iter().map(|named| {
        let figures = recorded.iter().find(|queue| queue.name == named.name);
        let channel = match queue_named(named.name) {
            Some(Place::Mail | Place::Retry1 | Place::Retry2) => Some(Channel::Email),
            Some(Place::InApp | Place::InAppRetry) => Some(Channel::InApp),
            _ => None,
        };
        let crew = channel.map(|channel| app.crews.of(channel).active_and_idle());
        let (active, idle) = crew.unwrap_or((0, 0));
        Queue {
            name: named.name,
            counts: named.counts,
            processing_rate: figures.map_or(0.0, |queue| queue.processing_rate),
            average_wait_time: figures.and_then(|queue| queue.average_wait_time),
            workers: Workers { active, idle },
        }
    });
    Ok(queues.collect())
}

async fn pause(
    State(server): State<ServerState>,
    Path(name): Path<String>,
) -> Result<Json<Queue>, AppError> {
    set_paused(server, name, true).await
}

async fn resume(
    State(server): State<ServerState>,
    Path(name): Path<String>,
) -> Result<Json<Queue>, AppError> {
    set_paused(server, name, false).await
}

async fn set_paused(
    server: ServerState,
    name: String,
    is_paused: bool,
) -> Result<Json<Queue>, AppError> {
    let path = format!("queues.{}.paused", named(&name)?.name());
    let values: Map<String, Value> = [(path, json!(is_paused))].into_iter().collect();
    control::carry_out(&server.app, ControlCommand::Set(values)).await?;
    show(State(server), Path(name)).await
}

#[derive(Deserialize)]
struct DrainAsked {
    delayed: Option<String>,
}

#[derive(Serialize)]
struct Drained {
    queue: &'static str,
    drained: u64,
}

async fn drain(
    State(server): State<ServerState>,
    Path(name): Path<String>,
    Query(asked): Query<DrainAsked>,
) -> Result<Json<Drained>, AppError> {
    let queue = named(&name)?;
    let delayed = match asked.delayed.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(AppError::field("delayed", "delayed is true or false")),
    };
    let drained = operations::drain(&server.app, queue, delayed).await?;
    Ok(Json(Drained {
        queue: queue.name(),
        drained,
    }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    job_id: String,
    /// Where it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<&'static str>,
    status: &'static str,
}

async fn requeue(
    State(server): State<ServerState>,
    Path(job_id): Path<String>,
) -> Result<Json<Done>, AppError> {
    let id = job_number(&job_id)?;
    may_leave(&server.app).await?;
    if !operations::requeue(&server.app, id).await? {
        return Err(not_dead());
    }
    let (_, queue) = jobs::place_of(&server.app, id).await?;
    Ok(Json(Done {
        job_id,
        queue: queue.map(Place::name),
        status: "requeued",
    }))
}

async fn discard(
    State(server): State<ServerState>,
    Path(job_id): Path<String>,
) -> Result<Json<Done>, AppError> {
    if !operations::discard(&server.app, job_number(&job_id)?).await? {
        return Err(not_dead());
    }
    Ok(Json(Done {
        job_id,
        queue: None,
        status: "discarded",
    }))
}

#[derive(Serialize)]
struct Retried {
    requeued: u64,
}

async fn retry_all(State(server): State<ServerState>) -> Result<Json<Retried>, AppError> {
    may_leave(&server.app).await?;
    let requeued = operations::retry_all(&server.app).await?;
    Ok(Json(Retried { requeued }))
}

/// Nothing is sent again from paused dead letters.
async fn may_leave(app: &App) -> Result<(), AppError> {
    let counts = app.queues.counts().await?;
    let is_paused = |queue: &crate::queue::NamedCounts| {
        queue.name == Place::Dlq.name() && queue.counts.is_paused
    };
    if counts.iter().any(is_paused) {
        let message = "the dead letters are paused; resume the queue dlq first";
        return Err(AppError::conflict("queue", message));
    }
    Ok(())
}

fn named(name: &str) -> Result<Place, AppError> {
    queue_named(name).ok_or_else(|| {
        AppError::not_found(
            "there is no such queue; there are mail, retry-1, retry-2, dlq, in-app and in-app-retry",
        )
    })
}

fn job_number(text: &str) -> Result<i64, AppError> {
    let number: Option<i64> = text.parse().ok();
    let number = number.filter(|&number| number > 0 && !text.starts_with('+'));
    number.ok_or_else(|| AppError::not_found("there is no such job; a job's id is a whole number"))
}

fn not_dead() -> AppError {
    AppError::not_found("no job with this id rests with the dead letters")
}
