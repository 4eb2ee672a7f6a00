//! Reels out of reels: pieces are as true as the whole, and joined pieces are the whole again.

use crate::cli::{folder, json};
use flowreel_engine::model::check::check_stream;
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::recording::ReelReader;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn shipped(name: &str) -> String {
    format!("{}/../recordings/{name}", env!("CARGO_MANIFEST_DIR"))
}

const SHIPPED: [&str; 3] = [
    "retry-ladder.reel",
    "smtp-refuses.reel",
    "media-review.reel",
];

fn text(path: &Path) -> &str {
    path.to_str().expect("names in ASCII")
}

fn state(reel: &str, at: &str) -> Value {
    json(&["state", reel, "--at", at]).1
}

fn events(reel: &Path) -> (ReelReader, Vec<StageEvent>) {
    let mut reader = ReelReader::open(reel).expect("sound");
    let (mut all, mut batch) = (Vec::new(), Vec::new());
    for position in 0..reader.event_blocks().len() {
        assert!(reader.read_events(position, &mut batch).expect("readable"));
        all.extend_from_slice(&batch);
    }
    (reader, all)
}

#[test]
fn a_stretch_is_as_true_as_the_whole() {
    let folder = folder("slice");
    let whole = shipped("retry-ladder.reel");
    let piece = folder.join("piece.reel");
    let (code, answer, _) = json(&[
        "slice",
        &whole,
        "--from",
        "40s",
        "--to",
        "60s",
        "--out",
        text(&piece),
    ]);
    assert_eq!(code, 0, "{answer}");
    for at in ["40.5s", "47s", "59.9s"] {
        assert_eq!(state(text(&piece), at), state(&whole, at), "{at}");
    }
    let (code, verified, _) = json(&["verify", text(&piece)]);
    assert_eq!((code, &verified["holds"]), (0, &true.into()), "{verified}");
    let gap = &verified["gaps"][0];
    assert_eq!(gap["reason"], "elsewhere");
    assert_eq!(verified["gaps"].as_array().map(Vec::len), Some(1));
    // The gap and what follows are what the whole counts up to the end of the piece.
    let missing = gap["events"].as_u64().expect("known");
    let here = verified["events"].as_u64().expect("known");
    assert_eq!(state(&whole, "60s")["events"], missing + here);
}

#[test]
fn joined_pieces_are_the_whole_again() {
    for name in SHIPPED {
        let folder = folder(&format!("split-{name}"));
        let whole = shipped(name);
        let length = if name == "media-review.reel" {
            "10ms"
        } else {
            "7s"
        };
        let (code, answer, _) = json(&["split", &whole, "--every", length, "--out", text(&folder)]);
        assert_eq!(code, 0, "{answer}");
        let mut pieces: Vec<String> = answer["pieces"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|piece| piece["out"].as_str().expect("a path").to_owned())
            .collect();
        assert!(pieces.len() > 2, "{answer}");
        // In any order, and with one of them given twice.
        pieces.reverse();
        pieces.push(pieces[0].clone());
        let joined = folder.join("joined.reel");
        let mut arguments = vec!["merge"];
        arguments.extend(pieces.iter().map(String::as_str));
        arguments.extend(["--out", text(&joined)]);
        let (code, merged, _) = json(&arguments);
        assert_eq!((code, &merged["one_run"]), (0, &true.into()), "{merged}");
        let (_, verified, _) = json(&["verify", text(&joined)]);
        assert_eq!(verified["holds"], true, "{verified}");
        let (_, info, _) = json(&["info", &whole]);
        for key in [
            "final_hash",
            "events",
            "requests",
            "kinds",
            "edges",
            "run_id",
        ] {
            assert_eq!(verified[key], info[key], "{name}: {key}");
        }
        assert_eq!(verified["gaps"], Value::Array(Vec::new()), "{name}");
        let (code, diff, _) = json(&["diff", text(&joined), &whole]);
        assert_eq!((code, &diff["same"]), (0, &true.into()), "{diff}");
    }
}

#[test]
fn a_simulated_run_that_was_joined_again_proves_itself() {
    let folder = folder("split-proof");
    let whole = shipped("retry-ladder.reel");
    let (_, answer, _) = json(&["split", &whole, "--every", "1m", "--out", text(&folder)]);
    let pieces = answer["pieces"].as_array().expect("a list");
    let joined = folder.join("joined.reel");
    let mut arguments = vec!["merge"];
    arguments.extend(
        pieces
            .iter()
            .map(|piece| piece["out"].as_str().expect("a path")),
    );
    arguments.extend(["--out", text(&joined)]);
    assert_eq!(json(&arguments).0, 0);
    let (code, verified, _) = json(&["verify", text(&joined), "--resimulate"]);
    assert_eq!((code, &verified["holds"]), (0, &true.into()), "{verified}");
}

#[test]
fn the_events_of_one_request_are_a_run_of_their_own() {
    let folder = folder("choose");
    let whole = shipped("smtp-refuses.reel");
    let piece = folder.join("request.reel");
    let (code, answer, _) = json(&["slice", &whole, "--request", "5", "--out", text(&piece)]);
    assert_eq!((code, &answer["requests"]), (0, &1.into()), "{answer}");
    let (reader, chosen) = events(&piece);
    assert!(chosen.iter().all(|event| event.request.0 == 5));
    let state = check_stream(reader.topology(), &chosen).expect("a whole journey");
    assert_eq!(state.requests().in_flight, 0);
    assert_eq!(
        json(&["request", text(&piece), "5"]).1["stages"],
        json(&["request", &whole, "5"]).1["stages"]
    );
    let arguments = [
        "slice",
        &whole,
        "--component",
        "mail-worke",
        "--out",
        "x.reel",
    ];
    let (code, refused, error) = json(&arguments);
    assert_eq!(code, 2, "{refused}");
    assert!(
        error.contains("did you mean `mail-worker`?") && error.lines().count() == 1,
        "{error}"
    );
}

#[test]
fn where_nothing_fits_nothing_is_written() {
    let folder = folder("nothing");
    let whole = shipped("retry-ladder.reel");
    let piece = folder.join("piece.reel");
    for chosen in [
        &["--from", "1h"][..],
        // Between the first two events.
        &["--from", "88.2ms", "--to", "88.2ms"],
        &["--request", "999999"],
    ] {
        let arguments = [&["slice", whole.as_str(), "--out", text(&piece)], chosen].concat();
        let (code, refused, error) = json(&arguments);
        assert_eq!(code, 2, "{refused}");
        assert!(error.contains("no event fits"), "{error}");
        assert!(!piece.exists(), "{chosen:?}");
    }
    let (_, _, _) = json(&[
        "slice",
        &whole,
        "--component",
        "mail",
        "--out",
        text(&piece),
    ]);
    let (_, info, _) = json(&["info", text(&piece)]);
    assert_eq!(info["notes"]["chosen"], "component mail");
}

#[test]
fn pieces_by_component_and_class_hold_every_event_once() {
    let whole = shipped("smtp-refuses.reel");
    let (_, info, _) = json(&["info", &whole]);
    for (by, counted) in [("component", true), ("class", false)] {
        let folder = folder(&format!("split-by-{by}"));
        let (code, answer, _) = json(&["split", &whole, "--by", by, "--out", text(&folder)]);
        assert_eq!(code, 0, "{answer}");
        let pieces = answer["pieces"].as_array().expect("a list");
        let sum: u64 = pieces
            .iter()
            .filter_map(|piece| piece["events"].as_u64())
            .sum();
        if counted {
            assert_eq!(info["events"], sum);
        } else {
            // What belongs to no request is in no class.
            assert!(sum > 0 && sum <= info["events"].as_u64().expect("a number"));
        }
        for piece in pieces {
            let reel = piece["out"].as_str().expect("a path");
            assert_eq!(json(&["verify", reel]).1["holds"], true, "{reel}");
        }
    }
}

/// Two machines recorded one system, one with a clock 250 ms ahead: what one sent, the other received.
#[test]
fn clocks_of_two_machines_are_laid_on_one_another() {
    use flowreel_engine::model::event::EventKind;
    use flowreel_engine::model::time::TimeNs;
    use flowreel_engine::recording::{FinishInfo, ReelWriter, RunId};
    const AHEAD_NS: u64 = 250_000_000;
    let folder = folder("skew");
    let (reader, all) = events(Path::new(&shipped("smtp-refuses.reel")));
    let topology = reader.topology().clone();
    let balancer = topology.component_named("balancer").expect("it is there");
    let clients = topology.component_named("clients").expect("it is there");
    let is_front = |event: &StageEvent| [balancer, clients].contains(&event.component);
    let write = |name: &str, id: u8, is_here: &dyn Fn(&StageEvent) -> bool, ahead_ns: u64| {
        let path: PathBuf = folder.join(name);
        let mut meta = reader.meta().clone();
        meta.run_id = RunId([id; 16]);
        let file = std::fs::File::create(&path).expect("a file can be made");
        let mut writer = ReelWriter::new(file, &meta, &topology).expect("sound");
        for event in all.iter().filter(|event| is_here(event)) {
            let event = StageEvent {
                seq: writer.next_seq(),
                t_ns: TimeNs(event.t_ns.0 + ahead_ns),
                detail: flowreel_engine::model::id::DetailId::NONE,
                ..*event
            };
            writer.push(&event).expect("in order");
        }
        writer.finish(&FinishInfo::default()).expect("sound");
        path
    };
    let front = write("front.reel", 1, &is_front, 0);
    let back = write("back.reel", 2, &|event| !is_front(event), AHEAD_NS);
    let joined = folder.join("joined.reel");
    let (code, merged, _) = json(&["merge", text(&front), text(&back), "--out", text(&joined)]);
    assert_eq!(code, 0, "{merged}");
    let clock = &merged["parts"][1]["clock"];
    // Forwards go one way only in this system, and the fastest takes next to no time.
    let ahead_s = clock["ahead_s"].as_f64().expect("a number");
    assert!((ahead_s - 0.25).abs() < 0.002, "{merged}");
    assert!(clock["pairs"].as_u64() >= Some(50), "{merged}");
    let (_, joined_events) = events(&joined);
    assert_eq!(joined_events.len(), all.len());
    let begun = |events: &[StageEvent]| {
        events
            .iter()
            .filter(|event| event.kind == EventKind::RequestBegun)
            .count()
    };
    assert_eq!(begun(&joined_events), begun(&all));
}

#[test]
fn runs_that_part_are_compared_from_there() {
    let folder = folder("diff");
    let scenario = format!(
        "{}/../scenarios/notification.toml",
        env!("CARGO_MANIFEST_DIR")
    );
    let simulate = |name: &str, duration: &str, setting: &str| {
        let reel = folder.join(name).display().to_string();
        let (code, answer, _) = json(&[
            "simulate",
            &scenario,
            "--seed",
            "7",
            "--duration",
            duration,
            "--set",
            setting,
            "--out",
            &reel,
        ]);
        assert!(code < 2, "{answer}");
        reel
    };
    let same = "station.server-1.servers=4";
    let a = simulate("a.reel", "3m", same);
    let longer = simulate("longer.reel", "4m", same);
    let other = simulate("other.reel", "3m", "station.smtp.failure.probability=0.05");
    let (code, diff, _) = json(&["diff", &a, &a]);
    assert_eq!((code, &diff["same"]), (0, &true.into()));
    let (code, diff, _) = json(&["diff", &a, &longer]);
    assert_eq!((code, &diff["same"]), (1, &false.into()));
    assert_eq!(diff["divergence"]["common_events"], diff["a"]["events"]);
    assert_eq!(diff["divergence"]["a"], Value::Null);
    let (code, diff, _) = json(&["diff", &a, &other]);
    assert_eq!(code, 1);
    // The place is the first difference of a comparison event by event.
    let (_, one) = events(Path::new(&a));
    let (_, two) = events(Path::new(&other));
    let place = one.iter().zip(&two).take_while(|(a, b)| a == b).count();
    assert_eq!(diff["divergence"]["common_events"], place);
    assert!(place > 100, "{place}");
}

#[test]
fn a_difference_is_found_by_few_keyframes() {
    let folder = folder("diff-keyframes");
    let scenario = format!(
        "{}/../scenarios/notification.toml",
        env!("CARGO_MANIFEST_DIR")
    );
    let reels = ["a.reel", "b.reel"].map(|name| folder.join(name).display().to_string());
    for (reel, fault) in reels.iter().zip(["0.05", "0.06"]) {
        let setting = format!("station.smtp.failure.probability={fault}");
        let arguments = [
            "simulate",
            &scenario,
            "--seed",
            "7",
            "--duration",
            "90m",
            "--set",
        ];
        let rest = [setting.as_str(), "--out", reel];
        assert!(json(&[&arguments[..], &rest[..]].concat()).0 < 2);
    }
    let (_, diff, _) = json(&["diff", &reels[0], &reels[1]]);
    let number = |key: &str| diff[key].as_u64().expect("a number");
    let (places, compared) = (number("keyframes"), number("keyframes_compared"));
    assert!(places > 4 && diff["same"] == false, "{diff}");
    assert!(
        compared <= u64::from(places.ilog2()) + 1,
        "{compared} of {places}"
    );
    let (_, same, _) = json(&["diff", &reels[0], &reels[0]]);
    assert_eq!(
        (&same["same"], &same["not_compared"]),
        (&true.into(), &0.into())
    );
}

/// What a reel does not hold is not a difference; it is counted.
#[test]
fn a_damaged_reel_differs_in_nothing_that_it_holds() {
    let folder = folder("diff-damaged");
    let whole = shipped("retry-ladder.reel");
    let mut bytes = std::fs::read(&whole).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    let damaged = folder.join("damaged.reel");
    std::fs::write(&damaged, bytes).expect("room on the disk");
    let (_, info, _) = json(&["info", text(&damaged)]);
    let lost = &info["gaps"][0]["events"];
    assert!(lost.as_u64() > Some(0), "{info}");
    for pair in [[text(&damaged), &whole], [&whole, text(&damaged)]] {
        let (code, diff, _) = json(&["diff", pair[0], pair[1]]);
        assert_eq!((code, &diff["same"]), (0, &true.into()), "{diff}");
        assert_eq!(&diff["not_compared"], lost, "{diff}");
    }
    let other = shipped("smtp-refuses.reel");
    let (code, diff, _) = json(&["diff", &whole, &other]);
    assert_eq!((code, &diff["same"]), (1, &false.into()));
    assert_eq!(diff["divergence"]["common_events"], 0);
}

#[test]
fn a_copy_without_fields_has_none_of_them() {
    let folder = folder("redact");
    let whole = shipped("smtp-refuses.reel");
    let copy = folder.join("copy.reel");
    let (code, answer, _) = json(&[
        "redact",
        &whole,
        "--field",
        "users",
        "--field",
        "details",
        "--out",
        text(&copy),
    ]);
    assert_eq!(code, 0, "{answer}");
    assert!(answer["redacted"]["users"].as_u64() > Some(0), "{answer}");
    let (_, all) = events(Path::new(&whole));
    let (reader, kept) = events(&copy);
    assert_eq!(all.len(), kept.len());
    assert!(kept.iter().all(|event| {
        let is_begun = event.kind == flowreel_engine::model::event::EventKind::RequestBegun;
        event.detail == flowreel_engine::model::id::DetailId::NONE
            && (!is_begun || event.value == 0)
    }));
    check_stream(reader.topology(), &kept).expect("the rest is as it was");
    let (_, verified, _) = json(&["verify", text(&copy)]);
    assert_eq!(verified["holds"], true);
    assert_eq!(verified["details"], 0);
    let (code, refused, _) = json(&["redact", &whole, "--field", "names", "--out", "x.reel"]);
    assert_eq!(code, 2, "{refused}");
}

#[test]
fn notes_stand_beside_the_reel_and_leave_it_alone() {
    let folder = folder("annotate");
    let reel = folder.join("run.reel");
    std::fs::copy(shipped("media-review.reel"), &reel).expect("room on the disk");
    let before = std::fs::read(&reel).expect("readable");
    let path = text(&reel);
    for (at, note) in [("20ms", "here it begins"), ("5ms", "before")] {
        let (code, answer, _) = json(&["annotate", path, "--at", at, "--text", note]);
        assert_eq!(code, 0, "{answer}");
    }
    let (_, listed, _) = json(&["annotate", path]);
    let texts: Vec<&str> = listed["notes"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|note| note["text"].as_str())
        .collect();
    assert_eq!(texts, ["before", "here it begins"]);
    assert_eq!(json(&["annotate", path, "--remove", "3"]).0, 2);
    let (_, listed, _) = json(&["annotate", path, "--remove", "1"]);
    assert_eq!(listed["notes"][0]["t_ns"], 20_000_000);
    assert_eq!(std::fs::read(&reel).expect("readable"), before);
    assert_eq!(json(&["annotate", path, "--at", "1s", "--text", " "]).0, 2);
}
