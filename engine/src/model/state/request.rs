//! Requests and visits as the state holds them.
//!
//! Belongs here: in-flight and finished requests, open visits, their keys and counts.
//! Does not belong here: how events change them (state).

use crate::model::event::{Outcome, StageEvent};
use crate::model::id::{ClassId, ComponentId, PartId, RequestId};
use crate::model::table::{TableKey, mix};
use crate::model::time::TimeNs;
use serde::{Deserialize, Serialize};

/// A request begun and not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// Its class.
    pub class: ClassId,
    /// When it began.
    pub begun: TimeNs,
    /// Sequence number of the event that began it.
    pub begun_seq: u64,
    /// Whose it is; 0 unknown.
    pub user: u64,
    /// When a server answered.
    pub answered: Option<TimeNs>,
    /// Highest run number of its jobs.
    pub attempts: u16,
    /// Component it last arrived at.
    pub at: ComponentId,
}

/// A finished request; `begun_seq..=finished_seq` in the reel holds its journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishedRequest {
    /// Which.
    pub request: RequestId,
    /// Its class.
    pub class: ClassId,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began.
    pub begun: TimeNs,
    /// When its last part ended.
    pub finished: TimeNs,
    /// First event.
    pub begun_seq: u64,
    /// Last event.
    pub finished_seq: u64,
    /// When a server answered.
    pub answered: Option<TimeNs>,
    /// Highest run number of its jobs.
    pub attempts: u16,
}

/// Requests by how they ended. `started + reopened` is the sum of all the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// Begun.
    pub started: u64,
    /// Taken up again by an operator after they had failed.
    pub reopened: u64,
    /// Ended well.
    pub completed: u64,
    /// Ended badly, cancelled ones included.
    pub failed: u64,
    /// Refused.
    pub rejected: u64,
    /// Left a waiting line.
    pub abandoned: u64,
    /// Over a time limit.
    pub timed_out: u64,
    /// Not ended.
    pub in_flight: u64,
}

impl RequestCounts {
    pub(super) fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Ok => self.completed += 1,
            Outcome::Rejected => self.rejected += 1,
            Outcome::Abandoned => self.abandoned += 1,
            Outcome::TimedOut => self.timed_out += 1,
            Outcome::None | Outcome::Failed | Outcome::Cancelled => self.failed += 1,
        }
    }
}

/// Which visit: a part is at a component at most once at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VisitKey {
    /// Whose.
    pub request: RequestId,
    /// Which part.
    pub part: PartId,
    /// Where.
    pub component: ComponentId,
}

impl VisitKey {
    #[inline]
    pub(super) const fn of(event: &StageEvent) -> Self {
        Self {
            request: event.request,
            part: event.part,
            component: event.component,
        }
    }
}

/// A stay that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Class of the request.
    pub class: ClassId,
    /// Where it came from.
    pub from: ComponentId,
    /// Run of the job, from 1; 0 where there is none.
    pub attempt: u16,
    /// When it came.
    pub arrived: TimeNs,
    /// Sequence number of the event that opened it.
    pub arrived_seq: u64,
    /// When service began, if it has.
    pub started: Option<TimeNs>,
}

/// An edge that something moved over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct EdgeKey {
    pub(super) from: ComponentId,
    pub(super) to: ComponentId,
}

impl TableKey for RequestId {
    #[inline]
    fn mixed(self) -> u64 {
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl TableKey for VisitKey {
    #[inline]
    fn mixed(self) -> u64 {
        mix(self.request.0
            ^ u64::from(self.part.0).rotate_right(16)
            ^ u64::from(self.component.0).rotate_right(32))
    }
}

impl TableKey for EdgeKey {
    #[inline]
    fn mixed(self) -> u64 {
        mix(u64::from(self.from.0) << 16 | u64::from(self.to.0))
    }
}
