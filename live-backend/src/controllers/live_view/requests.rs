//! `GET /api/live-view/requests/:id`: one recent request, stage by stage.
//!
//! Belongs here: the address. Does not belong here: the answer's fields (telemetry), older requests,
//! which are in the reel.

use crate::error::AppError;
use crate::router::ServerState;
use crate::telemetry::request::RequestReport;
use axum::Json;
use axum::extract::{Path, State};
use flowreel_engine::model::id::RequestId;

pub(crate) async fn show(
    State(server): State<ServerState>,
    Path(id): Path<String>,
) -> Result<Json<RequestReport>, AppError> {
    let unknown =
        || AppError::not_found("no request of this id is kept; the last 1000 finished ones are");
    let id = id
        .parse()
        .map(RequestId)
        .map_err(|_not_a_number| unknown())?;
    let report = server.app.telemetry.settled_request_report(id).await;
    report.map(Json).ok_or_else(unknown)
}
