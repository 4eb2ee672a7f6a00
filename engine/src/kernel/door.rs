//! Doors: waiting for room at a station that blocks, with or without keeping a server busy.
//!
//! Belongs here: waiting at a door, coming in, deadlock among those who wait for each other. Does not
//! belong here: what else is asked at the door (limit).
//!
//! Blocking after service: a server that is done keeps its part, and its visit stays open, until there
//! is room. A part that no server keeps (from a source, off an arrow that takes time, called, copied, back
//! from a delay) waits at the same door, on its way and in no station. All come in by order of coming.

use super::route::Destination;
use super::slab::NONE;
use super::{Kernel, KernelError, Sink, Trouble};
use crate::model::id::ComponentId;
use crate::model::time::TimeNs;
use crate::scenario::valid::Role;

/// A part at a door.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    slot: u32,
    /// Station whose server keeps it; none where it is on its way.
    holder: u16,
    went_well: bool,
    reply_code: u64,
    to: Destination,
}

impl Kernel {
    /// Waits on its way; servers of those who called it wait too.
    pub(super) fn wait_at_door(&mut self, slot: u32, at: u16) -> Result<(), KernelError> {
        // No visit is open there, so nothing in the calendar is about one.
        self.parts.get_mut(slot).turn = 0;
        self.join_door(
            at,
            Held {
                slot,
                holder: Self::no_holder(),
                went_well: true,
                reply_code: 0,
                to: Destination::Station(at),
            },
        )
    }

    /// Where a part that is done goes; `None` where it has to wait for room, its server kept busy.
    pub(super) fn way_out<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        went_well: bool,
        reply_code: u64,
        sink: &mut S,
    ) -> Result<Option<Destination>, KernelError> {
        let station = &self.stations[usize::from(at)];
        let rule = if went_well {
            station.next
        } else {
            station.on_failure
        };
        let to = self.destination(slot, rule);
        let (Destination::Station(target)
        | Destination::Chosen {
            station: target, ..
        }) = to
        else {
            return Ok(Some(to));
        };
        let next = &self.stations[usize::from(target)];
        let limits = &self.limits[usize::from(target)];
        let is_full = next.present >= next.as_set.capacity || !limits.door.is_empty();
        // Where the way takes time it waits at the end of it.
        let takes_time = self.delays_on > 0
            || self.arrows[usize::from(at)]
                .iter()
                .any(|arrow| arrow.to == target);
        if !limits.blocks || !is_full || limits.is_shut() || takes_time {
            return Ok(Some(to));
        }
        let held = Held {
            slot,
            holder: at,
            went_well,
            reply_code,
            to,
        };
        self.join_door(target, held)?;
        sink.held(TimeNs(self.now), ComponentId(at), true);
        Ok(None)
    }

    fn join_door(&mut self, target: u16, held: Held) -> Result<(), KernelError> {
        self.parts.get_mut(held.slot).is_at_door = true;
        self.limits[usize::from(target)].door.push_back(held);
        self.count_held(held, true);
        if self.is_stuck(target) {
            let trouble = Trouble::Deadlock {
                component: self.names[usize::from(target)].clone(),
                now_s: self.now / 1_000_000_000,
            };
            return Err(trouble.into());
        }
        Ok(())
    }

    /// Counts the servers that a part at a door keeps busy.
    fn count_held(&mut self, held: Held, begins: bool) {
        let count = |at: u16, limits: &mut [super::limit::Limits]| {
            let held = &mut limits[usize::from(at)].held;
            *held = if begins { *held + 1 } else { *held - 1 };
        };
        if held.holder != Self::no_holder() {
            count(held.holder, &mut self.limits);
        }
        let mut caller = self.parts.get(held.slot).caller;
        while caller != NONE {
            let call = self.calls.get(caller);
            count(call.at, &mut self.limits);
            caller = call.caller;
        }
    }

    /// Gives up waiting at a door, where it does; true where no server keeps it, so that no visit is open.
    pub(super) fn leave_door<S: Sink>(&mut self, slot: u32, sink: &mut S) -> bool {
        if !self.parts.get(slot).is_at_door {
            return false;
        }
        self.parts.get_mut(slot).is_at_door = false;
        for index in 0..self.limits.len() {
            let door = &mut self.limits[index].door;
            if let Some(position) = door.iter().position(|held| held.slot == slot)
                && let Some(held) = door.remove(position)
            {
                self.count_held(held, false);
                if held.holder == Self::no_holder() {
                    return true;
                }
                sink.held(TimeNs(self.now), ComponentId(held.holder), false);
            }
        }
        false
    }

    /// Those at the doors of stations with room come in, first come first.
    #[cold]
    pub(super) fn open_doors<S: Sink>(&mut self, sink: &mut S) -> Result<(), KernelError> {
        let mut index = 0;
        while let Some(at) = self.opened.get(index).copied() {
            index += 1;
            loop {
                let station = &self.stations[usize::from(at)];
                let limits = &mut self.limits[usize::from(at)];
                if limits.is_shut() || station.present >= station.capacity {
                    break;
                }
                let Some(held) = limits.door.pop_front() else {
                    break;
                };
                self.count_held(held, false);
                self.parts.get_mut(held.slot).is_at_door = false;
                self.come_in(held, at, sink)?;
            }
        }
        self.opened.clear();
        Ok(())
    }

    fn come_in<S: Sink>(&mut self, held: Held, at: u16, sink: &mut S) -> Result<(), KernelError> {
        let Held {
            slot,
            holder,
            went_well,
            reply_code,
            to,
        } = held;
        self.admitted = slot;
        if holder == Self::no_holder() {
            self.parts.get_mut(slot).arrived_ns = self.now;
            self.arrive_limited(slot, at, sink)?;
        } else {
            sink.held(TimeNs(self.now), ComponentId(holder), false);
            self.end_visit(slot, holder, went_well, sink)?;
            self.hand_on(slot, holder, went_well, reply_code, Some(to), sink)?;
        }
        self.admitted = Self::nobody();
        self.fill_freed(sink)
    }

    /// Is there no way that a station with somebody at its door ever gets room?
    fn is_stuck(&self, target: u16) -> bool {
        if self.can_move(target) {
            return false;
        }
        // Whoever can move frees those who wait for it, until nobody more can.
        let mut moves: Vec<bool> = (0..self.stations.len())
            .map(|at| u16::try_from(at).is_ok_and(|at| self.can_move(at)))
            .collect();
        loop {
            let mut grew = false;
            for at in 0..self.stations.len() {
                if moves[at] {
                    for held in &self.limits[at].door {
                        grew |= self.set_free(held, &mut moves);
                    }
                    for queue in &self.stations[at].queues {
                        let queue = &mut moves[usize::from(*queue)];
                        grew |= !*queue;
                        *queue = true;
                    }
                }
            }
            if !grew {
                return !moves[usize::from(target)];
            }
        }
    }

    /// Marks the stations whose servers wait for this part; true where one was not marked yet.
    fn set_free(&self, held: &Held, moves: &mut [bool]) -> bool {
        let mut grew = false;
        let mut mark = |at: u16| {
            let moves = &mut moves[usize::from(at)];
            grew |= !*moves;
            *moves = true;
        };
        if held.holder != Self::no_holder() {
            mark(held.holder);
        }
        let mut caller = self.parts.get(held.slot).caller;
        while caller != NONE {
            let call = self.calls.get(caller);
            mark(call.at);
            caller = call.caller;
        }
        grew
    }

    /// Does anything at the station go on by itself?
    fn can_move(&self, at: u16) -> bool {
        let station = &self.stations[usize::from(at)];
        let limits = &self.limits[usize::from(at)];
        if station.role == Role::Hold {
            return station.patience.is_some()
                || limits.has_timeout()
                || station.workers.iter().any(|worker| self.can_move(*worker));
        }
        station.busy > limits.held
            || station.busy == 0
            || (station.patience.is_some() && station.waiting > 0)
            || limits.has_timeout()
    }
}
