//! Stages of the run's other processes, on their way into the one order.
//!
//! Belongs here: who ships, how far each has told, what was written already. Does not belong here:
//! Redis (transport), files, what a process's end breaks (over.rs).
//!
//! Each process tells its stages in order and up to which moment it told all. What is before the
//! earliest of those moments can be let go: nothing earlier comes any more. A process that says nothing
//! for [`LATENESS_NS`] is not waited for; what it says later is let go at once, with a later time. While
//! Redis itself is away, everybody is waited for.

mod bury;
mod open;
mod over;
mod position;
mod repair;
mod source;

use crate::telemetry::clock::Clock;
use crate::telemetry::lane::Entry;
use crate::telemetry::order::Order;
use crate::telemetry::split::{RequestEnd, SplitBook};
use crate::telemetry::transport::reader::{Ending, Read, Reader};
use crate::telemetry::transport::wire::{Batch, RollCall};
use crate::telemetry::transport::{Mark, Pulse};
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::RequestId;
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use open::{NOBODY, OpenVisits};
use over::Over;
pub(super) use position::Position;
use position::Written;
use source::{Life, Source};
use std::collections::{BTreeMap, VecDeque};
use std::sync::PoisonError;

/// Longest silence of a process for which the others are held.
const LATENESS_NS: u64 = 500_000_000;
/// Processes of a run at one time.
const SOURCES_MAX: usize = 256;
/// How long the stream is kept behind the reel: twice the time between two syncs to the disk.
const KEEP_NS: u64 = 10_000_000_000;
/// Lanes from here on are other processes'.
const LANES_OF_OTHERS: u64 = 1 << 40;

/// Everything about the other processes.
#[derive(Debug)]
pub(super) struct Gather {
    reader: Option<Reader>,
    steady: Clock,
    clock: Clock,
    sources: BTreeMap<u64, Source>,
    /// Entries of the stream with stages that are not let go yet, the oldest first.
    pending: VecDeque<Pending>,
    /// All up to this entry of the stream is let go.
    complete_id: String,
    /// Where the stream stood at some moments, the oldest first.
    passed: VecDeque<(TimeNs, String)>,
    book: SplitBook,
    /// Requests in the book that may have been over before this recorder.
    recalled: Vec<RequestId>,
    open: OpenVisits,
    over: Over,
    written: Written,
    /// When Redis was last reached again.
    back_at: TimeNs,
    is_reached: bool,
    /// The run's time before which everything that was in the stream is read.
    asked_at: TimeNs,
    /// Whether anything was lost, late or cut off, so that contradictions can be expected.
    is_lossy: bool,
    totals: Totals,
    component_count: usize,
}

/// Stages of others, as far as this process of the recorder is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) emitted: u64,
    pub(super) dropped: u64,
}

#[derive(Debug)]
struct Pending {
    id: String,
    process: u64,
    end: u64,
}

/// Where a stage goes.
pub(super) enum Verdict {
    /// Into the reel, after these.
    Keep(Vec<Entry>),
    /// It is in the reel already.
    Known,
    /// It contradicts what is known, and is lost.
    Lost,
}

impl Gather {
    /// Goes on from `state`; `position` says how far the stream is in it.
    pub(super) fn new(
        clock: Clock,
        state: &SystemState,
        (book, recalled): (SplitBook, Vec<RequestId>),
        position: Option<Position>,
        written: Vec<StageEvent>,
        after: String,
    ) -> Self {
        let steady = Clock::start();
        let is_resumed = state.event_count() > 0;
        let mut sources = BTreeMap::new();
        for known in position.iter().flat_map(|it| &it.sources) {
            let source = Source {
                role: known.role.clone(),
                next: Some(known.released),
                released: known.released,
                lane_dropped: Some(known.lane_dropped),
                ..Source::default()
            };
            sources.insert(known.process, source);
        }
        Self {
            reader: None,
            steady,
            clock,
            sources,
            pending: VecDeque::new(),
            complete_id: after,
            passed: VecDeque::new(),
            book,
            recalled,
            open: OpenVisits::of(state),
            over: Over::new(is_resumed),
            written: Written::new(written),
            back_at: TimeNs::ZERO,
            is_reached: false,
            asked_at: TimeNs::ZERO,
            is_lossy: is_resumed,
            totals: Totals::default(),
            component_count: state.components().len(),
        }
    }

    pub(super) fn read_from(&mut self, reader: Reader) {
        self.reader = Some(reader);
    }

    /// The request goes so many ways, as a part of this process says.
    pub(super) fn note_split(&mut self, (request, count): (RequestId, u16)) {
        self.book.note(request, count);
    }

    /// Takes what was read since, until `held_max` stages are held.
    pub(super) fn poll(&mut self, order: &mut Order, held_max: usize) {
        while order.held_count() < held_max
            && let Some(read) = self.reader.as_ref().and_then(|it| it.reads.try_recv().ok())
        {
            self.take(read, order);
        }
    }

    pub(super) fn take(&mut self, read: Read, order: &mut Order) {
        let now = self.steady.now();
        if read.is_back || !self.is_reached {
            self.back_at = now;
            self.is_reached = true;
        }
        for (id, bytes) in &read.entries {
            match Batch::decode(bytes) {
                Ok(batch) => self.take_batch(id, batch, order, now),
                Err(error) => {
                    // Its number is not known, so what it held shows as a hole before the next one.
                    tracing::error!(%error, "an entry of the telemetry stream cannot be read: {error}");
                }
            }
        }
        for (process, mark) in read.marks {
            self.take_mark(process, mark, read.is_at_end, now);
        }
        if read.is_at_end {
            self.asked_at = self.asked_at.max(read.asked_at);
        }
    }

    fn source(&mut self, process: u64, now: TimeNs) -> Option<&mut Source> {
        if !self.sources.contains_key(&process) && self.sources.len() >= SOURCES_MAX {
            return None;
        }
        let source = self.sources.entry(process).or_insert_with(|| Source {
            heard_at: now,
            ..Source::default()
        });
        Some(source)
    }

    fn take_batch(&mut self, id: &str, batch: Batch, order: &mut Order, now: TimeNs) {
        let started_wall_ns = self.clock.started_wall_ns();
        let Some(source) = self.source(batch.process, now) else {
            tracing::error!(
                "more than {SOURCES_MAX} processes take part in this run; one is not heard"
            );
            self.totals.emitted += batch.event_count();
            self.totals.dropped += batch.event_count();
            return;
        };
        source.role.clone_from(&batch.role);
        source.heard_at = now;
        source.revive();
        if source.next.is_none() && batch.first > 0 {
            // It was there before this run, or before this recorder knew.
            self.is_lossy = true;
        }
        let Some(source) = self.sources.get_mut(&batch.process) else {
            return;
        };
        if source.next.is_none() {
            source.released = batch.first;
        }
        let next = source.next.unwrap_or(batch.first);
        let missing = batch.first.saturating_sub(next);
        if missing > 0 {
            tracing::warn!(
                missing,
                "{missing} stages of a {} process were lost on their way",
                source.role
            );
            self.is_lossy = true;
            self.totals.emitted += missing;
            self.totals.dropped += missing;
            if source.released == next {
                source.released = batch.first;
            }
        }
        let base = source.lane_dropped.unwrap_or(batch.lane_dropped);
        let fresh_dropped = batch.lane_dropped.saturating_sub(base);
        source.lane_dropped = Some(base.max(batch.lane_dropped));
        self.totals.emitted += fresh_dropped;
        self.totals.dropped += fresh_dropped;
        self.is_lossy |= fresh_dropped > 0;
        for &(request, count) in &batch.splits {
            self.book.note(RequestId(request), count);
        }
        let lane = LANES_OF_OTHERS | batch.process;
        let end = batch.end();
        for (entry, number) in batch
            .entries(started_wall_ns)
            .into_iter()
            .zip(batch.first..)
        {
            if number >= next {
                self.totals.emitted += 1;
                order.hold(lane, number, entry);
            }
        }
        source.next = Some(next.max(end));
        let watermark_ns = batch.watermark_wall_ns.saturating_sub(started_wall_ns);
        source.watermark = source.watermark.max(TimeNs(watermark_ns));
        if batch.is_last {
            source.life = Life::Gone;
        }
        if source.released >= end {
            source.released = source.released.max(end);
        }
        self.pending.push_back(Pending {
            id: id.to_owned(),
            process: batch.process,
            end,
        });
        if let Some(roll_call) = &batch.roll_call {
            self.take_roll_call(batch.process, batch.first, roll_call);
        }
        self.complete();
    }

    fn take_roll_call(&mut self, process: u64, first: u64, roll_call: &RollCall) {
        let is_asked = self.reader.as_ref().is_none_or(|reader| {
            let told = reader.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.pulse.instance == roll_call.instance
        });
        let Some(source) = self.sources.get_mut(&process).filter(|_| is_asked) else {
            return;
        };
        source.roll_called = Some((first, roll_call.connections, roll_call.authenticated));
        source.answer_roll_call();
        for &visit in &roll_call.visits {
            self.open.claim(visit, process);
        }
    }

    fn take_mark(&mut self, process: u64, mark: Mark, is_at_end: bool, now: TimeNs) {
        let started_wall_ns = self.clock.started_wall_ns();
        let Some(source) = self.source(process, now) else {
            return;
        };
        if source.beat != mark.beat {
            source.beat = mark.beat;
            source.heard_at = now;
            source.revive();
        }
        if is_at_end && source.next.is_some() {
            let told_ns = mark.watermark_wall_ns.saturating_sub(started_wall_ns);
            source.watermark = source.watermark.max(TimeNs(told_ns));
        }
    }

    /// From here on stages may come after later ones were let go.
    pub(super) fn expect_late(&mut self) {
        self.is_lossy = true;
    }

    /// Up to which moment everything is read, given that of this process's own lanes.
    pub(super) fn horizon(&mut self, own: TimeNs) -> TimeNs {
        let now = self.steady.now();
        let mut horizon = own.min(self.asked_at);
        let back_at = self.back_at;
        for source in self.sources.values().filter(|it| it.life == Life::Alive) {
            if now.since_ns(source.heard_at.max(back_at)) <= LATENESS_NS {
                if source.next.is_some() {
                    horizon = horizon.min(source.watermark);
                }
            } else {
                self.is_lossy = true;
            }
        }
        horizon
    }

    /// True where this lane is another process's.
    pub(super) const fn process_of(lane: u64) -> Option<u64> {
        if lane >= LANES_OF_OTHERS {
            Some(lane - LANES_OF_OTHERS)
        } else {
            None
        }
    }

    /// The stage of that process is let go; what becomes of it.
    pub(super) fn judge(
        &mut self,
        process: Option<u64>,
        number: u64,
        event: &StageEvent,
        state: &SystemState,
    ) -> Verdict {
        if let Some(process) = process {
            let key = (event.request, event.part);
            let mut is_broken = false;
            if let Some(source) = self.sources.get_mut(&process) {
                source.released = source.released.max(number);
                source.answer_roll_call();
                source.released = source.released.max(number + 1);
                is_broken = event.request != RequestId::NONE && source.broken.contains(&key);
            }
            if self.written.contains(event) {
                self.totals.emitted -= 1;
                self.complete();
                return Verdict::Known;
            }
            self.complete();
            if is_broken || event.component.index() >= self.component_count {
                return Verdict::Lost;
            }
        }
        if !self.is_lossy {
            return Verdict::Keep(Vec::new());
        }
        let mut before = Vec::new();
        if repair::repair(event, state, &self.open, &mut before) {
            Verdict::Keep(before)
        } else {
            Verdict::Lost
        }
    }

    /// The stage is in the reel; the answer is its request's end, where this was the last of its parts.
    pub(super) fn note_written(
        &mut self,
        process: Option<u64>,
        event: &StageEvent,
    ) -> Option<RequestEnd> {
        self.open.note(event, process.unwrap_or(NOBODY));
        if let Some(source) = process.and_then(|it| self.sources.get_mut(&it)) {
            source.note(event);
        }
        match event.kind {
            EventKind::PartFinished => self.book.part_ended(event.request, event.outcome),
            EventKind::JobRequeued => {
                self.book.reopen(event.request);
                None
            }
            EventKind::RequestFinished => {
                self.book.forget(event.request);
                None
            }
            _ => None,
        }
    }

    /// Entries of the stream of which every stage is let go need not be read again.
    fn complete(&mut self) {
        while let Some(first) = self.pending.front()
            && self
                .sources
                .get(&first.process)
                .is_none_or(|source| source.released >= first.end)
        {
            self.complete_id.clone_from(&first.id);
            self.pending.pop_front();
        }
    }

    /// The reel has all events before `next_seq`; says so to Redis.
    pub(super) fn save(&mut self, next_seq: u64, is_durable: bool, pulse: Pulse) {
        let now = self.steady.now();
        let position = Position::new(next_seq, &self.complete_id, &self.sources);
        self.passed.push_back((now, self.complete_id.clone()));
        let mut trim = None;
        while let Some((at, id)) = self.passed.front()
            && now.since_ns(*at) >= KEEP_NS
        {
            trim = Some(id.clone());
            self.passed.pop_front();
        }
        let Some(reader) = &self.reader else {
            return;
        };
        let mut told = reader.told.lock().unwrap_or_else(PoisonError::into_inner);
        let instance = told.pulse.instance;
        told.pulse = Pulse { instance, ..pulse };
        if is_durable {
            told.position = Some(position.encode());
            told.trim = trim.or_else(|| told.trim.take());
        }
    }

    pub(super) const fn totals(&self) -> Totals {
        self.totals
    }

    /// So many stages of others are left for the next recorder.
    pub(super) fn leave(&mut self, order: &mut Order) {
        let left = order.forget_from(LANES_OF_OTHERS);
        self.totals.emitted = self.totals.emitted.saturating_sub(left);
    }

    /// Requests whose parts are all over and whose end is not in the reel.
    pub(super) fn overdue(&mut self, state: &SystemState) -> Vec<(RequestId, RequestEnd)> {
        let open = state.in_flight();
        let ended = open
            .iter()
            .filter_map(|(request, _)| Some((*request, self.book.ended(*request)?)));
        ended.collect()
    }

    /// Says how the recorder ends.
    pub(super) fn end(&mut self, ending: Ending) {
        if let Some(reader) = self.reader.take()
            && !reader.end(ending)
        {
            tracing::error!(
                "Redis was away at the end and was not told how far the run is recorded"
            );
        }
    }
}
