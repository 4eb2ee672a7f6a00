//! The start screen: open a recording, run a scenario, attach to a running backend.
//!
//! Belongs here: cards, lists, text boxes and display settings. Does not belong here: opening.

mod art;
mod side;

use crate::panels::widgets::{Button, Look, draw_key, focus_ring, key_width, link};
use crate::panels::{Align, Ink, format, silent, text_mid, text_within, theme_of};
use crate::theme::icons::{self, Icon};
use crate::theme::{Badge, Theme, marks, size, text as face};
use crate::view::{Action, Mode, View};
use egui::{
    Id, Key, Margin, Panel, Rect, ScrollArea, Sense, Stroke, StrokeKind, TextEdit, Ui, Vec2,
    WidgetInfo, WidgetType, pos2, vec2,
};
use std::path::{Path, PathBuf};

const SIDE_WIDTH: f32 = 344.0;
const CARD_GAP: f32 = 22.0;
const ART_HEIGHT: f32 = 164.0;
const CARD_HEIGHT: f32 = 338.0;

/// What the start screen remembers while it is open.
#[derive(Clone, Debug, Default)]
struct Memory {
    path: String,
    address: String,
    shows_scenarios: bool,
}

fn memory_id() -> Id {
    Id::new("welcome-memory")
}

/// The whole window.
pub(super) fn welcome_ui(ui: &mut Ui, view: &View<'_>, actions: &mut Vec<Action>) {
    let theme = theme_of(view);
    let mut memory = ui.data(|data| data.get_temp::<Memory>(memory_id()).unwrap_or_default());
    let wish = wish(ui);
    if wish == Some(Mode::Simulate) {
        memory.shows_scenarios = true;
    }
    let window = ui.ctx().content_rect();
    if window.width() >= 1000.0 {
        let shown = Panel::right("welcome-side")
            .exact_size(SIDE_WIDTH.min(window.width() * 0.3))
            .resizable(false)
            .show_separator_line(false)
            .frame(egui::Frame::new().fill(theme.bg1))
            .show(ui, |ui| side::side_ui(ui, view.settings, theme, actions));
        let rect = shown.response.rect;
        let stroke = Stroke::new(1.0, theme.line);
        ui.painter()
            .vline(rect.left() + 0.5, rect.y_range(), stroke);
    }
    let is_roomy = window.width() >= 1400.0 && window.height() >= 860.0;
    let frame = egui::Frame::new()
        .fill(theme.bg0)
        .inner_margin(if is_roomy {
            Margin {
                left: 72,
                right: 64,
                top: 84,
                bottom: 24,
            }
        } else {
            Margin::symmetric(36, 28)
        });
    egui::CentralPanel::no_frame().frame(frame).show(ui, |ui| {
        ui.spacing_mut().item_spacing = Vec2::ZERO;
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            title(ui, theme);
            ui.add_space(if is_roomy { 40.0 } else { 22.0 });
            notice(ui, view, theme, actions);
            cards(ui, view, &mut memory, wish, theme, actions);
            ui.add_space(if is_roomy { 42.0 } else { 26.0 });
            if memory.shows_scenarios {
                scenarios(ui, view, &mut memory, theme, actions);
            } else {
                recent(ui, view, theme, actions);
            }
        });
    });
    ui.data_mut(|data| data.insert_temp(memory_id(), memory));
}

/// What the last screen, or the keys O, S and A, ask for.
fn wish(ui: &Ui) -> Option<Mode> {
    let wish = ui.data_mut(|data| data.remove_temp::<Option<Mode>>(Id::new("welcome-wish")));
    let wish = wish.flatten();
    if ui.ctx().egui_wants_keyboard_input() {
        return wish;
    }
    let keys = [
        (Key::O, Mode::Replay),
        (Key::S, Mode::Simulate),
        (Key::A, Mode::Live),
    ];
    let pressed = ui.input(|input| {
        keys.into_iter()
            .find(|(key, _)| input.modifiers.is_none() && input.key_pressed(*key))
    });
    pressed.map(|(_, mode)| mode).or(wish)
}

fn title(ui: &mut Ui, theme: &Theme) {
    let (row, _) = ui.allocate_exact_size(vec2(ui.available_width(), 56.0), Sense::hover());
    let logo = Rect::from_min_size(pos2(row.left(), row.center().y - 24.0), Vec2::splat(48.0));
    icons::draw_logo(ui.painter(), logo, theme.t1);
    text_mid(
        ui,
        pos2(logo.right() + 18.0, row.center().y),
        Align::Left,
        &Ink::new(face::semibold(34.0), theme.t1),
        "Flowreel",
    );
    let (row, _) = ui.allocate_exact_size(vec2(ui.available_width(), 38.0), Sense::hover());
    text_within(
        ui,
        pos2(row.left(), row.bottom() - 12.0),
        Align::Left,
        &Ink::new(face::regular(19.0), theme.t2),
        "Record the performance. Replay any moment. Rehearse the next one.",
        row.width(),
    );
}

fn notice(ui: &mut Ui, view: &View<'_>, theme: &Theme, actions: &mut Vec<Action>) {
    let Some(notice) = view.notice else {
        return;
    };
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 44.0), Sense::hover());
    let (badge, line) = if notice.is_error {
        (Badge::Error, theme.badge_fill(Badge::Error))
    } else {
        (Badge::Healthy, theme.line2)
    };
    let stroke = Stroke::new(1.0, line);
    ui.painter().rect(
        rect,
        size::RADIUS_BUTTON,
        theme.bg1,
        stroke,
        StrokeKind::Inside,
    );
    let y = rect.center().y;
    marks::draw_badge(
        ui.painter(),
        pos2(rect.left() + 22.0, y),
        8.0,
        badge,
        0.0,
        theme,
    );
    let button = Button::new("Dismiss", Look::Ghost).height(28.0);
    let width = button.width(ui);
    text_within(
        ui,
        pos2(rect.left() + 42.0, y),
        Align::Left,
        &Ink::new(face::medium(size::TEXT_TITLE), theme.t1),
        &notice.text,
        rect.width() - width - 64.0,
    );
    let place = Rect::from_min_max(
        pos2(rect.right() - width - 8.0, y - 14.0),
        pos2(rect.right() - 8.0, y + 14.0),
    );
    if button.show_at(ui, place, theme).clicked() {
        actions.push(Action::DismissNotice);
    }
    ui.add_space(16.0);
}

/// One of the three ways in.
struct Card<'a> {
    mode: Mode,
    title: &'a str,
    words: &'a str,
    key: &'a str,
}

fn cards(
    ui: &mut Ui,
    view: &View<'_>,
    memory: &mut Memory,
    wish: Option<Mode>,
    theme: &Theme,
    actions: &mut Vec<Action>,
) {
    let cards = [
        Card {
            mode: Mode::Replay,
            title: "Open a recording",
            words: "Play, rewind and inspect every request. Or drop a file anywhere.",
            key: "O",
        },
        Card {
            mode: Mode::Simulate,
            title: "Run a scenario",
            words: "Simulate load, outages and retries from a ready-made list.",
            key: "S",
        },
        Card {
            mode: Mode::Live,
            title: "Attach to live",
            words: "Watch a running backend. Read only, nothing is sent to it.",
            key: "A",
        },
    ];
    let (row, _) = ui.allocate_exact_size(vec2(ui.available_width(), CARD_HEIGHT), Sense::hover());
    let width = (row.width() - 2.0 * CARD_GAP) / 3.0;
    for (index, card) in cards.iter().enumerate() {
        let left = row.left() + (width + CARD_GAP) * index as f32;
        let rect = Rect::from_min_size(pos2(left, row.top()), vec2(width, CARD_HEIGHT));
        let form = card_frame(ui, rect, card, theme);
        match card.mode {
            Mode::Replay => {
                let hint = "path/to/run.reel";
                let button = ("Open file", Look::Primary);
                let is_wished = wish == Some(Mode::Replay);
                if field(
                    ui,
                    form,
                    &mut memory.path,
                    [hint, "Recording or scenario file"],
                    button,
                    is_wished,
                    theme,
                ) {
                    actions.push(Action::Open(PathBuf::from(memory.path.trim())));
                }
            }
            Mode::Simulate => {
                let count = view.scenarios.len();
                let words = if memory.shows_scenarios {
                    "Show recent".to_owned()
                } else {
                    format!(
                        "Browse {}",
                        format::counted(count as u64, "scenario", "scenarios")
                    )
                };
                let button = Button::new(&words, Look::Outline)
                    .height(38.0)
                    .enabled(count > 0);
                let place = Rect::from_min_size(form.min, vec2(button.width(ui), 38.0));
                if button.show_at(ui, place, theme).clicked() {
                    memory.shows_scenarios = !memory.shows_scenarios;
                }
            }
            Mode::Live => {
                let hint = "http://127.0.0.1:8000";
                let button = ("Attach", Look::Outline);
                let is_wished = wish == Some(Mode::Live);
                if field(
                    ui,
                    form,
                    &mut memory.address,
                    [hint, "Address of a backend"],
                    button,
                    is_wished,
                    theme,
                ) {
                    actions.push(Action::Attach(memory.address.trim().to_owned()));
                }
            }
        }
    }
}

/// Everything of a card but its form; answers with the room for that.
fn card_frame(ui: &Ui, rect: Rect, card: &Card<'_>, theme: &Theme) -> Rect {
    let line = if card.mode == Mode::Replay {
        theme.t2
    } else {
        theme.line
    };
    let painter = ui.painter();
    painter.rect_filled(rect, size::RADIUS_CARD, theme.bg1);
    let art_rect = Rect::from_min_size(rect.min, vec2(rect.width(), ART_HEIGHT));
    let round = egui::CornerRadius {
        nw: 14,
        ne: 14,
        sw: 0,
        se: 0,
    };
    painter.rect_filled(art_rect, round, theme.bg0);
    painter.hline(
        rect.x_range(),
        art_rect.bottom(),
        Stroke::new(1.0, theme.line),
    );
    art::draw(painter, art_rect, card.mode, theme);
    painter.rect_stroke(
        rect,
        size::RADIUS_CARD,
        Stroke::new(1.0, line),
        StrokeKind::Inside,
    );
    let left = rect.left() + 24.0;
    let right = rect.right() - 24.0;
    let y = art_rect.bottom() + 32.0;
    let key_left = right - key_width(ui, card.key);
    draw_key(ui, pos2(key_left, y), card.key, theme);
    text_within(
        ui,
        pos2(left, y),
        Align::Left,
        &Ink::new(face::semibold(20.0), theme.t1),
        card.title,
        key_left - left - 8.0,
    );
    let words = painter.layout(
        card.words.to_owned(),
        face::regular(14.5),
        theme.t2,
        right - left,
    );
    painter.galley(pos2(left, y + 20.0), words, theme.t2);
    Rect::from_min_max(
        pos2(left, rect.bottom() - 22.0 - 38.0),
        pos2(right, rect.bottom() - 22.0),
    )
}

/// A text box with its button; true when the button or Enter was pressed with words in the box.
fn field(
    ui: &mut Ui,
    rect: Rect,
    words: &mut String,
    [hint, name]: [&str; 2],
    (label, look): (&str, Look),
    is_wished: bool,
    theme: &Theme,
) -> bool {
    let button = Button::new(label, look)
        .height(38.0)
        .enabled(!words.trim().is_empty());
    let width = button.width(ui);
    let frame = Rect::from_min_max(rect.min, pos2(rect.right() - width - 10.0, rect.bottom()));
    let id = Id::new(name);
    let has_focus = ui.memory(|memory| memory.has_focus(id));
    let stroke = if has_focus {
        Stroke::new(size::STROKE_FOCUS, theme.selection)
    } else {
        Stroke::new(1.0, theme.line2)
    };
    ui.painter().rect(
        frame,
        size::RADIUS_BUTTON,
        theme.bg0,
        stroke,
        StrokeKind::Inside,
    );
    let inner = frame.shrink2(vec2(12.0, 10.0));
    let before = words.clone();
    let response = ui.put(
        inner,
        TextEdit::singleline(words)
            .id(id)
            .frame(egui::Frame::NONE)
            .margin(Margin::ZERO)
            .font(face::mono(size::TEXT_BODY))
            .hint_text(hint)
            .desired_width(inner.width()),
    );
    response.widget_info(|| {
        let mut info = WidgetInfo::text_edit(true, &before, words.as_str(), hint);
        info.label = Some(name.to_owned());
        info
    });
    if is_wished {
        response.request_focus();
    }
    let is_entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    let place = Rect::from_min_max(pos2(rect.right() - width, rect.top()), rect.max);
    let is_pressed = button.show_at(ui, place, theme).clicked();
    (is_entered || is_pressed) && !words.trim().is_empty()
}

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

fn recent(ui: &mut Ui, view: &View<'_>, theme: &Theme, actions: &mut Vec<Action>) {
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

fn scenarios(
    ui: &mut Ui,
    view: &View<'_>,
    memory: &mut Memory,
    theme: &Theme,
    actions: &mut Vec<Action>,
) {
    if list_head(ui, "Scenarios", Some("Show recent"), theme) {
        memory.shows_scenarios = false;
    }
    for path in view.scenarios {
        let name = stem(path);
        let place = path.to_string_lossy();
        if list_row(ui, Icon::Flow, [&name, "scenario", &place], theme) {
            actions.push(Action::Open(path.clone()));
        }
    }
    close_list(ui, theme);
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(
        || path.to_string_lossy().into_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}
