//! Keyframes: the full state after a number of events, so that no seek folds from the start.
//!
//! Belongs here: a keyframe's payload. Does not belong here: when one is written (writer), how a
//! state is serialized (model::state).

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use super::block::{decode_value, encode_value};
use super::error::{DecodeError, WriteError};
use super::format::{BlockHeader, BlockType};
use crate::model::hash::RunHash;
use crate::model::state::SystemState;
use crate::model::topology::Topology;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use xxhash_rust::xxh3::xxh3_128;

/// Version of the state inside; a reader that does not know it folds from the start instead.
const STATE_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct KeyframeForm {
    version: u32,
    events: u64,
    run_hash: RunHash,
    state_hash: Bin,
    state: Bin,
}

/// Bytes as MessagePack `bin`.
struct Bin(Vec<u8>);

/// The header and payload of a keyframe of this state.
pub(super) fn encode(state: &SystemState) -> Result<(BlockHeader, Vec<u8>), WriteError> {
    let bytes = rmp_serde::to_vec(state).map_err(|error| WriteError::Encode {
        what: "state",
        reason: error.to_string(),
    })?;
    let form = KeyframeForm {
        version: STATE_VERSION,
        events: state.event_count(),
        run_hash: state.run_hash(),
        state_hash: Bin(xxh3_128(&bytes).to_be_bytes().to_vec()),
        state: Bin(bytes),
    };
    let mut header = BlockHeader::new(BlockType::Keyframe);
    header.count = 1;
    header.first = state.event_count();
    header.first_t_ns = state.now().0;
    header.last_t_ns = state.now().0;
    Ok((header, encode_value("keyframe", &form)?))
}

/// The state in a keyframe's payload, checked against its own hashes, its header and the topology.
pub(super) fn decode(
    header: &BlockHeader,
    raw: &[u8],
    topology: &Topology,
) -> Result<SystemState, DecodeError> {
    let refuse = |reason: &str| DecodeError::Payload {
        what: "keyframe",
        reason: reason.to_owned(),
    };
    let form: KeyframeForm = decode_value("keyframe", raw)?;
    if form.version != STATE_VERSION {
        return Err(refuse("its state has another version"));
    }
    if form.state_hash.0 != xxh3_128(&form.state.0).to_be_bytes() {
        return Err(refuse("its state does not match its hash"));
    }
    let state: SystemState = decode_value("keyframe state", &form.state.0)?;
    if !state.fits(topology) {
        return Err(refuse("its state is of another topology"));
    }
    let is_same = state.event_count() == form.events
        && state.run_hash() == form.run_hash
        && header.first == form.events
        && header.first_t_ns == state.now().0
        && header.last_t_ns == state.now().0;
    if !is_same {
        return Err(refuse("its header and its state differ"));
    }
    Ok(state)
}

impl Serialize for Bin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Bin;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bin, E> {
                Ok(Bin(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}
