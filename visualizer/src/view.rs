//! The contract between what is known (source, playback) and what is shown (panels, screens).
//!
//! Belongs here: plain data that a panel reads each frame, and the actions it may answer with.
//! Does not belong here: egui, Bevy, colours, or how any of these values are worked out.
//!
//! A panel is `fn x_ui(ui: &mut egui::Ui, view: &View) -> Option<Action>` (or pushes into a
//! `&mut Vec<Action>`); it keeps nothing between frames but what egui itself remembers.
//!
//! Each frame the app calls `screens::show(ui, &view, &mut actions)` with the whole window's `Ui`:
//! on the welcome screen it fills it, on the main screen it docks every panel (`show_inside`) and
//! returns the rectangle left over, in which the graph is drawn: `-> Option<egui::Rect>`.
//! Legend, badge and notices over the graph belong to the panels; they get that rectangle as well:
//! `panels::overlay_ui(ui, rect, &view, &mut actions)` runs after the graph.
//! Keys belong to the app (`keys.rs`), which asks egui whether a text box has focus.
//! Colours come from `theme::theme(settings.theme, settings.palette) -> &'static theme::Theme`.

mod action;
mod selection;
mod timeline;

pub use action::{Action, Direction, Notice, PaletteChoice, Recent, Settings, ThemeChoice};
pub use selection::{Journey, Retry, Selection, SelectionView, Stage};
pub use timeline::{Lanes, Mark, MarkKind, Slice, is_error};

use flowreel_engine::model::id::{ClassId, ComponentId};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::{Channel, Topology};
use std::path::PathBuf;

/// Everything on screen at one playhead position. Absent numbers are unknown, never 0.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Which screen is open.
    pub screen: Screen,
    /// Where the events come from; `None` on the welcome screen.
    pub source: Option<&'a SourceInfo>,
    /// The map; empty while nothing is open.
    pub topology: &'a Topology,
    /// Clock and transport.
    pub playback: Playback,
    /// Header figures at the playhead.
    pub metrics: &'a Metrics,
    /// One per component, in the order of the topology.
    pub components: &'a [ComponentNumbers],
    /// What is selected, with what the inspector shows of it.
    pub selection: SelectionView<'a>,
    /// The whole run in slices, for timeline and sparklines.
    pub lanes: &'a Lanes,
    /// Bookmarks, annotations, faults and alerts on the time axis, by time.
    pub marks: &'a [Mark],
    /// What is hidden.
    pub filter: &'a Filter,
    /// How many requests each choice of the filter holds, over the whole run.
    pub counts: &'a FilterCounts,
    /// Display settings.
    pub settings: Settings,
    /// The last thing worth telling, for a line or a banner.
    pub notice: Option<&'a Notice>,
    /// Recently opened inputs, newest first.
    pub recent: &'a [Recent],
    /// Scenarios that can be run from the welcome screen.
    pub scenarios: &'a [PathBuf],
    /// True when the drawn hop time differs from the recorded one (badge "Not to scale").
    pub is_not_to_scale: bool,
    /// 1 in n moving requests is drawn; 1 draws each.
    pub sampled_one_in: u32,
}

/// Which screen is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Screen {
    /// Nothing is open yet.
    #[default]
    Welcome,
    /// The graph with its panels.
    Main,
}

/// How the events come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A finished reel.
    Replay,
    /// A scenario that runs in this process.
    Simulate,
    /// A backend that is running now.
    Live,
}

/// How far reading has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Still coming in; the share that is read where it is known, 0 to 1.
    Reading(Option<f32>),
    /// Everything is here.
    Complete,
    /// A live source went away; it is tried again.
    Lost {
        /// One sentence.
        cause: String,
        /// Time until the next try.
        retry_in_s: f32,
    },
    /// Reading stopped; what came before can be played.
    Broken {
        /// One sentence.
        cause: String,
    },
}

/// Where the events come from.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceInfo {
    /// How.
    pub mode: Mode,
    /// Short name: file stem, scenario name or address.
    pub name: String,
    /// What was opened, as typed.
    pub input: String,
    /// Events read so far.
    pub event_count: u64,
    /// Requests begun so far.
    pub request_count: u64,
    /// Holes in the recording.
    pub gap_count: u64,
    /// Events lost in these holes.
    pub lost_event_count: u64,
    /// How far reading has come.
    pub progress: Progress,
    /// Scenario seed of a simulated run.
    pub seed: Option<u64>,
    /// How far the newest live event lies behind now.
    pub behind_s: Option<f64>,
}

/// Whether and which way the clock runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Motion {
    /// Paused.
    #[default]
    Stopped,
    /// Playing.
    Forward,
    /// Playing in reverse.
    Backward,
}

/// Clock and transport.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Playback {
    /// The playhead.
    pub now: TimeNs,
    /// Where what is read so far ends.
    pub end: TimeNs,
    /// Planned end of a run that is still being simulated; equals `end` otherwise.
    pub planned_end: TimeNs,
    /// Whether and which way the clock runs.
    pub motion: Motion,
    /// Recorded seconds per wall second, 0.25 to 5.
    pub speed: f64,
    /// Each → goes to the next event.
    pub is_step_mode: bool,
    /// Playhead keeps to the newest event (live).
    pub is_following_live: bool,
    /// Loop start.
    pub loop_in: Option<TimeNs>,
    /// Loop end.
    pub loop_out: Option<TimeNs>,
}

impl Playback {
    /// The speeds that keys 1 to 5 choose.
    pub const SPEEDS: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 5.0];

    /// The clock runs, whichever way.
    #[must_use]
    pub fn is_playing(&self) -> bool {
        self.motion != Motion::Stopped
    }

    /// True at the end of what there is.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.now >= self.end
    }
}

/// How the whole system is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Nothing is known yet.
    #[default]
    Unknown,
    /// All is well.
    Healthy,
    /// Some alert is active.
    Degraded,
    /// Most work fails, or something is down.
    Critical,
}

/// Header figures at the playhead; rates and latencies over the last 10 s.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// How the whole system is doing.
    pub health: Health,
    /// Requests begun and not finished.
    pub active: u64,
    /// Requests begun per second.
    pub requests_per_s: Option<f64>,
    /// Mean sojourn of requests that finished.
    pub latency_mean_s: Option<f64>,
    /// 95th percentile of it.
    pub latency_p95_s: Option<f64>,
    /// Failed share of service runs, 0 to 1.
    pub error_ratio: Option<f64>,
    /// Jobs waiting in queues.
    pub queued: u64,
    /// Jobs parked until a retry is due.
    pub delayed: u64,
    /// Jobs in dead-letter queues.
    pub dead_letters: u64,
    /// Time since the run's start, or the backend's own figure where it is live.
    pub uptime_s: Option<f64>,
    /// Contradictions in the events so far; more than 0 is worth a line.
    pub anomalies: u64,
}

/// What a component is doing; decides ring and glyph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing to do.
    #[default]
    Idle,
    /// Serving.
    Processing,
    /// Holds work that waits.
    Waiting,
    /// Over its limit, or most of its work fails.
    Error,
    /// Down or not reachable.
    Offline,
}

/// One component at the playhead; rates and means over the last 10 s.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ComponentNumbers {
    /// What it is doing.
    pub status: Status,
    /// Waiting now (for a queue: jobs waiting).
    pub waiting: u64,
    /// In service now (for a delay or retry queue: jobs parked).
    pub in_service: u64,
    /// Parallel servers; `None` is unlimited.
    pub servers: Option<u32>,
    /// Arrivals so far.
    pub arrived: u64,
    /// Services that went well so far.
    pub completed: u64,
    /// Services that failed so far.
    pub failed: u64,
    /// Refused so far.
    pub rejected: u64,
    /// Left waiting so far.
    pub abandoned: u64,
    /// Timed out so far.
    pub timed_out: u64,
    /// Completed per second.
    pub rate_per_s: Option<f64>,
    /// Arrivals per second.
    pub arrival_rate_per_s: Option<f64>,
    /// Starts per second at most.
    pub rate_limit_per_s: Option<f64>,
    /// Busy share of the servers, 0 to 1.
    pub utilization_ratio: Option<f64>,
    /// Failed share, 0 to 1.
    pub error_ratio: Option<f64>,
    /// Mean waiting time.
    pub waiting_mean_s: Option<f64>,
    /// Mean service time.
    pub service_mean_s: Option<f64>,
    /// 95th percentile of the sojourn.
    pub sojourn_p95_s: Option<f64>,
    /// Age of the oldest waiting job.
    pub oldest_waiting_s: Option<f64>,
    /// Time until the next parked job is due.
    pub next_due_s: Option<f64>,
    /// Depth at which the depth bar turns red.
    pub alert_limit: Option<u64>,
    /// Share of a balancer's picks by target, in the order of its edges; adds up to 1.
    pub shares: Vec<(ComponentId, f64)>,
}

/// What is hidden. Filters hide tokens; counts and queues stay true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Text that the request's id (`r-4821`), class or component must hold.
    pub text: String,
    /// Hidden channels.
    pub hidden_channels: Vec<Channel>,
    /// Hidden classes.
    pub hidden_classes: Vec<ClassId>,
    /// Hidden results.
    pub hidden_results: Vec<RequestResult>,
    /// Only requests that visited this component.
    pub component: Option<ComponentId>,
}

impl Filter {
    /// True when nothing is hidden.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How a request fared, as the filter sorts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestResult {
    /// Finished well at the first try.
    Delivered,
    /// Finished well, after more than one run.
    Retried,
    /// Failed, rejected, abandoned or timed out.
    Failed,
    /// Not finished in what is read.
    InFlight,
}

/// How many requests each choice holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterCounts {
    /// With an e-mail part.
    pub email: u64,
    /// With an in-app part.
    pub in_app: u64,
    /// By class, in the order of the topology.
    pub classes: Vec<u64>,
    /// Finished well at the first try.
    pub delivered: u64,
    /// Finished well, after more than one run.
    pub retried: u64,
    /// Failed.
    pub failed: u64,
    /// Not finished.
    pub in_flight: u64,
    /// Pass the filter.
    pub shown: u64,
    /// All.
    pub total: u64,
}
