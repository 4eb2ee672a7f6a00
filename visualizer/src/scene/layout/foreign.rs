//! Layers from left to right for any topology, by `dagre`.
//!
//! Belongs here: handing the graph to dagre in a fixed order, snapping its answer to columns.
//! Does not belong here: routes of edges; dagre's own are curves through its dummy nodes.

use super::{Placement, node_sizes};
use dagre::graph::{Graph, GraphOptions};
use dagre::{EdgeLabel, LayoutOptions, NodeLabel, RankDir, layout};
use egui::{Pos2, Rect, Vec2};
use flowreel_engine::model::topology::{EdgeKind, Topology};

const MARGIN: f32 = 36.0;
/// Gutter without any track.
const GUTTER: f32 = 44.0;
/// Further width per source that leaves through a gutter.
const TRACK: f32 = 8.0;
/// Free height between nodes of a column: an edge may pass.
const SPACING: f32 = 32.0;

/// Places any topology. Nodes of one rank share a column; their order is dagre's.
pub(super) fn place(topology: &Topology) -> Placement {
    let sizes = node_sizes(topology);
    let name = |index: usize| format!("{index:05}");
    let mut graph = Graph::with_options(GraphOptions {
        directed: true,
        multigraph: false,
        compound: false,
    });
    for (index, size) in sizes.iter().enumerate() {
        let label = NodeLabel {
            width: f64::from(size.x),
            height: f64::from(size.y),
            ..NodeLabel::default()
        };
        graph.set_node(name(index), Some(label));
    }
    // dagre's answer depends on the order of insertion; feedback is left to the router.
    let mut edges: Vec<(usize, usize)> = topology
        .edges
        .iter()
        .filter(|edge| edge.kind == EdgeKind::Main && edge.from != edge.to)
        .map(|edge| (edge.from.index(), edge.to.index()))
        .filter(|&(from, to)| from < sizes.len() && to < sizes.len())
        .collect();
    edges.sort_unstable();
    edges.dedup();
    for &(from, to) in &edges {
        graph.set_edge(name(from), name(to), Some(EdgeLabel::default()), None);
    }
    layout(
        &mut graph,
        Some(LayoutOptions {
            rankdir: RankDir::LR,
            nodesep: 34.0,
            edgesep: 16.0,
            ranksep: 90.0,
            ..LayoutOptions::default()
        }),
    );
    let centers: Vec<(f64, f64)> = (0..sizes.len())
        .map(|index| {
            graph.node(&name(index)).map_or((0.0, 0.0), |label| {
                (label.x.unwrap_or(0.0), label.y.unwrap_or(0.0))
            })
        })
        .collect();
    snap(&centers, &sizes, &edges)
}

/// Columns from dagre's ranks, rows from its heights; whole units, no overlap.
fn snap(centers: &[(f64, f64)], sizes: &[Vec2], edges: &[(usize, usize)]) -> Placement {
    let mut ranks: Vec<f64> = centers.iter().map(|center| center.0).collect();
    ranks.sort_by(f64::total_cmp);
    ranks.dedup_by(|a, b| (*a - *b).abs() < 1.0);
    let column_of: Vec<usize> = centers
        .iter()
        .map(|center| ranks.iter().filter(|rank| **rank < center.0 - 1.0).count())
        .collect();
    let columns = column_borders(ranks.len(), &column_of, sizes, edges);
    let top = centers
        .iter()
        .zip(sizes)
        .map(|(center, size)| center.1 - f64::from(size.y) / 2.0)
        .fold(f64::INFINITY, f64::min);
    let mut nodes = vec![Rect::NOTHING; sizes.len()];
    for (column, borders) in columns.iter().enumerate() {
        let mut members: Vec<usize> = (0..sizes.len())
            .filter(|&i| column_of[i] == column)
            .collect();
        members.sort_by(|&a, &b| centers[a].1.total_cmp(&centers[b].1).then(a.cmp(&b)));
        let mut free_from = f32::NEG_INFINITY;
        for index in members {
            #[expect(clippy::cast_possible_truncation, reason = "positions on a screen")]
            let wanted = (centers[index].1 - top) as f32 + MARGIN - sizes[index].y / 2.0;
            let y = wanted.round().max(free_from);
            let left = f32::midpoint(borders.0, borders.1) - sizes[index].x / 2.0;
            nodes[index] = Rect::from_min_size(Pos2::new(left.round(), y), sizes[index]);
            free_from = y + sizes[index].y + SPACING;
        }
    }
    Placement {
        nodes,
        headings: Vec::new(),
        lanes: Vec::new(),
        columns,
        column_of,
        has_track_per_source: true,
    }
}

fn column_borders(
    column_count: usize,
    column_of: &[usize],
    sizes: &[Vec2],
    edges: &[(usize, usize)],
) -> Vec<(f32, f32)> {
    let mut columns = Vec::new();
    let mut x = MARGIN;
    for column in 0..column_count {
        let width = sizes
            .iter()
            .zip(column_of)
            .filter(|(_, of)| **of == column)
            .map(|(size, _)| size.x)
            .fold(0.0, f32::max);
        let mut sources: Vec<usize> = edges
            .iter()
            .map(|edge| edge.0)
            .filter(|&from| column_of[from] == column)
            .collect();
        sources.dedup();
        columns.push((x, x + width));
        #[expect(clippy::cast_precision_loss, reason = "a few dozen sources at most")]
        let tracks = sources.len() as f32 * TRACK;
        x += width + GUTTER + tracks;
    }
    columns
}
