//! The reel in memory, finished or still growing, with what is worked out once as events come in.
//!
//! Belongs here: events in order, checkpoints, the index of requests, hops, lanes and marks.
//! Does not belong here: where events come from (source), where the playhead stands (playback).

pub mod hops;
pub mod journey;
mod lanes;
pub mod requests;

use crate::view::{Lanes, Mark, MarkKind, is_error};
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::ComponentId;
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Topology;
use hops::Hops;
use requests::Requests;

/// Events between two checkpoints at first; doubled whenever there are too many.
const CHECKPOINT_EVENTS: usize = 8192;
/// Most checkpoints held.
const CHECKPOINTS_MAX: usize = 256;

/// A run as far as it is known.
#[derive(Clone, Debug)]
pub struct Reel {
    topology: Topology,
    events: Vec<StageEvent>,
    head: SystemState,
    checkpoints: Vec<SystemState>,
    checkpoint_events: usize,
    requests: Requests,
    hops: Hops,
    lanes: Lanes,
    marks: Vec<Mark>,
    errors: Vec<usize>,
    gap_count: u64,
}

impl Reel {
    /// A run on this map, before its first event.
    #[must_use]
    pub fn new(topology: Topology) -> Self {
        let head = SystemState::new(&topology);
        Self {
            requests: Requests::new(&topology),
            hops: Hops::new(&topology),
            lanes: lanes::empty(),
            events: Vec::new(),
            checkpoints: vec![head.clone()],
            checkpoint_events: CHECKPOINT_EVENTS,
            head,
            topology,
            marks: Vec::new(),
            errors: Vec::new(),
            gap_count: 0,
        }
    }

    /// Takes in the next event. Time that falls is lifted to the last event's, as the reducer counts it.
    pub fn push(&mut self, event: &StageEvent) {
        lanes::advance(&mut self.lanes, &self.topology, &self.head, event.t_ns);
        self.head.apply(event);
        self.events.push(*event);
        let index = self.events.len() - 1;
        self.requests.push(index, event);
        self.hops.push(event);
        let flow = self.hops.flow_of(event);
        lanes::count(&mut self.lanes, event, flow);
        if is_error(event.kind, event.outcome) {
            self.errors.push(index);
        }
        self.mark(event);
        if self.events.len().is_multiple_of(self.checkpoint_events) {
            self.checkpoint();
        }
    }

    /// Closes the last slice, once no further event is at hand.
    pub fn settle(&mut self) {
        lanes::refresh(&mut self.lanes, &self.topology, &self.head);
    }

    fn checkpoint(&mut self) {
        self.checkpoints.push(self.head.clone());
        self.lanes.keyframes.push(self.head.now());
        if self.checkpoints.len() > CHECKPOINTS_MAX {
            self.checkpoint_events *= 2;
            let step = self.checkpoint_events as u64;
            self.checkpoints
                .retain(|state| state.event_count() % step == 0);
            self.lanes.keyframes = self
                .checkpoints
                .iter()
                .skip(1)
                .map(SystemState::now)
                .collect();
        }
    }

    fn mark(&mut self, event: &StageEvent) {
        let kind = match event.kind {
            EventKind::Annotation => MarkKind::Annotation,
            EventKind::FaultBegan => MarkKind::Fault,
            EventKind::AlertRaised => MarkKind::Alert,
            EventKind::ControlApplied => MarkKind::Control,
            EventKind::FaultEnded => return self.close_mark(event, MarkKind::Fault),
            EventKind::AlertResolved => return self.close_mark(event, MarkKind::Alert),
            EventKind::Gap => {
                self.gap_count += 1;
                let from = self
                    .events
                    .iter()
                    .rev()
                    .nth(1)
                    .map_or(TimeNs::ZERO, |e| e.t_ns);
                self.lanes.gaps.push((from, event.t_ns));
                return;
            }
            _ => return,
        };
        let place = self
            .topology
            .component(event.component)
            .map_or("", |component| component.label.as_str());
        let text = match kind {
            MarkKind::Fault => format!("Fault at {place}"),
            MarkKind::Alert => format!("Alert at {place}"),
            MarkKind::Control => "Control".to_owned(),
            MarkKind::Annotation | MarkKind::Bookmark => "Note".to_owned(),
        };
        self.marks.push(Mark {
            at: event.t_ns,
            until: None,
            kind,
            text: text.trim_end_matches(" at ").to_owned(),
            component: event.component,
        });
    }

    fn close_mark(&mut self, event: &StageEvent, kind: MarkKind) {
        let open = self.marks.iter_mut().rev().find(|mark| {
            mark.kind == kind && mark.until.is_none() && mark.component == event.component
        });
        if let Some(mark) = open {
            mark.until = Some(event.t_ns);
        }
    }

    /// Gives the latest mark of this kind at this place better words.
    pub fn name_mark(&mut self, at: TimeNs, component: ComponentId, text: &str) {
        let mark = self
            .marks
            .iter_mut()
            .rev()
            .find(|mark| mark.at == at && mark.component == component);
        if let Some(mark) = mark {
            text.clone_into(&mut mark.text);
        }
    }

    /// The state after all events at or before `t`, from the nearest checkpoint on.
    #[must_use]
    pub fn state_at(&self, t: TimeNs) -> SystemState {
        let event_count = self.event_count_at(t);
        let after = self
            .checkpoints
            .partition_point(|state| state.event_count() <= event_count as u64);
        let mut state = self.checkpoints[after.saturating_sub(1)].clone();
        self.fold(&mut state, event_count);
        state
    }

    /// Applies further events to `state` until `event_count` are in it.
    pub fn fold(&self, state: &mut SystemState, event_count: usize) {
        let first = usize::try_from(state.event_count()).unwrap_or(usize::MAX);
        for event in self.events.get(first..event_count).unwrap_or_default() {
            state.apply(event);
        }
    }

    /// Events of the checkpoint at or before this count.
    #[must_use]
    pub fn checkpoint_before(&self, event_count: usize) -> u64 {
        let after = self
            .checkpoints
            .partition_point(|state| state.event_count() <= event_count as u64);
        self.checkpoints[after.saturating_sub(1)].event_count()
    }

    /// Number of events at or before `t`.
    #[must_use]
    pub fn event_count_at(&self, t: TimeNs) -> usize {
        self.events.partition_point(|event| event.t_ns <= t)
    }

    /// The map.
    #[must_use]
    pub const fn topology(&self) -> &Topology {
        &self.topology
    }

    /// All events, in order.
    #[must_use]
    pub fn events(&self) -> &[StageEvent] {
        &self.events
    }

    /// Time of the last event.
    #[must_use]
    pub fn end(&self) -> TimeNs {
        self.head.now()
    }

    /// The index of requests.
    #[must_use]
    pub const fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Drawn moves.
    #[must_use]
    pub const fn hops(&self) -> &Hops {
        &self.hops
    }

    /// The run in slices.
    #[must_use]
    pub const fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Notes, faults and alerts, by time.
    #[must_use]
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// Positions of events where something went wrong.
    #[must_use]
    pub fn errors(&self) -> &[usize] {
        &self.errors
    }

    /// Holes so far, and events lost in them.
    #[must_use]
    pub fn gaps(&self) -> (u64, u64) {
        (self.gap_count, self.head.system().lost)
    }
}
