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
        let upgrade = forward::take_upgrade(&mut request);
        if upgrade.is_some() && !self.upstreams.has_room_for_tunnel() {
            end(visit);
            let message = "too many sockets are open, try again";
            return Err(AppError::unavailable("busy", message));
        }
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
        let (mut tried, mut is_short) = (Vec::new(), false);
        loop {
            let Some((upstream, reason)) = self.upstreams.choose(wanted, &tried) else {
                end(visit);
                return Err(if is_short {
                    AppError::unavailable("busy", "too many connections are open, try again")
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
mod tests {
    use super::*;
    use crate::server;
    use crate::telemetry::topology::{TopologySettings, live_topology};
    use crate::telemetry::{Clock, Recorder, RecordingSettings};
    use axum::Router;
    use axum::routing::any;
    use http_body_util::BodyExt;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;

    const SETTINGS: TopologySettings = TopologySettings {
        balancer_port: 0,
        server_ports: [0; 3],
        websocket_port: 0,
        mail_worker_servers: 5,
        mail_rate_per_s: 5.0,
        in_app_worker_servers: 10,
        in_app_rate_per_s: 10.0,
    };

    struct Running {
        url: String,
        upstreams: Arc<Upstreams>,
        tracker: TaskTracker,
        stop: CancellationToken,
        recorder: Recorder,
    }

    /// How a server behaves.
    #[derive(Clone, Copy, PartialEq)]
    enum Serving {
        Answers,
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
            live_topology(&SETTINGS),
            &RecordingSettings::default(),
        )
        .unwrap();
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
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
            } else if serving == Serving::Answers {
                let routes = Router::new().fallback(any(move || async move { place.name() }));
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
        let server = &running.upstreams.all()[0];
        let mut open: Vec<_> = (0..5).map(|_| server.begin_tunnel()).collect();
        let ask = async || {
            let client = Client::builder(TokioExecutor::new()).build_http();
            let request = Request::get(format!("{}/socket.io/?EIO=4", running.url))
                .header("connection", "upgrade")
                .header("upgrade", "websocket");
            let request = request.body(Body::empty()).unwrap();
            client.request(request).await.unwrap().status()
        };
        assert_eq!(ask().await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(running.post("/api/logins").await.0, StatusCode::OK);
        open.pop();
        assert_eq!(ask().await, StatusCode::OK);
        drop(open);
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
}
