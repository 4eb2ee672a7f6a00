//! Origins: which pages of other hosts may call, over HTTP and over polling sockets alike.
//!
//! Belongs here: CORS headers and preflights. Does not belong here: the list (config).

use crate::router::ServerState;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Seconds a browser may remember a preflight.
const PREFLIGHT_AGE_S: &str = "600";

pub(crate) async fn allow(
    State(server): State<ServerState>,
    request: Request,
    next: Next,
) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let allowed = origin.filter(|origin| is_allowed(origin, &server.app.settings.origins));
    let is_preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = allowed {
        answer(headers, origin, &server.app.settings.origins, is_preflight);
    }
    response
}

fn answer(headers: &mut HeaderMap, origin: HeaderValue, origins: &[String], is_preflight: bool) {
    let is_any = origins.iter().any(|allowed| allowed == "*");
    if is_any {
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
    } else {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let yes = HeaderValue::from_static("true");
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
    }
    if is_preflight {
        for (name, value) in [
            (
                header::ACCESS_CONTROL_ALLOW_METHODS,
                "GET, POST, PUT, DELETE, OPTIONS",
            ),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "authorization, content-type",
            ),
            (header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE_S),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

fn is_allowed(origin: &HeaderValue, origins: &[String]) -> bool {
    origins
        .iter()
        .any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes())
}
