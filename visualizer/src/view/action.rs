//! What panels ask for, and the settings they change.
//!
//! Belongs here: actions, settings, notices. Does not belong here: carrying actions out.

use super::{Filter, Selection};
use flowreel_engine::model::time::TimeNs;
use std::path::PathBuf;

/// Display settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Dark or light.
    pub theme: ThemeChoice,
    /// Which colours.
    pub palette: PaletteChoice,
    /// No camera flights, rings and dashes at rest.
    pub is_motion_reduced: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: ThemeChoice::Dark,
            palette: PaletteChoice::Standard,
            is_motion_reduced: false,
        }
    }
}

/// Dark or light.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThemeChoice {
    /// Light marks on dark.
    #[default]
    Dark,
    /// Dark marks on light.
    Light,
}

/// Which colours stand for data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaletteChoice {
    /// The requirements' own values.
    #[default]
    Standard,
    /// Further apart for colour-blind viewers and projectors.
    Distinct,
}

/// One sentence for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What happened, then what to do.
    pub text: String,
    /// Something went wrong.
    pub is_error: bool,
}

/// An input that was open before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// File or address.
    pub input: String,
    /// `recording, 41,286 events`.
    pub text: String,
}

/// A direction in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards the start.
    Back,
    /// Towards the end.
    Forward,
}

/// What a panel, a key or a script asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start the clock; from the end it starts over.
    Play,
    /// Stop the clock.
    Pause,
    /// Whichever of both changes something.
    TogglePlay,
    /// Run forward or backward; again doubles the speed (J and L).
    Shuttle(Direction),
    /// To the next or previous event of the selection, or of everything.
    StepEvent(Direction),
    /// To the next or previous stage of the selected request.
    StepHop(Direction),
    /// By this many nanoseconds.
    StepTime(Direction, u64),
    /// To this moment.
    Seek(TimeNs),
    /// To the run's start.
    SeekStart,
    /// To the end of what there is.
    SeekEnd,
    /// To the next or previous thing that went wrong.
    SeekError(Direction),
    /// Recorded seconds per wall second.
    SetSpeed(f64),
    /// Each → goes to the next event.
    SetStepMode(bool),
    /// Set or clear the loop's start here.
    ToggleLoopIn,
    /// Set or clear the loop's end here.
    ToggleLoopOut,
    /// Set or clear a bookmark here.
    ToggleBookmark,
    /// Keep to the newest event.
    FollowLive(bool),
    /// Choose.
    Select(Selection),
    /// The camera keeps the selected request in view.
    FollowSelection(bool),
    /// Replace the filter.
    SetFilter(Filter),
    /// Show the whole graph.
    FitAll,
    /// Show the selection.
    FitSelection,
    /// Zoom by this factor round the middle.
    Zoom(f32),
    /// Open a recording or run a scenario, by file name ending.
    Open(PathBuf),
    /// Attach to a running backend, by address.
    Attach(String),
    /// Back to the welcome screen.
    Close,
    /// Display settings.
    SetSettings(Settings),
    /// Put the notice away.
    DismissNotice,
    /// Leave.
    Quit,
}
