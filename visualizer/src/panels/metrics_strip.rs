//! The strip of header figures at the playhead.
//!
//! Belongs here: which figure stands where, and its sparkline. Does not belong here: working it out.

use super::plots::sparkline;
use super::{Align, Ink, format, text, text_mid, theme_of};
use crate::theme::{Badge, Flow, Theme, marks, size, text as face};
use crate::view::{Health, Lanes, Metrics, Slice, View};
use egui::{Color32, Rect, Sense, Stroke, Ui, pos2, vec2};

/// One cell of the strip.
struct Cell {
    name: &'static str,
    number: String,
    unit: String,
    weight: f32,
    plot: Option<fn(&Slice) -> f32>,
    ink: Color32,
}

/// How many slices a sparkline looks back.
const PLOT_SLICES: usize = 40;

/// The strip under the top bar.
pub fn metrics_strip_ui(ui: &mut Ui, view: &View<'_>) {
    let theme = theme_of(view);
    let width = ui.available_width();
    let (strip, _) = ui.allocate_exact_size(vec2(width, ui.available_height()), Sense::hover());
    let cells = cells(view.metrics, width, theme);
    let total: f32 = cells.iter().map(|cell| cell.weight).sum();
    let inner = strip.shrink2(vec2(8.0, 0.0));
    let mut left = inner.left();
    for (index, cell) in cells.iter().enumerate() {
        let right = left + inner.width() * cell.weight / total;
        let rect = Rect::from_x_y_ranges(left..=right, strip.y_range());
        if index > 0 {
            ui.painter().vline(
                left.round() + 0.5,
                strip.top() + 16.0..=strip.bottom() - 16.0,
                Stroke::new(1.0, theme.line),
            );
        }
        if index == 0 {
            health(ui, rect, view.metrics.health, theme);
        } else {
            number(ui, rect, cell, theme);
            if width >= 1400.0
                && let Some(plot) = cell.plot
            {
                spark(ui, rect, view, plot, cell.name, theme);
            }
        }
        left = right;
    }
}

fn cells(metrics: &Metrics, width: f32, theme: &Theme) -> Vec<Cell> {
    let cell = |name, (number, unit): (String, String), plot| Cell {
        name,
        number,
        unit,
        weight: 1.0,
        plot,
        ink: theme.t1,
    };
    let plain = |text: String| (text, String::new());
    let unknown = || plain(format::UNKNOWN.to_owned());
    let seconds = |value: Option<f64>| {
        value.map_or_else(unknown, |value| {
            let (number, unit) = format::seconds_parts(value);
            (number, unit.to_owned())
        })
    };
    let mut cells = vec![
        cell("System", plain(String::new()), None),
        cell(
            "Active requests",
            plain(format::count(metrics.active)),
            Some(|slice: &Slice| slice.active as f32),
        ),
        cell(
            "Requests / s",
            metrics
                .requests_per_s
                .map_or_else(unknown, |rate| plain(format::rate(rate))),
            Some(|slice: &Slice| slice.requests_per_s),
        ),
    ];
    if width >= 1100.0 {
        cells.push(cell(
            "Mean latency",
            seconds(metrics.latency_mean_s),
            Some(|slice: &Slice| slice.latency_mean_s.unwrap_or(0.0)),
        ));
    }
    cells.push(cell(
        "p95 latency",
        seconds(metrics.latency_p95_s),
        Some(|slice: &Slice| slice.latency_p95_s.unwrap_or(0.0)),
    ));
    cells.push(cell(
        "Error rate",
        metrics
            .error_ratio
            .map_or_else(unknown, |ratio| (format::percent(ratio), "%".to_owned())),
        Some(|slice: &Slice| slice.error_ratio.unwrap_or(0.0)),
    ));
    let delayed = if metrics.delayed > 0 {
        format!("+ {} delayed", format::count(metrics.delayed))
    } else {
        String::new()
    };
    cells.push(Cell {
        weight: 1.1,
        ..cell("Queued", (format::count(metrics.queued), delayed), None)
    });
    if metrics.dead_letters > 0 {
        cells.push(Cell {
            ink: theme.error_text,
            weight: 0.9,
            ..cell(
                "Dead letters",
                plain(format::count(metrics.dead_letters)),
                None,
            )
        });
    } else if width >= 1200.0 {
        cells.push(Cell {
            weight: 0.9,
            ..cell(
                "System uptime",
                metrics
                    .uptime_s
                    .map_or_else(unknown, |uptime| plain(format::uptime(uptime))),
                None,
            )
        });
    }
    cells
}

fn label(ui: &Ui, rect: Rect, name: &str, theme: &Theme) {
    let at = pos2(rect.left() + 14.0, rect.top() + 22.0);
    let ink = Ink::new(face::regular(size::TEXT_LABEL), theme.t3);
    text(ui, at, Align::Left, &ink, name);
}

fn health(ui: &Ui, rect: Rect, health: Health, theme: &Theme) {
    label(ui, rect, "System", theme);
    let y = rect.top() + 39.0;
    let (badge, words, ink) = match health {
        Health::Unknown => (Badge::Idle, "Unknown", theme.t2),
        Health::Healthy => (Badge::Healthy, "Healthy", theme.t1),
        Health::Degraded => (Badge::Waiting, "Degraded", theme.warn_text),
        Health::Critical => (Badge::Error, "Critical", theme.error_text),
    };
    let at = pos2(rect.left() + 24.0, y);
    marks::draw_badge(ui.painter(), at, 8.5, badge, 0.0, theme);
    text_mid(
        ui,
        pos2(rect.left() + 42.0, y),
        Align::Left,
        &Ink::new(face::semibold(size::TEXT_NUMBER), ink),
        words,
    );
}

fn number(ui: &Ui, rect: Rect, cell: &Cell, theme: &Theme) {
    label(ui, rect, cell.name, theme);
    let baseline = rect.top() + 47.0;
    let shown = text(
        ui,
        pos2(rect.left() + 14.0, baseline),
        Align::Left,
        &Ink::new(face::mono_semibold(size::TEXT_METRIC), cell.ink).tight(0.02),
        &cell.number,
    );
    if !cell.unit.is_empty() {
        text(
            ui,
            pos2(shown.right() + 4.0, baseline),
            Align::Left,
            &Ink::new(face::medium(size::TEXT_LABEL), theme.t3),
            &cell.unit,
        );
    }
}

fn spark(ui: &Ui, rect: Rect, view: &View<'_>, plot: fn(&Slice) -> f32, name: &str, theme: &Theme) {
    let values: Vec<f32> = recent(view.lanes, view.playback.now.0)
        .iter()
        .map(plot)
        .collect();
    let max = values.iter().copied().fold(0.0_f32, f32::max);
    let color = if name == "Error rate" && max > 0.0 {
        theme.flow_mark(Flow::Failed)
    } else {
        theme.t3
    };
    let place = Rect::from_min_size(
        pos2(rect.right() - 84.0, rect.top() + 23.0),
        vec2(70.0, 26.0),
    );
    sparkline(ui.painter(), place, &values, max * 1.1, [color, theme.bg1]);
}

/// The slices up to the playhead, as many as a sparkline shows.
fn recent(lanes: &Lanes, now_ns: u64) -> &[Slice] {
    if lanes.slice_ns == 0 {
        return &[];
    }
    let reached = usize::try_from(now_ns / lanes.slice_ns).unwrap_or(usize::MAX);
    let end = reached.saturating_add(1).min(lanes.slices.len());
    let begin = end.saturating_sub(PLOT_SLICES);
    lanes.slices.get(begin..end).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_never_looks_past_the_playhead() {
        let lanes = Lanes {
            slice_ns: 10,
            slices: (0..100)
                .map(|active| Slice {
                    active,
                    ..Slice::default()
                })
                .collect(),
            ..Lanes::default()
        };
        let seen = |now| -> Vec<u32> { recent(&lanes, now).iter().map(|s| s.active).collect() };
        assert_eq!(seen(25), [0, 1, 2]);
        assert_eq!(seen(500).len(), PLOT_SLICES);
        assert_eq!(seen(500).last(), Some(&50));
        assert_eq!(seen(u64::MAX).last(), Some(&99));
    }
}
