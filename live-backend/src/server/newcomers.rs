//! Connections that have not asked for anything yet: few may wait, and the oldest makes room.
//!
//! Belongs here: who waits, who goes. Does not belong here: connections that have spoken, time limits.
//!
//! Whoever opens thousands of connections and sends nothing, or half a head, drives out only such
//! connections: a client that sends its head at once is served.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Connections without a whole head, of one listener.
const WAITING_MAX: usize = 2048;

/// Those who wait; cheap to copy.
#[derive(Clone, Default)]
pub(super) struct Newcomers {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    by_arrival: BTreeMap<u64, CancellationToken>,
}

/// One connection; it waits until it has spoken or is dropped.
pub(super) struct Newcomer {
    number: u64,
    all: Newcomers,
    /// Cancelled where it must go.
    pub(super) driven_out: CancellationToken,
}

impl Newcomers {
    /// A connection is there; where too many wait, the one that waits longest goes.
    pub(super) fn arrive(&self) -> Newcomer {
        let driven_out = CancellationToken::new();
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next += 1;
        let oldest = if waiting.by_arrival.len() >= WAITING_MAX {
            waiting.by_arrival.pop_first()
        } else {
            None
        };
        waiting.by_arrival.insert(number, driven_out.clone());
        drop(waiting);
        if let Some((_number, oldest)) = oldest {
            oldest.cancel();
        }
        Newcomer {
            number,
            all: self.clone(),
            driven_out,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Newcomer {
    /// Its first head is whole; it waits no more.
    pub(super) fn has_spoken(&self) {
        self.all.waiting().by_arrival.remove(&self.number);
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.has_spoken();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_waits_longest_makes_room_and_speakers_stay() {
        let newcomers = Newcomers::default();
        let speaker = newcomers.arrive();
        speaker.has_spoken();
        let waiting: Vec<Newcomer> = (0..WAITING_MAX).map(|_| newcomers.arrive()).collect();
        assert!(!waiting[0].driven_out.is_cancelled());
        let late = newcomers.arrive();
        assert!(waiting[0].driven_out.is_cancelled());
        for stays in [&speaker, &waiting[1], &late] {
            assert!(!stays.driven_out.is_cancelled());
        }
        drop(waiting);
        drop(late);
        assert!(newcomers.waiting().by_arrival.is_empty());
    }
}
