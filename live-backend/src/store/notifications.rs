//! Notifications by e-mail and in the app, with the history of every delivery.
//!
//! Belongs here: these as the rest of the program sees them. Does not belong here: how they are kept, jobs.

use super::jobs::JobOrigin;
use super::users::User;
use super::{Store, StoreError};
use crate::models::{Channel, NotificationType, Priority, UserId, WallMs};
use serde::Serialize;

/// Something to tell one person by one channel.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) id: String,
    pub(crate) channel: Channel,
    pub(crate) kind: NotificationType,
    /// Subject of the e-mail, title of the in-app notification.
    pub(crate) title: String,
    pub(crate) message: String,
    pub(crate) priority: Priority,
    /// After this it is not delivered any more; `None` never.
    pub(crate) expires_at: Option<WallMs>,
    /// The request it is told because of, where that is recorded.
    pub(crate) origin: Option<JobOrigin>,
}

/// A notification as stored, with its recipient.
#[derive(Clone, Debug)]
pub(crate) struct Notification {
    pub(crate) news: News,
    pub(crate) recipient: User,
    pub(crate) is_delivered: bool,
    pub(crate) created_at: WallMs,
}

/// A notification as listed in answers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listed {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) channel: String,
    pub(crate) title: String,
    pub(crate) message: String,
    pub(crate) status: String,
    pub(crate) priority: String,
    pub(crate) attempts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) socket_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delivered_at: Option<WallMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) read_at: Option<WallMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<WallMs>,
    pub(crate) created_at: WallMs,
    pub(crate) delivery_history: Vec<Delivery>,
}

/// One entry of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Delivery {
    pub(crate) at: WallMs,
    pub(crate) status: String,
    pub(crate) attempt: u64,
    pub(crate) tier: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// Which page of a list, in notifications.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    pub(crate) offset: u64,
    pub(crate) limit: u64,
}

impl Store {
    /// The notification with everything needed to deliver it; `None` also where it is of another channel.
    pub(crate) async fn notification(
        &self,
        id: String,
        channel: Channel,
    ) -> Result<Option<Notification>, StoreError> {
        match self {
            Self::Embedded(store) => store.notification(id, channel).await,
            Self::MongoDb(store) => Box::pin(store.notification(id, channel)).await,
        }
    }

    /// Marks those of the user's own notifications as read; the answer is which they are.
    pub(crate) async fn mark_read(
        &self,
        user: UserId,
        ids: Vec<String>,
        now: WallMs,
    ) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Embedded(store) => store.mark_read(user, ids, now).await,
            Self::MongoDb(store) => Box::pin(store.mark_read(user, ids, now)).await,
        }
    }

    /// The user's notifications, newest first, and how many there are.
    pub(crate) async fn notifications_of(
        &self,
        user: UserId,
        channel: Channel,
        page: Page,
    ) -> Result<(Vec<Listed>, u64), StoreError> {
        match self {
            Self::Embedded(store) => store.notifications_of(user, channel, page).await,
            Self::MongoDb(store) => Box::pin(store.notifications_of(user, channel, page)).await,
        }
    }
}
