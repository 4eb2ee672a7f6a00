//! Notes beside a reel: shown with it, gone along with its pieces, never part of its hash.

use crate::cli::{flowreel, folder, json};
use serde_json::Value;
use std::path::Path;

fn shipped(name: &str) -> String {
    format!("{}/../recordings/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A copy of the shipped reel with three notes: at 5 s, at 12 s about a request, at 20 s about a component.
fn noted(folder: &Path) -> String {
    let reel = folder.join("run.reel").display().to_string();
    std::fs::copy(shipped("smtp-refuses.reel"), &reel).expect("room on the disk");
    for rest in [
        &["--at", "5s", "--text", "before"][..],
        &["--at", "12s", "--text", "this one waits", "--request", "5"],
        &["--at", "20s", "--text", "refuses", "--component", "smtp"],
    ] {
        let (code, _, error) = json(&[&["annotate", &reel], rest].concat());
        assert_eq!(code, 0, "{error}");
    }
    reel
}

fn texts(reel: &str) -> Vec<String> {
    let (code, info, error) = json(&["info", reel]);
    assert_eq!((code, error.as_str()), (0, ""));
    let notes = info["annotations"].as_array().expect("a list");
    notes
        .iter()
        .filter_map(|note| note["text"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn notes_are_shown_with_the_reel_and_change_nothing_of_it() {
    let folder = folder("notes-shown");
    let reel = noted(&folder);
    let (_, plain, _) = json(&["info", &shipped("smtp-refuses.reel")]);
    let (_, info, _) = json(&["info", &reel]);
    assert_eq!(info["final_hash"], plain["final_hash"]);
    assert_eq!(plain["annotations"], Value::Array(Vec::new()));
    let note = &info["annotations"][1];
    assert_eq!(
        (&note["t_ns"], &note["request"]),
        (&12_000_000_000_u64.into(), &"5".into())
    );
    let said = |arguments: &[&str]| -> Vec<String> {
        let output = flowreel(arguments);
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let notes = text.lines().filter(|line| line.starts_with("note "));
        notes.map(str::to_owned).collect()
    };
    assert_eq!(
        said(&["info", &reel]),
        [
            "note at 00:05.000: before",
            "note at 00:12.000 request 5: this one waits",
            "note at 00:20.000 at smtp: refuses"
        ]
    );
    let from = ["replay", &reel, "--speed", "max", "--from", "10s"];
    let forward = said(&from);
    assert_eq!(
        forward,
        [
            "note 00:12.000 request 5 this one waits",
            "note 00:20.000 at smtp refuses"
        ]
    );
    let mut back = said(&[&from[..], &["--reverse"]].concat());
    back.reverse();
    assert_eq!(back, forward);
    let (_, played, _) = json(&from);
    assert_eq!(played["annotations"].as_array().map(Vec::len), Some(2));
}

#[test]
fn notes_go_along_with_what_they_are_about() {
    let folder = folder("notes-along");
    let reel = noted(&folder);
    let piece = folder.join("piece.reel").display().to_string();
    for (chosen, kept) in [
        (
            &["--from", "10s", "--to", "15s"][..],
            &["this one waits"][..],
        ),
        (&["--to", "6s"], &["before"]),
        (
            &["--request", "5"],
            &["before", "this one waits", "refuses"],
        ),
        (&["--request", "6"], &["before", "refuses"]),
        (&["--component", "mail"], &["before", "this one waits"]),
        (
            &["--component", "smtp"],
            &["before", "this one waits", "refuses"],
        ),
    ] {
        let arguments = [&["slice", &reel, "--out", &piece], chosen].concat();
        let (code, answer, error) = json(&arguments);
        assert_eq!(code, 0, "{error}");
        assert_eq!(texts(&piece), kept, "{chosen:?}");
        assert_eq!(answer["annotations"], kept.len(), "{chosen:?}");
    }
    let pieces = folder.join("pieces").display().to_string();
    let (_, split, _) = json(&["split", &reel, "--every", "10s", "--out", &pieces]);
    assert_eq!(split["annotations"], 3);
    let parts: Vec<&str> = split["pieces"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|piece| piece["out"].as_str())
        .collect();
    assert_eq!(texts(parts[0]), ["before"]);
    assert_eq!(texts(parts[2]), ["refuses"]);
    let joined = folder.join("joined.reel").display().to_string();
    let arguments = [&["merge"], &parts[..], &["--out", &joined]].concat();
    let (_, merged, _) = json(&arguments);
    assert_eq!(merged["annotations"], 3);
    assert_eq!(texts(&joined), texts(&reel));
    let saved = folder.join("saved.reel").display().to_string();
    assert_eq!(json(&["recover", &reel, &saved]).1["annotations"], 3);
    assert_eq!(texts(&saved), texts(&reel));
}

/// Two runs side by side: times and numbers of requests of the notes move as those of the events.
#[test]
fn notes_move_with_their_events() {
    let folder = folder("notes-moved");
    let first = noted(&folder);
    let second = folder.join("second.reel").display().to_string();
    std::fs::copy(shipped("retry-ladder.reel"), &second).expect("room on the disk");
    let note = [
        "annotate",
        &second,
        "--at",
        "30s",
        "--text",
        "there",
        "--request",
        "7",
    ];
    assert_eq!(json(&note).0, 0);
    let joined = folder.join("joined.reel").display().to_string();
    let (code, merged, error) = json(&["merge", &first, &second, "--out", &joined]);
    assert_eq!(code, 0, "{error}");
    let added = merged["parts"][1]["requests_shifted_by"].as_u64();
    let (_, info, _) = json(&["info", &joined]);
    let notes = info["annotations"].as_array().expect("a list");
    let moved = notes.iter().find(|note| note["text"] == "there");
    let moved = moved.expect("it went along");
    let request = (added.expect("a number") + 7).to_string();
    assert_eq!(moved["request"], request);
    // The note lies as far behind an event of its part as before.
    let t_ns = |reel: &str, request: &str| {
        let (_, journey, _) = json(&["request", reel, request]);
        journey["begun_t_ns"].as_u64().expect("a number")
    };
    let moved_ns = moved["t_ns"].as_u64().expect("a number");
    assert_eq!(
        30_000_000_000_u64.abs_diff(t_ns(&second, "7")),
        moved_ns.abs_diff(t_ns(&joined, &request))
    );
}

#[test]
fn damaged_notes_are_named_and_the_reel_opens() {
    let folder = folder("notes-damaged");
    let reel = noted(&folder);
    let notes = format!("{reel}.notes");
    let sound = std::fs::read_to_string(&notes).expect("it is there");
    for bytes in [
        format!("{sound}{{\"t_ns\":1").into_bytes(),
        vec![0xff, 0xfe, 0x00],
        b"[]\n".to_vec(),
    ] {
        std::fs::write(&notes, &bytes).expect("room on the disk");
        let piece = folder.join("piece.reel").display().to_string();
        for verb in [
            &["info", reel.as_str()][..],
            &["verify", &reel],
            &["replay", &reel, "--speed", "max"],
            &["slice", &reel, "--to", "9s", "--out", &piece],
            &["redact", &reel, "--field", "users", "--out", &piece],
        ] {
            let (code, answer, said) = json(verb);
            assert_eq!(code, 0, "{answer}");
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(said.contains(&notes) && said.contains("left out"), "{said}");
        }
        // Writing would lose what cannot be read.
        let (code, _, said) = json(&["annotate", &reel, "--at", "1s", "--text", "x"]);
        assert_eq!((code, said.lines().count()), (2, 1), "{said}");
        assert_eq!(std::fs::read(&notes).expect("it is there"), bytes);
    }
}

#[test]
fn a_redacted_copy_takes_no_notes_along_and_says_so() {
    let folder = folder("notes-redacted");
    let reel = noted(&folder);
    let copy = folder.join("copy.reel").display().to_string();
    let arguments = ["redact", &reel, "--field", "users", "--out", &copy];
    let (code, answer, _) = json(&arguments);
    assert_eq!((code, &answer["redacted"]["annotations"]), (0, &3.into()));
    assert!(texts(&copy).is_empty());
    let output = flowreel(&arguments);
    assert!(String::from_utf8_lossy(&output.stdout).contains("are left out"));
}
