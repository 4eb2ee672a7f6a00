//! A disk that is full: the product goes on, what is lost is counted, and recording goes on with the space.

use crate::harness::{Backend, Folder, sound_reel, until};
use crate::kills::{Recording, segments};
use flowreel_engine::model::event::EventKind;
use flowreel_engine::recording::{GapReason, ReelReader, verify};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes a file of the child may have until the limit is lifted.
const FILE_BYTES: u64 = 400_000;
/// Bytes that may wait for the disk.
const HELD_BYTES: u64 = 1 << 20;

#[test]
fn past_what_memory_holds_events_are_lost_with_an_exact_gap() {
    let folder = Folder::new();
    // A file that may not grow is a disk that is full, as far as one process is concerned.
    let limit = format!("trap '' XFSZ; exec prlimit --fsize={FILE_BYTES}: \"$@\"");
    let child = Recording::start_by(&["sh", "-c", &limit, "sh"], folder.path(), HELD_BYTES);
    child.await_line("dropped");
    let stuck = segments(folder.path());
    let length = std::fs::metadata(&stuck[0]).expect("it is there").len();
    assert_eq!(
        length, FILE_BYTES,
        "it is written to the last byte that fits"
    );
    let lifted = Command::new("prlimit")
        .args(["--pid", &child.id().to_string(), "--fsize=unlimited"])
        .status();
    assert!(lifted.expect("`prlimit` exists").success());
    child.await_line("recovered");
    let [emitted, written, dropped, waiting] = child.finish();
    // What was flushed before the limit was seen comes on top of it.
    assert!((HELD_BYTES..2 * HELD_BYTES).contains(&waiting), "{waiting}");
    assert_eq!(emitted, written + dropped);
    assert!(dropped > 0);
    let mut reader = ReelReader::open(&stuck[0]).expect("a reel");
    let check = verify(&reader).expect("readable");
    assert!(check.holds(), "{:?}", check.problems);
    assert_eq!(check.events, written);
    let told = reader.gaps().iter().map(|gap| {
        assert_eq!(gap.reason, GapReason::Dropped);
        gap.events.expect("it was counted")
    });
    assert_eq!(told.sum::<u64>(), dropped);
    assert_eq!(reader.summary().expect("ended").dropped, Some(dropped));
    let (mut events, mut marked) = (Vec::new(), 0);
    for position in 0..reader.event_blocks().len() {
        assert!(reader.read_events(position, &mut events).expect("readable"));
        let marks = events.iter().filter(|event| event.kind == EventKind::Gap);
        marked += marks.map(|event| event.value).sum::<u64>();
    }
    assert_eq!(marked, dropped);
}

/// A disk of two mebibytes, where this machine lets us make one.
struct Disk(PathBuf);

impl Disk {
    fn mount(path: &Path) -> Option<Self> {
        std::fs::create_dir_all(path).expect("the target folder can be written");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "none"])
            .arg(path)
            .output();
        let is_mounted = mounted.is_ok_and(|it| it.status.success());
        is_mounted.then(|| Self(path.to_owned()))
    }

    /// Takes all space there is.
    fn fill(&self) {
        let filler = std::fs::File::create(self.0.join("filler")).expect("it can be made");
        let mut filler = filler;
        let block = [7; 4096];
        while std::io::Write::write_all(&mut filler, &block).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("it is there");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[tokio::test]
async fn on_a_full_disk_the_product_serves_and_says_at_its_end_what_is_missing() {
    let folder = Folder::new();
    let Some(disk) = Disk::mount(&folder.path().join("disk")) else {
        eprintln!(
            "skipped: this user may not mount a disk; the limit on files is tested all the same"
        );
        return;
    };
    let record = disk.0.to_str().expect("ASCII").to_owned();
    let mut backend = Backend::start(folder.path(), &["--record", &record]);
    backend.user("before").await;
    disk.fill();
    for number in 0..5 {
        backend.user(&format!("while-{number}")).await;
    }
    let faults = async || {
        let status = backend.status().await;
        status["recording"]["diskFaults"]
            .as_u64()
            .filter(|&count| count > 0)
    };
    until("the disk's refusal to be noticed", faults).await;
    assert!(backend.log().contains("free space on that disk"));
    disk.free();
    backend.user("after").await;
    until("the recording to be written again", async || {
        backend.log().contains("is written again").then_some(())
    })
    .await;
    let reel = backend.stop();
    // All of it waited in memory.
    sound_reel(&reel);

    let mut backend = Backend::start(folder.path(), &["--record", &record]);
    backend.user("again").await;
    disk.fill();
    let body = json!({"email": "again@people.example", "password": "correct horse 1"});
    assert_eq!(backend.post("/api/logins", &body, None).await.0, 200);
    let code = backend.stop_badly();
    assert_eq!(code, Some(3), "{}", backend.log());
    let log = backend.log();
    let sentence = log.lines().find(|line| line.starts_with("flowreel-live: "));
    let sentence = sentence.expect("an error is a sentence");
    assert!(
        sentence.contains("lacks its end") && sentence.contains("free space"),
        "{sentence}"
    );
}
