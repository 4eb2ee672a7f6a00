//! The way of every kind of request, step by step: live, and again out of the reel that the program left.

use crate::harness::{Backend, Folder, notification, sound_reel, until};
use crate::roles::{System, log_in, sign_up, socket_at};
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::recording::ReelReader;
use flowreel_live_backend::load::Http;
use flowreel_live_backend::telemetry::path::{Step, Told, path};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What every request does first. Who reads and writes is the controller, by the notification service.
const REQUEST: [&str; 7] = [
    "user_action",
    "load_balancer",
    "server",
    "middleware",
    "routes",
    "controller",
    "database",
];
const EMAIL: [&str; 8] = [
    "controller",
    "notification_service",
    "queue_manager",
    "mail_queue",
    "mail_worker",
    "email_service",
    "smtp",
    "delivery",
];
const IN_APP: [&str; 8] = [
    "controller",
    "notification_service",
    "queue_manager",
    "inapp_queue",
    "inapp_worker",
    "websocket_service",
    "socket_io",
    "client_delivery",
];

/// The request's steps as the reel alone gives them.
fn recorded(reel: &Path, events: &[StageEvent], request: u64) -> Vec<Step> {
    let mut reader = ReelReader::open(reel).expect("a reel");
    let own = events.iter().filter(|event| event.request.0 == request);
    let texts: Vec<(StageEvent, Vec<(String, String)>)> = own
        .map(|event| {
            let detail = reader.read_detail(event.detail).expect("readable");
            (
                *event,
                detail.map_or(Vec::new(), |detail| detail.0.into_iter().collect()),
            )
        })
        .collect();
    let told: Vec<Told<'_>> = texts
        .iter()
        .map(|(event, fields)| Told {
            event: *event,
            fields: fields
                .iter()
                .map(|(key, text)| (key.as_str(), text.as_str()))
                .collect(),
        })
        .collect();
    path(&told)
}

/// The steps of one branch: those of the request itself, and of the job whose queue that is.
fn branch<'a>(steps: &'a [Step], queue: &str) -> Vec<&'a Step> {
    let job = steps.iter().find(|step| step.stage == queue);
    let part = job.unwrap_or_else(|| panic!("{queue} in {steps:?}")).part;
    let is_own = |step: &&Step| step.part.is_none() || step.part == part;
    steps.iter().filter(is_own).collect()
}

/// The wanted stages in their order, each where it comes first.
fn check_order(steps: &[&Step], wanted: &[&str]) {
    let mut seen: Vec<&str> = Vec::new();
    for step in steps {
        if wanted.contains(&step.stage) && !seen.contains(&step.stage) {
            seen.push(step.stage);
        }
    }
    assert_eq!(seen, wanted, "{steps:#?}");
}

/// Steps begin one after the other, none ends before it began, and none goes on.
fn check_times(steps: &[Step]) {
    assert!(steps.is_sorted_by(|a, b| a.start <= b.start), "{steps:#?}");
    for step in steps {
        let end = step.end.unwrap_or_else(|| panic!("{step:?} goes on"));
        assert!(step.start <= end, "{step:?}");
    }
    // What is done inside a stay is done while it lasts.
    for outer in steps.iter().filter(|step| step.stage == "server") {
        let inside = ["middleware", "routes", "controller", "notification-service"];
        for name in inside.map(|name| format!("{}/{name}", outer.component)) {
            let found: Vec<_> = steps.iter().filter(|it| it.component == name).collect();
            assert_eq!(found.len(), 1, "{name} in {steps:#?}");
            assert!(found[0].start >= outer.start, "{steps:#?}");
            assert!(found[0].end <= outer.end, "{steps:#?}");
        }
    }
}

/// The one server that served it.
fn server_of(steps: &[Step]) -> &str {
    let servers: BTreeSet<&str> = steps
        .iter()
        .filter(|step| step.stage == "server")
        .map(|step| step.component.as_str())
        .collect();
    assert_eq!(servers.len(), 1, "{steps:#?}");
    servers.first().expect("one")
}

fn id_of(answer: &Value) -> u64 {
    let id = answer["requestId"].as_str().expect("an id");
    id.parse().expect("a number")
}

#[tokio::test]
async fn every_kind_of_request_goes_the_documents_way_live_and_in_the_reel() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let mut kinds: BTreeMap<u64, &str> = BTreeMap::new();
    for name in ["ada", "bob", "eve"] {
        let email = format!("{name}@people.example");
        let body = json!({"username": name, "email": email, "password": "correct horse 1"});
        let (status, answer) = backend.post("/api/signups", &body, None).await;
        assert_eq!(status, 201, "{answer}");
        kinds.insert(id_of(&answer), "signup");
    }
    let opened = json!({"email": "ada@people.example", "password": "correct horse 1"});
    let (status, ada) = backend.post("/api/session", &opened, None).await;
    assert_eq!(status, 201, "{ada}");
    let mut socket = backend
        .socket(ada["sessionToken"].as_str().expect("a token"))
        .await;
    kinds.insert(id_of(&backend.log_in("ada").await), "login");
    assert_eq!(notification(&mut socket).await["type"], "login");
    let bought = backend.buy(&ada).await;
    kinds.insert(bought.parse().expect("a number"), "purchase");
    assert_eq!(notification(&mut socket).await["type"], "purchase");
    let opened = json!({"email": "bob@people.example", "password": "correct horse 1"});
    let (_, bob) = backend.post("/api/session", &opened, None).await;
    let body = json!({"toUserId": ada["userId"]});
    let token = bob["sessionToken"].as_str();
    let (status, asked) = backend.post("/api/friend-requests", &body, token).await;
    assert_eq!(status, 201, "{asked}");
    kinds.insert(id_of(&asked), "friend_request");
    assert_eq!(notification(&mut socket).await["type"], "friend_request");
    let body = json!({"email": "ada@people.example"});
    let (status, reset) = backend.post("/api/reset-password", &body, None).await;
    assert_eq!(status, 202, "{reset}");
    kinds.insert(id_of(&reset), "reset_password");

    let mut live = BTreeMap::new();
    for &id in kinds.keys() {
        let request = until("a request to be over", async || {
            let request = backend.journey(&id.to_string()).await["request"].take();
            (request["status"] == "completed").then_some(request)
        })
        .await;
        live.insert(id, request["path"].clone());
    }
    socket.close().await;
    let reel = backend.stop();
    let events = sound_reel(&reel);
    let mut servers = BTreeSet::new();
    for (&id, &kind) in &kinds {
        let steps = recorded(&reel, &events, id);
        let told = serde_json::to_value(&steps).expect("plain data");
        assert_eq!(told, live[&id], "{kind}: live and in the reel");
        check_times(&steps);
        let all: Vec<&Step> = steps.iter().collect();
        check_order(&all, &REQUEST);
        check_order(&branch(&steps, "mail_queue"), &EMAIL);
        let is_told_in_app = steps.iter().any(|step| step.stage == "inapp_queue");
        let has_both = matches!(kind, "login" | "purchase" | "friend_request");
        assert_eq!(is_told_in_app, has_both, "{kind}: {steps:#?}");
        if is_told_in_app {
            check_order(&branch(&steps, "inapp_queue"), &IN_APP);
        }
        let server = server_of(&steps);
        for step in &steps {
            let (part, place) = match step.stage {
                "middleware" => ("/middleware", server),
                "routes" => ("/routes", server),
                "controller" => ("/controller", server),
                "notification_service" => ("/notification-service", server),
                "queue_manager" => ("/queue-manager", server),
                // The server that has the socket, which is one of the three.
                "websocket_service" => ("/websocket", "server-"),
                "socket_io" => ("/socket-io", "server-"),
                _ => continue,
            };
            assert!(step.component.starts_with(place), "{step:?}");
            assert!(step.component.ends_with(part), "{step:?}");
        }
        servers.insert(server.to_owned());
    }
    assert_eq!(
        servers.iter().map(String::as_str).collect::<Vec<_>>(),
        ["server-1", "server-2", "server-3"],
        "three signups in turn"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn among_processes_the_way_names_who_accepted_and_who_has_the_socket() {
    let Some(mut system) = System::start(&[]).await else {
        return;
    };
    let (first, third) = (Http::new(&system.server_url(1)), system.server_url(3));
    sign_up(&first, "ada").await;
    let token = log_in(&first, "ada").await;
    let mut socket = socket_at(&third, &token).await;
    assert_eq!(notification(&mut socket).await["type"], "login");
    let body = json!({"item": "Blue lantern", "amount": 12.5, "currency": "EUR"});
    let bought = first.post("/api/purchases", &body, Some(&token)).await;
    let (status, bought) = bought.expect("an answer");
    assert_eq!(status, 201, "{bought}");
    assert_eq!(notification(&mut socket).await["type"], "purchase");
    let id = id_of(&bought);
    let shown = format!("/api/live-view/requests/{id}");
    let (balancer, admin) = (system.balancer(), system.admin_token().to_owned());
    let live = until("the purchase to be over", async || {
        let (_, journey) = balancer.get(&shown, Some(&admin)).await.ok()?;
        let request = &journey["request"];
        (request["status"] == "completed").then(|| request["path"].clone())
    })
    .await;
    socket.close().await;
    let reel = system.stop();
    let steps = recorded(&reel, &sound_reel(&reel), id);
    let told = serde_json::to_value(&steps).expect("plain data");
    assert_eq!(told, live, "live and in the reel");
    check_times(&steps);
    let all: Vec<&Step> = steps.iter().collect();
    let direct: Vec<&str> = REQUEST
        .into_iter()
        .filter(|it| *it != "load_balancer")
        .collect();
    check_order(&all, &direct);
    check_order(&branch(&steps, "mail_queue"), &EMAIL);
    check_order(&branch(&steps, "inapp_queue"), &IN_APP);
    let places = |stage: &str| -> BTreeSet<&str> {
        let found = steps.iter().filter(|step| step.stage == stage);
        found.map(|step| step.component.as_str()).collect()
    };
    for (stage, component) in [
        ("controller", "server-1/controller"),
        ("notification_service", "server-1/notification-service"),
        ("queue_manager", "server-1/queue-manager"),
        ("websocket_service", "server-3/websocket"),
        ("socket_io", "server-3/socket-io"),
    ] {
        assert_eq!(places(stage), BTreeSet::from([component]), "{stage}");
    }
}

#[tokio::test]
async fn a_request_that_is_refused_ends_where_it_was_refused() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    let stages = async |id: &str| {
        let request = until("a request to be over", async || {
            let (_, listed) = backend
                .get(
                    &format!("/api/live-view/requests?type={id}"),
                    Some(&backend.admin_token),
                )
                .await;
            let listed = listed["requests"].as_array().expect("a list").clone();
            let over = listed.into_iter().find(|it| it["status"] == "failed")?;
            Some(over["requestId"].as_str().expect("an id").to_owned())
        })
        .await;
        let journey = backend.journey(&request).await;
        let path = journey["request"]["path"].as_array().expect("a list");
        let stages = path.iter().map(|step| step["stage"].as_str());
        stages.flatten().map(str::to_owned).collect::<Vec<_>>()
    };
    // Without a token: the guard of the route, the last middleware, lets nobody in.
    let body = json!({"item": "Tea", "amount": 4, "currency": "EUR"});
    let (status, _) = backend.post("/api/purchases", &body, None).await;
    assert_eq!(status, 401);
    assert_eq!(stages("purchase").await, REQUEST[..5]);
    // With a wrong password: the controller looks it up, and nobody is told.
    let body = json!({"email": "ada@people.example", "password": "wrong horse 1"});
    let (status, _) = backend.post("/api/logins", &body, None).await;
    assert_eq!(status, 401);
    let looked_up = [&REQUEST[..], &["database"]].concat();
    assert_eq!(stages("login").await, looked_up);
}
