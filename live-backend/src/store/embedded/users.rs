//! Collection `signups`: who has an account.
//!
//! Belongs here: rows of users. Does not belong here: sessions, passwords in the clear.

use super::jobs::{NewJob, insert_news};
use super::notifications::News;
use super::{Store, StoreError, optional, signed, taken, unsigned};
use crate::models::{UserId, WallMs};
use rusqlite::{Connection, Row, params};

/// An account to make.
pub(crate) struct NewUser {
    pub(crate) username: String,
    /// Lower case: addresses are unique without regard to case.
    pub(crate) email: String,
    pub(crate) password_hash: String,
    /// Hash of the token in the welcome e-mail, where one is sent; the token itself is not stored.
    pub(crate) verification_hash: Option<String>,
}

/// An account.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) password_hash: String,
}

const COLUMNS: &str = "user_id, username, email, password_hash";

impl Store {
    /// Stores the account with its welcome e-mail and the job for it, all or nothing.
    ///
    /// # Errors
    /// [`StoreError::Taken`] where somebody has this address.
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

    /// The account with this address, written in lower case.
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

    /// The account with this number.
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
