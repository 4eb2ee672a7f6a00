//! Requests that go several ways: which of them are not over, and when each is.
//!
//! Belongs here: counting parts. Does not belong here: the events that say so (stage.rs, recorder).
//!
//! One process keeps the book itself. Where a run has several, each part may end in another one, and
//! only the recorder sees all of them: the others note how many ways a request goes, and it decides.

use flowreel_engine::model::event::Outcome;
use flowreel_engine::model::id::RequestId;
use std::collections::HashMap;

/// A request is over: how, and how many parts it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestEnd {
    pub(super) outcome: Outcome,
    pub(super) part_count: u16,
}

#[derive(Clone, Copy, Debug, Default)]
struct Split {
    part_count: u16,
    ended_count: u16,
    is_failed: bool,
}

/// Requests that went several ways and are not over; one entry per such request in flight.
#[derive(Debug, Default)]
pub(super) struct SplitBook {
    requests: HashMap<RequestId, Split>,
}

impl SplitBook {
    /// The request goes on as `part_count` copies; saying so again changes nothing.
    pub(super) fn note(&mut self, request: RequestId, part_count: u16) {
        self.requests.entry(request).or_default().part_count = part_count;
    }

    /// A request that an earlier process saw go several ways.
    pub(super) fn take_over(
        &mut self,
        request: RequestId,
        part_count: u16,
        ended_count: u16,
        is_failed: bool,
    ) {
        let split = Split {
            part_count,
            ended_count,
            is_failed,
        };
        self.requests.insert(request, split);
    }

    /// One part is over; the answer is the request's end if this was its last part.
    pub(super) fn part_ended(
        &mut self,
        request: RequestId,
        outcome: Outcome,
    ) -> Option<RequestEnd> {
        let Some(split) = self.requests.get_mut(&request) else {
            return Some(RequestEnd {
                outcome,
                part_count: 1,
            });
        };
        split.is_failed |= outcome != Outcome::Ok;
        split.ended_count = split.ended_count.saturating_add(1);
        self.ended(request)
    }

    /// A part that was over goes on again.
    pub(super) fn reopen(&mut self, request: RequestId) {
        let split = self.requests.entry(request).or_default();
        match split.ended_count.checked_sub(1) {
            Some(rest) => split.ended_count = rest,
            None => split.part_count = split.part_count.saturating_add(1),
        }
    }

    /// The request's end where all its parts are over.
    pub(super) fn ended(&mut self, request: RequestId) -> Option<RequestEnd> {
        let split = self.requests.get(&request)?;
        if split.ended_count < split.part_count {
            return None;
        }
        let outcome = if split.is_failed {
            Outcome::Failed
        } else {
            Outcome::Ok
        };
        let part_count = split.part_count;
        self.requests.remove(&request);
        Some(RequestEnd {
            outcome,
            part_count,
        })
    }

    /// True where the request is known to go several ways.
    pub(super) fn is_split(&self, request: RequestId) -> bool {
        self.requests.contains_key(&request)
    }

    /// The request is over, or unknown, whatever its parts do.
    pub(super) fn forget(&mut self, request: RequestId) {
        self.requests.remove(&request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_with_the_last_of_its_parts() {
        let mut book = SplitBook::default();
        let (one, two) = (RequestId(1), RequestId(2));
        book.note(two, 3);
        let end = |outcome, part_count| {
            Some(RequestEnd {
                outcome,
                part_count,
            })
        };
        assert_eq!(
            book.part_ended(one, Outcome::Rejected),
            end(Outcome::Rejected, 1)
        );
        assert_eq!(book.part_ended(two, Outcome::Ok), None);
        book.note(two, 3);
        assert_eq!(book.part_ended(two, Outcome::Failed), None);
        assert_eq!(book.part_ended(two, Outcome::Ok), end(Outcome::Failed, 3));
        assert!(!book.is_split(two));
    }

    #[test]
    fn what_ended_before_the_note_came_counts() {
        let mut book = SplitBook::default();
        book.take_over(RequestId(5), 1, 1, false);
        book.note(RequestId(5), 2);
        assert_eq!(book.ended(RequestId(5)), None);
        let end = book
            .part_ended(RequestId(5), Outcome::Ok)
            .expect("the last one");
        assert_eq!((end.outcome, end.part_count), (Outcome::Ok, 2));
    }
}
