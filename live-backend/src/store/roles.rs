//! Who is an administrator beside whoever started the program.
//!
//! Belongs here: roles as the rest of the program sees them. Does not belong here: how they are kept, what a
//! role may do (security).

use super::{Store, StoreError};
use crate::models::{Role, UserId, WallMs};

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoleChange {
    Done,
    /// There is no such user.
    Nobody,
    /// Nobody else is an administrator.
    LastAdmin,
}

impl Store {
    /// The user's role; who is not known has none but that of a user.
    pub(crate) async fn role_of(&self, user: UserId) -> Result<Role, StoreError> {
        match self {
            Self::Embedded(store) => store.role_of(user).await,
            Self::MongoDb(store) => Box::pin(store.role_of(user)).await,
        }
    }

    /// Gives the user this role, unless nobody were an administrator then.
    pub(crate) async fn set_role(
        &self,
        user: UserId,
        role: Role,
        now: WallMs,
    ) -> Result<RoleChange, StoreError> {
        match self {
            Self::Embedded(store) => store.set_role(user, role, now).await,
            Self::MongoDb(store) => Box::pin(store.set_role(user, role, now)).await,
        }
    }
}
