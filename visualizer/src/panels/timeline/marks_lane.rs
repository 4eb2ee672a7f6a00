//! Marks with words on the time axis, and the loop's brackets.
//!
//! Belongs here: bookmark, flag, fault and alert signs. Does not belong here: slices.

use super::axis::Axis;
use crate::panels::{Align, Ink, silent, text_within};
use crate::theme::{Badge, Flow, Theme, faded, mixed, size, text as face};
use crate::view::{Mark, MarkKind, View};
use egui::{Pos2, Rect, Shape, Stroke, Ui, pos2, vec2};

/// Draws every mark on screen; words only where the next mark leaves room for them.
pub(super) fn draw(ui: &Ui, plot: Rect, y: f32, axis: &Axis, view: &View<'_>, theme: &Theme) {
    let on_screen: Vec<(f32, &Mark)> = view
        .marks
        .iter()
        .map(|mark| (axis.x_at(mark.at), mark))
        .filter(|(x, _)| plot.x_range().contains(*x))
        .collect();
    let ink = Ink::new(face::regular(size::TEXT_LABEL), theme.t2);
    for (index, (x, mark)) in on_screen.iter().enumerate() {
        if let Some(until) = mark.until {
            let end = axis.x_at(until).min(plot.right());
            let color = mixed(theme.badge_fill(Badge::Error), 0.5, theme.bg1);
            ui.painter()
                .hline(*x..=end, y + 8.0, Stroke::new(2.0, color));
        }
        sign(ui, pos2(*x, y), mark.kind, theme);
        let left = x + 11.0;
        let next = on_screen
            .get(index + 1)
            .map_or(plot.right(), |(next, _)| next - 10.0);
        if next - left >= 40.0 && !mark.text.is_empty() {
            text_within(
                ui,
                pos2(left, y),
                Align::Left,
                &ink,
                &mark.text,
                next - left,
            );
        }
    }
}

fn sign(ui: &Ui, at: Pos2, kind: MarkKind, theme: &Theme) {
    let painter = ui.painter();
    match kind {
        MarkKind::Bookmark => {
            // Two halves, because the notch makes the whole concave.
            for side in [-4.0, 4.0] {
                painter.add(Shape::convex_polygon(
                    vec![
                        at + vec2(0.0, -6.5),
                        at + vec2(side, -6.5),
                        at + vec2(side, 5.5),
                        at + vec2(0.0, 2.0),
                    ],
                    theme.t1,
                    Stroke::NONE,
                ));
            }
        }
        MarkKind::Annotation => {
            let color = theme.flow_mark(Flow::Retry);
            painter.vline(at.x, at.y - 5.5..=at.y + 8.0, Stroke::new(2.0, color));
            for half in [-1.0, 1.0] {
                painter.add(Shape::convex_polygon(
                    vec![
                        at + vec2(0.0, -2.0),
                        at + vec2(0.0, -2.0 + 3.5 * half),
                        at + vec2(9.0, -2.0 + 3.5 * half),
                        at + vec2(6.5, -2.0),
                    ],
                    color,
                    Stroke::NONE,
                ));
            }
        }
        MarkKind::Fault | MarkKind::Alert => {
            let color = theme.badge_fill(Badge::Error);
            painter.circle_stroke(at, 5.0, Stroke::new(2.0, color));
            painter.circle_filled(at, 2.0, color);
        }
        MarkKind::Control => {
            let color = theme.t2;
            painter.circle_stroke(at, 4.5, Stroke::new(1.6, color));
            painter.hline(at.x - 4.5..=at.x + 4.5, at.y, Stroke::new(1.6, color));
        }
    }
}

/// The loop: a tinted band between two brackets with their keys.
pub(super) fn draw_loop(
    ui: &Ui,
    [top, bottom]: [f32; 2],
    axis: &Axis,
    view: &View<'_>,
    theme: &Theme,
) {
    let edges = [
        (view.playback.loop_in, "I", 1.0),
        (view.playback.loop_out, "O", -1.0),
    ];
    if let (Some(begin), Some(end)) = (view.playback.loop_in, view.playback.loop_out) {
        let band = Rect::from_min_max(pos2(axis.x_at(begin), top), pos2(axis.x_at(end), bottom));
        ui.painter().rect_filled(band, 0.0, faded(theme.t1, 0.06));
    }
    for (at, key, side) in edges {
        let Some(at) = at else {
            continue;
        };
        let x = axis.x_at(at);
        let stroke = Stroke::new(1.5, theme.t1);
        ui.painter().add(Shape::line(
            vec![
                pos2(x + 5.0 * side, top + 0.5),
                pos2(x, top + 0.5),
                pos2(x, bottom),
                pos2(x + 5.0 * side, bottom),
            ],
            stroke,
        ));
        let cap = Rect::from_center_size(pos2(x + 7.5 * side, top + 7.5), vec2(15.0, 15.0));
        ui.painter().rect_filled(cap, 0.0, theme.t1);
        let ink = Ink::new(face::mono_semibold(11.0), theme.bg1);
        silent(ui, cap.center(), Align::Center, &ink, key, 15.0);
    }
}
