//! The left panel: what the source is, and which requests are shown.
//!
//! Belongs here: source facts, filter box, check rows with counts. Does not belong here: applying
//! the filter. A narrow window folds the panel into a rail of icons that open it as a popup.

use super::sections::{key_value, section};
use super::widgets::{check_row, draw_key, link};
use super::{Align, Ink, format, silent, text, text_mid, text_within, theme_of};
use crate::theme::icons::{self, Icon};
use crate::theme::{Flow, Theme, size, text as face};
use crate::view::{Action, Filter, Progress, RequestResult, SourceInfo, View};
use egui::{
    Context, Id, Margin, Rect, ScrollArea, Sense, TextEdit, Ui, UiBuilder, Vec2, WidgetInfo,
    WidgetType, pos2, vec2,
};
use flowreel_engine::model::id::ClassId;
use flowreel_engine::model::topology::Channel;

/// Asks for the keyboard to go to the filter box, opening the rail where it is folded.
pub fn focus_search(context: &Context) {
    context.data_mut(|data| data.insert_temp(wish_id(), true));
}

fn wish_id() -> Id {
    Id::new("filters-wish")
}

fn search_id() -> Id {
    Id::new("filter-box")
}

/// The panel at full width.
pub fn filters_ui(ui: &mut Ui, view: &View<'_>, actions: &mut Vec<Action>) {
    let theme = theme_of(view);
    ui.spacing_mut().item_spacing = Vec2::ZERO;
    // What is shown stays in sight however long the lists are.
    egui::Panel::bottom("filters-shown")
        .resizable(false)
        .show_separator_line(false)
        .frame(
            egui::Frame::new()
                .fill(theme.bg1)
                .inner_margin(Margin::symmetric(16, 10)),
        )
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing = Vec2::ZERO;
            showing(ui, view, theme, actions);
        });
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        contents(ui, view, theme, actions);
    });
}

/// The panel folded into icons; each opens the whole panel beside the rail.
pub fn filters_rail_ui(ui: &mut Ui, view: &View<'_>, actions: &mut Vec<Action>) {
    let theme = theme_of(view);
    ui.spacing_mut().item_spacing = vec2(0.0, 4.0);
    ui.add_space(8.0);
    let response = ui
        .vertical_centered(|ui| {
            super::widgets::icon_button(ui, Icon::Filter, "Source and filters", "/", true, theme)
        })
        .inner;
    if !view.filter.is_empty() {
        let at = response.rect.right_top() + vec2(-6.0, 6.0);
        ui.painter().circle_filled(at, 3.0, theme.selection);
    }
    let is_wished = ui.data(|data| data.get_temp::<bool>(wish_id()).unwrap_or(false));
    let open = is_wished
        .then_some(egui::SetOpenCommand::Bool(true))
        .or(response.clicked().then_some(egui::SetOpenCommand::Toggle));
    egui::Popup::from_response(&response)
        .open_memory(open)
        .align(egui::RectAlign::RIGHT_START)
        .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside)
        .frame(
            egui::Frame::new()
                .fill(theme.bg1)
                .stroke(egui::Stroke::new(1.0, theme.line2))
                .corner_radius(12.0)
                .inner_margin(Margin::ZERO),
        )
        .show(|ui| {
            ui.set_width(size::LEFT);
            ui.spacing_mut().item_spacing = Vec2::ZERO;
            let height = ui.ctx().content_rect().height() - 200.0;
            ScrollArea::vertical().max_height(height).show(ui, |ui| {
                contents(ui, view, theme, actions);
            });
            egui::Frame::new()
                .inner_margin(Margin::symmetric(16, 10))
                .show(ui, |ui| showing(ui, view, theme, actions));
        });
}

fn contents(ui: &mut Ui, view: &View<'_>, theme: &Theme, actions: &mut Vec<Action>) {
    if let Some(source) = view.source {
        section(ui, "Source", theme, |ui| {
            source_facts(ui, view, source, theme);
        });
    }
    section(ui, "", theme, |ui| search(ui, view.filter, theme, actions));
    section(ui, "Channel", theme, |ui| {
        channels(ui, view, theme, actions);
    });
    if !view.topology.classes.is_empty() {
        section(ui, "Type", theme, |ui| classes(ui, view, theme, actions));
    }
    section(ui, "Outcome", theme, |ui| results(ui, view, theme, actions));
}

fn source_facts(ui: &mut Ui, view: &View<'_>, source: &SourceInfo, theme: &Theme) {
    let width = ui.available_width();
    let (name, _) = ui.allocate_exact_size(vec2(width, 24.0), Sense::hover());
    text_within(
        ui,
        pos2(name.left(), name.top() + 8.0),
        Align::Left,
        &Ink::new(face::semibold(size::TEXT_TITLE), theme.t1),
        &source.name,
        width,
    );
    if let Progress::Reading(_) = source.progress
        && source.event_count == 0
    {
        // Rows at rest keep the panel from jumping when the first events come in.
        for _row in 0..3 {
            let (row, _) = ui.allocate_exact_size(vec2(width, 22.0), Sense::hover());
            let bar = Rect::from_min_size(row.min + vec2(0.0, 6.0), vec2(width * 0.6, 10.0));
            ui.painter().rect_filled(bar, 5.0, theme.bg3);
        }
    } else {
        key_value(ui, "Length", &view.playback.end.to_string(), 70.0, theme);
        key_value(
            ui,
            "Events",
            &format::count(source.event_count),
            70.0,
            theme,
        );
        key_value(
            ui,
            "Requests",
            &format::count(source.request_count),
            70.0,
            theme,
        );
        if let Some(seed) = source.seed {
            key_value(ui, "Seed", &seed.to_string(), 70.0, theme);
        }
    }
    ui.add_space(6.0);
    for (icon, words, ink) in states(source, view.metrics.anomalies, theme) {
        let (row, _) = ui.allocate_exact_size(vec2(width, 18.0), Sense::hover());
        let square = Rect::from_min_size(pos2(row.left(), row.center().y - 7.0), Vec2::splat(14.0));
        icons::draw(ui.painter(), square, icon, ink);
        let shown = text_within(
            ui,
            pos2(row.left() + 20.0, row.center().y),
            Align::Left,
            &Ink::new(face::regular(size::TEXT_LABEL), ink),
            &words,
            width - 20.0,
        );
        ui.interact(shown, ui.id().with(&words), Sense::hover())
            .on_hover_text(words);
    }
}

fn states(
    source: &SourceInfo,
    anomalies: u64,
    theme: &Theme,
) -> Vec<(Icon, String, egui::Color32)> {
    let gaps = format::counted(source.gap_count, "gap", "gaps");
    let first = match &source.progress {
        Progress::Reading(Some(share)) => (
            Icon::Clock,
            format!("Reading events, {:.0}%", share * 100.0),
            theme.t2,
        ),
        Progress::Reading(None) => (Icon::Clock, "Reading events".to_owned(), theme.t2),
        Progress::Complete if source.gap_count == 0 => {
            (Icon::Check, "Complete, no gaps".to_owned(), theme.ok_text)
        }
        Progress::Complete => (
            Icon::Bell,
            format!(
                "{gaps}, {} lost",
                format::counted(source.lost_event_count, "event", "events")
            ),
            theme.warn_text,
        ),
        Progress::Lost { cause, .. } | Progress::Broken { cause } => {
            (Icon::Cross, cause.clone(), theme.error_text)
        }
    };
    let mut states = vec![first];
    if anomalies > 0 {
        states.push((
            Icon::Bell,
            format::counted(anomalies, "contradiction", "contradictions"),
            theme.warn_text,
        ));
    }
    states
}

fn search(ui: &mut Ui, filter: &Filter, theme: &Theme, actions: &mut Vec<Action>) {
    let width = ui.available_width();
    let (rect, _) = ui.allocate_exact_size(vec2(width, 30.0), Sense::hover());
    let has_focus = ui.memory(|memory| memory.has_focus(search_id()));
    let line = if has_focus {
        theme.selection
    } else {
        theme.line2
    };
    ui.painter().rect(
        rect,
        size::RADIUS_BUTTON,
        theme.bg0,
        egui::Stroke::new(if has_focus { 2.0 } else { 1.0 }, line),
        egui::StrokeKind::Inside,
    );
    let square =
        Rect::from_center_size(pos2(rect.left() + 16.0, rect.center().y), Vec2::splat(14.0));
    icons::draw(ui.painter(), square, Icon::Search, theme.t3);
    let mut words = filter.text.clone();
    let field = Rect::from_min_max(
        pos2(rect.left() + 30.0, rect.top() + 6.0),
        pos2(rect.right() - 32.0, rect.bottom() - 5.0),
    );
    let mut child = ui.new_child(UiBuilder::new().max_rect(field));
    let response = child.add(
        TextEdit::singleline(&mut words)
            .id(search_id())
            .frame(egui::Frame::NONE)
            .margin(Margin::ZERO)
            .font(face::regular(size::TEXT_ROW))
            .hint_text("Filter requests")
            .desired_width(field.width()),
    );
    response.widget_info(|| WidgetInfo::text_edit(true, &filter.text, &words, "Filter requests"));
    if words.is_empty() {
        draw_key(ui, pos2(rect.right() - 27.0, rect.center().y), "/", theme);
    } else if clear(ui, rect, theme) {
        words.clear();
    }
    let is_wished = ui.data_mut(|data| data.remove_temp::<bool>(wish_id()).unwrap_or(false));
    if is_wished {
        response.request_focus();
    }
    if words != filter.text {
        actions.push(Action::SetFilter(Filter {
            text: words,
            ..filter.clone()
        }));
    }
}

fn clear(ui: &mut Ui, rect: Rect, theme: &Theme) -> bool {
    let square = Rect::from_center_size(
        pos2(rect.right() - 16.0, rect.center().y),
        Vec2::splat(20.0),
    );
    let response = ui.interact(square, ui.id().with("clear-filter"), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, true, "Clear filter text"));
    let ink = if response.hovered() {
        theme.t1
    } else {
        theme.t3
    };
    icons::draw(ui.painter(), square.shrink(4.0), Icon::Cross, ink);
    response.clicked()
}

/// The list without an item that was in it, or with one that was not.
fn toggled<T: PartialEq + Copy>(list: &[T], item: T) -> Vec<T> {
    let mut list = list.to_vec();
    match list.iter().position(|other| *other == item) {
        Some(index) => {
            list.remove(index);
        }
        None => list.push(item),
    }
    list
}

fn channels(ui: &mut Ui, view: &View<'_>, theme: &Theme, actions: &mut Vec<Action>) {
    let rows = [
        (Channel::Email, Flow::Email, view.counts.email),
        (Channel::InApp, Flow::InApp, view.counts.in_app),
    ];
    for (channel, flow, number) in rows {
        let is_on = !view.filter.hidden_channels.contains(&channel);
        let number = format::count(number);
        if check_row(ui, is_on, Some(flow), flow.label(), &number, theme).clicked() {
            actions.push(Action::SetFilter(Filter {
                hidden_channels: toggled(&view.filter.hidden_channels, channel),
                ..view.filter.clone()
            }));
        }
    }
}

fn classes(ui: &mut Ui, view: &View<'_>, theme: &Theme, actions: &mut Vec<Action>) {
    for (index, class) in view.topology.classes.iter().enumerate() {
        let Ok(id) = u16::try_from(index).map(ClassId) else {
            break;
        };
        let is_on = !view.filter.hidden_classes.contains(&id);
        let number = view.counts.classes.get(index).copied().unwrap_or(0);
        let name = format::words(&class.id);
        if check_row(ui, is_on, None, &name, &format::count(number), theme).clicked() {
            actions.push(Action::SetFilter(Filter {
                hidden_classes: toggled(&view.filter.hidden_classes, id),
                ..view.filter.clone()
            }));
        }
    }
}

fn results(ui: &mut Ui, view: &View<'_>, theme: &Theme, actions: &mut Vec<Action>) {
    let rows = [
        (RequestResult::Delivered, "Delivered", view.counts.delivered),
        (RequestResult::Retried, "Retried", view.counts.retried),
        (RequestResult::Failed, "Failed", view.counts.failed),
        (RequestResult::InFlight, "In flight", view.counts.in_flight),
    ];
    for (result, name, number) in rows {
        let is_on = !view.filter.hidden_results.contains(&result);
        if check_row(ui, is_on, None, name, &format::count(number), theme).clicked() {
            actions.push(Action::SetFilter(Filter {
                hidden_results: toggled(&view.filter.hidden_results, result),
                ..view.filter.clone()
            }));
        }
    }
}

fn showing(ui: &mut Ui, view: &View<'_>, theme: &Theme, actions: &mut Vec<Action>) {
    let width = ui.available_width();
    if let Some(component) = view.filter.component {
        let (row, _) = ui.allocate_exact_size(vec2(width, 24.0), Sense::hover());
        let name = view
            .topology
            .component(component)
            .map_or("-", |component| component.label.as_str());
        text_within(
            ui,
            row.left_center(),
            Align::Left,
            &Ink::new(face::regular(size::TEXT_ROW), theme.t2),
            &format!("Only through {name}"),
            width,
        );
    }
    let (row, _) = ui.allocate_exact_size(vec2(width, 22.0), Sense::hover());
    let baseline = row.center().y + 4.5;
    let quiet = Ink::new(face::regular(size::TEXT_ROW), theme.t2);
    let number = Ink::new(face::mono_semibold(size::TEXT_LABEL), theme.t1);
    let shown = format::count(view.counts.shown);
    let total = format::count(view.counts.total);
    let first = silent(
        ui,
        pos2(row.left(), row.center().y),
        Align::Left,
        &quiet,
        "Showing",
        width,
    );
    let second = text(
        ui,
        pos2(first.right() + 4.0, baseline),
        Align::Left,
        &number,
        &shown,
    );
    text_mid(
        ui,
        pos2(second.right() + 4.0, row.center().y),
        Align::Left,
        &quiet,
        &format!("of {total}"),
    );
    if !view.filter.is_empty()
        && link(ui, row.right_center(), Align::Right, "Reset", theme).clicked()
    {
        actions.push(Action::SetFilter(Filter::default()));
    }
}
