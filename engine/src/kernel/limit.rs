//! Limits at work: what is asked at the door of a limited station, time limits, visits cut short.
//!
//! Belongs here: the side table of limited stations, and ending visits before their time. Does not
//! belong here: breakers (breaker), waiting at the door (door), usual ends (finish).
//!
//! Stations without limits never look at the table: one flag of theirs says so.

use super::breaker::BreakerState;
use super::door::Held;
use super::slab::{NONE, NOWHERE};
use super::station::Bucket;
use super::{Appointment, Kernel, KernelError, Sink};
use crate::model::event::{EventKind, Outcome, StageEvent};
use crate::model::id::ComponentId;
use crate::model::time::TimeNs;
use crate::model::topology::ComponentKind;
use crate::scenario::valid::{FaultKind, Role, Rule, RuleId, Scenario};
use std::collections::VecDeque;

/// What a station has beyond the usual.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    timeout_ns: Option<u64>,
    pub(super) breaker: Option<BreakerState>,
    /// Tokens for admission; those for starts of service stand at the station.
    pub(super) gate: Option<Bucket>,
    /// Who finds it full waits at the door.
    pub(super) blocks: bool,
    /// Parts at its door, first come first.
    pub(super) door: VecDeque<Held>,
    /// Servers of its own that cannot go on, since their part is at somebody's door.
    pub(super) held: u32,
    /// Down by a fault, whatever its breaker says.
    pub(super) is_cut: bool,
    /// Taken by visits that are cut short; `None` ends the part.
    on_cut: Option<RuleId>,
}

/// By component; marks the stations that have any.
pub(super) fn compile(
    scenario: &Scenario,
    stations: &mut [super::station::StationState],
) -> Vec<Limits> {
    let mut list = vec![Limits::default(); stations.len()];
    for station in &scenario.stations {
        let index = station.component.index();
        let disconnects = scenario
            .faults
            .iter()
            .any(|fault| fault.target == station.component && fault.kind == FaultKind::Disconnect);
        let limits = &mut list[index];
        limits.timeout_ns = station.timeout_ns;
        limits.breaker = station.breaker.map(BreakerState::new);
        limits.gate = station
            .rate_limit
            .filter(|limit| limit.drops)
            .map(Bucket::new);
        limits.blocks = station.blocks;
        limits.on_cut =
            Some(station.on_failure).filter(|rule| !matches!(scenario.rule(*rule), Rule::Failed));
        stations[index].is_limited = disconnects
            || limits.timeout_ns.is_some()
            || limits.breaker.is_some()
            || limits.gate.is_some()
            || limits.blocks;
        stations[index].may_be_held = crate::scenario::blocking::may_hold(scenario, station);
    }
    list
}

impl Kernel {
    /// At the door of a limited station: in, away, or to wait there.
    pub(super) fn arrive_limited<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let now = self.now;
        let station = &self.stations[usize::from(at)];
        let has_room = station.present < station.capacity;
        let limits = &mut self.limits[usize::from(at)];
        if limits.blocks && !limits.is_shut() && self.admitted != slot {
            let is_full = station.present >= station.as_set.capacity;
            if is_full || !limits.door.is_empty() {
                return self.wait_at_door(slot, at);
            }
        }
        let is_probe = match &limits.breaker {
            Some(breaker) if breaker.refuses() => return self.turn_away(slot, at, sink),
            Some(breaker) => breaker.wants_probe(),
            None => false,
        };
        if let Some(gate) = limits.gate.as_mut().filter(|_| has_room) {
            if gate.ready_at_ns(now) > now {
                return self.turn_away(slot, at, sink);
            }
            gate.take(now);
        }
        let timeout_ns = limits.timeout_ns;
        let turn = self.turn_of(slot);
        if let Some(breaker) = &mut self.limits[usize::from(at)].breaker
            && is_probe
            && has_room
        {
            breaker.probe(turn);
        }
        if let Some(timeout_ns) = timeout_ns {
            self.plan(timeout_ns, Appointment::TimeLimit(slot, turn), at)?;
        }
        self.let_in(slot, at, sink)
    }

    /// Limits of a visit that a worker began by pulling.
    pub(super) fn limit_pulled(&mut self, slot: u32, at: u16) -> Result<(), KernelError> {
        let turn = self.turn_of(slot);
        let limits = &mut self.limits[usize::from(at)];
        if let Some(breaker) = limits.breaker.as_mut().filter(|it| it.wants_probe()) {
            breaker.probe(turn);
        }
        match limits.timeout_ns {
            Some(timeout_ns) => self.plan(timeout_ns, Appointment::TimeLimit(slot, turn), at),
            None => Ok(()),
        }
    }

    /// Refused before anybody looked whether there is room.
    fn turn_away<S: Sink>(&mut self, slot: u32, at: u16, sink: &mut S) -> Result<(), KernelError> {
        let holds = self.stations[usize::from(at)].role == Role::Hold;
        if holds {
            let part = self.parts.get_mut(slot);
            part.attempt = part.attempt.max(1);
            self.enter(EventKind::JobAdded, slot, at, sink);
        } else {
            self.enter(EventKind::Arrived, slot, at, sink);
        }
        self.refuse(slot, at, sink)
    }

    /// Is a visit with this turn still open, of this part or of one that called?
    fn has_open_visit(&self, slot: u32, turn: u32) -> bool {
        let part = self.parts.get(slot);
        let mut caller = part.caller;
        if part.turn == turn {
            return !part.is_under_way;
        }
        while caller != NONE {
            let call = self.calls.get(caller);
            if call.turn == turn {
                return true;
            }
            caller = call.caller;
        }
        false
    }

    /// The time limit of a visit is over, unless the visit is.
    pub(super) fn time_limit<S: Sink>(
        &mut self,
        slot: u32,
        turn: u32,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        if !self.has_open_visit(slot, turn) {
            return Ok(());
        }
        self.withdraw(slot, turn, sink);
        let at = self.parts.get(slot).at;
        let had_started = self.leave_early(slot, sink);
        let limit_ns = self.limits[usize::from(at)].timeout_ns.unwrap_or(0);
        let event = self.event(EventKind::TimedOut, at, slot);
        self.emit(
            StageEvent {
                value: limit_ns,
                outcome: Outcome::TimedOut,
                ..event
            },
            sink,
        );
        sink.timed_out(TimeNs(self.now), ComponentId(at), had_started);
        self.end_early(slot, at, turn, had_started, Outcome::TimedOut, sink)
    }

    /// Ends every visit to a station at once: its connections drop.
    pub(super) fn disconnect<S: Sink>(
        &mut self,
        target: u16,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let mut cut: Vec<(u64, u32, u32)> = Vec::new();
        for slot in self.parts.taken() {
            let part = self.parts.get(slot);
            if part.at == target && part.turn != 0 && !part.is_under_way {
                cut.push((part.arrived_ns, part.turn, slot));
            }
            let mut caller = part.caller;
            while caller != NONE {
                let call = self.calls.get(caller);
                if call.at == target {
                    cut.push((call.arrived_ns, call.turn, slot));
                }
                caller = call.caller;
            }
        }
        // Those who came first are cut first; slots say nothing about order.
        cut.sort_unstable();
        for (_, turn, slot) in cut {
            if !self.has_open_visit(slot, turn) {
                continue;
            }
            self.withdraw(slot, turn, sink);
            let was_waiting = self.parts.get(slot).is_waiting;
            self.leave_door(slot, sink);
            self.cut_off(slot, sink);
            self.end_early(slot, target, turn, !was_waiting, Outcome::Cancelled, sink)?;
        }
        Ok(())
    }

    /// Takes back every call below the visit with this turn, innermost first.
    fn withdraw<S: Sink>(&mut self, slot: u32, turn: u32, sink: &mut S) {
        while self.parts.get(slot).turn != turn {
            if let Some(awaited) = self.joins.awaited_by(slot) {
                while let Some(member) = self.joins.first_of(awaited) {
                    self.cancel(member, sink);
                }
                self.joins.close(awaited);
            } else if self.parts.get(slot).is_under_way {
                self.parts.get_mut(slot).is_under_way = false;
            } else if !self.leave_door(slot, sink) {
                self.cut_off(slot, sink);
            }
            assert!(
                self.return_to_caller(slot),
                "a visit that is open is the part's own or one of its callers'"
            );
        }
    }

    /// Takes a part out of line or service; true where it had started.
    fn leave_early<S: Sink>(&mut self, slot: u32, sink: &mut S) -> bool {
        self.leave_door(slot, sink);
        let part = self.parts.get(slot);
        let (at, is_waiting) = (part.at, part.is_waiting);
        let station = &mut self.stations[usize::from(at)];
        station.present -= 1;
        if is_waiting {
            station.dequeue(&mut self.parts, slot);
            self.switch_off(at, sink);
        } else {
            if station.special.is_some() {
                self.stop_special(slot, at, sink);
            }
            let station = &mut self.stations[usize::from(at)];
            station.busy -= 1;
            if station.is_scaled {
                self.note_busy(at);
            }
            self.freed.push(at);
        }
        self.left(at);
        !is_waiting
    }

    /// A visit cut short has failed: its caller fails with it, or it takes the rule for failures.
    fn end_early<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        turn: u32,
        had_started: bool,
        outcome: Outcome,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        self.parts.get_mut(slot).turn = 0;
        self.heed(at, turn, false, sink)?;
        if had_started && self.stations[usize::from(at)].kind == ComponentKind::Worker {
            let event = self.event(EventKind::JobFailed, at, slot);
            self.emit(StageEvent { outcome, ..event }, sink);
        }
        let rule = self.limits[usize::from(at)].on_cut;
        self.give_up(slot, at, rule, outcome, sink)?;
        self.fill_freed(sink)
    }

    /// Somebody left: those at the door may come in when this step is done.
    #[inline]
    pub(super) fn left(&mut self, at: u16) {
        if self.stations[usize::from(at)].is_limited
            && !self.limits[usize::from(at)].door.is_empty()
        {
            self.opened.push(at);
        }
    }

    /// Nobody is admitted past the door just now.
    pub(super) const fn nobody() -> u32 {
        NONE
    }

    /// Holder of a part that waits at a door without keeping a server busy.
    pub(super) const fn no_holder() -> u16 {
        NOWHERE
    }
}

impl Limits {
    pub(super) const fn has_timeout(&self) -> bool {
        self.timeout_ns.is_some()
    }

    /// A worker whose breaker is open leaves jobs where they are.
    pub(super) fn pulls_nothing(&self) -> bool {
        self.breaker.as_ref().is_some_and(BreakerState::refuses)
    }

    /// Down, or its breaker open: refuses even those who would wait.
    pub(super) fn is_shut(&self) -> bool {
        self.is_cut || self.breaker.as_ref().is_some_and(BreakerState::refuses)
    }
}
