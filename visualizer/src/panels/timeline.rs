//! The timeline: transport above, the whole run in lanes below.
//!
//! Belongs here: which lane stands where, scrubbing, zooming. Does not belong here: moving the
//! playhead itself (playback), counting events into slices (source).

mod axis;
mod lanes;
mod marks_lane;
mod transport;

use super::theme_of;
use crate::view::{Action, View};
use axis::Axis;
use egui::{Id, Rect, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};
use flowreel_engine::model::time::TimeNs;

/// Height of the transport row.
const TRANSPORT: f32 = 56.0;
/// Room for lane names left of the axis.
const NAMES: f32 = 132.0;
/// Below this height only the first lane is drawn.
const ALL_LANES: f32 = 130.0;

/// The panel under the graph.
pub fn timeline_ui(ui: &mut Ui, view: &View<'_>, actions: &mut Vec<Action>) {
    let theme = theme_of(view);
    let whole = ui.available_rect_before_wrap();
    let row = Rect::from_min_size(whole.min, vec2(whole.width(), TRANSPORT));
    ui.scope_builder(egui::UiBuilder::new().max_rect(row), |ui| {
        transport::transport_ui(ui, view, actions);
    });
    ui.painter().hline(
        whole.x_range(),
        row.bottom() - 0.5,
        Stroke::new(1.0, theme.line),
    );
    let below = Rect::from_min_max(pos2(whole.left(), row.bottom() + 1.0), whole.max);
    if below.height() >= 40.0 {
        scrub_area(ui, below, view, actions);
    }
    ui.advance_cursor_after_rect(whole);
}

fn scrub_area(ui: &mut Ui, rect: Rect, view: &View<'_>, actions: &mut Vec<Action>) {
    let theme = theme_of(view);
    let plot = Rect::from_min_max(
        pos2(rect.left() + NAMES, rect.top()),
        pos2(rect.right() - 16.0, rect.bottom()),
    );
    let length = view.playback.planned_end.max(view.playback.end);
    let window_id = Id::new("timeline-window");
    let stored = ui.data(|data| data.get_temp::<(u64, u64)>(window_id));
    let mut axis = Axis::new(plot.x_range(), stored, length);

    let response = ui.interact(plot, ui.id().with("timeline"), Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::slider(true, view.playback.now.as_s(), "Timeline"));
    if response.clicked() || response.dragged() {
        if let Some(pointer) = response.interact_pointer_pos() {
            let wanted = axis.time_at(pointer.x).min(view.playback.end);
            if wanted != view.playback.now {
                actions.push(Action::Seek(wanted));
            }
        }
    } else if response.hovered() {
        let (wheel, modifiers, pointer) = ui.input(|input| {
            (
                input.smooth_scroll_delta(),
                input.modifiers,
                input.pointer.hover_pos(),
            )
        });
        let along = if wheel.x == 0.0 { wheel.y } else { wheel.x };
        if along != 0.0
            && let Some(pointer) = pointer
        {
            axis = if modifiers.shift {
                axis.panned(-along)
            } else {
                axis.zoomed(pointer.x, (along * 0.005).exp())
            };
            ui.data_mut(|data| data.insert_temp(window_id, axis.window()));
        }
    }
    if response.double_clicked() {
        ui.data_mut(|data| data.remove_temp::<(u64, u64)>(window_id));
    }
    if let Some(pointer) = response.hover_pos()
        && !response.dragged()
    {
        let at = axis.time_at(pointer.x);
        response.on_hover_text(at.to_string());
    }
    if rect.height() >= ALL_LANES {
        lanes::draw_all(ui, rect, &axis, view, theme);
    } else {
        lanes::draw_first(ui, rect, &axis, view, theme);
    }
}

/// The last moment that is on the axis.
fn end_of(view: &View<'_>) -> TimeNs {
    view.playback.planned_end.max(view.playback.end)
}
