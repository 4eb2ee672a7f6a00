//! How parts move: over arrows, into stations, into service, out of queues.
//!
//! Belongs here: every step of a visit up to its start. Does not belong here: ends (finish), delays (retry).

use super::route::{Asker, Destination};
use super::slab::{NONE, Part};
use super::{Appointment, Kernel, KernelError, Sink};
use crate::model::event::{EventKind, Outcome, StageEvent};
use crate::model::id::ComponentId;
use crate::model::time::TimeNs;
use crate::model::topology::{Channel, ComponentKind};
use crate::scenario::valid::{Role, RuleId};

impl Kernel {
    /// Follows a rule from a component.
    #[inline(never)]
    pub(super) fn go<S: Sink>(
        &mut self,
        slot: u32,
        from: u16,
        rule: RuleId,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let destination = self.destination(slot, rule);
        self.follow(slot, from, destination, sink)
    }

    /// Where a rule leads this part.
    #[inline(always)]
    pub(super) fn destination(&mut self, slot: u32, rule: RuleId) -> Destination {
        let part = self.parts.get(slot);
        let request = self.requests.get(part.request);
        let asker = Asker {
            class: part.class,
            user: request.user,
            request: request.id,
            now_ns: self.now,
        };
        self.router.resolve(rule, asker, &self.stations)
    }

    /// Goes there.
    #[inline(never)]
    pub(super) fn follow<S: Sink>(
        &mut self,
        slot: u32,
        from: u16,
        destination: Destination,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        match destination {
            Destination::Done => self.finish_part(slot, from, Outcome::Ok, sink),
            Destination::Failed => self.finish_part(slot, from, Outcome::Failed, sink),
            Destination::Station(to) => self.forward(slot, from, to, sink),
            Destination::Chosen { station, is_new } => {
                if self.stations[usize::from(from)].kind == ComponentKind::Balancer {
                    let picked = self.event(EventKind::ServerPicked, from, slot);
                    let peer = ComponentId(station);
                    let value = u64::from(self.stations[usize::from(station)].present);
                    self.emit(
                        StageEvent {
                            peer,
                            value,
                            ..picked
                        },
                        sink,
                    );
                    if is_new {
                        let stuck = self.event(EventKind::SessionStuck, from, slot);
                        self.emit(
                            StageEvent {
                                peer,
                                value: u64::from(self.user_of(slot)),
                                ..stuck
                            },
                            sink,
                        );
                    }
                }
                self.forward(slot, from, station, sink)
            }
            Destination::Copy(rule) => match self.joins.group_of(slot) {
                Some(group) => self.copy_in_branch(slot, group, from, rule, sink),
                None => self.copy(slot, from, rule, sink),
            },
            Destination::Fork(rule) => self.fork(slot, from, rule, sink),
            Destination::Hedge(rule) => self.hedge(slot, from, rule, sink),
            Destination::Ladder(rule) => self.climb(slot, from, rule, sink),
        }
    }

    fn user_of(&self, slot: u32) -> u32 {
        self.requests.get(self.parts.get(slot).request).user
    }

    /// Each copy is a part of its own; the one that was copied is no more.
    #[inline(never)]
    fn copy<S: Sink>(
        &mut self,
        slot: u32,
        from: u16,
        rule: RuleId,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let Part {
            request,
            class,
            path,
            ..
        } = *self.parts.get(slot);
        let count = self.router.copies(rule).len();
        let owner = self.requests.get_mut(request);
        owner.parts_alive += u32::try_from(count).unwrap_or(0);
        owner.parts_alive -= 1;
        self.parts.get_mut(slot).turn = 0;
        self.parts.remove(slot);
        for index in 0..count {
            let to = self.router.copies(rule)[index].0;
            let owner = self.requests.get_mut(request);
            owner.last_part = owner.last_part.saturating_add(1);
            let mut part = Part::new(request, class, owner.last_part);
            part.path = path;
            let copy = self.parts.insert(part);
            let copy = copy.ok_or_else(|| self.too_many(from))?;
            self.forward(copy, from, to, sink)?;
        }
        Ok(())
    }

    /// Leaves one component for another, at once or over an arrow that takes time.
    #[inline(never)]
    pub(super) fn forward<S: Sink>(
        &mut self,
        slot: u32,
        from: u16,
        to: u16,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        self.forward_here(slot, from, to, sink)
    }

    /// The same, laid into its caller: for the steps that every visit takes.
    #[inline(always)]
    pub(super) fn forward_here<S: Sink>(
        &mut self,
        slot: u32,
        from: u16,
        to: u16,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let arrows = &mut self.arrows[usize::from(from)];
        let mut transit_ns = arrows
            .iter_mut()
            .find(|arrow| arrow.to == to)
            .map_or(0, |arrow| arrow.time.draw_ns(&mut arrow.stream));
        if self.delays_on > 0 {
            transit_ns = transit_ns.saturating_add(self.late_ns(to));
        }
        let forwarded = self.event(EventKind::Forwarded, from, slot);
        let event = StageEvent {
            peer: ComponentId(to),
            value: transit_ns,
            ..forwarded
        };
        self.emit(event, sink);
        let part = self.parts.get_mut(slot);
        part.at = to;
        part.from = from;
        if transit_ns > 0 {
            let turn = self.fresh_turn();
            let part = self.parts.get_mut(slot);
            part.turn = turn;
            part.is_under_way = true;
            return self.plan(transit_ns, Appointment::TransitEnd(slot, turn), to);
        }
        self.arrive_here(slot, sink)
    }

    /// Its way is over, unless it was called back meanwhile.
    #[inline(never)]
    pub(super) fn transit_end<S: Sink>(
        &mut self,
        slot: u32,
        turn: u32,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let part = self.parts.get_mut(slot);
        if part.turn != turn {
            return Ok(());
        }
        part.is_under_way = false;
        self.arrive(slot, sink)
    }

    /// Enters the component it was sent to.
    #[inline(never)]
    pub(super) fn arrive<S: Sink>(&mut self, slot: u32, sink: &mut S) -> Result<(), KernelError> {
        self.arrive_here(slot, sink)
    }

    /// The same, laid into its caller: for the steps that every visit takes.
    #[inline(always)]
    pub(super) fn arrive_here<S: Sink>(
        &mut self,
        slot: u32,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let now = self.now;
        let part = self.parts.get_mut(slot);
        let at = part.at;
        part.arrived_ns = now;
        part.turn = 0;
        let is_called = part.caller != NONE;
        if is_called {
            // Its caller may be out of time first.
            self.turn_of(slot);
        }
        self.check_progress(at)?;
        if self.joins.is_on {
            // Whoever may be cancelled leaves appointments behind.
            self.turn_of(slot);
            if self.comes_to_join(slot) {
                return self.finish_part(slot, at, Outcome::Ok, sink);
            }
        }
        if self.parts.get(slot).is_parking {
            return self.park(slot, sink);
        }
        if self.stations[usize::from(at)].is_limited {
            return self.arrive_limited(slot, at, sink);
        }
        self.let_in(slot, at, sink)
    }

    /// Enters a station, where there is room.
    #[inline(always)]
    pub(super) fn let_in<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let station = &self.stations[usize::from(at)];
        if station.path > 0 {
            self.parts.get_mut(slot).path = station.path;
        }
        match station.role {
            Role::Serve => self.arrive_to_be_served(slot, at, sink),
            Role::Hold => self.arrive_to_be_pulled(slot, at, sink),
            Role::Keep | Role::Park => {
                self.enter(EventKind::JobDeadLettered, slot, at, sink);
                self.stations[usize::from(at)].present += 1;
                self.finish_part(slot, at, Outcome::Failed, sink)
            }
        }
    }

    /// Opens the visit.
    #[inline(always)]
    pub(super) fn enter<S: Sink>(&mut self, kind: EventKind, slot: u32, at: u16, sink: &mut S) {
        let part = self.parts.get(slot);
        let value = match kind {
            EventKind::JobAdded => self.priorities[usize::from(part.class)],
            EventKind::JobDeadLettered => u64::from(part.attempt),
            _ => 0,
        };
        let from = part.from;
        let event = self.event(kind, at, slot);
        self.emit(
            StageEvent {
                peer: ComponentId(from),
                value,
                ..event
            },
            sink,
        );
        sink.arrived(TimeNs(self.now), ComponentId(at));
    }

    #[inline(always)]
    fn arrive_to_be_served<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        self.enter(EventKind::Arrived, slot, at, sink);
        let station = &mut self.stations[usize::from(at)];
        if station.present >= station.capacity {
            return self.refuse(slot, at, sink);
        }
        station.present += 1;
        if station.special.is_some() {
            return self.arrive_special(slot, at, sink);
        }
        if station.knows_work {
            let part = self.parts.get_mut(slot);
            part.delay_ns =
                station.service[usize::from(part.class)].draw_ns(&mut station.service_stream);
            let begins_ns = station.work_until_ns.max(self.now);
            station.work_until_ns = begins_ns.saturating_add(part.delay_ns);
        }
        if station.waiting == 0 && station.busy < station.servers && self.has_token(at)? {
            return self.start_here(slot, at, sink);
        }
        self.wait(slot, at)
    }

    #[inline(never)]
    fn arrive_to_be_pulled<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let part = self.parts.get_mut(slot);
        part.attempt = part.attempt.max(1);
        let is_first = part.attempt == 1;
        self.enter(EventKind::JobAdded, slot, at, sink);
        let station = &mut self.stations[usize::from(at)];
        if station.present >= station.capacity {
            return self.refuse(slot, at, sink);
        }
        station.present += 1;
        let accepted = match station.channel {
            Channel::Email => Some(EventKind::EmailQueued),
            Channel::InApp => Some(EventKind::InAppQueued),
            Channel::None => None,
        };
        if let Some(kind) = accepted.filter(|_| is_first) {
            let event = self.event(kind, at, slot);
            self.emit(event, sink);
        }
        self.wait(slot, at)?;
        let count = self.stations[usize::from(at)].workers.len();
        for _ in 0..count {
            let queue = &mut self.stations[usize::from(at)];
            let worker = queue.workers[queue.worker_turn];
            queue.worker_turn = (queue.worker_turn + 1) % count;
            self.fill(worker, sink)?;
            if !self.parts.get(slot).is_waiting || self.parts.get(slot).at != at {
                break;
            }
        }
        Ok(())
    }

    /// Joins the line; patience starts to run.
    #[inline]
    fn wait(&mut self, slot: u32, at: u16) -> Result<(), KernelError> {
        let station = &mut self.stations[usize::from(at)];
        station.enqueue(&mut self.parts, slot);
        self.begin_patience(slot, at)
    }

    /// Patience starts to run, where there is an end to it.
    pub(super) fn begin_patience(&mut self, slot: u32, at: u16) -> Result<(), KernelError> {
        let Some((law, stream)) = &mut self.stations[usize::from(at)].patience else {
            return Ok(());
        };
        let patience_ns = law.draw_ns(stream);
        let turn = self.turn_of(slot);
        self.plan(patience_ns, Appointment::PatienceEnd(slot, turn), at)
    }

    /// The turn of its visit, given out now where it has none yet.
    #[inline]
    pub(super) fn turn_of(&mut self, slot: u32) -> u32 {
        let turn = self.parts.get(slot).turn;
        if turn != 0 {
            return turn;
        }
        let turn = self.fresh_turn();
        self.parts.get_mut(slot).turn = turn;
        turn
    }

    /// Begins service; the part is in no line.
    #[inline(never)]
    pub(super) fn start<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        self.start_here(slot, at, sink)
    }

    /// The same, laid into its caller: for the steps that every visit takes.
    #[inline(always)]
    pub(super) fn start_here<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let now = self.now;
        let station = &mut self.stations[usize::from(at)];
        station.busy += 1;
        if let Some(bucket) = &mut station.bucket {
            bucket.take(now);
        }
        let part = self.parts.get_mut(slot);
        part.started_ns = now;
        let (waiting_ns, turn) = (now - part.arrived_ns, part.turn);
        let mut service_ns = if station.knows_work {
            part.delay_ns
        } else {
            station.service[usize::from(part.class)].draw_ns(&mut station.service_stream)
        };
        if let Some(factor) = station.slowness {
            service_ns = longer(service_ns, factor);
        }
        let event = self.event(EventKind::ServiceStarted, at, slot);
        self.emit(event, sink);
        sink.started(TimeNs(now), ComponentId(at), waiting_ns);
        if self.stations[usize::from(at)].is_scaled {
            self.note_busy(at);
        }
        self.plan(service_ns, Appointment::ServiceEnd(slot, turn), at)
    }

    /// Its own service is over: calls another station, or is done. Outdated where it was cut short.
    #[inline(always)]
    pub(super) fn service_end<S: Sink>(
        &mut self,
        slot: u32,
        turn: u32,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let part = self.parts.get(slot);
        if part.turn != turn {
            return Ok(());
        }
        let at = part.at;
        let Some(rule) = self.stations[usize::from(at)].calls else {
            return self.complete_here(slot, true, sink);
        };
        let Part {
            arrived_ns,
            started_ns,
            caller,
            ..
        } = *self.parts.get(slot);
        let call = super::Call {
            at,
            arrived_ns,
            started_ns,
            caller,
            turn,
        };
        let call = self.calls.insert(call);
        let call = call.ok_or_else(|| self.too_many(at))?;
        debug_assert_ne!(call, NONE);
        if self.stations[usize::from(at)].special.is_some() {
            self.keep_work(call, slot);
        }
        let part = self.parts.get_mut(slot);
        part.caller = call;
        // The open visit is the call's from now on.
        part.turn = 0;
        self.go(slot, at, rule, sink)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "factors are positive, and saturation is refused by the clock"
)]
pub(super) fn longer(service_ns: u64, factor: f64) -> u64 {
    libm::round(service_ns as f64 * factor) as u64
}
