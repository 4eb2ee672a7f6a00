//! The layout of a reel: file header, block header, trailer, limits, versions, checksums.
//!
//! Belongs here: offsets and fixed bytes, each exactly as docs/reel-format.md says.
//! Does not belong here: what a payload holds (batch, index, keyframe, meta).

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use super::error::DecodeError;
use super::meta::RunId;
use crate::model::event::closed_set;
use xxhash_rust::xxh3::xxh3_64;

/// First bytes of every reel. The high bit, the line ends and the zero show a copy that went through a text filter.
pub const MAGIC: [u8; 8] = *b"\x89FReel\r\n";
/// Readers refuse another major version: it changes what is here.
pub const VERSION_MAJOR: u16 = 1;
/// A minor version only adds block types, payload keys and event kinds.
pub const VERSION_MINOR: u16 = 0;
/// Length of the file header in bytes.
pub const FILE_HEADER_BYTES: usize = 40;

/// First bytes of every block; resynchronising looks for them.
pub const SYNC: [u8; 8] = *b"\xf1Rblk\x00\xff\x1a";
/// Length of a block's header without its filter, in bytes.
pub const BLOCK_HEADER_BYTES: usize = 96;
/// Length of a block's trailer in bytes.
pub const TRAILER_BYTES: usize = 8;
/// Last bytes of every block, after its length.
pub const TRAILER_MARK: [u8; 4] = *b"\xf1end";

/// Most bytes of a payload, stored or raw.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;
/// Most bytes of a whole block.
pub const BLOCK_BYTES_MAX: u32 = BLOCK_BYTES_MIN + 2048 + (16 << 20);
/// Fewest bytes of a whole block.
pub const BLOCK_BYTES_MIN: u32 = 96 + 8;
/// Most bytes of a details payload: decoded, small records take many times their bytes.
pub const DETAILS_BYTES_MAX: usize = 2 << 20;
/// Most records of a details block.
pub const DETAILS_COUNT_MAX: u32 = 1 << 16;
/// Most bytes of an index payload.
pub const INDEX_BYTES_MAX: usize = 4 << 20;
/// Most bytes of one record (detail, annotation, note).
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of a MessagePack value.
pub const DEPTH_MAX: usize = 64;
/// Most events of one block.
pub const BATCH_EVENTS_MAX: usize = 1 << 20;
/// Most bytes of a block's request filter.
pub const FILTER_BYTES_MAX: usize = 2048;

closed_set! {
    /// What a block holds. Codes are never reused; readers step over codes they do not know.
    BlockType {
        /// Where the run came from.
        Run = 1 => "run",
        /// Names of the columns and of the codes in them, for readers in other languages.
        Schema = 2 => "schema",
        /// Components, edges, classes, paths.
        Topology = 3 => "topology",
        /// Stage events.
        Events = 5 => "events",
        /// Detail records.
        Details = 6 => "details",
        /// The full state after a number of events.
        Keyframe = 7 => "keyframe",
        /// Where the blocks since the previous index lie.
        Index = 8 => "index",
        /// The statistics a simulation ended with, as JSON.
        Statistics = 9 => "statistics",
        /// Events that were lost.
        Gap = 10 => "gap",
        /// A note of a person.
        Annotation = 11 => "annotation",
        /// Totals of the whole run.
        Summary = 12 => "summary",
        /// Where summary and index lie; nothing follows it.
        End = 13 => "end",
    }
}

closed_set! {
    /// How a payload is stored.
    Codec {
        /// As it is.
        Raw = 0 => "raw",
        /// One zstd frame.
        Zstd = 1 => "zstd",
    }
}

/// The file header: magic, version, run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// Layout version.
    pub major: u16,
    /// What may have been added since.
    pub minor: u16,
    /// Which run.
    pub run_id: RunId,
}

impl FileHeader {
    /// The header of a reel written by this version.
    #[must_use]
    pub const fn new(run_id: RunId) -> Self {
        Self {
            major: VERSION_MAJOR,
            minor: VERSION_MINOR,
            run_id,
        }
    }

    /// The 40 bytes a reel starts with.
    #[must_use]
    pub fn encode(&self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = [0; FILE_HEADER_BYTES];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &self.major.to_le_bytes());
        put(&mut bytes, 10, &self.minor.to_le_bytes());
        put(&mut bytes, 16, &self.run_id.0);
        let sum = checksum(bytes.get(..32).unwrap_or_default());
        put(&mut bytes, 32, &sum.to_le_bytes());
        bytes
    }

    /// Reads the first bytes of a reel.
    ///
    /// # Errors
    /// What is wrong with them: not a reel, cut off, damaged, another major version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some(header) = bytes.first_chunk::<FILE_HEADER_BYTES>() else {
            let is_start = MAGIC.starts_with(bytes.get(..MAGIC.len()).unwrap_or(bytes));
            return Err(if is_start && !bytes.is_empty() {
                DecodeError::CutOff {
                    what: "file header",
                    needed: FILE_HEADER_BYTES,
                    present: bytes.len(),
                }
            } else {
                DecodeError::NotAReel
            });
        };
        if !header.starts_with(&MAGIC) {
            return Err(DecodeError::NotAReel);
        }
        let this = Self {
            major: u16::from_le_bytes(take(header, 8)?),
            minor: u16::from_le_bytes(take(header, 10)?),
            run_id: RunId(take(header, 16)?),
        };
        let sum = checksum(header.get(..32).unwrap_or_default());
        if sum != u64::from_le_bytes(take(header, 32)?) || take::<4>(header, 12)? != [0; 4] {
            return Err(DecodeError::Checksum {
                what: "file header",
            });
        }
        if this.major != VERSION_MAJOR {
            return Err(DecodeError::Version { found: this.major });
        }
        Ok(this)
    }
}

/// A block's header: what is in it, how long it is, checksums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Code of the block's type; not [`BlockType`], for unknown ones are stepped over.
    pub type_code: u8,
    /// How the payload is stored.
    pub codec: Codec,
    /// Length of the payload as stored, in bytes.
    pub stored_bytes: u32,
    /// Length of the payload once decompressed, in bytes.
    pub raw_bytes: u32,
    /// Events or records in it.
    pub count: u32,
    /// Events: `seq` of the first. Details: id of the first. Keyframe: events folded. Else 0.
    pub first: u64,
    /// Time of the first event in it, in ns.
    pub first_t_ns: u64,
    /// Time of the last event in it, in ns.
    pub last_t_ns: u64,
    /// Bit `code` for each event kind that occurs.
    pub kinds: u128,
    /// Bit `id mod 128` for each component that occurs, as `component` or as `peer`.
    pub components: u128,
    /// xxh3-64 of the stored payload.
    pub payload_sum: u64,
    /// Length of the request filter that follows the header, in bytes.
    pub filter_bytes: u16,
}

impl BlockHeader {
    /// A header with no content described yet.
    #[must_use]
    pub const fn new(block_type: BlockType) -> Self {
        Self {
            type_code: block_type.code(),
            codec: Codec::Raw,
            stored_bytes: 0,
            raw_bytes: 0,
            count: 0,
            first: 0,
            first_t_ns: 0,
            last_t_ns: 0,
            kinds: 0,
            components: 0,
            payload_sum: 0,
            filter_bytes: 0,
        }
    }

    /// The type, or `None` where a newer version added it.
    #[must_use]
    pub const fn block_type(&self) -> Option<BlockType> {
        BlockType::from_code(self.type_code)
    }

    /// From the sync mark to the payload, in bytes.
    #[must_use]
    pub fn payload_offset(&self) -> usize {
        BLOCK_HEADER_BYTES.saturating_add(usize::from(self.filter_bytes))
    }

    /// From the sync mark to the end of the trailer, in bytes.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        self.payload_offset()
            .saturating_add(usize::try_from(self.stored_bytes).unwrap_or(usize::MAX))
            .saturating_add(TRAILER_BYTES)
    }

    /// The 96 bytes before the filter; `filter` is covered by the header's checksum.
    #[must_use]
    pub fn encode(&self, filter: &[u8]) -> [u8; BLOCK_HEADER_BYTES] {
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        put(&mut bytes, 0, &SYNC);
        put(&mut bytes, 8, &[self.type_code, self.codec.code()]);
        put(&mut bytes, 10, &self.filter_bytes.to_le_bytes());
        put(&mut bytes, 12, &self.stored_bytes.to_le_bytes());
        put(&mut bytes, 16, &self.raw_bytes.to_le_bytes());
        put(&mut bytes, 20, &self.count.to_le_bytes());
        put(&mut bytes, 24, &self.first.to_le_bytes());
        put(&mut bytes, 32, &self.first_t_ns.to_le_bytes());
        put(&mut bytes, 40, &self.last_t_ns.to_le_bytes());
        put(&mut bytes, 48, &self.kinds.to_le_bytes());
        put(&mut bytes, 64, &self.components.to_le_bytes());
        put(&mut bytes, 80, &self.payload_sum.to_le_bytes());
        let sum = header_checksum(&bytes, filter);
        put(&mut bytes, 88, &sum.to_le_bytes());
        bytes
    }

    /// Reads a block's header and filter from the bytes at its sync mark.
    ///
    /// # Errors
    /// [`DecodeError::CutOff`] where bytes are missing, others where they are no header.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some(header) = bytes.first_chunk::<BLOCK_HEADER_BYTES>() else {
            let seen = bytes.get(..SYNC.len()).unwrap_or(bytes);
            return Err(if SYNC.starts_with(seen) {
                cut_off("block header", BLOCK_HEADER_BYTES, bytes)
            } else {
                DecodeError::Sync
            });
        };
        if !header.starts_with(&SYNC) {
            return Err(DecodeError::Sync);
        }
        let filter_bytes = u16::from_le_bytes(take(header, 10)?);
        if usize::from(filter_bytes) > FILTER_BYTES_MAX {
            return Err(DecodeError::Checksum {
                what: "block header",
            });
        }
        let end = BLOCK_HEADER_BYTES.saturating_add(usize::from(filter_bytes));
        let Some(filter) = bytes.get(BLOCK_HEADER_BYTES..end) else {
            return Err(cut_off("request filter", end, bytes));
        };
        if header_checksum(header, filter) != u64::from_le_bytes(take(header, 88)?) {
            return Err(DecodeError::Checksum {
                what: "block header",
            });
        }
        let [type_code, codec_code] = take::<2>(header, 8)?;
        let codec = Codec::from_code(codec_code).ok_or(DecodeError::Codec { code: codec_code })?;
        let this = Self {
            type_code,
            codec,
            stored_bytes: u32::from_le_bytes(take(header, 12)?),
            raw_bytes: u32::from_le_bytes(take(header, 16)?),
            count: u32::from_le_bytes(take(header, 20)?),
            first: u64::from_le_bytes(take(header, 24)?),
            first_t_ns: u64::from_le_bytes(take(header, 32)?),
            last_t_ns: u64::from_le_bytes(take(header, 40)?),
            kinds: u128::from_le_bytes(take(header, 48)?),
            components: u128::from_le_bytes(take(header, 64)?),
            payload_sum: u64::from_le_bytes(take(header, 80)?),
            filter_bytes,
        };
        let limit = match this.block_type() {
            Some(BlockType::Details) => DETAILS_BYTES_MAX,
            Some(BlockType::Index) => INDEX_BYTES_MAX,
            _ => PAYLOAD_BYTES_MAX,
        };
        for length in [this.stored_bytes, this.raw_bytes] {
            let bytes = usize::try_from(length).unwrap_or(usize::MAX);
            if bytes > limit {
                return Err(DecodeError::TooLong {
                    what: "block",
                    bytes,
                    limit,
                });
            }
        }
        Ok(this)
    }
}

/// The eight bytes a block of this length ends with.
#[must_use]
pub fn encode_trailer(block_bytes: u32) -> [u8; TRAILER_BYTES] {
    let mut bytes = [0; TRAILER_BYTES];
    put(&mut bytes, 0, &block_bytes.to_le_bytes());
    put(&mut bytes, 4, &TRAILER_MARK);
    bytes
}

/// The length of the block that ends with these eight bytes; `None` where they are no trailer.
#[must_use]
pub fn decode_trailer(bytes: &[u8]) -> Option<u32> {
    let (length, mark) = bytes.split_first_chunk::<4>()?;
    (mark == TRAILER_MARK).then(|| u32::from_le_bytes(*length))
}

/// xxh3-64, seed 0.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

fn header_checksum(header: &[u8; BLOCK_HEADER_BYTES], filter: &[u8]) -> u64 {
    let fixed = header.get(..88).unwrap_or_default();
    if filter.is_empty() {
        return checksum(fixed);
    }
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    hasher.update(fixed);
    hasher.update(filter);
    hasher.digest()
}

fn cut_off(what: &'static str, needed: usize, bytes: &[u8]) -> DecodeError {
    DecodeError::CutOff {
        what,
        needed,
        present: bytes.len(),
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    let target = bytes
        .get_mut(at..)
        .and_then(|rest| rest.get_mut(..value.len()));
    if let Some(target) = target {
        target.copy_from_slice(value);
    }
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], DecodeError> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .ok_or_else(|| cut_off("header", at.saturating_add(N), bytes))
}

const _: () = assert!(
    BLOCK_BYTES_MIN as usize == BLOCK_HEADER_BYTES + TRAILER_BYTES
        && BLOCK_BYTES_MAX as usize
            == BLOCK_BYTES_MIN as usize + FILTER_BYTES_MAX + PAYLOAD_BYTES_MAX
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_and_every_flipped_bit_shows() {
        let header = FileHeader::new(RunId([7; 16]));
        let bytes = header.encode();
        assert_eq!(FileHeader::decode(&bytes), Ok(header));
        let block = BlockHeader {
            count: 3,
            first: 9,
            kinds: 1 << 114,
            filter_bytes: 8,
            ..BlockHeader::new(BlockType::Events)
        };
        let mut block_bytes = block.encode(&[5; 8]).to_vec();
        block_bytes.extend([5; 8]);
        assert_eq!(BlockHeader::decode(&block_bytes), Ok(block));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(FileHeader::decode(&flipped).is_err(), "bit {bit}");
        }
        for bit in 0..block_bytes.len() * 8 {
            let mut flipped = block_bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(BlockHeader::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_major_version_is_named() {
        let newer = FileHeader {
            major: 2,
            ..FileHeader::new(RunId([0; 16]))
        };
        assert_eq!(
            FileHeader::decode(&newer.encode()),
            Err(DecodeError::Version { found: 2 })
        );
    }
}
