//! How visits, parts and requests end.
//!
//! Belongs here: completion, failure, refusal, abandonment. Does not belong here: how they began (flow).

use super::route::Destination;
use super::slab::{NONE, Part, Request};
use super::{Kernel, KernelError, Sink};
use crate::model::event::{EventKind, Outcome, StageEvent};
use crate::model::id::{ClassId, ComponentId, PathId};
use crate::model::time::TimeNs;
use crate::model::topology::ComponentKind;
use crate::scenario::valid::RuleId;

/// Reply codes of a relay: taken, and local error, try again (RFC 5321).
const REPLY_TAKEN: u64 = 250;
const REPLY_TRY_AGAIN: u64 = 451;

impl Kernel {
    /// The visit is over, and with it the calls that waited for it.
    #[inline(never)]
    pub(super) fn complete<S: Sink>(
        &mut self,
        slot: u32,
        went_well: bool,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        self.complete_here(slot, went_well, sink)
    }

    /// The same, laid into its caller: for the steps that every visit takes.
    #[inline(always)]
    pub(super) fn complete_here<S: Sink>(
        &mut self,
        slot: u32,
        went_well: bool,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let mut went_well = went_well;
        let mut reply_code = 0;
        let mut way_out = None;
        let mut at;
        loop {
            let part = self.parts.get(slot);
            at = part.at;
            let station = &mut self.stations[usize::from(at)];
            went_well &= part.started_ns >= station.cut_before_ns;
            if went_well && station.failure_probability > 0.0 {
                went_well = station.failure_stream.uniform() >= station.failure_probability;
            }
            if station.may_be_held && self.parts.get(slot).caller == NONE {
                way_out = self.way_out(slot, at, went_well, reply_code, sink)?;
                if way_out.is_none() {
                    return self.fill_freed(sink);
                }
            }
            self.end_visit(slot, at, went_well, sink)?;
            if self.stations[usize::from(at)].kind == ComponentKind::Smtp && !went_well {
                reply_code = REPLY_TRY_AGAIN;
            }
            if !self.return_to_caller(slot) {
                break;
            }
        }
        self.hand_on(slot, at, went_well, reply_code, way_out, sink)?;
        self.fill_freed(sink)
    }

    /// A server is done with a visit, and free.
    #[inline(always)]
    pub(super) fn end_visit<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        went_well: bool,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let station = &mut self.stations[usize::from(at)];
        station.busy -= 1;
        station.present -= 1;
        let (is_limited, is_scaled) = (station.is_limited, station.is_scaled);
        let is_special = station.special.is_some();
        self.end_service(slot, at, went_well, sink);
        if is_scaled {
            self.note_busy(at);
        }
        if is_special {
            self.leave_special(slot, at, sink);
        }
        self.freed.push(at);
        if is_limited {
            let part = self.parts.get_mut(slot);
            let turn = std::mem::take(&mut part.turn);
            self.left(at);
            self.heed(at, turn, went_well, sink)?;
        }
        Ok(())
    }

    /// The outermost visit is over: the part goes on, by `way_out` where that is known already.
    #[inline(always)]
    pub(super) fn hand_on<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        went_well: bool,
        reply_code: u64,
        way_out: Option<Destination>,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        if self.stations[usize::from(at)].kind == ComponentKind::Worker {
            let part = self.parts.get(slot);
            let run_ns = self.now - part.started_ns;
            let (kind, value, outcome) = if went_well {
                (EventKind::JobCompleted, run_ns, Outcome::Ok)
            } else {
                (EventKind::JobFailed, reply_code, Outcome::Failed)
            };
            let event = self.event(kind, at, slot);
            self.emit(
                StageEvent {
                    value,
                    outcome,
                    ..event
                },
                sink,
            );
        }
        let station = &self.stations[usize::from(at)];
        let mut rule = station.on_failure;
        if went_well {
            rule = station.next;
            let part = self.parts.get_mut(slot);
            part.ladder = NONE;
            part.ladder_step = 0;
        }
        let to = match way_out {
            Some(to) => to,
            None => self.destination(slot, rule),
        };
        match to {
            Destination::Done => self.finish_part_here(slot, at, Outcome::Ok, sink),
            Destination::Station(to) => self.forward_here(slot, at, to, sink),
            elsewhere => self.follow(slot, at, elsewhere, sink),
        }
    }

    /// Servers set free in this step take up new work, in the order they were freed.
    #[inline(always)]
    pub(super) fn fill_freed<S: Sink>(&mut self, sink: &mut S) -> Result<(), KernelError> {
        let mut index = 0;
        while let Some(station) = self.freed.get(index).copied() {
            index += 1;
            self.fill_here(station, sink)?;
        }
        self.freed.clear();
        Ok(())
    }

    #[inline(always)]
    fn end_service<S: Sink>(&mut self, slot: u32, at: u16, went_well: bool, sink: &mut S) {
        let outcome = if went_well {
            Outcome::Ok
        } else {
            Outcome::Failed
        };
        let now = self.now;
        let event = self.event(EventKind::ServiceEnded, at, slot);
        self.emit(StageEvent { outcome, ..event }, sink);
        let Part {
            arrived_ns,
            started_ns,
            ..
        } = *self.parts.get(slot);
        let (waiting_ns, in_service_ns) = (started_ns - arrived_ns, now - started_ns);
        if self.stations[usize::from(at)].special.is_some() {
            let served_ns = in_service_ns.saturating_sub(self.works[slot as usize].aside_ns);
            sink.ended_in_turns(
                TimeNs(now),
                ComponentId(at),
                waiting_ns,
                in_service_ns,
                served_ns,
                went_well,
            );
        } else {
            sink.ended(
                TimeNs(now),
                ComponentId(at),
                waiting_ns,
                in_service_ns,
                went_well,
            );
        }
        let told = match (self.stations[usize::from(at)].kind, went_well) {
            (ComponentKind::Smtp, true) => Some((EventKind::EmailSent, REPLY_TAKEN)),
            (ComponentKind::Smtp, false) => Some((EventKind::EmailBounced, REPLY_TRY_AGAIN)),
            (ComponentKind::Websocket, true) => Some((EventKind::InAppDelivered, 1)),
            _ => None,
        };
        if let Some((kind, value)) = told {
            let event = self.event(kind, at, slot);
            self.emit(
                StageEvent {
                    value,
                    outcome,
                    ..event
                },
                sink,
            );
        }
    }

    /// Takes up the visit that called this one; `false` where there is none.
    #[inline(always)]
    pub(super) fn return_to_caller(&mut self, slot: u32) -> bool {
        let caller = self.parts.get(slot).caller;
        if caller == NONE {
            return false;
        }
        let call = *self.calls.get(caller);
        self.calls.remove(caller);
        if self.stations[usize::from(call.at)].special.is_some() {
            self.take_up_work(caller, slot);
        }
        let part = self.parts.get_mut(slot);
        part.at = call.at;
        part.arrived_ns = call.arrived_ns;
        part.started_ns = call.started_ns;
        part.caller = call.caller;
        part.turn = call.turn;
        true
    }

    /// Full: refused at the door.
    #[inline(never)]
    pub(super) fn refuse<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let station = &self.stations[usize::from(at)];
        let (present, rule) = (u64::from(station.present), station.on_full);
        let event = self.event(EventKind::Rejected, at, slot);
        self.emit(
            StageEvent {
                value: present,
                outcome: Outcome::Rejected,
                ..event
            },
            sink,
        );
        sink.gave_up(TimeNs(self.now), ComponentId(at), Outcome::Rejected);
        self.give_up(slot, at, rule, Outcome::Rejected, sink)
    }

    /// Patience is over, unless the part has moved on meanwhile.
    #[inline(never)]
    pub(super) fn patience_end<S: Sink>(
        &mut self,
        slot: u32,
        turn: u32,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let part = self.parts.get(slot);
        if !part.is_waiting || part.turn != turn {
            return Ok(());
        }
        let at = part.at;
        let station = &mut self.stations[usize::from(at)];
        station.dequeue(&mut self.parts, slot);
        station.present -= 1;
        let rule = station.on_abandon;
        self.left(at);
        self.forget_probe(at, turn);
        self.switch_off(at, sink);
        let event = self.event(EventKind::Abandoned, at, slot);
        self.emit(
            StageEvent {
                outcome: Outcome::Abandoned,
                ..event
            },
            sink,
        );
        sink.gave_up(TimeNs(self.now), ComponentId(at), Outcome::Abandoned);
        self.give_up(slot, at, rule, Outcome::Abandoned, sink)
    }

    /// A called visit that comes to nothing fails its caller; any other takes its rule or ends here.
    #[inline(never)]
    pub(super) fn give_up<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        rule: Option<RuleId>,
        outcome: Outcome,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        if self.return_to_caller(slot) {
            return self.complete(slot, false, sink);
        }
        // No visit is open any more, wherever the rule leads; a part that waits for others moves no further.
        self.parts.get_mut(slot).turn = 0;
        match rule {
            Some(rule) => self.go(slot, at, rule, sink),
            None => self.finish_part(slot, at, outcome, sink),
        }
    }

    /// The part is at its end; the request too, where it was the last one.
    #[inline(never)]
    pub(super) fn finish_part<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        outcome: Outcome,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        self.finish_part_here(slot, at, outcome, sink)
    }

    /// The same, laid into its caller: for the steps that every visit takes.
    #[inline(always)]
    pub(super) fn finish_part_here<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        outcome: Outcome,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        if self.joins.is_on {
            if self.return_to_caller(slot) {
                return self.complete(slot, outcome == Outcome::Ok, sink);
            }
            if let Some(group) = self.joins.group_of(slot) {
                return self.end_member(slot, group, at, outcome, sink);
            }
        }
        let now = self.now;
        let Part {
            request,
            path,
            class,
            ..
        } = *self.parts.get(slot);
        let event = self.event(EventKind::PartFinished, at, slot);
        self.emit(
            StageEvent {
                value: u64::from(path),
                outcome,
                ..event
            },
            sink,
        );
        // What is still in the calendar for it is outdated.
        self.parts.get_mut(slot).turn = 0;
        let owner = self.requests.get_mut(request);
        let sojourn_ns = now - owner.begun_ns;
        owner.parts_alive -= 1;
        owner.parts_ended += 1;
        if owner.outcome == Outcome::Ok {
            owner.outcome = outcome;
        }
        let (is_last, outcome_of_all, ended) =
            (owner.parts_alive == 0, owner.outcome, owner.parts_ended);
        sink.part_finished(
            TimeNs(now),
            path.checked_sub(1).map(PathId),
            outcome,
            sojourn_ns,
        );
        if is_last {
            let last = self.event(EventKind::RequestFinished, at, slot);
            let event = StageEvent {
                value: u64::from(ended),
                outcome: outcome_of_all,
                part: crate::model::id::PartId(0),
                attempt: 0,
                ..last
            };
            self.emit(event, sink);
            sink.finished(TimeNs(now), ClassId(class), outcome_of_all, sojourn_ns);
            self.finished_count += 1;
            let Request { source, user, .. } = *self.requests.get(request);
            // Parts left behind by a quorum still speak of their request.
            if !self.joins.is_on || self.joins.left_behind(request) == 0 {
                self.requests.remove(request);
            }
            self.parts.remove(slot);
            if self.sources[usize::from(source)].thinkers > 0 {
                return self.think(usize::from(source), user);
            }
            return Ok(());
        }
        self.parts.remove(slot);
        Ok(())
    }
}
