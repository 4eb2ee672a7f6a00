//! One column per role: Clients, Balance, Serve · store, Queue, Work, Deliver.
//!
//! Belongs here: columns by kind, lanes by delivery path, straight main lines.
//! Does not belong here: topologies whose flow does not follow the roles (foreign.rs).

use super::{Lane, Placement, node_sizes};
use egui::{Pos2, Rect, Vec2};
use flowreel_engine::model::id::ComponentId;
use flowreel_engine::model::topology::{Channel, ComponentKind, EdgeKind, Topology};

const COLUMN_COUNT: usize = 6;
const TITLES: [&str; COLUMN_COUNT] = [
    "Clients",
    "Balance",
    "Serve · store",
    "Queue",
    "Work",
    "Deliver",
];
/// Free width right of each column: room for its trunks.
const GUTTERS: [f32; COLUMN_COUNT] = [36.0, 40.0, 80.0, 62.0, 44.0, 0.0];
const LEFT: f32 = 16.0;
const LANE_TOP: f32 = 36.0;
const LANE_PADDING: f32 = 16.0;
/// Bottom of a lane, where its title stands.
const LANE_TITLE: f32 = 26.0;
const LANE_GAP: f32 = 16.0;
/// Free height between nodes of a lane.
const SPACING: f32 = 14.0;
/// Free height between servers.
const FRONT_SPACING: f32 = 28.0;

const fn column_of(kind: ComponentKind) -> usize {
    match kind {
        ComponentKind::Clients => 0,
        ComponentKind::Balancer => 1,
        ComponentKind::Server
        | ComponentKind::Middleware
        | ComponentKind::Controller
        | ComponentKind::Database => 2,
        ComponentKind::Queue | ComponentKind::Delay => 3,
        ComponentKind::Worker => 4,
        ComponentKind::Smtp | ComponentKind::Websocket | ComponentKind::External => 5,
    }
}

/// What is known before anything is placed.
struct Plan<'a> {
    topology: &'a Topology,
    columns: Vec<usize>,
    sizes: Vec<Vec2>,
    lane_of: Vec<Option<usize>>,
    /// Left and right border of each column; equal where it is empty.
    borders: [(f32, f32); COLUMN_COUNT],
}

/// Places by role, or `None` where the main flow does not run from role to role.
pub(super) fn place(topology: &Topology) -> Option<Placement> {
    if !follows_roles(topology) {
        return None;
    }
    let components = &topology.components;
    let columns: Vec<usize> = components.iter().map(|c| column_of(c.kind)).collect();
    let sizes = node_sizes(topology);
    let mut headings = Vec::new();
    let mut borders = [(0.0, 0.0); COLUMN_COUNT];
    let mut x = LEFT;
    for column in 0..COLUMN_COUNT {
        let width = (0..components.len())
            .filter(|&i| columns[i] == column)
            .map(|i| sizes[i].x)
            .fold(0.0, f32::max);
        borders[column] = (x, x + width);
        if width > 0.0 {
            headings.push((x + width / 2.0, TITLES[column]));
            x += width + GUTTERS[column];
        }
    }
    let plan = Plan {
        topology,
        lane_of: lanes(topology, &columns),
        columns,
        sizes,
        borders,
    };
    let mut nodes = vec![Rect::NOTHING; components.len()];
    let lanes = plan.fill_lanes(&mut nodes);
    let middle = lanes.last().map_or(LANE_TOP + 200.0, |last| {
        f32::midpoint(LANE_TOP, last.rect.bottom())
    });
    plan.fill_front(middle, &mut nodes);
    Some(Placement {
        nodes,
        headings,
        lanes: lanes
            .into_iter()
            .filter(|lane| !lane.title.is_empty())
            .collect(),
        columns: plan.borders.to_vec(),
        column_of: plan.columns,
        has_track_per_source: false,
    })
}

fn follows_roles(topology: &Topology) -> bool {
    let kind = |id: ComponentId| topology.component(id).map(|c| c.kind);
    let is_role = |kind: ComponentKind| {
        matches!(
            kind,
            ComponentKind::Balancer | ComponentKind::Worker | ComponentKind::Queue
        )
    };
    topology.components.iter().any(|c| is_role(c.kind))
        && topology
            .edges
            .iter()
            .filter(|edge| edge.kind == EdgeKind::Main)
            .all(|edge| match (kind(edge.from), kind(edge.to)) {
                (Some(_), Some(ComponentKind::Database)) => true,
                (Some(from), Some(to)) => column_of(from) < column_of(to),
                _ => false,
            })
}

/// Lane of each component right of the servers: the delivery path it belongs to.
fn lanes(topology: &Topology, columns: &[usize]) -> Vec<Option<usize>> {
    let mut lane_of: Vec<Option<usize>> = vec![None; columns.len()];
    let is_back = |index: usize| columns.get(index).is_some_and(|&column| column >= 3);
    for (lane, path) in topology.paths.iter().enumerate() {
        let mut open = vec![path.via.index()];
        while let Some(index) = open.pop() {
            if !is_back(index) || lane_of[index].is_some() {
                continue;
            }
            lane_of[index] = Some(lane);
            let next = topology.edges.iter().filter(|e| e.from.index() == index);
            open.extend(next.map(|edge| edge.to.index()));
        }
    }
    // What no path reaches gets a lane of its own at the end.
    let rest = lane_of.iter().flatten().max().map_or(0, |last| last + 1);
    for (index, lane) in lane_of.iter_mut().enumerate() {
        if is_back(index) && lane.is_none() {
            *lane = Some(rest);
        }
    }
    lane_of
}

impl Plan<'_> {
    /// Rectangle of a node, centred in its column.
    fn rect(&self, index: usize, y: f32) -> Rect {
        let (left, right) = self.borders[self.columns[index]];
        let x = f32::midpoint(left, right) - self.sizes[index].x / 2.0;
        Rect::from_min_size(Pos2::new(x.round(), y.round()), self.sizes[index])
    }

    fn lane_title(&self, lane: usize) -> String {
        self.topology
            .paths
            .get(lane)
            .map_or("", |path| match path.channel {
                Channel::Email => "Email",
                Channel::InApp => "In-app",
                Channel::None => path.id.as_str(),
            })
            .to_owned()
    }

    fn fill_lanes(&self, nodes: &mut [Rect]) -> Vec<Lane> {
        let lane_count = self
            .lane_of
            .iter()
            .flatten()
            .max()
            .map_or(0, |last| last + 1);
        let left = self.borders[3].0.max(LEFT + 28.0) - 28.0;
        let right = self.borders.iter().map(|b| b.1).fold(0.0, f32::max) + 8.0;
        let mut lanes = Vec::new();
        let mut top = LANE_TOP;
        for lane in 0..lane_count {
            let bottom = self.fill_lane(lane, top, nodes);
            lanes.push(Lane {
                rect: Rect::from_min_max(Pos2::new(left, top), Pos2::new(right, bottom)),
                title: self.lane_title(lane),
            });
            top = bottom + LANE_GAP;
        }
        lanes
    }

    /// Fills one lane from `top` on and returns where it ends. Queue, worker and delivery share one line.
    fn fill_lane(&self, lane: usize, top: f32, nodes: &mut [Rect]) -> f32 {
        let via = self.topology.paths.get(lane).map(|path| path.via.index());
        let columns: Vec<Vec<usize>> = (3..COLUMN_COUNT)
            .map(|column| {
                let mut members: Vec<usize> = (0..self.columns.len())
                    .filter(|&i| self.columns[i] == column && self.lane_of[i] == Some(lane))
                    .collect();
                members.sort_by_key(|&i| Some(i) != via);
                members
            })
            .collect();
        let tallest = columns
            .iter()
            .filter_map(|members| members.first())
            .map(|&first| self.sizes[first].y)
            .fold(0.0, f32::max);
        // A worker is taller than its queue and may stand 10 closer to the border.
        let main_line = top + f32::max(LANE_PADDING - 10.0, 6.0) + tallest / 2.0;
        let mut bottom = top + LANE_PADDING;
        for members in columns {
            let Some(&first) = members.first() else {
                continue;
            };
            let mut y = main_line - self.sizes[first].y / 2.0;
            for index in members {
                nodes[index] = self.rect(index, y);
                bottom = bottom.max(nodes[index].bottom());
                y = nodes[index].bottom() + SPACING;
            }
        }
        bottom + LANE_TITLE
    }

    /// Clients, balancers and servers, centred; stores below the servers.
    fn fill_front(&self, middle: f32, nodes: &mut [Rect]) {
        let members = |column: usize, store: bool| -> Vec<usize> {
            (0..self.columns.len())
                .filter(|&i| {
                    let is_store = self.topology.components[i].kind == ComponentKind::Database;
                    self.columns[i] == column && is_store == store
                })
                .collect()
        };
        let (servers, stores) = (members(2, false), members(2, true));
        let height = |list: &[usize]| -> f32 {
            let sum: f32 = list.iter().map(|&i| self.sizes[i].y + FRONT_SPACING).sum();
            (sum - FRONT_SPACING).max(0.0)
        };
        let gap = if servers.is_empty() || stores.is_empty() {
            0.0
        } else {
            66.0
        };
        let total = height(&servers) + gap + height(&stores);
        let top = f32::max(middle - total / 2.0, LANE_TOP + LANE_PADDING);
        let mut stack = |list: &[usize], mut y: f32| {
            for &i in list {
                nodes[i] = self.rect(i, y);
                y += self.sizes[i].y + FRONT_SPACING;
            }
        };
        stack(&servers, top);
        stack(&stores, top + height(&servers) + gap);
        let center = if servers.is_empty() {
            middle
        } else {
            top + height(&servers) / 2.0
        };
        for column in [0, 1] {
            let list = members(column, false);
            stack(&list, center - height(&list) / 2.0);
        }
    }
}
