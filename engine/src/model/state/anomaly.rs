//! What contradicts the state: counted and shown, never dropped in silence.
//!
//! Belongs here: the kinds and their counts. Does not belong here: who notices them (state).

use crate::model::event::{StageEvent, closed_set};
use serde::{Deserialize, Serialize};

closed_set! {
    /// In which way an event contradicts what came before it.
    AnomalyKind {
        /// Sequence number is not the one after the last.
        SequenceBroken = 0 => "sequence-broken",
        /// Time is before the last event's.
        TimeFell = 1 => "time-fell",
        /// The request had begun already.
        BegunTwice = 2 => "begun-twice",
        /// The request has not begun, or is over.
        UnknownRequest = 3 => "unknown-request",
        /// The part was there already.
        OpenedTwice = 4 => "opened-twice",
        /// Service begins for a part that is not there or is in service.
        StartWithoutArrival = 5 => "start-without-arrival",
        /// A visit ends that was not open, or not in service.
        EndWithoutStart = 6 => "end-without-start",
        /// The topology has no such component.
        UnknownComponent = 7 => "unknown-component",
        /// The topology has no such class.
        UnknownClass = 8 => "unknown-class",
        /// The topology has no such path.
        UnknownPath = 9 => "unknown-path",
    }
}

/// Anomalies by kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anomalies {
    counts: Vec<u64>,
    /// Sequence number of the first event that contradicted the state.
    pub first_seq: Option<u64>,
}

impl Default for Anomalies {
    fn default() -> Self {
        Self {
            counts: vec![0; AnomalyKind::ALL.len()],
            first_seq: None,
        }
    }
}

impl Anomalies {
    #[cold]
    pub(super) fn count(&mut self, kind: AnomalyKind, event: &StageEvent) {
        self.counts[usize::from(kind.code())] += 1;
        self.first_seq.get_or_insert(event.seq);
    }

    /// How many of this kind.
    #[must_use]
    pub fn of(&self, kind: AnomalyKind) -> u64 {
        self.counts[usize::from(kind.code())]
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// True for counts that this version can hold.
    pub(super) fn is_well_formed(&self) -> bool {
        self.counts.len() == AnomalyKind::ALL.len()
    }
}
