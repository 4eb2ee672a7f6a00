//! The recorder: one thread that empties all lanes, orders, folds and writes what they held.
//!
//! Belongs here: the thread, its counts, its end. Does not belong here: the hot path (lane.rs), bytes
//! of the reel (engine), what is read back (status.rs, journal.rs).

use super::clock::Clock;
use super::emit::Telemetry;
use super::journal::{Journal, JournalEntry};
use super::lane::{Entry, LaneExit, LaneRegistry};
use super::order::{Order, WINDOW_NS};
use flowreel_engine::model::id::RequestId;
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Topology;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the lanes are emptied.
const DRAIN_INTERVAL: Duration = Duration::from_millis(5);
/// Events held at most; past it the lanes are left alone until some could be let go.
const HELD_COUNT_MAX: usize = 262_144;

/// Why a recording could not begin or end.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The system gave no thread.
    #[error("cannot start the recorder's thread; free some memory or threads and start again")]
    Thread {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The thread is gone before its time.
    #[error("the recorder stopped before the run did; its log lines above say why")]
    Gone,
}

/// Counts of a recording; at its end emitted = written + dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecorderCounts {
    /// Events handed in.
    pub emitted: u64,
    /// Events folded, and written where a recording is on.
    pub written: u64,
    /// Events lost.
    pub dropped: u64,
    /// Events that came after the reorder window and took the time of the event before them.
    pub late: u64,
}

/// The running recorder; end it with [`Recorder::finish`].
#[derive(Debug)]
pub struct Recorder {
    telemetry: Telemetry,
    control: SyncSender<()>,
    thread: JoinHandle<RecorderCounts>,
}

/// What the recorder shares with readers.
#[derive(Debug)]
pub(super) struct Folded {
    inner: Mutex<FoldedInner>,
    written: AtomicU64,
    emitted: AtomicU64,
    dropped: AtomicU64,
    late: AtomicU64,
}

#[derive(Debug)]
pub(super) struct FoldedInner {
    pub(super) state: SystemState,
    pub(super) journal: Journal,
}

impl Folded {
    pub(super) fn new(topology: &Topology) -> Self {
        Self {
            inner: Mutex::new(FoldedInner {
                state: SystemState::new(topology),
                journal: Journal::default(),
            }),
            written: AtomicU64::new(0),
            emitted: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            late: AtomicU64::new(0),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, FoldedInner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> RecorderCounts {
        RecorderCounts {
            emitted: self.emitted.load(Ordering::Acquire),
            written: self.written.load(Ordering::Acquire),
            dropped: self.dropped.load(Ordering::Acquire),
            late: self.late.load(Ordering::Acquire),
        }
    }
}

impl Recorder {
    /// Starts the recorder of a run on this map.
    ///
    /// # Errors
    /// [`RecorderError::Thread`] where the system gives no thread.
    pub fn start(clock: Clock, topology: Topology) -> Result<Self, RecorderError> {
        let telemetry = Telemetry::over(clock, LaneRegistry::new(), topology);
        let (control, commands) = sync_channel(1);
        let worker = Worker {
            telemetry: telemetry.clone(),
            lanes: Vec::new(),
            lane_count: 0,
            gone_emitted: 0,
            gone_dropped: 0,
            order: Order::default(),
            event_count: 0,
        };
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || worker.run(&commands))
            .map_err(|source| RecorderError::Thread { source })?;
        Ok(Self {
            telemetry,
            control,
            thread,
        })
    }

    /// The handle for everybody else.
    #[must_use]
    pub fn telemetry(&self) -> Telemetry {
        self.telemetry.clone()
    }

    /// Takes in everything emitted so far, ends the recording, and says what was written and lost.
    /// Call it last: what is emitted afterwards is lost.
    ///
    /// # Errors
    /// [`RecorderError::Gone`] where the recorder's thread has failed.
    pub fn finish(self) -> Result<RecorderCounts, RecorderError> {
        drop(self.control);
        self.thread.join().map_err(|_panic| RecorderError::Gone)
    }
}

impl Telemetry {
    /// The events of a recent request, or `None` where it is not among those kept.
    #[must_use]
    pub fn request_events(&self, request: RequestId) -> Option<Vec<JournalEntry>> {
        let folded = self.shared.folded.lock();
        folded.journal.request(request).map(<[_]>::to_vec)
    }

    /// What was emitted, written and lost so far.
    #[must_use]
    pub fn counts(&self) -> RecorderCounts {
        self.shared.folded.counts()
    }
}

#[derive(Debug)]
struct Lane {
    number: u64,
    position: u64,
    exit: LaneExit,
}

#[derive(Debug)]
struct Worker {
    telemetry: Telemetry,
    lanes: Vec<Lane>,
    lane_count: u64,
    gone_emitted: u64,
    gone_dropped: u64,
    order: Order,
    event_count: u64,
}

impl Worker {
    fn run(mut self, commands: &Receiver<()>) -> RecorderCounts {
        while let Ok(()) | Err(RecvTimeoutError::Timeout) = commands.recv_timeout(DRAIN_INTERVAL) {
            self.drain();
            let horizon = self.telemetry.now().0.saturating_sub(WINDOW_NS);
            self.release(TimeNs(horizon));
            self.publish_counts();
        }
        // A full window may keep the lanes from being emptied in one go.
        loop {
            let taken = self.drain();
            self.release(TimeNs::MAX);
            if taken == 0 {
                break;
            }
        }
        self.publish_counts();
        self.telemetry.shared.folded.counts()
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
                self.gone_emitted += lane.exit.counts.emitted();
                self.gone_dropped += lane.exit.counts.dropped();
                self.lanes.swap_remove(index);
            } else {
                index += 1;
            }
        }
        taken
    }

    fn release(&mut self, horizon: TimeNs) {
        let released = self.order.release(horizon);
        if released.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.telemetry.shared);
        let mut folded = shared.folded.lock();
        for Entry { mut event, detail } in released {
            event.seq = self.event_count;
            self.event_count += 1;
            folded.state.apply(&event);
            folded.journal.add(&event, detail.map(|detail| *detail));
        }
    }

    fn publish_counts(&self) {
        let shared = &self.telemetry.shared;
        let homeless = shared.lanes.homeless_count();
        let (mut emitted, mut dropped) =
            (self.gone_emitted + homeless, self.gone_dropped + homeless);
        for lane in &self.lanes {
            emitted += lane.exit.counts.emitted();
            dropped += lane.exit.counts.dropped();
        }
        let folded = &shared.folded;
        folded.written.store(self.event_count, Ordering::Release);
        folded.dropped.store(dropped, Ordering::Release);
        folded.emitted.store(emitted, Ordering::Release);
        folded
            .late
            .store(self.order.late_count(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
