//! A small reel cut at every byte and with each bit flipped: what is before the damage stays, what is
//! after it is found again, and the gaps say exactly how much is missing.
//!
//! Belongs here: damage that checksums find. Does not belong here: sound blocks that lie (reel_lies).

use crate::craft::{self, follow, read_all};
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::id::DetailId;
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::recording::format::BlockType;
use flowreel_engine::recording::{
    BlockRef, Detail, FinishInfo, Gap, GapReason, ReelMeta, ReelReader, ReelWriter, RunId,
    RunSource, WriterOptions, recover, verify,
};
use flowreel_engine::replay::{Playhead, Via};
use std::sync::LazyLock;

/// Events of the run; some of them were never recorded.
const TOTAL: u64 = 36;
const DROPPED: std::ops::Range<u64> = 18..24;

/// A reel with every type of block: events, records, a gap that is told and a keyframe after it.
fn tiny() -> (Vec<u8>, Vec<StageEvent>) {
    let topology = craft::topology();
    let meta = ReelMeta::new(RunId([3; 16]), RunSource::Live);
    let options = WriterOptions {
        batch_events: 6,
        batch_span_ns: None,
    };
    let mut writer =
        ReelWriter::with_options(Vec::new(), &meta, &topology, options).expect("sound");
    let mut seen = SystemState::new(&topology);
    let mut kept = Vec::new();
    for event in craft::events(0..TOTAL) {
        if event.seq == DROPPED.end {
            let gap = Gap {
                from_t_ns: TimeNs(1_000_000 * (DROPPED.start - 1)),
                to_t_ns: event.t_ns,
                first_seq: Some(DROPPED.start),
                events: Some(DROPPED.end - DROPPED.start),
                reason: GapReason::Dropped,
                offset: None,
            };
            writer.hole(&gap, DROPPED.end).expect("sound");
            writer.take_over(seen.clone()).expect("sound");
        }
        seen.apply(&event);
        if DROPPED.contains(&event.seq) {
            continue;
        }
        let mut event = event;
        if event.seq % 12 == 4 {
            let detail = Detail::new([("relay", "250 ok")]);
            event.detail = writer.push_with_detail(&event, &detail).expect("sound");
        } else {
            writer.push(&event).expect("sound");
        }
        kept.push(event);
    }
    let (bytes, _) = writer.finish(&FinishInfo::default()).expect("sound");
    (bytes, kept)
}

static TINY: LazyLock<(Vec<u8>, Vec<StageEvent>)> = LazyLock::new(tiny);

fn blocks() -> Vec<BlockRef> {
    let reader = ReelReader::from_bytes(TINY.0.clone()).expect("sound");
    reader.blocks().to_vec()
}

fn missing(gaps: &[Gap]) -> u64 {
    gaps.iter().filter_map(|gap| gap.events).sum()
}

/// What was saved holds, has the same events and accounts for the same number.
fn check_recovered(reader: &ReelReader, events: &[StageEvent], accounted: u64, case: &str) {
    let (saved, _) = recover(reader, Vec::new()).expect("sound");
    let mut saved = ReelReader::from_bytes(saved).expect("sound");
    let checked = verify(&saved).expect("sound");
    assert_eq!(checked.problems, [], "{case}");
    assert_eq!(read_all(&mut saved), events, "{case}");
    let count = events.len() as u64;
    assert_eq!(count + missing(saved.gaps()), accounted, "{case}");
}

fn state_hash(bytes: &[u8], via: Via) -> String {
    let reader = ReelReader::from_bytes(bytes.to_vec()).expect("sound");
    let mut playhead = Playhead::new(reader).expect("sound");
    playhead.seek(TimeNs::MAX, via).expect("sound");
    playhead.state().state_hash().to_string()
}

#[test]
fn the_small_reel_is_whole_and_has_every_kind_of_block() {
    let (bytes, events) = &*TINY;
    let mut reader = ReelReader::from_bytes(bytes.clone()).expect("sound");
    assert_eq!(verify(&reader).expect("sound").problems, []);
    assert_eq!(read_all(&mut reader), *events);
    assert_eq!(events.len() as u64 + missing(reader.gaps()), TOTAL);
    for block_type in [BlockType::Details, BlockType::Gap, BlockType::Keyframe] {
        let is_there = blocks().iter().any(|b| b.block_type() == Some(block_type));
        assert!(is_there, "{block_type:?}");
    }
    assert!(bytes.len() < 8192, "{} bytes", bytes.len());
}

#[test]
fn each_flipped_bit_costs_its_own_block_and_the_gaps_are_exact() {
    let (bytes, events) = &*TINY;
    let blocks = blocks();
    let mut flipped = bytes.clone();
    for position in 0..bytes.len() {
        let hit = blocks
            .iter()
            .find(|block| (block.offset..block.end()).contains(&(position as u64)));
        let lost = hit.filter(|block| block.block_type() == Some(BlockType::Events));
        let left: Vec<StageEvent> = events
            .iter()
            .filter(|event| {
                lost.is_none_or(|block| !(block.first..block.next_seq()).contains(&event.seq))
            })
            .copied()
            .collect();
        for bit in 0..8 {
            let case = format!("byte {position} bit {bit}");
            flipped[position] ^= 1 << bit;
            let mut reader = ReelReader::from_bytes(flipped.clone()).expect(&case);
            assert_eq!(read_all(&mut reader), left, "{case}");
            let gaps = reader.gaps();
            assert_eq!(left.len() as u64 + missing(gaps), TOTAL, "{case}: {gaps:?}");
            assert_eq!(gaps.len(), 1 + usize::from(lost.is_some()), "{case}");
            let checked = verify(&reader).expect("memory");
            assert!(!checked.holds(), "{case} goes unnoticed");
            let place = checked.problems[0].offset;
            assert!(place <= position as u64, "{case} named at {place}");
            // Every bit is noticed; what then happens is the same for all bits of a byte.
            if bit % 4 == position % 4 {
                match follow(&flipped) {
                    Ok((told, gaps)) => {
                        assert_eq!(told, left, "{case}");
                        assert_eq!(told.len() as u64 + missing(&gaps), TOTAL, "{case}");
                    }
                    // Its copy at the end comes too late for a follower.
                    Err(error) => {
                        let topology = hit.filter(|b| b.block_type() == Some(BlockType::Topology));
                        assert_eq!(error.offset(), topology.map(|b| b.offset), "{case}");
                    }
                }
            }
            if bit == position % 8 {
                check_recovered(&reader, &left, TOTAL, &case);
                let both = [Via::Seek, Via::Fold].map(|via| state_hash(&flipped, via));
                assert_eq!(both[0], both[1], "{case}");
            }
            flipped[position] ^= 1 << bit;
        }
    }
}

#[test]
fn a_cut_at_any_byte_keeps_every_whole_block() {
    let (bytes, events) = &*TINY;
    let blocks = blocks();
    let is_events = |block: &&BlockRef| block.block_type() == Some(BlockType::Events);
    let topology = blocks
        .iter()
        .find(|block| block.block_type() == Some(BlockType::Topology))
        .expect("sound");
    for length in 0..bytes.len() {
        let cut = &bytes[..length];
        let end = length as u64;
        if end < topology.end() {
            let error = ReelReader::from_bytes(cut.to_vec()).err().expect("unnamed");
            assert!(error.offset().is_none_or(|offset| offset <= end), "{error}");
            assert!(follow(cut).is_ok_and(|(told, _)| told.is_empty()) || length < 48);
            continue;
        }
        let kept: u64 = blocks
            .iter()
            .filter(is_events)
            .filter(|block| block.end() <= end)
            .map(|block| u64::from(block.count))
            .sum();
        let left = &events[..usize::try_from(kept).expect("few")];
        let mut reader = ReelReader::from_bytes(cut.to_vec()).expect("named");
        assert_eq!(read_all(&mut reader), left, "{length}");
        // A torn block whose header is there says what is lost with it; else nobody can know.
        let torn = blocks.iter().filter(is_events).find(|block| {
            let header_end = block.offset + u64::from(block.bytes).min(96 + 8);
            header_end <= end && end < block.end()
        });
        let told_by_a_gap = blocks
            .iter()
            .any(|block| block.block_type() == Some(BlockType::Gap) && block.end() <= end);
        let last = left.last().map_or(0, |event| event.seq + 1);
        let mut accounted = torn.map_or(last, BlockRef::next_seq);
        if told_by_a_gap {
            accounted = accounted.max(DROPPED.end);
        }
        let gaps = reader.gaps();
        assert_eq!(kept + missing(gaps), accounted, "{length}: {gaps:?}");
        let is_at_a_block = blocks.iter().any(|block| block.end() == end);
        let is_torn = gaps.iter().any(|gap| gap.reason == GapReason::TornTail);
        assert!(!(is_at_a_block && is_torn), "{length}: {gaps:?}");
        let checked = verify(&reader).expect("memory");
        assert!(!checked.holds() && checked.problems[0].offset <= end);
        let (told, gaps) = follow(cut).expect("named");
        assert_eq!(told, left, "{length}");
        assert_eq!(kept + missing(&gaps), accounted, "{length}: {gaps:?}");
        check_recovered(&reader, left, accounted, &length.to_string());
    }
}

#[test]
fn bytes_put_in_or_taken_out_cost_the_block_they_hit() {
    let (bytes, events) = &*TINY;
    let blocks = blocks();
    let (first, second) = (blocks[3], blocks[5]);
    let place = |offset: u64| usize::try_from(offset).expect("short");
    // A piece with the head of a later block in it: its header holds, and no block stands behind it.
    let piece = bytes[place(second.offset) - 40..place(second.offset) + 130].to_vec();
    for block in [first, second] {
        for into in [97, u64::from(block.bytes) - 20] {
            let at = place(block.offset + into);
            let mut longer = bytes.clone();
            longer.splice(at..at, piece.iter().copied());
            let mut shorter = bytes.clone();
            shorter.drain(at..at + 12);
            for changed in [longer, shorter] {
                let is_lost = block.block_type() == Some(BlockType::Events);
                let left: Vec<StageEvent> = events
                    .iter()
                    .filter(|event| {
                        !is_lost || !(block.first..block.next_seq()).contains(&event.seq)
                    })
                    .copied()
                    .collect();
                let mut reader = ReelReader::from_bytes(changed.clone()).expect("named");
                assert_eq!(read_all(&mut reader), left, "byte {at}");
                let (told, gaps) = follow(&changed).expect("named");
                assert_eq!(told, left, "byte {at}");
                assert_eq!(left.len() as u64 + missing(reader.gaps()), TOTAL);
                assert_eq!(left.len() as u64 + missing(&gaps), TOTAL);
                check_recovered(&reader, &left, TOTAL, "changed");
            }
        }
    }
}

#[test]
fn damage_side_by_side_is_one_gap_for_every_reader() {
    let (bytes, _) = &*TINY;
    let reader = ReelReader::from_bytes(bytes.clone()).expect("sound");
    let blocks = reader.event_blocks().to_vec();
    // Header and payload, payload and header, both payloads; in any order of reading.
    for (first, second) in [(20, 110), (110, 20), (110, 110), (20, 20)] {
        let mut damaged = bytes.clone();
        for (block, into) in [(blocks[0], first), (blocks[1], second)] {
            damaged[usize::try_from(block.offset).expect("short") + into] ^= 4;
        }
        let (_, told) = follow(&damaged).expect("named");
        for order in [[0, 1], [1, 0]] {
            let mut reader = ReelReader::from_bytes(damaged.clone()).expect("named");
            let mut batch = Vec::new();
            for position in order {
                reader.read_events(position, &mut batch).expect("memory");
            }
            assert_eq!(reader.gaps()[0].events, Some(12), "{first} {second}");
            assert_eq!(reader.gaps(), told, "{first} {second}");
        }
    }
    let none = DetailId(99);
    let mut reader = ReelReader::from_bytes(bytes.clone()).expect("sound");
    assert_eq!(reader.read_detail(none).expect("memory"), None);
}
