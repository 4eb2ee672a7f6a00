//! Processes that are over: what they left open is closed, or goes on where the store says.
//!
//! Belongs here: asking the store, waiting for its answer. Does not belong here: noticing that a process
//! is over (gather.rs), the rules by which stays are closed (telemetry/broken.rs).

use super::open::{Key, OpenVisits, Stay};
use crate::telemetry::broken::{self, Survivor};
use crate::telemetry::lane::Entry;
use crate::telemetry::split::SplitBook;
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::id::RequestId;
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

/// How long after Redis was reached a new recorder waits for everybody to say what they have open.
const ROLL_CALL_NS: u64 = 3_000_000_000;

/// Asks the store where the jobs of these requests are now; `None` where it cannot be asked. It is called
/// on a thread of its own and may block.
#[derive(Clone)]
pub struct AskStore(pub Arc<Ask>);

type Ask = dyn Fn(&[RequestId]) -> Option<Vec<Survivor>> + Send + Sync;

impl fmt::Debug for AskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AskStore")
    }
}

/// Everything that waits to be closed.
#[derive(Debug)]
pub(super) struct Over {
    ask_store: Option<AskStore>,
    left: Vec<LeftOpen>,
    is_roll_call_due: bool,
}

#[derive(Debug)]
struct LeftOpen {
    process: u64,
    role: String,
    parts: Vec<(Key, Vec<Stay>)>,
    connections: (u64, u64),
    answer: Answer,
}

/// What the store says.
#[derive(Debug)]
enum Answer {
    Awaited(Receiver<Option<Vec<Survivor>>>),
    Given(Option<Vec<Survivor>>),
}

/// What is to be recorded, and the parts that are closed for their process.
#[derive(Debug, Default)]
pub(super) struct Mended {
    pub(super) entries: Vec<Entry>,
    pub(super) broken: Vec<(u64, Key)>,
}

impl Over {
    pub(super) const fn new(ask_store: Option<AskStore>, is_roll_call_due: bool) -> Self {
        Self {
            ask_store,
            left: Vec::new(),
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
        state: &SystemState,
    ) {
        if parts.is_empty() && connections == (0, 0) {
            return;
        }
        let mut requests: Vec<RequestId> = parts.iter().map(|((request, _), _)| *request).collect();
        requests.dedup();
        requests.retain(|request| state.request(*request).is_some());
        let mut answer = Answer::Given(None);
        if let Some(AskStore(ask)) = self.ask_store.clone().filter(|_| !requests.is_empty()) {
            let (sender, receiver) = sync_channel(1);
            let asking = std::thread::Builder::new()
                .name("recorder-store".to_owned())
                .spawn(move || drop(sender.send(ask(&requests))));
            match asking {
                Ok(_thread) => answer = Answer::Awaited(receiver),
                Err(error) => tracing::error!(%error, "the store is not asked, no thread: {error}"),
            }
        }
        self.left.push(LeftOpen {
            process,
            role: role.to_owned(),
            parts,
            connections,
            answer,
        });
    }

    /// Closes what can be closed by now.
    pub(super) fn mended(
        &mut self,
        state: &SystemState,
        open: &mut OpenVisits,
        book: &mut SplitBook,
        at: TimeNs,
    ) -> Mended {
        let mut mended = Mended::default();
        let Some(index) = self.left.iter_mut().position(LeftOpen::is_answered) else {
            return mended;
        };
        let left = self.left.swap_remove(index);
        let Answer::Given(survivors) = left.answer else {
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
        let events = broken::mend_left(
            state,
            held,
            survivors.as_deref(),
            book,
            |key| !open.part(key).is_empty(),
            &left.role,
            at,
        );
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

impl LeftOpen {
    /// True where the store has answered, or is not asked.
    fn is_answered(&mut self) -> bool {
        if let Answer::Awaited(answer) = &self.answer {
            match answer.try_recv() {
                Ok(found) => self.answer = Answer::Given(found),
                Err(TryRecvError::Disconnected) => self.answer = Answer::Given(None),
                Err(TryRecvError::Empty) => return false,
            }
        }
        true
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
