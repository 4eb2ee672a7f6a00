//! Who is served next: free servers take from their own line, workers pull from their queues.
//!
//! Belongs here: taking up work, and the tokens it costs. Does not belong here: how parts came there (flow).

use super::slab::NOWHERE;
use super::{Appointment, Kernel, KernelError, Sink};
use crate::model::event::{EventKind, StageEvent};
use crate::model::id::ComponentId;
use crate::model::time::TimeNs;

impl Kernel {
    /// True where the station may start one more now; else a wake-up is in the calendar.
    #[inline(always)]
    pub(super) fn has_token(&mut self, at: u16) -> Result<bool, KernelError> {
        let now = self.now;
        let Some(bucket) = &mut self.stations[usize::from(at)].bucket else {
            return Ok(true);
        };
        let ready = bucket.ready_at_ns(now);
        if ready <= now {
            return Ok(true);
        }
        if !bucket.is_armed {
            bucket.is_armed = true;
            self.plan(ready - now, Appointment::Token(u32::from(at)), at)?;
        }
        Ok(false)
    }

    #[inline(never)]
    pub(super) fn token<S: Sink>(&mut self, station: u32, sink: &mut S) -> Result<(), KernelError> {
        let at = u16::try_from(station).unwrap_or(NOWHERE);
        if let Some(bucket) = &mut self.stations[usize::from(at)].bucket {
            bucket.is_armed = false;
        }
        self.fill(at, sink)
    }

    /// Gives free servers to those who wait: first its own line, then the queues it pulls from.
    #[inline(never)]
    pub(super) fn fill<S: Sink>(&mut self, at: u16, sink: &mut S) -> Result<(), KernelError> {
        self.fill_here(at, sink)
    }

    /// The same, laid into its caller: for the steps that every visit takes.
    #[inline(always)]
    pub(super) fn fill_here<S: Sink>(&mut self, at: u16, sink: &mut S) -> Result<(), KernelError> {
        if self.stations[usize::from(at)].special.is_some() {
            return self.fill_special(at, sink);
        }
        loop {
            let station = &self.stations[usize::from(at)];
            if station.busy >= station.servers {
                return Ok(());
            }
            if let Some(slot) = station.head() {
                if !self.has_token(at)? {
                    return Ok(());
                }
                self.stations[usize::from(at)].dequeue(&mut self.parts, slot);
                self.start_here(slot, at, sink)?;
            } else if let Some((queue, slot)) = self.oldest_job(at) {
                if station.present >= station.capacity || !self.has_token(at)? {
                    return Ok(());
                }
                self.pick_up(slot, queue, at, sink)?;
            } else {
                return Ok(());
            }
        }
    }

    /// The job that has waited longest in the queues of a worker; ties by the queues' order.
    #[inline]
    pub(super) fn oldest_job(&self, worker: u16) -> Option<(u16, u32)> {
        let station = &self.stations[usize::from(worker)];
        if station.is_limited && self.limits[usize::from(worker)].pulls_nothing() {
            return None;
        }
        let queues = &station.queues;
        let heads = queues.iter().filter_map(|queue| {
            // One that a fault has stopped hands out nothing.
            let queue_state = &self.stations[usize::from(*queue)];
            let slot = queue_state.head().filter(|_| queue_state.servers > 0)?;
            Some((*queue, slot))
        });
        heads.min_by_key(|(_, slot)| self.parts.get(*slot).arrived_ns)
    }

    #[inline(never)]
    pub(super) fn pick_up<S: Sink>(
        &mut self,
        slot: u32,
        queue: u16,
        worker: u16,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let now = self.now;
        let state = &mut self.stations[usize::from(queue)];
        state.dequeue(&mut self.parts, slot);
        state.present -= 1;
        self.left(queue);
        let event = self.event(EventKind::JobPickedUp, queue, slot);
        self.emit(
            StageEvent {
                peer: ComponentId(worker),
                ..event
            },
            sink,
        );
        let part = self.parts.get_mut(slot);
        sink.picked_up(TimeNs(now), ComponentId(queue), now - part.arrived_ns);
        part.queue = queue;
        part.from = queue;
        part.at = worker;
        part.arrived_ns = now;
        part.turn = 0;
        if self.joins.is_on {
            self.turn_of(slot);
        }
        self.enter(EventKind::Arrived, slot, worker, sink);
        let state = &mut self.stations[usize::from(worker)];
        state.present += 1;
        let is_special = state.special.is_some();
        if state.is_limited {
            self.limit_pulled(slot, worker)?;
        }
        if is_special {
            return self.begin_special(slot, worker, None, sink);
        }
        self.start(slot, worker, sink)
    }
}
