//! In-app jobs of a user that are to be told before another one, in MongoDB.
//!
//! Belongs here: finding them. Does not belong here: what waits for what (queue).

use super::documents::{JobState, number};
use super::{Mongo, names};
use crate::models::{Channel, Priority, UserId};
use crate::store::StoreError;
use crate::store::jobs::{EARLIER_MAX, EarlierJob};
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, doc};
use serde::Deserialize;

/// What is asked of a job that is to be told before another one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Earlier {
    #[serde(rename = "_id")]
    id: i64,
    attempt: i64,
    #[serde(default)]
    is_missed: bool,
}

impl Mongo {
    /// By when they were stored: the processes of one system take their numbers in blocks.
    pub(crate) async fn earlier_jobs(
        &self,
        user: UserId,
        priority: Priority,
        job: i64,
    ) -> Result<Vec<EarlierJob>, StoreError> {
        self.reading(async {
            let at_least = Priority::ALL
                .iter()
                .filter(|it| it.rank() >= priority.rank());
            let priorities: Vec<Bson> = at_least.map(|it| Bson::from(it.name())).collect();
            let told_yet = doc! {
                "channel": Channel::InApp.name(),
                "userId": number(user)?,
                "priority": { "$in": priorities },
                "$or": [
                    { "_id": job },
                    { "state": JobState::Waiting.name() },
                    { "state": JobState::Delayed.name(), "isMissed": true },
                ],
            };
            let most = i64::try_from(EARLIER_MAX).unwrap_or(i64::MAX) + 1;
            let found: Vec<Earlier> = self
                .collection::<Earlier>(names::JOBS)
                .find(told_yet)
                .projection(doc! { "attempt": 1, "isMissed": 1 })
                .sort(doc! { "createdAt": 1, "_id": 1 })
                .limit(most)
                .await?
                .try_collect()
                .await?;
            let own = found.iter().position(|found| found.id == job);
            // A job that is gone has nobody before it.
            let count = own.unwrap_or(if found.len() > EARLIER_MAX {
                EARLIER_MAX
            } else {
                0
            });
            let earlier = found.into_iter().take(count).map(|found| EarlierJob {
                id: found.id,
                attempt: u16::try_from(found.attempt).unwrap_or(u16::MAX),
                is_missed: found.is_missed,
            });
            Ok(earlier.collect())
        })
        .await
    }
}
