//! The store: everything that must survive the process, in one file, flushed before it is answered.
//!
//! Belongs here: opening, reading and writing, typed rows. Does not belong here: what the rows mean for
//! people (notification service), jobs in memory (queue). SQLite's types stop at this folder.

mod commit;
pub(crate) mod histories;
pub(crate) mod jobs;
pub(crate) mod notifications;
pub(crate) mod records;
mod schema;
pub(crate) mod sessions;
pub(crate) mod users;

use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// Connections that read at once; the writer has its own.
const READER_COUNT: usize = 4;
/// Name of the file in the data folder.
pub(crate) const FILE_NAME: &str = "store.sqlite3";

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

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite {
            text: error.to_string(),
        }
    }
}

/// The embedded store; cheap to copy.
#[derive(Clone)]
pub(crate) struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    units: mpsc::Sender<commit::Unit>,
    readers: Mutex<Vec<Connection>>,
    reader_slots: Semaphore,
}

/// Ends the writer thread; everything written before is durable when it returns.
pub(crate) struct StoreWriter {
    thread: JoinHandle<()>,
}

impl StoreWriter {
    /// Waits until the last unit is durable; call it once every [`Store`] is dropped.
    pub(crate) async fn closed(self) {
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!(
                "the store's writer ended with a panic; what it had not answered is lost"
            );
        }
    }
}

impl Store {
    /// Opens the file in `folder`, which exists.
    pub(crate) fn open(folder: &Path) -> Result<(Self, StoreWriter), StoreError> {
        let path = folder.join(FILE_NAME);
        let failed = |text: String| StoreError::Open {
            path: path.display().to_string(),
            text,
        };
        let writer = Connection::open(&path).map_err(|error| failed(error.to_string()))?;
        // The journal mode answers with a row, which `execute_batch` ignores.
        writer
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
            )
            .map_err(|error| failed(error.to_string()))?;
        writer.busy_timeout(Duration::from_secs(5))?;
        schema::prepare(&writer)?;
        let readers = (0..READER_COUNT)
            .map(|_| open_reader(&path))
            .collect::<Result<_, _>>()?;
        let (units, receiver) = mpsc::channel(commit::WRITE_QUEUE_CAPACITY);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || commit::run(&writer, receiver))
            .map_err(|error| failed(error.to_string()))?;
        let inner = Inner {
            units,
            readers: Mutex::new(readers),
            reader_slots: Semaphore::new(READER_COUNT),
        };
        Ok((
            Self {
                inner: Arc::new(inner),
            },
            StoreWriter { thread },
        ))
    }

    /// Runs `work` in the next transaction; answers when it is on the disk.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (unit, answer) = commit::unit(work);
        self.inner
            .units
            .send(unit)
            .await
            .map_err(|_closed| StoreError::Closed)?;
        answer.await.map_err(|_closed| StoreError::Closed)?
    }

    /// Runs `work` on a reading connection, which sees everything answered before.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let slot = self
            .inner
            .reader_slots
            .acquire()
            .await
            .map_err(|_closed| StoreError::Closed)?;
        let inner = Arc::clone(&self.inner);
        let reading = tokio::task::spawn_blocking(move || {
            let reader = inner.readers().pop().ok_or(StoreError::Closed)?;
            let result = work(&reader);
            inner.readers().push(reader);
            result
        });
        let result = reading.await.map_err(|_panicked| StoreError::Closed)?;
        drop(slot);
        result
    }

    /// Whether a read works now.
    pub(crate) async fn is_well(&self) -> bool {
        self.read(
            |connection| Ok(connection.query_row("SELECT 1", [], |row| row.get::<_, i64>(0))?),
        )
        .await
        .is_ok()
    }
}

impl Inner {
    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = Connection::open_with_flags(path, flags)?;
    reader.busy_timeout(Duration::from_secs(5))?;
    Ok(reader)
}

/// The row, or `None` where there is none.
fn optional<T>(result: rusqlite::Result<T>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Names the field whose value is taken where a uniqueness rule refused it.
fn taken(field: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
    move |error| {
        let is_unique = error
            .sqlite_error()
            .is_some_and(|sqlite| sqlite.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE);
        if is_unique {
            StoreError::Taken { field }
        } else {
            error.into()
        }
    }
}

/// Row numbers and user numbers as SQLite counts them.
fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_range| StoreError::Corrupt {
        what: format!("{number} is more than the store can count"),
    })
}

/// A stored count as a count.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
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
