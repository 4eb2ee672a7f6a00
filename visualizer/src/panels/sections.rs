//! Parts of a side panel: titled sections, small capitals, rows of name and value.
//!
//! Belongs here: how such a part is laid out. Does not belong here: what it tells, widgets.

use super::{Align, Ink, text_within};
use crate::theme::{Theme, size, text as face};
use egui::{Color32, Pos2, Rect, Sense, Stroke, Ui, pos2, vec2};

/// A titled part of a panel with a divider below it.
pub(crate) fn section<R>(
    ui: &mut Ui,
    title: &str,
    theme: &Theme,
    contents: impl FnOnce(&mut Ui) -> R,
) -> R {
    let inner = egui::Frame::new()
        .inner_margin(egui::Margin {
            left: 16,
            right: 16,
            top: 11,
            bottom: 9,
        })
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            if !title.is_empty() {
                head(ui, title, theme);
            }
            contents(ui)
        });
    let rect = inner.response.rect;
    ui.painter().hline(
        rect.x_range(),
        rect.bottom() - 0.5,
        Stroke::new(1.0, theme.line),
    );
    inner.inner
}

/// The small capitals above a list; answers with their row.
pub(crate) fn head(ui: &mut Ui, title: &str, theme: &Theme) -> Rect {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 22.0), Sense::hover());
    let ink = Ink::new(face::semibold(size::TEXT_SMALL), theme.t3);
    let at = pos2(rect.left(), rect.top() + 8.0);
    let job = egui::text::LayoutJob::single_section(
        title.to_uppercase(),
        egui::TextFormat {
            extra_letter_spacing: 0.45,
            ..egui::TextFormat::simple(ink.font.clone(), ink.color)
        },
    );
    let galley = ui.painter().layout_job(job);
    paint_mid(ui.painter(), at, &galley, ink.font.size, ink.color);
    rect
}

/// A name and a value in the number face.
pub(crate) fn key_value(ui: &mut Ui, key: &str, value: &str, key_width: f32, theme: &Theme) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 22.0), Sense::hover());
    let y = rect.center().y;
    text_within(
        ui,
        pos2(rect.left(), y),
        Align::Left,
        &Ink::new(face::regular(size::TEXT_ROW), theme.t3),
        key,
        key_width - 6.0,
    );
    text_within(
        ui,
        pos2(rect.left() + key_width, y),
        Align::Left,
        &Ink::new(face::mono(size::TEXT_LABEL), theme.t1),
        value,
        rect.width() - key_width,
    );
}

/// A laid-out line with its capitals centred on `at.y`.
fn paint_mid(
    painter: &egui::Painter,
    at: Pos2,
    galley: &std::sync::Arc<egui::Galley>,
    type_size: f32,
    color: Color32,
) {
    let baseline = galley
        .rows
        .first()
        .and_then(|row| row.glyphs.first())
        .map_or(galley.size().y, |glyph| glyph.pos.y);
    let corner = pos2(at.x.round(), (at.y + 0.364 * type_size - baseline).round());
    painter.galley(corner, galley.clone(), color);
}
