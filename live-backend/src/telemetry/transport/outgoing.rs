//! Batches on their way to Redis: held in memory while it is away, up to a bound.
//!
//! Belongs here: what waits, what is lost past the bound. Does not belong here: Redis, the lanes.

use crate::telemetry::transport::Mark;
use crate::telemetry::transport::wire::Batch;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that wait while Redis is away: some half a million stages.
pub(super) const HOLD_BYTES_MAX: usize = 16 << 20;
/// Batches sent at once.
const SENT_AT_ONCE: usize = 64;

/// Between the thread that empties the lanes and the one that talks to Redis.
#[derive(Debug)]
pub(super) struct Outgoing {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    hold_bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<Encoded>,
    bytes: usize,
    mark: Mark,
    /// Stages lost because too much waited.
    dropped: u64,
    is_ended: bool,
}

#[derive(Debug)]
struct Encoded {
    bytes: Vec<u8>,
    watermark_wall_ns: u64,
}

/// What goes out next.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) batches: Vec<Vec<u8>>,
    pub(super) mark: Mark,
    /// Nothing follows.
    pub(super) is_last: bool,
}

impl Outgoing {
    pub(super) fn new(hold_bytes: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            changed: Condvar::new(),
            hold_bytes,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another batch waits, or its stages are lost where too much does, and the answer is false; the
    /// last one never is.
    pub(super) fn push(&self, batch: &Batch) -> bool {
        let bytes = batch.encode();
        let mut waiting = self.waiting();
        if waiting.bytes.saturating_add(bytes.len()) > self.hold_bytes && !batch.is_last {
            waiting.dropped += batch.event_count();
            return false;
        }
        waiting.bytes += bytes.len();
        waiting.batches.push_back(Encoded {
            bytes,
            watermark_wall_ns: batch.watermark_wall_ns,
        });
        drop(waiting);
        self.changed.notify_one();
        true
    }

    /// All before this mark's moment was pushed.
    pub(super) fn reach(&self, mark: Mark) {
        self.waiting().mark = mark;
    }

    /// Nothing is pushed any more.
    pub(super) fn end(&self) {
        self.waiting().is_ended = true;
        self.changed.notify_one();
    }

    pub(super) fn dropped(&self) -> u64 {
        self.waiting().dropped
    }

    /// What goes out next, once something waits or `longest` is over.
    pub(super) fn next(&self, longest: Duration) -> Parcel {
        let (waiting, _timed_out) = self
            .changed
            .wait_timeout_while(self.waiting(), longest, |it| {
                it.batches.is_empty() && !it.is_ended
            })
            .unwrap_or_else(PoisonError::into_inner);
        let sent: Vec<&Encoded> = waiting.batches.iter().take(SENT_AT_ONCE).collect();
        let is_all = sent.len() == waiting.batches.len();
        // What waits beyond this parcel is not told yet.
        let told_ns = sent.last().map_or(0, |last| last.watermark_wall_ns);
        let watermark_wall_ns = if is_all {
            waiting.mark.watermark_wall_ns.max(told_ns)
        } else {
            told_ns
        };
        Parcel {
            batches: sent.into_iter().map(|it| it.bytes.clone()).collect(),
            mark: Mark {
                watermark_wall_ns,
                ..waiting.mark
            },
            is_last: is_all && waiting.is_ended,
        }
    }

    /// So many batches arrived.
    pub(super) fn sent(&self, count: usize) {
        let mut waiting = self.waiting();
        let count = count.min(waiting.batches.len());
        let bytes: usize = waiting
            .batches
            .drain(..count)
            .map(|it| it.bytes.len())
            .sum();
        waiting.bytes -= bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first: u64, watermark_wall_ns: u64) -> Batch {
        Batch {
            first,
            watermark_wall_ns,
            ..Batch::default()
        }
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_sent_is_let_go() {
        let outgoing = Outgoing::new(batch(0, 1).encode().len() * 3);
        let mark = Mark {
            beat: 1,
            watermark_wall_ns: 99,
        };
        for n in 0..5 {
            outgoing.push(&batch(n, n));
        }
        outgoing.reach(mark);
        let parcel = outgoing.next(Duration::ZERO);
        assert_eq!(parcel.batches.len(), 3);
        assert_eq!(parcel.mark, mark);
        outgoing.sent(2);
        outgoing.push(&batch(9, 9));
        let first = Batch::decode(&outgoing.next(Duration::ZERO).batches[0]).unwrap();
        assert_eq!(first.first, 2);
        outgoing.sent(100);
        assert!(outgoing.next(Duration::ZERO).batches.is_empty());
        outgoing.end();
        assert!(outgoing.next(Duration::from_secs(60)).is_last);
    }

    #[test]
    fn a_parcel_does_not_promise_what_waits_beyond_it() {
        let outgoing = Outgoing::new(HOLD_BYTES_MAX);
        for n in 0..=SENT_AT_ONCE as u64 {
            outgoing.push(&batch(n, 10 + n));
        }
        outgoing.reach(Mark {
            watermark_wall_ns: 1_000,
            ..Mark::default()
        });
        let parcel = outgoing.next(Duration::ZERO);
        assert_eq!(parcel.mark.watermark_wall_ns, 10 + SENT_AT_ONCE as u64 - 1);
        assert!(!parcel.is_last);
    }
}
