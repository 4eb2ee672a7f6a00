//! Reading a reel by position: what is in it, the events of a block, one request's blocks, gaps.
//!
//! Belongs here: a whole or torn reel at rest. Does not belong here: bytes that arrive in order
//! (stream), folding events into states (replay).

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use super::batch::BatchDecoder;
use super::block::Block;
use super::content::{decode_details, is_in_order};
use super::error::{DecodeError, ReelError};
use super::file::ReelFile;
use super::filter;
use super::format::{
    BLOCK_HEADER_BYTES, BlockHeader, BlockType, FILE_HEADER_BYTES, FileHeader, SYNC,
};
use super::index::{BlockRef, EndForm};
use super::keyframe;
use super::meta::{Detail, Gap, GapReason, ReelMeta, Summary};
use super::scan::{self, Hole, Source};
use crate::model::event::StageEvent;
use crate::model::id::{DetailId, RequestId};
use crate::model::state::SystemState;
use crate::model::time::TimeNs;
use crate::model::topology::Topology;
use serde::de::DeserializeOwned;
use std::path::Path;

/// An open reel. Memory in use is bounded by its largest block and its index, whatever its length.
pub struct ReelReader {
    source: Source,
    version: (u16, u16),
    header_problem: Option<DecodeError>,
    meta: ReelMeta,
    topology: Topology,
    length: u64,
    blocks: Vec<BlockRef>,
    events: Vec<BlockRef>,
    details: Vec<BlockRef>,
    keyframes: Vec<BlockRef>,
    summary: Option<Summary>,
    is_complete: bool,
    gaps: Vec<Gap>,
    decoder: BatchDecoder,
    bytes: Vec<u8>,
    detail_cache: Option<(u64, Vec<Detail>)>,
}

impl ReelReader {
    /// Opens a reel on disk.
    ///
    /// # Errors
    /// Where it cannot be read, is no reel, or lacks what names its components.
    pub fn open(path: &Path) -> Result<Self, ReelError> {
        Self::from_source(Source::File(ReelFile::open(path)?))
    }

    /// Opens a reel in memory.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ReelError> {
        Self::from_source(Source::Memory(bytes))
    }

    fn from_source(source: Source) -> Result<Self, ReelError> {
        let length = source.length()?;
        if length == 0 {
            return Err(ReelError::Empty);
        }
        let mut bytes = Vec::new();
        let wanted = FILE_HEADER_BYTES.saturating_add(SYNC.len());
        source.read(0, wanted, &mut bytes)?;
        let is_followed = bytes
            .get(FILE_HEADER_BYTES..)
            .is_some_and(|after| after == SYNC);
        let mut version = (super::format::VERSION_MAJOR, super::format::VERSION_MINOR);
        let mut header_problem = None;
        match FileHeader::decode(&bytes) {
            Ok(header) => version = (header.major, header.minor),
            // The run block repeats what the header says.
            Err(error) if is_followed && !matches!(error, DecodeError::Version { .. }) => {
                header_problem = Some(error);
            }
            Err(error) => return Err(ReelError::at(0, error)),
        }
        let mut decoder = BatchDecoder::new()?;
        let found = scan::find_blocks(&source, &mut decoder)?;
        let meta = first_value(&source, &mut decoder, &found.blocks, BlockType::Run, "run")?;
        let topology = first_value(
            &source,
            &mut decoder,
            &found.blocks,
            BlockType::Topology,
            "topology",
        )?;
        let of_type = |wanted: BlockType| -> Vec<BlockRef> {
            let is_wanted = |block: &&BlockRef| block.block_type() == Some(wanted);
            found.blocks.iter().filter(is_wanted).copied().collect()
        };
        let mut events = of_type(BlockType::Events);
        // A block that begins before the last one's end repeats events or runs back in time: the first to say so counts.
        let (mut next_seq, mut last_t_ns) = (0, 0);
        events.retain(|block| {
            let is_next = block.first >= next_seq && block.first_t_ns >= last_t_ns;
            if is_next {
                (next_seq, last_t_ns) = (block.next_seq(), block.last_t_ns);
            }
            is_next
        });
        let mut this = Self {
            source,
            version,
            header_problem,
            meta,
            topology,
            length,
            events,
            details: of_type(BlockType::Details),
            keyframes: of_type(BlockType::Keyframe),
            blocks: found.blocks,
            summary: found.summary,
            is_complete: found.is_complete,
            gaps: Vec::new(),
            decoder,
            bytes,
            detail_cache: None,
        };
        this.find_gaps(&found.holes)?;
        Ok(this)
    }

    /// Gaps that are told, gaps that the order of events shows, and the torn tail.
    fn find_gaps(&mut self, holes: &[Hole]) -> Result<(), ReelError> {
        for block in self.blocks.clone() {
            if block.block_type() == Some(BlockType::Gap)
                && let Ok(gap) =
                    scan::read_value::<Gap>(&self.source, &mut self.decoder, &block, "gap")
            {
                self.gaps.push(gap);
            }
        }
        let mut next_seq = 0;
        let mut last_t_ns = 0;
        let mut last_end = u64::try_from(FILE_HEADER_BYTES).unwrap_or(u64::MAX);
        for block in self.events.clone() {
            let is_told = self.gaps.iter().any(|gap| gap.first_seq == Some(next_seq));
            if block.first > next_seq && !is_told {
                let hole = holes
                    .iter()
                    .find(|hole| hole.offset >= last_end && hole.offset < block.offset);
                self.gaps.push(Gap {
                    from_t_ns: TimeNs(last_t_ns),
                    to_t_ns: TimeNs(block.first_t_ns),
                    first_seq: Some(next_seq),
                    events: Some(block.first.saturating_sub(next_seq)),
                    reason: hole.map_or(GapReason::Missing, |_| GapReason::Damaged),
                    offset: Some(hole.map_or(last_end, |hole| hole.offset)),
                });
            }
            (next_seq, last_t_ns, last_end) = (block.next_seq(), block.last_t_ns, block.end());
        }
        let end = self.last_value::<EndForm>(BlockType::End, "end");
        let total = self.last_value::<Summary>(BlockType::Summary, "summary");
        for hole in holes.iter().filter(|hole| hole.offset >= last_end) {
            let is_summary = end.is_some_and(|end| end.summary == hole.offset);
            if is_summary
                || total
                    .as_ref()
                    .is_some_and(|total| total.next_seq <= next_seq)
            {
                continue;
            }
            let header = scan::read_header(&self.source, hole.offset, &mut self.bytes)?.ok();
            let lost = header.filter(|header| header.block_type() == Some(BlockType::Events));
            let told = total
                .as_ref()
                .map(|total| (total.next_seq, total.last_t_ns.map_or(last_t_ns, |t| t.0)))
                .or(lost.map(|header| {
                    let count = u64::from(header.count);
                    (header.first.saturating_add(count), header.last_t_ns)
                }));
            self.gaps.push(Gap {
                from_t_ns: TimeNs(last_t_ns),
                to_t_ns: TimeNs(told.map_or(last_t_ns, |(_, t_ns)| t_ns)),
                first_seq: Some(next_seq),
                events: told.map(|(end, _)| end.saturating_sub(next_seq)),
                reason: if hole.is_tail {
                    GapReason::TornTail
                } else {
                    GapReason::Damaged
                },
                offset: Some(hole.offset),
            });
            break;
        }
        self.gaps.sort_by_key(|gap| gap.from_t_ns);
        Ok(())
    }

    /// What the last block of this type says, where it is whole.
    fn last_value<T: DeserializeOwned>(
        &mut self,
        wanted: BlockType,
        what: &'static str,
    ) -> Option<T> {
        let is_wanted = |block: &&BlockRef| block.block_type() == Some(wanted);
        let block = self.blocks.iter().rfind(is_wanted).copied()?;
        scan::read_value(&self.source, &mut self.decoder, &block, what).ok()
    }

    /// Major and minor version of the format it was written in.
    #[must_use]
    pub const fn version(&self) -> (u16, u16) {
        self.version
    }

    /// What is wrong with the file header, where something is.
    #[must_use]
    pub const fn header_problem(&self) -> Option<&DecodeError> {
        self.header_problem.as_ref()
    }

    /// Where the run came from.
    #[must_use]
    pub const fn meta(&self) -> &ReelMeta {
        &self.meta
    }

    /// The map it happened on.
    #[must_use]
    pub const fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Length in bytes when it was opened.
    #[must_use]
    pub const fn length_bytes(&self) -> u64 {
        self.length
    }

    /// Every block found, in the order of the file.
    #[must_use]
    pub fn blocks(&self) -> &[BlockRef] {
        &self.blocks
    }

    /// The blocks of events, in order, none twice.
    #[must_use]
    pub fn event_blocks(&self) -> &[BlockRef] {
        &self.events
    }

    /// The keyframes, in order.
    #[must_use]
    pub fn keyframe_blocks(&self) -> &[BlockRef] {
        &self.keyframes
    }

    /// The totals at the end of the reel; `None` for one without an end.
    #[must_use]
    pub const fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    /// True where the reel was ended in good order.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Holes known so far; reading a damaged block adds one.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Time of the first and of the last event, as the blocks' headers say.
    #[must_use]
    pub fn time_range(&self) -> Option<(TimeNs, TimeNs)> {
        let (first, last) = (self.events.first()?, self.events.last()?);
        Some((TimeNs(first.first_t_ns), TimeNs(last.last_t_ns)))
    }

    /// `seq` of the first event after the last one here.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.events.last().map_or(0, BlockRef::next_seq)
    }

    /// Puts the events of the block at `position` of [`Self::event_blocks`] into `events`, which is emptied first.
    /// A damaged block leaves a gap and gives `false`.
    ///
    /// # Errors
    /// [`ReelError::Io`] where the file cannot be read.
    pub fn read_events(
        &mut self,
        position: usize,
        events: &mut Vec<StageEvent>,
    ) -> Result<bool, ReelError> {
        events.clear();
        let Some(block) = self.events.get(position).copied() else {
            return Ok(true);
        };
        self.read_block(&block)?;
        let decoded = Block::decode(&self.bytes).and_then(|whole| {
            self.decoder.decode_block(&whole, events)?;
            Ok(BlockRef::new(block.offset, &whole.header))
        });
        // An index may say something else than the block itself.
        let is_sound = decoded.is_ok_and(|own| own == block) && is_in_order(&block, events);
        if !is_sound {
            events.clear();
            self.note_damage(position, &block);
        }
        Ok(is_sound)
    }

    fn read_block(&mut self, block: &BlockRef) -> Result<(), ReelError> {
        let length = usize::try_from(block.bytes).unwrap_or(usize::MAX);
        Ok(self.source.read(block.offset, length, &mut self.bytes)?)
    }

    fn note_damage(&mut self, position: usize, block: &BlockRef) {
        if self.gaps.iter().any(|gap| gap.offset == Some(block.offset)) {
            return;
        }
        let before = position.checked_sub(1).and_then(|at| self.events.get(at));
        let after = self.events.get(position.saturating_add(1));
        let gap = Gap {
            from_t_ns: TimeNs(before.map_or(0, |block| block.last_t_ns)),
            to_t_ns: TimeNs(after.map_or(block.last_t_ns, |block| block.first_t_ns)),
            first_seq: Some(block.first),
            events: Some(u64::from(block.count)),
            reason: GapReason::Damaged,
            offset: Some(block.offset),
        };
        let at = self
            .gaps
            .partition_point(|held| held.from_t_ns <= gap.from_t_ns);
        self.gaps.insert(at, gap);
    }

    /// Reads every block and notes what is damaged as gaps.
    ///
    /// # Errors
    /// [`ReelError::Io`] where the file cannot be read.
    pub fn check_events(&mut self) -> Result<(), ReelError> {
        for position in 0..self.events.len() {
            let Some(block) = self.events.get(position).copied() else {
                break;
            };
            self.read_block(&block)?;
            if Block::check(&self.bytes).is_err() {
                self.note_damage(position, &block);
            }
        }
        Ok(())
    }

    /// Positions of the blocks in which the request may occur; most others are left out.
    ///
    /// # Errors
    /// [`ReelError::Io`] where the file cannot be read.
    pub fn blocks_with_request(&mut self, request: RequestId) -> Result<Vec<usize>, ReelError> {
        let mut positions = Vec::new();
        for (position, block) in self.events.iter().enumerate() {
            let header = scan::read_header(&self.source, block.offset, &mut self.bytes)?;
            let filter_end = header
                .as_ref()
                .map_or(BLOCK_HEADER_BYTES, BlockHeader::payload_offset);
            let filter = self.bytes.get(BLOCK_HEADER_BYTES..filter_end);
            if header.is_err() || filter::may_contain(filter.unwrap_or_default(), request) {
                positions.push(position);
            }
        }
        Ok(positions)
    }

    /// The state in the keyframe at `position` of [`Self::keyframe_blocks`]; `None` where it is damaged.
    ///
    /// # Errors
    /// [`ReelError::Io`] where the file cannot be read.
    pub fn read_keyframe(&mut self, position: usize) -> Result<Option<SystemState>, ReelError> {
        let Some(block) = self.keyframes.get(position).copied() else {
            return Ok(None);
        };
        self.read_block(&block)?;
        let Ok(whole) = Block::decode(&self.bytes) else {
            return Ok(None);
        };
        let state = self
            .decoder
            .raw(&whole)
            .and_then(|raw| keyframe::decode(&whole.header, raw, &self.topology));
        Ok(state.ok())
    }

    /// The record beside an event; `None` where there is none or it is damaged.
    ///
    /// # Errors
    /// [`ReelError::Io`] where the file cannot be read.
    pub fn read_detail(&mut self, id: DetailId) -> Result<Option<Detail>, ReelError> {
        if id == DetailId::NONE {
            return Ok(None);
        }
        let id = u64::from(id.0);
        let is_cached = |(first, records): &(u64, Vec<Detail>)| {
            id.checked_sub(*first)
                .and_then(|at| records.get(usize::try_from(at).ok()?))
                .cloned()
        };
        if let Some(detail) = self.detail_cache.as_ref().and_then(is_cached) {
            return Ok(Some(detail));
        }
        let at = self.details.partition_point(|block| block.next_seq() <= id);
        let Some(block) = self.details.get(at).copied() else {
            return Ok(None);
        };
        self.read_block(&block)?;
        let records = Block::decode(&self.bytes).and_then(|whole| {
            let raw = self.decoder.raw(&whole)?;
            decode_details(raw, block.first)
        });
        self.detail_cache = records.ok().map(|records| (block.first, records));
        Ok(self.detail_cache.as_ref().and_then(is_cached))
    }

    /// The statistics that a simulated run ended with, as JSON.
    ///
    /// # Errors
    /// [`ReelError`] where the block is there and cannot be read.
    pub fn read_statistics(&mut self) -> Result<Option<String>, ReelError> {
        let block = self
            .blocks
            .iter()
            .find(|block| block.block_type() == Some(BlockType::Statistics))
            .copied();
        block
            .map(|block| scan::read_value(&self.source, &mut self.decoder, &block, "statistics"))
            .transpose()
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }
}

/// The first whole block of this type; it is repeated at the end of a reel.
fn first_value<T: DeserializeOwned>(
    source: &Source,
    decoder: &mut BatchDecoder,
    blocks: &[BlockRef],
    wanted: BlockType,
    what: &'static str,
) -> Result<T, ReelError> {
    let mut problem = None;
    for block in blocks {
        if block.block_type() != Some(wanted) {
            continue;
        }
        match scan::read_value(source, decoder, block, what) {
            Ok(value) => return Ok(value),
            Err(error) => problem = problem.or(Some(error)),
        }
    }
    let offset = u64::try_from(FILE_HEADER_BYTES).unwrap_or(u64::MAX);
    Err(problem.unwrap_or(ReelError::Missing { what, offset }))
}
