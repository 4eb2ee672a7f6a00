//! `GET /api/live-view/reel`: this run's recording from its first byte, as it grows, to its end.
//!
//! Belongs here: the answer's head. Does not belong here: the bytes (telemetry).

use super::watch::Watcher;
use crate::error::AppError;
use crate::middleware::record::HOP_HEADER;
use crate::router::ServerState;
use crate::telemetry::{FollowError, Telemetry};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

/// Longest wait for a connection to the recorder.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) async fn follow(
    State(server): State<ServerState>,
    _watcher: Watcher,
    RawQuery(query): RawQuery,
) -> Result<Response, AppError> {
    let app = &server.app;
    match &app.recorder {
        None => answer(&app.telemetry, query.as_deref()),
        Some(address) => pass_on(address, query.as_deref(), &app.hop_secret).await,
    }
}

/// The reel that this process writes.
pub(crate) fn answer(telemetry: &Telemetry, query: Option<&str>) -> Result<Response, AppError> {
    let follower = match query {
        None | Some("") => telemetry.follow(),
        Some("from=latest") => telemetry.follow_latest(),
        Some(_other) => {
            return Err(AppError::field(
                "from",
                "from is latest, for the run from its newest segment on; leave it out for the whole run",
            ));
        }
    };
    let follower = follower.map_err(refusal)?;
    let kind = (header::CONTENT_TYPE, "application/octet-stream");
    Ok(([kind], Body::from_stream(follower.into_stream())).into_response())
}

/// The reel of the run's recorder at that address, as it comes.
async fn pass_on(
    address: &str,
    query: Option<&str>,
    hop_secret: &str,
) -> Result<Response, AppError> {
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    let request = Request::get(format!("http://{address}/api/live-view/reel{query}"))
        .header(HOP_HEADER, hop_secret)
        .body(Body::empty())
        .map_err(|_no_request| AppError::field("from", "the query cannot be read"))?;
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let response = client.request(request).await.map_err(|error| {
        tracing::warn!(%error, "the recorder at {address} cannot be reached: {error}");
        AppError::unavailable("no_recorder", "the recorder cannot be reached, try again")
    })?;
    Ok(response.map(Body::new))
}

fn refusal(error: FollowError) -> AppError {
    match error {
        FollowError::Off => AppError::not_found(error.to_string()),
        FollowError::Crowded => AppError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_followers",
            error.to_string(),
        ),
        FollowError::Read { .. } | FollowError::Stalled => {
            tracing::error!(%error, "the recording cannot be followed: {error}");
            AppError::internal()
        }
    }
}
