//! Reels out of any bytes: without right lengths and checksums a fuzzer would not get past the door.
//!
//! Belongs here: cutting bytes into blocks and sealing them. Does not belong here: what is read from them.

use flowreel_engine::recording::RunId;
use flowreel_engine::recording::format::{
    BLOCK_HEADER_BYTES, BlockHeader, BlockType, Codec, FILE_HEADER_BYTES, FileHeader, SYNC,
    TRAILER_BYTES, TRAILER_MARK, checksum, encode_trailer,
};

/// A block whose codec has this bit stays as it is: damage among whole blocks.
const AS_IT_IS: u8 = 0x80;

/// The bytes after the first one, as they are where it is even, sealed where it is odd.
pub(crate) fn reel(data: &[u8]) -> Vec<u8> {
    match data.split_first() {
        Some((choice, rest)) if choice & 1 == 1 => seal(rest),
        Some((_, rest)) => rest.to_vec(),
        None => Vec::new(),
    }
}

/// The bytes cut at their sync marks, every piece made a whole block, after a sound file header.
fn seal(bytes: &[u8]) -> Vec<u8> {
    let mut run_id = [0; 16];
    for (target, byte) in run_id.iter_mut().zip(bytes.iter().skip(16)) {
        *target = *byte;
    }
    let mut sealed = FileHeader::new(RunId(run_id)).encode().to_vec();
    let rest = bytes.get(FILE_HEADER_BYTES..).unwrap_or_default();
    let marks = rest.windows(SYNC.len()).enumerate();
    let mut starts: Vec<usize> = marks
        .filter(|(_, window)| *window == SYNC)
        .map(|(start, _)| start)
        .collect();
    sealed.extend_from_slice(&rest[..starts.first().copied().unwrap_or(rest.len())]);
    starts.push(rest.len());
    for pair in starts.windows(2) {
        seal_block(&rest[pair[0]..pair[1]], &mut sealed);
    }
    sealed
}

fn seal_block(piece: &[u8], sealed: &mut Vec<u8>) {
    let Some((header, body)) = piece.split_first_chunk::<BLOCK_HEADER_BYTES>() else {
        sealed.extend_from_slice(piece);
        return;
    };
    if header[9] & AS_IT_IS != 0 {
        sealed.extend_from_slice(piece);
        return;
    }
    let number = |at: usize, length: usize| {
        let bytes = &header[at..at + length];
        bytes
            .iter()
            .rev()
            .fold(0_u128, |value, byte| value << 8 | u128::from(*byte))
    };
    let short = |at: usize| u32::try_from(number(at, 4)).expect("four bytes");
    let long = |at: usize| u64::try_from(number(at, 8)).expect("eight bytes");
    let filter_bytes = usize::try_from(number(10, 2))
        .expect("two bytes")
        .min(body.len());
    let (filter, payload) = body.split_at(filter_bytes);
    let payload = payload
        .strip_suffix(&TRAILER_MARK)
        .and_then(|payload| payload.get(..payload.len().checked_sub(TRAILER_BYTES - 4)?))
        .unwrap_or(payload);
    let mut raw = payload.to_vec();
    if header[8] == BlockType::Keyframe.code() {
        seal_keyframe(&mut raw);
    }
    // 0 as it is, 1 what a compressor is said to have made, 2 and 3 compressed here.
    let (codec, stored) = match header[9] & 3 {
        0 => (Codec::Raw, raw.clone()),
        1 => (Codec::Zstd, raw.clone()),
        _ => (Codec::Zstd, zstd::bulk::compress(&raw, 1).expect("memory")),
    };
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("inputs are short");
    let told = short(16);
    let block = BlockHeader {
        type_code: header[8],
        codec,
        stored_bytes: length(&stored),
        // A length with its upper byte full is a lie that stays.
        raw_bytes: if told >> 24 == 0xff {
            told & 0xff_ffff
        } else {
            length(&raw)
        },
        count: short(20),
        first: long(24),
        first_t_ns: long(32),
        last_t_ns: long(40),
        kinds: number(48, 16),
        components: number(64, 16),
        payload_sum: checksum(&stored),
        filter_bytes: u16::try_from(filter.len()).expect("two bytes"),
    };
    sealed.extend_from_slice(&block.encode(filter));
    sealed.extend_from_slice(filter);
    sealed.extend_from_slice(&stored);
    let whole = u32::try_from(block.block_bytes()).expect("inputs are short");
    sealed.extend_from_slice(&encode_trailer(whole));
}

/// Gives a keyframe the length and the hash of the state that it ends with.
fn seal_keyframe(payload: &mut Vec<u8>) {
    const HASH_KEY: &[u8] = b"\xaastate_hash\xc4\x10";
    const STATE_KEY: &[u8] = b"\xa5state";
    let find = |key: &[u8]| payload.windows(key.len()).position(|window| window == key);
    let (Some(hash), Some(state)) = (find(HASH_KEY), find(STATE_KEY)) else {
        return;
    };
    let (hash, length) = (hash + HASH_KEY.len(), state + STATE_KEY.len());
    let length_bytes = match payload.get(length) {
        Some(0xc4) => 2,
        Some(0xc5) => 3,
        Some(0xc6) => 5,
        _ => return,
    };
    let Some(bytes) = payload.get(length + length_bytes..).map(<[u8]>::to_vec) else {
        return;
    };
    if hash + 16 > length {
        return;
    }
    payload.truncate(length);
    payload.push(0xc6);
    payload.extend_from_slice(
        &u32::try_from(bytes.len())
            .expect("inputs are short")
            .to_be_bytes(),
    );
    payload.extend_from_slice(&bytes);
    let sum = xxhash_rust::xxh3::xxh3_128(&bytes).to_be_bytes();
    payload[hash..hash + 16].copy_from_slice(&sum);
}
