//! `GET /api/health`: whether this server can do its work.
//!
//! Belongs here: its checks. Does not belong here: what the balancer makes of the answer.

use crate::router::ServerState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct Health {
    status: &'static str,
    server: &'static str,
    uptime_s: f64,
    checks: Checks,
}

#[derive(Serialize)]
struct Checks {
    store: &'static str,
    queue: &'static str,
    smtp: &'static str,
    sockets: &'static str,
}

pub(crate) async fn show(State(server): State<ServerState>) -> (StatusCode, Json<Health>) {
    let app = &server.app;
    let (is_ready, has_store) = (app.is_ready(), app.store.is_well().await);
    let has_room = app.service.check_room().is_ok();
    let up = |is_up: bool| if is_up { "up" } else { "down" };
    let is_healthy = is_ready && has_store && has_room;
    let status = if !is_ready {
        "draining"
    } else if is_healthy {
        "healthy"
    } else {
        "unhealthy"
    };
    let checks = Checks {
        store: up(has_store),
        queue: up(has_room),
        smtp: up(!app.faults.is_down(crate::telemetry::Place::Smtp)),
        sockets: up(is_ready),
    };
    let body = Health {
        status,
        server: server.place.name(),
        uptime_s: app.telemetry.now().as_s(),
        checks,
    };
    let code = if is_healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(body))
}
