//! `GET /api/live-view/status`: every part of the system as it is now.
//!
//! Belongs here: what only the backend knows, beside the recording's figures.
//! Does not belong here: how figures are counted (telemetry).

use crate::app::App;
use crate::load_balancer::Upstream;
use crate::queue::QueueCounts;
use crate::router::ServerState;
use crate::telemetry::status::LiveStatus;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    #[serde(flatten)]
    recorded: LiveStatus,
    load_balancer: LoadBalancer,
    sockets: Sockets,
    jobs: Vec<Jobs>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoadBalancer {
    status: &'static str,
    algorithm: &'static str,
    total_requests: u64,
    servers: Vec<Server>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Server {
    id: &'static str,
    url: String,
    healthy: bool,
    active_connections: u64,
    requests_handled: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sockets {
    total_connections: u64,
    authenticated_users: u64,
}

/// A queue as the backend holds it, jobs of earlier runs included.
#[derive(Serialize)]
struct Jobs {
    name: &'static str,
    waiting: u64,
    active: u64,
    completed: u64,
    failed: u64,
    delayed: u64,
}

pub(crate) async fn show(State(server): State<ServerState>) -> Json<Answer> {
    let app = &server.app;
    let servers = servers(app);
    let (authenticated_users, _per_server) = app.sockets.user_counts();
    Json(Answer {
        recorded: app.telemetry.status(),
        load_balancer: LoadBalancer {
            status: if app.is_ready() { "active" } else { "inactive" },
            algorithm: "round-robin",
            total_requests: servers.iter().map(|server| server.requests_handled).sum(),
            servers,
        },
        sockets: Sockets {
            total_connections: app.sockets.open_count(),
            authenticated_users,
        },
        jobs: app
            .queues
            .counts()
            .map(|(name, counts)| jobs(name, counts))
            .into(),
    })
}

fn servers(app: &App) -> Vec<Server> {
    let (_users, sockets) = app.sockets.user_counts();
    let server = |upstream: &Arc<Upstream>| Server {
        id: upstream.place.name(),
        url: format!("http://{}", upstream.authority),
        healthy: upstream.is_healthy(),
        active_connections: sockets.get(&upstream.place).copied().unwrap_or(0)
            + upstream.in_progress_count(),
        requests_handled: upstream.handled_count(),
    };
    app.upstreams.all().iter().map(server).collect()
}

const fn jobs(name: &'static str, counts: QueueCounts) -> Jobs {
    Jobs {
        name,
        waiting: counts.waiting,
        active: counts.active,
        completed: counts.completed,
        failed: counts.failed,
        delayed: counts.delayed,
    }
}
