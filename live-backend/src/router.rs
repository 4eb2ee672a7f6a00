//! The routes of one server, made from one table, and the layers around them.
//!
//! Belongs here: putting table and layers together. Does not belong here: what a route does, the table.

pub(crate) mod access;
mod openapi;
pub(crate) mod route;
pub(crate) mod schema;
mod table;

use crate::app::App;
use crate::error::AppError;
use crate::middleware::body::AllowedFields;
use crate::middleware::{gate, origin, record};
use crate::telemetry::{Class, Place};
use crate::websocket::{ServerSockets, count_messages, own_head};
use access::Guard;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{from_fn_with_state, map_request, map_response_with_state};
use axum::response::Response;
use std::sync::Arc;

/// What a controller is given: the whole program, and which server serves.
#[derive(Clone)]
pub(crate) struct ServerState {
    pub(crate) app: Arc<App>,
    pub(crate) place: Place,
}

/// The requests that are recorded, as the balancer and the servers tell them.
pub(crate) fn class_of(method: &Method, path: &str) -> Option<Class> {
    if method != Method::POST {
        return None;
    }
    match path {
        "/api/signups" => Some(Class::Signup),
        "/api/logins" => Some(Class::Login),
        "/api/reset-password" | "/api/reset-passwords" => Some(Class::ResetPassword),
        "/api/purchases" => Some(Class::Purchase),
        "/api/friend-requests" => Some(Class::FriendRequest),
        _ => None,
    }
}

/// The routes of the server at `place` with its sockets.
pub(crate) fn routes(app: &Arc<App>, place: Place, sockets: &ServerSockets) -> Router {
    let state = ServerState {
        app: Arc::clone(app),
        place,
    };
    let mut router = Router::new();
    for route in table::all() {
        let guard = Guard {
            server: state.clone(),
            path: route.path,
            access: route.access,
            fields: AllowedFields(route.body),
        };
        let handler = route
            .handler
            .layer(from_fn_with_state(guard, access::guard));
        router = router.route(route.path, handler);
    }
    let matched = router
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(state.clone());
    // Layers of a router run behind its matching; so that a request passes them first, they have a router
    // of their own.
    Router::new()
        .fallback_service(matched)
        .layer(from_fn_with_state(state.clone(), gate::pass))
        .layer(from_fn_with_state(state.clone(), record::record))
        .layer(sockets.layer.clone())
        .layer(map_request(count_messages))
        .layer(map_request(own_head))
        .layer(from_fn_with_state(state.clone(), origin::allow))
        .layer(map_response_with_state(state, named))
}

/// Socket.IO's answers do not pass what names the others.
async fn named(State(server): State<ServerState>, mut response: Response) -> Response {
    let name = HeaderValue::from_static(server.place.name());
    let headers = response.headers_mut();
    headers.entry(record::SERVER_HEADER).or_insert(name);
    response
}

async fn no_such_route() -> AppError {
    AppError::not_found("there is nothing at this address")
}

async fn wrong_method() -> AppError {
    AppError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this address does not take this method",
    )
}
