//! `/api/live-view`: what the system does now, one request's way, and control of it.
//!
//! Belongs here: its routes. Does not belong here: recording, faults themselves.
//!
//! Reading is open: every listener is on the loopback address, so only people of this machine get here.
//! Control needs an administrator's token.

mod control;
mod reel;
mod requests;
mod simulate;
mod status;

use crate::router::ServerState;
use axum::Router;
use axum::routing::{get, post};

pub(crate) fn routes() -> Router<ServerState> {
    Router::new()
        .route("/api/live-view/status", get(status::show))
        .route("/api/live-view/requests/{id}", get(requests::show))
        .route("/api/live-view/control", post(control::apply))
        .route("/api/live-view/simulate", post(simulate::start))
        .route("/api/live-view/reel", get(reel::follow))
}
