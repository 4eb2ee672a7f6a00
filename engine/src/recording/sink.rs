//! The growing end of a reel: blocks go out, the index remembers them.
//!
//! Belongs here: offsets, index blocks, the closing blocks. Does not belong here: events (writer).

use super::block::{BlockEncoder, encode_value};
use super::error::WriteError;
use super::format::{BlockHeader, BlockType, FileHeader, RECORD_BYTES_MAX};
use super::index::{BlockRef, EndForm, IndexForm, SchemaForm};
use super::meta::{Gap, ReelMeta, Summary};
use crate::model::topology::Topology;
use std::io::Write;

/// Blocks after which an index is written, so that a reel without an end opens fast too.
const INDEX_BLOCKS: usize = 512;

pub(super) struct BlockSink<W> {
    sink: W,
    offset: u64,
    encoder: BlockEncoder,
    bytes: Vec<u8>,
    unindexed: Vec<BlockRef>,
    previous_index: Option<u64>,
}

impl<W: Write> BlockSink<W> {
    /// Writes the file header and the blocks every reel begins with.
    pub(super) fn new(sink: W, meta: &ReelMeta, topology: &Topology) -> Result<Self, WriteError> {
        let mut this = Self {
            sink,
            offset: 0,
            encoder: BlockEncoder::new()?,
            bytes: Vec::new(),
            unindexed: Vec::new(),
            previous_index: None,
        };
        let header = FileHeader::new(meta.run_id).encode();
        this.sink.write_all(&header)?;
        this.offset = header.len() as u64;
        this.value(BlockType::Run, "run", meta)?;
        this.value(BlockType::Schema, "schema", &SchemaForm::new())?;
        this.value(BlockType::Topology, "topology", topology)?;
        Ok(this)
    }

    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn flush(&mut self) -> Result<(), WriteError> {
        Ok(self.sink.flush()?)
    }

    /// Writes a block whose bytes are complete.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let header = BlockHeader::decode(bytes).map_err(|error| WriteError::Encode {
            what: "block",
            reason: error.to_string(),
        })?;
        self.sink.write_all(bytes)?;
        self.unindexed.push(BlockRef::new(self.offset, &header));
        self.offset += bytes.len() as u64;
        if self.unindexed.len() >= INDEX_BLOCKS {
            self.index()?;
        }
        Ok(())
    }

    /// A block of this payload, not yet written.
    pub(super) fn encode(
        &mut self,
        header: BlockHeader,
        raw: &[u8],
        bytes: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        bytes.clear();
        self.encoder.append(header, &[], raw, bytes)
    }

    /// Writes a block of this payload.
    pub(super) fn block(&mut self, header: BlockHeader, raw: &[u8]) -> Result<(), WriteError> {
        let mut bytes = std::mem::take(&mut self.bytes);
        let result = self
            .encode(header, raw, &mut bytes)
            .and_then(|()| self.append(&bytes));
        self.bytes = bytes;
        result
    }

    /// Writes a block that holds one value.
    pub(super) fn value<T: serde::Serialize>(
        &mut self,
        block_type: BlockType,
        what: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        let mut header = BlockHeader::new(block_type);
        header.count = 1;
        self.block(header, &encode_value(what, value)?)
    }

    /// Writes a gap block.
    pub(super) fn gap(&mut self, gap: &Gap) -> Result<(), WriteError> {
        let mut header = BlockHeader::new(BlockType::Gap);
        header.count = 1;
        header.first = gap.first_seq.unwrap_or(0);
        header.first_t_ns = gap.from_t_ns.0;
        header.last_t_ns = gap.to_t_ns.0;
        self.block(header, &encode_value("gap", gap)?)
    }

    /// Writes a record that people made or a run ended with.
    pub(super) fn record(&mut self, block_type: BlockType, text: &str) -> Result<(), WriteError> {
        if text.len() > RECORD_BYTES_MAX {
            return Err(WriteError::TooLong {
                what: block_type.name(),
                bytes: text.len(),
                limit: RECORD_BYTES_MAX,
            });
        }
        self.value(block_type, block_type.name(), &text)
    }

    fn index(&mut self) -> Result<u64, WriteError> {
        let form = IndexForm::new(self.previous_index, &self.unindexed);
        let at = self.offset;
        let mut header = BlockHeader::new(BlockType::Index);
        header.count = u32::try_from(form.blocks.len()).unwrap_or(u32::MAX);
        let raw = encode_value("index", &form)?;
        self.bytes.clear();
        self.encoder.append(header, &[], &raw, &mut self.bytes)?;
        self.sink.write_all(&self.bytes)?;
        self.offset += self.bytes.len() as u64;
        self.unindexed.clear();
        self.previous_index = Some(at);
        Ok(at)
    }

    /// Repeats run and topology (so that damage at the start costs no names), then index, summary, end.
    /// `continues` says that the run goes on in another reel.
    pub(super) fn finish(
        mut self,
        meta: &ReelMeta,
        topology: &Topology,
        summary: &Summary,
        continues: bool,
    ) -> Result<W, WriteError> {
        self.value(BlockType::Run, "run", meta)?;
        self.value(BlockType::Topology, "topology", topology)?;
        let index = self.index()?;
        let summary_at = self.offset;
        self.value(BlockType::Summary, "summary", summary)?;
        let end = EndForm {
            index,
            summary: summary_at,
            continues,
        };
        self.value(BlockType::End, "end", &end)?;
        self.sink.flush()?;
        Ok(self.sink)
    }
}
