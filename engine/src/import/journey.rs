//! Spans into visits, visits into stage events.
//!
//! Belongs here: folding, calls and parts, the order of events. Does not belong here: clocks (timing),
//! names of components (topology).
//!
//! A call that lies inside its caller's stay and beside no other call stays on the caller's part; one
//! that runs beside another, or outlives its caller, or comes back to a component where the part
//! already is, goes on a part of its own.

use super::spans::{Role, SpanSet};
use super::timing::{Interval, intervals};
use super::topology::CLIENTS;
use crate::model::event::{EventKind, Outcome, StageEvent};
use crate::model::id::{ClassId, ComponentId, PartId, RequestId};
use crate::model::time::TimeNs;
use crate::model::topology::Topology;
use crate::recording::Detail;
use std::collections::{BTreeMap, BTreeSet};

/// Parts that one request can have beside its main line.
const PARTS_MAX: u16 = u16::MAX - 1;

/// One stay in one service.
#[derive(Debug)]
pub(super) struct Visit {
    /// Position of the service.
    pub(super) service: usize,
    /// Position of the span that came in from outside.
    pub(super) entry: usize,
    /// The stay that called, in the same journey; `None` where clients did.
    pub(super) caller: Option<usize>,
    /// Positions of calls, by time.
    calls: Vec<usize>,
    /// When the caller let go.
    forwarded: u64,
    /// The queue that it was taken from, by position, and when it came there.
    pub(super) queue: Option<usize>,
    queued: u64,
    stay: Interval,
    span_count: u64,
    went_well: bool,
    part: u16,
    /// The first stay on its part.
    opens_part: bool,
}

/// One trace.
#[derive(Debug)]
pub(super) struct Journey {
    /// Position of the trace.
    pub(super) trace: usize,
    /// Callers before their calls.
    pub(super) visits: Vec<Visit>,
    /// Stays that clients began, by time.
    roots: Vec<usize>,
    part_count: u16,
    /// The span that names the request's class.
    pub(super) first_span: usize,
}

/// Folds the spans of every trace; journeys come in the order of their first moment.
pub(super) fn journeys(set: &mut SpanSet, parents: &[Option<usize>]) -> Vec<Journey> {
    let mut by_trace: Vec<Vec<usize>> = vec![Vec::new(); set.traces.len()];
    for (position, span) in set.spans.iter().enumerate() {
        by_trace[span.trace].push(position);
    }
    let mut all = vec![Interval::default(); set.spans.len()];
    let mut is_placed = vec![false; set.spans.len()];
    let mut parents = parents.to_vec();
    let mut journeys = Vec::with_capacity(by_trace.len());
    for (trace, members) in by_trace.iter().enumerate() {
        let order = parents_first(set, members, &mut parents, &mut is_placed);
        intervals(set, &order, &parents, &mut all);
        if let Some(journey) = fold(set, trace, &order, &parents, &all) {
            journeys.push(journey);
        }
    }
    journeys.sort_by_key(Journey::begins);
    journeys
}

impl Journey {
    fn begins(&self) -> u64 {
        self.roots
            .iter()
            .map(|&root| self.visits[root].forwarded)
            .min()
            .unwrap_or(0)
    }
}

/// The spans of one trace with parents before children; a circle of parents is cut where it closes.
fn parents_first(
    set: &mut SpanSet,
    members: &[usize],
    parents: &mut [Option<usize>],
    is_placed: &mut [bool],
) -> Vec<usize> {
    let mut order = Vec::with_capacity(members.len());
    let mut circles = 0;
    for &member in members {
        let mut chain = Vec::new();
        let mut on_chain = BTreeSet::new();
        let mut next = Some(member);
        while let Some(position) = next.filter(|&position| !is_placed[position]) {
            chain.push(position);
            on_chain.insert(position);
            if parents[position].is_some_and(|parent| on_chain.contains(&parent)) {
                parents[position] = None;
                circles += 1;
            }
            next = parents[position];
        }
        for position in chain.into_iter().rev() {
            is_placed[position] = true;
            order.push(position);
        }
    }
    let first = members
        .first()
        .map(|&member| set.traces.name(set.spans[member].trace).to_owned());
    set.mended.add("circles of parents were cut", circles, || {
        format!("trace {}", first.unwrap_or_default())
    });
    order
}

fn fold(
    set: &mut SpanSet,
    trace: usize,
    order: &[usize],
    parents: &[Option<usize>],
    all: &[Interval],
) -> Option<Journey> {
    let mut visits: Vec<Visit> = Vec::new();
    let mut roots = Vec::new();
    let mut visit_of: BTreeMap<usize, usize> = BTreeMap::new();
    let mut has_been_called_from = BTreeSet::new();
    let mut before_caller = 0;
    for &position in order {
        let span = &set.spans[position];
        let parent = parents[position];
        let caller = parent.and_then(|parent| visit_of.get(&parent).copied());
        if let Some(caller) = caller
            && visits[caller].service == span.service
            && span.queue.is_none()
        {
            let visit: &mut Visit = &mut visits[caller];
            visit.span_count += 1;
            visit.went_well &= !span.is_error;
            visit.stay.end = visit.stay.end.max(all[position].end);
            visit_of.insert(position, caller);
            continue;
        }
        let mut stay = all[position];
        let earliest = caller.map_or(0, |caller| visits[caller].stay.start);
        if stay.start < earliest {
            before_caller += 1;
            stay.start = earliest;
            stay.end = stay.end.max(earliest);
        }
        // A span of the calling side begins when the request leaves; only its first call can have left then.
        let leaves = parent.filter(|&parent| {
            set.spans[parent].role == Role::Caller && has_been_called_from.insert(parent)
        });
        let forwarded = leaves.map_or(stay.start, |parent| {
            all[parent].start.clamp(earliest, stay.start)
        });
        // A message is in the queue once it has been handed over.
        let queued = leaves.map_or(forwarded, |parent| {
            all[parent].end.clamp(forwarded, stay.start)
        });
        let number = visits.len();
        match caller {
            Some(caller) => visits[caller].calls.push(number),
            None => roots.push(number),
        }
        visits.push(Visit {
            service: span.service,
            entry: position,
            caller,
            calls: Vec::new(),
            forwarded,
            queue: span.queue,
            queued,
            stay,
            span_count: 1,
            went_well: !span.is_error,
            part: 0,
            opens_part: false,
        });
        visit_of.insert(position, number);
    }
    set.mended.add(
        "calls began before the stay that made them and were moved to its beginning",
        before_caller,
        || format!("trace {}", set.traces.name(trace)),
    );
    let by_time = |visits: &[Visit], list: &mut Vec<usize>| {
        list.sort_by_key(|&number| (visits[number].forwarded, visits[number].stay.start, number));
    };
    for number in 0..visits.len() {
        let mut calls = std::mem::take(&mut visits[number].calls);
        by_time(&visits, &mut calls);
        visits[number].calls = calls;
    }
    by_time(&visits, &mut roots);
    let first_span = visits[*roots.first()?].entry;
    let mut journey = Journey {
        trace,
        visits,
        roots,
        part_count: 1,
        first_span,
    };
    let left_out = journey.give_parts();
    set.skipped.add(
        "calls beyond the 65,534 parts of one request",
        left_out,
        || format!("trace {}", set.traces.name(trace)),
    );
    Some(journey)
}

impl Journey {
    /// Decides which call goes on which part; returns how many found none.
    fn give_parts(&mut self) -> u64 {
        let mut left_out = 0;
        let whole = Interval {
            start: 0,
            end: u64::MAX,
        };
        let roots = self.roots.clone();
        self.roots = self.give_parts_to(&roots, None, whole, &mut left_out);
        for number in 0..self.visits.len() {
            let calls = std::mem::take(&mut self.visits[number].calls);
            let stay = self.visits[number].stay;
            self.visits[number].calls =
                self.give_parts_to(&calls, Some(number), stay, &mut left_out);
        }
        left_out
    }

    /// Calls of one stay, or the roots; returns those that found a part.
    fn give_parts_to(
        &mut self,
        calls: &[usize],
        caller: Option<usize>,
        stay: Interval,
        left_out: &mut u64,
    ) -> Vec<usize> {
        let mut kept = Vec::with_capacity(calls.len());
        let mut free_from = stay.start;
        let mut is_first = true;
        for &call in calls {
            let visit = &self.visits[call];
            let is_called = caller.is_none() || visit.queue.is_none();
            let fits = is_called && visit.forwarded >= free_from && visit.stay.end <= stay.end;
            if fits && !self.is_on_part(caller, visit.service) {
                let part = caller.map_or(0, |caller| self.visits[caller].part);
                free_from = self.visits[call].stay.end;
                self.visits[call].part = part;
                self.visits[call].opens_part = caller.is_none() && is_first;
            } else if self.part_count > PARTS_MAX {
                *left_out += 1;
                continue;
            } else {
                self.visits[call].part = self.part_count;
                self.visits[call].opens_part = true;
                self.part_count += 1;
            }
            is_first = false;
            kept.push(call);
        }
        kept
    }

    /// Whether the caller's part is already at that service, in the caller or further up.
    fn is_on_part(&self, caller: Option<usize>, service: usize) -> bool {
        let mut at = caller;
        while let Some(visit) = at.map(|number| &self.visits[number]) {
            if visit.service == service {
                return true;
            }
            if visit.opens_part {
                return false;
            }
            at = visit.caller;
        }
        false
    }
}

/// All events in order, and the moment of time 0 in ns since 1970.
pub(super) fn events(
    set: &SpanSet,
    journeys: &[Journey],
    topology: &Topology,
) -> (Vec<(StageEvent, Option<Detail>)>, u64) {
    let zero = journeys.iter().map(Journey::begins).min().unwrap_or(0);
    let mut events = Vec::new();
    for (index, journey) in journeys.iter().enumerate() {
        let class = topology
            .class_named(&set.spans[journey.first_span].operation)
            .or_else(|| topology.class_named(super::topology::OTHER_CLASS))
            .unwrap_or_default();
        let request = RequestId(u64::try_from(index).unwrap_or(u64::MAX - 1) + 1);
        let mut teller = Teller {
            set,
            journey,
            topology,
            zero,
            request,
            class,
            events: &mut events,
        };
        teller.tell();
    }
    // Stable: within one request the order of telling decides between equal times.
    events.sort_by_key(|(event, _): &(StageEvent, Option<Detail>)| event.t_ns);
    for (seq, (event, _)) in (0_u64..).zip(&mut events) {
        event.seq = seq;
    }
    (events, zero)
}

/// Tells one journey as events.
struct Teller<'a> {
    set: &'a SpanSet,
    journey: &'a Journey,
    topology: &'a Topology,
    zero: u64,
    request: RequestId,
    class: ClassId,
    events: &'a mut Vec<(StageEvent, Option<Detail>)>,
}

impl Teller<'_> {
    fn tell(&mut self) {
        let journey = self.journey;
        let trace = Detail::new([("trace", self.set.traces.name(journey.trace))]);
        let begun = self.event(journey.begins(), EventKind::RequestBegun, CLIENTS, 0);
        self.events.push((begun, Some(trace)));
        // `true` opens a stay, `false` closes it; a stack, because traces can be deeper than ours.
        let mut open: Vec<(usize, bool)> = journey
            .roots
            .iter()
            .rev()
            .map(|&root| (root, true))
            .collect();
        let (mut last, mut last_component) = (journey.begins(), CLIENTS);
        while let Some((number, opens)) = open.pop() {
            let visit = &journey.visits[number];
            if opens {
                self.arrive(visit);
                open.push((number, false));
                open.extend(visit.calls.iter().rev().map(|&call| (call, true)));
            } else {
                self.leave(visit);
                if visit.stay.end >= last {
                    (last, last_component) = (visit.stay.end, self.component(visit));
                }
            }
        }
        let went_well = journey
            .roots
            .iter()
            .all(|&root| !self.set.spans[journey.visits[root].entry].is_error);
        let mut main_line = self.event(last, EventKind::PartFinished, last_component, 0);
        main_line.outcome = outcome(went_well);
        let mut finished = self.event(last, EventKind::RequestFinished, last_component, 0);
        finished.outcome = outcome(went_well);
        finished.value = u64::from(journey.part_count);
        self.events.extend([(main_line, None), (finished, None)]);
    }

    fn arrive(&mut self, visit: &Visit) {
        let component = self.component(visit);
        let caller = visit.caller.map_or(CLIENTS, |caller| {
            self.component(&self.journey.visits[caller])
        });
        let queue = visit
            .queue
            .map(|queue| super::topology::queue_component(self.set, self.topology, queue));
        let (to, there) =
            queue.map_or((component, visit.stay.start), |queue| (queue, visit.queued));
        let mut forwarded = self.visit_event(visit.forwarded, EventKind::Forwarded, caller, visit);
        forwarded.peer = to;
        forwarded.value = there.saturating_sub(visit.forwarded);
        self.events.push((forwarded, None));
        if let Some(queue) = queue {
            let mut added = self.visit_event(visit.queued, EventKind::JobAdded, queue, visit);
            added.peer = caller;
            let start = visit.stay.start;
            let mut picked_up = self.visit_event(start, EventKind::JobPickedUp, queue, visit);
            picked_up.peer = component;
            self.events.extend([(added, None), (picked_up, None)]);
        }
        let start = visit.stay.start;
        let mut arrived = self.visit_event(start, EventKind::Arrived, component, visit);
        arrived.peer = queue.unwrap_or(caller);
        let started = self.visit_event(start, EventKind::ServiceStarted, component, visit);
        let span_count = visit.span_count.to_string();
        let operation = self.set.spans[visit.entry].operation.as_str();
        let detail = Detail::new([("operation", operation), ("spans", span_count.as_str())]);
        self.events
            .extend([(arrived, Some(detail)), (started, None)]);
    }

    fn leave(&mut self, visit: &Visit) {
        let component = self.component(visit);
        let end = visit.stay.end;
        let mut ended = self.visit_event(end, EventKind::ServiceEnded, component, visit);
        ended.outcome = outcome(visit.went_well);
        self.events.push((ended, None));
        if visit.queue.is_some() {
            let (kind, value) = if visit.went_well {
                (
                    EventKind::JobCompleted,
                    end.saturating_sub(visit.stay.start),
                )
            } else {
                (EventKind::JobFailed, 0)
            };
            let mut told = self.visit_event(end, kind, component, visit);
            told.outcome = outcome(visit.went_well);
            told.value = value;
            self.events.push((told, None));
        }
        if visit.opens_part && visit.part != 0 {
            let mut finished = self.event(
                visit.stay.end,
                EventKind::PartFinished,
                component,
                visit.part,
            );
            finished.outcome = outcome(visit.went_well);
            self.events.push((finished, None));
        }
    }

    fn component(&self, visit: &Visit) -> ComponentId {
        super::topology::component_of(self.set, self.topology, visit.service)
    }

    fn visit_event(
        &self,
        at: u64,
        kind: EventKind,
        component: ComponentId,
        visit: &Visit,
    ) -> StageEvent {
        let mut event = self.event(at, kind, component, visit.part);
        event.attempt = u16::from(visit.queue.is_some());
        event
    }

    fn event(&self, at: u64, kind: EventKind, component: ComponentId, part: u16) -> StageEvent {
        let mut event = StageEvent::new(TimeNs(at.saturating_sub(self.zero)), kind, component);
        event.request = self.request;
        event.class = self.class;
        event.part = PartId(part);
        event
    }
}

const fn outcome(went_well: bool) -> Outcome {
    if went_well {
        Outcome::Ok
    } else {
        Outcome::Failed
    }
}
