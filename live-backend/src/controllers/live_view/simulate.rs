//! `POST /api/live-view/simulate`: makes so many real requests of one kind.
//!
//! Belongs here: its fields and answer. Does not belong here: making the requests (injection).

use crate::error::AppError;
use crate::injection::{self, Injection};
use crate::middleware::body::Fields;
use crate::models::NotificationType;
use crate::router::ServerState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// Requests of one injection at most.
const COUNT_MAX: u64 = 10_000;
/// Longest time between two requests, in milliseconds.
const INTERVAL_MS_MAX: u64 = 60_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Accepted {
    request_ids: Vec<String>,
}

pub(crate) async fn start(
    State(server): State<ServerState>,
    fields: Fields,
) -> Result<(StatusCode, Json<Accepted>), AppError> {
    let injection = read(&fields)?;
    server.app.service.check_room()?;
    let ids = injection::start(&server.app, injection).await?;
    let request_ids = ids.iter().map(|id| id.0.to_string()).collect();
    Ok((StatusCode::ACCEPTED, Json(Accepted { request_ids })))
}

fn read(fields: &Fields) -> Result<Injection, AppError> {
    // Classes are written with a dash where kinds have an underscore; both are understood.
    let name = fields.text("type", 32)?.replace('-', "_");
    let kind = NotificationType::from_name(&name).ok_or_else(|| {
        let names = NotificationType::ALL
            .iter()
            .map(|kind| kind.name())
            .collect::<Vec<_>>();
        AppError::field("type", format!("type is one of {}", names.join(", ")))
    })?;
    let count = match fields.get("count") {
        None => 1,
        Some(value) => value
            .as_u64()
            .filter(|count| (1..=COUNT_MAX).contains(count))
            .ok_or_else(|| {
                AppError::field(
                    "count",
                    format!("count is a whole number from 1 to {COUNT_MAX}"),
                )
            })?,
    };
    let interval_ms = match fields.get("interval") {
        None => 0,
        Some(value) => interval_ms(value)?,
    };
    Ok(Injection {
        kind,
        count: u32::try_from(count).unwrap_or(u32::MAX),
        interval: Duration::from_millis(interval_ms),
    })
}

fn interval_ms(value: &Value) -> Result<u64, AppError> {
    value
        .as_u64()
        .filter(|&ms| ms <= INTERVAL_MS_MAX)
        .ok_or_else(|| {
            let message =
                format!("interval is a whole number of milliseconds up to {INTERVAL_MS_MAX}");
            AppError::field("interval", message)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn injections_are_read_or_their_wrong_field_is_named() {
        let fields = |json: &str| Fields::parse(json.as_bytes()).ok().unwrap();
        let read_json = |json: &str| read(&fields(json));
        let injection = read_json(r#"{"type":"reset-password","count":5,"interval":200}"#).unwrap();
        let expected = Injection {
            kind: NotificationType::ResetPassword,
            count: 5,
            interval: Duration::from_millis(200),
        };
        assert_eq!(injection, expected);
        for (json, field) in [
            (r#"{"count":5}"#, "type"),
            (r#"{"type":"party"}"#, "type"),
            (r#"{"type":"login","count":0}"#, "count"),
            (r#"{"type":"login","count":"5"}"#, "count"),
            (r#"{"type":"login","count":99999}"#, "count"),
            (r#"{"type":"login","interval":-1}"#, "interval"),
        ] {
            let error = read_json(json).unwrap_err().to_json();
            assert!(
                error.contains(&format!("\"field\":\"{field}\"")),
                "{json}: {error}"
            );
        }
    }
}
