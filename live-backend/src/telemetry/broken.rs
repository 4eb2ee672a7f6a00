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
use super::split::SplitBook;
use super::stage::path_code;
use super::topology::{Class, Place};
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::id::{ComponentId, PartId, RequestId};
use flowreel_engine::model::state::{SystemState, Visit};
use flowreel_engine::model::time::TimeNs;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

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

/// Requests in flight that go several ways, as far as their parts show it.
pub(super) fn still_split(
    state: &SystemState,
    ended_parts: &HashMap<RequestId, EndedParts>,
) -> Vec<StillSplit> {
    let mut open: BTreeMap<RequestId, BTreeSet<PartId>> = BTreeMap::new();
    for (key, _) in state.visits() {
        if key.part > PartId(0) && state.request(key.request).is_some() {
            open.entry(key.request).or_default().insert(key.part);
        }
    }
    let mut split = Vec::new();
    for (request, _) in state.in_flight() {
        let parts = open.get(&request);
        let ended = ended_parts.get(&request).copied().unwrap_or_default();
        if parts.is_none() && ended.count == 0 {
            continue;
        }
        let open_count = u16::try_from(parts.map_or(0, BTreeSet::len)).unwrap_or(u16::MAX);
        let highest = parts.and_then(BTreeSet::last).map_or(0, |part| part.0);
        let part_count = ended.count.saturating_add(open_count).max(highest);
        split.push(StillSplit {
            request,
            part_count,
            open_count: part_count.saturating_sub(ended.count),
            is_failed: ended.is_failed,
        });
    }
    split
}

/// What one process that is over left open of each part.
pub(super) type Left = BTreeMap<Key, Vec<(Place, Visit)>>;

/// Closes what one process of several left open in `state` at `now`, where `role` is what it was. A job in
/// the hands of a worker goes back to its queue, because another worker takes it there.
pub(super) fn mend_left(
    state: &SystemState,
    mut left: Left,
    book: &mut SplitBook,
    role: &str,
    now: TimeNs,
) -> Vec<(StageEvent, Option<Detail>)> {
    let mut mending = Mending {
        now,
        events: Vec::new(),
    };
    let mut mark = StageEvent::new(now, EventKind::Gap, ComponentId::NONE);
    mark.request = RequestId::NONE;
    let why = Detail::of("died", role);
    mending.events.push((mark, Some(why)));
    for held in left.values_mut() {
        held.sort_by_key(|(_, visit)| std::cmp::Reverse(visit.arrived_seq));
    }
    let found: Vec<Survivor> = left.iter().filter_map(back_to_queue).collect();
    let mut going_on: BTreeMap<RequestId, u16> = BTreeMap::new();
    for survivor in &found {
        let key = (survivor.part.request, survivor.part.part);
        let is_known = state
            .request(key.0)
            .is_some_and(|request| request.class == survivor.part.class.id());
        if !is_known {
            continue;
        }
        *going_on.entry(key.0).or_default() += 1;
        if let Some(held) = left.remove(&key) {
            mending.bring_to(survivor, &held);
        }
    }
    for (&request, &count) in &going_on {
        if count > 1 && !book.is_split(request) {
            book.note(request, count);
        }
    }
    for ((request, part), held) in left {
        let Some((whose, place)) = mending.close_all(request, part, &held) else {
            continue;
        };
        let goes_on_as_copies =
            part == PartId(0) && (going_on.contains_key(&request) || book.is_split(request));
        if state.request(request).is_none() || goes_on_as_copies {
            continue;
        }
        // The request's end follows where this was its last part, as it does for every part.
        mending.part_failed(whose, place);
    }
    mending.events
}

/// A job that a worker had, as it waits again.
fn back_to_queue((&(request, part), held): (&Key, &Vec<(Place, Visit)>)) -> Option<Survivor> {
    let (place, visit) = held.last()?;
    let queue = match place {
        Place::MailWorker => Place::Mail,
        Place::InAppWorker => Place::InApp,
        _ => return None,
    };
    Some(Survivor {
        part: Part {
            request,
            class: Class::from_id(visit.class)?,
            part,
            attempt: visit.attempt,
        },
        place: queue,
        delay_ns: None,
        priority: 1,
    })
}

/// Takes a part out of every stay and puts it into `queue`, from where a worker is about to take it.
pub(super) fn bring_back(
    part: Part,
    queue: Place,
    held: &[(Place, Visit)],
    now: TimeNs,
) -> Vec<(StageEvent, Option<Detail>)> {
    let mut mending = Mending {
        now,
        events: Vec::new(),
    };
    let survivor = Survivor {
        part,
        place: queue,
        delay_ns: None,
        priority: 1,
    };
    mending.bring_to(&survivor, held);
    mending.events
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
