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
    let id = id.parse().map(RequestId).ok();
    let report = id.and_then(|id| server.app.telemetry.request_report(id));
    report.map(Json).ok_or_else(|| {
        AppError::not_found("no request of this id is kept; the last 1000 finished ones are")
    })
}
