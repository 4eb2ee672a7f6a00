//! The lanes under the graph, as panels read them.
//!
//! Belongs here: what the timeline draws, by moment. Does not belong here: where the playhead stands (view).

use flowreel_engine::model::event::{EventKind, Outcome};
use flowreel_engine::model::id::ComponentId;
use flowreel_engine::model::time::TimeNs;

/// The whole run in equal slices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lanes {
    /// Length of one slice.
    pub slice_ns: u64,
    /// From the start on, up to what is read.
    pub slices: Vec<Slice>,
    /// The queue whose depth the depth lane shows: the selected one, else the fullest.
    pub depth_of: Option<ComponentId>,
    /// When keyframes were taken.
    pub keyframes: Vec<TimeNs>,
    /// Stretches without events.
    pub gaps: Vec<(TimeNs, TimeNs)>,
}

/// One slice of the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slice {
    /// E-mail events.
    pub email: u32,
    /// In-app events.
    pub in_app: u32,
    /// Events of neither.
    pub other: u32,
    /// Things that went wrong.
    pub errors: u32,
    /// Requests active at the end of the slice.
    pub active: u32,
    /// Requests begun per second.
    pub requests_per_s: f32,
    /// Mean sojourn, last 10 s.
    pub latency_mean_s: Option<f32>,
    /// 95th percentile of it.
    pub latency_p95_s: Option<f32>,
    /// Failed share, last 10 s.
    pub error_ratio: Option<f32>,
    /// Waiting jobs in all queues.
    pub queued: u32,
    /// Waiting plus parked per component, in the order of the topology.
    pub depths: Vec<u32>,
}

/// Something on the time axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// When.
    pub at: TimeNs,
    /// Until when, for faults and alerts that ended.
    pub until: Option<TimeNs>,
    /// What.
    pub kind: MarkKind,
    /// Words beside it.
    pub text: String,
    /// Where, if anywhere.
    pub component: ComponentId,
}

/// What a mark stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// Set by the viewer.
    Bookmark,
    /// A note in the recording.
    Annotation,
    /// An injected fault.
    Fault,
    /// An alert of the backend.
    Alert,
    /// An operator changed something.
    Control,
}

/// True for kinds that the errors lane and N count: something went wrong here.
#[must_use]
pub fn is_error(kind: EventKind, outcome: Outcome) -> bool {
    match kind {
        EventKind::JobFailed
        | EventKind::JobDeadLettered
        | EventKind::Rejected
        | EventKind::Abandoned
        | EventKind::TimedOut
        | EventKind::FaultBegan => true,
        EventKind::RequestFinished => !matches!(outcome, Outcome::Ok | Outcome::None),
        _ => false,
    }
}
