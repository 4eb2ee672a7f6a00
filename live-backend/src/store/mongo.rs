//! The store on MongoDB: documents in a replica set, several of them changed all or nothing.
//!
//! Belongs here: connecting, how long a call may take, transactions. Does not belong here: what documents
//! look like to others (store). The driver's types stop at this folder.
//!
//! A call ends within [`CALL_MAX`]: with an answer that a majority has on its disks, or with
//! [`StoreError::Unavailable`]. What a worker says of a run that has begun is said again until it is
//! stored, because the run itself cannot be taken back.

mod abandoned;
mod address;
mod counters;
mod deliveries;
mod documents;
mod earlier;
mod errors;
mod foreign;
mod histories;
mod jobs;
mod names;
mod notifications;
mod operations;
mod records;
mod roles;
mod schema;
#[cfg(test)]
pub(super) mod server;
mod sessions;
#[cfg(test)]
mod tests;
mod users;

pub(crate) use address::MongoAddress;

use super::tally::Tally;
use super::{StoreError, affected};
use counters::Counters;
use futures_util::future::BoxFuture;
use mongodb::bson::{Bson, doc};
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, ClientSession, Collection, Database};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Longest time one call may take before it counts as failed.
const CALL_MAX: Duration = Duration::from_secs(5);
/// Longest wait for a primary within a call.
const SELECTION_MAX: Duration = Duration::from_secs(3);
/// Longest wait for a connection within a call.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// Longest wait for a sign of life; who asks about health gives up after a second.
const PING_MAX: Duration = Duration::from_millis(800);
/// Connections where the address says nothing else.
const CONNECTIONS_MAX: u32 = 64;
/// Connections made at once; a burst after a restart needs several.
const CONNECTING_MAX: u32 = 8;
/// Turns for steps: so many that requests seldom share one, which only makes them wait for each other.
const TURNS: usize = 1024;
/// Rest before a call that must succeed is made again.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// The store on MongoDB; cheap to copy.
#[derive(Clone)]
pub(crate) struct Mongo {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    database: Database,
    /// How the server names this program's connections.
    application: String,
    counters: Counters,
    tally: Tally,
    /// Held by who stores a step; one for many requests.
    turns: [tokio::sync::Mutex<()>; TURNS],
    /// When it was looked last for transactions that nobody goes on with.
    looked_at: Mutex<Option<Instant>>,
    /// Once it is cancelled, nothing is waited for that needs more than one call.
    stopping: CancellationToken,
}

impl Mongo {
    /// Connects, and makes what is missing.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] without a server, [`StoreError::NoReplicaSet`] with one that has no
    /// transactions.
    pub(crate) async fn open(address: &MongoAddress) -> Result<Self, StoreError> {
        let failed = |error: StoreError| match error {
            StoreError::Unavailable { text } | StoreError::Refused { text } => {
                StoreError::Unreachable {
                    address: address.to_string(),
                    text,
                }
            }
            other => other,
        };
        let opening = async {
            let options = options(address).await?;
            let application = options.app_name.clone().unwrap_or_default();
            let client = Client::with_options(options)?;
            let database = client.database(address.database());
            check_deployment(&database, address).await?;
            let inner = Inner {
                counters: Counters::new(&database),
                tally: Tally::default(),
                client,
                database,
                application,
                turns: std::array::from_fn(|_| tokio::sync::Mutex::default()),
                looked_at: Mutex::default(),
                stopping: CancellationToken::new(),
            };
            Ok(Self {
                inner: Arc::new(inner),
            })
        };
        let mongo = within(CALL_MAX, opening).await.map_err(failed)?;
        // Indexes of a store that is full take their time.
        schema::prepare(&mongo).await.map_err(failed)?;
        Ok(mongo)
    }

    /// Whether the primary answers now.
    pub(crate) async fn is_well(&self) -> bool {
        let ping = async {
            self.inner.database.run_command(doc! { "ping": 1 }).await?;
            Ok(())
        };
        within(PING_MAX, ping).await.is_ok()
    }

    /// From now on runs that cannot be stored are given up after one call.
    pub(crate) fn stop_waiting(&self) {
        self.inner.stopping.cancel();
    }

    pub(crate) fn tally(&self) -> (u64, u64) {
        self.inner.tally.counts()
    }

    /// A call that changes nothing.
    async fn reading<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.inner.tally.read();
        within(CALL_MAX, call).await
    }

    /// A call that changes one document, or several that may change apart.
    async fn writing<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.inner.tally.wrote();
        within(CALL_MAX, self.past_abandoned(Box::pin(call))).await
    }

    fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        self.inner.database.collection(name)
    }

    /// Changes several documents, all or none; what `body` does is done again where others were in the way.
    ///
    /// `body` hands on every error it meets: the driver ends the transaction by it.
    async fn transaction<C: Send, T: Send>(
        &self,
        context: C,
        mut body: impl for<'a> FnMut(
            &'a mut ClientSession,
            &'a mut C,
        ) -> BoxFuture<'a, mongodb::error::Result<T>>
        + Send,
    ) -> Result<T, StoreError> {
        self.writing(async {
            let mut session = self.inner.client.start_session().await?;
            let before = affected::so_far();
            let done = session
                .start_transaction()
                .and_run(context, |session, context| {
                    affected::set(before);
                    body(session, context)
                })
                .await?;
            Ok(done)
        })
        .await
    }

    /// Calls until there is an answer other than that the store cannot be reached.
    async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        mut call: impl FnMut() -> F,
    ) -> Result<T, StoreError> {
        loop {
            let is_last = self.inner.stopping.is_cancelled();
            match call().await {
                Err(StoreError::Unavailable { text }) if !is_last => {
                    tracing::warn!("a run waits for the store, which cannot be reached: {text}");
                }
                answer => return answer,
            }
            let stopped = self.inner.stopping.cancelled();
            drop(tokio::time::timeout(AGAIN_AFTER, stopped).await);
        }
    }
}

impl MongoAddress {
    /// Whether a primary answers there; changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where none does.
    pub(crate) async fn answers(&self) -> Result<(), StoreError> {
        within(CALL_MAX, async {
            let client = Client::with_options(options(self).await?)?;
            let database = client.database(self.database());
            let answer = database.run_command(doc! { "ping": 1 }).await;
            client.shutdown().immediate(true).await;
            Ok(answer.map(drop)?)
        })
        .await
    }
}

/// Bounds a call, which is dropped when its time is over; the driver then ends what it had begun.
async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(limit, call)
        .await
        .unwrap_or_else(|_elapsed| {
            Err(StoreError::Unavailable {
                text: format!("no answer within {} s", limit.as_secs()),
            })
        })
}

async fn options(address: &MongoAddress) -> Result<ClientOptions, StoreError> {
    let mut options = ClientOptions::parse(address.secret_text()).await?;
    options.app_name = options
        .app_name
        .or_else(|| Some("flowreel-live".to_owned()));
    options.server_selection_timeout = Some(SELECTION_MAX);
    options.connect_timeout = Some(CONNECT_MAX);
    options.max_pool_size = options.max_pool_size.or(Some(CONNECTIONS_MAX));
    options.max_connecting = options.max_connecting.or(Some(CONNECTING_MAX));
    // What is answered is on the disks of a majority, and is read where it was written.
    let safe = WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .w_timeout(SELECTION_MAX);
    options.write_concern = Some(safe.build());
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options.retry_writes = Some(true);
    options.retry_reads = Some(true);
    Ok(options)
}

/// Refuses a single server: without transactions a crash would part a person's news from their jobs.
async fn check_deployment(database: &Database, address: &MongoAddress) -> Result<(), StoreError> {
    let hello = database.run_command(doc! { "hello": 1 }).await?;
    let is_set = hello.get_str("setName").is_ok();
    let is_router = hello.get("msg").and_then(Bson::as_str) == Some("isdbgrid");
    if is_set || is_router {
        return Ok(());
    }
    Err(StoreError::NoReplicaSet {
        address: address.to_string(),
    })
}
