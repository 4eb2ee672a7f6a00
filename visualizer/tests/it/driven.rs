//! The whole app without window and renderer, driven through its widgets by name.
//!
//! Belongs here: what a person does with mouse and keys. Does not belong here: pixels.

use crate::support::session;
use bevy::camera::CameraPlugin;
use bevy::image::ImagePlugin;
use bevy::input::InputPlugin;
use bevy::mesh::MeshPlugin;
use bevy::prelude::{
    App, AssetApp, AssetPlugin, Camera, Entity, MinimalPlugins, Shader, TransformPlugin,
};
use bevy::state::app::StatesPlugin;
use bevy::window::{ExitCondition, WindowPlugin};
use bevy_egui::input::{EguiInputEvent, FocusedNonWindowEguiContext};
use bevy_egui::{EguiContext, EguiInput, EguiOutput, EguiPlugin, PrimaryEguiContext};
use flowreel_visualizer::app::{self, Open};
use flowreel_visualizer::frame::Frame;
use flowreel_visualizer::view::SelectionView;

struct Driven {
    app: App,
    context: Entity,
}

impl Driven {
    fn new() -> Self {
        let mut app = App::new();
        app.add_plugins((
            MinimalPlugins,
            InputPlugin,
            StatesPlugin,
            TransformPlugin,
            AssetPlugin::default(),
            WindowPlugin {
                primary_window: None,
                exit_condition: ExitCondition::DontExit,
                ..Default::default()
            },
            ImagePlugin::default(),
            MeshPlugin,
            CameraPlugin,
        ))
        .init_asset::<Shader>()
        .add_plugins(EguiPlugin::default())
        .insert_resource(Open(session()))
        .insert_non_send(Frame::still())
        .add_plugins(app::plugin);
        app.finish();
        app.cleanup();
        let context = app
            .world_mut()
            .spawn((
                Camera::default(),
                EguiContext::default(),
                PrimaryEguiContext,
            ))
            .id();
        app.insert_resource(FocusedNonWindowEguiContext(context));
        let mut held = app
            .world_mut()
            .get_mut::<EguiContext>(context)
            .expect("just made");
        held.get_mut().enable_accesskit();
        let mut driven = Self { app, context };
        for _ in 0..6 {
            driven.frame();
        }
        driven
    }

    fn frame(&mut self) {
        let mut input = self
            .app
            .world_mut()
            .get_mut::<EguiInput>(self.context)
            .expect("the context has input");
        input.screen_rect = Some(egui::Rect::from_min_size(
            egui::Pos2::ZERO,
            egui::vec2(1600.0, 1000.0),
        ));
        self.app.update();
    }

    fn send(&mut self, event: egui::Event) {
        let context = self.context;
        self.app
            .world_mut()
            .write_message(EguiInputEvent { context, event });
        self.frame();
    }

    fn place(&self, label: &str) -> Option<egui::Pos2> {
        let output = self.app.world().get::<EguiOutput>(self.context)?;
        let update = output.platform_output.accesskit_update.as_ref()?;
        let (_, node) = update
            .nodes
            .iter()
            .find(|(_, node)| node.label() == Some(label) && node.bounds().is_some())?;
        let bounds = node.bounds()?;
        #[expect(clippy::cast_possible_truncation, reason = "a place on screen")]
        Some(egui::pos2(
            f64::midpoint(bounds.x0, bounds.x1) as f32,
            f64::midpoint(bounds.y0, bounds.y1) as f32,
        ))
    }

    fn click(&mut self, label: &str) {
        let pos = self
            .place(label)
            .expect("a widget of this name is on screen");
        self.send(egui::Event::PointerMoved(pos));
        for pressed in [true, false] {
            self.send(egui::Event::PointerButton {
                pos,
                button: egui::PointerButton::Primary,
                pressed,
                modifiers: egui::Modifiers::default(),
            });
        }
        self.frame();
    }

    fn key(&mut self, key: egui::Key) {
        for pressed in [true, false] {
            self.send(egui::Event::Key {
                key,
                physical_key: None,
                pressed,
                repeat: false,
                modifiers: egui::Modifiers::default(),
            });
        }
    }

    fn open(&self) -> &Open {
        self.app.world().resource::<Open>()
    }
}

#[test]
fn play_and_pause_by_button_and_by_space() {
    let mut driven = Driven::new();
    assert!(!driven.open().0.player().is_playing());
    driven.click("Play");
    assert!(driven.open().0.player().is_playing());
    assert!(driven.place("Play").is_none(), "the button now says Pause");
    driven.click("Pause");
    assert!(!driven.open().0.player().is_playing());
    driven.key(egui::Key::Space);
    assert!(driven.open().0.player().is_playing());
}

#[test]
fn a_click_on_a_node_selects_it_and_escape_clears() {
    let mut driven = Driven::new();
    driven.click("Mail worker");
    let topology = driven.open().0.reel().topology().clone();
    match driven.open().0.view().selection {
        SelectionView::Component { id, .. } => {
            assert_eq!(topology.component_name(id), "mail-worker");
        }
        other => panic!("{other:?}"),
    }
    driven.key(egui::Key::Escape);
    assert!(matches!(
        driven.open().0.view().selection,
        SelectionView::Nothing
    ));
}

#[test]
fn keys_seek_and_set_the_speed() {
    let mut driven = Driven::new();
    driven.key(egui::Key::End);
    let end = driven.open().0.reel().end();
    assert_eq!(driven.open().0.player().now(), end);
    driven.key(egui::Key::Home);
    driven.key(egui::Key::N);
    let error = driven.open().0.player().now();
    assert!(error.0 > 0, "the first error lies after the start");
    driven.key(egui::Key::Num5);
    let speed = driven.open().0.view().playback.speed;
    assert!((speed - 5.0).abs() < f64::EPSILON);
}
