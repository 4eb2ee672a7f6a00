//! `GET /api/live-view/status`: every part of the system as it is now.
//!
//! Belongs here: what only the backend knows, beside the recording's figures.
//! Does not belong here: how figures are counted (telemetry).

use crate::app::App;
use crate::error::AppError;
use crate::load_balancer::Upstream;
use crate::router::ServerState;
use crate::telemetry::status::LiveStatus;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<J> {
    #[serde(flatten)]
    recorded: LiveStatus,
    load_balancer: LoadBalancer,
    sockets: Sockets,
    jobs: J,
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

pub(crate) async fn show(
    State(server): State<ServerState>,
) -> Result<Json<impl Serialize>, AppError> {
    let app = &server.app;
    let servers = servers(app);
    let (authenticated_users, _per_server) = app.sockets.user_counts();
    Ok(Json(Answer {
        recorded: app.telemetry.status(),
        load_balancer: LoadBalancer {
            status: if app.is_ready() { "active" } else { "inactive" },
            algorithm: app.upstreams.algorithm().name(),
            total_requests: servers.iter().map(|server| server.requests_handled).sum(),
            servers,
        },
        sockets: Sockets {
            total_connections: app.sockets.open_count(),
            authenticated_users,
        },
        jobs: app.queues.counts().await?,
    }))
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
