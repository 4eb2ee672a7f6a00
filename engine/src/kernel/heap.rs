//! A heap of parts that knows where each one stands, so that any of them can leave.
//!
//! Belongs here: order and places. Does not belong here: what the order means (line, bench).
//!
//! A part is in one heap of its station at a time; its place in it stands in [`Part::before`].

use super::slab::{Part, Slab};

/// One part in a line or in service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    /// The smallest is first.
    pub(super) key: u128,
    /// Among equal keys the smallest is first; follows the order of arrival.
    pub(super) order: u64,
    /// Service it needs in all, where it is known.
    pub(super) size_ns: u64,
    /// Service it still needs, while it is interrupted.
    pub(super) left_ns: u64,
    pub(super) slot: u32,
}

impl Ticket {
    /// What decides who is first.
    #[inline]
    pub(super) const fn rank(&self) -> (u128, u64) {
        (self.key, self.order)
    }
}

/// Tickets, the first of them at hand.
#[derive(Clone, Debug, Default)]
pub(super) struct Heap {
    tickets: Vec<Ticket>,
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a slab has at most ten million parts"
)]
const fn place(index: usize) -> u32 {
    index as u32
}

impl Heap {
    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.tickets.len()
    }

    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    #[inline]
    pub(super) fn first(&self) -> Option<&Ticket> {
        self.tickets.first()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Ticket> {
        self.tickets.iter()
    }

    /// Is that part in this heap?
    pub(super) fn holds(&self, parts: &Slab<Part>, slot: u32) -> bool {
        let ticket = self.tickets.get(parts.get(slot).before as usize);
        ticket.is_some_and(|ticket| ticket.slot == slot)
    }

    pub(super) fn push(&mut self, parts: &mut Slab<Part>, ticket: Ticket) {
        self.tickets.push(ticket);
        self.rise(parts, self.tickets.len() - 1, ticket);
    }

    pub(super) fn pop(&mut self, parts: &mut Slab<Part>) -> Option<Ticket> {
        if self.tickets.is_empty() {
            return None;
        }
        Some(self.remove_at(parts, 0))
    }

    /// Takes that part out, which is in this heap.
    pub(super) fn remove(&mut self, parts: &mut Slab<Part>, slot: u32) -> Ticket {
        let index = parts.get(slot).before as usize;
        assert_eq!(self.tickets[index].slot, slot, "a part knows its place");
        self.remove_at(parts, index)
    }

    fn remove_at(&mut self, parts: &mut Slab<Part>, index: usize) -> Ticket {
        let gone = self.tickets.swap_remove(index);
        if let Some(moved) = self.tickets.get(index).copied() {
            let index = self.sink(parts, index, moved);
            self.rise(parts, index, moved);
        }
        gone
    }

    fn rise(&mut self, parts: &mut Slab<Part>, from: usize, ticket: Ticket) {
        let mut index = from;
        while index > 0 {
            let parent = (index - 1) / 2;
            let above = self.tickets[parent];
            if above.rank() <= ticket.rank() {
                break;
            }
            self.put(parts, index, above);
            index = parent;
        }
        self.put(parts, index, ticket);
    }

    fn sink(&mut self, parts: &mut Slab<Part>, from: usize, ticket: Ticket) -> usize {
        let mut index = from;
        loop {
            let left = index * 2 + 1;
            let right = left + 1;
            let Some(mut least) = self.tickets.get(left).copied() else {
                break;
            };
            let mut child = left;
            if let Some(other) = self.tickets.get(right)
                && other.rank() < least.rank()
            {
                (least, child) = (*other, right);
            }
            if ticket.rank() <= least.rank() {
                break;
            }
            self.put(parts, index, least);
            index = child;
        }
        self.put(parts, index, ticket);
        index
    }

    fn put(&mut self, parts: &mut Slab<Part>, index: usize, ticket: Ticket) {
        self.tickets[index] = ticket;
        parts.get_mut(ticket.slot).before = place(index);
    }
}
