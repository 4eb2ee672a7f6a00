//! Health checks: every server is asked once a second.
//!
//! Belongs here: asking. Does not belong here: what follows from the answer (upstream).

use super::forward::is_ours;
use super::upstream::{Upstream, Upstreams};
use crate::controllers::health::DRAINING_HEADER;
use crate::middleware::record::HOP_HEADER;
use crate::telemetry::Telemetry;
use axum::body::Body;
use axum::http::{HeaderValue, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Time between two checks of a server.
const INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(1);

pub(super) async fn watch(
    upstreams: &Upstreams,
    telemetry: &Telemetry,
    hop_secret: &HeaderValue,
    stop: &CancellationToken,
) {
    let client = client();
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _now = ticks.tick() => {}
        }
        let checks = upstreams
            .all()
            .iter()
            .map(|upstream| check(&client, upstream, telemetry, hop_secret));
        futures_util::future::join_all(checks).await;
    }
}

/// Connections of its own: a check tells whether a new client would be served.
pub(super) fn client() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build_http()
}

pub(super) async fn check(
    client: &Client<HttpConnector, Body>,
    upstream: &Upstream,
    telemetry: &Telemetry,
    hop_secret: &HeaderValue,
) {
    upstream.idle.trim();
    let uri = format!("http://{}/api/health", upstream.authority);
    let request = Request::get(uri).header(HOP_HEADER, hop_secret);
    let Ok(request) = request.body(Body::empty()) else {
        return;
    };
    let answer = tokio::time::timeout(TIMEOUT, client.request(request)).await;
    if let Ok(Err(error)) = &answer
        && is_our_own(error)
    {
        return;
    }
    // Who is silent may be overloaded: where that goes for all of them, requests still try.
    if let Ok(answer) = &answer {
        upstream.was_there(answer.is_ok());
    }
    let changed = match answer {
        Ok(Ok(response)) if response.status().is_success() => upstream.checked(true),
        // It says itself that it takes nothing now: no second look is needed.
        Ok(Ok(response)) if response.headers().contains_key(&DRAINING_HEADER) => {
            upstream.failed().then_some(false)
        }
        Ok(_) | Err(_) => upstream.checked(false),
    };
    if let Some(is_healthy) = changed {
        telemetry.health_changed(upstream.place, is_healthy);
        let server = upstream.place.name();
        tracing::warn!(
            server,
            is_healthy,
            "health of {server} changed, healthy: {is_healthy}"
        );
    }
}

/// Whether the check failed for want of something of our own; then it tells nothing about the server.
fn is_our_own(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|error| error.downcast_ref().is_some_and(is_ours))
}
