//! The load balancer: chooses a server for every request and passes both ways what they say.
//!
//! Belongs here: choice, stickiness, health, forwarding. Does not belong here: notifications.

mod check;
mod forward;
mod health;
mod line;
mod sticky;
mod tunnel;
mod upstream;

pub(crate) use upstream::{Algorithm, Upstream, Upstreams};

use crate::app::Readiness;
use crate::error::AppError;
use crate::faults::Faults;
use crate::middleware::record::{HOP_HEADER, ID_HEADER, SERVER_HEADER};
use crate::router::class_of;
use crate::security::random_hex;
use crate::server::Answer;
use crate::telemetry::journey::PART_HEADER;
use crate::telemetry::{Class, Part, Place, Telemetry, Visit};
use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use check::Bodies;
use flowreel_engine::model::event::Outcome;
use forward::{Forwarder, Passing, UpstreamFault};
use hyper::body::Incoming;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use sticky::Sticky;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Answered here while the balancer stops, by a server else.
const HEALTH_PATHS: [&str; 2] = ["/api/health", "/health"];

/// By what servers know their balancer, and whom the balancer itself believes.
pub(crate) struct Trust {
    pub(crate) hop_secret: HeaderValue,
    /// Proxies before the balancer, who say for whom they ask.
    pub(crate) proxies: Vec<IpAddr>,
}

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
    trust: Trust,
    readiness: Readiness,
    bodies: Bodies,
    faults: Arc<Faults>,
    /// Requests whose answer has not begun; waited for when stopping.
    answering: TaskTracker,
}

impl LoadBalancer {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of its own, given once"
    )]
    pub(crate) fn new(
        upstreams: Arc<Upstreams>,
        telemetry: Telemetry,
        trust: Trust,
        readiness: Readiness,
        faults: Arc<Faults>,
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
                trust,
                readiness,
                bodies: Bodies::default(),
                faults,
                answering,
            }),
        }
    }

    /// Watches the servers' health until stopped.
    pub(crate) fn start_health_checks(&self, tracker: &TaskTracker, stop: &CancellationToken) {
        let inner = Arc::clone(&self.inner);
        let stop = stop.clone();
        tracker.spawn(async move {
            let Inner {
                upstreams,
                telemetry,
                trust,
                ..
            } = inner.as_ref();
            health::watch(upstreams, telemetry, &trust.hop_secret, &stop).await;
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
        if !self.readiness.is_ready() && HEALTH_PATHS.contains(&request.uri().path()) {
            return AppError::unavailable("draining", "the balancer is stopping").into_response();
        }
        let checked = check::head(&request);
        let class = class_of(request.method(), request.uri().path()).filter(|_| checked.is_ok());
        let visit = class.map(|class| {
            let part = self.begin(&request, class);
            self.telemetry.enter(part, Place::Clients, Place::Balancer)
        });
        let id = visit
            .as_ref()
            .map_or_else(random_hex::<8>, |visit| visit.part().request.0.to_string());
        let passed = match checked {
            Ok(()) => match self.hindered(request.uri().path(), class.is_some()).await {
                None => self.pass(request, peer, visit, &id).await,
                Some(error) => {
                    end(visit);
                    Err(error)
                }
            },
            Err(error) => Err(error),
        };
        let mut response = passed.unwrap_or_else(|error| {
            let mut response = error.into_response();
            let name = HeaderValue::from_static(Place::Balancer.name());
            response.headers_mut().insert(SERVER_HEADER, name);
            response
        });
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(ID_HEADER, id);
        }
        response
    }

    /// Delays and faults at the balancer; the live view stays reachable, so that they can be ended.
    async fn hindered(&self, path: &str, is_recorded: bool) -> Option<AppError> {
        let is_control = path.starts_with("/api/live-view/");
        let refused = if is_recorded {
            self.faults.pass(Place::Balancer).await.is_err()
        } else {
            !is_control && self.faults.is_down(Place::Balancer)
        };
        refused.then(|| {
            AppError::unavailable("fault_injected", "the balancer is broken on purpose now")
        })
    }

    /// A new request, or one of our own making whose id is known already.
    fn begin(&self, request: &Request<Incoming>, class: Class) -> Part {
        let headers = request.headers();
        let is_ours = headers.get(HOP_HEADER) == Some(&self.trust.hop_secret);
        let announced = headers.get(PART_HEADER).filter(|_| is_ours);
        let part: Option<Part> = announced.and_then(|value| value.to_str().ok()?.parse().ok());
        match part.filter(|part| part.class == class) {
            Some(part) => {
                self.telemetry.begin_simulated(part);
                part
            }
            None => self.telemetry.begin_request(class, 0),
        }
    }

    async fn pass(
        &self,
        mut request: Request<Incoming>,
        peer: SocketAddr,
        visit: Option<Visit>,
        id: &str,
    ) -> Result<Response<Body>, AppError> {
        let upgrade = match forward::take_upgrade(&mut request) {
            None => None,
            Some(client) => {
                let Some(room) = self.upstreams.take_room() else {
                    end(visit);
                    let message = "too many sockets are open, try again";
                    return Err(AppError::unavailable("busy", message));
                };
                Some((client, room))
            }
        };
        let (mut head, body) = request.into_parts();
        let (body, _room) = match self.bodies.read(body).await {
            Ok(read) => read,
            Err(error) => {
                end(visit);
                return Err(error);
            }
        };
        forward::clean_request_headers(&mut head.headers, peer, &self.trust.proxies);
        let hop_secret = self.trust.hop_secret.clone();
        head.headers.insert(HOP_HEADER, hop_secret);
        if let Ok(id) = HeaderValue::from_str(id) {
            head.headers.insert(ID_HEADER, id);
        }
        if let Some(part) = visit.as_ref().map(Visit::part)
            && let Ok(part) = HeaderValue::from_str(&part.to_string())
        {
            head.headers.insert(PART_HEADER, part);
        }
        let asked = sticky::Asked::of(&head);
        let passing = Passing::new(head, body, upgrade);
        self.pass_to_some(asked, passing, visit).await
    }

    /// Tries servers until one takes the request; each is tried once.
    async fn pass_to_some(
        &self,
        asked: Option<sticky::Asked>,
        mut passing: Passing,
        mut visit: Option<Visit>,
    ) -> Result<Response<Body>, AppError> {
        let wanted = asked.as_ref().and_then(|asked| self.sticky.wanted(asked));
        let (mut tried, mut is_short, mut is_cut) = (Vec::new(), false, false);
        loop {
            let Some((upstream, reason)) = self.upstreams.choose(wanted, &tried) else {
                end(visit);
                return Err(if is_short {
                    AppError::unavailable("busy", "too many connections are open, try again")
                } else if is_cut {
                    broke_off()
                } else {
                    no_server(!tried.is_empty())
                });
            };
            let part = visit.as_ref().map(Visit::part);
            if let Some(visit) = visit.take() {
                visit.picked(upstream.place, upstream.in_progress_count(), reason);
            }
            passing.stamp(self.telemetry.stamp());
            let busy = upstream.begin();
            let forwarded = self.forwarder.forward(passing, &upstream).await;
            drop(busy);
            match forwarded {
                Ok(mut response) => {
                    if let Some(asked) = &asked {
                        let noted = self.sticky.note(asked, &upstream, &mut response).await;
                        if noted.map_err(|sticky::Broken| broke_off())? {
                            self.telemetry.session_stuck(upstream.place, 0);
                        }
                    }
                    return Ok(response);
                }
                Err(UpstreamFault::Refused { unsent, is_ours }) => {
                    passing = *unsent;
                    is_short |= is_ours;
                    if !is_ours && upstream.failed() {
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
                Err(UpstreamFault::Cut(cut)) => {
                    passing = *cut;
                    is_cut = true;
                    tried.push(upstream.index);
                }
                Err(UpstreamFault::Late) => {
                    return Err(AppError::new(
                        StatusCode::GATEWAY_TIMEOUT,
                        "upstream_timeout",
                        "the server did not answer in time",
                    ));
                }
                Err(UpstreamFault::Broken) => return Err(broke_off()),
            }
        }
    }
}

fn end(visit: Option<Visit>) {
    if let Some(visit) = visit {
        visit.end_request(Outcome::Failed);
    }
}

fn broke_off() -> AppError {
    AppError::new(
        StatusCode::BAD_GATEWAY,
        "bad_gateway",
        "the server broke off while it answered; the request may have been served",
    )
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

#[cfg(test)]
mod tests;
