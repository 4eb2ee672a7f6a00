//! Collections `logins` and `sessions`.
//!
//! Belongs here: sessions, their refresh tokens, the attempts at logging in. Does not belong here: access
//! tokens (security), lists of logins (histories).

use super::documents::{Login, Session as Stored, count, number, read, stored};
use super::{Mongo, names, within};
use crate::models::{Channel, UserId, WallMs};
use crate::store::jobs::NewJob;
use crate::store::notifications::News;
use crate::store::sessions::{NewSession, Session};
use crate::store::{StoreError, affected};
use futures_util::{FutureExt, TryStreamExt};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::ReturnDocument;

/// Sessions that one list shows.
const LISTED_MAX: i64 = 100;

impl Mongo {
    pub(crate) async fn record_login(
        &self,
        session: NewSession,
        news: Vec<News>,
        now: WallMs,
    ) -> Result<Vec<NewJob>, StoreError> {
        let opened = new_session(&session, now)?;
        let prepared = within(super::CALL_MAX, async {
            let recipient = self.known_recipient(session.user).await?;
            let id = ObjectId::new().to_hex();
            let all = self.deliveries(&recipient, Some(&id), news, now).await?;
            let login = Login {
                id,
                user_id: Some(recipient.user_id),
                username: Some(recipient.username),
                email: Some(recipient.email),
                login_successful: true,
                session_id: Some(session.id),
                session_token: Some(session.token_hash),
                login_alert_email: all.told(Channel::Email),
                login_in_app_notification: all.told(Channel::InApp),
                created_at: stored(now),
            };
            Ok((login, all))
        });
        let (login, all) = prepared.await?;
        let context = (self.clone(), opened, login, all);
        self.transaction(context, |session, (mongo, opened, login, all)| {
            async move {
                mongo
                    .collection::<Stored>(names::SESSIONS)
                    .insert_one(&*opened)
                    .session(&mut *session)
                    .await?;
                mongo
                    .collection::<Login>(names::LOGINS)
                    .insert_one(&*login)
                    .session(&mut *session)
                    .await?;
                affected::add(2);
                mongo.insert_deliveries(session, all).await?;
                Ok(all.announced.clone())
            }
            .boxed()
        })
        .await
    }

    pub(crate) async fn record_failed_login(
        &self,
        user: Option<UserId>,
        now: WallMs,
    ) -> Result<(), StoreError> {
        self.writing(async {
            // Looked up for nobody too: how long a refusal takes tells nothing about who has an account.
            let found = self.recipient(user.unwrap_or(UserId(0))).await?;
            let (username, email) = found.map(|found| (found.username, found.email)).unzip();
            let login = Login {
                id: ObjectId::new().to_hex(),
                user_id: user.map(number).transpose()?,
                username,
                email,
                login_successful: false,
                session_id: None,
                session_token: None,
                login_alert_email: None,
                login_in_app_notification: None,
                created_at: stored(now),
            };
            self.collection(names::LOGINS).insert_one(login).await?;
            affected::add(1);
            Ok(())
        })
        .await
    }

    pub(crate) async fn open_session(
        &self,
        session: NewSession,
        now: WallMs,
    ) -> Result<(), StoreError> {
        let opened = new_session(&session, now)?;
        self.writing(async {
            self.collection(names::SESSIONS).insert_one(opened).await?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn rotate_refresh(
        &self,
        old_hash: String,
        new_hash: String,
        now: WallMs,
    ) -> Result<Option<(UserId, String)>, StoreError> {
        let mut open = open_at(now);
        open.insert("refreshHash", old_hash);
        let next = doc! { "$set": { "refreshHash": new_hash, "refreshedAt": stored(now) } };
        let rotated = self.writing(async {
            Ok(self
                .collection::<Stored>(names::SESSIONS)
                .find_one_and_update(open, next)
                .return_document(ReturnDocument::After)
                .await?)
        });
        Ok(rotated
            .await?
            .map(|session| (UserId(count(session.user_id)), session.id)))
    }

    pub(crate) async fn end_session(&self, id: String, now: WallMs) -> Result<bool, StoreError> {
        let mut open = open_at(now);
        open.insert("_id", id);
        self.writing(async {
            let ended = self
                .collection::<Stored>(names::SESSIONS)
                .update_one(open, doc! { "$set": { "endedAt": stored(now) } })
                .await?;
            Ok(ended.modified_count > 0)
        })
        .await
    }

    pub(crate) async fn is_session_open(
        &self,
        id: String,
        now: WallMs,
    ) -> Result<bool, StoreError> {
        let mut open = open_at(now);
        open.insert("_id", id);
        self.reading(async {
            let found = self
                .collection::<Document>(names::SESSIONS)
                .find_one(open)
                .projection(doc! { "_id": 1 })
                .await?;
            Ok(found.is_some())
        })
        .await
    }

    pub(crate) async fn open_sessions(
        &self,
        user: UserId,
        now: WallMs,
    ) -> Result<Vec<Session>, StoreError> {
        let mut open = open_at(now);
        open.insert("userId", number(user)?);
        let found: Vec<Stored> = self
            .reading(async {
                let cursor = self
                    .collection::<Stored>(names::SESSIONS)
                    .find(open)
                    .sort(doc! { "createdAt": -1 })
                    .limit(LISTED_MAX)
                    .await?;
                Ok(cursor.try_collect().await?)
            })
            .await?;
        let listed = |session: Stored| Session {
            id: session.id,
            created_at: read(session.created_at),
            refreshed_at: read(session.refreshed_at),
            expires_at: read(session.expires_at),
        };
        Ok(found.into_iter().map(listed).collect())
    }

    pub(crate) async fn end_sessions(
        &self,
        user: UserId,
        now: WallMs,
    ) -> Result<usize, StoreError> {
        let mut open = open_at(now);
        open.insert("userId", number(user)?);
        self.writing(async {
            let ended = self
                .collection::<Stored>(names::SESSIONS)
                .update_many(open, doc! { "$set": { "endedAt": stored(now) } })
                .await?;
            Ok(usize::try_from(ended.modified_count).unwrap_or(usize::MAX))
        })
        .await
    }
}

/// Sessions that are open at `now`.
fn open_at(now: WallMs) -> Document {
    doc! { "endedAt": Bson::Null, "expiresAt": { "$gt": stored(now) } }
}

fn new_session(session: &NewSession, now: WallMs) -> Result<Stored, StoreError> {
    Ok(Stored {
        id: session.id.clone(),
        user_id: number(session.user)?,
        refresh_hash: session.refresh_hash.clone(),
        created_at: stored(now),
        refreshed_at: stored(now),
        expires_at: stored(session.expires_at),
        ended_at: None,
    })
}
