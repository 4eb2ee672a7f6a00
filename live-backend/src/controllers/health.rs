//! `GET /api/health`: whether this server can do its work.
//!
//! Belongs here: its checks. Does not belong here: what the balancer makes of the answer.

use crate::app::App;
use crate::middleware::record;
use crate::router::ServerState;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

/// Tells the balancer at once that nothing new is welcome; other trouble may pass by the next check.
pub(crate) const DRAINING_HEADER: HeaderName = HeaderName::from_static("x-flowreel-draining");

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

pub(crate) async fn show(
    State(server): State<ServerState>,
    headers: HeaderMap,
) -> (StatusCode, HeaderMap, Json<Health>) {
    report(&server.app, server.place.name(), &headers).await
}

/// The same on every listener, under the listener's name.
pub(crate) async fn report(
    app: &App,
    name: &'static str,
    headers: &HeaderMap,
) -> (StatusCode, HeaderMap, Json<Health>) {
    let is_from_balancer = record::is_from_balancer(headers, &app.hop_secret);
    if is_from_balancer {
        // Before the store is asked: a slow one says nothing about the balancer.
        app.live_view.balancer_asked();
    }
    let (is_ready, has_store) = (app.is_ready(), app.store.is_well().await);
    let has_room = app.service.check_room().is_ok();
    let up = |is_up: bool| if is_up { "up" } else { "down" };
    let is_healthy = is_ready && has_store && has_room;
    if is_from_balancer && !is_ready {
        app.told_balancer();
    }
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
        server: name,
        uptime_s: app.telemetry.now().as_s(),
        checks,
    };
    let code = if is_healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut said = HeaderMap::new();
    if !is_ready {
        said.insert(DRAINING_HEADER, HeaderValue::from_static("1"));
    }
    (code, said, Json(body))
}
