//! `GET /api/signups…`: accounts, their totals, and how their welcome e-mails fared; `POST …/verify/:token`.
//!
//! Belongs here: queries and answers. Does not belong here: making accounts.
//!
//! Lists hold addresses of people, so they are for administrators; a user may see the own welcome e-mail.

use crate::controllers::paging::{AskedPage, OfAll};
use crate::error::AppError;
use crate::middleware::caller::Caller;
use crate::models::UserId;
use crate::router::ServerState;
use crate::security::hash_hex;
use crate::store::histories::{Signup, SignupStatistics, Tracked, Which};
use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct Listed {
    signups: Vec<Signup>,
    #[serde(flatten)]
    page: OfAll,
}

pub(crate) async fn list(
    State(server): State<ServerState>,
    Query(asked): Query<AskedPage>,
    caller: Caller,
) -> Result<Json<Listed>, AppError> {
    page(&server, &asked, &caller, Which::All).await
}

pub(crate) async fn welcome_emails_failed(
    State(server): State<ServerState>,
    Query(asked): Query<AskedPage>,
    caller: Caller,
) -> Result<Json<Listed>, AppError> {
    page(&server, &asked, &caller, Which::EmailFailed).await
}

async fn page(
    server: &ServerState,
    asked: &AskedPage,
    caller: &Caller,
    which: Which,
) -> Result<Json<Listed>, AppError> {
    caller.must_be_admin()?;
    let paged = asked.read()?;
    let (signups, total) = server.app.store.signups(which, paged.range()).await?;
    Ok(Json(Listed {
        signups,
        page: paged.of(total),
    }))
}

pub(crate) async fn statistics(
    State(server): State<ServerState>,
    caller: Caller,
) -> Result<Json<SignupStatistics>, AppError> {
    caller.must_be_admin()?;
    Ok(Json(server.app.store.signup_statistics().await?))
}

pub(crate) async fn welcome_email_status(
    State(server): State<ServerState>,
    Path(user_id): Path<String>,
    caller: Caller,
) -> Result<Json<Tracked>, AppError> {
    let user = caller.acting_for(&user_id)?;
    let found = server.app.store.welcome_email(user).await?;
    found
        .map(Json)
        .ok_or_else(|| AppError::not_found("there is no signup with this id"))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verified {
    user_id: UserId,
    email_verified: bool,
}

/// The token is the proof; who sends it does not matter.
pub(crate) async fn verify(
    State(server): State<ServerState>,
    Path(token): Path<String>,
) -> Result<Json<Verified>, AppError> {
    let verified = server
        .app
        .store
        .verify_email(hash_hex(&token), server.app.now());
    let user_id = verified.await?.ok_or_else(|| {
        AppError::bad_request(
            "invalid_token",
            "this token is unknown or was used already; it stands in the welcome e-mail",
        )
    })?;
    Ok(Json(Verified {
        user_id,
        email_verified: true,
    }))
}
