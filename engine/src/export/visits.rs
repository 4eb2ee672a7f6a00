//! Visits out of events: when a part came to a component, when a server began with it, how it left.
//!
//! Belongs here: pairing what opens with what closes, who called whom. Does not belong here: formats.
//!
//! A visit that is opened while its part is in service elsewhere was called from there. What is in memory
//! are the visits that are open and the requests that are under way, whatever the length of the reel.

use super::{ExportError, Exported};
use crate::model::event::{EventKind, Outcome, StageEvent};
use crate::model::id::{ClassId, ComponentId, RequestId};
use crate::recording::ReelReader;
use std::collections::BTreeMap;

/// One stay of one part at one component, times in ns since the run's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    /// Position in the run of the event that opened it; names the visit.
    pub(super) seq: u64,
    pub(super) request: RequestId,
    pub(super) class: ClassId,
    pub(super) part: u16,
    pub(super) attempt: u16,
    pub(super) component: ComponentId,
    /// The visit that called this one.
    pub(super) caller: Option<u64>,
    /// The request was seen to begin, and is told after its visits.
    pub(super) has_journey: bool,
    pub(super) arrived_ns: u64,
    pub(super) started_ns: Option<u64>,
    pub(super) ended_ns: u64,
    pub(super) outcome: Outcome,
    /// It rests in a dead-letter queue, where nothing is waited for.
    is_at_rest: bool,
}

/// One request, times in ns since the run's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Journey {
    pub(super) request: RequestId,
    pub(super) class: ClassId,
    pub(super) component: ComponentId,
    pub(super) begun_ns: u64,
    pub(super) finished_ns: u64,
    pub(super) outcome: Outcome,
}

/// What is told while the events go by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told<'a> {
    /// A visit begins; how it ends is not known yet.
    Opened(&'a Visit),
    /// A visit is over.
    Visit(&'a Visit),
    /// A request is over, and so are the visits it had open.
    Journey(&'a Journey),
}

type PartKey = (RequestId, u16);

/// A request under way.
struct Pending {
    journey: Journey,
    /// Its end was told; parts that nobody waits for run on.
    is_finished: bool,
}

/// Open visits of each part, innermost last, and requests under way.
#[derive(Default)]
struct Open {
    visits: BTreeMap<PartKey, Vec<Visit>>,
    journeys: BTreeMap<RequestId, Pending>,
}

/// Tells every visit and request of the reel; those still open at its end end there.
pub(super) fn tell(
    reader: &mut ReelReader,
    mut listen: impl FnMut(Told<'_>) -> Result<(), ExportError>,
) -> Result<Exported, ExportError> {
    let mut open = Open::default();
    let mut exported = Exported::default();
    let mut events = Vec::new();
    let mut last_ns = 0;
    for position in 0..reader.event_blocks().len() {
        reader.read_events(position, &mut events)?;
        for event in &events {
            last_ns = event.t_ns.0;
            if event.request != RequestId::NONE {
                open.take(event, &mut listen)?;
            }
        }
        exported.events += events.len() as u64;
    }
    for mut visit in std::mem::take(&mut open.visits).into_values().flatten() {
        visit.ended_ns = last_ns;
        listen(Told::Visit(&visit))?;
    }
    for Pending {
        mut journey,
        is_finished,
    } in open.journeys.into_values()
    {
        if !is_finished {
            journey.finished_ns = last_ns;
        }
        listen(Told::Journey(&journey))?;
    }
    Ok(exported)
}

impl Open {
    fn take(
        &mut self,
        event: &StageEvent,
        listen: &mut impl FnMut(Told<'_>) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        match event.kind {
            EventKind::RequestBegun => {
                let journey = Journey {
                    request: event.request,
                    class: event.class,
                    component: event.component,
                    begun_ns: event.t_ns.0,
                    finished_ns: event.t_ns.0,
                    outcome: Outcome::None,
                };
                let pending = Pending {
                    journey,
                    is_finished: false,
                };
                self.journeys.insert(event.request, pending);
            }
            EventKind::Arrived
            | EventKind::JobAdded
            | EventKind::JobDelayed
            | EventKind::JobDeadLettered => self.open(event, listen)?,
            EventKind::ServiceStarted => {
                let key = (event.request, event.part.0);
                if let Some(visit) = self.at(key, event.component) {
                    visit.started_ns = Some(event.t_ns.0);
                }
            }
            EventKind::ServiceEnded
            | EventKind::JobPickedUp
            | EventKind::Rejected
            | EventKind::Abandoned
            | EventKind::TimedOut
            | EventKind::JobRequeued => self.close(event, listen)?,
            EventKind::RequestFinished => {
                if let Some(pending) = self.journeys.get_mut(&event.request) {
                    pending.is_finished = true;
                    pending.journey.finished_ns = event.t_ns.0;
                    pending.journey.outcome = event.outcome;
                    self.end_rest(event, listen)?;
                    self.tell_finished(event.request, listen)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn open(
        &mut self,
        event: &StageEvent,
        listen: &mut impl FnMut(Told<'_>) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let has_journey = self.journeys.contains_key(&event.request);
        let key = (event.request, event.part.0);
        let stack = self.visits.entry(key).or_default();
        let visit = Visit {
            seq: event.seq,
            request: event.request,
            class: event.class,
            part: event.part.0,
            attempt: event.attempt,
            component: event.component,
            caller: stack.last().map(|visit| visit.seq),
            has_journey,
            arrived_ns: event.t_ns.0,
            started_ns: (event.kind == EventKind::JobDelayed).then_some(event.t_ns.0),
            ended_ns: event.t_ns.0,
            outcome: Outcome::None,
            is_at_rest: event.kind == EventKind::JobDeadLettered,
        };
        stack.push(visit);
        listen(Told::Opened(&visit))
    }

    fn close(
        &mut self,
        event: &StageEvent,
        listen: &mut impl FnMut(Told<'_>) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let key = (event.request, event.part.0);
        if let Some(stack) = self.visits.get_mut(&key)
            && let Some(at) = stack.iter().rposition(|it| it.component == event.component)
        {
            let mut visit = stack.remove(at);
            if stack.is_empty() {
                self.visits.remove(&key);
            }
            visit.ended_ns = event.t_ns.0;
            visit.outcome = match (event.kind, event.outcome) {
                (EventKind::JobPickedUp, Outcome::None) => Outcome::Ok,
                (_, outcome) => outcome,
            };
            listen(Told::Visit(&visit))?;
            self.tell_finished(event.request, listen)?;
        }
        Ok(())
    }

    /// What rests in a dead-letter queue stays there after its request is over.
    fn end_rest(
        &mut self,
        event: &StageEvent,
        listen: &mut impl FnMut(Told<'_>) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let parts = (event.request, 0)..=(event.request, u16::MAX);
        let mut ended: Vec<Visit> = Vec::new();
        for (_, stack) in self.visits.range_mut(parts.clone()) {
            ended.extend(stack.extract_if(.., |visit| visit.is_at_rest));
        }
        let emptied = self.visits.range(parts);
        let emptied: Vec<PartKey> = emptied
            .filter(|(_, stack)| stack.is_empty())
            .map(|(key, _)| *key)
            .collect();
        for key in emptied {
            self.visits.remove(&key);
        }
        for visit in &mut ended {
            visit.ended_ns = event.t_ns.0;
            listen(Told::Visit(visit))?;
        }
        Ok(())
    }

    /// Tells a request that is over, once nothing of it is open.
    fn tell_finished(
        &mut self,
        request: RequestId,
        listen: &mut impl FnMut(Told<'_>) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let parts = (request, 0)..=(request, u16::MAX);
        let is_over = self.journeys.get(&request).is_some_and(|it| it.is_finished)
            && self.visits.range(parts).next().is_none();
        if is_over && let Some(pending) = self.journeys.remove(&request) {
            listen(Told::Journey(&pending.journey))?;
        }
        Ok(())
    }

    fn at(&mut self, key: PartKey, component: ComponentId) -> Option<&mut Visit> {
        let stack = self.visits.get_mut(&key)?;
        stack.iter_mut().rfind(|it| it.component == component)
    }
}
