//! What operators see and change of stored jobs, and their settings.
//!
//! Belongs here: the queries behind it. Does not belong here: the runs of jobs (jobs).

use super::documents::{Entry, Job, JobState, Notification as Stored, Setting, count, stored};
use super::jobs::{Change, stored_job};
use super::notifications::{limit, listed};
use super::{Mongo, names};
use crate::models::{Channel, EmailStatus, InAppStatus, TrackedStatus, UserId, WallMs};
use crate::store::StoreError;
use crate::store::jobs::StoredJob;
use crate::store::notifications::{Listed, Page};
use crate::store::operations::{JobFilter, JobRecord, Removal};
use futures_util::{FutureExt, TryStreamExt};
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use serde::de::DeserializeOwned;

/// A notification as listed, with the number of its job.
struct Found {
    job: i64,
    user: UserId,
    channel: Channel,
    listed: Listed,
}

impl Mongo {
    pub(crate) async fn job_records(
        &self,
        filter: JobFilter,
        page: Page,
    ) -> Result<(Vec<JobRecord>, u64), StoreError> {
        self.reading(async {
            let (found, total) = match filter {
                JobFilter::One(id) => self.found_by_jobs(&[id]).await.map(|found| {
                    let total = found.len();
                    (found, u64::try_from(total).unwrap_or(u64::MAX))
                })?,
                JobFilter::Dead => self.dead_letters(page).await?,
                JobFilter::Ended(channel, status) => self.ended(channel, status, page).await?,
            };
            let ids: Vec<i64> = found.iter().map(|found| found.job).collect();
            let jobs = self.collection::<Job>(names::JOBS);
            let cursor = jobs.find(doc! { "_id": { "$in": ids } }).await?;
            let mut jobs: Vec<Job> = cursor.try_collect().await?;
            let mut record = |found: Found| {
                let position = jobs.iter().position(|job| job.id == found.job);
                let job = position.map(|position| jobs.swap_remove(position));
                JobRecord {
                    id: found.job,
                    channel: found.channel,
                    user: found.user,
                    is_dead: job.as_ref().is_some_and(|job| job.state == JobState::Dead),
                    stored: job.map(stored_job),
                    notification: found.listed,
                }
            };
            Ok((found.into_iter().map(&mut record).collect(), total))
        })
        .await
    }

    async fn dead_letters(&self, page: Page) -> Result<(Vec<Found>, u64), StoreError> {
        let jobs = self.collection::<Job>(names::JOBS);
        let dead = doc! { "state": JobState::Dead.name() };
        let total = jobs.count_documents(dead.clone()).await?;
        let cursor = jobs
            .find(dead)
            .sort(doc! { "_id": 1 })
            .skip(page.offset)
            .limit(limit(page))
            .await?;
        let jobs: Vec<Job> = cursor.try_collect().await?;
        let ids: Vec<i64> = jobs.iter().map(|job| job.id).collect();
        Ok((self.found_by_jobs(&ids).await?, total))
    }

    async fn ended(
        &self,
        channel: Channel,
        status: &str,
        page: Page,
    ) -> Result<(Vec<Found>, u64), StoreError> {
        let filter = doc! { "status": status };
        let total = self
            .collection::<Document>(names::notifications_on(channel))
            .count_documents(filter.clone())
            .await?;
        let order = doc! { "jobId": -1 };
        let found = match channel {
            Channel::Email => {
                self.found(channel, filter, order, Some(page), EmailStatus::name)
                    .await?
            }
            Channel::InApp => {
                self.found(channel, filter, order, Some(page), InAppStatus::name)
                    .await?
            }
        };
        Ok((found, total))
    }

    /// The notifications of these jobs, oldest job first.
    async fn found_by_jobs(&self, jobs: &[i64]) -> Result<Vec<Found>, StoreError> {
        let filter = doc! { "jobId": { "$in": jobs } };
        let order = doc! { "jobId": 1 };
        let (mut emails, in_apps) = tokio::try_join!(
            self.found(
                Channel::Email,
                filter.clone(),
                order.clone(),
                None,
                EmailStatus::name
            ),
            self.found(
                Channel::InApp,
                filter.clone(),
                order.clone(),
                None,
                InAppStatus::name
            ),
        )?;
        emails.extend(in_apps);
        emails.sort_by_key(|found| found.job);
        Ok(emails)
    }

    async fn found<Status: DeserializeOwned + Send + Sync + Unpin>(
        &self,
        channel: Channel,
        filter: Document,
        order: Document,
        page: Option<Page>,
        name: fn(Status) -> &'static str,
    ) -> Result<Vec<Found>, StoreError> {
        let collection = self.collection::<Stored<Status>>(names::notifications_on(channel));
        let mut finding = collection.find(filter).sort(order);
        if let Some(page) = page {
            finding = finding.skip(page.offset).limit(limit(page));
        }
        let found: Vec<Stored<Status>> = finding.await?.try_collect().await?;
        let found = found.into_iter().map(|item| Found {
            job: item.job_id,
            user: UserId(count(item.recipient.user_id)),
            channel,
            listed: listed(item, channel, name),
        });
        Ok(found.collect())
    }

    pub(crate) async fn requeue_dead(
        &self,
        job: i64,
        now: WallMs,
    ) -> Result<Option<StoredJob>, StoreError> {
        let context = self.clone();
        self.transaction(context, move |session, mongo| {
            async move {
                let requeued = mongo
                    .collection::<Job>(names::JOBS)
                    .find_one_and_update(
                        doc! { "_id": job, "state": JobState::Dead.name() },
                        doc! {
                            "$set": { "state": JobState::Waiting.name(), "attempt": 1_i64 },
                            "$unset": { "station": "", "dueAt": "" },
                        },
                    )
                    .return_document(ReturnDocument::After)
                    .session(&mut *session)
                    .await?;
                let Some(requeued) = requeued else {
                    return Ok(None);
                };
                let reason = "an operator sent it again from the dead letters";
                let change = Change {
                    only_undelivered: true,
                    update: doc! { "$set": { "status": InAppStatus::Pending.name() } },
                    retry: None,
                    entry: entry("queued", "dlq", reason, now),
                    told: doc! { "status": TrackedStatus::Queued.name() },
                    attempt: 0,
                };
                mongo.apply(session, &requeued, change).await?;
                Ok(Some(stored_job(requeued)))
            }
            .boxed()
        })
        .await
    }

    pub(crate) async fn remove_jobs(
        &self,
        jobs: Vec<i64>,
        removal: Removal,
        now: WallMs,
    ) -> Result<u64, StoreError> {
        let mut removed = 0;
        for job in jobs {
            let context = (self.clone(), removal.clone());
            let is_removed = self.transaction(context, move |session, (mongo, removal)| {
                async move {
                    let deleted = mongo
                        .collection::<Job>(names::JOBS)
                        .find_one_and_delete(doc! { "_id": job })
                        .session(&mut *session)
                        .await?;
                    let Some(deleted) = deleted else {
                        return Ok(false);
                    };
                    let change = Change {
                        only_undelivered: true,
                        update: doc! { "$set": { "status": InAppStatus::Failed.name() } },
                        retry: None,
                        entry: entry(removal.status, removal.tier, &removal.reason, now),
                        told: doc! { "status": TrackedStatus::Failed.name() },
                        attempt: 0,
                    };
                    mongo.apply(session, &deleted, change).await?;
                    Ok(true)
                }
                .boxed()
            });
            removed += u64::from(is_removed.await?);
        }
        Ok(removed)
    }

    pub(crate) async fn settings(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.reading(async {
            let cursor = self
                .collection::<Setting>(names::SETTINGS)
                .find(doc! {})
                .sort(doc! { "_id": 1 })
                .await?;
            let settings: Vec<Setting> = cursor.try_collect().await?;
            let pair = |setting: Setting| (setting.name, setting.value);
            Ok(settings.into_iter().map(pair).collect())
        })
        .await
    }

    pub(crate) async fn set_setting(
        &self,
        name: String,
        value: Option<String>,
    ) -> Result<(), StoreError> {
        let settings = self.collection::<Setting>(names::SETTINGS);
        let named = doc! { "_id": name };
        self.writing(async {
            match value {
                Some(value) => {
                    let set = doc! { "$set": { "value": value } };
                    settings.update_one(named, set).upsert(true).await?;
                }
                None => {
                    settings.delete_one(named).await?;
                }
            }
            Ok(())
        })
        .await
    }
}

fn entry(status: &str, tier: &str, reason: &str, now: WallMs) -> Entry {
    Entry {
        at: stored(now),
        status: status.to_owned(),
        attempt: 0,
        tier: tier.to_owned(),
        code: None,
        reason: Some(reason.to_owned()),
    }
}
