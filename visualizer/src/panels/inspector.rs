//! The inspector: everything about what is selected.
//!
//! Belongs here: choosing between request, component and the empty state. Does not belong here:
//! working out a journey or a number.

mod component;
mod gantt;
mod request;
mod stages;

use super::{Align, Ink, text_mid, theme_of};
use crate::theme::{Theme, size, text as face};
use crate::view::{Action, SelectionView, View};
use egui::{ScrollArea, Sense, Ui, Vec2, vec2};

/// The panel right of the graph.
pub fn inspector_ui(ui: &mut Ui, view: &View<'_>, actions: &mut Vec<Action>) {
    let theme = theme_of(view);
    ui.spacing_mut().item_spacing = Vec2::ZERO;
    match view.selection {
        SelectionView::Nothing => nothing(ui, theme),
        SelectionView::Request {
            journey,
            reached,
            is_followed,
        } => {
            let shown = request::Shown {
                journey,
                reached,
                is_followed,
            };
            ScrollArea::vertical()
                .id_salt("journey")
                .auto_shrink(false)
                .show(ui, |ui| {
                    request::request_ui(ui, view, &shown, theme, actions);
                });
        }
        SelectionView::Component { id, requests } => {
            ScrollArea::vertical()
                .id_salt("component")
                .auto_shrink(false)
                .show(ui, |ui| {
                    component::component_ui(ui, view, id, requests, theme, actions);
                });
        }
    }
}

fn nothing(ui: &mut Ui, theme: &Theme) {
    let (rect, _) = ui.allocate_exact_size(
        vec2(ui.available_width(), ui.available_height().min(160.0)),
        Sense::hover(),
    );
    let ink = Ink::new(face::regular(size::TEXT_BODY), theme.t3);
    text_mid(
        ui,
        rect.center(),
        Align::Center,
        &ink,
        "Select a request or a component.",
    );
}
