//! A reel that grows while it is read, and one that is cut, exchanged or written over meanwhile.
//!
//! Belongs here: time passing between two looks at a file. Does not belong here: damage at rest (reel_damage).

use crate::cli::{folder, json};
use crate::craft::{events, follow, read_all, topology};
use crate::reel::reel;
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::recording::format::BlockType;
use flowreel_engine::recording::{
    BlockRef, FinishInfo, ReelError, ReelMeta, ReelReader, ReelWriter, RunId, RunSource,
    WriterOptions, totals, verify,
};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// A live reel in batches of six events.
fn live(run: u8, count: u64) -> Vec<u8> {
    let meta = ReelMeta::new(RunId([run; 16]), RunSource::Live);
    let options = WriterOptions {
        batch_events: 6,
        batch_span_ns: None,
    };
    let mut writer =
        ReelWriter::with_options(Vec::new(), &meta, &topology(), options).expect("sound");
    for event in events(0..count) {
        writer.push(&event).expect("sound");
    }
    writer.finish(&FinishInfo::default()).expect("sound").0
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).open(path).expect("sound");
    file.write_all(bytes).expect("sound");
}

fn named_at(bytes: &[u8]) -> usize {
    let reader = ReelReader::from_bytes(bytes.to_vec()).expect("sound");
    let is_topology = |block: &&BlockRef| block.block_type() == Some(BlockType::Topology);
    let topology = reader.blocks().iter().find(is_topology).expect("sound");
    usize::try_from(topology.end()).expect("sound")
}

#[test]
fn a_refreshed_reader_knows_what_a_new_one_would() {
    let path = folder("growing").join("a.reel");
    let bytes = live(1, 600);
    let start = named_at(&bytes);
    std::fs::write(&path, &bytes[..start]).expect("sound");
    let mut reader = ReelReader::open(&path).expect("sound");
    assert!(!reader.refresh().expect("sound"), "nothing is new");
    let mut length = start;
    for step in (1..400).cycle().step_by(37) {
        let next = (length + step).min(bytes.len());
        append(&path, &bytes[length..next]);
        length = next;
        assert!(reader.refresh().expect("sound"), "at {length}");
        let fresh = ReelReader::from_bytes(bytes[..length].to_vec()).expect("sound");
        assert_eq!(reader.blocks(), fresh.blocks(), "at {length}");
        assert_eq!(reader.event_blocks(), fresh.event_blocks(), "at {length}");
        assert_eq!(reader.gaps(), fresh.gaps(), "at {length}");
        assert_eq!(reader.is_complete(), fresh.is_complete(), "at {length}");
        assert_eq!(reader.summary(), fresh.summary(), "at {length}");
        if length == bytes.len() {
            break;
        }
    }
    assert!(reader.is_complete());
    assert_eq!(read_all(&mut reader), events(0..600));
    assert!(verify(&reader).expect("sound").holds());
    assert_eq!(totals(&mut reader).expect("sound").events, 600);
}

#[test]
fn a_file_that_is_cut_exchanged_or_written_over_is_noticed() {
    let folder = folder("changing");
    let (bytes, other) = (live(1, 600), live(2, 1200));
    let path = folder.join("a.reel");
    let half = bytes.len() / 2;
    let changed = |what: &str, change: &dyn Fn()| {
        std::fs::write(&path, &bytes[..half]).expect("sound");
        let mut reader = ReelReader::open(&path).expect("sound");
        change();
        let error = reader.refresh().unwrap_err();
        assert!(
            matches!(error, ReelError::Changed { .. }),
            "{what}: {error}"
        );
        assert!(error.to_string().contains(what), "{what}: {error}");
        // What is asked for is told or missing; nothing is made up.
        let read = read_all(&mut reader);
        let known: Vec<StageEvent> = [events(0..600), events(0..1200)].concat();
        assert!(read.iter().all(|event| known.contains(event)), "{what}");
    };
    changed("shorter", &|| {
        std::fs::write(&path, &bytes[..half - 500]).expect("sound");
    });
    changed("shorter", &|| std::fs::write(&path, b"").expect("sound"));
    changed("another run", &|| {
        std::fs::write(&path, &other).expect("sound");
    });
    changed("not there any more", &|| {
        let mut same_start = bytes.clone();
        same_start.drain(2000..2100);
        std::fs::write(&path, &same_start).expect("sound");
    });
    if cfg!(unix) {
        changed("has its name", &|| {
            let new = folder.join("new.reel");
            std::fs::write(&new, &other).expect("sound");
            std::fs::rename(new, &path).expect("sound");
        });
        changed("has its name", &|| {
            std::fs::remove_file(&path).expect("sound");
        });
    }
}

#[test]
fn verbs_answer_for_a_reel_that_is_still_written() {
    let folder = folder("still-written");
    let path = folder.join("a.reel");
    let name = path.to_str().expect("sound");
    let bytes = live(1, 600);
    let start = named_at(&bytes);
    for length in (start..bytes.len()).step_by((bytes.len() - start) / 12) {
        std::fs::write(&path, &bytes[..length]).expect("sound");
        let (code, info, _) = json(&["info", name]);
        assert_eq!((code, &info["complete"]), (0, &false.into()), "{info}");
        let count = info["events"].as_u64().expect("sound");
        let (code, told, _) = json(&["cat", name]);
        assert_eq!(code, 0, "{told}");
        assert_eq!(
            told["events"].as_array().expect("sound").len() as u64,
            count
        );
        let (code, played, _) = json(&["replay", name]);
        assert_eq!((code, played["events"].as_u64()), (0, Some(count)));
        let (code, state, _) = json(&["state", name, "--at", "1h"]);
        assert_eq!((code, state["events"].as_u64()), (0, Some(count)));
        let (code, checked, _) = json(&["verify", name]);
        assert_eq!(code, 1, "{checked}");
        let problem = checked["problems"]
            .as_array()
            .expect("sound")
            .last()
            .expect("sound");
        assert!(
            problem["problem"]
                .as_str()
                .expect("sound")
                .contains("no end")
        );
    }
}

#[test]
fn cat_follows_a_reel_to_its_end() {
    let path = folder("followed").join("a.reel");
    let bytes = live(1, 600);
    let start = named_at(&bytes);
    std::fs::write(&path, &bytes[..start + 900]).expect("sound");
    let mut child = Command::new(env!("CARGO_BIN_EXE_flowreel"))
        .args([
            "cat",
            path.to_str().expect("sound"),
            "--follow",
            "--format",
            "jsonl",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sound");
    let mut lines = BufReader::new(child.stdout.take().expect("sound")).lines();
    let mut seen = 0;
    let mut next = || {
        let line: serde_json::Value =
            serde_json::from_str(&lines.next()?.expect("sound")).expect("sound");
        assert_eq!(line["seq"], seen);
        seen += 1;
        Some(seen)
    };
    // Each part is only written once something of the part before was seen.
    let mut written = start + 900;
    while written < bytes.len() {
        assert!(next().is_some());
        let more = (written + 1500).min(bytes.len());
        append(&path, &bytes[written..more]);
        written = more;
    }
    while next().is_some() {}
    assert_eq!(seen, 600);
    assert!(child.wait().expect("sound").success());
}

#[test]
fn a_follower_says_where_the_names_were_damaged() {
    let bytes = live(1, 60);
    let reader = ReelReader::from_bytes(bytes.clone()).expect("sound");
    let blocks = reader.blocks().to_vec();
    let of = |wanted| {
        blocks
            .iter()
            .find(|block| block.block_type() == Some(wanted))
    };
    let topology = of(BlockType::Topology).expect("sound");
    for into in [9, 30, 120] {
        let mut damaged = bytes.clone();
        damaged[usize::try_from(topology.offset).expect("sound") + into] ^= 1;
        let error = follow(&damaged).unwrap_err();
        assert_eq!(error.offset(), Some(topology.offset), "{error}");
        assert!(error.to_string().contains("topology"), "{error}");
        // At rest its copy at the end serves.
        let mut reader = ReelReader::from_bytes(damaged).expect("sound");
        assert_eq!(read_all(&mut reader), events(0..60));
    }
    let run = of(BlockType::Run).expect("sound");
    let mut damaged = bytes;
    damaged[usize::try_from(run.offset).expect("sound") + 120] ^= 1;
    assert_eq!(follow(&damaged).expect("sound").0, events(0..60));
}

#[test]
fn a_long_reel_is_refreshed_by_a_few_reads() {
    // Growth by one block does not go through the blocks before it: positions stay, and so do gaps.
    let (bytes, all) = reel(600, 200);
    let path = folder("refreshed").join("a.reel");
    let whole = ReelReader::from_bytes(bytes.clone()).expect("sound");
    let cut = |block: &BlockRef| usize::try_from(block.end()).expect("sound");
    let last_two = &whole.event_blocks()[whole.event_blocks().len() - 2..];
    std::fs::write(&path, &bytes[..cut(&last_two[0])]).expect("sound");
    let mut reader = ReelReader::open(&path).expect("sound");
    let before = reader.event_blocks().to_vec();
    append(&path, &bytes[cut(&last_two[0])..cut(&last_two[1])]);
    assert!(reader.refresh().expect("sound"));
    assert_eq!(reader.event_blocks()[..before.len()], before[..]);
    assert_eq!(reader.event_blocks().len(), before.len() + 1);
    assert_eq!(read_all(&mut reader), all);
}
