//! Whole blocks: header, filter, payload, trailer.
//!
//! Belongs here: putting one together, taking one apart and checking it. Does not belong here:
//! what a payload means; where a block lies in a reel.

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use super::compression::{Compressor, Decompressor};
use super::error::{DecodeError, WriteError};
use super::format::{
    BLOCK_HEADER_BYTES, BlockHeader, Codec, DEPTH_MAX, PAYLOAD_BYTES_MAX, TRAILER_BYTES, checksum,
    decode_trailer, encode_trailer,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;

/// Payloads shorter than this are stored as they are.
const COMPRESS_BYTES_MIN: usize = 128;

/// Puts blocks together; its buffers are reused.
pub(super) struct BlockEncoder {
    compressor: Compressor,
    compressed: Vec<u8>,
}

impl BlockEncoder {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            compressor: Compressor::new()?,
            compressed: Vec::new(),
        })
    }

    /// Appends one block to `out`. Lengths, codec and checksums of `header` are filled in here.
    pub(super) fn append(
        &mut self,
        mut header: BlockHeader,
        filter: &[u8],
        raw: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        if raw.len() > PAYLOAD_BYTES_MAX {
            return Err(WriteError::TooLong {
                what: "block",
                bytes: raw.len(),
                limit: PAYLOAD_BYTES_MAX,
            });
        }
        let mut stored = raw;
        header.codec = Codec::Raw;
        if raw.len() >= COMPRESS_BYTES_MIN {
            self.compressor.compress(raw, &mut self.compressed)?;
            if self.compressed.len() < raw.len() {
                stored = &self.compressed;
                header.codec = Codec::Zstd;
            }
        }
        header.raw_bytes = length_u32(raw.len());
        header.stored_bytes = length_u32(stored.len());
        header.filter_bytes = u16::try_from(filter.len()).unwrap_or(u16::MAX);
        header.payload_sum = checksum(stored);
        out.extend_from_slice(&header.encode(filter));
        out.extend_from_slice(filter);
        out.extend_from_slice(stored);
        out.extend_from_slice(&encode_trailer(length_u32(header.block_bytes())));
        Ok(())
    }
}

fn length_u32(length: usize) -> u32 {
    // Payloads are limited to 16 MiB before they get here.
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// One block taken apart; the payload is still as stored.
#[derive(Clone, Debug)]
pub(super) struct Block<'a> {
    pub(super) header: BlockHeader,
    /// The whole block as stored.
    pub(super) bytes: &'a [u8],
    pub(super) filter: &'a [u8],
    pub(super) payload: &'a [u8],
}

impl<'a> Block<'a> {
    /// The block at the start of `bytes`, checked.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(Self::after_check(Self::check(bytes)?, bytes))
    }

    /// The block that [`Self::check`] found at the start of `bytes`.
    pub(super) fn after_check(header: BlockHeader, bytes: &'a [u8]) -> Self {
        let own = |range| bytes.get(range).unwrap_or_default();
        Self {
            bytes: own(0..header.block_bytes()),
            filter: own(BLOCK_HEADER_BYTES..header.payload_offset()),
            payload: own(payload_range(&header)),
            header,
        }
    }

    /// Checks the block at the start of `bytes`: header, lengths, checksums, trailer.
    pub(super) fn check(bytes: &[u8]) -> Result<BlockHeader, DecodeError> {
        let header = BlockHeader::decode(bytes)?;
        let block_bytes = header.block_bytes();
        let Some(own) = bytes.get(..block_bytes) else {
            return Err(DecodeError::CutOff {
                what: "block",
                needed: block_bytes,
                present: bytes.len(),
            });
        };
        let range = payload_range(&header);
        let trailer = own.get(range.end..).unwrap_or_default();
        if checksum(own.get(range).unwrap_or_default()) != header.payload_sum {
            return Err(DecodeError::Checksum { what: "payload" });
        }
        if decode_trailer(trailer) != u32::try_from(block_bytes).ok() {
            return Err(DecodeError::Trailer);
        }
        Ok(header)
    }

    /// The payload as it was before it was stored; `buffer` holds it where it was compressed.
    pub(super) fn raw<'b>(
        &self,
        decompressor: &mut Decompressor,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], DecodeError>
    where
        'a: 'b,
    {
        let raw_bytes = usize::try_from(self.header.raw_bytes).unwrap_or(usize::MAX);
        match self.header.codec {
            Codec::Raw if self.payload.len() == raw_bytes => Ok(self.payload),
            Codec::Raw => Err(DecodeError::Compression {
                reason: String::from("stored and raw length differ without compression"),
            }),
            Codec::Zstd => {
                decompressor.decompress(self.payload, raw_bytes, buffer)?;
                Ok(buffer)
            }
        }
    }
}

fn payload_range(header: &BlockHeader) -> std::ops::Range<usize> {
    header.payload_offset()..header.block_bytes().saturating_sub(TRAILER_BYTES)
}

/// A value as MessagePack, with names.
pub(super) fn encode_value<T: Serialize>(
    what: &'static str,
    value: &T,
) -> Result<Vec<u8>, WriteError> {
    rmp_serde::to_vec_named(value).map_err(|error| WriteError::Encode {
        what,
        reason: error.to_string(),
    })
}

/// A value out of MessagePack, no deeper than [`DEPTH_MAX`], with nothing after it.
pub(super) fn decode_value<T: DeserializeOwned>(
    what: &'static str,
    raw: &[u8],
) -> Result<T, DecodeError> {
    let refuse = |reason: String| DecodeError::Payload { what, reason };
    let mut rest = raw;
    let mut deserializer = rmp_serde::Deserializer::new(&mut rest);
    deserializer.set_max_depth(DEPTH_MAX);
    let value = T::deserialize(&mut deserializer).map_err(|error| refuse(error.to_string()))?;
    if !rest.is_empty() {
        return Err(refuse(String::from("bytes follow it")));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::super::format::BlockType;
    use super::*;

    #[test]
    fn a_block_comes_back_and_every_flipped_bit_shows() {
        let mut encoder = BlockEncoder::new().unwrap();
        let mut decompressor = Decompressor::new().unwrap();
        for raw in [b"short".to_vec(), vec![7; 1000]] {
            let mut bytes = Vec::new();
            let header = BlockHeader::new(BlockType::Annotation);
            encoder.append(header, &[1; 16], &raw, &mut bytes).unwrap();
            let block = Block::decode(&bytes).unwrap();
            let mut buffer = Vec::new();
            assert_eq!(block.raw(&mut decompressor, &mut buffer), Ok(&raw[..]));
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(Block::decode(&flipped).is_err(), "bit {bit}");
            }
            for length in 0..bytes.len() {
                let cut = Block::decode(&bytes[..length]);
                assert!(matches!(cut, Err(DecodeError::CutOff { .. })), "{length}");
            }
        }
    }

    #[test]
    fn deep_nesting_and_lying_lengths_are_refused() {
        let deep = vec![0x91; 10_000];
        assert!(decode_value::<serde_json::Value>("value", &deep).is_err());
        let long = [0xdd, 0xff, 0xff, 0xff, 0xff, 1];
        assert!(decode_value::<Vec<u64>>("value", &long).is_err());
        assert!(decode_value::<u8>("value", &[1, 2]).is_err());
    }
}
