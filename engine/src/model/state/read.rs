//! What others read of the state.
//!
//! Belongs here: answers that change nothing; hash tables leave sorted. Does not belong here: applying events.

use super::{
    Anomalies, ClassState, ComponentState, FinishedRequest, InFlight, PathState, RequestCounts,
    SystemMeasures, SystemState, Visit, VisitKey,
};
use crate::model::event::EventKind;
use crate::model::hash::RunHash;
use crate::model::id::{ClassId, ComponentId, PathId, RequestId};
use crate::model::time::TimeNs;

/// What others read of the state.
impl SystemState {
    /// Time of the latest event.
    #[must_use]
    pub const fn now(&self) -> TimeNs {
        self.now
    }

    /// Events applied.
    #[must_use]
    pub const fn event_count(&self) -> u64 {
        self.event_count
    }

    /// Hash of the events applied.
    #[must_use]
    pub const fn run_hash(&self) -> RunHash {
        self.run_hash
    }

    /// One entry per component of the topology, in its order.
    #[must_use]
    pub fn components(&self) -> &[ComponentState] {
        &self.components
    }

    /// One entry per class of the topology, in its order.
    #[must_use]
    pub fn classes(&self) -> &[ClassState] {
        &self.classes
    }

    /// One entry per path of the topology, in its order.
    #[must_use]
    pub fn paths(&self) -> &[PathState] {
        &self.paths
    }

    /// The system as a whole.
    #[must_use]
    pub const fn system(&self) -> &SystemMeasures {
        &self.system
    }

    /// Requests by how they ended.
    #[must_use]
    pub fn requests(&self) -> RequestCounts {
        let in_flight = u64::try_from(self.in_flight.len()).expect("lengths fit 64 bits");
        RequestCounts {
            in_flight,
            ..self.system.requests
        }
    }

    /// How often each kind occurred.
    #[must_use]
    pub fn kind_count(&self, kind: EventKind) -> u64 {
        self.event_counts[usize::from(kind.code())]
    }

    /// What contradicted the state.
    #[must_use]
    pub const fn anomalies(&self) -> &Anomalies {
        &self.anomalies
    }

    /// The request, if it has begun and not finished.
    #[must_use]
    pub fn request(&self, request: RequestId) -> Option<&InFlight> {
        self.in_flight.get(request)
    }

    /// Requests begun and not finished, by id.
    #[must_use]
    pub fn in_flight(&self) -> Vec<(RequestId, InFlight)> {
        let mut all: Vec<_> = self
            .in_flight
            .iter()
            .map(|(id, held)| (id, *held))
            .collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// Open visits, by component, then arrival.
    #[must_use]
    pub fn visits(&self) -> Vec<(VisitKey, Visit)> {
        let mut all: Vec<_> = self
            .visits
            .iter()
            .map(|(key, visit)| (key, *visit))
            .collect();
        all.sort_unstable_by_key(|(key, visit)| (key.component, visit.arrived_seq));
        all
    }

    /// Moves over each edge so far, by from, then to.
    #[must_use]
    pub fn edge_counts(&self) -> Vec<(ComponentId, ComponentId, u64)> {
        let mut all: Vec<_> = self
            .edges
            .iter()
            .map(|(key, count)| (key.from, key.to, *count))
            .collect();
        all.sort_unstable();
        all
    }

    /// The last [`FINISHED_KEPT`](super::FINISHED_KEPT) finished requests, oldest first.
    pub fn finished(&self) -> impl ExactSizeIterator<Item = &FinishedRequest> {
        self.finished.iter()
    }

    /// The class of this id, where the topology has it.
    #[must_use]
    pub fn class(&self, class: ClassId) -> Option<&ClassState> {
        self.classes.get(class.index())
    }

    /// The path of this id, where the topology has it.
    #[must_use]
    pub fn path(&self, path: PathId) -> Option<&PathState> {
        self.paths.get(path.index())
    }

    /// The component of this id, where the topology has it.
    #[must_use]
    pub fn component(&self, component: ComponentId) -> Option<&ComponentState> {
        self.components.get(component.index())
    }
}
