//! The start screen: open a recording, run a scenario, attach to a running backend.
//!
//! Belongs here: cards, lists, text boxes and display settings. Does not belong here: opening.

mod art;
mod lists;
mod side;

use crate::panels::widgets::{Button, Look, draw_key, key_width};
use crate::panels::{Align, Ink, format, text_mid, text_within, theme_of};
use crate::theme::icons;
use crate::theme::{Badge, Theme, marks, size, text as face};
use crate::view::{Action, Mode, View};
use egui::text::{LayoutJob, TextFormat};
use egui::{
    Id, Key, Margin, Panel, Rect, ScrollArea, Sense, Stroke, StrokeKind, TextEdit, Ui, UiBuilder,
    Vec2, WidgetInfo, WidgetType, pos2, vec2,
};
use std::path::PathBuf;

const SIDE_WIDTH: f32 = 344.0;
/// Under this width the side column stands below the lists.
const SIDE_FROM: f32 = 1200.0;
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
    let has_side = window.width() >= SIDE_FROM;
    if has_side {
        let shown = Panel::right("welcome-side")
            .exact_size(SIDE_WIDTH)
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
                memory.shows_scenarios = lists::scenarios_ui(ui, view, theme, actions);
            } else {
                lists::recent_ui(ui, view, theme, actions);
            }
            if !has_side {
                ui.add_space(26.0);
                side::below_ui(ui, view.settings, theme, actions);
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
        &Ink::new(face::semibold(34.0), theme.t1).tight(0.025),
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
    let button = Button::new("Dismiss", Look::Ghost).height(28.0);
    let width = button.width(ui);
    let room = ui.available_width() - width - 66.0;
    let words = ui.painter().layout(
        notice.text.clone(),
        face::medium(size::TEXT_TITLE),
        theme.t1,
        room,
    );
    let height = words.size().y + 26.0;
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, &notice.text));
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
    let corner = pos2(rect.left() + 42.0, rect.top() + 13.0);
    ui.painter().galley(corner, words, theme.t1);
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
        &Ink::new(face::semibold(20.0), theme.t1).tight(0.015),
        card.title,
        key_left - left - 8.0,
    );
    let mut job = LayoutJob::single_section(
        card.words.to_owned(),
        TextFormat {
            line_height: Some(21.5),
            ..TextFormat::simple(face::regular(14.5), theme.t2)
        },
    );
    job.wrap.max_width = right - left;
    let words = painter.layout_job(job);
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
    let button = Button::new(label, look).height(38.0);
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
    let mut child = ui.new_child(UiBuilder::new().max_rect(inner));
    let response = child.add(
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
    let has_words = !words.trim().is_empty();
    if is_pressed && !has_words {
        ui.memory_mut(|memory| memory.request_focus(id));
    }
    (is_entered || is_pressed) && has_words
}
