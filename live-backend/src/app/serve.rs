//! What is served on this process's listeners.
//!
//! Belongs here: which routes stand on which port. Does not belong here: the routes, the ports.

use super::App;
use super::Readiness;
use super::listen::Listeners;
use super::phases::Phases;
use super::{outage, supervise};
use crate::faults::Faults;
use crate::load_balancer::{LoadBalancer, Trust, Upstreams};
use crate::recorder_listener::{self, RecorderState};
use crate::telemetry::{Place, Telemetry};
use crate::websocket::{BusError, Gateway, ServerSockets};
use crate::{gateway, router};
use std::sync::Arc;
use tokio::net::TcpListener;

/// The servers of this process with their sockets, and the gateway.
pub(super) async fn start_servers(
    app: &Arc<App>,
    listeners: &mut Listeners,
    phases: &Phases,
) -> Result<Vec<ServerSockets>, BusError> {
    let events = Gateway {
        sockets: app.sockets.clone(),
        tokens: Arc::clone(&app.tokens),
        store: app.store.clone(),
        queues: app.queues.clone(),
        telemetry: app.telemetry.clone(),
        live_view: app.live_view.clone(),
        heartbeat: app.settings.heartbeat,
        auth_timeout: app.settings.auth_timeout,
        connections_max: app.settings.connections_max,
        stopping: app.stopping.clone(),
    };
    let mut all_sockets = Vec::new();
    let mut places = Vec::new();
    let servers = Place::SERVERS.into_iter().zip(&mut listeners.servers);
    for (place, listener) in servers {
        let Some(listener) = listener.take() else {
            continue;
        };
        let sockets = events.attach(place).await?;
        let routes = router::routes(app, place, &sockets);
        let phase = &phases.servers;
        outage::serve(app, place, listener, routes, &sockets, phase);
        all_sockets.push(sockets);
        places.push(place);
    }
    let phase = &phases.servers;
    if !places.is_empty() {
        app.live_view.start(&phase.tracker, &phase.stop);
        app.live_view
            .share_audience(&app.sockets, &phase.tracker, &phase.stop);
        app.sockets.hear_ends(&phase.tracker, &phase.stop).await?;
    }
    app.sockets
        .start_presence(places, &phase.tracker, &phase.stop);
    if let Some(listener) = listeners.gateway.take() {
        let routes = gateway::routes(Arc::clone(app));
        let phase = &phases.balancer;
        supervise::serve("gateway", listener, routes, &phase.tracker, &phase.stop);
    }
    Ok(all_sockets)
}

/// What the recorder shows where it is a process of its own.
pub(super) fn start_recorder(listener: Arc<TcpListener>, state: RecorderState, phases: &Phases) {
    let routes = recorder_listener::routes(state);
    let phase = &phases.balancer;
    supervise::serve("recorder", listener, routes, &phase.tracker, &phase.stop);
}

/// The balancer before its servers.
pub(super) fn start_balancer(
    listener: Arc<TcpListener>,
    upstreams: Arc<Upstreams>,
    telemetry: Telemetry,
    trust: Trust,
    readiness: Readiness,
    faults: &Arc<Faults>,
    phases: &Phases,
) {
    let balancer = LoadBalancer::new(
        upstreams,
        telemetry,
        trust,
        readiness,
        Arc::clone(faults),
        phases.balancer.tracker.clone(),
        phases.balancer.stop.clone(),
        phases.answering.clone(),
    );
    let phase = &phases.balancer;
    balancer.start_health_checks(&phase.tracker, &phase.stop);
    supervise::serve("balancer", listener, balancer, &phase.tracker, &phase.stop);
}
