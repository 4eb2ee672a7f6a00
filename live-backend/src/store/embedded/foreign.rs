//! Notifications that another program asks for, in the embedded store.
//!
//! Belongs here: storing one once. Does not belong here: what it says.

use super::jobs::insert_news;
use super::{Embedded, signed};
use crate::models::{UserId, WallMs};
use crate::store::StoreError;
use crate::store::foreign::Adopted;
use crate::store::jobs::NewJob;
use crate::store::notifications::News;
use rusqlite::{OptionalExtension, params};

impl Embedded {
    pub(crate) async fn adopt(
        &self,
        user: UserId,
        news: News,
        now: WallMs,
    ) -> Result<Adopted, StoreError> {
        self.write(move |connection| {
            let known: Option<Option<i64>> = connection
                .prepare_cached(
                    "SELECT jobs.id FROM notifications LEFT JOIN jobs ON jobs.id = \
                     notifications.job_id AND jobs.state <> 'dead' WHERE notifications.id = ?1",
                )?
                .query_row([&news.id], |row| row.get(0))
                .optional()?;
            match known {
                Some(Some(id)) => Ok(Adopted::Open(NewJob {
                    id,
                    channel: news.channel,
                    kind: news.kind,
                    notification: news.id,
                    user,
                    priority: news.priority,
                })),
                Some(None) => Ok(Adopted::Over),
                None => {
                    let is_there = connection
                        .prepare_cached("SELECT 1 FROM signups WHERE user_id = ?1")?
                        .exists(params![signed(user.0)?])?;
                    if !is_there {
                        return Ok(Adopted::NoUser);
                    }
                    let mut jobs = insert_news(connection, user, vec![news], now)?;
                    Ok(jobs.pop().map_or(Adopted::Over, Adopted::Open))
                }
            }
        })
        .await
    }
}
