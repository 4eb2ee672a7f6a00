//! Writing a reel: events in, blocks out, keyframes at their time.
//!
//! Belongs here: when a batch closes, when a keyframe is due. Does not belong here: bytes (batch,
//! block), files (file).

mod segments;

pub use segments::Resumption;

use super::batch::BatchEncoder;
use super::error::WriteError;
use super::format::{BlockHeader, BlockType, DETAILS_COUNT_MAX, RECORD_BYTES_MAX};
use super::keyframe;
use super::meta::{Detail, FinishInfo, Gap, ReelMeta, RunSource, Summary};
use super::sink::BlockSink;
use crate::model::event::StageEvent;
use crate::model::id::DetailId;
use crate::model::state::SystemState;
use crate::model::time::{NS_PER_S, TimeNs};
use crate::model::topology::Topology;
use std::io::Write;

/// Some 256 KiB before compression.
const BATCH_EVENTS: usize = 16_384;
/// A live reel's events are out of the writer's hands after this time.
const LIVE_BATCH_SPAN_NS: u64 = 250_000_000;
const DETAILS_BYTES: usize = 256 << 10;
const KEYFRAME_EVENTS: u64 = 200_000;
const KEYFRAME_SPAN_NS: u64 = 5 * NS_PER_S;
/// Keyframes are at most one part in so many of a file.
const KEYFRAME_SHARE: u64 = 10;
/// Events to wait before asking again whether a keyframe may be written.
const KEYFRAME_PATIENCE_EVENTS: u64 = 1024;

/// When a batch closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// Most events of a batch.
    pub batch_events: usize,
    /// Longest time from a batch's first event to its last, in ns.
    pub batch_span_ns: Option<u64>,
}

impl WriterOptions {
    /// A live reel is cut into batches of 250 ms, so that followers see it and a crash costs no more;
    /// others are cut by size alone.
    #[must_use]
    pub const fn for_source(source: RunSource) -> Self {
        Self {
            batch_events: BATCH_EVENTS,
            batch_span_ns: match source {
                RunSource::Live => Some(LIVE_BATCH_SPAN_NS),
                RunSource::Simulation | RunSource::Import => None,
            },
        }
    }
}

/// Writes one reel to any sink of bytes; each block goes out in one write.
pub struct ReelWriter<W: Write> {
    sink: BlockSink<W>,
    meta: ReelMeta,
    topology: Topology,
    options: WriterOptions,
    encoder: BatchEncoder,
    batch: Vec<StageEvent>,
    block: Vec<u8>,
    details: Vec<u8>,
    details_first: u32,
    details_count: u32,
    /// Highest id of a record in this reel; 0 where it has none.
    details_last: u32,
    first_t_ns: Option<TimeNs>,
    state: SystemState,
    /// Events before the next one that neither the state nor this reel has.
    missing: u64,
    /// Totals of this reel's stretches before the last hole that a state was taken over for.
    before: Summary,
    /// Totals of the state when it was taken over.
    taken_over: Summary,
    keyframes: u64,
    keyframe_bytes: u64,
    keyframe_block: Vec<u8>,
    keyframe_last_bytes: u64,
    keyframe_last_events: u64,
    keyframe_last_t_ns: u64,
    keyframe_ask_again: u64,
}

impl<W: Write> ReelWriter<W> {
    /// Begins a reel: header, run and topology are written at once.
    ///
    /// # Errors
    /// [`WriteError::Io`] where the sink fails; [`WriteError::TooLong`] where scenario or topology are over 16 MiB.
    pub fn new(sink: W, meta: &ReelMeta, topology: &Topology) -> Result<Self, WriteError> {
        Self::with_options(sink, meta, topology, WriterOptions::for_source(meta.source))
    }

    /// As [`Self::new`], with batches closed otherwise.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_options(
        sink: W,
        meta: &ReelMeta,
        topology: &Topology,
        options: WriterOptions,
    ) -> Result<Self, WriteError> {
        Ok(Self {
            sink: BlockSink::new(sink, meta, topology)?,
            meta: meta.clone(),
            topology: topology.clone(),
            options,
            encoder: BatchEncoder::new()?,
            batch: Vec::with_capacity(options.batch_events),
            block: Vec::new(),
            details: Vec::new(),
            details_first: 1,
            details_count: 0,
            details_last: 0,
            first_t_ns: None,
            state: SystemState::new(topology),
            missing: 0,
            before: Summary::default(),
            taken_over: Summary::default(),
            keyframes: 0,
            keyframe_bytes: 0,
            keyframe_block: Vec::new(),
            // What the first one will cost is not known before it is made; later ones go by the last.
            keyframe_last_bytes: 16 << 10,
            keyframe_last_events: 0,
            keyframe_last_t_ns: 0,
            keyframe_ask_again: 0,
        })
    }

    /// The next event; its `seq` must be the number of events before it and its time not before theirs.
    ///
    /// # Errors
    /// [`WriteError::Order`] or [`WriteError::Detail`] where it is not the next, [`WriteError::Io`] where the sink fails.
    #[inline]
    pub fn push(&mut self, event: &StageEvent) -> Result<(), WriteError> {
        if event.detail != DetailId::NONE {
            let next = self.next_detail();
            return Err(WriteError::Detail {
                next: next.0,
                found: event.detail.0,
            });
        }
        self.push_checked(event)
    }

    /// The next event with a record beside it. The event's `detail` is set here where it is none.
    ///
    /// # Errors
    /// As [`Self::push`], and [`WriteError::TooLong`] for a record over 1 MiB.
    pub fn push_with_detail(
        &mut self,
        event: &StageEvent,
        detail: &Detail,
    ) -> Result<DetailId, WriteError> {
        let id = self.next_detail();
        if event.detail != DetailId::NONE && event.detail != id {
            return Err(WriteError::Detail {
                next: id.0,
                found: event.detail.0,
            });
        }
        let before = self.details.len();
        rmp_serde::encode::write(&mut self.details, detail).map_err(|error| {
            WriteError::Encode {
                what: "detail",
                reason: error.to_string(),
            }
        })?;
        let bytes = self.details.len() - before;
        if bytes > RECORD_BYTES_MAX {
            self.details.truncate(before);
            return Err(WriteError::TooLong {
                what: "detail record",
                bytes,
                limit: RECORD_BYTES_MAX,
            });
        }
        self.details_count += 1;
        let event = StageEvent {
            detail: id,
            ..*event
        };
        if let Err(error) = self.push_checked(&event) {
            if matches!(error, WriteError::Order { .. }) {
                self.details.truncate(before);
                self.details_count -= 1;
            }
            return Err(error);
        }
        if self.details.len() > DETAILS_BYTES || self.details_count == DETAILS_COUNT_MAX {
            self.close_batch()?;
        }
        Ok(id)
    }

    /// An event as another reel holds it, its record beside it; records that are missing there stay missing.
    ///
    /// # Errors
    /// As [`Self::push_with_detail`].
    pub fn push_kept(
        &mut self,
        event: &StageEvent,
        detail: Option<&Detail>,
    ) -> Result<(), WriteError> {
        let Some(detail) = detail else {
            return self.push_checked(event);
        };
        if event.detail.0 > self.next_detail().0 {
            self.close_batch()?;
            self.details_first = event.detail.0;
        }
        self.push_with_detail(event, detail).map(drop)
    }

    /// `seq` of the event that comes next.
    #[must_use]
    pub const fn next_seq(&self) -> u64 {
        self.state.event_count() + self.missing
    }

    /// The id the next record gets.
    #[must_use]
    pub const fn next_detail(&self) -> DetailId {
        DetailId(self.details_first + self.details_count)
    }

    #[inline]
    fn push_checked(&mut self, event: &StageEvent) -> Result<(), WriteError> {
        let now = self.state.now();
        if event.seq != self.next_seq() || event.t_ns < now {
            return Err(WriteError::Order {
                last: self.next_seq().saturating_sub(1),
                last_t_ns: now.0,
                found: event.seq,
                found_t_ns: event.t_ns.0,
            });
        }
        if let (Some(first), Some(span_ns)) = (self.batch.first(), self.options.batch_span_ns)
            && event.t_ns.since_ns(first.t_ns) >= span_ns
        {
            self.close_batch()?;
        }
        self.first_t_ns.get_or_insert(event.t_ns);
        self.batch.push(*event);
        self.state.apply(event);
        if self.batch.len() >= self.options.batch_events {
            self.close_batch()?;
        }
        self.keyframe_if_due()
    }

    /// Brings every event pushed so far into the sink, so that a follower sees them.
    ///
    /// # Errors
    /// [`WriteError::Io`] where the sink fails.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.close_batch()?;
        self.sink.flush()
    }

    /// States that events were lost before they reached the writer.
    ///
    /// # Errors
    /// [`WriteError::Io`] where the sink fails.
    pub fn gap(&mut self, gap: &Gap) -> Result<(), WriteError> {
        self.close_batch()?;
        self.sink.gap(gap)
    }

    /// Leaves out events up to `next_seq` and says so; the state lacks them until [`Self::take_over`].
    ///
    /// # Errors
    /// [`WriteError::Io`] where the sink fails.
    pub fn hole(&mut self, gap: &Gap, next_seq: u64) -> Result<(), WriteError> {
        self.gap(gap)?;
        self.missing = next_seq.saturating_sub(self.state.event_count());
        Ok(())
    }

    /// Goes on from the state of somebody who saw every event before the next, and writes it as a keyframe.
    ///
    /// # Errors
    /// [`WriteError::Io`] where the sink fails, [`WriteError::TooLong`] where the state is over 16 MiB.
    pub fn take_over(&mut self, state: SystemState) -> Result<(), WriteError> {
        self.close_batch()?;
        let stretch = Summary::of_state(&self.state).since(&self.taken_over);
        self.before = self.before.and(&stretch);
        self.taken_over = Summary::of_state(&state);
        self.missing = 0;
        self.state = state;
        let (header, raw) = keyframe::encode(&self.state)?;
        let before = self.sink.offset();
        self.sink.block(header, &raw)?;
        self.note_keyframe(self.sink.offset() - before);
        Ok(())
    }

    /// What is true after the events pushed so far.
    #[must_use]
    pub const fn state(&self) -> &SystemState {
        &self.state
    }

    /// Bytes written so far, without the open batch.
    #[must_use]
    pub const fn bytes_written(&self) -> u64 {
        self.sink.offset()
    }

    /// Ends the reel and gives the sink back.
    ///
    /// # Errors
    /// [`WriteError::Io`] where the sink fails, [`WriteError::TooLong`] for statistics over 1 MiB.
    pub fn finish(mut self, info: &FinishInfo) -> Result<(W, Summary), WriteError> {
        self.close_batch()?;
        if let Some(statistics) = &info.statistics_json {
            self.sink.record(BlockType::Statistics, statistics)?;
        }
        let summary = self.summary(info);
        let sink = self
            .sink
            .finish(&self.meta, &self.topology, &summary, false)?;
        Ok((sink, summary))
    }

    /// Totals of this reel, its last batch closed.
    fn summary(&self, info: &FinishInfo) -> Summary {
        let totals = self
            .before
            .and(&Summary::of_state(&self.state).since(&self.taken_over));
        Summary {
            first_t_ns: self.first_t_ns,
            // What the state knows from before this reel is no event of it.
            last_t_ns: self.first_t_ns.and(totals.last_t_ns),
            details: self.details_last,
            keyframes: self.keyframes,
            dropped: Some(info.dropped),
            next_seq: self.next_seq(),
            ..totals
        }
    }

    fn close_batch(&mut self) -> Result<(), WriteError> {
        let (Some(first), Some(last)) = (self.batch.first(), self.batch.last()) else {
            return Ok(());
        };
        if self.details_count > 0 {
            // Before the events, so that whoever sees an event finds its record.
            let mut header = BlockHeader::new(BlockType::Details);
            header.count = self.details_count;
            header.first = u64::from(self.details_first);
            header.first_t_ns = first.t_ns.0;
            header.last_t_ns = last.t_ns.0;
            let mut raw = Vec::with_capacity(self.details.len() + 5);
            rmp::encode::write_array_len(&mut raw, self.details_count).map_err(|error| {
                WriteError::Encode {
                    what: "details",
                    reason: error.to_string(),
                }
            })?;
            raw.extend_from_slice(&self.details);
            self.sink.block(header, &raw)?;
            self.details.clear();
            self.details_first += self.details_count;
            self.details_last = self.details_first - 1;
            self.details_count = 0;
        }
        self.block.clear();
        self.encoder.encode(&self.batch, &mut self.block)?;
        self.batch.clear();
        self.sink.append(&self.block)
    }

    #[inline]
    fn keyframe_if_due(&mut self) -> Result<(), WriteError> {
        let events = self.state.event_count();
        let is_due = events - self.keyframe_last_events >= KEYFRAME_EVENTS
            || self.state.now().0 - self.keyframe_last_t_ns >= KEYFRAME_SPAN_NS;
        if !is_due || events < self.keyframe_ask_again || self.missing > 0 {
            return Ok(());
        }
        self.keyframe_if_affordable()
    }

    fn keyframe_if_affordable(&mut self) -> Result<(), WriteError> {
        self.keyframe_ask_again = self.state.event_count() + KEYFRAME_PATIENCE_EVENTS;
        // Not counting the open batch: closing it for a keyframe that is refused would cost more.
        let room = self.sink.offset() / KEYFRAME_SHARE;
        if self.keyframe_bytes + self.keyframe_last_bytes > room {
            return Ok(());
        }
        let (header, raw) = keyframe::encode(&self.state)?;
        let mut block = std::mem::take(&mut self.keyframe_block);
        let encoded = self.sink.encode(header, &raw, &mut block);
        let bytes = block.len() as u64;
        self.keyframe_last_bytes = bytes;
        let written = encoded.and_then(|()| {
            if self.keyframe_bytes + bytes > room {
                return Ok(false);
            }
            self.close_batch()?;
            self.sink.append(&block).map(|()| true)
        });
        self.keyframe_block = block;
        if !written? {
            return Ok(());
        }
        self.note_keyframe(bytes);
        Ok(())
    }

    fn note_keyframe(&mut self, bytes: u64) {
        self.keyframes += 1;
        self.keyframe_bytes += bytes;
        self.keyframe_last_bytes = bytes;
        self.keyframe_last_events = self.state.event_count();
        self.keyframe_last_t_ns = self.state.now().0;
    }
}
