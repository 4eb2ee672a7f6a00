//! `GET /api/notifications/:userId`: what a user was told, newest first, with every delivery.
//!
//! Belongs here: the query and answer. Does not belong here: delivery.

use crate::error::AppError;
use crate::middleware::caller::Caller;
use crate::models::Channel;
use crate::router::ServerState;
use crate::store::notifications::{Listed, Page};
use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};

/// Notifications on a page where none is asked for.
const LIMIT_DEFAULT: u64 = 20;
/// Notifications on a page at most.
const LIMIT_MAX: u64 = 100;

#[derive(Deserialize)]
pub(crate) struct Asked {
    channel: Option<String>,
    page: Option<String>,
    limit: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Answer {
    notifications: Vec<Listed>,
    page: u64,
    limit: u64,
    total: u64,
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
    let page = number("page", asked.page.as_deref(), 1, u64::from(u32::MAX))?;
    let limit = number("limit", asked.limit.as_deref(), LIMIT_DEFAULT, LIMIT_MAX)?;
    let range = Page {
        offset: (page - 1) * limit,
        limit,
    };
    let (notifications, total) = server
        .app
        .store
        .notifications_of(user_id, channel, range)
        .await?;
    Ok(Json(Answer {
        notifications,
        page,
        limit,
        total,
    }))
}

fn number(
    field: &'static str,
    text: Option<&str>,
    default: u64,
    max: u64,
) -> Result<u64, AppError> {
    let Some(text) = text else { return Ok(default) };
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=max).contains(number));
    number
        .ok_or_else(|| AppError::field(field, format!("{field} is a whole number from 1 to {max}")))
}
