//! One suite for both kinds of queues: the embedded ones, and those on Redis.
//!
//! Belongs here: what operators and workers may expect of either. Does not belong here: Redis's layout
//! (redis_queues), outages (redis_outages), single operations in depth (queues).

use crate::harness::{Backend, Folder, mails_in, until};
use crate::services::Redis;
use serde_json::{Value, json};

#[tokio::test]
async fn embedded_queues_do_what_queues_do() {
    check_all(&[]).await;
}

#[tokio::test]
async fn queues_on_redis_do_what_queues_do() {
    if let Some(redis) = Redis::start().await {
        check_all(&["--queue", &redis.url()]).await;
    }
}

async fn check_all(parts: &[&str]) {
    let folder = Folder::new();
    // Rests of 300 and 1,800 s become 1 and 6 s.
    let arguments = [&["--retry-scale", "300"], parts].concat();
    // What is told in the app rests all the while: nobody listens.
    let environment = [("INAPP_RETRY_DELAY", "86400000")];
    let mut backend = Backend::start_with(folder.path(), &arguments, &environment);
    a_job_passes_every_state_and_moves_its_queues_counters(&backend).await;
    urgent_jobs_leave_first(&backend).await;
    what_is_drained_is_gone(&backend).await;
    a_dead_letter_is_thrown_away_or_sent_again(&backend).await;
    set_paused(&backend, true).await;
    ask_for_mails(&backend, 3).await;
    backend.queue_has("mail", "waiting", 3).await;
    let before = mails_in(&folder.path().join("data")).len();
    backend.kill();
    let backend = Backend::start_with(folder.path(), &arguments, &environment);
    backend.queue_has("mail", "waiting", 3).await;
    set_paused(&backend, false).await;
    until("what waited when the process died", async || {
        (backend.mails().len() == before + 3).then_some(())
    })
    .await;
}

async fn control(backend: &Backend, command: &Value) -> Value {
    backend.act("/api/live-view/control", command).await
}

async fn begin(backend: &Backend, fault: Value) -> Value {
    let begun = control(backend, &json!({ "fault": fault })).await;
    begun["fault"]["id"].clone()
}

async fn end(backend: &Backend, fault: Value) {
    control(backend, &json!({ "end": fault })).await;
}

async fn set_paused(backend: &Backend, is_paused: bool) {
    let word = if is_paused { "pause" } else { "resume" };
    let path = format!("/api/queues/mail/{word}");
    let queue = backend.act(&path, &json!({})).await;
    assert_eq!(queue["isPaused"], is_paused, "{queue}");
}

async fn ask_for_mails(backend: &Backend, count: u64) {
    let body = json!({"type": "reset-password", "count": count});
    backend.act("/api/live-view/simulate", &body).await;
}

async fn jobs(backend: &Backend, queue: &str, state: &str) -> Vec<Value> {
    let path = format!("/api/queues/{queue}/jobs?state={state}&limit=100");
    let listed = backend.read(&path).await;
    listed["jobs"].as_array().expect("a list").clone()
}

/// Waiting, active, completed, failed, delayed.
async fn counters(backend: &Backend, queue: &str) -> [u64; 5] {
    let queue = backend.read(&format!("/api/queues/{queue}")).await;
    ["waiting", "active", "completed", "failed", "delayed"]
        .map(|name| queue[name].as_u64().expect("a number"))
}

async fn has_counters(backend: &Backend, queue: &str, wanted: [u64; 5]) {
    until(&format!("{queue} to count {wanted:?}"), async || {
        (counters(backend, queue).await == wanted).then_some(())
    })
    .await;
}

async fn state_is(backend: &Backend, queue: &str, id: &str, state: &str, attempt: Option<u64>) {
    let path = format!("/api/queues/{queue}/jobs/{id}");
    let job = until(&format!("job {id} to be {state} in {queue}"), async || {
        let (status, job) = backend.get(&path, Some(&backend.admin_token)).await;
        (status == 200 && job["state"] == state).then_some(job)
    })
    .await;
    assert_eq!(job["attempt"].as_u64(), attempt, "{job}");
}

async fn a_job_passes_every_state_and_moves_its_queues_counters(backend: &Backend) {
    set_paused(backend, true).await;
    ask_for_mails(backend, 1).await;
    has_counters(backend, "mail", [1, 0, 0, 0, 0]).await;
    let waiting = jobs(backend, "mail", "waiting").await;
    let id = waiting[0]["jobId"].as_str().expect("an id");
    state_is(backend, "mail", id, "waiting", Some(1)).await;

    let hang = begin(backend, json!({"target": "smtp", "kind": "pause"})).await;
    set_paused(backend, false).await;
    state_is(backend, "mail", id, "active", Some(1)).await;
    has_counters(backend, "mail", [0, 1, 0, 0, 0]).await;

    let refusal = json!({"target": "smtp", "kind": "error-rate", "probability": 1});
    let refusal = begin(backend, refusal).await;
    end(backend, hang).await;
    state_is(backend, "retry-1", id, "delayed", Some(2)).await;
    has_counters(backend, "retry-1", [0, 0, 0, 0, 1]).await;
    has_counters(backend, "mail", [0, 0, 0, 1, 0]).await;
    end(backend, refusal).await;
    state_is(backend, "mail", id, "completed", None).await;
    has_counters(backend, "mail", [0, 0, 1, 1, 0]).await;
    has_counters(backend, "retry-1", [0, 0, 1, 0, 0]).await;
}

async fn urgent_jobs_leave_first(backend: &Backend) {
    set_paused(backend, true).await;
    // A login is of normal, a sign-up of high, a new password of urgent priority.
    for (kind, number) in [("login", 1), ("signup", 2), ("reset-password", 3)] {
        let body = json!({"type": kind, "count": 1});
        backend.act("/api/live-view/simulate", &body).await;
        backend.queue_has("mail", "waiting", number).await;
    }
    let order = jobs(backend, "mail", "waiting").await;
    let order: Vec<&str> = order
        .iter()
        .filter_map(|job| job["priority"].as_str())
        .collect();
    assert_eq!(order, ["urgent", "high", "normal"]);
    let done = counters(backend, "mail").await[2];
    set_paused(backend, false).await;
    backend.queue_has("mail", "completed", done + 3).await;
}

async fn what_is_drained_is_gone(backend: &Backend) {
    set_paused(backend, true).await;
    ask_for_mails(backend, 2).await;
    backend.queue_has("mail", "waiting", 2).await;
    let waiting = jobs(backend, "mail", "waiting").await;
    let drained = backend.act("/api/queues/mail/drain", &json!({})).await;
    assert_eq!(drained["drained"], 2, "{drained}");
    for job in &waiting {
        let id = job["jobId"].as_str().expect("an id");
        state_is(backend, "mail", id, "failed", None).await;
    }
    backend.queue_has("mail", "waiting", 0).await;
    set_paused(backend, false).await;
}

async fn a_dead_letter_is_thrown_away_or_sent_again(backend: &Backend) {
    let lasting = json!({"target": "smtp", "kind": "error-rate", "probability": 1, "code": 550});
    let fault = begin(backend, lasting).await;
    ask_for_mails(backend, 2).await;
    backend.queue_has("dlq", "waiting", 2).await;
    end(backend, fault).await;
    let letters = jobs(backend, "dlq", "waiting").await;
    let id = |at: usize| letters[at]["jobId"].as_str().expect("an id");
    assert_eq!(letters[0]["lastError"]["code"], 550, "{letters:?}");
    let done = counters(backend, "mail").await[2];
    let path = format!("/api/queues/dlq/jobs/{}/requeue", id(0));
    backend.act(&path, &json!({})).await;
    let path = format!("/api/queues/dlq/jobs/{}/discard", id(1));
    backend.act(&path, &json!({})).await;
    backend.queue_has("mail", "completed", done + 1).await;
    backend.queue_has("dlq", "waiting", 0).await;
}
