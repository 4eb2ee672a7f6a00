//! Sockets that ask too much, too long, too loud, or under false names; and what each event answers.

use crate::harness::{Backend, Folder, PATIENCE, event, notification};
use flowreel_live_backend::load::{Socket, SocketError, SocketEvent};
use serde_json::{Value, json};

/// Everything until the server ends the socket.
async fn until_closed(socket: &mut Socket) -> Vec<SocketEvent> {
    let mut heard = Vec::new();
    let listening = async {
        loop {
            match socket.next_event().await {
                Ok(event) => heard.push(event),
                Err(SocketError::Closed { .. } | SocketError::Broken { .. }) => return,
                Err(other) => panic!("{other}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, listening)
        .await
        .expect("the server closes it");
    heard
}

#[tokio::test]
async fn a_flood_of_messages_is_answered_with_an_error_and_ends_the_connection() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let ada = backend.user("ada").await;
    let mut calm = backend.socket(ada["sessionToken"].as_str().unwrap()).await;
    for event in ["ping", "no-such-event"] {
        let mut flood = Socket::connect(backend.http.base(), "/")
            .await
            .expect("a socket");
        for _ in 0..400 {
            if flood.emit(event, &json!({})).await.is_err() {
                break;
            }
        }
        let heard = until_closed(&mut flood).await;
        let limited = heard
            .iter()
            .filter(|one| one.name == "error" && one.data["code"] == "rate_limited");
        assert!(limited.count() >= 1, "{heard:?}");
        let answers = heard
            .iter()
            .filter(|one| one.data["code"] != "rate_limited")
            .count();
        assert!((100..250).contains(&answers), "{answers} answers");
    }
    calm.emit("ping", &json!({})).await.unwrap();
    event(&mut calm, "pong").await;
}

#[tokio::test]
async fn a_frame_of_more_than_64_kib_ends_the_connection() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let mut socket = Socket::connect(backend.http.base(), "/")
        .await
        .expect("a socket");
    socket
        .emit("ping", &json!({"pad": "x".repeat(60 << 10)}))
        .await
        .unwrap();
    event(&mut socket, "pong").await;
    drop(
        socket
            .emit("ping", &json!({"pad": "x".repeat(80 << 10)}))
            .await,
    );
    let heard = until_closed(&mut socket).await;
    assert!(heard.iter().all(|one| one.name != "pong"), "{heard:?}");
}

#[tokio::test]
async fn a_socket_that_never_authenticates_hears_nothing_and_is_closed() {
    let folder = Folder::new();
    std::fs::write(folder.path().join(".env"), "WS_AUTH_TIMEOUT=1500\n").unwrap();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let ada = backend.user("ada").await;
    let mut known = backend.socket(ada["sessionToken"].as_str().unwrap()).await;
    let mut unknown = Socket::connect(backend.http.base(), "/")
        .await
        .expect("a socket");
    unknown
        .emit("notification:ack", &json!({"id": "x"}))
        .await
        .unwrap();
    unknown
        .emit("notification:markRead", &json!(["x"]))
        .await
        .unwrap();
    backend.log_in("ada").await;
    notification(&mut known).await;
    let heard = until_closed(&mut unknown).await;
    let names: Vec<&str> = heard.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["auth:error"], "{heard:?}");
    assert_eq!(heard[0].data["code"], "auth_timeout");
    known.emit("ping", &json!({})).await.unwrap();
    event(&mut known, "pong").await;
}

#[tokio::test]
async fn namespaces_that_do_not_exist_refuse_the_connection() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let refused = Socket::connect(backend.http.base(), "/admin")
        .await
        .unwrap_err();
    assert!(matches!(refused, SocketError::Refused { .. }), "{refused}");
}

#[tokio::test]
async fn a_bad_token_is_told_with_code_and_message() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let ada = backend.user("ada").await;
    for data in [
        json!({"token": "x"}),
        json!({"token": ada["refreshToken"]}),
        json!({"token": backend.admin_token}),
        json!({"token": 5}),
        json!({}),
        Value::Null,
        json!([["deep"]]),
    ] {
        let mut socket = Socket::connect(backend.http.base(), "/")
            .await
            .expect("a socket");
        socket.emit("authenticate", &data).await.unwrap();
        let error = event(&mut socket, "auth:error").await;
        assert_eq!(error["code"], "unauthorized", "{data}");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{error}"
        );
    }
}

#[tokio::test]
async fn marking_read_confirms_exactly_the_own_ids_and_acks_may_come_twice() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let (ada, eve) = (backend.user("ada").await, backend.user("eve").await);
    let mut socket = backend.socket(ada["sessionToken"].as_str().unwrap()).await;
    let mut other = backend.socket(eve["sessionToken"].as_str().unwrap()).await;
    let (own, foreign) = (
        notification(&mut socket).await,
        notification(&mut other).await,
    );
    let foreign_id = foreign["id"].clone();
    for id in [&own["id"], &own["id"], &foreign_id, &json!("unknown")] {
        socket
            .emit("notification:ack", &json!({ "id": id }))
            .await
            .unwrap();
    }
    let ids = json!({"notificationIds": [own["id"], foreign["id"], "unknown", own["id"]]});
    socket.emit("notification:markRead", &ids).await.unwrap();
    let marked = event(&mut socket, "notifications:markedRead").await;
    assert_eq!(marked["notificationIds"], json!([own["id"]]));
    assert_eq!(marked["count"], 1);
    // What the other is told reaches the other alone.
    backend.log_in("eve").await;
    assert_eq!(notification(&mut other).await["type"], "login");
    socket.emit("ping", &json!({})).await.unwrap();
    let next = socket.next_event().await.unwrap();
    assert_eq!(next.name, "pong", "{next:?}");
    assert!(!next.data["timestamp"].is_null(), "{next:?}");
    let path = format!("/api/notifications/{}", eve["userId"].as_str().unwrap());
    let listed = backend
        .http
        .get(&path, eve["sessionToken"].as_str())
        .await
        .unwrap()
        .1;
    let foreign = listed["notifications"].as_array().unwrap().iter();
    let foreign = foreign.filter(|one| one["id"] == foreign_id);
    assert!(
        foreign.clone().all(|one| one["readAt"].is_null()),
        "{listed}"
    );
    let deliveries = foreign.flat_map(|one| one["deliveryHistory"].as_array().unwrap());
    assert_eq!(
        deliveries
            .filter(|one| one["status"] == "delivered")
            .count(),
        1,
        "{listed}"
    );
}

#[tokio::test]
async fn logging_out_closes_the_users_sockets() {
    use crate::raw::{exchange, request};
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let (ada, eve) = (backend.user("ada").await, backend.user("eve").await);
    let mut gone = backend.socket(ada["sessionToken"].as_str().unwrap()).await;
    let mut stays = backend.socket(eve["sessionToken"].as_str().unwrap()).await;
    let line = format!("DELETE /api/session/{}", ada["userId"].as_str().unwrap());
    let by = format!(
        "authorization: Bearer {}\r\n",
        ada["sessionToken"].as_str().unwrap()
    );
    let answer = exchange(backend.http.base(), request(&line, &by, "")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let heard = until_closed(&mut gone).await;
    let last = heard.last().expect("it is told why");
    assert_eq!(
        (last.name.as_str(), &last.data["code"]),
        ("auth:error", &json!("session_ended"))
    );
    stays.emit("ping", &json!({})).await.unwrap();
    event(&mut stays, "pong").await;
}
