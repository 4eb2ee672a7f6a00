//! The handle everybody holds: emit a stage, hand out a request id, read the clock.
//!
//! Belongs here: the hot path. Does not belong here: which stages follow each other (stage.rs).

use super::broken::Mended;
use super::clock::Clock;
use super::detail::Detail;
use super::fold::{Fold, Folded, RecorderCounts};
use super::journal::JournalEntry;
use super::journey::Part;
use super::lane::{Entry, LaneRegistry};
use super::live::feed::Feed;
use super::stream::Published;
use flowreel_engine::model::event::{Outcome, StageEvent};
use flowreel_engine::model::id::{PartId, RequestId};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::RunId;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    request_count: AtomicU64,
    /// Requests that went several ways and are not over; one entry per such request in flight.
    split: Mutex<HashMap<RequestId, SplitRequest>>,
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

#[derive(Clone, Copy, Debug)]
struct SplitRequest {
    part_count: u16,
    open_count: u16,
    is_failed: bool,
}

/// A request is over: how, and how many parts it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestEnd {
    pub(super) outcome: Outcome,
    pub(super) part_count: u16,
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
        let split = inherited.mended.split.iter().map(|it| {
            let entry = SplitRequest {
                part_count: it.part_count,
                open_count: it.open_count,
                is_failed: it.is_failed,
            };
            (it.request, entry)
        });
        Self {
            shared: Arc::new(Shared {
                clock,
                lanes,
                folded: Folded::new(fold),
                live: Feed::default(),
                reel,
                topology,
                request_count: AtomicU64::new(inherited.requests),
                split: Mutex::new(split.collect()),
                going_on: inherited.mended.going_on,
            }),
        }
    }

    /// The run that is recorded, or `None` where nothing is.
    #[must_use]
    pub fn run_id(&self) -> Option<RunId> {
        self.shared.reel.as_ref().map(|reel| reel.run_id)
    }

    /// True where this part is of a request that an earlier process of this run began, and goes on.
    #[must_use]
    pub fn goes_on(&self, part: Part) -> bool {
        self.shared.going_on.contains(&(part.request, part.part))
    }

    pub(super) fn request_count(&self) -> u64 {
        self.shared.request_count.load(Ordering::Relaxed)
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
        RequestId(self.shared.request_count.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// True for ids of this run.
    pub(super) fn was_handed_out(&self, request: RequestId) -> bool {
        (1..=self.shared.request_count.load(Ordering::Relaxed)).contains(&request.0)
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

    /// Records stages that happen at one instant, in this order.
    #[inline]
    pub fn emit_all<const N: usize>(&self, stages: [Stage; N]) {
        let now = self.now();
        for stage in stages {
            self.emit_at(now, stage);
        }
    }

    #[inline]
    fn emit_at(&self, t_ns: TimeNs, stage: Stage) {
        let event = StageEvent { t_ns, ..stage };
        self.shared.lanes.store(Entry {
            event,
            detail: None,
        });
    }

    /// Notes that the request goes on as `part_count` copies.
    pub(super) fn note_split(&self, request: RequestId, part_count: u16) {
        let entry = SplitRequest {
            part_count,
            open_count: part_count,
            is_failed: false,
        };
        self.split_requests(|split| split.insert(request, entry));
    }

    /// Notes that one part is over; the answer is the request's end if this was its last part.
    pub(super) fn note_part_end(&self, part: Part, outcome: Outcome) -> Option<RequestEnd> {
        self.split_requests(|split| {
            let Some(request) = split.get_mut(&part.request) else {
                return Some(RequestEnd {
                    outcome,
                    part_count: 1,
                });
            };
            request.is_failed |= outcome != Outcome::Ok;
            request.open_count = request.open_count.saturating_sub(1);
            if request.open_count > 0 {
                return None;
            }
            let end = RequestEnd {
                outcome: if request.is_failed {
                    Outcome::Failed
                } else {
                    Outcome::Ok
                },
                part_count: request.part_count,
            };
            split.remove(&part.request);
            Some(end)
        })
    }

    /// Notes that a part which was over goes on again.
    pub(super) fn note_part_reopened(&self, part: Part) {
        self.split_requests(|split| {
            let request = split.entry(part.request).or_insert(SplitRequest {
                part_count: 0,
                open_count: 0,
                is_failed: false,
            });
            request.open_count = request.open_count.saturating_add(1);
            request.part_count = request.part_count.max(request.open_count);
        });
    }

    fn split_requests<T>(
        &self,
        change: impl FnOnce(&mut HashMap<RequestId, SplitRequest>) -> T,
    ) -> T {
        let mut split = self
            .shared
            .split
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut split)
    }
}
