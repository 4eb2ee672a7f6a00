//! Several processes' worth of telemetry over a real Redis into one recorder.

mod lost;

use super::*;
use crate::telemetry::clock::{Clock, Stamp};
use crate::telemetry::journey::Part;
use crate::telemetry::recorder::tests::{Folder, play_login, topology};
use crate::telemetry::{
    Class, Place, Receiving, Recorder, RecordingEnd, RecordingSettings, Telemetry,
};
use flowreel_engine::model::check::StreamCheck;
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::recording::{ReelReader, verify};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A Redis of this test alone, which keeps its data over a restart.
pub(in crate::telemetry) struct Redis {
    folder: Folder,
    port: u16,
    child: Child,
}

impl Redis {
    /// `None` where no redis-server is installed; in CI it must be.
    pub(in crate::telemetry) fn start(name: &str) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let folder = Folder::new(&format!("redis-{name}"));
        let child = match serve(&folder.0, port) {
            Ok(child) => child,
            Err(error) => {
                assert!(!is_ci(), "redis-server: {error}");
                skip(&error);
                return None;
            }
        };
        Some(Self {
            folder,
            port,
            child,
        })
    }

    fn kill(&mut self) {
        self.child.kill().expect("it ran");
        self.child.wait().expect("it ended");
    }

    fn start_again(&mut self) {
        self.child = serve(&self.folder.0, self.port).expect("it was there before");
    }

    fn settings(&self) -> TransportSettings {
        TransportSettings {
            url: format!("redis://127.0.0.1:{}", self.port),
            ca: None,
            prefix: "test".to_owned(),
            wait: Duration::from_secs(20),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn serve(folder: &Path, port: u16) -> std::io::Result<Child> {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"])
        .arg(folder)
        .args([
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

#[expect(clippy::disallowed_methods, reason = "a test is told so where it runs")]
fn is_ci() -> bool {
    std::env::var_os("CI").is_some()
}

fn skip(error: &std::io::Error) {
    eprintln!("skipped: redis-server cannot be started: {error}");
}

fn recording(folder: &Folder) -> RecordingSettings {
    RecordingSettings {
        folder: Some(folder.0.clone()),
        ..RecordingSettings::default()
    }
}

pub(in crate::telemetry) fn start_recorder(redis: &Redis, folder: &Folder) -> Recorder {
    let receiving = Receiving {
        transport: redis.settings(),
        address: None,
    };
    Recorder::start_receiving(Clock::start(), topology(), &recording(folder), &receiving)
        .expect("Redis is there")
}

pub(in crate::telemetry) fn ship(redis: &Redis, role: &str) -> Shipper {
    Telemetry::start_shipping(&redis.settings(), role).expect("the recorder is there")
}

/// A process whose wall clock is ahead by so much.
fn ship_ahead(redis: &Redis, role: &str, ahead_ns: u64) -> Shipper {
    let joining = |started_wall_ns| {
        let clock = Clock::joining(started_wall_ns);
        assert!(clock.observe(Stamp(clock.stamp().0 + ahead_ns)));
        clock
    };
    Shipper::start(&redis.settings(), role, 16 << 20, joining).expect("the recorder is there")
}

/// Waits until it is so; the longest wait is far beyond any that is usual.
pub(in crate::telemetry) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = Clock::start();
    while !is_so() {
        assert!(clock.now().0 < 60_000_000_000, "{what} does not come about");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// The run's events over all segments, each of which must verify, checked as one stream.
fn events_of(folder: &Folder) -> Vec<StageEvent> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder.0)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|it| it == "reel"))
        .collect();
    paths.sort();
    let mut all = Vec::new();
    for path in &paths {
        let mut reader = ReelReader::open(path).expect("a reel");
        let mut events = Vec::new();
        for index in 0..reader.event_blocks().len() {
            assert!(reader.read_events(index, &mut events).expect("sound"));
            all.extend_from_slice(&events);
        }
        let verified = verify(&reader).expect("readable");
        let is_torn = !reader.is_complete();
        let problems = &verified.problems;
        assert!(is_torn || problems.is_empty(), "{problems:?}");
    }
    let mut check = StreamCheck::new(&topology());
    for (event, seq) in all.iter().zip(0..) {
        assert_eq!(event.seq, seq, "dense over all segments");
        check.apply(event).expect("no contradiction");
    }
    check.check_levels().expect("levels add up");
    all
}

fn count(events: &[StageEvent], kind: EventKind) -> usize {
    events.iter().filter(|event| event.kind == kind).count()
}

fn ended(recorder: Recorder) -> RecordingEnd {
    let end = recorder.finish().expect("the disk takes it");
    assert_eq!(end.counts.emitted, end.counts.written + end.counts.dropped);
    end
}

/// One login through three processes, each told what the one before did.
fn login_across(balancer: &Telemetry, server: &Telemetry, worker: &Telemetry) {
    let (part, at) = login_up_to_jobs(balancer, server);
    worker.observe(at);
    work_off(
        worker,
        part,
        Place::InApp,
        Place::InAppWorker,
        Place::Websocket,
        1,
    );
    work_off(worker, part, Place::Mail, Place::MailWorker, Place::Smtp, 2);
}

fn login_up_to_jobs(balancer: &Telemetry, server: &Telemetry) -> (Part, Stamp) {
    let part = balancer.begin_request(Class::Login, 7);
    let visit = balancer.enter(part, Place::Clients, Place::Balancer);
    visit.picked(Place::Server2, 1, "round-robin");
    server.observe(balancer.stamp());
    let visit = server.enter(part, Place::Balancer, Place::Server2);
    visit.call(Place::Database).end(Outcome::Ok);
    visit.end(Outcome::Ok);
    let parts = server.split(part, 2);
    let _in_app = server.in_app_queued(parts[0], Place::Server2, 1);
    let _mail = server.email_queued(parts[1], Place::Server2, 1, 900);
    (part, server.stamp())
}

fn work_off(worker: &Telemetry, main: Part, queue: Place, at: Place, calls: Place, copy: u16) {
    let run = worker.pick_up(main.copy(copy).with_attempt(1), queue, at);
    let call = run.call(calls);
    if calls == Place::Smtp {
        call.email_sent(250);
    } else {
        call.in_app_delivered(1);
    }
    run.job_completed();
}

#[test]
fn what_many_processes_ship_is_one_run_in_causal_order() {
    let Some(redis) = Redis::start("many") else {
        return;
    };
    let folder = Folder::new("transport-many");
    let recorder = start_recorder(&redis, &folder);
    let balancer = ship(&redis, "balancer");
    // Clocks differ by seconds.
    let server = ship_ahead(&redis, "server", 4_000_000_000);
    let worker = ship_ahead(&redis, "mail-worker", 1_500_000_000);
    let (from, via, to) = (balancer.telemetry(), server.telemetry(), worker.telemetry());
    assert_eq!(from.run_id(), recorder.telemetry().run_id());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..100 {
                    login_across(&from, &via, &to);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..50 {
                play_login(&to);
            }
        });
    });
    let mut emitted = 0;
    for shipper in [balancer, server, worker] {
        let end = shipper.finish();
        assert!(end.is_sent && end.dropped == 0, "{end:?}");
        emitted += end.emitted;
    }
    let end = ended(recorder);
    // The recorder adds the end of each request.
    assert_eq!(end.counts.emitted, emitted + 350);
    assert_eq!((end.counts.dropped, end.counts.late), (0, 0));
    let events = events_of(&folder);
    assert_eq!(count(&events, EventKind::RequestFinished), 350);
    let finished = events
        .iter()
        .filter(|it| it.kind == EventKind::RequestFinished);
    assert!(
        finished
            .clone()
            .all(|it| it.outcome == Outcome::Ok && it.value == 2)
    );
    let mut ids: Vec<u64> = finished.map(|event| event.request.0).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 350, "no id twice");
    let path = end.path.expect("recorded");
    assert!(ReelReader::open(&path).expect("a reel").is_complete());
}

#[test]
fn what_a_killed_process_left_open_is_closed_and_others_redo_its_jobs() {
    let Some(redis) = Redis::start("killed") else {
        return;
    };
    let folder = Folder::new("transport-killed");
    let recorder = start_recorder(&redis, &folder);
    let balancer = ship(&redis, "balancer");
    let server = ship(&redis, "server");
    let dying = ship(&redis, "mail-worker");
    let other = ship(&redis, "mail-worker");
    let (from, via, to) = (balancer.telemetry(), server.telemetry(), dying.telemetry());
    login_across(&from, &via, &to);
    let (part, _at) = login_up_to_jobs(&from, &via);
    work_off(
        &to,
        part,
        Place::InApp,
        Place::InAppWorker,
        Place::Websocket,
        1,
    );
    let mail = part.copy(2).with_attempt(1);
    let run = to.pick_up(mail, Place::Mail, Place::MailWorker);
    let call = run.call(Place::Smtp);
    to.connection_opened(1);
    let own = recorder.telemetry();
    until("the run of the job", || {
        let shown = own.status();
        let smtp = shown.components.iter().find(|it| it.id == "smtp");
        smtp.is_some_and(|it| it.in_service == 1) && shown.websocket.total_connections == 1
    });
    dying.cut_off();
    call.cut_off();
    run.cut_off();
    until("the job's return to its queue", || {
        let shown = own.status();
        let mail = shown.queues.iter().find(|it| it.name == "mail");
        mail.is_some_and(|it| it.waiting == 1) && shown.websocket.total_connections == 0
    });
    work_off(
        &other.telemetry(),
        part,
        Place::Mail,
        Place::MailWorker,
        Place::Smtp,
        2,
    );
    // A server dies in the middle of a request: that one has failed.
    let broken = from.begin_request(Class::Signup, 1);
    from.enter(broken, Place::Clients, Place::Balancer)
        .picked(Place::Server2, 1, "sticky");
    via.observe(from.stamp());
    let visit = via.enter(broken, Place::Balancer, Place::Server2);
    until("the server's work", || {
        own.status().servers[1].active_connections == 1
    });
    server.cut_off();
    visit.cut_off();
    until("the end of the server's request", || {
        own.status().requests.failed == 1
    });
    assert!(balancer.finish().is_sent && other.finish().is_sent);
    let end = ended(recorder);
    assert_eq!(end.counts.dropped, 0);
    let events = events_of(&folder);
    assert_eq!(count(&events, EventKind::RequestFinished), 3);
    let told = events.iter().filter(|it| it.kind == EventKind::Gap).count();
    assert_eq!(told, 2, "each death is told");
}

#[test]
fn a_redis_that_is_away_for_a_while_costs_nothing() {
    let Some(mut redis) = Redis::start("away") else {
        return;
    };
    let folder = Folder::new("transport-away");
    let recorder = start_recorder(&redis, &folder);
    let balancer = ship(&redis, "balancer");
    let server = ship(&redis, "server");
    let (from, via) = (balancer.telemetry(), server.telemetry());
    for _ in 0..20 {
        login_across(&from, &via, &via);
    }
    let own = recorder.telemetry();
    until("the first logins", || own.status().requests.completed >= 10);
    redis.kill();
    for _ in 0..200 {
        login_across(&from, &via, &via);
    }
    redis.start_again();
    until("all logins", || own.status().requests.completed == 220);
    assert!(balancer.finish().is_sent && server.finish().is_sent);
    let end = ended(recorder);
    assert_eq!(end.counts.dropped, 0);
    assert_eq!(count(&events_of(&folder), EventKind::RequestFinished), 220);
}

#[test]
fn past_the_bound_stages_are_lost_with_a_count_and_a_gap() {
    let Some(mut redis) = Redis::start("bound") else {
        return;
    };
    let folder = Folder::new("transport-bound");
    let recorder = start_recorder(&redis, &folder);
    let shipper = Shipper::start(&redis.settings(), "balancer", 64 << 10, Clock::joining)
        .expect("the recorder is there");
    let telemetry = shipper.telemetry();
    redis.kill();
    let mut emitted = 0;
    while shipper.dropped() == 0 {
        for _ in 0..100 {
            telemetry.worker_idle(Place::MailWorker);
            emitted += 1;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    redis.start_again();
    let shipped = shipper.finish();
    assert!(shipped.is_sent && shipped.dropped > 0, "{shipped:?}");
    let end = ended(recorder);
    assert_eq!(end.counts.dropped, shipped.dropped);
    let events = events_of(&folder);
    let gaps: Vec<u64> = events
        .iter()
        .filter(|it| it.kind == EventKind::Gap)
        .map(|it| it.value)
        .collect();
    assert_eq!(gaps.iter().sum::<u64>(), shipped.dropped);
    assert_eq!(
        events.len() as u64 - gaps.len() as u64,
        emitted - shipped.dropped
    );
}

#[test]
fn a_recorder_that_is_killed_or_stopped_goes_on_without_loss_or_repetition() {
    let Some(redis) = Redis::start("restart") else {
        return;
    };
    let folder = Folder::new("transport-restart");
    let first = start_recorder(&redis, &folder);
    let run_id = first.telemetry().run_id();
    let mut recorder = Some(first);
    let balancer = ship(&redis, "balancer");
    let server = ship(&redis, "server");
    let (from, via) = (balancer.telemetry(), server.telemetry());
    let mut done = 0;
    for round in 0..4 {
        // Some requests are open over the restart.
        let open: Vec<_> = (0..5).map(|_| login_up_to_jobs(&from, &via)).collect();
        let former = recorder.take().expect("one runs");
        let own = former.telemetry();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let played = std::thread::scope(|scope| {
            let playing = scope.spawn(|| {
                let mut played = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    login_across(&from, &via, &via);
                    played += 1;
                    std::thread::park_timeout(Duration::from_millis(1));
                }
                played
            });
            let before = own.status().requests.completed;
            until("some logins", || {
                own.status().requests.completed > before + 20
            });
            if round % 2 == 0 {
                former.cut_off();
            } else {
                assert_eq!(ended(former).counts.dropped, 0);
            }
            recorder = Some(start_recorder(&redis, &folder));
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            playing.join().expect("no panic")
        });
        for (part, _at) in &open {
            work_off(
                &via,
                *part,
                Place::InApp,
                Place::InAppWorker,
                Place::Websocket,
                1,
            );
            work_off(&via, *part, Place::Mail, Place::MailWorker, Place::Smtp, 2);
        }
        done += played + 5;
        let own = recorder.as_ref().expect("one runs").telemetry();
        assert_eq!(own.run_id(), run_id);
        until("all logins so far", || {
            own.status().requests.completed == done
        });
    }
    assert!(balancer.finish().is_sent && server.finish().is_sent);
    let last = recorder.take().expect("one runs");
    assert_eq!(ended(last).counts.dropped, 0);
    let events = events_of(&folder);
    assert_eq!(count(&events, EventKind::RequestFinished) as u64, done);
    assert_eq!(count(&events, EventKind::Gap), 0);
}

#[test]
fn without_a_recorder_or_a_redis_nobody_takes_part() {
    let Some(redis) = Redis::start("nobody") else {
        return;
    };
    let settings = TransportSettings {
        wait: Duration::from_millis(300),
        ..redis.settings()
    };
    let why = Telemetry::start_shipping(&settings, "balancer").expect_err("no run");
    assert!(why.to_string().contains("flowreel-live recorder"), "{why}");
    let nowhere = TransportSettings {
        url: "redis://:secret@127.0.0.1:1".to_owned(),
        ..settings
    };
    let refused = Telemetry::start_shipping(&nowhere, "balancer").expect_err("no Redis");
    let text = refused.to_string();
    assert!(
        text.contains("127.0.0.1:1") && !text.contains("secret"),
        "{text}"
    );
}
