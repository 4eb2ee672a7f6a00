//! Collections `emailNotifications` and `inAppNotifications`.
//!
//! Belongs here: finding and listing them, what their reader did. Does not belong here: what a run does
//! to them (jobs).

use super::documents::{
    EmailNotification, InAppNotification, Notification as Stored, count, number, read, stored,
};
use super::{Mongo, names};
use crate::models::{Channel, EmailStatus, InAppStatus, NotificationType, UserId, WallMs};
use crate::store::StoreError;
use crate::store::notifications::{Listed, News, Notification, Page};
use crate::store::users::User;
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A document of which only the key is read.
#[derive(Deserialize)]
struct Key {
    #[serde(rename = "_id")]
    id: String,
}

impl Mongo {
    /// For a run, which waits until the store can be reached.
    pub(crate) async fn notification(
        &self,
        id: String,
        channel: Channel,
    ) -> Result<Option<Notification>, StoreError> {
        self.patiently(|| async {
            let key = doc! { "_id": &id };
            self.reading(async {
                Ok(match channel {
                    Channel::Email => {
                        let emails = self.collection(names::EMAIL_NOTIFICATIONS);
                        let found: Option<EmailNotification> = emails.find_one(key).await?;
                        found.map(|found| to_deliver(found, channel, EmailStatus::Delivered))
                    }
                    Channel::InApp => {
                        let in_apps = self.collection(names::IN_APP_NOTIFICATIONS);
                        let found: Option<InAppNotification> = in_apps.find_one(key).await?;
                        found.map(|found| to_deliver(found, channel, InAppStatus::Delivered))
                    }
                })
            })
            .await
        })
        .await
    }

    pub(crate) async fn mark_read(
        &self,
        user: UserId,
        ids: Vec<String>,
        now: WallMs,
    ) -> Result<Vec<String>, StoreError> {
        let user = number(user)?;
        self.writing(async {
            let mut own = Vec::new();
            for collection in [names::IN_APP_NOTIFICATIONS, names::EMAIL_NOTIFICATIONS] {
                let keys: Vec<Key> = self
                    .collection::<Key>(collection)
                    .find(doc! { "_id": { "$in": &ids }, "recipient.userId": user })
                    .projection(doc! { "_id": 1 })
                    .await?
                    .try_collect()
                    .await?;
                if keys.is_empty() {
                    continue;
                }
                let found: Vec<String> = keys.into_iter().map(|key| key.id).collect();
                self.collection::<Document>(collection)
                    .update_many(
                        doc! { "_id": { "$in": &found }, "readAt": Bson::Null },
                        doc! { "$set": { "readAt": stored(now) } },
                    )
                    .await?;
                own.extend(found);
            }
            Ok(ids.into_iter().filter(|id| own.contains(id)).collect())
        })
        .await
    }

    pub(crate) async fn notifications_of(
        &self,
        user: UserId,
        channel: Channel,
        page: Page,
    ) -> Result<(Vec<Listed>, u64), StoreError> {
        let user = number(user)?;
        self.reading(async {
            match channel {
                Channel::Email => self.page_of(user, channel, page, EmailStatus::name).await,
                Channel::InApp => self.page_of(user, channel, page, InAppStatus::name).await,
            }
        })
        .await
    }

    async fn page_of<Status: DeserializeOwned + Copy + Send + Sync + Unpin>(
        &self,
        user: i64,
        channel: Channel,
        page: Page,
        name: fn(Status) -> &'static str,
    ) -> Result<(Vec<Listed>, u64), StoreError> {
        let collection = self.collection::<Stored<Status>>(names::notifications_on(channel));
        let of_user = doc! { "recipient.userId": user };
        let total = collection.count_documents(of_user.clone()).await?;
        let cursor = collection
            .find(of_user)
            .sort(doc! { "createdAt": -1, "_id": 1 })
            .skip(page.offset)
            .limit(limit(page))
            .await?;
        let found: Vec<Stored<Status>> = cursor.try_collect().await?;
        let listed = found.into_iter().map(|item| listed(item, channel, name));
        Ok((listed.collect(), total))
    }
}

/// A page's length as the driver takes it; 0 would mean all.
pub(super) fn limit(page: Page) -> i64 {
    i64::try_from(page.limit.max(1)).unwrap_or(i64::MAX)
}

fn to_deliver<Status: PartialEq>(
    item: Stored<Status>,
    channel: Channel,
    delivered: Status,
) -> Notification {
    let is_delivered = item.status == delivered;
    Notification {
        news: News {
            id: item.id,
            channel,
            kind: item.kind,
            title: item.title,
            message: item.message,
            priority: item.priority,
            expires_at: item.expires_at.map(read),
            origin: None,
        },
        recipient: User {
            id: UserId(count(item.recipient.user_id)),
            username: item.recipient.username,
            email: item.recipient.email,
            password_hash: String::new(),
        },
        is_delivered,
        created_at: read(item.created_at),
    }
}

pub(super) fn listed<Status>(
    item: Stored<Status>,
    channel: Channel,
    name: fn(Status) -> &'static str,
) -> Listed {
    Listed {
        id: item.id,
        kind: item.kind.name().to_owned(),
        channel: channel.name().to_owned(),
        title: item.title,
        // It holds the code for a new password.
        message: match item.kind {
            NotificationType::ResetPassword => String::new(),
            _ => item.message,
        },
        status: name(item.status).to_owned(),
        priority: item.priority.name().to_owned(),
        attempts: count(item.attempts),
        message_id: item.message_id,
        socket_id: item.socket_id,
        delivered_at: item.delivered_at.map(read),
        read_at: item.read_at.map(read),
        expires_at: item.expires_at.map(read),
        created_at: read(item.created_at),
        delivery_history: item.delivery_history.into_iter().map(Into::into).collect(),
    }
}
