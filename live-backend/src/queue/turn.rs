//! Whose turn it is: what one user is told comes in the order in which it was accepted.
//!
//! Belongs here: what a run hears before it tells. Does not belong here: how one kind of queue knows
//! (embedded/lane, redis/turns), telling (worker).
//!
//! A notification is written to its user's sockets once every earlier one of that user, of its priority or
//! a higher one, has been written to them, rests, or is over. A confirmation is not waited for.

use std::time::Duration;

/// Whether a job that was taken may be told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It may; only to these sockets where earlier ones, not confirmed yet, were written to them.
    Now { sockets: Option<String> },
    /// An earlier one is to be written first: back into the queue for so long.
    Later(Duration),
}

impl Turn {
    /// Nothing is in its way.
    pub(crate) const FREE: Self = Self::Now { sockets: None };
}

/// How long a run waits for one of this process that is about to write.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);
/// How long a job goes back for, at least.
pub(super) const REST: Duration = Duration::from_millis(250);
/// What each one before it adds to that where they are many, less than a worker needs for it: a look at a
/// backlog by every job of it would cost its square.
const REST_EACH: Duration = Duration::from_millis(25);
const REST_MAX: Duration = Duration::from_secs(2);

/// How long a job goes back for that has so many before it.
pub(super) fn rest_behind(count: usize) -> Duration {
    let each = u32::try_from(count).unwrap_or(u32::MAX);
    REST_EACH.saturating_mul(each).clamp(REST, REST_MAX)
}
