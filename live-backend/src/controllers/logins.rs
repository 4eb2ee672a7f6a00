//! `POST /api/logins`: proves a password, opens a session, tells its owner.
//!
//! Belongs here: its fields and answer. Does not belong here: hashing, tokens, the history (lists).
//!
//! An unknown address and a wrong password get the same answer after the same work.

pub(crate) mod lists;

use super::sessions::open_session;
use super::signups::PASSWORD_BYTES_MAX;
use crate::error::AppError;
use crate::middleware::body::Fields;
use crate::middleware::record::ClientAddress;
use crate::models::UserId;
use crate::request::RequestContext;
use crate::router::ServerState;
use crate::security::passwords::Guess;
use crate::store::users::User;
use axum::Json;
use axum::extract::{Extension, State};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LoggedIn {
    user_id: UserId,
    session_token: String,
    refresh_token: String,
    request_id: String,
}

pub(crate) async fn create(
    State(server): State<ServerState>,
    Extension(context): Extension<RequestContext>,
    Extension(address): Extension<ClientAddress>,
    fields: Fields,
) -> Result<Json<LoggedIn>, AppError> {
    server.app.service.check_room()?;
    let user = prove(&server, &context, address, &fields).await?;
    let opened = open_session(&server, user.id).await?;
    let told = server
        .app
        .service
        .log_in(&context, &user, opened.session, server.app.now());
    context.in_service(told).await?;
    Ok(Json(LoggedIn {
        user_id: user.id,
        session_token: opened.session_token,
        refresh_token: opened.refresh_token,
        request_id: context.id().to_owned(),
    }))
}

/// The user whose address and password were sent.
pub(super) async fn prove(
    server: &ServerState,
    context: &RequestContext,
    client: ClientAddress,
    fields: &Fields,
) -> Result<User, AppError> {
    let email = fields.address("email")?;
    let password = fields.secret("password", 1, PASSWORD_BYTES_MAX)?;
    let passwords = &server.app.passwords;
    let (tryer, now_ms) = (
        passwords.throttle().tryer(&email, client.address),
        server.app.now().0,
    );
    passwords.must_have_try(tryer, now_ms)?;
    let found = context
        .in_database(server.app.store.user_by_email(email))
        .await?;
    let guess = Guess {
        password,
        stored: found.as_ref().map(|user| user.password_hash.clone()),
        tryer,
        now_ms,
    };
    let is_right = passwords.is_right(guess).await?;
    match found {
        Some(user) if is_right => Ok(user),
        other => {
            let user = other.map(|user| user.id);
            let failed = server.app.store.record_failed_login(user, server.app.now());
            context.in_database(failed).await?;
            Err(AppError::unauthorized(
                "this address and password do not belong together",
            ))
        }
    }
}
