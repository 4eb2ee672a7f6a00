//! Small plots: a line of values, the ground below a line, a bar.
//!
//! Belongs here: drawing plain numbers into a rectangle. Does not belong here: which numbers.

use crate::theme::{Theme, mixed};
use egui::{Color32, CornerRadius, Mesh, Painter, Pos2, Rect, Shape, Stroke, pos2, vec2};

/// A line of values with a faint ground and a dot at the newest; the top is `max`, and `ground`
/// the colour of the panel below.
pub(crate) fn sparkline(
    painter: &Painter,
    rect: Rect,
    values: &[f32],
    max: f32,
    [color, ground]: [Color32; 2],
) {
    if values.len() < 2 {
        return;
    }
    let top = if max > 0.0 { max } else { 1.0 };
    let step = (rect.width() - 2.0) / (values.len() - 1) as f32;
    let points: Vec<Pos2> = values
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let height = (value / top).clamp(0.0, 1.0) * (rect.height() - 4.0);
            pos2(
                rect.left() + step * index as f32,
                rect.bottom() - 1.5 - height,
            )
        })
        .collect();
    area(painter, &points, rect.bottom(), mixed(color, 0.12, ground));
    let last = points.last().copied();
    painter.add(Shape::line(points, Stroke::new(1.5, color)));
    if let Some(last) = last {
        painter.circle_filled(last, 2.2, color);
    }
}

/// The ground between a line and `bottom`, as one mesh so that neighbours do not overlap.
pub(crate) fn area(painter: &Painter, points: &[Pos2], bottom: f32, color: Color32) {
    let mut mesh = Mesh::default();
    for point in points {
        mesh.colored_vertex(*point, color);
        mesh.colored_vertex(pos2(point.x, bottom), color);
    }
    for index in 0..(points.len().saturating_sub(1) as u32) {
        let first = 2 * index;
        mesh.add_triangle(first, first + 1, first + 2);
        mesh.add_triangle(first + 1, first + 3, first + 2);
    }
    painter.add(Shape::mesh(mesh));
}

/// A horizontal bar on its track, filled up to a share of it.
pub(crate) fn bar(painter: &Painter, rect: Rect, share: f32, color: Color32, theme: &Theme) {
    let round = CornerRadius::from(rect.height() / 2.0);
    painter.rect_filled(rect, round, theme.bg3);
    if share > 0.0 {
        let width = (rect.width() * share.min(1.0)).max(rect.height());
        painter.rect_filled(
            Rect::from_min_size(rect.min, vec2(width, rect.height())),
            round,
            color,
        );
    }
}
