//! The lanes: events, depth of one queue, errors, the selected request; ruler and playhead.
//!
//! Belongs here: drawing slices on the axis. Does not belong here: input, marks with words.

use super::axis::Axis;
use super::{end_of, marks_lane};
use crate::panels::plots::area;
use crate::panels::{Align, Ink, format, text, text_within};
use crate::theme::{Flow, Theme, marks, mixed, size, text as face};
use crate::view::{SelectionView, View};
use egui::{Painter, Pos2, Rect, Shape, Stroke, Ui, pos2, vec2};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::ComponentKind;

/// Width of one bar of the events lane.
const BIN: f32 = 9.7;
/// Crosses closer than this are one cross.
const CROSS_PITCH: f32 = 11.0;

/// Every lane, as tall as the specification draws them; a taller panel gives the room to events.
pub(super) fn draw_all(ui: &Ui, rect: Rect, axis: &Axis, view: &View<'_>, theme: &Theme) {
    let extra = (rect.height() - 151.0).max(0.0).round();
    let top = rect.top();
    let lanes_bottom = top + 146.0 + extra;
    frame(ui, rect, axis, view, theme, lanes_bottom);
    let plot = plot_rect(rect);
    let y = |value: f32| top + value + extra;
    for divider in [60.5, 88.5, 106.5, 124.5] {
        let stroke = Stroke::new(1.0, theme.line);
        ui.painter().hline(plot.x_range(), y(divider), stroke);
    }
    name(ui, rect, top + 40.0 + extra / 2.0, "Events", theme);
    events(ui.painter(), plot, [top + 22.0, y(58.0)], axis, view, theme);
    if let Some(queue) = view.lanes.depth_of {
        let label = view
            .topology
            .component(queue)
            .map_or("-", |component| component.label.as_str());
        name(ui, rect, y(76.0), &format!("{label} depth"), theme);
        depth(ui.painter(), plot, [y(63.0), y(86.0)], axis, view, theme);
    } else {
        name(ui, rect, y(76.0), "Queue depth", theme);
    }
    name(ui, rect, y(97.0), "Errors", theme);
    errors(ui.painter(), plot, y(97.5), axis, view, theme);
    selected(ui, rect, y(115.5), axis, view, theme);
    name(ui, rect, y(134.0), "Marks", theme);
    marks_lane::draw(ui, plot, y(134.5), axis, view, theme);
    cover_future(ui, plot, [top + 21.0, lanes_bottom], axis, view, theme);
    marks_lane::draw_loop(ui, [top + 20.0, lanes_bottom], axis, view, theme);
    playhead(
        ui.painter(),
        plot,
        [top, lanes_bottom + 3.0],
        axis,
        view,
        theme,
    );
}

/// Ruler, events with errors on top, playhead: for low windows.
pub(super) fn draw_first(ui: &Ui, rect: Rect, axis: &Axis, view: &View<'_>, theme: &Theme) {
    let bottom = rect.bottom() - 6.0;
    frame(ui, rect, axis, view, theme, bottom);
    let plot = plot_rect(rect);
    name(ui, rect, rect.top() + 29.0, "Errors", theme);
    name(
        ui,
        rect,
        f32::midpoint(rect.top() + 37.0, bottom),
        "Events",
        theme,
    );
    let band = [rect.top() + 37.0, bottom - 2.0];
    events(ui.painter(), plot, band, axis, view, theme);
    errors(ui.painter(), plot, rect.top() + 29.0, axis, view, theme);
    cover_future(ui, plot, [rect.top() + 21.0, bottom], axis, view, theme);
    marks_lane::draw_loop(ui, [rect.top() + 20.0, bottom], axis, view, theme);
    playhead(
        ui.painter(),
        plot,
        [rect.top(), bottom + 3.0],
        axis,
        view,
        theme,
    );
}

fn plot_rect(rect: Rect) -> Rect {
    Rect::from_min_max(
        pos2(rect.left() + super::NAMES, rect.top()),
        pos2(rect.right() - 16.0, rect.bottom()),
    )
}

fn name(ui: &Ui, rect: Rect, middle: f32, words: &str, theme: &Theme) {
    let at = pos2(rect.left() + 16.0, middle);
    let ink = Ink::new(face::regular(size::TEXT_LABEL), theme.t3);
    text_within(ui, at, Align::Left, &ink, words, super::NAMES - 24.0);
}

fn frame(ui: &Ui, rect: Rect, axis: &Axis, view: &View<'_>, theme: &Theme, bottom: f32) {
    let plot = plot_rect(rect);
    let painter = ui.painter();
    let step = axis.tick_step_ns(96.0);
    let ink = Ink::new(face::mono(size::TEXT_SMALL), theme.t3);
    for at in axis.ticks(step) {
        let x = axis.x_at(at);
        let line = Stroke::new(1.0, theme.line);
        painter.vline(x.round() + 0.5, rect.top() + 20.0..=bottom, line);
        let align = if x < plot.left() + 20.0 {
            Align::Left
        } else if x > plot.right() - 20.0 {
            Align::Right
        } else {
            Align::Center
        };
        text(
            ui,
            pos2(x, rect.top() + 13.0),
            align,
            &ink,
            &format::tick(at, step),
        );
    }
    let mut free_from = f32::NEG_INFINITY;
    for at in &view.lanes.keyframes {
        let x = axis.x_at(*at);
        if x >= free_from && plot.x_range().contains(x) {
            painter.add(diamond(pos2(x, rect.top() + 20.0), 3.0, theme));
            free_from = x + 9.0;
        }
    }
    for (from, to) in &view.lanes.gaps {
        let stretch = Rect::from_min_max(
            pos2(axis.x_at(*from).max(plot.left()), rect.top() + 21.0),
            pos2(axis.x_at(*to).min(plot.right()), bottom),
        );
        if stretch.is_positive() {
            marks::draw_hatch(painter, stretch, mixed(theme.t3, 0.5, theme.bg1));
        }
    }
}

fn diamond(center: Pos2, reach: f32, theme: &Theme) -> Shape {
    Shape::convex_polygon(
        vec![
            center - vec2(0.0, reach),
            center + vec2(reach, 0.0),
            center + vec2(0.0, reach),
            center - vec2(reach, 0.0),
        ],
        theme.t3,
        Stroke::NONE,
    )
}

/// The slices that are on screen, with the moment each begins.
fn visible<'a>(
    axis: &Axis,
    view: &View<'a>,
) -> impl Iterator<Item = (TimeNs, &'a crate::view::Slice)> {
    let slice_ns = view.lanes.slice_ns.max(1);
    let (begin, end) = axis.window();
    let first = usize::try_from(begin / slice_ns).unwrap_or(usize::MAX);
    let last = usize::try_from(end / slice_ns).unwrap_or(usize::MAX);
    view.lanes
        .slices
        .iter()
        .enumerate()
        .skip(first)
        .take_while(move |(index, _)| *index <= last)
        .map(move |(index, slice)| (TimeNs(index as u64 * slice_ns), slice))
}

fn events(
    painter: &Painter,
    plot: Rect,
    [top, bottom]: [f32; 2],
    axis: &Axis,
    view: &View<'_>,
    theme: &Theme,
) {
    let bin_count = (plot.width() / BIN).floor().max(1.0) as usize;
    let width = plot.width() / bin_count as f32;
    let slice_width = axis.x_at(TimeNs(view.lanes.slice_ns)) - axis.x_at(TimeNs::ZERO);
    let mut bins = vec![[0.0_f32; 3]; bin_count];
    for (at, slice) in visible(axis, view) {
        let parts = [slice.email, slice.in_app, slice.other];
        // A slice wider than a bar is spread over the bars it covers.
        let left = (axis.x_at(at) - plot.left()) / width;
        let right = left + (slice_width / width).max(1e-3);
        let first = left.max(0.0) as usize;
        let last = (right.ceil().max(1.0) as usize).min(bin_count);
        for (index, bin) in bins.iter_mut().enumerate().take(last).skip(first) {
            let overlap = right.min(index as f32 + 1.0) - left.max(index as f32);
            let share = (overlap / (right - left)).clamp(0.0, 1.0);
            for (sum, part) in bin.iter_mut().zip(parts) {
                *sum += part as f32 * share;
            }
        }
    }
    let max = bins
        .iter()
        .map(|bin| bin.iter().sum::<f32>())
        .fold(0.0, f32::max);
    if max <= 0.0 {
        return;
    }
    let now = axis.x_at(view.playback.now);
    let colors = [
        (theme.flow_mark(Flow::Email), 0.72),
        (theme.flow_mark(Flow::InApp), 0.58),
        (theme.t3, 0.5),
    ];
    for (index, bin) in bins.iter().enumerate() {
        let left = plot.left() + index as f32 * width;
        let dim = if left < now { 1.0 } else { 0.5 };
        let mut base = bottom;
        for (part, (color, strength)) in bin.iter().zip(colors) {
            let height = part / max * (bottom - top);
            if height <= 0.0 {
                continue;
            }
            let bar = Rect::from_min_max(
                pos2(left + 0.5, base - height),
                pos2(left + width - 0.7, base),
            );
            painter.rect_filled(bar, 0.0, mixed(color, strength * dim, theme.bg1));
            base -= height;
        }
    }
}

fn depth(
    painter: &Painter,
    plot: Rect,
    [top, bottom]: [f32; 2],
    axis: &Axis,
    view: &View<'_>,
    theme: &Theme,
) {
    let Some(queue) = view.lanes.depth_of else {
        return;
    };
    let of = |slice: &crate::view::Slice| slice.depths.get(queue.index()).copied().unwrap_or(0);
    let max = view.lanes.slices.iter().map(of).max().unwrap_or(0).max(4) as f32 * 1.15;
    // More slices than points: the highest of each point stays, so that a short peak is seen.
    let mut points: Vec<Pos2> = Vec::new();
    for (at, slice) in visible(axis, view) {
        let x = axis
            .x_at(TimeNs(at.0 + view.lanes.slice_ns))
            .min(plot.right());
        let y = bottom - of(slice) as f32 / max * (bottom - top);
        match points.last_mut() {
            Some(last) if x - last.x < 1.0 => last.y = last.y.min(y),
            _ if x >= plot.left() => points.push(pos2(x, y)),
            _ => {}
        }
    }
    if points.len() < 2 {
        return;
    }
    let color = theme.component_mark(ComponentKind::Queue);
    area(painter, &points, bottom, mixed(color, 0.18, theme.bg1));
    painter.add(Shape::line(points, Stroke::new(1.5, color)));
}

fn errors(painter: &Painter, plot: Rect, y: f32, axis: &Axis, view: &View<'_>, theme: &Theme) {
    let mut groups = vec![0_u32; (plot.width() / CROSS_PITCH) as usize + 1];
    let half = view.lanes.slice_ns / 2;
    for (at, slice) in visible(axis, view) {
        if slice.errors > 0 {
            let place = (axis.x_at(TimeNs(at.0 + half)) - plot.left()) / CROSS_PITCH;
            if let Some(group) = groups.get_mut(place.max(0.0) as usize) {
                *group += slice.errors;
            }
        }
    }
    let used = groups.iter().filter(|number| **number > 0).count();
    let max = groups.iter().copied().max().unwrap_or(0);
    let color = theme.flow_mark(Flow::Failed);
    let is_dense = used * 2 > groups.len();
    for (index, number) in groups.into_iter().enumerate().filter(|(_, n)| *n > 0) {
        let x = plot.left() + (index as f32 + 0.5) * CROSS_PITCH;
        if is_dense {
            let strength = 0.25 + 0.75 * number as f32 / max as f32;
            let bar = Rect::from_center_size(pos2(x, y), vec2(CROSS_PITCH - 0.6, 11.0));
            painter.rect_filled(bar, 0.0, mixed(color, strength, theme.bg1));
        } else {
            let stroke = Stroke::new(if number > 1 { 2.4 } else { 1.7 }, color);
            for arm in [vec2(3.5, 3.5), vec2(3.5, -3.5)] {
                painter.line_segment([pos2(x, y) - arm, pos2(x, y) + arm], stroke);
            }
        }
    }
}

fn selected(ui: &Ui, rect: Rect, y: f32, axis: &Axis, view: &View<'_>, theme: &Theme) {
    let SelectionView::Request { journey, .. } = view.selection else {
        name(ui, rect, y, "Selection", theme);
        return;
    };
    let plot = plot_rect(rect);
    let ink = Ink::new(face::mono(size::TEXT_LABEL), theme.t1);
    text_within(
        ui,
        pos2(rect.left() + 16.0, y),
        Align::Left,
        &ink,
        &format::request(journey.request),
        super::NAMES - 24.0,
    );
    let begin = axis.x_at(journey.begun).max(plot.left());
    let end_time = journey.finished.unwrap_or(view.playback.end);
    let end = axis.x_at(end_time).min(plot.right()).max(begin + 1.0);
    let stroke = Stroke::new(1.8, theme.selection);
    ui.painter().hline(begin..=end, y, stroke);
    for x in [begin, end] {
        ui.painter().vline(x, y - 4.0..=y + 4.0, stroke);
    }
}

fn cover_future(
    ui: &Ui,
    plot: Rect,
    [top, bottom]: [f32; 2],
    axis: &Axis,
    view: &View<'_>,
    theme: &Theme,
) {
    if end_of(view) <= view.playback.end {
        return;
    }
    let begin = axis.x_at(view.playback.end).max(plot.left());
    let rest = Rect::from_min_max(pos2(begin, top), pos2(plot.right(), bottom));
    if rest.width() <= 0.0 {
        return;
    }
    let ground = mixed(theme.bg0, 0.55, theme.bg1);
    ui.painter().rect_filled(rest, 0.0, ground);
    if rest.width() > 90.0 {
        let ink = Ink::new(face::regular(size::TEXT_BODY), theme.t3);
        text(
            ui,
            rest.center() + vec2(0.0, 5.0),
            Align::Center,
            &ink,
            "Not run yet",
        );
    }
}

fn playhead(
    painter: &Painter,
    plot: Rect,
    [top, bottom]: [f32; 2],
    axis: &Axis,
    view: &View<'_>,
    theme: &Theme,
) {
    let x = axis.x_at(view.playback.now);
    if !plot.x_range().expand(1.0).contains(x) {
        return;
    }
    let color = theme.selection;
    painter.vline(
        x,
        top + 18.0..=bottom,
        Stroke::new(size::STROKE_PLAYHEAD, color),
    );
    painter.add(Shape::convex_polygon(
        vec![
            pos2(x - 6.0, top + 15.0),
            pos2(x + 6.0, top + 15.0),
            pos2(x + 6.0, top + 20.0),
            pos2(x, top + 26.0),
            pos2(x - 6.0, top + 20.0),
        ],
        color,
        Stroke::NONE,
    ));
}
