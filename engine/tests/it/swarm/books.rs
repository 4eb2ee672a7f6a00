//! What the witness writes down: visits, components, parts, requests.
//!
//! Belongs here: the records. Does not belong here: what must hold of them (witness).

use std::collections::BTreeMap;

/// Request, part and component.
pub(super) type Key = (u64, u16, u16);

#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) arrived_ns: u64,
    pub(super) arrived_seq: u64,
    pub(super) is_started: bool,
    pub(super) priority: i64,
}

/// Books of one component.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    /// Waiting, by arrival.
    pub(super) line: BTreeMap<u64, Key>,
    pub(super) in_service: u64,
    pub(super) arrived: u64,
    pub(super) left: u64,
    /// Time of visits that were given up.
    pub(super) given_up_ns: u128,
    pub(super) faults: u32,
    pub(super) next_token_ns: u64,
    /// Requests of a source in flight.
    pub(super) in_flight: u64,
}

impl Books {
    pub(super) fn waiting(&self) -> u64 {
        self.line.len() as u64
    }
}

/// One part: where it is going, and where it is, the innermost call last.
#[derive(Clone, Debug, Default)]
pub(super) struct PartBooks {
    pub(super) heading: Option<(u16, u64)>,
    pub(super) open: Vec<u16>,
    pub(super) is_over: bool,
}

impl PartBooks {
    pub(super) fn is_somewhere(&self) -> bool {
        !self.is_over && (self.heading.is_some() || !self.open.is_empty())
    }
}

#[derive(Clone, Debug)]
pub(super) struct RequestBooks {
    pub(super) class: u16,
    pub(super) source: u16,
    pub(super) parts: BTreeMap<u16, PartBooks>,
    pub(super) ended: u64,
    pub(super) is_finished: bool,
}
