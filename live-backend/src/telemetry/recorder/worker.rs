//! The recorder's thread: drain, order, fold, flush; and at the end everything that is left.
//!
//! Belongs here: the loop and its bookkeeping. Does not belong here: how a recording begins (recorder.rs).

use super::files::Files;
use super::{RecorderError, RecordingEnd};
use crate::telemetry::emit::Telemetry;
use crate::telemetry::fold::{FoldedInner, RecorderCounts};
use crate::telemetry::lane::{Entry, LaneExit};
use crate::telemetry::order::{Order, WINDOW_NS};
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::{ComponentId, DetailId};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::recording::{Gap, GapReason, WriteError};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often the lanes are emptied.
const DRAIN_INTERVAL: Duration = Duration::from_millis(5);
/// How often events reach the file and its followers. With the window in which they are put in order and
/// one drain interval, an event is with the system 250 ms after it was emitted, with 55 ms to spare.
const FLUSH_INTERVAL_NS: u64 = 150_000_000;
/// Events held at most; past it the lanes are left alone until some could be let go.
const HELD_COUNT_MAX: usize = 262_144;
/// Tries to bring the reel's last bytes to a disk that refuses them, one drain interval apart.
const END_TRIES: u32 = 200;

#[derive(Debug)]
pub(super) struct Worker {
    telemetry: Telemetry,
    files: Option<Files>,
    lanes: Vec<Lane>,
    lane_count: u64,
    gone: LaneTotals,
    order: Order,
    written: u64,
    last_t_ns: TimeNs,
    flushed_at: TimeNs,
    /// Gap marks, which the recorder emits itself.
    marks: u64,
    /// Events that were let go and could not be written.
    refused: u64,
    /// Losses that a gap in the reel speaks of already.
    told_lost: u64,
}

#[derive(Debug)]
struct Lane {
    number: u64,
    position: u64,
    exit: LaneExit,
}

#[derive(Clone, Copy, Debug, Default)]
struct LaneTotals {
    emitted: u64,
    dropped: u64,
}

impl Worker {
    /// `mended_count` events were written before there was a thread.
    pub(super) fn new(telemetry: Telemetry, files: Option<Files>, mended_count: u64) -> Self {
        let now = telemetry.now();
        let last_t_ns = telemetry.shared.folded.lock().fold.state().now();
        Self {
            telemetry,
            files,
            lanes: Vec::new(),
            lane_count: 0,
            gone: LaneTotals::default(),
            order: Order::default(),
            written: mended_count,
            last_t_ns,
            flushed_at: now,
            marks: mended_count,
            refused: 0,
            told_lost: 0,
        }
    }

    pub(super) fn run(mut self, commands: &Receiver<()>) -> Result<RecordingEnd, RecorderError> {
        while let Ok(()) | Err(RecvTimeoutError::Timeout) = commands.recv_timeout(DRAIN_INTERVAL) {
            self.drain();
            let now = self.telemetry.now();
            let horizon = TimeNs(now.0.saturating_sub(WINDOW_NS));
            self.release(horizon);
            self.telemetry.shared.folded.settle(horizon);
            if now.since_ns(self.flushed_at) >= FLUSH_INTERVAL_NS {
                self.flushed_at = now;
                self.flush(now);
            }
            self.publish();
        }
        self.end(commands)
    }

    fn end(mut self, commands: &Receiver<()>) -> Result<RecordingEnd, RecorderError> {
        // A full window may keep the lanes from being emptied in one go.
        while self.drain() > 0 || self.order.held_count() > 0 {
            self.release(TimeNs::MAX);
        }
        self.tell_losses();
        let shared = Arc::clone(&self.telemetry.shared);
        shared.folded.settle(TimeNs::MAX);
        let lost_before = self.files.as_ref().map_or(0, |files| files.lost_before);
        let dropped = self.counts().dropped.saturating_add(lost_before);
        let ended = shared.folded.lock().fold.finish(dropped);
        self.publish();
        let mut end = RecordingEnd {
            counts: self.counts(),
            path: None,
            bytes: 0,
        };
        debug_assert!(commands.try_recv().is_err(), "nobody can send any more");
        if let (Some(files), Some(reel)) = (&mut self.files, &shared.reel) {
            let spool = &mut files.spool;
            for _try in 0..END_TRIES {
                spool.write_out(self.telemetry.now());
                if !spool.has_pending() {
                    break;
                }
                // The control channel is closed, so this is a pause without a wake-up.
                std::thread::park_timeout(DRAIN_INTERVAL);
            }
            spool.sync();
            end.bytes = spool.written_bytes();
            reel.published.end();
            let path = spool.path().to_owned();
            if spool.has_pending() || spool.is_lost() {
                return Err(RecorderError::Unwritten { path });
            }
            end.path = Some(path);
        }
        ended.map_err(|source| RecorderError::Encode { source })?;
        Ok(end)
    }

    fn drain(&mut self) -> u64 {
        for exit in self.telemetry.shared.lanes.take_announced() {
            self.lanes.push(Lane {
                number: self.lane_count,
                position: 0,
                exit,
            });
            self.lane_count += 1;
        }
        let mut taken = 0;
        let mut index = 0;
        while let Some(lane) = self.lanes.get_mut(index) {
            // Asked before emptying: what a thread stored before it ended is then still taken.
            let is_gone = lane.exit.ring.is_abandoned();
            while self.order.held_count() < HELD_COUNT_MAX
                && let Ok(entry) = lane.exit.ring.pop()
            {
                self.order.hold(lane.number, lane.position, entry);
                lane.position += 1;
                taken += 1;
            }
            if is_gone && lane.exit.ring.is_empty() {
                let dropped = lane.exit.dropped.count();
                self.gone.emitted += lane.position + dropped;
                self.gone.dropped += dropped;
                self.lanes.swap_remove(index);
            } else {
                index += 1;
            }
        }
        taken
    }

    fn release(&mut self, horizon: TimeNs) {
        if self.lost() > self.told_lost && !self.is_overfull() {
            self.tell_losses();
        }
        let released = self.order.release(horizon);
        if released.is_empty() {
            return;
        }
        if self.is_overfull() {
            self.refused += released.len() as u64;
            return;
        }
        let shared = Arc::clone(&self.telemetry.shared);
        let mut folded = shared.folded.lock();
        for entry in released {
            self.write(&mut folded, entry);
        }
    }

    fn write(&mut self, folded: &mut FoldedInner, entry: Entry) {
        let Entry { mut event, detail } = entry;
        event.seq = folded.fold.next_seq();
        event.detail = DetailId::NONE;
        // A gap mark made in between may carry a later time than the window's last event.
        event.t_ns = event.t_ns.max(self.last_t_ns);
        if let Err(error) = folded.fold.push(&event, detail.as_deref()) {
            self.refused += 1;
            report(&error);
            return;
        }
        self.last_t_ns = event.t_ns;
        self.written += 1;
        let FoldedInner { fold, journal, tap } = folded;
        tap.take_in(&event, detail.as_deref(), journal, fold.state());
        journal.add(&event, detail.map(|detail| *detail));
    }

    /// Says in the reel, and as an event, how many events were lost since this was last said.
    fn tell_losses(&mut self) {
        let lost = self.lost();
        let Some(fresh) = lost.checked_sub(self.told_lost).filter(|&fresh| fresh > 0) else {
            return;
        };
        self.told_lost = lost;
        tracing::warn!(fresh, lost, "{fresh} stage events were lost, {lost} in all");
        let gap = Gap {
            from_t_ns: self.last_t_ns,
            to_t_ns: self.last_t_ns,
            first_seq: None,
            events: Some(fresh),
            reason: GapReason::Dropped,
            offset: None,
        };
        let mut mark = StageEvent::new(self.last_t_ns, EventKind::Gap, ComponentId::NONE);
        mark.value = fresh;
        let shared = Arc::clone(&self.telemetry.shared);
        let mut folded = shared.folded.lock();
        if let Err(error) = folded.fold.gap(&gap) {
            report(&error);
        }
        self.marks += 1;
        let entry = Entry {
            event: mark,
            detail: None,
        };
        self.write(&mut folded, entry);
    }

    fn flush(&mut self, now: TimeNs) {
        let dropped = self.lost();
        let shared = Arc::clone(&self.telemetry.shared);
        let (Some(files), Some(reel)) = (&mut self.files, &shared.reel) else {
            return;
        };
        let next_seq = {
            let mut folded = shared.folded.lock();
            if let Err(error) = folded.fold.flush() {
                report(&error);
            }
            let next_seq = folded.fold.next_seq();
            let requests = self.telemetry.request_count();
            files.change_if_due(&mut folded, requests, dropped, now);
            next_seq
        };
        if files.write_out(now) {
            reel.published.acknowledge(next_seq);
        }
        files.clear(&reel.published, now);
    }

    fn is_overfull(&self) -> bool {
        let files = self.files.as_ref();
        files.is_some_and(|files| files.spool.is_overfull())
    }

    fn lane_totals(&self) -> LaneTotals {
        let homeless = self.telemetry.shared.lanes.homeless_count();
        let mut totals = LaneTotals {
            emitted: self.gone.emitted + homeless,
            dropped: self.gone.dropped + homeless,
        };
        for lane in &self.lanes {
            let dropped = lane.exit.dropped.count();
            totals.emitted += lane.position + lane.exit.ring.slots() as u64 + dropped;
            totals.dropped += dropped;
        }
        totals
    }

    fn lost(&self) -> u64 {
        self.lane_totals().dropped + self.refused
    }

    fn counts(&self) -> RecorderCounts {
        let totals = self.lane_totals();
        RecorderCounts {
            emitted: totals.emitted + self.marks,
            written: self.written,
            dropped: totals.dropped + self.refused,
            late: self.order.late_count(),
            disk_faults: self.files.as_ref().map_or(0, |it| it.spool.fault_count()),
        }
    }

    fn publish(&self) {
        self.telemetry.shared.folded.publish(self.counts());
    }
}

// The outbox takes every byte, so only an event out of order or a record too long gets here.
fn report(error: &WriteError) {
    tracing::error!(%error, "a stage event could not be recorded and is counted as lost: {error}");
}
