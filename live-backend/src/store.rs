//! The store: everything that must survive the process, flushed before it is answered.
//!
//! Belongs here: which kinds of store there are, how they fail. Does not belong here: how one of them
//! works (its folder), what the rows mean for people (notification service), jobs in memory (queue).

pub(crate) mod affected;
mod embedded;
pub(crate) mod foreign;
pub(crate) mod histories;
pub(crate) mod jobs;
mod mongo;
pub(crate) mod notifications;
pub(crate) mod operations;
pub(crate) mod records;
pub(crate) mod roles;
pub(crate) mod sessions;
pub(crate) mod step;
pub(crate) mod tally;
#[cfg(test)]
mod tests;
pub(crate) mod users;

pub(crate) use mongo::MongoAddress;

use crate::config::StorePart;
use embedded::{Embedded, EmbeddedWriter};
use mongo::Mongo;
use std::path::Path;

/// Why the store cannot do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("store {path} cannot be opened: {text}; check that the folder can be written")]
    Open { path: String, text: String },
    #[error("MongoDB at {address} cannot be used: {text}; start it, or check --store")]
    Unreachable { address: String, text: String },
    #[error(
        "MongoDB at {address} is a single server, which cannot change several documents all or nothing; start it with --replSet and initiate the set (one member is enough)"
    )]
    NoReplicaSet { address: String },
    #[error("store refused an operation: {text}")]
    Refused { text: String },
    #[error("store cannot be reached: {text}")]
    Unavailable { text: String },
    #[error("this {field} is already stored")]
    Taken { field: &'static str },
    #[error("store holds what it should not: {what}")]
    Corrupt { what: String },
    #[error("store is broken on purpose by an injected fault")]
    Injected,
    #[error("store is closed")]
    Closed,
}

/// The store that was chosen; cheap to copy.
#[derive(Clone)]
pub(crate) enum Store {
    /// One file in the data folder.
    Embedded(Embedded),
    /// Documents in a replica set; its calls are boxed, because the driver's futures are large.
    MongoDb(Mongo),
}

/// What must be waited for before the process ends.
pub(crate) enum StoreWriter {
    /// The thread that writes the file.
    Embedded(EmbeddedWriter),
    /// What MongoDB has answered is durable already.
    MongoDb,
}

impl StoreWriter {
    /// Waits until what was asked for is durable; what is asked for later is refused, whoever asks.
    pub(crate) async fn closed(self) {
        match self {
            Self::Embedded(writer) => writer.closed().await,
            Self::MongoDb => {}
        }
    }
}

impl Store {
    /// Opens the store; `folder` exists.
    pub(crate) async fn open(
        at: &StorePart,
        folder: &Path,
    ) -> Result<(Self, StoreWriter), StoreError> {
        match at {
            StorePart::Embedded => {
                let (store, writer) = Embedded::open(folder)?;
                Ok((Self::Embedded(store), StoreWriter::Embedded(writer)))
            }
            StorePart::MongoDb(address) => {
                let store = Mongo::open(address).await?;
                Ok((Self::MongoDb(store), StoreWriter::MongoDb))
            }
        }
    }

    /// From now on a run that cannot be stored is given up, so that stopping ends.
    pub(crate) fn stop_waiting(&self) {
        match self {
            Self::Embedded(_) => {}
            Self::MongoDb(store) => store.stop_waiting(),
        }
    }

    /// Reads and writes so far.
    pub(crate) fn tally(&self) -> (u64, u64) {
        match self {
            Self::Embedded(store) => store.tally(),
            Self::MongoDb(store) => store.tally(),
        }
    }

    /// Whether a read works now.
    pub(crate) async fn is_well(&self) -> bool {
        match self {
            Self::Embedded(store) => store.is_well().await,
            Self::MongoDb(store) => Box::pin(store.is_well()).await,
        }
    }
}
