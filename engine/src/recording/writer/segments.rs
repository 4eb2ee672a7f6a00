//! A run in several reels: ending one segment and beginning the next, and going on after a crash.
//!
//! Belongs here: what a segment begins with. Does not belong here: when a run is cut (whoever records),
//! files and their names.
//!
//! A segment is a whole reel of the same run id. It begins with a gap for the events that are in the
//! segments before it and a keyframe of what they add up to, so it can be opened, checked and played
//! alone; `seq`, times and detail ids go on, so all segments joined are the run again, with its hash.

use super::{ReelWriter, WriterOptions};
use crate::model::id::DetailId;
use crate::model::state::SystemState;
use crate::model::time::TimeNs;
use crate::model::topology::Topology;
use crate::recording::error::WriteError;
use crate::recording::keyframe;
use crate::recording::meta::{FinishInfo, Gap, GapReason, ReelMeta, Segment, Summary};
use crate::recording::sink::BlockSink;
use std::io::Write;

/// What a run goes on from.
#[derive(Clone, Debug)]
pub struct Resumption {
    /// After every event of the segments before.
    pub state: SystemState,
    /// The id the next detail record gets.
    pub next_detail: DetailId,
    /// What is known to be missing between those segments and this one.
    pub gaps: Vec<Gap>,
}

impl<W: Write> ReelWriter<W> {
    /// Goes on with a run whose earlier segments somebody else wrote; `meta` names this segment.
    ///
    /// # Errors
    /// As [`Self::new`], and [`WriteError::TooLong`] where the state is over 16 MiB.
    pub fn resume(
        sink: W,
        meta: &ReelMeta,
        topology: &Topology,
        from: Resumption,
    ) -> Result<Self, WriteError> {
        let options = WriterOptions::for_source(meta.source);
        let mut this = Self::with_options(sink, meta, topology, options)?;
        this.details_first = from.next_detail.0;
        this.state = from.state;
        let keyframe_bytes = begin(&mut this.sink, &this.state, &from.gaps)?;
        this.forget_totals(keyframe_bytes);
        Ok(this)
    }

    /// Ends this reel in good order, says in its end that the run goes on, and goes on in `sink`.
    /// `requests` is the highest request number handed out so far.
    ///
    /// Returns the old sink and the totals of what it holds. Where the old sink fails, the run goes on
    /// in the new one all the same; where the new one fails, it goes on in the old one.
    ///
    /// # Errors
    /// [`WriteError::Io`] where a sink fails, [`WriteError::TooLong`] where the state is over 16 MiB.
    pub fn next_segment(
        &mut self,
        sink: W,
        requests: u64,
        info: &FinishInfo,
    ) -> Result<(W, Summary), WriteError> {
        self.close_batch()?;
        let summary = self.summary(info);
        let meta = ReelMeta {
            segment: Some(Segment {
                number: self.meta.segment_number().saturating_add(1),
                first_detail: self.details_first,
                requests,
            }),
            ..self.meta.clone()
        };
        let mut next = BlockSink::new(sink, &meta, &self.topology)?;
        let keyframe_bytes = begin(&mut next, &self.state, &[])?;
        let old = std::mem::replace(&mut self.sink, next);
        let old_meta = std::mem::replace(&mut self.meta, meta);
        let missing = self.missing;
        self.forget_totals(keyframe_bytes);
        if missing > 0 {
            // What the state lacks, it lacks in the new segment too.
            let now = self.state.now();
            let events = self.state.event_count();
            let gap = Gap {
                from_t_ns: now,
                to_t_ns: now,
                first_seq: Some(events),
                events: Some(missing),
                reason: GapReason::Missing,
                offset: None,
            };
            self.hole(&gap, events + missing)?;
        }
        let sink = old.finish(&old_meta, &self.topology, &summary, true)?;
        Ok((sink, summary))
    }

    /// Begins to count anew, after a keyframe of the state.
    fn forget_totals(&mut self, keyframe_bytes: u64) {
        self.first_t_ns = None;
        self.details_last = 0;
        self.missing = 0;
        self.before = Summary::default();
        self.taken_over = Summary::of_state(&self.state);
        (self.keyframes, self.keyframe_bytes) = (0, 0);
        self.note_keyframe(keyframe_bytes);
        self.keyframe_ask_again = 0;
    }
}

/// What a segment begins with after its topology; the answer is the keyframe's length.
fn begin<W: Write>(
    sink: &mut BlockSink<W>,
    state: &SystemState,
    gaps: &[Gap],
) -> Result<u64, WriteError> {
    if state.event_count() > 0 {
        sink.gap(&Gap {
            from_t_ns: TimeNs::ZERO,
            to_t_ns: state.now(),
            first_seq: Some(0),
            events: Some(state.event_count()),
            reason: GapReason::Elsewhere,
            offset: None,
        })?;
    }
    for gap in gaps {
        sink.gap(gap)?;
    }
    let (header, raw) = keyframe::encode(state)?;
    let before = sink.offset();
    sink.block(header, &raw)?;
    Ok(sink.offset() - before)
}
