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

use super::block::decode_value;
use super::error::DecodeError;
use super::format::RECORD_BYTES_MAX;
use super::index::BlockRef;
use super::meta::Detail;
use crate::model::event::StageEvent;

/// The records of a details block, each within its limit.
pub(super) fn decode_details(raw: &[u8]) -> Result<Vec<Detail>, DecodeError> {
    let records: Vec<Detail> = decode_value("details", raw)?;
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
        && events
            .iter()
            .zip(events.iter().skip(1))
            .all(|(a, b)| a.t_ns <= b.t_ns && a.seq.checked_add(1) == Some(b.seq))
}
