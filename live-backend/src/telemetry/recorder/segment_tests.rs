//! Runs in several segments: cut while they are recorded, followed, deleted, gone on with.
//!
//! Belongs here: tests of the recorder over several files. Does not belong here: one file (tests.rs).

use super::tests::{Folder, play_login, topology};
use super::*;
use crate::telemetry::topology::{TopologySettings, live_topology};
use crate::telemetry::{Class, Part, Place, Telemetry};
use flowreel_engine::editing::merge;
use flowreel_engine::model::check::check_stream;
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::id::RequestId;
use flowreel_engine::recording::{GapReason, ReelReader, StreamDecoder, StreamItem, verify};
use std::path::Path;

fn settings(folder: &Path) -> RecordingSettings {
    RecordingSettings {
        folder: Some(folder.to_owned()),
        ..RecordingSettings::default()
    }
}

fn start(settings: &RecordingSettings) -> Recorder {
    Recorder::start(Clock::start(), topology(), settings).expect("it records")
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("it is there");
    let mut paths: Vec<PathBuf> = entries.map(|it| it.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "reel"));
    paths.sort_unstable();
    paths
}

/// Waits for what the recorder's thread does by itself.
fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = Clock::start();
    while !is_so() {
        assert!(clock.now().0 < 60_000_000_000, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Plays until that many segments are there.
fn play_segments(telemetry: &Telemetry, folder: &Path, count: usize) {
    await_that("segments", || {
        for _ in 0..10 {
            play_login(telemetry);
        }
        segments(folder).len() >= count
    });
}

fn events(reader: &mut ReelReader) -> Vec<StageEvent> {
    let (mut all, mut batch) = (Vec::new(), Vec::new());
    for position in 0..reader.event_blocks().len() {
        assert!(reader.read_events(position, &mut batch).expect("readable"));
        all.extend_from_slice(&batch);
    }
    all
}

fn joined(paths: &[PathBuf]) -> ReelReader {
    let open = |part: usize| ReelReader::open(&paths[part]);
    let (bytes, merged) = merge(paths.len(), open, Vec::new()).expect("of one run");
    assert!(merged.is_one_run);
    ReelReader::from_bytes(bytes).expect("a reel")
}

#[tokio::test]
async fn a_long_run_is_cut_and_followed_without_a_break() {
    let folder = Folder::new("cut");
    let settings = RecordingSettings {
        segment_bytes: Some(60_000),
        ..settings(&folder.0)
    };
    let recorder = start(&settings);
    let telemetry = recorder.telemetry();
    let mut follower = telemetry.follow().expect("it records");
    let (player, path) = (telemetry.clone(), folder.0.clone());
    tokio::task::spawn_blocking(move || {
        play_segments(&player, &path, 4);
        recorder.finish().expect("the disk takes it")
    })
    .await
    .expect("no panic");
    let mut decoder = StreamDecoder::new().expect("memory");
    let mut followed = Vec::new();
    while let Some(chunk) = follower.next_chunk().await.expect("readable") {
        decoder.feed(&chunk);
        while let Some(item) = decoder.next_item().expect("sound") {
            match item {
                StreamItem::Events(events) => followed.extend_from_slice(events),
                StreamItem::Gap(gap) => panic!("{gap:?}"),
                StreamItem::State(_) => panic!("nothing is missing"),
                _ => {}
            }
        }
    }
    assert!(decoder.is_complete());
    let paths = segments(&folder.0);
    assert!(paths.len() >= 4, "{paths:?}");
    for (index, path) in paths.iter().enumerate() {
        let reader = ReelReader::open(path).expect("a reel");
        let check = verify(&reader).expect("readable");
        assert!(check.holds(), "{}: {:?}", path.display(), check.problems);
        assert_eq!(reader.meta().segment_number() as usize, index + 1);
        assert_eq!(reader.continues(), index + 1 < paths.len());
    }
    let mut whole = joined(&paths);
    assert!(whole.gaps().is_empty());
    let all = events(&mut whole);
    assert_eq!(followed, all);
    let state = check_stream(whole.topology(), &all).expect("no contradiction");
    assert_eq!(state.run_hash(), whole.summary().expect("ended").final_hash);
}

#[test]
fn the_oldest_segments_are_deleted_and_nothing_else() {
    let folder = Folder::new("keep");
    std::fs::create_dir_all(&folder.0).expect("writable");
    let other_files = [
        "notes.txt",
        "live-20200101T000000Z-00000000.0001.reel",
        "mine.reel",
    ];
    for name in other_files {
        std::fs::write(
            folder.0.join(name),
            b"not a reel of ours, though it may be named so",
        )
        .expect("writable");
    }
    let settings = RecordingSettings {
        segment_bytes: Some(60_000),
        keep: Keep {
            bytes: Some(150_000),
            time: None,
        },
        ..settings(&folder.0)
    };
    let recorder = start(&settings);
    let telemetry = recorder.telemetry();
    let newest = || {
        let paths = segments(&folder.0);
        let open = |path: &PathBuf| ReelReader::open(path).ok();
        paths
            .iter()
            .filter_map(open)
            .map(|it| it.meta().segment_number())
            .max()
    };
    await_that("eight segments", || {
        for _ in 0..10 {
            play_login(&telemetry);
        }
        newest() >= Some(8)
    });
    // One that begins to follow now begins with the oldest kept.
    let end = recorder.finish().expect("the disk takes it");
    for name in other_files {
        assert!(folder.0.join(name).exists(), "{name}");
    }
    let own: Vec<PathBuf> = segments(&folder.0)
        .into_iter()
        .filter(|path| ReelReader::open(path).is_ok())
        .collect();
    assert!(own.len() < 8, "{own:?}");
    assert!(own.contains(&end.path.expect("it records")));
    let first = ReelReader::open(&own[0]).expect("a reel");
    assert!(first.meta().segment_number() > 1);
    assert_eq!(first.gaps()[0].reason, GapReason::Elsewhere);
    let check = verify(&joined(&own)).expect("readable");
    assert!(check.holds(), "{:?}", check.problems);
}

/// A recorder that dies without a word: its thread goes on writing nothing, its lock is let go.
fn torn(folder: &Path, play: impl FnOnce(&Telemetry)) -> PathBuf {
    let recorder = start(&settings(folder));
    let telemetry = recorder.telemetry();
    play(&telemetry);
    let path = recorder
        .finish()
        .expect("the disk takes it")
        .path
        .expect("it records");
    // What a kill leaves: everything up to some byte before the end.
    let bytes = std::fs::read(&path).expect("readable");
    std::fs::write(&path, &bytes[..bytes.len() - 700]).expect("writable");
    path
}

#[test]
fn a_run_without_an_end_goes_on_in_another_segment() {
    let folder = Folder::new("resume");
    let first = torn(&folder.0, |telemetry| {
        play_login(telemetry);
        let part = telemetry.begin_request(Class::Login, 7);
        telemetry
            .enter(part, Place::Clients, Place::Server1)
            .cut_off();
    });
    let before = ReelReader::open(&first).expect("a reel");
    assert!(!before.is_complete());
    let recorder = start(&settings(&folder.0));
    let telemetry = recorder.telemetry();
    assert_eq!(telemetry.run_id(), Some(before.meta().run_id));
    let last_t_ns = before.time_range().expect("events").1;
    assert!(telemetry.now() > last_t_ns);
    let request = play_login(&telemetry);
    assert_eq!(request.0, 3, "above every one seen");
    let counts = recorder.finish().expect("the disk takes it").counts;
    assert_eq!((counts.emitted, counts.dropped), (counts.written, 0));
    let paths = segments(&folder.0);
    assert_eq!(paths.len(), 2);
    let mut whole = joined(&paths);
    assert!(verify(&whole).expect("readable").holds());
    assert_eq!(whole.gaps().len(), 1);
    let all = events(&mut whole);
    let state = check_stream(whole.topology(), &all).expect("no contradiction");
    assert_eq!(state.requests().in_flight, 0);
    assert_eq!(state.requests().completed, 2);
    assert_eq!(state.requests().failed, 1);
    // A run that ended in good order is over.
    let recorder = start(&settings(&folder.0));
    assert_ne!(recorder.telemetry().run_id(), Some(before.meta().run_id));
    recorder.finish().expect("the disk takes it");
}

#[test]
fn another_map_another_setting_and_a_run_in_progress_begin_a_new_run() {
    let folder = Folder::new("no-resume");
    let first = torn(&folder.0, |telemetry| {
        play_login(telemetry);
    });
    let run = ReelReader::open(&first).expect("a reel").meta().run_id;
    let of = |recorder: &Recorder| recorder.telemetry().run_id().expect("it records");
    let bytes = std::fs::read(&first).expect("readable");
    let other_map = live_topology(&TopologySettings {
        mail_worker_servers: 6,
        ..TopologySettings::default()
    });
    let again = |recorder: Recorder| {
        let end = recorder.finish().expect("the disk takes it");
        std::fs::remove_file(end.path.expect("it records")).expect("it is there");
        std::fs::write(&first, &bytes).expect("writable");
    };
    let recorder = Recorder::start(Clock::start(), other_map, &settings(&folder.0));
    let recorder = recorder.expect("it records");
    assert_ne!(of(&recorder), run);
    again(recorder);
    let mut noted = settings(&folder.0);
    noted.notes.insert("retry_scale".to_owned(), "7".to_owned());
    let recorder = start(&noted);
    assert_ne!(of(&recorder), run);
    again(recorder);
    let recorder = start(&settings(&folder.0));
    assert_eq!(of(&recorder), run);
    // The first recorder writes the run still.
    let beside = start(&settings(&folder.0));
    assert_ne!(of(&beside), run);
    beside.finish().expect("the disk takes it");
    recorder.finish().expect("the disk takes it");
}

#[test]
fn a_recording_that_is_deleted_goes_on_in_another_file() {
    let folder = Folder::new("deleted");
    let recorder = start(&settings(&folder.0));
    let telemetry = recorder.telemetry();
    let first = telemetry.reel_path().expect("it records").to_owned();
    play_login(&telemetry);
    std::fs::remove_file(&first).expect("it is there");
    await_that("another file", || {
        play_login(&telemetry);
        !segments(&folder.0).is_empty()
    });
    let end = recorder.finish().expect("the disk takes it");
    let path = end.path.expect("it records");
    assert!(path != first && path.exists());
    let reader = ReelReader::open(&path).expect("a reel");
    assert!(verify(&reader).expect("readable").holds());
    assert!(end.counts.disk_faults > 0);
}

#[test]
fn a_run_that_dies_before_its_first_event_goes_on_too() {
    let folder = Folder::new("no-event");
    for number in 1..4 {
        let path = torn(&folder.0, |telemetry| {
            if number > 1 {
                play_login(telemetry);
            }
        });
        let reader = ReelReader::open(&path).expect("a reel");
        assert_eq!(reader.meta().segment_number(), number);
    }
    start(&settings(&folder.0))
        .finish()
        .expect("the disk takes it");
    let paths = segments(&folder.0);
    assert_eq!(paths.len(), 4);
    let mut whole = joined(&paths);
    assert!(verify(&whole).expect("readable").holds());
    assert_eq!(whole.gaps().len(), 3);
    let all = events(&mut whole);
    let state = check_stream(whole.topology(), &all).expect("no contradiction");
    assert_eq!(state.requests().in_flight, 0);
}

#[test]
fn an_id_whose_stages_a_crash_took_is_not_handed_out_again() {
    let folder = Folder::new("ids");
    let first = torn(&folder.0, |telemetry| {
        play_login(telemetry);
    });
    let run = ReelReader::open(&first).expect("a reel").meta().run_id;
    let lost = Survivor {
        part: Part::main(RequestId(9), Class::Login).with_attempt(1),
        place: Place::Mail,
        delay_ns: None,
        priority: 1,
    };
    let recorder = start(&RecordingSettings {
        survivors: vec![(run, lost)],
        ..settings(&folder.0)
    });
    let telemetry = recorder.telemetry();
    assert_eq!(telemetry.run_id(), Some(run));
    assert!(!telemetry.goes_on(lost.part), "the reel does not know it");
    assert_eq!(telemetry.next_request_id().0, 10);
    // Killed once more before anything was recorded: the reel itself remembers.
    recorder.cut_off();
    let recorder = start(&settings(&folder.0));
    assert_eq!(recorder.telemetry().run_id(), Some(run));
    assert_eq!(recorder.telemetry().next_request_id().0, 10);
    recorder.finish().expect("the disk takes it");
}

#[test]
fn parts_that_ended_in_an_earlier_segment_are_counted_after_a_crash() {
    let folder = Folder::new("earlier-parts");
    let short = RecordingSettings {
        segment_bytes: Some(20_000),
        ..settings(&folder.0)
    };
    let recorder = start(&short);
    let telemetry = recorder.telemetry();
    let run = telemetry.run_id().expect("it records");
    let part = telemetry.begin_request(Class::Login, 7);
    telemetry
        .enter(part, Place::Clients, Place::Server1)
        .end(Outcome::Ok);
    let parts = telemetry.split(part, 2);
    let mail = telemetry.email_queued(parts[0], Place::Server1, 1, 900);
    let in_app = telemetry.in_app_queued(parts[1], Place::Server1, 1);
    telemetry
        .pick_up(in_app, Place::InApp, Place::InAppWorker)
        .job_completed();
    play_segments(&telemetry, &folder.0, 3);
    recorder.cut_off();
    let survivor = Survivor {
        part: mail,
        place: Place::Mail,
        delay_ns: None,
        priority: 1,
    };
    let recorder = start(&RecordingSettings {
        survivors: vec![(run, survivor)],
        ..short
    });
    let telemetry = recorder.telemetry();
    assert!(telemetry.goes_on(mail));
    telemetry
        .pick_up(mail, Place::Mail, Place::MailWorker)
        .job_completed();
    recorder.finish().expect("the disk takes it");
    let mut whole = joined(&segments(&folder.0));
    let all = events(&mut whole);
    let ends = all.iter().filter(|it| it.request == part.request);
    let end = ends.filter(|it| it.kind == EventKind::RequestFinished);
    let seen: Vec<_> = end.map(|it| (it.outcome, it.value)).collect();
    assert_eq!(seen, [(Outcome::Ok, 2)]);
}
