//! One component: what its kind is asked about, its last minute, who is there now.
//!
//! Belongs here: which figures each kind shows. Does not belong here: working them out.

use crate::panels::plots::{bar, sparkline};
use crate::panels::sections::{key_value, section};
use crate::panels::widgets::{Button, Look, badge_at, badge_width, link};
use crate::panels::{Align, Ink, format, text_mid, text_within};
use crate::theme::icons::{self, Icon};
use crate::theme::{Badge, Theme, marks, size, text as face};
use crate::view::{Action, ComponentNumbers, Filter, Selection, View};
use egui::{Rect, Sense, Ui, Vec2, pos2, vec2};
use flowreel_engine::model::id::{ComponentId, RequestId};
use flowreel_engine::model::time::NS_PER_S;
use flowreel_engine::model::topology::{Component, ComponentKind};

const KEY_WIDTH: f32 = 124.0;
/// How far the plot looks back.
const PLOT_NS: u64 = 60 * NS_PER_S;

pub(super) fn component_ui(
    ui: &mut Ui,
    view: &View<'_>,
    id: ComponentId,
    requests: &[RequestId],
    theme: &Theme,
    actions: &mut Vec<Action>,
) {
    let (Some(component), Some(numbers)) =
        (view.topology.component(id), view.components.get(id.index()))
    else {
        return;
    };
    section(ui, "", theme, |ui| header(ui, component, numbers, theme));
    section(ui, "Now", theme, |ui| {
        if let Some(share) = load(component.kind, numbers) {
            load_bar(ui, component.kind, share, theme);
        }
        for (key, value) in facts(component, numbers, view) {
            key_value(ui, key, &value, KEY_WIDTH, theme);
        }
    });
    section(ui, "So far", theme, |ui| {
        for (key, value) in totals(numbers) {
            key_value(ui, key, &value, KEY_WIDTH, theme);
        }
    });
    section(ui, "Last 60 s, waiting and parked", theme, |ui| {
        plot(ui, view, id, component.kind, theme);
    });
    section(ui, "Here now", theme, |ui| {
        present(ui, view, id, requests, theme, actions);
    });
}

fn header(ui: &mut Ui, component: &Component, numbers: &ComponentNumbers, theme: &Theme) {
    let width = ui.available_width();
    let (row, _) = ui.allocate_exact_size(vec2(width, 28.0), Sense::hover());
    let y = row.center().y;
    let square = Rect::from_center_size(pos2(row.left() + 9.0, y), Vec2::splat(18.0));
    let icon = Icon::of_component(component.kind);
    icons::draw(
        ui.painter(),
        square,
        icon,
        theme.component_mark(component.kind),
    );
    let badge = Badge::from(numbers.status);
    let words_width = badge_width(ui, false, badge.label());
    let words_left = row.right() - words_width;
    badge_at(
        ui,
        pos2(words_left, y),
        None,
        badge.label(),
        theme.t2,
        theme,
    );
    let at = pos2(words_left - 15.0, y);
    marks::draw_badge(ui.painter(), at, 8.0, badge, 0.0, theme);
    text_within(
        ui,
        pos2(row.left() + 26.0, y),
        Align::Left,
        &Ink::new(face::semibold(size::TEXT_NUMBER), theme.t1),
        &component.label,
        words_left - 30.0 - row.left() - 26.0,
    );
    let (line, _) = ui.allocate_exact_size(vec2(width, 26.0), Sense::hover());
    let mut parts = vec![format::words(component.kind.name())];
    if let Some(port) = component.port {
        parts.push(format!("port {port}"));
    }
    parts.push(component.id.clone());
    text_within(
        ui,
        pos2(line.left(), line.bottom() - 8.0),
        Align::Left,
        &Ink::new(face::regular(size::TEXT_BODY), theme.t2),
        &parts.join(" · "),
        width,
    );
}

/// How full it is: depth against the alert limit, or the busy share of its servers.
fn load(kind: ComponentKind, numbers: &ComponentNumbers) -> Option<f32> {
    if kind == ComponentKind::Queue {
        let limit = numbers.alert_limit?;
        let depth = numbers.waiting + numbers.in_service;
        return Some(depth as f32 / (1.25 * limit.max(1) as f32));
    }
    numbers.utilization_ratio.map(|ratio| ratio as f32)
}

fn load_bar(ui: &mut Ui, kind: ComponentKind, share: f32, theme: &Theme) {
    let (slot, _) = ui.allocate_exact_size(vec2(ui.available_width(), 16.0), Sense::hover());
    let track = Rect::from_min_size(slot.min + vec2(0.0, 2.0), vec2(slot.width(), 6.0));
    let is_over = kind == ComponentKind::Queue && share > 0.8;
    let color = if is_over {
        theme.badge_fill(Badge::Error)
    } else {
        theme.component_fill(kind)
    };
    bar(ui.painter(), track, share, color, theme);
    if kind == ComponentKind::Queue {
        let x = track.left() + track.width() * 0.8;
        let tick = egui::Stroke::new(1.5, theme.t1);
        ui.painter()
            .vline(x, track.top() - 3.0..=track.bottom() + 3.0, tick);
    }
}

fn facts<'a>(
    component: &Component,
    numbers: &ComponentNumbers,
    view: &View<'a>,
) -> Vec<(&'a str, String)> {
    let rate = ("Completed", format::per_second(numbers.rate_per_s));
    let arriving = ("Arriving", format::per_second(numbers.arrival_rate_per_s));
    let service = ("Mean service", format::seconds(numbers.service_mean_s));
    let waiting_time = ("Mean wait", format::seconds(numbers.waiting_mean_s));
    let p95 = ("p95", format::seconds(numbers.sojourn_p95_s));
    let busy = ("Busy", busy(numbers));
    let waiting = ("Waiting", format::count(numbers.waiting));
    let errors = ("Error rate", format::percent_sign(numbers.error_ratio));
    let load = ("Load", format::percent_sign(numbers.utilization_ratio));
    match component.kind {
        ComponentKind::Clients => vec![("Sending", format::per_second(numbers.rate_per_s))],
        ComponentKind::Balancer => {
            let mut rows = vec![arriving, p95, errors];
            rows.extend(numbers.shares.iter().map(|(target, share)| {
                let name = view
                    .topology
                    .component(*target)
                    .map_or("-", |component| component.label.as_str());
                (
                    name,
                    format!("{} of picks", format::percent_sign(Some(*share))),
                )
            }));
            rows
        }
        ComponentKind::Queue | ComponentKind::Delay => {
            let mut rows = vec![waiting];
            if numbers.in_service > 0 || component.kind == ComponentKind::Delay {
                rows.push(("Parked", format::count(numbers.in_service)));
            }
            if let Some(oldest) = numbers.oldest_waiting_s {
                rows.push(("Oldest", format::seconds(Some(oldest))));
            }
            if let Some(due) = numbers.next_due_s {
                rows.push(("Next due in", format::seconds(Some(due))));
            }
            rows.extend([
                arriving,
                ("Leaving", format::per_second(numbers.rate_per_s)),
                waiting_time,
            ]);
            if let Some(limit) = numbers.alert_limit {
                rows.push(("Alert from", format::count(limit)));
            }
            rows
        }
        ComponentKind::Worker => {
            let limit = numbers.rate_limit_per_s;
            vec![
                rate,
                ("Limit", format::per_second(limit)),
                busy,
                service,
                p95,
                errors,
            ]
        }
        ComponentKind::Database => vec![("Operations", rate.1), busy, service, p95, errors],
        ComponentKind::Smtp | ComponentKind::Websocket | ComponentKind::External => {
            let success = numbers.error_ratio.map(|ratio| 1.0 - ratio);
            vec![
                rate,
                ("Success", format::percent_sign(success)),
                service,
                p95,
            ]
        }
        ComponentKind::Server | ComponentKind::Middleware | ComponentKind::Controller => {
            vec![
                rate,
                busy,
                load,
                waiting,
                waiting_time,
                service,
                p95,
                errors,
            ]
        }
    }
}

fn busy(numbers: &ComponentNumbers) -> String {
    let now = format::count(numbers.in_service);
    numbers.servers.map_or(now.clone(), |servers| {
        format!("{now} of {}", format::count(u64::from(servers)))
    })
}

/// Counts since the start; what never happened is left out, but for the first two.
fn totals(numbers: &ComponentNumbers) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("Arrived", format::count(numbers.arrived)),
        ("Completed", format::count(numbers.completed)),
    ];
    for (name, number) in [
        ("Failed", numbers.failed),
        ("Rejected", numbers.rejected),
        ("Abandoned", numbers.abandoned),
        ("Timed out", numbers.timed_out),
    ] {
        if number > 0 {
            rows.push((name, format::count(number)));
        }
    }
    rows
}

fn plot(ui: &mut Ui, view: &View<'_>, id: ComponentId, kind: ComponentKind, theme: &Theme) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 52.0), Sense::hover());
    let slice_ns = view.lanes.slice_ns.max(1);
    let end = usize::try_from(view.playback.now.0 / slice_ns).unwrap_or(usize::MAX);
    let begin = usize::try_from(view.playback.now.0.saturating_sub(PLOT_NS) / slice_ns)
        .unwrap_or(usize::MAX);
    let values: Vec<f32> = view
        .lanes
        .slices
        .iter()
        .skip(begin)
        .take((end + 1).saturating_sub(begin))
        .map(|slice| slice.depths.get(id.index()).copied().unwrap_or(0) as f32)
        .collect();
    let max = values.iter().copied().fold(0.0_f32, f32::max);
    let ink = Ink::new(face::mono(size::TEXT_SMALL), theme.t3);
    text_mid(
        ui,
        pos2(rect.right(), rect.top() + 6.0),
        Align::Right,
        &ink,
        &format!("max {}", format::count(max as u64)),
    );
    let place = Rect::from_min_max(pos2(rect.left(), rect.top() + 14.0), rect.max);
    let color = theme.component_mark(kind);
    sparkline(
        ui.painter(),
        place,
        &values,
        max.max(4.0) * 1.1,
        [color, theme.bg1],
    );
}

fn present(
    ui: &mut Ui,
    view: &View<'_>,
    id: ComponentId,
    requests: &[RequestId],
    theme: &Theme,
    actions: &mut Vec<Action>,
) {
    let width = ui.available_width();
    let is_only = view.filter.component == Some(id);
    let name = if is_only {
        "Show all requests"
    } else {
        "Show only requests through here"
    };
    let button = Button::new(name, Look::Outline).icon(Icon::Filter);
    if button.show(ui, theme).clicked() {
        actions.push(Action::SetFilter(Filter {
            component: (!is_only).then_some(id),
            ..view.filter.clone()
        }));
    }
    ui.add_space(8.0);
    if requests.is_empty() {
        let (row, _) = ui.allocate_exact_size(vec2(width, 22.0), Sense::hover());
        let ink = Ink::new(face::regular(size::TEXT_ROW), theme.t3);
        text_mid(
            ui,
            row.left_center(),
            Align::Left,
            &ink,
            "No request is here.",
        );
    }
    for row_of in requests.chunks(4) {
        let (row, _) = ui.allocate_exact_size(vec2(width, 24.0), Sense::hover());
        for (index, request) in row_of.iter().enumerate() {
            let x = row.left() + width / 4.0 * index as f32;
            let name = format::request(*request);
            let at = pos2(x, row.center().y);
            if link(ui, at, Align::Left, &name, theme).clicked() {
                actions.push(Action::Select(Selection::Request(*request)));
            }
        }
    }
}
