//! The transport row: step, play, clock, speed, loop, bookmark, next error.
//!
//! Belongs here: buttons of the clock. Does not belong here: what the clock then does.

use crate::panels::widgets::{
    Button, Look, badge_at, badge_width, focus_ring, icon_button, segmented, vertical_divider,
};
use crate::panels::{Align, Ink, text, text_width, theme_of};
use crate::theme::icons::{self, Icon};
use crate::theme::{Theme, size, text as face};
use crate::view::{Action, Direction, Playback, View};
use egui::{Layout, Rect, Sense, Ui, Vec2, WidgetInfo, WidgetType, pos2, vec2};

const SPEED_NAMES: [&str; 5] = ["0.25×", "0.5×", "1×", "2×", "5×"];

/// Everything in the row.
pub(super) fn transport_ui(ui: &mut Ui, view: &View<'_>, actions: &mut Vec<Action>) {
    let theme = theme_of(view);
    let width = ui.available_width();
    let can_step_hop = matches!(view.selection, crate::view::SelectionView::Request { .. });
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        ui.add_space(12.0);
        let mut press = |ui: &mut Ui, icon, name, key, is_enabled, action| {
            if icon_button(ui, icon, name, key, is_enabled, theme).clicked() {
                actions.push(action);
            }
        };
        press(
            ui,
            Icon::Home,
            "To the start",
            "Home",
            true,
            Action::SeekStart,
        );
        let back = Action::StepHop(Direction::Back);
        press(
            ui,
            Icon::HopBack,
            "Previous hop",
            "Shift ←",
            can_step_hop,
            back,
        );
        let back = Action::StepEvent(Direction::Back);
        press(ui, Icon::EventBack, "Previous event", "←", true, back);
        ui.add_space(4.0);
        play(ui, view.playback, theme, actions);
        ui.add_space(4.0);
        let mut press = |ui: &mut Ui, icon, name, key, is_enabled, action| {
            if icon_button(ui, icon, name, key, is_enabled, theme).clicked() {
                actions.push(action);
            }
        };
        let forward = Action::StepEvent(Direction::Forward);
        press(ui, Icon::EventForward, "Next event", "→", true, forward);
        let forward = Action::StepHop(Direction::Forward);
        press(
            ui,
            Icon::HopForward,
            "Next hop",
            "Shift →",
            can_step_hop,
            forward,
        );
        press(ui, Icon::End, "To the end", "End", true, Action::SeekEnd);
        ui.add_space(10.0);
        clock(ui, view.playback, width, theme);
        state(ui, view, theme, actions);
        ui.with_layout(Layout::right_to_left(egui::Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            ui.add_space(12.0);
            tools(ui, view, width, theme, actions);
            ui.add_space(6.0);
            vertical_divider(ui, theme);
            ui.add_space(6.0);
            speed(ui, view.playback, width, theme, actions);
        });
    });
}

fn play(ui: &mut Ui, playback: Playback, theme: &Theme, actions: &mut Vec<Action>) {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(40.0), Sense::click());
    let (icon, name, action) = if playback.is_playing() {
        (Icon::Pause, "Pause", Action::Pause)
    } else {
        (Icon::Play, "Play", Action::Play)
    };
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, true, name));
    let fill = if response.hovered() {
        theme.t2
    } else {
        theme.t1
    };
    ui.painter().circle_filled(rect.center(), 20.0, fill);
    focus_ring(ui, &response, rect, 20.0, theme);
    let square = Rect::from_center_size(rect.center(), Vec2::splat(18.0));
    icons::draw(ui.painter(), square, icon, theme.bg1);
    if response.on_hover_text(format!("{name}   Space")).clicked() {
        actions.push(action);
    }
}

fn clock(ui: &mut Ui, playback: Playback, width: f32, theme: &Theme) {
    let big = Ink::new(face::mono_semibold(size::TEXT_CLOCK), theme.t1);
    let small = Ink::new(face::mono(size::TEXT_BODY), theme.t3);
    let now = playback.now.to_string();
    let end = format!("/ {}", playback.planned_end.max(playback.end));
    let now_width = text_width(ui, &big.font, &now);
    let has_end = width >= 1100.0;
    let end_width = if has_end {
        text_width(ui, &small.font, &end) + 8.0
    } else {
        0.0
    };
    let (rect, _) = ui.allocate_exact_size(vec2(now_width + end_width, 40.0), Sense::hover());
    let baseline = rect.center().y + 8.5;
    text(ui, pos2(rect.left(), baseline), Align::Left, &big, &now);
    if has_end {
        let at = pos2(rect.left() + now_width + 8.0, baseline);
        text(ui, at, Align::Left, &small, &end);
    }
}

fn state(ui: &mut Ui, view: &View<'_>, theme: &Theme, actions: &mut Vec<Action>) {
    let playback = view.playback;
    let is_live = view
        .source
        .is_some_and(|source| source.mode == crate::view::Mode::Live);
    let words = if playback.motion == crate::view::Motion::Backward {
        "Playing back"
    } else if playback.is_playing() {
        "Playing"
    } else if playback.is_at_end() && !is_live {
        "At end"
    } else {
        "Paused"
    };
    ui.add_space(6.0);
    let width = badge_width(ui, false, words);
    let (rect, _) = ui.allocate_exact_size(vec2(width, 20.0), Sense::hover());
    badge_at(ui, rect.left_center(), None, words, theme.t2, theme);
    if is_live && !playback.is_following_live {
        ui.add_space(4.0);
        let button = Button::new("Back to live", Look::Outline)
            .icon(Icon::Live)
            .height(28.0);
        if button.show(ui, theme).clicked() {
            actions.push(Action::FollowLive(true));
        }
    }
}

fn speed(ui: &mut Ui, playback: Playback, width: f32, theme: &Theme, actions: &mut Vec<Action>) {
    let selected = Playback::SPEEDS
        .iter()
        .position(|speed| (speed - playback.speed).abs() < 1e-9);
    let font = face::mono(size::TEXT_ROW);
    if let Some(index) = segmented(ui, &SPEED_NAMES, selected, &font, theme) {
        actions.push(Action::SetSpeed(Playback::SPEEDS[index]));
    }
    if width >= 1200.0 {
        ui.add_space(4.0);
        let ink = Ink::new(face::regular(size::TEXT_LABEL), theme.t3);
        let word = if selected.is_some() {
            "Speed".to_owned()
        } else {
            format!("Speed {}×", playback.speed)
        };
        let room = text_width(ui, &ink.font, &word);
        let (rect, _) = ui.allocate_exact_size(vec2(room, 20.0), Sense::hover());
        crate::panels::text_mid(ui, rect.left_center(), Align::Left, &ink, &word);
    }
}

/// From right to left: the layout runs that way.
fn tools(ui: &mut Ui, view: &View<'_>, width: f32, theme: &Theme, actions: &mut Vec<Action>) {
    let playback = view.playback;
    let is_short = width < 1480.0;
    let has_keys = width >= 1160.0;
    let keys = |keys: &'static [&'static str]| if has_keys { keys } else { &[] };
    let next = Button::new("Next error", Look::Ghost)
        .icon(Icon::Cross)
        .keys(keys(&["N"]))
        .short(is_short);
    if next.show(ui, theme).clicked() {
        actions.push(Action::SeekError(Direction::Forward));
    }
    let bookmark = Button::new("Bookmark", Look::Ghost)
        .icon(Icon::Bookmark)
        .keys(keys(&["M"]))
        .short(is_short);
    if bookmark.show(ui, theme).clicked() {
        actions.push(Action::ToggleBookmark);
    }
    let has_loop = playback.loop_in.is_some() || playback.loop_out.is_some();
    let look = if has_loop { Look::Outline } else { Look::Ghost };
    let name = match (playback.loop_in, playback.loop_out) {
        (None, None | Some(_)) => "Loop in",
        (Some(_), None) => "Loop out",
        (Some(_), Some(_)) => "Clear loop",
    };
    let loop_button = Button::new(name, look)
        .icon(Icon::Loop)
        .keys(keys(&["I", "O"]))
        .short(is_short);
    if loop_button.show(ui, theme).clicked() {
        match (playback.loop_in, playback.loop_out) {
            (None, None | Some(_)) => actions.push(Action::ToggleLoopIn),
            (Some(_), None) => actions.push(Action::ToggleLoopOut),
            (Some(_), Some(_)) => {
                actions.push(Action::ToggleLoopIn);
                actions.push(Action::ToggleLoopOut);
            }
        }
    }
    let look = if playback.is_step_mode {
        Look::Outline
    } else {
        Look::Ghost
    };
    let step = Button::new("Step mode", look)
        .icon(Icon::HopForward)
        .short(is_short);
    if step.show(ui, theme).clicked() {
        actions.push(Action::SetStepMode(!playback.is_step_mode));
    }
}
