//! Perfetto traces: read again by a decoder of a few lines, slices nest, counters come back to nothing.

use crate::cli::{folder, json};
use std::collections::BTreeMap;

/// A field of a message: its number, and a number or bytes.
enum Field<'a> {
    Number(u32, u64),
    Bytes(u32, &'a [u8]),
}

/// The fields of a message in order (protobuf.dev/programming-guides/encoding).
fn fields(mut bytes: &[u8]) -> Vec<Field<'_>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = u32::try_from(key >> 3).expect("a small number");
        match key & 7 {
            0 => found.push(Field::Number(field, varint(&mut bytes))),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).expect("it fits");
                let (inner, rest) = bytes.split_at(length);
                found.push(Field::Bytes(field, inner));
                bytes = rest;
            }
            other => unreachable!("wire type {other} is never written"),
        }
    }
    found
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().expect("a whole number");
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return value;
        }
    }
    unreachable!("a number of more than 64 bits")
}

fn number(message: &[u8], wanted: u32) -> Option<u64> {
    fields(message).into_iter().find_map(|field| match field {
        Field::Number(number, value) if number == wanted => Some(value),
        _ => None,
    })
}

fn bytes(message: &[u8], wanted: u32) -> Option<&[u8]> {
    fields(message).into_iter().find_map(|field| match field {
        Field::Bytes(number, value) if number == wanted => Some(value),
        _ => None,
    })
}

/// What a trace adds up to.
#[derive(Default)]
struct Told {
    slices: u64,
    ended_ns: u64,
    /// Name of each track.
    tracks: BTreeMap<u64, String>,
    /// Open slices of each track.
    open: BTreeMap<u64, u64>,
    levels: BTreeMap<u64, u64>,
}

fn read(trace: &[u8]) -> Told {
    let mut told = Told::default();
    for packet in fields(trace) {
        let Field::Bytes(1, packet) = packet else {
            unreachable!("a trace is packets");
        };
        if let Some(descriptor) = bytes(packet, 60) {
            let track = number(descriptor, 1).expect("a track has an id");
            if let Some(parent) = number(descriptor, 5) {
                assert!(told.tracks.contains_key(&parent), "parents come first");
            }
            let name = String::from_utf8(bytes(descriptor, 2).expect("a name").to_vec());
            told.tracks.insert(track, name.expect("UTF-8"));
            continue;
        }
        let event = bytes(packet, 11).expect("a packet is a track or an event");
        let at_ns = number(packet, 8).expect("an event has a time");
        assert!(at_ns >= told.ended_ns, "time runs backwards at {at_ns}");
        told.ended_ns = at_ns;
        let track = number(event, 11).expect("an event has a track");
        assert!(told.tracks.contains_key(&track), "track {track} is unknown");
        let open = told.open.entry(track).or_default();
        match number(event, 9) {
            Some(1) => {
                *open += 1;
                assert_eq!(*open, 1, "slices overlap on {}", told.tracks[&track]);
                told.slices += 1;
            }
            Some(2) => *open = open.checked_sub(1).expect("an end has a beginning"),
            Some(4) => {
                told.levels
                    .insert(track, number(event, 30).expect("a level"));
            }
            other => unreachable!("{other:?} is no type of event"),
        }
    }
    told
}

#[test]
fn slices_nest_and_every_level_comes_back_to_nothing() {
    let folder = folder("perfetto");
    for name in [
        "retry-ladder.reel",
        "smtp-refuses.reel",
        "media-review.reel",
    ] {
        let reel = format!("{}/../recordings/{name}", env!("CARGO_MANIFEST_DIR"));
        let out = folder.join("run.perfetto");
        let path = out.display().to_string();
        let arguments = ["export", &reel, "--format", "perfetto", "--out", &path];
        let (code, answer, error) = json(&arguments);
        assert_eq!(code, 0, "{error}");
        let told = read(&std::fs::read(&out).expect("it was written"));
        assert_eq!(answer["items"], told.slices, "{name}");
        assert!(told.open.values().all(|open| *open == 0), "{name}");
        assert!(told.levels.values().all(|level| *level == 0), "{name}");
        let (_, info, _) = json(&["info", &reel]);
        let kinds = &info["kinds"];
        let opened = ["arrived", "job-added", "job-delayed", "job-dead-lettered"];
        let opened = opened.iter().filter_map(|kind| kinds[*kind].as_u64());
        assert_eq!(told.slices, opened.sum::<u64>(), "{name}");
        assert!(info["last_t_ns"].as_u64() >= Some(told.ended_ns), "{name}");
    }
}
