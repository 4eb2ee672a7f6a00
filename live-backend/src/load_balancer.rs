//! The load balancer: chooses a server for every request and passes both ways what they say.
//!
//! Belongs here: choice, stickiness, health, forwarding. Does not belong here: notifications.

mod forward;
mod health;
mod sticky;
mod upstream;

pub(crate) use upstream::{Upstream, Upstreams};

use crate::error::AppError;
use crate::middleware::record::{HOP_HEADER, ID_HEADER};
use crate::router::class_of;
use crate::security::random_hex;
use crate::server::Answer;
use crate::telemetry::journey::PART_HEADER;
use crate::telemetry::{Place, Telemetry, Visit};
use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flowreel_engine::model::event::Outcome;
use forward::{Forwarder, UpstreamFault};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use sticky::Sticky;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Largest body that is passed on, in bytes; servers have smaller limits of their own.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Longest time for a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The balancer; cheap to copy.
#[derive(Clone)]
pub(crate) struct LoadBalancer {
    inner: Arc<Inner>,
}

struct Inner {
    upstreams: Arc<Upstreams>,
    sticky: Sticky,
    forwarder: Forwarder,
    telemetry: Telemetry,
    hop_secret: HeaderValue,
    /// Requests whose answer has not begun; waited for when stopping.
    answering: TaskTracker,
}

impl LoadBalancer {
    pub(crate) fn new(
        upstreams: Arc<Upstreams>,
        telemetry: Telemetry,
        hop_secret: HeaderValue,
        tracker: TaskTracker,
        stop: CancellationToken,
        answering: TaskTracker,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                upstreams,
                sticky: Sticky::default(),
                forwarder: Forwarder::new(tracker, stop),
                telemetry,
                hop_secret,
                answering,
            }),
        }
    }

    /// Watches the servers' health until stopped.
    pub(crate) fn start_health_checks(&self, tracker: &TaskTracker, stop: &CancellationToken) {
        let inner = Arc::clone(&self.inner);
        let stop = stop.clone();
        tracker.spawn(async move {
            health::watch(&inner.upstreams, &inner.telemetry, &stop).await;
        });
    }
}

impl Answer for LoadBalancer {
    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let _token = self.inner.answering.token();
        self.inner.answer(request, peer).await
    }
}

impl Inner {
    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let class = class_of(request.method(), request.uri().path());
        let visit = class.map(|class| {
            let part = self.telemetry.begin_request(class, 0);
            self.telemetry.enter(part, Place::Clients, Place::Balancer)
        });
        let id = visit
            .as_ref()
            .map_or_else(random_hex::<8>, |visit| visit.part().request.0.to_string());
        let mut response = match self.pass(request, peer, visit, &id).await {
            Ok(response) => response,
            Err(error) => error.into_response(),
        };
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(ID_HEADER, id);
        }
        response
    }

    async fn pass(
        &self,
        mut request: Request<Incoming>,
        peer: SocketAddr,
        visit: Option<Visit>,
        id: &str,
    ) -> Result<Response<Body>, AppError> {
        let upgrade = forward::take_upgrade(&mut request);
        let (mut head, body) = request.into_parts();
        let body = match read_body(body).await {
            Ok(body) => body,
            Err(error) => {
                end(visit);
                return Err(error);
            }
        };
        forward::clean_request_headers(&mut head.headers, peer);
        head.headers.insert(HOP_HEADER, self.hop_secret.clone());
        if let Ok(id) = HeaderValue::from_str(id) {
            head.headers.insert(ID_HEADER, id);
        }
        if let Some(part) = visit.as_ref().map(Visit::part)
            && let Ok(part) = HeaderValue::from_str(&part.to_string())
        {
            head.headers.insert(PART_HEADER, part);
        }
        self.pass_to_some(&head, body, upgrade, visit).await
    }

    /// Tries servers until one takes the request; each is tried once.
    async fn pass_to_some(
        &self,
        head: &axum::http::request::Parts,
        body: Bytes,
        mut upgrade: Option<forward::ClientUpgrade>,
        mut visit: Option<Visit>,
    ) -> Result<Response<Body>, AppError> {
        let wanted = self.sticky.wanted(head);
        let mut tried = Vec::new();
        loop {
            let Some((upstream, reason)) = self.upstreams.choose(wanted, &tried) else {
                end(visit);
                return Err(no_server(!tried.is_empty()));
            };
            let part = visit.as_ref().map(Visit::part);
            if let Some(visit) = visit.take() {
                visit.picked(upstream.place, upstream.in_progress_count(), reason);
            }
            let busy = upstream.begin();
            let forwarded = self
                .forwarder
                .forward(head, body.clone(), &upstream, upgrade.take())
                .await;
            drop(busy);
            match forwarded {
                Ok(mut response) => {
                    if self.sticky.note(head, &upstream, &mut response).await {
                        self.telemetry.session_stuck(upstream.place, 0);
                    }
                    return Ok(response);
                }
                Err(UpstreamFault::Refused { upgrade: unused }) => {
                    upgrade = unused;
                    if upstream.failed() {
                        self.telemetry.health_changed(upstream.place, false);
                    }
                    tried.push(upstream.index);
                    visit = part.map(|part| {
                        // It went there and found nobody: a failed stay, and back to the balancer.
                        self.telemetry
                            .enter(part, Place::Balancer, upstream.place)
                            .end(Outcome::Failed);
                        self.telemetry.enter(part, upstream.place, Place::Balancer)
                    });
                }
                Err(UpstreamFault::Late) => {
                    return Err(AppError::new(
                        StatusCode::GATEWAY_TIMEOUT,
                        "upstream_timeout",
                        "the server did not answer in time",
                    ));
                }
                Err(UpstreamFault::Broken) => {
                    return Err(AppError::new(
                        StatusCode::BAD_GATEWAY,
                        "bad_gateway",
                        "the server broke off while it answered; the request may have been served",
                    ));
                }
            }
        }
    }
}

fn end(visit: Option<Visit>) {
    if let Some(visit) = visit {
        visit.end_request(Outcome::Failed);
    }
}

fn no_server(has_tried: bool) -> AppError {
    if has_tried {
        return AppError::new(
            StatusCode::BAD_GATEWAY,
            "bad_gateway",
            "no server could be reached",
        );
    }
    AppError::unavailable("no_server", "no server is healthy now, try again")
}

async fn read_body(body: Incoming) -> Result<Bytes, AppError> {
    let limited = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_TIMEOUT, limited).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(AppError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            format!("the body is longer than {BODY_BYTES_MAX} bytes"),
        )),
        Ok(Err(_broken)) => Err(AppError::bad_request(
            "incomplete_body",
            "the body ended early",
        )),
        Err(_late) => Err(AppError::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "the body took too long",
        )),
    }
}
