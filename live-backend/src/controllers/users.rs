//! `PUT /api/users/:userId/role`: who is an administrator.
//!
//! Belongs here: its field and answer. Does not belong here: what a role may do (security).

use crate::error::AppError;
use crate::middleware::body::Fields;
use crate::middleware::caller::Caller;
use crate::models::{Role, UserId};
use crate::router::ServerState;
use crate::store::roles::RoleChange;
use crate::telemetry::Detail;
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changed {
    user_id: UserId,
    role: Role,
}

/// It counts from the user's next access token on.
pub(crate) async fn set_role(
    State(server): State<ServerState>,
    caller: Caller,
    Path(user_id): Path<String>,
    fields: Fields,
) -> Result<Json<Changed>, AppError> {
    let user_id = caller.acting_for(&user_id)?;
    let role = Role::from_name(&fields.text("role", 16)?)
        .ok_or_else(|| AppError::field("role", "role is user or admin"))?;
    let app = &server.app;
    match app.store.set_role(user_id, role, app.now()).await? {
        RoleChange::Done => {}
        RoleChange::Nobody => return Err(AppError::not_found("there is no such user")),
        RoleChange::LastAdmin => {
            let message = "this is the last administrator; make somebody else one first";
            return Err(AppError::conflict("role", message));
        }
    }
    let what = Detail::of("role", &format!("{user_id} {role}"));
    app.telemetry.control_applied(server.place, what, 1000);
    tracing::info!(user.id = %user_id, "user {user_id} has the role {role} now");
    Ok(Json(Changed { user_id, role }))
}
