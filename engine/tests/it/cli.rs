//! The program from outside: verbs over reels, exit codes, the shape of errors.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder of its own for each test, empty at its start.
pub(crate) fn folder(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    if path.exists() {
        std::fs::remove_dir_all(&path).expect("an old folder can go");
    }
    std::fs::create_dir_all(&path).expect("a folder can be made");
    path
}

pub(crate) fn flowreel(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flowreel"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

/// Exit code, the one JSON object on standard output, standard error.
pub(crate) fn json(arguments: &[&str]) -> (i32, Value, String) {
    let output = flowreel(&[arguments, &["--json"]].concat());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
    let value = serde_json::from_str(&text).expect("one JSON object");
    let code = output.status.code().expect("an exit code");
    (
        code,
        value,
        String::from_utf8(output.stderr).expect("UTF-8"),
    )
}

fn scenario() -> String {
    format!(
        "{}/../scenarios/notification.toml",
        env!("CARGO_MANIFEST_DIR")
    )
}

/// A simulated reel and the answer of `simulate`.
fn simulated(folder: &Path, duration: &str) -> (String, Value) {
    let reel = folder.join("run.reel").display().to_string();
    let (code, answer, _) = json(&[
        "simulate",
        &scenario(),
        "--seed",
        "7",
        "--duration",
        duration,
        "--out",
        &reel,
    ]);
    assert!(code < 2, "{answer}");
    (reel, answer)
}

#[test]
fn a_simulated_reel_proves_itself() {
    let (reel, simulated) = simulated(&folder("proves"), "120s");
    let (code, info, _) = json(&["info", &reel]);
    assert_eq!((code, &info["schema"]), (0, &"flowreel.info/1".into()));
    assert_eq!(info["final_hash"], simulated["run_hash"]);
    assert_eq!(info["events"], simulated["events"]);
    assert_eq!(info["source"], "simulation");
    assert_eq!(info["complete"], true);
    assert_eq!(info["dropped"], 0);
    assert_eq!(info["gaps"], Value::Array(vec![]));
    let kinds = info["kinds"].as_object().unwrap();
    let sum: u64 = kinds.values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(sum, info["events"].as_u64().unwrap());
    let (code, checked, _) = json(&["verify", &reel, "--resimulate"]);
    assert_eq!(code, 0, "{checked}");
    assert_eq!(checked["holds"], true);
    assert_eq!(checked["resimulated_hash"], simulated["run_hash"]);
    assert_eq!(checked["problems"], Value::Array(vec![]));
}

#[test]
fn any_flipped_byte_is_found_with_its_place() {
    let folder = folder("flipped");
    let (reel, _) = simulated(&folder, "20s");
    let bytes = std::fs::read(&reel).unwrap();
    let flipped = folder.join("flipped.reel");
    let name = flipped.display().to_string();
    for position in (0..bytes.len()).step_by(bytes.len() / 60) {
        let mut damaged = bytes.clone();
        damaged[position] ^= 0x20;
        std::fs::write(&flipped, damaged).unwrap();
        let (code, answer, _) = json(&["verify", &name]);
        assert!(code == 1 || code == 2, "byte {position}: {answer}");
        let place = if code == 1 {
            answer["problems"][0]["offset"].as_u64().unwrap()
        } else {
            let text = answer["where"].as_str().unwrap();
            text.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert!(place <= position as u64, "byte {position} named at {place}");
    }
}

#[test]
fn a_torn_reel_is_recovered_and_holds() {
    let folder = folder("torn");
    let (reel, _) = simulated(&folder, "300s");
    let bytes = std::fs::read(&reel).unwrap();
    std::fs::write(&reel, &bytes[..bytes.len() * 2 / 3]).unwrap();
    let (code, checked, _) = json(&["verify", &reel]);
    assert_eq!((code, &checked["holds"]), (1, &false.into()));
    let (code, info, _) = json(&["info", &reel]);
    assert_eq!((code, &info["complete"]), (0, &false.into()));
    assert_eq!(info["gaps"][0]["reason"], "torn-tail");
    assert_eq!(info.get("dropped"), None);
    let (_, _, said) = json(&["state", &reel, "--at", "299s"]);
    assert!(
        said.starts_with("gap: "),
        "a state after lost events says so: {said}"
    );
    let (_, _, said) = json(&["state", &reel, "--at", "1s"]);
    assert_eq!(said, "", "nothing is lost before the first second");
    let out = folder.join("saved.reel").display().to_string();
    let (code, recovered, _) = json(&["recover", &reel, &out]);
    assert_eq!(code, 0, "{recovered}");
    assert_eq!(recovered["events"], info["events"]);
    let (code, checked, _) = json(&["verify", &out]);
    assert_eq!(code, 0, "{checked}");
    assert_eq!(checked["gaps"][0]["events"], info["gaps"][0]["events"]);
    let (code, refused, _) = json(&["recover", &reel, &reel]);
    assert_eq!((code, &refused["schema"]), (2, &"flowreel.error/1".into()));
    assert_eq!(std::fs::read(&reel).unwrap().len(), bytes.len() * 2 / 3);
}

#[test]
fn seek_and_fold_give_one_hash() {
    let (reel, _) = simulated(&folder("seek"), "600s");
    for at in ["0s", "1ns", "17.25s", "123456ms", "5m", "599.9s", "1h"] {
        let (code, seek, _) = json(&["state", &reel, "--at", at, "--via", "seek"]);
        let (_, fold, _) = json(&["state", &reel, "--at", at, "--via", "fold"]);
        assert_eq!(code, 0);
        assert_eq!(seek, fold, "at {at}");
        assert_eq!(seek["hash"].as_str().unwrap().len(), 32);
        assert_eq!(seek["components"].as_array().unwrap().len(), 16);
    }
    let (code, refused, said) = json(&["state", &reel, "--at", "2026-01-31T12:00:00Z"]);
    assert_eq!(code, 2, "{refused}");
    assert!(said.contains("wall clock"), "{said}");
}

#[test]
fn a_journey_tells_waiting_and_service_apart() {
    let (reel, _) = simulated(&folder("journey"), "600s");
    let (_, all, _) = json(&["requests", &reel]);
    let begun = all["requests"].as_array().unwrap().len();
    assert_eq!(all["count"], begun);
    let chosen = "attempts > 1 and outcome == \"ok\"";
    let (_, some, _) = json(&[
        "requests", &reel, "--where", chosen, "--sort", "sojourn", "--limit", "3",
    ]);
    let rows = some["requests"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows[0]["sojourn_s"].as_f64() >= rows[2]["sojourn_s"].as_f64());
    let id = rows[0]["id"].as_str().unwrap();
    let (code, journey, _) = json(&["request", &reel, id]);
    assert_eq!((code, &journey["id"]), (0, &rows[0]["id"]));
    assert_eq!(journey["sojourn_s"], rows[0]["sojourn_s"]);
    let stages = journey["stages"].as_array().unwrap();
    let at = |name: &str| stages.iter().filter(|s| s["component"] == name).count();
    assert!(at("balancer") == 1 && at("mail") >= 1 && stages.len() > 8);
    for stage in stages {
        let ns = |key: &str| stage[key].as_u64();
        if let (Some(arrived), Some(started), Some(ended)) =
            (ns("arrived_t_ns"), ns("started_t_ns"), ns("ended_t_ns"))
        {
            assert!(arrived <= started && started <= ended, "{stage}");
            let waiting_ns = stage["waiting_s"].as_f64().unwrap() * 1e9;
            assert_eq!(waiting_ns.round() as u64, started - arrived);
        }
    }
    let (code, refused, _) = json(&["request", &reel, "999999999"]);
    assert_eq!((code, &refused["code"]), (2, &2.into()));
    let (code, refused, _) = json(&["requests", &reel, "--where", "clas == \"login\""]);
    assert_eq!(code, 2);
    assert!(refused["error"].as_str().unwrap().contains("column 1"));
}

#[test]
fn cat_gives_the_events_that_are_asked_for() {
    let (reel, simulated) = simulated(&folder("cat"), "60s");
    let lines = |arguments: &[&str]| -> Vec<Value> {
        let output = flowreel(&[&["cat", &reel, "--format", "jsonl"], arguments].concat());
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let all = lines(&[]);
    assert_eq!(all.len() as u64, simulated["events"].as_u64().unwrap());
    for (seq, event) in all.iter().enumerate() {
        assert_eq!(event["seq"], seq);
    }
    let count = |fits: &dyn Fn(&Value) -> bool| all.iter().filter(|event| fits(event)).count();
    let within =
        |e: &Value| (10_000_000_000..=20_000_000_000).contains(&e["t_ns"].as_u64().unwrap());
    assert_eq!(
        lines(&["--from", "10s", "--to", "20s"]).len(),
        count(&within)
    );
    assert_eq!(
        lines(&["--kind", "job-added"]).len(),
        count(&|e| e["kind"] == "job-added")
    );
    assert_eq!(
        lines(&["--request", "5"]).len(),
        count(&|e| e["request"] == "5")
    );
    let at_mail = |e: &Value| e["component"] == "mail" || e["peer"] == "mail";
    assert_eq!(lines(&["--component", "mail"]).len(), count(&at_mail));
    let (code, whole, _) = json(&["cat", &reel, "--request", "5"]);
    assert_eq!(code, 0);
    assert_eq!(
        whole["events"].as_array().unwrap().len(),
        count(&|e| e["request"] == "5")
    );
    assert_eq!(json(&["cat", &reel, "--component", "no-such"]).0, 2);
    assert_eq!(json(&["cat", &reel, "--kind", "no-such"]).0, 2);
}

#[test]
fn a_reel_plays_both_ways_to_the_same_state() {
    let (reel, _) = simulated(&folder("play"), "60s");
    let span = ["--from", "10s", "--to", "30s", "--speed", "max"];
    let (code, forward, _) = json(&[&["replay", &reel], &span[..]].concat());
    assert_eq!(code, 0);
    let (_, at_end, _) = json(&["state", &reel, "--at", "30s"]);
    assert_eq!(forward["hash"], at_end["hash"]);
    let (_, back, _) = json(&[&["replay", &reel, "--reverse"], &span[..]].concat());
    assert_eq!(back["events"], forward["events"]);
    let before = "9999999999ns";
    let (_, at_start, _) = json(&["state", &reel, "--at", before]);
    assert_eq!(back["hash"], at_start["hash"]);
    let table = |arguments: &[&str]| -> Vec<String> {
        let output = flowreel(&[&["replay", &reel], &span[..], arguments].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let rows = text.lines().filter(|line| line.starts_with("    00:"));
        rows.map(str::to_owned).collect()
    };
    let mut reversed = table(&["--reverse"]);
    reversed.reverse();
    assert_eq!(table(&[]), reversed);
    assert_eq!(reversed.len() as u64, forward["events"].as_u64().unwrap());
    assert_eq!(json(&["replay", &reel, "--from", "9s", "--to", "3s"]).0, 2);
}

#[test]
fn bad_input_is_one_sentence_with_its_exit_code() {
    let folder = folder("bad-input");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let missing = folder.join("missing.reel").display().to_string();
    let cases = [
        (file("empty.reel", b""), "empty"),
        (
            file("text.reel", b"once upon a time there was no reel here"),
            "not a reel",
        ),
        (file("zeros.reel", &[0; 10_000]), "not a reel"),
        (file("start.reel", b"\x89FReel\r\n\x01\x00"), "cut off"),
        (folder.display().to_string(), "folder"),
        (missing, "no such file"),
    ];
    for (path, said) in &cases {
        for verb in ["info", "verify", "requests", "cat", "replay"] {
            check_refused(&[verb, path], said);
        }
        check_refused(&["state", path, "--at", "1s"], said);
        check_refused(&["request", path, "1"], said);
        let out = folder.join("out.reel");
        check_refused(&["recover", path, &out.display().to_string()], said);
        assert!(!out.exists(), "nothing is written");
    }
    check_refused(&["inf", "x"], "info");
    check_refused(&["state", "x", "--at", "soon"], "soon");
    check_refused(&["info"], "required");
}

fn check_refused(arguments: &[&str], said: &str) {
    let (code, answer, sentence) = json(arguments);
    assert_eq!(code, 2, "{arguments:?}: {answer}");
    assert_eq!(answer["schema"], "flowreel.error/1");
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    assert!(sentence.contains(said), "{arguments:?}: {sentence}");
    let plain = flowreel(arguments);
    assert_eq!(plain.status.code(), Some(2));
    assert!(plain.stdout.is_empty());
    assert_eq!(String::from_utf8(plain.stderr).expect("UTF-8"), sentence);
}

#[test]
fn a_folder_that_is_not_there_is_the_surroundings_fault() {
    let folder = folder("no-folder");
    let (reel, _) = simulated(&folder, "20s");
    let out = folder.join("not/there.reel").display().to_string();
    let (code, answer, _) = json(&["recover", &reel, &out]);
    assert_eq!((code, &answer["code"]), (3, &3.into()));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let (reel, _) = simulated(&folder("pipe"), "120s");
    let mut child = Command::new(env!("CARGO_BIN_EXE_flowreel"))
        .args(["cat", &reel])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}

#[test]
fn help_and_version_go_to_standard_output() {
    for argument in ["--help", "--version"] {
        let output = flowreel(&[argument]);
        assert!(output.status.success() && output.stderr.is_empty());
        assert!(
            String::from_utf8(output.stdout)
                .unwrap()
                .contains("flowreel")
        );
    }
}
