//! Every verb over every kind of file: one object, one sentence, the right exit code.

use crate::cli::{flowreel, folder};
use serde_json::Value;
use std::path::Path;

fn shipped(name: &str) -> String {
    format!("{}/../recordings/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Verbs that read a reel, with arguments in which `REEL` and `OUT` stand for files.
const OVER_REELS: [&[&str]; 16] = [
    &["info", "REEL"],
    &["verify", "REEL"],
    &["recover", "REEL", "OUT"],
    &["state", "REEL", "--at", "1s"],
    &["request", "REEL", "1"],
    &["requests", "REEL"],
    &["cat", "REEL"],
    &["replay", "REEL", "--speed", "max"],
    &["slice", "REEL", "--to", "1h", "--out", "OUT"],
    &["split", "REEL", "--by", "class", "--out", "OUT"],
    &["merge", "REEL", "REEL", "--out", "OUT"],
    &["diff", "REEL", "REEL"],
    &["redact", "REEL", "--field", "users", "--out", "OUT"],
    &["annotate", "REEL"],
    &["export", "REEL", "--format", "parquet", "--out", "OUT"],
    &["export", "REEL", "--format", "otlp", "--out", "OUT"],
];

struct Ran {
    code: i32,
    answer: Value,
    said: String,
}

/// Runs a verb with `--json`; standard output must be one object that carries its schema.
fn run(pattern: &[&str], file: &str, out: &Path) -> Ran {
    if out.is_dir() {
        std::fs::remove_dir_all(out).expect("an old folder can go");
    } else if out.exists() {
        std::fs::remove_file(out).expect("an old file can go");
    }
    let out = out.display().to_string();
    let filled = pattern.iter().map(|&word| match word {
        "REEL" | "FILE" => file,
        "OUT" => out.as_str(),
        word => word,
    });
    let arguments: Vec<&str> = filled.chain(["--json"]).collect();
    let output = flowreel(&arguments);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}{said}");
    let answer: Value = serde_json::from_str(&text).expect("one JSON object");
    let code = output.status.code().expect("it ends by itself");
    let schema = answer["schema"].as_str().expect("a schema");
    let wanted = if answer["schema"] == "flowreel.error/1" {
        assert_eq!(answer["code"], code, "{arguments:?}");
        assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
        let sentence = answer["error"].as_str().expect("a sentence");
        assert!(said.contains(sentence), "{arguments:?}: {said}");
        assert!(
            said.contains(answer["where"].as_str().unwrap_or_default()),
            "{arguments:?}: {said}"
        );
        "flowreel.error/1".to_owned()
    } else {
        format!("flowreel.{}/1", pattern[0])
    };
    assert_eq!(schema, wanted, "{arguments:?}");
    assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    Ran { code, answer, said }
}

#[test]
fn sound_reels_are_answered() {
    let folder = folder("verbs-sound");
    for name in [
        "retry-ladder.reel",
        "smtp-refuses.reel",
        "media-review.reel",
    ] {
        for pattern in OVER_REELS {
            let ran = run(pattern, &shipped(name), &folder.join("out"));
            assert_eq!(ran.code, 0, "{name} {pattern:?}: {}", ran.answer);
            assert_eq!(ran.said, "", "{name} {pattern:?}");
        }
    }
}

#[test]
fn what_is_no_reel_is_refused_in_one_sentence() {
    let folder = folder("verbs-none");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("room on the disk");
        path.display().to_string()
    };
    let files = [
        folder.join("missing.reel").display().to_string(),
        file("empty.reel", b""),
        file("text.reel", b"once upon a time there was no reel in here"),
        folder.display().to_string(),
    ];
    for path in &files {
        for pattern in OVER_REELS {
            let out = folder.join("out");
            let ran = run(pattern, path, &out);
            assert_eq!(ran.code, 2, "{pattern:?} {path}: {}", ran.answer);
            assert_eq!(ran.answer["schema"], "flowreel.error/1");
            assert!(
                ran.said.contains(path.as_str()),
                "{pattern:?}: {}",
                ran.said
            );
            assert!(!out.exists(), "{pattern:?} left something behind");
        }
    }
}

/// A damaged reel is read around its damage; only `verify` judges it, and only what was lost is missed.
#[test]
fn damaged_reels_are_read_around_the_damage() {
    let folder = folder("verbs-damaged");
    let whole = std::fs::read(shipped("retry-ladder.reel")).expect("readable");
    let flipped = |divisor: usize| {
        let mut bytes = whole.clone();
        let place = bytes.len() * 3 / 4 / divisor;
        bytes[place] ^= 0x40;
        bytes
    };
    for (name, bytes) in [
        ("early", flipped(4)),
        ("middle", flipped(2)),
        ("late", flipped(1)),
        ("torn", whole[..whole.len() * 9 / 10].to_vec()),
    ] {
        let path = folder.join(format!("{name}.reel"));
        std::fs::write(&path, bytes).expect("room on the disk");
        let path = path.display().to_string();
        for pattern in OVER_REELS {
            let ran = run(pattern, &path, &folder.join("out"));
            let is_lost = ran.answer["error"] == "there is no request 1";
            let wanted = match pattern[0] {
                "verify" => 1,
                "request" if is_lost => 2,
                _ => 0,
            };
            assert_eq!(ran.code, wanted, "{name} {pattern:?}: {}", ran.answer);
        }
    }
}

#[test]
fn other_verbs_keep_to_it_too() {
    let folder = folder("verbs-other");
    let out = folder.join("out");
    let scenario = format!(
        "{}/../scenarios/notification.toml",
        env!("CARGO_MANIFEST_DIR")
    );
    let traces = format!(
        "{}/tests/data/traces/crisp-case-05.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let missing = folder.join("missing").display().to_string();
    for (pattern, file, code) in [
        (&["check", "FILE"][..], &scenario, 0),
        (&["check", "FILE"], &missing, 2),
        (&["check", "FILE"], &traces, 2),
        (&["simulate", "FILE", "--duration", "5m"], &scenario, 0),
        (&["simulate", "FILE", "--duration", "5m"], &missing, 2),
        (&["simulate", "FILE"], &traces, 2),
        (&["import", "FILE", "--out", "OUT"], &traces, 0),
        (&["import", "FILE", "--out", "OUT"], &missing, 2),
        (&["import", "FILE", "--out", "OUT"], &scenario, 2),
    ] {
        let ran = run(pattern, file, &out);
        assert_eq!(ran.code, code, "{pattern:?} {file}: {}", ran.answer);
    }
}

/// Everybody's first question is how it is called.
#[test]
fn help_of_every_verb_shows_an_example() {
    let output = flowreel(&["--help"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let verbs = text
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help");
    let mut count = 0;
    for verb in verbs {
        count += 1;
        // The programs that others hand over to have help of their own.
        if ["live", "view", "demo"].contains(&verb) {
            continue;
        }
        let output = flowreel(&[verb, "--help"]);
        assert!(output.status.success(), "{verb}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let example = format!("Example: flowreel {verb} ");
        assert!(text.contains(example.trim_end()), "{verb}: {text}");
    }
    assert!(count > 20, "only {count} verbs");
}
