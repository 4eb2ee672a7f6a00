//! Reading a reel by position: what is in it, the events of a block, one request's blocks, gaps.
//!
//! Belongs here: a whole or torn reel at rest; its gaps and its growing end have a file each. Does not
//! belong here: bytes that arrive in order (stream), folding events into states (replay).

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

mod gaps;
mod refresh;

use super::batch::BatchDecoder;
use super::block::Block;
use super::content::{decode_details, is_in_order};
use super::error::{DecodeError, ReelError};
use super::file::ReelFile;
use super::filter;
use super::format::{
    BLOCK_HEADER_BYTES, BlockHeader, BlockType, FILE_HEADER_BYTES, FileHeader, SYNC,
};
use super::index::BlockRef;
use super::keyframe;
use super::meta::{Detail, Gap, ReelMeta, Summary};
use super::scan::{self, Found, Hole, Source};
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
    holes: Vec<Hole>,
    continues: bool,
    gaps: Vec<Gap>,
    /// Positions of damaged blocks of events, in the order they were met.
    damaged: Vec<usize>,
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
        Self::found_by(source, scan::find_blocks)
    }

    /// As opened with the blocks that `find` finds.
    pub(super) fn found_by(
        source: Source,
        find: impl FnOnce(&Source, &mut BatchDecoder, u64) -> Result<Found, ReelError>,
    ) -> Result<Self, ReelError> {
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
        let found = find(&source, &mut decoder, length)?;
        let meta = first_value(&source, &mut decoder, &found.blocks, BlockType::Run, "run")?;
        let topology = first_value(
            &source,
            &mut decoder,
            &found.blocks,
            BlockType::Topology,
            "topology",
        )?;
        let mut this = Self {
            source,
            version,
            header_problem,
            meta,
            topology,
            length,
            events: Vec::new(),
            details: Vec::new(),
            keyframes: Vec::new(),
            blocks: Vec::new(),
            summary: found.summary,
            is_complete: found.is_complete,
            holes: found.holes,
            continues: found.continues,
            gaps: Vec::new(),
            damaged: Vec::new(),
            decoder,
            bytes,
            detail_cache: None,
        };
        this.take_in(found.blocks)?;
        this.find_gaps()?;
        Ok(this)
    }

    /// The next blocks of the file, each in the lists where it belongs.
    fn take_in(&mut self, blocks: Vec<BlockRef>) -> Result<(), ReelError> {
        let mut sound = None;
        let mut events = Vec::new();
        for block in &blocks {
            match block.block_type() {
                Some(BlockType::Events) => {
                    // A block that begins before the last one's end repeats events or runs back in time: the
                    // first to say so counts, where it has them.
                    let is_next = |last: &BlockRef| {
                        block.first >= last.next_seq() && block.first_t_ns >= last.last_t_ns
                    };
                    while let Some(last) = self.events.last().copied()
                        && !is_next(&last)
                        && sound != Some(last.offset)
                    {
                        if self.is_sound(&last, &mut events)? {
                            sound = Some(last.offset);
                        } else {
                            self.events.pop();
                        }
                    }
                    if self.events.last().is_none_or(is_next) {
                        self.events.push(*block);
                    }
                }
                Some(BlockType::Details) => self.details.push(*block),
                Some(BlockType::Keyframe) => self.keyframes.push(*block),
                _ => {}
            }
        }
        if self.blocks.is_empty() {
            self.blocks = blocks;
        } else {
            self.blocks.extend(blocks);
        }
        Ok(())
    }

    /// True where the block holds the events that its header promises.
    fn is_sound(
        &mut self,
        block: &BlockRef,
        events: &mut Vec<StageEvent>,
    ) -> Result<bool, ReelError> {
        events.clear();
        self.read_block(block)?;
        let decoded = Block::decode(&self.bytes).and_then(|whole| {
            self.decoder.decode_block(&whole, events)?;
            Ok(BlockRef::new(block.offset, &whole.header))
        });
        // An index may say something else than the block itself.
        Ok(decoded.is_ok_and(|own| own == *block) && is_in_order(block, events))
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

    /// Length in bytes when it was opened or refreshed.
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

    /// True where its end says that the run goes on in another reel.
    #[must_use]
    pub const fn continues(&self) -> bool {
        self.continues
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
        let is_sound = self.is_sound(&block, events)?;
        if !is_sound {
            events.clear();
            self.note_damage(position);
        }
        Ok(is_sound)
    }

    fn read_block(&mut self, block: &BlockRef) -> Result<(), ReelError> {
        let length = usize::try_from(block.bytes).unwrap_or(usize::MAX);
        Ok(self.source.read(block.offset, length, &mut self.bytes)?)
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
            // An index may say something else than the block itself.
            let own = Block::check(&self.bytes).map(|header| BlockRef::new(block.offset, &header));
            if !own.is_ok_and(|own| own == block) {
                self.note_damage(position);
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
