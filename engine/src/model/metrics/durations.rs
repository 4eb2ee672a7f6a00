//! Durations as count, exact sum, extremes and a histogram, and how they are stored.
//!
//! Belongs here: one accumulator of durations. Does not belong here: what was measured (metrics).

use super::super::packed::Packed;
use crate::model::time::seconds_from_ns;
use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
    /// Of each filled bucket, ascending: its number less the one before's, and its count.
    buckets: Packed,
}

/// Buckets of a histogram with `digits` significant digits: `2^bits` of equal width to each power of two.
fn bucket_bits(digits: u8) -> u32 {
    10_u64.pow(u32::from(digits.clamp(1, 5))).ilog2() + 1
}

/// Number of the bucket that holds `value`.
fn bucket_of(value: u64, bits: u32) -> u64 {
    let shift = value.max(1 << bits).ilog2() - bits;
    (u64::from(shift) << bits) + (value >> shift)
}

/// Lowest value in a bucket; `None` past the largest value.
fn lowest_in(bucket: u64, bits: u32) -> Option<u64> {
    let shift = (bucket >> bits).saturating_sub(1);
    let value = (bucket - (shift << bits)).checked_shl(u32::try_from(shift).ok()?)?;
    (value <= HISTOGRAM_MAX && bucket_of(value, bits) == bucket).then_some(value)
}

impl Serialize for Durations {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the sum is written in two halves"
    )]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bits = bucket_bits(self.histogram.sigfig());
        let mut buckets = Packed::default();
        let mut last = 0;
        for filled in self.histogram.iter_recorded() {
            let bucket = bucket_of(filled.value_iterated_to(), bits);
            buckets.push(bucket - last);
            buckets.push(filled.count_at_value());
            last = bucket;
        }
        DurationsForm {
            digits: self.histogram.sigfig(),
            sum_high: (self.sum_ns >> 64) as u64,
            sum_low: self.sum_ns as u64,
            max_ns: self.max_ns,
            buckets,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Durations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let error = serde::de::Error::custom;
        let form = DurationsForm::deserialize(deserializer)?;
        if form.sum_high > u64::MAX >> 1 {
            return Err(error("a sum of durations past 2^127 ns"));
        }
        let mut durations = Self::new(form.digits);
        durations.sum_ns = u128::from(form.sum_high) << 64 | u128::from(form.sum_low);
        durations.max_ns = form.max_ns;
        let bits = bucket_bits(durations.histogram.sigfig());
        let mut buckets = form.buckets.reader();
        let mut bucket = 0_u64;
        while !buckets.is_at_end() {
            let filled = (|| {
                bucket = bucket.checked_add(buckets.next()?)?;
                Some((lowest_in(bucket, bits)?, buckets.next()?))
            })();
            let (value, count) = filled.ok_or_else(|| error("a bucket of no histogram"))?;
            durations.count = durations.count.saturating_add(count);
            durations
                .histogram
                .record_n(value, count)
                .expect("the histogram grows up to its largest value");
        }
        Ok(durations)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DIGITS_RUN, DIGITS_STATE};
    use super::*;

    #[test]
    fn a_bucket_is_found_again_from_its_number() {
        for digits in 1..=5 {
            let (bits, histogram) = (bucket_bits(digits), Histogram::<u64>::new(digits).unwrap());
            let mut value = 1_u64;
            while value < HISTOGRAM_MAX {
                let lowest = lowest_in(bucket_of(value, bits), bits).expect("a bucket");
                assert_eq!(
                    lowest,
                    histogram.lowest_equivalent(value),
                    "{value}, {digits} digits"
                );
                value += value / 7 + 1;
            }
        }
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
}
