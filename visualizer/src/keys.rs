//! Which key means which action.
//!
//! Belongs here: the keyboard table. Does not belong here: what actions do, keys of one panel only.

use crate::view::{Action, Direction, Playback, Screen, Selection, View};
use egui::{Context, InputState, Key, Modifiers};

const STEP_FINE_NS: u64 = 100_000_000;
const STEP_COARSE_NS: u64 = 1_000_000_000;

/// Reads this frame's keys; none while a text box has focus.
pub fn read(context: &Context, view: &View, actions: &mut Vec<Action>) {
    if context.egui_wants_keyboard_input() || view.screen != Screen::Main {
        return;
    }
    context.input_mut(|input| {
        arrows(input, actions);
        transport(input, view, actions);
        camera(input, actions);
    });
}

fn pressed(input: &mut InputState, modifiers: Modifiers, key: Key) -> bool {
    input.consume_key(modifiers, key)
}

fn arrows(input: &mut InputState, actions: &mut Vec<Action>) {
    for (key, direction) in [
        (Key::ArrowLeft, Direction::Back),
        (Key::ArrowRight, Direction::Forward),
    ] {
        // Modified keys first: a plain one is taken with any modifier.
        if pressed(input, Modifiers::SHIFT, key) {
            actions.push(Action::StepHop(direction));
        } else if pressed(input, Modifiers::ALT, key) {
            actions.push(Action::StepTime(direction, STEP_FINE_NS));
        } else if pressed(input, Modifiers::COMMAND, key) {
            actions.push(Action::StepTime(direction, STEP_COARSE_NS));
        } else if pressed(input, Modifiers::NONE, key) {
            actions.push(Action::StepEvent(direction));
        }
    }
}

fn transport(input: &mut InputState, view: &View, actions: &mut Vec<Action>) {
    if pressed(input, Modifiers::SHIFT, Key::N) {
        actions.push(Action::SeekError(Direction::Back));
    }
    for (key, action) in [
        (Key::Space, Action::TogglePlay),
        (Key::J, Action::Shuttle(Direction::Back)),
        (Key::K, Action::Pause),
        (Key::L, Action::Shuttle(Direction::Forward)),
        (Key::Home, Action::SeekStart),
        (Key::End, Action::SeekEnd),
        (Key::N, Action::SeekError(Direction::Forward)),
        (Key::I, Action::ToggleLoopIn),
        (Key::O, Action::ToggleLoopOut),
        (Key::M, Action::ToggleBookmark),
    ] {
        if pressed(input, Modifiers::NONE, key) {
            actions.push(action);
        }
    }
    let digits = [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5];
    for (key, speed) in digits.into_iter().zip(Playback::SPEEDS) {
        if pressed(input, Modifiers::NONE, key) {
            actions.push(Action::SetSpeed(speed));
        }
    }
    if view.notice.is_some() && pressed(input, Modifiers::NONE, Key::Escape) {
        actions.push(Action::DismissNotice);
    }
}

fn camera(input: &mut InputState, actions: &mut Vec<Action>) {
    for (key, action) in [
        (Key::Num0, Action::FitAll),
        (Key::Z, Action::FitSelection),
        (Key::Plus, Action::Zoom(1.25)),
        (Key::Equals, Action::Zoom(1.25)),
        (Key::Minus, Action::Zoom(0.8)),
        (Key::Escape, Action::Select(Selection::Nothing)),
    ] {
        if pressed(input, Modifiers::NONE, key) {
            actions.push(action);
        }
    }
}
