//! Who is online where, for processes that have no sockets of their own; and who waits for a confirmation.
//!
//! Belongs here: keys in Redis and how long they live. Does not belong here: the sockets (registry).
//!
//! Every server keeps one hash of its users and renews its life each second: when a server is killed its
//! users are offline within [`LIFE`]. A worker that waits for a confirmation leaves its address under the
//! notification's id, and whichever server hears the client looks there.

use super::audience::Listeners;
use super::bus::{Bus, BusError};
use crate::models::UserId;
use crate::telemetry::Place;
use redis::aio::ConnectionManager;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often a server says that it lives.
pub(super) const RENEWAL: Duration = Duration::from_secs(1);
/// How long its users count as online after it last said so.
const LIFE: Duration = Duration::from_secs(4);
/// How long a worker's address stays: somewhat longer than it waits.
const ADDRESS_LIFE: Duration = Duration::from_secs(10);

/// How long it is known who confirmed: longer than the next worker takes to come to a run that was killed.
const CONFIRMED_LIFE: Duration = Duration::from_secs(60);

/// What one server says about one of its users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Online {
    /// Which start of the server.
    pub(super) instance: String,
    pub(super) sockets: u64,
    pub(super) since_ms: u64,
}

/// A user's sockets on all servers at one moment.
pub(super) type Seen = Vec<(Place, Online)>;

/// A client's confirmation on its way to the worker that waits for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Confirmation {
    pub(super) user: u64,
    pub(super) notification: String,
    pub(super) socket_id: String,
}

/// Presence in Redis; cheap to copy.
#[derive(Clone)]
pub(crate) struct Presence {
    bus: Bus,
    redis: ConnectionManager,
    /// This process's own name.
    instance: String,
}

impl Presence {
    /// `None` where all servers are in this process.
    pub(super) fn over(bus: &Bus, instance: String) -> Option<Self> {
        Some(Self {
            redis: bus.redis()?,
            bus: bus.clone(),
            instance,
        })
    }

    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// Where this process hears confirmations.
    pub(super) fn own_channel(&self) -> String {
        channel_of(&self.instance)
    }

    /// The user's sockets now, and a note that this process waits for a confirmation; also which socket has
    /// confirmed it already, to a worker that was killed before it could store that.
    pub(super) async fn expect(
        &self,
        user: UserId,
        notification: &str,
    ) -> Result<(Seen, Option<String>), BusError> {
        let mut asked = redis::pipe();
        for place in Place::SERVERS {
            asked.hget(users_key(place), user.0);
        }
        asked.get(confirmed_key(user, notification));
        let address = address_key(user, notification);
        asked
            .cmd("SET")
            .arg(address)
            .arg(&self.instance)
            .arg("PX")
            .arg(millis(ADDRESS_LIFE))
            .ignore();
        let (first, second, third, confirmed_by) =
            asked.query_async(&mut self.redis.clone()).await?;
        Ok((read([first, second, third]), confirmed_by))
    }

    /// The user's sockets now.
    pub(super) async fn seen(&self, user: UserId) -> Result<Seen, BusError> {
        let mut asked = redis::pipe();
        for place in Place::SERVERS {
            asked.hget(users_key(place), user.0);
        }
        let found: [Option<String>; 3] = asked.query_async(&mut self.redis.clone()).await?;
        Ok(read(found))
    }

    /// Hands a client's confirmation to the worker that waits; false where none does any more.
    pub(super) async fn pass(&self, confirmation: &Confirmation) -> Result<bool, BusError> {
        let address = address_key(UserId(confirmation.user), &confirmation.notification);
        let asked = redis::cmd("GETDEL").arg(address).take();
        let worker: Option<String> = asked.query_async(&mut self.redis.clone()).await?;
        let Some(worker) = worker else {
            return Ok(false);
        };
        let mut kept = redis::cmd("SET");
        kept.arg(confirmed_key(
            UserId(confirmation.user),
            &confirmation.notification,
        ));
        kept.arg(&confirmation.socket_id);
        kept.arg("PX").arg(millis(CONFIRMED_LIFE));
        kept.exec_async(&mut self.redis.clone()).await?;
        let message = serde_json::to_vec(confirmation).expect("texts always serialize");
        let heard = self.bus.tell(&channel_of(&worker), message).await?;
        Ok(heard > 0)
    }

    /// Says how the user is online at this server; `None` is not at all.
    pub(super) async fn note(
        &self,
        server: Place,
        user: UserId,
        online: Option<&Online>,
    ) -> Result<(), BusError> {
        let key = users_key(server);
        let mut said = redis::pipe();
        match online {
            Some(online) => said.hset(&key, user.0, written(online)).ignore(),
            None => said.hdel(&key, user.0).ignore(),
        };
        said.cmd("PEXPIRE").arg(&key).arg(millis(LIFE)).ignore();
        Ok(said.exec_async(&mut self.redis.clone()).await?)
    }

    /// Says who listens at this server, for the live view of other processes.
    pub(super) async fn tell_listeners(
        &self,
        server: Place,
        listeners: &Listeners,
    ) -> Result<(), BusError> {
        let text = serde_json::to_string(listeners).expect("numbers always serialize");
        let mut said = redis::cmd("SET");
        said.arg(listeners_key(server)).arg(text);
        said.arg("PX").arg(millis(LIFE));
        Ok(said.exec_async(&mut self.redis.clone()).await?)
    }

    /// What these servers said last; nobody listens at one that does not live.
    pub(super) async fn listeners(
        &self,
        servers: &[Place],
    ) -> Result<Vec<(Place, Listeners)>, BusError> {
        let mut asked = redis::cmd("MGET");
        for &server in servers {
            asked.arg(listeners_key(server));
        }
        let found: Vec<Option<String>> = asked.query_async(&mut self.redis.clone()).await?;
        let read = |text: Option<String>| serde_json::from_str(&text?).ok();
        let said = found.into_iter().map(|text| read(text).unwrap_or_default());
        Ok(servers.iter().copied().zip(said).collect())
    }

    /// The server lives on; false where Redis knows nothing of it (any more).
    pub(super) async fn renew(&self, server: Place) -> Result<bool, BusError> {
        let asked = redis::cmd("PEXPIRE")
            .arg(users_key(server))
            .arg(millis(LIFE))
            .take();
        Ok(asked.query_async(&mut self.redis.clone()).await?)
    }

    /// Replaces all that is said about this server's users.
    pub(super) async fn replace(
        &self,
        server: Place,
        users: &[(UserId, Online)],
    ) -> Result<(), BusError> {
        let key = users_key(server);
        let mut said = redis::pipe();
        said.atomic().del(&key).ignore();
        for (user, online) in users {
            said.hset(&key, user.0, written(online)).ignore();
        }
        said.cmd("PEXPIRE").arg(&key).arg(millis(LIFE)).ignore();
        Ok(said.exec_async(&mut self.redis.clone()).await?)
    }
}

fn read(found: [Option<String>; 3]) -> Seen {
    Place::SERVERS
        .into_iter()
        .zip(found)
        .filter_map(|(place, text)| Some((place, serde_json::from_str(&text?).ok()?)))
        .collect()
}

fn written(online: &Online) -> String {
    serde_json::to_string(online).expect("numbers and texts always serialize")
}

fn users_key(server: Place) -> String {
    format!("flowreel:online:{}", server.name())
}

fn listeners_key(server: Place) -> String {
    format!("flowreel:listeners:{}", server.name())
}

fn confirmed_key(user: UserId, notification: &str) -> String {
    format!("flowreel:confirmed-by:{user}:{notification}")
}

fn address_key(user: UserId, notification: &str) -> String {
    format!("flowreel:unconfirmed:{user}:{notification}")
}

fn channel_of(instance: &str) -> String {
    format!("flowreel:confirmed:{instance}")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
