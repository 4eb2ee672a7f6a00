//! Figures of the live view against what really happened, and against the recording.

use crate::harness::{Backend, Folder, PATIENCE, notification, sound_reel, until};
use flowreel_engine::model::event::EventKind;
use flowreel_live_backend::telemetry::Place;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

#[tokio::test]
async fn eight_sent_and_two_refused_mails_and_both_channels_rates_stand_in_the_status() {
    let folder = Folder::new();
    // One run only: whom nobody reaches at once is given up.
    let environment = [("INAPP_MAX_ATTEMPTS", "1")];
    let backend = Backend::start_with(folder.path(), &[], &environment);
    let lasting = json!({"target": "smtp", "kind": "error-rate", "probability": 1, "code": 550});
    let begun = backend
        .act("/api/live-view/control", &json!({ "fault": lasting }))
        .await;
    let mails = async |count: u64| {
        let body = json!({"type": "reset-password", "count": count});
        backend.act("/api/live-view/simulate", &body).await
    };
    mails(2).await;
    backend.queue_has("dlq", "waiting", 2).await;
    let end = json!({"end": begun["fault"]["id"]});
    backend.act("/api/live-view/control", &end).await;
    // A sign-up and four purchases make five mails and four notifications, one of which reaches nobody.
    let ada = backend.quiet_user("ada").await;
    backend.buy(&ada).await;
    backend.queue_has("dlq", "waiting", 3).await;
    let mut socket = backend.socket_of(&ada).await;
    for _ in 0..3 {
        backend.buy(&ada).await;
        notification(&mut socket).await;
    }
    mails(3).await;
    let status = until("eight mails and three confirmations", async || {
        let status = backend.status().await;
        let is_done = status["email"]["sent"] == 8 && status["channels"]["inApp"]["delivered"] == 3;
        is_done.then_some(status)
    })
    .await;
    assert_eq!(status["email"]["failed"], 2, "{status}");
    assert!(status["email"]["deliveryRate"].as_f64() > Some(0.0));
    let rates = |delivered: u64, failed: u64, success: f64| json!({"delivered": delivered, "failed": failed, "successRate": success, "failureRate": 100.0 - success});
    assert_eq!(
        status["channels"],
        json!({"email": rates(8, 2, 80.0), "inApp": rates(3, 1, 75.0)})
    );
    assert_eq!(backend.mails().len(), 8);
}

#[tokio::test]
async fn the_points_of_every_request_are_as_many_as_in_the_file() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &["--retry-scale", "3000"]);
    let body = json!({"type": "purchase", "count": 4, "interval": 20});
    let sent = backend.act("/api/live-view/simulate", &body).await;
    let ids: Vec<u64> = sent["requestIds"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|id| id.as_str().expect("an id").parse().expect("a number"))
        .collect();
    // Nobody listens, so that each climbs the ladder to its end.
    backend.queue_has("dlq", "waiting", 4).await;
    backend.queue_has("mail", "completed", 4).await;
    let mut counted = Vec::new();
    for id in &ids {
        let journey = until("the request to be over", async || {
            let journey = backend.journey(&id.to_string()).await;
            (journey["request"]["status"] == "failed").then_some(journey)
        })
        .await;
        counted.push(journey["logs"].as_array().expect("a list").len());
    }
    let events = sound_reel(&backend.stop());
    for (id, counted) in ids.into_iter().zip(counted) {
        let of_it = events.iter().filter(|event| event.request.0 == id);
        assert_eq!(of_it.count(), counted, "request {id}");
        assert!(counted > 20, "{counted}");
    }
}

#[tokio::test]
async fn five_simulated_requests_come_200_ms_apart_and_senseless_ones_are_refused() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let path = "/api/live-view/simulate";
    let admin = Some(backend.admin_token.as_str());
    for (wrong, field) in [
        (json!({"type": "party", "count": 5}), "type"),
        (json!({"count": 5}), "type"),
        (json!({"type": "login", "count": 0}), "count"),
        (json!({"type": "login", "count": -1}), "count"),
        (json!({"type": "login", "count": "many"}), "count"),
        (
            json!({"type": "login", "count": 1, "interval": -5}),
            "interval",
        ),
    ] {
        let (status, answer) = backend.post(path, &wrong, admin).await;
        assert_eq!(
            (status, &answer["error"]["field"]),
            (400, &json!(field)),
            "{wrong}"
        );
    }
    let body = json!({"type": "purchase", "count": 5, "interval": 200});
    let (status, answer) = backend.post(path, &body, admin).await;
    assert_eq!(status, 202, "{answer}");
    let ids: Vec<String> = answer["requestIds"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|id| id.as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(ids.len(), 5);
    backend.queue_has("mail", "completed", 5).await;
    for id in &ids {
        let journey = backend.journey(id).await;
        assert_eq!(
            journey["request"]["metadata"]["simulated"], true,
            "{journey}"
        );
    }
    let events = sound_reel(&backend.stop());
    let begun: Vec<_> = events
        .iter()
        .filter(|event| event.kind == EventKind::RequestBegun)
        .collect();
    let numbers: Vec<String> = begun.iter().map(|it| it.request.0.to_string()).collect();
    assert_eq!(numbers, ids, "these and no others");
    let took = begun[4].t_ns.as_s() - begun[0].t_ns.as_s();
    assert!((0.7..1.2).contains(&took), "{took} s");
}

/// Notifications one after the other of which none may be late.
const IN_A_ROW: usize = 30;

#[tokio::test]
async fn a_notification_is_with_its_client_in_less_than_100_ms() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let (ada, mut socket) = backend.quiet_client("ada").await;
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Where a machine does other things and one is late, the count begins again.
    let (mut in_a_row, started) = (0, Instant::now());
    while in_a_row < IN_A_ROW {
        assert!(started.elapsed() < PATIENCE, "only {in_a_row} in a row");
        ticks.tick().await;
        let request = backend.buy(&ada).await;
        notification(&mut socket).await;
        let took_ms = until("the points of its delivery", async || {
            let journey = backend.journey(&request).await;
            let points = &journey["points"]["notification"];
            let (queued, delivered) = (&points["inAppQueued"], &points["inAppDelivered"]);
            delivered.as_u64()?.checked_sub(queued.as_u64()?)
        })
        .await;
        // Whole milliseconds: what took 99 by them may have taken 100.
        in_a_row = if took_ms < 99 { in_a_row + 1 } else { 0 };
    }
    let events = sound_reel(&backend.stop());
    let mut taken: Vec<u64> = Vec::new();
    let websocket = Place::Websocket.component();
    for event in &events {
        if event.kind != EventKind::InAppDelivered || event.component != websocket {
            continue;
        }
        // From the controller's handing over to the client's socket.
        let queued = events
            .iter()
            .find(|it| it.kind == EventKind::InAppQueued && it.request == event.request);
        taken.push(event.t_ns.since_ns(queued.expect("it was queued").t_ns));
    }
    assert!(taken.len() >= IN_A_ROW, "{taken:?}");
    let in_a_row = &taken[taken.len() - IN_A_ROW..];
    assert!(in_a_row.iter().all(|&ns| ns < 100_000_000), "{taken:?}");
}
