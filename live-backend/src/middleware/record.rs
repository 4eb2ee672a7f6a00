//! Recording of requests: opens the visit at this server, answers for what the controller leaves open.
//!
//! Belongs here: request ids, the visit, the log line, panics and foreign refusals turned into our answers.
//! Does not belong here: what is told.
//!
//! The controller runs as a task of its own: a client that goes away does not cut a request in half
//! between what is stored and what is told.

use crate::error::AppError;
use crate::request::RequestContext;
use crate::router::access::RoutePath;
use crate::router::{ServerState, class_of};
use crate::security::random_hex;
use crate::server::Peer;
use crate::telemetry::journey::{PART_HEADER, TIME_HEADER};
use crate::telemetry::{Part, Place, Visit};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tracing::{Instrument, debug, debug_span, info};

/// Carries the secret by which a server knows its balancer; without it ids from outside are not believed.
pub(crate) const HOP_HEADER: HeaderName = HeaderName::from_static("x-flowreel-hop");
/// The request's id, for people.
pub(crate) const ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Which server answered.
pub(crate) const SERVER_HEADER: HeaderName = HeaderName::from_static("x-server");
/// Whom the balancer serves; believed from the balancer only.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Asked many times a minute by programs.
const PROBES: [&str; 3] = ["/api/health", "/health", "/metrics"];

/// Set by the balancer where another proxy stands before it.
pub(crate) const PROXIED: HeaderName = HeaderName::from_static("x-flowreel-proxied");

/// Where the client is, as far as the balancer or the connection tells.
#[derive(Clone, Copy)]
pub(crate) struct ClientAddress {
    pub(crate) address: IpAddr,
    /// Another proxy passed the request on, so the address is the proxy's.
    is_proxied: bool,
}

impl ClientAddress {
    /// Whether the client is a program of this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.address.is_loopback() && !self.is_proxied
    }
}

/// Whether a proxy that is not our balancer says that it passed the request on.
pub(crate) fn is_proxied(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED_FOR) || headers.contains_key(header::FORWARDED)
}

pub(crate) async fn record(
    State(server): State<ServerState>,
    mut request: Request,
    next: Next,
) -> Response {
    let is_balanced = is_from_balancer(request.headers(), &server.app.hop_secret);
    let visit = class_of(request.method(), request.uri().path())
        .map(|class| open_visit(&server, request.headers(), is_balanced, class));
    let id = match &visit {
        Some(visit) => visit.part().request.0.to_string(),
        None => id_of(request.headers(), is_balanced),
    };
    let context = RequestContext::new(id, server.place, visit, Arc::clone(&server.app.faults));
    request.extensions_mut().insert(context.clone());
    let address = client_address(&request, is_balanced);
    request.extensions_mut().insert(address);
    let method = request.method().clone();
    let started = server.app.telemetry.now();

    let span = debug_span!("request", id = context.id(), server = server.place.name());
    let running = server.app.tracker.spawn(next.run(request).instrument(span));
    let mut response = running.await.unwrap_or_else(|error| {
        tracing::error!(%error, request.id = context.id(), "request {} panicked: {error}", context.id());
        AppError::internal().into_response()
    });

    if is_foreign_refusal(&response) {
        let (head, _body) = response.into_parts();
        response = AppError::of_status(head.status).into_response();
        *response.extensions_mut() = head.extensions;
        // Which methods an address takes.
        if let Some(allow) = head.headers.get(header::ALLOW) {
            response.headers_mut().insert(header::ALLOW, allow.clone());
        }
    }
    let status = response.status();
    context.answered(status.is_success());
    let took_ms = server.app.telemetry.now().since_ns(started) / 1_000_000;
    // The route, not the address: addresses may hold tokens.
    let route = response.extensions().get::<RoutePath>();
    let path = route.map_or("(no route)", |RoutePath(path)| path);
    let (server_name, status) = (server.place.name(), status.as_u16());
    if PROBES.contains(&path) {
        debug!(%method, path, status, ms = took_ms, server = server_name, request.id = context.id(), "{method} {path} {status}");
    } else {
        info!(%method, path, status, ms = took_ms, server = server_name, request.id = context.id(), "{method} {path} {status}");
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(context.id()) {
        headers.insert(ID_HEADER, id);
    }
    headers.insert(SERVER_HEADER, HeaderValue::from_static(server.place.name()));
    response
}

fn open_visit(
    server: &ServerState,
    headers: &HeaderMap,
    is_balanced: bool,
    class: crate::telemetry::Class,
) -> Visit {
    let telemetry = &server.app.telemetry;
    let stamp = headers.get(TIME_HEADER).filter(|_| is_balanced);
    if let Some(stamp) = stamp.and_then(|value| value.to_str().ok()?.parse().ok()) {
        telemetry.observe(stamp);
    }
    let part: Option<Part> = headers
        .get(PART_HEADER)
        .filter(|_| is_balanced)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    match part {
        Some(part) => telemetry.enter(part, Place::Balancer, server.place),
        // Somebody talks to this server directly: the request begins here.
        None => telemetry.enter(
            telemetry.begin_request(class, 0),
            Place::Clients,
            server.place,
        ),
    }
}

fn id_of(headers: &HeaderMap, is_balanced: bool) -> String {
    headers
        .get(ID_HEADER)
        .filter(|_| is_balanced)
        .and_then(|value| value.to_str().ok())
        .map_or_else(random_hex::<8>, str::to_owned)
}

/// Whether our own balancer asks.
pub(crate) fn is_from_balancer(headers: &HeaderMap, secret: &str) -> bool {
    headers
        .get(HOP_HEADER)
        .is_some_and(|value| value.as_bytes() == secret.as_bytes())
}

/// A refusal by a library, which is plain text and not our form.
fn is_foreign_refusal(response: &Response) -> bool {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_json = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    (status.is_client_error() || status.is_server_error()) && !is_json
}

fn client_address(request: &Request, is_balanced: bool) -> ClientAddress {
    let headers = request.headers();
    let told = headers
        .get(FORWARDED_FOR)
        .filter(|_| is_balanced)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let peer = request.extensions().get::<Peer>().map(|Peer(peer)| *peer);
    ClientAddress {
        address: told.or(peer).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        is_proxied: if is_balanced {
            headers.contains_key(PROXIED)
        } else {
            is_proxied(headers)
        },
    }
}
