//! The shortest orthogonal way with few corners, where no standard shape is free.
//!
//! Belongs here: a search over the lines between nodes. Does not belong here: preferred shapes.

use super::{CALL, Ground, RETURN};
use egui::{Pos2, Rect, pos2};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What a corner costs, in units of length.
const CORNER_COST: u32 = 60;
/// Lines between nodes keep this distance from them.
const CLEARANCE: f32 = 14.0;
/// Ways keep this far from nodes they pass.
const PASSING: f32 = 8.0;

/// A way from the right of `from` to the left of `to`, or any other sides where that is shorter.
pub(super) fn shortest(ground: &Ground, from: usize, to: usize) -> Vec<Pos2> {
    let (a, b) = (ground.nodes[from], ground.nodes[to]);
    let starts = [a.right_center(), a.center_bottom(), a.center_top()];
    let ends = [b.left_center(), b.center_bottom(), b.center_top()];
    let lines = Lines::new(ground, &starts, &ends);
    // Ways keep off the nodes they only pass.
    let mut nodes: Vec<Rect> = ground
        .nodes
        .iter()
        .map(|node| node.expand(PASSING))
        .collect();
    (nodes[from], nodes[to]) = (a, b);
    lines.search(&nodes, &starts, &ends).unwrap_or_else(|| {
        // Every node is surrounded by free lines, so this is reached only by nodes without a size.
        vec![a.right_center(), b.left_center()]
    })
}

/// Lines along which a way may run.
struct Lines {
    xs: Vec<f32>,
    ys: Vec<f32>,
}

impl Lines {
    fn new(ground: &Ground, starts: &[Pos2], ends: &[Pos2]) -> Self {
        let mut xs: Vec<f32> = starts.iter().chain(ends).map(|p| p.x).collect();
        let mut ys: Vec<f32> = starts.iter().chain(ends).map(|p| p.y).collect();
        for (left, right) in ground.columns.iter().filter(|c| c.1 > c.0) {
            xs.extend([left - RETURN, right + CALL]);
        }
        for node in ground.nodes {
            ys.extend([node.top() - CLEARANCE, node.bottom() + CLEARANCE]);
        }
        for line in [&mut xs, &mut ys] {
            line.iter_mut().for_each(|v| *v = v.round());
            line.sort_by(f32::total_cmp);
            line.dedup();
        }
        Self { xs, ys }
    }

    fn index(&self, point: Pos2) -> Option<(usize, usize)> {
        let x = self.xs.iter().position(|x| (x - point.x).abs() < 0.6)?;
        let y = self.ys.iter().position(|y| (y - point.y).abs() < 0.6)?;
        Some((x, y))
    }

    fn point(&self, (x, y): (usize, usize)) -> Pos2 {
        pos2(self.xs[x], self.ys[y])
    }

    /// Dijkstra over (crossing, direction); ties go to the smaller index, so the answer is one.
    fn search(&self, nodes: &[Rect], starts: &[Pos2], ends: &[Pos2]) -> Option<Vec<Pos2>> {
        let width = self.xs.len();
        let key = |(x, y): (usize, usize), direction: usize| (y * width + x) * 4 + direction;
        let count = width * self.ys.len() * 4;
        let mut cost = vec![u32::MAX; count];
        let mut came_from = vec![usize::MAX; count];
        let mut open = BinaryHeap::new();
        for (rank, start) in starts.iter().enumerate() {
            let Some(at) = self.index(*start) else {
                continue;
            };
            // Directions: right, down, left, up. A way leaves a side outwards.
            let direction = [0, 1, 3][rank];
            let first = key(at, direction);
            cost[first] = [0, 30, 40][rank];
            open.push(Reverse((cost[first], first)));
        }
        // A way arrives inwards: rightwards at the left side, upwards from below, downwards from above.
        let goals: Vec<usize> = ends
            .iter()
            .zip([0, 3, 1])
            .filter_map(|(end, inwards)| Some(key(self.index(*end)?, inwards)))
            .collect();
        while let Some(Reverse((so_far, at))) = open.pop() {
            if so_far > cost[at] {
                continue;
            }
            if goals.contains(&at) {
                return Some(self.walk_back(&came_from, at, width));
            }
            let direction = at % 4;
            let (x, y) = ((at / 4) % width, at / 4 / width);
            for next_direction in 0..4 {
                if next_direction == (direction + 2) % 4 {
                    continue;
                }
                let step = match next_direction {
                    0 => (x + 1 < width).then(|| (x + 1, y)),
                    1 => (y + 1 < self.ys.len()).then(|| (x, y + 1)),
                    2 => x.checked_sub(1).map(|x| (x, y)),
                    _ => y.checked_sub(1).map(|y| (x, y)),
                };
                let Some(step) = step else { continue };
                let ends = [self.point((x, y)), self.point(step)];
                if !super::is_free(&ends, nodes) {
                    continue;
                }
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "lines are whole and ordered"
                )]
                let length = ends[0].distance(ends[1]) as u32;
                let turn = if next_direction == direction {
                    0
                } else {
                    CORNER_COST
                };
                let next = key(step, next_direction);
                let total = so_far.saturating_add(length).saturating_add(turn);
                if total < cost[next] {
                    cost[next] = total;
                    came_from[next] = at;
                    open.push(Reverse((total, next)));
                }
            }
        }
        None
    }

    fn walk_back(&self, came_from: &[usize], goal: usize, width: usize) -> Vec<Pos2> {
        let mut points = Vec::new();
        let mut at = goal;
        while at != usize::MAX {
            points.push(self.point(((at / 4) % width, at / 4 / width)));
            at = came_from[at];
        }
        points.reverse();
        points
    }
}
