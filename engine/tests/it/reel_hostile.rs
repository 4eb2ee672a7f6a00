//! Reels whose checksums hold and whose content lies.

use crate::reel::{meta, reel, simulated};
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::recording::format::{BlockHeader, BlockType, checksum, encode_trailer};
use flowreel_engine::recording::{
    BatchEncoder, BlockRef, FinishInfo, ReelReader, ReelWriter, recover, verify,
};

/// What every reel begins with, before its first event.
fn beginning() -> Vec<u8> {
    let (topology, _) = simulated(20);
    let writer = ReelWriter::new(Vec::new(), &meta(20), &topology).expect("sound");
    let length = usize::try_from(writer.bytes_written()).expect("short");
    let (mut bytes, _) = writer.finish(&FinishInfo::default()).expect("sound");
    bytes.truncate(length);
    bytes
}

fn block(events: &[StageEvent]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = BatchEncoder::new().expect("zstd starts");
    encoder.encode(events, &mut bytes).expect("within limits");
    bytes
}

/// `seq` of the events that can be read, and what `verify` says.
fn read(blocks: &[Vec<u8>]) -> (Vec<u64>, Vec<String>) {
    let bytes = [beginning(), blocks.concat()].concat();
    let mut reader = ReelReader::from_bytes(bytes).expect("it can be opened");
    let (mut seqs, mut batch) = (Vec::new(), Vec::new());
    for position in 0..reader.event_blocks().len() {
        reader.read_events(position, &mut batch).expect("memory");
        seqs.extend(batch.iter().map(|event| event.seq));
    }
    let checked = verify(&reader).expect("memory");
    (seqs, checked.problems.into_iter().map(|p| p.what).collect())
}

fn check(blocks: &[Vec<u8>], kept: impl Iterator<Item = u64>, said: &str) {
    let (seqs, problems) = read(blocks);
    assert_eq!(seqs, kept.collect::<Vec<u64>>(), "{said}");
    assert!(
        problems.iter().any(|what| what.contains(said)),
        "{said}: {problems:?}"
    );
}

#[test]
fn lies_in_sound_blocks_are_found() {
    let (_, events) = simulated(20);
    let (first, second) = (block(&events[..20]), block(&events[20..40]));
    check(&[first.clone(), first.clone()], 0..20, "twice");
    check(
        &[first.clone(), second.clone(), first.clone()],
        0..40,
        "twice",
    );
    check(
        std::slice::from_ref(&second),
        20..40,
        "events 0 to 19 are missing",
    );
    let mut late = events[20..40].to_vec();
    late.iter_mut().for_each(|event| event.t_ns = TimeNs(1));
    check(&[first.clone(), block(&late)], 0..20, "time runs backwards");
    let mut swapped = events[20..40].to_vec();
    swapped.swap(3, 9);
    check(
        &[first.clone(), block(&swapped)],
        0..20,
        "not those its header promises",
    );
    let mut renumbered = events[20..40].to_vec();
    renumbered[7].seq = u64::MAX;
    check(
        &[first.clone(), block(&renumbered)],
        0..20,
        "not those its header promises",
    );
    let mut detailed = events[20..40].to_vec();
    detailed[7].detail.0 = 9;
    check(
        &[first, block(&detailed)],
        0..40,
        "detail record 9 is missing",
    );
}

#[test]
fn a_keyframe_of_another_run_is_found() {
    let (bytes, events) = reel(1800, 4000);
    let (topology, _) = simulated(20);
    let mut other = ReelWriter::new(Vec::new(), &meta(1800), &topology).unwrap();
    for event in &events {
        let value = event.value + u64::from(event.seq == 0);
        other.push(&StageEvent { value, ..*event }).unwrap();
    }
    let (other, _) = other.finish(&FinishInfo::default()).unwrap();
    let keyframe = |bytes: &[u8]| -> BlockRef {
        ReelReader::from_bytes(bytes.to_vec())
            .unwrap()
            .keyframe_blocks()[0]
    };
    let range = |block: BlockRef| {
        usize::try_from(block.offset).unwrap()..usize::try_from(block.end()).unwrap()
    };
    let (own, foreign) = (keyframe(&bytes), keyframe(&other));
    let mut mixed = bytes[..range(own).start].to_vec();
    mixed.extend_from_slice(&other[range(foreign)]);
    mixed.extend_from_slice(&bytes[range(own).end..]);
    let checked = verify(&ReelReader::from_bytes(mixed.clone()).unwrap()).unwrap();
    let problem = &checked.problems[0];
    assert_eq!(problem.offset, own.offset);
    assert!(problem.what.contains("keyframe"), "{}", problem.what);
    assert!(!saved(&mixed).0.is_empty());
}

/// `seq` of the events that recover saves, and its gaps; what it writes holds.
fn saved(bytes: &[u8]) -> (Vec<u64>, usize) {
    let reader = ReelReader::from_bytes(bytes.to_vec()).expect("sound");
    let (saved, told) = recover(&reader, Vec::new()).expect("sound");
    let checked = verify(&ReelReader::from_bytes(saved.clone()).expect("sound")).expect("sound");
    assert!(checked.holds(), "{:?}", checked.problems);
    (shown(&saved), told.gaps.len())
}

fn shown(bytes: &[u8]) -> Vec<u64> {
    let mut reader = ReelReader::from_bytes(bytes.to_vec()).expect("sound");
    let (mut seqs, mut batch) = (Vec::new(), Vec::new());
    for position in 0..reader.event_blocks().len() {
        reader.read_events(position, &mut batch).expect("sound");
        seqs.extend(batch.iter().map(|event| event.seq));
    }
    seqs
}

/// Changes what a block's header says; its checksum is right again.
fn relabel(bytes: &mut [u8], block: BlockRef, change: impl FnOnce(&mut BlockHeader)) {
    let at = usize::try_from(block.offset).expect("sound");
    let mut header = BlockHeader::decode(&bytes[at..]).expect("sound");
    let filter = bytes[at + 96..header.payload_offset() + at].to_vec();
    change(&mut header);
    bytes[at..at + 96].copy_from_slice(&header.encode(&filter));
}

fn first_events(bytes: &[u8]) -> BlockRef {
    ReelReader::from_bytes(bytes.to_vec())
        .expect("sound")
        .event_blocks()[0]
}

#[test]
fn a_header_that_leaves_out_kinds_is_written_anew() {
    let (mut bytes, events) = reel(20, 4000);
    let block = first_events(&bytes);
    relabel(&mut bytes, block, |header| {
        (header.kinds, header.components) = (0, 1);
    });
    let checked = verify(&ReelReader::from_bytes(bytes.clone()).unwrap()).unwrap();
    assert!(checked.problems[0].what.contains("leaves out kinds"));
    assert_eq!(
        saved(&bytes),
        (events.iter().map(|event| event.seq).collect(), 0)
    );
}

#[test]
fn a_block_that_its_index_describes_otherwise_is_damaged_for_everybody() {
    let (mut bytes, _) = reel(20, 4000);
    let block = first_events(&bytes);
    relabel(&mut bytes, block, |header| header.last_t_ns += 1);
    assert!(ReelReader::from_bytes(bytes.clone()).unwrap().is_complete());
    assert!(!shown(&bytes).contains(&0));
    assert!(!saved(&bytes).0.contains(&0));
}

#[test]
fn records_that_no_event_can_name_are_left_out() {
    let (_, events) = simulated(20);
    // An array of one empty map.
    let payload = [0x91, 0x80];
    for first in [0, 1 << 32, u64::MAX] {
        let header = BlockHeader {
            stored_bytes: 2,
            raw_bytes: 2,
            count: 1,
            first,
            payload_sum: checksum(&payload),
            ..BlockHeader::new(BlockType::Details)
        };
        let end = encode_trailer(u32::try_from(header.block_bytes()).unwrap());
        let details = [header.encode(&[]).as_slice(), &payload, &end].concat();
        let blocks = [details, block(&events[..20])];
        assert_eq!(read(&blocks).0, (0..20).collect::<Vec<u64>>());
        let (_, problems) = read(&blocks);
        let is_told = |what: &String| what.contains("no event can name");
        assert!(problems.iter().any(is_told), "{problems:?}");
        assert_eq!(saved(&[beginning(), blocks.concat()].concat()).0.len(), 20);
    }
}
