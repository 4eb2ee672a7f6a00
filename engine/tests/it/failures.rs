//! The reels that show failures: each really holds its own, and each command of its note prints what the note
//! says it prints.
//!
//! Belongs here: `recordings/*.md` and the reels they tell of. Does not belong here: what holds for every reel
//! (recordings).
//!
//! `cargo xtask record-failures` makes the reels anew and, by `FLOWREEL_NOTES=write`, the printed lines of the notes.

use crate::cli::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Lines of a note.
const LINES_MAX: usize = 15;

/// A reel: requests that show its failure and how many there are at least, a kind of event that there must be, and
/// one that there must not be.
struct Shown {
    name: &'static str,
    requests: (&'static str, u64),
    there: (&'static str, u64),
    absent: &'static str,
}

const FAILURES: &[Shown] = &[
    Shown {
        name: "smtp-rejects",
        requests: (r#"outcome == "failed" and visited "dlq""#, 3),
        there: ("job-dead-lettered", 4),
        absent: "retry-scheduled",
    },
    Shown {
        name: "smtp-greylists",
        requests: (r#"outcome == "ok" and visited "retry-1""#, 5),
        there: ("email-bounced", 5),
        absent: "job-dead-lettered",
    },
    Shown {
        name: "smtp-stalls",
        requests: (r#"outcome == "ok" and retries > 0 and sojourn_s > 20"#, 3),
        there: ("fault-began", 1),
        absent: "job-dead-lettered",
    },
    Shown {
        name: "client-returns",
        requests: (r#"outcome == "ok" and visited "in-app-retry""#, 4),
        there: ("connection-closed", 2),
        absent: "job-dead-lettered",
    },
    Shown {
        name: "redis-restarted",
        requests: (r#"outcome == "ok" and waiting_s > 2"#, 8),
        there: ("email-sent", 12),
        absent: "job-dead-lettered",
    },
    Shown {
        name: "mongod-restarted",
        requests: (r#"outcome == "failed" and failed_at == "database""#, 2),
        there: ("health-changed", 6),
        absent: "job-dead-lettered",
    },
    Shown {
        name: "worker-killed",
        requests: (r#"outcome == "ok" and waiting_s > 5"#, 5),
        there: ("job-picked-up", 24),
        absent: "job-dead-lettered",
    },
    Shown {
        name: "server-killed",
        requests: (r#"outcome == "ok" and failed_at == "server-2""#, 1),
        there: ("server-picked", 30),
        absent: "job-dead-lettered",
    },
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_failure_is_in_its_reel() {
    for shown in FAILURES {
        let (name, (kind, least)) = (shown.name, shown.there);
        let reel = root().join(format!("recordings/{name}.reel"));
        let bytes = std::fs::metadata(&reel).expect(name).len();
        assert!(bytes <= 200 * 1024, "{name} has {bytes} bytes");
        let path = reel.to_str().expect("ASCII");
        let (code, info, _) = json(&["info", path]);
        assert_eq!((code, &info["source"]), (0, &"live".into()), "{info}");
        let count = info["kinds"][kind].as_u64().unwrap_or(0);
        assert!(count >= least, "{name} has {count} {kind}");
        let absent = info["kinds"].get(shown.absent);
        assert!(absent.is_none(), "{name} has {}", shown.absent);
        let (condition, least) = shown.requests;
        let (_, found, _) = json(&["requests", path, "--where", condition]);
        let count = found["count"].as_u64().expect("a number");
        assert!(count >= least, "{name} has {count} with {condition}");
    }
}

#[test]
fn nobody_is_named_in_a_reel_of_a_failure() {
    for Shown { name, .. } in FAILURES {
        let reel = root().join(format!("recordings/{name}.reel"));
        let output = flowreel(&["cat", reel.to_str().expect("ASCII"), "--format", "jsonl"]);
        let text = String::from_utf8(output).expect("UTF-8");
        let mut masked = 0;
        for word in text.split(['"', ' ', '<', '>', '=']) {
            // Addresses show their first letter; ids of messages are of the program.
            let is_address = word.contains("@people.example");
            assert!(!is_address || word.contains("***@"), "{name}: {word}");
            masked += u32::from(is_address);
        }
        assert!(masked > 0, "{name} tells of no mail at all");
        // Whoever is in the plays is one of these.
        for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
            let is_name = ["ada", "bob", "person"].contains(&word);
            assert!(!is_name, "{name}: {word}");
        }
    }
}

#[test]
fn the_killed_server_is_seen_to_go_and_to_come_back() {
    let reel = root().join("recordings/server-killed.reel");
    let (code, cat, _) = json(&["cat", reel.to_str().expect("ASCII")]);
    assert_eq!(code, 0, "{cat}");
    let events = cat["events"].as_array().expect("a list");
    let is_begun = |it: &serde_json::Value| it["kind"] == "request-begun";
    // All servers come at the run's start and go at its end; this one is killed after eleven requests.
    let mut begun = (0..events.len()).filter(|&at| is_begun(&events[at]));
    let later = events[begun.nth(10).expect("eleven requests")..].iter();
    let its = later.filter(|it| it["kind"] == "health-changed" && it["component"] == "server-2");
    let health: Vec<u64> = its.filter_map(|it| it["value"].as_u64()).collect();
    assert_eq!(health, [0, 1, 0], "down, up, and the end");
}

#[test]
fn every_note_of_a_failure_says_what_its_commands_print() {
    for Shown { name, .. } in FAILURES {
        let path = root().join(format!("recordings/{name}.md"));
        let text = std::fs::read_to_string(&path).expect(name);
        assert!(text.starts_with(&format!("# {name}\n")), "{name}");
        let played = played(&text);
        assert!(played.matches("\n$ flowreel ").count() >= 1, "{name}");
        if is_writing() {
            std::fs::write(&path, &played).expect("the note can be written");
        } else {
            assert_eq!(text, played, "{name}: the commands print something else");
        }
        let lines = played.lines().count();
        assert!(lines <= LINES_MAX, "{name} has {lines} lines");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever makes the reels anew says so to this test"
)]
fn is_writing() -> bool {
    std::env::var_os("FLOWREEL_NOTES").is_some_and(|value| value == "write")
}

/// The note with what its commands print now.
fn played(note: &str) -> String {
    let mut played = String::new();
    let mut is_console = false;
    for line in note.lines() {
        if line.starts_with("```") {
            is_console = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ flowreel ").filter(|_| is_console) {
            let printed = flowreel(
                &words(command)
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>(),
            );
            let printed = String::from_utf8(printed).expect("UTF-8");
            played.push_str(line);
            played.push('\n');
            for line in printed.lines() {
                played.push_str(line.trim_end());
                played.push('\n');
            }
            continue;
        } else if is_console {
            continue;
        }
        played.push_str(line);
        played.push('\n');
    }
    played
}

/// Words of a command, with single quotes around what holds spaces.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, piece) in command.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// What the program prints in the project's folder.
fn flowreel(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_flowreel"))
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    output.stdout
}
