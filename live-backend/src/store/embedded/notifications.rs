//! Collections `emailNotification` and `inAppNotification`, with the history of every delivery.
//!
//! Belongs here: notification rows and their append-only history. Does not belong here: jobs.

use super::{Embedded, optional, signed, unsigned};
use crate::models::{
    Channel, EmailStatus, InAppStatus, NotificationType, Priority, UserId, WallMs,
};
use crate::store::StoreError;
use crate::store::notifications::{Delivery, Listed, News, Notification, Page};
use crate::store::users::User;
use rusqlite::{Connection, Row, ToSql, params};

impl Embedded {
    pub(crate) async fn notification(
        &self,
        id: String,
        channel: Channel,
    ) -> Result<Option<Notification>, StoreError> {
        self.read(move |connection| {
            let found = connection
                .prepare_cached(
                    "SELECT n.channel, n.type, n.title, n.message, n.priority, n.expires_at, n.status, \
                     n.created_at, s.user_id, s.username, s.email FROM notifications n \
                     JOIN signups s ON s.user_id = n.user_id WHERE n.id = ?1 AND n.channel = ?2",
                )?
                .query_row([id.as_str(), channel.name()], |row| notification_from_row(&id, row));
            optional(found)?.transpose()
        })
        .await
    }

    pub(crate) async fn mark_read(
        &self,
        user: UserId,
        ids: Vec<String>,
        now: WallMs,
    ) -> Result<Vec<String>, StoreError> {
        self.write(move |connection| {
            let mut statement = connection.prepare_cached(
                "UPDATE notifications SET read_at = coalesce(read_at, ?3) WHERE id = ?1 AND user_id = ?2",
            )?;
            let mut own = Vec::new();
            for id in ids {
                if statement.execute(params![id, signed(user.0)?, now.to_stored()])? > 0 {
                    own.push(id);
                }
            }
            Ok(own)
        })
        .await
    }

    pub(crate) async fn notifications_of(
        &self,
        user: UserId,
        channel: Channel,
        page: Page,
    ) -> Result<(Vec<Listed>, u64), StoreError> {
        self.read(move |connection| {
            let user = signed(user.0)?;
            let total: i64 = connection
                .prepare_cached("SELECT count(*) FROM notifications WHERE user_id = ?1 AND channel = ?2")?
                .query_row(params![user, channel.name()], |row| row.get(0))?;
            let mut statement = connection.prepare_cached(
                "SELECT id, type, channel, title, \
                 CASE type WHEN 'reset_password' THEN '' ELSE message END, status, priority, attempts, message_id, \
                 socket_id, delivered_at, read_at, expires_at, created_at FROM notifications \
                 WHERE user_id = ?1 AND channel = ?2 ORDER BY created_at DESC, id LIMIT ?3 OFFSET ?4",
            )?;
            let range = params![user, channel.name(), signed(page.limit)?, signed(page.offset)?];
            let mut listed: Vec<Listed> =
                statement.query_map(range, listed_from_row)?.collect::<Result<_, _>>()?;
            for item in &mut listed {
                item.delivery_history = history(connection, &item.id)?;
            }
            Ok((listed, unsigned(total)))
        })
        .await
    }
}

/// Adds one entry to a history.
pub(super) fn append_history(
    connection: &Connection,
    notification: &str,
    delivery: &Delivery,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO deliveries (notification_id, at, status, attempt, tier, code, reason) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    append(connection, sql, &notification, delivery)
}

/// Adds one entry to the history of what a job delivers.
pub(super) fn append_history_of(
    connection: &Connection,
    job: i64,
    delivery: &Delivery,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO deliveries (notification_id, at, status, attempt, tier, code, reason) \
               VALUES ((SELECT notification_id FROM jobs WHERE id = ?1), ?2, ?3, ?4, ?5, ?6, ?7)";
    append(connection, sql, &job, delivery)
}

fn append(
    connection: &Connection,
    sql: &str,
    of: &dyn ToSql,
    delivery: &Delivery,
) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.execute(params![
        of,
        delivery.at.to_stored(),
        delivery.status,
        signed(delivery.attempt)?,
        delivery.tier,
        delivery.code,
        delivery.reason,
    ])?;
    Ok(())
}

pub(super) fn history(
    connection: &Connection,
    notification: &str,
) -> Result<Vec<Delivery>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT at, status, attempt, tier, code, reason FROM deliveries WHERE notification_id = ?1 ORDER BY id",
    )?;
    let rows = statement.query_map([notification], |row| {
        Ok(Delivery {
            at: WallMs::from_stored(row.get(0)?),
            status: row.get(1)?,
            attempt: unsigned(row.get(2)?),
            tier: row.get(3)?,
            code: row.get(4)?,
            reason: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn notification_from_row(
    id: &str,
    row: &Row<'_>,
) -> rusqlite::Result<Result<Notification, StoreError>> {
    let (channel, kind, priority): (String, String, String) =
        (row.get(0)?, row.get(1)?, row.get(4)?);
    let (Some(channel), Some(kind), Some(priority)) = (
        Channel::from_name(&channel),
        NotificationType::from_name(&kind),
        Priority::from_name(&priority),
    ) else {
        let what = format!("notification {id} is of kind {kind}/{channel}/{priority}");
        return Ok(Err(StoreError::Corrupt { what }));
    };
    let status: String = row.get(6)?;
    let is_delivered = match channel {
        Channel::Email => {
            EmailStatus::from_name(&status).map(|status| status == EmailStatus::Delivered)
        }
        Channel::InApp => {
            InAppStatus::from_name(&status).map(|status| status == InAppStatus::Delivered)
        }
    };
    let Some(is_delivered) = is_delivered else {
        let what = format!("notification {id} has the status {status}");
        return Ok(Err(StoreError::Corrupt { what }));
    };
    let expires_at: Option<i64> = row.get(5)?;
    Ok(Ok(Notification {
        news: News {
            id: id.to_owned(),
            channel,
            kind,
            title: row.get(2)?,
            message: row.get(3)?,
            priority,
            expires_at: expires_at.map(WallMs::from_stored),
            origin: None,
        },
        is_delivered,
        created_at: WallMs::from_stored(row.get(7)?),
        recipient: User {
            id: UserId(unsigned(row.get(8)?)),
            username: row.get(9)?,
            email: row.get(10)?,
            password_hash: String::new(),
        },
    }))
}

pub(super) fn listed_from_row(row: &Row<'_>) -> rusqlite::Result<Listed> {
    let time = |index: usize| -> rusqlite::Result<Option<WallMs>> {
        Ok(row.get::<_, Option<i64>>(index)?.map(WallMs::from_stored))
    };
    Ok(Listed {
        id: row.get(0)?,
        kind: row.get(1)?,
        channel: row.get(2)?,
        title: row.get(3)?,
        message: row.get(4)?,
        status: row.get(5)?,
        priority: row.get(6)?,
        attempts: unsigned(row.get(7)?),
        message_id: row.get(8)?,
        socket_id: row.get(9)?,
        delivered_at: time(10)?,
        read_at: time(11)?,
        expires_at: time(12)?,
        created_at: WallMs::from_stored(row.get(13)?),
        delivery_history: Vec::new(),
    })
}
