//! Waiting lines in another order than that of arrival.
//!
//! Belongs here: who is next among those who wait. Does not belong here: the plain line (station),
//! those in service (bench).

use super::heap::{Heap, Ticket};
use super::rng::Stream;
use super::slab::{NONE, Part, Slab};
use crate::scenario::valid::Discipline;

/// A line with an order of its own.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) discipline: Discipline,
    /// By class, small for a large priority.
    ranks: Vec<u64>,
    heap: Heap,
    /// Those who wait in random order, and which of them is next.
    bag: Vec<u32>,
    chosen: u32,
    choice: Stream,
    arrived: u64,
}

impl Line {
    /// An empty line; `priorities` are those of the classes.
    pub(super) fn new(discipline: Discipline, priorities: &[i32], choice: Stream) -> Self {
        let ranks = priorities
            .iter()
            .map(|priority| i64::from(i32::MAX).abs_diff(i64::from(*priority)))
            .collect();
        Self {
            discipline,
            ranks,
            heap: Heap::default(),
            bag: Vec::new(),
            chosen: NONE,
            choice,
            arrived: 0,
        }
    }

    /// A ticket for the part that arrives now.
    pub(super) fn ticket(&mut self, slot: u32, class: u16, size_ns: u64) -> Ticket {
        self.arrived += 1;
        let order = match self.discipline {
            Discipline::Lifo | Discipline::LifoPreemptive => u64::MAX - self.arrived,
            _ => self.arrived,
        };
        Ticket {
            key: self.key(class, size_ns),
            order,
            size_ns,
            left_ns: size_ns,
            slot,
        }
    }

    /// What the discipline looks at, given the service still needed.
    #[inline]
    pub(super) fn key(&self, class: u16, left_ns: u64) -> u128 {
        match self.discipline {
            Discipline::Priority | Discipline::PreemptivePriority => {
                u128::from(self.ranks[usize::from(class)])
            }
            Discipline::Sjf | Discipline::Srpt => u128::from(left_ns),
            _ => 0,
        }
    }

    /// Who is next.
    #[inline]
    pub(super) fn head(&self) -> Option<u32> {
        if self.discipline == Discipline::Random {
            return Some(self.chosen).filter(|slot| *slot != NONE);
        }
        self.heap.first().map(|ticket| ticket.slot)
    }

    /// Rank of who is next, where the discipline has ranks.
    #[inline]
    pub(super) fn head_rank(&self) -> Option<(u128, u64)> {
        if self.discipline == Discipline::Random {
            return self.head().map(|_| (0, 0));
        }
        self.heap.first().map(Ticket::rank)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a slab has at most ten million parts"
    )]
    pub(super) fn push(&mut self, parts: &mut Slab<Part>, ticket: Ticket) {
        if self.discipline != Discipline::Random {
            self.heap.push(parts, ticket);
            return;
        }
        parts.get_mut(ticket.slot).before = self.bag.len() as u32;
        self.bag.push(ticket.slot);
        // Each of n is next with chance 1/n, also after the n-th has come.
        let count = self.bag.len() as u32;
        if count == 1 || self.choice.below(count) == 0 {
            self.chosen = ticket.slot;
        }
    }

    /// Takes a part out, wherever it stands, and says what service was drawn for it.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a slab has at most ten million parts"
    )]
    pub(super) fn remove(&mut self, parts: &mut Slab<Part>, slot: u32) -> Ticket {
        if self.discipline != Discipline::Random {
            return self.heap.remove(parts, slot);
        }
        let index = parts.get(slot).before;
        assert_eq!(self.bag[index as usize], slot, "a part knows its place");
        self.bag.swap_remove(index as usize);
        if let Some(moved) = self.bag.get(index as usize) {
            parts.get_mut(*moved).before = index;
        }
        if self.chosen == slot {
            let count = self.bag.len() as u32;
            self.chosen = match count {
                0 => NONE,
                1 => self.bag[0],
                _ => self.bag[self.choice.below(count) as usize],
            };
        }
        Ticket {
            key: 0,
            order: 0,
            size_ns: 0,
            left_ns: 0,
            slot,
        }
    }
}
