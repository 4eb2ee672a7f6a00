//! Watching a run.
//!
//! Belongs here: the trait that receives events and facts, and ways to join watchers.
//! Does not belong here: what watchers do with them (analysis, recording).

use crate::model::event::{Outcome, StageEvent};
use crate::model::id::{ClassId, ComponentId, PathId};
use crate::model::time::TimeNs;

/// Who watches a run: events, and the facts behind them in the words of `model::metrics`.
///
/// Every method does nothing unless it is written; facts follow their event.
#[expect(
    unused_variables,
    reason = "names of parameters that say what a watcher is given"
)]
pub trait Sink {
    /// Virtual time has moved on; comes before everything that happens then, and never goes back.
    fn clock(&mut self, now: TimeNs) {}
    /// The next event.
    fn event(&mut self, event: &StageEvent) {}
    /// A request began.
    fn begun(&mut self, now: TimeNs) {}
    /// A request ended, all parts included.
    fn finished(&mut self, now: TimeNs, class: ClassId, outcome: Outcome, sojourn_ns: u64) {}
    /// A part reached its end, this long after its request began.
    fn part_finished(
        &mut self,
        now: TimeNs,
        path: Option<PathId>,
        outcome: Outcome,
        sojourn_ns: u64,
    ) {
    }
    /// A part entered a station and waits.
    fn arrived(&mut self, now: TimeNs, station: ComponentId) {}
    /// Its service began.
    fn started(&mut self, now: TimeNs, station: ComponentId, waiting_ns: u64) {}
    /// Its service ended.
    fn ended(
        &mut self,
        now: TimeNs,
        station: ComponentId,
        waiting_ns: u64,
        service_ns: u64,
        went_well: bool,
    ) {
    }
    /// Its service ended, in part of which it was not served: interrupted, or sharing a server.
    fn ended_in_turns(
        &mut self,
        now: TimeNs,
        station: ComponentId,
        waiting_ns: u64,
        in_service_ns: u64,
        served_ns: u64,
        went_well: bool,
    ) {
        self.ended(now, station, waiting_ns, in_service_ns, went_well);
    }
    /// A level beside those above has changed; numbered as in `scenario::line::gauges`.
    fn gauge(&mut self, now: TimeNs, number: u32, level: u64) {}
    /// A count beside those above goes up by one.
    fn tally(&mut self, now: TimeNs, number: u32) {}
    /// A worker pulled it from here.
    fn picked_up(&mut self, now: TimeNs, station: ComponentId, waiting_ns: u64) {}
    /// It was refused (`Rejected`), left the line (`Abandoned`) or was taken out of it (`Cancelled`).
    fn gave_up(&mut self, now: TimeNs, station: ComponentId, outcome: Outcome) {}
    /// It has this many servers from now on.
    fn scaled(&mut self, now: TimeNs, station: ComponentId, servers: u32) {}
    /// It was cancelled there, waiting or in service.
    fn cancelled(&mut self, now: TimeNs, station: ComponentId, was_in_service: bool) {}
    /// Its time limit was over, in line or in service.
    fn timed_out(&mut self, now: TimeNs, station: ComponentId, had_started: bool) {}
    /// A server has to keep what it has finished, or no longer.
    fn held(&mut self, now: TimeNs, station: ComponentId, begins: bool) {}
}

/// Nobody watches.
impl Sink for () {}

/// Two watchers, the first before the second.
impl<A: Sink, B: Sink> Sink for (A, B) {
    #[inline(always)]
    fn clock(&mut self, now: TimeNs) {
        self.0.clock(now);
        self.1.clock(now);
    }
    #[inline(always)]
    fn event(&mut self, event: &StageEvent) {
        self.0.event(event);
        self.1.event(event);
    }
    #[inline(always)]
    fn begun(&mut self, now: TimeNs) {
        self.0.begun(now);
        self.1.begun(now);
    }
    #[inline(always)]
    fn finished(&mut self, now: TimeNs, class: ClassId, outcome: Outcome, sojourn_ns: u64) {
        self.0.finished(now, class, outcome, sojourn_ns);
        self.1.finished(now, class, outcome, sojourn_ns);
    }
    #[inline(always)]
    fn part_finished(
        &mut self,
        now: TimeNs,
        path: Option<PathId>,
        outcome: Outcome,
        sojourn_ns: u64,
    ) {
        self.0.part_finished(now, path, outcome, sojourn_ns);
        self.1.part_finished(now, path, outcome, sojourn_ns);
    }
    #[inline(always)]
    fn arrived(&mut self, now: TimeNs, station: ComponentId) {
        self.0.arrived(now, station);
        self.1.arrived(now, station);
    }
    #[inline(always)]
    fn started(&mut self, now: TimeNs, station: ComponentId, waiting_ns: u64) {
        self.0.started(now, station, waiting_ns);
        self.1.started(now, station, waiting_ns);
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
        self.0
            .ended(now, station, waiting_ns, service_ns, went_well);
        self.1
            .ended(now, station, waiting_ns, service_ns, went_well);
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
        self.0.ended_in_turns(
            now,
            station,
            waiting_ns,
            in_service_ns,
            served_ns,
            went_well,
        );
        self.1.ended_in_turns(
            now,
            station,
            waiting_ns,
            in_service_ns,
            served_ns,
            went_well,
        );
    }
    #[inline]
    fn gauge(&mut self, now: TimeNs, number: u32, level: u64) {
        self.0.gauge(now, number, level);
        self.1.gauge(now, number, level);
    }
    #[inline]
    fn tally(&mut self, now: TimeNs, number: u32) {
        self.0.tally(now, number);
        self.1.tally(now, number);
    }
    #[inline(always)]
    fn picked_up(&mut self, now: TimeNs, station: ComponentId, waiting_ns: u64) {
        self.0.picked_up(now, station, waiting_ns);
        self.1.picked_up(now, station, waiting_ns);
    }
    #[inline(always)]
    fn gave_up(&mut self, now: TimeNs, station: ComponentId, outcome: Outcome) {
        self.0.gave_up(now, station, outcome);
        self.1.gave_up(now, station, outcome);
    }
    #[inline]
    fn scaled(&mut self, now: TimeNs, station: ComponentId, servers: u32) {
        self.0.scaled(now, station, servers);
        self.1.scaled(now, station, servers);
    }
    #[inline]
    fn cancelled(&mut self, now: TimeNs, station: ComponentId, was_in_service: bool) {
        self.0.cancelled(now, station, was_in_service);
        self.1.cancelled(now, station, was_in_service);
    }
    #[inline]
    fn timed_out(&mut self, now: TimeNs, station: ComponentId, had_started: bool) {
        self.0.timed_out(now, station, had_started);
        self.1.timed_out(now, station, had_started);
    }
    #[inline]
    fn held(&mut self, now: TimeNs, station: ComponentId, begins: bool) {
        self.0.held(now, station, begins);
        self.1.held(now, station, begins);
    }
}

/// A closure that takes events is a watcher too: `EventSink(|event| …)`.
#[derive(Debug)]
pub struct EventSink<F>(pub F);

impl<F: FnMut(&StageEvent)> Sink for EventSink<F> {
    #[inline]
    fn event(&mut self, event: &StageEvent) {
        (self.0)(event);
    }
}
