//! What operators see and change of stored jobs, and their settings.
//!
//! Belongs here: the queries behind it. Does not belong here: the runs of jobs (jobs).

use super::documents::{Job, JobState, Notification as Stored, Setting, count};
use super::jobs::stored_job;
use super::notifications::{limit, listed};
use super::{Mongo, names};
use crate::models::{Channel, EmailStatus, InAppStatus, UserId, WallMs};
use crate::store::StoreError;
use crate::store::jobs::StoredJob;
use crate::store::notifications::{Listed, Page};
use crate::store::operations::{JobFilter, JobRecord, Removal};
use crate::store::step::After;
use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
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
        let requeued = self.store_step(job, &After::requeue(now)).await?;
        Ok(requeued.map(stored_job))
    }

    pub(crate) async fn remove_jobs(
        &self,
        jobs: Vec<i64>,
        removal: Removal,
        now: WallMs,
    ) -> Result<u64, StoreError> {
        let after = After::removal(removal, now);
        let mut removed = 0;
        for job in jobs {
            let gone = self.store_step(job, &after).await?;
            removed += u64::from(gone.is_some());
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
