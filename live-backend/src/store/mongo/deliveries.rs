//! What is told to one person, as documents: notifications with a job each, stored with their cause.
//!
//! Belongs here: making and inserting them. Does not belong here: what becomes of them (jobs).

use super::documents::{
    EmailNotification, Entry, InAppNotification, Job, JobState, Notification, Origin, Recipient,
    Told, stored,
};
use super::{Mongo, names};
use crate::models::{Channel, EmailStatus, InAppStatus, TrackedStatus, UserId, WallMs};
use crate::store::jobs::{NewJob, tier};
use crate::store::notifications::News;
use crate::store::{StoreError, affected};
use mongodb::ClientSession;
use serde::Serialize;

/// The documents of one person's news, ready to be inserted.
pub(super) struct Deliveries {
    emails: Vec<EmailNotification>,
    in_apps: Vec<InAppNotification>,
    jobs: Vec<Job>,
    pub(super) announced: Vec<NewJob>,
}

impl Mongo {
    /// Numbers the jobs of `news` and makes the documents; `record` names the one that tells how they fare.
    pub(super) async fn deliveries(
        &self,
        recipient: &Recipient,
        record: Option<&str>,
        news: Vec<News>,
        now: WallMs,
    ) -> Result<Deliveries, StoreError> {
        let numbers = self.inner.counters.next_jobs(news.len()).await?;
        let mut all = Deliveries {
            emails: Vec::new(),
            in_apps: Vec::new(),
            jobs: Vec::with_capacity(news.len()),
            announced: Vec::with_capacity(news.len()),
        };
        for (item, job_id) in news.into_iter().zip(numbers) {
            all.announced.push(NewJob {
                id: job_id,
                channel: item.channel,
                kind: item.kind,
                notification: item.id.clone(),
                user: UserId(super::documents::count(recipient.user_id)),
                priority: item.priority,
            });
            all.jobs.push(job(&item, job_id, recipient, record, now));
            match item.channel {
                Channel::Email => {
                    let status = EmailStatus::Pending;
                    all.emails
                        .push(notification(item, status, job_id, recipient, record, now));
                }
                Channel::InApp => {
                    let status = InAppStatus::Pending;
                    all.in_apps
                        .push(notification(item, status, job_id, recipient, record, now));
                }
            }
        }
        Ok(all)
    }

    /// Inserts the documents as part of the session's transaction.
    pub(super) async fn insert_deliveries(
        &self,
        session: &mut ClientSession,
        all: &Deliveries,
    ) -> mongodb::error::Result<()> {
        self.insert_all(session, names::EMAIL_NOTIFICATIONS, &all.emails)
            .await?;
        self.insert_all(session, names::IN_APP_NOTIFICATIONS, &all.in_apps)
            .await?;
        self.insert_all(session, names::JOBS, &all.jobs).await
    }

    async fn insert_all<T: Serialize + Send + Sync>(
        &self,
        session: &mut ClientSession,
        collection: &str,
        documents: &[T],
    ) -> mongodb::error::Result<()> {
        if documents.is_empty() {
            return Ok(());
        }
        self.collection::<T>(collection)
            .insert_many(documents)
            .session(session)
            .await?;
        affected::add(u64::try_from(documents.len()).unwrap_or(u64::MAX));
        Ok(())
    }
}

impl Deliveries {
    /// How the channel's message fares so far; `None` where there is none.
    pub(super) fn told(&self, channel: Channel) -> Option<Told> {
        let told = |job_id, id: &str, history: &[Entry]| Told {
            status: TrackedStatus::Queued,
            job_id,
            notification_id: id.to_owned(),
            attempts: 0,
            message_id: None,
            delivery_history: history.to_vec(),
        };
        match channel {
            Channel::Email => self
                .emails
                .first()
                .map(|email| told(email.job_id, &email.id, &email.delivery_history)),
            Channel::InApp => self
                .in_apps
                .first()
                .map(|in_app| told(in_app.job_id, &in_app.id, &in_app.delivery_history)),
        }
    }
}

fn job(news: &News, job_id: i64, recipient: &Recipient, record: Option<&str>, now: WallMs) -> Job {
    Job {
        id: job_id,
        channel: news.channel,
        state: JobState::Waiting,
        notification_id: news.id.clone(),
        user_id: recipient.user_id,
        kind: news.kind,
        priority: news.priority,
        attempt: 1,
        station: None,
        due_at: None,
        is_missed: false,
        origin: news.origin.as_ref().map(|origin| Origin {
            run: origin.run.clone(),
            part: origin.part.to_string(),
        }),
        record_id: record.map(str::to_owned),
        created_at: stored(now),
    }
}

fn notification<Status>(
    news: News,
    status: Status,
    job_id: i64,
    recipient: &Recipient,
    record: Option<&str>,
    now: WallMs,
) -> Notification<Status> {
    let tier = tier(news.channel, 0);
    let entry = |status: &str| Entry {
        at: stored(now),
        status: status.to_owned(),
        attempt: 0,
        tier: tier.to_owned(),
        code: None,
        reason: None,
    };
    Notification {
        id: news.id,
        kind: news.kind,
        recipient: recipient.clone(),
        title: news.title,
        message: news.message,
        status,
        priority: news.priority,
        attempts: 0,
        job_id,
        retry_history: Vec::new(),
        delivery_history: vec![entry("pending"), entry("queued")],
        message_id: None,
        socket_id: None,
        delivered_at: None,
        read_at: None,
        expires_at: news.expires_at.map(stored),
        record_id: record.map(str::to_owned),
        created_at: stored(now),
    }
}
