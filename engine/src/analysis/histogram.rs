//! Counts of durations by size: buckets of equal relative width, stored only where something fell.
//!
//! Belongs here: counting and quantiles of one series. Does not belong here: intervals, batches.
//!
//! A bucket spans `2^-bits` of its size; quantiles are interpolated inside a bucket and held within
//! the extremes, so a smooth law is met far closer than that.

const OCTAVES: usize = 65;

/// Durations of one batch of a run.
#[derive(Clone, Debug)]
pub(super) struct Durations {
    pub(super) count: u64,
    pub(super) sum_ns: u128,
    pub(super) max_ns: u64,
    min_ns: u64,
    bits: u32,
    octaves: Vec<Option<Box<[u32]>>>,
}

impl Durations {
    pub(super) const fn new(bits: u32) -> Self {
        Self {
            count: 0,
            sum_ns: 0,
            max_ns: 0,
            min_ns: u64::MAX,
            bits,
            octaves: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn record(&mut self, ns: u64) {
        self.count += 1;
        self.sum_ns += u128::from(ns);
        self.max_ns = self.max_ns.max(ns);
        self.min_ns = self.min_ns.min(ns);
        let (octave, index) = place(ns, self.bits);
        if self.octaves.len() <= octave {
            self.octaves.resize(OCTAVES, None);
        }
        let length = 1 << self.bits;
        let counts = self.octaves[octave].get_or_insert_with(|| vec![0; length].into());
        // A batch of more than 2^32 equal durations does not fit a machine's day.
        counts[index] = counts[index].saturating_add(1);
    }

    /// Takes over what another series counted.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.max_ns = self.max_ns.max(other.max_ns);
        self.min_ns = self.min_ns.min(other.min_ns);
        if self.octaves.len() < other.octaves.len() {
            self.octaves.resize(OCTAVES, None);
        }
        for (mine, theirs) in self.octaves.iter_mut().zip(&other.octaves) {
            match (mine, theirs) {
                (_, None) => {}
                (Some(mine), Some(theirs)) => {
                    for (a, b) in mine.iter_mut().zip(theirs) {
                        *a = a.saturating_add(*b);
                    }
                }
                (mine @ None, Some(theirs)) => *mine = Some(theirs.clone()),
            }
        }
    }

    /// Sum in seconds.
    #[expect(
        clippy::cast_precision_loss,
        reason = "an estimate needs no more than 53 bits"
    )]
    pub(super) fn sum_s(&self) -> f64 {
        self.sum_ns as f64 / 1e9
    }

    /// Value in seconds below which the share `q` lies; `None` without any.
    #[expect(
        clippy::cast_precision_loss,
        reason = "an estimate needs no more than 53 bits"
    )]
    pub(super) fn quantile_s(&self, q: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = q * self.count as f64;
        let mut below = 0.0;
        for (low, width, count) in self.buckets() {
            let here = f64::from(count);
            if below + here >= rank {
                let ns = low + width * ((rank - below) / here).clamp(0.0, 1.0);
                return Some(ns.clamp(self.min_ns as f64, self.max_ns as f64) / 1e9);
            }
            below += here;
        }
        Some(self.max_ns as f64 / 1e9)
    }

    /// How many lie below a value in seconds, a bucket that holds it shared out evenly.
    #[expect(
        clippy::cast_precision_loss,
        reason = "an estimate needs no more than 53 bits"
    )]
    pub(super) fn count_below(&self, value_s: f64) -> f64 {
        let value = value_s * 1e9;
        if value >= self.max_ns as f64 {
            return self.count as f64;
        }
        self.buckets()
            .map(|(low, width, count)| f64::from(count) * ((value - low) / width).clamp(0.0, 1.0))
            .sum()
    }

    /// Lower edge and width in nanoseconds, and count, of each filled bucket, ascending.
    fn buckets(&self) -> impl Iterator<Item = (f64, f64, u32)> {
        let bits = self.bits;
        self.octaves
            .iter()
            .enumerate()
            .flat_map(move |(octave, counts)| {
                let counts = counts.as_deref().unwrap_or(&[]);
                counts
                    .iter()
                    .enumerate()
                    .filter(|(_, count)| **count > 0)
                    .map(move |(index, count)| {
                        let (low, width) = edges(octave, index, bits);
                        (low, width, *count)
                    })
            })
    }
}

/// Octave and bucket of a value: values below `2^bits` have buckets of width 1.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "masked to a bucket's index"
)]
fn place(ns: u64, bits: u32) -> (usize, usize) {
    let length = 1_u64 << bits;
    if ns < length {
        return (0, ns as usize);
    }
    let shift = 63 - ns.leading_zeros() - bits;
    (shift as usize + 1, ((ns >> shift) & (length - 1)) as usize)
}

/// Lower edge and width of a bucket.
#[expect(
    clippy::cast_precision_loss,
    reason = "edges are shown to three digits"
)]
fn edges(octave: usize, index: usize, bits: u32) -> (f64, f64) {
    if octave == 0 {
        return (index as f64, 1.0);
    }
    let width = (1_u64 << (octave - 1)) as f64;
    ((index as f64 + (1_u64 << bits) as f64) * width, width)
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "counts of a test are small")]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        for bits in [5, 9] {
            for shift in 0..64 {
                for offset in [0_u64, 1, 77] {
                    let ns = (1_u64 << shift).saturating_add(offset);
                    let (octave, index) = place(ns, bits);
                    let (low, width) = edges(octave, index, bits);
                    let value = ns as f64;
                    assert!(
                        low <= value && value <= low + width,
                        "{ns} in {low} + {width}"
                    );
                }
            }
        }
    }

    #[test]
    fn quantiles_of_an_even_series_are_met_to_three_digits() {
        let mut durations = Durations::new(9);
        for step in 1..=100_000_u64 {
            durations.record(step * 12_345);
        }
        for q in [0.1, 0.5, 0.9, 0.99, 0.999] {
            let exact = q * 100_000.0 * 12_345.0 / 1e9;
            let value = durations.quantile_s(q).unwrap();
            assert!(
                (value / exact - 1.0).abs() < 1e-3,
                "{q}: {value}, not {exact}"
            );
            let below = durations.count_below(exact) / 100_000.0;
            assert!((below - q).abs() < 1e-3, "{q}: {below}");
        }
    }

    #[test]
    fn equal_values_have_exact_quantiles_and_absorbing_adds_up() {
        let mut one = Durations::new(9);
        let mut other = Durations::new(9);
        for _ in 0..10 {
            one.record(500_000_000);
            other.record(500_000_000);
        }
        one.absorb(&other);
        assert_eq!(
            (one.count, one.quantile_s(0.37), one.sum_s()),
            (20, Some(0.5), 10.0)
        );
    }
}
