//! The recorder on real threads.

use super::*;
use crate::telemetry::journal::JournalEntry;
use crate::telemetry::live::StageStatus;
use crate::telemetry::request::RequestReport;
use crate::telemetry::topology::{Class, Place, TopologySettings, live_topology};
use crate::telemetry::visit::AfterFailure;
use flowreel_engine::model::event::{EventKind, Outcome};
use flowreel_engine::model::id::RequestId;
use flowreel_engine::recording::{ReelReader, StreamDecoder, StreamItem};
use serde_json::Value;

pub(in crate::telemetry) fn topology() -> Topology {
    live_topology(&TopologySettings::default())
}

fn recorder(settings: &RecordingSettings) -> Recorder {
    Recorder::start(Clock::start(), topology(), settings).expect("a thread can be had")
}

/// What is told of a request once the recorder is at its end.
pub(in crate::telemetry) fn report_of(play: impl FnOnce(&Telemetry) -> RequestId) -> RequestReport {
    let recorder = recorder(&RecordingSettings::default());
    let telemetry = recorder.telemetry();
    let request = play(&telemetry);
    recorder.finish().expect("it runs");
    telemetry.request_report(request).expect("it is recent")
}

pub(in crate::telemetry) fn play_login(telemetry: &Telemetry) -> RequestId {
    let part = telemetry.begin_request(Class::Login, 7);
    let balancer = telemetry.enter(part, Place::Clients, Place::Balancer);
    balancer.picked(Place::Server2, 1, "round-robin");
    let server = telemetry.enter(part, Place::Balancer, Place::Server2);
    let database = server.call(Place::Database);
    database.end(Outcome::Ok);
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
    assert_eq!(mail.attempt, 2);
    let run = telemetry.pick_up(mail, Place::Mail, Place::MailWorker);
    run.call(Place::Smtp).email_sent(250);
    run.job_completed();
    telemetry.in_app_acknowledged(in_app, 1000);
    part.request
}

#[test]
fn one_login_is_the_sequence_that_the_vocabulary_binds() {
    let recorder = recorder(&RecordingSettings::default());
    let telemetry = recorder.telemetry();
    let request = play_login(&telemetry);
    let counts = recorder.finish().expect("it runs").counts;
    let entries = telemetry.request_events(request).expect("it is recent");
    let seen: Vec<String> = entries
        .iter()
        .map(|JournalEntry { event, .. }| {
            let at = Place::ALL[event.component.index()].name();
            let peer = Place::ALL.get(event.peer.index()).map_or("-", |p| p.name());
            let (kind, part) = (event.kind.name(), event.part.0);
            format!("{kind} {at} {peer} {part}/{}", event.attempt)
        })
        .collect();
    let bound = "request-begun clients - 0/0
forwarded clients balancer 0/0|arrived balancer clients 0/0|service-started balancer - 0/0
service-ended balancer - 0/0|server-picked balancer server-2 0/0
forwarded balancer server-2 0/0|arrived server-2 balancer 0/0|service-started server-2 - 0/0
forwarded server-2 database 0/0|arrived database server-2 0/0|service-started database - 0/0
service-ended database - 0/0|service-ended server-2 - 0/0
forwarded server-2 mail 1/1|job-added mail server-2 1/1|email-queued mail - 1/1
forwarded server-2 in-app 2/1|job-added in-app server-2 2/1|in-app-queued in-app - 2/1
job-picked-up in-app in-app-worker 2/1|arrived in-app-worker in-app 2/1|service-started in-app-worker - 2/1
forwarded in-app-worker websocket 2/1|arrived websocket in-app-worker 2/1|service-started websocket - 2/1
service-ended websocket - 2/1|in-app-delivered websocket - 2/1
service-ended in-app-worker - 2/1|job-completed in-app-worker - 2/1|part-finished in-app-worker - 2/1
job-picked-up mail mail-worker 1/1|arrived mail-worker mail 1/1|service-started mail-worker - 1/1
forwarded mail-worker smtp 1/1|arrived smtp mail-worker 1/1|service-started smtp - 1/1
service-ended smtp - 1/1|email-bounced smtp - 1/1
service-ended mail-worker - 1/1|job-failed mail-worker - 1/1|retry-scheduled mail-worker retry-1 1/1
forwarded mail-worker retry-1 1/1|job-delayed retry-1 mail-worker 1/1|service-ended retry-1 - 1/1
forwarded retry-1 mail 1/2|job-added mail retry-1 1/2
job-picked-up mail mail-worker 1/2|arrived mail-worker mail 1/2|service-started mail-worker - 1/2
forwarded mail-worker smtp 1/2|arrived smtp mail-worker 1/2|service-started smtp - 1/2
service-ended smtp - 1/2|email-sent smtp - 1/2
service-ended mail-worker - 1/2|job-completed mail-worker - 1/2|part-finished mail-worker - 1/2
request-finished mail-worker - 0/0
in-app-acknowledged websocket - 2/1";
    let bound: Vec<&str> = bound.split(['\n', '|']).collect();
    assert_eq!(seen, bound);
    assert_eq!(counts.emitted, counts.written);
    assert_eq!(counts.dropped, 0);
}

#[test]
fn what_many_threads_emit_is_all_there_in_order_and_without_contradiction() {
    let recorder = recorder(&RecordingSettings::default());
    let telemetry = recorder.telemetry();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    play_login(&telemetry);
                }
            });
        }
    });
    let counts = recorder.finish().expect("it runs").counts;
    assert_eq!(counts.emitted, counts.written + counts.dropped);
    assert_eq!(counts.dropped, 0);
    let folded = telemetry.shared.folded.lock();
    assert_eq!(folded.fold.state().anomalies().total(), 0);
    assert_eq!(folded.fold.state().requests().completed, 400);
    assert_eq!(folded.fold.state().requests().in_flight, 0);
}

#[test]
fn a_visit_that_is_dropped_closes_and_ends_its_request() {
    let recorder = recorder(&RecordingSettings::default());
    let telemetry = recorder.telemetry();
    let part = telemetry.begin_request(Class::Signup, 0);
    let server = telemetry.enter(part, Place::Balancer, Place::Server1);
    let database = server.call(Place::Database);
    drop(database);
    drop(server);
    recorder.finish().expect("it runs");
    let entries = telemetry.request_events(part.request).expect("recent");
    let last = entries.last().expect("not empty").event;
    assert_eq!(
        (last.kind, last.outcome),
        (EventKind::RequestFinished, Outcome::Cancelled)
    );
    let folded = telemetry.shared.folded.lock();
    assert_eq!(folded.fold.state().anomalies().total(), 0);
    assert_eq!(folded.fold.state().visits().len(), 0);
}

/// A folder of this test alone, removed at its end.
pub(in crate::telemetry) struct Folder(pub(in crate::telemetry) PathBuf);

impl Folder {
    pub(in crate::telemetry) fn new(name: &str) -> Self {
        let unique = format!("flowreel-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[tokio::test]
async fn a_follower_gets_the_very_bytes_of_the_reel_from_first_to_last() {
    let folder = Folder::new("follow");
    let settings = RecordingSettings {
        folder: Some(folder.0.clone()),
        ..RecordingSettings::default()
    };
    let recorder = recorder(&settings);
    let telemetry = recorder.telemetry();
    let mut follower = telemetry.follow().expect("a recording is on");
    play_login(&telemetry);
    let mut followed = Vec::new();
    let mut decoder = StreamDecoder::new().expect("memory");
    let mut event_count = 0;
    // The first login is seen while the run goes on.
    while event_count < 60 {
        let chunk = follower.next_chunk().await.expect("readable");
        let chunk = chunk.expect("the run goes on");
        decoder.feed(&chunk);
        followed.extend(chunk);
        while let Some(item) = decoder.next_item().expect("a sound reel") {
            if let StreamItem::Events(events) = item {
                event_count += events.len();
            }
        }
    }
    assert_eq!(telemetry.status().recording.followers, 1);
    play_login(&telemetry);
    let end = tokio::task::spawn_blocking(|| recorder.finish())
        .await
        .expect("no panic")
        .expect("the disk takes it");
    while let Some(chunk) = follower.next_chunk().await.expect("readable") {
        decoder.feed(&chunk);
        followed.extend(chunk);
    }
    let path = end.path.expect("a recording was on");
    assert_eq!(followed, std::fs::read(&path).expect("readable"));
    assert_eq!(followed.len() as u64, end.bytes);
    while let Some(item) = decoder.next_item().expect("a sound reel") {
        if let StreamItem::Events(events) = item {
            event_count += events.len();
        }
    }
    assert!(decoder.is_complete());
    assert_eq!(event_count as u64, end.counts.written);
    assert_eq!(end.counts.emitted, end.counts.written);
    drop(follower);
    assert_eq!(telemetry.status().recording.followers, 0);
}

#[test]
fn losses_are_counted_and_told_in_the_reel() {
    let folder = Folder::new("losses");
    let settings = RecordingSettings {
        folder: Some(folder.0.clone()),
        ..RecordingSettings::default()
    };
    let recorder = recorder(&settings);
    let telemetry = recorder.telemetry();
    // Held by a reader, the fold cannot be written: the window and then the ring fill up.
    let folded = telemetry.shared.folded.lock();
    for _ in 0..400_000 {
        telemetry.worker_idle(Place::MailWorker);
    }
    drop(folded);
    telemetry.worker_idle(Place::MailWorker);
    let end = recorder.finish().expect("the disk takes it");
    let counts = end.counts;
    assert!(counts.dropped > 0, "{counts:?}");
    assert_eq!(counts.emitted, counts.written + counts.dropped);
    let path = end.path.expect("a recording was on");
    let reel = ReelReader::open(&path).expect("a sound reel");
    let told: u64 = reel.gaps().iter().filter_map(|gap| gap.events).sum();
    assert_eq!(told, counts.dropped);
    let folded = telemetry.shared.folded.lock();
    assert_eq!(folded.fold.state().system().lost, counts.dropped);
    assert_eq!(folded.fold.state().event_count(), counts.written);
}

#[test]
fn a_folder_that_cannot_be_made_is_known_at_the_start() {
    let folder = Folder::new("no-folder");
    let file = folder.0.join("taken");
    std::fs::write(&file, b"a file").expect("writable");
    let settings = RecordingSettings {
        folder: Some(file.clone()),
        ..RecordingSettings::default()
    };
    let error = Recorder::start(Clock::start(), topology(), &settings).expect_err("a file");
    assert!(matches!(error, RecorderError::Create { .. }));
    assert!(error.to_string().contains("--record"), "{error}");
}

#[test]
fn status_and_journey_tell_what_was_emitted() {
    let recorder = recorder(&RecordingSettings::default());
    let telemetry = recorder.telemetry();
    let request = play_login(&telemetry);
    telemetry.connection_opened(1);
    telemetry.health_changed(Place::Server3, false);
    let end = recorder.finish().expect("it runs");
    let status = telemetry.status();
    assert_eq!(status.components.len(), Place::ALL.len());
    assert_eq!(status.requests.completed, 1);
    assert_eq!((status.email.sent, status.email.failed), (1, 1));
    assert_eq!(status.email.success_rate, Some(50.0));
    assert_eq!(status.websocket.total_connections, 1);
    assert_eq!(status.websocket.acknowledged, 1);
    assert_eq!(status.metrics.system_status, "degraded");
    assert_eq!(status.recording.counts, end.counts);
    let servers: Vec<_> = status.servers.iter().map(|s| s.requests_handled).collect();
    assert_eq!(servers, [0, 1, 0]);

    let report = telemetry.request_report(request).expect("recent");
    assert_eq!(report.request.kind, "login");
    assert_eq!(report.request.status, StageStatus::Completed);
    let stages: Vec<_> = report
        .request
        .stages
        .iter()
        .map(|stage| {
            let attempt = stage.metadata.get("attempt").and_then(Value::as_u64);
            (
                stage.stage.name(),
                attempt.unwrap_or(0),
                stage.status.name(),
            )
        })
        .collect();
    assert_eq!(
        stages,
        [
            ("load_balancer", 0, "completed"),
            ("server", 0, "completed"),
            ("database", 0, "completed"),
            ("mail_queue", 1, "completed"),
            ("inapp_queue", 1, "completed"),
            ("inapp_worker", 1, "completed"),
            ("client_delivery", 1, "completed"),
            ("mail_worker", 1, "failed"),
            ("email_service", 1, "failed"),
            ("retry_1", 1, "completed"),
            ("mail_queue", 2, "completed"),
            ("mail_worker", 2, "completed"),
            ("email_service", 2, "completed"),
        ]
    );
    let events = telemetry.request_events(request).expect("recent");
    assert_eq!(report.logs.len(), events.len());
    assert_eq!(report.request.stages[0].metadata["reason"], "round-robin");
    assert_eq!(report.request.stages[7].metadata["error"], "try again");
    assert_eq!(report.request.stages[7].metadata["tier"], "retry-1");
    let stage = serde_json::to_value(&report.request.stages[0]).expect("plain data");
    let keys: Vec<&String> = stage.as_object().expect("a map").keys().collect();
    assert_eq!(
        keys,
        [
            "component",
            "duration",
            "endTime",
            "metadata",
            "stage",
            "startTime",
            "status"
        ]
    );
    assert!(telemetry.request_report(RequestId(99)).is_none());
}
