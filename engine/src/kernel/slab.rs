//! Slots for requests, their parts and open calls: numbered, reused, never moved.
//!
//! Belongs here: storage. Does not belong here: what happens to a part.

use crate::model::event::Outcome;

/// No slot, no neighbour, no caller.
pub(super) const NONE: u32 = u32::MAX;

/// One request in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) id: u64,
    pub(super) begun_ns: u64,
    pub(super) user: u32,
    pub(super) parts_alive: u32,
    pub(super) parts_ended: u32,
    pub(super) last_part: u16,
    /// Position of the source it came from.
    pub(super) source: u16,
    pub(super) outcome: Outcome,
}

/// One part of a request, wherever it is.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each a fact by itself, looked at on its own"
)]
pub(super) struct Part {
    /// Slot of its request.
    pub(super) request: u32,
    pub(super) arrived_ns: u64,
    pub(super) started_ns: u64,
    /// Delay it is to be parked for.
    pub(super) delay_ns: u64,
    /// Neighbours in a waiting line.
    pub(super) before: u32,
    pub(super) after: u32,
    /// Slot of the innermost open call.
    pub(super) caller: u32,
    /// Number of the visit or way it is on, so that outdated appointments are known; 0 where none can be.
    pub(super) turn: u32,
    /// Ladder it climbs.
    pub(super) ladder: u32,
    pub(super) ladder_step: u16,
    /// Component where it is, or travels to.
    pub(super) at: u16,
    pub(super) from: u16,
    /// Queue that a worker pulled it from.
    pub(super) queue: u16,
    /// Where it goes after being parked.
    pub(super) returns_to: u16,
    pub(super) number: u16,
    pub(super) class: u16,
    pub(super) attempt: u16,
    /// 1 + path index, 0 none.
    pub(super) path: u16,
    pub(super) is_parking: bool,
    pub(super) is_waiting: bool,
    /// On an arrow that takes time.
    pub(super) is_under_way: bool,
    /// Waits for room somewhere.
    pub(super) is_at_door: bool,
}

/// No component.
pub(super) const NOWHERE: u16 = u16::MAX;

impl Part {
    /// A fresh part of that request.
    #[inline]
    pub(super) const fn new(request: u32, class: u16, number: u16) -> Self {
        Self {
            request,
            arrived_ns: 0,
            started_ns: 0,
            delay_ns: 0,
            before: NONE,
            after: NONE,
            caller: NONE,
            turn: 0,
            ladder: NONE,
            ladder_step: 0,
            at: NOWHERE,
            from: NOWHERE,
            queue: NOWHERE,
            returns_to: NOWHERE,
            number,
            class,
            attempt: 0,
            path: 0,
            is_parking: false,
            is_waiting: false,
            is_under_way: false,
            is_at_door: false,
        }
    }
}

/// A visit that waits for the one it called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) at: u16,
    pub(super) arrived_ns: u64,
    pub(super) started_ns: u64,
    pub(super) caller: u32,
    pub(super) turn: u32,
}

/// Slots of one kind.
#[derive(Clone, Debug)]
pub(super) struct Slab<T> {
    pub(super) slots: Vec<T>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

/// Past this many slots a run has no hope of ending, and memory would.
pub(super) const SLOTS_MAX: usize = 10_000_000;

impl<T> Slab<T> {
    /// A slot for the value, or `None` past [`SLOTS_MAX`].
    #[inline]
    pub(super) fn insert(&mut self, value: T) -> Option<u32> {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = value;
            return Some(slot);
        }
        if self.slots.len() >= SLOTS_MAX {
            return None;
        }
        let slot = u32::try_from(self.slots.len()).ok()?;
        self.slots.push(value);
        Some(slot)
    }

    /// Slots in use, in order; for rare occasions, since it looks through all of them.
    pub(super) fn taken(&self) -> Vec<u32> {
        let mut is_taken = vec![true; self.slots.len()];
        for slot in &self.free {
            is_taken[*slot as usize] = false;
        }
        (0..)
            .zip(is_taken)
            .filter_map(|(slot, is_taken)| is_taken.then_some(slot))
            .collect()
    }

    #[inline]
    pub(super) fn remove(&mut self, slot: u32) {
        self.free.push(slot);
    }

    #[inline]
    pub(super) fn get(&self, slot: u32) -> &T {
        &self.slots[slot as usize]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> &mut T {
        &mut self.slots[slot as usize]
    }
}
