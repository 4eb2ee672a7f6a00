//! What servers of different processes tell each other of their sockets, so that each shows all of them.
//!
//! Belongs here: the loop. Does not belong here: keys (presence), what is made of it (audience).

use super::LiveView;
use crate::telemetry::Place;
use crate::websocket::audience::Listeners;
use crate::websocket::presence::RENEWAL;
use crate::websocket::registry::Sockets;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

impl LiveView {
    /// Tells and hears every second until stopped; where all servers are in this process, nothing.
    pub(crate) fn share_audience(
        &self,
        sockets: &Sockets,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let Some(presence) = sockets.presence().cloned() else {
            return;
        };
        let (view, stop) = (self.clone(), stop.clone());
        let is_beside = |place: &Place| !view.inner.parts.served.contains(place);
        let beside: Vec<Place> = Place::SERVERS.into_iter().filter(is_beside).collect();
        if beside.is_empty() {
            return;
        }
        tracker.spawn(async move {
            let audience = &view.inner.audience;
            let mut ticks = tokio::time::interval(RENEWAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let served = &view.inner.parts.served;
            let mut round = async || {
                ticks.tick().await;
                for &server in served {
                    let listeners = audience.listeners(server);
                    if let Err(error) = presence.tell_listeners(server, &listeners).await {
                        tracing::debug!(%error, "other processes do not learn who listens: {error}");
                    }
                }
                // Without an answer nothing is shown of them, rather than what was so once.
                audience.heard(presence.listeners(&beside).await.unwrap_or_default());
            };
            while stop.run_until_cancelled(round()).await.is_some() {}
            for &server in served {
                let nobody = Listeners::default();
                if let Err(error) = presence.tell_listeners(server, &nobody).await {
                    tracing::debug!(%error, "a server's listeners are shown a little longer: {error}");
                }
            }
        });
    }
}
