//! Each failure once, recorded: what breaks, that the recording shows it, and that nothing is lost by it.
//!
//! Belongs here: one play for each reel of `recordings/` that shows a failure. Does not belong here: failures in
//! every variant (retries, relay, redis_outages, mongodb, roles_kills).
//!
//! `cargo xtask record-failures` plays them to make the reels that ship; `FLOWREEL_FAILURES` names their folder.

use crate::harness::{Backend, Folder, count, mails_in, notification, sound_reel, until};
use crate::queues::{control, job_ids, post, wait_for};
use crate::roles::{System, log_in, sign_up};
use crate::services::{Mongod, Redis};
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_live_backend::load::{Http, Socket};
use flowreel_live_backend::telemetry::Place;
use serde_json::{Value, json};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two things that people do.
const PAUSE: Duration = Duration::from_millis(200);
/// Bytes a shipped recording may have.
const BYTES_MAX: u64 = 200 * 1024;

/// The events of a whole recording, which is kept where somebody wants it.
fn recorded(name: &str, reel: &Path) -> Vec<StageEvent> {
    let events = sound_reel(reel);
    let bytes = std::fs::metadata(reel).expect("it is there").len();
    assert!(bytes <= BYTES_MAX, "{name} has {bytes} bytes");
    if let Some(folder) = kept_in() {
        let kept = folder.join(format!("{name}.reel"));
        std::fs::copy(reel, kept).expect("the folder can be written");
    }
    events
}

#[expect(
    clippy::disallowed_methods,
    reason = "where recordings are kept is told by the environment"
)]
fn kept_in() -> Option<PathBuf> {
    std::env::var_os("FLOWREEL_FAILURES").map(PathBuf::from)
}

/// Events of a kind at a component.
fn at(events: &[StageEvent], kind: EventKind, place: Place) -> usize {
    let component = place.component();
    let mine = events.iter().filter(|event| event.component == component);
    mine.filter(|event| event.kind == kind).count()
}

/// People sign up, one after the other.
async fn sign_ups(http: &Http, numbers: Range<usize>) {
    let mut ticks = tokio::time::interval(PAUSE);
    for number in numbers {
        ticks.tick().await;
        sign_up(http, &format!("person-{number}")).await;
    }
}

async fn mails(backend: &Backend, number: usize) {
    until(&format!("{number} mails"), async || {
        (backend.mails().len() >= number).then_some(())
    })
    .await;
    assert_eq!(backend.mails().len(), number);
}

/// Waits until the recording knows of so many requests that are under way.
async fn in_flight(http: &Http, token: &str, number: u64) {
    until(&format!("{number} requests in flight"), async || {
        let (_, status) = http.get("/api/live-view/status", Some(token)).await.ok()?;
        (status["requests"]["inFlight"] == number).then_some(())
    })
    .await;
}

async fn all_is_over(http: &Http, token: &str) {
    in_flight(http, token, 0).await;
}

/// Begins a fault of the relay; the answer ends it.
async fn break_relay(backend: &Backend, kind: Value) -> Value {
    let mut fault = json!({"target": "smtp"});
    let fields = kind.as_object().expect("fields").clone();
    fault.as_object_mut().expect("fields").extend(fields);
    let begun = control(backend, &json!({ "fault": fault })).await;
    json!({"end": begun["fault"]["id"]})
}

#[tokio::test]
async fn what_the_relay_rejects_rests_with_the_dead_letters() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &["--retry-scale", "150"]);
    sign_ups(&backend.http, 0..3).await;
    mails(&backend, 3).await;
    let rejects = json!({"kind": "error-rate", "probability": 1.0, "code": 550});
    let end = break_relay(&backend, rejects).await;
    sign_ups(&backend.http, 3..7).await;
    wait_for(&backend, "dlq", "waiting", 4).await;
    control(&backend, &end).await;
    let dead = job_ids(&backend, "dlq", "waiting").await;
    let requeue = format!("/api/queues/dlq/jobs/{}/requeue", dead[0]);
    post(&backend, &requeue).await;
    sign_ups(&backend.http, 7..9).await;
    mails(&backend, 6).await;
    let events = recorded("smtp-rejects", &backend.stop());
    for (kind, times) in [
        (EventKind::FaultBegan, 1),
        (EventKind::FaultEnded, 1),
        (EventKind::EmailBounced, 4),
        (EventKind::JobDeadLettered, 4),
        (EventKind::JobRequeued, 1),
        (EventKind::RetryScheduled, 0),
        (EventKind::EmailSent, 6),
    ] {
        assert_eq!(count(&events, kind), times, "{}", kind.name());
    }
}

#[tokio::test]
async fn what_the_relay_puts_off_is_delivered_by_a_later_run() {
    let folder = Folder::new();
    // 300 s become 5 s.
    let mut backend = Backend::start(folder.path(), &["--retry-scale", "60"]);
    sign_ups(&backend.http, 0..2).await;
    mails(&backend, 2).await;
    let puts_off = json!({"kind": "error-rate", "probability": 1.0, "code": 451});
    let end = break_relay(&backend, puts_off).await;
    sign_ups(&backend.http, 2..7).await;
    wait_for(&backend, "retry-1", "delayed", 5).await;
    control(&backend, &end).await;
    mails(&backend, 7).await;
    let events = recorded("smtp-greylists", &backend.stop());
    for (kind, times) in [
        (EventKind::EmailBounced, 5),
        (EventKind::RetryScheduled, 5),
        (EventKind::JobDeadLettered, 0),
        (EventKind::EmailSent, 7),
    ] {
        assert_eq!(count(&events, kind), times, "{}", kind.name());
    }
    assert_eq!(at(&events, EventKind::JobDelayed, Place::Retry1), 5);
}

#[tokio::test]
async fn a_relay_that_stalls_costs_a_run_and_no_mail() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &["--retry-scale", "150"]);
    sign_ups(&backend.http, 0..2).await;
    mails(&backend, 2).await;
    let end = break_relay(&backend, json!({"kind": "pause"})).await;
    sign_ups(&backend.http, 2..5).await;
    // Twenty seconds without an answer end a run.
    wait_for(&backend, "retry-1", "delayed", 3).await;
    control(&backend, &end).await;
    until("every mail to be sent", async || {
        let status = backend
            .get("/api/signups/statistics", Some(&backend.admin_token))
            .await;
        (status.1["welcomeEmails"]["delivered"] == 5).then_some(())
    })
    .await;
    assert_eq!(backend.mails().len(), 5, "no mail came twice");
    let events = recorded("smtp-stalls", &backend.stop());
    for (kind, times) in [
        (EventKind::RetryScheduled, 3),
        (EventKind::JobDeadLettered, 0),
        (EventKind::EmailSent, 5),
    ] {
        assert_eq!(count(&events, kind), times, "{}", kind.name());
    }
}

#[tokio::test]
async fn who_was_away_hears_what_was_missed_on_coming_back() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let (ada, bob) = (backend.user("ada").await, backend.user("bob").await);
    let token = |login: &Value| login["sessionToken"].as_str().expect("a token").to_owned();
    let (ada_token, bob_token) = (token(&ada), token(&bob));
    // What the logins tell finds nobody.
    wait_for(&backend, "in-app-retry", "delayed", 2).await;
    let mut socket = backend.socket(&ada_token).await;
    assert_eq!(notification(&mut socket).await["type"], "login");
    let body = json!({ "toUserId": ada["userId"] });
    let ask = async || {
        let answer = backend.post("/api/friend-requests", &body, Some(&bob_token));
        assert_eq!(answer.await.0, 201);
    };
    ask().await;
    assert_eq!(notification(&mut socket).await["type"], "friend_request");
    socket.close().await;
    for number in 2..=4 {
        ask().await;
        wait_for(&backend, "in-app-retry", "delayed", number).await;
    }
    // A rest of a minute ends when its user comes.
    let mut socket = backend.socket(&ada_token).await;
    for _ in 0..3 {
        assert_eq!(notification(&mut socket).await["type"], "friend_request");
    }
    mails(&backend, 8).await;
    // One login was told to nobody.
    in_flight(&backend.http, &backend.admin_token, 1).await;
    socket.close().await;
    let events = recorded("client-returns", &backend.stop());
    assert_eq!(at(&events, EventKind::JobDelayed, Place::InAppRetry), 5);
    assert_eq!(count(&events, EventKind::InAppAcknowledged), 5);
    assert_eq!(count(&events, EventKind::ConnectionOpened), 2);
    let length = events.last().expect("events").t_ns.as_s();
    assert!(length < 60.0, "nobody waited the minute: {length} s");
}

#[tokio::test]
async fn redis_is_killed_and_every_accepted_mail_goes_out() {
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &["--queue", &redis.url()]);
    sign_ups(&backend.http, 0..4).await;
    mails(&backend, 4).await;
    wait_for(&backend, "mail", "completed", 4).await;
    redis.kill();
    sign_ups(&backend.http, 4..12).await;
    assert_eq!(backend.mails().len(), 4, "the queue is away");
    redis.restart().await;
    mails(&backend, 12).await;
    all_is_over(&backend.http, &backend.admin_token).await;
    let events = recorded("redis-restarted", &backend.stop());
    assert_eq!(count(&events, EventKind::JobDeadLettered), 0);
    assert_eq!(count(&events, EventKind::EmailSent), 12);
}

#[tokio::test]
async fn mongod_is_killed_and_what_was_answered_is_there() {
    let Some(mut mongod) = Mongod::start().await else {
        return;
    };
    let folder = Folder::new();
    let store = mongod.url("failures");
    let mut backend = Backend::start(folder.path(), &["--store", &store]);
    sign_ups(&backend.http, 0..4).await;
    mongod.kill();
    let body = json!({"username": "a", "email": "a@people.example", "password": "correct horse 1"});
    for _ in 0..2 {
        let (status, answer) = backend.post("/api/signups", &body, None).await;
        assert_eq!(status, 503, "{answer}");
    }
    mongod.restart().await;
    until("the store to be back", async || {
        let (status, _) = backend.get("/api/health", None).await;
        (status == 200).then_some(())
    })
    .await;
    sign_ups(&backend.http, 4..8).await;
    mails(&backend, 8).await;
    all_is_over(&backend.http, &backend.admin_token).await;
    let events = recorded("mongod-restarted", &backend.stop());
    let refused = events.iter().filter(|event| {
        event.kind == EventKind::RequestFinished && event.outcome == Outcome::Failed
    });
    assert_eq!(refused.count(), 2, "the answers were 503");
    assert_eq!(count(&events, EventKind::EmailSent), 8);
}

/// Where the mail worker and the second server are among the roles.
const MAIL_WORKER: usize = 5;
const SERVER_2: usize = 3;

/// People of one system whose roles are processes.
struct Shop {
    http: Http,
    token: String,
    admin: String,
    socket: Socket,
}

impl Shop {
    async fn open(system: &System) -> Self {
        let http = system.balancer();
        sign_up(&http, "ada").await;
        let token = log_in(&http, "ada").await;
        let mut socket = Socket::connect(http.base(), "/").await.expect("a socket");
        socket.authenticate(&token).await.expect("auth:success");
        assert_eq!(notification(&mut socket).await["type"], "login");
        Self {
            admin: system.admin_token().to_owned(),
            http,
            token,
            socket,
        }
    }

    /// Buys so many things, one after the other, and hears of each.
    async fn buy(&mut self, number: usize) {
        let mut ticks = tokio::time::interval(PAUSE);
        let body = json!({"item": "Blue lantern", "amount": 12.5, "currency": "EUR"});
        for _ in 0..number {
            ticks.tick().await;
            let asked = self.http.post("/api/purchases", &body, Some(&self.token));
            assert_eq!(asked.await.expect("an answer").0, 201);
            assert_eq!(notification(&mut self.socket).await["type"], "purchase");
        }
    }

    async fn delay_mails(&self, delay_ms: u64) {
        let set = json!({"set": {"delays.emailDelivery": delay_ms}});
        let control = "/api/live-view/control";
        let asked = self.http.post(control, &set, Some(&self.admin)).await;
        assert_eq!(asked.expect("an answer").0, 200);
    }

    /// Waits until the recording says so of the second server's health.
    async fn server_2_is(&self, is_healthy: bool) {
        until(
            &format!("server-2 to be healthy: {is_healthy}"),
            async || {
                let status = "/api/live-view/status";
                let (_, status) = self.http.get(status, Some(&self.admin)).await.ok()?;
                let all = status["loadBalancer"]["servers"].as_array()?;
                let mut found = all.iter().filter(|it| it["id"] == "server-2");
                (found.next()?["healthy"] == is_healthy).then_some(())
            },
        )
        .await;
    }

    /// Waits until the recording has so many visits in service at a component.
    async fn in_service(&self, component: &str, number: u64) {
        until(&format!("{number} at {component}"), async || {
            let status = "/api/live-view/status";
            let (_, status) = self.http.get(status, Some(&self.admin)).await.ok()?;
            let all = status["components"].as_array()?;
            let mut found = all.iter().filter(|it| it["id"] == component);
            (found.next()?["inService"] == number).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_mail_worker_leaves_its_runs_to_the_next() {
    let Some(mut system) = System::start(&[]).await else {
        return;
    };
    let mut shop = Shop::open(&system).await;
    let data = system.data();
    let mails = async |number: usize| {
        until(&format!("{number} mails"), async || {
            (mails_in(&data).len() >= number).then_some(())
        })
        .await;
    };
    // The welcome and the login.
    mails(2).await;
    // Each mail takes so long that the worker dies in the middle of five.
    shop.delay_mails(20_000).await;
    shop.buy(8).await;
    shop.in_service("mail-worker", 5).await;
    shop.in_service("in-app-worker", 0).await;
    system.signal(MAIL_WORKER, "-KILL");
    assert_eq!(mails_in(&data).len(), 2);
    shop.delay_mails(0).await;
    tokio::task::block_in_place(|| system.restart(MAIL_WORKER));
    mails(10).await;
    all_is_over(&shop.http, &shop.admin).await;
    assert_eq!(mails_in(&data).len(), 10, "no mail came twice");
    shop.socket.close().await;
    let events = recorded("worker-killed", &system.stop());
    assert_eq!(count(&events, EventKind::JobDeadLettered), 0);
    // Five runs ended with their worker and were made again.
    assert_eq!(at(&events, EventKind::JobPickedUp, Place::Mail), 15);
    assert_eq!(count(&events, EventKind::EmailSent), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_under_load_leaves_its_requests_to_the_others() {
    let Some(mut system) = System::start(&[]).await else {
        return;
    };
    let mut shop = Shop::open(&system).await;
    shop.server_2_is(true).await;
    shop.buy(9).await;
    all_is_over(&shop.http, &shop.admin).await;
    shop.server_2_is(true).await;
    system.signal(SERVER_2, "-KILL");
    // Its socket may have been there.
    shop.socket = Socket::connect(shop.http.base(), "/")
        .await
        .expect("a socket");
    shop.socket
        .authenticate(&shop.token)
        .await
        .expect("auth:success");
    shop.buy(9).await;
    shop.server_2_is(false).await;
    tokio::task::block_in_place(|| system.restart(SERVER_2));
    shop.server_2_is(true).await;
    shop.buy(9).await;
    all_is_over(&shop.http, &shop.admin).await;
    shop.socket.close().await;
    let events = recorded("server-killed", &system.stop());
    let server_2 = Place::SERVERS[1].component();
    let picked =
        |event: &StageEvent| event.kind == EventKind::ServerPicked && event.peer == server_2;
    // It was killed after the sign-up, the login and nine purchases.
    let begun = events.iter().enumerate();
    let mut begun = begun.filter(|(_, event)| event.kind == EventKind::RequestBegun);
    let (last, _) = begun.nth(10).expect("eleven requests");
    let (before, after) = events.split_at(last);
    let health: Vec<(usize, u64)> = after
        .iter()
        .enumerate()
        .filter(|(_, it)| it.kind == EventKind::HealthChanged && it.component == server_2)
        .map(|(at, it)| (at, it.value))
        .collect();
    // At the system's end it goes again.
    let &[(gone, 0), (back, 1), ..] = health.as_slice() else {
        panic!("down and up: {health:?}");
    };
    assert!(before.iter().any(picked), "it took its turns");
    assert!(!after[gone..back].iter().any(picked), "it is left out");
    assert!(after[back..].iter().any(picked), "it takes turns again");
}
