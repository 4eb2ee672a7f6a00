//! The calendar against a list that is searched: order, ties, crowds, far times.
//!
//! Belongs here: tests of the calendar. Does not belong here: tests of runs (tests/it/kernel).

use super::*;
use crate::kernel::rng::Stream;
use std::collections::BTreeSet;

/// Grows to about `peak` entries and empties again; `gap` gives the time from now to a new entry.
fn compare(peak: u64, mut gap: impl FnMut(&mut Stream) -> u64) {
    let mut calendar = Calendar::default();
    let mut stream = Stream::new(1, "calendar", "test");
    let mut waiting: BTreeSet<(u64, u64)> = BTreeSet::new();
    let (mut what, mut now) = (0, 0_u64);
    for round in 0.. {
        let inserts = if round < peak {
            1 + stream.below(3)
        } else {
            stream.below(2)
        };
        if round > 4 * peak && waiting.is_empty() {
            break;
        }
        let inserts = if round > 4 * peak { 0 } else { inserts };
        for _ in 0..inserts {
            let at = now.saturating_add(gap(&mut stream)).min(u64::MAX - 1);
            calendar.insert(at, what);
            waiting.insert((at, what));
            what += 1;
        }
        let expected = waiting.pop_first();
        let entry = calendar.next();
        if entry.is_some() {
            calendar.take_next();
        }
        assert_eq!(entry.map(|entry| (entry.at_ns, entry.what)), expected);
        now = expected.map_or(now, |(at, _)| at);
    }
    assert!(what >= peak);
    assert_eq!(calendar.next(), None);
}

#[test]
fn few_distinct_times_leave_by_insertion() {
    compare(10_000, |stream| u64::from(stream.below(8)));
}

#[test]
fn everything_at_one_instant_leaves_by_insertion() {
    compare(10_000, |_| 0);
}

#[test]
fn a_handful_stays_in_order() {
    compare(5, |stream| u64::from(stream.below(1000)));
}

#[test]
fn spread_out_times_stay_in_order() {
    compare(20_000, |stream| stream.next_u64() >> 30);
}

#[test]
fn times_of_every_size_stay_in_order() {
    compare(20_000, |stream| {
        let shift = 4 + stream.below(60);
        stream.next_u64() >> shift
    });
}

#[test]
fn short_times_before_long_ones_stay_in_order() {
    compare(20_000, |stream| {
        if stream.below(10) == 0 {
            1_000_000_000_000 + (stream.next_u64() >> 20)
        } else {
            u64::from(stream.below(2000))
        }
    });
}

#[test]
fn times_at_the_clocks_end_stay_in_order() {
    compare(3000, |stream| {
        u64::MAX / 2 - 1 + u64::from(stream.below(100_000))
    });
}
