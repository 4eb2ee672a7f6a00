//! Recent requests, event by event: what is read back about one request while the system runs.
//!
//! Belongs here: which requests are kept, and for how long. Does not belong here: older requests (they
//! are in the reel), what the events mean.

use super::detail::Detail;
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::RequestId;
use std::collections::{HashMap, VecDeque};

/// Finished requests kept, the oldest leave first (requirements LV-163).
pub const FINISHED_KEPT: usize = 1000;
/// Open requests kept; past this many the oldest leaves.
const OPEN_KEPT: usize = 20_000;
/// Events kept of one request.
const EVENTS_KEPT: usize = 256;

/// One recorded stage of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// What happened.
    pub event: StageEvent,
    /// What stood beside it.
    pub detail: Option<Detail>,
}

/// The events of recent requests.
#[derive(Debug, Default)]
pub(super) struct Journal {
    requests: HashMap<RequestId, Vec<JournalEntry>>,
    open: VecDeque<RequestId>,
    finished: VecDeque<RequestId>,
}

impl Journal {
    /// Takes in the next event of the run.
    pub(super) fn add(&mut self, event: &StageEvent, detail: Option<Detail>) {
        if event.request == RequestId::NONE {
            return;
        }
        if event.kind == EventKind::RequestBegun {
            self.requests.insert(event.request, Vec::with_capacity(32));
            self.open.push_back(event.request);
            self.forget_open();
        }
        let Some(entries) = self.requests.get_mut(&event.request) else {
            return;
        };
        if entries.len() < EVENTS_KEPT || event.kind == EventKind::RequestFinished {
            entries.push(JournalEntry {
                event: *event,
                detail,
            });
        }
        if event.kind == EventKind::RequestFinished {
            self.finished.push_back(event.request);
            if self.finished.len() > FINISHED_KEPT
                && let Some(oldest) = self.finished.pop_front()
            {
                self.requests.remove(&oldest);
            }
        }
    }

    /// The request's events so far, or `None` where it is not among those kept.
    pub(super) fn request(&self, request: RequestId) -> Option<&[JournalEntry]> {
        self.requests.get(&request).map(Vec::as_slice)
    }

    /// The requests begun last, newest first, `count` of them at most.
    pub(super) fn recent(&self, count: usize) -> impl Iterator<Item = &[JournalEntry]> {
        let kept = |id: &RequestId| self.requests.get(id).map(Vec::as_slice);
        self.open.iter().rev().filter_map(kept).take(count)
    }

    /// Requests kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    // The list of open requests still names finished ones; they are passed over here.
    fn forget_open(&mut self) {
        while self.open.len() > OPEN_KEPT {
            let Some(oldest) = self.open.pop_front() else {
                return;
            };
            let is_open = self.requests.get(&oldest).is_some_and(|entries| {
                entries
                    .last()
                    .is_none_or(|last| last.event.kind != EventKind::RequestFinished)
            });
            if is_open && !self.finished.contains(&oldest) {
                self.requests.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowreel_engine::model::id::ComponentId;
    use flowreel_engine::model::time::TimeNs;

    fn event(kind: EventKind, request: u64) -> StageEvent {
        let mut event = StageEvent::new(TimeNs(0), kind, ComponentId(0));
        event.request = RequestId(request);
        event
    }

    #[test]
    fn the_last_thousand_finished_requests_are_kept() {
        let mut journal = Journal::default();
        for request in 1..=1500 {
            journal.add(&event(EventKind::RequestBegun, request), None);
            journal.add(&event(EventKind::RequestFinished, request), None);
        }
        assert_eq!(journal.requests.len(), 1000);
        assert!(journal.request(RequestId(500)).is_none());
        assert_eq!(journal.request(RequestId(501)).map(<[_]>::len), Some(2));
    }

    #[test]
    fn open_requests_and_their_events_are_bounded() {
        let mut journal = Journal::default();
        for request in 1..=OPEN_KEPT as u64 + 5 {
            journal.add(&event(EventKind::RequestBegun, request), None);
        }
        assert!(journal.request(RequestId(5)).is_none());
        for _ in 0..10_000 {
            journal.add(&event(EventKind::Arrived, 6), None);
        }
        journal.add(&event(EventKind::RequestFinished, 6), None);
        let entries = journal.request(RequestId(6)).expect("it was open");
        assert_eq!(entries.len(), EVENTS_KEPT + 1);
    }
}
