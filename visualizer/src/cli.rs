//! `flowreel-view` on the command line: what to open, what to render, which exit code.
//!
//! Belongs here: arguments, the wiring of a run. Does not belong here: drawing.

use crate::render_to_file::{RenderError, Renderer};
use crate::session::Session;
use crate::source::{Input, SourceError};
use crate::start::StartError;
use crate::view::{Action, Settings, ThemeChoice};
use crate::window;
use clap::{Args, Parser, Subcommand, ValueEnum};
use egui::Rect;
use flowreel_engine::model::time::{TimeNs, parse_duration_ns};
use std::path::{Path, PathBuf};

/// Largest side of a picture.
const SIDE_MAX: u32 = 8192;
/// Smallest side of a picture.
const SIDE_MIN: u32 = 64;
/// Where scenarios are looked for, from the working directory.
const SCENARIOS: &str = "scenarios";

/// Plays runs of a distributed system as an animated graph.
#[derive(Debug, Parser)]
#[command(
    name = "flowreel-view",
    version,
    args_conflicts_with_subcommands = true
)]
pub struct Arguments {
    /// A recording (.reel), a scenario (.toml) or the address of a running backend (http://HOST:PORT).
    pub input: Option<String>,
    /// Go to this time since the run's start, such as 12.5s or 5m, and pause there.
    #[arg(long, value_parser = duration)]
    pub at: Option<u64>,
    /// Select a component (mail) or a request (r-12).
    #[arg(long)]
    pub select: Option<String>,
    /// Colours.
    #[arg(long, value_enum, default_value_t = ThemeName::Dark)]
    pub theme: ThemeName,
    /// Without a window.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What can be done without a window.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Draw one moment into a PNG; needs no display and no graphics card.
    Render(RenderArguments),
}

/// What to draw and where to.
#[derive(Debug, Args)]
pub struct RenderArguments {
    /// A recording (.reel) or a scenario (.toml); none draws the welcome screen.
    pub input: Option<String>,
    /// Time since the run's start, such as 12.5s or 5m; default: the run's end.
    #[arg(long, value_parser = duration)]
    pub at: Option<u64>,
    /// Width and height in pixels.
    #[arg(long, value_parser = size, default_value = "1600x1000")]
    pub size: (u32, u32),
    /// The file to write.
    #[arg(long)]
    pub out: PathBuf,
    /// Select a component (mail) or a request (r-12).
    #[arg(long)]
    pub select: Option<String>,
    /// Colours.
    #[arg(long, value_enum, default_value_t = ThemeName::Dark)]
    pub theme: ThemeName,
}

/// Dark or light.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ThemeName {
    /// Light marks on dark.
    Dark,
    /// Dark marks on light.
    Light,
}

impl ThemeName {
    fn settings(self) -> Settings {
        Settings {
            theme: match self {
                Self::Dark => ThemeChoice::Dark,
                Self::Light => ThemeChoice::Light,
            },
            ..Settings::default()
        }
    }
}

/// Why the program ends early; each has its exit code.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Bad usage or bad input.
    #[error("{0}")]
    Usage(String),
    /// The environment is at fault.
    #[error("{0}")]
    Environment(String),
}

impl CliError {
    /// 2 or 3.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Environment(_) => 3,
        }
    }
}

impl From<SourceError> for CliError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Bad(text) => Self::Usage(text),
            SourceError::Unreachable(text) => Self::Environment(text),
        }
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        Self::Environment(error.to_string())
    }
}

impl From<RenderError> for CliError {
    fn from(error: RenderError) -> Self {
        Self::Environment(error.to_string())
    }
}

fn duration(text: &str) -> Result<u64, String> {
    parse_duration_ns(text).map_err(|error| error.to_string())
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let wanted = || {
        format!(
            "`{text}` is not a size; write width x height such as 1600x1000, each {SIDE_MIN} to {SIDE_MAX}"
        )
    };
    let (width, height) = text.split_once('x').ok_or_else(wanted)?;
    let side = |text: &str| {
        text.parse::<u32>()
            .ok()
            .filter(|side| (SIDE_MIN..=SIDE_MAX).contains(side))
            .ok_or_else(wanted)
    };
    Ok((side(width)?, side(height)?))
}

/// Does what the arguments say. `has_display` tells whether a window can be opened at all.
///
/// # Errors
/// One sentence and an exit code.
pub fn run(arguments: &Arguments, has_display: bool) -> Result<(), CliError> {
    match &arguments.command {
        Some(Command::Render(render_arguments)) => render(render_arguments),
        None => open_window(arguments, has_display),
    }
}

fn open_window(arguments: &Arguments, has_display: bool) -> Result<(), CliError> {
    let mut session = Session::new(scenarios(Path::new(SCENARIOS)), arguments.theme.settings());
    if let Some(text) = &arguments.input {
        session.open(&Input::parse(text));
        if arguments.at.is_some() || arguments.select.is_some() {
            whole(&mut session)?;
        } else {
            session.wait_opened()?;
        }
        place(&mut session, arguments.at, arguments.select.as_deref())?;
    }
    if !has_display {
        return Err(CliError::Environment(
            "no display to open a window on; set DISPLAY or WAYLAND_DISPLAY, or use `flowreel-view render`"
                .to_owned(),
        ));
    }
    if window::run(session)?.is_success() {
        Ok(())
    } else {
        Err(CliError::Environment(
            "the window ended with an error; see the lines above".to_owned(),
        ))
    }
}

fn render(arguments: &RenderArguments) -> Result<(), CliError> {
    let is_png = arguments
        .out
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
    if !is_png {
        return Err(CliError::Usage(format!(
            "{} does not end in .png; pictures are written as PNG",
            arguments.out.display()
        )));
    }
    let mut session = Session::new(scenarios(Path::new(SCENARIOS)), arguments.theme.settings());
    if let Some(text) = &arguments.input {
        let input = Input::parse(text);
        if matches!(input, Input::Live(_)) {
            return Err(CliError::Usage(format!(
                "{text} is still running; render draws recordings and scenarios"
            )));
        }
        session.open(&input);
        whole(&mut session)?;
        let end = session.reel().end().0;
        place(
            &mut session,
            Some(arguments.at.unwrap_or(end)),
            arguments.select.as_deref(),
        )?;
    }
    let png = Renderer::new(session, arguments.size)?.png()?;
    std::fs::write(&arguments.out, png).map_err(|error| {
        CliError::Environment(format!(
            "{} cannot be written: {error}; name a file in a folder that exists",
            arguments.out.display()
        ))
    })
}

/// Reads the source to its end, as far as it is finite.
fn whole(session: &mut Session) -> Result<(), CliError> {
    session.wait_opened()?;
    Ok(session.ingest_all()?)
}

fn place(session: &mut Session, at: Option<u64>, select: Option<&str>) -> Result<(), CliError> {
    if let Some(at) = at {
        let end = session.reel().end();
        if TimeNs(at) > end {
            return Err(CliError::Usage(format!(
                "the run ends at {end}, before {}; choose an earlier time with --at",
                TimeNs(at)
            )));
        }
        session.act(Action::Pause, Rect::NOTHING);
        session.act(Action::Seek(TimeNs(at)), Rect::NOTHING);
    }
    if let Some(name) = select {
        session.select_named(name).map_err(CliError::Usage)?;
    }
    Ok(())
}

/// Scenario files beside the program's working directory, by name.
fn scenarios(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        // No such folder: the welcome screen offers none.
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    found.sort();
    found
}
