//! How the sockets of several servers hear of each other: in this process, or over Redis.
//!
//! Belongs here: passing messages on by the name of their channel, for Socket.IO's adapter and for our own
//! confirmations. Does not belong here: what the messages say.
//!
//! Over Redis one connection publishes and listens; when it breaks it is made again, and what was listened
//! to is listened to again. What was published meanwhile is lost, so nobody may rely on it alone: a
//! notification that nobody confirms is sent again.

use crate::config::Address;
use crate::redis_client::redis_client;
use futures_util::StreamExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{
    AsyncCommands, FromRedisValue, IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind,
};
use socketioxide_redis::CustomRedisAdapter;
use socketioxide_redis::drivers::{ChanItem, Driver, MessageStream};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Longest wait for Redis's answer to one command.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Pauses between attempts to reach Redis again, at least and at most.
const RECONNECT_MIN: Duration = Duration::from_millis(50);
const RECONNECT_MAX: Duration = Duration::from_secs(1);

/// What is heard on one channel.
pub(crate) type Heard = MessageStream<ChanItem>;
/// Keeps the rooms of all servers in step.
pub(super) type Adapter = CustomRedisAdapter<socketioxide::adapter::Emitter, Bus>;
/// A client's socket on one of our servers.
pub(super) type SocketRef = socketioxide::extract::SocketRef<Adapter>;
/// Socket.IO of one server.
pub(super) type SocketIo = socketioxide::SocketIo<Adapter>;

/// Passes messages to whoever listens to their channel; cheap to copy.
#[derive(Clone)]
pub(crate) struct Bus {
    listeners: Listeners,
    /// `None` passes them on in this process.
    redis: Option<ConnectionManager>,
}

/// Who listens, by channel.
#[derive(Clone, Default)]
struct Listeners {
    by_channel: Arc<Mutex<HashMap<String, Vec<mpsc::Sender<ChanItem>>>>>,
}

/// Why a message was not passed on.
#[derive(Debug, thiserror::Error)]
#[error(
    "the bus between servers cannot be reached: {0}; check that Redis runs and REDIS_URL names it"
)]
pub(crate) struct BusError(#[from] redis::RedisError);

impl BusError {
    /// Trying again does not help: the name, the password or the address is wrong.
    pub(crate) fn is_lasting(&self) -> bool {
        let is_told = matches!(self.0.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM"));
        is_told
            || matches!(
                self.0.kind(),
                redis::ErrorKind::AuthenticationFailed | redis::ErrorKind::InvalidClientConfig
            )
    }
}

/// The next message on a channel; `None` once this is stopped or nothing comes any more.
pub(crate) async fn next_heard(heard: &mut Heard, stop: &CancellationToken) -> Option<Vec<u8>> {
    let (_channel, message) = stop.run_until_cancelled(heard.next()).await??;
    Some(message)
}

impl Bus {
    /// A bus within this process.
    pub(crate) fn in_process() -> Self {
        Self {
            listeners: Listeners::default(),
            redis: None,
        }
    }

    /// A bus over Redis 6 or later.
    pub(crate) async fn over_redis(address: &Address) -> Result<Self, BusError> {
        let info = address.with_secret().into_connection_info()?;
        // Messages and answers share the connection, which the older protocol cannot do.
        let settings = info.redis_settings().clone();
        let info = info.set_redis_settings(settings.set_protocol(ProtocolVersion::RESP3));
        let listeners = Listeners::default();
        let heard = listeners.clone();
        let config = ConnectionManagerConfig::new()
            .set_push_sender(move |push| {
                heard.push(push);
                Ok::<_, Infallible>(())
            })
            .set_automatic_resubscription()
            .set_min_delay(RECONNECT_MIN)
            .set_max_delay(RECONNECT_MAX)
            .set_response_timeout(Some(ANSWER_TIMEOUT))
            .set_connection_timeout(Some(ANSWER_TIMEOUT));
        let client = redis_client(info, address.ca())?;
        // The manager tries again whatever is wrong, and a wrong password stays wrong.
        drop(client.get_multiplexed_async_connection().await?);
        let connection = ConnectionManager::new_with_config(client, config).await?;
        Ok(Self {
            listeners,
            redis: Some(connection),
        })
    }

    /// The connection, for commands beside the messages; `None` within one process.
    pub(super) fn redis(&self) -> Option<ConnectionManager> {
        self.redis.clone()
    }

    /// Publishes and says how many processes listened; `None` within one process.
    pub(crate) async fn tell(&self, channel: &str, message: Vec<u8>) -> Result<u64, BusError> {
        match &self.redis {
            Some(redis) => Ok(redis.clone().publish(channel, message).await?),
            None => Ok(self.listeners.pass(channel, &message)),
        }
    }
}

impl Listeners {
    fn push(&self, push: PushInfo) {
        if push.kind != PushKind::Message {
            return;
        }
        let mut data = push.data.into_iter();
        let (Some(channel), Some(message)) = (data.next(), data.next()) else {
            return;
        };
        let channel = String::from_redis_value(channel);
        let message = Vec::<u8>::from_redis_value(message);
        if let (Ok(channel), Ok(message)) = (channel, message) {
            self.pass(&channel, &message);
        }
    }

    /// Hands the message to everybody who listens; the answer is how many took it.
    fn pass(&self, channel: &str, message: &[u8]) -> u64 {
        let mut by_channel = self.lock();
        let Some(listeners) = by_channel.get_mut(channel) else {
            return 0;
        };
        listeners.retain(|listener| !listener.is_closed());
        let take = |listener: &&mpsc::Sender<ChanItem>| {
            let sent = listener.try_send((channel.to_owned(), message.to_vec()));
            if sent.is_err() {
                tracing::warn!(
                    channel,
                    "a server hears too much at once and missed a message"
                );
            }
            sent.is_ok()
        };
        listeners.iter().filter(take).count() as u64
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<mpsc::Sender<ChanItem>>>> {
        self.by_channel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driver for Bus {
    type Error = BusError;

    async fn publish(&self, channel: String, message: Vec<u8>) -> Result<(), BusError> {
        self.tell(&channel, message).await.map(drop)
    }

    async fn subscribe(&self, channel: String, size: usize) -> Result<Heard, BusError> {
        let (sender, receiver) = mpsc::channel(size);
        let is_first = {
            let mut by_channel = self.listeners.lock();
            let listeners = by_channel.entry(channel.clone()).or_default();
            listeners.push(sender);
            listeners.len() == 1
        };
        if let Some(redis) = self.redis.as_ref().filter(|_| is_first) {
            redis.clone().subscribe(channel).await?;
        }
        Ok(MessageStream::new(receiver))
    }

    async fn unsubscribe(&self, channel: String) -> Result<(), BusError> {
        // Servers of one process share a channel; whoever leaves drops its end of it.
        let is_last = {
            let mut by_channel = self.listeners.lock();
            let left = by_channel.get_mut(&channel).map(|listeners| {
                listeners.retain(|listener| !listener.is_closed());
                listeners.len()
            });
            if left.is_none_or(|left| left <= 1) {
                by_channel.remove(&channel);
                true
            } else {
                false
            }
        };
        if let Some(redis) = self.redis.as_ref().filter(|_| is_last) {
            redis.clone().unsubscribe(channel).await?;
        }
        Ok(())
    }

    async fn num_serv(&self, channel: &str) -> Result<u16, BusError> {
        let Some(redis) = &self.redis else {
            let here = self.listeners.lock().get(channel).map_or(0, Vec::len);
            return Ok(u16::try_from(here).unwrap_or(u16::MAX));
        };
        let asked: (String, u16) = redis::cmd("PUBSUB")
            .arg("NUMSUB")
            .arg(channel)
            .query_async(&mut redis.clone())
            .await?;
        Ok(asked.1)
    }
}
