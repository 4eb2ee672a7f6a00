//! Saving what is whole in a torn or damaged reel.
//!
//! Belongs here: which blocks are kept, and a gap for each hole. Does not belong here: files (cli).

use super::batch::{BatchDecoder, BatchEncoder};
use super::block::{Block, decode_value};
use super::content::{decode_details, hides_events, is_described, is_in_order};
use super::error::{ReelError, WriteError};
use super::fold::{Fold, KeyframeCheck};
use super::format::{BlockHeader, BlockType};
use super::index::{BlockRef, EndForm};
use super::keyframe;
use super::meta::{Gap, GapReason, Summary};
use super::reader::ReelReader;
use super::sink::BlockSink;
use super::walk::{Step, walk};
use crate::model::event::StageEvent;
use crate::model::time::TimeNs;
use crate::model::topology::Topology;
use std::io::Write;

/// What was saved and what was lost.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Totals of the new reel.
    pub summary: Summary,
    /// Blocks taken over.
    pub blocks_kept: u64,
    /// Stretches and blocks left out.
    pub blocks_lost: u64,
    /// Bytes in those.
    pub bytes_lost: u64,
    /// Every hole, those told before included.
    pub gaps: Vec<Gap>,
}

/// Why saving failed.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The damaged reel cannot be read.
    #[error("{source}")]
    Read {
        /// Why.
        #[from]
        source: ReelError,
    },
    /// The new reel cannot be written.
    #[error("{source}")]
    Write {
        /// Why.
        #[from]
        source: WriteError,
    },
}

/// Writes a new reel with every whole block of `reader`, and a gap block for each hole.
///
/// # Errors
/// [`RecoverError`] where one cannot be read or the other not be written.
pub fn recover<W: Write>(reader: &ReelReader, sink: W) -> Result<(W, Recovered), RecoverError> {
    let mut saving = Saving {
        sink: BlockSink::new(sink, reader.meta(), reader.topology())?,
        topology: reader.topology(),
        decoder: BatchDecoder::new().map_err(ReelError::from)?,
        encoder: BatchEncoder::new().map_err(ReelError::from)?,
        events: Vec::new(),
        rewritten: Vec::new(),
        fold: Fold::new(reader.topology()),
        dropped: None,
        declared_end: None,
        continues: false,
        details: 0,
        keyframes: 0,
        damage: None,
        result: Recovered {
            summary: Summary::default(),
            blocks_kept: 0,
            blocks_lost: 0,
            bytes_lost: 0,
            gaps: Vec::new(),
        },
    };
    walk::<RecoverError>(reader.source(), reader.length_bytes(), |step| {
        saving.step(step)
    })?;
    saving.tail()?;
    saving.result.summary = Summary {
        details: u32::try_from(saving.details).unwrap_or(u32::MAX),
        keyframes: saving.keyframes,
        dropped: saving.dropped,
        ..saving.fold.summary()
    };
    let sink = saving.sink.finish(
        reader.meta(),
        reader.topology(),
        &saving.result.summary,
        saving.continues,
    )?;
    Ok((sink, saving.result))
}

struct Saving<'a, W> {
    sink: BlockSink<W>,
    topology: &'a Topology,
    decoder: BatchDecoder,
    encoder: BatchEncoder,
    events: Vec<StageEvent>,
    /// The block at work with a header that tells the truth, where its own does not.
    rewritten: Vec<u8>,
    fold: Fold,
    dropped: Option<u64>,
    /// What the old summary says about the end of the events.
    declared_end: Option<(u64, TimeNs)>,
    /// The old end says that the run goes on in another reel.
    continues: bool,
    details: u64,
    keyframes: u64,
    damage: Option<DamageSeen>,
    result: Recovered,
}

/// The first damage since the last whole block of events.
struct DamageSeen {
    offset: u64,
    reason: GapReason,
    events: Option<(u64, TimeNs)>,
}

impl<W: Write> Saving<'_, W> {
    fn step(&mut self, step: Step<'_>) -> Result<(), RecoverError> {
        match step {
            Step::Header(_) => {}
            Step::Damage {
                offset,
                bytes,
                header,
                is_tail,
                ..
            } => {
                let reason = if is_tail {
                    GapReason::TornTail
                } else {
                    GapReason::Damaged
                };
                self.lost(offset, bytes, reason, header.as_ref());
            }
            Step::Block { offset, block } => {
                let reference = BlockRef::new(offset, &block.header);
                match block.header.block_type() {
                    // Written anew.
                    Some(
                        BlockType::Run | BlockType::Schema | BlockType::Topology | BlockType::Index,
                    ) => {}
                    Some(BlockType::End) => {
                        let raw = self.decoder.raw(&block);
                        if let Ok(end) = raw.and_then(|raw| decode_value::<EndForm>("end", raw)) {
                            self.continues = end.continues;
                        }
                    }
                    Some(BlockType::Summary) => {
                        let raw = self.decoder.raw(&block);
                        if let Ok(summary) =
                            raw.and_then(|raw| decode_value::<Summary>("summary", raw))
                        {
                            self.dropped = summary.dropped;
                            self.declared_end = summary.last_t_ns.map(|t| (summary.next_seq, t));
                        }
                    }
                    known => {
                        self.rewritten.clear();
                        if self.keep(known, &reference, &block)? {
                            self.result.blocks_kept += 1;
                            let is_rewritten = !self.rewritten.is_empty();
                            let own: &[u8] = if is_rewritten {
                                &self.rewritten
                            } else {
                                block.bytes
                            };
                            self.sink.append(own)?;
                        } else {
                            let bytes = u64::from(reference.bytes);
                            self.lost(offset, bytes, GapReason::Damaged, Some(&block.header));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn lost(&mut self, offset: u64, bytes: u64, reason: GapReason, header: Option<&BlockHeader>) {
        self.result.blocks_lost += 1;
        self.result.bytes_lost += bytes;
        let events = header
            .filter(|header| header.block_type() == Some(BlockType::Events))
            .map(|header| {
                let end = header.first.saturating_add(u64::from(header.count));
                (end, TimeNs(header.last_t_ns))
            });
        // Of anything else nothing is missing in the events.
        if header.is_none_or(|header| hides_events(header.block_type())) {
            let seen = self.damage.get_or_insert(DamageSeen {
                offset,
                reason,
                events,
            });
            seen.events = seen.events.max(events);
        }
    }

    /// Whether a block is taken over; gaps before it are written first.
    fn keep(
        &mut self,
        known: Option<BlockType>,
        reference: &BlockRef,
        block: &Block<'_>,
    ) -> Result<bool, RecoverError> {
        Ok(match known {
            Some(BlockType::Events) => {
                self.events.clear();
                let decoded = self.decoder.decode_block(block, &mut self.events);
                let next_seq = self.fold.next_seq();
                if decoded.is_err()
                    || !is_in_order(reference, &self.events)
                    || reference.first < next_seq
                    || reference.first_t_ns < self.fold.state().now().0
                {
                    return Ok(false);
                }
                if reference.first > next_seq {
                    self.gap(reference.first, TimeNs(reference.first_t_ns))?;
                }
                self.damage = None;
                let named = self.events.iter().map(|event| event.detail.0).max();
                let is_named_in_vain = named.is_some_and(|id| u64::from(id) > self.details);
                if is_named_in_vain && self.result.gaps.is_empty() {
                    self.gap_of_details()?;
                }
                if !is_described(block, &self.events) {
                    self.encoder.encode(&self.events, &mut self.rewritten)?;
                }
                self.fold.apply(&self.events);
                true
            }
            Some(BlockType::Keyframe) => {
                let raw = self.decoder.raw(block);
                let state = raw.and_then(|raw| keyframe::decode(&block.header, raw, self.topology));
                let Ok(state) = state else {
                    return Ok(false);
                };
                if state.event_count() < self.fold.next_seq() {
                    return Ok(false);
                }
                let is_ahead = state.event_count() > self.fold.next_seq();
                if is_ahead && !self.fold.is_holed() && self.damage.is_none() {
                    // Nothing is missing before it, so it belongs elsewhere.
                    return Ok(false);
                }
                if is_ahead {
                    let now = state.now();
                    self.gap(state.event_count(), now)?;
                    self.damage = None;
                }
                if self.fold.keyframe(state) == KeyframeCheck::Differs {
                    return Ok(false);
                }
                self.keyframes += 1;
                true
            }
            Some(BlockType::Details) => {
                let raw = self.decoder.raw(block);
                let records = raw.and_then(|raw| decode_details(raw, reference.first));
                let is_sound = records.is_ok_and(|records| {
                    records.len() as u64 == u64::from(reference.count)
                        && reference.first > self.details
                });
                if is_sound && reference.first > self.details + 1 {
                    self.gap_of_details()?;
                }
                if is_sound {
                    self.details = reference.next_seq().saturating_sub(1);
                }
                is_sound
            }
            Some(BlockType::Gap) => {
                let raw = self.decoder.raw(block);
                let Ok(gap) = raw.and_then(|raw| decode_value::<Gap>("gap", raw)) else {
                    return Ok(false);
                };
                let next_seq = self.fold.next_seq();
                if let Some(first) = gap.first_seq.filter(|&first| first >= next_seq) {
                    if first > next_seq {
                        self.gap(first, gap.from_t_ns)?;
                    }
                    self.damage = None;
                    self.fold
                        .hole(first.saturating_add(gap.events.unwrap_or(0)));
                }
                self.result.gaps.push(gap);
                true
            }
            Some(BlockType::Statistics | BlockType::Annotation) => {
                let raw = self.decoder.raw(block);
                raw.and_then(|raw| decode_value::<String>("record", raw))
                    .is_ok()
            }
            // Of a later version: whole, and that is all that can be said.
            _ => true,
        })
    }

    /// Events up to `next_seq` are missing.
    fn gap(&mut self, next_seq: u64, to_t_ns: TimeNs) -> Result<(), RecoverError> {
        let first_seq = self.fold.next_seq();
        let seen = self.damage.as_ref();
        let gap = Gap {
            from_t_ns: self.fold.state().now(),
            to_t_ns,
            first_seq: Some(first_seq),
            events: Some(next_seq.saturating_sub(first_seq)),
            reason: seen.map_or(GapReason::Missing, |seen| seen.reason),
            offset: seen.map(|seen| seen.offset),
        };
        self.fold.hole(next_seq);
        self.sink.gap(&gap)?;
        self.result.gaps.push(gap);
        Ok(())
    }

    /// Records are missing, no events.
    fn gap_of_details(&mut self) -> Result<(), RecoverError> {
        let now = self.fold.state().now();
        let gap = Gap {
            from_t_ns: now,
            to_t_ns: now,
            first_seq: None,
            events: Some(0),
            reason: GapReason::Damaged,
            offset: None,
        };
        self.sink.gap(&gap)?;
        self.result.gaps.push(gap);
        Ok(())
    }

    /// What is missing after the last event.
    fn tail(&mut self) -> Result<(), RecoverError> {
        let next_seq = self.fold.next_seq();
        let known = self
            .damage
            .as_ref()
            .and_then(|seen| seen.events)
            .max(self.declared_end)
            .filter(|&(end, _)| end > next_seq);
        if let Some((end, t_ns)) = known {
            return self.gap(end, t_ns);
        }
        let Some(seen) = self.damage.take() else {
            return Ok(());
        };
        if self.declared_end.is_some_and(|(end, _)| end <= next_seq) {
            return Ok(());
        }
        let now = self.fold.state().now();
        let gap = Gap {
            from_t_ns: now,
            to_t_ns: now,
            first_seq: Some(next_seq),
            events: None,
            reason: seen.reason,
            offset: Some(seen.offset),
        };
        self.sink.gap(&gap)?;
        self.result.gaps.push(gap);
        Ok(())
    }
}
