//! Where everything stands: topology in, positions in world units out, the same every time.
//!
//! Belongs here: columns, lanes, node rectangles, the choice between both arrangements.
//! Does not belong here: routes of edges (route.rs), anything that changes while playing, Bevy.
//!
//! Systems made of clients, balancers, servers, queues and workers get one column per role.
//! Anything else (an imported trace, a tandem of stations) is layered by `dagre`.

mod foreign;
mod roles;

use super::route::{self, Route};
use egui::{Pos2, Rect, Vec2};
use flowreel_engine::model::topology::{ComponentKind, Topology};

/// Positions of one topology, in world units (1 unit is 1 point at zoom 1).
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// One per component, in the order of the topology.
    pub nodes: Vec<Rect>,
    /// One per edge, in the order of the topology.
    pub routes: Vec<Route>,
    /// Headings above the columns: centre and text.
    pub headings: Vec<(f32, &'static str)>,
    /// Channel lanes behind the nodes.
    pub lanes: Vec<Lane>,
    /// Everything, with a margin.
    pub bounds: Rect,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            routes: Vec::new(),
            headings: Vec::new(),
            lanes: Vec::new(),
            bounds: Rect::from_min_size(Pos2::ZERO, Vec2::ZERO),
        }
    }
}

/// A channel's lane.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// Its extent.
    pub rect: Rect,
    /// `Email`, `In-app`.
    pub title: String,
}

/// Where the parts of a layout stand before edges are drawn.
#[derive(Clone, Debug, Default)]
struct Placement {
    nodes: Vec<Rect>,
    headings: Vec<(f32, &'static str)>,
    lanes: Vec<Lane>,
    /// Columns from left to right: left and right border.
    columns: Vec<(f32, f32)>,
    /// Column of each component.
    column_of: Vec<usize>,
    /// Each source has its own track in a gutter, instead of one trunk for all.
    has_track_per_source: bool,
}

/// Works out all positions. The same topology gives the same layout.
#[must_use]
pub fn layout(topology: &Topology) -> Layout {
    if topology.components.is_empty() {
        return Layout::default();
    }
    let placement = roles::place(topology).unwrap_or_else(|| foreign::place(topology));
    let routes = route::route_all(topology, &placement.as_ground());
    let mut bounds = Rect::NOTHING;
    for rect in placement
        .nodes
        .iter()
        .chain(placement.lanes.iter().map(|lane| &lane.rect))
    {
        bounds = bounds.union(*rect);
    }
    for point in routes.iter().flat_map(|route| &route.points) {
        bounds.extend_with(*point);
    }
    // Room for headings above and status rings at the corners.
    let top = if placement.headings.is_empty() {
        16.0
    } else {
        28.0
    };
    bounds.min -= Vec2::new(16.0, top);
    bounds.max += Vec2::new(12.0, 16.0);
    Layout {
        nodes: placement.nodes,
        routes,
        headings: placement.headings,
        lanes: placement.lanes,
        bounds,
    }
}

impl Placement {
    fn as_ground(&self) -> route::Ground<'_> {
        route::Ground {
            nodes: &self.nodes,
            columns: &self.columns,
            column_of: &self.column_of,
            has_track_per_source: self.has_track_per_source,
        }
    }
}

/// Sizes of all nodes: nodes of one kind are equally wide, so that columns have straight sides.
fn node_sizes(topology: &Topology) -> Vec<Vec2> {
    let own: Vec<Vec2> = topology
        .components
        .iter()
        .map(|component| node_size(component.kind, &component.label))
        .collect();
    let class = |kind| match kind {
        ComponentKind::Delay => ComponentKind::Queue,
        ComponentKind::Middleware | ComponentKind::Controller => ComponentKind::Server,
        ComponentKind::Smtp | ComponentKind::Websocket => ComponentKind::External,
        other => other,
    };
    let widest = |kind| {
        topology
            .components
            .iter()
            .zip(&own)
            .filter(|(component, _)| class(component.kind) == class(kind))
            .map(|(_, size)| size.x)
            .fold(0.0, f32::max)
    };
    topology
        .components
        .iter()
        .zip(&own)
        .map(|(component, size)| Vec2::new(widest(component.kind), size.y))
        .collect()
}

/// Size of a node: by kind, and wide enough for its name.
fn node_size(kind: ComponentKind, label: &str) -> Vec2 {
    let (width, height, text_left) = match kind {
        ComponentKind::Clients => (84.0, 88.0, 14.0),
        ComponentKind::Balancer => (118.0, 96.0, 19.0),
        ComponentKind::Server | ComponentKind::Middleware | ComponentKind::Controller => {
            (120.0, 68.0, 34.0)
        }
        ComponentKind::Database => (120.0, 90.0, 35.0),
        ComponentKind::Queue | ComponentKind::Delay => (160.0, 72.0, 39.0),
        ComponentKind::Worker => (140.0, 92.0, 38.0),
        ComponentKind::Smtp | ComponentKind::Websocket | ComponentKind::External => {
            (120.0, 80.0, 33.0)
        }
    };
    let chars = label.chars().count().min(26);
    #[expect(clippy::cast_precision_loss, reason = "at most 26")]
    let needed = text_left + chars as f32 * 7.4 + 16.0;
    // Even, so that centres are whole.
    Vec2::new(f32::max(width, (needed / 2.0).ceil() * 2.0), height)
}
