//! Collection `jobs`: what every run changes, in one transaction with the notification and its record.
//!
//! Belongs here: the steps of a job. Does not belong here: making jobs (deliveries), which one is next
//! (queue).
//!
//! A step that is said twice, because the answer to the first was lost, is stored once: it looks for the
//! job as the step before left it.

use super::documents::{Entry, Job, JobState, Notification, Retry, count, number, read, stored};
use super::{Mongo, names, within};
use crate::models::{
    Channel, EmailStatus, InAppStatus, NotificationType, TrackedStatus, UserId, WallMs,
};
use crate::store::StoreError;
use crate::store::jobs::{JobOrigin, NewJob, RunEnd, StoredJob, tier};
use futures_util::{FutureExt, TryStreamExt};
use mongodb::bson::{Bson, Document, doc, serialize_to_bson};
use mongodb::options::ReturnDocument;
use mongodb::{ClientSession, Collection};
use std::time::Duration;

/// Entries that a history keeps; older ones leave a document that would grow without end.
const HISTORY_MAX: i32 = 200;
/// Longest time for reading every open job, which is more than one call's work.
const ALL_JOBS_MAX: Duration = Duration::from_secs(30);

/// How a run changes its job.
#[derive(Clone)]
enum Step {
    Began,
    Delivered {
        message_id: Option<String>,
        socket_id: Option<String>,
    },
    Delayed {
        station: &'static str,
        due_at: WallMs,
    },
    Dead,
    Expired,
}

/// What becomes of a notification, and how it is told.
pub(super) struct Change {
    /// A notification that is delivered stays as it is, but for its history.
    pub(super) only_undelivered: bool,
    pub(super) update: Document,
    pub(super) retry: Option<Retry>,
    pub(super) entry: Entry,
    /// Fields of the record.
    pub(super) told: Document,
    /// How many runs there were at least.
    pub(super) attempt: i64,
}

/// The document that tells how a message fares.
struct Record<'a> {
    kind: NotificationType,
    channel: Channel,
    /// A signup is found by its user.
    id: Option<&'a str>,
    user_id: i64,
    notification: &'a str,
}

impl Mongo {
    pub(crate) async fn run_began(&self, run: RunEnd, now: WallMs) -> Result<(), StoreError> {
        self.step(run, Step::Began, now).await
    }

    pub(crate) async fn run_delivered(
        &self,
        run: RunEnd,
        message_id: Option<String>,
        socket_id: Option<String>,
        now: WallMs,
    ) -> Result<(), StoreError> {
        let step = Step::Delivered {
            message_id,
            socket_id,
        };
        self.step(run, step, now).await
    }

    pub(crate) async fn run_delayed(
        &self,
        run: RunEnd,
        station: &'static str,
        due_at: WallMs,
        now: WallMs,
    ) -> Result<(), StoreError> {
        self.step(run, Step::Delayed { station, due_at }, now).await
    }

    pub(crate) async fn run_dead(&self, run: RunEnd, now: WallMs) -> Result<(), StoreError> {
        self.step(run, Step::Dead, now).await
    }

    pub(crate) async fn run_expired(&self, run: RunEnd, now: WallMs) -> Result<(), StoreError> {
        self.step(run, Step::Expired, now).await
    }

    /// Stores a step, however long the store cannot be reached.
    async fn step(&self, run: RunEnd, step: Step, now: WallMs) -> Result<(), StoreError> {
        self.patiently(|| {
            let context = (self.clone(), run.clone(), step.clone());
            self.transaction(context, move |session, (mongo, run, step)| {
                async move { mongo.step_in(session, run, step, now).await }.boxed()
            })
        })
        .await
    }

    async fn step_in(
        &self,
        session: &mut ClientSession,
        run: &RunEnd,
        step: &Step,
        now: WallMs,
    ) -> mongodb::error::Result<()> {
        let Some(job) = self.take_job(session, run, step).await? else {
            return Ok(());
        };
        let change = step.change(run, job.channel, now);
        self.apply(session, &job, change).await
    }

    /// Changes the notification of a job and the record that tells of it.
    pub(super) async fn apply(
        &self,
        session: &mut ClientSession,
        job: &Job,
        change: Change,
    ) -> mongodb::error::Result<()> {
        // A step that is said again, because the answer to it was lost, finds its entry there.
        let notification =
            doc! { "_id": &job.notification_id, "deliveryHistory": without(&change.entry) };
        let mut applies_to = notification.clone();
        if change.only_undelivered {
            applies_to.insert("status", doc! { "$ne": InAppStatus::Delivered.name() });
        }
        let history = appended(serialize_to_bson(&change.entry)?);
        let mut pushed = doc! { "deliveryHistory": history.clone() };
        if let Some(retry) = &change.retry {
            pushed.insert("retryHistory", appended(serialize_to_bson(retry)?));
        }
        let mut update = change.update;
        update.insert("$push", pushed);
        let collection = self.collection::<Document>(names::notifications_on(job.channel));
        let changed = collection
            .update_one(applies_to, update)
            .session(&mut *session)
            .await?;
        let mut told = change.told;
        if changed.matched_count == 0 {
            // Delivered already: the history tells of this too, and nothing else changes.
            let pushed = doc! { "$push": { "deliveryHistory": history } };
            collection
                .update_one(notification, pushed)
                .session(&mut *session)
                .await?;
            told = doc! {};
        }
        let record = Record {
            kind: job.kind,
            channel: job.channel,
            id: job.record_id.as_deref(),
            user_id: job.user_id,
            notification: &job.notification_id,
        };
        self.update_record(session, record, told, Some((change.attempt, change.entry)))
            .await
    }

    /// The job as it was before this step, changed by it; `None` where the step is stored already.
    async fn take_job(
        &self,
        session: &mut ClientSession,
        run: &RunEnd,
        step: &Step,
    ) -> mongodb::error::Result<Option<Job>> {
        let jobs: Collection<Job> = self.collection(names::JOBS);
        match step {
            Step::Began => {
                jobs.find_one(doc! { "_id": run.job })
                    .session(session)
                    .await
            }
            Step::Delivered { .. } | Step::Expired => {
                jobs.find_one_and_delete(doc! { "_id": run.job })
                    .session(session)
                    .await
            }
            Step::Delayed { station, due_at } => {
                jobs.find_one_and_update(
                    doc! { "_id": run.job, "attempt": { "$lte": i64::from(run.attempt) } },
                    doc! { "$set": {
                        "state": JobState::Delayed.name(),
                        "station": station,
                        "dueAt": stored(*due_at),
                        "attempt": i64::from(run.attempt) + 1,
                        "isMissed": run.is_missed,
                    } },
                )
                .session(session)
                .await
            }
            Step::Dead => {
                jobs.find_one_and_update(
                    doc! { "_id": run.job, "state": { "$ne": JobState::Dead.name() } },
                    doc! {
                        "$set": { "state": JobState::Dead.name(), "station": "dlq" },
                        "$unset": { "dueAt": "" },
                    },
                )
                .session(session)
                .await
            }
        }
    }

    /// Tells in the document that caused the job how its message fares.
    async fn update_record(
        &self,
        session: &mut ClientSession,
        record: Record<'_>,
        fields: Document,
        run: Option<(i64, Entry)>,
    ) -> mongodb::error::Result<()> {
        let Some((collection, field)) = names::told_in(record.kind, record.channel) else {
            return Ok(());
        };
        let in_field = |name: &str| format!("{field}.{name}");
        let mut key = match (record.id, record.kind) {
            (Some(id), _) => doc! { "_id": id },
            (None, NotificationType::Signup) => doc! { "userId": record.user_id },
            // What another program asked for has no record.
            (None, _) => return Ok(()),
        };
        // One with another message is none of this one's.
        key.insert(in_field("notificationId"), record.notification);
        let mut update = doc! {};
        if !fields.is_empty() {
            let set: Document = fields
                .into_iter()
                .map(|(name, value)| (in_field(&name), value))
                .collect();
            update.insert("$set", set);
        }
        if let Some((attempt, entry)) = run {
            key.insert(in_field("deliveryHistory"), without(&entry));
            let entry = serialize_to_bson(&entry)?;
            update.insert("$max", doc! { in_field("attempts"): attempt });
            update.insert(
                "$push",
                doc! { in_field("deliveryHistory"): appended(entry) },
            );
        }
        self.collection::<Document>(collection)
            .update_one(key, update)
            .session(session)
            .await?;
        Ok(())
    }

    pub(crate) async fn confirm_late(
        &self,
        user: UserId,
        notification: String,
        socket_id: String,
        now: WallMs,
    ) -> Result<bool, StoreError> {
        let waiting = doc! {
            "_id": notification,
            "recipient.userId": number(user)?,
            "status": InAppStatus::Pending.name(),
        };
        let confirmed = doc! { "$set": {
            "status": InAppStatus::Delivered.name(),
            "deliveredAt": stored(now),
            "socketId": socket_id,
        } };
        let context = (self.clone(), waiting, confirmed);
        self.transaction(context, |session, (mongo, waiting, confirmed)| {
            async move {
                let found = mongo
                    .collection::<Notification<InAppStatus>>(names::IN_APP_NOTIFICATIONS)
                    .find_one_and_update(waiting.clone(), confirmed.clone())
                    .return_document(ReturnDocument::After)
                    .session(&mut *session)
                    .await?;
                let Some(found) = found else {
                    return Ok(false);
                };
                let status = doc! { "status": TrackedStatus::Delivered.name() };
                let record = Record {
                    kind: found.kind,
                    channel: Channel::InApp,
                    id: found.record_id.as_deref(),
                    user_id: found.recipient.user_id,
                    notification: &found.id,
                };
                mongo.update_record(session, record, status, None).await?;
                Ok(true)
            }
            .boxed()
        })
        .await
    }

    pub(crate) async fn open_jobs(&self) -> Result<Vec<StoredJob>, StoreError> {
        let open =
            doc! { "state": { "$in": [JobState::Waiting.name(), JobState::Delayed.name()] } };
        let reading = async {
            let cursor = self
                .collection::<Job>(names::JOBS)
                .find(open)
                .sort(doc! { "_id": 1 })
                .await?;
            Ok(cursor.try_collect::<Vec<Job>>().await?)
        };
        let jobs = within(ALL_JOBS_MAX, reading).await?;
        Ok(jobs.into_iter().map(stored_job).collect())
    }

    pub(crate) async fn dead_job_count(&self) -> Result<u64, StoreError> {
        self.reading(async {
            Ok(self
                .collection::<Job>(names::JOBS)
                .count_documents(doc! { "state": JobState::Dead.name() })
                .await?)
        })
        .await
    }
}

impl Step {
    /// How the history names it.
    const fn name(&self) -> &'static str {
        match self {
            Self::Began => "sending",
            Self::Delivered { .. } => "delivered",
            Self::Delayed { .. } | Self::Dead => "failed",
            Self::Expired => "expired",
        }
    }

    fn entry(&self, run: &RunEnd, now: WallMs) -> Entry {
        Entry {
            at: stored(now),
            status: self.name().to_owned(),
            attempt: i64::from(run.attempt),
            tier: tier(run.channel, run.attempt).to_owned(),
            code: run.code.map(i64::from),
            reason: (!run.reason.is_empty()).then(|| run.reason.clone()),
        }
    }

    fn change(&self, run: &RunEnd, channel: Channel, now: WallMs) -> Change {
        let attempt = i64::from(run.attempt);
        let mut set = doc! {};
        let mut update = doc! { "$max": { "attempts": attempt } };
        let mut retry = None;
        match self {
            Self::Began => {
                if channel == Channel::Email {
                    set.insert("status", EmailStatus::Processing.name());
                }
            }
            Self::Delivered {
                message_id,
                socket_id,
            } => {
                set.insert("status", InAppStatus::Delivered.name());
                // The first moment stays, also where a confirmation came before this run ended.
                update.insert("$min", doc! { "deliveredAt": stored(now) });
                for (name, value) in [("messageId", message_id), ("socketId", socket_id)] {
                    if let Some(value) = value {
                        set.insert(name, value);
                    }
                }
            }
            Self::Delayed { .. } => {
                set.insert("status", InAppStatus::Pending.name());
                retry = Some(Retry {
                    time: stored(now),
                    tier: tier(run.channel, run.attempt).to_owned(),
                    error: run.reason.clone(),
                    code: run.code.map(i64::from),
                });
            }
            Self::Dead => {
                set.insert("status", InAppStatus::Failed.name());
            }
            Self::Expired => {
                set.insert("status", InAppStatus::Expired.name());
            }
        }
        if !set.is_empty() {
            update.insert("$set", set);
        }
        Change {
            only_undelivered: !matches!(self, Self::Delivered { .. }),
            update,
            retry,
            entry: self.entry(run, now),
            told: self.told_fields(),
            attempt,
        }
    }

    /// What the record tells after this step.
    fn told_fields(&self) -> Document {
        let status = match self {
            Self::Began => TrackedStatus::Sending,
            Self::Delivered { .. } => TrackedStatus::Delivered,
            Self::Delayed { .. } => TrackedStatus::Queued,
            Self::Dead | Self::Expired => TrackedStatus::Failed,
        };
        let mut fields = doc! { "status": status.name() };
        if let Self::Delivered {
            message_id: Some(id),
            ..
        } = self
        {
            fields.insert("messageId", id);
        }
        fields
    }
}

/// Histories that do not have this entry.
fn without(entry: &Entry) -> Document {
    let same = doc! { "at": entry.at, "status": &entry.status, "attempt": entry.attempt };
    doc! { "$not": { "$elemMatch": same } }
}

/// Adds to an array that keeps its newest entries.
fn appended(entry: Bson) -> Document {
    doc! { "$each": [entry], "$slice": -HISTORY_MAX }
}

pub(super) fn stored_job(job: Job) -> StoredJob {
    let origin = job.origin;
    let origin = origin.and_then(|origin| JobOrigin::read(job.id, origin.run, &origin.part));
    StoredJob {
        job: NewJob {
            id: job.id,
            channel: job.channel,
            kind: job.kind,
            notification: job.notification_id,
            user: UserId(count(job.user_id)),
            priority: job.priority,
        },
        attempt: u16::try_from(job.attempt).unwrap_or(u16::MAX),
        parked: job.station.zip(job.due_at.map(read)),
        origin,
    }
}
