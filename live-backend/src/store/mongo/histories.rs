//! Pages of signups and logins, totals, one e-mail's way.
//!
//! Belongs here: reading for lists and statistics. Does not belong here: what makes these documents.

use super::documents::{Login as StoredLogin, Signup as StoredSignup, count, number, read, stored};
use super::notifications::limit;
use super::{Mongo, names};
use crate::models::{TrackedStatus, UserId, WallMs};
use crate::store::StoreError;
use crate::store::histories::{Day, Login, Signup, SignupStatistics, Tracked, Which};
use crate::store::notifications::Page;
use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Days that statistics count apart.
const DAYS_MAX: i64 = 366;

/// A group of documents and how many are in it.
#[derive(Deserialize)]
struct Group<Key> {
    #[serde(rename = "_id")]
    key: Key,
    count: i64,
}

impl Which {
    /// The filter, where `field` tells how the e-mail fares.
    fn filter(self, field: &str) -> Document {
        match self {
            Self::All => doc! {},
            Self::EmailFailed => doc! { format!("{field}.status"): TrackedStatus::Failed.name() },
        }
    }
}

impl Mongo {
    pub(crate) async fn signups(
        &self,
        which: Which,
        page: Page,
    ) -> Result<(Vec<Signup>, u64), StoreError> {
        let filter = which.filter("welcomeEmail");
        let collection = self.collection::<StoredSignup>(names::SIGNUPS);
        self.reading(async {
            let total = collection.count_documents(filter.clone()).await?;
            let cursor = collection
                .find(filter)
                .sort(doc! { "userId": -1 })
                .skip(page.offset)
                .limit(limit(page))
                .await?;
            let found: Vec<StoredSignup> = cursor.try_collect().await?;
            Ok((found.into_iter().map(listed_signup).collect(), total))
        })
        .await
    }

    pub(crate) async fn welcome_email(&self, user: UserId) -> Result<Option<Tracked>, StoreError> {
        let user = doc! { "userId": number(user)? };
        self.reading(async {
            let found = self
                .collection::<StoredSignup>(names::SIGNUPS)
                .find_one(user)
                .await?;
            Ok(found
                .and_then(|signup| signup.welcome_email)
                .map(Tracked::from))
        })
        .await
    }

    pub(crate) async fn signup_statistics(&self) -> Result<SignupStatistics, StoreError> {
        let collection = self.collection::<StoredSignup>(names::SIGNUPS);
        self.reading(async {
            let total = collection.count_documents(doc! {}).await?;
            let verified = collection
                .count_documents(doc! { "emailVerified": true })
                .await?;
            let day = doc! { "$dateToString": { "format": "%Y-%m-%d", "date": "$createdAt" } };
            let days: Vec<Group<String>> = collection
                .aggregate([
                    doc! { "$group": { "_id": day, "count": { "$sum": 1_i64 } } },
                    doc! { "$sort": { "_id": -1 } },
                    doc! { "$limit": DAYS_MAX },
                ])
                .with_type()
                .await?
                .try_collect()
                .await?;
            let statuses: Vec<Group<TrackedStatus>> = collection
                .aggregate([
                    doc! { "$match": { "welcomeEmail": { "$exists": true } } },
                    doc! { "$group": { "_id": "$welcomeEmail.status", "count": { "$sum": 1_i64 } } },
                ])
                .with_type()
                .await?
                .try_collect()
                .await?;
            let mut welcome_emails: BTreeMap<&'static str, u64> = TrackedStatus::ALL
                .iter()
                .map(|status| (status.name(), 0))
                .collect();
            for group in statuses {
                *welcome_emails.entry(group.key.name()).or_default() += count(group.count);
            }
            let per_day = days.into_iter().map(|group| Day {
                day: group.key,
                count: count(group.count),
            });
            Ok(SignupStatistics {
                total,
                verified,
                per_day: per_day.collect(),
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
        let mut filter = which.filter("loginAlertEmail");
        if let Some(user) = user {
            filter.insert("userId", number(user)?);
        }
        let collection = self.collection::<StoredLogin>(names::LOGINS);
        self.reading(async {
            let total = collection.count_documents(filter.clone()).await?;
            let cursor = collection
                .find(filter)
                .sort(doc! { "createdAt": -1, "_id": -1 })
                .skip(page.offset)
                .limit(limit(page))
                .await?;
            let found: Vec<StoredLogin> = cursor.try_collect().await?;
            Ok((found.into_iter().map(listed_login).collect(), total))
        })
        .await
    }

    pub(crate) async fn verify_email(
        &self,
        token_hash: String,
        now: WallMs,
    ) -> Result<Option<UserId>, StoreError> {
        let proved = doc! {
            "$set": { "emailVerified": true, "updatedAt": stored(now) },
            "$unset": { "verificationHash": "" },
        };
        self.writing(async {
            let found = self
                .collection::<StoredSignup>(names::SIGNUPS)
                .find_one_and_update(doc! { "verificationHash": token_hash }, proved)
                .await?;
            Ok(found.map(|signup| UserId(count(signup.user_id))))
        })
        .await
    }
}

fn listed_signup(signup: StoredSignup) -> Signup {
    Signup {
        user_id: UserId(count(signup.user_id)),
        username: signup.username,
        email: signup.email,
        email_verified: signup.email_verified,
        welcome_email: signup.welcome_email.map(Into::into),
        created_at: read(signup.created_at),
        updated_at: read(signup.updated_at),
    }
}

fn listed_login(login: StoredLogin) -> Login {
    Login {
        id: login.id,
        user_id: login.user_id.map(|user| UserId(count(user))),
        username: login.username,
        email: login.email,
        login_successful: login.login_successful,
        session_id: login.session_id,
        session_token: login.session_token,
        login_alert_email: login.login_alert_email.map(Into::into),
        login_in_app_notification: login.login_in_app_notification.map(Into::into),
        created_at: read(login.created_at),
    }
}
