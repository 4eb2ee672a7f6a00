//! What the recorder shares with readers: the state, recent journeys, counts.
//!
//! Belongs here: the one fold of this run and the lock around it. Does not belong here: threads
//! (recorder.rs), the form in which it is answered (status.rs, request.rs).

use super::detail::Detail;
use super::journal::Journal;
use super::live::tap::Tap;
use super::spool::Outbox;
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::{FinishInfo, Gap, ReelWriter, WriteError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Counts of a recording; at its end emitted = written + dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecorderCounts {
    /// Events handed in, the recorder's own gap marks included.
    pub emitted: u64,
    /// Events folded, and written where a recording is on.
    pub written: u64,
    /// Events lost.
    pub dropped: u64,
    /// Events that came after the reorder window and took the time of the event before them.
    pub late: u64,
    /// Times the disk refused the recording.
    pub disk_faults: u64,
}

/// What readers see.
#[derive(Debug)]
pub(super) struct Folded {
    inner: Mutex<FoldedInner>,
    emitted: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
    late: AtomicU64,
    disk_faults: AtomicU64,
    /// Everything emitted up to this moment is folded.
    settled: watch::Sender<TimeNs>,
}

#[derive(Debug)]
pub(super) struct FoldedInner {
    pub(super) fold: Fold,
    pub(super) journal: Journal,
    /// What the live view takes from here.
    pub(super) tap: Tap,
}

/// The state, with the reel that grows beside it where a recording is on. The writer keeps the state
/// it needs for keyframes, so there is one fold either way.
pub(super) enum Fold {
    /// Nothing is recorded, or the recording has ended.
    Bare(Box<SystemState>),
    /// The reel's writer holds the state.
    Reel(Box<ReelWriter<Outbox>>),
}

impl std::fmt::Debug for Fold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::Bare(_) => "Bare",
            Self::Reel(_) => "Reel",
        };
        f.debug_struct(name).finish_non_exhaustive()
    }
}

impl Fold {
    /// A fold without a recording.
    pub(super) fn bare(topology: &Topology) -> Self {
        Self::Bare(Box::new(SystemState::new(topology)))
    }

    /// What is true after the events pushed so far.
    pub(super) fn state(&self) -> &SystemState {
        match self {
            Self::Bare(state) => state,
            Self::Reel(writer) => writer.state(),
        }
    }

    /// Number of the event that comes next.
    pub(super) fn next_seq(&self) -> u64 {
        match self {
            Self::Bare(state) => state.event_count(),
            Self::Reel(writer) => writer.next_seq(),
        }
    }

    /// Bytes of the open segment, without what was not flushed.
    pub(super) fn segment_bytes(&self) -> u64 {
        match self {
            Self::Bare(_) => 0,
            Self::Reel(writer) => writer.bytes_written(),
        }
    }

    /// Ends the segment and goes on in another outbox; see [`ReelWriter::next_segment`].
    pub(super) fn next_segment(
        &mut self,
        outbox: Outbox,
        requests: u64,
        dropped: u64,
    ) -> Result<(), WriteError> {
        match self {
            Self::Bare(_) => Ok(()),
            Self::Reel(writer) => {
                let info = FinishInfo {
                    dropped,
                    statistics_json: None,
                };
                writer.next_segment(outbox, requests, &info).map(drop)
            }
        }
    }

    /// Takes in the next event of the run.
    pub(super) fn push(
        &mut self,
        event: &StageEvent,
        detail: Option<&Detail>,
    ) -> Result<(), WriteError> {
        match (self, detail) {
            (Self::Bare(state), _) => {
                state.apply(event);
                Ok(())
            }
            (Self::Reel(writer), None) => writer.push(event),
            (Self::Reel(writer), Some(detail)) => writer
                .push_with_detail(event, &detail.to_record())
                .map(drop),
        }
    }

    /// States in the reel that events were lost.
    pub(super) fn gap(&mut self, gap: &Gap) -> Result<(), WriteError> {
        match self {
            Self::Bare(_) => Ok(()),
            Self::Reel(writer) => writer.gap(gap),
        }
    }

    /// Brings the events so far to the outbox.
    pub(super) fn flush(&mut self) -> Result<(), WriteError> {
        match self {
            Self::Bare(_) => Ok(()),
            Self::Reel(writer) => writer.flush(),
        }
    }

    /// Ends the segment and says that the run goes on in another one, which another process begins.
    pub(super) fn suspend(&mut self, requests: u64, dropped: u64) -> Result<(), WriteError> {
        // The next segment's beginning goes nowhere: whoever goes on writes its own.
        self.next_segment(Outbox::default(), requests, dropped)?;
        let state = Box::new(self.state().clone());
        *self = Self::Bare(state);
        Ok(())
    }

    /// Ends the reel with this many events lost; the state stays.
    pub(super) fn finish(&mut self, dropped: u64) -> Result<(), WriteError> {
        let state = Box::new(self.state().clone());
        let Self::Reel(writer) = std::mem::replace(self, Self::Bare(state)) else {
            return Ok(());
        };
        let info = FinishInfo {
            dropped,
            statistics_json: None,
        };
        writer.finish(&info).map(drop)
    }
}

impl Folded {
    pub(super) fn new(fold: Fold) -> Self {
        Self {
            inner: Mutex::new(FoldedInner {
                fold,
                journal: Journal::default(),
                tap: Tap::default(),
            }),
            emitted: AtomicU64::new(0),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            late: AtomicU64::new(0),
            disk_faults: AtomicU64::new(0),
            settled: watch::Sender::new(TimeNs::ZERO),
        }
    }

    pub(super) fn settle(&self, until: TimeNs) {
        self.settled.send_replace(until);
    }

    pub(super) fn settling(&self) -> watch::Receiver<TimeNs> {
        self.settled.subscribe()
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
            disk_faults: self.disk_faults.load(Ordering::Acquire),
        }
    }

    pub(super) fn publish(&self, counts: RecorderCounts) {
        self.written.store(counts.written, Ordering::Release);
        self.dropped.store(counts.dropped, Ordering::Release);
        self.emitted.store(counts.emitted, Ordering::Release);
        self.late.store(counts.late, Ordering::Release);
        self.disk_faults
            .store(counts.disk_faults, Ordering::Release);
    }
}
