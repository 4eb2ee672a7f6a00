//! In-app jobs that fail, wait and end: unconfirmed, nobody there, past their time; how many run at once.
//!
//! Belongs here: runs and rests of in-app jobs. Does not belong here: connections, mail's own ladder (retries).

use crate::harness::{Backend, Folder, count, event, notification, sound_reel, until};
use crate::retries::break_relay;
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_live_backend::telemetry::Place;
use serde_json::{Value, json};

/// A minute's rest becomes 0.1 s.
const QUICK: [&str; 2] = ["--retry-scale", "600"];

/// The history's entries with that status: number of the run, tier and reason.
fn runs<'a>(notification: &'a Value, status: &str) -> Vec<(u64, &'a str, &'a str)> {
    let history = notification["deliveryHistory"].as_array().expect("a list");
    let with = history.iter().filter(|entry| entry["status"] == status);
    with.map(|entry| {
        (
            entry["attempt"].as_u64().expect("a number"),
            entry["tier"].as_str().expect("a tier"),
            entry["reason"].as_str().unwrap_or_default(),
        )
    })
    .collect()
}

fn of_kind(events: &[StageEvent], kind: EventKind, at: Place) -> Vec<&StageEvent> {
    let component = at.component();
    let is_it = |event: &&StageEvent| event.kind == kind && event.component == component;
    events.iter().filter(is_it).collect()
}

#[tokio::test]
async fn without_a_confirmation_a_run_times_out_and_the_next_one_delivers() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &QUICK);
    let (ada, mut socket) = backend.quiet_client("ada").await;
    backend.buy(&ada).await;
    let first = event(&mut socket, "notification:new").await;
    let second = notification(&mut socket).await;
    assert_eq!(first["id"], second["id"]);
    let told = until("the second run to be noted", async || {
        let told = backend.notifications_of(&ada).await.remove(0);
        (told["status"] == "delivered").then_some(told)
    })
    .await;
    let silence = "no confirmation within 5 s";
    assert_eq!(runs(&told, "failed"), [(1, "in_app", silence)], "{told}");
    let delivered = runs(&told, "delivered");
    assert_eq!(delivered.len(), 1, "{told}");
    assert_eq!(
        (delivered[0].0, delivered[0].1),
        (2, "in_app_retry"),
        "{told}"
    );
    assert_eq!(told["attempts"], 2, "{told}");
    let events = sound_reel(&backend.stop());
    let sent = of_kind(&events, EventKind::InAppDelivered, Place::Websocket);
    let failed = of_kind(&events, EventKind::JobFailed, Place::InAppWorker);
    assert_eq!((sent.len(), failed.len()), (2, 1));
    let waited = failed[0].t_ns.as_s() - sent[0].t_ns.as_s();
    assert!((5.0..6.0).contains(&waited), "{waited} s");
    assert_eq!(count(&events, EventKind::InAppAcknowledged), 1);
}

#[tokio::test]
async fn never_confirmed_it_dies_after_as_many_runs_as_are_set() {
    let folder = Folder::new();
    let environment = [("INAPP_MAX_ATTEMPTS", "2")];
    let mut backend = Backend::start_with(folder.path(), &QUICK, &environment);
    let (ada, mut socket) = backend.quiet_client("ada").await;
    let request = backend.buy(&ada).await;
    backend.queue_has("dlq", "waiting", 1).await;
    socket.emit("ping", &json!({})).await.expect("a socket");
    let mut heard = 0;
    loop {
        let event = socket.next_event().await.expect("a socket");
        match event.name.as_str() {
            "notification:new" => heard += 1,
            "pong" => break,
            other => panic!("{other}"),
        }
    }
    assert_eq!(heard, 2);
    let told = backend.notifications_of(&ada).await.remove(0);
    let silence = "no confirmation within 5 s";
    let failed = [(1, "in_app", silence), (2, "in_app_retry", silence)];
    assert_eq!(runs(&told, "failed")[..2], failed, "{told}");
    assert_eq!(
        (&told["status"], &told["attempts"]),
        (&json!("failed"), &json!(2))
    );
    let letters = backend.read("/api/queues/dlq/jobs").await;
    assert_eq!(letters["jobs"][0]["channel"], "in-app", "{letters}");
    assert_eq!(letters["jobs"][0]["lastError"]["reason"], silence);
    until("the request to have failed", async || {
        let journey = backend.journey(&request).await;
        (journey["request"]["status"] == "failed").then_some(())
    })
    .await;
    let events = sound_reel(&backend.stop());
    let rests = of_kind(&events, EventKind::RetryScheduled, Place::InAppWorker);
    assert_eq!(rests.len(), 1);
    assert_eq!(rests[0].peer, Place::InAppRetry.component());
    let dead = of_kind(&events, EventKind::JobDeadLettered, Place::Dlq);
    assert_eq!((dead.len(), dead[0].value), (1, 2));
    assert_eq!(count(&events, EventKind::InAppAcknowledged), 0);
}

#[tokio::test]
async fn a_recording_of_failures_visits_all_six_queues_and_a_requeued_job_begins_anew() {
    let folder = Folder::new();
    // Rests of 60, 300 and 1,800 s become 0.05, 0.25 and 1.5 s.
    let mut backend = Backend::start(folder.path(), &["--retry-scale", "1200"]);
    let ada = backend.quiet_user("ada").await;
    backend.queue_has("mail", "completed", 1).await;
    break_relay(&backend, "1h").await;
    backend.buy(&ada).await;
    backend.queue_has("dlq", "waiting", 2).await;
    let told = backend.notifications_of(&ada).await.remove(0);
    let nobody = "the user has no socket";
    let failed = [
        (1, "in_app", nobody),
        (2, "in_app_retry", nobody),
        (3, "in_app_retry", nobody),
    ];
    assert_eq!(runs(&told, "failed")[..3], failed, "{told}");

    let mut socket = backend.socket_of(&ada).await;
    let letters = backend.read("/api/queues/dlq/jobs").await;
    let letters = letters["jobs"].as_array().expect("a list");
    let letter = letters.iter().find(|job| job["channel"] == "in-app");
    let id = letter.expect("it is there")["jobId"]
        .as_str()
        .expect("an id");
    let path = format!("/api/queues/dlq/jobs/{id}/requeue");
    backend.act(&path, &json!({})).await;
    assert_eq!(notification(&mut socket).await["id"], told["id"]);
    backend.queue_has("in-app", "completed", 1).await;

    let events = sound_reel(&backend.stop());
    for (queue, opened_by) in [
        (Place::Mail, EventKind::JobAdded),
        (Place::Retry1, EventKind::JobDelayed),
        (Place::Retry2, EventKind::JobDelayed),
        (Place::InApp, EventKind::JobAdded),
        (Place::InAppRetry, EventKind::JobDelayed),
        (Place::Dlq, EventKind::JobDeadLettered),
    ] {
        assert!(
            !of_kind(&events, opened_by, queue).is_empty(),
            "{}",
            queue.name()
        );
    }
    // The in-app worker takes what the notification service added and what comes back from its rest.
    let added: Vec<_> = of_kind(&events, EventKind::JobAdded, Place::InApp)
        .iter()
        .map(|event| (event.peer == Place::InAppRetry.component(), event.attempt))
        .collect();
    assert_eq!(added, [(false, 1), (true, 2), (true, 3), (false, 1)]);
    let taken: Vec<_> = of_kind(&events, EventKind::JobPickedUp, Place::InApp)
        .iter()
        .map(|event| (event.peer, event.attempt))
        .collect();
    let worker = Place::InAppWorker.component();
    assert_eq!(taken, [1, 2, 3, 1].map(|attempt| (worker, attempt)));
    let rests: Vec<u64> = of_kind(&events, EventKind::RetryScheduled, Place::InAppWorker)
        .iter()
        .map(|event| event.value)
        .collect();
    assert_eq!(rests, [50_000_000; 2]);
    assert_eq!(count(&events, EventKind::JobRequeued), 1);
}

#[tokio::test]
async fn the_rest_between_in_app_runs_is_what_is_set() {
    let folder = Folder::new();
    let environment = [("INAPP_RETRY_DELAY", "240000")];
    let mut backend = Backend::start_with(folder.path(), &QUICK, &environment);
    let ada = backend.quiet_user("ada").await;
    backend.buy(&ada).await;
    backend.queue_has("dlq", "waiting", 1).await;
    let events = sound_reel(&backend.stop());
    let began = of_kind(&events, EventKind::JobDelayed, Place::InAppRetry);
    let ended = of_kind(&events, EventKind::ServiceEnded, Place::InAppRetry);
    assert_eq!((began.len(), ended.len()), (2, 2));
    for (began, ended) in began.iter().zip(ended) {
        assert_eq!(began.value, 400_000_000, "four minutes by 600");
        let rested = ended.t_ns.as_s() - began.t_ns.as_s();
        assert!((0.4..0.9).contains(&rested), "{rested} s");
    }
}

#[tokio::test]
async fn a_worker_past_its_time_sends_nothing_and_it_is_recorded() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let ada = backend.quiet_user("ada").await;
    backend.act("/api/queues/in-app/pause", &json!({})).await;
    backend.buy(&ada).await;
    backend.queue_has("in-app", "waiting", 1).await;
    backend.queue_has("mail", "completed", 2).await;
    sound_reel(&backend.stop());
    // A day goes by.
    let store = rusqlite::Connection::open(folder.path().join("data/store.sqlite3"));
    let aged = store.expect("a store").execute(
        "UPDATE notifications SET expires_at = created_at + 1 WHERE channel = 'in-app'",
        [],
    );
    assert_eq!(aged.expect("it is there"), 1);

    let mut backend = Backend::start(folder.path(), &[]);
    let mut socket = backend.socket_of(&ada).await;
    backend.act("/api/queues/in-app/resume", &json!({})).await;
    let told = until("its end", async || {
        let told = backend.notifications_of(&ada).await.remove(0);
        (told["status"] != "pending").then_some(told)
    })
    .await;
    assert_eq!(told["status"], "expired", "{told}");
    // What the client hears next is the answer to its own ping, so nothing was sent before.
    socket.emit("ping", &json!({})).await.expect("a socket");
    assert_eq!(socket.next_event().await.expect("a socket").name, "pong");
    let events = sound_reel(&backend.stop());
    assert_eq!(count(&events, EventKind::InAppDelivered), 0);
    let late = of_kind(&events, EventKind::TimedOut, Place::InApp);
    assert_eq!(late.len(), 1);
    let ends = of_kind(&events, EventKind::PartFinished, Place::InApp);
    assert_eq!(
        ends.iter().map(|it| it.outcome).collect::<Vec<_>>(),
        [Outcome::Failed]
    );
}

#[tokio::test]
async fn ten_in_app_runs_go_on_at_once_and_the_next_wait() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let set = json!({"set": {"workers.in-app.rate_per_s": 1000}});
    backend.act("/api/live-view/control", &set).await;
    let hang = json!({"fault": {"target": "websocket", "kind": "pause"}});
    let begun = backend.act("/api/live-view/control", &hang).await;
    let ada = backend.quiet_user("ada").await;
    // Friends of their own each: what one person is told is told in order.
    for number in 0..12 {
        let name = format!("friend-{number}");
        let email = format!("{name}@people.example");
        let body = json!({"username": name, "email": email, "password": "correct horse 1"});
        let (status, friend) = backend.post("/api/signups", &body, None).await;
        assert_eq!(status, 201, "{friend}");
        let body = json!({"toUserId": friend["userId"]});
        let token = ada["sessionToken"].as_str();
        let (status, asked) = backend.post("/api/friend-requests", &body, token).await;
        assert_eq!(status, 201, "{asked}");
    }
    let queue = until("ten runs", async || {
        let queue = backend.read("/api/queues/in-app").await;
        (queue["workers"]["active"] == 10 && queue["waiting"] == 2).then_some(queue)
    })
    .await;
    assert_eq!(queue["workers"]["idle"], 0, "{queue}");
    let end = json!({"end": begun["fault"]["id"]});
    backend.act("/api/live-view/control", &end).await;
    backend.queue_has("in-app-retry", "delayed", 12).await;
    let events = sound_reel(&backend.stop());
    let busy = of_kind(&events, EventKind::WorkerBusy, Place::InAppWorker);
    assert_eq!(busy.iter().map(|event| event.value).max(), Some(10));
}
