//! The lists below the cards: what was open before, and the scenarios that can be run.
//!
//! Belongs here: rows and what they open. Does not belong here: remembering them (session).

use crate::panels::widgets::{focus_ring, link};
use crate::panels::{Align, Ink, silent, text_mid, text_within};
use crate::theme::icons::{self, Icon};
use crate::theme::{Theme, size, text as face};
use crate::view::{Action, View};
use egui::{Rect, Sense, Stroke, Ui, Vec2, WidgetInfo, WidgetType, pos2, vec2};
use std::path::{Path, PathBuf};

/// Title of a list, with a word at its right end; true when that was pressed.
fn list_head(ui: &mut Ui, words: &str, end: Option<&str>, theme: &Theme) -> bool {
    let (row, _) = ui.allocate_exact_size(vec2(ui.available_width(), 30.0), Sense::hover());
    let at = pos2(row.left(), row.top() + 9.0);
    let ink = Ink::new(face::semibold(15.0), theme.t1);
    text_mid(ui, at, Align::Left, &ink, words);
    end.is_some_and(|end| {
        let at = pos2(row.right(), row.top() + 9.0);
        link(ui, at, Align::Right, end, theme).clicked()
    })
}

/// One row of a list; true when it was pressed.
fn list_row(ui: &mut Ui, icon: Icon, [name, words, end]: [&str; 3], theme: &Theme) -> bool {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 52.0), Sense::hover());
    let response = ui.interact(rect, ui.id().with(("row", name, end)), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, true, name));
    if response.hovered() {
        let inside = rect.expand2(vec2(10.0, -1.0));
        ui.painter()
            .rect_filled(inside, size::RADIUS_BUTTON, theme.bg1);
    }
    focus_ring(ui, &response, rect, size::RADIUS_BUTTON, theme);
    let stroke = Stroke::new(1.0, theme.line);
    ui.painter().hline(rect.x_range(), rect.top(), stroke);
    let y = rect.center().y;
    let square = Rect::from_center_size(pos2(rect.left() + 9.0, y), Vec2::splat(18.0));
    icons::draw(ui.painter(), square, icon, theme.t2);
    let strong = Ink::new(face::semibold(size::TEXT_TITLE), theme.t1);
    let left = rect.left() + 36.0;
    let shown = silent(
        ui,
        pos2(left, y),
        Align::Left,
        &strong,
        name,
        rect.width() * 0.5,
    );
    let quiet = Ink::new(face::regular(size::TEXT_NODE), theme.t2);
    let path_room = rect.width() * 0.4;
    let path = Ink::new(face::mono(size::TEXT_LABEL), theme.t3);
    let end_rect = text_within(
        ui,
        pos2(rect.right(), y),
        Align::Right,
        &path,
        end,
        path_room,
    );
    let left = shown.right() + 12.0;
    let room = (end_rect.left() - 12.0 - left).max(0.0);
    text_within(ui, pos2(left, y), Align::Left, &quiet, words, room);
    response
        .on_hover_cursor(egui::CursorIcon::PointingHand)
        .clicked()
}

fn close_list(ui: &mut Ui, theme: &Theme) {
    let (line, _) = ui.allocate_exact_size(vec2(ui.available_width(), 1.0), Sense::hover());
    ui.painter()
        .hline(line.x_range(), line.top(), Stroke::new(1.0, theme.line));
}

pub(super) fn recent_ui(ui: &mut Ui, view: &View<'_>, theme: &Theme, actions: &mut Vec<Action>) {
    let _nothing_at_the_end = list_head(ui, "Recent", None, theme);
    if view.recent.is_empty() {
        let (row, _) = ui.allocate_exact_size(vec2(ui.available_width(), 52.0), Sense::hover());
        ui.painter()
            .hline(row.x_range(), row.top(), Stroke::new(1.0, theme.line));
        let ink = Ink::new(face::regular(size::TEXT_TITLE), theme.t2);
        text_mid(
            ui,
            row.left_center(),
            Align::Left,
            &ink,
            "Nothing yet. Open a recording, run a scenario, or attach to a live system.",
        );
    }
    for item in view.recent {
        let is_address = item.input.starts_with("http://") || item.input.starts_with("https://");
        let path = Path::new(&item.input);
        let icon = if is_address {
            Icon::Live
        } else if path.extension().is_some_and(|ending| ending == "toml") {
            Icon::Flow
        } else {
            Icon::File
        };
        let name = if is_address {
            item.input.clone()
        } else {
            stem(path)
        };
        let place = if is_address { "" } else { item.input.as_str() };
        if list_row(ui, icon, [&name, &item.text, place], theme) {
            actions.push(if is_address {
                Action::Attach(item.input.clone())
            } else {
                Action::Open(PathBuf::from(&item.input))
            });
        }
    }
    close_list(ui, theme);
}

/// Answers with whether the list stays open.
pub(super) fn scenarios_ui(
    ui: &mut Ui,
    view: &View<'_>,
    theme: &Theme,
    actions: &mut Vec<Action>,
) -> bool {
    let is_closed = list_head(ui, "Scenarios", Some("Show recent"), theme);
    for path in view.scenarios {
        let name = stem(path);
        let place = path.to_string_lossy();
        if list_row(ui, Icon::Flow, [&name, "scenario", &place], theme) {
            actions.push(Action::Open(path.clone()));
        }
    }
    close_list(ui, theme);
    !is_closed
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(
        || path.to_string_lossy().into_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}
