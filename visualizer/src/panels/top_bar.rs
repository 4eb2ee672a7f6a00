//! The top bar: which program, which mode, which source, and what concerns all panels.
//!
//! Belongs here: mode, breadcrumb, search, theme, help. Does not belong here: transport (timeline).

use super::help;
use super::widgets::{Button, Look, icon_button, segmented, vertical_divider};
use super::{Align, Ink, filters, silent, text_mid, text_within, theme_of};
use crate::theme::icons::{self, Icon};
use crate::theme::{Theme, size, text as face};
use crate::view::{Action, Mode, Settings, ThemeChoice, View};
use egui::{Layout, Rect, Sense, Ui, Vec2, WidgetInfo, WidgetType, pos2, vec2};

const MODES: [(Mode, &str, &str); 3] = [
    (Mode::Replay, "Replay", "Recordings"),
    (Mode::Simulate, "Simulate", "Scenarios"),
    (Mode::Live, "Live", "Live systems"),
];

/// The bar over everything.
pub fn top_bar_ui(ui: &mut Ui, view: &View<'_>, actions: &mut Vec<Action>) {
    let theme = theme_of(view);
    let is_short = ui.available_width() < 1100.0;
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = 14.0;
        ui.add_space(size::PANEL_PAD);
        brand(ui, theme);
        vertical_divider(ui, theme);
        let mode = view.source.map(|source| source.mode);
        let selected = MODES.iter().position(|(item, ..)| Some(*item) == mode);
        let names = MODES.map(|(_, name, _)| name);
        let font = face::medium(size::TEXT_ROW);
        if let Some(index) = segmented(ui, &names, selected, &font, theme)
            && Some(index) != selected
        {
            crate::screens::remember_wish(ui.ctx(), MODES[index].0);
            actions.push(Action::Close);
        }
        breadcrumb(ui, view, theme, actions);
        ui.with_layout(Layout::right_to_left(egui::Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 8.0;
            ui.add_space(size::PANEL_PAD - 6.0);
            if icon_button(ui, Icon::Help, "Keyboard", "?", true, theme).clicked() {
                help::toggle(ui.ctx());
            }
            theme_button(ui, view.settings, theme, actions);
            let open = Button::new("Open", Look::Outline).icon(Icon::File);
            if open.short(is_short).show(ui, theme).clicked() {
                actions.push(Action::Close);
            }
            let find = Button::new("Find", Look::Ghost)
                .icon(Icon::Search)
                .keys(&["/"]);
            if find.short(is_short).show(ui, theme).clicked() {
                filters::focus_search(ui.ctx());
            }
        });
    });
}

fn brand(ui: &mut Ui, theme: &Theme) {
    let ink = Ink::new(face::semibold(14.5), theme.t1);
    let (rect, _) = ui.allocate_exact_size(vec2(92.0, 30.0), Sense::hover());
    let logo = Rect::from_min_size(pos2(rect.left(), rect.center().y - 11.0), Vec2::splat(22.0));
    icons::draw_logo(ui.painter(), logo, theme.t1);
    text_mid(
        ui,
        pos2(logo.right() + 9.0, rect.center().y),
        Align::Left,
        &ink,
        "Flowreel",
    );
}

fn breadcrumb(ui: &mut Ui, view: &View<'_>, theme: &Theme, actions: &mut Vec<Action>) {
    let Some(source) = view.source else {
        return;
    };
    let place = MODES
        .iter()
        .find(|(mode, ..)| *mode == source.mode)
        .map_or("", |(_, _, place)| place);
    let room = (ui.available_width() - 270.0).max(60.0);
    let (rect, _) = ui.allocate_exact_size(vec2(room, 30.0), Sense::hover());
    let y = rect.center().y;
    let quiet = Ink::new(face::regular(size::TEXT_BODY), theme.t2);
    let first = silent(ui, pos2(rect.left(), y), Align::Left, &quiet, place, room);
    let response = ui.interact(
        first.expand(4.0),
        ui.id().with("breadcrumb"),
        Sense::click(),
    );
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Link, true, place));
    if response
        .on_hover_cursor(egui::CursorIcon::PointingHand)
        .on_hover_text("Back to the start screen")
        .clicked()
    {
        crate::screens::remember_wish(ui.ctx(), source.mode);
        actions.push(Action::Close);
    }
    let slash = silent(
        ui,
        pos2(first.right() + 8.0, y),
        Align::Left,
        &quiet,
        "/",
        room,
    );
    let strong = Ink::new(face::semibold(size::TEXT_BODY), theme.t1);
    let left = slash.right() + 8.0;
    text_within(
        ui,
        pos2(left, y),
        Align::Left,
        &strong,
        &source.name,
        (rect.right() - left).max(0.0),
    );
}

fn theme_button(ui: &mut Ui, settings: Settings, theme: &Theme, actions: &mut Vec<Action>) {
    let (next, name) = match settings.theme {
        ThemeChoice::Dark => (ThemeChoice::Light, "Light theme"),
        ThemeChoice::Light => (ThemeChoice::Dark, "Dark theme"),
    };
    if icon_button(ui, Icon::Theme, name, "", true, theme).clicked() {
        actions.push(Action::SetSettings(Settings {
            theme: next,
            ..settings
        }));
    }
}
