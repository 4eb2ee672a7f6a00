//! A reel that grows while it is open: what was written since is taken in, and nothing is read twice.
//!
//! Belongs here: noticing new blocks, and that the file is another one. Does not belong here: waiting
//! for either (whoever follows).

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use super::ReelReader;
use crate::recording::error::ReelError;
use crate::recording::format::{BlockType, FILE_HEADER_BYTES, FileHeader};
use crate::recording::index::BlockRef;
use crate::recording::scan::{self, BLOCKS_BEGIN, Source};

impl ReelReader {
    /// Takes in the blocks written since the reel was opened or refreshed last; false where nothing was.
    /// Positions of blocks known before stay as they are. Costs a read for each new block, and two more.
    ///
    /// # Errors
    /// [`ReelError::Changed`] where the file became shorter, holds another run or has lost its name, and
    /// [`ReelError::Io`] where it cannot be read.
    pub fn refresh(&mut self) -> Result<bool, ReelError> {
        let length = self.source.length()?;
        self.check_same(length)?;
        if length == self.length {
            return Ok(false);
        }
        let torn = self.holes.pop_if(|hole| hole.is_tail);
        let from = torn.map_or(self.length.max(BLOCKS_BEGIN), |hole| hole.offset);
        let found = scan::by_hopping(&self.source, from, length)?;
        self.length = length;
        (self.summary, self.is_complete) = (None, false);
        let is_end = |block: &BlockRef| block.block_type() == Some(BlockType::End);
        if found.blocks.iter().any(is_end) {
            // The end leads to the summary, by a few reads.
            let whole = scan::find_blocks(&self.source, &mut self.decoder, length)?;
            (self.summary, self.is_complete) = (whole.summary, whole.is_complete);
            self.continues = whole.continues;
        }
        self.take_in(found.blocks)?;
        self.holes.extend(found.holes);
        self.find_gaps()?;
        Ok(true)
    }

    /// What was read before is still there.
    fn check_same(&mut self, length: u64) -> Result<(), ReelError> {
        let changed = |what, offset| Err(ReelError::Changed { what, offset });
        if length < self.length {
            return changed("it is shorter than it was", length);
        }
        if let Source::File(file) = &self.source
            && file.is_replaced()?
        {
            return changed("another file, or none, has its name", 0);
        }
        self.source.read(0, FILE_HEADER_BYTES, &mut self.bytes)?;
        let is_own =
            FileHeader::decode(&self.bytes).is_ok_and(|header| header.run_id == self.meta.run_id);
        if !is_own && self.header_problem.is_none() {
            return changed("its header names another run", 0);
        }
        let Some(last) = self.blocks.last().copied() else {
            return Ok(());
        };
        let header = scan::read_header(&self.source, last.offset, &mut self.bytes)?;
        if header.map(|header| BlockRef::new(last.offset, &header)) == Ok(last) {
            return Ok(());
        }
        changed("a block that was there is not there any more", last.offset)
    }
}
