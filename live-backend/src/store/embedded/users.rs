//! Collection `signups`: who has an account.
//!
//! Belongs here: rows of users. Does not belong here: sessions, passwords in the clear.

use super::jobs::insert_news;
use super::{Embedded, optional, signed, taken, unsigned};
use crate::models::{UserId, WallMs};
use crate::store::StoreError;
use crate::store::jobs::NewJob;
use crate::store::notifications::News;
use crate::store::users::{NewUser, User};
use rusqlite::{Connection, Row, params};

const COLUMNS: &str = "user_id, username, email, password_hash";

impl Embedded {
    pub(crate) async fn create_user(
        &self,
        user: NewUser,
        news: Vec<News>,
        now: WallMs,
    ) -> Result<(UserId, Vec<NewJob>), StoreError> {
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO signups (username, email, password_hash, welcome_email_id, \
                     created_at, updated_at, verification_hash) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)",
                )?
                .execute(params![
                    user.username,
                    user.email,
                    user.password_hash,
                    news.first().map(|item| item.id.as_str()),
                    now.to_stored(),
                    user.verification_hash,
                ])
                .map_err(taken("email"))?;
            let id = UserId(unsigned(connection.last_insert_rowid()));
            let jobs = insert_news(connection, id, news, now)?;
            Ok((id, jobs))
        })
        .await
    }

    pub(crate) async fn user_by_email(&self, email: String) -> Result<Option<User>, StoreError> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM signups WHERE email = ?1");
            optional(
                connection
                    .prepare_cached(&sql)?
                    .query_row([email], user_from_row),
            )
        })
        .await
    }

    pub(crate) async fn user_by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.read(move |connection| user_by_id(connection, id))
            .await
    }
}

pub(super) fn user_by_id(connection: &Connection, id: UserId) -> Result<Option<User>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM signups WHERE user_id = ?1");
    optional(
        connection
            .prepare_cached(&sql)?
            .query_row([signed(id.0)?], user_from_row),
    )
}

fn user_from_row(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: UserId(unsigned(row.get(0)?)),
        username: row.get(1)?,
        email: row.get(2)?,
        password_hash: row.get(3)?,
    })
}
