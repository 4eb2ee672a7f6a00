//! The cards of the live view: the recording's figures with what only the backend knows.
//!
//! Belongs here: putting both together, one card per component. Does not belong here: counting (telemetry,
//! presence, store), when a card is sent (watch.rs).

use super::LiveView;
use crate::load_balancer::Upstream;
use crate::models::Channel;
use crate::telemetry::Place;
use crate::telemetry::live::figures::ChannelRates;
use crate::telemetry::status::{
    ComponentStatus, DatabaseStatus, EmailStatus, LiveStatus, QueueStatus, RecordingStatus,
    RequestTotals, ServerStatus, SystemMetrics, WebsocketStatus, WorkerCounts,
};
use crate::websocket::audience::{ByServer, OnlineUser, Present, Room};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// A balancer that has asked nothing for so long is not there; it asks every second.
const SILENCE_NS: u64 = 2_000_000_000;

/// Everything, as `GET /api/live-view/status` answers it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    pub(crate) components: Vec<ComponentStatus>,
    pub(crate) metrics: SystemMetrics,
    pub(crate) timestamp: u64,
    #[serde(flatten)]
    pub(crate) cards: Cards,
    channels: ChannelRates,
    online_users: Vec<OnlineUser>,
    requests: RequestTotals,
    recording: RecordingStatus,
}

/// The six groups of cards (requirements LV-138).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cards {
    load_balancer: LoadBalancerCard,
    servers: Vec<ServerStatus>,
    pub(super) queues: Vec<QueueStatus>,
    pub(super) database: DatabaseCard,
    pub(super) websocket: WebsocketCard,
    email: EmailStatus,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LoadBalancerCard {
    status: &'static str,
    algorithm: &'static str,
    total_requests: u64,
    servers: Vec<BalancedServer>,
    sticky_sessions: ByServer,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BalancedServer {
    id: &'static str,
    url: String,
    healthy: bool,
    active_connections: u64,
    requests_handled: u64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DatabaseCard {
    #[serde(flatten)]
    recorded: DatabaseStatus,
    pub(super) reads_per_second: f64,
    pub(super) writes_per_second: f64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WebsocketCard {
    #[serde(flatten)]
    pub(super) recorded: WebsocketStatus,
    authenticated_users: u64,
    by_server: BTreeMap<&'static str, u64>,
    rooms: Vec<Room>,
}

impl LiveView {
    /// Everything as it is now.
    pub(crate) fn status(&self) -> Status {
        let parts = &self.inner.parts;
        let LiveStatus {
            components,
            metrics,
            timestamp,
            servers,
            mut queues,
            database,
            mut websocket,
            email,
            channels,
            requests,
            recording,
        } = parts.telemetry.status();
        let rates = self
            .inner
            .rates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (reads_per_second, writes_per_second) = rates.store_per_s();
        websocket.messages_per_second = rates.messages_per_s();
        drop(rates);
        self.count_workers(&mut queues);
        let Present {
            sockets,
            user_count,
            users,
            mut rooms,
        } = self.inner.audience.now(&parts.served);
        rooms.push(self.room());
        let cards = Cards {
            load_balancer: self.load_balancer(&sockets, &servers),
            servers,
            queues,
            database: DatabaseCard {
                recorded: database,
                reads_per_second,
                writes_per_second,
            },
            websocket: WebsocketCard {
                recorded: websocket,
                authenticated_users: user_count,
                by_server: sockets.by_server,
                rooms,
            },
            email,
        };
        Status {
            components,
            metrics,
            timestamp,
            cards,
            channels,
            online_users: users,
            requests,
            recording,
        }
    }

    /// A channel's workers serve each of its queues; how many they may be is set while they run.
    fn count_workers(&self, queues: &mut [QueueStatus]) {
        for (channel, of_channel) in [
            (
                Channel::Email,
                [Place::Mail, Place::Retry1, Place::Retry2].as_slice(),
            ),
            (Channel::InApp, [Place::InApp, Place::InAppRetry].as_slice()),
        ] {
            let first = queues.iter().find(|it| it.name == of_channel[0].name());
            let active = first.map_or(0, |it| it.active);
            let all = (self.inner.parts.run_count)(channel);
            let workers = WorkerCounts {
                active,
                idle: all.saturating_sub(active),
            };
            for place in of_channel {
                if let Some(queue) = queues.iter_mut().find(|it| it.name == place.name()) {
                    queue.workers = workers;
                }
            }
        }
    }

    /// Where the balancer is another process, the recording tells what it does with whom.
    fn load_balancer(&self, sockets: &ByServer, recorded: &[ServerStatus]) -> LoadBalancerCard {
        let parts = &self.inner.parts;
        let server = |upstream: &Arc<Upstream>| {
            let id = upstream.place.name();
            let connected = sockets.by_server.get(id).copied().unwrap_or(0);
            let recorded = recorded.iter().find(|server| server.id == id);
            let (in_progress, handled) = if parts.has_balancer {
                (upstream.in_progress_count(), upstream.handled_count())
            } else {
                recorded.map_or((0, 0), |it| (it.active_connections, it.requests_handled))
            };
            BalancedServer {
                id,
                url: format!("http://{}", upstream.authority),
                healthy: recorded.is_some_and(|server| server.healthy),
                active_connections: connected + in_progress,
                requests_handled: handled,
            }
        };
        let servers: Vec<BalancedServer> = parts.upstreams.all().iter().map(server).collect();
        LoadBalancerCard {
            status: if self.is_balanced() {
                "active"
            } else {
                "inactive"
            },
            algorithm: parts.upstreams.algorithm().name(),
            total_requests: servers.iter().map(|server| server.requests_handled).sum(),
            servers,
            // A client stays on the server of its socket, so these are one.
            sticky_sessions: sockets.clone(),
        }
    }
}

impl LiveView {
    /// Whether requests come through a balancer now.
    fn is_balanced(&self) -> bool {
        let parts = &self.inner.parts;
        let asked_at = self.inner.asked_at_ns.load(Ordering::Relaxed);
        let silence_ns = parts.telemetry.now().0.saturating_sub(asked_at);
        !parts.stopping.is_cancelled()
            && !parts.faults.is_down(Place::Balancer)
            && (parts.has_balancer || (asked_at != 0 && silence_ns < SILENCE_NS))
    }

    /// The balancer asked one of this process's servers how it is: it lives.
    pub(crate) fn balancer_asked(&self) {
        let now_ns = self.inner.parts.telemetry.now().0;
        self.inner.asked_at_ns.store(now_ns, Ordering::Relaxed);
    }
}

impl Status {
    /// What there is to say about one component beside its status.
    pub(super) fn card_of(&self, place: Place) -> Option<Value> {
        let cards = &self.cards;
        let of_queue = |card: &&QueueStatus| card.name == place.name();
        let of_component = || {
            let found = self.components.iter().find(|it| it.id == place.name())?;
            serde_json::to_value(found).ok()
        };
        match place {
            Place::Balancer => serde_json::to_value(&cards.load_balancer).ok(),
            Place::Server1 | Place::Server2 | Place::Server3 => {
                let found = cards.servers.iter().find(|card| card.id == place.name())?;
                serde_json::to_value(found).ok()
            }
            Place::Mail
            | Place::Retry1
            | Place::Retry2
            | Place::InApp
            | Place::InAppRetry
            | Place::Dlq => serde_json::to_value(cards.queues.iter().find(of_queue)?).ok(),
            Place::Database => serde_json::to_value(&cards.database).ok(),
            Place::Websocket => serde_json::to_value(&cards.websocket).ok(),
            Place::Smtp => serde_json::to_value(&cards.email).ok(),
            Place::Clients | Place::MailWorker | Place::InAppWorker => of_component(),
        }
    }

    /// How many of the places answer their health checks.
    pub(super) fn up_count(&self, places: &[Place]) -> usize {
        let is_up = |place: &&Place| {
            let found = self.components.iter().find(|it| it.id == place.name());
            found.is_some_and(|component| component.healthy)
        };
        places.iter().filter(is_up).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Clock, Recorder, RecordingSettings, topology};

    #[test]
    fn there_are_exactly_six_groups_of_cards() {
        let map = topology::live_topology(&topology::TopologySettings::default());
        let settings = RecordingSettings::default();
        let recorder = Recorder::start(Clock::start(), map, &settings).expect("a thread");
        let status = recorder.telemetry().status();
        let cards = Cards {
            load_balancer: LoadBalancerCard {
                status: "active",
                algorithm: "round-robin",
                total_requests: 0,
                servers: Vec::new(),
                sticky_sessions: ByServer::default(),
            },
            servers: status.servers,
            queues: status.queues,
            database: DatabaseCard {
                recorded: status.database,
                reads_per_second: 0.0,
                writes_per_second: 0.0,
            },
            websocket: WebsocketCard {
                recorded: status.websocket,
                authenticated_users: 0,
                by_server: BTreeMap::new(),
                rooms: Vec::new(),
            },
            email: status.email,
        };
        let value = serde_json::to_value(cards).unwrap();
        let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
        let expected = [
            "database",
            "email",
            "loadBalancer",
            "queues",
            "servers",
            "websocket",
        ];
        assert_eq!(keys, expected);
        recorder.finish().expect("it runs");
    }
}
