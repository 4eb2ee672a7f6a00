//! One part of one request on its way: what every stage event about it repeats.
//!
//! Belongs here: the value that travels in headers and job rows. Does not belong here: what it does.

use super::topology::{Class, Place};
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::{ClassId, PartId, RequestId};
use flowreel_engine::model::time::TimeNs;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Name of the header in which the balancer tells a server which request it forwards. The balancer
/// overwrites what a client sends under this name.
pub const PART_HEADER: &str = "x-flowreel-part";
/// Name of the header in which the balancer tells a server when it forwards, by the clock they share.
pub const TIME_HEADER: &str = "x-flowreel-time";

/// One part of one request; small, copyable, stored with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Whose.
    pub request: RequestId,
    /// What kind of request.
    pub class: Class,
    /// 0 is the main line; copies count from 1.
    pub part: PartId,
    /// Run of the job, from 1; 0 before there is a job.
    pub attempt: u16,
}

impl Part {
    /// The main line of a request.
    #[must_use]
    pub const fn main(request: RequestId, class: Class) -> Self {
        Self {
            request,
            class,
            part: PartId(0),
            attempt: 0,
        }
    }

    /// The same part with another run number.
    #[must_use]
    pub const fn with_attempt(self, attempt: u16) -> Self {
        Self { attempt, ..self }
    }

    /// The copy of that number, from 1.
    #[must_use]
    pub const fn copy(self, number: u16) -> Self {
        Self {
            part: PartId(number),
            ..self
        }
    }

    /// The part that goes the way at `index` of `count`: one way keeps part 0, several make parts 1, 2, …
    #[must_use]
    pub fn way(self, index: usize, count: usize) -> Option<Self> {
        if count <= 1 {
            return Some(self);
        }
        Some(self.copy(u16::try_from(index).ok()?.checked_add(1)?))
    }

    /// An event of this part at `place`; its time is set when it is emitted.
    #[must_use]
    pub(super) const fn event(self, kind: EventKind, place: Place) -> StageEvent {
        let mut event = StageEvent::new(TimeNs(0), kind, place.component());
        event.request = self.request;
        event.class = self.class.id();
        event.part = self.part;
        event.attempt = self.attempt;
        event
    }
}

/// `request-class-part-attempt`, the form of [`PART_HEADER`] and of job rows.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = self.class.id().0;
        write!(
            f,
            "{}-{class}-{}-{}",
            self.request.0, self.part.0, self.attempt
        )
    }
}

/// Why a text names no part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no part of a request; it is written request-class-part-attempt, in whole numbers"
)]
pub struct ParsePartError {
    /// What was written.
    pub text: String,
}

impl FromStr for Part {
    type Err = ParsePartError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParsePartError {
            text: text.chars().take(64).collect(),
        };
        let mut fields = text.split('-');
        let mut next = || fields.next().ok_or_else(error);
        let (request, class, part, attempt) = (next()?, next()?, next()?, next()?);
        if fields.next().is_some() {
            return Err(error());
        }
        let class = class.parse().map_err(|_number| error())?;
        Ok(Self {
            request: RequestId(request.parse().map_err(|_number| error())?),
            class: Class::from_id(ClassId(class)).ok_or_else(error)?,
            part: PartId(part.parse().map_err(|_number| error())?),
            attempt: attempt.parse().map_err(|_number| error())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_comes_back_from_its_text() {
        let part = Part::main(RequestId(77), Class::Purchase)
            .copy(2)
            .with_attempt(3);
        assert_eq!(part.to_string(), "77-3-2-3");
        assert_eq!(part.to_string().parse(), Ok(part));
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for text in [
            "",
            "1",
            "1-9-0-0",
            "1-0-0",
            "1-0-0-0-0",
            "a-0-0-0",
            "1-0-70000-0",
        ] {
            assert!(text.parse::<Part>().is_err(), "{text}");
        }
    }
}
