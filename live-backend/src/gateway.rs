//! The real-time gateway's listener: says that it is there.
//!
//! Belongs here: its own routes. Does not belong here: the servers' routes, sockets of the servers.

use crate::app::App;
use crate::controllers::metrics;
use crate::error::AppError;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Health {
    status: &'static str,
    uptime_s: f64,
}

/// The gateway's routes.
pub(crate) fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/api/health", get(health))
        .route("/metrics", get(metrics::show_at_gateway))
        .fallback(async || AppError::not_found("there is nothing at this address"))
        .with_state(app)
}

async fn health(State(app): State<Arc<App>>) -> (StatusCode, Json<Health>) {
    let (code, status) = if app.is_ready() {
        (StatusCode::OK, "healthy")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    };
    (
        code,
        Json(Health {
            status,
            uptime_s: app.telemetry.now().as_s(),
        }),
    )
}
