//! One request: its times, its journey stage by stage, its retries, its payload.
//!
//! Belongs here: rows and their words. Does not belong here: the time axis (gantt).

use super::stages::stages_ui;
use crate::panels::sections::{key_value, section};
use crate::panels::widgets::{Button, Look};
use crate::panels::{Align, Ink, format, text, text_mid, text_within};
use crate::theme::icons::Icon;
use crate::theme::{Flow, Theme, marks, mixed, size, text as face};
use crate::view::{Action, Journey, Retry, Stage, View};
use egui::{Rect, Sense, Ui, pos2, vec2};
use flowreel_engine::model::event::Outcome;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Channel;

/// What the inspector was asked to show.
pub(super) struct Shown<'a> {
    pub(super) journey: &'a Journey,
    pub(super) reached: usize,
    pub(super) is_followed: bool,
}

impl Shown<'_> {
    pub(super) fn begun_stages(&self) -> &[Stage] {
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
    section(ui, "", theme, |ui| {
        stages_ui(ui, view, shown, theme, actions);
    });
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

/// Time served and time waited up to the playeach moment counted once: a moment in which
/// any part is being served counts as service, so that calls and parallel parts do not add up.
fn split_times(stages: &[Stage], now: TimeNs) -> (u64, u64) {
    let clip = |at: TimeNs| at.min(now).0;
    let mut served = Vec::new();
    let mut present = Vec::new();
    for stage in stages {
        let end = clip(stage.ended.unwrap_or(now));
        present.push((clip(stage.arrived), end));
        if let Some(started) = stage.started
            && !stage.is_scheduled_delay
        {
            served.push((clip(started).min(end), end));
        }
    }
    let service = covered(served);
    (covered(present) - service, service)
}

/// Length of what a set of stretches covers together.
fn covered(mut stretches: Vec<(u64, u64)>) -> u64 {
    stretches.sort_unstable();
    let (mut total, mut reached) = (0, 0);
    for (from, to) in stretches {
        total += to.saturating_sub(from.max(reached));
        reached = reached.max(to);
    }
    total
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
        marks::draw_hatch(painter, wait, mixed(theme.waiting_hatch(), 0.8, theme.bg3));
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
        // A call made inside the service adds nothing.
        let call = Stage {
            arrived: TimeNs(200),
            started: Some(TimeNs(220)),
            ended: Some(TimeNs(280)),
            ..stage
        };
        assert_eq!(split_times(&[stage, call], TimeNs(5000)), (50, 150));
    }
}
