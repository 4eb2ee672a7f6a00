//! Collection `jobs`: what every run changes, in one transaction with the notification and its record.
//!
//! Belongs here: storing the steps of a job. Does not belong here: what a step makes of it (step), making jobs
//! (deliveries), which one is next (queue).
//!
//! A step that is said twice, because the answer to the first was lost, is stored once: it looks for the
//! job as the step before left it.

use super::documents::{Entry, Job, JobState, Notification, Retry, count, number, read, stored};
use super::{Mongo, names, within};
use crate::models::{Channel, InAppStatus, NotificationType, TrackedStatus, UserId, WallMs};
use crate::store::StoreError;
use crate::store::jobs::{JobOrigin, NewJob, RunEnd, StoredJob};
use crate::store::step::{After, JobAfter, JobRow, JobWas, RunStep};
use flowreel_engine::model::id::RequestId;
use futures_util::{FutureExt, TryStreamExt};
use mongodb::bson::{Bson, Document, doc, serialize_to_bson};
use mongodb::options::ReturnDocument;
use mongodb::{ClientSession, Collection};
use std::time::Duration;
use tokio::sync::MutexGuard;

/// Entries that a history keeps; older ones leave a document that would grow without end.
const HISTORY_MAX: i32 = 200;
/// Longest time for reading every open job, which is more than one call's work.
const ALL_JOBS_MAX: Duration = Duration::from_secs(30);

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
    /// Stores a step of a run, however long the store cannot be reached.
    pub(crate) async fn step(
        &self,
        run: RunEnd,
        step: RunStep,
        now: WallMs,
    ) -> Result<(), StoreError> {
        let id = run.job;
        let _turn = self.turn(run.request).await;
        let after = step.after(run, now);
        self.patiently(|| self.store_step(id, &after)).await?;
        Ok(())
    }

    /// Steps of one request take turns: each writes to the document of the request, and those that meet there
    /// abort each other's transactions. Once this stops nobody waits for a turn.
    pub(super) async fn turn(&self, request: RequestId) -> Option<MutexGuard<'_, ()>> {
        let turns = &self.inner.turns;
        let at = usize::try_from(request.0).unwrap_or_default() % turns.len();
        let turn = turns[at].lock();
        self.inner.stopping.run_until_cancelled(turn).await
    }

    /// Stores a step: the job's new document, or its last one; `None` where it is not as the step needs it.
    pub(super) async fn store_step(
        &self,
        id: i64,
        after: &After,
    ) -> Result<Option<Job>, StoreError> {
        let context = (self.clone(), after.clone());
        self.transaction(context, move |session, (mongo, after)| {
            async move {
                let job = mongo.change_job(session, id, after).await?;
                if let Some(job) = &job {
                    mongo.tell(session, job, after).await?;
                }
                Ok(job)
            }
            .boxed()
        })
        .await
    }

    async fn change_job(
        &self,
        session: &mut ClientSession,
        id: i64,
        after: &After,
    ) -> mongodb::error::Result<Option<Job>> {
        let jobs: Collection<Job> = self.collection(names::JOBS);
        let mut was = doc! { "_id": id };
        if let Some(notification) = &after.notification {
            was.insert("notificationId", notification);
        }
        match after.was {
            JobWas::Kept => {}
            JobWas::OpenAt(attempt) => {
                was.insert("state", doc! { "$ne": JobState::Dead.name() });
                was.insert("attempt", doc! { "$lte": i64::from(attempt) });
            }
            JobWas::Dead => {
                was.insert("state", JobState::Dead.name());
            }
        }
        match &after.job {
            JobAfter::Same => jobs.find_one(was).session(session).await,
            JobAfter::Gone => jobs.find_one_and_delete(was).session(session).await,
            JobAfter::Row(row) => {
                jobs.find_one_and_update(was, changed(row))
                    .return_document(ReturnDocument::After)
                    .session(session)
                    .await
            }
        }
    }

    /// Tells of a step in the notification of its job and in the record that it is told of in.
    async fn tell(
        &self,
        session: &mut ClientSession,
        job: &Job,
        after: &After,
    ) -> mongodb::error::Result<()> {
        let entry = Entry::from(&after.entry);
        // A step that is said again, because the answer to it was lost, finds its entry there.
        let notification = doc! { "_id": &job.notification_id, "deliveryHistory": without(&entry) };
        let pushed = doc! { "deliveryHistory": appended(serialize_to_bson(&entry)?) };
        let mut applies_to = notification.clone();
        if after.delivered_at.is_none() {
            applies_to.insert("status", doc! { "$ne": InAppStatus::Delivered.name() });
        }
        let collection = self.collection::<Document>(names::notifications_on(job.channel));
        let changed = collection
            .update_one(applies_to, update_of(after, &entry, pushed.clone())?)
            .session(&mut *session)
            .await?;
        let mut told = doc! {};
        if changed.matched_count == 0 {
            // Delivered already: its history and its attempts tell of this too, and nothing else changes.
            let run = doc! { "$push": pushed, "$max": { "attempts": entry.attempt } };
            collection
                .update_one(notification, run)
                .session(&mut *session)
                .await?;
        } else {
            if let Some(status) = after.tracked() {
                told.insert("status", status.name());
            }
            if let Some(id) = &after.message_id {
                told.insert("messageId", id);
            }
        }
        let record = Record {
            kind: job.kind,
            channel: job.channel,
            id: job.record_id.as_deref(),
            user_id: job.user_id,
            notification: &job.notification_id,
        };
        self.update_record(session, record, told, Some(entry)).await
    }

    /// Tells in the document that caused the job how its message fares.
    async fn update_record(
        &self,
        session: &mut ClientSession,
        record: Record<'_>,
        fields: Document,
        run: Option<Entry>,
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
        if let Some(entry) = run {
            key.insert(in_field("deliveryHistory"), without(&entry));
            update.insert("$max", doc! { in_field("attempts"): entry.attempt });
            let history = appended(serialize_to_bson(&entry)?);
            update.insert("$push", doc! { in_field("deliveryHistory"): history });
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

/// The change that makes a job's document so.
fn changed(row: &JobRow) -> Document {
    let mut set = doc! { "state": row.state.name() };
    let mut unset = doc! {};
    match row.station {
        Some(station) => set.insert("station", station),
        None => unset.insert("station", ""),
    };
    match row.due_at {
        Some(due_at) => set.insert("dueAt", stored(due_at)),
        None => unset.insert("dueAt", ""),
    };
    if let Some(attempt) = row.attempt {
        set.insert("attempt", i64::from(attempt));
    }
    if let Some(is_missed) = row.is_missed {
        set.insert("isMissed", is_missed);
    }
    let mut update = doc! { "$set": set };
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    update
}

/// The change of a notification that is not delivered yet; `pushed` is for its lists.
fn update_of(
    after: &After,
    entry: &Entry,
    mut pushed: Document,
) -> mongodb::error::Result<Document> {
    let own = [
        ("status", after.status),
        ("messageId", after.message_id.as_deref()),
        ("socketId", after.socket_id.as_deref()),
    ];
    let set: Document = own
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Bson::from(value?))))
        .collect();
    if matches!(&after.job, JobAfter::Row(row) if row.state == JobState::Delayed) {
        let retry = Retry {
            time: entry.at,
            tier: entry.tier.clone(),
            error: entry.reason.clone().unwrap_or_default(),
            code: entry.code,
        };
        pushed.insert("retryHistory", appended(serialize_to_bson(&retry)?));
    }
    let mut update = doc! { "$push": pushed, "$max": { "attempts": entry.attempt } };
    if !set.is_empty() {
        update.insert("$set", set);
    }
    if let Some(at) = after.delivered_at {
        update.insert("$min", doc! { "deliveredAt": stored(at) });
    }
    Ok(update)
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
