//! The end of a shipping process that empties its lanes and encodes what they held.
//!
//! Belongs here: batches, what this process has open. Does not belong here: Redis (sender.rs).

use super::Mark;
use super::outgoing::Outgoing;
use super::shipper::ShippingEnd;
use super::wire::{BATCH_EVENTS_MAX, Batch, RollCall};
use crate::telemetry::clock::Clock;
use crate::telemetry::drain::{Horizon, Lanes};
use crate::telemetry::emit::Telemetry;
use crate::telemetry::lane::Entry;
use crate::telemetry::order::Order;
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::time::TimeNs;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often the lanes are emptied.
const DRAIN_INTERVAL: Duration = Duration::from_millis(5);
/// Stages held for their order at most.
const HELD_COUNT_MAX: usize = 262_144;
/// Requests that go several ways and wait to be told at most; far more than the stages that may wait begin.
const SPLITS_MAX: usize = 65_536;

/// Empties the lanes.
pub(super) struct Drainer {
    telemetry: Telemetry,
    outgoing: Arc<Outgoing>,
    process: u64,
    role: String,
    lanes: Lanes,
    order: Order,
    horizon: Horizon,
    steady: Clock,
    /// Stages taken so far.
    taken: u64,
    beat: u64,
    /// Requests that go several ways, not told yet.
    splits: Vec<(u64, u16)>,
    /// Whether any was forgotten.
    is_split_lost: bool,
    /// Stays, and clients, that this process has open.
    open: HashSet<(u64, u16, u16)>,
    connections: u64,
    authenticated: u64,
    /// Recorder that wants to know of them, and the one that was told.
    asked: Arc<AtomicU64>,
    told: u64,
}

impl Drainer {
    pub(super) fn new(
        telemetry: Telemetry,
        outgoing: Arc<Outgoing>,
        asked: Arc<AtomicU64>,
        process: u64,
        role: &str,
    ) -> Self {
        Self {
            telemetry,
            outgoing,
            process,
            role: role.to_owned(),
            lanes: Lanes::default(),
            order: Order::default(),
            horizon: Horizon::default(),
            steady: Clock::start(),
            taken: 0,
            beat: 0,
            splits: Vec::new(),
            is_split_lost: false,
            open: HashSet::new(),
            connections: 0,
            authenticated: 0,
            asked,
            told: 0,
        }
    }

    pub(super) fn run(mut self, commands: &Receiver<()>) -> ShippingEnd {
        while let Ok(()) | Err(RecvTimeoutError::Timeout) = commands.recv_timeout(DRAIN_INTERVAL) {
            #[cfg(test)]
            if self.telemetry.is_cut_off() {
                return ShippingEnd::default();
            }
            self.ship(false);
        }
        while self.order.held_count() > 0 || self.drain() > 0 {
            self.ship(true);
        }
        let mut last = self.batch(self.telemetry.now());
        last.is_last = true;
        self.outgoing.push(&last);
        self.outgoing.end();
        let totals = self.lanes.totals(&self.telemetry.shared.lanes);
        ShippingEnd {
            emitted: totals.emitted,
            dropped: totals.dropped + self.outgoing.dropped(),
            is_sent: false,
        }
    }

    fn drain(&mut self) -> u64 {
        let registry = &self.telemetry.shared.lanes;
        self.lanes.drain(registry, &mut self.order, HELD_COUNT_MAX)
    }

    /// Sends on what is past, and how far that is; at the end all there is.
    pub(super) fn ship(&mut self, is_end: bool) {
        let clock = self.telemetry.clock();
        let past = self.horizon.pass(&self.steady, &clock);
        self.drain();
        let released = self.order.release(if is_end { TimeNs::MAX } else { past });
        let entries: Vec<Entry> = released.into_iter().map(|held| held.entry).collect();
        self.take_splits();
        let asked = self.asked.load(Ordering::Acquire);
        if !entries.is_empty() || !self.splits.is_empty() || asked != self.told || self.beat == 0 {
            self.ship_batches(&entries, asked, past);
        }
        self.beat += 1;
        self.outgoing.reach(Mark {
            beat: self.beat,
            watermark_wall_ns: clock.wall_ns_at(past),
        });
    }

    /// Notes of requests that go several ways wait while nothing gets through, up to a bound.
    fn take_splits(&mut self) {
        let notes = self.telemetry.take_split_notes().into_iter();
        self.splits
            .extend(notes.map(|(request, count)| (request.0, count)));
        let excess = self.splits.len().saturating_sub(SPLITS_MAX);
        if excess == 0 {
            return;
        }
        if !self.is_split_lost {
            tracing::warn!(
                "Redis is away for so long that requests are forgotten which go several ways; each ends with its first part in the recording"
            );
            self.is_split_lost = true;
        }
        self.splits.drain(..excess);
    }

    fn ship_batches(&mut self, entries: &[Entry], asked: u64, past: TimeNs) {
        let clock = self.telemetry.clock();
        let mut chunks: Vec<&[Entry]> = entries.chunks(BATCH_EVENTS_MAX).collect();
        if chunks.is_empty() {
            chunks.push(&[]);
        }
        let last_index = chunks.len() - 1;
        for (index, chunk) in chunks.into_iter().enumerate() {
            // Only with its last piece is all before that moment told.
            let told = match chunk.last() {
                Some(last) if index < last_index => last.event.t_ns,
                _ => past,
            };
            let mut batch = self.batch(told);
            batch.splits = std::mem::take(&mut self.splits);
            if asked != self.told {
                batch.roll_call = Some(self.roll_call(asked));
                self.told = asked;
            }
            batch.fill(chunk, clock.started_wall_ns());
            self.taken = batch.end();
            for entry in chunk {
                self.note_open(&entry.event);
            }
            if !self.outgoing.push(&batch) {
                // The stages are lost, not what later ones need.
                self.splits = batch.splits;
                if batch.roll_call.is_some() {
                    self.told = 0;
                }
            }
        }
    }

    fn batch(&self, told: TimeNs) -> Batch {
        Batch {
            process: self.process,
            role: self.role.clone(),
            first: self.taken,
            watermark_wall_ns: self.telemetry.clock().wall_ns_at(told),
            lane_dropped: self.lane_dropped(),
            ..Batch::default()
        }
    }

    fn lane_dropped(&self) -> u64 {
        self.lanes.totals(&self.telemetry.shared.lanes).dropped
    }

    fn roll_call(&self, instance: u64) -> RollCall {
        let mut visits: Vec<_> = self.open.iter().copied().collect();
        visits.sort_unstable();
        RollCall {
            instance,
            visits,
            connections: self.connections,
            authenticated: self.authenticated,
        }
    }

    /// A stay that begins with an arrival ends in the same process; jobs do not belong to any.
    fn note_open(&mut self, event: &StageEvent) {
        let key = (event.request.0, event.part.0, event.component.0);
        match event.kind {
            EventKind::Arrived => {
                self.open.insert(key);
            }
            EventKind::ServiceEnded
            | EventKind::Rejected
            | EventKind::Abandoned
            | EventKind::TimedOut => {
                self.open.remove(&key);
            }
            EventKind::ConnectionOpened => self.connections += 1,
            EventKind::ConnectionAuthenticated => self.authenticated += 1,
            EventKind::ConnectionClosed => {
                self.connections = self.connections.saturating_sub(1);
                let known = u64::from(event.outcome == Outcome::Ok);
                self.authenticated = self.authenticated.saturating_sub(known);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::fold::Fold;
    use crate::telemetry::recorder::tests::topology;
    use flowreel_engine::model::id::RequestId;

    #[test]
    fn notes_that_nobody_takes_are_bounded_and_the_newest_stay() {
        let (clock, fold) = (Clock::start().listening(), Fold::bare(&topology()));
        let telemetry = Telemetry::of_many(clock, topology(), fold, None, 2, None);
        let outgoing = Arc::new(Outgoing::new(0));
        let mut drainer = Drainer::new(telemetry.clone(), outgoing, Arc::default(), 2, "server");
        let count = SPLITS_MAX as u64 + 5;
        for request in 1..=count {
            telemetry.note_split(RequestId(request), 2);
        }
        drainer.ship(false);
        assert_eq!(drainer.splits.len(), SPLITS_MAX);
        assert_eq!(drainer.splits.last(), Some(&(count, 2)));
        telemetry.note_split(RequestId(count + 1), 2);
        drainer.ship(false);
        assert_eq!(drainer.splits.len(), SPLITS_MAX);
        assert_eq!(drainer.splits.first(), Some(&(7, 2)));
    }
}
