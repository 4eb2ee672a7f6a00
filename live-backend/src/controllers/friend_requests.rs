//! `POST /api/friend-requests`: somebody wants to be friends with somebody.
//!
//! Belongs here: its field and answer. Does not belong here: who is told.

use super::{Made, created};
use crate::error::AppError;
use crate::middleware::body::Fields;
use crate::middleware::caller::Caller;
use crate::models::UserId;
use crate::request::RequestContext;
use crate::router::ServerState;
use axum::extract::{Extension, State};
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Created {
    friend_request_id: String,
    request_id: String,
}

pub(crate) async fn create(
    State(server): State<ServerState>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    fields: Fields,
) -> Made<Created> {
    let (from, to) = (caller.user()?, recipient(&fields)?);
    if from == to {
        return Err(AppError::field(
            "toUserId",
            "nobody can be their own friend; name another user",
        ));
    }
    server.app.service.check_room()?;
    let from = context
        .in_database(server.app.store.user_by_id(from))
        .await?;
    let from = from.ok_or_else(|| AppError::unauthorized("this account is gone"))?;
    let service = &server.app.service;
    let told = service.request_friend(&context, &from, to, server.app.now());
    let friend_request_id = context.in_service(told).await?;
    Ok(created(Created {
        friend_request_id,
        request_id: context.id().to_owned(),
    }))
}

/// A user id as text, or as the number some clients make of it.
fn recipient(fields: &Fields) -> Result<UserId, AppError> {
    let found = match fields.get("toUserId") {
        Some(Value::String(text)) => UserId::parse(text),
        Some(Value::Number(number)) => UserId::parse(&number.to_string()),
        _ => None,
    };
    found.ok_or_else(|| AppError::field("toUserId", "write the other user's userId as toUserId"))
}
