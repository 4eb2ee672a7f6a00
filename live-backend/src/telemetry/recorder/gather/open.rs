//! Stays that are open, and which process has them.
//!
//! Belongs here: following opening and closing events. Does not belong here: what becomes of a stay whose
//! process is over (over.rs).

use crate::telemetry::topology::Place;
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::{ComponentId, PartId, RequestId};
use flowreel_engine::model::state::{SystemState, Visit};
use std::collections::BTreeMap;

/// Whose jobs in queues are: they outlive every process.
pub(super) const NOBODY: u64 = u64::MAX;
/// Whose stays from before this recorder are until somebody claims them.
pub(super) const UNCLAIMED: u64 = u64::MAX - 1;

/// A part of a request.
pub(super) type Key = (RequestId, PartId);

/// All open stays, by part.
#[derive(Debug, Default)]
pub(super) struct OpenVisits {
    parts: BTreeMap<Key, Vec<Stay>>,
}

/// One stay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    pub(super) component: ComponentId,
    pub(super) visit: Visit,
    process: u64,
}

impl Stay {
    pub(super) fn place(&self) -> Option<Place> {
        Place::ALL.get(self.component.index()).copied()
    }
}

impl OpenVisits {
    /// Those of a state that was read back.
    pub(super) fn of(state: &SystemState) -> Self {
        let mut open = Self::default();
        for (key, visit) in state.visits() {
            let process = match Place::ALL.get(key.component.index()) {
                Some(
                    Place::Mail
                    | Place::InApp
                    | Place::Retry1
                    | Place::Retry2
                    | Place::InAppRetry
                    | Place::Dlq,
                ) => NOBODY,
                _ => UNCLAIMED,
            };
            let stay = Stay {
                component: key.component,
                visit,
                process,
            };
            open.parts
                .entry((key.request, key.part))
                .or_default()
                .push(stay);
        }
        open
    }

    /// Takes in the next event of the run, which came from that process.
    pub(super) fn note(&mut self, event: &StageEvent, process: u64) {
        let key = (event.request, event.part);
        match event.kind {
            EventKind::Arrived => self.begin(event, process, false),
            EventKind::JobAdded | EventKind::JobDeadLettered => self.begin(event, NOBODY, false),
            EventKind::JobDelayed => self.begin(event, NOBODY, true),
            EventKind::ServiceStarted => {
                if let Some(stay) = self.stay(key, event.component) {
                    stay.visit.started = Some(event.t_ns);
                }
            }
            EventKind::ServiceEnded
            | EventKind::JobPickedUp
            | EventKind::Rejected
            | EventKind::Abandoned
            | EventKind::TimedOut
            | EventKind::JobRequeued => {
                if let Some(stays) = self.parts.get_mut(&key) {
                    stays.retain(|stay| stay.component != event.component);
                    if stays.is_empty() {
                        self.parts.remove(&key);
                    }
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, event: &StageEvent, process: u64, is_started: bool) {
        let stays = self.parts.entry((event.request, event.part)).or_default();
        stays.retain(|stay| stay.component != event.component);
        stays.push(Stay {
            component: event.component,
            visit: Visit {
                class: event.class,
                from: event.peer,
                attempt: event.attempt,
                arrived: event.t_ns,
                arrived_seq: event.seq,
                started: is_started.then_some(event.t_ns),
            },
            process,
        });
    }

    fn stay(&mut self, key: Key, component: ComponentId) -> Option<&mut Stay> {
        let stays = self.parts.get_mut(&key)?;
        stays.iter_mut().find(|stay| stay.component == component)
    }

    /// Where the part is now.
    pub(super) fn part(&self, key: Key) -> &[Stay] {
        self.parts.get(&key).map_or(&[], Vec::as_slice)
    }

    /// The part's stay there.
    pub(super) fn at(&self, event: &StageEvent) -> Option<&Stay> {
        let stays = self.part((event.request, event.part));
        stays.iter().find(|stay| stay.component == event.component)
    }

    /// The process says that it has this stay.
    pub(super) fn claim(&mut self, (request, part, component): (u64, u16, u16), process: u64) {
        let key = (RequestId(request), PartId(part));
        if let Some(stay) = self.stay(key, ComponentId(component)) {
            stay.process = process;
        }
    }

    /// What that process has, by part.
    pub(super) fn of_process(&self, process: u64) -> Vec<(Key, Vec<Stay>)> {
        let mut found = Vec::new();
        for (key, stays) in &self.parts {
            let own: Vec<Stay> = stays
                .iter()
                .filter(|it| it.process == process)
                .copied()
                .collect();
            if !own.is_empty() {
                found.push((*key, own));
            }
        }
        found
    }
}
