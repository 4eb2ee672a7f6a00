//! The embedded store: one SQLite file, with nothing to install.
//!
//! Belongs here: opening, reading and writing. Does not belong here: what rows look like to others
//! (store). SQLite's types stop at this folder.

mod commit;
mod foreign;
mod histories;
mod jobs;
mod notifications;
mod operations;
mod records;
mod roles;
mod schema;
mod sessions;
mod users;

use super::tally::Tally;
use super::{StoreError, affected};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// Connections that read at once; the writer has its own.
const READER_COUNT: usize = 4;
/// Name of the file in the data folder.
const FILE_NAME: &str = "store.sqlite3";

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Refused {
            text: error.to_string(),
        }
    }
}

/// The embedded store; cheap to copy.
#[derive(Clone)]
pub(crate) struct Embedded {
    inner: Arc<Inner>,
}

struct Inner {
    orders: mpsc::Sender<commit::Order>,
    readers: Mutex<Vec<Connection>>,
    reader_slots: Arc<Semaphore>,
    tally: Tally,
}

/// Ends the writer thread; everything written before is durable when it returns.
pub(crate) struct EmbeddedWriter {
    orders: mpsc::Sender<commit::Order>,
    thread: JoinHandle<()>,
}

impl EmbeddedWriter {
    /// Waits until what was asked for is durable; what is asked for later is refused, whoever asks.
    pub(crate) async fn closed(self) {
        // Only a writer that has ended already does not hear it.
        drop(self.orders.send(commit::Order::Close).await);
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!(
                "the store's writer ended with a panic; what it had not answered is lost"
            );
        }
    }
}

impl Embedded {
    /// Opens the file in `folder`, which exists.
    pub(crate) fn open(folder: &Path) -> Result<(Self, EmbeddedWriter), StoreError> {
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
        let (orders, receiver) = mpsc::channel(commit::WRITE_QUEUE_CAPACITY);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || commit::run(&writer, receiver))
            .map_err(|error| failed(error.to_string()))?;
        let inner = Inner {
            orders: orders.clone(),
            readers: Mutex::new(readers),
            reader_slots: Arc::new(Semaphore::new(READER_COUNT)),
            tally: Tally::default(),
        };
        Ok((
            Self {
                inner: Arc::new(inner),
            },
            EmbeddedWriter { orders, thread },
        ))
    }

    pub(crate) fn tally(&self) -> (u64, u64) {
        self.inner.tally.counts()
    }

    /// Runs `work` in the next transaction; answers when it is on the disk.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner.tally.wrote();
        let (unit, answer) = commit::unit(move |connection| {
            let before = connection.total_changes();
            let value = work(connection)?;
            Ok((value, connection.total_changes().saturating_sub(before)))
        });
        self.inner
            .orders
            .send(commit::Order::Write(unit))
            .await
            .map_err(|_closed| StoreError::Closed)?;
        let (value, row_count) = answer.await.map_err(|_closed| StoreError::Closed)??;
        affected::add(row_count);
        Ok(value)
    }

    /// Runs `work` on a reading connection, which sees everything answered before.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner.tally.read();
        let inner = Arc::clone(&self.inner);
        let slot = Arc::clone(&inner.reader_slots)
            .acquire_owned()
            .await
            .map_err(|_closed| StoreError::Closed)?;
        // Who asked may give up; the slot stays with the connection until that is back.
        let reading = tokio::task::spawn_blocking(move || {
            let reader = inner.readers().pop().ok_or(StoreError::Closed)?;
            let result = work(&reader);
            inner.readers().push(reader);
            drop(slot);
            result
        });
        reading.await.map_err(|_panicked| StoreError::Closed)?
    }

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
    use super::*;
    use futures_util::poll;
    use std::sync::mpsc::sync_channel;

    #[tokio::test]
    async fn a_reader_whose_caller_gave_up_keeps_its_place() {
        let name = format!("flowreel-store-{}", crate::security::random_hex::<8>());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let (store, writer) = Embedded::open(&folder).unwrap();
        let mut releases = Vec::new();
        for _ in 0..READER_COUNT {
            let (release, held) = sync_channel::<()>(0);
            let (begun, has_begun) = tokio::sync::oneshot::channel();
            let mut reading = Box::pin(store.read(move |_| {
                begun.send(()).unwrap();
                held.recv().unwrap_err();
                Ok(())
            }));
            assert!(poll!(&mut reading).is_pending());
            has_begun.await.unwrap();
            releases.push(release);
        }
        let mut fifth = Box::pin(store.is_well());
        assert!(poll!(&mut fifth).is_pending());
        drop(releases);
        assert!(fifth.await);
        drop(store);
        writer.closed().await;
        std::fs::remove_dir_all(folder).unwrap();
    }
}
