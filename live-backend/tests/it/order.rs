//! What one user is told comes in the order in which it was accepted, and at once.
//!
//! Belongs here: order without kills. Does not belong here: kills (`roles_kills`).

use crate::harness::{Backend, Folder, event, sound_reel, until};
use crate::redis_queues::ask;
use crate::services::Redis;
use flowreel_live_backend::load::Socket;
use serde_json::{Value, json};
use std::time::Duration;

/// Less than a worker waits for a confirmation.
const AT_ONCE: Duration = Duration::from_secs(4);

async fn buy(backend: &Backend, token: &str, item: &str) {
    let body = json!({"item": item, "amount": 1.5, "currency": "EUR"});
    let (status, answer) = backend.post("/api/purchases", &body, Some(token)).await;
    assert_eq!(status, 201, "{answer}");
}

/// The next purchase that is told of, not confirmed.
async fn told(socket: &mut Socket) -> Value {
    loop {
        let news = event(socket, "notification:new").await;
        if news["type"] == "purchase" {
            return news;
        }
    }
}

async fn hears_of(socket: &mut Socket, item: &str) {
    let news = told(socket).await;
    assert!(news["message"].to_string().contains(item), "{item}: {news}");
    let id = json!({"id": news["id"]});
    socket
        .emit("notification:ack", &id)
        .await
        .expect("a socket");
}

async fn operate(backend: &Backend, queue: &str, what: &str) {
    let path = format!("/api/queues/{queue}/{what}");
    let token = Some(backend.admin_token.as_str());
    let (status, answer) = backend.post(&path, &json!({}), token).await;
    assert_eq!(status, 200, "{answer}");
}

async fn logins_are_told(backend: &Backend) {
    until("the logins to be told", async || {
        let admin = Some(backend.admin_token.as_str());
        let (_, queue) = backend.get("/api/queues/in-app", admin).await;
        let is_over = queue["waiting"] == 0 && queue["active"] == 0;
        is_over.then_some(())
    })
    .await;
}

/// The one in-app job that waits is gone from Redis.
async fn loses_what_waits(redis: &Redis) {
    let mut connection = redis.connection().await;
    let waiting = ["ZRANGE", "bull:in-app:prioritized", "0", "-1"];
    let ids: Vec<String> = ask(&mut connection, &waiting).await;
    let [id] = ids.as_slice() else {
        panic!("one job waits: {ids:?}")
    };
    let removed: u64 = ask(&mut connection, &["ZREM", "bull:in-app:prioritized", id]).await;
    assert_eq!(removed, 1);
    let removed: u64 = ask(&mut connection, &["DEL", &format!("bull:in-app:{id}")]).await;
    assert_eq!(removed, 1);
}

/// Runs a check on embedded queues and on Redis.
async fn on_both(check: impl AsyncFn(Backend)) {
    let folder = Folder::new();
    check(Backend::start(folder.path(), &[])).await;
    if let Some(redis) = Redis::start().await {
        let folder = Folder::new();
        check(Backend::start(folder.path(), &["--queue", &redis.url()])).await;
    }
}

#[tokio::test]
async fn a_client_that_never_confirms_hears_each_notification_at_once_and_in_order() {
    on_both(async |backend| {
        let token = backend.user("ada").await["sessionToken"].clone();
        let token = token.as_str().expect("a token");
        let mut socket = backend.socket(token).await;
        for number in 0..5 {
            buy(&backend, token, &format!("lantern {number}")).await;
        }
        let all = async {
            for number in 0..5 {
                let news = told(&mut socket).await;
                let item = format!("lantern {number}");
                assert!(
                    news["message"].to_string().contains(&item),
                    "{item}: {news}"
                );
            }
        };
        let heard = tokio::time::timeout(AT_ONCE, all).await;
        assert!(heard.is_ok(), "one waited for the confirmation of another");
    })
    .await;
}

#[tokio::test]
async fn what_a_user_missed_comes_in_order_and_no_other_waits_for_what_an_operator_keeps() {
    on_both(async |backend| {
        let token = backend.user("ada").await["sessionToken"].clone();
        let token = token.as_str().expect("a token");
        for item in ["lantern 1", "lantern 2", "lantern 3"] {
            buy(&backend, token, item).await;
        }
        until("all that was missed to rest", async || {
            let admin = Some(backend.admin_token.as_str());
            let (_, queue) = backend.get("/api/queues/in-app-retry", admin).await;
            // The login's is the fourth.
            (queue["delayed"] == 4).then_some(())
        })
        .await;
        operate(&backend, "in-app-retry", "pause").await;
        let mut socket = backend.socket(token).await;
        buy(&backend, token, "lantern 4").await;
        hears_of(&mut socket, "lantern 4").await;
        operate(&backend, "in-app-retry", "resume").await;
        drop(socket);
        let mut socket = backend.socket(token).await;
        for item in ["lantern 1", "lantern 2", "lantern 3"] {
            hears_of(&mut socket, item).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_gap_in_redis_lets_no_later_notification_pass_and_holds_up_nobody_else() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &["--queue", &redis.url()]);
    let (ada, bea) = (backend.user("ada").await, backend.user("bea").await);
    let [ada, bea] = [&ada, &bea].map(|it| it["sessionToken"].as_str().expect("a token"));
    let (mut adas, mut beas) = (backend.socket(ada).await, backend.socket(bea).await);
    logins_are_told(&backend).await;
    operate(&backend, "in-app", "pause").await;
    buy(&backend, ada, "lantern 1").await;
    loses_what_waits(&redis).await;
    for item in ["lantern 2", "lantern 3"] {
        buy(&backend, ada, item).await;
    }
    buy(&backend, bea, "lantern 9").await;
    operate(&backend, "in-app", "resume").await;
    hears_of(&mut beas, "lantern 9").await;
    // What Redis had lost is found by a look at the store, some seconds later.
    let (_, listed) = backend
        .get("/api/queues/in-app", Some(&backend.admin_token))
        .await;
    let held = listed["waiting"].as_u64().zip(listed["delayed"].as_u64());
    let active = listed["active"].as_u64().expect("a number");
    let (waiting, delayed) = held.expect("numbers");
    assert!(waiting + delayed + active >= 2, "{listed}");
    for item in ["lantern 1", "lantern 2", "lantern 3"] {
        hears_of(&mut adas, item).await;
    }
    drop((adas, beas));
    // That jobs went back is nowhere in the recording.
    sound_reel(&backend.stop());
}

#[tokio::test]
async fn those_before_their_turn_take_no_starts_from_others() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let folder = Folder::new();
    let rate = [("INAPP_QUEUE_RATE", "1")];
    let backend = Backend::start_with(folder.path(), &["--queue", &redis.url()], &rate);
    let (ada, bea) = (backend.user("ada").await, backend.user("bea").await);
    let [ada, bea] = [&ada, &bea].map(|it| it["sessionToken"].as_str().expect("a token"));
    let (_adas, mut beas) = (backend.socket(ada).await, backend.socket(bea).await);
    logins_are_told(&backend).await;
    operate(&backend, "in-app", "pause").await;
    buy(&backend, ada, "lantern 1").await;
    loses_what_waits(&redis).await;
    // At one start a second each of these would hold up the last one for a second.
    for number in 2..20 {
        buy(&backend, ada, &format!("lantern {number}")).await;
    }
    buy(&backend, bea, "lantern 20").await;
    operate(&backend, "in-app", "resume").await;
    let heard = tokio::time::timeout(AT_ONCE, hears_of(&mut beas, "lantern 20")).await;
    assert!(heard.is_ok(), "it waited for those that may not be told");
}
