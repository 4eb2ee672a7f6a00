//! The widgets that several panels share: buttons, segments, check rows, sections.
//!
//! Belongs here: look and reaction of one widget. Does not belong here: what it is used for.

use super::{Align, Ink, silent, text_width, text_within};
use crate::theme::icons::{self, Icon};
use crate::theme::{Flow, Theme, marks, mixed, size, text as face};
use egui::{
    Color32, Pos2, Rect, Response, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo, WidgetType,
    pos2, vec2,
};

/// How loud a button is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The one thing to do here.
    Primary,
    /// One of several.
    Outline,
    /// Among others in a row.
    Ghost,
}

/// What a button shows; the label is also its name for tests and screen readers.
pub(crate) struct Button<'a> {
    pub(crate) icon: Option<Icon>,
    pub(crate) label: &'a str,
    pub(crate) keys: &'a [&'a str],
    pub(crate) look: Look,
    pub(crate) height: f32,
    pub(crate) is_enabled: bool,
    /// Too little room: icon and keys only, the label becomes the tooltip.
    pub(crate) is_short: bool,
}

impl<'a> Button<'a> {
    pub(crate) fn new(label: &'a str, look: Look) -> Self {
        Self {
            icon: None,
            label,
            keys: &[],
            look,
            height: 30.0,
            is_enabled: true,
            is_short: false,
        }
    }

    pub(crate) fn icon(mut self, icon: Icon) -> Self {
        self.icon = Some(icon);
        self
    }

    pub(crate) fn keys(mut self, keys: &'a [&'a str]) -> Self {
        self.keys = keys;
        self
    }

    pub(crate) fn height(mut self, height: f32) -> Self {
        self.height = height;
        self
    }

    pub(crate) fn enabled(mut self, is_enabled: bool) -> Self {
        self.is_enabled = is_enabled;
        self
    }

    pub(crate) fn short(mut self, is_short: bool) -> Self {
        self.is_short = is_short;
        self
    }

    fn font(&self) -> egui::FontId {
        let size = if self.height > 34.0 {
            size::TEXT_TITLE
        } else {
            size::TEXT_ROW
        };
        match self.look {
            Look::Primary => face::semibold(size),
            Look::Outline | Look::Ghost => face::medium(size),
        }
    }

    /// Width with everything in it.
    pub(crate) fn width(&self, ui: &Ui) -> f32 {
        let mut parts = Vec::new();
        if self.icon.is_some() {
            parts.push(15.0);
        }
        if !self.is_short || self.icon.is_none() {
            parts.push(text_width(ui, &self.font(), self.label));
        }
        for key in self.keys {
            parts.push(key_width(ui, key));
        }
        let gaps = 7.0 * (parts.len().saturating_sub(1)) as f32;
        let side = if self.height > 34.0 { 16.0 } else { 11.0 };
        (parts.iter().sum::<f32>() + gaps + 2.0 * side).ceil()
    }

    /// Draws it where the layout puts it.
    pub(crate) fn show(&self, ui: &mut Ui, theme: &Theme) -> Response {
        let (rect, _) = ui.allocate_exact_size(vec2(self.width(ui), self.height), Sense::hover());
        self.show_at(ui, rect, theme)
    }

    /// Draws it into a rectangle.
    pub(crate) fn show_at(&self, ui: &mut Ui, rect: Rect, theme: &Theme) -> Response {
        let id = ui.id().with(("button", self.label));
        let sense = if self.is_enabled {
            Sense::click()
        } else {
            Sense::hover()
        };
        let response = ui.interact(rect, id, sense);
        response
            .widget_info(|| WidgetInfo::labeled(WidgetType::Button, self.is_enabled, self.label));
        let is_hovered = self.is_enabled && response.hovered();
        let (fill, line, ink) = match self.look {
            Look::Primary => (
                if is_hovered { theme.t2 } else { theme.t1 },
                Color32::TRANSPARENT,
                theme.bg0,
            ),
            Look::Outline => (
                if is_hovered {
                    theme.bg3
                } else {
                    Color32::TRANSPARENT
                },
                theme.line2,
                theme.t1,
            ),
            Look::Ghost => (
                if is_hovered {
                    theme.bg3
                } else {
                    Color32::TRANSPARENT
                },
                Color32::TRANSPARENT,
                if is_hovered { theme.t1 } else { theme.t2 },
            ),
        };
        let ink = if self.is_enabled { ink } else { theme.t3 };
        let painter = ui.painter().clone();
        painter.rect(
            rect,
            size::RADIUS_BUTTON,
            fill,
            Stroke::new(1.0, line),
            StrokeKind::Inside,
        );
        focus_ring(ui, &response, rect, size::RADIUS_BUTTON, theme);
        let side = if self.height > 34.0 { 16.0 } else { 11.0 };
        let mut x = rect.left() + side;
        let y = rect.center().y;
        if let Some(icon) = self.icon {
            let square = Rect::from_center_size(pos2(x + 7.5, y), Vec2::splat(15.0));
            icons::draw(&painter, square, icon, ink);
            x += 22.0;
        }
        if !self.is_short || self.icon.is_none() {
            let ink = Ink::new(self.font(), ink);
            let words = silent(ui, pos2(x, y), Align::Left, &ink, self.label, f32::INFINITY);
            x += words.width() + 7.0;
        }
        for key in self.keys {
            x += draw_key(ui, pos2(x, y), key, theme) + 7.0;
        }
        if self.is_short {
            response.on_hover_text(self.label)
        } else {
            response
        }
    }
}

/// A square button with an icon; its name and key stand in the tooltip.
pub(crate) fn icon_button(
    ui: &mut Ui,
    icon: Icon,
    name: &str,
    key: &str,
    is_enabled: bool,
    theme: &Theme,
) -> Response {
    let sense = if is_enabled {
        Sense::click()
    } else {
        Sense::hover()
    };
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(32.0), sense);
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, is_enabled, name));
    if is_enabled && response.hovered() {
        ui.painter().rect_filled(rect, size::RADIUS_ICON, theme.bg3);
    }
    let ink = match (is_enabled, response.hovered()) {
        (false, _) => mixed(theme.t3, 0.5, theme.bg1),
        (true, true) => theme.t1,
        (true, false) => theme.t2,
    };
    focus_ring(ui, &response, rect, size::RADIUS_ICON, theme);
    let square = Rect::from_center_size(rect.center(), Vec2::splat(16.0));
    icons::draw(ui.painter(), square, icon, ink);
    let tip = if key.is_empty() {
        name.to_owned()
    } else {
        format!("{name}   {key}")
    };
    response.on_hover_text(tip)
}

/// One of several choices, side by side. Answers with the one that was pressed.
pub(crate) fn segmented(
    ui: &mut Ui,
    names: &[&str],
    selected: Option<usize>,
    font: &egui::FontId,
    theme: &Theme,
) -> Option<usize> {
    let side = if font.family == egui::FontFamily::Monospace {
        9.0
    } else {
        12.0
    };
    let strong = |is_on: bool| {
        if is_on && font.family != egui::FontFamily::Monospace {
            face::semibold(font.size)
        } else {
            font.clone()
        }
    };
    let widths: Vec<f32> = names
        .iter()
        .map(|name| (text_width(ui, &strong(true), name) + 2.0 * side).ceil())
        .collect();
    let total = widths.iter().sum::<f32>() + 6.0;
    let (rect, _) = ui.allocate_exact_size(vec2(total, 30.0), Sense::hover());
    ui.painter().rect(
        rect,
        size::RADIUS_BUTTON,
        theme.bg0,
        Stroke::new(1.0, theme.line),
        StrokeKind::Inside,
    );
    let mut pressed = None;
    let mut x = rect.left() + 3.0;
    for (index, (name, width)) in names.iter().zip(&widths).enumerate() {
        let part = Rect::from_min_size(pos2(x, rect.top() + 3.0), vec2(*width, 24.0));
        x += width;
        let is_on = selected == Some(index);
        let id = ui.id().with(("segment", *name));
        let response = ui.interact(part, id, Sense::click());
        response
            .widget_info(|| WidgetInfo::selected(WidgetType::SelectableLabel, true, is_on, *name));
        if is_on {
            ui.painter().rect_filled(part, 5.0, theme.bg3);
        }
        focus_ring(ui, &response, part, 5.0, theme);
        let ink = if is_on || response.hovered() {
            theme.t1
        } else {
            theme.t2
        };
        let ink = Ink::new(strong(is_on), ink);
        silent(ui, part.center(), Align::Center, &ink, name, f32::INFINITY);
        if response.clicked() {
            pressed = Some(index);
        }
    }
    pressed
}

/// A row with a check box, perhaps a token, a name and a count. Answers when it was pressed.
pub(crate) fn check_row(
    ui: &mut Ui,
    is_on: bool,
    flow: Option<Flow>,
    name: &str,
    count: &str,
    theme: &Theme,
) -> Response {
    let (rect, _) =
        ui.allocate_exact_size(vec2(ui.available_width(), size::ROW_HEIGHT), Sense::hover());
    let response = ui.interact(rect, ui.id().with(("check", name)), Sense::click());
    response.widget_info(|| WidgetInfo::selected(WidgetType::Checkbox, true, is_on, name));
    let y = rect.center().y;
    let painter = ui.painter().clone();
    let square = Rect::from_min_size(pos2(rect.left(), y - 7.5), Vec2::splat(15.0));
    let outline = if response.hovered() {
        theme.t3
    } else {
        theme.line2
    };
    draw_check(&painter, square, is_on, outline, theme);
    focus_ring(ui, &response, square, size::RADIUS_SMALL, theme);
    let mut x = square.right() + 8.0;
    if let Some(flow) = flow {
        marks::draw_token_flat(&painter, pos2(x + 7.0, y), 4.6, flow, theme);
        x += 22.0;
    }
    let (ink, number_ink) = if is_on {
        (theme.t1, theme.t2)
    } else {
        (theme.t3, theme.t3)
    };
    let number = text_within(
        ui,
        pos2(rect.right(), y),
        Align::Right,
        &Ink::new(face::mono(size::TEXT_LABEL), number_ink),
        count,
        f32::INFINITY,
    );
    let room = (number.left() - 8.0 - x).max(0.0);
    let ink = Ink::new(face::regular(size::TEXT_ROW), ink);
    silent(ui, pos2(x, y), Align::Left, &ink, name, room);
    response
}

fn draw_check(painter: &egui::Painter, square: Rect, is_on: bool, outline: Color32, theme: &Theme) {
    if is_on {
        painter.rect_filled(square, size::RADIUS_SMALL, theme.t1);
        let inner = Rect::from_center_size(square.center(), Vec2::splat(11.0));
        icons::draw(painter, inner, Icon::Check, theme.bg1);
    } else {
        painter.rect_stroke(
            square,
            size::RADIUS_SMALL,
            Stroke::new(1.5, outline),
            StrokeKind::Inside,
        );
    }
}

/// A small label with a frame; answers with its room. `right` is where it ends.
pub(crate) fn badge_at(
    ui: &mut Ui,
    left_middle: Pos2,
    icon: Option<Icon>,
    words: &str,
    ink: Color32,
    theme: &Theme,
) -> Response {
    let font = face::semibold(size::TEXT_SMALL);
    let width = badge_width(ui, icon.is_some(), words);
    let rect = Rect::from_min_size(pos2(left_middle.x, left_middle.y - 10.0), vec2(width, 20.0));
    let painter = ui.painter().clone();
    painter.rect(
        rect,
        size::RADIUS_BADGE,
        theme.bg1,
        Stroke::new(1.0, theme.line2),
        StrokeKind::Inside,
    );
    let mut x = rect.left() + 7.0;
    if let Some(icon) = icon {
        let square = Rect::from_center_size(pos2(x + 6.5, rect.center().y), Vec2::splat(13.0));
        icons::draw(&painter, square, icon, ink);
        x += 18.0;
    }
    let at = pos2(x, rect.center().y);
    silent(
        ui,
        at,
        Align::Left,
        &Ink::new(font, ink),
        words,
        f32::INFINITY,
    );
    let response = ui.interact(rect, ui.id().with(("badge", words)), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, words));
    response
}

/// Width of a badge.
pub(crate) fn badge_width(ui: &Ui, has_icon: bool, words: &str) -> f32 {
    let icon = if has_icon { 18.0 } else { 0.0 };
    (text_width(ui, &face::semibold(size::TEXT_SMALL), words) + 14.0 + icon).ceil()
}

/// Width of a key cap.
pub(crate) fn key_width(ui: &Ui, key: &str) -> f32 {
    (text_width(ui, &face::mono(11.0), key) + 12.0).ceil()
}

/// A key cap that begins at `left_middle`; answers with its width.
pub(crate) fn draw_key(ui: &Ui, left_middle: Pos2, key: &str, theme: &Theme) -> f32 {
    let width = key_width(ui, key);
    let rect = Rect::from_min_size(pos2(left_middle.x, left_middle.y - 9.5), vec2(width, 19.0));
    let painter = ui.painter();
    painter.rect(
        rect,
        size::RADIUS_SMALL,
        theme.bg0,
        Stroke::new(1.0, theme.line2),
        StrokeKind::Inside,
    );
    let ink = Ink::new(face::mono(11.0), theme.t2);
    silent(ui, rect.center(), Align::Center, &ink, key, f32::INFINITY);
    width
}

/// Where the keyboard is.
pub(crate) fn focus_ring(ui: &Ui, response: &Response, rect: Rect, radius: f32, theme: &Theme) {
    if response.has_focus() {
        ui.painter().rect_stroke(
            rect.expand(2.0),
            radius + 2.0,
            Stroke::new(size::STROKE_FOCUS, theme.selection),
            StrokeKind::Outside,
        );
    }
}

/// A short vertical divider in a row.
pub(crate) fn vertical_divider(ui: &mut Ui, theme: &Theme) {
    let (rect, _) = ui.allocate_exact_size(vec2(1.0, 20.0), Sense::hover());
    ui.painter().rect_filled(rect, 0.0, theme.line2);
}

/// A link-like word in running text.
pub(crate) fn link(ui: &mut Ui, at: Pos2, align: Align, words: &str, theme: &Theme) -> Response {
    let ink = Ink::new(face::regular(size::TEXT_ROW), theme.t1);
    let rect = silent(ui, at, align, &ink, words, f32::INFINITY);
    let response = ui.interact(
        rect.expand(3.0),
        ui.id().with(("link", words)),
        Sense::click(),
    );
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Link, true, words));
    let y = rect.bottom() - 1.0;
    ui.painter()
        .hline(rect.x_range(), y, Stroke::new(1.0, theme.t1));
    focus_ring(ui, &response, rect, 2.0, theme);
    response.on_hover_cursor(egui::CursorIcon::PointingHand)
}
