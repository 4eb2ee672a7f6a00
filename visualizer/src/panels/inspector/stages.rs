//! The journey's rows: number, name, what happened there, its place in time, how long it took.
//!
//! Belongs here: one row per stage. Does not belong here: the time axis (gantt), sums (request).

use super::gantt::Gantt;
use super::request::Shown;
use crate::panels::sections::head;
use crate::panels::{Align, Ink, format, text_mid, text_within};
use crate::theme::{Flow, Theme, marks, mixed, size, text as face};
use crate::view::{Action, Stage, View};
use egui::{
    Color32, CornerRadius, Rect, Sense, Shape, Stroke, StrokeKind, Ui, WidgetInfo, WidgetType,
    pos2, vec2,
};
use flowreel_engine::model::event::Outcome;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::{Channel, ComponentKind};

const STAGE_ROW: f32 = 31.5;
const NAME_LEFT: f32 = 26.0;
const PLOT_LEFT: f32 = 140.0;
const PLOT_WIDTH_MAX: f32 = 104.0;
/// Room for the time right of the plot.
const TIME_ROOM: f32 = 68.0;

pub(super) fn stages_ui(
    ui: &mut Ui,
    view: &View<'_>,
    shown: &Shown<'_>,
    theme: &Theme,
    actions: &mut Vec<Action>,
) {
    let now = view.playback.now;
    let gantt = Gantt::new(shown.begun_stages(), now);
    let title = head(ui, "Journey", theme);
    if gantt.has_folds() {
        text_mid(
            ui,
            pos2(title.right(), title.top() + 8.0),
            Align::Right,
            &Ink::new(face::medium(size::TEXT_SMALL), theme.t3),
            "scheduled delay folded",
        );
    }
    let running = shown
        .begun_stages()
        .iter()
        .rposition(|stage| stage.ended.is_none_or(|ended| ended > now));
    for (index, stage) in shown.journey.stages.iter().enumerate() {
        let row = Row {
            stage,
            place: if running == Some(index) {
                Place::Running
            } else if index < shown.reached {
                Place::Reached
            } else if index == shown.reached {
                Place::Next
            } else {
                Place::Later
            },
            gantt: &gantt,
        };
        stage_row(ui, view, &row, theme, actions);
    }
}

/// Where a stage stands against the playhead.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Over, or begun beside the last one that runs.
    Reached,
    /// The last one that runs.
    Running,
    /// The first one to come.
    Next,
    /// To come after that.
    Later,
}

impl Place {
    fn is_reached(self) -> bool {
        matches!(self, Self::Reached | Self::Running)
    }
}

struct Row<'a> {
    stage: &'a Stage,
    place: Place,
    gantt: &'a Gantt,
}

fn stage_row(
    ui: &mut Ui,
    view: &View<'_>,
    row: &Row<'_>,
    theme: &Theme,
    actions: &mut Vec<Action>,
) {
    let stage = row.stage;
    let width = ui.available_width();
    let (rect, _) = ui.allocate_exact_size(vec2(width, STAGE_ROW), Sense::hover());
    let name = view
        .topology
        .component(stage.component)
        .map_or("-", |component| component.label.as_str());
    let whole = rect.expand2(vec2(size::PANEL_PAD, 0.0));
    let id = ui.id().with(("stage", stage.number, stage.arrived.0));
    let response = ui.interact(whole, id, Sense::click());
    let label = format!("{} {name}, go to {}", stage.number, stage.arrived);
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, true, &label));
    if row.place == Place::Running {
        ui.painter().rect_filled(whole, 0.0, theme.bg3);
    } else if response.hovered() {
        ui.painter()
            .rect_filled(whole, 0.0, mixed(theme.bg3, 0.5, theme.bg1));
    }
    let y = rect.center().y;
    visit_number(
        ui,
        pos2(rect.left() + 9.0, y),
        stage.number,
        row.place.is_reached(),
        theme,
    );
    let name_ink = if row.place.is_reached() {
        theme.t1
    } else {
        theme.t2
    };
    let (detail, detail_ink) = detail(view, row, theme);
    let room = PLOT_LEFT - NAME_LEFT - 6.0;
    text_within(
        ui,
        pos2(rect.left() + NAME_LEFT, y - 7.0),
        Align::Left,
        &Ink::new(face::medium(size::TEXT_BODY), name_ink),
        name,
        room,
    );
    text_within(
        ui,
        pos2(rect.left() + NAME_LEFT, y + 8.0),
        Align::Left,
        &Ink::new(face::regular(size::TEXT_SMALL), detail_ink),
        &detail,
        room,
    );
    let plot_width = (width - PLOT_LEFT - TIME_ROOM).clamp(40.0, PLOT_WIDTH_MAX);
    let place = Rect::from_min_size(
        pos2(rect.left() + PLOT_LEFT, rect.top()),
        vec2(plot_width, STAGE_ROW),
    );
    plot(ui, view, row, place, theme);
    let (time, time_ink) = if row.place.is_reached() {
        let until = stage.ended.unwrap_or(view.playback.now);
        let stayed = until.min(view.playback.now).since_ns(stage.arrived);
        (format::duration_ns(stayed), theme.t1)
    } else {
        (format::UNKNOWN.to_owned(), theme.t3)
    };
    text_mid(
        ui,
        pos2(rect.right(), y),
        Align::Right,
        &Ink::new(face::mono(size::TEXT_LABEL), time_ink),
        &time,
    );
    let tip = stage_tip(name, stage);
    if response
        .on_hover_cursor(egui::CursorIcon::PointingHand)
        .on_hover_text(tip)
        .clicked()
    {
        actions.push(Action::Seek(stage.arrived));
    }
}

/// Everything about a stage, exactly.
fn stage_tip(name: &str, stage: &Stage) -> String {
    let ended = stage
        .ended
        .map_or_else(|| "still there".to_owned(), |at| at.to_string());
    let end = stage.ended.unwrap_or(TimeNs::MAX);
    let mut lines = vec![
        name.to_owned(),
        format!("Arrived {}", stage.arrived),
        format!("Left {ended}"),
    ];
    if stage.ended.is_some() {
        let waited = format::duration_exact(stage.waiting_ns(end));
        lines.push(format!("Waited {waited}"));
        let served = format::duration_exact(stage.service_ns(end));
        lines.push(format!("Served {served}"));
        lines.push(format!("Ended {}", stage.outcome.name()));
    }
    lines.join("\n")
}

/// The number of a visit, as it also stands at the node.
fn visit_number(ui: &Ui, at: egui::Pos2, number: u16, is_reached: bool, theme: &Theme) {
    let painter = ui.painter();
    let ink = if is_reached {
        painter.circle_filled(at, 9.0, theme.selection);
        theme.bg0
    } else {
        let ring: Vec<egui::Pos2> = (0..=32_u8)
            .map(|step| {
                let angle = f32::from(step) / 32.0 * std::f32::consts::TAU;
                at + vec2(angle.cos(), angle.sin()) * 8.25
            })
            .collect();
        let stroke = Stroke::new(1.5, theme.t3);
        painter.extend(Shape::dashed_line(&ring, stroke, 3.0, 2.6));
        theme.t2
    };
    let type_size = if number > 99 { 9.0 } else { 11.0 };
    let ink = Ink::new(face::mono_semibold(type_size), ink);
    crate::panels::silent(ui, at, Align::Center, &ink, &number.to_string(), 18.0);
}

fn detail(view: &View<'_>, row: &Row<'_>, theme: &Theme) -> (String, Color32) {
    let stage = row.stage;
    if !row.place.is_reached() {
        let words = if row.place == Place::Next {
            "next"
        } else {
            "later"
        };
        return (words.to_owned(), theme.t3);
    }
    let now = view.playback.now;
    let has_ended = stage.ended.is_some_and(|ended| ended <= now);
    let attempt = (stage.attempt > 0).then(|| format!("attempt {}", stage.attempt));
    if has_ended && !matches!(stage.outcome, Outcome::Ok | Outcome::None) {
        let mut parts: Vec<String> = attempt.into_iter().collect();
        parts.push(if stage.code > 0 {
            stage.code.to_string()
        } else {
            stage.outcome.name().replace('-', " ")
        });
        return (parts.join(" · "), theme.error_text);
    }
    let kind = view
        .topology
        .component(stage.component)
        .map(|component| component.kind);
    let state = if stage.is_scheduled_delay {
        "scheduled delay"
    } else if !has_ended && stage.started.is_none_or(|started| started > now) {
        "waiting"
    } else if !has_ended {
        "running"
    } else if kind == Some(ComponentKind::Queue) {
        "waited"
    } else if stage.code > 0 {
        return (format!("reply {}", stage.code), theme.t3);
    } else {
        "done"
    };
    let words = match attempt {
        Some(attempt) if !stage.is_scheduled_delay => format!("{attempt} · {state}"),
        _ => state.to_owned(),
    };
    (words, theme.t3)
}

fn plot(ui: &Ui, view: &View<'_>, row: &Row<'_>, place: Rect, theme: &Theme) {
    let painter = ui.painter();
    let y = place.center().y;
    painter.hline(place.x_range(), y, Stroke::new(1.0, theme.line));
    if !row.place.is_reached() {
        return;
    }
    let stage = row.stage;
    let now = view.playback.now.0;
    let at_share = |share: f64| place.left() + (share * f64::from(place.width())) as f32;
    let x = |at: u64| at_share(row.gantt.share_at(at.min(now)));
    let end = stage.ended.map_or(now, |ended| ended.0);
    let hatch = mixed(theme.waiting_hatch(), 0.85, theme.bg1);
    if stage.is_scheduled_delay {
        let stay = Rect::from_x_y_ranges(x(stage.arrived.0)..=x(end), y - 5.0..=y + 5.0);
        marks::draw_hatch(painter, stay, hatch);
        for fold in row.gantt.folds_in(stage.arrived.0, end.min(now)) {
            zigzag(ui, pos2(at_share(fold), y), theme);
        }
        return;
    }
    let started = stage.started.map_or(end, |started| started.0).min(end);
    let wait = Rect::from_x_y_ranges(x(stage.arrived.0)..=x(started), y - 5.0..=y + 5.0);
    if wait.width() >= 1.5 {
        marks::draw_hatch(painter, wait, hatch);
        let outline = Stroke::new(1.0, theme.waiting_hatch());
        painter.rect_stroke(wait, CornerRadius::same(2), outline, StrokeKind::Inside);
    }
    if stage.started.is_some_and(|started| started.0 <= now) {
        let is_failed = end <= now && !matches!(stage.outcome, Outcome::Ok | Outcome::None);
        let flow = if is_failed {
            Flow::Failed
        } else if stage.channel == Channel::InApp {
            Flow::InApp
        } else {
            Flow::Email
        };
        let left = x(started);
        let right = x(end).max(left + 3.0);
        let serve = Rect::from_x_y_ranges(left..=right, y - 6.0..=y + 6.0);
        painter.rect_filled(serve, 2.0, theme.flow_mark(flow));
        if is_failed {
            marks::draw_token_flat(painter, pos2(right + 8.0, y), 4.0, Flow::Failed, theme);
        }
    }
}

fn zigzag(ui: &Ui, at: egui::Pos2, theme: &Theme) {
    for shift in [-3.0, 2.0] {
        let x = at.x + shift;
        let points = (0..5_u8)
            .map(|step| {
                let side = if step % 2 == 0 { -2.0 } else { 2.0 };
                pos2(x + side, at.y - 8.0 + 4.0 * f32::from(step))
            })
            .collect();
        let stroke = Stroke::new(1.2, theme.t2);
        ui.painter().add(Shape::line(points, stroke));
    }
}
