//! Text at an exact place, known to screen readers and tests by its words.
//!
//! Belongs here: laying out and painting one line. Does not belong here: widgets that react.

use egui::text::{LayoutJob, TextFormat, TextWrapping};
use egui::{Color32, FontId, Galley, Pos2, Rect, Sense, Ui, WidgetInfo, WidgetType, pos2};
use std::sync::Arc;

/// Which end of the line stands at the given place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// The line begins there.
    Left,
    /// The line is centred on it.
    Center,
    /// The line ends there.
    Right,
}

/// Face and colour of a line.
#[derive(Clone, Debug)]
pub(crate) struct Ink {
    pub(crate) font: FontId,
    pub(crate) color: Color32,
    spacing: f32,
}

impl Ink {
    pub(crate) fn new(font: FontId, color: Color32) -> Self {
        Self {
            font,
            color,
            spacing: 0.0,
        }
    }

    /// Letters closer together by this share of the type size: for large type.
    pub(crate) fn tight(mut self, share: f32) -> Self {
        self.spacing = -share * self.font.size;
        self
    }
}

/// Half the height of a capital letter, as a share of the type size; both faces agree on it.
const HALF_CAPITAL: f32 = 0.364;

/// A line whose baseline is at `at.y`; answers with the room it takes.
pub(crate) fn text(ui: &Ui, at: Pos2, align: Align, ink: &Ink, words: &str) -> Rect {
    put(
        ui,
        at,
        align,
        layout(ui, words, ink, f32::INFINITY),
        ink.color,
    )
}

/// A line whose capitals are centred on `at.y`.
pub(crate) fn text_mid(ui: &Ui, at: Pos2, align: Align, ink: &Ink, words: &str) -> Rect {
    let baseline = pos2(at.x, at.y + HALF_CAPITAL * ink.font.size);
    text(ui, baseline, align, ink, words)
}

/// Like [`text_mid`], cut with an ellipsis where it would be wider than `width`.
pub(crate) fn text_within(
    ui: &Ui,
    at: Pos2,
    align: Align,
    ink: &Ink,
    words: &str,
    width: f32,
) -> Rect {
    let baseline = pos2(at.x, at.y + HALF_CAPITAL * ink.font.size);
    put(
        ui,
        baseline,
        align,
        layout(ui, words, ink, width),
        ink.color,
    )
}

/// Like [`text_within`], without a name of its own: for words inside a widget that has one.
pub(crate) fn silent(ui: &Ui, at: Pos2, align: Align, ink: &Ink, words: &str, width: f32) -> Rect {
    let galley = layout(ui, words, ink, width);
    let baseline = pos2(at.x, at.y + HALF_CAPITAL * ink.font.size);
    let rect = place(baseline, align, &galley);
    ui.painter().galley(rect.min, galley, ink.color);
    rect
}

/// Width of a line.
pub(crate) fn text_width(ui: &Ui, font: &FontId, words: &str) -> f32 {
    ui.fonts_mut(|fonts| {
        fonts
            .layout_no_wrap(words.to_owned(), font.clone(), Color32::PLACEHOLDER)
            .size()
            .x
    })
}

fn layout(ui: &Ui, words: &str, ink: &Ink, width: f32) -> Arc<Galley> {
    let mut job = LayoutJob::single_section(
        words.to_owned(),
        TextFormat {
            font_id: ink.font.clone(),
            color: ink.color,
            extra_letter_spacing: ink.spacing,
            ..TextFormat::default()
        },
    );
    if width.is_finite() {
        job.wrap = TextWrapping::truncate_at_width(width);
    }
    ui.fonts_mut(|fonts| fonts.layout_job(job))
}

fn put(ui: &Ui, at: Pos2, align: Align, galley: Arc<Galley>, color: Color32) -> Rect {
    let rect = place(at, align, &galley);
    if ui.is_rect_visible(rect) {
        let words = galley.text().to_owned();
        let id = ui.id().with((&words, rect.min.x as i32, rect.min.y as i32));
        ui.interact(rect, id, Sense::hover())
            .widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, &words));
        ui.painter().galley(rect.min, galley, color);
    }
    rect
}

fn place(at: Pos2, align: Align, galley: &Galley) -> Rect {
    let size = galley.size();
    let left = match align {
        Align::Left => at.x,
        Align::Center => at.x - size.x / 2.0,
        Align::Right => at.x - size.x,
    };
    let baseline = galley
        .rows
        .first()
        .and_then(|row| row.glyphs.first())
        .map_or(size.y, |glyph| glyph.pos.y);
    // Whole points keep stems sharp and digits in place from frame to frame.
    Rect::from_min_size(pos2(left.round(), (at.y - baseline).round()), size)
}
