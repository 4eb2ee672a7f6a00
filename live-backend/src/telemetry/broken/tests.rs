//! Runs that are cut off in the middle.

use super::*;
use crate::telemetry::topology::{TopologySettings, live_topology};
use crate::telemetry::visit::AfterFailure;
use crate::telemetry::{Clock, Recorder, RecordingSettings, Telemetry};
use flowreel_engine::model::check::StreamCheck;

fn recorder() -> Recorder {
    let topology = live_topology(&TopologySettings::default());
    let settings = RecordingSettings::default();
    Recorder::start(Clock::start(), topology, &settings).expect("a thread can be had")
}

/// A login up to its two jobs, both in their queues.
fn queued(telemetry: &Telemetry) -> (Part, Part) {
    let part = telemetry.begin_request(Class::Login, 7);
    let server = telemetry.enter(part, Place::Clients, Place::Server1);
    server.end(Outcome::Ok);
    let parts = telemetry.split(part, 2);
    let mail = telemetry.email_queued(parts[0], Place::Server1, 1, 900);
    let in_app = telemetry.in_app_queued(parts[1], Place::Server1, 1);
    (mail, in_app)
}

fn survivor(part: Part, place: Place, delay_ns: Option<u64>) -> Survivor {
    Survivor {
        part,
        place,
        delay_ns,
        priority: 3,
    }
}

/// Cuts the run off after what `play` emits, and checks the whole with what mends it.
fn mended(
    play: impl FnOnce(&Telemetry) -> Vec<Survivor>,
    ended_parts: &HashMap<RequestId, EndedParts>,
) -> (StreamCheck, Mended) {
    let recorder = recorder();
    let telemetry = recorder.telemetry();
    let survivors = play(&telemetry);
    recorder.finish().expect("it runs");
    let state = telemetry.shared.folded.lock().fold.state().clone();
    assert_eq!(state.anomalies().total(), 0);
    let mended = mend(&state, &survivors, ended_parts, telemetry.now());
    let mut check = StreamCheck::going_on(state);
    for (seq, (event, _)) in (check.state().event_count()..).zip(&mended.events) {
        let event = StageEvent { seq, ..*event };
        check.apply(&event).expect("it fits what was before");
    }
    check.check_levels().expect("what is open is counted");
    (check, mended)
}

#[test]
fn requests_in_handling_end_as_failed_and_the_world_is_closed() {
    let (check, mended) = mended(
        |telemetry| {
            let part = telemetry.begin_request(Class::Login, 7);
            let server = telemetry.enter(part, Place::Clients, Place::Server1);
            let call = server.call(Place::Database);
            call.cut_off();
            server.cut_off();
            let other = telemetry.begin_request(Class::Signup, 0);
            telemetry
                .enter(other, Place::Clients, Place::Balancer)
                .cut_off();
            telemetry.connection_opened(1);
            telemetry.connection_opened(2);
            telemetry.connection_authenticated(7);
            telemetry.fault_began(Place::Smtp, "down", 0);
            telemetry.health_changed(Place::Server3, false);
            Vec::new()
        },
        &HashMap::new(),
    );
    let state = check.state();
    assert!(mended.going_on.is_empty() && mended.split.is_empty());
    assert_eq!(state.requests().in_flight, 0);
    assert_eq!(state.requests().failed, 2);
    assert!(state.visits().is_empty());
    assert_eq!(
        (state.system().connections, state.system().authenticated),
        (0, 0)
    );
    assert!(
        state
            .components()
            .iter()
            .all(|it| it.faults == 0 && it.healthy)
    );
    assert_eq!(mended.events[0].0.kind, EventKind::Gap);
}

#[test]
fn a_job_in_service_goes_back_to_its_queue_and_one_that_waits_stays() {
    let (check, mended) = mended(
        |telemetry| {
            let (mail, in_app) = queued(telemetry);
            let run = telemetry.pick_up(mail, Place::Mail, Place::MailWorker);
            let call = run.call(Place::Smtp);
            call.cut_off();
            run.cut_off();
            vec![
                survivor(mail, Place::Mail, None),
                survivor(in_app, Place::InApp, None),
            ]
        },
        &HashMap::new(),
    );
    let state = check.state();
    assert_eq!(state.requests().in_flight, 1);
    let places: Vec<_> = state
        .visits()
        .iter()
        .map(|(key, visit)| (Place::ALL[key.component.index()], visit.attempt))
        .collect();
    assert_eq!(places, [(Place::Mail, 1), (Place::InApp, 1)]);
    assert_eq!(mended.going_on.len(), 2);
    let split = mended.split[0];
    assert_eq!(
        (split.part_count, split.open_count, split.is_failed),
        (2, 2, false)
    );
    let kinds: Vec<_> = mended.events.iter().map(|(event, _)| event.kind).collect();
    assert_eq!(
        kinds,
        [
            EventKind::Gap,
            EventKind::ServiceEnded,
            EventKind::ServiceEnded,
            EventKind::Forwarded,
            EventKind::JobAdded
        ]
    );
}

#[test]
fn the_store_knows_best_where_a_job_is() {
    let (check, mended) = mended(
        |telemetry| {
            let (mail, in_app) = queued(telemetry);
            let run = telemetry.pick_up(mail, Place::Mail, Place::MailWorker);
            let next = AfterFailure::Retry {
                via: Place::Retry1,
                delay_ns: 5,
            };
            run.job_failed(451, "try again", next);
            // The other one was done, which the recording does not know any more.
            let _done = in_app;
            let run_2 = mail.with_attempt(2);
            vec![survivor(run_2, Place::Retry2, Some(77))]
        },
        &HashMap::new(),
    );
    let state = check.state();
    let visits = state.visits();
    assert_eq!(visits.len(), 1);
    assert_eq!(visits[0].0.component, Place::Retry2.component());
    assert!(visits[0].1.started.is_some());
    assert_eq!(state.requests().in_flight, 1);
    let split = mended.split[0];
    assert_eq!(
        (split.part_count, split.open_count, split.is_failed),
        (2, 1, true)
    );
}

#[test]
fn parts_that_ended_before_count_and_dead_letters_rest() {
    let mut ended = HashMap::new();
    let (check, mended) = mended(
        |telemetry| {
            let (mail, in_app) = queued(telemetry);
            let run = telemetry.pick_up(mail, Place::Mail, Place::MailWorker);
            run.job_failed(550, "no such user", AfterFailure::DeadLetter);
            vec![survivor(in_app, Place::InApp, None)]
        },
        {
            let failed = EndedParts {
                count: 1,
                is_failed: true,
            };
            ended.insert(RequestId(1), failed);
            &ended
        },
    );
    let places: Vec<_> = check
        .state()
        .visits()
        .iter()
        .map(|(key, _)| Place::ALL[key.component.index()])
        .collect();
    assert!(places.contains(&Place::Dlq) && places.contains(&Place::InApp));
    assert_eq!(mended.split[0].part_count, 2);
    assert!(mended.split[0].is_failed);
    assert_eq!(mended.events.len(), 1, "only the mark: {:?}", mended.events);
}

#[test]
fn a_job_of_a_request_that_is_over_is_no_survivor() {
    let (check, mended) = mended(
        |telemetry| {
            let part = telemetry.begin_request(Class::Signup, 7);
            telemetry.end_request(part, Place::Server1, Outcome::Ok);
            vec![survivor(part.with_attempt(1), Place::Mail, None)]
        },
        &HashMap::new(),
    );
    assert!(mended.going_on.is_empty());
    assert_eq!(check.state().requests().in_flight, 0);
}
