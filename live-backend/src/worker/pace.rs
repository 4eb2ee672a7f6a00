//! A steady rate: starts are spread evenly, without bursts.
//!
//! Belongs here: when the next run may start. Does not belong here: how many run at once.

use std::time::Duration;
use tokio::time::Instant;

/// What timers are late at most; above some hundred starts a second it is more than their distance.
const TIMER_LATE_MAX: Duration = Duration::from_millis(2);

/// Hands out start times, `1 / rate` apart.
#[derive(Debug)]
pub(super) struct Pace {
    period: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// At most `rate_per_s` starts a second.
    pub(super) fn new(rate_per_s: f64) -> Self {
        let period = Duration::try_from_secs_f64(1.0 / rate_per_s).unwrap_or(Duration::ZERO);
        Self { period, next: None }
    }

    /// From the next start on, at most `rate_per_s` starts a second.
    pub(super) fn set_rate(&mut self, rate_per_s: f64) {
        let period = Self::new(rate_per_s).period;
        if period != self.period {
            // A start that was planned at a slower rate is not waited for.
            self.next = self.next.map(|next| (next + period) - self.period);
            self.period = period;
        }
    }

    /// A start that was handed out is not made.
    pub(super) fn give_back(&mut self) {
        self.next = self.next.and_then(|next| next.checked_sub(self.period));
    }

    /// Time between two starts.
    pub(super) const fn period(&self) -> Duration {
        self.period
    }

    /// The next start, not before `now` but for lateness up to a quarter of the period, or what timers are
    /// late at most, which is caught up so that a slow timer does not lower the rate.
    pub(super) fn next_start(&mut self, now: Instant) -> Instant {
        let start = match self.next {
            Some(next) if now < next + (self.period / 4).max(TIMER_LATE_MAX) => next,
            _ => now,
        };
        self.next = Some(start + self.period);
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_starts_take_their_time_at_five_and_at_ten_a_second_whatever_the_timer_does() {
        for (rate_per_s, expected_s) in [(5.0, 20.0), (10.0, 10.0)] {
            let mut pace = Pace::new(rate_per_s);
            let begun = Instant::now();
            let mut now = begun;
            for number in 0..=100_u64 {
                let start = pace.next_start(now);
                // Up to 30 ms late, or a fifth of the period, as timers of a busy machine are.
                let late = Duration::from_millis(number * 7 % 31);
                now = start + late.min(pace.period() / 5);
            }
            let took = now.duration_since(begun).as_secs_f64();
            assert!((took - expected_s).abs() < 0.05, "{took} at {rate_per_s}");
        }
    }

    #[test]
    fn a_thousand_starts_a_second_outrun_a_timer_of_a_millisecond() {
        let mut pace = Pace::new(1000.0);
        let begun = Instant::now();
        let mut now = begun;
        for _ in 0..=1000 {
            let start = pace.next_start(now);
            if start > now {
                now = start + Duration::from_micros(1500);
            }
        }
        let took = now.duration_since(begun).as_secs_f64();
        assert!((0.99..1.01).contains(&took), "{took}");
    }

    #[test]
    fn a_new_rate_holds_from_the_next_start_on() {
        let mut pace = Pace::new(5.0);
        let begun = Instant::now();
        assert_eq!(pace.next_start(begun), begun);
        pace.set_rate(20.0);
        let second = pace.next_start(begun);
        assert_eq!(second, begun + Duration::from_millis(50));
        assert_eq!(pace.next_start(second), begun + Duration::from_millis(100));
    }

    #[test]
    fn a_start_that_is_given_back_is_handed_out_again() {
        let mut pace = Pace::new(0.001);
        let begun = Instant::now();
        assert_eq!(pace.next_start(begun), begun);
        let second = pace.next_start(begun);
        assert_eq!(second, begun + Duration::from_secs(1000));
        // Whoever waited for it hears of another rate.
        pace.give_back();
        pace.set_rate(5.0);
        assert_eq!(pace.next_start(begun), begun + Duration::from_millis(200));
    }

    #[test]
    fn a_rest_earns_no_burst() {
        let mut pace = Pace::new(10.0);
        let begun = Instant::now();
        pace.next_start(begun);
        let later = begun + Duration::from_secs(60);
        assert_eq!(pace.next_start(later), later);
        assert_eq!(pace.next_start(later), later + Duration::from_millis(100));
    }
}
