//! What a crash broke: events that close it, so that nothing stays open for ever.
//!
//! Belongs here: which visits, requests, connections and faults of the state are over because their
//! process is, and which go on because their jobs are stored. Does not belong here: reading the state
//! back (resume.rs), the store.
//!
//! A job that is stored goes on under its request: in service when the process died, it goes back to
//! its queue; elsewhere than the store says, it goes there. Every other request has failed. The dead
//! letters rest where they are.

use super::detail::Detail;
use super::journey::Part;
use super::resume::EndedParts;
use super::stage::path_code;
use super::topology::{Class, Place};
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::id::{ComponentId, PartId, RequestId};
use flowreel_engine::model::state::{SystemState, Visit};
use flowreel_engine::model::time::TimeNs;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A stored job that goes on, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survivor {
    /// Its part in the run that was cut off; the attempt is that of its next run, or of the one that
    /// failed where it is parked.
    pub part: Part,
    /// The queue where it waits, or where it is parked.
    pub place: Place,
    /// How long it is still parked, in ns; `None` in a queue.
    pub delay_ns: Option<u64>,
    /// Its rank in the queue.
    pub priority: u64,
}

/// A request that went several ways and is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StillSplit {
    pub(super) request: RequestId,
    pub(super) part_count: u16,
    pub(super) open_count: u16,
    pub(super) is_failed: bool,
}

/// What is to be recorded, and what goes on.
#[derive(Debug, Default)]
pub(super) struct Mended {
    pub(super) events: Vec<(StageEvent, Option<Detail>)>,
    pub(super) going_on: HashSet<(RequestId, PartId)>,
    pub(super) split: Vec<StillSplit>,
}

type Key = (RequestId, PartId);

/// Closes what the crash broke in `state` at `now`.
pub(super) fn mend(
    state: &SystemState,
    survivors: &[Survivor],
    ended_parts: &HashMap<RequestId, EndedParts>,
    now: TimeNs,
) -> Mended {
    let mut mending = Mending {
        now,
        events: Vec::new(),
    };
    let mut mark = StageEvent::new(now, EventKind::Gap, ComponentId::NONE);
    mark.request = RequestId::NONE;
    let why = Detail::of(
        "resumed",
        "the process died; how many events are lost is not known",
    );
    mending.events.push((mark, Some(why)));

    let mut visits: BTreeMap<Key, Vec<(Place, Visit)>> = BTreeMap::new();
    for (key, visit) in state.visits() {
        let place = Place::ALL.get(key.component.index()).copied();
        if let Some(place) = place.filter(|&place| place != Place::Dlq) {
            let held = visits.entry((key.request, key.part)).or_default();
            held.push((place, visit));
        }
    }
    for held in visits.values_mut() {
        // Who was called is left before who called.
        held.sort_by_key(|(_, visit)| std::cmp::Reverse(visit.arrived_seq));
    }
    let mut going_on = HashSet::new();
    for survivor in survivors {
        let part = survivor.part;
        let is_known = state
            .request(part.request)
            .is_some_and(|request| request.class == part.class.id());
        if is_known && going_on.insert((part.request, part.part)) {
            let held = visits.remove(&(part.request, part.part));
            mending.bring_to(survivor, &held.unwrap_or_default());
        }
    }
    let mut broken: BTreeMap<RequestId, Vec<(Part, Place)>> = BTreeMap::new();
    for ((request, part), held) in visits {
        let last = mending.close_all(request, part, &held);
        if let (Some(last), true) = (last, state.request(request).is_some()) {
            broken.entry(request).or_default().push(last);
        }
    }
    let mut split = Vec::new();
    for (request, in_flight) in state.in_flight() {
        let failed = broken.remove(&request).unwrap_or_default();
        let open: Vec<PartId> = going_on
            .iter()
            .filter(|(whose, _)| *whose == request)
            .map(|&(_, part)| part)
            .collect();
        let ended = ended_parts.get(&request).copied().unwrap_or_default();
        for &(part, place) in &failed {
            mending.part_failed(part, place);
        }
        let failed_count = u16::try_from(failed.len()).unwrap_or(u16::MAX);
        let numbers = open.iter().map(|part| part.0);
        let highest = numbers
            .chain(failed.iter().map(|(part, _)| part.part.0))
            .max()
            .unwrap_or(0);
        let open_count = u16::try_from(open.len()).unwrap_or(u16::MAX);
        let part_count = ended
            .count
            .saturating_add(failed_count)
            .saturating_add(open_count)
            .max(highest);
        if open.is_empty() {
            let place = failed.last().map_or(in_flight.at, |(_, at)| at.component());
            mending.request_failed(request, in_flight.class, place, part_count.max(1));
        } else if highest > 0 {
            split.push(StillSplit {
                request,
                part_count,
                open_count,
                is_failed: ended.is_failed || !failed.is_empty(),
            });
        }
    }
    mending.close_world(state);
    Mended {
        events: mending.events,
        going_on,
        split,
    }
}

struct Mending {
    now: TimeNs,
    events: Vec<(StageEvent, Option<Detail>)>,
}

impl Mending {
    fn push(&mut self, event: StageEvent) {
        let event = StageEvent {
            t_ns: self.now,
            ..event
        };
        self.events.push((event, None));
    }

    /// The part is where the store says, whatever the last events before the crash said.
    fn bring_to(&mut self, survivor: &Survivor, held: &[(Place, Visit)]) {
        let Survivor { part, place, .. } = *survivor;
        let is_parked = survivor.delay_ns.is_some();
        let is_there = |(at, visit): &(Place, Visit)| {
            let is_served = visit.started.is_some();
            *at == place && visit.attempt == part.attempt && is_served == is_parked
        };
        if matches!(held, [only] if is_there(only)) {
            return;
        }
        let last = self.close_all(part.request, part.part, held);
        let from = last.map(|(_, from)| from).filter(|&from| from != place);
        if let Some(from) = from {
            let mut left = part.event(EventKind::Forwarded, from);
            left.peer = place.component();
            self.push(left);
        }
        let mut opened = match survivor.delay_ns {
            None => {
                let mut added = part.event(EventKind::JobAdded, place);
                added.value = survivor.priority;
                added
            }
            Some(delay_ns) => {
                let mut parked = part.event(EventKind::JobDelayed, place);
                parked.value = delay_ns;
                parked
            }
        };
        opened.peer = from.map_or(ComponentId::NONE, Place::component);
        self.push(opened);
    }

    /// Closes the visits, the innermost first; the answer is the outermost.
    fn close_all(
        &mut self,
        request: RequestId,
        part: PartId,
        held: &[(Place, Visit)],
    ) -> Option<(Part, Place)> {
        let mut last = None;
        for &(place, visit) in held {
            let class = Class::from_id(visit.class)?;
            let whose = Part {
                request,
                class,
                part,
                attempt: visit.attempt,
            };
            let kind = match visit.started {
                Some(_) => EventKind::ServiceEnded,
                None => EventKind::Abandoned,
            };
            let mut closed = whose.event(kind, place);
            closed.outcome = Outcome::Cancelled;
            self.push(closed);
            last = Some((whose, place));
        }
        last
    }

    fn part_failed(&mut self, part: Part, place: Place) {
        let mut ended = part.event(EventKind::PartFinished, place);
        ended.outcome = Outcome::Failed;
        ended.value = path_code(place);
        self.push(ended);
    }

    fn request_failed(
        &mut self,
        request: RequestId,
        class: flowreel_engine::model::id::ClassId,
        place: ComponentId,
        part_count: u16,
    ) {
        let mut ended = StageEvent::new(self.now, EventKind::RequestFinished, place);
        ended.request = request;
        ended.class = class;
        ended.outcome = Outcome::Failed;
        ended.value = u64::from(part_count);
        self.push(ended);
    }

    /// Sockets are closed, faults and alerts over, and every place is healthy until it is asked.
    fn close_world(&mut self, state: &SystemState) {
        let system = state.system();
        let fact = |kind, component, value| {
            let mut event = StageEvent::new(TimeNs::ZERO, kind, component);
            event.value = value;
            event
        };
        for rest in (0..system.connections).rev() {
            let mut closed = fact(
                EventKind::ConnectionClosed,
                Place::Websocket.component(),
                rest,
            );
            if rest < system.authenticated {
                closed.outcome = Outcome::Ok;
            }
            self.push(closed);
        }
        for _ in 0..system.alerts {
            self.push(fact(EventKind::AlertResolved, ComponentId::NONE, 0));
        }
        for (place, held) in Place::ALL.iter().zip(state.components()) {
            for _ in 0..held.faults {
                self.push(fact(EventKind::FaultEnded, place.component(), 0));
            }
            if !held.healthy {
                self.push(fact(EventKind::HealthChanged, place.component(), 1));
            }
        }
    }
}

#[cfg(test)]
mod tests;
