//! Who calls: the bearer token of a request, checked.
//!
//! Belongs here: authentication of HTTP requests. Does not belong here: what a route allows whom.

use crate::error::AppError;
use crate::models::UserId;
use crate::router::ServerState;
use crate::security::tokens::{Claims, Permission};
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

/// The owner of a valid token whose session is open.
#[derive(Clone)]
pub(crate) struct Caller {
    claims: Claims,
}

impl FromRequestParts<ServerState> for Caller {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, server: &ServerState) -> Result<Self, AppError> {
        // The guard of the route has checked already.
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let header = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let token = header
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| {
                AppError::unauthorized("send Authorization: Bearer with a session token")
            })?;
        let claims = server
            .app
            .tokens
            .check(token)
            .map_err(|fault| AppError::unauthorized(fault.message()))?;
        let is_open = !claims.has_session() || {
            let now = server.app.now();
            server
                .app
                .store
                .is_session_open(claims.sid.clone(), now)
                .await?
        };
        if !is_open {
            return Err(AppError::unauthorized(
                "this session has ended; log in again",
            ));
        }
        Ok(Self { claims })
    }
}

impl Caller {
    /// The user who calls.
    pub(crate) fn user(&self) -> Result<UserId, AppError> {
        self.claims.user_id().ok_or_else(|| {
            AppError::forbidden("this needs the token of a user, not the administrator's")
        })
    }

    /// The user named in the address, where the caller may act for that user.
    pub(crate) fn acting_for(&self, named: &str) -> Result<UserId, AppError> {
        let named = UserId::parse(named).ok_or_else(|| {
            AppError::bad_request(
                "invalid_user_id",
                "the userId in the address is a whole number",
            )
        })?;
        if self.claims.is_admin() || self.claims.user_id() == Some(named) {
            Ok(named)
        } else {
            Err(AppError::forbidden("this belongs to another user"))
        }
    }

    /// Refuses who lacks the permission.
    pub(crate) fn must_have(&self, permission: Permission) -> Result<(), AppError> {
        if self.claims.may(permission) {
            return Ok(());
        }
        Err(AppError::forbidden(
            "this needs an administrator's token, or the permission dashboard:read:live",
        ))
    }

    /// Refuses everybody but administrators.
    pub(crate) fn must_be_admin(&self) -> Result<(), AppError> {
        if self.claims.is_admin() {
            return Ok(());
        }
        Err(AppError::forbidden("this needs an administrator's token"))
    }
}
