//! The recorder on real threads.

use super::*;
use crate::telemetry::topology::{Class, Place, TopologySettings, live_topology};
use crate::telemetry::visit::AfterFailure;
use flowreel_engine::model::event::{EventKind, Outcome};

fn recorder() -> Recorder {
    let topology = live_topology(&TopologySettings {
        balancer_port: 8000,
        server_ports: [5001, 5002, 5003],
        websocket_port: 8000,
        mail_worker_servers: 5,
        mail_rate_per_s: 5.0,
        in_app_worker_servers: 10,
        in_app_rate_per_s: 10.0,
    });
    Recorder::start(Clock::start(), topology).expect("a thread can be had")
}

fn play_login(telemetry: &Telemetry) -> RequestId {
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
    let recorder = recorder();
    let telemetry = recorder.telemetry();
    let request = play_login(&telemetry);
    let counts = recorder.finish().expect("it runs");
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
    let recorder = recorder();
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
    let counts = recorder.finish().expect("it runs");
    assert_eq!(counts.emitted, counts.written + counts.dropped);
    assert_eq!(counts.dropped, 0);
    let folded = telemetry.shared.folded.lock();
    assert_eq!(folded.state.anomalies().total(), 0);
    assert_eq!(folded.state.requests().completed, 400);
    assert_eq!(folded.state.requests().in_flight, 0);
}

#[test]
fn a_visit_that_is_dropped_closes_and_ends_its_request() {
    let recorder = recorder();
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
    assert_eq!(folded.state.anomalies().total(), 0);
    assert_eq!(folded.state.visits().len(), 0);
}
