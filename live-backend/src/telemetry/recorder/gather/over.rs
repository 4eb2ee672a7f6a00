//! Processes that are over: what they left open is closed, jobs go back to their queues.
//!
//! Belongs here: closing one process after the other. Does not belong here: noticing that a process
//! is over (gather.rs), the rules by which stays are closed (telemetry/broken.rs).

use super::open::{Key, OpenVisits, Stay};
use crate::telemetry::broken;
use crate::telemetry::lane::Entry;
use crate::telemetry::split::SplitBook;
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use std::collections::VecDeque;

/// How long after Redis was reached a new recorder waits for everybody to say what they have open.
const ROLL_CALL_NS: u64 = 3_000_000_000;

/// Everything that waits to be closed.
#[derive(Debug)]
pub(super) struct Over {
    left: VecDeque<LeftOpen>,
    is_roll_call_due: bool,
}

#[derive(Debug)]
struct LeftOpen {
    process: u64,
    role: String,
    parts: Vec<(Key, Vec<Stay>)>,
    connections: (u64, u64),
}

/// What is to be recorded, and the parts that are closed for their process.
#[derive(Debug, Default)]
pub(super) struct Mended {
    pub(super) entries: Vec<Entry>,
    pub(super) broken: Vec<(u64, Key)>,
}

impl Over {
    pub(super) const fn new(is_roll_call_due: bool) -> Self {
        Self {
            left: VecDeque::new(),
            is_roll_call_due,
        }
    }

    /// True once, when everybody had the time to answer a new recorder's roll call.
    pub(super) fn is_roll_called(&mut self, since_ns: u64) -> bool {
        let is_due = self.is_roll_call_due && since_ns >= ROLL_CALL_NS;
        self.is_roll_call_due &= !is_due;
        is_due
    }

    /// A process is over and had this open.
    pub(super) fn left(
        &mut self,
        process: u64,
        role: &str,
        parts: Vec<(Key, Vec<Stay>)>,
        connections: (u64, u64),
    ) {
        if parts.is_empty() && connections == (0, 0) {
            return;
        }
        self.left.push_back(LeftOpen {
            process,
            role: role.to_owned(),
            parts,
            connections,
        });
    }

    /// Closes what one of them left.
    pub(super) fn mended(
        &mut self,
        state: &SystemState,
        open: &OpenVisits,
        book: &mut SplitBook,
        at: TimeNs,
    ) -> Mended {
        let mut mended = Mended::default();
        let Some(left) = self.left.pop_front() else {
            return mended;
        };
        let mut held = broken::Left::new();
        for (key, _) in &left.parts {
            // As it is by now, not as it was when the process was found to be over.
            let stays = open.part(*key).iter().filter_map(|stay| {
                let was_left = left.parts.iter().any(|(whose, stays)| {
                    whose == key
                        && stays.iter().any(|it| {
                            it.component == stay.component
                                && it.visit.arrived_seq == stay.visit.arrived_seq
                        })
                });
                was_left.then_some((stay.place()?, stay.visit))
            });
            let stays: Vec<_> = stays.collect();
            if !stays.is_empty() {
                held.insert(*key, stays);
                mended.broken.push((left.process, *key));
            }
        }
        let events = broken::mend_left(state, held, book, &left.role, at);
        let closed = connections_closed(state, left.connections, at);
        mended.entries = events
            .into_iter()
            .chain(closed.into_iter().map(|event| (event, None)))
            .map(|(event, detail)| Entry {
                event,
                detail: detail.map(Box::new),
            })
            .collect();
        mended
    }
}

fn connections_closed(
    state: &SystemState,
    (connections, authenticated): (u64, u64),
    at: TimeNs,
) -> Vec<StageEvent> {
    let system = state.system();
    let count = connections.min(system.connections);
    let known = authenticated.min(system.authenticated);
    (0..count)
        .map(|index| {
            let place = crate::telemetry::topology::Place::Websocket.component();
            let mut closed = StageEvent::new(at, EventKind::ConnectionClosed, place);
            closed.value = system.connections - index - 1;
            if index < known {
                closed.outcome = Outcome::Ok;
            }
            closed
        })
        .collect()
}
