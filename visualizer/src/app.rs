//! The Bevy side: the sets of a frame and their order, the session as a resource.
//!
//! Belongs here: systems that move data. Does not belong here: decisions, drawing.

use crate::frame::Frame;
use crate::session::Session;
use bevy::prelude::{
    App, AppExit, IntoScheduleConfigs, MessageWriter, NonSendMut, Real, Res, ResMut, Resource,
    Result, SystemSet, Time, Update,
};
use bevy::winit::{UpdateMode, WinitSettings};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};
use std::time::Duration;

/// What happens in a frame, in this order.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowSet {
    /// New events come in.
    Ingest,
    /// The playhead moves.
    Playback,
    /// Figures, tokens and paths are worked out.
    Layout,
    /// Panels and graph are drawn.
    Draw,
}

/// What is open.
#[derive(Resource, Debug)]
pub struct Open(pub Session);

/// Redraw this often while a source still delivers and nothing plays.
const READING_REDRAW: Duration = Duration::from_millis(100);
/// Redraw at least this often while nothing happens at all.
const IDLE_REDRAW: Duration = Duration::from_secs(3600);

/// Sets, their order, and one system for each.
pub fn plugin(app: &mut App) {
    app.configure_sets(
        Update,
        (FlowSet::Ingest, FlowSet::Playback, FlowSet::Layout).chain(),
    )
    .add_systems(
        Update,
        (
            ingest.in_set(FlowSet::Ingest),
            playback.in_set(FlowSet::Playback),
            layout.in_set(FlowSet::Layout),
        ),
    )
    .add_systems(EguiPrimaryContextPass, draw.in_set(FlowSet::Draw));
}

fn ingest(mut open: ResMut<Open>) {
    open.0.ingest();
}

fn playback(mut open: ResMut<Open>, time: Res<Time<Real>>) {
    let wall_ns = u64::try_from(time.delta().as_nanos()).unwrap_or(u64::MAX);
    open.0.tick(wall_ns);
}

fn layout(mut open: ResMut<Open>) {
    open.0.refresh();
}

fn draw(
    mut contexts: EguiContexts,
    mut open: ResMut<Open>,
    mut frame: NonSendMut<Frame>,
    time: Res<Time<Real>>,
    mut exit: MessageWriter<AppExit>,
) -> Result {
    let context = contexts.ctx_mut()?;
    frame.show(context, &mut open.0, time.delta_secs_f64());
    if open.0.wants_quit() {
        exit.write(AppExit::Success);
    }
    Ok(())
}

/// Draws all the time while something moves, and only when touched while nothing does.
pub(crate) fn pace(open: Res<Open>, mut winit: ResMut<WinitSettings>) {
    let focused = if open.0.is_moving() {
        UpdateMode::Continuous
    } else if open.0.is_reading() {
        UpdateMode::reactive(READING_REDRAW)
    } else {
        UpdateMode::reactive(IDLE_REDRAW)
    };
    if winit.focused_mode != focused {
        winit.focused_mode = focused;
        winit.unfocused_mode = focused;
    }
}
