//! Commands that come at once or while a service is away: one generator, all or nothing.

use crate::harness::{Backend, Folder, sound_reel, until};
use crate::services::Redis;
use flowreel_engine::model::event::EventKind;
use serde_json::{Value, json};

async fn control(backend: &Backend, command: &Value) -> (u16, Value) {
    let token = Some(backend.admin_token.as_str());
    backend.post("/api/live-view/control", command, token).await
}

#[tokio::test]
async fn load_that_is_switched_to_and_fro_comes_at_its_rate() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let rate = json!({"set": {"load.rate_per_s": 20}});
    assert_eq!(control(&backend, &rate).await.0, 200);
    let [on, off] = [true, false].map(|is_on| json!({"set": {"load.enabled": is_on}}));
    // Making the people who act takes a while, in which the others come.
    let all = [&on, &off, &on, &off, &on].map(|command| control(&backend, command));
    for (status, answer) in futures_util::future::join_all(all).await {
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(control(&backend, &on).await.0, 200);
    let begun = backend.status().await["requests"]["started"].as_u64();
    let begun = begun.expect("a number");
    until("60 more requests", async || {
        let now = backend.status().await["requests"]["started"].as_u64();
        (now >= Some(begun + 60)).then_some(())
    })
    .await;
    assert_eq!(control(&backend, &off).await.0, 200);
    let events = sound_reel(&backend.stop());
    let begun: Vec<f64> = events
        .iter()
        .filter(|event| event.kind == EventKind::RequestBegun)
        .map(|event| event.t_ns.as_s())
        .collect();
    let last = &begun[begun.len() - 41..];
    let rate = 40.0 / (last[40] - last[0]);
    assert!((18.5..=21.5).contains(&rate), "{rate} requests a second");
}

#[tokio::test]
async fn what_cannot_be_set_leaves_the_rest_as_it_was() {
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--queue", &redis.url()]);
    redis.kill();
    let set = json!({"set": {"delays.queueing": 70, "queues.mail.paused": true}});
    let (status, answer) = control(&backend, &set).await;
    assert_eq!(status, 503, "{answer}");
    redis.restart().await;
    let now = until("Redis to answer again", async || {
        let token = Some(backend.admin_token.as_str());
        let (status, now) = backend.get("/api/live-view/control", token).await;
        assert_eq!(status, 200, "{now}");
        now["settings"]["queues.mail.paused"]
            .is_boolean()
            .then_some(now)
    })
    .await;
    assert_eq!(now["settings"]["delays.queueing"], 0, "{now}");
    assert_eq!(now["settings"]["queues.mail.paused"], false, "{now}");
}
