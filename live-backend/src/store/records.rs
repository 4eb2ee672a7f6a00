//! Collections `purchases`, `friendRequests`, `resetPasswords`: who did what when, and who was told.
//!
//! Belongs here: these as the rest of the program sees them. Does not belong here: how they are kept,
//! the notifications themselves.

use super::jobs::NewJob;
use super::notifications::News;
use super::{Store, StoreError};
use crate::models::{UserId, WallMs};

/// A purchase to store.
pub(crate) struct NewPurchase {
    pub(crate) id: String,
    pub(crate) user: UserId,
    pub(crate) item: String,
    pub(crate) amount: f64,
    pub(crate) currency: String,
}

/// A wish to be friends.
pub(crate) struct NewFriendRequest {
    pub(crate) id: String,
    pub(crate) from: UserId,
    pub(crate) to: UserId,
}

/// A wish for a new password.
pub(crate) struct NewReset {
    pub(crate) id: String,
    pub(crate) user: UserId,
    pub(crate) token_hash: String,
    pub(crate) expires_at: WallMs,
}

impl Store {
    /// Stores the purchase and what its buyer is told, all or nothing.
    pub(crate) async fn record_purchase(
        &self,
        purchase: NewPurchase,
        news: Vec<News>,
        now: WallMs,
    ) -> Result<Vec<NewJob>, StoreError> {
        match self {
            Self::Embedded(store) => store.record_purchase(purchase, news, now).await,
            Self::MongoDb(store) => Box::pin(store.record_purchase(purchase, news, now)).await,
        }
    }

    /// Stores the friend request and what its recipient is told; `None` where there is no recipient.
    pub(crate) async fn record_friend_request(
        &self,
        request: NewFriendRequest,
        news: Vec<News>,
        now: WallMs,
    ) -> Result<Option<Vec<NewJob>>, StoreError> {
        match self {
            Self::Embedded(store) => store.record_friend_request(request, news, now).await,
            Self::MongoDb(store) => Box::pin(store.record_friend_request(request, news, now)).await,
        }
    }

    /// Stores the wish for a new password and its e-mail, all or nothing.
    pub(crate) async fn record_reset(
        &self,
        reset: NewReset,
        news: Vec<News>,
        now: WallMs,
    ) -> Result<Vec<NewJob>, StoreError> {
        match self {
            Self::Embedded(store) => store.record_reset(reset, news, now).await,
            Self::MongoDb(store) => Box::pin(store.record_reset(reset, news, now)).await,
        }
    }
}
