//! Control of the running system: settings that change at once, faults that are real, generated load.

use crate::harness::{Backend, Folder, PATIENCE, count, notification, sound_reel, until};
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_live_backend::load::Http;
use serde_json::{Value, json};

async fn control(backend: &Backend, command: &Value) -> (u16, Value) {
    let token = Some(backend.admin_token.as_str());
    backend.post("/api/live-view/control", command, token).await
}

async fn applied(backend: &Backend, command: &Value) -> Value {
    let (status, answer) = control(backend, command).await;
    assert_eq!(status, 200, "{command}: {answer}");
    answer
}

fn controls(events: &[StageEvent]) -> Vec<&StageEvent> {
    let is_control = |event: &&StageEvent| event.kind == EventKind::ControlApplied;
    events.iter().filter(is_control).collect()
}

#[tokio::test]
async fn settings_change_together_or_not_at_all_and_delays_are_real() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let wrong = json!({"set": {"delays.databaseOperation": 300, "delays.serverProcesing": 5}});
    let (status, answer) = control(&backend, &wrong).await;
    assert_eq!(status, 400, "{answer}");
    assert!(
        answer.to_string().contains("`delays.serverProcessing`"),
        "{answer}"
    );
    let token = Some(backend.admin_token.as_str());
    let (_, now) = backend.get("/api/live-view/control", token).await;
    assert_eq!(now["settings"]["delays.databaseOperation"], 0, "{now}");

    let set = json!({"set": {
        "delays.loadBalancer": 110, "delays.serverProcessing": 120, "delays.databaseOperation": 130,
        "delays.queueing": 140, "delays.workerProcessing": 150, "delays.emailDelivery": 160,
        "delays.websocketDelivery": 170, "balancer.algorithm": "least-connections",
    }});
    let now = applied(&backend, &set).await;
    assert_eq!(now["settings"]["delays.emailDelivery"], 160, "{now}");
    assert_eq!(now["settings"]["balancer.algorithm"], "least-connections");
    let user = backend.user("ada").await;
    let mut socket = backend
        .socket(user["sessionToken"].as_str().expect("a token"))
        .await;
    let body = json!({"item": "A lamp", "amount": 20, "currency": "EUR"});
    let (status, bought) = backend
        .post("/api/purchases", &body, user["sessionToken"].as_str())
        .await;
    assert_eq!(status, 201, "{bought}");
    let id = bought["requestId"].as_str().expect("an id");
    // What the login told comes too.
    for _ in 0..2 {
        notification(&mut socket).await;
    }
    let journey = until("both deliveries", async || {
        let journey = backend.journey(id).await;
        (journey["request"]["status"] == "completed").then_some(journey)
    })
    .await;
    for (stage, least_ms) in [
        ("load_balancer", 110.0),
        ("server", 120.0),
        ("database", 130.0),
        ("mail_queue", 140.0),
        ("inapp_queue", 140.0),
        ("mail_worker", 150.0),
        ("inapp_worker", 150.0),
        ("email_service", 160.0),
        ("client_delivery", 170.0),
    ] {
        let stages = journey["request"]["stages"].as_array().expect("a list");
        let found = stages.iter().find(|it| it["stage"] == stage);
        let found = found.unwrap_or_else(|| panic!("no {stage} in {journey}"));
        let took = found["duration"]
            .as_f64()
            .unwrap_or_else(|| panic!("{found}"));
        assert!(took >= least_ms, "{stage} took {took} ms: {found}");
    }
    let status = backend.status().await;
    assert_eq!(status["loadBalancer"]["algorithm"], "least-connections");
    drop(socket);
    let events = sound_reel(&backend.stop());
    assert_eq!(controls(&events).len(), 8);
}

#[tokio::test]
async fn a_server_that_is_down_refuses_and_the_others_serve_until_it_is_back() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let url = backend.ready()["urls"]["server-2"].as_str().expect("a URL");
    let server = Http::new(url);
    assert_eq!(
        server.get("/api/health", None).await.expect("it listens").0,
        200
    );
    let down = json!({"fault": {"target": "server-2", "kind": "down"}});
    let begun = applied(&backend, &down).await;
    until("its port to be closed", async || {
        server.get("/api/health", None).await.is_err().then_some(())
    })
    .await;
    for number in 0..9 {
        let body = json!({"username": "x", "email": format!("x{number}@people.example"),
            "password": "correct horse 1"});
        let (status, answer) = backend.post("/api/signups", &body, None).await;
        assert_eq!(status, 201, "{answer}");
    }
    let ended = applied(&backend, &json!({"end": begun["fault"]["id"]})).await;
    assert_eq!(ended["faults"], json!([]));
    until("it to listen again", async || {
        let answer = server.get("/api/health", None).await;
        answer.is_ok_and(|(status, _)| status == 200).then_some(())
    })
    .await;
    let (status, answer) = control(&backend, &json!({"end": begun["fault"]["id"]})).await;
    assert_eq!(status, 404, "{answer}");
    let events = sound_reel(&backend.stop());
    for kind in [EventKind::FaultBegan, EventKind::FaultEnded] {
        assert_eq!(count(&events, kind), 1, "{}", kind.name());
    }
}

#[tokio::test]
async fn the_last_server_goes_down_only_for_a_while() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    for server in ["server-1", "server-3"] {
        applied(
            &backend,
            &json!({"fault": {"target": server, "kind": "down"}}),
        )
        .await;
    }
    let last = json!({"fault": {"target": "server-2", "kind": "down"}});
    let (status, answer) = control(&backend, &last).await;
    assert_eq!(status, 400, "{answer}");
    assert_eq!(answer["error"]["field"], "fault.for");
}

#[tokio::test]
async fn a_broken_database_refuses_requests_and_cut_sockets_are_closed() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let user = backend.user("ada").await;
    let token = user["sessionToken"].as_str().expect("a token");
    let mut socket = backend.socket(token).await;
    let broken = json!({"fault": {"target": "database", "kind": "error-rate", "probability": 1}});
    let begun = applied(&backend, &broken).await;
    let body =
        json!({"username": "bob", "email": "bob@people.example", "password": "correct horse 1"});
    let (status, answer) = backend.post("/api/signups", &body, None).await;
    assert_eq!(status, 503, "{answer}");
    applied(&backend, &json!({"end": begun["fault"]["id"]})).await;
    let (status, answer) = backend.post("/api/signups", &body, None).await;
    assert_eq!(status, 201, "{answer}");

    let cut = json!({"fault": {"target": "websocket", "kind": "disconnect", "for": "300ms"}});
    applied(&backend, &cut).await;
    let gone = async { while socket.next_event().await.is_ok() {} };
    tokio::time::timeout(PATIENCE, gone)
        .await
        .expect("the socket is cut");
    until("the fault to be over", async || {
        let (_, now) = backend
            .get("/api/live-view/control", Some(&backend.admin_token))
            .await;
        (now["faults"] == json!([])).then_some(())
    })
    .await;
    let socket = backend.socket(token).await;
    drop(socket);
    sound_reel(&backend.stop());
}

#[tokio::test]
async fn generated_load_comes_at_its_rate_and_stops_within_a_second() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    applied(
        &backend,
        &json!({"set": {"simulationRate": 20, "simulateLoad": true}}),
    )
    .await;
    until("80 requests", async || {
        let begun = backend.status().await["requests"]["started"].as_u64();
        (begun >= Some(80)).then_some(())
    })
    .await;
    let now = applied(&backend, &json!({"set": {"load.enabled": false}})).await;
    assert_eq!(now["settings"]["load.enabled"], false, "{now}");
    let events = sound_reel(&backend.stop());
    let begun: Vec<f64> = events
        .iter()
        .filter(|event| event.kind == EventKind::RequestBegun)
        .map(|event| event.t_ns.as_s())
        .collect();
    let rate = 79.0 / (begun[79] - begun[0]);
    assert!((19.0..=21.0).contains(&rate), "{rate} requests a second");
    let stopped = controls(&events)
        .last()
        .expect("it is recorded")
        .t_ns
        .as_s();
    assert!(begun.iter().all(|&at| at <= stopped + 1.0));
}
