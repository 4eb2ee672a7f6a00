//! How a request stands, in the list and by itself.

use super::*;
use crate::telemetry::recorder::tests::{play_login, topology};
use crate::telemetry::transport::tests::until;
use crate::telemetry::visit::AfterFailure;
use crate::telemetry::{Class, Part, Recorder, RecordingSettings};
use flowreel_engine::model::event::Outcome;
use flowreel_engine::model::id::RequestId;

fn recorder() -> Recorder {
    Recorder::start(Clock::start(), topology(), &RecordingSettings::default()).expect("a thread")
}

/// Status and duration of a request, which the list and the report agree about.
fn shown(telemetry: &Telemetry, request: RequestId) -> Option<(StageStatus, f64)> {
    let all = Wanted {
        status: None,
        kind: None,
        id_prefix: None,
        sort: Sort::StartTime,
        is_descending: false,
        limit: 100,
    };
    let id = request.0.to_string();
    let (listed, _) = telemetry.list_requests(&all);
    let listed = listed.into_iter().find(|it| it.request_id == id)?;
    let report = telemetry.request_report(request)?.request;
    assert_eq!(listed.status, report.status);
    if report.status != StageStatus::Pending && report.status != StageStatus::Processing {
        assert!((listed.total_duration - report.total_duration).abs() < 1e-9);
    }
    Some((report.status, report.total_duration))
}

fn stands(telemetry: &Telemetry, request: RequestId, status: StageStatus) -> bool {
    shown(telemetry, request).is_some_and(|(it, _)| it == status)
}

fn count(telemetry: &Telemetry, request: RequestId) -> usize {
    telemetry.request_events(request).map_or(0, |it| it.len())
}

/// A mail that fails for good.
fn dead_letter(telemetry: &Telemetry) -> Part {
    let part = telemetry.begin_request(Class::Signup, 1);
    telemetry
        .enter(part, Place::Clients, Place::Server1)
        .end(Outcome::Ok);
    let mail = telemetry.email_queued(part, Place::Server1, 1, 900);
    telemetry
        .pick_up(mail, Place::Mail, Place::MailWorker)
        .job_failed(550, "no such box", AfterFailure::DeadLetter);
    until("the end", || {
        stands(telemetry, part.request, StageStatus::Failed)
    });
    mail
}

#[test]
fn a_request_that_is_confirmed_after_its_end_is_over_and_its_duration_stands() {
    let recorder = recorder();
    let telemetry = recorder.telemetry();
    let request = play_login(&telemetry);
    until("the confirmation", || {
        let events = telemetry.request_events(request).unwrap_or_default();
        let last = events.last().map(|entry| entry.event.kind);
        last == Some(EventKind::InAppAcknowledged)
    });
    let events = telemetry.request_events(request).expect("it is recent");
    let end = events
        .iter()
        .find(|entry| entry.event.kind == EventKind::RequestFinished)
        .expect("it is over");
    let took_ms = ms(end.event.t_ns.since_ns(events[0].event.t_ns));
    let found = shown(&telemetry, request).expect("it is recent");
    assert_eq!(found, (StageStatus::Completed, took_ms));
    recorder.finish().expect("it runs");
}

#[test]
fn a_dead_letter_that_is_thrown_away_has_ended_when_it_failed() {
    let recorder = recorder();
    let telemetry = recorder.telemetry();
    let part = dead_letter(&telemetry);
    let before = shown(&telemetry, part.request);
    let told = count(&telemetry, part.request);
    telemetry.dead_letter_discarded(part);
    until("the discarding", || {
        count(&telemetry, part.request) == told + 1
    });
    assert_eq!(shown(&telemetry, part.request), before);
    recorder.finish().expect("it runs");
}

#[test]
fn a_dead_letter_that_is_sent_again_is_open_until_it_arrives() {
    let recorder = recorder();
    let telemetry = recorder.telemetry();
    let part = dead_letter(&telemetry);
    let (_, failed_ms) = shown(&telemetry, part.request).expect("it is recent");
    let again = telemetry.job_requeued(part, Place::Mail, 1);
    until("its new run", || {
        stands(&telemetry, part.request, StageStatus::Pending)
    });
    let (_, open_ms) = shown(&telemetry, part.request).expect("it is recent");
    assert!(open_ms > failed_ms, "{open_ms} after {failed_ms}");
    let run = telemetry.pick_up(again, Place::Mail, Place::MailWorker);
    until("its service", || {
        stands(&telemetry, part.request, StageStatus::Processing)
    });
    run.call(Place::Smtp).email_sent(250);
    run.job_completed();
    until("its end", || {
        stands(&telemetry, part.request, StageStatus::Completed)
    });
    recorder.finish().expect("it runs");
}
