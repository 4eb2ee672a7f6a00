//! `GET /api/live-view/status`: every part of the system as it is now.
//!
//! Belongs here: the answer's fields. Does not belong here: how figures are counted.

use crate::app::App;
use crate::models::WallMs;
use crate::queue::QueueCounts;
use crate::router::ServerState;
use crate::telemetry::{Place, RecorderCounts};
use axum::Json;
use axum::extract::State;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    status: &'static str,
    components: Vec<Component>,
    metrics: Metrics,
    timestamp: WallMs,
}

#[derive(Serialize)]
struct Component {
    id: &'static str,
    status: &'static str,
    healthy: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    load_balancer: LoadBalancer,
    servers: Vec<Server>,
    queues: Vec<Queue>,
    websocket: Websocket,
    recorder: RecorderCounts,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoadBalancer {
    status: &'static str,
    algorithm: &'static str,
    total_requests: u64,
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
struct Queue {
    name: &'static str,
    waiting: u64,
    active: u64,
    completed: u64,
    failed: u64,
    delayed: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Websocket {
    total_connections: u64,
    authenticated_users: u64,
}

pub(crate) async fn show(State(server): State<ServerState>) -> Json<Answer> {
    let app = &server.app;
    let has_store = app.store.is_well().await;
    let servers = servers(app);
    let healthy_count = servers.iter().filter(|server| server.healthy).count();
    let status = match (healthy_count, has_store) {
        (0, _) | (_, false) => "critical",
        (3, true) => "healthy",
        _ => "degraded",
    };
    let components = Place::ALL.into_iter().map(|place| {
        let healthy = is_healthy(app, place, has_store);
        Component {
            id: place.name(),
            status: if healthy { "active" } else { "inactive" },
            healthy,
        }
    });
    let (authenticated_users, _per_server) = app.sockets.user_counts();
    let metrics = Metrics {
        load_balancer: LoadBalancer {
            status: if app.is_ready() { "active" } else { "inactive" },
            algorithm: "round-robin",
            total_requests: servers.iter().map(|server| server.requests_handled).sum(),
        },
        servers,
        queues: app
            .queues
            .counts()
            .map(|(name, counts)| queue(name, counts))
            .into(),
        websocket: Websocket {
            total_connections: app.sockets.open_count(),
            authenticated_users,
        },
        recorder: app.telemetry.counts(),
    };
    Json(Answer {
        status,
        components: components.collect(),
        metrics,
        timestamp: app.now(),
    })
}

fn servers(app: &App) -> Vec<Server> {
    let (_users, sockets) = app.sockets.user_counts();
    let server = |upstream: &std::sync::Arc<crate::load_balancer::Upstream>| Server {
        id: upstream.place.name(),
        url: format!("http://{}", upstream.authority),
        healthy: upstream.is_healthy(),
        active_connections: sockets.get(&upstream.place).copied().unwrap_or(0)
            + upstream.in_progress_count(),
        requests_handled: upstream.handled_count(),
    };
    app.upstreams.all().iter().map(server).collect()
}

fn is_healthy(app: &App, place: Place, has_store: bool) -> bool {
    match place {
        Place::Server1 | Place::Server2 | Place::Server3 => {
            let upstreams = app.upstreams.all();
            upstreams
                .iter()
                .any(|upstream| upstream.place == place && upstream.is_healthy())
        }
        Place::Database => has_store,
        Place::Smtp | Place::Websocket => !app.faults.is_down(place),
        Place::Clients => true,
        Place::Balancer
        | Place::Mail
        | Place::Retry1
        | Place::Retry2
        | Place::Dlq
        | Place::MailWorker
        | Place::InApp
        | Place::InAppRetry
        | Place::InAppWorker => app.is_ready(),
    }
}

const fn queue(name: &'static str, counts: QueueCounts) -> Queue {
    Queue {
        name,
        waiting: counts.waiting,
        active: counts.active,
        completed: counts.completed,
        failed: counts.failed,
        delayed: counts.delayed,
    }
}
