//! A run in several reels: each is whole alone, and all together are the run.

use crate::reel::simulated;
use flowreel_engine::editing::merge;
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::id::{DetailId, RequestId};
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::{
    Detail, FinishInfo, Gap, GapReason, ReelError, ReelMeta, ReelReader, ReelWriter, Resumption,
    RunId, RunSource, Segment, StreamDecoder, StreamItem, recover, verify,
};
use flowreel_engine::replay::{Playhead, Via};

fn meta() -> ReelMeta {
    ReelMeta::new(RunId([5; 16]), RunSource::Live)
}

/// The run in segments of so many events, with a detail at every tenth event.
fn segments(topology: &Topology, events: &[StageEvent], each: usize) -> Vec<Vec<u8>> {
    let mut writer = ReelWriter::new(Vec::new(), &meta(), topology).expect("sound");
    let mut done = Vec::new();
    for (number, stretch) in events.chunks(each).enumerate() {
        if number > 0 {
            let (old, summary) = writer
                .next_segment(Vec::new(), 7, &FinishInfo::default())
                .expect("memory");
            assert_eq!(summary.events, each as u64);
            done.push(old);
        }
        for event in stretch {
            if event.seq % 10 == 0 {
                let text = event.seq.to_string();
                let detail = Detail::new([("seq", text.as_str())]);
                writer.push_with_detail(event, &detail).expect("sound");
            } else {
                writer.push(event).expect("sound");
            }
        }
    }
    let (last, _) = writer.finish(&FinishInfo::default()).expect("memory");
    done.push(last);
    done
}

fn open(bytes: &[u8]) -> ReelReader {
    ReelReader::from_bytes(bytes.to_vec()).expect("a reel")
}

fn events_of(bytes: &[u8]) -> (Vec<StageEvent>, ReelReader) {
    let mut reader = open(bytes);
    let (mut all, mut batch) = (Vec::new(), Vec::new());
    for position in 0..reader.event_blocks().len() {
        assert!(reader.read_events(position, &mut batch).expect("memory"));
        all.extend_from_slice(&batch);
    }
    (all, reader)
}

fn merged(parts: &[Vec<u8>]) -> Vec<u8> {
    // In any order.
    let open = |part: usize| ReelReader::from_bytes(parts[parts.len() - 1 - part].clone());
    let (bytes, merged) = merge(parts.len(), open, Vec::new()).expect("of one run");
    assert!(merged.is_one_run);
    bytes
}

/// Everything a follower is told, and whether the run has ended.
struct Followed {
    events: Vec<StageEvent>,
    gaps: Vec<Gap>,
    states: Vec<u64>,
    details: u64,
    ends: u32,
    is_complete: bool,
}

fn follow(bytes: &[u8], chunk: usize) -> Result<Followed, ReelError> {
    let mut decoder = StreamDecoder::new().expect("memory");
    let mut seen = Followed {
        events: Vec::new(),
        gaps: Vec::new(),
        states: Vec::new(),
        details: 0,
        ends: 0,
        is_complete: false,
    };
    let mut runs = 0;
    for piece in bytes.chunks(chunk) {
        decoder.feed(piece);
        while let Some(item) = decoder.next_item()? {
            match item {
                StreamItem::Run(_) => runs += 1,
                StreamItem::Topology(_) => {}
                StreamItem::Events(events) => seen.events.extend_from_slice(events),
                StreamItem::Details { records, .. } => seen.details += records.len() as u64,
                StreamItem::Gap(gap) => seen.gaps.push(gap),
                StreamItem::State(state) => seen.states.push(state.event_count()),
                StreamItem::End(_) => seen.ends += 1,
            }
        }
    }
    assert_eq!(runs, 1);
    seen.is_complete = decoder.is_complete();
    Ok(seen)
}

#[test]
fn each_segment_is_whole_alone_and_all_together_are_the_run() {
    let (topology, events) = simulated(30);
    let whole = segments(&topology, &events, events.len()).remove(0);
    let whole_hash = open(&whole).summary().expect("ended").final_hash;
    let mut whole_head = Playhead::new(open(&whole)).expect("memory");
    let each = events.len() / 4 + 3;
    let parts = segments(&topology, &events, each);
    assert_eq!(parts.len(), 4);
    for (index, part) in parts.iter().enumerate() {
        let (own, mut reader) = events_of(part);
        let check = verify(&reader).expect("memory");
        assert!(check.holds(), "{index}: {:?}", check.problems);
        let first = index * each;
        assert_eq!(own.first().map(|event| event.seq), Some(first as u64));
        assert_eq!(reader.continues(), index < 3);
        assert!(reader.is_complete());
        assert_eq!(reader.meta().segment_number() as usize, index + 1);
        // Records are found by ids that count through.
        for event in own.iter().filter(|event| event.detail != DetailId::NONE) {
            let detail = reader.read_detail(event.detail).expect("memory");
            let detail = detail.expect("it was written");
            assert_eq!(detail.get("seq"), Some(event.seq.to_string().as_str()));
        }
        let mut head = Playhead::new(reader).expect("memory");
        for event in own.iter().step_by(own.len() / 7 + 1) {
            for via in [Via::Seek, Via::Fold] {
                head.seek(event.t_ns, via).expect("memory");
                whole_head.seek(event.t_ns, Via::Seek).expect("memory");
                assert_eq!(head.state().state_hash(), whole_head.state().state_hash());
            }
        }
    }
    let joined = merged(&parts);
    let (all, reader) = events_of(&joined);
    assert!(verify(&reader).expect("memory").holds());
    assert_eq!(all, events_of(&whole).0);
    assert_eq!(reader.summary().expect("ended").final_hash, whole_hash);
    assert!(reader.gaps().is_empty() && !reader.continues());
    assert_eq!(reader.meta().segment, None);
}

#[test]
fn segments_one_after_the_other_are_followed_as_one_run() {
    let (topology, events) = simulated(20);
    let parts = segments(&topology, &events, events.len() / 3 + 1);
    let whole = segments(&topology, &events, events.len()).remove(0);
    let expected = follow(&whole, 1 << 20).expect("sound");
    for chunk in [97, 4096, 1 << 24] {
        let seen = follow(&parts.concat(), chunk).expect("sound");
        assert_eq!(seen.events, expected.events);
        assert_eq!(seen.details, expected.details);
        assert!(seen.gaps.is_empty() && seen.states.is_empty());
        assert_eq!((seen.ends, seen.is_complete), (1, true));
        let late = follow(&parts[1..].concat(), chunk).expect("sound");
        let first = late.events.first().expect("events").seq;
        assert_eq!(late.gaps.len(), 1);
        assert_eq!(late.gaps[0].events, Some(first));
        assert_eq!(late.states, [first]);
        assert_eq!(late.events, expected.events[late.events[0].seq as usize..]);
        // A segment that is missing in between is a hole of its length.
        let holed = follow(&[parts[0].clone(), parts[2].clone()].concat(), chunk).expect("sound");
        let from = open(&parts[0]).next_seq();
        let to = open(&parts[2]).event_blocks()[0].first;
        assert_eq!(holed.gaps.len(), 1);
        assert_eq!(
            (holed.gaps[0].first_seq, holed.gaps[0].events),
            (Some(from), Some(to - from))
        );
        assert_eq!(holed.states, [to]);
        // Before its end is there, a run that goes on is not over.
        assert!(!follow(&parts[0], chunk).expect("sound").is_complete);
    }
    let other = ReelWriter::new(
        Vec::new(),
        &ReelMeta::new(RunId([6; 16]), RunSource::Live),
        &topology,
    )
    .expect("memory")
    .finish(&FinishInfo::default())
    .expect("memory");
    let error = follow(&[parts[0].clone(), other.0].concat(), 1 << 20)
        .err()
        .expect("another run");
    assert!(error.to_string().contains("next segment"), "{error}");
}

/// What a recorder does that finds this reel without an end.
fn resumed(torn: &[u8], number: u32, more: &[StageEvent]) -> (Vec<u8>, u64) {
    let (kept, reader) = events_of(torn);
    let next_seq = kept.last().map_or(reader.next_seq(), |event| event.seq + 1);
    let (topology, meta) = (reader.topology().clone(), reader.meta().clone());
    let details = kept.iter().map(|event| event.detail.0).max().unwrap_or(0);
    let mut head = Playhead::new(reader).expect("memory");
    head.go_to(next_seq, Via::Seek).expect("memory");
    assert_eq!(head.state().event_count(), next_seq);
    let state = head.state().clone();
    let now = state.now();
    let meta = ReelMeta {
        segment: Some(Segment {
            number,
            first_detail: details + 1,
            requests: 0,
        }),
        ..meta
    };
    let from = Resumption {
        state,
        next_detail: DetailId(details + 1),
        gaps: vec![Gap {
            from_t_ns: now,
            to_t_ns: now,
            first_seq: Some(next_seq),
            events: None,
            reason: GapReason::TornTail,
            offset: None,
        }],
    };
    let mut writer = ReelWriter::resume(Vec::new(), &meta, &topology, from).expect("memory");
    for (seq, event) in (next_seq..).zip(more) {
        let event = StageEvent {
            seq,
            t_ns: TimeNs(event.t_ns.0.max(now.0)),
            detail: DetailId::NONE,
            // Numbers that the run has not used yet.
            request: RequestId(event.request.0 + 1_000_000),
            ..*event
        };
        writer.push(&event).expect("in order");
    }
    let (bytes, _) = writer.finish(&FinishInfo::default()).expect("memory");
    (bytes, next_seq)
}

#[test]
fn a_torn_segment_and_the_one_that_goes_on_are_one_run_with_one_gap() {
    let (topology, events) = simulated(20);
    let half = events.len() / 2;
    let parts = segments(&topology, &events, half);
    let (head, tail) = (&parts[0], &parts[1]);
    for cut in [tail.len() - 1, tail.len() / 2, tail.len() / 2 + 777] {
        let torn = &tail[..cut];
        let (next, next_seq) = resumed(torn, 3, &events[..500]);
        let check = verify(&open(&next)).expect("memory");
        assert!(check.holds(), "{:?}", check.problems);
        let joined = merged(&[head.clone(), torn.to_vec(), next.clone()]);
        let (all, reader) = events_of(&joined);
        let check = verify(&reader).expect("memory");
        assert!(check.holds(), "{:?}", check.problems);
        let numbers: Vec<u64> = all.iter().map(|event| event.seq).collect();
        assert_eq!(numbers, (0..next_seq + 500).collect::<Vec<_>>());
        let gaps = reader.gaps();
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert_eq!((gaps[0].first_seq, gaps[0].events), (Some(next_seq), None));
        assert_eq!(gaps[0].reason, GapReason::TornTail);
        // The whole has the hash that the last segment counted on to.
        assert_eq!(
            reader.summary().expect("ended").final_hash,
            open(&next).summary().expect("ended").final_hash
        );
        let mut state = SystemState::new(&topology);
        all.iter().for_each(|event| state.apply(event));
        assert_eq!(
            state.run_hash(),
            reader.summary().expect("ended").final_hash
        );
        // Recovered first, it is the same run.
        let (saved, _) = recover(&open(torn), Vec::new()).expect("memory");
        assert!(verify(&open(&saved)).expect("memory").holds());
        assert_eq!(
            events_of(&merged(&[head.clone(), saved, next.clone()])).0,
            all
        );
        // A follower of all three learns where nobody knows what is missing.
        for chunk in [61, 1 << 20] {
            let seen = follow(&[head, torn, &next].concat(), chunk).expect("sound");
            assert_eq!(seen.events, all);
            assert!(seen.is_complete);
            assert!(seen.gaps.iter().all(|gap| gap.first_seq == Some(next_seq)));
            assert_eq!(seen.states.last(), Some(&next_seq));
        }
    }
}

#[test]
fn a_segment_without_an_event_is_whole_too() {
    let (topology, events) = simulated(5);
    let mut writer = ReelWriter::new(Vec::new(), &meta(), &topology).expect("memory");
    let info = FinishInfo::default();
    let (empty_first, _) = writer.next_segment(Vec::new(), 0, &info).expect("memory");
    for event in &events[..100] {
        writer.push(event).expect("in order");
    }
    let (filled, _) = writer.next_segment(Vec::new(), 0, &info).expect("memory");
    let (empty, _) = writer.next_segment(Vec::new(), 0, &info).expect("memory");
    let (last, _) = writer.finish(&info).expect("memory");
    let parts = [empty_first, filled, empty, last];
    for part in &parts {
        let check = verify(&open(part)).expect("memory");
        assert!(check.holds(), "{:?}", check.problems);
    }
    let (all, reader) = events_of(&merged(&parts));
    assert_eq!((all.len(), reader.gaps().len()), (100, 0));
    let seen = follow(&parts.concat(), 1000).expect("sound");
    assert_eq!((seen.events.len(), seen.gaps.len(), seen.ends), (100, 0, 1));
}
