//! The recorder's thread: drain, order, fold, flush; and at the end everything that is left.
//!
//! Belongs here: the loop and its bookkeeping. Does not belong here: how a recording begins (recorder.rs).

use super::files::Files;
use super::gather::{Gather, Verdict};
use super::{RecorderError, RecordingEnd};
use crate::telemetry::clock::Clock;
use crate::telemetry::drain::{Horizon, LaneTotals, Lanes};
use crate::telemetry::emit::Telemetry;
use crate::telemetry::fold::{FoldedInner, RecorderCounts};
use crate::telemetry::lane::Entry;
use crate::telemetry::order::{Held, Order};
use crate::telemetry::transport::Pulse;
use crate::telemetry::transport::reader::Ending;
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::{ComponentId, DetailId};
use flowreel_engine::model::state::SystemState;
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
/// Longest wait at the end for what other processes told before it.
const END_WAIT_NS: u64 = 1_000_000_000;
/// Tries to bring the reel's last bytes to a disk that refuses them, one drain interval apart.
const END_TRIES: u32 = 200;

#[derive(Debug)]
pub(super) struct Worker {
    telemetry: Telemetry,
    files: Option<Files>,
    lanes: Lanes,
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
    steady: Clock,
    horizon: Horizon,
    /// The other processes of the run, where there are any.
    gather: Option<Gather>,
}

impl Worker {
    /// `mended_count` events were written before there was a thread.
    pub(super) fn new(
        telemetry: Telemetry,
        files: Option<Files>,
        mended_count: u64,
        gather: Option<Gather>,
    ) -> Self {
        let now = telemetry.now();
        let last_t_ns = telemetry.shared.folded.lock().fold.state().now();
        Self {
            telemetry,
            files,
            lanes: Lanes::default(),
            order: Order::default(),
            written: mended_count,
            last_t_ns,
            flushed_at: now,
            marks: mended_count,
            refused: 0,
            told_lost: 0,
            steady: Clock::start(),
            horizon: Horizon::default(),
            gather,
        }
    }

    pub(super) fn run(mut self, commands: &Receiver<()>) -> Result<RecordingEnd, RecorderError> {
        self.close_overdue();
        while let Ok(()) | Err(RecvTimeoutError::Timeout) = commands.recv_timeout(DRAIN_INTERVAL) {
            #[cfg(test)]
            if self.telemetry.is_cut_off() {
                return Err(RecorderError::Gone);
            }
            let horizon = self.step();
            let now = self.telemetry.now();
            self.telemetry.shared.folded.settle(horizon);
            if now.since_ns(self.flushed_at) >= FLUSH_INTERVAL_NS {
                self.flushed_at = now;
                self.flush(now, horizon);
            }
            self.publish();
        }
        self.end(commands)
    }

    /// Takes in what there is and lets go what is past; the answer is up to when that is.
    fn step(&mut self) -> TimeNs {
        let own = self.horizon.pass(&self.steady, &self.telemetry.clock());
        self.drain();
        let Some(gather) = &mut self.gather else {
            self.release(own);
            return own;
        };
        for note in self.telemetry.take_split_notes() {
            gather.note_split(note);
        }
        gather.poll(&mut self.order, HELD_COUNT_MAX);
        let horizon = gather.horizon(own);
        let mut until = horizon;
        if self.order.held_count() >= HELD_COUNT_MAX {
            // More lies there than is held at a time, and no horizon rises before all of it is read.
            gather.expect_late();
            until = until.max(self.order.middle());
        }
        self.mark_all(|gather, state, at| gather.reopen(state, at));
        self.release(until);
        self.mark_all(Gather::close_broken);
        horizon
    }

    /// Writes what the gathering finds to be told now.
    fn mark_all(&mut self, find: impl FnOnce(&mut Gather, &SystemState, TimeNs) -> Vec<Entry>) {
        let shared = Arc::clone(&self.telemetry.shared);
        let mut folded = shared.folded.lock();
        let found = match &mut self.gather {
            Some(gather) => find(gather, folded.fold.state(), self.last_t_ns),
            None => Vec::new(),
        };
        for entry in found {
            self.mark(&mut folded, entry);
        }
    }

    /// Ends requests whose last part the recorder before this one still wrote, and their end not.
    fn close_overdue(&mut self) {
        let shared = Arc::clone(&self.telemetry.shared);
        let mut folded = shared.folded.lock();
        let overdue = match &mut self.gather {
            Some(gather) => gather.overdue(folded.fold.state()),
            None => return,
        };
        for (request, end) in overdue {
            let Some(open) = folded.fold.state().request(request).copied() else {
                continue;
            };
            let mut ended = StageEvent::new(self.last_t_ns, EventKind::RequestFinished, open.at);
            ended.request = request;
            ended.class = open.class;
            ended.outcome = end.outcome;
            ended.value = u64::from(end.part_count);
            let entry = Entry {
                event: ended,
                detail: None,
            };
            self.mark(&mut folded, entry);
        }
    }

    /// Takes in all there will be; true where others go on with the run.
    fn take_rest(&mut self) -> bool {
        let stopped_at = self.telemetry.now();
        let begun_at = self.steady.now();
        // What others told before this moment is still taken in, if Redis is there.
        while self.gather.is_some()
            && self.step() <= stopped_at
            && self.steady.now().since_ns(begun_at) < END_WAIT_NS
        {
            std::thread::park_timeout(DRAIN_INTERVAL);
        }
        let goes_on = self.gather.as_ref().is_some_and(Gather::has_others);
        if goes_on && let Some(gather) = &mut self.gather {
            gather.leave(&mut self.order);
        }
        // A full window may keep the lanes from being emptied in one go.
        while self.drain() > 0 || self.order.held_count() > 0 {
            self.release(TimeNs::MAX);
        }
        goes_on
    }

    fn end(mut self, commands: &Receiver<()>) -> Result<RecordingEnd, RecorderError> {
        let goes_on = self.take_rest();
        self.tell_losses();
        let shared = Arc::clone(&self.telemetry.shared);
        shared.folded.settle(TimeNs::MAX);
        let lost_before = self.files.as_ref().map_or(0, |files| files.lost_before);
        let dropped = self.counts().dropped.saturating_add(lost_before);
        let requests = self.telemetry.request_count();
        let ended = {
            let mut folded = shared.folded.lock();
            if goes_on {
                folded.fold.suspend(requests, dropped)
            } else {
                folded.fold.finish(dropped)
            }
        };
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
            let is_synced = spool.sync();
            end.bytes = spool.written_bytes();
            reel.published.end();
            let path = spool.path().to_owned();
            if spool.has_pending() || spool.is_lost() {
                return Err(RecorderError::Unwritten { path });
            }
            if !is_synced {
                return Err(RecorderError::Unsynced { path });
            }
            end.path = Some(path);
        }
        if let Some(mut gather) = self.gather.take() {
            let next_seq = shared.folded.lock().fold.next_seq();
            gather.save(next_seq, true, self.pulse(next_seq, TimeNs::ZERO));
            gather.end(if goes_on {
                Ending::GoesOn
            } else {
                Ending::Over
            });
        }
        ended.map_err(|source| RecorderError::Encode { source })?;
        Ok(end)
    }

    fn drain(&mut self) -> u64 {
        let registry = &self.telemetry.shared.lanes;
        self.lanes.drain(registry, &mut self.order, HELD_COUNT_MAX)
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
        for held in released {
            if self.gather.is_some() {
                self.write_gathered(&mut folded, held);
            } else {
                self.write(&mut folded, held.entry);
            }
        }
    }

    /// Writes an event of a run of several processes, with what it needs before and brings after it.
    fn write_gathered(&mut self, folded: &mut FoldedInner, held: Held) {
        let Held {
            lane,
            position,
            entry,
        } = held;
        let process = Gather::process_of(lane);
        let verdict = match &mut self.gather {
            Some(gather) => gather.judge(process, position, &entry.event, folded.fold.state()),
            None => return,
        };
        match verdict {
            Verdict::Known => {}
            Verdict::Lost => self.refused += 1,
            Verdict::Keep(before) => {
                for entry in before {
                    self.mark(folded, entry);
                }
                self.write_of(folded, entry, process);
            }
        }
    }

    /// Writes an event that the recorder itself makes.
    fn mark(&mut self, folded: &mut FoldedInner, entry: Entry) {
        self.marks += 1;
        self.write_of(folded, entry, None);
    }

    fn write_of(&mut self, folded: &mut FoldedInner, entry: Entry, process: Option<u64>) {
        let event = StageEvent {
            seq: folded.fold.next_seq(),
            ..entry.event
        };
        if !self.write(folded, entry) {
            return;
        }
        let Some(gather) = &mut self.gather else {
            return;
        };
        if let Some(end) = gather.note_written(process, &event)
            && folded.fold.state().request(event.request).is_some()
        {
            let mut ended =
                StageEvent::new(event.t_ns, EventKind::RequestFinished, event.component);
            ended.request = event.request;
            ended.class = event.class;
            ended.outcome = end.outcome;
            ended.value = u64::from(end.part_count);
            self.marks += 1;
            let entry = Entry {
                event: ended,
                detail: None,
            };
            self.write(folded, entry);
            gather_over(self.gather.as_mut(), &ended);
        }
    }

    /// False where the event could not be written, and is counted as lost.
    fn write(&mut self, folded: &mut FoldedInner, entry: Entry) -> bool {
        let Entry { mut event, detail } = entry;
        event.seq = folded.fold.next_seq();
        event.detail = DetailId::NONE;
        // A gap mark made in between may carry a later time than the window's last event.
        event.t_ns = event.t_ns.max(self.last_t_ns);
        if let Err(error) = folded.fold.push(&event, detail.as_deref()) {
            self.refused += 1;
            report(&error);
            return false;
        }
        self.last_t_ns = event.t_ns;
        self.written += 1;
        let FoldedInner { fold, journal, tap } = folded;
        tap.take_in(&event, detail.as_deref(), journal, fold.state());
        journal.add(&event, detail.map(|detail| *detail));
        true
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

    fn flush(&mut self, now: TimeNs, horizon: TimeNs) {
        let dropped = self.lost();
        let shared = Arc::clone(&self.telemetry.shared);
        let (next_seq, is_written) =
            if let (Some(files), Some(reel)) = (&mut self.files, &shared.reel) {
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
                let is_written = files.write_out(now);
                if is_written {
                    reel.published.acknowledge(next_seq);
                }
                files.clear(&reel.published, now);
                (next_seq, is_written)
            } else {
                // Where no reel is recorded, what is folded is all that becomes of it.
                (shared.folded.lock().fold.next_seq(), true)
            };
        let pulse = self.pulse(next_seq, horizon);
        if let Some(gather) = &mut self.gather {
            gather.save(next_seq, is_written, pulse);
        }
    }

    /// What the other processes are told of this one.
    fn pulse(&self, next_seq: u64, horizon: TimeNs) -> Pulse {
        let status = self.telemetry.recording();
        Pulse {
            instance: 0,
            run_id: self.telemetry.run_id(),
            settled_wall_ns: self.telemetry.clock().wall_ns_at(horizon),
            next_seq,
            requests: 0,
            counts: self.counts(),
            is_on: status.on,
            bytes: status.bytes,
            followers: status.followers,
            dropped_followers: status.dropped_followers,
            waiting_bytes: status.waiting_bytes,
        }
    }

    fn is_overfull(&self) -> bool {
        let files = self.files.as_ref();
        files.is_some_and(|files| files.spool.is_overfull())
    }

    fn lane_totals(&self) -> LaneTotals {
        self.lanes.totals(&self.telemetry.shared.lanes)
    }

    fn lost(&self) -> u64 {
        let others = self.gather.as_ref().map_or(0, |it| it.totals().dropped);
        self.lane_totals().dropped + self.refused + others
    }

    fn counts(&self) -> RecorderCounts {
        let totals = self.lane_totals();
        let others = self.gather.as_ref().map(Gather::totals).unwrap_or_default();
        RecorderCounts {
            emitted: totals.emitted + self.marks + others.emitted,
            written: self.written,
            dropped: totals.dropped + self.refused + others.dropped,
            late: self.order.late_count(),
            disk_faults: self.files.as_ref().map_or(0, |it| it.spool.fault_count()),
        }
    }

    fn publish(&self) {
        self.telemetry.shared.folded.publish(self.counts());
    }
}

fn gather_over(gather: Option<&mut Gather>, ended: &StageEvent) {
    if let Some(gather) = gather {
        gather.note_written(None, ended);
    }
}

// The outbox takes every byte, so only an event out of order or a record too long gets here.
fn report(error: &WriteError) {
    tracing::error!(%error, "a stage event could not be recorded and is counted as lost: {error}");
}

#[cfg(test)]
mod tests;
