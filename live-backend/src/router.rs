//! The routes of one server: this table is the whole interface.
//!
//! Belongs here: paths, and the layers around them. Does not belong here: what a route does.

use crate::app::App;
use crate::controllers::{
    broadcasts, friend_requests, health, live_view, logins, metrics, notifications, purchases,
    reset_passwords, sessions, signups,
};
use crate::error::AppError;
use crate::middleware::{origin, record};
use crate::telemetry::{Class, Place};
use crate::websocket::ServerSockets;
use axum::Router;
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
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
    Router::new()
        .route(
            "/api/signups",
            post(signups::create).get(signups::lists::list),
        )
        .route("/api/signups/statistics", get(signups::lists::statistics))
        .route(
            "/api/signups/welcome-emails/failed",
            get(signups::lists::welcome_emails_failed),
        )
        .route("/api/signups/verify/{token}", post(signups::lists::verify))
        .route(
            "/api/signups/{user_id}/welcome-email-status",
            get(signups::lists::welcome_email_status),
        )
        .route("/api/logins", post(logins::create).get(logins::lists::list))
        .route(
            "/api/logins/alert-emails/failed",
            get(logins::lists::alert_emails_failed),
        )
        .route("/api/session", post(sessions::create))
        .route(
            "/api/session/{user_id}",
            get(sessions::show).merge(delete(sessions::end)),
        )
        .route("/api/reset-password", post(reset_passwords::create))
        .route("/api/reset-passwords", post(reset_passwords::create))
        .route("/api/purchases", post(purchases::create))
        .route("/api/friend-requests", post(friend_requests::create))
        .route("/api/notifications/broadcast", post(broadcasts::create))
        .route("/api/notifications/{user_id}", get(notifications::list))
        .route("/api/health", get(health::show))
        .route("/health", get(health::show))
        .route("/metrics", get(metrics::show))
        .merge(live_view::routes())
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(state.clone(), record::record))
        .layer(sockets.layer.clone())
        .layer(from_fn_with_state(state.clone(), origin::allow))
        .with_state(state)
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
