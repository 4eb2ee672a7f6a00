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
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::get;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use std::sync::atomic::{AtomicU32, Ordering};

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
}
