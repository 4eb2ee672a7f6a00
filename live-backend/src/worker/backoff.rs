//! The ladder a failed job climbs: where it rests, how long, and when it is given up.
//!
//! Belongs here: delays and attempts. Does not belong here: timers (queue), storing (worker).

use crate::models::Channel;
use crate::telemetry::Place;
use std::time::Duration;

/// Rest at retry-1, before the second run of an e-mail.
const RETRY_1: Duration = Duration::from_secs(300);
/// Rest at retry-2, before the third and last run of an e-mail.
const RETRY_2: Duration = Duration::from_secs(1800);

/// All delays of one run of the system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ladder {
    retry_1: Duration,
    retry_2: Duration,
    in_app_retry: Duration,
    in_app_attempts_max: u16,
}

/// What follows a failed run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Another run after a rest.
    Rest { via: Place, rest: Duration },
    /// No further run.
    DeadLetter,
}

impl Ladder {
    /// Delays divided by `scale` (above 0); `in_app_retry` is the setting, not yet divided.
    pub(crate) fn new(scale: f64, in_app_retry: Duration, in_app_attempts_max: u16) -> Self {
        let scaled = |delay: Duration| {
            Duration::try_from_secs_f64(delay.as_secs_f64() / scale).unwrap_or(delay)
        };
        Self {
            retry_1: scaled(RETRY_1),
            retry_2: scaled(RETRY_2),
            in_app_retry: scaled(in_app_retry),
            in_app_attempts_max,
        }
    }

    /// What follows when run number `attempt` (from 1) has failed.
    pub(crate) fn after(&self, channel: Channel, attempt: u16) -> Step {
        match (channel, attempt) {
            (Channel::Email, 0 | 1) => Step::Rest {
                via: Place::Retry1,
                rest: self.retry_1,
            },
            (Channel::Email, 2) => Step::Rest {
                via: Place::Retry2,
                rest: self.retry_2,
            },
            (Channel::InApp, attempt) if attempt < self.in_app_attempts_max => Step::Rest {
                via: Place::InAppRetry,
                rest: self.in_app_retry,
            },
            (Channel::Email | Channel::InApp, _) => Step::DeadLetter,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_rests_five_and_thirty_minutes_then_dies() {
        let ladder = Ladder::new(1.0, Duration::from_secs(60), 3);
        let rest = |via, s| Step::Rest {
            via,
            rest: Duration::from_secs(s),
        };
        assert_eq!(ladder.after(Channel::Email, 1), rest(Place::Retry1, 300));
        assert_eq!(ladder.after(Channel::Email, 2), rest(Place::Retry2, 1800));
        assert_eq!(ladder.after(Channel::Email, 3), Step::DeadLetter);
        assert_eq!(ladder.after(Channel::InApp, 1), rest(Place::InAppRetry, 60));
        assert_eq!(ladder.after(Channel::InApp, 2), rest(Place::InAppRetry, 60));
        assert_eq!(ladder.after(Channel::InApp, 3), Step::DeadLetter);
    }

    #[test]
    fn the_scale_divides_every_delay() {
        let ladder = Ladder::new(100.0, Duration::from_secs(60), 3);
        let step = ladder.after(Channel::Email, 2);
        assert_eq!(
            step,
            Step::Rest {
                via: Place::Retry2,
                rest: Duration::from_secs(18)
            }
        );
        let step = ladder.after(Channel::InApp, 1);
        assert_eq!(
            step,
            Step::Rest {
                via: Place::InAppRetry,
                rest: Duration::from_millis(600)
            }
        );
    }
}
