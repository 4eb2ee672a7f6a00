//! Controllers: extract, check, one service call, answer.
//!
//! Belongs here: one file per route family. Does not belong here: SQL, queues, sockets.

pub(crate) mod broadcasts;
pub(crate) mod friend_requests;
pub(crate) mod health;
pub(crate) mod live_view;
pub(crate) mod logins;
pub(crate) mod metrics;
pub(crate) mod notifications;
mod paging;
pub(crate) mod purchases;
pub(crate) mod queues;
pub(crate) mod reset_passwords;
pub(crate) mod sessions;
pub(crate) mod signups;
pub(crate) mod users;

use crate::error::AppError;
use axum::Json;
use axum::http::StatusCode;
use serde::Serialize;

/// What a route that makes something answers.
type Made<T> = Result<(StatusCode, Json<T>), AppError>;

fn created<T: Serialize>(value: T) -> (StatusCode, Json<T>) {
    (StatusCode::CREATED, Json(value))
}
