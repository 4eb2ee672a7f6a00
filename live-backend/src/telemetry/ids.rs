//! Request ids: from 1 upwards, none twice in a run.
//!
//! Belongs here: handing ids out without waiting for anybody. Does not belong here: the counter that
//! several processes share (transport).
//!
//! Where a run has several processes, each leases a block of ids at a time and has the next one before
//! the first is used up. While the counter cannot be reached for longer, ids come from a range of the
//! process's own, far above all others.

use flowreel_engine::model::id::RequestId;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Ids of the first block, which lasts for some 20 ms of the heaviest load.
const BLOCK_FIRST: u64 = 256;
/// Ids of a block at most.
const BLOCK_MAX: u64 = 16_384;
/// Ids from here on are those of processes that could not lease any.
pub(super) const OWN_RANGES: u64 = 1 << 62;
/// Ids that one process may hand out of its own range.
const OWN_RANGE_BITS: u32 = 36;

/// Where request ids come from.
#[derive(Debug)]
pub(super) enum RequestIds {
    /// This process alone hands them out; the last one.
    Counted(AtomicU64),
    /// Every process of the run does.
    Leased(Leases),
}

/// Blocks leased by this process.
#[derive(Debug)]
pub(super) struct Leases {
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    now: Range<u64>,
    next: Range<u64>,
    /// What to ask for next.
    block: u64,
    /// Highest id that anybody was heard to have.
    highest: u64,
    own: Range<u64>,
}

impl RequestIds {
    /// An id that no other request of the run has.
    pub(super) fn next(&self) -> RequestId {
        match self {
            Self::Counted(last) => RequestId(last.fetch_add(1, Ordering::Relaxed) + 1),
            Self::Leased(leases) => leases.next(),
        }
    }

    /// Highest id handed out, as far as it is known here.
    pub(super) fn highest(&self) -> u64 {
        match self {
            Self::Counted(last) => last.load(Ordering::Relaxed),
            Self::Leased(leases) => leases.held().highest,
        }
    }
}

impl Leases {
    /// Nothing leased yet by the process of that number.
    pub(super) fn new(process: u64) -> Self {
        let own = OWN_RANGES | (process << OWN_RANGE_BITS);
        Self {
            held: Mutex::new(Held {
                now: 0..0,
                next: 0..0,
                block: BLOCK_FIRST,
                highest: 0,
                own: own..own.saturating_add(1 << OWN_RANGE_BITS),
            }),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> RequestId {
        let mut held = self.held();
        if held.now.is_empty() {
            held.now = std::mem::replace(&mut held.next, 0..0);
        }
        let id = held.now.next().or_else(|| held.own.next());
        RequestId(id.unwrap_or(u64::MAX))
    }

    /// How many ids to lease now; `None` where there are enough.
    pub(super) fn wanted(&self) -> Option<u64> {
        let held = self.held();
        held.next.is_empty().then_some(held.block)
    }

    /// The ids up to `last` are this process's, as many as it asked for.
    pub(super) fn lease(&self, count: u64, last: u64) {
        let mut held = self.held();
        let block = last.saturating_sub(count).saturating_add(1)..last.saturating_add(1);
        if held.now.is_empty() {
            // Used up before the next one was there: ask for more at a time.
            held.now = block;
            held.block = held.block.saturating_mul(2).min(BLOCK_MAX);
        } else {
            held.next = block;
        }
        held.highest = held.highest.max(last);
    }

    /// Somebody has ids up to this one.
    pub(super) fn heard_of(&self, highest: u64) {
        let mut held = self.held();
        held.highest = held.highest.max(highest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_each_other_and_the_own_range_bridges_what_lacks() {
        let leases = Leases::new(7);
        assert_eq!(leases.wanted(), Some(BLOCK_FIRST));
        let lonely = leases.next();
        assert!(lonely.0 > OWN_RANGES);
        leases.lease(2, 12);
        assert_eq!(leases.wanted(), Some(2 * BLOCK_FIRST));
        leases.lease(2, 22);
        assert_eq!(leases.wanted(), None);
        let ids: Vec<u64> = (0..4).map(|_| leases.next().0).collect();
        assert_eq!(ids, [11, 12, 21, 22]);
        assert_eq!(leases.next().0, lonely.0 + 1);
        let other = Leases::new(8);
        assert_ne!(other.next().0, leases.next().0);
    }
}
