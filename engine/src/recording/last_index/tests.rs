//! A reel without an end is opened by its last index, and shows what hopping through all of it shows.

use super::super::batch::BatchEncoder;
use super::super::meta::{GapReason, ReelMeta, RunId, RunSource};
use super::super::reader::ReelReader;
use super::super::scan::has_trailer;
use super::super::sink::BlockSink;
use super::*;
use crate::model::event::{EventKind, StageEvent};
use crate::model::id::ComponentId;
use crate::model::time::TimeNs;
use crate::model::topology::Topology;
use proptest::prelude::*;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A reel of so many blocks with two events each, cut off before any end.
fn torn(blocks: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let meta = ReelMeta::new(RunId([5; 16]), RunSource::Live);
    let mut sink = BlockSink::new(&mut bytes, &meta, &Topology::default()).unwrap();
    let mut encoder = BatchEncoder::new().unwrap();
    for number in 0..blocks {
        let event = |seq: u64| StageEvent {
            seq,
            value: seq.wrapping_mul(0x9e37_79b9),
            ..StageEvent::new(TimeNs(seq * 1000), EventKind::Arrived, ComponentId(0))
        };
        let mut block = Vec::new();
        let pair = [event(2 * number), event(2 * number + 1)];
        encoder.encode(&pair, &mut block).unwrap();
        sink.append(&block).unwrap();
    }
    drop(sink);
    bytes
}

/// What is found, and how often the bytes were read for it.
fn found(bytes: &[u8]) -> (Found, usize) {
    let source = Source::Counted(bytes.to_vec(), AtomicUsize::new(0));
    let mut decoder = BatchDecoder::new().unwrap();
    let found = super::super::scan::find_blocks(&source, &mut decoder, bytes.len() as u64).unwrap();
    let Source::Counted(_, reads) = source else {
        unreachable!("made so above");
    };
    (found, reads.into_inner())
}

fn hopped(bytes: &[u8]) -> Found {
    by_hopping(
        &Source::Memory(bytes.to_vec()),
        BLOCKS_BEGIN,
        bytes.len() as u64,
    )
    .unwrap()
}

#[test]
fn a_torn_reel_is_opened_by_its_indexes_and_its_tail() {
    for indexes in [1_u64, 2, 8] {
        // Three blocks begin each reel; twenty follow the last index.
        let bytes = torn(512 * indexes - 3 + 20);
        for cut in [0, 5, 100] {
            let bytes = &bytes[..bytes.len() - cut];
            let (found, reads) = found(bytes);
            assert_eq!(found.blocks, hopped(bytes).blocks);
            assert_eq!(found.holes.len(), usize::from(cut > 0));
            // Back over the tail by trailer and header, two for each index, forward over the tail likewise.
            let most = usize::try_from(20 * 4 + 2 * indexes + 10).unwrap();
            assert!(
                reads <= most,
                "{indexes} indexes, {cut} cut: {reads} reads, at most {most}"
            );
        }
    }
}

#[test]
fn without_a_whole_index_every_header_is_read() {
    let bytes = torn(300);
    let (found, reads) = found(&bytes);
    assert_eq!(found.blocks, hopped(&bytes).blocks);
    assert_eq!(found.blocks.len(), 303);
    assert!(reads > 300);
}

#[test]
fn indexes_that_lie_are_left_aside() {
    let bytes = torn(1100);
    let blocks = hopped(&bytes).blocks;
    let index = |nth: usize| {
        let is_index = |block: &&BlockRef| block.block_type() == Some(BlockType::Index);
        blocks.iter().filter(is_index).nth(nth).copied().unwrap()
    };
    let (first, last) = (index(0), index(1));
    let own = blocks[..514].iter().skip(500).copied().collect::<Vec<_>>();
    let mut overlapping = own.clone();
    overlapping[3].offset -= 50;
    let mut long = own.clone();
    long[3].bytes = u32::MAX;
    let mut empty = own.clone();
    empty[3].bytes = 0;
    let lies = [
        (Some(last.end()), own.clone()),
        (Some(last.offset), own.clone()),
        (Some(first.offset + 7), own.clone()),
        (None, own.clone()),
        (None, Vec::new()),
        (Some(first.offset), Vec::new()),
        (Some(u64::MAX), own),
        (Some(first.offset), overlapping),
        (Some(first.offset), long),
        (Some(first.offset), empty),
    ];
    for (previous, listed) in lies {
        let form = IndexForm::new(previous, &listed);
        let raw = super::super::block::encode_value("index", &form).unwrap();
        let header = super::super::format::BlockHeader::new(BlockType::Index);
        let mut lying = bytes.clone();
        let mut encoder = super::super::block::BlockEncoder::new().unwrap();
        encoder.append(header, &[], &raw, &mut lying).unwrap();
        let (found, _) = found(&lying);
        assert_eq!(found.blocks, hopped(&lying).blocks, "{form:?}");
        assert_eq!(found.blocks.len(), blocks.len() + 1);
    }
}

static LONG: LazyLock<Vec<u8>> = LazyLock::new(|| torn(1700));

/// Events and gaps that a reader shows once it has read everything.
fn shown(mut reader: ReelReader) -> (Vec<StageEvent>, Vec<super::super::meta::Gap>) {
    let (mut all, mut batch) = (Vec::new(), Vec::new());
    for position in 0..reader.event_blocks().len() {
        reader.read_events(position, &mut batch).unwrap();
        all.extend_from_slice(&batch);
    }
    (all, reader.gaps().to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn damage_shows_the_same_either_way(
        cut in 0_u32..400_000,
        flips in proptest::collection::vec((any::<u32>(), 0_u8..8), 0..6),
        hits_an_index in any::<bool>(),
    ) {
        let mut bytes = LONG.clone();
        let at = |number: u32, length: usize| usize::try_from(number).unwrap() % length;
        // Without its first blocks a torn reel has no names.
        let named = usize::try_from(hopped(&bytes).blocks[2].end()).unwrap();
        bytes.truncate(bytes.len() - at(cut, bytes.len() - named));
        for (position, bit) in flips {
            let at = named + at(position, bytes.len() - named);
            bytes[at] ^= 1 << bit;
        }
        if hits_an_index {
            let blocks = hopped(&bytes).blocks;
            let index = blocks.iter().rfind(|block| block.block_type() == Some(BlockType::Index));
            if let Some(index) = index {
                bytes[usize::try_from(index.offset).unwrap() + 120] ^= 1;
            }
        }
        let by_header = hopped(&bytes);
        let (by_index, _) = found(&bytes);
        let source = Source::Memory(bytes.clone());
        let mut buffer = Vec::new();
        let mut whole = by_index.blocks;
        whole.retain(|block| {
            read_header(&source, block.offset, &mut buffer).unwrap().is_ok()
                && has_trailer(&source, block, &mut buffer).unwrap()
        });
        prop_assert_eq!(whole, by_header.blocks);
        let hopping = ReelReader::found_by(source, |source, _, length| {
            Ok(by_hopping(source, BLOCKS_BEGIN, length)?)
        });
        let (events, gaps) = shown(hopping.unwrap());
        let (same, told) = shown(ReelReader::from_bytes(bytes).unwrap());
        prop_assert_eq!(events, same);
        if gaps.iter().all(|gap| gap.events.is_some() && gap.reason == GapReason::Damaged) {
            prop_assert_eq!(gaps, told);
        }
    }
}

#[test]
fn a_reel_of_other_counts_is_counted() {
    // The counting source reads as memory does.
    let source = Source::Counted(vec![1, 2, 3], AtomicUsize::new(0));
    let mut buffer = Vec::new();
    source.read(1, 9, &mut buffer).unwrap();
    assert_eq!((buffer, source.length().unwrap()), (vec![2, 3], 3));
    let Source::Counted(_, reads) = &source else {
        unreachable!("made so above");
    };
    assert_eq!(reads.load(Ordering::Relaxed), 1);
}
