//! Reels: what is written is read, and damage costs itself and nothing more.

use flowreel_engine::kernel::{EventSink, simulate_events};
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::{ComponentId, RequestId};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::{
    Detail, EmbeddedScenario, FinishInfo, GapReason, ReelError, ReelMeta, ReelReader, ReelWriter,
    RunId, RunSource, StreamDecoder, StreamItem, WriteError, WriterOptions, recover, totals,
    verify,
};
use flowreel_engine::scenario::load;
use proptest::prelude::*;
use std::sync::LazyLock;

pub(crate) const NOTIFICATION: &str = include_str!("../../../scenarios/notification.toml");

/// The events of the shipped scenario over so many seconds.
pub(crate) fn simulated(seconds: u32) -> (Topology, Vec<StageEvent>) {
    let settings = [format!("duration={seconds}s")];
    let mut events = Vec::new();
    let mut sink = EventSink(|event: &StageEvent| events.push(*event));
    simulate_events(NOTIFICATION, 7, &settings, &mut sink).expect("sound");
    (
        load(NOTIFICATION, &settings).expect("sound").topology,
        events,
    )
}

pub(crate) fn meta(seconds: u32) -> ReelMeta {
    ReelMeta {
        scenario: Some(EmbeddedScenario {
            text: NOTIFICATION.to_owned(),
            seed: 7,
            settings: vec![format!("duration={seconds}s")],
        }),
        ..ReelMeta::new(RunId([9; 16]), RunSource::Simulation)
    }
}

/// A reel of the shipped scenario in batches of `batch_events`.
pub(crate) fn reel(seconds: u32, batch_events: usize) -> (Vec<u8>, Vec<StageEvent>) {
    let (topology, events) = simulated(seconds);
    let options = WriterOptions {
        batch_events,
        batch_span_ns: None,
    };
    let mut writer =
        ReelWriter::with_options(Vec::new(), &meta(seconds), &topology, options).expect("sound");
    for event in &events {
        writer.push(event).expect("sound");
    }
    let (bytes, summary) = writer.finish(&FinishInfo::default()).expect("sound");
    assert_eq!(summary.events, events.len() as u64);
    (bytes, events)
}

/// A reel of a few hundred bytes an event, for tests that touch every byte.
fn small_reel() -> (Vec<u8>, Vec<StageEvent>) {
    let (topology, mut events) = simulated(20);
    events.truncate(60);
    let options = WriterOptions {
        batch_events: 16,
        batch_span_ns: None,
    };
    let small = ReelMeta::new(RunId([3; 16]), RunSource::Live);
    let mut writer =
        ReelWriter::with_options(Vec::new(), &small, &topology, options).expect("sound");
    for event in &events {
        if event.seq % 20 == 5 {
            let detail = Detail::new([("subject", "Welcome"), ("relay", "250 ok")]);
            writer.push_with_detail(event, &detail).expect("sound");
        } else {
            writer.push(event).expect("sound");
        }
    }
    let (bytes, _) = writer.finish(&FinishInfo::default()).expect("sound");
    for (seq, detail) in [(5, 1), (25, 2), (45, 3)] {
        events[seq].detail = flowreel_engine::model::id::DetailId(detail);
    }
    (bytes, events)
}

fn read_all(reader: &mut ReelReader) -> Vec<StageEvent> {
    let (mut all, mut batch) = (Vec::new(), Vec::new());
    for position in 0..reader.event_blocks().len() {
        reader.read_events(position, &mut batch).expect("sound");
        all.extend_from_slice(&batch);
    }
    all
}

#[test]
fn a_reel_gives_back_what_was_written() {
    let (bytes, events) = reel(1800, 4000);
    let mut reader = ReelReader::from_bytes(bytes).expect("sound");
    assert!(reader.is_complete());
    assert_eq!(reader.meta(), &meta(1800));
    assert_eq!(read_all(&mut reader), events);
    assert_eq!(reader.gaps(), []);
    let checked = verify(&reader).expect("sound");
    assert_eq!(checked.problems, []);
    assert!(checked.holds() && checked.checked_keyframes > 0);
    let summary = totals(&mut reader).expect("sound");
    assert_eq!(summary.final_hash, checked.final_hash);
    assert_eq!(summary.kinds.values().sum::<u64>(), events.len() as u64);
}

#[test]
fn keyframes_take_no_more_than_a_tenth_of_a_reel() {
    let (bytes, _) = reel(2700, 1000);
    let length = bytes.len() as u64;
    let reader = ReelReader::from_bytes(bytes).expect("sound");
    let keyframes = reader.keyframe_blocks();
    let sum: u64 = keyframes.iter().map(|block| u64::from(block.bytes)).sum();
    assert!(
        keyframes.len() > 1 && sum * 10 <= length,
        "{sum} of {length}"
    );
}

#[test]
fn details_are_found_beside_their_events() {
    let (bytes, events) = small_reel();
    let mut reader = ReelReader::from_bytes(bytes).expect("sound");
    assert_eq!(read_all(&mut reader), events);
    for event in events.iter().filter(|event| event.detail.0 != 0) {
        let detail = reader
            .read_detail(event.detail)
            .expect("sound")
            .expect("sound");
        assert_eq!(detail.get("subject"), Some("Welcome"));
    }
    let none = flowreel_engine::model::id::DetailId(99);
    assert_eq!(reader.read_detail(none).expect("sound"), None);
}

#[test]
fn a_request_is_found_without_reading_every_block() {
    let (bytes, events) = reel(600, 200);
    let mut reader = ReelReader::from_bytes(bytes).expect("sound");
    let all = reader.event_blocks().len();
    for request in [1, 50, 100] {
        let blocks = reader
            .blocks_with_request(RequestId(request))
            .expect("sound");
        assert!(blocks.len() * 2 < all, "{} of {all}", blocks.len());
        let mut found = 0;
        let mut batch = Vec::new();
        for position in blocks {
            reader.read_events(position, &mut batch).expect("sound");
            found += batch.iter().filter(|e| e.request.0 == request).count();
        }
        let there = events.iter().filter(|e| e.request.0 == request).count();
        assert_eq!(found, there, "request {request}");
    }
}

#[test]
fn every_flipped_byte_is_noticed_and_costs_no_event_before_it() {
    let (bytes, events) = small_reel();
    let before = ReelReader::from_bytes(bytes.clone()).expect("sound");
    let blocks = before.event_blocks().to_vec();
    for position in 0..bytes.len() {
        for mask in [0x01, 0x80] {
            let mut flipped = bytes.clone();
            flipped[position] ^= mask;
            let mut reader = match ReelReader::from_bytes(flipped) {
                Ok(reader) => reader,
                Err(error) => panic!("byte {position}: {error}"),
            };
            let checked = verify(&reader).expect("sound");
            assert!(
                !checked.holds(),
                "byte {position} mask {mask:#x} goes unnoticed"
            );
            let offset = checked.problems[0].offset;
            assert!(
                offset <= position as u64,
                "byte {position} named at {offset}"
            );
            let hit = blocks
                .iter()
                .find(|block| (block.offset..block.end()).contains(&(position as u64)));
            let expected: Vec<StageEvent> = events
                .iter()
                .filter(|event| {
                    hit.is_none_or(|block| !(block.first..block.next_seq()).contains(&event.seq))
                })
                .copied()
                .collect();
            assert_eq!(read_all(&mut reader), expected, "byte {position}");
            let gaps = reader.gaps();
            assert_eq!(gaps.len(), usize::from(hit.is_some()), "byte {position}");
            if let Some(block) = hit {
                assert_eq!(gaps[0].events, Some(u64::from(block.count)));
                assert_eq!(gaps[0].first_seq, Some(block.first));
            }
        }
    }
}

#[test]
fn a_reel_cut_anywhere_keeps_every_whole_block() {
    let (bytes, events) = small_reel();
    let whole = ReelReader::from_bytes(bytes.clone()).expect("sound");
    let blocks = whole.event_blocks().to_vec();
    let named_at = blocks[0].offset;
    for length in 0..bytes.len() {
        let cut = bytes[..length].to_vec();
        let reader = ReelReader::from_bytes(cut);
        if (length as u64) < named_at {
            // Without a topology nothing can be shown; most such cuts lack it.
            if let Ok(reader) = reader {
                assert!(!verify(&reader).expect("sound").holds());
            }
            continue;
        }
        let mut reader = reader.expect("sound");
        let kept: u64 = blocks
            .iter()
            .filter(|block| block.end() <= length as u64)
            .map(|block| u64::from(block.count))
            .sum();
        let read = read_all(&mut reader);
        assert_eq!(
            read,
            events[..usize::try_from(kept).expect("sound")],
            "{length}"
        );
        let checked = verify(&reader).expect("sound");
        assert!(!checked.holds() && checked.problems[0].offset <= length as u64);
        let (saved, recovered) = recover(&reader, Vec::new()).expect("sound");
        assert_eq!(recovered.summary.events, kept, "{length}");
        let saved = ReelReader::from_bytes(saved).expect("sound");
        let checked = verify(&saved).expect("sound");
        assert_eq!(checked.problems, [], "cut at {length}");
    }
}

#[test]
fn a_recovered_reel_holds_and_tells_its_holes() {
    let (bytes, events) = reel(1800, 4000);
    let whole = ReelReader::from_bytes(bytes.clone()).expect("sound");
    let blocks = whole.event_blocks().to_vec();
    let hit = blocks[3];
    let mut damaged = bytes;
    let at = usize::try_from(hit.offset + u64::from(hit.bytes) / 2).expect("sound");
    damaged[at] ^= 0x40;
    let reader = ReelReader::from_bytes(damaged).expect("sound");
    let (saved, recovered) = recover(&reader, Vec::new()).expect("sound");
    assert_eq!(recovered.blocks_lost, 1);
    assert_eq!(recovered.bytes_lost, u64::from(hit.bytes));
    assert_eq!(recovered.gaps.len(), 1);
    assert_eq!(recovered.gaps[0].events, Some(u64::from(hit.count)));
    assert_eq!(recovered.gaps[0].reason, GapReason::Damaged);
    let mut saved = ReelReader::from_bytes(saved).expect("sound");
    let checked = verify(&saved).expect("sound");
    assert_eq!(checked.problems, []);
    // A keyframe after the hole had seen the missing events, so the end is known in full.
    let (_, original) = (
        verify(&reader).expect("sound"),
        verify(&whole).expect("sound"),
    );
    assert_eq!(checked.final_hash, original.final_hash);
    assert_eq!(saved.gaps().len(), 1);
    let read = read_all(&mut saved);
    assert_eq!(read.len(), events.len() - hit.count as usize);
}

/// What a follower is told, one line an item; events are counted apart.
fn follow(bytes: &[u8], chunk: usize) -> Result<(Vec<StageEvent>, Vec<String>), ReelError> {
    let mut decoder = StreamDecoder::new().expect("sound");
    let (mut events, mut items) = (Vec::new(), Vec::new());
    let mut chunks = bytes.chunks(chunk);
    let mut is_ended = false;
    loop {
        while let Some(item) = decoder.next_item()? {
            match item {
                StreamItem::Run(meta) => items.push(format!("run {}", meta.run_id)),
                StreamItem::Topology(topology) => items.push(topology.name.clone()),
                StreamItem::Events(batch) => events.extend_from_slice(batch),
                StreamItem::Details { first, records } => {
                    items.push(format!("details {} {}", first.0, records.len()));
                }
                StreamItem::Gap(gap) => items.push(format!("{gap:?}")),
                StreamItem::State(state) => items.push(state.state_hash().to_string()),
                StreamItem::End(summary) => items.push(format!("end {}", summary.events)),
            }
        }
        match chunks.next() {
            Some(chunk) => decoder.feed(chunk),
            None if is_ended => return Ok((events, items)),
            None => {
                decoder.end();
                is_ended = true;
            }
        }
    }
}

#[test]
fn a_follower_sees_what_the_file_reader_sees_however_the_bytes_are_cut() {
    let (bytes, events) = small_reel();
    let expected = follow(&bytes, bytes.len()).unwrap();
    assert_eq!(expected.0, events);
    assert_eq!(expected.1.last().expect("sound"), "end 60");
    for chunk in 1..200 {
        assert_eq!(
            follow(&bytes, chunk).unwrap(),
            expected,
            "chunks of {chunk}"
        );
    }
    for position in (700..bytes.len()).step_by(97) {
        let mut flipped = bytes.clone();
        flipped[position] ^= 4;
        let mut reader = ReelReader::from_bytes(flipped.clone()).expect("sound");
        let whole = match follow(&flipped, flipped.len()) {
            Ok(whole) => whole,
            Err(error) => {
                // The topology was hit: a follower cannot wait for its copy at the end.
                assert!(error.to_string().contains("topology"), "{error}");
                continue;
            }
        };
        assert_eq!(follow(&flipped, 61).unwrap(), whole, "byte {position}");
        assert_eq!(whole.0, read_all(&mut reader), "byte {position}");
        let told: Vec<String> = reader.gaps().iter().map(|gap| format!("{gap:?}")).collect();
        let seen: Vec<String> = whole
            .1
            .iter()
            .filter(|item| item.starts_with("Gap"))
            .cloned()
            .collect();
        assert_eq!(seen, told, "byte {position}");
    }
}

#[test]
fn a_follower_takes_over_the_keyframe_after_a_hole() {
    let (bytes, _) = reel(1800, 4000);
    let whole = ReelReader::from_bytes(bytes.clone()).expect("sound");
    let hit = whole.event_blocks()[3];
    let mut damaged = bytes;
    damaged[usize::try_from(hit.offset + 10).expect("sound")] ^= 1;
    let items = follow(&damaged, 4096).unwrap().1;
    let gap = items.iter().position(|item| item.starts_with("Gap"));
    let state = items.iter().position(|item| item.len() == 32);
    assert!(gap.is_some() && gap < state, "{items:?}");
}

#[test]
fn a_flushed_writer_hides_nothing_from_a_follower() {
    let (topology, events) = simulated(20);
    let live = ReelMeta::new(RunId([1; 16]), RunSource::Live);
    let mut writer = ReelWriter::new(Vec::new(), &live, &topology).expect("sound");
    for event in &events[..100] {
        writer.push(event).expect("sound");
    }
    writer.flush().expect("sound");
    let written = usize::try_from(writer.bytes_written()).expect("sound");
    let (bytes, _) = writer.finish(&FinishInfo::default()).expect("sound");
    assert_eq!(follow(&bytes[..written], 1000).unwrap().0, &events[..100]);
}

#[test]
fn a_live_batch_is_never_longer_than_a_quarter_second() {
    let (topology, events) = simulated(60);
    let live = ReelMeta::new(RunId([1; 16]), RunSource::Live);
    let mut writer = ReelWriter::new(Vec::new(), &live, &topology).expect("sound");
    for event in &events {
        writer.push(event).expect("sound");
    }
    let (bytes, _) = writer.finish(&FinishInfo::default()).expect("sound");
    let reader = ReelReader::from_bytes(bytes).expect("sound");
    assert!(reader.event_blocks().len() > 100);
    for block in reader.event_blocks() {
        assert!(block.last_t_ns - block.first_t_ns < 250_000_000);
    }
}

#[test]
fn events_out_of_order_are_refused_and_change_nothing() {
    let (topology, events) = simulated(20);
    let plain = ReelMeta::new(RunId([1; 16]), RunSource::Import);
    let mut writer = ReelWriter::new(Vec::new(), &plain, &topology).expect("sound");
    for event in &events[..10] {
        writer.push(event).expect("sound");
    }
    let hash = writer.state().run_hash();
    let early = StageEvent {
        seq: 10,
        ..StageEvent::new(TimeNs(0), EventKind::Arrived, ComponentId(0))
    };
    for wrong in [events[9], events[11], early] {
        let refused = writer.push(&wrong);
        assert!(
            matches!(refused, Err(WriteError::Order { .. })),
            "{wrong:?}"
        );
    }
    let huge = "x".repeat(2 << 20);
    let refused = writer.push_with_detail(&events[10], &Detail::new([("text", huge.as_str())]));
    assert!(matches!(refused, Err(WriteError::TooLong { .. })));
    assert_eq!(writer.state().run_hash(), hash);
    let (bytes, summary) = writer.finish(&FinishInfo::default()).expect("sound");
    assert_eq!((summary.events, summary.details), (10, 0));
    assert!(
        verify(&ReelReader::from_bytes(bytes).expect("sound"))
            .expect("sound")
            .holds()
    );
}

#[test]
fn other_files_are_refused_by_name() {
    for (bytes, said) in [
        (vec![], "empty"),
        (b"{\"not\": \"a reel\"}".repeat(9), "not a reel"),
        (vec![0; 4096], "not a reel"),
        (b"\x89FReel\r\n".to_vec(), "cut off"),
    ] {
        let error = ReelReader::from_bytes(bytes)
            .err()
            .expect("sound")
            .to_string();
        assert!(error.contains(said), "{error}");
    }
}

/// A small reel with pieces of itself cut out, copied elsewhere and overwritten.
fn spliced(bytes: &[u8], cuts: &[(u16, u16, u16, u8)]) -> Vec<u8> {
    let mut all = bytes.to_vec();
    for &(from, length, to, what) in cuts {
        let from = usize::from(from) % all.len().max(1);
        let piece = all[from..(from + usize::from(length)).min(all.len())].to_vec();
        let to = usize::from(to) % (all.len() + 1);
        match what % 3 {
            0 => drop(all.drain(from..from + piece.len())),
            1 => drop(all.splice(to..to, piece)),
            _ => {
                let end = (to + piece.len()).min(all.len());
                let length = end - to;
                all[to..end].copy_from_slice(&piece[..length]);
            }
        }
        if all.is_empty() {
            all.push(0);
        }
    }
    all
}

static SMALL: LazyLock<(Vec<u8>, Vec<StageEvent>)> = LazyLock::new(small_reel);

proptest! {
    #[test]
    fn no_splice_makes_a_reader_panic_or_tell_an_event_twice(
        cuts in proptest::collection::vec(any::<(u16, u16, u16, u8)>(), 1..6),
    ) {
        let (bytes, events) = &*SMALL;
        let damaged = spliced(bytes, &cuts);
        // A follower may refuse, for want of a topology; it must not panic.
        drop(follow(&damaged, 333));
        if let Ok(mut reader) = ReelReader::from_bytes(damaged.clone()) {
            let read = read_all(&mut reader);
            prop_assert!(read.iter().all(|event| events.contains(event)));
            prop_assert!(read.windows(2).all(|pair| pair[0].seq < pair[1].seq));
            let checked = verify(&reader).unwrap();
            prop_assert!(damaged == *bytes || !checked.holds());
            let (saved, _) = recover(&reader, Vec::new()).unwrap();
            let mut saved = ReelReader::from_bytes(saved).unwrap();
            prop_assert_eq!(verify(&saved).unwrap().problems, []);
            prop_assert!(read_all(&mut saved).len() <= events.len());
        }
    }
}
