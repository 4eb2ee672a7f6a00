//! The recent requests as a list: filtered, sorted, cut.
//!
//! Belongs here: one line per request. Does not belong here: a request's stages (request.rs).

use super::mapping::{end_of, kind_of, ms, place_of};
use super::words::{StageStatus, SystemStage};
use crate::telemetry::clock::Clock;
use crate::telemetry::emit::Telemetry;
use crate::telemetry::journal::{FINISHED_KEPT, JournalEntry};
use crate::telemetry::topology::Place;
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::time::TimeNs;
use serde::Serialize;
use std::cmp::Ordering;

/// What to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Only those that stand so.
    pub status: Option<StageStatus>,
    /// Only this notification type.
    pub kind: Option<String>,
    /// Only those whose id begins so.
    pub id_prefix: Option<String>,
    /// By which figure.
    pub sort: Sort,
    /// Largest first.
    pub is_descending: bool,
    /// How many at most.
    pub limit: usize,
}

/// By what a list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// When a request began.
    StartTime,
    /// How long it took so far.
    TotalDuration,
}

/// One request in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// Its id.
    pub request_id: String,
    /// Its notification type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The stage it last entered.
    pub current_stage: SystemStage,
    /// Wall time in ms since 1970.
    pub start_time: u64,
    /// First event to the last one, or to now while it is open, in ms.
    pub total_duration: f64,
    /// How it stands.
    pub status: StageStatus,
    #[serde(skip)]
    begun: TimeNs,
}

impl Telemetry {
    /// The wanted ones of the last 1000 requests, and how many there are before the limit.
    #[must_use]
    pub fn list_requests(&self, wanted: &Wanted) -> (Vec<Listed>, usize) {
        let (clock, now) = (self.clock(), self.now());
        let folded = self.shared.folded.lock();
        let recent = folded.journal.recent(FINISHED_KEPT);
        let mut found: Vec<Listed> = recent
            .filter_map(|entries| listed(entries, clock, now))
            .filter(|listed| wanted.takes(listed))
            .collect();
        drop(folded);
        found.sort_by(|a, b| {
            let order = match wanted.sort {
                Sort::StartTime => a.begun.cmp(&b.begun),
                Sort::TotalDuration => a
                    .total_duration
                    .partial_cmp(&b.total_duration)
                    .unwrap_or(Ordering::Equal),
            };
            if wanted.is_descending {
                order.reverse()
            } else {
                order
            }
        });
        let total = found.len();
        found.truncate(wanted.limit);
        (found, total)
    }
}

impl Wanted {
    fn takes(&self, listed: &Listed) -> bool {
        self.status.is_none_or(|status| listed.status == status)
            && self.kind.as_ref().is_none_or(|kind| listed.kind == kind)
            && self
                .id_prefix
                .as_ref()
                .is_none_or(|prefix| listed.request_id.starts_with(prefix))
    }
}

fn listed(entries: &[JournalEntry], clock: Clock, now: TimeNs) -> Option<Listed> {
    let first = entries.first()?.event;
    let end = end_of(entries);
    let until = end.map_or(now, |end| end.t_ns);
    let stage_of = |entry: &JournalEntry| {
        let is_entered = super::mapping::opens(entry.event.kind);
        is_entered.then(|| place_of(entry.event.component))?
    };
    let at = entries.iter().rev().find_map(stage_of);
    Some(Listed {
        request_id: first.request.0.to_string(),
        kind: kind_of(&first),
        current_stage: at.map_or(SystemStage::UserAction, SystemStage::at),
        start_time: clock.wall_ns_at(first.t_ns) / 1_000_000,
        total_duration: ms(until.since_ns(first.t_ns)),
        status: if let Some(end) = end {
            StageStatus::after(end.outcome)
        } else if is_served(entries) {
            StageStatus::Processing
        } else {
            StageStatus::Pending
        },
        begun: first.t_ns,
    })
}

/// Whether some part of it is in service now; resting until a retry is due is none.
fn is_served(entries: &[JournalEntry]) -> bool {
    let rests = |event: &StageEvent| {
        let place = place_of(event.component);
        matches!(
            place,
            Some(Place::Retry1 | Place::Retry2 | Place::InAppRetry)
        )
    };
    let count = |kind| {
        let events = entries.iter().map(|entry| &entry.event);
        events
            .filter(|event| event.kind == kind && !rests(event))
            .count()
    };
    count(EventKind::ServiceStarted) > count(EventKind::ServiceEnded)
}

#[cfg(test)]
mod tests;
