//! The first flow anybody tries: sign up, log in, listen, be told; and the reel that tells it again.

use crate::harness::{Backend, Folder, PATIENCE, count, notification, sound_reel, until};
use bytes::Bytes;
use flowreel_engine::model::event::EventKind;
use flowreel_engine::recording::{StreamDecoder, StreamItem};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

#[tokio::test]
async fn what_people_do_reaches_their_sockets_and_their_mail_and_is_recorded() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &["all"]);
    let ada = backend.user("ada").await;
    let token = ada["sessionToken"].as_str().expect("a token");
    let mut socket = backend.socket(token).await;
    // The login before there was a socket is told once there is one.
    assert_eq!(notification(&mut socket).await["type"], "login");

    backend.log_in("ada").await;
    assert_eq!(notification(&mut socket).await["type"], "login");
    // Each of the two logins makes a mail and a notification, and tells of both.
    until("both ways of both logins", async || {
        let mails = backend.mails();
        let of_logins = mails.iter().filter(|it| it.contains("Subject: New login"));
        let listed = backend.read("/api/logins").await;
        let logins = listed["logins"].as_array().expect("a list");
        let told = |login: &Value, field: &str| login[field]["status"] == "delivered";
        let all_told = logins
            .iter()
            .all(|login| told(login, "loginAlertEmail") && told(login, "loginInAppNotification"));
        (of_logins.count() == 2 && logins.len() == 2 && all_told).then_some(())
    })
    .await;

    let purchase = json!({"item": "Blue lantern", "amount": 12.5, "currency": "EUR"});
    let (status, bought) = backend.post("/api/purchases", &purchase, Some(token)).await;
    assert_eq!(status, 201, "{bought}");
    assert!(bought["purchaseId"].is_string(), "{bought}");
    assert_eq!(notification(&mut socket).await["type"], "purchase");
    until("a mail that names the item", async || {
        let mails = backend.mails();
        mails
            .iter()
            .any(|mail| mail.contains("Blue lantern"))
            .then_some(())
    })
    .await;

    let bob = backend.user("bob").await;
    let body = json!({"toUserId": ada["userId"]});
    let bob_token = bob["sessionToken"].as_str();
    let (status, asked) = backend.post("/api/friend-requests", &body, bob_token).await;
    assert_eq!(status, 201, "{asked}");
    assert_eq!(notification(&mut socket).await["type"], "friend_request");

    let bought_id = bought["requestId"].as_str().expect("an id");
    let journey = until("the purchase to be over", async || {
        let journey = backend.journey(bought_id).await;
        (journey["request"]["status"] == "completed").then_some(journey)
    })
    .await;
    let stages = journey["request"]["stages"].as_array().expect("a list");
    let seen: Vec<_> = stages
        .iter()
        .filter_map(|stage| stage["stage"].as_str())
        .collect();
    for stage in [
        "load_balancer",
        "server",
        "database",
        "mail_queue",
        "inapp_queue",
        "client_delivery",
    ] {
        assert!(seen.contains(&stage), "{stage} in {seen:?}");
    }
    let status = backend.status().await;
    assert_eq!(status["components"].as_array().map(Vec::len), Some(16));
    assert_eq!(status["recording"]["anomalies"], 0, "{status}");
    assert_eq!(status["recording"]["dropped"], 0, "{status}");
    socket.close().await;

    let reel = backend.stop();
    let events = sound_reel(&reel);
    assert_eq!(count(&events, EventKind::RequestBegun), 7);
    assert!(count(&events, EventKind::InAppAcknowledged) >= 4);
}

#[tokio::test]
async fn a_follower_sees_the_run_grow_and_gets_the_reel_to_its_last_byte() {
    let folder = Folder::new();
    let running = Backend::start(folder.path(), &[]);
    let request = Request::get(format!("{}/api/live-view/reel", running.http.base()))
        .header("authorization", format!("Bearer {}", running.admin_token))
        .body(Empty::<Bytes>::new())
        .expect("a request");
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    running.user("ada").await;
    let mut backend = Some(running);

    let mut decoder = StreamDecoder::new().expect("memory");
    let mut followed = Vec::new();
    let mut begun_count = 0;
    let mut stopping = None;
    // The run is stopped once its requests were seen, so that this is no reading of a finished file.
    while let Some(frame) = tokio::time::timeout(PATIENCE, body.frame())
        .await
        .expect("a sign")
    {
        let chunk = frame.expect("a body").into_data().expect("data only");
        followed.extend_from_slice(&chunk);
        decoder.feed(&chunk);
        while let Some(item) = decoder.next_item().expect("a sound reel") {
            if let StreamItem::Events(events) = item {
                begun_count += count(events, EventKind::RequestBegun);
            }
        }
        if begun_count == 2
            && let Some(mut backend) = backend.take()
        {
            stopping = Some(tokio::task::spawn_blocking(move || backend.stop()));
        }
    }
    assert!(decoder.is_complete(), "the reel's end came");
    let reel = stopping
        .expect("both requests were seen")
        .await
        .expect("no panic");
    let bytes = std::fs::read(&reel).expect("a reel");
    assert!(
        followed == bytes,
        "{} bytes followed, {} written",
        followed.len(),
        bytes.len()
    );
}
