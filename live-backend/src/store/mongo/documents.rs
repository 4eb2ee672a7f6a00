//! The documents as they lie in MongoDB, one type per collection.
//!
//! Belongs here: their fields and names. Does not belong here: which are required of other writers
//! (schema), reading and writing.

use crate::models::{
    Channel, EmailStatus, InAppStatus, NotificationType, Priority, TrackedStatus, UserId, WallMs,
};
use crate::store::StoreError;
use crate::store::histories::Tracked;
use crate::store::notifications::Delivery;
pub(super) use crate::store::step::JobState;
use mongodb::bson::DateTime;
use serde::{Deserialize, Serialize};

/// A moment as a document holds it.
pub(super) fn stored(at: WallMs) -> DateTime {
    DateTime::from_millis(at.to_stored())
}

/// A moment as the program counts.
pub(super) fn read(at: DateTime) -> WallMs {
    WallMs::from_stored(at.timestamp_millis())
}

/// A user's number as a document holds it.
pub(super) fn number(user: UserId) -> Result<i64, StoreError> {
    i64::try_from(user.0).map_err(|_range| StoreError::Corrupt {
        what: format!("{user} is more than the store can count"),
    })
}

/// A stored count as a count.
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Collection `signups`: an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Signup {
    pub(super) user_id: i64,
    pub(super) username: String,
    pub(super) email: String,
    /// Argon2id's hash; the password itself is nowhere.
    pub(super) password: String,
    pub(super) email_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verification_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) welcome_email: Option<Told>,
    pub(super) created_at: DateTime,
    pub(super) updated_at: DateTime,
}

/// Collection `logins`: a login, or an attempt at one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Login {
    #[serde(rename = "_id")]
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
    pub(super) login_successful: bool,
    /// Names the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session_id: Option<String>,
    /// SHA-256 of the token given out, which itself is nowhere stored; older logins have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) login_alert_email: Option<Told>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) login_in_app_notification: Option<Told>,
    pub(super) created_at: DateTime,
}

/// Collection `purchases`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Purchase {
    #[serde(rename = "_id")]
    pub(super) id: String,
    pub(super) user_id: i64,
    pub(super) item: String,
    pub(super) amount: f64,
    pub(super) currency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email_notification: Option<Told>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) in_app_notification: Option<Told>,
    pub(super) created_at: DateTime,
}

/// Collection `friendRequests`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FriendRequest {
    #[serde(rename = "_id")]
    pub(super) id: String,
    pub(super) from_user_id: i64,
    pub(super) to_user_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email_notification: Option<Told>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) in_app_notification: Option<Told>,
    pub(super) created_at: DateTime,
}

/// Collection `resetPasswords`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResetPassword {
    #[serde(rename = "_id")]
    pub(super) id: String,
    pub(super) user_id: i64,
    pub(super) token_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email_notification: Option<Told>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) in_app_notification: Option<Told>,
    pub(super) expires_at: DateTime,
    pub(super) created_at: DateTime,
}

/// How one message of a record fares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    pub(super) status: TrackedStatus,
    pub(super) job_id: i64,
    pub(super) notification_id: String,
    pub(super) attempts: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message_id: Option<String>,
    pub(super) delivery_history: Vec<Entry>,
}

impl From<Told> for Tracked {
    fn from(told: Told) -> Self {
        let failed = told
            .delivery_history
            .iter()
            .rev()
            .find(|entry| entry.status == TrackedStatus::Failed.name());
        Self {
            status: told.status,
            job_id: Some(told.job_id.to_string()),
            attempts: count(told.attempts),
            message_id: told.message_id,
            reason: failed.and_then(|entry| entry.reason.clone()),
            code: failed.and_then(|entry| entry.code),
            notification_id: told.notification_id,
            delivery_history: told.delivery_history.into_iter().map(Into::into).collect(),
        }
    }
}

/// One entry of a delivery history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) at: DateTime,
    pub(super) status: String,
    pub(super) attempt: i64,
    pub(super) tier: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

impl From<Entry> for Delivery {
    fn from(entry: Entry) -> Self {
        Self {
            at: read(entry.at),
            status: entry.status,
            attempt: count(entry.attempt),
            tier: entry.tier,
            code: entry.code,
            reason: entry.reason,
        }
    }
}

impl From<&Delivery> for Entry {
    fn from(told: &Delivery) -> Self {
        Self {
            at: stored(told.at),
            status: told.status.clone(),
            attempt: i64::try_from(told.attempt).unwrap_or(i64::MAX),
            tier: told.tier.clone(),
            code: told.code,
            reason: told.reason.clone(),
        }
    }
}

/// Collection `emailNotifications`.
pub(super) type EmailNotification = Notification<EmailStatus>;
/// Collection `inAppNotifications`.
pub(super) type InAppNotification = Notification<InAppStatus>;

/// Something told to one person by one channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Notification<Status> {
    #[serde(rename = "_id")]
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: NotificationType,
    pub(super) recipient: Recipient,
    pub(super) title: String,
    pub(super) message: String,
    pub(super) status: Status,
    pub(super) priority: Priority,
    pub(super) attempts: i64,
    pub(super) job_id: i64,
    /// The failed runs that another one followed.
    pub(super) retry_history: Vec<Retry>,
    pub(super) delivery_history: Vec<Entry>,
    /// SMTP's name of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message_id: Option<String>,
    /// The socket that confirmed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) socket_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delivered_at: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) read_at: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<DateTime>,
    /// The document that tells how this one fares; a signup is found by its user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) record_id: Option<String>,
    pub(super) created_at: DateTime,
}

/// Who is told, as it was when it was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Recipient {
    pub(super) user_id: i64,
    pub(super) username: String,
    pub(super) email: String,
}

/// A failed run that another one followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Retry {
    pub(super) time: DateTime,
    pub(super) tier: String,
    pub(super) error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<i64>,
}

/// Collection `jobs`: what is still to be delivered, stored with what it delivers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Job {
    #[serde(rename = "_id")]
    pub(super) id: i64,
    pub(super) channel: Channel,
    pub(super) state: JobState,
    pub(super) notification_id: String,
    pub(super) user_id: i64,
    #[serde(rename = "type")]
    pub(super) kind: NotificationType,
    pub(super) priority: Priority,
    /// The next run, from 1.
    pub(super) attempt: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) station: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) due_at: Option<DateTime>,
    /// It rests, or has rested, because the user was away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_missed: bool,
    /// The recorded run and the part in it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) origin: Option<Origin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) record_id: Option<String>,
    pub(super) created_at: DateTime,
}

/// The request a job is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub(super) run: String,
    pub(super) part: String,
}

/// Collection `settings`: what operators set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Setting {
    #[serde(rename = "_id")]
    pub(super) name: String,
    pub(super) value: String,
}

/// Collection `sessions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    #[serde(rename = "_id")]
    pub(super) id: String,
    pub(super) user_id: i64,
    pub(super) refresh_hash: String,
    pub(super) created_at: DateTime,
    pub(super) refreshed_at: DateTime,
    pub(super) expires_at: DateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_at: Option<DateTime>,
}

#[cfg(test)]
mod tests;
