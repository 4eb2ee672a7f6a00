//! Work that can be stopped, shared and resumed: who is in service, and when the next one is done.
//!
//! Belongs here: attained service. Does not belong here: who may be in service (special), events.
//!
//! One clock counts the service that each part at work has got, in 2^-32 ns: it runs with time while
//! everyone has a server, at `cores / n` of it while n share fewer cores, and stands still while the
//! station is broken down. A part is done when the clock reaches its mark, so that a change of speed
//! touches nobody's mark. The clock is rounded down by less than one unit per change of speed; an end
//! is rounded up to the next whole nanosecond.

use super::attained::Attained;
use super::heap::{Heap, Ticket};
use super::slab::{Part, Slab};
use crate::scenario::valid::Discipline;

/// Units of attained service in a nanosecond, as a power of two.
pub(super) const FRACTION_BITS: u32 = 32;

/// Parts at work on one clock.
#[derive(Clone, Debug)]
struct Clock {
    /// The key is the mark at which it is done.
    running: Heap,
    attained: u128,
    settled_ns: u64,
    /// Cores that all share; unlimited where each has a server of its own.
    cores: u32,
}

#[derive(Clone, Debug)]
enum Work {
    Clock(Clock),
    Attained(Attained),
}

/// Everyone whose service has begun.
#[derive(Clone, Debug)]
pub(super) struct Bench {
    work: Work,
    /// Interrupted, by rank.
    pub(super) aside: Heap,
    is_stopped: bool,
    /// Wake-ups in the calendar, the earliest last.
    armed: Vec<u64>,
}

impl Clock {
    fn settle(&mut self, now_ns: u64) {
        let units = u128::from(now_ns - self.settled_ns) << FRACTION_BITS;
        self.settled_ns = now_ns;
        let count = self.running.len() as u128;
        self.attained += if count > u128::from(self.cores) {
            units * u128::from(self.cores) / count
        } else {
            units
        };
    }

    /// Time until the first is done.
    fn due_ns(&self) -> Option<u64> {
        let units = self.running.first()?.key.saturating_sub(self.attained);
        let (count, cores) = (self.running.len() as u128, u128::from(self.cores));
        let ns = if count > cores {
            units.saturating_mul(count).div_ceil(cores << FRACTION_BITS)
        } else {
            units.div_ceil(1 << FRACTION_BITS)
        };
        Some(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

impl Bench {
    pub(super) fn new(discipline: Discipline, servers: u32) -> Self {
        let work = match discipline {
            Discipline::Las => Work::Attained(Attained::new(servers)),
            Discipline::ProcessorSharing => Work::Clock(Clock::new(servers)),
            _ => Work::Clock(Clock::new(u32::MAX)),
        };
        Self {
            work,
            aside: Heap::default(),
            is_stopped: false,
            armed: Vec::with_capacity(16),
        }
    }

    fn settle(&mut self, now_ns: u64) {
        match (&mut self.work, self.is_stopped) {
            (Work::Clock(clock), false) => clock.settle(now_ns),
            (Work::Attained(levels), false) => levels.settle(now_ns),
            (Work::Clock(clock), true) => clock.settled_ns = now_ns,
            (Work::Attained(levels), true) => levels.settled_ns = now_ns,
        }
    }

    /// Nobody gets service from now on, or everyone does again.
    pub(super) fn stop(&mut self, now_ns: u64, is_stopped: bool) {
        self.settle(now_ns);
        self.is_stopped = is_stopped;
    }

    pub(super) fn len(&self) -> usize {
        match &self.work {
            Work::Clock(clock) => clock.running.len(),
            Work::Attained(levels) => levels.len(),
        }
    }

    /// Gets service from now on.
    pub(super) fn add(&mut self, parts: &mut Slab<Part>, ticket: Ticket, now_ns: u64) {
        self.settle(now_ns);
        let units = u128::from(ticket.left_ns) << FRACTION_BITS;
        match &mut self.work {
            Work::Clock(clock) => {
                let key = clock.attained + units;
                clock.running.push(parts, Ticket { key, ..ticket });
            }
            Work::Attained(levels) => levels.add(
                parts,
                Ticket {
                    key: units,
                    ..ticket
                },
            ),
        }
    }

    /// Takes out one that is done by now.
    pub(super) fn done(&mut self, parts: &mut Slab<Part>, now_ns: u64) -> Option<Ticket> {
        self.settle(now_ns);
        match &mut self.work {
            Work::Clock(clock) => {
                let attained = clock.attained;
                clock.running.first().filter(|it| it.key <= attained)?;
                clock.running.pop(parts)
            }
            Work::Attained(levels) => levels.done(parts),
        }
    }

    /// Who ranks last among those at work, by `rank` of its class and the service left.
    pub(super) fn last(
        &mut self,
        parts: &Slab<Part>,
        now_ns: u64,
        rank: impl Fn(u16, u64) -> u128,
    ) -> Option<(u128, u64, u32)> {
        self.settle(now_ns);
        let Work::Clock(clock) = &self.work else {
            return None;
        };
        let attained = clock.attained;
        // Whoever is done at this very moment needs no server any more.
        let at_work = clock.running.iter().filter(|it| it.key > attained);
        let ranked = at_work.map(|ticket| {
            let left_ns = left_ns(ticket.key, attained);
            let key = rank(parts.get(ticket.slot).class, left_ns);
            (key, ticket.order, ticket.slot)
        });
        ranked.max()
    }

    /// Takes a part from work; what is left of its service stands in the ticket.
    pub(super) fn interrupt(
        &mut self,
        parts: &mut Slab<Part>,
        slot: u32,
        now_ns: u64,
    ) -> Option<Ticket> {
        self.settle(now_ns);
        match &mut self.work {
            Work::Clock(clock) if clock.running.holds(parts, slot) => {
                let ticket = clock.running.remove(parts, slot);
                let left_ns = left_ns(ticket.key, clock.attained);
                Some(Ticket { left_ns, ..ticket })
            }
            Work::Clock(_) => None,
            Work::Attained(levels) => levels.remove(parts, slot),
        }
    }

    /// When to look again, where no wake-up before that is in the calendar yet.
    pub(super) fn arm(&mut self, now_ns: u64) -> Option<u64> {
        if self.is_stopped {
            return None;
        }
        self.settle(now_ns);
        let due_ns = match &self.work {
            Work::Clock(clock) => clock.due_ns(),
            Work::Attained(levels) => levels.due_ns(),
        }?;
        let at_ns = now_ns.saturating_add(due_ns);
        if self.armed.last().is_some_and(|armed| *armed <= at_ns) {
            return None;
        }
        self.armed.push(at_ns);
        Some(due_ns)
    }

    /// A wake-up has come.
    pub(super) fn wake(&mut self) {
        self.armed.pop();
    }
}

impl Clock {
    fn new(cores: u32) -> Self {
        Self {
            running: Heap::default(),
            attained: 0,
            settled_ns: 0,
            cores,
        }
    }
}

/// Whole nanoseconds still to be served.
fn left_ns(mark: u128, attained: u128) -> u64 {
    let units = mark.saturating_sub(attained);
    u64::try_from(units.div_ceil(1 << FRACTION_BITS)).unwrap_or(u64::MAX)
}
