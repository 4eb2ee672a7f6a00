//! What lies over the graph: legend, badges, notices, the narrow window's inspector.
//!
//! Belongs here: words and signs that explain the graph. Does not belong here: the graph.

use super::widgets::{Button, Look, badge_at, badge_width};
use super::{Align, Ink, help, inspector, silent, text_mid, text_width, theme_of};
use crate::theme::icons::Icon;
use crate::theme::{Badge, Flow, Theme, marks, size, text as face};
use crate::view::{Action, Filter, Mode, Progress, SelectionView, View};
use egui::{
    Align2, Area, Color32, Frame, Id, Order, Rect, Sense, Stroke, Ui, UiBuilder, pos2, vec2,
};

/// Draws over the graph, which fills `rect`; call it after the graph is drawn.
pub fn overlay_ui(ui: &mut Ui, rect: Rect, view: &View<'_>, actions: &mut Vec<Action>) {
    let theme = theme_of(view);
    if rect.is_positive() {
        ui.scope_builder(UiBuilder::new().max_rect(rect).id_salt("overlay"), |ui| {
            ui.set_clip_rect(rect);
            let covered = narrow_inspector(ui, rect, view, theme, actions);
            let free = Rect::from_min_max(rect.min, pos2(rect.right() - covered, rect.bottom()));
            let badges_left = badges(ui, free, view, theme);
            legend(ui, free, badges_left, theme);
            empty_states(ui, free, view, theme, actions);
            banner(ui, free, view, theme, actions);
        });
    }
    help::help_ui(ui.ctx(), theme);
}

/// In a narrow window the inspector lies over the graph's right side. Answers with its width.
fn narrow_inspector(
    ui: &Ui,
    rect: Rect,
    view: &View<'_>,
    theme: &Theme,
    actions: &mut Vec<Action>,
) -> f32 {
    const WIDTH: f32 = 300.0;
    let is_docked = !crate::screens::is_narrow(ui.ctx());
    if is_docked || matches!(view.selection, SelectionView::Nothing) {
        return 0.0;
    }
    Area::new(Id::new("narrow-inspector"))
        .order(Order::Middle)
        .pivot(Align2::RIGHT_TOP)
        .fixed_pos(rect.right_top())
        .show(ui.ctx(), |ui| {
            let frame = Frame::new()
                .fill(theme.bg1)
                .stroke(Stroke::new(1.0, theme.line));
            frame.show(ui, |ui| {
                ui.set_width(WIDTH - 2.0);
                ui.set_height(rect.height() - 2.0);
                inspector::inspector_ui(ui, view, actions);
            });
        });
    WIDTH
}

/// From right to left at the bottom; answers with where they begin.
fn badges(ui: &mut Ui, rect: Rect, view: &View<'_>, theme: &Theme) -> f32 {
    let mut right = rect.right() - 16.0;
    let y = rect.bottom() - 22.0;
    let mut put = |ui: &mut Ui, icon: Option<Icon>, words: &str, tip: &str| {
        let left = right - badge_width(ui, icon.is_some(), words);
        badge_at(ui, pos2(left, y), icon, words, theme.t1, theme).on_hover_text(tip);
        right = left - 8.0;
    };
    if view.is_not_to_scale {
        put(
            ui,
            Some(Icon::Clock),
            "Not to scale · hops slowed",
            "Hops shorter than 350 ms are drawn at 350 ms. The clock and all numbers are exact.",
        );
    }
    if view.sampled_one_in > 1 {
        put(
            ui,
            None,
            &format!("Sampled 1 in {}", view.sampled_one_in),
            "Too many requests move to draw each. Errors, retries and the selection are always drawn.",
        );
    }
    if let Some(source) = view.source
        && source.mode == Mode::Live
    {
        let words = match source.behind_s {
            Some(behind) => format!("Live · {behind:.1} s behind"),
            None => "Live".to_owned(),
        };
        put(
            ui,
            Some(Icon::Live),
            &words,
            "How far the newest event lies behind now.",
        );
    }
    right
}

/// Shapes and colours by name: in one row, or in two where the room is short.
fn legend(ui: &Ui, rect: Rect, end: f32, theme: &Theme) {
    const STATUSES: [Badge; 5] = [
        Badge::Idle,
        Badge::Processing,
        Badge::Waiting,
        Badge::Error,
        Badge::Offline,
    ];
    const GAP: f32 = 15.0;
    let ink = Ink::new(face::regular(size::TEXT_LABEL), theme.t2);
    let width = |words: &str| text_width(ui, &ink.font, words);
    let flows_width: f32 = Flow::LEGEND
        .iter()
        .map(|flow| 20.0 + width(flow.label()) + GAP)
        .sum();
    let statuses_width: f32 = STATUSES
        .iter()
        .map(|badge| 22.0 + width(badge.label()) + GAP)
        .sum();
    let left = rect.left() + 16.0;
    let bottom = rect.bottom() - 22.0;
    let room = end - left;
    let is_one_row = flows_width + GAP + statuses_width <= room;
    if !is_one_row && statuses_width > room {
        return;
    }
    let mut x = left;
    let y = if is_one_row { bottom } else { bottom - 24.0 };
    for flow in Flow::LEGEND {
        marks::draw_token_flat(ui.painter(), pos2(x + 7.0, y), 4.6, flow, theme);
        let words = text_mid(ui, pos2(x + 20.0, y), Align::Left, &ink, flow.label());
        x = words.right() + GAP;
    }
    if is_one_row {
        let stroke = Stroke::new(1.0, theme.line2);
        ui.painter().vline(x, y - 10.0..=y + 10.0, stroke);
        x += GAP;
    } else {
        x = left;
    }
    for badge in STATUSES {
        marks::draw_badge(ui.painter(), pos2(x + 8.0, bottom), 7.0, badge, 0.0, theme);
        let words = text_mid(ui, pos2(x + 22.0, bottom), Align::Left, &ink, badge.label());
        x = words.right() + GAP;
    }
}

fn empty_states(
    ui: &mut Ui,
    rect: Rect,
    view: &View<'_>,
    theme: &Theme,
    actions: &mut Vec<Action>,
) {
    let ink = Ink::new(face::regular(size::TEXT_TITLE), theme.t2);
    let at = pos2(rect.center().x, rect.bottom() - 74.0);
    if view.counts.total > 0 && view.counts.shown == 0 {
        let words = "No request matches.";
        let plate = Rect::from_center_size(at, vec2(320.0, 44.0));
        plate_behind(ui, plate, theme, theme.line2);
        let left = plate.left() + 16.0;
        text_mid(ui, pos2(left, at.y), Align::Left, &ink, words);
        let button = Button::new("Reset filters", Look::Outline).height(28.0);
        let width = button.width(ui);
        let place = Rect::from_center_size(
            pos2(plate.right() - 8.0 - width / 2.0, at.y),
            vec2(width, 28.0),
        );
        if button.show_at(ui, place, theme).clicked() {
            actions.push(Action::SetFilter(Filter::default()));
        }
    } else if view.topology.components.is_empty() {
        let words = match view.source.map(|source| &source.progress) {
            Some(Progress::Reading(Some(share))) => {
                format!("Reading events, {:.0}%", share * 100.0)
            }
            Some(Progress::Reading(None)) => "Waiting for the first events".to_owned(),
            _ => "No recording open. Open one, run a scenario, or attach to a live system."
                .to_owned(),
        };
        text_mid(ui, rect.center(), Align::Center, &ink, &words);
    }
}

fn plate_behind(ui: &Ui, plate: Rect, theme: &Theme, line: Color32) {
    ui.painter().rect(
        plate,
        size::RADIUS_BUTTON,
        theme.bg1,
        Stroke::new(1.0, line),
        egui::StrokeKind::Inside,
    );
}

/// One line at the top: a lost connection, a damaged file, or the last thing worth telling.
fn banner(ui: &mut Ui, rect: Rect, view: &View<'_>, theme: &Theme, actions: &mut Vec<Action>) {
    let progress = view.source.map(|source| &source.progress);
    let (words, is_error, action) = match (progress, view.notice) {
        (Some(Progress::Lost { cause, retry_in_s }), _) => {
            let words = format!("{cause} Retrying in {retry_in_s:.0} s.");
            (words, true, None)
        }
        (_, Some(notice)) => {
            let action = Some(("Dismiss", Action::DismissNotice));
            (notice.text.clone(), notice.is_error, action)
        }
        (Some(Progress::Broken { cause }), None) => (cause.clone(), true, None),
        _ => return,
    };
    let width = (rect.width() - 32.0).min(900.0);
    let ink = Ink::new(face::medium(size::TEXT_BODY), theme.t1);
    let button = action
        .as_ref()
        .map(|(name, _)| Button::new(name, Look::Ghost).height(28.0));
    let button_width = button.as_ref().map_or(0.0, |button| button.width(ui));
    let needed = text_width(ui, &ink.font, &words) + 60.0 + button_width;
    let plate = Rect::from_min_size(
        pos2(rect.left() + 16.0, rect.top() + 12.0),
        vec2(needed.min(width), 40.0),
    );
    let line = if is_error {
        theme.badge_fill(Badge::Error)
    } else {
        theme.line2
    };
    ui.interact(plate, ui.id().with("banner"), Sense::click_and_drag());
    plate_behind(ui, plate, theme, line);
    let badge = if is_error {
        Badge::Error
    } else {
        Badge::Healthy
    };
    let y = plate.center().y;
    marks::draw_badge(
        ui.painter(),
        pos2(plate.left() + 22.0, y),
        8.0,
        badge,
        0.0,
        theme,
    );
    let left = plate.left() + 40.0;
    let room = plate.right() - left - button_width - 12.0;
    let shown = silent(ui, pos2(left, y), Align::Left, &ink, &words, room);
    let response = ui.interact(shown, ui.id().with("banner-words"), Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::WidgetType::Label, true, &words));
    response.on_hover_text(&words);
    if let (Some(button), Some((_, action))) = (button, action) {
        let place = Rect::from_min_max(
            pos2(plate.right() - button_width - 6.0, y - 14.0),
            pos2(plate.right() - 6.0, y + 14.0),
        );
        if button.show_at(ui, place, theme).clicked() {
            actions.push(action);
        }
    }
}
