//! `kill -9` of a recording process, again and again: what was acknowledged is there, the run goes on.
//!
//! The child is this very test, started again with a folder to record into. It records at a high rate and
//! prints every number up to which events are with the system. `FLOWREEL_KILLS` sets how often it dies.

use crate::harness::{Folder, PATIENCE};
use flowreel_engine::editing::merge;
use flowreel_engine::model::check::StreamCheck;
use flowreel_engine::model::event::{EventKind, Outcome};
use flowreel_engine::recording::{GapReason, ReelReader, RunSource, recover, verify};
use flowreel_live_backend::telemetry::topology::{TopologySettings, live_topology};
use flowreel_live_backend::telemetry::visit::AfterFailure;
use flowreel_live_backend::telemetry::{
    Class, Clock, Place, Recorder, RecordingSettings, Telemetry,
};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

const CHILD_FOLDER: &str = "FLOWREEL_RECORDING_CHILD";
const CHILD_HOLD: &str = "FLOWREEL_RECORDING_CHILD_HOLD";
/// The test that is the child.
const CHILD_TEST: &str =
    "kills::killed_at_any_moment_a_recording_keeps_what_it_acknowledged_and_goes_on";
const KILLS: &str = "FLOWREEL_KILLS";
/// Kills of an ordinary check.
const KILLS_USUAL: u64 = 20;
/// An event is with the system this long after it was emitted, where the recorder's thread gets to run.
const LOSS_MAX_NS: u64 = 250_000_000;
/// How often the child's watcher says what time it is. On a machine busy with other things it is late as any
/// thread of the child is, and by so much more may be lost.
const TICK_NS: u64 = 5_000_000;

#[expect(clippy::disallowed_methods, reason = "a test is told so what it is")]
fn told(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

#[test]
fn killed_at_any_moment_a_recording_keeps_what_it_acknowledged_and_goes_on() {
    if let Some(folder) = told(CHILD_FOLDER) {
        record_until_killed(Path::new(&folder));
        return;
    }
    let kills = told(KILLS).and_then(|text| text.to_str()?.parse().ok());
    let kills: u64 = kills.unwrap_or(KILLS_USUAL);
    let folder = Folder::new();
    let clock = Clock::start();
    let seed = clock.started_wall_ns();
    let mut table = Table::default();
    for number in 0..kills {
        let mut child = Recording::start(folder.path());
        // 0 to 500 ms after it began to record: inside the first flush as well as behind some.
        let live_ms = mixed(seed ^ number) % 500;
        let acknowledged = child.live_for(Duration::from_millis(live_ms));
        let killed_at_ns = clock.wall_ns();
        let (at_last, ticks) = child.kill();
        let acknowledged = at_last.max(acknowledged);
        let segments = segments(folder.path());
        assert_eq!(
            segments.len() as u64,
            number + 1,
            "seed {seed}: {segments:?}"
        );
        let torn = segments.last().expect("one at least");
        table.note(torn, acknowledged, killed_at_ns, live_ms, &ticks);
    }
    let late = table.lost_ns.iter().filter(|&&it| it > LOSS_MAX_NS).count();
    let mut child = Recording::start(folder.path());
    child.live_for(Duration::from_millis(50));
    let [_, _, dropped, _] = child.finish();
    assert_eq!(dropped, 0, "a machine too slow for this rate");
    let segments = segments(folder.path());
    assert_eq!(segments.len() as u64, kills + 1);
    let (events, gaps) = joined(&segments);
    assert_eq!(gaps as u64, kills);
    println!(
        "kills {kills}, segments {}, events {events}, acknowledged and missing 0, \
         lost at most {:.0} ms, in the middle {:.0} ms, more than 250 ms {late} times, gaps {gaps}, seed {seed}",
        segments.len(),
        table.loss_ms(1.0),
        table.loss_ms(0.5),
    );
}

/// What the kills cost.
#[derive(Default)]
struct Table {
    lost_ns: Vec<u64>,
}

impl Table {
    fn note(
        &mut self,
        torn: &Path,
        acknowledged: u64,
        killed_at_ns: u64,
        live_ms: u64,
        ticks: &[u64],
    ) {
        let reader = ReelReader::open(torn).expect("a segment can be opened");
        assert!(!reader.is_complete());
        let next_seq = reader.next_seq();
        assert!(next_seq >= acknowledged, "{next_seq} of {acknowledged}");
        let started = reader.meta().started_at_unix_ns.expect("a live run");
        let began_ns = u64::try_from(started).expect("after 1970");
        let last = reader.time_range().map(|(_, last)| last.0);
        let kept_until_ns = last.map(|last| began_ns + last);
        // A child that was killed before its first flush had little to lose.
        let lived_ns = live_ms * 1_000_000;
        let lost_ns = kept_until_ns.map_or(lived_ns, |at| killed_at_ns.saturating_sub(at));
        let late_ns = lateness_ns(ticks, killed_at_ns.saturating_sub(lost_ns), killed_at_ns);
        assert!(
            lost_ns <= LOSS_MAX_NS + late_ns,
            "{lost_ns} ns lost after {live_ms} ms, while the child was late by {late_ns} ns"
        );
        self.lost_ns.push(lost_ns);
        let (saved, _) = recover(&reader, Vec::new()).expect("memory");
        let saved = ReelReader::from_bytes(saved).expect("a reel");
        let check = verify(&saved).expect("memory");
        assert!(check.holds(), "{:?}", check.problems);
        assert_eq!(saved.next_seq(), next_seq);
    }

    #[expect(clippy::cast_precision_loss, reason = "printing")]
    fn loss_ms(&mut self, part: f64) -> f64 {
        self.lost_ns.sort_unstable();
        let last = self.lost_ns.len().saturating_sub(1);
        let at = (0..=last).find(|&at| at as f64 >= part * last as f64);
        self.lost_ns[at.unwrap_or(last)] as f64 / 1e6
    }
}

/// By how much the child's watcher was late between two moments.
fn lateness_ns(ticks: &[u64], from_ns: u64, until_ns: u64) -> u64 {
    let within = ticks
        .iter()
        .filter(|&&tick| (from_ns..until_ns).contains(&tick));
    let (mut before_ns, mut late_ns) = (from_ns, 0);
    for &tick in within.chain([&until_ns]) {
        late_ns += tick.saturating_sub(before_ns).saturating_sub(TICK_NS);
        before_ns = tick;
    }
    late_ns
}

/// Joins all segments, checks the whole, and gives the number of its events and gaps.
pub(crate) fn joined(segments: &[PathBuf]) -> (u64, usize) {
    let open = |part: usize| ReelReader::open(&segments[part]);
    let (bytes, merged) = merge(segments.len(), open, Vec::new()).expect("of one run");
    assert!(merged.is_one_run);
    let mut reader = ReelReader::from_bytes(bytes).expect("a reel");
    let check = verify(&reader).expect("memory");
    assert!(check.holds(), "{:?}", check.problems);
    assert!(reader.gaps().iter().all(|gap| {
        gap.reason == GapReason::TornTail && gap.events.is_none() && gap.first_seq.is_some()
    }));
    let gaps = reader.gaps().len();
    let mut check = StreamCheck::new(reader.topology());
    let (mut events, mut next_seq) = (Vec::new(), 0);
    let mut marks = 0;
    for position in 0..reader.event_blocks().len() {
        assert!(reader.read_events(position, &mut events).expect("memory"));
        for event in &events {
            assert_eq!(event.seq, next_seq);
            next_seq += 1;
            marks += usize::from(event.kind == EventKind::Gap && event.value == 0);
            check.apply(event).expect("no event contradicts another");
        }
    }
    check.check_levels().expect("what a crash broke is closed");
    assert_eq!(check.state().requests().in_flight, 0);
    assert_eq!(marks, gaps);
    assert_eq!(reader.meta().source, RunSource::Live);
    let last = ReelReader::open(segments.last().expect("one")).expect("a reel");
    assert_eq!(last.summary().expect("ended").dropped, Some(0));
    assert_eq!(
        last.summary().expect("ended").final_hash,
        reader.summary().expect("ended").final_hash
    );
    (next_seq, gaps)
}

pub(crate) fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("it is there");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "reel"));
    paths.sort_unstable();
    paths
}

/// Steele, Lea and Flood 2014, the finalizer of `SplitMix64`.
fn mixed(seed: u64) -> u64 {
    let x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A child that records.
pub(crate) struct Recording {
    child: Child,
    lines: Receiver<String>,
    /// What time its watcher said it was.
    ticks: Vec<u64>,
}

impl Recording {
    fn start(folder: &Path) -> Self {
        Self::start_by(&[], folder, 0)
    }

    /// Started by another program, with this many bytes to wait for the disk; 0 is the usual number.
    pub(crate) fn start_by(by: &[&str], folder: &Path, hold_bytes: u64) -> Self {
        let own = std::env::current_exe().expect("this test");
        let mut words: Vec<&OsStr> = by.iter().map(OsStr::new).collect();
        words.push(own.as_os_str());
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .args([
                OsStr::new(CHILD_TEST),
                OsStr::new("--exact"),
                OsStr::new("--nocapture"),
            ])
            .env(CHILD_FOLDER, folder)
            .env(CHILD_HOLD, hold_bytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test can be run again");
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, lines) = sync_channel(4096);
        std::thread::spawn(move || {
            let told = BufReader::new(stdout).lines().map_while(Result::ok);
            for line in told.filter(|line| line.starts_with("child ")) {
                let line = line.trim_start_matches("child ").to_owned();
                // Nobody listens once the test has failed.
                sender.send(line).unwrap_or(());
            }
        });
        let this = Self {
            child,
            lines,
            ticks: Vec::new(),
        };
        // The first line says that it records.
        this.lines.recv_timeout(PATIENCE).expect("it starts");
        this
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for that word.
    pub(crate) fn await_line(&self, word: &str) {
        while self.lines.recv_timeout(PATIENCE).expect("it says so") != word {}
    }

    /// The highest number acknowledged within that time.
    fn live_for(&mut self, time: Duration) -> u64 {
        let (mut highest, clock) = (0, Clock::start());
        loop {
            let rest = time.saturating_sub(Duration::from_nanos(clock.now().0));
            match self.lines.recv_timeout(rest) {
                Ok(line) => {
                    self.ticks.extend(number(&line, "tick "));
                    highest = highest.max(acknowledged(&line));
                }
                Err(RecvTimeoutError::Timeout) => return highest,
                Err(RecvTimeoutError::Disconnected) => panic!("the child ended by itself"),
            }
        }
    }

    /// Ends it without a warning; the answer is the highest number it had acknowledged by then, and all
    /// its ticks.
    fn kill(mut self) -> (u64, Vec<u64>) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was started here");
        let mut highest = 0;
        for line in &self.lines {
            self.ticks.extend(number(&line, "tick "));
            highest = highest.max(acknowledged(&line));
        }
        (highest, self.ticks)
    }

    /// Lets it end its recording; the answer is what it emitted, wrote and lost, and the most bytes that
    /// waited for the disk.
    pub(crate) fn finish(mut self) -> [u64; 4] {
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("it was started here");
        assert!(status.success(), "{status}");
        let (mut end, mut waiting) = (None, None);
        for line in &self.lines {
            let numbers = |rest: &str| -> Vec<u64> {
                let numbers = rest.split(' ').map(|it| it.parse().expect("a number"));
                numbers.collect()
            };
            if let Some(rest) = line.strip_prefix("waiting ") {
                waiting = numbers(rest).first().copied();
            } else if let Some(rest) = line.strip_prefix("end ") {
                end = <[u64; 3]>::try_from(numbers(rest)).ok();
            }
        }
        let [emitted, written, dropped] = end.expect("it says what it did");
        [emitted, written, dropped, waiting.expect("it says so")]
    }
}

fn acknowledged(line: &str) -> u64 {
    number(line, "ack ").unwrap_or(0)
}

fn number(line: &str, word: &str) -> Option<u64> {
    line.strip_prefix(word)?.parse().ok()
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The harness may have begun a line of its own.
    let line = format!("\nchild {line}\n");
    out.write_all(line.as_bytes()).expect("somebody listens");
    out.flush().expect("somebody listens");
}

fn record_until_killed(folder: &Path) {
    let hold = told(CHILD_HOLD).and_then(|text| text.to_str()?.parse().ok());
    let settings = RecordingSettings {
        folder: Some(folder.to_owned()),
        hold_bytes: hold.filter(|&bytes: &usize| bytes > 0),
        ..RecordingSettings::default()
    };
    // Nothing is full where it is not said what may wait.
    let most_waiting = settings.hold_bytes.map_or(u64::MAX, |bytes| bytes as u64);
    let topology = live_topology(&TopologySettings::default());
    let recorder = Recorder::start(Clock::start(), topology, &settings).expect("it records");
    let telemetry = recorder.telemetry();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    play(&telemetry);
                    // A ring then holds what comes in some 180 ms, so that none is dropped.
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            });
        }
        scope.spawn(|| {
            let (mut told, mut dropped_at, mut waiting) = (None, None, 0);
            let mut ticked_ns = 0;
            while !is_over.load(Ordering::Relaxed) {
                let now_ns = telemetry.clock().wall_ns();
                if now_ns.saturating_sub(ticked_ns) >= TICK_NS / 2 {
                    ticked_ns = now_ns;
                    say(&format!("tick {now_ns}"));
                }
                let acknowledged = telemetry.acknowledged_seq();
                if told != acknowledged {
                    told = acknowledged;
                    say(&format!("ack {}", told.unwrap_or(0)));
                }
                let waits = telemetry.waiting_bytes();
                waiting = waits.max(waiting);
                let counts = telemetry.counts();
                match dropped_at {
                    // A ring may have dropped some before, where this process gets no time.
                    None if waits > most_waiting
                        && counts.dropped > 0
                        && counts.disk_faults > 0 =>
                    {
                        dropped_at = Some(acknowledged);
                        say("dropped");
                    }
                    Some(at) if at != acknowledged => say("recovered"),
                    _ => {}
                }
                std::thread::park_timeout(Duration::from_millis(1));
            }
            say(&format!("waiting {waiting}"));
        });
        let mut nothing = Vec::new();
        std::io::stdin().read_to_end(&mut nothing).expect("a pipe");
        is_over.store(true, Ordering::Relaxed);
    });
    let counts = recorder.finish().expect("the disk takes it").counts;
    assert_eq!(counts.emitted, counts.written + counts.dropped);
    say(&format!(
        "end {} {} {}",
        counts.emitted, counts.written, counts.dropped
    ));
}

/// A login with a mail that is sent again and a connection that comes and goes.
fn play(telemetry: &Telemetry) {
    telemetry.connection_opened(1);
    let part = telemetry.begin_request(Class::Login, 7);
    let balancer = telemetry.enter(part, Place::Clients, Place::Balancer);
    balancer.picked(Place::Server2, 1, "round-robin");
    let server = telemetry.enter(part, Place::Balancer, Place::Server2);
    server.call(Place::Database).end(Outcome::Ok);
    server.end(Outcome::Ok);
    let parts = telemetry.split(part, 2);
    let mail = telemetry.email_queued(parts[0], Place::Server2, 1, 900);
    let in_app = telemetry.in_app_queued(parts[1], Place::Server2, 1);
    let run = telemetry.pick_up(in_app, Place::InApp, Place::InAppWorker);
    run.call(Place::Websocket).in_app_delivered(1);
    run.job_completed();
    let run = telemetry.pick_up(mail, Place::Mail, Place::MailWorker);
    run.call(Place::Smtp).email_bounced(451, "try again");
    let next = AfterFailure::Retry {
        via: Place::Retry1,
        delay_ns: 5,
    };
    run.job_failed(451, "try again", next);
    let mail = telemetry.retry_due(mail, Place::Retry1, Place::Mail, 1);
    let run = telemetry.pick_up(mail, Place::Mail, Place::MailWorker);
    run.call(Place::Smtp).email_sent(250);
    run.job_completed();
    telemetry.connection_closed(0, false);
}
