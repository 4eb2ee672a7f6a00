//! The window.
//!
//! Belongs here: Bevy's plugins for a window, its size and title. Does not belong here: a frame's inside.

use crate::app::{self, Open};
use crate::frame::Frame;
use crate::session::Session;
use crate::start::{StartError, guarded};
use bevy::app::TerminalCtrlCHandlerPlugin;
use bevy::log::{Level, LogPlugin};
use bevy::prelude::{
    App, AppExit, Camera2d, ClearColor, Color, Commands, DefaultPlugins, Msaa, PluginGroup,
    PostUpdate, Startup, Window, WindowPlugin,
};
use bevy::window::PresentMode;
use bevy::winit::WinitSettings;
use bevy_egui::EguiPlugin;

/// Smallest window, in points.
const SMALLEST: (f32, f32) = (1024.0, 680.0);

/// Opens a window on the session and stays until it is closed.
///
/// # Errors
/// Where no driver or no window system answers.
pub(crate) fn run(session: Session) -> Result<AppExit, StartError> {
    let title = session.view().source.map_or_else(
        || "Flowreel".to_owned(),
        |source| format!("{} – Flowreel", source.name),
    );
    let mut app = App::new();
    let plugins = DefaultPlugins
        .set(WindowPlugin {
            primary_window: Some(Window {
                title,
                name: Some("flowreel-view".to_owned()),
                resolution: (1600, 1000).into(),
                present_mode: PresentMode::AutoVsync,
                resize_constraints: bevy::window::WindowResizeConstraints {
                    min_width: SMALLEST.0,
                    min_height: SMALLEST.1,
                    ..Default::default()
                },
                ..Default::default()
            }),
            ..Default::default()
        })
        .set(log_plugin())
        .disable::<TerminalCtrlCHandlerPlugin>();
    guarded(|| {
        app.add_plugins(plugins);
    })?;
    app.add_plugins(EguiPlugin::default())
        .insert_resource(WinitSettings::desktop_app())
        .insert_resource(ClearColor(Color::BLACK))
        .insert_resource(Open(session))
        .insert_non_send(Frame::default())
        .add_plugins(app::plugin)
        .add_systems(Startup, |mut commands: Commands| {
            // Shapes and text smooth their own edges.
            commands.spawn((Camera2d, Msaa::Off));
        })
        .add_systems(PostUpdate, app::pace);
    Ok(app.run())
}

/// Only what went wrong, on standard error.
fn log_plugin() -> LogPlugin {
    LogPlugin {
        level: Level::ERROR,
        filter: "wgpu=error,naga=error".to_owned(),
        ..LogPlugin::default()
    }
}
