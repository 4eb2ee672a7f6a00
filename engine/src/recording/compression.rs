//! zstd with reused contexts and bounded output.
//!
//! Belongs here: compressing and decompressing one payload. Does not belong here: when it is worth it.

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use super::error::DecodeError;
use super::format::PAYLOAD_BYTES_MAX;
use std::io;

/// Fastest level that still finds the patterns of event columns.
const LEVEL: i32 = 1;

/// Compresses payloads one after the other without allocating anew.
pub(super) struct Compressor {
    context: zstd::bulk::Compressor<'static>,
}

impl Compressor {
    pub(super) fn new() -> io::Result<Self> {
        zstd::bulk::Compressor::new(LEVEL).map(|context| Self { context })
    }

    /// Puts one zstd frame of `raw` into `stored`.
    pub(super) fn compress(&mut self, raw: &[u8], stored: &mut Vec<u8>) -> io::Result<()> {
        stored.clear();
        stored.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        self.context.compress_to_buffer(raw, stored).map(drop)
    }
}

/// Decompresses payloads one after the other without allocating anew.
pub(super) struct Decompressor {
    context: zstd::bulk::Decompressor<'static>,
}

impl Decompressor {
    pub(super) fn new() -> io::Result<Self> {
        zstd::bulk::Decompressor::new().map(|context| Self { context })
    }

    /// Puts the content of one zstd frame into `raw`; it must be exactly `raw_bytes` long.
    pub(super) fn decompress(
        &mut self,
        stored: &[u8],
        raw_bytes: usize,
        raw: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        if raw_bytes > PAYLOAD_BYTES_MAX {
            return Err(DecodeError::TooLong {
                what: "decompressed payload",
                bytes: raw_bytes,
                limit: PAYLOAD_BYTES_MAX,
            });
        }
        raw.resize(raw_bytes, 0);
        // A slice, not the vector: its length bounds the output, whatever the frame promises.
        let written = self
            .context
            .decompress_to_buffer(stored, raw.as_mut_slice())
            .map_err(|error| DecodeError::Compression {
                reason: error.to_string(),
            })?;
        if written != raw_bytes {
            return Err(DecodeError::Compression {
                reason: format!("it gives {written} bytes where {raw_bytes} were promised"),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_stops_at_the_promised_length() {
        let bomb = vec![0; 8 << 20];
        let mut stored = Vec::new();
        Compressor::new()
            .unwrap()
            .compress(&bomb, &mut stored)
            .unwrap();
        assert!(stored.len() < 2000);
        let mut raw = Vec::new();
        let mut decompressor = Decompressor::new().unwrap();
        assert!(decompressor.decompress(&stored, 1000, &mut raw).is_err());
        assert!(decompressor.decompress(&stored, 9 << 20, &mut raw).is_err());
        assert!(
            decompressor
                .decompress(&stored, usize::MAX, &mut raw)
                .is_err()
        );
        decompressor
            .decompress(&stored, bomb.len(), &mut raw)
            .unwrap();
        assert_eq!(raw, bomb);
    }
}
