//! `POST /api/signups`: a new account.
//!
//! Belongs here: its fields and answer. Does not belong here: the welcome e-mail, lists (lists).

pub(crate) mod lists;

use super::{Made, created};
use crate::middleware::body::Fields;
use crate::models::UserId;
use crate::request::RequestContext;
use crate::router::ServerState;
use crate::security::{hash_hex, random_hex};
use crate::store::users::NewUser;
use axum::extract::{Extension, State};
use serde::Serialize;

/// Longest name of a person, in characters.
const USERNAME_CHARS_MAX: usize = 64;
/// Shortest password, in bytes.
const PASSWORD_BYTES_MIN: usize = 6;
/// Longest password, in bytes: hashing a megabyte would cost us more than its sender.
pub(super) const PASSWORD_BYTES_MAX: usize = 256;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Created {
    user_id: UserId,
    request_id: String,
}

pub(crate) async fn create(
    State(server): State<ServerState>,
    Extension(context): Extension<RequestContext>,
    fields: Fields,
) -> Made<Created> {
    let username = fields.text("username", USERNAME_CHARS_MAX)?;
    let email = fields.address("email")?;
    let password = fields.secret("password", PASSWORD_BYTES_MIN, PASSWORD_BYTES_MAX)?;
    server.app.service.check_room()?;
    let password_hash = server.app.passwords.hash(password).await?;
    let verification = random_hex::<16>();
    let user = NewUser {
        username,
        email,
        password_hash,
        verification_hash: Some(hash_hex(&verification)),
    };
    let told = server
        .app
        .service
        .sign_up(&context, user, &verification, server.app.now());
    let user_id = context.in_service(told).await?;
    Ok(created(Created {
        user_id,
        request_id: context.id().to_owned(),
    }))
}
