//! The reels that ship: each is whole, seeks to what it folds to, plays both ways, and every verb
//! answers for it in the shape that the contract promises.
//!
//! Belongs here: what must hold for every file in `recordings/`. Does not belong here: damage (reel).

use crate::cli::{folder, json};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::recording::ReelReader;
use flowreel_engine::replay::{Playhead, Via};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn shipped() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../recordings");
    let mut reels: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is part of the tree")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "reel"))
        .collect();
    reels.sort();
    assert!(reels.len() >= 3, "one live, one simulated, one imported");
    reels
}

fn text(path: &Path) -> &str {
    path.to_str().expect("names in ASCII")
}

/// Numbers that look random and are the same in each run.
fn draws() -> impl FnMut(u64) -> u64 {
    let mut state = 0x0dd_ba11_cafe_f00d_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

fn playhead(reel: &Path) -> Playhead {
    Playhead::new(ReelReader::open(reel).expect("sound")).expect("sound")
}

#[test]
fn every_shipped_reel_holds_and_is_complete() {
    for reel in shipped() {
        let path = text(&reel);
        let (code, info, _) = json(&["info", path]);
        assert_eq!((code, &info["complete"]), (0, &true.into()), "{path}");
        assert_eq!(info["gaps"].as_array().map(Vec::len), Some(0), "{path}");
        let is_simulated = info["source"] == "simulation";
        let verify = ["verify", path, "--resimulate"];
        let (code, verified, _) = json(&verify[..if is_simulated { 3 } else { 2 }]);
        assert_eq!(
            (code, &verified["holds"]),
            (0, &true.into()),
            "{path}: {verified}"
        );
    }
}

#[test]
fn every_shipped_reel_seeks_to_what_it_folds_to() {
    for reel in shipped() {
        let path = text(&reel);
        for at in ["0s", "1s", "7.5s", "19s", "1m", "1h"] {
            let state = |via: &str| json(&["state", path, "--at", at, "--via", via]).1;
            assert_eq!(state("seek"), state("fold"), "{path} at {at}");
        }
    }
}

#[test]
fn a_thousand_random_moments_of_each_reel_are_what_the_fold_gives() {
    for reel in shipped() {
        let path = text(&reel);
        let mut seeking = playhead(&reel);
        let (_, last) = seeking.reader().time_range().expect("events");
        let mut draw = draws();
        let moments: Vec<TimeNs> = (0..1000)
            .map(|_| TimeNs(draw(last.0 + last.0 / 20)))
            .collect();
        // One fold over the whole reel meets them in the order of time.
        let mut in_order = moments.clone();
        in_order.sort_unstable();
        let mut folding = playhead(&reel);
        let folded: Vec<_> = in_order
            .iter()
            .map(|&t| {
                let position = folding.position_at(t).expect("sound");
                while folding.position() < position {
                    folding.step().expect("sound").expect("an event");
                }
                folding.state().state_hash()
            })
            .collect();
        for (turn, t) in moments.iter().enumerate() {
            seeking.seek(*t, Via::Seek).expect("sound");
            let at = in_order.partition_point(|moment| moment < t);
            let hash = seeking.state().state_hash();
            assert_eq!(hash, folded[at], "{path} turn {turn} at {t}");
        }
        // And what is called a fold is one.
        for t in moments.iter().take(20) {
            let mut fresh = playhead(&reel);
            fresh.seek(*t, Via::Fold).expect("sound");
            let at = in_order.partition_point(|moment| moment < t);
            assert_eq!(fresh.state().state_hash(), folded[at], "{path} at {t}");
        }
    }
}

#[test]
fn every_shipped_reel_plays_forward_and_back_to_the_same_state() {
    for reel in shipped() {
        let path = text(&reel);
        let mut playhead = playhead(&reel);
        let count = playhead.reader().next_seq();
        let mut draw = draws();
        for _ in 0..20 {
            let start = draw(count);
            playhead.go_to(start, Via::Seek).expect("sound");
            let before = playhead.state().state_hash();
            let steps = 1 + draw(300);
            let mut taken = Vec::new();
            while taken.len() < usize::try_from(steps).expect("few") {
                let Some(event) = playhead.step().expect("sound") else {
                    break;
                };
                taken.push(event);
            }
            while let Some(event) = taken.pop() {
                assert_eq!(playhead.step_back().expect("sound"), Some(event), "{path}");
            }
            assert_eq!(playhead.state().state_hash(), before, "{path} from {start}");
        }
        let span = ["--from", "1ms", "--to", "12s"];
        let (code, forward, _) = json(&[&["replay", path], &span[..]].concat());
        assert_eq!(code, 0, "{forward}");
        let (_, back, _) = json(&[&["replay", path, "--reverse"], &span[..]].concat());
        assert_eq!(back["events"], forward["events"], "{path}");
        let (_, at_start, _) = json(&["state", path, "--at", "999999ns"]);
        assert_eq!(back["hash"], at_start["hash"], "{path}");
        let (_, at_end, _) = json(&["state", path, "--at", "12s"]);
        assert_eq!(forward["hash"], at_end["hash"], "{path}");
    }
}

/// Key and type; a key that ends in `?` may be absent. `[]` holds for each item of a list.
type Keys = [(&'static str, &'static str)];

const INFO: &Keys = &[
    ("format_version", "number"),
    ("run_id", "text"),
    ("source", "text"),
    ("started_at?", "text"),
    ("events", "number"),
    ("duration_s", "number"),
    ("first_t_ns", "number"),
    ("last_t_ns", "number"),
    ("requests", "number"),
    ("components", "list"),
    ("components[].id", "text"),
    ("components[].kind", "text"),
    ("components[].label", "text"),
    ("edges", "list"),
    ("edges[].from", "text"),
    ("edges[].to", "text"),
    ("edges[].events", "number"),
    ("kinds", "object"),
    ("keyframes", "number"),
    ("bytes", "number"),
    ("bytes_per_event", "number"),
    ("final_hash", "text"),
    ("complete", "bool"),
    ("gaps", "list"),
    ("dropped", "number"),
];
const VERIFY: &Keys = &[
    ("holds", "bool"),
    ("checked_blocks", "number"),
    ("checked_keyframes", "number"),
    ("problems", "list"),
];
const STATE: &Keys = &[
    ("t_ns", "number"),
    ("events", "number"),
    ("hash", "text"),
    ("header", "object"),
    ("components", "list"),
    ("components[].id", "text"),
];
const REQUESTS: &Keys = &[
    ("requests", "list"),
    ("requests[].id", "text"),
    ("requests[].class", "text"),
    ("requests[].outcome", "text"),
    ("requests[].attempts", "number"),
    ("requests[].sojourn_s?", "number"),
];
const REQUEST: &Keys = &[
    ("id", "text"),
    ("class", "text"),
    ("outcome", "text"),
    ("attempts", "number"),
    ("sojourn_s?", "number"),
    ("stages", "list"),
    ("stages[].component", "text"),
    ("stages[].kind", "text"),
    ("stages[].arrived_t_ns", "number"),
    ("stages[].started_t_ns?", "number"),
    ("stages[].ended_t_ns?", "number"),
    ("stages[].waiting_s?", "number"),
    ("stages[].service_s?", "number"),
    ("stages[].attempt", "number"),
    ("stages[].outcome?", "text"),
    ("stages[].detail", "object"),
];
const CAT: &Keys = &[
    ("events", "list"),
    ("events[].seq", "number"),
    ("events[].t_ns", "number"),
    ("events[].kind", "text"),
];
const REPLAY: &Keys = &[
    ("events", "number"),
    ("from_t_ns", "number"),
    ("to_t_ns", "number"),
    ("hash", "text"),
    ("gaps", "list"),
];
const PIECE: &Keys = &[
    ("out", "text"),
    ("events", "number"),
    ("final_hash", "text"),
];
const PIECES: &Keys = &[
    ("pieces", "list"),
    ("pieces[].out", "text"),
    ("pieces[].events", "number"),
];
const RECOVER: &Keys = &[
    ("out", "text"),
    ("events", "number"),
    ("blocks_kept", "number"),
    ("blocks_lost", "number"),
    ("gaps", "list"),
];
const DIFF: &Keys = &[("same", "bool")];

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

fn check_keys(answer: &Value, keys: &Keys, said: &str) {
    for (key, wanted) in keys {
        let (path, is_optional) = match key.strip_suffix('?') {
            Some(path) => (path, true),
            None => (*key, false),
        };
        let found: Vec<Option<&Value>> = match path.split_once("[].") {
            Some((list, inner)) => {
                let items = answer[list].as_array().expect("checked before its items");
                items.iter().map(|item| item.get(inner)).collect()
            }
            None => vec![answer.get(path)],
        };
        for value in found {
            match value {
                Some(value) => assert_eq!(type_of(value), *wanted, "{said}: {key}: {value}"),
                None => assert!(is_optional, "{said}: {key} is missing"),
            }
        }
    }
}

#[test]
fn every_verb_answers_for_every_shipped_reel_as_the_contract_says() {
    for reel in shipped() {
        let whole = text(&reel);
        let name = reel.file_stem().expect("named").to_string_lossy();
        let folder = folder(&format!("contract-{name}"));
        let out = |name: &str| folder.join(name).display().to_string();
        let (saved, piece, copy, joined, pieces) = (
            out("saved.reel"),
            out("piece.reel"),
            out("copy.reel"),
            out("joined.reel"),
            out("pieces"),
        );
        let (_, info, _) = json(&["info", whole]);
        let (_, listed, _) = json(&["requests", whole, "--limit", "1"]);
        let first = listed["requests"][0]["id"].as_str().expect("a number");
        // A short reel has several pieces, a long one many.
        let last_ns = info["last_t_ns"].as_u64().expect("events");
        let every = format!("{}ns", (last_ns / 5).min(9_000_000_000));
        let table: &[(&[&str], &[&Keys])] = &[
            (&["info", whole], &[INFO]),
            (&["verify", whole], &[INFO, VERIFY]),
            (&["state", whole, "--at", "8s"], &[STATE]),
            (&["state", whole, "--at", "8s", "--via", "fold"], &[STATE]),
            (&["requests", whole, "--limit", "50"], &[REQUESTS]),
            (&["request", whole, first], &[REQUEST]),
            (&["cat", whole, "--to", "2s"], &[CAT]),
            (&["replay", whole, "--to", "2s"], &[REPLAY]),
            (&["replay", whole, "--reverse"], &[REPLAY]),
            (&["recover", whole, &saved], &[RECOVER]),
            (&["verify", &saved], &[INFO, VERIFY]),
            (&["slice", whole, "--to", "4s", "--out", &piece], &[PIECE]),
            (&["verify", &piece], &[INFO, VERIFY]),
            (
                &["redact", whole, "--field", "details", "--out", &copy],
                &[PIECE],
            ),
            (&["verify", &copy], &[INFO, VERIFY]),
            (
                &["split", whole, "--every", &every, "--out", &pieces],
                &[PIECES],
            ),
            (&["diff", whole, &saved], &[DIFF]),
        ];
        for (arguments, keys) in table {
            let (code, answer, said) = json(arguments);
            assert_eq!((code, said.as_str()), (0, ""), "{arguments:?}: {answer}");
            let schema = format!("flowreel.{}/1", arguments[0]);
            assert_eq!(answer["schema"], schema.as_str());
            for keys in *keys {
                check_keys(&answer, keys, &format!("{arguments:?}"));
            }
        }
        let parts: Vec<String> = std::fs::read_dir(&pieces)
            .expect("made")
            .map(|entry| entry.expect("readable").path().display().to_string())
            .collect();
        assert!(parts.len() > 2, "{parts:?}");
        let mut arguments = vec!["merge", "--out", &joined];
        arguments.extend(parts.iter().map(String::as_str));
        let (code, merged, _) = json(&arguments);
        assert_eq!((code, &merged["schema"]), (0, &"flowreel.merge/1".into()));
        check_keys(&merged, PIECE, "merge");
        for reel in [&saved, &joined] {
            let (_, same, _) = json(&["info", reel]);
            assert_eq!(same["final_hash"], info["final_hash"], "{reel}");
            assert_eq!(same["events"], info["events"], "{reel}");
        }
    }
}
