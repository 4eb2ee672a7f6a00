//! `POST /api/notifications/broadcast`: one piece of news for everybody who is connected, on all servers.
//!
//! Belongs here: its fields and answer. Does not belong here: the sockets. It is neither stored nor queued
//! nor sent again: whoever is not connected misses it.

use crate::error::AppError;
use crate::middleware::body::Fields;
use crate::middleware::caller::Caller;
use crate::models::{NotificationType, Priority};
use crate::router::ServerState;
use crate::security::random_hex;
use crate::telemetry::{Detail, Place};
use crate::websocket::InAppMessage;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

/// Longest title and text, in characters.
const TITLE_CHARS_MAX: usize = 200;
const MESSAGE_CHARS_MAX: usize = 2000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Accepted {
    notification_id: String,
}

pub(crate) async fn create(
    State(server): State<ServerState>,
    caller: Caller,
    fields: Fields,
) -> Result<(StatusCode, Json<Accepted>), AppError> {
    caller.must_be_admin()?;
    let app = &server.app;
    let id = random_hex::<16>();
    let message = InAppMessage {
        id: id.clone(),
        kind: kind(&fields)?,
        title: fields.text("title", TITLE_CHARS_MAX)?,
        message: fields.text("message", MESSAGE_CHARS_MAX)?,
        priority: priority(&fields)?,
        created_at: app.now(),
        expires_at: None,
    };
    app.sockets
        .broadcast(&message)
        .await
        .map_err(|fault| AppError::unavailable("sockets_unavailable", fault.reason()))?;
    let what = Detail::of("broadcast", message.kind.name());
    app.telemetry.control_applied(Place::Websocket, what, 1000);
    let accepted = Accepted {
        notification_id: id,
    };
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

fn kind(fields: &Fields) -> Result<NotificationType, AppError> {
    let name = fields.text("type", 32)?;
    NotificationType::from_name(&name).ok_or_else(|| {
        let names: Vec<_> = NotificationType::ALL
            .iter()
            .map(|kind| kind.name())
            .collect();
        AppError::field("type", format!("type is one of {}", names.join(", ")))
    })
}

fn priority(fields: &Fields) -> Result<Priority, AppError> {
    if fields.get("priority").is_none() {
        return Ok(Priority::Normal);
    }
    let name = fields.text("priority", 32)?;
    Priority::from_name(&name).ok_or_else(|| {
        let names: Vec<_> = Priority::ALL
            .iter()
            .map(|priority| priority.name())
            .collect();
        AppError::field(
            "priority",
            format!("priority is one of {}", names.join(", ")),
        )
    })
}
