//! Finding the blocks of a reel by its indexes: the chain of them, and the last one of a reel without an end.
//!
//! Belongs here: walking backwards from the tail. Does not belong here: hopping forwards, the end
//! block (scan).

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use super::batch::BatchDecoder;
use super::error::ReelError;
use super::format::{
    BLOCK_BYTES_MAX, BLOCK_BYTES_MIN, BlockType, SYNC, TRAILER_BYTES, decode_trailer,
};
use super::index::{BlockRef, IndexForm};
use super::scan::{BLOCKS_BEGIN, Found, Source, block_at, by_hopping, read_header, read_value};
use std::io;

/// Indexes tried from the tail on before the reel is hopped through from its beginning.
const TRIES: u32 = 4;
/// Bytes searched for a sync mark at a time.
const WINDOW: u64 = 1 << 16;

/// Every block up to the index at `last` and that one, in order; `None` where an index is damaged or
/// the blocks they list do not lie one after the other from the first on.
pub(super) fn chain(
    source: &Source,
    decoder: &mut BatchDecoder,
    last: u64,
) -> Result<Option<Vec<BlockRef>>, ReelError> {
    let mut backwards: Vec<BlockRef> = Vec::new();
    let mut next = Some(last);
    while let Some(offset) = next {
        let index = block_at(source, offset, BlockType::Index)?;
        // Each block ends where the one before it began, so the chain ends and memory is bounded by the file.
        let is_next = |block: &BlockRef, backwards: &[BlockRef]| {
            let limits = BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX;
            limits.contains(&block.bytes)
                && backwards
                    .last()
                    .is_none_or(|after| after.offset == block.end())
        };
        let Some(index) = index.filter(|index| is_next(index, &backwards)) else {
            return Ok(None);
        };
        let Ok(form) = read_value::<IndexForm>(source, decoder, &index, "index") else {
            return Ok(None);
        };
        backwards.push(index);
        for block in form.refs().rev() {
            if !is_next(&block, &backwards) {
                return Ok(None);
            }
            backwards.push(block);
        }
        next = form.previous;
    }
    backwards.reverse();
    let is_from_the_first = backwards
        .first()
        .is_some_and(|block| block.offset == BLOCKS_BEGIN);
    Ok(is_from_the_first.then_some(backwards))
}

/// By the last whole index, found from the tail backwards, and hopping from there on; `None` where there is none.
pub(super) fn find(
    source: &Source,
    decoder: &mut BatchDecoder,
    length: u64,
) -> Result<Option<Found>, ReelError> {
    let mut end = length;
    let mut tries = 0_u32;
    while let Some(block) = block_before(source, end)? {
        end = block.offset;
        if block.block_type() != Some(BlockType::Index) {
            continue;
        }
        if let Some(mut blocks) = chain(source, decoder, block.offset)? {
            let mut found = by_hopping(source, block.end(), length)?;
            blocks.append(&mut found.blocks);
            found.blocks = blocks;
            return Ok(Some(found));
        }
        tries = tries.saturating_add(1);
        if tries == TRIES {
            break;
        }
    }
    Ok(None)
}

/// The block that ends at `end` by its trailer; where none does, the last one that begins before it.
fn block_before(source: &Source, end: u64) -> io::Result<Option<BlockRef>> {
    let mut buffer = Vec::new();
    let trailer_bytes = u64::try_from(TRAILER_BYTES).unwrap_or(u64::MAX);
    source.read(
        end.saturating_sub(trailer_bytes),
        TRAILER_BYTES,
        &mut buffer,
    )?;
    if let Some(bytes) = decode_trailer(&buffer)
        && let Some(offset) = end.checked_sub(u64::from(bytes))
        && offset >= BLOCKS_BEGIN
        && let Ok(header) = read_header(source, offset, &mut buffer)?
    {
        let block = BlockRef::new(offset, &header);
        if block.end() == end {
            return Ok(Some(block));
        }
    }
    mark_before(source, end)
}

/// The last header that holds before `end`, no further away than the longest block.
fn mark_before(source: &Source, end: u64) -> io::Result<Option<BlockRef>> {
    let first = end
        .saturating_sub(u64::from(BLOCK_BYTES_MAX))
        .max(BLOCKS_BEGIN);
    let (mut window, mut buffer) = (Vec::new(), Vec::new());
    let mut to = end;
    while to > first {
        let from = to.saturating_sub(WINDOW).max(first);
        let bytes = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        // Windows overlap by a mark, so that none lies across two.
        source.read(from, bytes.saturating_add(SYNC.len()), &mut window)?;
        let marks = window
            .windows(SYNC.len())
            .enumerate()
            .rev()
            .filter(|(_, bytes)| *bytes == SYNC)
            .map(|(position, _)| from.saturating_add(u64::try_from(position).unwrap_or(0)));
        for mark in marks.filter(|&mark| mark < to) {
            if let Ok(header) = read_header(source, mark, &mut buffer)? {
                return Ok(Some(BlockRef::new(mark, &header)));
            }
        }
        to = from;
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
