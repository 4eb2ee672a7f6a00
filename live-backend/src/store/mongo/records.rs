//! Collections `purchases`, `friendRequests` and `resetPasswords`.
//!
//! Belongs here: storing them with what is told about them. Does not belong here: reading them.

use super::deliveries::Deliveries;
use super::documents::{FriendRequest, Purchase, Recipient, ResetPassword, number, stored};
use super::{Mongo, names, within};
use crate::models::{Channel, WallMs};
use crate::store::jobs::NewJob;
use crate::store::notifications::News;
use crate::store::records::{NewFriendRequest, NewPurchase, NewReset};
use crate::store::{StoreError, affected};
use futures_util::FutureExt;
use serde::Serialize;

impl Mongo {
    pub(crate) async fn record_purchase(
        &self,
        purchase: NewPurchase,
        news: Vec<News>,
        now: WallMs,
    ) -> Result<Vec<NewJob>, StoreError> {
        let (buyer, all) = within(super::CALL_MAX, async {
            let buyer = self.known_recipient(purchase.user).await?;
            let all = self
                .deliveries(&buyer, Some(&purchase.id), news, now)
                .await?;
            Ok((buyer, all))
        })
        .await?;
        let purchase = Purchase {
            id: purchase.id,
            user_id: buyer.user_id,
            item: purchase.item,
            amount: purchase.amount,
            currency: purchase.currency,
            email_notification: all.told(Channel::Email),
            in_app_notification: all.told(Channel::InApp),
            created_at: stored(now),
        };
        self.store_record(names::PURCHASES, purchase, all).await
    }

    pub(crate) async fn record_friend_request(
        &self,
        request: NewFriendRequest,
        news: Vec<News>,
        now: WallMs,
    ) -> Result<Option<Vec<NewJob>>, StoreError> {
        let prepared: Option<(Recipient, Deliveries)> = within(super::CALL_MAX, async {
            let Some(to) = self.recipient(request.to).await? else {
                return Ok(None);
            };
            let all = self.deliveries(&to, Some(&request.id), news, now).await?;
            Ok(Some((to, all)))
        })
        .await?;
        let Some((to, all)) = prepared else {
            return Ok(None);
        };
        let request = FriendRequest {
            id: request.id,
            from_user_id: number(request.from)?,
            to_user_id: to.user_id,
            email_notification: all.told(Channel::Email),
            in_app_notification: all.told(Channel::InApp),
            created_at: stored(now),
        };
        self.store_record(names::FRIEND_REQUESTS, request, all)
            .await
            .map(Some)
    }

    pub(crate) async fn record_reset(
        &self,
        reset: NewReset,
        news: Vec<News>,
        now: WallMs,
    ) -> Result<Vec<NewJob>, StoreError> {
        let (user, all) = within(super::CALL_MAX, async {
            let user = self.known_recipient(reset.user).await?;
            let all = self.deliveries(&user, Some(&reset.id), news, now).await?;
            Ok((user, all))
        })
        .await?;
        let reset = ResetPassword {
            id: reset.id,
            user_id: user.user_id,
            token_hash: reset.token_hash,
            email_notification: all.told(Channel::Email),
            in_app_notification: all.told(Channel::InApp),
            expires_at: stored(reset.expires_at),
            created_at: stored(now),
        };
        self.store_record(names::RESET_PASSWORDS, reset, all).await
    }

    async fn store_record<T: Serialize + Send + Sync>(
        &self,
        collection: &'static str,
        record: T,
        all: Deliveries,
    ) -> Result<Vec<NewJob>, StoreError> {
        let context = (self.clone(), record, all);
        self.transaction(context, move |session, (mongo, record, all)| {
            async move {
                mongo
                    .collection::<T>(collection)
                    .insert_one(&*record)
                    .session(&mut *session)
                    .await?;
                affected::add(1);
                mongo.insert_deliveries(session, all).await?;
                Ok(all.announced.clone())
            }
            .boxed()
        })
        .await
    }
}
