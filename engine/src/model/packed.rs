//! Rows of small integers as variable-length bytes: how a stored state stays a few kilobytes.
//!
//! Belongs here: LEB128 and zigzag, written and read with limits. Does not belong here: event
//! batches (recording), which have columns of their own.

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Integers one after the other, in seven-bit groups, lowest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed(Vec<u8>);

impl Packed {
    pub(super) fn push(&mut self, mut word: u64) {
        while word > 0x7f {
            self.0.push(low_bits(word) | 0x80);
            word >>= 7;
        }
        self.0.push(low_bits(word));
    }

    /// `to` as its signed distance from `from`, small where they are near.
    pub(super) fn push_step(&mut self, from: u64, to: u64) {
        let step = to.wrapping_sub(from).cast_signed();
        self.push((step.cast_unsigned() << 1) ^ (step >> 63).cast_unsigned());
    }

    pub(super) fn reader(&self) -> PackedReader<'_> {
        PackedReader(&self.0)
    }
}

const fn low_bits(word: u64) -> u8 {
    (word & 0x7f) as u8
}

/// Reads what [`Packed`] holds; `None` at the end and on what no writer writes.
pub(super) struct PackedReader<'a>(&'a [u8]);

impl PackedReader<'_> {
    pub(super) const fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn next(&mut self) -> Option<u64> {
        let mut word = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if bits.checked_shl(shift)?.checked_shr(shift) != Some(bits) {
                return None;
            }
            word |= bits.checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(word);
            }
        }
        None
    }

    pub(super) fn next_step(&mut self, from: u64) -> Option<u64> {
        let word = self.next()?;
        Some(from.wrapping_add((word >> 1) ^ (word & 1).wrapping_neg()))
    }
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Packed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Packed, E> {
                Ok(Packed(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_back(words in prop::collection::vec(any::<u64>(), 0..50)) {
            let mut packed = Packed::default();
            let mut last = 0;
            for &word in &words {
                packed.push(word);
                packed.push_step(last, word);
                last = word;
            }
            let mut reader = packed.reader();
            let mut last = 0;
            for &word in &words {
                prop_assert_eq!(reader.next(), Some(word));
                prop_assert_eq!(reader.next_step(last), Some(word));
                last = word;
            }
            prop_assert!(reader.is_at_end());
            prop_assert_eq!(reader.next(), None);
        }

        #[test]
        fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            let packed = Packed(bytes);
            let mut reader = packed.reader();
            while reader.next().is_some() {}
        }
    }
}
