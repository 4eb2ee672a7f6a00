//! Failing mails climb their ladder and end with the dead letters; a cured relay takes the rest.

use crate::harness::{Backend, Folder, count, sound_reel, until};
use crate::services::Redis;
use flowreel_engine::model::event::EventKind;
use serde_json::{Value, json};

pub(crate) async fn break_relay(backend: &Backend, length: &str) {
    let fault = json!({"fault": {
        "target": "smtp", "kind": "error-rate", "probability": 1.0, "for": length,
    }});
    let token = Some(backend.admin_token.as_str());
    let (status, answer) = backend.post("/api/live-view/control", &fault, token).await;
    assert_eq!(status, 200, "{answer}");
}

fn visits(journey: &Value) -> Vec<(String, u64)> {
    let stages = journey["request"]["stages"].as_array().expect("a list");
    stages
        .iter()
        .filter(|stage| stage["stage"] != "load_balancer" && stage["stage"] != "server")
        .filter(|stage| stage["stage"] != "database")
        .map(|stage| {
            let name = stage["stage"].as_str().expect("a name").to_owned();
            (
                name,
                stage["metadata"]["attempt"].as_u64().expect("a number"),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_mail_refused_three_times_goes_through_both_retries_to_the_dead_letters() {
    check_the_whole_ladder(&[]).await;
}

#[tokio::test]
async fn on_redis_a_mail_refused_three_times_goes_through_both_retries_to_the_dead_letters() {
    if let Some(redis) = Redis::start().await {
        check_the_whole_ladder(&["--queue", &redis.url()]).await;
    }
}

#[tokio::test]
async fn a_relay_that_recovers_takes_the_mail_on_a_later_run() {
    check_a_later_run(&[]).await;
}

#[tokio::test]
async fn on_redis_a_relay_that_recovers_takes_the_mail_on_a_later_run() {
    if let Some(redis) = Redis::start().await {
        check_a_later_run(&["--queue", &redis.url()]).await;
    }
}

async fn check_the_whole_ladder(parts: &[&str]) {
    let folder = Folder::new();
    // 300 s become 0.1 s, 1,800 s become 0.6 s.
    let arguments = [&["--retry-scale", "3000"], parts].concat();
    let mut backend = Backend::start(folder.path(), &arguments);
    break_relay(&backend, "1h").await;
    let body =
        json!({"username": "ada", "email": "ada@people.example", "password": "correct horse 1"});
    let (status, answer) = backend.post("/api/signups", &body, None).await;
    assert_eq!(status, 201, "{answer}");
    let id = answer["requestId"].as_str().expect("an id");
    let journey = until("the sign-up's mail to be given up", async || {
        let journey = backend.journey(id).await;
        (journey["request"]["status"] == "failed").then_some(journey)
    })
    .await;
    let run = |attempt| {
        ["mail_queue", "mail_worker", "email_service"].map(|stage| (stage.to_owned(), attempt))
    };
    let mut expected = run(1).to_vec();
    expected.push(("retry_1".to_owned(), 1));
    expected.extend(run(2));
    expected.push(("retry_2".to_owned(), 2));
    expected.extend(run(3));
    expected.push(("dlq".to_owned(), 3));
    assert_eq!(visits(&journey), expected);
    assert!(backend.mails().is_empty(), "no mail came through");

    let events = sound_reel(&backend.stop());
    for (kind, times) in [
        (EventKind::EmailBounced, 3),
        (EventKind::JobFailed, 3),
        (EventKind::RetryScheduled, 2),
        (EventKind::JobDelayed, 2),
        (EventKind::JobDeadLettered, 1),
        (EventKind::FaultBegan, 1),
    ] {
        assert_eq!(count(&events, kind), times, "{}", kind.name());
    }
}

async fn check_a_later_run(parts: &[&str]) {
    let folder = Folder::new();
    // 300 s become 3 s: by then the fault of half a second is over.
    let arguments = [&["--retry-scale", "100"], parts].concat();
    let backend = Backend::start(folder.path(), &arguments);
    break_relay(&backend, "500ms").await;
    let body =
        json!({"username": "ada", "email": "ada@people.example", "password": "correct horse 1"});
    let (status, answer) = backend.post("/api/signups", &body, None).await;
    assert_eq!(status, 201, "{answer}");
    let id = answer["requestId"].as_str().expect("an id");
    let journey = until("the sign-up's mail to be sent", async || {
        let journey = backend.journey(id).await;
        (journey["request"]["status"] == "completed").then_some(journey)
    })
    .await;
    assert!(
        visits(&journey).contains(&("email_service".to_owned(), 2)),
        "{journey}"
    );
    assert_eq!(backend.mails().len(), 1);
}
