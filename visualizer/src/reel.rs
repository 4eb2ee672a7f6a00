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
use flowreel_engine::model::id::DetailId;
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::Detail;
use hops::{HOP_MIN_NS, Hops};
use requests::Requests;
use std::collections::HashMap;

/// Events between two checkpoints at first; doubled whenever there are too many.
const CHECKPOINT_EVENTS: usize = 8192;
/// Most checkpoints held.
const CHECKPOINTS_MAX: usize = 256;

/// Shorter runs than this end before moves of the usual length have arrived.
const SHORT_RUN_NS: u64 = 5_000_000_000;

/// The state after some of a reel's events.
#[derive(Clone, Debug)]
pub struct Folded {
    /// How many of the reel's events are in it.
    pub applied: usize,
    /// What is true then.
    pub state: SystemState,
}

/// A run as far as it is known.
#[derive(Clone, Debug)]
pub struct Reel {
    topology: Topology,
    events: Vec<StageEvent>,
    head: SystemState,
    checkpoints: Vec<Folded>,
    /// States that follow a gap: folding starts anew from them.
    jumps: Vec<Folded>,
    checkpoint_events: usize,
    requests: Requests,
    hops: Hops,
    lanes: Lanes,
    marks: Vec<Mark>,
    errors: Vec<usize>,
    gap_count: u64,
    lost_count: u64,
    details: HashMap<DetailId, Detail>,
    /// Detail of each mark, in the order of the marks.
    mark_details: Vec<DetailId>,
}

impl Reel {
    /// A run on this map, before its first event.
    #[must_use]
    pub fn new(topology: Topology) -> Self {
        let head = SystemState::new(&topology);
        Self {
            requests: Requests::new(&topology),
            hops: Hops::new(&topology, HOP_MIN_NS),
            lanes: lanes::empty(),
            events: Vec::new(),
            checkpoints: vec![Folded {
                applied: 0,
                state: head.clone(),
            }],
            jumps: Vec::new(),
            checkpoint_events: CHECKPOINT_EVENTS,
            head,
            topology,
            marks: Vec::new(),
            errors: Vec::new(),
            gap_count: 0,
            lost_count: 0,
            details: HashMap::new(),
            mark_details: Vec::new(),
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

    /// Goes on from this state: events before it are missing.
    pub fn jump(&mut self, state: SystemState) {
        self.head = state.clone();
        let applied = self.events.len();
        self.jumps.push(Folded { applied, state });
    }

    fn checkpoint(&mut self) {
        self.checkpoints.push(Folded {
            applied: self.events.len(),
            state: self.head.clone(),
        });
        self.lanes.keyframes.push(self.head.now());
        if self.checkpoints.len() > CHECKPOINTS_MAX {
            self.checkpoint_events *= 2;
            let step = self.checkpoint_events;
            self.checkpoints
                .retain(|point| point.applied.is_multiple_of(step));
            let kept = self.checkpoints.iter().skip(1);
            self.lanes.keyframes = kept.map(|point| point.state.now()).collect();
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
        self.mark_details.push(event.detail);
        let told = self.details.get(&event.detail).and_then(words);
        self.marks.push(Mark {
            at: event.t_ns,
            until: None,
            kind,
            text: told.unwrap_or_else(|| text.trim_end_matches(" at ").to_owned()),
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

    /// Says that nothing follows. A run too short for moves of the usual length is drawn with shorter ones.
    pub fn complete(&mut self) {
        self.settle();
        if self.end().0 >= SHORT_RUN_NS || self.events.is_empty() {
            return;
        }
        let mut moves: HashMap<_, u64> = HashMap::new();
        let mut most = 1;
        for hop in self.hops.all() {
            let count = moves.entry((hop.request, hop.part)).or_default();
            *count += 1;
            most = most.max(*count);
        }
        let shortest_ns = (self.end().0 / (most + 1)).clamp(1, HOP_MIN_NS);
        let mut hops = Hops::new(&self.topology, shortest_ns);
        for event in &self.events {
            hops.push(event);
        }
        self.hops = hops;
    }

    /// Events are missing between these moments.
    pub fn gap(&mut self, from: TimeNs, to: TimeNs, events: Option<u64>) {
        self.gap_count += 1;
        self.lost_count += events.unwrap_or(0);
        self.lanes.gaps.push((from, to));
    }

    /// Facts that events name by `first` and the ids after it; they may come before or after these events.
    pub fn take_details(&mut self, first: DetailId, records: Vec<Detail>) {
        for (id, record) in (first.0..).map(DetailId).zip(records) {
            self.details.insert(id, record);
        }
        for (mark, detail) in self.marks.iter_mut().zip(&self.mark_details) {
            if let Some(words) = self.details.get(detail).and_then(words) {
                mark.text = words;
            }
        }
    }

    /// Facts beside an event.
    #[must_use]
    pub fn detail(&self, id: DetailId) -> Option<&Detail> {
        self.details.get(&id)
    }

    /// The state before the first event.
    #[must_use]
    pub fn start(&self) -> Folded {
        self.checkpoints[0].clone()
    }

    /// Brings `folded` to `applied` events, from itself or from the nearest state that is held.
    pub fn fold_to(&self, folded: &mut Folded, applied: usize) {
        let applied = applied.min(self.events.len());
        let before = |points: &[Folded]| {
            let after = points.partition_point(|point| point.applied <= applied);
            after.checked_sub(1)
        };
        let checkpoint = before(&self.checkpoints).map(|at| &self.checkpoints[at]);
        let jump = before(&self.jumps).map(|at| &self.jumps[at]);
        let nearest = match (checkpoint, jump) {
            (Some(checkpoint), Some(jump)) if jump.applied >= checkpoint.applied => Some(jump),
            (checkpoint, _) => checkpoint,
        };
        // Folding on is cheaper than a copy, unless a checkpoint or a jump lies in between.
        if let Some(nearest) = nearest
            && (folded.applied > applied || nearest.applied > folded.applied)
        {
            folded.clone_from(nearest);
        }
        for event in &self.events[folded.applied.min(applied)..applied] {
            folded.state.apply(event);
        }
        folded.applied = applied;
    }

    /// The event with this number, if it is not missing.
    #[must_use]
    pub fn event_with_seq(&self, seq: u64) -> Option<&StageEvent> {
        let at = self.events.partition_point(|event| event.seq < seq);
        self.events.get(at).filter(|event| event.seq == seq)
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
        (self.gap_count, self.lost_count.max(self.head.system().lost))
    }
}

/// The words of a detail that names what happened.
fn words(detail: &Detail) -> Option<String> {
    ["text", "title", "name", "message", "kind", "path"]
        .iter()
        .find_map(|key| detail.get(key))
        .map(str::to_owned)
}
