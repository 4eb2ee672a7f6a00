//! Collections `logins` and sessions: who is logged in, and every attempt to.
//!
//! Belongs here: session rows, refresh-token rotation, the login history.
//! Does not belong here: access tokens (security).

use super::jobs::insert_news;
use super::records::id_on;
use super::{Embedded, optional, signed, unsigned};
use crate::models::{Channel, UserId, WallMs};
use crate::store::StoreError;
use crate::store::jobs::NewJob;
use crate::store::notifications::News;
use crate::store::sessions::{NewSession, Session};
use rusqlite::{Connection, params};

impl Embedded {
    pub(crate) async fn record_login(
        &self,
        session: NewSession,
        news: Vec<News>,
        now: WallMs,
    ) -> Result<Vec<NewJob>, StoreError> {
        self.write(move |connection| {
            insert_session(connection, &session, now)?;
            connection
                .prepare_cached(
                    "INSERT INTO logins (user_id, login_successful, session_id, token_hash, \
                     email_id, in_app_id, created_at) VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    signed(session.user.0)?,
                    session.id,
                    session.token_hash,
                    id_on(&news, Channel::Email),
                    id_on(&news, Channel::InApp),
                    now.to_stored(),
                ])?;
            insert_news(connection, session.user, news, now)
        })
        .await
    }

    pub(crate) async fn record_failed_login(
        &self,
        user: Option<UserId>,
        now: WallMs,
    ) -> Result<(), StoreError> {
        self.write(move |connection| {
            let user = user.map(|user| signed(user.0)).transpose()?;
            connection
                .prepare_cached(
                    "INSERT INTO logins (user_id, login_successful, created_at) VALUES (?1, 0, ?2)",
                )?
                .execute(params![user, now.to_stored()])?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn open_session(
        &self,
        session: NewSession,
        now: WallMs,
    ) -> Result<(), StoreError> {
        self.write(move |connection| insert_session(connection, &session, now))
            .await
    }

    pub(crate) async fn rotate_refresh(
        &self,
        old_hash: String,
        new_hash: String,
        now: WallMs,
    ) -> Result<Option<(UserId, String)>, StoreError> {
        self.write(move |connection| {
            let found = connection
                .prepare_cached(
                    "UPDATE sessions SET refresh_hash = ?2, refreshed_at = ?3 WHERE refresh_hash = ?1 \
                     AND ended_at IS NULL AND expires_at > ?3 RETURNING user_id, session_id",
                )?
                .query_row(params![old_hash, new_hash, now.to_stored()], |row| {
                    Ok((UserId(unsigned(row.get(0)?)), row.get(1)?))
                });
            optional(found)
        })
        .await
    }

    pub(crate) async fn end_session(&self, id: String, now: WallMs) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let ended = connection
                .prepare_cached(
                    "UPDATE sessions SET ended_at = ?2 WHERE session_id = ?1 AND ended_at IS NULL \
                     AND expires_at > ?2",
                )?
                .execute(params![id, now.to_stored()])?;
            Ok(ended > 0)
        })
        .await
    }

    pub(crate) async fn is_session_open(
        &self,
        id: String,
        now: WallMs,
    ) -> Result<bool, StoreError> {
        self.read(move |connection| {
            let found = connection
                .prepare_cached(
                    "SELECT 1 FROM sessions WHERE session_id = ?1 AND ended_at IS NULL AND expires_at > ?2",
                )?
                .query_row(params![id, now.to_stored()], |row| row.get::<_, i64>(0));
            Ok(optional(found)?.is_some())
        })
        .await
    }

    pub(crate) async fn open_sessions(
        &self,
        user: UserId,
        now: WallMs,
    ) -> Result<Vec<Session>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT session_id, created_at, refreshed_at, expires_at FROM sessions WHERE user_id = ?1 \
                 AND ended_at IS NULL AND expires_at > ?2 ORDER BY created_at DESC LIMIT 100",
            )?;
            let rows = statement.query_map(params![signed(user.0)?, now.to_stored()], |row| {
                Ok(Session {
                    id: row.get(0)?,
                    created_at: WallMs::from_stored(row.get(1)?),
                    refreshed_at: WallMs::from_stored(row.get(2)?),
                    expires_at: WallMs::from_stored(row.get(3)?),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    pub(crate) async fn end_sessions(
        &self,
        user: UserId,
        now: WallMs,
    ) -> Result<usize, StoreError> {
        self.write(move |connection| {
            Ok(connection
                .prepare_cached(
                    "UPDATE sessions SET ended_at = ?2 WHERE user_id = ?1 AND ended_at IS NULL \
                     AND expires_at > ?2",
                )?
                .execute(params![signed(user.0)?, now.to_stored()])?)
        })
        .await
    }
}

fn insert_session(
    connection: &Connection,
    session: &NewSession,
    now: WallMs,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO sessions (session_id, user_id, refresh_hash, created_at, refreshed_at, \
             expires_at) VALUES (?1, ?2, ?3, ?4, ?4, ?5)",
        )?
        .execute(params![
            session.id,
            signed(session.user.0)?,
            session.refresh_hash,
            now.to_stored(),
            session.expires_at.to_stored(),
        ])?;
    Ok(())
}
