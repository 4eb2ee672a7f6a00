//! Collections `logins` and sessions: who is logged in, and every attempt to.
//!
//! Belongs here: sessions as the rest of the program sees them. Does not belong here: how they are kept,
//! access tokens (security).

use super::jobs::NewJob;
use super::notifications::News;
use super::{Store, StoreError};
use crate::models::{UserId, WallMs};

/// A session to open.
#[derive(Clone)]
pub(crate) struct NewSession {
    pub(crate) id: String,
    pub(crate) user: UserId,
    /// Hash of the session token that is given out at first.
    pub(crate) token_hash: String,
    /// Hash of the refresh token; the token itself is not stored.
    pub(crate) refresh_hash: String,
    pub(crate) expires_at: WallMs,
}

/// A session as stored.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) created_at: WallMs,
    pub(crate) refreshed_at: WallMs,
    pub(crate) expires_at: WallMs,
}

impl Store {
    /// Stores the session, the login and what is told about it, all or nothing.
    pub(crate) async fn record_login(
        &self,
        session: NewSession,
        news: Vec<News>,
        now: WallMs,
    ) -> Result<Vec<NewJob>, StoreError> {
        match self {
            Self::Embedded(store) => store.record_login(session, news, now).await,
            Self::MongoDb(store) => Box::pin(store.record_login(session, news, now)).await,
        }
    }

    /// Stores that somebody tried to log in as this user and failed.
    pub(crate) async fn record_failed_login(
        &self,
        user: Option<UserId>,
        now: WallMs,
    ) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.record_failed_login(user, now).await,
            Self::MongoDb(store) => Box::pin(store.record_failed_login(user, now)).await,
        }
    }

    /// Opens a session without a login's notifications.
    pub(crate) async fn open_session(
        &self,
        session: NewSession,
        now: WallMs,
    ) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.open_session(session, now).await,
            Self::MongoDb(store) => Box::pin(store.open_session(session, now)).await,
        }
    }

    /// Replaces a refresh token by the next one; `None` where the token is unknown, used, or too old.
    pub(crate) async fn rotate_refresh(
        &self,
        old_hash: String,
        new_hash: String,
        now: WallMs,
    ) -> Result<Option<(UserId, String)>, StoreError> {
        match self {
            Self::Embedded(store) => store.rotate_refresh(old_hash, new_hash, now).await,
            Self::MongoDb(store) => Box::pin(store.rotate_refresh(old_hash, new_hash, now)).await,
        }
    }

    /// Ends one session; the answer is whether it was open.
    pub(crate) async fn end_session(&self, id: String, now: WallMs) -> Result<bool, StoreError> {
        match self {
            Self::Embedded(store) => store.end_session(id, now).await,
            Self::MongoDb(store) => Box::pin(store.end_session(id, now)).await,
        }
    }

    /// Whether the session is open now.
    pub(crate) async fn is_session_open(
        &self,
        id: String,
        now: WallMs,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Embedded(store) => store.is_session_open(id, now).await,
            Self::MongoDb(store) => Box::pin(store.is_session_open(id, now)).await,
        }
    }

    /// The user's open sessions, newest first, a hundred at most.
    pub(crate) async fn open_sessions(
        &self,
        user: UserId,
        now: WallMs,
    ) -> Result<Vec<Session>, StoreError> {
        match self {
            Self::Embedded(store) => store.open_sessions(user, now).await,
            Self::MongoDb(store) => Box::pin(store.open_sessions(user, now)).await,
        }
    }

    /// Ends all sessions of the user; the answer is how many were open.
    pub(crate) async fn end_sessions(
        &self,
        user: UserId,
        now: WallMs,
    ) -> Result<usize, StoreError> {
        match self {
            Self::Embedded(store) => store.end_sessions(user, now).await,
            Self::MongoDb(store) => Box::pin(store.end_sessions(user, now)).await,
        }
    }
}
