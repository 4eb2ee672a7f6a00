//! The map a run happens on: components, the edges between them, classes and delivery paths.
//!
//! Belongs here: names and what is fixed for a whole run. Does not belong here: anything that
//! changes while it runs (state), positions on a screen (the visualizer's layout).

use super::event::closed_set;
use super::id::{ClassId, ComponentId, PathId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

closed_set! {
    /// What a component is; decides its silhouette and which marks it shows.
    ComponentKind {
        /// Where requests come from.
        Clients = 1 => "clients",
        /// Spreads requests over servers.
        Balancer = 2 => "balancer",
        /// Handles requests.
        Server = 3 => "server",
        /// A layer inside a server.
        Middleware = 4 => "middleware",
        /// A handler inside a server.
        Controller = 5 => "controller",
        /// Stores.
        Database = 6 => "database",
        /// Holds jobs until a worker pulls them.
        Queue = 7 => "queue",
        /// Pulls jobs from queues.
        Worker = 8 => "worker",
        /// The mail relay.
        Smtp = 9 => "smtp",
        /// Client sockets.
        Websocket = 10 => "websocket",
        /// Anything outside our own walls.
        External = 11 => "external",
        /// Only lets time pass.
        Delay = 12 => "delay",
    }
}

closed_set! {
    /// Which way a request is told its news; decides token shape and colour.
    Channel {
        /// Neither: drawn as a plain request.
        None = 0 => "none",
        /// E-mail.
        Email = 1 => "email",
        /// A message on the client's socket.
        InApp = 2 => "in-app",
    }
}

closed_set! {
    /// What an edge carries; decides its dash.
    EdgeKind {
        /// The normal way.
        Main = 0 => "main",
        /// Taken after a failure.
        Failure = 1 => "failure",
        /// A due retry coming back.
        Retry = 2 => "retry",
    }
}

macro_rules! serialize_by_name {
    ($($name:ident)+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                Self::from_name(&name).ok_or_else(|| {
                    serde::de::Error::custom(format!("`{name}` is no {}", stringify!($name)))
                })
            }
        }
    )+};
}
serialize_by_name! { ComponentKind Channel EdgeKind }

/// One box of the picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// Name in scenarios, answers and URLs: `server-1`.
    pub id: String,
    /// What it is.
    pub kind: ComponentKind,
    /// Name for people: `Server 1`.
    pub label: String,
    /// Parallel servers; `None` is unlimited (a pure delay, a queue without a bound).
    pub servers: Option<u32>,
    /// Starts of service per second at most; `None` is no limit.
    pub rate_limit_per_s: Option<f64>,
    /// Most requests in waiting plus service; `None` is unlimited.
    pub capacity: Option<u32>,
    /// Port it listens on, in a live run.
    pub port: Option<u16>,
}

/// One arrow of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Leaves here.
    pub from: ComponentId,
    /// Arrives there.
    pub to: ComponentId,
    /// What it carries.
    pub kind: EdgeKind,
}

/// What kind of request exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// Name: `signup`.
    pub id: String,
    /// How its main line is drawn.
    pub channel: Channel,
    /// Larger is served first under a priority discipline.
    pub priority: i32,
}

/// A delivery path: the parts that went through `via` belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// Name: `email`.
    pub id: String,
    /// How its parts are drawn.
    pub channel: Channel,
    /// A part belongs to the path once it has visited this component.
    pub via: ComponentId,
}

/// The map of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Topology {
    /// Name of the scenario or system.
    pub name: String,
    /// Title for people.
    pub title: String,
    /// Boxes; [`ComponentId`] is the position.
    pub components: Vec<Component>,
    /// Arrows, each pair once.
    pub edges: Vec<Edge>,
    /// Classes; [`ClassId`] is the position.
    pub classes: Vec<Class>,
    /// Delivery paths; [`PathId`] is the position.
    pub paths: Vec<Path>,
}

impl Topology {
    /// True where both are one map, whatever ports its components listen on.
    #[must_use]
    pub fn is_same_map(&self, other: &Self) -> bool {
        let without_port = |component: &Component| Component {
            port: None,
            ..component.clone()
        };
        let own = self.components.iter().map(without_port);
        own.eq(other.components.iter().map(without_port))
            && (&self.name, &self.edges, &self.classes, &self.paths)
                == (&other.name, &other.edges, &other.classes, &other.paths)
    }

    /// The component, or `None` for [`ComponentId::NONE`] and ids of another run.
    #[must_use]
    pub fn component(&self, id: ComponentId) -> Option<&Component> {
        self.components.get(id.index())
    }

    /// The component of that name.
    #[must_use]
    pub fn component_named(&self, name: &str) -> Option<ComponentId> {
        let index = self
            .components
            .iter()
            .position(|component| component.id == name)?;
        u16::try_from(index).ok().map(ComponentId)
    }

    /// The class of that name.
    #[must_use]
    pub fn class_named(&self, name: &str) -> Option<ClassId> {
        let index = self.classes.iter().position(|class| class.id == name)?;
        u16::try_from(index).ok().map(ClassId)
    }

    /// The path whose parts go through this component.
    #[must_use]
    pub fn path_via(&self, component: ComponentId) -> Option<PathId> {
        let index = self.paths.iter().position(|path| path.via == component)?;
        u16::try_from(index).ok().map(PathId)
    }

    /// The component's name, or `-` where there is none.
    #[must_use]
    pub fn component_name(&self, id: ComponentId) -> &str {
        self.component(id)
            .map_or("-", |component| component.id.as_str())
    }

    /// The class's name, or `-` where there is none.
    #[must_use]
    pub fn class_name(&self, id: ClassId) -> &str {
        self.classes
            .get(id.index())
            .map_or("-", |class| class.id.as_str())
    }
}
