//! The tap on the folded stream: what the live view needs of an event, taken while it is folded.
//!
//! Belongs here: the bounded buffer between recorder and live view, the last facts of the sockets.
//! Does not belong here: what is told of it (mapping.rs).
//!
//! The recorder holds its lock when it gets here, so an event is copied and nothing else is done. Shut,
//! the tap allocates nothing. A full buffer counts what it misses; the recorder never waits for it.

use super::mapping::opens;
use crate::telemetry::detail::Detail;
use crate::telemetry::journal::{Journal, JournalEntry};
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::id::{ComponentId, RequestId};
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use std::collections::VecDeque;

/// Events taken between two looks of the live view, 100 ms apart: 100,000 a second.
pub(super) const TAKEN_MAX: usize = 10_000;
/// Facts of the sockets kept, newest last (requirements LV-067).
pub(super) const FACTS_MAX: usize = 50;

/// The tap.
#[derive(Debug)]
pub(in crate::telemetry) struct Tap {
    is_open: bool,
    taken: Vec<Tapped>,
    missed: u64,
    facts: VecDeque<SocketFact>,
}

/// One event as the live view gets it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::telemetry) struct Tapped {
    pub(super) event: StageEvent,
    pub(super) detail: Option<Detail>,
    /// When the visit it is about began.
    pub(super) opened: Option<TimeNs>,
    /// What is known of the request where this event ends it for the first time in this way; an operator
    /// may have taken it up again after it had failed.
    pub(super) ending: Option<Box<Ending>>,
}

/// A request, when it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) begun: TimeNs,
    pub(super) has_email: bool,
    pub(super) has_in_app: bool,
    /// Where something went wrong last, and why.
    pub(super) fault: Option<(ComponentId, String)>,
}

/// Something happened at a client socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::telemetry) struct SocketFact {
    pub(in crate::telemetry) kind: EventKind,
    /// User number; 0 unknown.
    pub(in crate::telemetry) user: u64,
    pub(in crate::telemetry) t_ns: TimeNs,
}

/// What was taken since the last look.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) events: Vec<Tapped>,
    /// Events that found no room.
    pub(super) missed: u64,
}

impl Default for Tap {
    fn default() -> Self {
        Self {
            is_open: false,
            taken: Vec::new(),
            missed: 0,
            facts: VecDeque::with_capacity(FACTS_MAX),
        }
    }
}

impl Tap {
    /// Opens or shuts it; what was taken and not looked at is dropped with the last listener.
    pub(super) fn set_open(&mut self, is_open: bool) {
        self.is_open = is_open;
        if !is_open {
            self.taken.clear();
            self.missed = 0;
        }
    }

    /// Gives what was taken and goes on in `spare`, so that two buffers serve for ever.
    pub(super) fn take(&mut self, spare: Vec<Tapped>) -> Taken {
        debug_assert!(spare.is_empty(), "a spare buffer holds nothing");
        Taken {
            events: std::mem::replace(&mut self.taken, spare),
            missed: std::mem::take(&mut self.missed),
        }
    }

    /// The last facts of the sockets, newest first.
    pub(in crate::telemetry) fn facts(&self) -> impl Iterator<Item = &SocketFact> {
        self.facts.iter().rev()
    }

    /// Takes in an event that the state has just applied and the journal does not have yet.
    #[inline]
    pub(in crate::telemetry) fn take_in(
        &mut self,
        event: &StageEvent,
        detail: Option<&Detail>,
        journal: &Journal,
        state: &SystemState,
    ) {
        self.note_socket(event, detail);
        if self.is_open {
            self.copy(event, detail, journal, state);
        }
    }

    #[inline]
    fn note_socket(&mut self, event: &StageEvent, detail: Option<&Detail>) {
        let user = match event.kind {
            EventKind::ConnectionAuthenticated => event.value,
            EventKind::InAppDelivered | EventKind::InAppAcknowledged => user_of(detail),
            EventKind::ConnectionOpened | EventKind::ConnectionClosed => 0,
            _ => return,
        };
        if self.facts.len() == FACTS_MAX {
            self.facts.pop_front();
        }
        self.facts.push_back(SocketFact {
            kind: event.kind,
            user,
            t_ns: event.t_ns,
        });
    }

    fn copy(
        &mut self,
        event: &StageEvent,
        detail: Option<&Detail>,
        journal: &Journal,
        state: &SystemState,
    ) {
        if self.taken.len() >= TAKEN_MAX {
            self.missed += 1;
            return;
        }
        let entries = journal.request(event.request).unwrap_or_default();
        let mut ending = None;
        if event.kind == EventKind::RequestFinished {
            let Some(begun) = begun(event.request, entries, state) else {
                return;
            };
            ending = ending_of(event, entries, begun).map(Box::new);
        } else if event.request != RequestId::NONE
            && event.kind != EventKind::RequestBegun
            && entries.is_empty()
            && state.request(event.request).is_none()
        {
            // Nobody began it: there is nothing to follow.
            return;
        }
        self.taken.push(Tapped {
            event: *event,
            detail: detail.cloned(),
            opened: opened(event, entries),
            ending,
        });
    }
}

fn user_of(detail: Option<&Detail>) -> u64 {
    let mut fields = detail.map_or(&[][..], Detail::fields).iter();
    let found = fields.find(|(key, _)| *key == "user");
    found.and_then(|(_, text)| text.parse().ok()).unwrap_or(0)
}

fn begun(request: RequestId, entries: &[JournalEntry], state: &SystemState) -> Option<TimeNs> {
    if let Some(first) = entries.first() {
        return Some(first.event.t_ns);
    }
    // Begun by an earlier process of this run: the state went on, the journal did not.
    let last = state.finished().last();
    last.filter(|it| it.request == request).map(|it| it.begun)
}

/// When the visit that `event` is about was opened.
fn opened(event: &StageEvent, entries: &[JournalEntry]) -> Option<TimeNs> {
    if opens(event.kind) {
        return Some(event.t_ns);
    }
    let of_visit = |entry: &&JournalEntry| {
        entry.event.component == event.component
            && entry.event.part == event.part
            && opens(entry.event.kind)
    };
    let entry = entries.iter().rev().find(of_visit)?;
    Some(entry.event.t_ns)
}

fn ending_of(event: &StageEvent, entries: &[JournalEntry], begun: TimeNs) -> Option<Ending> {
    let has = |kind| entries.iter().any(|entry| entry.event.kind == kind);
    let is_well = |event: &StageEvent| event.outcome == Outcome::Ok;
    let ended_so_before = entries.iter().any(|entry| {
        entry.event.kind == EventKind::RequestFinished && is_well(&entry.event) == is_well(event)
    });
    (!ended_so_before).then(|| Ending {
        begun,
        has_email: has(EventKind::EmailQueued),
        has_in_app: has(EventKind::InAppQueued),
        fault: (!is_well(event)).then(|| fault(event, entries)),
    })
}

/// The innermost failure that was told last, in the words that stand beside it.
fn fault(event: &StageEvent, entries: &[JournalEntry]) -> (ComponentId, String) {
    let words = |entry: &JournalEntry| {
        let fields = entry.detail.as_ref().map_or(&[][..], Detail::fields);
        let named = |&&(key, _): &&(&'static str, String)| matches!(key, "error" | "cause");
        fields.iter().find(named).map(|(_, text)| text.clone())
    };
    let told = entries.iter().rev().find_map(|entry| {
        let text = words(entry)?;
        Some((entry.event.component, text))
    });
    told.unwrap_or_else(|| {
        let failed = |entry: &&JournalEntry| {
            !matches!(entry.event.outcome, Outcome::Ok | Outcome::None)
                && entry.event.kind != EventKind::PartFinished
        };
        let entry = entries.iter().rev().find(failed);
        let (component, outcome) = entry.map_or((event.component, event.outcome), |entry| {
            (entry.event.component, entry.event.outcome)
        });
        let text = match outcome {
            Outcome::TimedOut => "expired",
            Outcome::Cancelled => "cut off",
            Outcome::Rejected => "refused at the door",
            Outcome::Abandoned => "left the waiting line",
            Outcome::Failed | Outcome::Ok | Outcome::None => "answered with an error",
        };
        (component, text.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::recorder::tests::topology;
    use crate::telemetry::topology::Place;

    fn event(kind: EventKind, number: u64) -> StageEvent {
        let mut event = StageEvent::new(TimeNs(number), kind, Place::Websocket.component());
        event.value = number;
        event
    }

    fn fed(tap: &mut Tap, events: impl Iterator<Item = StageEvent>) {
        let (journal, state) = (Journal::default(), SystemState::new(&topology()));
        events.for_each(|event| tap.take_in(&event, None, &journal, &state));
    }

    #[test]
    fn a_shut_tap_takes_nothing_and_holds_no_memory() {
        let mut tap = Tap::default();
        fed(
            &mut tap,
            (0..1000).map(|number| event(EventKind::WorkerIdle, number)),
        );
        assert_eq!((tap.taken.len(), tap.taken.capacity()), (0, 0));
    }

    #[test]
    fn a_full_tap_counts_what_it_misses() {
        let mut tap = Tap::default();
        tap.set_open(true);
        let count = TAKEN_MAX as u64 + 7;
        fed(
            &mut tap,
            (0..count).map(|number| event(EventKind::WorkerIdle, number)),
        );
        let taken = tap.take(Vec::new());
        assert_eq!((taken.events.len(), taken.missed), (TAKEN_MAX, 7));
        assert_eq!(tap.take(Vec::new()).missed, 0);
    }

    #[test]
    fn the_last_facts_of_sockets_are_kept_newest_first() {
        let mut tap = Tap::default();
        fed(
            &mut tap,
            (1..=200).map(|number| event(EventKind::ConnectionAuthenticated, number)),
        );
        let users: Vec<u64> = tap.facts().map(|fact| fact.user).collect();
        assert_eq!((users.len(), users[0], users[49]), (FACTS_MAX, 200, 151));
        fed(
            &mut tap,
            std::iter::once(event(EventKind::InAppAcknowledged, 1)),
        );
        let newest = tap.facts().next().map(|fact| fact.kind);
        assert_eq!(newest, Some(EventKind::InAppAcknowledged));
        assert_eq!(tap.facts.capacity(), FACTS_MAX);
    }
}
