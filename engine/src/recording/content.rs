//! What a block's content must be, whoever reads it.
//!
//! Belongs here: rules that reader, follower, verify and recover share. Does not belong here: bytes (block, batch).

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use super::batch::component_bit;
use super::block::{Block, decode_value};
use super::error::DecodeError;
use super::filter;
use super::format::{BlockType, DETAILS_COUNT_MAX, RECORD_BYTES_MAX};
use super::index::BlockRef;
use super::meta::Detail;
use crate::model::event::StageEvent;

/// Ids of records are 1 to 2^32 - 1.
const ID_END: u64 = 1 << 32;

/// The records of a details block, each within its limit, with ids that events can name.
pub(super) fn decode_details(raw: &[u8], first: u64) -> Result<Vec<Detail>, DecodeError> {
    let count = rmp::decode::read_array_len(&mut &*raw).unwrap_or(0);
    if count > DETAILS_COUNT_MAX {
        return Err(DecodeError::Payload {
            what: "details",
            reason: format!("{count} records are over the limit of {DETAILS_COUNT_MAX}"),
        });
    }
    let records: Vec<Detail> = decode_value("details", raw)?;
    let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
    if first == 0 || first.saturating_add(count) > ID_END {
        return Err(DecodeError::Payload {
            what: "details",
            reason: format!("{count} records from {first} on have ids that no event can name"),
        });
    }
    let length = |detail: &Detail| {
        let facts = detail.0.iter();
        facts.fold(0_usize, |sum, (key, value)| {
            sum.saturating_add(key.len()).saturating_add(value.len())
        })
    };
    match records.iter().map(length).max() {
        Some(bytes) if bytes > RECORD_BYTES_MAX => Err(DecodeError::TooLong {
            what: "detail record",
            bytes,
            limit: RECORD_BYTES_MAX,
        }),
        _ => Ok(records),
    }
}

/// True where events may be missing once a block of this type is damaged: a gap block tells of those that are.
pub(super) const fn hides_events(block_type: Option<BlockType>) -> bool {
    matches!(block_type, Some(BlockType::Events | BlockType::Gap))
}

/// True where the events are those the block's header promises, in order.
pub(super) fn is_in_order(block: &BlockRef, events: &[StageEvent]) -> bool {
    let edges = events.first().zip(events.last());
    let is_framed = edges.is_some_and(|(first, last)| {
        first.t_ns.0 == block.first_t_ns
            && last.t_ns.0 == block.last_t_ns
            && first.seq == block.first
    });
    is_framed
        && u32::try_from(events.len()) == Ok(block.count)
        && block.first.checked_add(u64::from(block.count)).is_some()
        && events
            .iter()
            .zip(events.iter().skip(1))
            .all(|(a, b)| a.t_ns <= b.t_ns && a.seq.checked_add(1) == Some(b.seq))
}

/// True where the block's header and filter name every kind, component and request that occurs, and no other kind or component.
pub(super) fn is_described(block: &Block<'_>, events: &[StageEvent]) -> bool {
    let (mut kinds, mut components) = (0_u128, 0);
    let mut is_filtered = true;
    for event in events {
        kinds |= 1 << (event.kind.code() & 127);
        components |= component_bit(event.component) | component_bit(event.peer);
        is_filtered &= event.request.0 == 0 || filter::may_contain(block.filter, event.request);
    }
    (kinds, components) == (block.header.kinds, block.header.components) && is_filtered
}
