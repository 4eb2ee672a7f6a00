//! Notifications that another program asks for, in MongoDB.
//!
//! Belongs here: storing one once. Does not belong here: what it says.

use super::documents::Job;
use super::{Mongo, names};
use crate::models::{UserId, WallMs};
use crate::store::StoreError;
use crate::store::foreign::Adopted;
use crate::store::jobs::NewJob;
use crate::store::notifications::News;
use futures_util::FutureExt;
use mongodb::bson::{Document, doc};

impl Mongo {
    pub(crate) async fn adopt(
        &self,
        user: UserId,
        news: News,
        now: WallMs,
    ) -> Result<Adopted, StoreError> {
        if let Some(known) = self.known(&news, user).await? {
            return Ok(known);
        }
        let Some(recipient) = self.recipient(user).await? else {
            return Ok(Adopted::NoUser);
        };
        let asked = news.clone();
        // No record tells how it fares: no action of ours has caused it.
        let all = self.deliveries(&recipient, None, vec![news], now).await?;
        let context = (self.clone(), all);
        let stored = self.transaction(context, |session, (mongo, all)| {
            async move {
                mongo.insert_deliveries(session, all).await?;
                Ok(all.announced.first().cloned())
            }
            .boxed()
        });
        match stored.await {
            Ok(job) => Ok(job.map_or(Adopted::Over, Adopted::Open)),
            // Somebody else was asked for it at the same time.
            Err(error) => self.known(&asked, user).await?.ok_or(error),
        }
    }

    /// What became of a notification that is stored.
    async fn known(&self, news: &News, user: UserId) -> Result<Option<Adopted>, StoreError> {
        self.reading(async {
            let stored = self
                .collection::<Document>(names::notifications_on(news.channel))
                .find_one(doc! { "_id": &news.id })
                .projection(doc! { "_id": 1 })
                .await?;
            if stored.is_none() {
                return Ok(None);
            }
            let open = doc! { "notificationId": &news.id, "state": { "$ne": "dead" } };
            let job = self.collection::<Job>(names::JOBS).find_one(open).await?;
            Ok(Some(job.map_or(Adopted::Over, |job| {
                Adopted::Open(NewJob {
                    id: job.id,
                    channel: news.channel,
                    kind: news.kind,
                    notification: news.id.clone(),
                    user,
                    priority: news.priority,
                })
            })))
        })
        .await
    }
}
