//! Batches: several parts in one service.
//!
//! Belongs here: when a batch is begun and who is in it, taking jobs out of queues for it. Does not
//! belong here: service of one part (special).

use super::slab::Part;
use super::special::{Wake, wake};
use super::{Kernel, KernelError, Sink};
use crate::model::time::TimeNs;
use crate::scenario::valid::{BatchService, Gauge};

/// Parts that are served together.
#[derive(Clone, Debug)]
pub(super) struct Batches {
    rule: BatchService,
    pub(super) running: u32,
    /// Members still in service, by number of the batch.
    members: Vec<u32>,
    free: Vec<u32>,
    /// The batch that is being put together, and its service time.
    opened: Option<(u32, u64)>,
    pub(super) is_armed: bool,
}

impl Batches {
    pub(super) const fn new(rule: BatchService) -> Self {
        Self {
            rule,
            running: 0,
            members: Vec::new(),
            free: Vec::new(),
            opened: None,
            is_armed: false,
        }
    }

    /// One more member of the batch that is being put together: its number and service time.
    pub(super) fn join(&mut self) -> Option<(u32, u64)> {
        let (number, size_ns) = self.opened?;
        self.members[number as usize] += 1;
        Some((number, size_ns))
    }

    fn open(&mut self, size_ns: u64) {
        let number = self.free.pop().unwrap_or_else(|| {
            self.members.push(0);
            u32::try_from(self.members.len() - 1).unwrap_or(u32::MAX)
        });
        self.members[number as usize] = 0;
        self.running += 1;
        self.opened = Some((number, size_ns));
    }

    /// One member has left; with the last of them its server is free.
    pub(super) fn leave(&mut self, number: u32) {
        let members = &mut self.members[number as usize];
        *members -= 1;
        if *members == 0 {
            self.free.push(number);
            self.running -= 1;
        }
    }
}

impl Kernel {
    /// A batch, where enough wait or have waited long enough.
    pub(super) fn serve_batch<S: Sink>(
        &mut self,
        at: u16,
        sink: &mut S,
    ) -> Result<bool, KernelError> {
        let now = self.now;
        let ready = self.backlog(at);
        let first = match self.stations[usize::from(at)].head() {
            Some(slot) => Some(slot),
            None => self.oldest_job(at).map(|(_, slot)| slot),
        };
        let station = &mut self.stations[usize::from(at)];
        let servers = station.servers;
        let Some(batches) = station
            .special
            .as_deref_mut()
            .and_then(|it| it.batches.as_mut())
        else {
            return Ok(false);
        };
        let BatchService {
            max,
            min,
            linger_ns,
        } = batches.rule;
        let Some(first) = first.filter(|_| batches.running < servers && ready >= min) else {
            return Ok(false);
        };
        let Part {
            arrived_ns, class, ..
        } = *self.parts.get(first);
        let waited_ns = now - arrived_ns;
        if ready < max && waited_ns < linger_ns {
            if !batches.is_armed {
                batches.is_armed = true;
                self.plan(linger_ns - waited_ns, wake(at, Wake::Linger), at)?;
            }
            return Ok(false);
        }
        if !self.has_token(at)? {
            return Ok(false);
        }
        let station = &mut self.stations[usize::from(at)];
        let mut size_ns = station.service[usize::from(class)].draw_ns(&mut station.service_stream);
        if let Some(factor) = station.slowness {
            size_ns = super::flow::longer(size_ns, factor);
        }
        if let Some(bucket) = &mut station.bucket {
            bucket.take(now);
        }
        self.open_batch(at, Some(size_ns), sink);
        for _ in 0..ready.min(max) {
            let station = &mut self.stations[usize::from(at)];
            if let Some(slot) = station.head() {
                let ticket = station.dequeue(&mut self.parts, slot);
                self.begin_special(slot, at, ticket, sink)?;
            } else {
                self.pull(at, sink)?;
            }
        }
        self.open_batch(at, None, sink);
        Ok(true)
    }

    fn open_batch<S: Sink>(&mut self, at: u16, size_ns: Option<u64>, sink: &mut S) {
        let Some(special) = self.stations[usize::from(at)].special.as_deref_mut() else {
            return;
        };
        let number = special.gauge(Gauge::Batches);
        let Some(batches) = &mut special.batches else {
            return;
        };
        match size_ns {
            None => batches.opened = None,
            Some(size_ns) => {
                batches.open(size_ns);
                if let Some(number) = number {
                    sink.tally(TimeNs(self.now), number);
                }
            }
        }
    }

    /// How many could be served now: in the line and in the queues it pulls from.
    fn backlog(&self, at: u16) -> u32 {
        let station = &self.stations[usize::from(at)];
        let queues = station
            .queues
            .iter()
            .map(|queue| &self.stations[usize::from(*queue)]);
        let held = queues.filter(|it| it.servers > 0).map(|it| it.waiting);
        station.waiting + held.sum::<u32>().min(self.room_for_pulled(at))
    }

    /// How many more it may take out of queues.
    pub(super) fn room_for_pulled(&self, at: u16) -> u32 {
        let station = &self.stations[usize::from(at)];
        station.capacity.saturating_sub(station.present)
    }

    /// Does a queue hold something for it?
    pub(super) fn has_job(&self, at: u16) -> bool {
        !self.stations[usize::from(at)].queues.is_empty() && self.oldest_job(at).is_some()
    }

    /// Takes the oldest job out of the queues of a worker.
    pub(super) fn pull<S: Sink>(&mut self, at: u16, sink: &mut S) -> Result<bool, KernelError> {
        let Some((queue, slot)) = self.oldest_job(at) else {
            return Ok(false);
        };
        self.pick_up(slot, queue, at, sink)?;
        Ok(true)
    }
}
