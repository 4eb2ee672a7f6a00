//! Facts handed to statistics, held against the events and against Little's law.
//!
//! Belongs here: sums of facts, compared with the reducer's and the witness's. Does not belong here:
//! what events must keep (witness).

use super::witness::{Complaint, Witness};
use flowreel_engine::kernel::Sink;
use flowreel_engine::model::event::{Outcome, StageEvent};
use flowreel_engine::model::id::{ClassId, ComponentId, PathId};
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;

/// Sums of one station.
#[derive(Clone, Debug, Default)]
struct Sums {
    arrivals: u64,
    started: u64,
    completed: u64,
    failed: u64,
    rejected: u64,
    abandoned: u64,
    waiting: i64,
    in_service: i64,
    since_ns: u64,
    /// Integral of the level, and the times reported by those who left after service.
    area_ns: i128,
    sojourn_ns: u128,
    waiting_ns: u128,
    service_ns: u128,
}

impl Sums {
    fn settle(&mut self, now: TimeNs) {
        let level = i128::from(self.waiting + self.in_service);
        self.area_ns += level * i128::from(now.0 - self.since_ns);
        self.since_ns = now.0;
    }
}

/// The facts of one run.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    stations: Vec<Sums>,
    begun: u64,
    completed: u64,
    not_completed: u64,
    sojourn_ns: u128,
    paths: Vec<(u64, u128)>,
}

impl Facts {
    pub(super) fn new(components: usize, paths: usize) -> Self {
        Self {
            stations: vec![Sums::default(); components],
            begun: 0,
            completed: 0,
            not_completed: 0,
            sojourn_ns: 0,
            paths: vec![(0, 0); paths],
        }
    }

    fn at(&mut self, now: TimeNs, station: ComponentId) -> &mut Sums {
        let sums = &mut self.stations[station.index()];
        sums.settle(now);
        sums
    }

    /// After each event and its facts the levels are those of the witness.
    pub(super) fn check_levels(&self, witness: &Witness, at: usize) -> Result<(), Complaint> {
        let (sums, books) = (&self.stations[at], &witness.books[at]);
        let levels = (sums.waiting, sums.in_service);
        let expected = (books.waiting() as i64, books.in_service as i64);
        if levels == expected {
            return Ok(());
        }
        Err((
            "facts",
            format!(
                "component {at}: facts say {levels:?} waiting and in service, events say {expected:?}"
            ),
        ))
    }

    /// At the end: Little's law by station, and every sum as the reducer has it.
    pub(super) fn end(
        &mut self,
        now: TimeNs,
        witness: &Witness,
        state: &SystemState,
    ) -> Result<(), Complaint> {
        let mut open_ns = vec![0_u128; self.stations.len()];
        for (key, visit) in &witness.visits {
            open_ns[usize::from(key.2)] += u128::from(now.0 - visit.arrived_ns);
        }
        for (at, sums) in self.stations.iter_mut().enumerate() {
            sums.settle(now);
            let by_visits = sums.sojourn_ns + witness.books[at].given_up_ns + open_ns[at];
            if u128::try_from(sums.area_ns).ok() != Some(by_visits) {
                return Err((
                    "little's law",
                    format!(
                        "component {at}: {} ns by level, {by_visits} ns by visits",
                        sums.area_ns
                    ),
                ));
            }
            let measures = &state.components()[at].measures;
            let facts = [
                (
                    "arrivals",
                    u128::from(sums.arrivals),
                    u128::from(measures.arrivals),
                ),
                (
                    "started",
                    u128::from(sums.started),
                    u128::from(measures.started),
                ),
                (
                    "completed",
                    u128::from(sums.completed),
                    u128::from(measures.completed),
                ),
                (
                    "failed",
                    u128::from(sums.failed),
                    u128::from(measures.failed),
                ),
                (
                    "rejected",
                    u128::from(sums.rejected),
                    u128::from(measures.rejected),
                ),
                (
                    "abandoned",
                    u128::from(sums.abandoned),
                    u128::from(measures.abandoned + measures.timed_out),
                ),
                (
                    "waiting time",
                    sums.waiting_ns,
                    measures.waiting_time.sum_ns,
                ),
                (
                    "service time",
                    sums.service_ns,
                    measures.service_time.sum_ns,
                ),
                (
                    "sojourn time",
                    sums.sojourn_ns,
                    measures.sojourn_time.sum_ns,
                ),
            ];
            for (name, by_facts, by_events) in facts {
                if by_facts != by_events {
                    return Err((
                        "facts",
                        format!(
                            "component {at}, {name}: {by_facts} by facts, {by_events} by events"
                        ),
                    ));
                }
            }
        }
        let requests = state.requests();
        let not_completed =
            requests.failed + requests.rejected + requests.abandoned + requests.timed_out;
        let whole = [
            (self.begun, requests.started),
            (self.completed, requests.completed),
            (self.not_completed, not_completed),
        ];
        if whole.iter().any(|(facts, events)| facts != events)
            || self.sojourn_ns != state.system().sojourn_time.sum_ns
        {
            return Err((
                "facts",
                format!("requests: {whole:?} by facts and by events"),
            ));
        }
        for (path, sums) in state.paths().iter().zip(&self.paths) {
            if (path.completed, path.sojourn_time.sum_ns) != *sums {
                return Err((
                    "facts",
                    format!("a path: {sums:?} by facts, {} by events", path.completed),
                ));
            }
        }
        Ok(())
    }
}

impl Sink for Facts {
    fn event(&mut self, _event: &StageEvent) {}

    fn begun(&mut self, _now: TimeNs) {
        self.begun += 1;
    }

    fn finished(&mut self, _now: TimeNs, _class: ClassId, outcome: Outcome, sojourn_ns: u64) {
        if outcome == Outcome::Ok {
            self.completed += 1;
            self.sojourn_ns += u128::from(sojourn_ns);
        } else {
            self.not_completed += 1;
        }
    }

    fn part_finished(
        &mut self,
        _now: TimeNs,
        path: Option<PathId>,
        outcome: Outcome,
        sojourn_ns: u64,
    ) {
        if let (Some(path), Outcome::Ok) = (path, outcome) {
            let (count, sum_ns) = &mut self.paths[path.index()];
            *count += 1;
            *sum_ns += u128::from(sojourn_ns);
        }
    }

    fn arrived(&mut self, now: TimeNs, station: ComponentId) {
        let sums = self.at(now, station);
        sums.arrivals += 1;
        sums.waiting += 1;
    }

    fn started(&mut self, now: TimeNs, station: ComponentId, waiting_ns: u64) {
        let sums = self.at(now, station);
        sums.started += 1;
        sums.waiting_ns += u128::from(waiting_ns);
        sums.waiting -= 1;
        sums.in_service += 1;
    }

    fn ended(
        &mut self,
        now: TimeNs,
        station: ComponentId,
        waiting_ns: u64,
        service_ns: u64,
        went_well: bool,
    ) {
        let sums = self.at(now, station);
        sums.completed += u64::from(went_well);
        sums.failed += u64::from(!went_well);
        sums.service_ns += u128::from(service_ns);
        sums.sojourn_ns += u128::from(waiting_ns) + u128::from(service_ns);
        sums.in_service -= 1;
    }

    fn picked_up(&mut self, now: TimeNs, station: ComponentId, waiting_ns: u64) {
        let sums = self.at(now, station);
        sums.started += 1;
        sums.completed += 1;
        sums.waiting_ns += u128::from(waiting_ns);
        sums.sojourn_ns += u128::from(waiting_ns);
        sums.waiting -= 1;
    }

    fn gave_up(&mut self, now: TimeNs, station: ComponentId, outcome: Outcome) {
        let sums = self.at(now, station);
        if outcome == Outcome::Rejected {
            sums.rejected += 1;
        } else {
            sums.abandoned += 1;
        }
        sums.waiting -= 1;
    }

    fn cancelled(&mut self, now: TimeNs, station: ComponentId, was_in_service: bool) {
        let sums = self.at(now, station);
        sums.abandoned += 1;
        if was_in_service {
            sums.in_service -= 1;
        } else {
            sums.waiting -= 1;
        }
    }

    fn timed_out(&mut self, now: TimeNs, station: ComponentId, had_started: bool) {
        let sums = self.at(now, station);
        sums.abandoned += 1;
        if had_started {
            sums.in_service -= 1;
        } else {
            sums.waiting -= 1;
        }
    }
}
