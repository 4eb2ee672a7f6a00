//! Jobs as stored: what must still be delivered, and how every run ended.
//!
//! Belongs here: job rows, each changed in one transaction with the notification it delivers. Does not belong
//! here: what a step makes of them (step), which job is next (queue), what a run does (worker).

use super::notifications::{append_history, append_history_of};
use super::{Embedded, optional, signed, unsigned};
use crate::models::{Channel, EmailStatus, NotificationType, Priority, UserId, WallMs};
use crate::store::StoreError;
use crate::store::jobs::{EARLIER_MAX, EarlierJob, JobOrigin, NewJob, RunEnd, StoredJob, tier};
use crate::store::notifications::{Delivery, News};
use crate::store::step::{After, JobAfter, JobWas, RunStep};
use rusqlite::{Connection, Row, params};

/// Stores what is told to one person with a job each; part of a caller's transaction.
pub(super) fn insert_news(
    connection: &Connection,
    user: UserId,
    news: Vec<News>,
    now: WallMs,
) -> Result<Vec<NewJob>, StoreError> {
    news.into_iter()
        .map(|item| insert_one(connection, user, item, now))
        .collect()
}

fn insert_one(
    connection: &Connection,
    user: UserId,
    news: News,
    now: WallMs,
) -> Result<NewJob, StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO notifications (id, channel, type, user_id, title, message, priority, status, \
             expires_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            news.id,
            news.channel.name(),
            news.kind.name(),
            signed(user.0)?,
            news.title,
            news.message,
            news.priority.name(),
            EmailStatus::Pending.name(),
            news.expires_at.map(WallMs::to_stored),
            now.to_stored(),
        ])?;
    for status in ["pending", "queued"] {
        let entry = Delivery {
            at: now,
            status: status.to_owned(),
            attempt: 0,
            tier: tier(news.channel, 0).to_owned(),
            code: None,
            reason: None,
        };
        append_history(connection, &news.id, &entry)?;
    }
    connection
        .prepare_cached(
            "INSERT INTO jobs (channel, state, notification_id, user_id, kind, priority, attempt, \
             created_at, run, part) VALUES (?1, 'waiting', ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8)",
        )?
        .execute(params![
            news.channel.name(),
            news.id,
            signed(user.0)?,
            news.kind.name(),
            news.priority.name(),
            now.to_stored(),
            news.origin.as_ref().map(|origin| &origin.run),
            news.origin.as_ref().map(|origin| origin.part.to_string()),
        ])?;
    let id = connection.last_insert_rowid();
    connection
        .prepare_cached("UPDATE notifications SET job_id = ?2 WHERE id = ?1")?
        .execute(params![news.id, id])?;
    Ok(NewJob {
        id,
        channel: news.channel,
        kind: news.kind,
        notification: news.id,
        user,
        priority: news.priority,
    })
}

impl Embedded {
    pub(crate) async fn step(
        &self,
        run: RunEnd,
        step: RunStep,
        now: WallMs,
    ) -> Result<(), StoreError> {
        let id = run.job;
        let after = step.after(run, now);
        self.write(move |connection| {
            if tell(connection, id, &after)? {
                change(connection, id, &after.job)?;
            }
            Ok(())
        })
        .await
    }

    pub(crate) async fn confirm_late(
        &self,
        user: UserId,
        notification: String,
        socket_id: String,
        now: WallMs,
    ) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let changed = connection
                .prepare_cached(
                    "UPDATE notifications SET status = 'delivered', delivered_at = ?3, socket_id = ?4 \
                     WHERE id = ?1 AND user_id = ?2 AND channel = 'in-app' AND status = 'pending'",
                )?
                .execute(params![notification, signed(user.0)?, now.to_stored(), socket_id])?;
            Ok(changed > 0)
        })
        .await
    }

    pub(crate) async fn open_jobs(&self) -> Result<Vec<StoredJob>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare(&format!(
                "SELECT {JOB_COLUMNS} FROM jobs WHERE state IN ('waiting', 'delayed') ORDER BY id"
            ))?;
            let rows = statement.query_map([], job_from_row)?;
            rows.map(|row| row.map_err(StoreError::from).and_then(|job| job))
                .collect()
        })
        .await
    }

    pub(crate) async fn earlier_jobs(
        &self,
        user: UserId,
        priority: Priority,
        job: i64,
    ) -> Result<Vec<EarlierJob>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, attempt, is_missed FROM jobs WHERE channel = 'in-app' AND user_id = ?1 \
                 AND id < ?2 AND (state = 'waiting' OR (state = 'delayed' AND is_missed = 1)) \
                 AND CASE priority WHEN 'low' THEN 0 WHEN 'normal' THEN 1 WHEN 'high' THEN 2 ELSE 3 END >= ?3 \
                 ORDER BY id LIMIT ?4",
            )?;
            let most = i64::try_from(EARLIER_MAX).unwrap_or(i64::MAX);
            let rows = statement.query_map(
                params![signed(user.0)?, job, priority.rank(), most],
                |row| {
                    Ok(EarlierJob {
                        id: row.get(0)?,
                        attempt: u16::try_from(row.get::<_, i64>(1)?).unwrap_or(u16::MAX),
                        is_missed: row.get(2)?,
                    })
                },
            )?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    pub(crate) async fn dead_job_count(&self) -> Result<u64, StoreError> {
        self.read(|connection| {
            let count: i64 = connection.query_row(
                "SELECT count(*) FROM jobs WHERE state = 'dead'",
                [],
                |row| row.get(0),
            )?;
            Ok(unsigned(count))
        })
        .await
    }
}

/// Tells of a step in the notification of its job; false where the job is not as the step needs it.
pub(super) fn tell(connection: &Connection, job: i64, after: &After) -> Result<bool, StoreError> {
    let (attempt_max, is_dead) = match after.was {
        JobWas::Kept => (None, None),
        JobWas::OpenAt(attempt) => (Some(attempt), Some(false)),
        JobWas::Dead => (None, Some(true)),
    };
    let told = connection
        .prepare_cached(
            "UPDATE notifications SET \
             status = CASE status WHEN 'delivered' THEN status ELSE coalesce(?4, status) END, \
             attempts = max(attempts, ?5), delivered_at = coalesce(delivered_at, ?6), \
             message_id = coalesce(?7, message_id), socket_id = coalesce(?8, socket_id) \
             WHERE id = (SELECT notification_id FROM jobs WHERE id = ?1 \
             AND (?2 IS NULL OR attempt <= ?2) AND (?3 IS NULL OR (state = 'dead') = ?3) \
             AND (?9 IS NULL OR notification_id = ?9))",
        )?
        .execute(params![
            job,
            attempt_max,
            is_dead,
            after.status,
            signed(after.entry.attempt)?,
            after.delivered_at.map(WallMs::to_stored),
            after.message_id,
            after.socket_id,
            after.notification,
        ])?;
    if told == 0 {
        return Ok(false);
    }
    append_history_of(connection, job, &after.entry)?;
    Ok(true)
}

/// Changes a job as a step leaves it; the answer is its new row, where it has one.
pub(super) fn change(
    connection: &Connection,
    job: i64,
    after: &JobAfter,
) -> Result<Option<StoredJob>, StoreError> {
    match after {
        JobAfter::Same => Ok(None),
        JobAfter::Gone => {
            connection
                .prepare_cached("DELETE FROM jobs WHERE id = ?1")?
                .execute([job])?;
            Ok(None)
        }
        JobAfter::Row(row) => {
            let changed = connection
                .prepare_cached(&format!(
                    "UPDATE jobs SET state = ?2, station = ?3, due_at = ?4, attempt = coalesce(?5, attempt), \
                     is_missed = coalesce(?6, is_missed) WHERE id = ?1 RETURNING {JOB_COLUMNS}"
                ))?
                .query_row(
                    params![
                        job,
                        row.state.name(),
                        row.station,
                        row.due_at.map(WallMs::to_stored),
                        row.attempt,
                        row.is_missed,
                    ],
                    job_from_row,
                );
            optional(changed)?.transpose()
        }
    }
}

/// What [`job_from_row`] reads, in its order.
pub(super) const JOB_COLUMNS: &str =
    "id, channel, kind, notification_id, user_id, priority, attempt, station, due_at, run, part";

pub(super) fn job_from_row(row: &Row<'_>) -> rusqlite::Result<Result<StoredJob, StoreError>> {
    let id: i64 = row.get(0)?;
    let (channel, kind, priority): (String, String, String) =
        (row.get(1)?, row.get(2)?, row.get(5)?);
    let (Some(channel), Some(kind), Some(priority)) = (
        Channel::from_name(&channel),
        NotificationType::from_name(&kind),
        Priority::from_name(&priority),
    ) else {
        let what = format!("job {id} is of kind {kind}/{channel}/{priority}");
        return Ok(Err(StoreError::Corrupt { what }));
    };
    let (station, due_at): (Option<String>, Option<i64>) = (row.get(7)?, row.get(8)?);
    let (run, part): (Option<String>, Option<String>) = (row.get(9)?, row.get(10)?);
    Ok(Ok(StoredJob {
        job: NewJob {
            id,
            channel,
            kind,
            notification: row.get(3)?,
            user: UserId(unsigned(row.get(4)?)),
            priority,
        },
        attempt: u16::try_from(row.get::<_, i64>(6)?).unwrap_or(u16::MAX),
        parked: station.zip(due_at.map(WallMs::from_stored)),
        origin: run
            .zip(part)
            .and_then(|(run, part)| JobOrigin::read(id, run, &part)),
    }))
}
