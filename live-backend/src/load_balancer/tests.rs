//! A balancer before servers that answer, refuse, and hang up.

use super::*;
use crate::server;
use crate::telemetry::topology::{TopologySettings, live_topology};
use crate::telemetry::{Clock, Recorder, RecordingSettings};
use axum::Router;
use axum::routing::any;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

struct Running {
    url: String,
    upstreams: Arc<Upstreams>,
    tracker: TaskTracker,
    stop: CancellationToken,
    recorder: Recorder,
    /// Servers that hold their answers give them once this is so.
    may_answer: CancellationToken,
}

/// How a server behaves.
#[derive(Clone, Copy, PartialEq)]
enum Serving {
    Answers,
    /// Once it may.
    Holds,
    HangsUp,
    Not,
}

/// A balancer before servers of which only those named answer.
async fn start(live: [bool; 3]) -> Running {
    let serving = |is_live| {
        if is_live {
            Serving::Answers
        } else {
            Serving::Not
        }
    };
    start_before(live.map(serving)).await
}

async fn start_before(all: [Serving; 3]) -> Running {
    let recorder = Recorder::start(
        Clock::start(),
        live_topology(&TopologySettings::default()),
        &RecordingSettings::default(),
    )
    .unwrap();
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let may_answer = CancellationToken::new();
    let mut servers = Vec::new();
    for (place, serving) in Place::SERVERS.into_iter().zip(all) {
        let listener = server::bind("test server", 0).await.unwrap();
        servers.push((place, listener.local_addr().unwrap().to_string()));
        if serving == Serving::HangsUp {
            let stop = stop.clone();
            tracker.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = hang_up(listener) => {}
                }
            });
        } else if serving != Serving::Not {
            let waits = (serving == Serving::Holds).then(|| may_answer.clone());
            let routes = Router::new().fallback(any(move || async move {
                if let Some(may_answer) = waits {
                    may_answer.cancelled().await;
                }
                place.name()
            }));
            tracker.spawn(server::serve(listener, routes, stop.clone()));
        }
    }
    let mut upstreams = Upstreams::new(servers);
    upstreams.tunnels_max = 5;
    let upstreams = Arc::new(upstreams);
    let balancer = LoadBalancer::new(
        Arc::clone(&upstreams),
        recorder.telemetry(),
        Trust {
            hop_secret: HeaderValue::from_static("secret"),
            proxies: Vec::new(),
        },
        Readiness::new(),
        Arc::new(Faults::default()),
        tracker.clone(),
        stop.clone(),
        TaskTracker::new(),
    );
    let listener = server::bind("test balancer", 0).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tracker.spawn(server::serve(listener, balancer, stop.clone()));
    Running {
        url,
        upstreams,
        tracker,
        stop,
        recorder,
        may_answer,
    }
}

impl Running {
    async fn post(&self, path: &str) -> (StatusCode, String) {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = Request::post(format!("{}{path}", self.url))
            .body(Body::empty())
            .unwrap();
        let response = client.request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Stops everything; the answer is how many events contradicted the state.
    async fn anomalies(self) -> u64 {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        let telemetry = self.recorder.telemetry();
        tokio::task::spawn_blocking(move || self.recorder.finish())
            .await
            .unwrap()
            .unwrap();
        telemetry.status().recording.anomalies
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_avoid_servers_that_refuse_connections() {
    let running = start([false, true, false]).await;
    for _ in 0..6 {
        let answer = running.post("/api/logins").await;
        assert_eq!(answer, (StatusCode::OK, "server-2".to_owned()));
    }
    let healthy: Vec<bool> = running
        .upstreams
        .all()
        .iter()
        .map(|one| one.is_healthy())
        .collect();
    assert_eq!(healthy, [false, true, false]);
    assert_eq!(running.anomalies().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_past_the_limit_are_refused_and_requests_are_served() {
    let running = start([true; 3]).await;
    let mut open: Vec<_> = (0..5)
        .filter_map(|_| running.upstreams.take_room())
        .collect();
    let ask = async || ask_for_socket(running.url.clone()).await;
    assert_eq!(ask().await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(running.post("/api/logins").await.0, StatusCode::OK);
    open.pop();
    assert_eq!(ask().await, StatusCode::OK);
    // One that came to nothing left its room.
    assert_eq!(ask().await, StatusCode::OK);
    drop(open);
    assert_eq!(running.anomalies().await, 0);
}

async fn ask_for_socket(url: String) -> StatusCode {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::get(format!("{url}/socket.io/?EIO=4"))
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    let request = request.body(Body::empty()).unwrap();
    client.request(request).await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_are_being_opened_count_towards_the_limit() {
    let running = start_before([Serving::Holds; 3]).await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..12 {
        asking.spawn(ask_for_socket(running.url.clone()));
    }
    for _ in 0..7 {
        let refused = tokio::time::timeout(Duration::from_secs(30), asking.join_next()).await;
        let status = refused.expect("no server has answered").unwrap().unwrap();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    running.may_answer.cancel();
    assert_eq!(asking.join_all().await, [StatusCode::OK; 5]);
    assert_eq!(running.anomalies().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_are_silent_they_are_still_asked() {
    let running = start_before([Serving::Holds; 3]).await;
    let client = health::client();
    for _ in 0..2 {
        let checks = running.upstreams.all().iter().map(|upstream| {
            let telemetry = running.recorder.telemetry();
            let (client, secret) = (&client, HeaderValue::from_static("secret"));
            async move { health::check(client, upstream, &telemetry, &secret).await }
        });
        futures_util::future::join_all(checks).await;
    }
    assert!(running.upstreams.all().iter().all(|one| !one.is_healthy()));
    let asked = running.post("/api/logins");
    running.may_answer.cancel();
    assert_eq!(asked.await.0, StatusCode::OK);
    assert_eq!(running.anomalies().await, 0);
}

/// A server that takes connections, reads a little and hangs up.
async fn hang_up(listener: tokio::net::TcpListener) {
    use tokio::io::AsyncReadExt;
    while let Ok((mut stream, _)) = listener.accept().await {
        drop(stream.read(&mut [0; 64]).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_reads_is_asked_elsewhere_when_its_server_breaks_off() {
    let running = start_before([Serving::HangsUp, Serving::Answers, Serving::HangsUp]).await;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut answers = Vec::new();
    for method in ["GET", "POST"] {
        for _ in 0..3 {
            let request = Request::builder().method(method);
            let uri = format!("{}/api/health", running.url);
            let request = request.uri(uri).body(Body::empty()).unwrap();
            answers.push(client.request(request).await.unwrap().status());
        }
    }
    let (ok, cut) = (StatusCode::OK, StatusCode::BAD_GATEWAY);
    assert_eq!(answers[..3], [ok; 3]);
    assert_eq!(answers[3..].iter().filter(|&&it| it == cut).count(), 2);
    assert_eq!(running.anomalies().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_every_server_breaks_off_the_answer_says_so() {
    let running = start_before([Serving::HangsUp; 3]).await;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::get(format!("{}/api/health", running.url));
    let request = request.body(Body::empty()).unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(body.contains("broke off"), "{body}");
    assert_eq!(running.anomalies().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_servers_the_answer_is_502_and_then_503() {
    let running = start([false; 3]).await;
    let (status, body) = running.post("/api/logins").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(body.contains("\"bad_gateway\""), "{body}");
    let (status, body) = running.post("/api/logins").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("\"no_server\""), "{body}");
    assert_eq!(running.anomalies().await, 0);
}
