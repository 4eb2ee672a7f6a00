//! Collections `purchases`, `friendRequests`, `resetPasswords`: who did what when, and who was told.
//!
//! Belongs here: their rows. Does not belong here: the notifications themselves.

use super::jobs::insert_news;
use super::users::user_by_id;
use super::{Embedded, signed};
use crate::models::{Channel, WallMs};
use crate::store::StoreError;
use crate::store::jobs::NewJob;
use crate::store::notifications::News;
use crate::store::records::{NewFriendRequest, NewPurchase, NewReset};
use rusqlite::params;

impl Embedded {
    pub(crate) async fn record_purchase(
        &self,
        purchase: NewPurchase,
        news: Vec<News>,
        now: WallMs,
    ) -> Result<Vec<NewJob>, StoreError> {
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO purchases (id, user_id, item, amount, currency, email_id, in_app_id, \
                     created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    purchase.id,
                    signed(purchase.user.0)?,
                    purchase.item,
                    purchase.amount,
                    purchase.currency,
                    id_on(&news, Channel::Email),
                    id_on(&news, Channel::InApp),
                    now.to_stored(),
                ])?;
            insert_news(connection, purchase.user, news, now)
        })
        .await
    }

    pub(crate) async fn record_friend_request(
        &self,
        request: NewFriendRequest,
        news: Vec<News>,
        now: WallMs,
    ) -> Result<Option<Vec<NewJob>>, StoreError> {
        self.write(move |connection| {
            if user_by_id(connection, request.to)?.is_none() {
                return Ok(None);
            }
            connection
                .prepare_cached(
                    "INSERT INTO friend_requests (id, from_user_id, to_user_id, email_id, in_app_id, \
                     created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    request.id,
                    signed(request.from.0)?,
                    signed(request.to.0)?,
                    id_on(&news, Channel::Email),
                    id_on(&news, Channel::InApp),
                    now.to_stored(),
                ])?;
            insert_news(connection, request.to, news, now).map(Some)
        })
        .await
    }

    pub(crate) async fn record_reset(
        &self,
        reset: NewReset,
        news: Vec<News>,
        now: WallMs,
    ) -> Result<Vec<NewJob>, StoreError> {
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO reset_passwords (id, user_id, token_hash, email_id, expires_at, \
                     created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    reset.id,
                    signed(reset.user.0)?,
                    reset.token_hash,
                    id_on(&news, Channel::Email),
                    reset.expires_at.to_stored(),
                    now.to_stored(),
                ])?;
            insert_news(connection, reset.user, news, now)
        })
        .await
    }
}

/// The notification that goes out on `channel`.
pub(super) fn id_on(news: &[News], channel: Channel) -> Option<&str> {
    news.iter()
        .find(|item| item.channel == channel)
        .map(|item| item.id.as_str())
}
