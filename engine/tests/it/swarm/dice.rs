//! Dice of the swarm: one seed gives one scenario, whatever the kernel's own streams do.
//!
//! Belongs here: drawing. Does not belong here: what is drawn (generate, rules, laws).

/// SplitMix64 (Steele, Lea, Flood 2014): small, and independent of the kernel's generator on purpose.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// From 0 to `count - 1`.
    pub(super) fn below(&mut self, count: usize) -> usize {
        (self.unit() * count as f64) as usize
    }

    /// From `low` to `high`, both included.
    pub(super) fn whole(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(usize::try_from(high - low + 1).unwrap_or(1)) as i64
    }

    /// Between two positive numbers, as likely in each decade, with three digits.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        let drawn = libm::exp(libm::log(low) + self.unit() * (libm::log(high) - libm::log(low)));
        round(drawn)
    }

    pub(super) fn one_of<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }
}

/// Three significant digits: what a person would write.
pub(super) fn round(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}
