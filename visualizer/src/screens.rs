//! Which panels stand where: the start screen, and the graph with everything docked round it.
//!
//! Belongs here: docking and sizes by window size. Does not belong here: what a panel shows.

mod welcome;

use crate::panels::{filters, inspector, metrics_strip, theme_of, timeline, top_bar};
use crate::theme::size;
use crate::view::{Action, Mode, Screen, View};
use egui::{CentralPanel, Context, Frame, Id, Panel, Rect, Stroke, Ui};

/// Under this width the left panel is a rail and the inspector lies over the graph.
const NARROW: f32 = 1280.0;
/// Under this height the timeline shows one lane.
const LOW: f32 = 800.0;

/// Draws the open screen into the whole window; answers with the rectangle left for the graph.
pub fn show(ui: &mut Ui, view: &View<'_>, actions: &mut Vec<Action>) -> Option<Rect> {
    match view.screen {
        Screen::Welcome => {
            welcome::welcome_ui(ui, view, actions);
            crate::panels::help::help_ui(ui.ctx(), theme_of(view));
            None
        }
        Screen::Main => Some(main_screen(ui, view, actions)),
    }
}

/// True where the window is too narrow to dock both side panels.
pub(crate) fn is_narrow(context: &Context) -> bool {
    context.content_rect().width() < NARROW
}

/// Which card the start screen should open when it is shown next.
pub(crate) fn remember_wish(context: &Context, mode: Mode) {
    context.data_mut(|data| data.insert_temp(Id::new("welcome-wish"), Some(mode)));
}

fn main_screen(ui: &mut Ui, view: &View<'_>, actions: &mut Vec<Action>) -> Rect {
    let theme = theme_of(view);
    let window = ui.ctx().content_rect();
    let (is_narrow, is_low) = (window.width() < NARROW, window.height() < LOW);
    let frame = Frame::new().fill(theme.bg1);
    let top = |id: &'static str, height: f32| {
        Panel::top(id)
            .exact_size(height)
            .resizable(false)
            .show_separator_line(false)
            .frame(frame)
    };
    let divide = |ui: &Ui, rect: Rect| {
        let stroke = Stroke::new(1.0, theme.line);
        ui.painter()
            .hline(rect.x_range(), rect.bottom() - 0.5, stroke);
    };
    let shown = top("top-bar", size::TOP_BAR).show(ui, |ui| {
        top_bar::top_bar_ui(ui, view, actions);
    });
    divide(ui, shown.response.rect);
    let shown = top("metrics", size::METRICS).show(ui, |ui| {
        metrics_strip::metrics_strip_ui(ui, view);
    });
    divide(ui, shown.response.rect);

    // Each size class remembers its own drag edge.
    let (id, height) = if is_low {
        ("timeline-low", size::TIMELINE_SMALL)
    } else {
        ("timeline", size::TIMELINE)
    };
    let shown = Panel::bottom(id)
        .default_size(height)
        .size_range(116.0..=(window.height() * 0.5).max(116.0))
        .resizable(true)
        .show_separator_line(false)
        .frame(frame)
        .show(ui, |ui| timeline::timeline_ui(ui, view, actions));
    let rect = shown.response.rect;
    let stroke = Stroke::new(1.0, theme.line);
    ui.painter().hline(rect.x_range(), rect.top() + 0.5, stroke);

    if is_narrow {
        let shown = Panel::left("rail")
            .exact_size(size::LEFT_RAIL)
            .resizable(false)
            .show_separator_line(false)
            .frame(frame)
            .show(ui, |ui| filters::filters_rail_ui(ui, view, actions));
        let rect = shown.response.rect;
        ui.painter()
            .vline(rect.right() - 0.5, rect.y_range(), stroke);
    } else {
        let shown = Panel::left("filters")
            .default_size(size::LEFT)
            .size_range(200.0..=320.0)
            .resizable(true)
            .show_separator_line(false)
            .frame(frame)
            .show(ui, |ui| filters::filters_ui(ui, view, actions));
        let rect = shown.response.rect;
        ui.painter()
            .vline(rect.right() - 0.5, rect.y_range(), stroke);
        let shown = Panel::right("inspector")
            .default_size(size::RIGHT)
            .size_range(300.0..=480.0)
            .resizable(true)
            .show_separator_line(false)
            .frame(frame)
            .show(ui, |ui| inspector::inspector_ui(ui, view, actions));
        let rect = shown.response.rect;
        ui.painter()
            .vline(rect.left() + 0.5, rect.y_range(), stroke);
    }
    focus_by_key(ui.ctx());
    // The rest is the graph's: no panel, so that the pointer reaches it.
    CentralPanel::no_frame()
        .show(ui, |ui| ui.available_rect_before_wrap())
        .inner
}

/// `/` puts the keyboard into the filter box; it changes nothing that is played.
fn focus_by_key(context: &Context) {
    let is_pressed = context.input(|input| input.key_pressed(egui::Key::Slash));
    if is_pressed && !context.egui_wants_keyboard_input() {
        filters::focus_search(context);
    }
}
