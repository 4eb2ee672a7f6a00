//! Marks that stand for data: tokens by flow, badges by status, hatching for waiting.
//!
//! Belongs here: shapes that say the same as their colour. Does not belong here: silhouettes of
//! nodes (scene), positions.

use super::tokens::{Badge, Flow, Theme};
use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, pos2, vec2};
use std::f32::consts::TAU;

/// A token: disc, diamond, triangle, cross or ring. `radius` is that of the disc.
pub fn draw_token(painter: &Painter, center: Pos2, radius: f32, flow: Flow, theme: &Theme) {
    painter.extend(token_shapes(
        center,
        radius,
        flow,
        theme.flow_fill(flow),
        theme.token_edge,
    ));
}

/// A token without the outline that sets it off the edge below: for rows and legends.
pub fn draw_token_flat(painter: &Painter, center: Pos2, radius: f32, flow: Flow, theme: &Theme) {
    let color = match flow {
        Flow::Failed => theme.flow_mark(flow),
        _ => theme.flow_fill(flow),
    };
    painter.extend(token_shapes(
        center,
        radius,
        flow,
        color,
        Color32::TRANSPARENT,
    ));
}

/// The shapes of a token in any two colours.
#[must_use]
pub fn token_shapes(
    center: Pos2,
    radius: f32,
    flow: Flow,
    fill: Color32,
    outline: Color32,
) -> Vec<Shape> {
    let stroke = Stroke::new(1.5, outline);
    let wide = radius * 1.25;
    let polygon = |points: Vec<Pos2>| vec![Shape::convex_polygon(points, fill, stroke)];
    match flow {
        Flow::Plain => vec![
            Shape::circle_filled(center, radius + 0.75, outline),
            Shape::circle_stroke(center, radius * 0.8, Stroke::new(radius * 0.4, fill)),
        ],
        Flow::Email => vec![
            Shape::circle_filled(center, radius, fill),
            Shape::circle_stroke(center, radius, stroke),
        ],
        Flow::InApp => polygon(vec![
            center - vec2(0.0, wide),
            center + vec2(wide, 0.0),
            center + vec2(0.0, wide),
            center - vec2(wide, 0.0),
        ]),
        Flow::Retry => polygon(vec![
            center - vec2(0.0, wide),
            center + vec2(wide * 1.02, wide * 0.75),
            center + vec2(-wide * 1.02, wide * 0.75),
        ]),
        Flow::Failed => {
            let reach = radius * 0.85;
            let mut shapes = Vec::new();
            for (width, color) in [(radius, outline), (radius * 0.5, fill)] {
                if color == Color32::TRANSPARENT {
                    continue;
                }
                for arm in [vec2(reach, reach), vec2(reach, -reach)] {
                    let ends = [center - arm, center + arm];
                    shapes.push(Shape::line_segment(ends, Stroke::new(width, color)));
                    shapes.extend(ends.map(|end| Shape::circle_filled(end, width / 2.0, color)));
                }
            }
            shapes
        }
    }
}

/// A status badge: ring, disc and glyph. `turn` (0 to 1) is how far the ring of work has turned.
pub fn draw_badge(
    painter: &Painter,
    center: Pos2,
    radius: f32,
    badge: Badge,
    turn: f32,
    theme: &Theme,
) {
    let fill = theme.badge_fill(badge);
    let glyph = theme.badge_glyph(badge);
    let ring = Stroke::new(2.0 * radius / 9.0, fill);
    match badge {
        Badge::Processing => painter.add(Shape::line(
            arc(center, radius, turn * TAU - TAU / 4.0, TAU * 0.75),
            Stroke::new(2.2 * radius / 9.0, fill),
        )),
        Badge::Offline => {
            for part in 0..8_u8 {
                let begin = TAU * f32::from(part) / 8.0;
                painter.add(Shape::line(arc(center, radius, begin, TAU / 16.0), ring));
            }
            painter.add(Shape::Noop)
        }
        _ => painter.circle_stroke(center, radius, ring),
    };
    let disc = radius * 5.8 / 9.0;
    painter.circle_filled(center, disc, fill);
    let unit = disc / 5.8;
    let at = |x: f32, y: f32| center + vec2(x, y) * unit;
    let line = |points: Vec<Pos2>, width: f32| {
        painter.line(points, Stroke::new(width * unit, glyph));
    };
    match badge {
        Badge::Healthy => line(vec![at(-2.6, 0.2), at(-0.7, 2.1), at(2.6, -1.7)], 1.6),
        Badge::Idle => line(vec![at(-2.6, 0.0), at(2.6, 0.0)], 1.7),
        Badge::Processing => {
            painter.add(Shape::convex_polygon(
                vec![at(-1.7, -2.8), at(3.0, 0.0), at(-1.7, 2.8)],
                glyph,
                Stroke::NONE,
            ));
        }
        Badge::Waiting => {
            for half in [-1.0, 1.0] {
                painter.add(Shape::convex_polygon(
                    vec![at(-2.5, 3.0 * half), at(2.5, 3.0 * half), at(0.0, 0.0)],
                    glyph,
                    Stroke::NONE,
                ));
            }
        }
        Badge::Error => {
            line(vec![at(0.0, -3.2), at(0.0, 0.8)], 1.9);
            painter.circle_filled(at(0.0, 2.9), 1.05 * unit, glyph);
        }
        Badge::Offline => line(vec![at(-2.4, 2.4), at(2.4, -2.4)], 1.7),
    }
}

fn arc(center: Pos2, radius: f32, begin: f32, sweep: f32) -> Vec<Pos2> {
    (0..=24_u8)
        .map(|step| {
            let angle = begin + sweep * f32::from(step) / 24.0;
            center + vec2(angle.cos(), angle.sin()) * radius
        })
        .collect()
}

/// Diagonal lines over a rectangle: waiting, as against solid service.
pub fn draw_hatch(painter: &Painter, rect: Rect, color: Color32) {
    const PITCH: f32 = 5.0;
    let clipped = painter.with_clip_rect(rect.intersect(painter.clip_rect()));
    let height = rect.height();
    let first = ((rect.left() - height) / PITCH).floor() * PITCH;
    let lines = ((rect.right() - first) / PITCH).ceil().clamp(0.0, 4000.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped above"
    )]
    for line in 0..lines as u16 {
        let x = first + PITCH * f32::from(line);
        clipped.line_segment(
            [pos2(x, rect.bottom()), pos2(x + height, rect.top())],
            Stroke::new(1.4, color),
        );
    }
}
