//! What the live view says when parts go down and come back: the system's word, components, their figures.

use crate::harness::{Backend, Folder, PATIENCE, until};
use flowreel_live_backend::load::{Socket, SocketEvent};
use serde_json::{Value, json};
use std::collections::BTreeMap;

async fn watcher(backend: &Backend, events: &[&str]) -> Socket {
    // Not by the balancer: a server that goes down cuts its sockets.
    let url = backend.ready()["urls"]["server-1"].as_str();
    let url = url.expect("a URL");
    let mut socket = Socket::connect(url, "/live-view").await.expect("a socket");
    let admitted = socket.authenticate(&backend.admin_token).await;
    admitted.expect("admitted");
    let names = json!(events);
    socket.emit("subscribe", &names).await.expect("a socket");
    socket
}

/// Hears on until an event is the wanted one.
async fn heard(socket: &mut Socket, what: &str, is_it: impl Fn(&SocketEvent) -> bool) -> Value {
    let waiting = async {
        loop {
            let event = socket.next_event().await.expect("a socket");
            if is_it(&event) {
                return event.data;
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, waiting).await;
    found.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

async fn control(backend: &Backend, command: &Value) -> Value {
    let token = Some(backend.admin_token.as_str());
    let (status, answer) = backend.post("/api/live-view/control", command, token).await;
    assert_eq!(status, 200, "{command}: {answer}");
    answer
}

#[tokio::test]
async fn a_server_that_stops_and_comes_back_is_told_with_the_systems_word() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    until("a well system", async || {
        let status = backend.status().await;
        (status["metrics"]["systemStatus"] == "healthy").then_some(())
    })
    .await;
    let mut socket = watcher(&backend, &["system:status", "component:status"]).await;
    let down = json!({"fault": {"target": "server-2", "kind": "down"}});
    let begun = control(&backend, &down).await;
    for is_well in [false, true] {
        if is_well {
            control(&backend, &json!({"end": begun["fault"]["id"]})).await;
        }
        let word = if is_well { "healthy" } else { "degraded" };
        let (mut component, mut system) = (None, None);
        while component.is_none() || system.is_none() {
            let data = heard(&mut socket, word, |event| match event.name.as_str() {
                "component:status" => {
                    event.data["component"] == "server-2" && event.data["healthy"] == is_well
                }
                "system:status" => event.data["status"] == word,
                _ => false,
            })
            .await;
            if data["component"].is_string() {
                component = Some(data);
            } else {
                system = Some(data);
            }
        }
        let component = component.expect("it was told");
        let system = system.expect("it was told");
        assert!(component["status"].is_string() && component["timestamp"].is_u64());
        assert!(system["timestamp"].is_u64(), "{system}");
        let parts = system["components"].as_array().expect("a list");
        let server = parts.iter().find(|part| part["id"] == "server-2");
        assert_eq!(server.expect("it is there")["healthy"], is_well, "{system}");
        let status = backend.status().await;
        let servers = status["loadBalancer"]["servers"].as_array().expect("three");
        let server = servers.iter().find(|server| server["id"] == "server-2");
        assert_eq!(server.expect("it is there")["healthy"], is_well, "{status}");
    }
}

#[tokio::test]
async fn a_stopped_balancer_is_inactive_within_two_seconds() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    assert_eq!(backend.status().await["loadBalancer"]["status"], "active");
    let down = json!({"fault": {"target": "balancer", "kind": "down"}});
    let begun = control(&backend, &down).await;
    let began = tokio::time::Instant::now();
    for (word, end) in [("inactive", true), ("active", false)] {
        until(word, async || {
            let status = backend.status().await;
            (status["loadBalancer"]["status"] == word).then_some(())
        })
        .await;
        if end {
            assert!(began.elapsed().as_secs_f64() <= 2.0);
            control(&backend, &json!({"end": begun["fault"]["id"]})).await;
        }
    }
}

#[tokio::test]
async fn figures_of_a_component_are_told_once_a_second_and_only_when_they_changed() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let mut socket = watcher(&backend, &["component:metrics"]).await;
    let load = json!({"set": {"load.rate_per_s": 20, "load.enabled": true}});
    control(&backend, &load).await;
    let mut told = BTreeMap::<String, Vec<(u64, Value)>>::new();
    let listening = async {
        loop {
            let SocketEvent { name, data } = socket.next_event().await.expect("a socket");
            if name != "component:metrics" {
                // Told before it subscribed.
                continue;
            }
            let component = data["component"].as_str().expect("a name").to_owned();
            let at = data["timestamp"].as_u64().expect("a time");
            let all = told.entry(component).or_default();
            all.push((at, data["metrics"].clone()));
            if told.get("database").is_some_and(|all| all.len() >= 6) {
                return;
            }
        }
    };
    let listened = tokio::time::timeout(PATIENCE, listening).await;
    listened.expect("six seconds of the database's figures");
    for busy in ["database", "balancer", "server-1", "mail", "websocket"] {
        assert!(told.contains_key(busy), "{busy} in {:?}", told.keys());
    }
    for (component, all) in &told {
        for pair in all.windows(2) {
            let [(before, was), (after, is)] = pair else {
                unreachable!("windows of two")
            };
            // A look is due every 500 ms, so two told a second apart may be some ms closer.
            assert!(after - before >= 900, "{component}: {before} and {after}");
            assert_ne!(was, is, "{component} told twice the same");
        }
    }
    let database = &told["database"];
    let (first, last) = (database[0].0, database[5].0);
    // Every look finds something new there: once a second, give or take a loaded machine.
    assert!(last - first <= 5 * 2000, "six in {} ms", last - first);
}

async fn is_closed(mut socket: Socket) {
    let closing = async { while socket.next_event().await.is_ok() {} };
    let closed = tokio::time::timeout(PATIENCE, closing).await;
    closed.expect("the socket is cut");
}

#[tokio::test]
async fn a_cut_server_drops_its_sockets_of_both_namespaces_and_nobody_elses() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let user = backend.user("ada").await;
    let token = user["sessionToken"].as_str().expect("a token");
    let mut all = Vec::new();
    for server in ["server-1", "server-2"] {
        let url = backend.ready()["urls"][server].as_str().expect("a URL");
        for (namespace, token) in [("/", token), ("/live-view", &backend.admin_token)] {
            let mut socket = Socket::connect(url, namespace).await.expect("a socket");
            socket.authenticate(token).await.expect("admitted");
            all.push(socket);
        }
    }
    let cut = json!({"fault": {"target": "server-2", "kind": "disconnect", "for": "100ms"}});
    control(&backend, &cut).await;
    for socket in all.split_off(2) {
        is_closed(socket).await;
    }
    let [mut own, mut watching] = <[Socket; 2]>::try_from(all).expect("two are left");
    own.emit("ping", &json!({})).await.expect("a socket");
    heard(&mut own, "pong", |event| event.name == "pong").await;
    let header = |event: &SocketEvent| event.name == "system:metrics";
    heard(&mut watching, "a header", header).await;
}
