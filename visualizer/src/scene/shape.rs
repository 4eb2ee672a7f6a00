//! Silhouettes: one outline per kind of component, in world units.
//!
//! Belongs here: outlines as polylines. Does not belong here: colours, text, where a node stands.

use egui::{Pos2, Rect, Vec2, pos2, vec2};
use flowreel_engine::model::topology::ComponentKind;
use std::f32::consts::{PI, TAU};

/// The outline of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Silhouette {
    /// Closed and convex.
    pub outline: Vec<Pos2>,
    /// The left side, inset by half the component bar.
    pub bar: Vec<Pos2>,
    /// The lid of a cylinder.
    pub lid: Option<Vec<Pos2>>,
    /// Outline is dashed: outside our walls.
    pub is_dashed: bool,
    /// A second card behind.
    pub is_stacked: bool,
}

/// Thickness of the component bar.
pub const BAR: f32 = 3.0;

/// The silhouette of a kind of component in `rect`.
#[must_use]
pub fn silhouette(kind: ComponentKind, rect: Rect) -> Silhouette {
    let shape = match kind {
        ComponentKind::Clients
        | ComponentKind::Smtp
        | ComponentKind::Websocket
        | ComponentKind::External => rounded(rect, 10.0),
        ComponentKind::Server | ComponentKind::Middleware | ComponentKind::Controller => {
            rounded(rect, 4.0)
        }
        ComponentKind::Worker => rounded(rect, 24.0),
        ComponentKind::Balancer => hexagon(rect),
        ComponentKind::Database => upright(rect),
        ComponentKind::Queue | ComponentKind::Delay => lying(rect),
    };
    Silhouette {
        is_dashed: matches!(
            kind,
            ComponentKind::Smtp | ComponentKind::Websocket | ComponentKind::External
        ),
        is_stacked: kind == ComponentKind::Clients,
        ..shape
    }
}

fn finish(outline: Vec<Pos2>, left: &[Pos2], lid: Option<Vec<Pos2>>, rect: Rect) -> Silhouette {
    let inset = vec2(1.0 - BAR / rect.width(), 1.0 - BAR / rect.height());
    Silhouette {
        outline,
        bar: left
            .iter()
            .map(|point| rect.center() + (*point - rect.center()) * inset)
            .collect(),
        lid,
        is_dashed: false,
        is_stacked: false,
    }
}

/// Points on an ellipse from angle `begin` over `sweep`; angles turn clockwise on screen.
fn arc(center: Pos2, radii: Vec2, begin: f32, sweep: f32) -> impl Iterator<Item = Pos2> {
    (0..=14_u8).map(move |step| {
        let angle = begin + sweep * f32::from(step) / 14.0;
        center + vec2(angle.cos() * radii.x, angle.sin() * radii.y)
    })
}

fn rounded(rect: Rect, radius: f32) -> Silhouette {
    let quarter = TAU / 4.0;
    let inner = rect.shrink(radius);
    let corner = Vec2::splat(radius);
    let mut outline = Vec::new();
    outline.extend(arc(inner.right_top(), corner, -quarter, quarter));
    outline.extend(arc(inner.right_bottom(), corner, 0.0, quarter));
    outline.extend(arc(inner.left_bottom(), corner, quarter, quarter));
    outline.extend(arc(inner.left_top(), corner, PI, quarter));
    let mut left: Vec<Pos2> = arc(inner.left_bottom(), corner, quarter, quarter).collect();
    left.extend(arc(inner.left_top(), corner, PI, quarter));
    if radius < 6.0 {
        // A square box has a straight bar.
        left = vec![rect.left_bottom(), rect.left_top()];
    }
    finish(outline, &left, None, rect)
}

fn hexagon(rect: Rect) -> Silhouette {
    let nose = 14.0;
    let (left, right) = (rect.left() + nose, rect.right() - nose);
    let outline = vec![
        pos2(left, rect.top()),
        pos2(right, rect.top()),
        rect.right_center(),
        pos2(right, rect.bottom()),
        pos2(left, rect.bottom()),
        rect.left_center(),
    ];
    let bar = [outline[4], outline[5], outline[0]];
    finish(outline, &bar, None, rect)
}

fn upright(rect: Rect) -> Silhouette {
    let radii = vec2(rect.width() / 2.0, 8.0);
    let top = pos2(rect.center().x, rect.top() + 8.0);
    let bottom = pos2(rect.center().x, rect.bottom() - 8.0);
    let mut outline: Vec<Pos2> = arc(top, radii, PI, PI).collect();
    outline.extend(arc(bottom, radii, 0.0, PI));
    let lid = arc(top, radii, PI, -PI).collect();
    let left = [
        pos2(rect.left(), rect.bottom() - 8.0),
        pos2(rect.left(), rect.top() + 8.0),
    ];
    finish(outline, &left, Some(lid), rect)
}

fn lying(rect: Rect) -> Silhouette {
    let radii = vec2(9.0, rect.height() / 2.0);
    let left = pos2(rect.left() + 9.0, rect.center().y);
    let right = pos2(rect.right() - 9.0, rect.center().y);
    let mut outline: Vec<Pos2> = arc(right, radii, -PI / 2.0, PI).collect();
    outline.extend(arc(left, radii, PI / 2.0, PI));
    let lid = arc(right, radii, -PI / 2.0, -PI).collect();
    let bar: Vec<Pos2> = arc(left, radii, PI / 2.0, PI).collect();
    finish(outline, &bar, Some(lid), rect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_silhouette_fills_its_rectangle_and_stays_inside() {
        let rect = Rect::from_min_size(pos2(10.0, 20.0), vec2(120.0, 80.0));
        for &kind in ComponentKind::ALL {
            let shape = silhouette(kind, rect);
            let bounds = Rect::from_points(&shape.outline);
            assert!(rect.expand(0.01).contains_rect(bounds), "{kind:?}");
            assert!(bounds.width() > 119.9 && bounds.height() > 79.9, "{kind:?}");
            assert!(
                shape.bar.iter().all(|point| rect.contains(*point)),
                "{kind:?}"
            );
        }
    }
}
