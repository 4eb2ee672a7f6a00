//! `/api/session`: opens a session or renews its token, shows a user's sessions, ends them.
//!
//! Belongs here: session tokens as clients see them. Does not belong here: the login's notifications.

use super::logins::prove;
use super::{Made, created};
use crate::error::AppError;
use crate::middleware::body::Fields;
use crate::middleware::caller::Caller;
use crate::middleware::record::ClientAddress;
use crate::models::{UserId, WallMs};
use crate::request::RequestContext;
use crate::router::ServerState;
use crate::security::tokens::{ACCESS_TOKEN_S, TOKEN_BYTES_MAX};
use crate::security::{hash_hex, random_hex};
use crate::store::sessions::NewSession;
use axum::Json;
use axum::extract::{Extension, Path, State};
use serde::Serialize;

/// How long a session can be renewed: thirty days.
const SESSION_LIFE_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// A session to store, with the tokens that only the client keeps.
pub(super) struct Opened {
    pub(super) session: NewSession,
    pub(super) session_token: String,
    pub(super) refresh_token: String,
}

pub(super) async fn open_session(server: &ServerState, user: UserId) -> Result<Opened, AppError> {
    let role = server.app.store.role_of(user).await?;
    let (id, now) = (random_hex::<16>(), server.app.now());
    let expires_at = WallMs(now.0.saturating_add(SESSION_LIFE_MS));
    let refresh_token = server.app.tokens.sign_refresh(user, &id, expires_at);
    let session_token = server.app.tokens.sign_as(role, user, &id, now);
    Ok(Opened {
        session: NewSession {
            id,
            user,
            token_hash: hash_hex(&session_token),
            refresh_hash: hash_hex(&refresh_token),
            expires_at,
        },
        session_token,
        refresh_token,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Renewed {
    user_id: UserId,
    session_token: String,
    refresh_token: String,
    expires_in_s: u64,
}

/// With a `refreshToken`: its successor and a fresh session token. With `email` and `password`: a session
/// that nobody is told about.
pub(crate) async fn create(
    State(server): State<ServerState>,
    Extension(context): Extension<RequestContext>,
    Extension(address): Extension<ClientAddress>,
    fields: Fields,
) -> Made<Renewed> {
    if fields.get("refreshToken").is_some() {
        let token = fields.secret("refreshToken", 1, TOKEN_BYTES_MAX)?;
        return renew(&server, &token).await.map(created);
    }
    let user = prove(&server, &context, address, &fields).await?;
    let (opened, now) = (open_session(&server, user.id).await?, server.app.now());
    server.app.store.open_session(opened.session, now).await?;
    Ok(created(Renewed {
        user_id: user.id,
        session_token: opened.session_token,
        refresh_token: opened.refresh_token,
        expires_in_s: ACCESS_TOKEN_S,
    }))
}

/// A refresh token is good once. One that comes a second time was stolen from one of two, and nobody can
/// tell from which, so its session ends for both.
async fn renew(server: &ServerState, token: &str) -> Result<Renewed, AppError> {
    let (app, now) = (&server.app, server.app.now());
    let refused =
        || AppError::unauthorized("this refresh token is unknown, used or too old; log in again");
    let (owner, session) = app.tokens.check_refresh(token).ok_or_else(refused)?;
    let next = app.tokens.sign_refresh(
        owner,
        &session,
        WallMs(now.0.saturating_add(SESSION_LIFE_MS)),
    );
    // Asked first: what fails here costs the client no refresh token.
    let role = app.store.role_of(owner).await?;
    let rotated = app
        .store
        .rotate_refresh(hash_hex(token), hash_hex(&next), now)
        .await?;
    let Some((user_id, session)) = rotated else {
        if app.store.end_session(session, now).await? {
            // Which of the user's sockets the thief holds nobody can tell either.
            app.sockets.end_user(owner).await;
            tracing::warn!(user.id = %owner, "a used refresh token of user {owner} came again; its session ended");
        }
        return Err(refused());
    };
    Ok(Renewed {
        user_id,
        session_token: app.tokens.sign_as(role, user_id, &session, now),
        refresh_token: next,
        expires_in_s: ACCESS_TOKEN_S,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    user_id: UserId,
    username: String,
    sessions: Vec<Listed>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    session_id: String,
    created_at: WallMs,
    refreshed_at: WallMs,
    expires_at: WallMs,
}

pub(crate) async fn show(
    State(server): State<ServerState>,
    Path(user_id): Path<String>,
    caller: Caller,
) -> Result<Json<Shown>, AppError> {
    let user_id = caller.acting_for(&user_id)?;
    let user = server.app.store.user_by_id(user_id).await?;
    let user = user.ok_or_else(|| AppError::not_found("there is no such user"))?;
    let sessions = server
        .app
        .store
        .open_sessions(user_id, server.app.now())
        .await?;
    if sessions.is_empty() {
        return Err(AppError::not_found("this user has no open session"));
    }
    let listed = |session: crate::store::sessions::Session| Listed {
        session_id: session.id,
        created_at: session.created_at,
        refreshed_at: session.refreshed_at,
        expires_at: session.expires_at,
    };
    Ok(Json(Shown {
        user_id,
        username: user.username,
        sessions: sessions.into_iter().map(listed).collect(),
    }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ended {
    user_id: UserId,
    ended_count: usize,
}

pub(crate) async fn end(
    State(server): State<ServerState>,
    Path(user_id): Path<String>,
    caller: Caller,
) -> Result<Json<Ended>, AppError> {
    let user_id = caller.acting_for(&user_id)?;
    let ended_count = server
        .app
        .store
        .end_sessions(user_id, server.app.now())
        .await?;
    server.app.sockets.end_user(user_id).await;
    if ended_count == 0 {
        return Err(AppError::not_found("this user has no open session"));
    }
    Ok(Json(Ended {
        user_id,
        ended_count,
    }))
}
