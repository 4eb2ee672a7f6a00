//! What is told of whole requests, from the recorder's threads to the batch.

use crate::telemetry::live::Pump;
use crate::telemetry::recorder::tests::topology;
use crate::telemetry::topology::{Class, Place};
use crate::telemetry::visit::AfterFailure;
use crate::telemetry::{Clock, Detail, Part, Recorder, RecordingSettings, Telemetry};
use flowreel_engine::model::event::{EventKind, Outcome};
use flowreel_engine::model::id::RequestId;
use serde_json::Value;
use std::collections::BTreeSet;

/// Plays something and gives what a listener is told: names and data.
fn told<T>(play: impl FnOnce(&Telemetry) -> T) -> (T, Vec<(&'static str, Value)>, Telemetry) {
    let settings = RecordingSettings::default();
    let recorder = Recorder::start(Clock::start(), topology(), &settings).expect("a thread");
    let telemetry = recorder.telemetry();
    let mut batches = telemetry.listen();
    let played = play(&telemetry);
    recorder.finish().expect("it runs");
    Pump::new(telemetry.clone()).flush([]);
    let Ok(batch) = batches.try_recv() else {
        return (played, Vec::new(), telemetry);
    };
    for (event, next) in batch.events.iter().zip(batch.events.iter().skip(1)) {
        assert_eq!(event.seq + 1, next.seq);
    }
    let pair = |event: &crate::telemetry::live::LiveEvent| {
        let data = serde_json::to_value(event).expect("plain data");
        (event.payload.name().name(), data)
    };
    let events = batch.events.iter().map(pair).collect();
    (played, events, telemetry)
}

fn of<'a>(events: &'a [(&'static str, Value)], name: &str) -> Vec<&'a Value> {
    let named = events.iter().filter(|(found, _)| *found == name);
    named.map(|(_, data)| data).collect()
}

fn serve(telemetry: &Telemetry, class: Class) -> Part {
    let part = telemetry.begin_request(class, 7);
    let balancer = telemetry.enter(part, Place::Clients, Place::Balancer);
    balancer.picked(Place::Server2, 1, "round-robin");
    telemetry
        .enter(part, Place::Balancer, Place::Server2)
        .end(Outcome::Ok);
    part
}

fn run_mail(telemetry: &Telemetry, mail: Part, next: Option<AfterFailure>) {
    telemetry.worker_busy(Place::MailWorker, 1);
    let run = telemetry.pick_up(mail, Place::Mail, Place::MailWorker);
    let call = run.call(Place::Smtp);
    match next {
        Some(next) => {
            call.email_bounced(451, "try again later");
            run.job_failed(451, "try again later", next);
        }
        None => {
            let told = Detail::default()
                .id("notification", "n1")
                .address("recipient", "ada@people.example")
                .id("message_id", "<n1@flowreel.local>")
                .text("reply", "250 taken");
            call.email_sent_as(250, told);
            run.job_completed();
        }
    }
    telemetry.worker_idle(Place::MailWorker);
}

/// A login told both ways, its mail on the second run.
fn play_login(telemetry: &Telemetry) -> RequestId {
    let part = serve(telemetry, Class::Login);
    let parts = telemetry.split(part, 2);
    let mail = telemetry.email_queued(parts[0], Place::Server2, 1, 900);
    let in_app = telemetry.in_app_queued(parts[1], Place::Server2, 1);
    let run = telemetry.pick_up(in_app, Place::InApp, Place::InAppWorker);
    run.call(Place::Websocket).in_app_delivered(1);
    let confirmed = Detail::default()
        .id("notification", "n2")
        .number("user", 7)
        .id("socket", "s1");
    telemetry.in_app_confirmed(in_app, 1000, confirmed);
    run.job_completed();
    let via = Place::Retry1;
    let delay_ns = 300_000_000_000;
    run_mail(telemetry, mail, Some(AfterFailure::Retry { via, delay_ns }));
    let mail = telemetry.retry_due(mail, Place::Retry1, Place::Mail, 1);
    run_mail(telemetry, mail, None);
    part.request
}

#[test]
fn a_login_is_told_event_by_event_with_one_completion_after_the_last_delivery() {
    let (request, events, telemetry) = told(play_login);
    let recorded = telemetry.request_events(request).expect("it is recent");
    assert_eq!(of(&events, "request:progress").len(), recorded.len());
    let names: Vec<&str> = events.iter().map(|(name, _)| *name).collect();
    let others: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| *name != "request:progress")
        .collect();
    let expected = "request:new queue:job:added queue:job:added
        queue:job:processing worker:processing notification:inapp:delivered queue:job:completed
        queue:job:processing worker:processing queue:job:failed queue:job:retry queue:job:added worker:idle
        queue:job:added queue:job:processing worker:processing notification:email:sent
        queue:job:completed request:complete worker:idle";
    assert_eq!(others, expected.split_whitespace().collect::<Vec<_>>());
    let complete = of(&events, "request:complete")[0];
    assert_eq!(complete["type"], "login");
    assert_eq!(complete["channels"], serde_json::json!(["email", "in-app"]));
    assert_eq!(complete["requestId"], request.0.to_string());
    let retry = of(&events, "queue:job:retry")[0];
    assert_eq!(retry["delay"], 300_000.0);
    assert_eq!(
        (&retry["fromQueue"], &retry["toQueue"]),
        (&"mail".into(), &"retry-1".into())
    );
    let runs: Vec<u64> = of(&events, "queue:job:processing")
        .iter()
        .filter(|data| data["queue"] == "mail")
        .filter_map(|data| data["attempt"].as_u64())
        .collect();
    assert_eq!(runs, [1, 2]);
    let sent = of(&events, "notification:email:sent")[0];
    assert_eq!(sent["recipient"], "a***@people.example");
    assert_eq!(sent["messageId"], "<n1@flowreel.local>");
    let jobs: BTreeSet<&str> = of(&events, "queue:job:added")
        .iter()
        .filter_map(|data| data["jobId"].as_str())
        .collect();
    assert_eq!(
        jobs.len(),
        2,
        "a job keeps its id from run to run: {jobs:?}"
    );
}

#[test]
fn every_event_has_exactly_the_fields_of_its_row() {
    let (_, events, _) = told(play_login);
    let (_, failed, _) = told(|telemetry| {
        let visit = telemetry.enter(
            telemetry.begin_request(Class::Signup, 0),
            Place::Clients,
            Place::Server1,
        );
        visit.end_request(Outcome::Failed);
    });
    let all: Vec<_> = events.into_iter().chain(failed).collect();
    for (name, fields) in [
        ("request:new", "requestId type startTime metadata"),
        (
            "request:progress",
            "requestId stage component status startTime endTime duration attempt metadata event part",
        ),
        ("request:complete", "requestId type totalDuration channels"),
        ("request:failed", "requestId type stage error totalDuration"),
        (
            "queue:job:added",
            "queue jobId requestId attempt delay timestamp",
        ),
        (
            "queue:job:processing",
            "queue jobId requestId workerId attempt timestamp",
        ),
        (
            "queue:job:completed",
            "queue jobId requestId duration timestamp",
        ),
        (
            "queue:job:failed",
            "queue jobId requestId error attempt timestamp",
        ),
        (
            "queue:job:retry",
            "fromQueue toQueue jobId requestId attempt delay runAt",
        ),
        ("worker:processing", "workerId queue jobId"),
        ("worker:idle", "workerId queue idleSince"),
        (
            "notification:email:sent",
            "requestId notificationId recipient messageId smtpResponse timestamp",
        ),
        (
            "notification:inapp:delivered",
            "requestId notificationId userId socketId deliveredAt",
        ),
    ] {
        let told = of(&all, name);
        assert!(!told.is_empty(), "{name}");
        let mut expected: BTreeSet<&str> = fields.split(' ').collect();
        expected.insert("seq");
        for data in told {
            let map = data.as_object().expect("a map");
            let found: BTreeSet<&str> = map.keys().map(String::as_str).collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}

#[test]
fn progress_tells_how_long_a_closed_visit_took() {
    let (_, events, _) = told(play_login);
    for data in of(&events, "request:progress") {
        let is_closing =
            ["service-ended", "job-picked-up"].contains(&data["event"].as_str().unwrap());
        assert_eq!(data["endTime"].is_u64(), is_closing, "{data}");
        assert_eq!(data["duration"].is_f64(), is_closing, "{data}");
        if is_closing {
            let took = data["endTime"].as_u64().unwrap() - data["startTime"].as_u64().unwrap();
            assert!(
                (data["duration"].as_f64().unwrap() - took as f64).abs() <= 1.0,
                "{data}"
            );
        }
    }
    let picked = of(&events, "request:progress")
        .into_iter()
        .find(|data| data["event"] == "server-picked")
        .unwrap();
    assert_eq!(picked["metadata"]["reason"], "round-robin");
}

#[test]
fn a_request_fails_once_where_its_ladder_ends_and_completes_once_when_taken_up_again() {
    let (_, events, _) = told(|telemetry| {
        let part = serve(telemetry, Class::Signup);
        let mail = telemetry.email_queued(part, Place::Server2, 1, 900);
        run_mail(telemetry, mail, Some(AfterFailure::DeadLetter));
        let mail = telemetry.job_requeued(mail, Place::Mail, 1);
        run_mail(telemetry, mail, Some(AfterFailure::DeadLetter));
        let mail = telemetry.job_requeued(mail, Place::Mail, 1);
        run_mail(telemetry, mail, None);
    });
    let failed = of(&events, "request:failed");
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0]["stage"], "mail_worker");
    assert_eq!(failed[0]["error"], "try again later");
    assert_eq!(of(&events, "request:complete").len(), 1);
}

#[test]
fn one_expired_channel_fails_a_request_whose_other_one_is_delivered() {
    let (_, events, _) = told(|telemetry| {
        let part = serve(telemetry, Class::Purchase);
        let parts = telemetry.split(part, 2);
        let mail = telemetry.email_queued(parts[0], Place::Server2, 1, 900);
        let in_app = telemetry.in_app_queued(parts[1], Place::Server2, 1);
        telemetry.job_expired(in_app, Place::InApp, 5);
        run_mail(telemetry, mail, None);
    });
    assert!(of(&events, "request:complete").is_empty());
    let failed = of(&events, "request:failed");
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (&failed[0]["stage"], &failed[0]["error"]),
        (&"inapp_queue".into(), &"expired".into())
    );
}

#[test]
fn a_simulated_request_says_so() {
    let (_, events, telemetry) = told(|telemetry| {
        let part = Part::main(telemetry.next_request_id(), Class::Login);
        telemetry.begin_simulated(part);
        telemetry
            .enter(part, Place::Clients, Place::Server1)
            .end_request(Outcome::Ok);
    });
    assert_eq!(of(&events, "request:new")[0]["metadata"]["simulated"], true);
    let report = telemetry.request_report(RequestId(1)).unwrap();
    let report = serde_json::to_value(report).unwrap();
    assert_eq!(report["request"]["metadata"]["simulated"], true);
}

#[test]
fn what_nobody_began_tells_nothing() {
    let (_, events, telemetry) = told(|telemetry| {
        let stray = Part::main(RequestId(999), Class::Login);
        telemetry
            .enter(stray, Place::Clients, Place::Server1)
            .end(Outcome::Ok);
        telemetry.end_request(stray, Place::Server1, Outcome::Failed);
    });
    assert!(events.is_empty(), "{events:?}");
    assert!(telemetry.request_events(RequestId(999)).is_none());
}

#[test]
fn a_new_service_knows_no_request_and_nobody_listens() {
    let settings = RecordingSettings::default();
    let recorder = Recorder::start(Clock::start(), topology(), &settings).expect("a thread");
    let telemetry = recorder.telemetry();
    assert_eq!(telemetry.listener_count(), 0);
    assert_eq!(telemetry.shared.folded.lock().journal.len(), 0);
    let part = telemetry.begin_request(Class::Login, 1);
    recorder.finish().expect("it runs");
    assert_eq!(telemetry.shared.folded.lock().journal.len(), 1);
    let entries = telemetry.request_events(part.request).unwrap();
    assert_eq!(entries[0].event.kind, EventKind::RequestBegun);
    // With nobody there, telling does nothing; the fold went on.
    Pump::new(telemetry.clone()).flush([]);
    assert_eq!(telemetry.last_seq(), 0);
}
