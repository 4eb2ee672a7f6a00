//! Servers that can be taken down on purpose: nobody listens while the fault holds.
//!
//! Belongs here: closing and opening a server's port, cutting its sockets. Does not belong here: which
//! faults hold (faults), the requests of a server that is up (server).

use super::phases::Phase;
use super::{App, supervise};
use crate::telemetry::Place;
use crate::websocket::ServerSockets;
use axum::Router;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How often a cut server drops clients that came back, and a closed port is tried again.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Serves on the phase's tracker until it stops, but while a fault takes the server down.
pub(super) fn serve(
    app: &Arc<App>,
    place: Place,
    listener: Arc<TcpListener>,
    routes: Router,
    sockets: &ServerSockets,
    phase: &Phase,
) {
    let server = Server {
        app: Arc::clone(app),
        place,
        routes,
        sockets: sockets.clone(),
    };
    let (tracker, stop) = (phase.tracker.clone(), phase.stop.clone());
    let Ok(address) = listener.local_addr() else {
        tracing::error!("the {} has no address and is not served", place.name());
        return;
    };
    let life = server.open(listener, phase);
    phase
        .tracker
        .spawn(server.clone().cut_sockets(stop.clone()));
    let phase = Phase { tracker, stop };
    phase
        .tracker
        .clone()
        .spawn(server.watch(address, life, phase));
}

#[derive(Clone)]
struct Server {
    app: Arc<App>,
    place: Place,
    routes: Router,
    sockets: ServerSockets,
}

impl Server {
    /// Listens; cancelling the answer closes the port.
    fn open(&self, listener: Arc<TcpListener>, phase: &Phase) -> CancellationToken {
        let life = phase.stop.child_token();
        let routes = self.routes.clone();
        supervise::serve(self.place.name(), listener, routes, &phase.tracker, &life);
        life
    }

    async fn watch(self, address: SocketAddr, mut life: CancellationToken, phase: Phase) {
        let faults = &self.app.faults;
        loop {
            faults.until(|faults| faults.is_down(self.place)).await;
            // The program's stop ends the waiting too.
            if !faults.is_down(self.place) || phase.stop.is_cancelled() {
                return;
            }
            life.cancel();
            self.sockets.cut().await;
            faults.until(|faults| !faults.is_down(self.place)).await;
            let Some(listener) = self.listen_again(address, &phase.stop).await else {
                return;
            };
            life = self.open(Arc::new(listener), &phase);
        }
    }

    /// Others may have taken the port meanwhile; it is tried until it is free.
    async fn listen_again(
        &self,
        address: SocketAddr,
        stop: &CancellationToken,
    ) -> Option<TcpListener> {
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                _ = ticks.tick() => {}
            }
            match TcpListener::bind(address).await {
                Ok(listener) => return Some(listener),
                Err(error) => {
                    let name = self.place.name();
                    tracing::warn!(%error, "the {name} cannot listen again on {address}: {error}");
                }
            }
        }
    }

    /// While connections are cut here or at all sockets, whoever comes is dropped again.
    async fn cut_sockets(self, stop: CancellationToken) {
        let faults = &self.app.faults;
        let is_cut = |faults: &crate::faults::Faults| {
            faults.is_cut(self.place) || faults.is_cut(Place::Websocket)
        };
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = faults.until(is_cut) => {}
            }
            if !is_cut(faults) {
                // The program stops.
                return;
            }
            self.sockets.cut().await;
            let next = tokio::time::Instant::now() + LOOK_INTERVAL;
            tokio::time::sleep_until(next).await;
        }
    }
}
