//! The live view over HTTP: status, requests, history, who may read; broadcasts.

use crate::harness::{Backend, Folder, until};
use flowreel_live_backend::load::Socket;
use serde_json::{Value, json};

async fn get(backend: &Backend, path: &str, token: Option<&str>) -> (u16, Value) {
    backend.http.get(path, token).await.expect("an answer")
}

fn keys(value: &Value) -> Vec<&str> {
    let map = value.as_object().expect("a map");
    map.keys().map(String::as_str).collect()
}

fn has(value: &Value, wanted: &[&str]) {
    let found = keys(value);
    for key in wanted {
        assert!(found.contains(key), "{key} in {found:?}");
    }
}

fn cards_are_whole(status: &Value) {
    assert_eq!(status["components"].as_array().map(Vec::len), Some(16));
    assert!(status["timestamp"].is_u64());
    let metrics = [
        "activeRequests",
        "requestsPerSecond",
        "systemStatus",
        "uptime",
    ];
    has(&status["metrics"], &metrics);
    let balancer = &status["loadBalancer"];
    has(
        balancer,
        &["status", "algorithm", "servers", "stickySessions"],
    );
    assert_eq!(
        (&balancer["status"], &balancer["algorithm"]),
        (&json!("active"), &json!("round-robin"))
    );
    for server in balancer["servers"].as_array().expect("three") {
        let row = [
            "activeConnections",
            "healthy",
            "id",
            "requestsHandled",
            "url",
        ];
        assert_eq!(keys(server), row);
    }
    let sticky = &balancer["stickySessions"];
    let by_server = sticky["byServer"].as_object().expect("a map");
    let sum: u64 = by_server.values().filter_map(Value::as_u64).sum();
    assert_eq!((sticky["total"].as_u64(), by_server.len()), (Some(sum), 3));
    assert_eq!(sum, 4);
    let queues = status["queues"].as_array().expect("six");
    assert_eq!(queues.len(), 6);
    for queue in queues {
        has(
            queue,
            &[
                "name",
                "waiting",
                "active",
                "completed",
                "failed",
                "delayed",
            ],
        );
        has(queue, &["processingRate", "workers"]);
        assert_eq!(keys(&queue["workers"]), ["active", "idle"]);
    }
    let rooms = status["websocket"]["rooms"].as_array().expect("a list");
    let everybody = rooms.iter().find(|room| room["name"] == "authenticated");
    assert_eq!(everybody.expect("a room")["users"], 2);
    let recent = status["websocket"]["recentEvents"]
        .as_array()
        .expect("a list");
    assert!(!recent.is_empty() && recent.len() <= 50);
    for fact in recent {
        has(fact, &["type", "userId", "timestamp"]);
    }
    has(
        &status["database"],
        &["queryCount", "avgQueryMs", "p95QueryMs"],
    );
    has(&status["email"], &["sent", "failed", "deliveryRate"]);
    has(&status["channels"], &["email", "inApp"]);
    let online = status["onlineUsers"].as_array().expect("a list");
    assert_eq!(online.len(), 2);
    for user in online {
        has(user, &["userId", "since", "server"]);
    }
}

#[tokio::test]
async fn the_status_has_every_card_and_one_component_per_node() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    let user = backend.user("ada").await;
    let token = user["sessionToken"].as_str().expect("a token").to_owned();
    let mut sockets = Vec::new();
    for _ in 0..2 {
        let socket = Socket::connect(backend.http.base(), "/").await;
        sockets.push(socket.expect("a socket"));
    }
    let ada = backend.socket(&token).await;
    let bob = backend.user("bob").await;
    let bob = backend
        .socket(bob["sessionToken"].as_str().expect("a token"))
        .await;

    let status = until("all sockets and some store work", async || {
        let status = backend.status().await;
        let sockets = &status["websocket"];
        let is_there = sockets["totalConnections"] == 4
            && sockets["authenticatedUsers"] == 2
            && status["database"]["writesPerSecond"].as_f64() > Some(0.0)
            && status["database"]["readsPerSecond"].as_f64() > Some(0.0);
        is_there.then_some(status)
    })
    .await;
    cards_are_whole(&status);

    ada.close().await;
    bob.close().await;
    until("who left to be gone", async || {
        let status = backend.status().await;
        let online = status["onlineUsers"].as_array().expect("a list");
        (online.is_empty() && status["websocket"]["totalConnections"] == 2).then_some(())
    })
    .await;
    for socket in sockets {
        socket.close().await;
    }
}

#[tokio::test]
async fn requests_are_listed_filtered_and_sorted_and_figures_kept() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    let asked = json!({"type": "friend_request", "count": 5, "interval": 20});
    let token = Some(backend.admin_token.as_str());
    let (status, answer) = backend.post("/api/live-view/simulate", &asked, token).await;
    assert_eq!(status, 202, "{answer}");
    let ids = answer["requestIds"].as_array().expect("ids").clone();
    assert_eq!(ids.len(), 5);
    backend.user("ada").await;
    let list = until("all of them", async || {
        let (status, list) = get(
            &backend,
            "/api/live-view/requests?type=friend_request&order=asc",
            token,
        )
        .await;
        assert_eq!(status, 200, "{list}");
        (list["total"] == 5).then_some(list)
    })
    .await;
    let rows = list["requests"].as_array().expect("a list");
    let listed = |rows: &[Value]| -> Vec<String> {
        let ids = rows.iter().map(|row| row["requestId"].to_string());
        ids.collect()
    };
    let mut found = listed(rows);
    let begun: Vec<u64> = rows
        .iter()
        .map(|row| row["startTime"].as_u64().expect("a time"))
        .collect();
    assert!(begun.is_sorted(), "{list}");
    let path = "/api/live-view/requests?type=friend_request&order=desc";
    let (_, turned) = get(&backend, path, token).await;
    let turned = listed(turned["requests"].as_array().expect("a list"));
    assert!(turned.iter().rev().eq(&found), "{turned:?} {found:?}");
    // A request of a busy machine may come later than the one behind it.
    found.sort_unstable();
    assert_eq!(found, ids.iter().map(Value::to_string).collect::<Vec<_>>());
    let row = [
        "currentStage",
        "requestId",
        "startTime",
        "status",
        "totalDuration",
        "type",
    ];
    assert_eq!(keys(&rows[0]), row);
    // The five, the sign-up and the login.
    let one = until("all seven", async || {
        let path = "/api/live-view/requests?sort=totalDuration&limit=1";
        let (status, one) = get(&backend, path, token).await;
        assert_eq!(status, 200, "{one}");
        (one["total"] == 7).then_some(one)
    })
    .await;
    assert_eq!(one["requests"].as_array().map(Vec::len), Some(1), "{one}");
    for query in [
        "status=well",
        "type=party",
        "sort=luck",
        "order=up",
        "limit=0",
        "limit=1001",
    ] {
        let (status, answer) =
            get(&backend, &format!("/api/live-view/requests?{query}"), token).await;
        assert_eq!(status, 400, "{query}: {answer}");
    }
    let (status, unknown) = get(&backend, "/api/live-view/requests/424242", token).await;
    assert_eq!(
        (status, &unknown["error"]["code"]),
        (404, &json!("not_found"))
    );
    let journey = backend.journey(ids[0].as_str().expect("an id")).await;
    assert_eq!(journey["request"]["metadata"]["simulated"], true);

    let points = until("two seconds of figures", async || {
        let path = "/api/live-view/history?metric=readsPerSecond&seconds=10";
        let (status, answer) = get(&backend, path, token).await;
        assert_eq!(status, 200, "{answer}");
        let points = answer["points"].as_array().expect("a list").clone();
        (points.len() >= 2).then_some(points)
    })
    .await;
    assert!(points[0]["timestamp"].as_u64() < points[1]["timestamp"].as_u64());
    let (status, _) = get(&backend, "/api/live-view/history?metric=luck", token).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn reading_needs_a_token_where_that_is_asked_for() {
    const PATHS: [&str; 4] = [
        "status",
        "requests",
        "requests/1",
        "history?metric=errorRate",
    ];
    let folder = Folder::new();
    let settings = folder.path().join("settings.toml");
    std::fs::write(&settings, "live_view_auth = \"required\"\n").expect("a folder");
    let open = Folder::new();
    let settings = settings.to_str().expect("a path").to_owned();
    let backend = Backend::start(folder.path(), &["--config", &settings]);
    let local = Backend::start(open.path(), &[]);
    let user = backend.user("ada").await;
    let user = user["sessionToken"].as_str();
    for path in PATHS {
        let path = format!("/api/live-view/{path}");
        let admin = Some(backend.admin_token.as_str());
        for (token, expected) in [(None, 401), (Some("nonsense"), 401), (user, 403)] {
            let (status, answer) = get(&backend, &path, token).await;
            assert_eq!(status, expected, "{path}: {answer}");
        }
        let (status, _) = get(&backend, &path, admin).await;
        assert!(
            [200, 404].contains(&status) && (status == 200 || path.ends_with("/1")),
            "{path}"
        );
        // A start for people of this machine alone lets them read the whole, not single requests.
        let (status, _) = get(&local, &path, None).await;
        let expected = if path.ends_with("status") { 200 } else { 401 };
        assert_eq!(status, expected, "{path}");
    }
    let (status, _) = get(&backend, "/api/live-view/reel", None).await;
    assert_eq!(status, 401);
}
