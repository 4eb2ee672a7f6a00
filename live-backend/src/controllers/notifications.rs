//! `GET /api/notifications/:userId`: what a user was told, newest first, with every delivery.
//!
//! Belongs here: the query and answer. Does not belong here: delivery.

use super::paging::{AskedPage, OfAll};
use crate::error::AppError;
use crate::middleware::caller::Caller;
use crate::models::Channel;
use crate::router::ServerState;
use crate::store::notifications::Listed;
use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
pub(crate) struct Asked {
    channel: Option<String>,
    #[serde(flatten)]
    page: AskedPage,
}

#[derive(Serialize)]
pub(crate) struct Answer {
    notifications: Vec<Listed>,
    #[serde(flatten)]
    page: OfAll,
}

pub(crate) async fn list(
    State(server): State<ServerState>,
    Path(user_id): Path<String>,
    Query(asked): Query<Asked>,
    caller: Caller,
) -> Result<Json<Answer>, AppError> {
    let user_id = caller.acting_for(&user_id)?;
    let channel = match asked.channel.as_deref() {
        None => Channel::InApp,
        Some(name) => Channel::from_name(name)
            .ok_or_else(|| AppError::field("channel", "channel is email or in-app"))?,
    };
    let paged = asked.page.read()?;
    let (notifications, total) = server
        .app
        .store
        .notifications_of(user_id, channel, paged.range())
        .await?;
    Ok(Json(Answer {
        notifications,
        page: paged.of(total),
    }))
}
