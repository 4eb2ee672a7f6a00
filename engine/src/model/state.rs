//! The one meaning of an event: `SystemState::apply`, the reducer behind every screen and figure.
//!
//! Belongs here: what is true after a prefix of a run. Does not belong here: where events come
//! from, whole journeys (read from the reel), anything that needs the future.
//!
//! `apply` never panics and allocates nothing in steady state. What contradicts the state is
//! counted as an anomaly and applied as far as it makes sense.

mod anomaly;
mod read;
mod request;
mod seen;
mod stored;
mod system;

pub use anomaly::{Anomalies, AnomalyKind};
pub use request::{FinishedRequest, InFlight, RequestCounts, Visit, VisitKey};
pub use seen::{ComponentStatus, SystemStatus};
pub use stored::StateHash;
pub use system::SystemMeasures;

use super::event::{EventKind, Outcome, StageEvent};
use super::hash::RunHash;
use super::id::RequestId;
use super::metrics::{DIGITS_STATE, Durations, StationMeasures};
use super::table::Table;
use super::time::TimeNs;
use super::topology::{ComponentKind, Topology};
use request::EdgeKey;
use std::collections::VecDeque;

/// Finished requests kept for reference.
pub const FINISHED_KEPT: usize = 1000;

/// What is true now, after the events applied so far.
#[derive(Clone, Debug)]
pub struct SystemState {
    now: TimeNs,
    event_count: u64,
    run_hash: RunHash,
    digits: u8,
    answers_at_servers: bool,
    kinds: Vec<ComponentKind>,
    components: Vec<ComponentState>,
    classes: Vec<ClassState>,
    paths: Vec<PathState>,
    system: SystemMeasures,
    event_counts: Vec<u64>,
    anomalies: Anomalies,
    in_flight: Table<RequestId, InFlight>,
    visits: Table<VisitKey, Visit>,
    edges: Table<EdgeKey, u64>,
    finished: VecDeque<FinishedRequest>,
}

/// What is true of one component.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ComponentState {
    /// Counts, levels, histograms, windows.
    pub measures: StationMeasures,
    /// Answers health checks; `true` until told otherwise.
    pub healthy: bool,
    /// Faults at work now.
    pub faults: u32,
    /// When something last went wrong here.
    pub last_error: Option<TimeNs>,
    /// Runs planned again from here.
    pub retries: u64,
}

/// What is true of one class.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ClassState {
    /// Requests begun.
    pub begun: u64,
    /// Requests completed.
    pub completed: u64,
    /// Requests that ended in any other way.
    pub failed: u64,
    /// Begun to finished, completed requests only.
    pub sojourn_time: Durations,
}

/// What is true of one delivery path.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PathState {
    /// Parts that reached their end well.
    pub completed: u64,
    /// Parts that did not.
    pub failed: u64,
    /// Request begun to part finished, completed parts only.
    pub sojourn_time: Durations,
}

impl SystemState {
    /// Before the first event, with histograms for the seekable state.
    #[must_use]
    pub fn new(topology: &Topology) -> Self {
        Self::with_digits(topology, DIGITS_STATE)
    }

    /// Before the first event, with `digits` significant digits in histograms.
    #[must_use]
    pub fn with_digits(topology: &Topology, digits: u8) -> Self {
        let kinds: Vec<_> = topology
            .components
            .iter()
            .map(|component| component.kind)
            .collect();
        let component = ComponentState {
            measures: StationMeasures::new(digits),
            healthy: true,
            faults: 0,
            last_error: None,
            retries: 0,
        };
        let class = ClassState {
            begun: 0,
            completed: 0,
            failed: 0,
            sojourn_time: Durations::new(digits),
        };
        let path = PathState {
            completed: 0,
            failed: 0,
            sojourn_time: Durations::new(digits),
        };
        Self {
            now: TimeNs::ZERO,
            event_count: 0,
            run_hash: RunHash::default(),
            digits,
            answers_at_servers: kinds.contains(&ComponentKind::Server),
            components: vec![component; kinds.len()],
            kinds,
            classes: vec![class; topology.classes.len()],
            paths: vec![path; topology.paths.len()],
            system: SystemMeasures::new(digits),
            event_counts: vec![0; usize::from(u8::MAX) + 1],
            anomalies: Anomalies::default(),
            in_flight: Table::default(),
            visits: Table::default(),
            edges: Table::default(),
            finished: VecDeque::with_capacity(FINISHED_KEPT),
        }
    }

    /// Takes in the next event of the run.
    pub fn apply(&mut self, event: &StageEvent) {
        if event.seq != self.event_count {
            self.anomalies.count(AnomalyKind::SequenceBroken, event);
        }
        if event.t_ns < self.now {
            self.anomalies.count(AnomalyKind::TimeFell, event);
        }
        self.now = self.now.max(event.t_ns);
        self.event_count += 1;
        self.run_hash.add(event);
        self.event_counts[usize::from(event.kind.code())] += 1;
        match event.kind {
            EventKind::RequestBegun => self.request_begun(event),
            EventKind::RequestFinished => self.request_finished(event),
            EventKind::PartFinished => self.part_finished(event),
            EventKind::Forwarded => self.moved(event),
            EventKind::Arrived | EventKind::JobAdded | EventKind::JobDeadLettered => {
                self.visit_opened(event);
            }
            EventKind::JobDelayed => {
                self.visit_opened(event);
                self.service_started(event);
            }
            EventKind::ServiceStarted => self.service_started(event),
            EventKind::ServiceEnded => self.service_ended(event),
            EventKind::JobPickedUp | EventKind::JobRequeued => self.picked_up(event),
            EventKind::Rejected | EventKind::Abandoned | EventKind::TimedOut => {
                self.gave_up(event);
            }
            EventKind::RetryScheduled => {
                self.at_component(event, |component| component.retries += 1);
            }
            EventKind::HealthChanged => {
                self.at_component(event, |component| component.healthy = event.value != 0);
            }
            EventKind::FaultBegan => {
                self.at_component(event, |component| component.faults += 1);
            }
            EventKind::FaultEnded => self.at_component(event, |component| {
                component.faults = component.faults.saturating_sub(1);
            }),
            EventKind::JobFailed | EventKind::EmailBounced => {
                let now = self.now;
                self.at_component(event, |component| component.last_error = Some(now));
            }
            EventKind::ConnectionOpened => self.system.connections += 1,
            EventKind::ConnectionAuthenticated => self.system.authenticated += 1,
            EventKind::ConnectionClosed => {
                self.system.connections = self.system.connections.saturating_sub(1);
                let authenticated = u64::from(event.outcome == Outcome::Ok);
                self.system.authenticated = self.system.authenticated.saturating_sub(authenticated);
            }
            EventKind::AlertRaised => self.system.alerts += 1,
            EventKind::AlertResolved => {
                self.system.alerts = self.system.alerts.saturating_sub(1);
            }
            EventKind::Gap => self.system.lost = self.system.lost.saturating_add(event.value),
            EventKind::JobCompleted
            | EventKind::EmailQueued
            | EventKind::EmailSent
            | EventKind::InAppQueued
            | EventKind::InAppDelivered
            | EventKind::InAppAcknowledged
            | EventKind::InAppRead
            | EventKind::RoomJoined
            | EventKind::RoomLeft
            | EventKind::DatabaseStarted
            | EventKind::DatabaseEnded
            | EventKind::ServerPicked
            | EventKind::SessionStuck
            | EventKind::WorkerBusy
            | EventKind::WorkerIdle
            | EventKind::MetricSampled
            | EventKind::ActivityLogged
            | EventKind::DashboardUpdated
            | EventKind::ControlApplied
            | EventKind::Annotation => {}
        }
    }

    fn request_begun(&mut self, event: &StageEvent) {
        let request = InFlight {
            class: event.class,
            begun: event.t_ns,
            begun_seq: event.seq,
            user: event.value,
            answered: None,
            attempts: 0,
            at: event.component,
        };
        if self.in_flight.insert(event.request, request).is_some() {
            self.anomalies.count(AnomalyKind::BegunTwice, event);
            return;
        }
        self.system.begun(self.now);
        match self.classes.get_mut(event.class.index()) {
            Some(class) => class.begun += 1,
            None => self.anomalies.count(AnomalyKind::UnknownClass, event),
        }
    }

    fn request_finished(&mut self, event: &StageEvent) {
        let Some(request) = self.in_flight.remove(event.request) else {
            self.anomalies.count(AnomalyKind::UnknownRequest, event);
            return;
        };
        let sojourn_ns = event.t_ns.since_ns(request.begun);
        self.system.finished(self.now, event.outcome, sojourn_ns);
        if !self.answers_at_servers {
            self.system.answered(self.now, sojourn_ns);
        }
        if let Some(class) = self.classes.get_mut(request.class.index()) {
            if event.outcome == Outcome::Ok {
                class.completed += 1;
                class.sojourn_time.record(sojourn_ns);
            } else {
                class.failed += 1;
            }
        }
        if self.finished.len() == FINISHED_KEPT {
            self.finished.pop_front();
        }
        self.finished.push_back(FinishedRequest {
            request: event.request,
            class: request.class,
            outcome: event.outcome,
            begun: request.begun,
            finished: event.t_ns,
            begun_seq: request.begun_seq,
            finished_seq: event.seq,
            answered: request.answered,
            attempts: request.attempts,
        });
    }

    fn part_finished(&mut self, event: &StageEvent) {
        let Some(begun) = self
            .in_flight
            .get(event.request)
            .map(|request| request.begun)
        else {
            if !self.is_left_behind(event) {
                self.anomalies.count(AnomalyKind::UnknownRequest, event);
            }
            return;
        };
        let Some(path) = event.value.checked_sub(1) else {
            return;
        };
        let path = usize::try_from(path)
            .ok()
            .and_then(|index| self.paths.get_mut(index));
        match path {
            None => self.anomalies.count(AnomalyKind::UnknownPath, event),
            Some(path) if event.outcome == Outcome::Ok => {
                path.completed += 1;
                path.sojourn_time.record(event.t_ns.since_ns(begun));
            }
            Some(path) => path.failed += 1,
        }
    }

    /// A quorum leaves parts behind that run on after their request has finished.
    fn is_left_behind(&self, event: &StageEvent) -> bool {
        event.part.0 > 0 && (1..=self.system.requests.started).contains(&event.request.0)
    }

    fn moved(&mut self, event: &StageEvent) {
        let key = EdgeKey {
            from: event.component,
            to: event.peer,
        };
        match self.edges.get_mut(key) {
            Some(count) => *count += 1,
            None => {
                self.edges.insert(key, 1);
            }
        }
    }

    fn visit_opened(&mut self, event: &StageEvent) {
        let now = self.now;
        if event.component.index() >= self.components.len() {
            self.anomalies.count(AnomalyKind::UnknownComponent, event);
            return;
        }
        if let Some(request) = self.in_flight.get_mut(event.request) {
            request.at = event.component;
            request.attempts = request.attempts.max(event.attempt);
        } else if !self.is_left_behind(event) {
            self.anomalies.count(AnomalyKind::UnknownRequest, event);
        }
        let visit = Visit {
            class: event.class,
            from: event.peer,
            attempt: event.attempt,
            arrived: event.t_ns,
            arrived_seq: event.seq,
            started: None,
        };
        if self.visits.insert(VisitKey::of(event), visit).is_some() {
            self.anomalies.count(AnomalyKind::OpenedTwice, event);
        } else {
            self.components[event.component.index()]
                .measures
                .arrived(now);
        }
    }

    fn service_started(&mut self, event: &StageEvent) {
        let now = self.now;
        let visit = self.visits.get_mut(VisitKey::of(event));
        let Some(visit) = visit.filter(|visit| visit.started.is_none()) else {
            self.anomalies
                .count(AnomalyKind::StartWithoutArrival, event);
            return;
        };
        visit.started = Some(event.t_ns);
        let waiting_ns = event.t_ns.since_ns(visit.arrived);
        self.components[event.component.index()]
            .measures
            .started(now, waiting_ns);
    }

    fn service_ended(&mut self, event: &StageEvent) {
        let now = self.now;
        let Some(visit) = self.visits.remove(VisitKey::of(event)) else {
            self.anomalies.count(AnomalyKind::EndWithoutStart, event);
            return;
        };
        let component = &mut self.components[event.component.index()];
        let Some(started) = visit.started else {
            component.measures.gave_up(now, false);
            self.anomalies.count(AnomalyKind::EndWithoutStart, event);
            return;
        };
        if event.outcome == Outcome::Cancelled {
            component.measures.cancelled(now, true);
            return;
        }
        let went_well = event.outcome == Outcome::Ok;
        let waiting_ns = started.since_ns(visit.arrived);
        component
            .measures
            .ended(now, waiting_ns, event.t_ns.since_ns(started), went_well);
        if !went_well {
            component.last_error = Some(now);
        }
        // A server that another server called answers that server, not the client.
        if self.kinds[event.component.index()] == ComponentKind::Server
            && self.kinds.get(visit.from.index()) != Some(&ComponentKind::Server)
            && let Some(request) = self.in_flight.get_mut(event.request)
            && request.answered.is_none()
        {
            request.answered = Some(event.t_ns);
            self.system
                .answered(now, event.t_ns.since_ns(request.begun));
        }
    }

    fn picked_up(&mut self, event: &StageEvent) {
        let now = self.now;
        self.moved(event);
        let Some(visit) = self.visits.remove(VisitKey::of(event)) else {
            self.anomalies.count(AnomalyKind::EndWithoutStart, event);
            return;
        };
        let waiting_ns = event.t_ns.since_ns(visit.arrived);
        self.components[event.component.index()]
            .measures
            .picked_up(now, waiting_ns);
        if event.kind == EventKind::JobRequeued && self.in_flight.get(event.request).is_none() {
            self.reopen(event, &visit);
        }
    }

    fn reopen(&mut self, event: &StageEvent, visit: &Visit) {
        let request = InFlight {
            class: visit.class,
            begun: event.t_ns,
            begun_seq: event.seq,
            user: 0,
            answered: Some(event.t_ns),
            attempts: visit.attempt,
            at: event.component,
        };
        self.in_flight.insert(event.request, request);
        self.system.requests.reopened += 1;
        self.system.in_system.rise(self.now);
    }

    fn gave_up(&mut self, event: &StageEvent) {
        let now = self.now;
        let Some(visit) = self.visits.remove(VisitKey::of(event)) else {
            self.anomalies.count(AnomalyKind::EndWithoutStart, event);
            return;
        };
        let component = &mut self.components[event.component.index()];
        if event.outcome == Outcome::Cancelled {
            component.measures.cancelled(now, visit.started.is_some());
            return;
        }
        component.measures.gave_up(now, visit.started.is_some());
        component.last_error = Some(now);
        match event.kind {
            EventKind::Rejected => component.measures.rejected += 1,
            EventKind::Abandoned => component.measures.abandoned += 1,
            _ => component.measures.timed_out += 1,
        }
    }

    fn at_component(&mut self, event: &StageEvent, change: impl FnOnce(&mut ComponentState)) {
        match self.components.get_mut(event.component.index()) {
            Some(component) => change(component),
            None => self.anomalies.count(AnomalyKind::UnknownComponent, event),
        }
    }
}

#[cfg(test)]
mod tests;
