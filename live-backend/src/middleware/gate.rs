//! Delays and faults of the server that serves a request.
//!
//! Belongs here: what they do to one recorded request. Does not belong here: a server that is down, whose
//! port is closed (app/outage), the store's faults (request).

use crate::error::AppError;
use crate::request::RequestContext;
use crate::router::{ServerState, class_of};
use crate::telemetry::Layer;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Requests that are not recorded pass, so that faults can be watched and ended.
pub(crate) async fn pass(
    State(server): State<ServerState>,
    request: Request,
    next: Next,
) -> Response {
    if class_of(request.method(), request.uri().path()).is_none() {
        return next.run(request).await;
    }
    match server.app.faults.pass(server.place).await {
        Ok(()) => {
            // The last layer that all routes have: behind it the request's own is looked up.
            if let Some(context) = request.extensions().get::<RequestContext>() {
                context.enter(Layer::Routes);
            }
            next.run(request).await
        }
        Err(refused) => {
            let status = StatusCode::from_u16(refused.code).ok();
            let status = status.filter(|_| refused.code > 0);
            AppError::new(
                status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
                "fault_injected",
                "this server is broken on purpose now",
            )
            .into_response()
        }
    }
}
