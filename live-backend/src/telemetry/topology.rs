//! The map of the live system: its components, edges, classes and paths, with the ids of
//! `scenarios/notification.toml`, so that a live reel and a simulated one line up without a mapping.
//!
//! Belongs here: names and what is fixed for a whole run. Does not belong here: addresses of peers.

use flowreel_engine::model::id::{ClassId, ComponentId};
use flowreel_engine::model::topology::{
    Channel, Class as TopologyClass, Component, ComponentKind, Edge, EdgeKind, Path, Topology,
};
use serde::{Deserialize, Serialize};

/// A component of the live system; the code is its position in the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Place {
    /// Where requests come from.
    Clients = 0,
    /// Spreads requests over the servers.
    Balancer = 1,
    /// The first server.
    Server1 = 2,
    /// The second server.
    Server2 = 3,
    /// The third server.
    Server3 = 4,
    /// The store.
    Database = 5,
    /// E-mail jobs waiting for their first or a further run.
    Mail = 6,
    /// Sends e-mails.
    MailWorker = 7,
    /// The mail relay.
    Smtp = 8,
    /// E-mail jobs parked for five minutes after their first run.
    Retry1 = 9,
    /// E-mail jobs parked for thirty minutes after their second run.
    Retry2 = 10,
    /// In-app jobs waiting for a run.
    InApp = 11,
    /// Delivers to client sockets.
    InAppWorker = 12,
    /// The client sockets.
    Websocket = 13,
    /// In-app jobs parked for a minute.
    InAppRetry = 14,
    /// Jobs of either channel whose ladder is at its end.
    Dlq = 15,
}

impl Place {
    /// Every place, in the order of the topology.
    pub const ALL: [Self; 16] = [
        Self::Clients,
        Self::Balancer,
        Self::Server1,
        Self::Server2,
        Self::Server3,
        Self::Database,
        Self::Mail,
        Self::MailWorker,
        Self::Smtp,
        Self::Retry1,
        Self::Retry2,
        Self::InApp,
        Self::InAppWorker,
        Self::Websocket,
        Self::InAppRetry,
        Self::Dlq,
    ];
    /// The three servers, in order.
    pub const SERVERS: [Self; 3] = [Self::Server1, Self::Server2, Self::Server3];

    /// Its id in stage events.
    #[must_use]
    pub const fn component(self) -> ComponentId {
        ComponentId(self as u16)
    }

    /// Its id in scenarios, answers and URLs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Balancer => "balancer",
            Self::Server1 => "server-1",
            Self::Server2 => "server-2",
            Self::Server3 => "server-3",
            Self::Database => "database",
            Self::Mail => "mail",
            Self::Retry1 => "retry-1",
            Self::Retry2 => "retry-2",
            Self::Dlq => "dlq",
            Self::MailWorker => "mail-worker",
            Self::Smtp => "smtp",
            Self::InApp => "in-app",
            Self::InAppRetry => "in-app-retry",
            Self::InAppWorker => "in-app-worker",
            Self::Websocket => "websocket",
        }
    }

    /// The place of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.name() == name)
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Clients => "Clients",
            Self::Balancer => "Load balancer",
            Self::Server1 => "Server 1",
            Self::Server2 => "Server 2",
            Self::Server3 => "Server 3",
            Self::Database => "Database",
            Self::Mail => "Mail queue",
            Self::Retry1 => "Retry 1 (5 min)",
            Self::Retry2 => "Retry 2 (30 min)",
            Self::Dlq => "Dead letters",
            Self::MailWorker => "Mail worker",
            Self::Smtp => "SMTP relay",
            Self::InApp => "In-app queue",
            Self::InAppRetry => "In-app retry (1 min)",
            Self::InAppWorker => "In-app worker",
            Self::Websocket => "WebSocket",
        }
    }

    const fn kind(self) -> ComponentKind {
        match self {
            Self::Clients => ComponentKind::Clients,
            Self::Balancer => ComponentKind::Balancer,
            Self::Server1 | Self::Server2 | Self::Server3 => ComponentKind::Server,
            Self::Database => ComponentKind::Database,
            Self::Mail | Self::Dlq | Self::InApp => ComponentKind::Queue,
            Self::Retry1 | Self::Retry2 | Self::InAppRetry => ComponentKind::Delay,
            Self::MailWorker | Self::InAppWorker => ComponentKind::Worker,
            Self::Smtp => ComponentKind::Smtp,
            Self::Websocket => ComponentKind::Websocket,
        }
    }
}

/// What kind of request it is; the code is its position in the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u16)]
pub enum Class {
    /// A new user.
    Signup = 0,
    /// A user logs in.
    Login = 1,
    /// A user asks for a new password.
    ResetPassword = 2,
    /// A user buys something.
    Purchase = 3,
    /// A user asks another to be friends.
    FriendRequest = 4,
}

impl Class {
    /// Every class, in the order of the topology.
    pub const ALL: [Self; 5] = [
        Self::Signup,
        Self::Login,
        Self::ResetPassword,
        Self::Purchase,
        Self::FriendRequest,
    ];

    /// Its id in stage events.
    #[must_use]
    pub const fn id(self) -> ClassId {
        ClassId(self as u16)
    }

    /// Its name in scenarios and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signup => "signup",
            Self::Login => "login",
            Self::ResetPassword => "reset-password",
            Self::Purchase => "purchase",
            Self::FriendRequest => "friend-request",
        }
    }

    /// The class of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// The class at that position of the topology.
    #[must_use]
    pub fn from_id(id: ClassId) -> Option<Self> {
        Self::ALL.get(id.index()).copied()
    }

    const fn priority(self) -> i32 {
        match self {
            Self::Login | Self::FriendRequest => 1,
            Self::Signup | Self::Purchase => 2,
            Self::ResetPassword => 3,
        }
    }

    const fn channel(self) -> Channel {
        match self {
            Self::Signup | Self::ResetPassword => Channel::Email,
            Self::Login | Self::Purchase | Self::FriendRequest => Channel::InApp,
        }
    }
}

/// What of the map depends on settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopologySettings {
    /// Port of the balancer.
    pub balancer_port: u16,
    /// Ports of the servers, in order.
    pub server_ports: [u16; 3],
    /// Port clients connect their sockets to.
    pub websocket_port: u16,
    /// Mail jobs run in parallel at most.
    pub mail_worker_servers: u32,
    /// Mail jobs started per second at most.
    pub mail_rate_per_s: f64,
    /// In-app jobs run in parallel at most.
    pub in_app_worker_servers: u32,
    /// In-app jobs started per second at most.
    pub in_app_rate_per_s: f64,
}

/// The documents' own settings, each part on its usual port.
impl Default for TopologySettings {
    fn default() -> Self {
        Self {
            balancer_port: 8000,
            server_ports: [5001, 5002, 5003],
            websocket_port: 8000,
            mail_worker_servers: 5,
            mail_rate_per_s: 5.0,
            in_app_worker_servers: 10,
            in_app_rate_per_s: 10.0,
        }
    }
}

/// The map of one live run.
#[must_use]
pub fn live_topology(settings: &TopologySettings) -> Topology {
    let components = Place::ALL
        .into_iter()
        .map(|place| component(place, settings))
        .collect();
    let classes = Class::ALL
        .into_iter()
        .map(|class| TopologyClass {
            id: class.name().to_owned(),
            channel: class.channel(),
            priority: class.priority(),
        })
        .collect();
    Topology {
        name: "notification".to_owned(),
        title: "Notification system, three servers".to_owned(),
        components,
        edges: edges(),
        classes,
        paths: vec![
            path("email", Channel::Email, Place::Mail),
            path("in-app", Channel::InApp, Place::InApp),
        ],
    }
}

fn component(place: Place, settings: &TopologySettings) -> Component {
    let servers = match place {
        Place::MailWorker => Some(settings.mail_worker_servers),
        Place::InAppWorker => Some(settings.in_app_worker_servers),
        _ => None,
    };
    let rate_limit_per_s = match place {
        Place::MailWorker => Some(settings.mail_rate_per_s),
        Place::InAppWorker => Some(settings.in_app_rate_per_s),
        _ => None,
    };
    let port = match place {
        Place::Balancer => Some(settings.balancer_port),
        Place::Server1 => Some(settings.server_ports[0]),
        Place::Server2 => Some(settings.server_ports[1]),
        Place::Server3 => Some(settings.server_ports[2]),
        Place::Websocket => Some(settings.websocket_port),
        _ => None,
    };
    Component {
        id: place.name().to_owned(),
        kind: place.kind(),
        label: place.label().to_owned(),
        servers,
        rate_limit_per_s,
        capacity: None,
        port,
    }
}

fn path(id: &str, channel: Channel, via: Place) -> Path {
    Path {
        id: id.to_owned(),
        channel,
        via: via.component(),
    }
}

fn edges() -> Vec<Edge> {
    use EdgeKind::{Failure, Main, Retry};
    let mut list = vec![(Place::Clients, Place::Balancer, Main)];
    for server in Place::SERVERS {
        list.push((Place::Balancer, server, Main));
    }
    for server in Place::SERVERS {
        list.push((server, Place::Database, Main));
        list.push((server, Place::Mail, Main));
        list.push((server, Place::InApp, Main));
    }
    list.extend([
        (Place::Mail, Place::MailWorker, Main),
        (Place::MailWorker, Place::Smtp, Main),
        (Place::MailWorker, Place::Retry1, Failure),
        (Place::MailWorker, Place::Retry2, Failure),
        (Place::MailWorker, Place::Dlq, Failure),
        (Place::Retry1, Place::Mail, Retry),
        (Place::Retry2, Place::Mail, Retry),
        (Place::InApp, Place::InAppWorker, Main),
        (Place::InAppWorker, Place::Websocket, Main),
        (Place::InAppWorker, Place::InAppRetry, Failure),
        (Place::InAppWorker, Place::Dlq, Failure),
        (Place::InAppRetry, Place::InApp, Retry),
    ]);
    list.into_iter()
        .map(|(from, to, kind)| Edge {
            from: from.component(),
            to: to.component(),
            kind,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_and_class_stands_at_its_own_position() {
        let topology = live_topology(&TopologySettings::default());
        for place in Place::ALL {
            let found = topology.component_named(place.name());
            assert_eq!(found, Some(place.component()));
            assert_eq!(Place::from_name(place.name()), Some(place));
        }
        for class in Class::ALL {
            assert_eq!(topology.class_named(class.name()), Some(class.id()));
            assert_eq!(Class::from_id(class.id()), Some(class));
        }
        assert_eq!(topology.components.len(), Place::ALL.len());
    }

    #[test]
    fn the_map_is_the_one_of_the_shipped_scenario() {
        let text = include_str!("../../../scenarios/notification.toml");
        let scenario = flowreel_engine::scenario::load(text, &[]).expect("it is shipped");
        let (live, shipped) = (
            live_topology(&TopologySettings::default()),
            scenario.topology,
        );
        assert_eq!((&live.name, &live.title), (&shipped.name, &shipped.title));
        let named = |topology: &Topology| -> Vec<_> {
            let components = topology.components.iter();
            components
                .map(|component| {
                    (
                        component.id.clone(),
                        component.kind,
                        component.label.clone(),
                    )
                })
                .collect()
        };
        assert_eq!(named(&live), named(&shipped));
        assert_eq!(live.classes, shipped.classes);
        assert_eq!(live.paths, shipped.paths);
        let sorted = |topology: &Topology| {
            let mut edges = topology.edges.clone();
            edges.sort_unstable_by_key(|edge| (edge.from, edge.to));
            edges
        };
        assert_eq!(sorted(&live), sorted(&shipped));
    }

    #[test]
    fn every_pair_of_components_has_one_edge_at_most() {
        let mut pairs: Vec<_> = edges().iter().map(|edge| (edge.from, edge.to)).collect();
        let count = pairs.len();
        pairs.sort_unstable();
        pairs.dedup();
        assert_eq!(pairs.len(), count);
    }
}
