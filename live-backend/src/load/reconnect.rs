//! When a client that lost its socket tries again (requirements C28).
//!
//! Belongs here: delays, jitter, the breaker. Does not belong here: sockets, waiting.

use std::time::Duration;

/// Delays before the five attempts.
const DELAYS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];
/// Most that chance adds to a delay, as a share of it.
const JITTER: f64 = 0.2;
/// How long nothing is tried after the last attempt failed; one probe follows.
const BREAKER: Duration = Duration::from_secs(30);

/// One client's way back; a new one for each loss.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reconnect {
    attempt: usize,
}

/// What to wait for before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// One of the five delays.
    Delay(Duration),
    /// The breaker is open that long, then one probe is due.
    Breaker(Duration),
}

impl Reconnect {
    /// The pause before the next attempt; `unit` in `0.0..1.0` is this attempt's chance.
    pub(super) fn next_pause(&mut self, unit: f64) -> Pause {
        let Some(delay) = DELAYS.get(self.attempt) else {
            return Pause::Breaker(BREAKER);
        };
        self.attempt += 1;
        Pause::Delay(delay.mul_f64(1.0 + JITTER * unit.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_growing_delays_and_then_the_breaker_with_one_probe_at_a_time() {
        for unit in [0.0, 0.5, 0.999] {
            let mut way = Reconnect::default();
            for seconds in [1.0, 2.0, 4.0, 8.0, 16.0] {
                let Pause::Delay(delay) = way.next_pause(unit) else {
                    panic!("the breaker opened early");
                };
                let share = delay.as_secs_f64() / seconds;
                assert!((share - 1.0 - 0.2 * unit).abs() < 1e-6, "{delay:?}");
            }
            assert_eq!(way.next_pause(unit), Pause::Breaker(BREAKER));
            assert_eq!(way.next_pause(unit), Pause::Breaker(BREAKER));
        }
    }
}
