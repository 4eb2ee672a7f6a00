//! Ways of edges: orthogonal, rounded, merged into shared trunks, never through a node.
//!
//! Belongs here: the shapes an edge may take, in order of preference, and points along it.
//! Does not belong here: where nodes stand (layout.rs), what moves on an edge (hops.rs).

mod search;

use egui::{Pos2, Rect, Vec2, pos2};
use flowreel_engine::model::topology::{Edge, EdgeKind, Topology};

/// Radius of a corner.
const CORNER: f32 = 10.0;
/// Trunk of edges into the next column: this far left of it.
const TRUNK: f32 = 20.0;
/// The same where returns within that column run between trunk and column.
const TRUNK_BESIDE_RETURN: f32 = 38.0;
/// Returns within a column, left of it.
const RETURN: f32 = 19.0;
/// Calls within a column, right of it.
const CALL: f32 = 20.0;
/// Trunk of failures, right of the column they go back to.
const FAILURE: f32 = 30.0;
/// First track of a source, right of its column, and the step to the next.
const FIRST_TRACK: f32 = 18.0;
const TRACK_STEP: f32 = 8.0;

/// One edge's way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Route {
    /// Corners, axis by axis, from the source's border to the target's.
    pub points: Vec<Pos2>,
    /// The same with rounded corners, as a fine polyline.
    pub line: Vec<Pos2>,
    /// Length of `line` up to each of its points.
    pub lengths: Vec<f32>,
}

impl Route {
    fn new(points: Vec<Pos2>) -> Self {
        let points = simplify(&points);
        let line = rounded(&points);
        let mut lengths = Vec::with_capacity(line.len());
        let mut length = 0.0;
        for (index, point) in line.iter().enumerate() {
            if index > 0 {
                length += line[index - 1].distance(*point);
            }
            lengths.push(length);
        }
        Self {
            points,
            line,
            lengths,
        }
    }

    /// Length in world units.
    #[must_use]
    pub fn length(&self) -> f32 {
        self.lengths.last().copied().unwrap_or(0.0)
    }

    /// The point at `share` (0 to 1) of the way.
    #[must_use]
    pub fn at(&self, share: f32) -> Pos2 {
        let wanted = share.clamp(0.0, 1.0) * self.length();
        let after = self.lengths.partition_point(|length| *length < wanted);
        let Some(&end) = self.line.get(after).or(self.line.last()) else {
            return Pos2::ZERO;
        };
        let Some(before) = after.checked_sub(1) else {
            return end;
        };
        let span = self.lengths[after.min(self.lengths.len() - 1)] - self.lengths[before];
        if span <= 0.0 {
            return end;
        }
        self.line[before].lerp(end, (wanted - self.lengths[before]) / span)
    }

    /// The way from the start up to `share` (0 to 1) of it.
    #[must_use]
    pub fn part(&self, share: f32) -> Vec<Pos2> {
        let wanted = share.clamp(0.0, 1.0) * self.length();
        let whole = self.lengths.partition_point(|length| *length < wanted);
        let mut part: Vec<Pos2> = self.line.iter().take(whole).copied().collect();
        part.push(self.at(share));
        part
    }
}

/// What routes run on.
pub(super) struct Ground<'a> {
    pub(super) nodes: &'a [Rect],
    pub(super) columns: &'a [(f32, f32)],
    pub(super) column_of: &'a [usize],
    pub(super) has_track_per_source: bool,
}

/// A way for every edge, in the order of the topology.
pub(super) fn route_all(topology: &Topology, ground: &Ground) -> Vec<Route> {
    let known = ground.nodes.len();
    topology
        .edges
        .iter()
        .map(|edge| {
            if edge.from.index() >= known || edge.to.index() >= known {
                return Route::default();
            }
            let points = candidates(topology, ground, *edge)
                .into_iter()
                .find(|points| is_free(points, ground.nodes))
                .unwrap_or_else(|| search::shortest(ground, edge.from.index(), edge.to.index()));
            Route::new(points)
        })
        .collect()
}

/// Shapes this edge may take, the best first.
fn candidates(topology: &Topology, ground: &Ground, edge: Edge) -> Vec<Vec<Pos2>> {
    let (from, to) = (edge.from.index(), edge.to.index());
    let (a, b) = (ground.nodes[from], ground.nodes[to]);
    let (column_a, column_b) = (ground.column_of[from], ground.column_of[to]);
    let right = a.right_center();
    let left = b.left_center();
    if from == to {
        return Vec::new();
    }
    match (column_a.cmp(&column_b), edge.kind) {
        (std::cmp::Ordering::Less, _) => {
            let trunks = if ground.has_track_per_source {
                vec![source_track(topology, ground, from)]
            } else {
                let has_returns = topology.edges.iter().any(|other| {
                    other.kind == EdgeKind::Retry && ground.column_of[other.to.index()] == column_b
                });
                let before = if has_returns {
                    TRUNK_BESIDE_RETURN
                } else {
                    TRUNK
                };
                vec![
                    ground.columns[column_b].0 - before,
                    ground.columns[column_a].1 + TRUNK,
                ]
            };
            let mut shapes = vec![vec![right, left]];
            if (right.y - left.y).abs() > 0.5 {
                shapes = trunks
                    .into_iter()
                    .map(|x| vec![right, pos2(x, right.y), pos2(x, left.y), left])
                    .collect();
            }
            shapes
        }
        (std::cmp::Ordering::Equal, EdgeKind::Retry) => {
            let x = ground.columns[column_b].0 - RETURN;
            let start = a.left_center();
            vec![vec![start, pos2(x, start.y), pos2(x, left.y), left]]
        }
        (std::cmp::Ordering::Equal, EdgeKind::Main | EdgeKind::Failure) => {
            let x = ground.columns[column_a].1 + CALL;
            let end = b.right_center();
            vec![vec![right, pos2(x, right.y), pos2(x, end.y), end]]
        }
        (std::cmp::Ordering::Greater, _) => back(topology, ground, edge),
    }
}

/// Back to an earlier column: down or up from the source, then left; further targets share a trunk.
fn back(topology: &Topology, ground: &Ground, edge: Edge) -> Vec<Vec<Pos2>> {
    let (from, to) = (edge.from.index(), edge.to.index());
    let (a, b) = (ground.nodes[from], ground.nodes[to]);
    let end = b.right_center();
    let start = leaving(a, end.y);
    let Some(start) = start else {
        return Vec::new();
    };
    let is_down = end.y > a.center().y;
    // The nearest target on the same side is reached directly; the others branch off its line.
    let nearest = topology
        .edges
        .iter()
        .filter(|other| {
            other.from == edge.from
                && other.to.index() < ground.nodes.len()
                && ground.column_of[other.to.index()] == ground.column_of[to]
        })
        .map(|other| ground.nodes[other.to.index()].center().y)
        .filter(|y| leaving(a, *y).is_some() && (*y > a.center().y) == is_down)
        .min_by(|x, y| {
            (x - a.center().y)
                .abs()
                .total_cmp(&(y - a.center().y).abs())
        });
    let direct = vec![start, pos2(start.x, end.y), end];
    match nearest {
        Some(y) if (y - end.y).abs() > 0.5 => {
            let x = ground.columns[ground.column_of[to]].1 + FAILURE;
            let branch = vec![start, pos2(start.x, y), pos2(x, y), pos2(x, end.y), end];
            vec![branch, direct]
        }
        _ => vec![direct],
    }
}

/// Where an edge to height `y` leaves the node: below or above; `None` beside it.
fn leaving(node: Rect, y: f32) -> Option<Pos2> {
    if y > node.bottom() + CORNER {
        Some(node.center_bottom())
    } else if y < node.top() - CORNER {
        Some(node.center_top())
    } else {
        None
    }
}

/// Each source has its own track in the gutter right of its column.
fn source_track(topology: &Topology, ground: &Ground, from: usize) -> f32 {
    let column = ground.column_of[from];
    let mut sources: Vec<usize> = topology
        .edges
        .iter()
        .map(|edge| edge.from.index())
        .filter(|&source| source < ground.nodes.len() && ground.column_of[source] == column)
        .collect();
    sources.sort_by(|&a, &b| {
        let (a, b) = (ground.nodes[a].center().y, ground.nodes[b].center().y);
        b.total_cmp(&a)
    });
    sources.dedup();
    let position = sources
        .iter()
        .position(|&source| source == from)
        .unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "a few dozen at most")]
    let offset = position as f32 * TRACK_STEP;
    ground.columns[column].1 + FIRST_TRACK + offset
}

/// True where no segment runs through a node; touching a border is leaving or arriving.
pub(super) fn is_free(points: &[Pos2], nodes: &[Rect]) -> bool {
    points.windows(2).all(|ends| {
        let segment = Rect::from_two_pos(ends[0], ends[1]);
        nodes.iter().all(|node| {
            let inside = node.shrink(1.0);
            segment.max.x <= inside.min.x
                || segment.min.x >= inside.max.x
                || segment.max.y <= inside.min.y
                || segment.min.y >= inside.max.y
        })
    })
}

/// Without repeated points and without corners that do not turn.
fn simplify(points: &[Pos2]) -> Vec<Pos2> {
    let mut kept: Vec<Pos2> = Vec::with_capacity(points.len());
    for &point in points {
        if kept.last().is_some_and(|last| last.distance(point) < 0.01) {
            continue;
        }
        if let [.., before, last] = kept.as_slice() {
            let turns = (*last - *before)
                .normalized()
                .dot((point - *last).normalized())
                < 0.999;
            if !turns {
                kept.pop();
            }
        }
        kept.push(point);
    }
    kept
}

/// Corners as quadratic curves, six steps each.
fn rounded(points: &[Pos2]) -> Vec<Pos2> {
    let mut line = Vec::with_capacity(points.len() * 6);
    for (index, &point) in points.iter().enumerate() {
        let (Some(before), Some(after)) = (index.checked_sub(1), points.get(index + 1)) else {
            line.push(point);
            continue;
        };
        let (back, ahead) = (points[before] - point, *after - point);
        let radius = CORNER.min(back.length() / 2.0).min(ahead.length() / 2.0);
        let (start, end) = (
            point + back.normalized() * radius,
            point + ahead.normalized() * radius,
        );
        for step in 0..=6_u8 {
            let t = f32::from(step) / 6.0;
            let (u, v): (Vec2, Vec2) = (
                start.to_vec2() * (1.0 - t) + point.to_vec2() * t,
                point.to_vec2() * (1.0 - t) + end.to_vec2() * t,
            );
            line.push((u * (1.0 - t) + v * t).to_pos2());
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_way_lies_on_the_way() {
        let route = Route::new(vec![pos2(0.0, 0.0), pos2(100.0, 0.0), pos2(100.0, 50.0)]);
        assert_eq!(route.at(0.0), pos2(0.0, 0.0));
        assert_eq!(route.at(1.0), pos2(100.0, 50.0));
        assert!(route.at(0.3).y.abs() < 0.001);
        assert!(route.length() < 150.0, "a rounded corner is shorter");
        assert_eq!(route.part(1.0).last(), Some(&pos2(100.0, 50.0)));
    }

    #[test]
    fn a_segment_through_a_node_is_not_free() {
        let node = [Rect::from_min_max(pos2(40.0, -10.0), pos2(60.0, 10.0))];
        assert!(!is_free(&[pos2(0.0, 0.0), pos2(100.0, 0.0)], &node));
        assert!(is_free(&[pos2(0.0, 0.0), pos2(40.0, 0.0)], &node));
        assert!(is_free(&[pos2(0.0, 20.0), pos2(100.0, 20.0)], &node));
    }
}
