//! Collection `signups`: who has an account.
//!
//! Belongs here: accounts as the rest of the program sees them. Does not belong here: how they are kept.

use super::jobs::NewJob;
use super::notifications::News;
use super::{Store, StoreError};
use crate::models::{UserId, WallMs};

/// An account to make.
pub(crate) struct NewUser {
    pub(crate) username: String,
    /// Lower case: addresses are unique without regard to case.
    pub(crate) email: String,
    pub(crate) password_hash: String,
    /// Hash of the token in the welcome e-mail, where one is sent; the token itself is not stored.
    pub(crate) verification_hash: Option<String>,
}

/// An account.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) password_hash: String,
}

impl Store {
    /// Stores the account with its welcome e-mail and the job for it, all or nothing.
    ///
    /// # Errors
    /// [`StoreError::Taken`] where somebody has this address.
    pub(crate) async fn create_user(
        &self,
        user: NewUser,
        news: Vec<News>,
        now: WallMs,
    ) -> Result<(UserId, Vec<NewJob>), StoreError> {
        match self {
            Self::Embedded(store) => store.create_user(user, news, now).await,
            Self::MongoDb(store) => Box::pin(store.create_user(user, news, now)).await,
        }
    }

    /// The account with this address, written in lower case.
    pub(crate) async fn user_by_email(&self, email: String) -> Result<Option<User>, StoreError> {
        match self {
            Self::Embedded(store) => store.user_by_email(email).await,
            Self::MongoDb(store) => Box::pin(store.user_by_email(email)).await,
        }
    }

    /// The account with this number.
    pub(crate) async fn user_by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
        match self {
            Self::Embedded(store) => store.user_by_id(id).await,
            Self::MongoDb(store) => Box::pin(store.user_by_id(id)).await,
        }
    }
}
