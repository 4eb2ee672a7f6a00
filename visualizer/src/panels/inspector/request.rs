//! One request: its times, its journey stage by stage, its retries, its payload.
//!
//! Belongs here: rows and their words. Does not belong here: the time axis (gantt).

use super::gantt::Gantt;
use crate::panels::widgets::{Button, Look, head, key_value, section};
use crate::panels::{Align, Ink, format, text, text_mid, text_within};
use crate::theme::icons::Icon;
use crate::theme::{Flow, Theme, faded, marks, size, text as face};
use crate::view::{Action, Journey, Retry, Stage, View};
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
const PLOT_WIDTH: f32 = 104.0;

/// What the inspector was asked to show.
pub(super) struct Shown<'a> {
    pub(super) journey: &'a Journey,
    pub(super) reached: usize,
    pub(super) is_followed: bool,
}

impl Shown<'_> {
    fn begun_stages(&self) -> &[Stage] {
        let end = self.reached.min(self.journey.stages.len());
        self.journey.stages.get(..end).unwrap_or(&[])
    }
}

pub(super) fn request_ui(
    ui: &mut Ui,
    view: &View<'_>,
    shown: &Shown<'_>,
    theme: &Theme,
    actions: &mut Vec<Action>,
) {
    section(ui, "", theme, |ui| header(ui, view, shown, theme, actions));
    section(ui, "", theme, |ui| times(ui, view, shown, theme));
    section(ui, "", theme, |ui| stages(ui, view, shown, theme, actions));
    let retries: Vec<&Retry> = shown
        .journey
        .retries
        .iter()
        .filter(|retry| retry.at <= view.playback.now)
        .collect();
    if !retries.is_empty() {
        section(ui, "Retries", theme, |ui| {
            for retry in retries {
                retry_row(ui, retry, theme);
            }
        });
    }
    if !shown.journey.payload.is_empty() {
        section(ui, "Payload", theme, |ui| {
            for (key, value) in &shown.journey.payload {
                key_value(ui, key, value, 92.0, theme);
            }
        });
    }
}

/// What the request is right now, as the graph draws it.
fn flow_now(shown: &Shown<'_>, now: TimeNs) -> Flow {
    let journey = shown.journey;
    if journey.finished.is_some_and(|at| at <= now) && journey.outcome != Outcome::Ok {
        return Flow::Failed;
    }
    match shown.begun_stages().last() {
        Some(stage) if stage.attempt > 1 => Flow::Retry,
        Some(stage) => flow_of(stage.channel),
        None => Flow::Plain,
    }
}

fn flow_of(channel: Channel) -> Flow {
    match channel {
        Channel::None => Flow::Plain,
        Channel::Email => Flow::Email,
        Channel::InApp => Flow::InApp,
    }
}

fn header(
    ui: &mut Ui,
    view: &View<'_>,
    shown: &Shown<'_>,
    theme: &Theme,
    actions: &mut Vec<Action>,
) {
    let now = view.playback.now;
    let width = ui.available_width();
    let (row, _) = ui.allocate_exact_size(vec2(width, 28.0), Sense::hover());
    let y = row.center().y;
    let flow = flow_now(shown, now);
    marks::draw_token_flat(ui.painter(), pos2(row.left() + 9.0, y), 5.9, flow, theme);
    text_mid(
        ui,
        pos2(row.left() + 26.0, y),
        Align::Left,
        &Ink::new(face::mono_semibold(size::TEXT_NUMBER), theme.t1),
        &format::request(shown.journey.request),
    );
    let (name, look) = if shown.is_followed {
        ("Following", Look::Primary)
    } else {
        ("Follow", Look::Outline)
    };
    let button = Button::new(name, look).icon(Icon::Follow).height(28.0);
    let place = Rect::from_min_max(pos2(row.right() - button.width(ui), row.top()), row.max);
    if button.show_at(ui, place, theme).clicked() {
        actions.push(Action::FollowSelection(!shown.is_followed));
    }
    let (line, _) = ui.allocate_exact_size(vec2(width, 26.0), Sense::hover());
    text_within(
        ui,
        pos2(line.left(), line.bottom() - 8.0),
        Align::Left,
        &Ink::new(face::regular(size::TEXT_BODY), theme.t2),
        &summary(view, shown),
        width,
    );
}

fn summary(view: &View<'_>, shown: &Shown<'_>) -> String {
    let journey = shown.journey;
    let mut parts = vec![format::words(view.topology.class_name(journey.class))];
    for (channel, word) in [(Channel::Email, "email"), (Channel::InApp, "in-app")] {
        if journey.stages.iter().any(|stage| stage.channel == channel) {
            parts.push(word.to_owned());
        }
    }
    let reached = shown.begun_stages();
    let attempt = reached.iter().map(|stage| stage.attempt).max().unwrap_or(0);
    if attempt > 1 {
        parts.push(format!("attempt {attempt}"));
    }
    let words = match journey.finished {
        Some(at) if at <= view.playback.now => match journey.outcome {
            Outcome::Ok => "delivered",
            Outcome::Rejected => "rejected",
            Outcome::Abandoned => "abandoned",
            Outcome::TimedOut => "timed out",
            Outcome::Cancelled => "cancelled",
            Outcome::Failed | Outcome::None => "failed",
        },
        _ if journey.begun > view.playback.now => "not begun yet",
        _ => "under way",
    };
    parts.push(words.to_owned());
    parts.join(" · ")
}

/// Time waited and served up to the playhead, each moment counted once per part.
fn split_times(stages: &[Stage], now: TimeNs) -> (u64, u64) {
    stages.iter().fold((0, 0), |(waiting, service), stage| {
        if stage.is_scheduled_delay {
            let stayed = stage.ended.unwrap_or(now).min(now).since_ns(stage.arrived);
            (waiting + stayed, service)
        } else {
            (
                waiting + stage.waiting_ns(now),
                service + stage.service_ns(now),
            )
        }
    })
}

fn times(ui: &mut Ui, view: &View<'_>, shown: &Shown<'_>, theme: &Theme) {
    let now = view.playback.now;
    let end = shown.journey.finished.map_or(now, |at| at.min(now));
    let elapsed = end.since_ns(shown.journey.begun);
    let (waiting, service) = split_times(shown.begun_stages(), now);
    let width = ui.available_width();
    let quiet = Ink::new(face::regular(size::TEXT_BODY), theme.t2);
    let (row, _) = ui.allocate_exact_size(vec2(width, 24.0), Sense::hover());
    let baseline = row.top() + 16.0;
    text(
        ui,
        pos2(row.left(), baseline),
        Align::Left,
        &quiet,
        "Elapsed",
    );
    text(
        ui,
        pos2(row.right(), baseline),
        Align::Right,
        &Ink::new(face::mono_semibold(size::TEXT_NUMBER), theme.t1),
        &format::duration_exact(elapsed),
    );
    let (slot, _) = ui.allocate_exact_size(vec2(width, 20.0), Sense::hover());
    let track = Rect::from_min_size(pos2(slot.left(), slot.top() + 4.0), vec2(width, 8.0));
    let painter = ui.painter();
    painter.rect_filled(track, 4.0, theme.bg3);
    let total = (waiting + service).max(1) as f32;
    if waiting + service > 0 {
        let split = track.left() + width * (waiting as f32 / total);
        // Neither part vanishes while it has any length at all.
        let least = |ns: u64| if ns > 0 { 6.0 } else { 0.0 };
        let split = split.clamp(
            track.left() + least(waiting),
            track.right() - least(service),
        );
        let wait = Rect::from_min_max(track.min, pos2(split, track.bottom()));
        marks::draw_hatch(painter, wait, faded(theme.waiting_hatch(), 0.8));
        let serve = Rect::from_min_max(pos2(split + 1.0, track.top()), track.max);
        if service > 0 {
            painter.rect_filled(serve, 3.0, theme.flow_mark(Flow::Email));
        }
    }
    let (row, _) = ui.allocate_exact_size(vec2(width, 18.0), Sense::hover());
    let y = row.center().y;
    let small = Ink::new(face::regular(size::TEXT_ROW), theme.t2);
    let number = Ink::new(face::mono_semibold(size::TEXT_LABEL), theme.t1);
    let word = text_mid(ui, pos2(row.left(), y), Align::Left, &small, "Waiting");
    let at = pos2(word.right() + 5.0, y);
    text_mid(
        ui,
        at,
        Align::Left,
        &number,
        &format::duration_exact(waiting),
    );
    let right = pos2(row.right(), y);
    let shown_time = text_mid(
        ui,
        right,
        Align::Right,
        &number,
        &format::duration_exact(service),
    );
    let at = pos2(shown_time.left() - 5.0, y);
    text_mid(ui, at, Align::Right, &small, "Service");
}

fn stages(
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
        ui.painter().rect_filled(whole, 0.0, faded(theme.bg3, 0.5));
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
    plot(ui, view, row, pos2(rect.left() + PLOT_LEFT, y), theme);
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
    if response
        .on_hover_cursor(egui::CursorIcon::PointingHand)
        .clicked()
    {
        actions.push(Action::Seek(stage.arrived));
    }
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

fn plot(ui: &Ui, view: &View<'_>, row: &Row<'_>, left_middle: egui::Pos2, theme: &Theme) {
    let painter = ui.painter();
    let y = left_middle.y;
    let track = left_middle.x..=left_middle.x + PLOT_WIDTH;
    painter.hline(track, y, Stroke::new(1.0, theme.line));
    if !row.place.is_reached() {
        return;
    }
    let stage = row.stage;
    let now = view.playback.now.0;
    let x =
        |at: u64| left_middle.x + (row.gantt.share_at(at.min(now)) * f64::from(PLOT_WIDTH)) as f32;
    let end = stage.ended.map_or(now, |ended| ended.0);
    let hatch = faded(theme.waiting_hatch(), 0.85);
    if stage.is_scheduled_delay {
        let stay = Rect::from_x_y_ranges(x(stage.arrived.0)..=x(end), y - 5.0..=y + 5.0);
        marks::draw_hatch(painter, stay, hatch);
        if row.gantt.is_folded(stage.arrived.0, end) {
            zigzag(ui, stay, theme);
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

fn zigzag(ui: &Ui, rect: Rect, theme: &Theme) {
    for shift in [-3.0, 2.0] {
        let x = rect.center().x + shift;
        let points = (0..5_u8)
            .map(|step| {
                let side = if step % 2 == 0 { -2.0 } else { 2.0 };
                pos2(x + side, rect.top() - 3.0 + 4.0 * f32::from(step))
            })
            .collect();
        let stroke = Stroke::new(1.2, theme.t2);
        ui.painter().add(Shape::line(points, stroke));
    }
}

fn retry_row(ui: &mut Ui, retry: &Retry, theme: &Theme) {
    let width = ui.available_width();
    let (row, _) = ui.allocate_exact_size(vec2(width, 22.0), Sense::hover());
    let y = row.center().y;
    marks::draw_token_flat(
        ui.painter(),
        pos2(row.left() + 7.0, y),
        4.6,
        Flow::Failed,
        theme,
    );
    let mono = Ink::new(face::mono(size::TEXT_LABEL), theme.t1);
    let number = format!("#{}", retry.attempt);
    let shown = text_mid(ui, pos2(row.left() + 22.0, y), Align::Left, &mono, &number);
    let mut words = if retry.code > 0 {
        retry.code.to_string()
    } else {
        "failed".to_owned()
    };
    match retry.delay_ns {
        Some(delay) => {
            words.push_str(", again in ");
            words.push_str(&format::duration_ns(delay));
        }
        None => words.push_str(", no further try"),
    }
    let time = text_mid(
        ui,
        pos2(row.right(), y),
        Align::Right,
        &Ink::new(face::mono(size::TEXT_LABEL), theme.t2),
        &retry.at.to_string(),
    );
    let left = shown.right() + 8.0;
    text_within(
        ui,
        pos2(left, y),
        Align::Left,
        &Ink::new(face::regular(size::TEXT_ROW), theme.t2),
        &words,
        (time.left() - 8.0 - left).max(0.0),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowreel_engine::model::id::{ComponentId, PartId};

    #[test]
    fn waiting_and_service_are_split_at_the_playhead() {
        let stage = Stage {
            number: 1,
            component: ComponentId(0),
            from: ComponentId::NONE,
            part: PartId(0),
            channel: Channel::Email,
            attempt: 1,
            arrived: TimeNs(100),
            started: Some(TimeNs(150)),
            ended: Some(TimeNs(300)),
            outcome: Outcome::Ok,
            is_scheduled_delay: false,
            code: 0,
        };
        let delay = Stage {
            is_scheduled_delay: true,
            arrived: TimeNs(300),
            started: Some(TimeNs(300)),
            ended: Some(TimeNs(800)),
            ..stage
        };
        assert_eq!(split_times(&[stage], TimeNs(120)), (20, 0));
        assert_eq!(split_times(&[stage], TimeNs(200)), (50, 50));
        assert_eq!(split_times(&[stage, delay], TimeNs(400)), (150, 150));
        assert_eq!(split_times(&[stage, delay], TimeNs(5000)), (550, 150));
    }
}
