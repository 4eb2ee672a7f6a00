//! `GET /api/live-view/reel`: this run's recording from its first byte, as it grows, to its end.
//!
//! Belongs here: the answer's head. Does not belong here: the bytes (telemetry).

use super::watch::Watcher;
use crate::error::AppError;
use crate::router::ServerState;
use crate::telemetry::FollowError;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

pub(crate) async fn follow(
    State(server): State<ServerState>,
    _watcher: Watcher,
    RawQuery(query): RawQuery,
) -> Result<Response, AppError> {
    let telemetry = &server.app.telemetry;
    let follower = match query.as_deref() {
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
