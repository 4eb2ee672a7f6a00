//! Appointments: what an entry of the calendar is about, packed into one word.
//!
//! Belongs here: kinds of appointments and their packing. Does not belong here: what is done then.
//!
//! Some name a *turn* beside the slot of a part. A part whose visit may be cut short gets a fresh turn
//! when the visit opens; an appointment with another turn than the part's is outdated and does nothing.

use super::Kernel;

/// What an appointment is about; packed into one word of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appointment {
    Arrival(u32),
    /// Slot, and the turn of the part it was made for.
    ServiceEnd(u32, u32),
    /// The same.
    ParkingEnd(u32, u32),
    /// The same.
    TransitEnd(u32, u32),
    Token(u32),
    /// The same.
    PatienceEnd(u32, u32),
    /// Source, and which of its users is done thinking.
    ThinkingEnd(u32, u32),
    /// A fault begins or ends.
    Fault(u32),
    /// Autoscaler, and whether it looks or what it ordered comes.
    Autoscale(u32, u32),
    /// Time without an answer is over: slot of the group, and its turn.
    Hedge(u32, u32),
    /// A special station asked to be looked at: station, and why.
    Wake(u32, u32),
    /// Slot, and the turn of the part it was made for.
    TimeLimit(u32, u32),
    /// A breaker lets somebody try.
    HalfOpen(u32),
}

pub(super) const TURN_MASK: u32 = (1 << 28) - 1;

impl Appointment {
    #[inline]
    pub(super) fn pack(self) -> u64 {
        let (kind, slot, turn) = match self {
            Self::Arrival(slot) => (0, slot, 0),
            Self::ServiceEnd(slot, turn) => (1, slot, turn),
            Self::ParkingEnd(slot, turn) => (2, slot, turn),
            Self::TransitEnd(slot, turn) => (3, slot, turn),
            Self::Token(slot) => (4, slot, 0),
            Self::PatienceEnd(slot, turn) => (5, slot, turn),
            Self::ThinkingEnd(source, user) => (6, source, user),
            Self::Fault(slot) => (7, slot, 0),
            Self::Autoscale(slot, purpose) => (8, slot, purpose),
            Self::Hedge(group, turn) => (9, group, turn),
            Self::Wake(station, why) => (10, station, why),
            Self::TimeLimit(slot, turn) => (11, slot, turn),
            Self::HalfOpen(station) => (12, station, 0),
        };
        u64::from(slot) | u64::from(turn & TURN_MASK) << 32 | kind << 60
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "fields are masked out of one word"
    )]
    pub(super) fn unpack(word: u64) -> Self {
        let slot = word as u32;
        let turn = (word >> 32) as u32 & TURN_MASK;
        match word >> 60 {
            0 => Self::Arrival(slot),
            1 => Self::ServiceEnd(slot, turn),
            2 => Self::ParkingEnd(slot, turn),
            3 => Self::TransitEnd(slot, turn),
            4 => Self::Token(slot),
            5 => Self::PatienceEnd(slot, turn),
            6 => Self::ThinkingEnd(slot, turn),
            7 => Self::Fault(slot),
            8 => Self::Autoscale(slot, turn),
            9 => Self::Hedge(slot, turn),
            10 => Self::Wake(slot, turn),
            11 => Self::TimeLimit(slot, turn),
            _ => Self::HalfOpen(slot),
        }
    }
}

impl Kernel {
    /// A turn that no part has; never 0, which means that no appointment can be outdated.
    #[inline]
    pub(super) fn fresh_turn(&mut self) -> u32 {
        self.turns = (self.turns + 1) & TURN_MASK;
        if self.turns == 0 {
            self.turns = 1;
        }
        self.turns
    }
}
