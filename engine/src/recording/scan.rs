//! Finding the blocks of a reel: by end, summary and index, or by hopping from header to header.
//!
//! Belongs here: positions of blocks and of stretches that are none. Does not belong here: payloads
//! of events (reader), bytes that come in order (walk).

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use super::batch::BatchDecoder;
use super::block::{Block, decode_value};
use super::error::{DecodeError, ReelError};
use super::file::ReelFile;
use super::format::{
    BLOCK_HEADER_BYTES, BlockHeader, BlockType, FILE_HEADER_BYTES, FILTER_BYTES_MAX,
    PAYLOAD_BYTES_MAX, SYNC, TRAILER_BYTES, decode_trailer,
};
use super::index::{BlockRef, EndForm};
use super::last_index;
use super::meta::Summary;
use serde::de::DeserializeOwned;
use std::io;

/// Where the first block begins.
pub(super) const BLOCKS_BEGIN: u64 = FILE_HEADER_BYTES as u64;

/// Where a reel's bytes are.
#[derive(Debug)]
pub(super) enum Source {
    File(ReelFile),
    Memory(Vec<u8>),
    /// Memory that counts how often it is read.
    #[cfg(test)]
    Counted(Vec<u8>, std::sync::atomic::AtomicUsize),
}

impl Source {
    pub(super) fn length(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => file.length(),
            Self::Memory(bytes) => Ok(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            #[cfg(test)]
            Self::Counted(bytes, _) => Ok(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
        }
    }

    /// Puts up to `length` bytes at `offset` into `buffer`, fewer at the end.
    pub(super) fn read(&self, offset: u64, length: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::File(file) => {
                buffer.resize(length, 0);
                let read = file.read_at(offset, buffer)?;
                buffer.truncate(read);
            }
            Self::Memory(bytes) => read_memory(bytes, offset, length, buffer),
            #[cfg(test)]
            Self::Counted(bytes, reads) => {
                reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                read_memory(bytes, offset, length, buffer);
            }
        }
        Ok(())
    }
}

fn read_memory(bytes: &[u8], offset: u64, length: usize, buffer: &mut Vec<u8>) {
    let start = usize::try_from(offset)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    let end = start.saturating_add(length).min(bytes.len());
    buffer.clear();
    buffer.extend_from_slice(bytes.get(start..end).unwrap_or_default());
}

/// A stretch of bytes that is no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) offset: u64,
    pub(super) is_tail: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) blocks: Vec<BlockRef>,
    pub(super) holes: Vec<Hole>,
    pub(super) summary: Option<Summary>,
    /// True where the end block and all it leads to are whole.
    pub(super) is_complete: bool,
    /// The end says that the run goes on in another reel.
    pub(super) continues: bool,
}

/// Finds every block; reads payloads only of end, summary and index.
pub(super) fn find_blocks(
    source: &Source,
    decoder: &mut BatchDecoder,
    length: u64,
) -> Result<Found, ReelError> {
    if let Some(found) = by_end(source, decoder, length)? {
        return Ok(found);
    }
    if let Some(found) = last_index::find(source, decoder, length)? {
        return Ok(found);
    }
    Ok(by_hopping(source, BLOCKS_BEGIN, length)?)
}

/// Reads and checks a whole block, then its payload as a value.
pub(super) fn read_value<T: DeserializeOwned>(
    source: &Source,
    decoder: &mut BatchDecoder,
    block: &BlockRef,
    what: &'static str,
) -> Result<T, ReelError> {
    let mut bytes = Vec::new();
    let at = |error| ReelError::at(block.offset, error);
    let length = usize::try_from(block.bytes).unwrap_or(usize::MAX);
    source.read(block.offset, length, &mut bytes)?;
    let whole = Block::decode(&bytes).map_err(at)?;
    let raw = decoder.raw(&whole).map_err(at)?;
    decode_value(what, raw).map_err(at)
}

/// The header at `offset`.
pub(super) fn read_header(
    source: &Source,
    offset: u64,
    buffer: &mut Vec<u8>,
) -> io::Result<Result<BlockHeader, DecodeError>> {
    let most = BLOCK_HEADER_BYTES.saturating_add(FILTER_BYTES_MAX);
    source.read(offset, most, buffer)?;
    Ok(BlockHeader::decode(buffer))
}

pub(super) fn block_at(
    source: &Source,
    offset: u64,
    wanted: BlockType,
) -> Result<Option<BlockRef>, ReelError> {
    let mut buffer = Vec::new();
    let header = read_header(source, offset, &mut buffer)?;
    Ok(header
        .ok()
        .filter(|header| header.block_type() == Some(wanted))
        .map(|header| BlockRef::new(offset, &header)))
}

/// By end, summary and index; `None` where any of them is missing or damaged.
fn by_end(
    source: &Source,
    decoder: &mut BatchDecoder,
    length: u64,
) -> Result<Option<Found>, ReelError> {
    let mut buffer = Vec::new();
    let trailer_bytes = u64::try_from(TRAILER_BYTES).unwrap_or(u64::MAX);
    source.read(
        length.saturating_sub(trailer_bytes),
        TRAILER_BYTES,
        &mut buffer,
    )?;
    let Some(end_bytes) = decode_trailer(&buffer) else {
        return Ok(None);
    };
    let end_offset = length.saturating_sub(u64::from(end_bytes));
    let Some(end) = block_at(source, end_offset, BlockType::End)? else {
        return Ok(None);
    };
    let Ok(form) = read_value::<EndForm>(source, decoder, &end, "end") else {
        return Ok(None);
    };
    let Some(summary_ref) = block_at(source, form.summary, BlockType::Summary)? else {
        return Ok(None);
    };
    let Ok(summary) = read_value::<Summary>(source, decoder, &summary_ref, "summary") else {
        return Ok(None);
    };
    let continues = form.continues;
    let Some(mut blocks) = last_index::chain(source, decoder, form.index)? else {
        return Ok(None);
    };
    for block in [summary_ref, end] {
        if blocks.last().map(BlockRef::end) != Some(block.offset) {
            return Ok(None);
        }
        blocks.push(block);
    }
    Ok((end.end() == length).then(|| Found {
        blocks,
        holes: Vec::new(),
        summary: Some(summary),
        is_complete: true,
        continues,
    }))
}

/// From header to header, past what is none.
pub(super) fn by_hopping(source: &Source, from: u64, length: u64) -> io::Result<Found> {
    let mut found = Found::default();
    let mut offset = from;
    let mut buffer = Vec::new();
    while offset < length {
        let header = read_header(source, offset, &mut buffer)?;
        let block = header.ok().map(|header| BlockRef::new(offset, &header));
        // Bytes put in or taken out behind a header show where its block should end; what lies there is
        // looked for from the header on.
        if let Some(block) = block.filter(|block| block.end() <= length)
            && has_trailer(source, &block, &mut buffer)?
        {
            offset = block.end();
            found.blocks.push(block);
            continue;
        }
        let next = next_header(source, offset.saturating_add(1), length)?;
        found.holes.push(Hole {
            offset,
            is_tail: next.is_none(),
        });
        offset = next.unwrap_or(length);
    }
    Ok(found)
}

/// True where the block ends as its header says.
pub(super) fn has_trailer(
    source: &Source,
    block: &BlockRef,
    buffer: &mut Vec<u8>,
) -> io::Result<bool> {
    let trailer_bytes = u64::try_from(TRAILER_BYTES).unwrap_or(u64::MAX);
    let at = block.end().saturating_sub(trailer_bytes);
    source.read(at, TRAILER_BYTES, buffer)?;
    Ok(decode_trailer(buffer) == Some(block.bytes))
}

/// The first offset from `from` on where a block's header holds.
fn next_header(source: &Source, from: u64, length: u64) -> io::Result<Option<u64>> {
    const WINDOW: usize = 1 << 16;
    let mut window = Vec::new();
    let mut buffer = Vec::new();
    let mut start = from;
    while start < length {
        // Windows overlap by a mark, so that none lies across two.
        source.read(start, WINDOW.saturating_add(SYNC.len()), &mut window)?;
        let marks = window
            .windows(SYNC.len())
            .enumerate()
            .filter(|(_, bytes)| *bytes == SYNC)
            .map(|(position, _)| start.saturating_add(u64::try_from(position).unwrap_or(0)));
        for mark in marks {
            if read_header(source, mark, &mut buffer)?.is_ok() {
                return Ok(Some(mark));
            }
        }
        start = start.saturating_add(u64::try_from(WINDOW).unwrap_or(u64::MAX));
    }
    Ok(None)
}

const _: () = assert!(
    PAYLOAD_BYTES_MAX < u32::MAX as usize,
    "a block's length fits 32 bits"
);
