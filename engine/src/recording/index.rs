//! Where blocks lie: index blocks and the end block.
//!
//! Belongs here: their values and bytes. Does not belong here: finding blocks without them (scan, walk).

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use super::format::{BlockHeader, BlockType};
use serde::{Deserialize, Serialize};

/// One block of a reel and what its header says, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRef {
    /// Code of its type; see [`Self::block_type`].
    pub type_code: u8,
    /// Where its sync mark lies, from the start of the reel.
    pub offset: u64,
    /// From sync mark to the end of its trailer.
    pub bytes: u32,
    /// Events or records in it.
    pub count: u32,
    /// As in the block's header.
    pub first: u64,
    /// Time of its first event in ns.
    pub first_t_ns: u64,
    /// Time of its last event in ns.
    pub last_t_ns: u64,
}

impl BlockRef {
    pub(super) fn new(offset: u64, header: &BlockHeader) -> Self {
        Self {
            type_code: header.type_code,
            offset,
            bytes: u32::try_from(header.block_bytes()).unwrap_or(u32::MAX),
            count: header.count,
            first: header.first,
            first_t_ns: header.first_t_ns,
            last_t_ns: header.last_t_ns,
        }
    }

    /// Its type, or `None` where a newer version added it.
    #[must_use]
    pub const fn block_type(&self) -> Option<BlockType> {
        BlockType::from_code(self.type_code)
    }

    /// Where the next block begins.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.bytes))
    }

    /// `seq` of the first event after this block of events.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }
}

/// Payload of an index block: the blocks since the previous one, each as an array in the order of [`BlockRef`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IndexForm {
    /// Offset of the previous index block.
    pub(super) previous: Option<u64>,
    /// Every block since then, in order.
    pub(super) blocks: Vec<(u8, u64, u32, u32, u64, u64, u64)>,
}

impl IndexForm {
    pub(super) fn new(previous: Option<u64>, blocks: &[BlockRef]) -> Self {
        Self {
            previous,
            blocks: blocks
                .iter()
                .map(|block| {
                    (
                        block.type_code,
                        block.offset,
                        block.bytes,
                        block.count,
                        block.first,
                        block.first_t_ns,
                        block.last_t_ns,
                    )
                })
                .collect(),
        }
    }

    pub(super) fn refs(&self) -> impl DoubleEndedIterator<Item = BlockRef> + '_ {
        self.blocks.iter().map(
            |&(type_code, offset, bytes, count, first, first_t_ns, last_t_ns)| BlockRef {
                type_code,
                offset,
                bytes,
                count,
                first,
                first_t_ns,
                last_t_ns,
            },
        )
    }
}

/// Payload of the end block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EndForm {
    /// Offset of the last index block.
    pub(super) index: u64,
    /// Offset of the summary block.
    pub(super) summary: u64,
    /// The run goes on in another reel.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) continues: bool,
}

/// Payload of the schema block: what a reader in another language needs to name things.
#[derive(Debug, Serialize)]
pub(super) struct SchemaForm {
    columns: Vec<(char, &'static str)>,
    kinds: Vec<(u8, &'static str)>,
    outcomes: Vec<(u8, &'static str)>,
}

impl SchemaForm {
    pub(super) fn new() -> Self {
        use crate::model::event::{EventKind, Outcome};
        Self {
            columns: super::batch::COLUMNS.to_vec(),
            kinds: EventKind::ALL
                .iter()
                .map(|kind| (kind.code(), kind.name()))
                .collect(),
            outcomes: Outcome::ALL
                .iter()
                .map(|outcome| (outcome.code(), outcome.name()))
                .collect(),
        }
    }
}
