//! The handle everybody holds: emit a stage, hand out a request id, read the clock.
//!
//! Belongs here: the hot path. Does not belong here: which stages follow each other (stage.rs).

use super::broken::Mended;
use super::clock::{Clock, Stamp};
use super::detail::Detail;
use super::fold::{Fold, Folded, RecorderCounts};
use super::ids::{Leases, RequestIds};
use super::journal::JournalEntry;
use super::journey::Part;
use super::lane::{Entry, LaneRegistry};
use super::live::feed::Feed;
use super::split::{RequestEnd, SplitBook};
use super::stream::Published;
use super::transport::Pulse;
use flowreel_engine::model::event::{Outcome, StageEvent};
use flowreel_engine::model::id::{PartId, RequestId};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::RunId;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A stage event whose time is set when it is emitted.
pub type Stage = StageEvent;

/// The way into the recording; cheap to copy, shared by every thread.
#[derive(Clone, Debug)]
pub struct Telemetry {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) lanes: LaneRegistry,
    pub(super) topology: Topology,
    pub(super) folded: Folded,
    pub(super) live: Feed,
    pub(super) reel: Option<ReelPlace>,
    /// Parts whose requests an earlier process of this run began and that go on.
    going_on: HashSet<(RequestId, PartId)>,
    pub(super) ids: RequestIds,
    pub(super) splits: Splits,
    /// What the recorder says of the run, where that is another process.
    pub(super) elsewhere: Option<Mutex<Elsewhere>>,
    /// Whether this process plays dead.
    #[cfg(test)]
    is_cut_off: std::sync::atomic::AtomicBool,
}

/// Who knows when a request that goes several ways is over.
#[derive(Debug)]
pub(super) enum Splits {
    /// This process.
    Here(Mutex<SplitBook>),
    /// The recorder; here is what it has not been told yet.
    Recorder(Mutex<Vec<(RequestId, u16)>>),
}

/// What the recorder said last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Elsewhere {
    pub(super) run_id: Option<RunId>,
    pub(super) pulse: Pulse,
}

/// Where this run's reel lies, and how far it may be read.
#[derive(Debug)]
pub(super) struct ReelPlace {
    pub(super) run_id: RunId,
    /// The segment this process began with.
    pub(super) path: PathBuf,
    pub(super) published: Arc<Published>,
}

/// What an earlier process of the run left.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    /// Highest request number handed out.
    pub(super) requests: u64,
    pub(super) mended: Mended,
}

impl Telemetry {
    pub(super) fn over(
        clock: Clock,
        lanes: LaneRegistry,
        topology: Topology,
        fold: Fold,
        reel: Option<ReelPlace>,
        inherited: Inherited,
    ) -> Self {
        let mut book = SplitBook::default();
        for it in &inherited.mended.split {
            let ended_count = it.part_count.saturating_sub(it.open_count);
            book.take_over(it.request, it.part_count, ended_count, it.is_failed);
        }
        Self {
            shared: Arc::new(Shared {
                clock,
                lanes,
                folded: Folded::new(fold),
                live: Feed::default(),
                reel,
                topology,
                ids: RequestIds::Counted(AtomicU64::new(inherited.requests)),
                splits: Splits::Here(Mutex::new(book)),
                going_on: inherited.mended.going_on,
                elsewhere: None,
                #[cfg(test)]
                is_cut_off: false.into(),
            }),
        }
    }

    /// The handle of a process whose stages another one orders and folds, as the process of that number.
    /// `reel` is there where that other one is this.
    pub(super) fn of_many(
        clock: Clock,
        topology: Topology,
        fold: Fold,
        reel: Option<ReelPlace>,
        process: u64,
        elsewhere: Option<Elsewhere>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                clock,
                lanes: LaneRegistry::new(),
                folded: Folded::new(fold),
                live: Feed::default(),
                reel,
                topology,
                ids: RequestIds::Leased(Leases::new(process)),
                splits: Splits::Recorder(Mutex::default()),
                going_on: HashSet::new(),
                elsewhere: elsewhere.map(Mutex::new),
                #[cfg(test)]
                is_cut_off: false.into(),
            }),
        }
    }

    /// Now, for a message to another process of this run: send it along in a header, with a job or an
    /// acknowledgement, after the stages that lead to the message.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.shared.clock.stamp()
    }

    /// A message of another process came with this stamp: whatever is emitted from here on is later.
    pub fn observe(&self, stamp: Stamp) {
        if !self.shared.clock.observe(stamp) {
            tracing::warn!(
                "a message from a minute ahead and more is not believed to be that late"
            );
        }
    }

    /// The run that is recorded, or `None` where nothing is.
    #[must_use]
    pub fn run_id(&self) -> Option<RunId> {
        match &self.shared.elsewhere {
            Some(elsewhere) => lock(elsewhere).run_id,
            None => self.shared.reel.as_ref().map(|reel| reel.run_id),
        }
    }

    /// True where this part is of a request that an earlier process of this run began, and goes on. Among
    /// several processes every part of the run does: the recorder sees to it.
    #[must_use]
    pub fn goes_on(&self, part: Part) -> bool {
        match self.shared.splits {
            Splits::Here(_) => self.shared.going_on.contains(&(part.request, part.part)),
            Splits::Recorder(_) => true,
        }
    }

    pub(super) fn request_count(&self) -> u64 {
        self.shared.ids.highest()
    }

    /// The run's clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// The map of this run.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.shared.topology
    }

    /// The reel this process began to record to, or `None` where nothing is recorded.
    #[must_use]
    pub fn reel_path(&self) -> Option<&Path> {
        self.shared.reel.as_ref().map(|reel| reel.path.as_path())
    }

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

    /// Time since the run's start.
    #[must_use]
    pub fn now(&self) -> TimeNs {
        self.shared.clock.now()
    }

    /// An id no other request of this run has, from 1 upwards.
    #[must_use]
    pub fn next_request_id(&self) -> RequestId {
        self.shared.ids.next()
    }

    /// True for ids of this run.
    pub(super) fn was_handed_out(&self, request: RequestId) -> bool {
        (1..=self.shared.ids.highest()).contains(&request.0)
    }

    /// Records one stage now. Never blocks: where this thread's ring is full the event is lost and counted.
    #[inline]
    pub fn emit(&self, stage: Stage) {
        self.emit_at(self.now(), stage);
    }

    /// Records one stage with a detail beside it.
    pub fn emit_with_detail(&self, stage: Stage, detail: Detail) {
        let event = StageEvent {
            t_ns: self.now(),
            ..stage
        };
        self.shared.lanes.store(Entry {
            event,
            detail: Some(Box::new(detail)),
        });
    }

    /// Records stages that happen at one instant, in this order; the answer is that instant.
    #[inline]
    pub fn emit_all<const N: usize>(&self, stages: [Stage; N]) -> TimeNs {
        let now = self.now();
        for stage in stages {
            self.emit_at(now, stage);
        }
        now
    }

    #[inline]
    fn emit_at(&self, t_ns: TimeNs, stage: Stage) {
        let event = StageEvent { t_ns, ..stage };
        self.shared.lanes.store(Entry {
            event,
            detail: None,
        });
    }

    /// From here on no thread of this process says anything.
    #[cfg(test)]
    pub(super) fn cut_off(&self) {
        self.shared
            .is_cut_off
            .store(true, std::sync::atomic::Ordering::Release);
    }

    #[cfg(test)]
    pub(super) fn is_cut_off(&self) -> bool {
        self.shared
            .is_cut_off
            .load(std::sync::atomic::Ordering::Acquire)
    }

    /// Notes that the request goes on as `part_count` copies; call it before any of them is emitted.
    pub(super) fn note_split(&self, request: RequestId, part_count: u16) {
        match &self.shared.splits {
            Splits::Here(book) => lock(book).note(request, part_count),
            Splits::Recorder(notes) => lock(notes).push((request, part_count)),
        }
    }

    /// Notes that one part is over; the answer is the request's end if this was its last part and that
    /// is known here.
    pub(super) fn note_part_end(&self, part: Part, outcome: Outcome) -> Option<RequestEnd> {
        match &self.shared.splits {
            Splits::Here(book) => lock(book).part_ended(part.request, outcome),
            Splits::Recorder(_) => None,
        }
    }

    /// Notes that a part which was over goes on again; the recorder of several processes sees it.
    pub(super) fn note_part_reopened(&self, part: Part) {
        if let Splits::Here(book) = &self.shared.splits {
            lock(book).reopen(part.request);
        }
    }

    /// What was noted since the last call; take it after the lanes are emptied, so that no part is seen
    /// before its note.
    pub(super) fn take_split_notes(&self) -> Vec<(RequestId, u16)> {
        match &self.shared.splits {
            Splits::Here(_) => Vec::new(),
            Splits::Recorder(notes) => std::mem::take(&mut *lock(notes)),
        }
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
