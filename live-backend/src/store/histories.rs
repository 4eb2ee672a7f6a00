//! What people did and how they were told of it: pages of signups and logins, totals, one e-mail's way.
//!
//! Belongs here: lists and totals as answers show them. Does not belong here: how they are read.

use super::notifications::{Delivery, Page};
use super::{Store, StoreError};
use crate::models::{TrackedStatus, UserId, WallMs};
use serde::Serialize;
use std::collections::BTreeMap;

/// How one message of a signup or login fared.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tracked {
    pub(crate) status: TrackedStatus,
    pub(crate) notification_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) job_id: Option<String>,
    pub(crate) attempts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message_id: Option<String>,
    /// Why the last run failed, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// What the other side answered then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<i64>,
    pub(crate) delivery_history: Vec<Delivery>,
}

/// An account as listed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Signup {
    pub(super) user_id: UserId,
    pub(super) username: String,
    pub(super) email: String,
    pub(super) email_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) welcome_email: Option<Tracked>,
    pub(super) created_at: WallMs,
    pub(super) updated_at: WallMs,
}

/// A login, or an attempt at one, as listed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Login {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
    pub(super) login_successful: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session_id: Option<String>,
    /// SHA-256 of the token given out, which itself is nowhere stored; older logins have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) login_alert_email: Option<Tracked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) login_in_app_notification: Option<Tracked>,
    pub(super) created_at: WallMs,
}

/// Totals over all accounts.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignupStatistics {
    pub(super) total: u64,
    pub(super) verified: u64,
    pub(super) per_day: Vec<Day>,
    pub(super) welcome_emails: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Day {
    /// `2026-01-31`, in UTC.
    pub(super) day: String,
    pub(super) count: u64,
}

/// Which signups or logins a page is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    /// Those whose e-mail rests among the dead letters.
    EmailFailed,
}

impl Store {
    /// Accounts, newest first, and how many there are.
    pub(crate) async fn signups(
        &self,
        which: Which,
        page: Page,
    ) -> Result<(Vec<Signup>, u64), StoreError> {
        match self {
            Self::Embedded(store) => store.signups(which, page).await,
            Self::MongoDb(store) => Box::pin(store.signups(which, page)).await,
        }
    }

    /// How the user's welcome e-mail fared; `None` where there is no such user.
    pub(crate) async fn welcome_email(&self, user: UserId) -> Result<Option<Tracked>, StoreError> {
        match self {
            Self::Embedded(store) => store.welcome_email(user).await,
            Self::MongoDb(store) => Box::pin(store.welcome_email(user)).await,
        }
    }

    /// Totals over all accounts, by day for the last year and a day.
    pub(crate) async fn signup_statistics(&self) -> Result<SignupStatistics, StoreError> {
        match self {
            Self::Embedded(store) => store.signup_statistics().await,
            Self::MongoDb(store) => Box::pin(store.signup_statistics()).await,
        }
    }

    /// Logins, newest first, and how many there are; of one user where one is named.
    pub(crate) async fn logins(
        &self,
        which: Which,
        user: Option<UserId>,
        page: Page,
    ) -> Result<(Vec<Login>, u64), StoreError> {
        match self {
            Self::Embedded(store) => store.logins(which, user, page).await,
            Self::MongoDb(store) => Box::pin(store.logins(which, user, page)).await,
        }
    }

    /// Marks the address as proved whose token has this hash, once; `None` where it is unknown or used.
    pub(crate) async fn verify_email(
        &self,
        token_hash: String,
        now: WallMs,
    ) -> Result<Option<UserId>, StoreError> {
        match self {
            Self::Embedded(store) => store.verify_email(token_hash, now).await,
            Self::MongoDb(store) => Box::pin(store.verify_email(token_hash, now)).await,
        }
    }
}
