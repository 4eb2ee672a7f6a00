//! What a process says of itself while it lives.
//!
//! Belongs here: the value in the hash of the living. Does not belong here: what silence means (recorder).

use serde::{Deserialize, Serialize};

/// A sign of life; its field in the hash is the process's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::telemetry) struct Mark {
    /// Changes with every sign.
    pub(in crate::telemetry) beat: u64,
    /// All that happened before this moment is in the stream.
    pub(in crate::telemetry) watermark_wall_ns: u64,
}

impl Mark {
    pub(super) fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("numbers always serialize")
    }

    pub(in crate::telemetry) fn decode(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok()
    }
}
