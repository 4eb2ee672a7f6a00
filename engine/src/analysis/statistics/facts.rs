//! What the kernel tells, counted: the hot half of the statistics.
//!
//! Belongs here: one short method for each fact. Does not belong here: what follows from the counts.

use super::Statistics;
use crate::analysis::gauges::Gauges;
use crate::kernel::Sink;
use crate::model::event::Outcome;
use crate::model::id::{ClassId, ComponentId, PathId};
use crate::model::time::TimeNs;

impl Sink for Statistics {
    #[inline(always)]
    fn clock(&mut self, now: TimeNs) {
        if now.0 >= self.next_mark_ns {
            self.roll(now.0);
        }
    }

    #[inline(always)]
    fn begun(&mut self, now: TimeNs) {
        self.requests.started += 1;
        self.in_system.rise(now.0);
    }

    #[inline(always)]
    fn finished(&mut self, now: TimeNs, class: ClassId, outcome: Outcome, sojourn_ns: u64) {
        self.in_system.fall(now.0);
        match outcome {
            Outcome::Ok => {
                self.requests.completed += 1;
                self.now.system.completed(sojourn_ns);
                if self.has_classes {
                    self.now.classes[class.index()].completed(sojourn_ns);
                }
                if let Some(Some(limit)) = self.deadlines_ns.get(class.index())
                    && sojourn_ns > *limit
                {
                    self.now.system.late += 1;
                    if self.has_classes {
                        self.now.classes[class.index()].late += 1;
                    }
                }
            }
            Outcome::Rejected => self.requests.rejected += 1,
            Outcome::Abandoned => self.requests.abandoned += 1,
            Outcome::None | Outcome::Failed | Outcome::TimedOut | Outcome::Cancelled => {
                self.requests.failed += 1;
            }
        }
        self.batch_requests -= 1;
        if self.batch_requests == 0 {
            self.close(now.0);
        }
    }

    #[inline(always)]
    fn part_finished(
        &mut self,
        _now: TimeNs,
        path: Option<PathId>,
        outcome: Outcome,
        sojourn_ns: u64,
    ) {
        if let (Some(path), Outcome::Ok) = (path, outcome) {
            self.now.paths[path.index()].completed(sojourn_ns);
        }
    }

    #[inline(always)]
    fn arrived(&mut self, now: TimeNs, station: ComponentId) {
        let (batch, levels) = self.station(station);
        batch.arrivals += 1;
        levels.waiting.rise(now.0);
    }

    #[inline(always)]
    fn started(&mut self, now: TimeNs, station: ComponentId, waiting_ns: u64) {
        let (batch, levels) = self.station(station);
        batch.waiting.record(waiting_ns);
        levels.waiting.fall(now.0);
        levels.in_service.rise(now.0);
    }

    #[inline(always)]
    fn ended(
        &mut self,
        now: TimeNs,
        station: ComponentId,
        waiting_ns: u64,
        service_ns: u64,
        went_well: bool,
    ) {
        let (batch, levels) = self.station(station);
        batch.completed += u64::from(went_well);
        batch.failed += u64::from(!went_well);
        batch.service.record(service_ns);
        batch.sojourn.record(waiting_ns.saturating_add(service_ns));
        levels.in_service.fall(now.0);
    }

    #[inline]
    fn ended_in_turns(
        &mut self,
        now: TimeNs,
        station: ComponentId,
        waiting_ns: u64,
        in_service_ns: u64,
        served_ns: u64,
        went_well: bool,
    ) {
        let (batch, levels) = self.station(station);
        batch.completed += u64::from(went_well);
        batch.failed += u64::from(!went_well);
        batch.service.record(served_ns);
        batch
            .sojourn
            .record(waiting_ns.saturating_add(in_service_ns));
        levels.in_service.fall(now.0);
    }

    fn gauge(&mut self, now: TimeNs, number: u32, level: u64) {
        self.gauges.set(number, level, now.0, &mut self.now);
    }

    fn tally(&mut self, _now: TimeNs, number: u32) {
        Gauges::tally(number, &mut self.now);
    }

    #[inline(always)]
    fn picked_up(&mut self, now: TimeNs, station: ComponentId, waiting_ns: u64) {
        let (batch, levels) = self.station(station);
        batch.completed += 1;
        batch.waiting.record(waiting_ns);
        batch.sojourn.record(waiting_ns);
        levels.waiting.fall(now.0);
    }

    #[inline(always)]
    fn gave_up(&mut self, now: TimeNs, station: ComponentId, outcome: Outcome) {
        let (batch, levels) = self.station(station);
        if outcome == Outcome::Rejected {
            batch.rejected += 1;
        } else {
            batch.abandoned += 1;
        }
        levels.waiting.fall(now.0);
    }

    fn scaled(&mut self, now: TimeNs, station: ComponentId, servers: u32) {
        let mut all = self.servers.iter_mut();
        if let Some((_, level)) = all.find(|(known, _)| *known == station) {
            while level.value < u64::from(servers) {
                level.rise(now.0);
            }
            while level.value > u64::from(servers) {
                level.fall(now.0);
            }
        }
    }

    #[inline]
    fn cancelled(&mut self, now: TimeNs, station: ComponentId, was_in_service: bool) {
        let (batch, levels) = self.station(station);
        batch.cancelled += 1;
        if was_in_service {
            levels.in_service.fall(now.0);
        } else {
            levels.waiting.fall(now.0);
        }
    }

    #[inline]
    fn timed_out(&mut self, now: TimeNs, station: ComponentId, had_started: bool) {
        let (batch, levels) = self.station(station);
        batch.failed += 1;
        batch.timed_out += 1;
        if had_started {
            levels.in_service.fall(now.0);
        } else {
            levels.waiting.fall(now.0);
        }
    }

    #[inline]
    fn held(&mut self, now: TimeNs, station: ComponentId, begins: bool) {
        let held = &mut self.held[station.index()];
        if begins {
            held.rise(now.0);
        } else {
            held.fall(now.0);
        }
    }
}
