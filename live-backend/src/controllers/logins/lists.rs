//! `GET /api/logins…`: the login history, newest first.
//!
//! Belongs here: queries and answers. Does not belong here: logging in.
//!
//! Administrators see every login, a user sees the own ones.

use crate::controllers::paging::{AskedPage, OfAll};
use crate::error::AppError;
use crate::middleware::caller::Caller;
use crate::router::ServerState;
use crate::store::histories::{Login, Which};
use axum::Json;
use axum::extract::{Query, State};
use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct Listed {
    logins: Vec<Login>,
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

pub(crate) async fn alert_emails_failed(
    State(server): State<ServerState>,
    Query(asked): Query<AskedPage>,
    caller: Caller,
) -> Result<Json<Listed>, AppError> {
    caller.must_be_admin()?;
    page(&server, &asked, &caller, Which::EmailFailed).await
}

async fn page(
    server: &ServerState,
    asked: &AskedPage,
    caller: &Caller,
    which: Which,
) -> Result<Json<Listed>, AppError> {
    let paged = asked.read()?;
    let user = caller
        .must_be_admin()
        .is_err()
        .then(|| caller.user())
        .transpose()?;
    let (logins, total) = server.app.store.logins(which, user, paged.range()).await?;
    Ok(Json(Listed {
        logins,
        page: paged.of(total),
    }))
}
