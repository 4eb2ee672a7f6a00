//! Counts of durations by size: buckets of equal relative width, stored only where something fell.
//!
//! Belongs here: counting and quantiles of one series. Does not belong here: intervals, batches.
//!
//! A bucket spans `2^-bits` of its size; quantiles are interpolated inside a bucket and held within
//! the extremes, so a smooth law is met far closer than that.

/// More octaves than a 64-bit number has with the least of bits; a power of two, so that an index masks.
const OCTAVES: usize = 64;
/// No buckets yet; past the end of any list of counts.
const ABSENT: u8 = u8::MAX;

/// Durations of one batch of a run.
#[derive(Clone, Debug)]
pub(super) struct Durations {
    pub(super) count: u64,
    pub(super) sum_ns: u128,
    pub(super) max_ns: u64,
    min_ns: u64,
    bits: u32,
    /// By octave: which stretch of `counts` is its own, in the order in which they were first needed.
    stretches: [u8; OCTAVES],
    counts: Vec<u32>,
}

impl Durations {
    pub(super) const fn new(bits: u32) -> Self {
        Self {
            count: 0,
            sum_ns: 0,
            max_ns: 0,
            min_ns: u64::MAX,
            bits,
            stretches: [ABSENT; OCTAVES],
            counts: Vec::new(),
        }
    }

    /// Forgets everything but the memory it has.
    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.sum_ns = 0;
        self.max_ns = 0;
        self.min_ns = u64::MAX;
        self.counts.fill(0);
    }

    #[inline(always)]
    pub(super) fn record(&mut self, ns: u64) {
        self.count += 1;
        self.sum_ns += u128::from(ns);
        // Stores are rare, and a branch that never happens costs nothing.
        if ns > self.max_ns {
            self.max_ns = ns;
        }
        if ns < self.min_ns {
            self.min_ns = ns;
        }
        let (octave, index) = place(ns, self.bits);
        let place = (usize::from(self.stretches[octave % OCTAVES]) << self.bits) + index;
        match self.counts.get_mut(place) {
            // A batch of more than 2^32 equal durations does not fit a machine's day.
            Some(count) => *count = count.wrapping_add(1),
            None => *self.stretch(octave, index) = 1,
        }
    }

    /// How many lasted no time at all.
    pub(super) fn zeros(&self) -> u64 {
        let stretch = usize::from(self.stretches[0]);
        self.counts
            .get(stretch << self.bits)
            .copied()
            .map_or(0, u64::from)
    }

    /// The count at that place, which is made where it is missing.
    #[cold]
    #[inline(never)]
    fn stretch(&mut self, octave: usize, index: usize) -> &mut u32 {
        if self.stretches[octave] == ABSENT {
            let length = self.counts.len();
            self.stretches[octave] = u8::try_from(length >> self.bits).unwrap_or(ABSENT);
            self.counts.resize(length + (1 << self.bits), 0);
        }
        &mut self.counts[(usize::from(self.stretches[octave]) << self.bits) + index]
    }

    /// Takes over what another series counted.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.max_ns = self.max_ns.max(other.max_ns);
        self.min_ns = self.min_ns.min(other.min_ns);
        for octave in 0..OCTAVES {
            let theirs = other.counts_of(octave);
            if theirs.is_empty() {
                continue;
            }
            self.stretch(octave, 0);
            let start = usize::from(self.stretches[octave]) << self.bits;
            for (a, b) in self.counts[start..].iter_mut().zip(theirs) {
                *a = a.saturating_add(*b);
            }
        }
    }

    /// Buckets of an octave; none where nothing fell.
    fn counts_of(&self, octave: usize) -> &[u32] {
        let stretch = self.stretches[octave];
        if stretch == ABSENT {
            return &[];
        }
        let start = usize::from(stretch) << self.bits;
        &self.counts[start..start + (1 << self.bits)]
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
        (0..OCTAVES).flat_map(move |octave| {
            self.counts_of(octave)
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
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "a place among at most 64 octaves"
)]
fn place(ns: u64, bits: u32) -> (usize, usize) {
    let length = 1_u64 << bits;
    // Small values and the first octave share a shift of 0, so no branch tells them apart.
    let shift = 63 - (ns | length).leading_zeros() - bits;
    let place = (ns >> shift) + (u64::from(shift) << bits);
    ((place >> bits) as usize, (place & (length - 1)) as usize)
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

    #[test]
    fn zeros_are_told_apart_and_a_cleared_series_is_empty() {
        let mut durations = Durations::new(9);
        for ns in [0, 0, 1, 511, 512, 513, u64::MAX] {
            durations.record(ns);
        }
        assert_eq!((durations.zeros(), durations.count), (2, 7));
        assert_eq!(durations.count_below(0.0), 0.0);
        let mut joined = Durations::new(9);
        joined.absorb(&durations);
        joined.absorb(&durations);
        assert_eq!((joined.zeros(), joined.count), (4, 14));
        assert_eq!(joined.buckets().map(|(.., count)| count).sum::<u32>(), 14);
        durations.clear();
        assert_eq!((durations.zeros(), durations.count), (0, 0));
        assert_eq!(durations.quantile_s(0.5), None);
        durations.record(7);
        assert_eq!(durations.quantile_s(1.0), Some(7e-9));
    }
}
