//! Blocks of events with any columns: what is accepted comes back the same from the encoder.
//!
//! Belongs here: columns. Does not belong here: whole reels (reader).

use flowreel_engine::recording::format::{BlockHeader, BlockType, checksum, encode_trailer};
use flowreel_engine::recording::{BatchDecoder, BatchEncoder};

/// In the order of the format's document.
const COLUMNS: [u8; 12] = *b"tsrvdcplanko";
/// Most events, so that a constant column of few bytes is not a day's work.
const EVENTS_MAX: u32 = 5000;

/// Takes count (2 bytes), first `seq`, first time (8 each), then each column as its length (1 byte) and its bytes.
pub(crate) fn check(data: &[u8]) {
    let Some((fixed, mut rest)) = data.split_first_chunk::<18>() else {
        return;
    };
    let long = |at: usize| {
        fixed[at..at + 8]
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    let mut payload = vec![0x8c];
    for key in COLUMNS {
        let (length, after) = rest
            .split_first()
            .map_or((0, rest), |(length, after)| (usize::from(*length), after));
        let (column, after) = after.split_at(length.min(after.len()));
        payload.extend_from_slice(&[
            0xa1,
            key,
            0xc4,
            u8::try_from(column.len()).expect("one byte"),
        ]);
        payload.extend_from_slice(column);
        rest = after;
    }
    // What is left comes after the map, where nothing may be.
    payload.extend_from_slice(rest);
    let length = u32::try_from(payload.len()).expect("inputs are short");
    let header = BlockHeader {
        stored_bytes: length,
        raw_bytes: length,
        count: u32::from(u16::from_le_bytes([fixed[0], fixed[1]])).min(EVENTS_MAX),
        first: long(2),
        first_t_ns: long(10),
        payload_sum: checksum(&payload),
        ..BlockHeader::new(BlockType::Events)
    };
    let mut block = header.encode(&[]).to_vec();
    block.extend_from_slice(&payload);
    let whole = u32::try_from(header.block_bytes()).expect("inputs are short");
    block.extend_from_slice(&encode_trailer(whole));
    let mut decoder = BatchDecoder::new().expect("memory");
    let mut events = Vec::new();
    if decoder.decode(&block, &mut events).is_err() {
        assert!(events.is_empty(), "an error leaves nothing behind");
        return;
    }
    assert_eq!(
        events.len(),
        usize::try_from(header.count).expect("32 bits")
    );
    let (mut again, mut decoded) = (Vec::new(), Vec::new());
    let mut encoder = BatchEncoder::new().expect("memory");
    encoder.encode(&events, &mut again).expect("within limits");
    if !events.is_empty() {
        decoder
            .decode(&again, &mut decoded)
            .expect("what was encoded is sound");
    }
    assert!(events == decoded, "what was encoded is what was decoded");
}
