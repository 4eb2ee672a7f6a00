//! Every role a process, on Redis and MongoDB: one story that needs all of them, and what they keep in Redis.
//!
//! Belongs here: what holds between processes. Does not belong here: kills and restarts (roles, roles_kills).

use crate::harness::{event, notification, until};
use crate::raw::{exchange, request};
use crate::redis_queues::ask;
use crate::roles::{System, log_in, sign_up, socket_at};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread")]
async fn one_story_takes_every_process_both_channels_and_the_rooms_of_all_servers() {
    let Some(system) = System::start(&[]).await else {
        return;
    };
    let balancer = system.balancer();
    // Pages of both origins may ask.
    for origin in ["http://localhost:3000", "http://localhost:3003"] {
        let headers = format!("origin: {origin}\r\naccess-control-request-method: POST\r\n");
        let asked = request("OPTIONS /api/logins", &headers, "");
        let answer = exchange(balancer.base(), asked).await;
        let allowed = format!("access-control-allow-origin: {origin}\r\n");
        assert!(answer.contains(&allowed), "{answer}");
    }
    sign_up(&balancer, "ada").await;
    let token = log_in(&balancer, "ada").await;
    // One socket that the balancer keeps where it put it, and one at each server.
    let mut sockets = vec![socket_at(balancer.base(), &token).await];
    let told = notification(&mut sockets[0]).await;
    assert_eq!(told["type"], "login");
    for index in 1..=3 {
        sockets.push(socket_at(&system.server_url(index), &token).await);
    }
    let admin = Some(system.admin_token());
    until("four connections", async || {
        let (_, status) = balancer.get("/api/live-view/status", admin).await.ok()?;
        (status["websocket"]["totalConnections"] == 4).then_some(())
    })
    .await;

    log_in(&balancer, "ada").await;
    let mut heard = BTreeSet::new();
    for socket in &mut sockets {
        let id = loop {
            let news = event(socket, "notification:new").await;
            if news["id"] != told["id"] {
                break news["id"].clone();
            }
        };
        let ack = json!({"id": id});
        socket
            .emit("notification:ack", &ack)
            .await
            .expect("a socket");
        heard.insert(id.to_string());
    }
    assert_eq!(heard.len(), 1, "the same in the user's room everywhere");
    let logins = until("both channels of both logins", async || {
        let (_, logins) = balancer.get("/api/logins", Some(&token)).await.ok()?;
        let rows = logins["logins"].as_array()?;
        let is_told = |row: &Value| {
            row["loginAlertEmail"]["status"] == "delivered"
                && row["loginInAppNotification"]["status"] == "delivered"
        };
        (rows.len() == 2 && rows.iter().all(is_told)).then_some(logins)
    })
    .await;
    assert_eq!(logins["total"], 2, "{logins}");

    let news = json!({"type": "login", "title": "Maintenance", "message": "Back at noon"});
    let second = flowreel_live_backend::load::Http::new(&system.server_url(2));
    let sent = second.post("/api/notifications/broadcast", &news, admin);
    let (status, accepted) = sent.await.expect("an answer");
    assert_eq!(status, 202, "{accepted}");
    for socket in &mut sockets {
        let heard = event(socket, "notification:broadcast").await;
        assert_eq!(heard["id"], accepted["notificationId"]);
    }
    // Queues lie in Redis, and rooms are kept in step over it.
    let redis = system.redis().connection().await;
    for queue in ["mail", "in-app"] {
        until("finished jobs of both queues", async || {
            let key = format!("bull:{queue}:completed");
            let kind: String = ask(&mut redis.clone(), &["TYPE", &key]).await;
            (kind == "zset").then_some(())
        })
        .await;
    }
    let channels: Vec<String> = ask(&mut redis.clone(), &["PUBSUB", "CHANNELS"]).await;
    let is_rooms = |channel: &String| channel.starts_with("flowreel:socket.io");
    assert!(channels.iter().any(is_rooms), "{channels:?}");
}
