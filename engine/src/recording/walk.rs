//! Walking over a reel's bytes as they come, block by block, past whatever is damaged.
//!
//! Belongs here: splitting bytes into checked blocks, resynchronising. Does not belong here: what
//! blocks mean (stream, verify, recover); positions in a file (scan).

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use super::block::Block;
use super::error::{DecodeError, ReelError};
use super::format::{BlockHeader, FILE_HEADER_BYTES, FileHeader, MAGIC, SYNC};
use super::scan::Source;

/// What comes next in the bytes.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// The file header; damaged ones are told, and the blocks after them still come.
    Header(FileHeader),
    /// A whole block whose checksums hold.
    Block {
        /// Where it begins.
        offset: u64,
        /// The block.
        block: Block<'a>,
    },
    /// Bytes that are no block.
    Damage {
        /// Where they begin.
        offset: u64,
        /// How many.
        bytes: u64,
        /// What was wrong at their beginning.
        error: DecodeError,
        /// What the block's header said, where that much was readable.
        header: Option<BlockHeader>,
        /// True where the bytes end inside of it.
        is_tail: bool,
    },
}

/// Keeps at most one block and what was fed last.
#[derive(Debug, Default)]
pub(super) struct Walker {
    buffer: Vec<u8>,
    start: usize,
    /// Offset of `buffer[start]` in the reel.
    offset: u64,
    is_header_done: bool,
    is_at_end: bool,
    reach: Reach,
    /// Where a damaged stretch began, what was wrong there, and how far it was searched.
    damage: Option<Damage>,
}

/// How far the bytes go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reach {
    #[default]
    OneReel,
    /// Other segments of the run may follow, each with a file header.
    Segments,
}

#[derive(Debug)]
struct Damage {
    offset: u64,
    error: DecodeError,
    header: Option<BlockHeader>,
    is_cut_off: bool,
}

impl Walker {
    /// One that goes on where another file header follows.
    pub(super) fn joining() -> Self {
        Self {
            reach: Reach::Segments,
            ..Self::default()
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start.min(self.buffer.len()));
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// No more bytes will come: what is left is a torn tail.
    pub(super) fn end(&mut self) {
        self.is_at_end = true;
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Offset of the first byte not yet told about.
    pub(super) fn offset(&self) -> u64 {
        self.damage.as_ref().map_or(self.offset, |d| d.offset)
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        self.start = self.start.saturating_add(bytes).min(self.buffer.len());
        self.offset = self
            .offset
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// The next step, or `None` until more bytes are fed.
    ///
    /// # Errors
    /// Only where this is no reel at all, or one of a newer version.
    pub(super) fn step(&mut self) -> Result<Option<Step<'_>>, DecodeError> {
        if !self.is_header_done {
            return self.header();
        }
        loop {
            let rest = self.rest();
            if rest.is_empty() {
                return Ok(self.damage_step(true));
            }
            if self.reach == Reach::Segments
                && MAGIC.starts_with(rest.get(..MAGIC.len()).unwrap_or(rest))
            {
                match FileHeader::decode(rest) {
                    Ok(_) if self.damage.is_some() => return Ok(self.damage_step(false)),
                    Ok(header) => {
                        self.skip(FILE_HEADER_BYTES);
                        return Ok(Some(Step::Header(header)));
                    }
                    Err(DecodeError::CutOff { .. }) if !self.is_at_end => return Ok(None),
                    Err(error @ DecodeError::Version { .. }) => return Err(error),
                    // Damaged: no block begins here.
                    Err(_) => {}
                }
            }
            if self.damage.is_some() {
                // In search of the next block: a header that holds is enough to begin anew.
                match BlockHeader::decode(rest) {
                    Ok(_) => return Ok(self.damage_step(false)),
                    Err(DecodeError::CutOff { .. }) if !self.is_at_end => return Ok(None),
                    Err(_) => self.skip_to_next_mark(),
                }
                continue;
            }
            match Block::check(rest) {
                Ok(header) => {
                    let (start, offset) = (self.start, self.offset);
                    self.skip(header.block_bytes());
                    let own = self.buffer.get(start..).unwrap_or_default();
                    let block = Block::after_check(header, own);
                    return Ok(Some(Step::Block { offset, block }));
                }
                Err(DecodeError::CutOff { .. }) if !self.is_at_end => return Ok(None),
                Err(error) => {
                    self.damage = Some(Damage {
                        offset: self.offset,
                        is_cut_off: matches!(error, DecodeError::CutOff { .. }),
                        header: BlockHeader::decode(rest).ok(),
                        error,
                    });
                    self.skip_to_next_mark();
                }
            }
        }
    }

    fn header(&mut self) -> Result<Option<Step<'_>>, DecodeError> {
        let rest = self.rest();
        // Enough to see a block behind a header that does not hold.
        let wanted = FILE_HEADER_BYTES.saturating_add(SYNC.len());
        let decoded = FileHeader::decode(rest);
        if rest.len() < wanted && !self.is_at_end && decoded.is_err() {
            return Ok(None);
        }
        let is_followed = rest
            .get(FILE_HEADER_BYTES..)
            .is_some_and(|after| after.starts_with(&SYNC));
        match decoded {
            Ok(header) => {
                self.is_header_done = true;
                self.skip(FILE_HEADER_BYTES);
                Ok(Some(Step::Header(header)))
            }
            Err(error) if is_followed && !matches!(error, DecodeError::Version { .. }) => {
                self.is_header_done = true;
                self.skip(FILE_HEADER_BYTES);
                Ok(Some(Step::Damage {
                    offset: 0,
                    bytes: u64::try_from(FILE_HEADER_BYTES).unwrap_or(u64::MAX),
                    error,
                    header: None,
                    is_tail: false,
                }))
            }
            Err(error) => Err(error),
        }
    }

    /// Skips at least one byte, up to where a sync mark may begin.
    fn skip_to_next_mark(&mut self) {
        let rest = self.rest();
        let after = rest.get(1..).unwrap_or_default();
        let is_mark = |candidate: &[u8], mark: [u8; 8]| {
            let seen = candidate.len().min(mark.len());
            candidate.get(..seen) == mark.get(..seen)
        };
        let next = after
            .iter()
            .enumerate()
            .filter(|&(_, byte)| Some(byte) == SYNC.first() || Some(byte) == MAGIC.first())
            .map(|(position, _)| position)
            .find(|&position| {
                let candidate = after.get(position..).unwrap_or_default();
                is_mark(candidate, SYNC)
                    || (self.reach == Reach::Segments && is_mark(candidate, MAGIC))
            })
            .unwrap_or(after.len());
        self.skip(next.saturating_add(1));
    }

    /// Tells about the damaged stretch that ends here, once its end is known.
    fn damage_step(&mut self, is_buffer_empty: bool) -> Option<Step<'_>> {
        if is_buffer_empty && !self.is_at_end {
            return None;
        }
        let damage = self.damage.take()?;
        Some(Step::Damage {
            offset: damage.offset,
            bytes: self.offset.saturating_sub(damage.offset),
            error: damage.error,
            header: damage.header,
            is_tail: is_buffer_empty && damage.is_cut_off,
        })
    }
}

/// Walks over the first `length` bytes of a source, a mebibyte at a time; what is appended meanwhile is not read.
pub(super) fn walk<E: From<ReelError>>(
    source: &Source,
    length: u64,
    mut each: impl FnMut(Step<'_>) -> Result<(), E>,
) -> Result<(), E> {
    const CHUNK: u64 = 1 << 20;
    let mut walker = Walker::default();
    let mut chunk = Vec::new();
    let mut offset = 0_u64;
    loop {
        while let Some(step) = walker
            .step()
            .map_err(|error| ReelError::at(0, error))
            .map_err(E::from)?
        {
            each(step)?;
        }
        if walker.is_at_end {
            return Ok(());
        }
        let wanted = length.saturating_sub(offset).min(CHUNK);
        source
            .read(offset, usize::try_from(wanted).unwrap_or(0), &mut chunk)
            .map_err(ReelError::from)
            .map_err(E::from)?;
        offset = offset.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if chunk.is_empty() {
            walker.end();
        }
        walker.feed(&chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::BlockEncoder;
    use super::super::format::BlockType;
    use super::super::meta::RunId;
    use super::*;

    fn reel(blocks: u8) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = FileHeader::new(RunId([1; 16])).encode().to_vec();
        let mut starts = Vec::new();
        let mut encoder = BlockEncoder::new().unwrap();
        for number in 0..blocks {
            starts.push(bytes.len());
            let header = BlockHeader::new(BlockType::Annotation);
            encoder
                .append(header, &[], &[number; 20], &mut bytes)
                .unwrap();
        }
        (bytes, starts)
    }

    /// Offsets of blocks seen, and damaged stretches.
    fn walk(bytes: &[u8], chunk: usize) -> (Vec<usize>, Vec<(usize, usize)>) {
        let (mut blocks, mut damages) = (Vec::new(), Vec::new());
        let mut walker = Walker::default();
        let mut chunks = bytes.chunks(chunk);
        loop {
            while let Some(step) = walker.step().unwrap() {
                match step {
                    Step::Header(_) => {}
                    Step::Block { offset, .. } => blocks.push(usize::try_from(offset).unwrap()),
                    Step::Damage { offset, bytes, .. } => damages.push((
                        usize::try_from(offset).unwrap(),
                        usize::try_from(bytes).unwrap(),
                    )),
                }
            }
            match chunks.next() {
                Some(chunk) => walker.feed(chunk),
                None if walker.is_at_end => return (blocks, damages),
                None => walker.end(),
            }
        }
    }

    #[test]
    fn each_flipped_byte_costs_its_own_block() {
        let (bytes, starts) = reel(3);
        for chunk in [1, 7, 1000] {
            assert_eq!(walk(&bytes, chunk), (starts.clone(), vec![]));
        }
        for position in FILE_HEADER_BYTES..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[position] ^= 0x10;
            let hit = starts.iter().rposition(|&start| start <= position).unwrap();
            let mut left = starts.clone();
            let offset = left.remove(hit);
            let end = starts.get(hit + 1).copied().unwrap_or(bytes.len());
            for chunk in [13, 1000] {
                assert_eq!(
                    walk(&flipped, chunk),
                    (left.clone(), vec![(offset, end - offset)]),
                    "byte {position}"
                );
            }
        }
    }

    #[test]
    fn a_cut_reel_keeps_every_whole_block() {
        let (bytes, starts) = reel(3);
        for length in FILE_HEADER_BYTES..bytes.len() {
            let (blocks, damages) = walk(&bytes[..length], 9);
            let whole = starts[1..].iter().filter(|&&end| end <= length).count();
            assert_eq!(blocks, &starts[..whole], "{length}");
            let torn = length - starts.get(whole).copied().unwrap_or(length);
            assert_eq!(damages.iter().map(|d| d.1).sum::<usize>(), torn);
        }
    }
}
