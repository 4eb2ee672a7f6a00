//! Measures: plain accumulators with one method per fact.
//!
//! Belongs here: counts, time integrals, histograms, short windows; all integers, so that two
//! ways to the same facts give the same bits. Does not belong here: intervals and estimates
//! (analysis), who calls them (state from events, the kernel directly).

mod durations;
mod window;

pub use durations::Durations;
pub use window::{WINDOW_SECONDS, Window};

use super::time::TimeNs;
use serde::{Deserialize, Serialize};

/// Significant digits of histograms in a run's statistics.
pub const DIGITS_RUN: u8 = 3;
/// Significant digits of histograms in the seekable state, which keyframes store.
pub const DIGITS_STATE: u8 = 2;

/// A level that changes at instants, and its integral over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Now.
    pub value: u64,
    /// Highest so far.
    pub max: u64,
    since: TimeNs,
    high: u64,
    low: u64,
}

impl Level {
    /// One more from `now` on.
    #[inline]
    pub fn rise(&mut self, now: TimeNs) {
        self.settle(now);
        self.value += 1;
        self.max = self.max.max(self.value);
    }

    /// One less from `now` on; `false` where it was 0 already.
    #[inline]
    pub fn fall(&mut self, now: TimeNs) -> bool {
        self.settle(now);
        let above = self.value > 0;
        self.value -= u64::from(above);
        above
    }

    /// Integral up to `now`, in units times nanoseconds.
    #[must_use]
    pub fn integral(&self, now: TimeNs) -> u128 {
        let settled = u128::from(self.high) << 64 | u128::from(self.low);
        settled + u128::from(self.value) * u128::from(now.since_ns(self.since))
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the sum is kept in two halves"
    )]
    fn settle(&mut self, now: TimeNs) {
        let total = self.integral(now);
        self.high = (total >> 64) as u64;
        self.low = total as u64;
        self.since = self.since.max(now);
    }
}

/// Everything measured at one station.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StationMeasures {
    /// Visits opened, refused ones included.
    pub arrivals: u64,
    /// Services begun.
    pub started: u64,
    /// Services begun without waiting.
    pub started_at_once: u64,
    /// Services ended well, and jobs picked up from a queue.
    pub completed: u64,
    /// Services ended badly.
    pub failed: u64,
    /// Refused at the door.
    pub rejected: u64,
    /// Left the line, or was cancelled in line or in service.
    pub abandoned: u64,
    /// Over the time limit.
    pub timed_out: u64,
    /// Parts waiting.
    pub waiting: Level,
    /// Parts in service.
    pub in_service: Level,
    /// From arrival to start of service, zeros included.
    pub waiting_time: Durations,
    /// From start to end of service.
    pub service_time: Durations,
    /// From arrival to the end of service, or to being picked up.
    pub sojourn_time: Durations,
    /// Arrivals by second.
    pub arrivals_window: Window,
    /// Departures by second, well or badly.
    pub departures_window: Window,
    /// Failures, refusals, abandonments and timeouts by second.
    pub errors_window: Window,
}

impl StationMeasures {
    /// Nothing measured yet.
    #[must_use]
    pub fn new(digits: u8) -> Self {
        Self {
            arrivals: 0,
            started: 0,
            started_at_once: 0,
            completed: 0,
            failed: 0,
            rejected: 0,
            abandoned: 0,
            timed_out: 0,
            waiting: Level::default(),
            in_service: Level::default(),
            waiting_time: Durations::new(digits),
            service_time: Durations::new(digits),
            sojourn_time: Durations::new(digits),
            arrivals_window: Window::default(),
            departures_window: Window::default(),
            errors_window: Window::default(),
        }
    }

    /// A part entered and waits.
    #[inline]
    pub fn arrived(&mut self, now: TimeNs) {
        self.arrivals += 1;
        self.waiting.rise(now);
        self.arrivals_window.add(now, 1);
    }

    /// Its service began after `waiting_ns`; `false` where nobody was waiting.
    #[inline]
    pub fn started(&mut self, now: TimeNs, waiting_ns: u64) -> bool {
        self.started += 1;
        self.started_at_once += u64::from(waiting_ns == 0);
        self.waiting_time.record(waiting_ns);
        self.in_service.rise(now);
        self.waiting.fall(now)
    }

    /// Its service ended; `false` where nobody was in service.
    #[inline]
    pub fn ended(
        &mut self,
        now: TimeNs,
        waiting_ns: u64,
        service_ns: u64,
        went_well: bool,
    ) -> bool {
        if went_well {
            self.completed += 1;
        } else {
            self.failed += 1;
            self.errors_window.add(now, 1);
        }
        self.service_time.record(service_ns);
        self.sojourn_time
            .record(waiting_ns.saturating_add(service_ns));
        self.departures_window.add(now, 1);
        self.in_service.fall(now)
    }

    /// A waiting part was pulled from here; `false` where nobody was waiting.
    #[inline]
    pub fn picked_up(&mut self, now: TimeNs, waiting_ns: u64) -> bool {
        self.completed += 1;
        self.started += 1;
        self.started_at_once += u64::from(waiting_ns == 0);
        self.waiting_time.record(waiting_ns);
        self.sojourn_time.record(waiting_ns);
        self.departures_window.add(now, 1);
        self.waiting.fall(now)
    }

    /// A part left without being served to the end, waiting (`started` false) or in service.
    #[inline]
    pub fn gave_up(&mut self, now: TimeNs, started: bool) -> bool {
        self.errors_window.add(now, 1);
        if started {
            self.in_service.fall(now)
        } else {
            self.waiting.fall(now)
        }
    }

    /// A part was cancelled here: it has left before its end, and nobody did anything wrong.
    #[inline]
    pub fn cancelled(&mut self, now: TimeNs, started: bool) -> bool {
        self.abandoned += 1;
        if started {
            self.in_service.fall(now)
        } else {
            self.waiting.fall(now)
        }
    }

    /// True where no count is larger than the number of events that made them.
    pub(super) fn fits(&self, event_count: u64) -> bool {
        [
            self.arrivals,
            self.started,
            self.started_at_once,
            self.completed,
            self.failed,
            self.rejected,
            self.abandoned,
            self.timed_out,
            self.waiting.value,
            self.in_service.value,
            self.waiting_time.count,
            self.service_time.count,
            self.sojourn_time.count,
        ]
        .iter()
        .all(|count| *count <= event_count)
    }

    /// Parts here, waiting or in service.
    #[must_use]
    pub const fn present(&self) -> u64 {
        self.waiting.value + self.in_service.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_integrates_what_it_was_not_what_it_is() {
        let mut level = Level::default();
        level.rise(TimeNs(10));
        level.rise(TimeNs(20));
        assert!(level.fall(TimeNs(50)));
        assert_eq!(level.integral(TimeNs(60)), 10 + 2 * 30 + 10);
        assert!(level.fall(TimeNs(60)));
        assert!(!level.fall(TimeNs(61)));
        assert_eq!((level.max, level.integral(TimeNs(100))), (2, 80));
    }
}
