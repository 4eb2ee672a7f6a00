//! The recorder's listener, where it is a process of its own: its health, and the reel for the servers.
//!
//! Belongs here: its routes and who may follow. Does not belong here: recording (telemetry).

use crate::app::Readiness;
use crate::controllers::live_view::reel;
use crate::error::AppError;
use crate::middleware::record;
use crate::security::tokens::Tokens;
use crate::telemetry::Telemetry;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use std::sync::Arc;

/// What the routes need.
#[derive(Clone)]
pub(crate) struct RecorderState {
    pub(crate) telemetry: Telemetry,
    pub(crate) readiness: Readiness,
    pub(crate) tokens: Arc<Tokens>,
    /// By which the servers of this system are known.
    pub(crate) hop_secret: String,
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    server: &'static str,
    uptime_s: f64,
    checks: Checks,
}

#[derive(Serialize)]
struct Checks {
    recording: &'static str,
}

/// The recorder's routes.
pub(crate) fn routes(state: RecorderState) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/api/health", get(health))
        .route("/api/live-view/reel", get(follow))
        .fallback(async || AppError::not_found("there is nothing at this address"))
        .with_state(state)
}

async fn health(State(state): State<RecorderState>) -> (StatusCode, Json<Health>) {
    let (code, status) = if state.readiness.is_ready() {
        (StatusCode::OK, "healthy")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    };
    let is_on = state.telemetry.reel_path().is_some();
    let health = Health {
        status,
        server: "recorder",
        uptime_s: state.telemetry.now().as_s(),
        checks: Checks {
            recording: if is_on { "up" } else { "off" },
        },
    };
    (code, Json(health))
}

async fn follow(
    State(state): State<RecorderState>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, AppError> {
    if !record::is_from_balancer(&headers, &state.hop_secret) {
        may_read(&state.tokens, &headers)?;
    }
    reel::answer(&state.telemetry, query.as_deref())
}

/// Whoever is none of our processes shows an administrator's token.
fn may_read(tokens: &Tokens, headers: &HeaderMap) -> Result<(), AppError> {
    let text = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let needed = "send Authorization: Bearer with an administrator's token";
    let token = text.ok_or_else(|| AppError::unauthorized(needed))?;
    let claims = tokens
        .check(token)
        .map_err(|fault| AppError::unauthorized(fault.message()))?;
    if claims.is_admin() {
        return Ok(());
    }
    Err(AppError::forbidden("this needs an administrator's token"))
}
