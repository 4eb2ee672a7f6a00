//! The real-time gateway's listener: says that it is there.
//!
//! Belongs here: its own routes. Does not belong here: the servers' routes, sockets of the servers.

use crate::app::App;
use crate::controllers::health::{self, Health};
use crate::controllers::metrics;
use crate::error::AppError;
use crate::middleware::record::{ID_HEADER, SERVER_HEADER};
use crate::security::random_hex;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use std::sync::Arc;

/// Its name in answers.
const NAME: &str = "gateway";

/// The gateway's routes.
pub(crate) fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/api/health", get(health))
        .route("/metrics", get(metrics::show_at_gateway))
        .fallback(async || AppError::not_found("there is nothing at this address"))
        .method_not_allowed_fallback(async || AppError::of_status(StatusCode::METHOD_NOT_ALLOWED))
        .layer(map_response(identify))
        .with_state(app)
}

async fn health(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> (StatusCode, HeaderMap, Json<Health>) {
    health::report(&app, NAME, &headers).await
}

async fn identify(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(SERVER_HEADER, HeaderValue::from_static(NAME));
    if let Ok(id) = HeaderValue::from_str(&random_hex::<8>()) {
        headers.insert(ID_HEADER, id);
    }
    response
}
