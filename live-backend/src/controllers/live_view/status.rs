//! `GET /api/live-view/status`: every part of the system as it is now.
//!
//! Belongs here: the answer's last two groups. Does not belong here: the cards (`websocket/live_view`),
//! how figures are counted (telemetry).

use super::watch::Watcher;
use crate::router::ServerState;
use crate::websocket::live_view::cards::Status;
use axum::Json;
use axum::extract::State;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<J> {
    #[serde(flatten)]
    status: Status,
    sockets: Sockets,
    /// `null` where the queues do not answer.
    jobs: J,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sockets {
    total_connections: u64,
    authenticated_users: u64,
}

pub(crate) async fn show(
    State(server): State<ServerState>,
    _watcher: Watcher,
) -> Json<impl Serialize> {
    let app = &server.app;
    Json(Answer {
        status: app.live_view.status(),
        sockets: Sockets {
            total_connections: app.sockets.open_count(),
            authenticated_users: app.sockets.user_count(),
        },
        jobs: app.queues.counts_if_any().await,
    })
}
