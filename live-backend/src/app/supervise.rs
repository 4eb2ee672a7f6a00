//! Listeners that outlive a crash of the task that serves them.
//!
//! Belongs here: starting such a task again. Does not belong here: serving (server).

use crate::server::{self, Answer};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Pause before a crashed task is started again: it is back well within 2 s, and one that always crashes
/// does not take a core.
const RESTART_PAUSE: Duration = Duration::from_millis(500);

/// Serves on the tracker until stopped; a crash costs the connections that were open, not the listener,
/// where clients wait meanwhile.
pub(super) fn serve(
    name: &'static str,
    listener: Arc<TcpListener>,
    service: impl Answer,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) {
    let serve_once = {
        let stop = stop.clone();
        move |listener| server::serve(listener, service.clone(), stop.clone())
    };
    let restarting = restarting(name, listener, serve_once, tracker.clone(), stop.clone());
    tracker.spawn(restarting);
}

/// Runs what `make` gives again and again until stopped.
async fn restarting<F: Future<Output = ()> + Send + 'static>(
    name: &'static str,
    listener: Arc<TcpListener>,
    make: impl Fn(Arc<TcpListener>) -> F,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    let mut task = tracker.spawn(make(Arc::clone(&listener)));
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            ended = &mut task => {
                let Err(error) = ended else { return };
                tracing::error!(%error, name, "the {name} crashed and is started again: {error}");
            }
        }
        let back_at = tokio::time::Instant::now() + RESTART_PAUSE;
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(back_at) => {}
        }
        task = tracker.spawn(make(Arc::clone(&listener)));
    }
    // Nobody listens any more while the last requests end.
    drop(listener);
    if let Err(error) = task.await {
        tracing::error!(%error, name, "the {name} crashed while it stopped: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Readiness;
    use crate::faults::Faults;
    use crate::load_balancer::{LoadBalancer, Trust, Upstreams};
    use crate::telemetry::topology::{TopologySettings, live_topology};
    use crate::telemetry::{Clock, Place, Recorder, RecordingSettings};
    use axum::Router;
    use axum::body::Body;
    use axum::http::{HeaderValue, Request};
    use axum::routing::get;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    /// Time between two looks at the balancer's opinion, and how long it may take to change.
    const LOOK: Duration = Duration::from_millis(10);
    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_crashed_server_answers_again_on_its_port_within_2_s() {
        let listener = server::bind("test server", 0).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let crash_now = CancellationToken::new();
        let starts = Arc::new(AtomicU32::new(0));
        let make = {
            let (starts, crash_now, stop) = (Arc::clone(&starts), crash_now.clone(), stop.clone());
            move |listener: Arc<TcpListener>| {
                let start = starts.fetch_add(1, Ordering::Relaxed);
                let (crash_now, stop) = (crash_now.clone(), stop.clone());
                async move {
                    let routes = Router::new().route("/", get(async || "here"));
                    let serving = server::serve(listener, routes, stop);
                    tokio::select! {
                        () = serving => {}
                        () = crash_now.cancelled(), if start == 0 => panic!("as asked"),
                    }
                }
            }
        };
        let listener = Arc::new(listener);
        tracker.spawn(restarting(
            "test",
            listener,
            make,
            tracker.clone(),
            stop.clone(),
        ));
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build_http();
        let ask = async || {
            let request = Request::get(&url).body(Body::empty()).unwrap();
            client.request(request).await.unwrap().status()
        };
        assert_eq!(ask().await, 200);
        crash_now.cancel();
        let again = async {
            while starts.load(Ordering::Relaxed) < 2 {
                tokio::task::yield_now().await;
            }
            ask().await
        };
        let status = tokio::time::timeout(Duration::from_secs(2), again).await;
        assert_eq!(status.expect("it is back in time"), 200);
        stop.cancel();
        tracker.close();
        tracker.wait().await;
        let request = Request::get(&url).body(Body::empty()).unwrap();
        assert!(client.request(request).await.is_err(), "nobody listens");
    }

    #[tokio::test]
    async fn the_balancer_takes_a_server_back_that_hung_and_crashed() {
        let listener = server::bind("test server", 0).await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let crash_now = CancellationToken::new();
        let is_first = AtomicBool::new(true);
        let make = {
            let (crash_now, stop) = (crash_now.clone(), stop.clone());
            move |listener: Arc<TcpListener>| {
                let is_first = is_first.swap(false, Ordering::Relaxed);
                let (crash_now, stop) = (crash_now.clone(), stop.clone());
                async move {
                    if is_first {
                        crash_now.cancelled().await;
                        panic!("as asked");
                    }
                    let routes = Router::new().route("/api/health", get(async || "here"));
                    server::serve(listener, routes, stop).await;
                }
            }
        };
        let listener = Arc::new(listener);
        let restarts = restarting("test", listener, make, tracker.clone(), stop.clone());
        tracker.spawn(restarts);
        let map = live_topology(&TopologySettings::default());
        let settings = RecordingSettings::default();
        let recorder = Recorder::start(Clock::start(), map, &settings).unwrap();
        let upstreams = Arc::new(Upstreams::new([(Place::Server1, authority)]));
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
        balancer.start_health_checks(&tracker, &stop);
        let seen = async |is_healthy: bool| {
            let mut looks = tokio::time::interval(LOOK);
            let looked = async {
                while upstreams.all()[0].is_healthy() != is_healthy {
                    looks.tick().await;
                }
            };
            let in_time = tokio::time::timeout(PATIENCE, looked).await;
            assert!(in_time.is_ok(), "healthy: {is_healthy}");
        };
        seen(false).await;
        crash_now.cancel();
        seen(true).await;
        stop.cancel();
        tracker.close();
        tracker.wait().await;
        drop(balancer);
        recorder.finish().unwrap();
    }
}
