//! What a process answers while it waits for its services: that it is not ready.
//!
//! Belongs here: answering on its listeners until it is. Does not belong here: the waiting (parts).

use super::listen::Listeners;
use crate::error::AppError;
use crate::server::{self, Answer};
use axum::body::Body;
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Answers 503 to everybody.
#[derive(Clone, Copy)]
struct Starting;

impl Answer for Starting {
    async fn answer(&self, _request: Request<Incoming>, _peer: SocketAddr) -> Response<Body> {
        let message = "this part starts and waits for its services, try again";
        AppError::unavailable("starting", message).into_response()
    }
}

/// The listeners of a process that is not ready.
pub(super) struct Waiting {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Waiting {
    /// Says on every listener that this process is not ready.
    pub(super) fn begin(listeners: &Listeners) -> Self {
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        for listener in listeners.all() {
            tracker.spawn(server::serve(Arc::clone(listener), Starting, stop.clone()));
        }
        Self { tracker, stop }
    }

    /// From now on somebody else serves these listeners.
    pub(super) async fn end(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
