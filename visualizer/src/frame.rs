//! One frame of the window's inside: panels, the graph between them, keys; the same in a window,
//! in a rendered file and in a test.
//!
//! Belongs here: who is drawn when, pointer and wheel over the graph.
//! Does not belong here: Bevy, what panels look like, what actions do.

use crate::keys;
use crate::panels;
use crate::scene::camera::Lens;
use crate::scene::paint::{Brush, paint};
use crate::screens;
use crate::session::Session;
use crate::theme::{self, Theme};
use crate::view::{Action, PaletteChoice, Selection, ThemeChoice};
use egui::{
    Context, Id, PointerButton, Pos2, Rect, Response, Sense, Ui, UiBuilder, WidgetInfo, WidgetType,
};
use flowreel_engine::model::id::ComponentId;

/// A token is hit within this distance on screen.
const TOKEN_REACH: f32 = 9.0;
/// Bottom of the graph's rectangle, where the legend stands.
const LEGEND: f32 = 40.0;
/// A ring of work turns once in this time of wall clock.
const RING_TURN_S: f64 = 1.6;

/// What is kept between frames beside the session.
#[derive(Debug, Default)]
pub struct Frame {
    installed: Option<(ThemeChoice, PaletteChoice)>,
    /// Where the graph was drawn last.
    pub graph: Option<Rect>,
    /// Everything stands still but the playhead: for pictures that must not depend on wall time.
    pub is_still: bool,
    /// Time that the rings of work have turned.
    turned_s: f64,
}

impl Frame {
    /// For rendering into a file.
    #[must_use]
    pub fn still() -> Self {
        Self {
            is_still: true,
            ..Self::default()
        }
    }

    /// Draws one frame and carries out what was asked for. `wall_s` is the wall time that went by.
    pub fn show(&mut self, context: &Context, session: &mut Session, wall_s: f64) {
        let mut actions = Vec::new();
        let has_fonts = self.installed.is_some();
        let colors = self.install(context, session);
        if !has_fonts {
            // Fonts are there from the next frame on.
            context.request_repaint();
            return;
        }
        if session.is_moving() && !session.view().settings.is_motion_reduced && !self.is_still {
            self.turned_s = (self.turned_s + wall_s) % RING_TURN_S;
        }
        let mut ui = Ui::new(
            context.clone(),
            Id::new("flowreel"),
            UiBuilder::new().max_rect(context.content_rect()),
        );
        ui.painter().rect_filled(ui.max_rect(), 0.0, colors.bg0);
        self.graph = screens::show(&mut ui, &session.view(), &mut actions);
        if let Some(rect) = self.graph {
            self.graph_ui(&mut ui, rect, session, colors, &mut actions);
            panels::overlay_ui(&mut ui, rect, &session.view(), &mut actions);
        }
        keys::read(context, &session.view(), &mut actions);
        let rect = self.graph.unwrap_or_else(|| context.content_rect());
        let has_actions = !actions.is_empty();
        for action in actions {
            session.act(action, rect);
        }
        if has_actions {
            // What was asked for shows in the very next frame, paused or not.
            session.refresh();
            context.request_repaint();
        }
    }

    fn install(&mut self, context: &Context, session: &Session) -> &'static Theme {
        let settings = session.view().settings;
        let colors = theme::theme(settings.theme, settings.palette);
        let wanted = (settings.theme, settings.palette);
        if self.installed != Some(wanted) {
            theme::install(context, colors);
            // Figures change their width while they play; that is no mistake to outline in red.
            #[cfg(debug_assertions)]
            context.all_styles_mut(|style| style.debug.warn_if_rect_changes_id = false);
            if self.is_still {
                context.all_styles_mut(|style| style.animation_time = 0.0);
            }
            self.installed = Some(wanted);
        }
        colors
    }

    fn graph_ui(
        &self,
        ui: &mut Ui,
        rect: Rect,
        session: &mut Session,
        colors: &Theme,
        actions: &mut Vec<Action>,
    ) {
        let bounds = session.layout().bounds;
        let whole = rect;
        let rect = Rect::from_min_max(rect.min, rect.max - egui::vec2(0.0, LEGEND));
        let response = ui.interact(whole, Id::new("graph"), Sense::click_and_drag());
        if response.dragged_by(PointerButton::Middle) || response.dragged_by(PointerButton::Primary)
        {
            session.camera.pan(response.drag_delta(), bounds, rect);
            if session.is_following() {
                actions.push(Action::FollowSelection(false));
            }
        }
        wheel(ui, &response, session, bounds, rect);
        if session.is_following() {
            let chosen = session
                .picture()
                .tokens
                .iter()
                .find(|token| token.is_selected);
            if let Some(at) = chosen.map(|token| token.at) {
                session.camera.keep_in_view(at, bounds, rect);
            }
        }
        let lens = session.camera.lens(bounds, rect);
        nodes_ui(ui, whole, session, lens, actions);
        if response.clicked()
            && let Some(at) = response.interact_pointer_pos()
        {
            actions.push(Action::Select(hit(session, lens, at)));
        }
        #[expect(clippy::cast_possible_truncation, reason = "a share of a turn")]
        let turn = (self.turned_s / RING_TURN_S) as f32;
        paint(
            &ui.painter().with_clip_rect(whole),
            Brush {
                topology: session.reel().topology(),
                layout: session.layout(),
                picture: session.picture(),
                lens,
                theme: colors,
                turn,
            },
        );
    }
}

fn wheel(ui: &Ui, response: &Response, session: &mut Session, bounds: Rect, rect: Rect) {
    let Some(pointer) = response.hover_pos() else {
        return;
    };
    let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta().y, input.zoom_delta()));
    let factor = pinch * (scroll / 240.0).exp();
    if (factor - 1.0).abs() > 0.001 {
        session.camera.zoom_at(factor, pointer, bounds, rect);
    }
}

/// Every node can be reached by pointer, by Tab and by a screen reader.
fn nodes_ui(ui: &Ui, rect: Rect, session: &Session, lens: Lens, actions: &mut Vec<Action>) {
    let topology = session.reel().topology();
    for (index, node) in session.layout().nodes.iter().enumerate() {
        let place = lens.screen_rect(*node).intersect(rect);
        let (Ok(id), true) = (u16::try_from(index), place.is_positive()) else {
            continue;
        };
        let component = &topology.components[index];
        let response = ui.interact(place, Id::new(("node", index)), Sense::click());
        response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, true, &component.label));
        if response.clicked() {
            // A token on top of a node wins.
            let token = response
                .interact_pointer_pos()
                .and_then(|at| token_at(session, lens, at));
            let chosen = token.unwrap_or(Selection::Component(ComponentId(id)));
            actions.push(Action::Select(chosen));
        }
        if response.has_focus() {
            ui.painter().rect_stroke(
                place.expand(4.0),
                6.0,
                egui::Stroke::new(theme::size::STROKE_FOCUS, ui.visuals().text_color()),
                egui::StrokeKind::Outside,
            );
        }
        response.on_hover_text_at_pointer(hover(session, index));
    }
}

/// Exact figures for the tooltip.
fn hover(session: &Session, index: usize) -> String {
    let view = session.view();
    let component = &view.topology.components[index];
    view.components
        .get(index)
        .map_or_else(String::new, |numbers| {
            format!(
                "{}: {} waiting, {} in service, {} arrived, {} completed, {} failed",
                component.label,
                numbers.waiting,
                numbers.in_service,
                numbers.arrived,
                numbers.completed,
                numbers.failed
            )
        })
}

fn hit(session: &Session, lens: Lens, at: Pos2) -> Selection {
    token_at(session, lens, at).unwrap_or(Selection::Nothing)
}

fn token_at(session: &Session, lens: Lens, at: Pos2) -> Option<Selection> {
    session
        .picture()
        .tokens
        .iter()
        .map(|token| (lens.screen_from_world(token.at).distance(at), token.request))
        .filter(|(distance, _)| *distance <= TOKEN_REACH * lens.zoom.max(1.0))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, request)| Selection::Request(request))
}
