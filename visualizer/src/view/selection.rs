//! What is selected and its journey, as panels read it.
//!
//! Belongs here: one request or component in full. Does not belong here: figures over all of them (view).

use flowreel_engine::model::event::Outcome;
use flowreel_engine::model::id::{ClassId, ComponentId, PartId, RequestId};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Channel;

/// What was picked with mouse or keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// Nothing.
    #[default]
    Nothing,
    /// One request.
    Request(RequestId),
    /// One component.
    Component(ComponentId),
}

/// What the inspector shows.
#[derive(Clone, Copy, Debug)]
pub enum SelectionView<'a> {
    /// Nothing is selected.
    Nothing,
    /// A request.
    Request {
        /// Its whole journey as far as it is recorded, past the playhead too.
        journey: &'a Journey,
        /// Stages that began up to the playhead: `journey.stages[..reached]`.
        reached: usize,
        /// The camera keeps it in view.
        is_followed: bool,
    },
    /// A component; its numbers are in [`View::components`](super::View::components).
    Component {
        /// Which.
        id: ComponentId,
        /// Journeys that are there now, newest first, at most 50.
        requests: &'a [RequestId],
    },
}

/// One request from begun to finished.
#[derive(Clone, Debug, PartialEq)]
pub struct Journey {
    /// Which.
    pub request: RequestId,
    /// Its class.
    pub class: ClassId,
    /// Begun here.
    pub begun: TimeNs,
    /// Finished here, where it has.
    pub finished: Option<TimeNs>,
    /// How it ended.
    pub outcome: Outcome,
    /// Stays in the order of their arrival.
    pub stages: Vec<Stage>,
    /// Runs that failed and were planned again, by time.
    pub retries: Vec<Retry>,
    /// Name and value of recorded details, masked where they were personal.
    pub payload: Vec<(String, String)>,
}

/// One stay of one part at one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Visit number in the inspector and at the node, from 1.
    pub number: u16,
    /// Where.
    pub component: ComponentId,
    /// Where it came from.
    pub from: ComponentId,
    /// Which part of the request.
    pub part: PartId,
    /// How it is drawn.
    pub channel: Channel,
    /// Run of the job, from 1; 0 where there is none.
    pub attempt: u16,
    /// Entered.
    pub arrived: TimeNs,
    /// Service began. For a parked job: `arrived`.
    pub started: Option<TimeNs>,
    /// Left.
    pub ended: Option<TimeNs>,
    /// How the stay ended.
    pub outcome: Outcome,
    /// A stay that was planned (a retry's delay): folded into a zigzag.
    pub is_scheduled_delay: bool,
    /// Reply code where one was given (451, 250), else 0.
    pub code: u64,
}

impl Stage {
    /// Waiting before service, up to `now`.
    #[must_use]
    pub fn waiting_ns(&self, now: TimeNs) -> u64 {
        let end = self.started.or(self.ended).unwrap_or(now).min(now);
        end.since_ns(self.arrived)
    }

    /// Service, up to `now`; 0 before it began.
    #[must_use]
    pub fn service_ns(&self, now: TimeNs) -> u64 {
        self.started.map_or(0, |started| {
            self.ended.unwrap_or(now).min(now).since_ns(started)
        })
    }
}

/// A run that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// When it failed.
    pub at: TimeNs,
    /// Which run, from 1.
    pub attempt: u16,
    /// Where.
    pub component: ComponentId,
    /// Reply code, 0 unknown.
    pub code: u64,
    /// Delay until the next run; `None` where there is none.
    pub delay_ns: Option<u64>,
}
