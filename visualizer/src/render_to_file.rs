//! Pictures without a window, a display or a graphics card: the same input gives the same bytes.
//!
//! Belongs here: Bevy pumped by hand into an image, PNG bytes. Does not belong here: a frame's inside.

use crate::app::{self, Open};
use crate::frame::Frame;
use crate::session::Session;
use crate::start::{StartError, guarded};
use bevy::app::{PluginsState, SubApps, TerminalCtrlCHandlerPlugin};
use bevy::asset::RenderAssetUsages;
use bevy::camera::RenderTarget;
use bevy::log::LogPlugin;
use bevy::prelude::{
    App, Assets, Camera2d, ClearColor, Color, DefaultPlugins, Image, Msaa, On, PluginGroup,
    Resource, WindowPlugin,
};
use bevy::render::RenderPlugin;
use bevy::render::pipelined_rendering::PipelinedRenderingPlugin;
use bevy::render::render_resource::{
    Extent3d, PollType, TextureDimension, TextureFormat, TextureUsages,
};
use bevy::render::renderer::RenderDevice;
use bevy::render::view::screenshot::{Screenshot, ScreenshotCaptured};
use bevy::time::TimeUpdateStrategy;
use bevy::window::ExitCondition;
use bevy::winit::WinitPlugin;
use bevy_egui::EguiPlugin;
use std::time::Duration;

/// Frames until panels have found their sizes.
const SETTLE_FRAMES: usize = 6;
/// Frames a picture may take to come back from the renderer.
const CAPTURE_FRAMES: usize = 30;
/// Frame time told to everything that asks.
const FRAME: Duration = Duration::from_millis(16);

/// Why no picture came about.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The renderer has no device to draw with.
    #[error(transparent)]
    NoDevice(#[from] StartError),
    /// The picture never came back.
    #[error("the renderer gave no picture back within {CAPTURE_FRAMES} frames; try a smaller size")]
    NoPicture,
    /// The pixels make no PNG.
    #[error("the picture cannot be encoded: {0}")]
    Encode(#[from] png::EncodingError),
}

#[derive(Resource, Default)]
struct Captured(Option<Image>);

/// A renderer that draws one session after the other moments.
pub struct Renderer {
    apps: SubApps,
    target: bevy::asset::Handle<Image>,
    size: (u32, u32),
}

impl Renderer {
    /// Sets the renderer up; the session keeps its playhead, its selection and its settings.
    ///
    /// # Errors
    /// Where there is no device to draw with.
    pub fn new(session: Session, size: (u32, u32)) -> Result<Self, RenderError> {
        let mut app = App::new();
        let plugins = DefaultPlugins
                .set(WindowPlugin {
                    primary_window: None,
                    exit_condition: ExitCondition::DontExit,
                    ..Default::default()
                })
                .set(RenderPlugin {
                    synchronous_pipeline_compilation: true,
                    ..Default::default()
                })
                // What goes wrong comes back as a result; the process's log belongs to the program.
                .disable::<LogPlugin>()
                .disable::<WinitPlugin>()
                .disable::<PipelinedRenderingPlugin>()
                .disable::<TerminalCtrlCHandlerPlugin>();
        guarded(|| {
            app.add_plugins(plugins);
        })?;
        app.add_plugins(EguiPlugin::default())
            .insert_resource(TimeUpdateStrategy::ManualDuration(FRAME))
            .insert_resource(ClearColor(Color::BLACK))
            .init_resource::<Captured>()
            .insert_resource(Open(session))
            .insert_non_send(Frame::still())
            .add_plugins(app::plugin);
        let mut image = Image::new_uninit(
            Extent3d {
                width: size.0,
                height: size.1,
                depth_or_array_layers: 1,
            },
            TextureDimension::D2,
            TextureFormat::Rgba8UnormSrgb,
            RenderAssetUsages::RENDER_WORLD,
        );
        image.texture_descriptor.usage |=
            TextureUsages::RENDER_ATTACHMENT | TextureUsages::COPY_SRC;
        let target = app.world_mut().resource_mut::<Assets<Image>>().add(image);
        app.world_mut().spawn((
            Camera2d,
            RenderTarget::Image(target.clone().into()),
            Msaa::Off,
        ));
        while app.plugins_state() == PluginsState::Adding {
            bevy::tasks::tick_global_task_pools_on_main_thread();
        }
        app.finish();
        app.cleanup();
        let mut renderer = Self {
            apps: std::mem::take(app.sub_apps_mut()),
            target,
            size,
        };
        for _ in 0..SETTLE_FRAMES {
            renderer.step()?;
        }
        Ok(renderer)
    }

    /// The session, to move its playhead between two pictures.
    pub fn session(&mut self) -> &mut Session {
        &mut self
            .apps
            .main
            .world_mut()
            .resource_mut::<Open>()
            .into_inner()
            .0
    }

    fn step(&mut self) -> Result<(), RenderError> {
        self.apps.main.run_default_schedule();
        for sub_app in self.apps.sub_apps.values_mut() {
            sub_app.extract(self.apps.main.world_mut());
            sub_app.update();
        }
        self.apps.main.world_mut().clear_trackers();
        let device = self.apps.main.world().get_resource::<RenderDevice>();
        let device = device.ok_or(StartError::NoDevice)?;
        device
            .wgpu_device()
            .poll(PollType::wait_indefinitely())
            .map_err(|error| StartError::Other(error.to_string()))?;
        Ok(())
    }

    /// The picture of this moment as PNG bytes.
    ///
    /// # Errors
    /// Where the renderer gives nothing back.
    pub fn png(&mut self) -> Result<Vec<u8>, RenderError> {
        let world = self.apps.main.world_mut();
        world.resource_mut::<Captured>().0 = None;
        world.spawn(Screenshot::image(self.target.clone())).observe(
            |shot: On<ScreenshotCaptured>, mut captured: bevy::prelude::ResMut<Captured>| {
                captured.0 = Some(shot.image.clone());
            },
        );
        for _ in 0..CAPTURE_FRAMES {
            self.step()?;
            let world = self.apps.main.world_mut();
            if let Some(image) = world.resource_mut::<Captured>().0.take() {
                return encode(&image, self.size);
            }
        }
        Err(RenderError::NoPicture)
    }
}

fn encode(image: &Image, size: (u32, u32)) -> Result<Vec<u8>, RenderError> {
    let pixels = image.data.as_deref().unwrap_or_default();
    let opaque: Vec<u8> = pixels
        .as_chunks::<4>()
        .0
        .iter()
        .flat_map(|[r, g, b, _]| [*r, *g, *b])
        .collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&opaque)?;
    writer.finish()?;
    Ok(bytes)
}
