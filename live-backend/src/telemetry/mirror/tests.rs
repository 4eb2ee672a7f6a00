//! A shipping process that follows its recorder.

use super::*;
use crate::telemetry::recorder::tests::{Folder, play_login};
use crate::telemetry::transport::tests::{Redis, ship, start_recorder, until};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use tokio::net::TcpListener;

/// Serves the recorder's reel as its own listener does.
async fn serve(listener: TcpListener, recorder: Telemetry, stop: CancellationToken) {
    let reel = move || async move {
        let follower = recorder.follow_latest().expect("it records");
        Body::from_stream(follower.into_stream())
    };
    let routes = Router::new().route("/api/live-view/reel", get(reel));
    let served = axum::serve(listener, routes);
    tokio::select! {
        () = stop.cancelled() => {}
        ended = served => ended.expect("it serves"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_answers_what_the_recorder_folds_over_a_restart_too() {
    let Some(redis) = Redis::start("mirror") else {
        return;
    };
    let folder = Folder::new("mirror");
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let recorder = start_recorder(&redis, &folder);
    let shipper = ship(&redis, "server");
    let telemetry = shipper.telemetry();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let first_stop = CancellationToken::new();
    tracker.spawn(serve(listener, recorder.telemetry(), first_stop.clone()));
    let token: Token = Arc::new(|| None);
    Mirror::start(&telemetry, &address, token, &tracker, stop.clone());
    let shown = telemetry.clone();
    let request = tokio::task::spawn_blocking(move || {
        let request = play_login(&shown);
        until("the login", || shown.status().requests.completed == 1);
        request
    });
    let request = request.await.expect("no panic");
    let (here, there) = (telemetry.clone(), recorder.telemetry());
    let told = tokio::task::spawn_blocking(move || {
        until("every stage of the login", || {
            let told = there.request_events(request);
            told.is_some() && here.request_events(request) == told
        });
    });
    told.await.expect("no panic");
    let report = telemetry.settled_request_report(request).await;
    assert!(report.is_some(), "it is kept");
    // The recorder is killed, and its successor answers at the same address.
    first_stop.cancel();
    let shown = telemetry.clone();
    let (recorder, redis) = tokio::task::spawn_blocking(move || {
        recorder.cut_off();
        play_login(&shown);
        (start_recorder(&redis, &folder), redis)
    })
    .await
    .expect("no panic");
    let listener = TcpListener::bind(address)
        .await
        .expect("the port is free again");
    tracker.spawn(serve(listener, recorder.telemetry(), stop.clone()));
    let shown = telemetry.clone();
    let seen = tokio::task::spawn_blocking(move || {
        until("the second login", || {
            shown.status().requests.completed == 2
        });
        shown.status().recording
    });
    let seen = seen.await.expect("no panic");
    assert!(seen.on && seen.anomalies == 0, "{seen:?}");
    stop.cancel();
    tracker.close();
    tracker.wait().await;
    let ended = tokio::task::spawn_blocking(move || {
        assert!(shipper.finish().is_sent);
        recorder.finish().expect("the disk takes it")
    });
    let counts = ended.await.expect("no panic").counts;
    assert_eq!(counts.emitted, counts.written + counts.dropped);
    drop(redis);
}

#[tokio::test]
async fn a_recorder_that_takes_the_connection_and_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let request = Request::get(format!("http://{address}/")).body(Empty::new());
    let request = request.expect("an address");
    let answered = answer(&client, request, Duration::from_millis(50)).await;
    assert!(matches!(answered, Err(Broken::Silent)), "{answered:?}");
}
