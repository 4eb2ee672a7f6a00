//! What people did and how they were told of it: pages of signups and logins, totals, one e-mail's way.
//!
//! Belongs here: reading for lists and statistics. Does not belong here: what makes these rows (users,
//! sessions), the deliveries themselves (notifications).

use super::notifications::history;
use super::{Embedded, optional, signed, unsigned};
use crate::models::{TrackedStatus, UserId, WallMs};
use crate::store::StoreError;
use crate::store::histories::{Day, Login, Signup, SignupStatistics, Tracked, Which};
use crate::store::notifications::Page;
use rusqlite::{Connection, Row, params};
use std::collections::BTreeMap;

/// Days that statistics count apart.
const DAYS_MAX: i64 = 366;

const SIGNUPS: &str = "signups s LEFT JOIN notifications n ON n.id = s.welcome_email_id";
const LOGINS: &str = "logins l LEFT JOIN signups s ON s.user_id = l.user_id \
                      LEFT JOIN notifications n ON n.id = l.email_id";

impl Which {
    const fn condition(self) -> &'static str {
        match self {
            Self::All => "1",
            Self::EmailFailed => "n.status = 'failed'",
        }
    }
}

impl Embedded {
    pub(crate) async fn signups(
        &self,
        which: Which,
        page: Page,
    ) -> Result<(Vec<Signup>, u64), StoreError> {
        self.read(move |connection| {
            let condition = which.condition();
            let total: i64 = connection
                .prepare_cached(&format!("SELECT count(*) FROM {SIGNUPS} WHERE {condition}"))?
                .query_row([], |row| row.get(0))?;
            let mut statement = connection.prepare_cached(&format!(
                "SELECT s.user_id, s.username, s.email, s.email_verified, s.created_at, s.updated_at, \
                 s.welcome_email_id FROM {SIGNUPS} WHERE {condition} ORDER BY s.user_id DESC LIMIT ?1 OFFSET ?2"
            ))?;
            let mut rows = statement.query(params![signed(page.limit)?, signed(page.offset)?])?;
            let mut listed = Vec::new();
            while let Some(row) = rows.next()? {
                listed.push(Signup {
                    user_id: UserId(unsigned(row.get(0)?)),
                    username: row.get(1)?,
                    email: row.get(2)?,
                    email_verified: row.get(3)?,
                    welcome_email: tracked(connection, row.get(6)?)?,
                    created_at: WallMs::from_stored(row.get(4)?),
                    updated_at: WallMs::from_stored(row.get(5)?),
                });
            }
            Ok((listed, unsigned(total)))
        })
        .await
    }

    pub(crate) async fn welcome_email(&self, user: UserId) -> Result<Option<Tracked>, StoreError> {
        self.read(move |connection| {
            let found = connection
                .prepare_cached("SELECT welcome_email_id FROM signups WHERE user_id = ?1")?
                .query_row([signed(user.0)?], |row| row.get(0));
            match optional(found)? {
                Some(id) => tracked(connection, id),
                None => Ok(None),
            }
        })
        .await
    }

    pub(crate) async fn signup_statistics(&self) -> Result<SignupStatistics, StoreError> {
        self.read(|connection| {
            let (total, verified): (i64, i64) = connection.query_row(
                "SELECT count(*), coalesce(sum(email_verified), 0) FROM signups",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let mut by_day = connection.prepare_cached(
                "SELECT strftime('%Y-%m-%d', created_at / 1000, 'unixepoch') AS day, count(*) FROM signups \
                 GROUP BY day ORDER BY day DESC LIMIT ?1",
            )?;
            let days = by_day.query_map([DAYS_MAX], |row| {
                Ok(Day {
                    day: row.get(0)?,
                    count: unsigned(row.get(1)?),
                })
            })?;
            let mut welcome_emails: BTreeMap<&'static str, u64> =
                TrackedStatus::ALL.iter().map(|status| (status.name(), 0)).collect();
            let mut by_status = connection.prepare_cached(&format!(
                "SELECT n.status, n.attempts > 0, count(*) FROM {SIGNUPS} WHERE n.id IS NOT NULL GROUP BY 1, 2"
            ))?;
            let mut rows = by_status.query([])?;
            while let Some(row) = rows.next()? {
                let status = status_from(&row.get::<_, String>(0)?)?;
                *welcome_emails.entry(status.name()).or_default() += unsigned(row.get(2)?);
            }
            Ok(SignupStatistics {
                total: unsigned(total),
                verified: unsigned(verified),
                per_day: days.collect::<Result<_, _>>()?,
                welcome_emails,
            })
        })
        .await
    }

    pub(crate) async fn logins(
        &self,
        which: Which,
        user: Option<UserId>,
        page: Page,
    ) -> Result<(Vec<Login>, u64), StoreError> {
        self.read(move |connection| {
            let user = user.map(|user| signed(user.0)).transpose()?;
            let condition = format!("{} AND (?1 IS NULL OR l.user_id = ?1)", which.condition());
            let total: i64 = connection
                .prepare_cached(&format!("SELECT count(*) FROM {LOGINS} WHERE {condition}"))?
                .query_row([user], |row| row.get(0))?;
            let mut statement = connection.prepare_cached(&format!(
                "SELECT l.id, l.user_id, s.username, s.email, l.login_successful, l.session_id, l.token_hash, \
                 l.email_id, l.in_app_id, l.created_at FROM {LOGINS} WHERE {condition} ORDER BY l.id DESC LIMIT ?2 OFFSET ?3"
            ))?;
            let mut rows = statement.query(params![user, signed(page.limit)?, signed(page.offset)?])?;
            let mut listed = Vec::new();
            while let Some(row) = rows.next()? {
                listed.push(login_from_row(connection, row)?);
            }
            Ok((listed, unsigned(total)))
        })
        .await
    }

    pub(crate) async fn verify_email(
        &self,
        token_hash: String,
        now: WallMs,
    ) -> Result<Option<UserId>, StoreError> {
        self.write(move |connection| {
            let found = connection
                .prepare_cached(
                    "UPDATE signups SET email_verified = 1, verification_hash = NULL, updated_at = ?2 \
                     WHERE verification_hash = ?1 RETURNING user_id",
                )?
                .query_row(params![token_hash, now.to_stored()], |row| {
                    Ok(UserId(unsigned(row.get(0)?)))
                });
            optional(found)
        })
        .await
    }
}

fn login_from_row(connection: &Connection, row: &Row<'_>) -> Result<Login, StoreError> {
    let user: Option<i64> = row.get(1)?;
    Ok(Login {
        id: row.get::<_, i64>(0)?.to_string(),
        user_id: user.map(|user| UserId(unsigned(user))),
        username: row.get(2)?,
        email: row.get(3)?,
        login_successful: row.get(4)?,
        session_id: row.get(5)?,
        session_token: row.get(6)?,
        login_alert_email: tracked(connection, row.get(7)?)?,
        login_in_app_notification: tracked(connection, row.get(8)?)?,
        created_at: WallMs::from_stored(row.get(9)?),
    })
}

/// The way of one message; `None` where there is none.
fn tracked(connection: &Connection, id: Option<String>) -> Result<Option<Tracked>, StoreError> {
    let Some(id) = id else { return Ok(None) };
    let found = connection
        .prepare_cached(
            "SELECT status, attempts, message_id, job_id FROM notifications WHERE id = ?1",
        )?
        .query_row([&id], |row| {
            Ok((
                row.get::<_, String>(0)?,
                unsigned(row.get(1)?),
                row.get(2)?,
                row.get::<_, Option<i64>>(3)?,
            ))
        });
    let Some((status, attempts, message_id, job)) = optional(found)? else {
        return Ok(None);
    };
    let delivery_history = history(connection, &id)?;
    let failed = delivery_history
        .iter()
        .rev()
        .find(|entry| entry.status == TrackedStatus::Failed.name());
    Ok(Some(Tracked {
        status: status_from(&status)?,
        job_id: job.map(|job| job.to_string()),
        attempts,
        message_id,
        reason: failed.and_then(|entry| entry.reason.clone()),
        code: failed.and_then(|entry| entry.code),
        notification_id: id,
        delivery_history,
    }))
}

fn status_from(stored: &str) -> Result<TrackedStatus, StoreError> {
    TrackedStatus::from_stored(stored).ok_or_else(|| StoreError::Corrupt {
        what: format!("a notification has the status {stored}"),
    })
}
