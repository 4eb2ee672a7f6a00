//! `POST /api/reset-password`: asks for a new password.
//!
//! Belongs here: its field and answer. Does not belong here: the e-mail with the code.
//!
//! The answer does not tell whether somebody has the address: it is the same, after the same time.

use super::Made;
use crate::middleware::body::Fields;
use crate::request::RequestContext;
use crate::router::ServerState;
use crate::security::{hash_hex, random_hex};
use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use serde::Serialize;
use std::time::Duration;

/// No answer before: storing and queueing a message takes a part of it, finding nobody takes nothing.
const ANSWER_AFTER: Duration = Duration::from_millis(100);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Accepted {
    request_id: String,
}

pub(crate) async fn create(
    State(server): State<ServerState>,
    Extension(context): Extension<RequestContext>,
    fields: Fields,
) -> Made<Accepted> {
    let email = fields.address("email")?;
    server.app.service.check_room()?;
    let answer_at = tokio::time::Instant::now() + ANSWER_AFTER;
    let found = context
        .in_database(server.app.store.user_by_email(email))
        .await?;
    if let Some(user) = found {
        let token = random_hex::<16>();
        let (hash, now) = (hash_hex(&token), server.app.now());
        let told = server
            .app
            .service
            .reset_password(&context, &user, &token, hash, now);
        context.in_service(told).await?;
    }
    tokio::time::sleep_until(answer_at).await;
    Ok((
        StatusCode::ACCEPTED,
        Json(Accepted {
            request_id: context.id().to_owned(),
        }),
    ))
}
