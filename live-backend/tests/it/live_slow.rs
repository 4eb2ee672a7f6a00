//! A client of the live view that does not read: it misses whole batches, learns how much, and nobody else
//! is any the slower.

use crate::harness::{Backend, Folder, PATIENCE, until};
use bytes::Bytes;
use flowreel_live_backend::load::Socket;
use futures_util::{SinkExt, StreamExt};
use hyper::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Little, since what the system holds for a client counts as sent; less than a packet of the loopback
/// would make it crawl.
const RECEIVE_BYTES: u32 = 128 * 1024;

type Raw = WebSocketStream<TcpStream>;

/// What the backend may take more for the run itself, its journeys and what it holds for one slow client.
const GROWTH_MIB_MAX: u64 = 100;
/// Enough for megabytes of events, more than the system and the backend hold for one client.
const REQUESTS: u64 = 2000;
/// Between two of them where somebody must keep up: what one core of a busy machine reads beside the rest.
const PACE_MS: u64 = 2;

/// A raw client of `/live-view` with a small window.
async fn raw(url: &str, token: &str) -> Raw {
    let authority = url.strip_prefix("http://").expect("an address");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(RECEIVE_BYTES).expect("a size");
    let address = authority.parse().expect("an address");
    let stream = socket.connect(address).await.expect("a listener");
    let request = format!("ws://{authority}/socket.io/?EIO=4&transport=websocket");
    let (mut raw, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .expect("a WebSocket");
    let auth = format!("40/live-view,{}", json!({ "token": token }));
    raw.send(Message::text(auth)).await.expect("it takes it");
    raw
}

/// The next event; pings are answered.
async fn next(raw: &mut Raw) -> (String, Value) {
    loop {
        let message = raw.next().await.expect("it is open").expect("it is sound");
        let text = message.into_text().expect("a text");
        if text.as_str() == "2" {
            raw.send(Message::text("3")).await.expect("it takes it");
        }
        if let Some(list) = text.as_str().strip_prefix("42/live-view,") {
            let list: Value = serde_json::from_str(list).expect("JSON");
            return (
                list[0].as_str().expect("a name").to_owned(),
                list[1].clone(),
            );
        }
    }
}

/// Reads until the namespace is closed to it; the answer is the names of what came.
async fn read_to_the_end(raw: &mut Raw) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let message = raw.next().await.expect("it is open").expect("it is sound");
        let text = message.into_text().expect("a text");
        if text.as_str() == "2" {
            raw.send(Message::text("3")).await.expect("it takes it");
        }
        if text.as_str().starts_with("41/live-view") {
            return names;
        }
        if let Some(list) = text.as_str().strip_prefix("42/live-view,") {
            let list: Value = serde_json::from_str(list).expect("JSON");
            names.push(list[0].as_str().expect("a name").to_owned());
        }
    }
}

/// Resident memory of the backend in MiB.
fn memory_mib(backend: &Backend) -> u64 {
    let path = format!("/proc/{}/status", backend.process_id());
    let text = std::fs::read_to_string(path).expect("it runs on Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.map(|kib: u64| kib / 1024).expect("a number")
}

async fn simulate(backend: &Backend, count: u64, interval_ms: u64) {
    let asked = json!({"type": "purchase", "count": count, "interval": interval_ms});
    let token = Some(backend.admin_token.as_str());
    let (status, answer) = backend.post("/api/live-view/simulate", &asked, token).await;
    assert_eq!(status, 202, "{answer}");
}

#[tokio::test]
async fn a_slow_client_whose_session_ends_is_put_out_all_the_same() {
    is_put_out_at("server-1").await;
}

#[tokio::test]
async fn so_it_is_at_every_server_of_the_process() {
    is_put_out_at("server-3").await;
}

/// A client of this server that does not read, and whose session ends, hears little of what it was not sent.
async fn is_put_out_at(server: &str) {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &["--record", "off"]);
    let ada = backend.user("ada").await;
    let id = ada["userId"].as_str().expect("an id");
    let body = Bytes::from_static(br#"{"role":"admin"}"#);
    let token = Some(backend.admin_token.as_str());
    let path = format!("/api/users/{id}/role");
    let made = backend.http.send(Method::PUT, &path, body, token).await;
    assert_eq!(made.expect("an answer").0, 200);
    let ada = backend.log_in("ada").await;
    let url = backend.ready()["urls"][server]
        .as_str()
        .expect("a URL")
        .to_owned();
    let token = ada["sessionToken"].as_str().expect("a token");
    let mut slow = raw(&url, token).await;
    assert_eq!(next(&mut slow).await.0, "system:status");
    simulate(&backend, REQUESTS, 0).await;
    until("them all", async || {
        let begun = backend.status().await["requests"]["started"].as_u64();
        (begun >= Some(REQUESTS)).then_some(())
    })
    .await;
    let (status, answer) = backend
        .http
        .send(
            Method::DELETE,
            &format!("/api/session/{id}"),
            Bytes::new(),
            Some(token),
        )
        .await
        .expect("an answer");
    assert_eq!(status, 200, "{answer}");
    let reading = tokio::time::timeout(PATIENCE, read_to_the_end(&mut slow)).await;
    let names = reading.expect("it is put out");
    assert!(names.len() > 1, "{names:?}");
    // All had begun by then, and most of them were nothing it had been sent.
    let told = names.iter().filter(|name| *name == "request:new").count() as u64;
    assert!(told < REQUESTS / 2, "it kept up: {told}");
    backend.kill();
}

#[tokio::test]
async fn a_client_that_does_not_read_misses_batches_and_holds_nobody_up() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let url = backend.ready()["urls"]["server-1"]
        .as_str()
        .expect("a URL")
        .to_owned();
    let mut slow = raw(&url, &backend.admin_token).await;
    let (name, data) = next(&mut slow).await;
    assert_eq!(name, "system:status");
    let mut due = data["seq"].as_u64().expect("a number") + 1;

    let mut quick = Socket::connect(&url, "/live-view").await.expect("a socket");
    quick
        .authenticate(&backend.admin_token)
        .await
        .expect("admitted");
    let before_mib = memory_mib(&backend);
    simulate(&backend, REQUESTS, PACE_MS).await;
    let (mut begun, mut heard, mut last) = (0, 0_u64, 0);
    let hearing = async {
        while begun < REQUESTS {
            let event = quick.next_event().await.expect("a socket");
            assert_ne!(event.name, "events:missed", "{}", event.data);
            let seq = event.data["seq"].as_u64().expect("a number");
            assert!(last == 0 || seq == last + 1, "{seq} after {last}");
            last = seq;
            heard += 1;
            begun += u64::from(event.name == "request:new");
        }
    };
    tokio::time::timeout(PATIENCE, hearing)
        .await
        .expect("the quick one hears on");
    let grown_mib = memory_mib(&backend).saturating_sub(before_mib);
    assert!(grown_mib <= GROWTH_MIB_MAX, "{grown_mib} MiB more");

    // Now the slow one reads again: every hole in the numbers is told, and nothing else is missing.
    let mut missed_count = 0;
    let reading = async {
        while due <= last {
            let (name, data) = next(&mut slow).await;
            let seq = data["seq"].as_u64().expect("a number");
            if name == "events:missed" {
                let (from, to) = (data["fromSeq"].as_u64(), data["toSeq"].as_u64());
                assert_eq!((from, to), (Some(due), Some(seq)), "{data}");
                assert_eq!(data["count"].as_u64(), Some(seq - due + 1), "{data}");
                missed_count += seq - due + 1;
            } else {
                assert_eq!(seq, due, "{name}");
            }
            due = seq + 1;
        }
    };
    tokio::time::timeout(PATIENCE + Duration::from_secs(20), reading)
        .await
        .expect("the slow one hears again");
    assert!(
        missed_count > 0,
        "all {heard} events were kept for a client that did not read"
    );
    backend.stop();
}
