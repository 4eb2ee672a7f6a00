//! News for everybody: whoever has proved who they are hears it, on whichever server.

use crate::harness::{Backend, Folder, event};
use flowreel_live_backend::load::Socket;
use serde_json::json;

#[tokio::test]
async fn a_broadcast_reaches_the_sockets_of_every_server_and_nobody_unknown() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    let ada = backend.user("ada").await;
    let token = ada["sessionToken"].as_str().expect("a token");
    let mut known = Vec::new();
    for server in ["server-1", "server-2", "server-3"] {
        let url = backend.ready()["urls"][server].as_str().expect("a URL");
        let mut socket = Socket::connect(url, "/").await.expect("a socket");
        socket.authenticate(token).await.expect("auth:success");
        known.push(socket);
    }
    let first = backend.ready()["urls"]["server-1"].as_str().expect("a URL");
    let mut unknown = Socket::connect(first, "/").await.expect("a socket");

    let news = json!({"type": "login", "title": "Maintenance", "message": "Back at noon"});
    let path = "/api/notifications/broadcast";
    let (status, refused) = backend.post(path, &news, Some(token)).await;
    assert_eq!(status, 403, "{refused}");
    let admin = Some(backend.admin_token.as_str());
    let (status, accepted) = backend.post(path, &news, admin).await;
    assert_eq!(status, 202, "{accepted}");
    for socket in &mut known {
        let heard = event(socket, "notification:broadcast").await;
        assert_eq!(heard["title"], "Maintenance");
        assert_eq!(heard["id"], accepted["notificationId"]);
    }
    // What it hears next is the answer to its own ping, so nothing was sent before.
    unknown.emit("ping", &json!({})).await.expect("a socket");
    let next = unknown.next_event().await.expect("a socket");
    assert_eq!(next.name, "pong");

    let wrong = json!({"type": "party", "title": "t", "message": "m"});
    let (status, refused) = backend.post(path, &wrong, admin).await;
    assert_eq!((status, &refused["error"]["field"]), (400, &json!("type")));
}
