//! Recording of requests: opens the visit at this server, answers for what the controller leaves open.
//!
//! Belongs here: request ids, the visit, panics turned into answers. Does not belong here: what is told.
//!
//! The controller runs as a task of its own: a client that goes away does not cut a request in half
//! between what is stored and what is told.

use crate::error::AppError;
use crate::request::RequestContext;
use crate::router::{ServerState, class_of};
use crate::security::random_hex;
use crate::telemetry::journey::PART_HEADER;
use crate::telemetry::{Part, Place, Visit};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::{Instrument, debug, debug_span};

/// Carries the secret by which a server knows its balancer; without it ids from outside are not believed.
pub(crate) const HOP_HEADER: HeaderName = HeaderName::from_static("x-flowreel-hop");
/// The request's id, for people.
pub(crate) const ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Which server answered.
const SERVER_HEADER: HeaderName = HeaderName::from_static("x-server");

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
    let context = RequestContext::new(id, server.place, visit);
    request.extensions_mut().insert(context.clone());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let started = server.app.telemetry.now();

    let span = debug_span!("request", id = context.id(), server = server.place.name());
    let running = server.app.tracker.spawn(next.run(request).instrument(span));
    let mut response = running.await.unwrap_or_else(|error| {
        tracing::error!(%error, request.id = context.id(), "request {} panicked: {error}", context.id());
        AppError::internal().into_response()
    });

    let status = response.status();
    context.answered(status.is_success());
    let took_ms = server.app.telemetry.now().since_ns(started) / 1_000_000;
    debug!(%method, path, status = status.as_u16(), took_ms, "{method} {path} {status}");
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(context.id()) {
        headers.insert(ID_HEADER, id);
    }
    headers.insert(SERVER_HEADER, HeaderValue::from_static(server.place.name()));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry("cache-control")
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

fn open_visit(
    server: &ServerState,
    headers: &HeaderMap,
    is_balanced: bool,
    class: crate::telemetry::Class,
) -> Visit {
    let telemetry = &server.app.telemetry;
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
