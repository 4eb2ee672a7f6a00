//! What operators see and change of stored jobs, and their settings.
//!
//! Belongs here: the queries behind it. Does not belong here: the runs of jobs (jobs).

use super::jobs::{JOB_COLUMNS, change, job_from_row, tell};
use super::notifications::{history, listed_from_row};
use super::{Embedded, optional, signed, unsigned};
use crate::models::{Channel, UserId, WallMs};
use crate::store::StoreError;
use crate::store::jobs::StoredJob;
use crate::store::notifications::Page;
use crate::store::operations::{JobFilter, JobRecord, Removal};
use crate::store::step::After;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

impl Embedded {
    pub(crate) async fn job_records(
        &self,
        filter: JobFilter,
        page: Page,
    ) -> Result<(Vec<JobRecord>, u64), StoreError> {
        self.read(move |connection| {
            let (condition, order, values): (&str, &str, Vec<Value>) = match filter {
                JobFilter::One(id) => ("n.job_id = ?1", "n.job_id", vec![id.into()]),
                JobFilter::Dead => (
                    "n.job_id IN (SELECT id FROM jobs WHERE state = 'dead')",
                    "n.job_id",
                    Vec::new(),
                ),
                JobFilter::Ended(channel, status) => (
                    "n.job_id IS NOT NULL AND n.channel = ?1 AND n.status = ?2",
                    "n.job_id DESC",
                    vec![channel.name().to_owned().into(), status.to_owned().into()],
                ),
            };
            let counting = format!("SELECT count(*) FROM notifications n WHERE {condition}");
            let total: i64 = connection
                .prepare_cached(&counting)?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            let mut statement = connection.prepare_cached(&format!(
                "SELECT n.id, n.type, n.channel, n.title, \
                 CASE n.type WHEN 'reset_password' THEN '' ELSE n.message END, n.status, n.priority, \
                 n.attempts, n.message_id, n.socket_id, n.delivered_at, n.read_at, n.expires_at, \
                 n.created_at, n.job_id, n.user_id FROM notifications n WHERE {condition} \
                 ORDER BY {order} LIMIT {} OFFSET {}",
                signed(page.limit)?,
                signed(page.offset)?
            ))?;
            let rows = statement.query_map(params_from_iter(&values), |row| {
                let user: i64 = row.get(15)?;
                Ok((listed_from_row(row)?, row.get::<_, i64>(14)?, user))
            })?;
            let mut records = Vec::new();
            for row in rows {
                let (mut notification, id, user) = row?;
                notification.delivery_history = history(connection, &notification.id)?;
                let channel = Channel::from_name(&notification.channel).ok_or_else(|| {
                    let what = format!("job {id} is of channel {}", notification.channel);
                    StoreError::Corrupt { what }
                })?;
                let (stored, is_dead) = stored_job(connection, id)?.unzip();
                records.push(JobRecord {
                    id,
                    channel,
                    user: UserId(unsigned(user)),
                    stored,
                    is_dead: is_dead.unwrap_or(false),
                    notification,
                });
            }
            Ok((records, unsigned(total)))
        })
        .await
    }

    pub(crate) async fn requeue_dead(
        &self,
        job: i64,
        now: WallMs,
    ) -> Result<Option<StoredJob>, StoreError> {
        let after = After::requeue(now);
        self.write(move |connection| {
            if !tell(connection, job, &after)? {
                return Ok(None);
            }
            change(connection, job, &after.job)
        })
        .await
    }

    pub(crate) async fn remove_jobs(
        &self,
        jobs: Vec<i64>,
        removal: Removal,
        now: WallMs,
    ) -> Result<u64, StoreError> {
        let after = After::removal(removal, now);
        self.write(move |connection| {
            let mut removed = 0;
            for job in jobs {
                if tell(connection, job, &after)? {
                    change(connection, job, &after.job)?;
                    removed += 1;
                }
            }
            Ok(removed)
        })
        .await
    }

    pub(crate) async fn settings(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT name, value FROM settings ORDER BY name")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    pub(crate) async fn set_setting(
        &self,
        name: String,
        value: Option<String>,
    ) -> Result<(), StoreError> {
        self.write(move |connection| {
            match value {
                Some(value) => connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO settings (name, value) VALUES (?1, ?2)",
                    )?
                    .execute(params![name, value])?,
                None => connection
                    .prepare_cached("DELETE FROM settings WHERE name = ?1")?
                    .execute([name])?,
            };
            Ok(())
        })
        .await
    }
}

/// The job's row and whether it is dead.
fn stored_job(connection: &Connection, id: i64) -> Result<Option<(StoredJob, bool)>, StoreError> {
    let found = connection
        .prepare_cached(&format!(
            "SELECT {JOB_COLUMNS}, state FROM jobs WHERE id = ?1"
        ))?
        .query_row([id], |row| {
            let state: String = row.get(11)?;
            Ok(job_from_row(row)?.map(|stored| (stored, state == "dead")))
        });
    optional(found)?.transpose()
}
