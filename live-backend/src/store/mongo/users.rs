//! Collection `signups`: accounts.
//!
//! Belongs here: making and finding them. Does not belong here: lists of them (histories).

use super::documents::{Recipient, Signup, count, number, stored};
use super::{Mongo, names, within};
use crate::models::{Channel, UserId, WallMs};
use crate::store::jobs::NewJob;
use crate::store::notifications::News;
use crate::store::users::{NewUser, User};
use crate::store::{StoreError, affected};
use futures_util::FutureExt;
use mongodb::bson::{Document, doc};

impl Mongo {
    pub(crate) async fn create_user(
        &self,
        user: NewUser,
        news: Vec<News>,
        now: WallMs,
    ) -> Result<(UserId, Vec<NewJob>), StoreError> {
        let numbered = within(super::CALL_MAX, async {
            let user_id = self.inner.counters.next_user().await?;
            let recipient = Recipient {
                user_id,
                username: user.username,
                email: user.email,
            };
            let all = self.deliveries(&recipient, None, news, now).await?;
            Ok((recipient, all))
        });
        let (recipient, all) = numbered.await?;
        let signup = Signup {
            user_id: recipient.user_id,
            username: recipient.username,
            email: recipient.email,
            password: user.password_hash,
            email_verified: false,
            verification_hash: user.verification_hash,
            welcome_email: all.told(Channel::Email),
            created_at: stored(now),
            updated_at: stored(now),
        };
        let user = UserId(count(signup.user_id));
        let context = (self.clone(), signup, all);
        let stored = self.transaction(context, |session, (mongo, signup, all)| {
            async move {
                mongo
                    .collection::<Signup>(names::SIGNUPS)
                    .insert_one(&*signup)
                    .session(&mut *session)
                    .await?;
                affected::add(1);
                mongo.insert_deliveries(session, all).await?;
                Ok(all.announced.clone())
            }
            .boxed()
        });
        Ok((user, stored.await?))
    }

    pub(crate) async fn user_by_email(&self, email: String) -> Result<Option<User>, StoreError> {
        self.user_where(doc! { "email": email }).await
    }

    pub(crate) async fn user_by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.user_where(doc! { "userId": number(id)? }).await
    }

    async fn user_where(&self, filter: Document) -> Result<Option<User>, StoreError> {
        let found = self.reading(async {
            Ok(self
                .collection::<Signup>(names::SIGNUPS)
                .find_one(filter)
                .await?)
        });
        Ok(found.await?.map(|signup| User {
            id: UserId(count(signup.user_id)),
            username: signup.username,
            email: signup.email,
            password_hash: signup.password,
        }))
    }

    /// The user as one who is told something; `None` where there is no such user.
    pub(super) async fn recipient(&self, user: UserId) -> Result<Option<Recipient>, StoreError> {
        let found = self.user_by_id(user).await?;
        found
            .map(|user| {
                Ok(Recipient {
                    user_id: number(user.id)?,
                    username: user.username,
                    email: user.email,
                })
            })
            .transpose()
    }

    /// The user who did something just now, and so is there.
    pub(super) async fn known_recipient(&self, user: UserId) -> Result<Recipient, StoreError> {
        self.recipient(user)
            .await?
            .ok_or_else(|| StoreError::Corrupt {
                what: format!("user {user} acts and is not stored"),
            })
    }
}
