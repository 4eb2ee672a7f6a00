//! Bad surroundings: a full disk, no permission, things that are no files. One sentence, the right exit
//! code, and no half of a file under the name that was asked for.
//!
//! Belongs here: what the system refuses. Does not belong here: what a reel holds (reel_damage, reel_lies).

use crate::cli::{folder, json};
use std::path::Path;

fn shipped(name: &str) -> String {
    format!("{}/../recordings/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// Exit code 3 and one sentence that names the place.
fn check_refused(arguments: &[&str], place: &str) {
    let (code, answer, said) = json(arguments);
    assert_eq!(code, 3, "{arguments:?}: {answer}");
    assert_eq!(answer["schema"], "flowreel.error/1", "{arguments:?}");
    assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
    assert!(said.contains(place), "{arguments:?}: {said}");
}

/// Calls of every verb that writes, each with the name of what it writes.
fn writing(out: &str) -> Vec<Vec<String>> {
    let (ladder, smtp) = (shipped("retry-ladder.reel"), shipped("smtp-refuses.reel"));
    let scenario = format!(
        "{}/../scenarios/notification.toml",
        env!("CARGO_MANIFEST_DIR")
    );
    let trace = format!(
        "{}/tests/data/traces/jaeger-ui-model.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let calls: Vec<Vec<&str>> = vec![
        vec!["recover", &smtp, out],
        vec!["slice", &smtp, "--to", "9s", "--out", out],
        vec!["slice", &smtp, "--request", "5", "--out", out],
        vec!["merge", &smtp, &ladder, "--out", out],
        vec!["redact", &smtp, "--field", "users", "--out", out],
        vec!["export", &smtp, "--format", "csv", "--out", out],
        vec!["export", &smtp, "--format", "jsonl", "--out", out],
        vec!["export", &smtp, "--format", "otlp", "--out", out],
        vec!["export", &smtp, "--format", "perfetto", "--out", out],
        vec!["simulate", &scenario, "--duration", "20s", "--out", out],
        vec!["import", &trace, "--out", out],
    ];
    let own = |call: Vec<&str>| call.into_iter().map(str::to_owned).collect();
    calls.into_iter().map(own).collect()
}

fn as_text(call: &[String]) -> Vec<&str> {
    call.iter().map(String::as_str).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_one_sentence_and_the_device_stays() {
    use std::os::unix::fs::FileTypeExt;
    for call in writing("/dev/full") {
        check_refused(&as_text(&call), "/dev/full");
        let device = std::fs::metadata("/dev/full").expect("it stays");
        assert!(device.file_type().is_char_device(), "{call:?} replaced it");
    }
    // A piece of a split that has no room: the name of the piece leads to the full device.
    let folder = folder("full-split");
    let piece = folder.join("smtp-refuses-0001.reel");
    std::os::unix::fs::symlink("/dev/full", piece).expect("a link");
    let smtp = shipped("smtp-refuses.reel");
    let into = folder.display().to_string();
    check_refused(
        &["split", &smtp, "--every", "5s", "--out", &into],
        "full-split",
    );
    // The pieces before it did not get their names.
    assert_eq!(names(&folder), ["smtp-refuses-0001.reel"]);
}

#[test]
fn what_cannot_be_written_leaves_what_was_there() {
    let folder = folder("no-room");
    let blocked = folder.join("no/such/folder/out.reel").display().to_string();
    for call in writing(&blocked) {
        check_refused(&as_text(&call), "out.reel");
    }
    assert_eq!(names(&folder), Vec::<String>::new());
    // Bad input is found before the old file goes.
    let out = folder.join("out.reel");
    std::fs::write(&out, "what was there").expect("room");
    let torn = folder.join("torn.reel");
    let whole = std::fs::read(shipped("smtp-refuses.reel")).expect("it ships");
    std::fs::write(&torn, &whole[..600]).expect("room");
    let (torn, out_name) = (torn.display().to_string(), out.display().to_string());
    for call in [
        vec!["recover", &torn, &out_name],
        vec!["redact", &torn, "--field", "users", "--out", &out_name],
        vec![
            "slice",
            &shipped("smtp-refuses.reel"),
            "--from",
            "1h",
            "--out",
            &out_name,
        ],
    ] {
        let (code, answer, _) = json(&call);
        assert_eq!(code, 2, "{answer}");
        let held = std::fs::read_to_string(&out).expect("readable");
        assert_eq!(held, "what was there", "{call:?}");
    }
    assert_eq!(names(&folder), ["out.reel", "torn.reel"]);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_named_and_nothing_waits() {
    let folder = folder("no-files");
    let socket = folder.join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    for (path, said) in [
        ("/dev/null", "pipe or device"),
        ("/dev/full", "pipe or device"),
        (folder.to_str().expect("ASCII"), "folder"),
        (socket.to_str().expect("ASCII"), "pipe or device"),
    ] {
        for verb in ["info", "verify", "cat", "replay", "requests"] {
            let (code, _, sentence) = json(&[verb, path]);
            assert_eq!(code, 2, "{verb} {path}: {sentence}");
            assert!(sentence.contains(said), "{verb} {path}: {sentence}");
        }
    }
    drop(listener);
    // A pipe without a writer would be waited for, for ever, by whoever opens it.
    let pipe = folder.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if made.is_ok_and(|status| status.success()) {
        let (code, _, sentence) = json(&["info", pipe.to_str().expect("ASCII")]);
        assert_eq!(code, 2, "{sentence}");
        assert!(sentence.contains("pipe"), "{sentence}");
    }
}

#[cfg(unix)]
#[test]
fn a_reel_that_may_not_be_read_is_the_surroundings_fault() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    // Beside the tree: another user can get there, should this one be allowed everything.
    let folder = std::env::temp_dir().join(format!("flowreel-permission-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (program, reel) = (folder.join("flowreel"), folder.join("a.reel"));
    std::fs::copy(env!("CARGO_BIN_EXE_flowreel"), &program).expect("room");
    std::fs::copy(shipped("media-review.reel"), &reel).expect("room");
    let allow = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
    };
    allow(&folder, 0o755);
    allow(&program, 0o755);
    allow(&reel, 0o000);
    let mut command = std::process::Command::new(&program);
    command.args(["info", "--json"]).arg(&reel);
    if std::fs::read(&reel).is_ok() {
        command.uid(65534).gid(65534);
    }
    let output = command.output().expect("it starts");
    std::fs::remove_dir_all(&folder).expect("ours");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("a.reel") && said.to_lowercase().contains("permission"),
        "{said}"
    );
}
