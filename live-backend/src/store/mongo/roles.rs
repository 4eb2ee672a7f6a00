//! Collection `administrators`: users with that role.
//!
//! Belongs here: its documents. Does not belong here: accounts (users).

use super::documents::{number, stored};
use super::{Mongo, names};
use crate::models::{Role, UserId, WallMs};
use crate::store::StoreError;
use crate::store::roles::RoleChange;
use futures_util::FutureExt;
use mongodb::bson::{Document, doc};

impl Mongo {
    pub(crate) async fn role_of(&self, user: UserId) -> Result<Role, StoreError> {
        let id = number(user)?;
        let found = self.reading(async {
            let all = self.collection::<Document>(names::ADMINISTRATORS);
            Ok(all.find_one(doc! { "_id": id }).await?)
        });
        Ok(match found.await? {
            Some(_) => Role::Admin,
            None => Role::User,
        })
    }

    pub(crate) async fn set_role(
        &self,
        user: UserId,
        role: Role,
        now: WallMs,
    ) -> Result<RoleChange, StoreError> {
        if self.user_by_id(user).await?.is_none() {
            return Ok(RoleChange::Nobody);
        }
        let context = (self.clone(), number(user)?, stored(now));
        self.transaction(context, move |session, (mongo, id, since)| {
            async move {
                // Whoever changes roles writes this one, so that two cannot take each other's away.
                mongo
                    .collection::<Document>(names::COUNTERS)
                    .update_one(
                        doc! { "_id": names::ROLE_COUNTER },
                        doc! { "$inc": { "value": 1_i64 } },
                    )
                    .upsert(true)
                    .session(&mut *session)
                    .await?;
                let all = mongo.collection::<Document>(names::ADMINISTRATORS);
                if role == Role::Admin {
                    all.update_one(
                        doc! { "_id": *id },
                        doc! { "$setOnInsert": { "since": *since } },
                    )
                    .upsert(true)
                    .session(&mut *session)
                    .await?;
                    return Ok(RoleChange::Done);
                }
                let others = doc! { "_id": { "$ne": *id } };
                let others = all.find_one(others).session(&mut *session).await?;
                let own = all.find_one(doc! { "_id": *id });
                if own.session(&mut *session).await?.is_none() {
                    return Ok(RoleChange::Done);
                }
                if others.is_none() {
                    return Ok(RoleChange::LastAdmin);
                }
                all.delete_one(doc! { "_id": *id })
                    .session(&mut *session)
                    .await?;
                Ok(RoleChange::Done)
            }
            .boxed()
        })
        .await
    }
}
