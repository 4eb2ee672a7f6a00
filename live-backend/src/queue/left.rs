//! Jobs that an earlier process left: where each of them is now.
//!
//! Belongs here: reading a stored row as a place in the queues. Does not belong here: the rows (store),
//! what is recorded about them (telemetry).

use super::first_queue;
use crate::models::WallMs;
use crate::store::jobs::StoredJob;
use crate::telemetry::{Part, Place, Survivor};
use flowreel_engine::recording::RunId;
use std::time::Duration;

/// A stored job, and where it is parked and for how long from now; `None` waits in its first queue.
#[derive(Clone, Debug)]
pub(crate) struct LeftJob {
    pub(crate) stored: StoredJob,
    pub(crate) parked: Option<(Place, Duration)>,
}

impl LeftJob {
    pub(crate) fn new(stored: StoredJob, now: WallMs) -> Self {
        let parked = stored.parked.as_ref().and_then(|(station, due_at)| {
            let rest_ms = due_at.0.checked_sub(now.0).filter(|&ms| ms > 0)?;
            Some((Place::from_name(station)?, Duration::from_millis(rest_ms)))
        });
        Self { stored, parked }
    }

    /// What a recording that goes on must know of it; `None` where its request was not recorded.
    pub(crate) fn survivor(&self) -> Option<(RunId, Survivor)> {
        let origin = self.stored.origin.as_ref()?;
        let run: RunId = origin.run.parse().ok()?;
        // The stored attempt is the next run; while parked, the part carries the one that failed.
        let attempt = match self.parked {
            None => self.stored.attempt,
            Some(_) => self.stored.attempt.saturating_sub(1),
        };
        let rest = self.parked.map(|(_, rest)| rest);
        let survivor = Survivor {
            part: Part {
                attempt,
                ..origin.part
            },
            place: self
                .parked
                .map_or(first_queue(self.stored.job.channel), |(via, _)| via),
            delay_ns: rest.map(|rest| u64::try_from(rest.as_nanos()).unwrap_or(u64::MAX)),
            priority: u64::from(self.stored.job.priority.rank()),
        };
        Some((run, survivor))
    }
}
