//! The connection to Redis and the six queues on it.
//!
//! Belongs here: connecting, BullMQ's queues by place, what an error says. Does not belong here: jobs.
//!
//! One shared connection carries everything but waiting; it reconnects by itself.

use super::bull_priority;
use super::parcel::Parcel;
use crate::queue::{QUEUES, QueueError};
use crate::redis_client::redis_client;
use crate::telemetry::Place;
use bullmq::options::{RedisConnectionOptions, TlsCerts};
use bullmq::queue::BulkJob;
use bullmq::redis_connection::{ManagedConn, RedisConnection};
use bullmq::{Queue, QueueKeys, QueueOptions};
use redis::{FromRedisValue, Pipeline, ScriptInvocation};
use std::time::Duration;

/// Longest wait for Redis at the start.
const GREETING_MAX: Duration = Duration::from_secs(5);

/// The shared connection; cheap to copy.
pub(super) struct Link {
    connection: RedisConnection,
    queues: Vec<(Place, Queue)>,
}

impl Link {
    pub(super) async fn open(url: &str, ca: Option<&[u8]>) -> Result<Self, QueueError> {
        // Settings behind the `?` are for the bus, which may want another protocol.
        let url = url.split('?').next().unwrap_or(url);
        let certificates = |ca: &[u8]| TlsCerts {
            root_cert: Some(ca.to_vec()),
            ..TlsCerts::default()
        };
        let options = RedisConnectionOptions {
            url: url.to_owned(),
            tls_certs: ca.map(certificates),
            ..RedisConnectionOptions::default()
        };
        greet(url, ca).await?;
        let connection = RedisConnection::new_managed_only(&options).await;
        let connection = connection.map_err(unreachable)?;
        let mut queues = Vec::with_capacity(QUEUES.len());
        for place in QUEUES {
            let shared = connection.clone();
            let queue = Queue::with_connection(place.name(), shared, QueueOptions::default()).await;
            queues.push((place, queue.map_err(unreachable)?));
        }
        Ok(Self { connection, queues })
    }

    /// A queue by its place; every other place is none.
    pub(super) fn queue(&self, place: Place) -> Result<&Queue, QueueError> {
        let found = self.queues.iter().find(|(other, _)| *other == place);
        found
            .map(|(_, queue)| queue)
            .ok_or_else(|| QueueError::Unreachable {
                text: format!("{} is no queue", place.name()),
            })
    }

    pub(super) fn keys(&self, place: Place) -> Result<&QueueKeys, QueueError> {
        self.queue(place).map(Queue::keys)
    }

    /// A connection of its own, for waiting.
    pub(super) async fn waiting_connection(&self) -> Result<ManagedConn, QueueError> {
        let made = self.connection.managed_dedicated_connection().await;
        made.map_err(unreachable)
    }

    /// Sends several commands at once.
    pub(super) async fn pipe<T: FromRedisValue>(&self, pipe: &Pipeline) -> Result<T, QueueError> {
        self.connection.pipe(pipe).await.map_err(unreachable)
    }

    /// Whether Redis answers now.
    pub(super) async fn answers(&self) -> bool {
        let mut pipe = redis::pipe();
        pipe.cmd("PING").ignore();
        self.pipe::<()>(&pipe).await.is_ok()
    }

    /// Runs a script; it is loaded where Redis does not know it.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
    ) -> Result<T, QueueError> {
        let mut connection = self.connection.connection();
        let answer = call.invoke_async(&mut connection).await;
        answer.map_err(|error| unreachable(error.into()))
    }

    /// Adds jobs; those that are there already stay as they are.
    pub(super) async fn add(&self, place: Place, jobs: Vec<BulkJob>) -> Result<(), QueueError> {
        self.queue(place)?
            .add_bulk(jobs)
            .await
            .map_err(unreachable)?;
        Ok(())
    }
}

/// One try, so that a wrong address or password is told at once; a connection that was well once is tried
/// again and again.
async fn greet(url: &str, ca: Option<&[u8]>) -> Result<(), QueueError> {
    let text = |error: redis::RedisError| unreachable(error.into());
    let client = redis_client(url, ca).map_err(text)?;
    let made = client.get_multiplexed_async_connection();
    match tokio::time::timeout(GREETING_MAX, made).await {
        Ok(made) => made.map(drop).map_err(text),
        Err(_elapsed) => Err(QueueError::Unreachable {
            text: "Redis does not answer".to_owned(),
        }),
    }
}

/// A job as it is added.
pub(super) fn addition(parcel: &Parcel, id: String, rest: Duration) -> BulkJob {
    BulkJob::new(parcel.kind.name(), parcel)
        .job_id(id)
        .priority(bull_priority(parcel.priority))
        .delay(rest)
}

/// What went wrong, for people; never with a password.
pub(super) fn unreachable(error: bullmq::Error) -> QueueError {
    QueueError::Unreachable {
        text: error.to_string(),
    }
}
