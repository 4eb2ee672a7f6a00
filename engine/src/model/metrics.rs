//! Measures: plain accumulators with one method per fact.
//!
//! Belongs here: counts, time integrals, histograms, short windows; all integers, so that two
//! ways to the same facts give the same bits. Does not belong here: intervals and estimates
//! (analysis), who calls them (state from events, the kernel directly).

use super::time::{NS_PER_S, TimeNs, seconds_from_ns};
use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Significant digits of histograms in a run's statistics.
pub const DIGITS_RUN: u8 = 3;
/// Significant digits of histograms in the seekable state, which keyframes store.
pub const DIGITS_STATE: u8 = 2;

/// Largest value a growing histogram takes.
const HISTOGRAM_MAX: u64 = (1 << 62) - 1;

/// Durations: count, exact sum, extremes, distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct Durations {
    /// How many.
    pub count: u64,
    /// Exact sum in nanoseconds.
    pub sum_ns: u128,
    /// Largest in nanoseconds; 0 without any.
    pub max_ns: u64,
    histogram: Histogram<u64>,
}

impl Durations {
    /// Empty, with `digits` significant digits (1 to 5) in the histogram.
    #[must_use]
    pub fn new(digits: u8) -> Self {
        let histogram = Histogram::new(digits.clamp(1, 5)).expect("1 to 5 digits are allowed");
        Self {
            count: 0,
            sum_ns: 0,
            max_ns: 0,
            histogram,
        }
    }

    /// Adds one duration.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.count += 1;
        self.sum_ns += u128::from(ns);
        self.max_ns = self.max_ns.max(ns);
        // Past 2^62 ns (146 years) the histogram saturates; sum and maximum stay exact.
        // Not `saturating_record`: it clamps to the range reached so far and never grows it.
        self.histogram
            .record(ns.min(HISTOGRAM_MAX))
            .expect("the histogram grows up to its largest value");
    }

    /// Mean in seconds, or `None` without any.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "printing")]
    pub fn mean_s(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_ns as f64 / self.count as f64 / 1e9)
    }

    /// Quantile in seconds (`q` from 0 to 1) to the histogram's digits, or `None` without any.
    #[must_use]
    pub fn quantile_s(&self, q: f64) -> Option<f64> {
        (self.count > 0)
            .then(|| seconds_from_ns(self.histogram.value_at_quantile(q).min(self.max_ns)))
    }
}

#[derive(Serialize, Deserialize)]
struct DurationsForm {
    digits: u8,
    sum_high: u64,
    sum_low: u64,
    max_ns: u64,
    /// (value, count) of each filled bucket, ascending.
    buckets: Vec<(u64, u64)>,
}

impl Serialize for Durations {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the sum is written in two halves"
    )]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        DurationsForm {
            digits: self.histogram.sigfig(),
            sum_high: (self.sum_ns >> 64) as u64,
            sum_low: self.sum_ns as u64,
            max_ns: self.max_ns,
            buckets: self
                .histogram
                .iter_recorded()
                .map(|bucket| {
                    let lowest = self.histogram.lowest_equivalent(bucket.value_iterated_to());
                    (lowest, bucket.count_at_value())
                })
                .collect(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Durations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = DurationsForm::deserialize(deserializer)?;
        if form.sum_high > u64::MAX >> 1 {
            return Err(serde::de::Error::custom("a sum of durations past 2^127 ns"));
        }
        let mut durations = Self::new(form.digits);
        durations.sum_ns = u128::from(form.sum_high) << 64 | u128::from(form.sum_low);
        durations.max_ns = form.max_ns;
        for (value, count) in form.buckets {
            durations.count = durations.count.saturating_add(count);
            durations
                .histogram
                .record_n(value.min(HISTOGRAM_MAX), count)
                .expect("the histogram grows up to its largest value");
        }
        Ok(durations)
    }
}

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

/// Seconds a [`Window`] remembers.
pub const WINDOW_SECONDS: u64 = 64;

/// Counts by second over the last [`WINDOW_SECONDS`] seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WindowForm")]
pub struct Window {
    second: u64,
    slots: Vec<u32>,
}

#[derive(Deserialize)]
struct WindowForm {
    second: u64,
    slots: Vec<u32>,
}

impl TryFrom<WindowForm> for Window {
    type Error = String;

    fn try_from(form: WindowForm) -> Result<Self, String> {
        if form.slots.len() == slot_of(WINDOW_SECONDS - 1) + 1 {
            Ok(Self {
                second: form.second,
                slots: form.slots,
            })
        } else {
            Err(format!(
                "a window of {} seconds, not {WINDOW_SECONDS}",
                form.slots.len()
            ))
        }
    }
}

impl Default for Window {
    fn default() -> Self {
        Self {
            second: 0,
            slots: vec![0; slot_of(WINDOW_SECONDS - 1) + 1],
        }
    }
}

impl Window {
    /// Adds `amount` in the second of `now`; what would overflow a second's counter is held at the top.
    #[inline]
    pub fn add(&mut self, now: TimeNs, amount: u32) {
        let second = now.0 / NS_PER_S;
        if second > self.second {
            let stale = (second - self.second).min(WINDOW_SECONDS);
            for passed in 0..stale {
                self.slots[slot_of(second - passed)] = 0;
            }
            self.second = second;
        }
        let slot = &mut self.slots[slot_of(second)];
        *slot = slot.saturating_add(amount);
    }

    /// Sum over the `seconds` whole seconds before the one of `now` (at most 63) and the part of this one.
    #[must_use]
    pub fn sum(&self, now: TimeNs, seconds: u64) -> u64 {
        let second = now.0 / NS_PER_S;
        let first = second.saturating_sub(seconds.min(WINDOW_SECONDS - 1));
        let oldest = self.second.saturating_sub(WINDOW_SECONDS - 1);
        (first.max(oldest)..=second.min(self.second))
            .map(|at| u64::from(self.slots[slot_of(at)]))
            .sum()
    }

    /// Mean rate per second over the last `seconds` (or since the start, where that is less).
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "printing")]
    pub fn rate_per_s(&self, now: TimeNs, seconds: u64) -> f64 {
        let first = (now.0 / NS_PER_S).saturating_sub(seconds.min(WINDOW_SECONDS - 1)) * NS_PER_S;
        let length_s = seconds_from_ns(now.0 - first).max(1.0);
        self.sum(now, seconds) as f64 / length_s
    }
}

const fn slot_of(second: u64) -> usize {
    (second % WINDOW_SECONDS) as usize
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
    /// Left the line.
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
    fn quantiles_lie_where_the_values_lie() {
        for digits in [DIGITS_STATE, DIGITS_RUN] {
            let mut durations = Durations::new(digits);
            for ms in 1..=1000_u64 {
                durations.record(ms * 1_000_000);
            }
            for (q, expected) in [(0.5, 0.5), (0.95, 0.95), (0.99, 0.99), (1.0, 1.0)] {
                let found = durations.quantile_s(q).unwrap();
                assert!((found - expected).abs() < 0.02 * expected, "{q}: {found}");
            }
            durations.record(u64::MAX);
            assert_eq!((durations.count, durations.max_ns), (1001, u64::MAX));
        }
    }

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

    #[test]
    fn a_window_forgets_old_seconds() {
        let mut window = Window::default();
        let at = |second: u64| TimeNs(second * NS_PER_S);
        window.add(at(1), 5);
        window.add(at(3), 7);
        assert_eq!(window.sum(at(3), 10), 12);
        assert_eq!(window.sum(at(13), 10), 7);
        assert_eq!(window.sum(at(14), 10), 0);
        window.add(at(3 + WINDOW_SECONDS), 1);
        assert_eq!(window.sum(at(3 + WINDOW_SECONDS), 63), 1);
        window.add(at(1000), 1);
        assert_eq!(window.sum(at(1000), 63), 1);
    }

    #[test]
    fn durations_survive_storage_bit_for_bit() {
        let mut durations = Durations::new(DIGITS_STATE);
        for step in 0..1000u64 {
            durations.record(step * step * 977);
        }
        durations.record(u64::MAX);
        let bytes = rmp_serde::to_vec(&durations).unwrap();
        let back: Durations = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(back, durations);
        assert_eq!(rmp_serde::to_vec(&back).unwrap(), bytes);
        assert_eq!(back.quantile_s(0.5), durations.quantile_s(0.5));
    }
}
