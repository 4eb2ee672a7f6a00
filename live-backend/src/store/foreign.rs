//! Notifications that another program asks for by a job in our queues.
//!
//! Belongs here: these as the rest of the program sees them. Does not belong here: reading such jobs (queue).

use super::jobs::NewJob;
use super::notifications::News;
use super::{Store, StoreError};
use crate::models::{UserId, WallMs};

/// What became of it.
#[derive(Clone, Debug)]
pub(crate) enum Adopted {
    /// It is stored, now or by an earlier try, and still to be delivered.
    Open(NewJob),
    /// An earlier try has delivered it, or given it up.
    Over,
    /// Nobody is there to be told.
    NoUser,
}

impl Store {
    /// Stores the notification and its job, once however often it is asked for.
    pub(crate) async fn adopt(
        &self,
        user: UserId,
        news: News,
        now: WallMs,
    ) -> Result<Adopted, StoreError> {
        match self {
            Self::Embedded(store) => store.adopt(user, news, now).await,
            Self::MongoDb(store) => Box::pin(store.adopt(user, news, now)).await,
        }
    }
}
