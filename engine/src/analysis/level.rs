//! Levels: how many there are, and that number added up over time.
//!
//! Belongs here: rising, falling, the integral. Does not belong here: whose level it is (statistics).

/// A level and its integral over time. The integral up to T is the sum of all falls' times, less all
/// rises' times, plus the level times T: one addition a change, and no look at when it last changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Level {
    pub(super) value: u64,
    /// Wraps where more has risen than fallen.
    falls_less_rises: u128,
    /// The integral where the batch began.
    before: u128,
}

impl Level {
    /// Of this height since the run's start.
    pub(super) fn standing(value: u64) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }

    #[inline]
    pub(super) fn rise(&mut self, now_ns: u64) {
        self.value += 1;
        self.falls_less_rises = self.falls_less_rises.wrapping_sub(u128::from(now_ns));
    }

    #[inline]
    pub(super) fn fall(&mut self, now_ns: u64) {
        self.value -= 1;
        self.falls_less_rises = self.falls_less_rises.wrapping_add(u128::from(now_ns));
    }

    /// Level times nanoseconds from the run's start to that moment.
    pub(super) fn integral(&self, at_ns: u64) -> u128 {
        let rest = u128::from(self.value) * u128::from(at_ns);
        self.falls_less_rises.wrapping_add(rest)
    }

    /// The integral over the batch that ends then; the next one begins.
    pub(super) fn cut(&mut self, at_ns: u64) -> u128 {
        let integral = self.integral(at_ns);
        integral - std::mem::replace(&mut self.before, integral)
    }
}

/// Who is at a station.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Levels {
    pub(super) waiting: Level,
    pub(super) in_service: Level,
}
