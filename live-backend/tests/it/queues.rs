//! Queues as operators see and change them: pause, drain, dead letters sent again, rates and limits.

use crate::harness::{Backend, Folder, count, sound_reel, until};
use crate::services::Redis;
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_live_backend::telemetry::Place;
use serde_json::{Value, json};

async fn get(backend: &Backend, path: &str) -> Value {
    let (status, answer) = backend.get(path, Some(&backend.admin_token)).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

pub(crate) async fn post(backend: &Backend, path: &str) -> Value {
    let token = Some(backend.admin_token.as_str());
    let (status, answer) = backend.post(path, &json!({}), token).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

pub(crate) async fn control(backend: &Backend, command: &Value) -> Value {
    let token = Some(backend.admin_token.as_str());
    let (status, answer) = backend.post("/api/live-view/control", command, token).await;
    assert_eq!(status, 200, "{command}: {answer}");
    answer
}

/// That many requests for a new password, which each make one mail.
async fn ask_for_mails(backend: &Backend, number: u64) {
    let token = Some(backend.admin_token.as_str());
    let body = json!({"type": "reset-password", "count": number});
    let (status, answer) = backend.post("/api/live-view/simulate", &body, token).await;
    assert_eq!(status, 202, "{answer}");
}

pub(crate) async fn wait_for(backend: &Backend, queue: &str, figure: &str, number: u64) {
    until(&format!("{figure} of {queue} to be {number}"), async || {
        let queue = get(backend, &format!("/api/queues/{queue}")).await;
        (queue[figure] == number).then_some(())
    })
    .await;
}

pub(crate) async fn job_ids(backend: &Backend, queue: &str, state: &str) -> Vec<String> {
    let path = format!("/api/queues/{queue}/jobs?state={state}&limit=100");
    let listed = get(backend, &path).await;
    let jobs = listed["jobs"].as_array().expect("a list");
    let id = |job: &Value| job["jobId"].as_str().expect("an id").to_owned();
    jobs.iter().map(id).collect()
}

fn times(events: &[StageEvent], kind: EventKind, place: Place) -> Vec<f64> {
    let component = place.component();
    let mine = events
        .iter()
        .filter(|event| event.kind == kind && event.component == component);
    mine.map(|event| event.t_ns.as_s()).collect()
}

#[tokio::test]
async fn a_paused_queue_keeps_its_jobs_over_a_restart_and_can_be_drained() {
    pause_and_drain(&[]).await;
}

#[tokio::test]
async fn on_redis_a_paused_queue_keeps_its_jobs_over_a_restart_and_can_be_drained() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    pause_and_drain(&["--queue", &redis.url()]).await;
}

async fn pause_and_drain(parts: &[&str]) {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), parts);
    let paused = post(&backend, "/api/queues/mail/pause").await;
    assert_eq!(paused["isPaused"], true, "{paused}");
    ask_for_mails(&backend, 3).await;
    wait_for(&backend, "mail", "waiting", 3).await;
    let queue = get(&backend, "/api/queues/mail").await;
    assert_eq!(queue["workers"], json!({"active": 0, "idle": 5}), "{queue}");
    let ids = job_ids(&backend, "mail", "waiting").await;
    let job = get(&backend, &format!("/api/queues/mail/jobs/{}", ids[2])).await;
    assert_eq!(job["whyWaiting"]["reason"], "paused", "{job}");
    assert_eq!(job["state"], "waiting");
    sound_reel(&backend.stop());

    let mut backend = Backend::start(folder.path(), parts);
    let all = get(&backend, "/api/queues").await;
    let names: Vec<&str> = all["queues"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|queue| queue["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "mail",
            "retry-1",
            "retry-2",
            "dlq",
            "in-app",
            "in-app-retry"
        ]
    );
    wait_for(&backend, "mail", "waiting", 3).await;
    assert_eq!(get(&backend, "/api/queues/mail").await["isPaused"], true);
    let drained = post(&backend, "/api/queues/mail/drain").await;
    assert_eq!(drained["drained"], 3, "{drained}");
    for id in &ids {
        let job = get(&backend, &format!("/api/queues/mail/jobs/{id}")).await;
        assert_eq!(
            (&job["state"], &job["queue"]),
            (&json!("failed"), &Value::Null)
        );
        assert_eq!(job["lastError"]["reason"], "drained", "{job}");
    }
    let resumed = post(&backend, "/api/queues/mail/resume").await;
    assert_eq!(resumed["isPaused"], false);
    ask_for_mails(&backend, 1).await;
    wait_for(&backend, "mail", "completed", 1).await;
    assert_eq!(backend.mails().len(), 1);
    let events = sound_reel(&backend.stop());
    assert_eq!(count(&events, EventKind::Abandoned), 3);
    let backend = Backend::start(folder.path(), parts);
    assert_eq!(get(&backend, "/api/queues/mail").await["isPaused"], false);
}

#[tokio::test]
async fn refused_mails_die_at_once_and_an_operator_sends_them_again_or_throws_them_away() {
    requeue_and_discard(&[]).await;
}

#[tokio::test]
async fn on_redis_refused_mails_die_at_once_and_an_operator_sends_them_again_or_throws_them_away() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    requeue_and_discard(&["--queue", &redis.url()]).await;
}

async fn requeue_and_discard(parts: &[&str]) {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[&["--retry-scale", "3000"], parts].concat());
    let fault =
        json!({"fault": {"target": "smtp", "kind": "error-rate", "probability": 1, "code": 550}});
    let begun = control(&backend, &fault).await;
    ask_for_mails(&backend, 4).await;
    wait_for(&backend, "dlq", "waiting", 4).await;
    let ids = job_ids(&backend, "dlq", "waiting").await;
    assert_eq!(ids.len(), 4);
    let job = get(&backend, &format!("/api/queues/dlq/jobs/{}", ids[0])).await;
    assert_eq!(job["lastError"]["code"], 550, "{job}");
    let history = job["notification"]["deliveryHistory"].as_array();
    let runs = history.expect("a list").iter();
    assert_eq!(
        runs.filter(|entry| entry["status"] == "failed").count(),
        1,
        "a lasting refusal is not tried again: {job}"
    );
    let before = history.expect("a list").len();

    let end = json!({"end": begun["fault"]["id"]});
    assert_eq!(control(&backend, &end).await["faults"], json!([]));
    let requeued = post(
        &backend,
        &format!("/api/queues/dlq/jobs/{}/requeue", ids[0]),
    )
    .await;
    assert_eq!(requeued["status"], "requeued");
    wait_for(&backend, "mail", "completed", 1).await;
    let job = get(&backend, &format!("/api/queues/mail/jobs/{}", ids[0])).await;
    assert_eq!(job["state"], "completed", "{job}");
    let after = job["notification"]["deliveryHistory"].as_array();
    assert!(after.is_some_and(|after| after.len() > before), "{job}");

    let discard = format!("/api/queues/dlq/jobs/{}/discard", ids[1]);
    assert_eq!(post(&backend, &discard).await["status"], "discarded");
    let token = Some(backend.admin_token.as_str());
    let (status, answer) = backend.post(&discard, &json!({}), token).await;
    assert_eq!(status, 404, "{answer}");
    let retried = post(&backend, "/api/queues/dlq/retry-all").await;
    assert_eq!(retried["requeued"], 2, "{retried}");
    wait_for(&backend, "mail", "completed", 3).await;
    wait_for(&backend, "dlq", "waiting", 0).await;
    assert_eq!(backend.mails().len(), 3);

    let events = sound_reel(&backend.stop());
    assert_eq!(count(&events, EventKind::JobRequeued), 3);
    assert_eq!(count(&events, EventKind::JobDeadLettered), 4);
    assert_eq!(count(&events, EventKind::RetryScheduled), 0);
}

#[tokio::test]
async fn a_mail_worker_runs_five_at_once_and_says_why_the_next_waits() {
    say_why_the_next_waits(&[]).await;
}

#[tokio::test]
async fn on_redis_a_mail_worker_runs_five_at_once_and_says_why_the_next_waits() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    say_why_the_next_waits(&["--queue", &redis.url()]).await;
}

async fn say_why_the_next_waits(parts: &[&str]) {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[&["--retry-scale", "3000"], parts].concat());
    let hang = json!({"fault": {"target": "smtp", "kind": "pause"}});
    let begun = control(&backend, &hang).await;
    control(&backend, &json!({"set": {"workers.mail.rate_per_s": 1000}})).await;
    ask_for_mails(&backend, 8).await;
    wait_for(&backend, "mail", "active", 5).await;
    wait_for(&backend, "mail", "waiting", 3).await;
    let queue = get(&backend, "/api/queues/mail").await;
    assert_eq!(queue["workers"], json!({"active": 5, "idle": 0}), "{queue}");
    let ids = job_ids(&backend, "mail", "waiting").await;
    let path = format!("/api/queues/mail/jobs/{}", ids[0]);
    let first = get(&backend, &path).await;
    assert_eq!(first["whyWaiting"]["reason"], "concurrency", "{first}");
    let third = get(&backend, &format!("/api/queues/mail/jobs/{}", ids[2])).await;
    assert_eq!(third["whyWaiting"]["reason"], "behind-others", "{third}");
    assert_eq!(third["whyWaiting"]["position"], 3);

    control(&backend, &json!({"set": {"workers.mail.count": 0}})).await;
    until("the worker to leave", async || {
        let job = get(&backend, &path).await;
        (job["whyWaiting"]["reason"] == "no-worker").then_some(())
    })
    .await;
    control(&backend, &json!({"set": {"workers.mail.count": 1}})).await;
    control(&backend, &json!({"end": begun["fault"]["id"]})).await;
    wait_for(&backend, "mail", "completed", 8).await;
    assert_eq!(backend.mails().len(), 8);
    // The cards know how many runs the workers may have now, at each queue that they serve.
    for (count, idle) in [(2, 10), (0, 0)] {
        control(&backend, &json!({"set": {"workers.mail.count": count}})).await;
        until("the cards to tell the workers", async || {
            let status = backend.status().await;
            let queues = status["queues"].as_array().expect("a list").iter();
            let own = queues.filter(|it| it["name"] == "mail" || it["name"] == "retry-1");
            let workers: Vec<&Value> = own.map(|it| &it["workers"]).collect();
            let all = json!({"active": 0, "idle": idle});
            (workers == [&all, &all]).then_some(())
        })
        .await;
    }
    sound_reel(&backend.stop());
}

#[tokio::test]
async fn jobs_wait_in_a_slowed_queue_on_redis_too() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &["--queue", &redis.url()]);
    control(&backend, &json!({"set": {"delays.queueing": 700}})).await;
    ask_for_mails(&backend, 1).await;
    wait_for(&backend, "mail", "completed", 1).await;
    control(&backend, &json!({"set": {"delays.queueing": 0}})).await;
    let held = json!({"fault": {"target": "mail", "kind": "down"}});
    let begun = control(&backend, &held).await;
    ask_for_mails(&backend, 1).await;
    wait_for(&backend, "mail", "waiting", 1).await;
    let ids = job_ids(&backend, "mail", "waiting").await;
    let path = format!("/api/queues/mail/jobs/{}", ids[0]);
    let job = get(&backend, &path).await;
    assert_eq!(job["whyWaiting"]["reason"], "fault-injected", "{job}");
    control(&backend, &json!({"end": begun["fault"]["id"]})).await;
    wait_for(&backend, "mail", "completed", 2).await;
    let events = sound_reel(&backend.stop());
    let came = times(&events, EventKind::EmailQueued, Place::Mail);
    let taken = times(&events, EventKind::JobPickedUp, Place::Mail);
    assert!(taken[0] - came[0] >= 0.7, "{came:?} {taken:?}");
}

#[tokio::test]
async fn a_hundred_mails_take_twenty_seconds_on_one_worker_and_ten_on_two() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    for workers in [1, 2] {
        post(&backend, "/api/queues/mail/pause").await;
        ask_for_mails(&backend, 100).await;
        wait_for(&backend, "mail", "waiting", 100).await;
        control(&backend, &json!({"set": {"workers.mail.count": workers}})).await;
        post(&backend, "/api/queues/mail/resume").await;
        wait_for(&backend, "mail", "completed", workers * 100).await;
    }
    let events = sound_reel(&backend.stop());
    let taken = times(&events, EventKind::JobPickedUp, Place::Mail);
    assert_eq!(taken.len(), 200);
    // The rate itself: from the first start to the last there are 99 times 200 ms, or half of that.
    for (runs, expected) in taken.chunks(100).zip([19.8, 9.8]) {
        let took = runs[99] - runs[0];
        let error = (took - expected).abs() / expected;
        assert!(error <= 0.05, "{took} s, {expected} s expected");
    }
}

#[tokio::test]
async fn only_administrators_see_and_change_queues() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    let user = backend.user("ada").await;
    for token in [None, user["sessionToken"].as_str()] {
        let expected = if token.is_some() { 403 } else { 401 };
        for path in [
            "/api/queues",
            "/api/queues/mail/jobs",
            "/api/live-view/control",
        ] {
            assert_eq!(backend.get(path, token).await.0, expected, "{path}");
        }
        for path in [
            "/api/queues/mail/pause",
            "/api/queues/mail/drain",
            "/api/queues/dlq/retry-all",
            "/api/queues/dlq/jobs/1/requeue",
        ] {
            let (status, _) = backend.post(path, &json!({}), token).await;
            assert_eq!(status, expected, "{path}");
        }
    }
    let admin = Some(backend.admin_token.as_str());
    for (path, expected) in [
        ("/api/queues/moon", 404),
        ("/api/queues/mail/jobs/999", 404),
        ("/api/queues/mail/jobs/x", 404),
        ("/api/queues/mail/jobs?state=lost", 400),
        ("/api/queues/mail/jobs?limit=1000", 400),
    ] {
        let (status, answer) = backend.get(path, admin).await;
        assert_eq!(status, expected, "{path}: {answer}");
    }
}
