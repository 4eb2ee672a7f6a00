//! Sound checksums around content that lies: bombs, lengths, depth, versions, events that make no sense.
//! Each lie is named with its place, costs itself, and what is around it is read.
//!
//! Belongs here: what no checksum finds. Does not belong here: damage (reel_damage), how much memory it
//! takes (reel_memory).

use crate::cli::{folder, json};
use crate::craft::{batch, beginning, block, events, follow, hostile, plain, read_all, topology};
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::hash::RunHash;
use flowreel_engine::model::id::{ClassId, ComponentId, DetailId, PartId, RequestId};
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::recording::format::{BlockHeader, BlockType, FILE_HEADER_BYTES, FileHeader};
use flowreel_engine::recording::{
    FinishInfo, ReelMeta, ReelReader, ReelWriter, RunId, RunSource, recover, verify,
};
use flowreel_engine::replay::{Playhead, Via};

/// A file header of any version.
fn file_header(major: u16, minor: u16) -> Vec<u8> {
    let header = FileHeader {
        major,
        minor,
        run_id: RunId([3; 16]),
    };
    header.encode().to_vec()
}

/// A reel without an end: twelve events, with this between the first six and the rest.
fn around(between: &[u8]) -> (Vec<u8>, u64) {
    let mut bytes = beginning();
    bytes.extend(batch(&events(0..6)));
    let offset = bytes.len() as u64;
    bytes.extend_from_slice(between);
    bytes.extend(batch(&events(6..12)));
    (bytes, offset)
}

/// Every reader gives these events, however it goes through the reel.
fn check_read(bytes: &[u8], expected: &[StageEvent], case: &str) -> ReelReader {
    let mut reader = ReelReader::from_bytes(bytes.to_vec()).expect(case);
    assert_eq!(read_all(&mut reader), expected, "{case}");
    assert_eq!(follow(bytes).expect(case).0, expected, "{case}");
    let (saved, _) = recover(&reader, Vec::new()).expect(case);
    let mut saved = ReelReader::from_bytes(saved).expect(case);
    assert_eq!(verify(&saved).expect(case).problems, [], "{case}");
    assert_eq!(read_all(&mut saved), expected, "{case}");
    let hashes = [Via::Seek, Via::Fold].map(|via| {
        let reader = ReelReader::from_bytes(bytes.to_vec()).expect(case);
        let mut playhead = Playhead::new(reader).expect(case);
        playhead.seek(TimeNs::MAX, via).expect(case);
        playhead.state().state_hash()
    });
    assert_eq!(hashes[0], hashes[1], "{case}");
    reader
}

#[test]
fn no_lie_about_lengths_depth_or_compression_is_believed() {
    let expected = events(0..12);
    for (case, lie) in hostile() {
        let (bytes, offset) = around(&lie);
        let reader = check_read(&bytes, &expected, &case);
        let checked = verify(&reader).expect(&case);
        let named = checked.problems.iter().any(|it| it.offset == offset);
        assert!(named, "{case}: {:?}", checked.problems);
    }
}

/// A keyframe's payload, its parts as they are given.
fn keyframe(version: u64, events: u64, run_hash: RunHash, sum: [u8; 16], state: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    rmp::encode::write_map_len(&mut raw, 5).expect("sound");
    let key = |raw: &mut Vec<u8>, name: &str| rmp::encode::write_str(raw, name).expect("sound");
    key(&mut raw, "version");
    rmp::encode::write_uint(&mut raw, version).expect("sound");
    key(&mut raw, "events");
    rmp::encode::write_uint(&mut raw, events).expect("sound");
    key(&mut raw, "run_hash");
    rmp::encode::write_array_len(&mut raw, 2).expect("sound");
    for half in run_hash.0 {
        rmp::encode::write_uint(&mut raw, half).expect("sound");
    }
    key(&mut raw, "state_hash");
    rmp::encode::write_bin(&mut raw, &sum).expect("sound");
    key(&mut raw, "state");
    rmp::encode::write_bin(&mut raw, state).expect("sound");
    raw
}

#[test]
fn a_keyframe_that_does_not_match_is_left_aside() {
    let mut state = SystemState::new(&topology());
    events(0..6).iter().for_each(|event| state.apply(event));
    let bytes = rmp_serde::to_vec(&state).expect("sound");
    let sum = |bytes: &[u8]| xxhash_rust::xxh3::xxh3_128(bytes).to_be_bytes();
    let hash = state.run_hash();
    let mut foreign = SystemState::new(&Default::default());
    events(0..6).iter().for_each(|event| foreign.apply(event));
    let foreign_bytes = rmp_serde::to_vec(&foreign).expect("sound");
    let deep = vec![0x91; 10_000];
    let long = [0xdd, 0xff, 0xff, 0xff, 0xff];
    let other = RunHash([1, 2]);
    let cases: [(&str, Vec<u8>, u64); 9] = [
        (
            "another version",
            keyframe(9, 6, hash, sum(&bytes), &bytes),
            6,
        ),
        ("events", keyframe(1, 5, hash, sum(&bytes), &bytes), 6),
        ("its header", keyframe(1, 6, hash, sum(&bytes), &bytes), 7),
        (
            "its run hash",
            keyframe(1, 6, other, sum(&bytes), &bytes),
            6,
        ),
        ("its own hash", keyframe(1, 6, hash, [7; 16], &bytes), 6),
        (
            "topology",
            keyframe(1, 6, hash, sum(&foreign_bytes), &foreign_bytes),
            6,
        ),
        ("depth", keyframe(1, 6, hash, sum(&deep), &deep), 6),
        ("length", keyframe(1, 6, hash, sum(&long), &long), 6),
        ("nothing", keyframe(1, 6, hash, sum(&[]), &[]), 6),
    ];
    let crafted = |raw: &[u8], first: u64| {
        let header = BlockHeader {
            raw_bytes: u32::try_from(raw.len()).expect("sound"),
            count: 1,
            first,
            first_t_ns: state.now().0,
            last_t_ns: state.now().0,
            ..BlockHeader::new(BlockType::Keyframe)
        };
        block(header, raw)
    };
    let expected = events(0..12);
    let sound = crafted(&keyframe(1, 6, hash, sum(&bytes), &bytes), 6);
    let checked = verify(&check_read(&around(&sound).0, &expected, "sound")).expect("sound");
    assert_eq!(checked.problems.len(), 1, "only the end is missing");
    // One that stands too early, with nothing missing before it, takes no event away.
    let mut later = state.clone();
    events(6..12).iter().for_each(|event| later.apply(event));
    let later_bytes = rmp_serde::to_vec(&later).expect("sound");
    let raw = keyframe(1, 12, later.run_hash(), sum(&later_bytes), &later_bytes);
    let header = BlockHeader {
        raw_bytes: u32::try_from(raw.len()).expect("sound"),
        count: 1,
        first: 12,
        first_t_ns: later.now().0,
        last_t_ns: later.now().0,
        ..BlockHeader::new(BlockType::Keyframe)
    };
    let (bytes, offset) = around(&block(header, &raw));
    let checked = verify(&check_read(&bytes, &expected, "too early")).expect("sound");
    assert_eq!(checked.problems[0].offset, offset);
    for (case, raw, first) in cases {
        let (bytes, offset) = around(&crafted(&raw, first));
        let checked = verify(&check_read(&bytes, &expected, case)).expect("sound");
        assert_eq!(checked.problems[0].offset, offset, "{case}");
        assert!(checked.problems[0].what.contains("keyframe"), "{case}");
    }
}

#[test]
fn what_a_later_minor_version_adds_is_stepped_over() {
    let (now, _) = around(&[]);
    let mut later = file_header(1, 7);
    later.extend_from_slice(&now[FILE_HEADER_BYTES..]);
    let reader = check_read(&later, &events(0..12), "minor version");
    assert_eq!(reader.version(), (1, 7));
    // A type of block and a key of a payload that nobody knows yet.
    for code in [4, 14, 99, 255] {
        let (bytes, _) = around(&plain(code, b"whatever it means"));
        let reader = check_read(&bytes, &events(0..12), "type");
        assert_eq!(
            verify(&reader).expect("sound").problem_count,
            1,
            "only the end is missing"
        );
        assert!(reader.blocks().iter().any(|block| block.type_code == code));
    }
    let mut raw = Vec::new();
    let gap = serde_json::json!({
        "from_t_ns": 1, "to_t_ns": 2, "first_seq": null, "events": 0,
        "reason": "dropped", "offset": null, "of_a_later_version": [1, {"deep": "er"}],
    });
    rmp_serde::encode::write_named(&mut raw, &gap).expect("sound");
    let (bytes, _) = around(&plain(BlockType::Gap.code(), &raw));
    let reader = check_read(&bytes, &events(0..12), "key");
    assert_eq!(reader.gaps().len(), 1);
    // A column that nobody knows yet: the map of twelve becomes one of thirteen.
    let six = batch(&events(0..6));
    let payload = 96 + usize::from(u16::from_le_bytes([six[10], six[11]]));
    let mut raw = six[payload..six.len() - 8].to_vec();
    assert_eq!((six[9], raw[0]), (0, 0x8c), "stored as it is");
    raw[0] = 0x8d;
    raw.extend_from_slice(b"\xa1z\xc4\x02\x00\x05");
    let header = BlockHeader {
        raw_bytes: u32::try_from(raw.len()).expect("sound"),
        ..BlockHeader::decode(&six).expect("sound")
    };
    let mut bytes = beginning();
    bytes.extend(block(header, &raw));
    let mut reader = ReelReader::from_bytes(bytes).expect("sound");
    assert_eq!(read_all(&mut reader), events(0..6));
}

#[test]
fn a_kind_of_event_that_is_not_known_costs_its_block_and_says_so() {
    // The kinds are a byte each; the second becomes one that no version has yet.
    let six = batch(&events(0..6));
    let at = six
        .windows(4)
        .position(|it| it == b"\xa1k\xc4\x07")
        .expect("sound");
    let payload = 96 + usize::from(u16::from_le_bytes([six[10], six[11]]));
    let mut raw = six[payload..six.len() - 8].to_vec();
    raw[at - payload + 6] = 120;
    let header = BlockHeader {
        raw_bytes: u32::try_from(raw.len()).expect("sound"),
        ..BlockHeader::decode(&six).expect("sound")
    };
    let mut bytes = beginning();
    let offset = bytes.len() as u64;
    bytes.extend(block(header, &raw));
    bytes.extend(batch(&events(6..12)));
    let reader = check_read(&bytes, &events(6..12), "kind");
    assert_eq!(reader.gaps()[0].events, Some(6));
    let problem = verify(&reader).expect("sound").problems[0].clone();
    assert_eq!(problem.offset, offset);
    assert!(
        problem.what.contains("event kind code 120"),
        "{}",
        problem.what
    );
    assert!(problem.what.contains("newer flowreel"), "{}", problem.what);
}

#[test]
fn a_newer_major_version_is_refused_with_one_sentence() {
    let folder = folder("newer-version");
    let path = folder.join("newer.reel");
    let (bytes, _) = around(&[]);
    let newer = [file_header(2, 0), bytes[FILE_HEADER_BYTES..].to_vec()].concat();
    std::fs::write(&path, newer).expect("sound");
    let (code, answer, said) = json(&["info", path.to_str().expect("sound")]);
    assert_eq!((code, said.lines().count()), (2, 1), "{answer}");
    assert!(
        said.contains("byte 0") && said.contains("use a newer flowreel"),
        "{said}"
    );
}

/// Numbers that look random and are the same in each run.
fn draws(seed: u64) -> impl FnMut() -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ seed;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// Events in order of number and time, and otherwise without any sense.
fn senseless(seed: u64, count: u64) -> Vec<StageEvent> {
    let mut draw = draws(seed);
    let mut t_ns = 0_u64;
    (0..count)
        .map(|seq| {
            let (a, b, c) = (draw(), draw(), draw());
            t_ns = t_ns.saturating_add(a >> (1 + b % 63));
            StageEvent {
                t_ns: TimeNs(t_ns),
                seq,
                request: RequestId(c >> (a % 64)),
                value: draw() >> (c % 64),
                detail: DetailId::NONE,
                component: ComponentId((a >> 8) as u16 >> (b % 16)),
                peer: ComponentId((b >> 8) as u16 >> (c % 16)),
                class: ClassId((c >> 8) as u16 >> (a % 16)),
                attempt: (a >> 24) as u16,
                part: PartId((b >> 24) as u16 >> (a % 16)),
                kind: EventKind::ALL[(c % EventKind::ALL.len() as u64) as usize],
                outcome: Outcome::ALL[(b % Outcome::ALL.len() as u64) as usize],
            }
        })
        .collect()
}

#[test]
fn events_without_sense_are_shown_as_they_are_and_nothing_panics() {
    for seed in 0..40 {
        let events = senseless(seed, 300);
        let meta = ReelMeta::new(RunId([4; 16]), RunSource::Import);
        let mut writer = ReelWriter::new(Vec::new(), &meta, &topology()).expect("sound");
        for event in &events {
            writer.push(event).expect("sound");
        }
        let (bytes, _) = writer.finish(&FinishInfo::default()).expect("sound");
        let case = format!("seed {seed}");
        let reader = check_read(&bytes, &events, &case);
        assert_eq!(verify(&reader).expect("sound").problems, [], "{case}");
        if seed < 3 {
            check_verbs(&bytes, &format!("senseless-{seed}"), 0);
        }
    }
}

/// Every verb over a reel ends with an answer or one sentence, whatever the reel holds.
fn check_verbs(bytes: &[u8], name: &str, verify_code: i32) {
    let folder = folder(name);
    let path = folder.join("a.reel");
    std::fs::write(&path, bytes).expect("sound");
    let reel = path.to_str().expect("sound");
    let out = |name: &str| folder.join(name).display().to_string();
    let (saved, piece, copy, table, traces, timeline) = (
        out("saved"),
        out("piece"),
        out("copy"),
        out("a.csv"),
        out("a.otlp"),
        out("a.perfetto"),
    );
    let calls: &[&[&str]] = &[
        &["verify", reel],
        &["info", reel],
        &["state", reel, "--at", "5ms"],
        &["requests", reel],
        &["request", reel, "1"],
        &["cat", reel],
        &["replay", reel, "--reverse"],
        &["replay", reel],
        &["recover", reel, &saved],
        &["slice", reel, "--from", "1ms", "--out", &piece],
        &["redact", reel, "--field", "users", "--out", &copy],
        &["diff", reel, reel],
        &["export", reel, "--format", "csv", "--out", &table],
        &["export", reel, "--format", "otlp", "--out", &traces],
        &["export", reel, "--format", "perfetto", "--out", &timeline],
    ];
    for arguments in calls {
        let (code, answer, said) = json(arguments);
        assert!((0..=2).contains(&code), "{name}: {arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{name}: {arguments:?}: {said}");
        let schema = answer["schema"].as_str().expect("sound");
        assert!(schema.starts_with("flowreel."), "{schema}");
        if arguments[0] == "verify" {
            assert_eq!(code, verify_code, "{name}: {answer}");
        }
    }
}

#[test]
fn every_verb_survives_the_worst_of_the_lies() {
    let worst: Vec<u8> = hostile().into_iter().flat_map(|(_, lie)| lie).collect();
    check_verbs(&around(&worst).0, "worst", 1);
    let mut late = events(6..12);
    late.iter_mut().for_each(|event| event.t_ns = TimeNs(1));
    let mut backwards = beginning();
    backwards.extend(batch(&events(0..6)));
    backwards.extend(batch(&late));
    backwards.extend(batch(&events(6..12)));
    check_verbs(&backwards, "backwards", 1);
    let mut last = events(0..6);
    let near_the_end = u64::MAX - 6;
    for event in &mut last {
        event.seq += near_the_end;
        event.t_ns = TimeNs(u64::MAX);
    }
    let mut ending = beginning();
    ending.extend(batch(&last));
    check_verbs(&ending, "last-numbers", 1);
}
