//! What the store holds of deliveries, and what its absence does to the health that is told.

use crate::harness::{Backend, Folder, notification, until};
use crate::retries::break_relay;
use crate::services::Mongod;
use flowreel_live_backend::load::Http;
use mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use std::cell::RefCell;

#[tokio::test]
async fn a_delivered_notification_has_every_field_and_the_receivers_socket() {
    let Some(server) = Mongod::start().await else {
        return;
    };
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--store", &server.url("fields")]);
    let ada = backend.quiet_user("ada").await;
    let token = ada["sessionToken"].as_str().expect("a token");
    let mut socket = flowreel_live_backend::load::Socket::connect(backend.http.base(), "/")
        .await
        .expect("a socket");
    let own = socket.authenticate(token).await.expect("auth:success");
    backend.buy(&ada).await;
    let news = notification(&mut socket).await;
    backend.queue_has("in-app", "completed", 1).await;
    let told = backend.notifications_of(&ada).await.remove(0);
    assert_eq!(told["socketId"], own["socketId"], "{told}");
    let client = mongodb::Client::with_uri_str(server.url("fields")).await;
    let database = client.expect("it answers").database("fields");
    let stored: Document = database
        .collection("inAppNotifications")
        .find_one(doc! {})
        .await
        .expect("it answers")
        .expect("it is there");
    let text = |key| {
        stored
            .get_str(key)
            .unwrap_or_else(|_| panic!("{key} in {stored}"))
    };
    assert_eq!(text("socketId"), own["socketId"].as_str().unwrap());
    assert_eq!(text("type"), "purchase");
    assert_eq!(text("status"), "delivered");
    assert_eq!(Some(text("title")), news["title"].as_str());
    assert_eq!(Some(text("message")), news["message"].as_str());
    assert_eq!(Some(text("priority")), news["priority"].as_str());
    let recipient = stored.get_document("recipient").expect("a recipient");
    let user: i64 = ada["userId"].as_str().unwrap().parse().unwrap();
    assert_eq!(recipient.get_i64("userId").unwrap(), user);
    assert_eq!(recipient.get_str("username").unwrap(), "ada");
    assert_eq!(recipient.get_str("email").unwrap(), "ada@people.example");
    assert!(stored.contains_key("attempts"), "{stored}");
    assert_eq!(told["attempts"], 1, "{told}");
    let moment = |key| {
        *stored
            .get_datetime(key)
            .unwrap_or_else(|_| panic!("{key} in {stored}"))
    };
    assert!(moment("createdAt") <= moment("deliveredAt"));
    assert!(moment("deliveredAt") < moment("expiresAt"));
}

#[tokio::test]
async fn without_its_store_a_server_is_unhealthy_and_names_it() {
    let Some(mut server) = Mongod::start().await else {
        return;
    };
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--store", &server.url("health")]);
    let url = backend.ready()["urls"]["server-1"].as_str().expect("a URL");
    let first = Http::new(url);
    let health = async || first.get("/api/health", None).await.expect("an answer");
    let (status, body) = health().await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        (&body["status"], &body["server"]),
        (&json!("healthy"), &json!("server-1"))
    );
    assert!(body["uptime_s"].is_number(), "{body}");
    let all_up = json!({"store": "up", "queue": "up", "smtp": "up", "sockets": "up"});
    assert_eq!(body["checks"], all_up);
    server.kill();
    let body = until("the server to be unhealthy", async || {
        let (status, body) = health().await;
        (status == 503).then_some(body)
    })
    .await;
    let store_down = json!({"store": "down", "queue": "up", "smtp": "up", "sockets": "up"});
    assert_eq!(body["checks"], store_down);
    assert_eq!(body["status"], "unhealthy");
    until("the balancer to say so", async || {
        let (status, _) = backend.get("/api/health", None).await;
        (status == 503).then_some(())
    })
    .await;
    server.restart().await;
    until("the server to be healthy again", async || {
        let (status, body) = health().await;
        (status == 200 && body["checks"] == all_up).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_history_is_only_added_to() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--retry-scale", "3000"]);
    break_relay(&backend, "1h").await;
    let ada = backend.quiet_user("ada").await;
    let path = format!(
        "/api/signups/{}/welcome-email-status",
        ada["userId"].as_str().expect("an id")
    );
    let known = RefCell::new(Vec::<Value>::new());
    for round in 1..=3_usize {
        until("the dead letter", async || {
            let told = backend.read(&path).await;
            let history = told["deliveryHistory"].as_array().expect("a list").clone();
            let mut known = known.borrow_mut();
            assert!(history.starts_with(&known), "{known:?} became {history:?}");
            *known = history;
            let failed = known.iter().filter(|entry| entry["status"] == "failed");
            let is_dead = failed.count() >= 3 * round && told["status"] == "failed";
            is_dead.then_some(())
        })
        .await;
        backend.queue_has("dlq", "waiting", 1).await;
        backend.act("/api/queues/dlq/retry-all", &json!({})).await;
    }
    let known = known.into_inner();
    let order: Vec<&str> = known
        .iter()
        .filter_map(|entry| entry["at"].as_str())
        .collect();
    assert_eq!(order.len(), known.len());
    assert!(order.is_sorted(), "{known:?}");
}
