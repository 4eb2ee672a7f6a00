//! The keys: the one table that the start screen and the help window show.
//!
//! Belongs here: key names and words. Does not belong here: acting on keys (keys.rs).

use super::widgets::{draw_key, key_width};
use super::{Align, Ink, text_mid};
use crate::theme::{Theme, size, text as face};
use egui::{Context, Id, Key, Sense, Ui, pos2, vec2};

/// One line of the table: key caps, then words.
pub const KEYS: [(&[&str], &str); 16] = [
    (&["Space"], "Play or pause"),
    (&["J", "K", "L"], "Back, stop, forward"),
    (&["←", "→"], "Previous, next event"),
    (&["Shift", "→"], "Next hop of the selection"),
    (&["Alt", "→"], "Step 100 ms"),
    (&["Ctrl", "→"], "Step 1 s"),
    (&["1", "–", "5"], "Speed 0.25× to 5×"),
    (&["Home", "End"], "Start, end"),
    (&["I", "O"], "Loop in, loop out"),
    (&["M"], "Bookmark"),
    (&["N"], "Next error"),
    (&["0"], "Fit all"),
    (&["Z"], "Fit the selection"),
    (&["/"], "Filter"),
    (&["Esc"], "Close or clear"),
    (&["?"], "All shortcuts"),
];

/// Draws the table at the cursor, each line `pitch` high.
pub(crate) fn keys_ui(ui: &mut Ui, pitch: f32, theme: &Theme) {
    let words = Ink::new(face::regular(size::TEXT_NODE), theme.t2);
    let dash = Ink::new(face::regular(size::TEXT_NODE), theme.t3);
    for (keys, meaning) in KEYS {
        let (row, _) = ui.allocate_exact_size(vec2(ui.available_width(), pitch), Sense::hover());
        let y = row.center().y;
        let mut x = row.left();
        for key in keys {
            if *key == "–" {
                text_mid(ui, pos2(x, y), Align::Left, &dash, key);
                x += 13.0;
            } else {
                draw_key(ui, pos2(x, y), key, theme);
                x += key_width(ui, key) + 5.0;
            }
        }
        text_mid(
            ui,
            pos2(row.left() + 112.0, y),
            Align::Left,
            &words,
            meaning,
        );
    }
}

fn open_id() -> Id {
    Id::new("help-open")
}

/// Opens or closes the help window.
pub(crate) fn toggle(context: &Context) {
    let is_open = is_open(context);
    context.data_mut(|data| data.insert_temp(open_id(), !is_open));
}

fn is_open(context: &Context) -> bool {
    context.data(|data| data.get_temp(open_id()).unwrap_or(false))
}

/// The help window, where it is open; `?` opens it, Esc and a click outside close it.
pub(crate) fn help_ui(context: &Context, theme: &Theme) {
    let is_typing = context.egui_wants_keyboard_input();
    if !is_typing && context.input(|input| input.key_pressed(Key::Questionmark)) {
        toggle(context);
    }
    if !is_open(context) {
        return;
    }
    let frame = egui::Frame::new()
        .fill(theme.bg1)
        .stroke(egui::Stroke::new(1.0, theme.line2))
        .corner_radius(12.0)
        .inner_margin(24.0);
    let modal = egui::Modal::new(Id::new("help"))
        .frame(frame)
        .show(context, |ui| {
            ui.set_width(340.0);
            ui.spacing_mut().item_spacing = egui::Vec2::ZERO;
            let (title, _) = ui.allocate_exact_size(vec2(340.0, 36.0), Sense::hover());
            let ink = Ink::new(face::semibold(16.0), theme.t1);
            text_mid(
                ui,
                pos2(title.left(), title.top() + 10.0),
                Align::Left,
                &ink,
                "Keyboard",
            );
            keys_ui(ui, 29.0, theme);
        });
    if modal.should_close() {
        toggle(context);
    }
}
