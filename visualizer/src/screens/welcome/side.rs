//! The right column of the start screen: keys, and display settings.
//!
//! Belongs here: settings that concern the picture. Does not belong here: storing them.

use crate::panels::help::{KEYS, keys_ui};
use crate::panels::widgets::segmented;
use crate::panels::{Align, Ink, text_mid};
use crate::theme::{Theme, size, text as face};
use crate::view::{Action, PaletteChoice, Settings, ThemeChoice};
use egui::{Layout, ScrollArea, Sense, Stroke, Ui, UiBuilder, Vec2, pos2, vec2};

pub(super) fn side_ui(ui: &mut Ui, settings: Settings, theme: &Theme, actions: &mut Vec<Action>) {
    let height = ui.available_height();
    let is_tall = height >= 860.0;
    let lines = KEYS.len() as f32;
    let pitch = if is_tall {
        34.0
    } else {
        ((height - 330.0) / lines).clamp(21.0, 34.0)
    };
    let margin = egui::Margin {
        left: 32,
        right: 28,
        top: if is_tall { 88 } else { 24 },
        bottom: 16,
    };
    egui::Frame::new().inner_margin(margin).show(ui, |ui| {
        ui.spacing_mut().item_spacing = Vec2::ZERO;
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            title(ui, "Keyboard", theme);
            keys_ui(ui, pitch, theme);
            ui.add_space(if is_tall { 26.0 } else { 12.0 });
            let (line, _) = ui.allocate_exact_size(vec2(ui.available_width(), 1.0), Sense::hover());
            let stroke = Stroke::new(1.0, theme.line);
            ui.painter().hline(line.x_range(), line.center().y, stroke);
            ui.add_space(if is_tall { 20.0 } else { 12.0 });
            title(ui, "Display", theme);
            display(ui, settings, theme, actions);
        });
    });
}

/// The same without a column of its own, for narrow windows.
pub(super) fn below_ui(ui: &mut Ui, settings: Settings, theme: &Theme, actions: &mut Vec<Action>) {
    ui.columns(2, |columns| {
        title(&mut columns[0], "Display", theme);
        display(&mut columns[0], settings, theme, actions);
        title(&mut columns[1], "Keyboard", theme);
        keys_ui(&mut columns[1], 27.0, theme);
    });
}

fn title(ui: &mut Ui, words: &str, theme: &Theme) {
    let (row, _) = ui.allocate_exact_size(vec2(ui.available_width(), 36.0), Sense::hover());
    let at = pos2(row.left(), row.top() + 10.0);
    let ink = Ink::new(face::semibold(16.0), theme.t1);
    text_mid(ui, at, Align::Left, &ink, words);
}

fn display(ui: &mut Ui, settings: Settings, theme: &Theme, actions: &mut Vec<Action>) {
    let is_light = settings.theme == ThemeChoice::Light;
    let is_distinct = settings.palette == PaletteChoice::Distinct;
    let themes = ["Dark", "Light"];
    if let Some(index) = setting(ui, "Theme", &themes, Some(usize::from(is_light)), theme) {
        let chosen = [ThemeChoice::Dark, ThemeChoice::Light][index];
        actions.push(Action::SetSettings(Settings {
            theme: chosen,
            ..settings
        }));
    }
    let palettes = ["Standard", "Distinct"];
    if let Some(index) = setting(
        ui,
        "Colours",
        &palettes,
        Some(usize::from(is_distinct)),
        theme,
    ) {
        let chosen = [PaletteChoice::Standard, PaletteChoice::Distinct][index];
        actions.push(Action::SetSettings(Settings {
            palette: chosen,
            ..settings
        }));
    }
    let reduced = usize::from(settings.is_motion_reduced);
    if let Some(index) = setting(ui, "Reduce motion", &["Off", "On"], Some(reduced), theme) {
        actions.push(Action::SetSettings(Settings {
            is_motion_reduced: index == 1,
            ..settings
        }));
    }
}

fn setting(
    ui: &mut Ui,
    name: &str,
    choices: &[&str],
    selected: Option<usize>,
    theme: &Theme,
) -> Option<usize> {
    let (row, _) = ui.allocate_exact_size(vec2(ui.available_width(), 40.0), Sense::hover());
    let ink = Ink::new(face::regular(size::TEXT_TITLE), theme.t1);
    text_mid(ui, row.left_center(), Align::Left, &ink, name);
    let place = UiBuilder::new()
        .max_rect(row)
        .layout(Layout::right_to_left(egui::Align::Center))
        .id_salt(name);
    let font = face::medium(size::TEXT_ROW);
    ui.scope_builder(place, |ui| segmented(ui, choices, selected, &font, theme))
        .inner
}
