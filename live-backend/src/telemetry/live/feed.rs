//! The stream of live events: what was tapped becomes one numbered batch for everybody who listens.
//!
//! Belongs here: numbering, the bounded channel to listeners. Does not belong here: the clock of 100 ms
//! and the sockets (`websocket/live_view`).
//!
//! A listener that does not keep up loses whole batches, and finds out by the numbers. Nobody waits for
//! it: batches are shared, and the oldest goes when the channel is full.

use super::event::{LiveEvent, Payload};
use super::health::{Signs, judge};
use super::history::{History, Sample};
use super::mapping;
use super::tap::{Taken, Tapped};
use crate::telemetry::emit::Telemetry;
use flowreel_engine::model::event::EventKind;
use flowreel_engine::model::state::SystemStatus;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// Batches kept for a listener that is behind: a second and a half.
const BATCHES_MAX: usize = 16;

/// Events of one look, in order.
#[derive(Debug, PartialEq)]
pub struct Batch {
    /// At least one, numbers rising by one.
    pub events: Vec<LiveEvent>,
}

impl Batch {
    /// Number of its first event.
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        self.events.first().map_or(0, |event| event.seq)
    }

    /// Number of its last event.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.events.last().map_or(0, |event| event.seq)
    }
}

/// What the live view shares: its listeners, the word it gave last, figures over time.
#[derive(Debug)]
pub(in crate::telemetry) struct Feed {
    batches: broadcast::Sender<Arc<Batch>>,
    last_seq: AtomicU64,
    judged: Mutex<Option<SystemStatus>>,
    history: Mutex<History>,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            batches: broadcast::Sender::new(BATCHES_MAX),
            last_seq: AtomicU64::new(0),
            judged: Mutex::default(),
            history: Mutex::default(),
        }
    }
}

impl Feed {
    /// The word of the last judgement (requirements C13), `None` before the first one.
    pub(in crate::telemetry) fn judged(&self) -> Option<SystemStatus> {
        *lock(&self.judged)
    }

    pub(in crate::telemetry) fn history(&self) -> MutexGuard<'_, History> {
        lock(&self.history)
    }
}

impl Telemetry {
    /// Listens to everything told from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Arc<Batch>> {
        let feed = &self.shared.live;
        // Under the lock of the tap, so that the last listener's leaving cannot shut it behind this one.
        let mut folded = self.shared.folded.lock();
        let receiver = feed.batches.subscribe();
        folded.tap.set_open(true);
        drop(folded);
        receiver
    }

    /// Listeners now.
    #[must_use]
    pub fn listener_count(&self) -> usize {
        self.shared.live.batches.receiver_count()
    }

    /// Number of the event told last.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.shared.live.last_seq.load(Ordering::Acquire)
    }

    /// Notifications written to client sockets so far.
    #[must_use]
    pub fn written_count(&self) -> u64 {
        let folded = self.shared.folded.lock();
        folded.fold.state().kind_count(EventKind::InAppDelivered)
    }

    /// Judges the system by these signs; the answer is the word, and whether it differs from the last one.
    pub fn judge(&self, signs: &Signs) -> (SystemStatus, bool) {
        let word = judge(signs);
        let before = lock(&self.shared.live.judged).replace(word);
        (word, before != Some(word))
    }

    /// Keeps one second's figures.
    pub fn keep_sample(&self, sample: Sample) {
        self.shared.live.history().push(sample);
    }

    /// The figures of the last seconds, oldest first.
    #[must_use]
    pub fn history(&self, seconds: usize) -> Vec<Sample> {
        self.shared.live.history().last(seconds)
    }
}

/// Turns what was tapped into batches; there is one.
#[derive(Debug)]
pub struct Pump {
    telemetry: Telemetry,
    /// Takes turns with the tap's buffer.
    spare: Vec<Tapped>,
    payloads: Vec<Payload>,
}

impl Pump {
    /// A pump on the tap of this run.
    #[must_use]
    pub fn new(telemetry: Telemetry) -> Self {
        Self {
            telemetry,
            spare: Vec::new(),
            payloads: Vec::new(),
        }
    }

    /// Sends what was tapped since the last call and `more` after it; nothing where nobody listens.
    pub fn flush(&mut self, more: impl IntoIterator<Item = Payload>) {
        let shared = Arc::clone(&self.telemetry.shared);
        let taken = {
            let mut folded = shared.folded.lock();
            if shared.live.batches.receiver_count() == 0 {
                folded.tap.set_open(false);
                return;
            }
            folded.tap.take(std::mem::take(&mut self.spare))
        };
        let Taken { mut events, missed } = taken;
        for tapped in &events {
            mapping::tell(tapped, shared.clock, &mut self.payloads);
        }
        events.clear();
        self.spare = events;
        self.payloads.extend(more);
        let mut seq = shared.live.last_seq.load(Ordering::Relaxed);
        let number = |payload| {
            seq += 1;
            LiveEvent { seq, payload }
        };
        let events: Vec<LiveEvent> = self.payloads.drain(..).map(number).collect();
        // What found no room is counted after what did; the gap shows before the next event.
        shared.live.last_seq.store(seq + missed, Ordering::Release);
        if events.is_empty() {
            return;
        }
        // It fails where the last listener left meanwhile, which is no fault.
        drop(shared.live.batches.send(Arc::new(Batch { events })));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
