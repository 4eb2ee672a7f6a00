//! The store: everything that must survive the process, flushed before it is answered.
//!
//! Belongs here: which kinds of store there are, how they fail. Does not belong here: how one of them
//! works (its folder), what the rows mean for people (notification service), jobs in memory (queue).

mod embedded;
pub(crate) mod foreign;
pub(crate) mod histories;
pub(crate) mod jobs;
pub(crate) mod notifications;
#[expect(dead_code, reason = "routes for operators use it")]
pub(crate) mod operations;
pub(crate) mod records;
pub(crate) mod sessions;
pub(crate) mod tally;
pub(crate) mod users;

use embedded::{Embedded, EmbeddedWriter};
use std::path::Path;

/// Why the store cannot do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("store {path} cannot be opened: {text}; check that the folder can be written")]
    Open { path: String, text: String },
    #[error("store refused an operation: {text}")]
    Sqlite { text: String },
    #[error("this {field} is already stored")]
    Taken { field: &'static str },
    #[error("store holds what it should not: {what}")]
    Corrupt { what: String },
    #[error("store is closed")]
    Closed,
}

/// The store that was chosen; cheap to copy.
#[derive(Clone)]
pub(crate) enum Store {
    /// One file in the data folder.
    Embedded(Embedded),
}

/// What must be waited for before the process ends.
pub(crate) enum StoreWriter {
    /// The thread that writes the file.
    Embedded(EmbeddedWriter),
}

impl StoreWriter {
    /// Waits until the last unit is durable; call it once every [`Store`] is dropped.
    pub(crate) async fn closed(self) {
        match self {
            Self::Embedded(writer) => writer.closed().await,
        }
    }
}

impl Store {
    /// Opens the embedded store in `folder`, which exists.
    pub(crate) fn open(folder: &Path) -> Result<(Self, StoreWriter), StoreError> {
        let (store, writer) = Embedded::open(folder)?;
        Ok((Self::Embedded(store), StoreWriter::Embedded(writer)))
    }

    /// Reads and writes so far.
    pub(crate) fn tally(&self) -> (u64, u64) {
        match self {
            Self::Embedded(store) => store.tally(),
        }
    }

    /// Whether a read works now.
    pub(crate) async fn is_well(&self) -> bool {
        match self {
            Self::Embedded(store) => store.is_well().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::jobs::RunEnd;
    use super::notifications::{News, Page};
    use super::users::NewUser;
    use super::*;
    use crate::models::{Channel, NotificationType, Priority, WallMs};

    fn folder() -> std::path::PathBuf {
        let name = format!("flowreel-store-{}", crate::security::random_hex::<8>());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn user(email: &str) -> NewUser {
        NewUser {
            username: "Ada".to_owned(),
            email: email.to_owned(),
            password_hash: "h".to_owned(),
            verification_hash: None,
        }
    }

    fn news(id: &str) -> Vec<News> {
        vec![News {
            id: id.to_owned(),
            channel: Channel::Email,
            kind: NotificationType::Signup,
            title: "t".to_owned(),
            message: "m".to_owned(),
            priority: Priority::High,
            expires_at: None,
            origin: None,
        }]
    }

    fn run_end(job: i64, attempt: u16) -> RunEnd {
        RunEnd {
            job,
            notification: "n1".to_owned(),
            attempt,
            tier: "mail",
            code: Some(451),
            reason: "later".to_owned(),
        }
    }

    #[tokio::test]
    async fn what_is_answered_is_there_after_a_restart() {
        let folder = folder();
        let (store, writer) = Store::open(&folder).unwrap();
        let (_id, jobs) = store
            .create_user(user("a@b.example"), news("n1"), WallMs(5))
            .await
            .unwrap();
        let due_at = WallMs(500);
        store
            .run_delayed(run_end(jobs[0].id, 1), "retry-1", due_at, WallMs(6))
            .await
            .unwrap();
        drop(store);
        writer.closed().await;

        let (store, writer) = Store::open(&folder).unwrap();
        let open = store.open_jobs().await.unwrap();
        assert_eq!(open.len(), 1);
        assert_eq!(
            (open[0].attempt, &open[0].parked),
            (2, &Some(("retry-1".to_owned(), due_at)))
        );
        let delivered = store.run_delivered(run_end(open[0].job.id, 2), None, None, WallMs(7));
        delivered.await.unwrap();
        assert!(store.open_jobs().await.unwrap().is_empty());
        let all = Page {
            offset: 0,
            limit: 10,
        };
        let (listed, total) = store
            .notifications_of(open[0].job.user, Channel::Email, all)
            .await
            .unwrap();
        assert_eq!(
            (total, listed[0].status.as_str(), listed[0].attempts),
            (1, "delivered", 2)
        );
        let history: Vec<&str> = listed[0]
            .delivery_history
            .iter()
            .map(|entry| entry.status.as_str())
            .collect();
        assert_eq!(history, ["pending", "queued", "failed", "delivered"]);
        drop(store);
        writer.closed().await;
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn an_address_belongs_to_one_account_and_a_refusal_leaves_nothing() {
        let folder = folder();
        let (store, writer) = Store::open(&folder).unwrap();
        store
            .create_user(user("a@b.example"), Vec::new(), WallMs(5))
            .await
            .unwrap();
        let refused = store
            .create_user(user("a@b.example"), news("n1"), WallMs(6))
            .await;
        assert!(matches!(refused, Err(StoreError::Taken { field: "email" })));
        assert!(store.open_jobs().await.unwrap().is_empty());
        assert!(store.notification("n1".to_owned()).await.unwrap().is_none());
        drop(store);
        writer.closed().await;
        std::fs::remove_dir_all(folder).unwrap();
    }
}
