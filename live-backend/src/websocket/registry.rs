//! Who is connected: the sockets of every user on every server, and what they have not confirmed yet.
//!
//! Belongs here: sending to a user, matching confirmations. Does not belong here: Socket.IO's handshake,
//! what the processes of one system tell each other about it (presence, spread).
//!
//! Where all servers are in one process, a notification is written to the user's sockets directly. Where
//! they are not, it is sent to the user's room on all servers, and who is online is looked up in Redis.

mod sending;

use super::bus::{Adapter, Bus, SocketIo, SocketRef};
use super::confirmed::Confirmed;
use super::message::InAppMessage;
use super::namespace::room_of;
use super::presence::{Confirmation, Online, Presence, Seen};
use crate::models::{UserId, WallMs};
use crate::security::random_hex;
use crate::telemetry::Place;
pub(crate) use sending::Sending;
use socketioxide::operators::BroadcastOperators;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// All client sockets; cheap to copy.
#[derive(Clone)]
pub(crate) struct Sockets {
    inner: Arc<Inner>,
}

struct Inner {
    users: Mutex<HashMap<UserId, Vec<Entry>>>,
    unconfirmed: Mutex<HashMap<String, Unconfirmed>>,
    confirmed: Confirmed,
    open_count: AtomicU64,
    bus: Bus,
    /// `None` where all servers are in this process.
    presence: Option<Presence>,
    /// Those of this process's servers: through the first one the rooms of all servers are reached.
    ios: Mutex<Vec<SocketIo>>,
    /// What is said about users is said in order.
    saying: tokio::sync::Mutex<()>,
    /// Servers of which Redis missed something and must be told everything anew.
    behind: Mutex<HashSet<Place>>,
}

struct Entry {
    server: Place,
    socket: SocketRef,
    since: WallMs,
}

struct Unconfirmed {
    user: UserId,
    confirm: oneshot::Sender<String>,
}

/// Why a notification is not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryFault {
    Offline,
    Unwritable,
    Unconfirmed,
    Injected,
}

impl DeliveryFault {
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Offline => "the user has no socket",
            Self::Unwritable => "the user's sockets take nothing now",
            Self::Unconfirmed => "no confirmation within 5 s",
            Self::Injected => "refused by an injected fault",
        }
    }
}

impl Sockets {
    pub(crate) fn new(bus: Bus) -> Self {
        let presence = Presence::over(&bus, random_hex::<8>());
        Self {
            inner: Arc::new(Inner {
                users: Mutex::default(),
                unconfirmed: Mutex::default(),
                confirmed: Confirmed::default(),
                open_count: AtomicU64::new(0),
                bus,
                presence,
                ios: Mutex::default(),
                saying: tokio::sync::Mutex::default(),
                behind: Mutex::default(),
            }),
        }
    }

    /// This process's name to the others; `None` where there are none.
    pub(crate) fn process(&self) -> Option<&str> {
        self.inner.presence.as_ref().map(Presence::instance)
    }

    /// What the processes of the system hear each other by.
    pub(crate) fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    pub(super) fn presence(&self) -> Option<&Presence> {
        self.inner.presence.as_ref()
    }

    /// One more server's Socket.IO.
    pub(super) fn reach_rooms_by(&self, io: SocketIo) {
        self.ios().push(io);
    }

    /// The rooms of all servers.
    pub(super) fn rooms(&self) -> Option<BroadcastOperators<Adapter>> {
        self.rooms_at("/")
    }

    /// The user's sockets by a name that others do not have; `None` where there are none, or all servers
    /// are in this process.
    pub(crate) async fn of_user(&self, user: UserId) -> Option<String> {
        let seen = self.inner.presence.as_ref()?.seen(user).await.ok()?;
        (!seen.is_empty()).then(|| name_of(&seen))
    }

    /// The rooms of another namespace, where this process has it.
    pub(super) fn rooms_at(&self, namespace: &str) -> Option<BroadcastOperators<Adapter>> {
        self.ios().first()?.of(namespace)
    }

    /// The user's sockets in another namespace, at every server of this process.
    pub(super) fn sockets_at(&self, namespace: &str, user: UserId) -> Vec<SocketRef> {
        let ios = self.ios().clone();
        let rooms = ios.iter().filter_map(|io| io.of(namespace));
        let sockets = rooms.map(|rooms| rooms.to(room_of(user)).sockets());
        sockets.flatten().collect()
    }

    fn ios(&self) -> MutexGuard<'_, Vec<SocketIo>> {
        self.inner
            .ios
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes to every socket of the user, on whichever server; where some are named, only to those.
    /// `writes` runs once they are found and Socket.IO is given the message.
    pub(crate) async fn send(
        &self,
        user: UserId,
        message: &InAppMessage,
        only_to: Option<&str>,
        writes: impl FnOnce() + Send,
    ) -> Result<Sending, DeliveryFault> {
        let Some(presence) = &self.inner.presence else {
            return self.send_here(user, message, writes);
        };
        self.send_everywhere(presence, user, message, only_to, writes)
            .await
    }

    fn send_here(
        &self,
        user: UserId,
        message: &InAppMessage,
        writes: impl FnOnce(),
    ) -> Result<Sending, DeliveryFault> {
        let sockets: Vec<(Place, SocketRef)> = {
            let users = self.users();
            let entries = users.get(&user).into_iter().flatten();
            entries
                .map(|entry| (entry.server, entry.socket.clone()))
                .collect()
        };
        if sockets.is_empty() {
            return Err(DeliveryFault::Offline);
        }
        let mut sending = self.sending(user, message, None);
        sending.servers = names_of(sockets.iter().map(|(server, _)| *server));
        writes();
        let written = sockets
            .iter()
            .filter(|(_, socket)| socket.emit("notification:new", message).is_ok());
        sending.socket_count = written.count() as u64;
        if sending.socket_count == 0 {
            Err(DeliveryFault::Unwritable)
        } else {
            Ok(sending)
        }
    }

    async fn send_everywhere(
        &self,
        presence: &Presence,
        user: UserId,
        message: &InAppMessage,
        only_to: Option<&str>,
        writes: impl FnOnce(),
    ) -> Result<Sending, DeliveryFault> {
        let unreachable = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, "a notification cannot be sent to the servers: {error}");
            DeliveryFault::Unwritable
        };
        let expected = presence.expect(user, &message.id).await;
        let (seen, confirmed_by) = expected.map_err(|error| unreachable(&error))?;
        if let Some(socket_id) = confirmed_by {
            // Told already: the worker that heard of it was killed before it stored that.
            let servers = names_of(seen.iter().map(|(server, _)| *server));
            let mut sending = self.sending(user, message, Some(seen));
            (sending.servers, sending.socket_count) = (servers, 1);
            writes();
            self.confirm_here(user, &message.id, socket_id);
            return Ok(sending);
        }
        // Others have come: what was written to those before goes first there.
        if seen.is_empty() || only_to.is_some_and(|sockets| sockets != name_of(&seen)) {
            return Err(DeliveryFault::Offline);
        }
        let rooms = self.rooms().ok_or(DeliveryFault::Unwritable)?;
        let mut sending = self.sending(user, message, Some(seen.clone()));
        sending.servers = names_of(seen.iter().map(|(server, _)| *server));
        writes();
        let sent = rooms
            .to(room_of(user))
            .emit("notification:new", message)
            .await;
        sent.map_err(|error| unreachable(&error))?;
        sending.socket_count = seen.iter().map(|(_, online)| online.sockets).sum();
        Ok(sending)
    }

    /// Known before it is written: a fast client confirms at once.
    fn sending(&self, user: UserId, message: &InAppMessage, seen: Option<Seen>) -> Sending {
        let (confirm, confirmed) = oneshot::channel();
        self.unconfirmed()
            .insert(message.id.clone(), Unconfirmed { user, confirm });
        Sending {
            sockets: self.clone(),
            user,
            id: message.id.clone(),
            socket_count: 0,
            servers: String::new(),
            seen,
            confirmed,
        }
    }

    /// Whether the user has a socket, on whichever server.
    pub(crate) async fn has_user(&self, user: UserId) -> bool {
        match &self.inner.presence {
            None => self.users().contains_key(&user),
            Some(presence) => presence.seen(user).await.is_ok_and(|seen| !seen.is_empty()),
        }
    }

    /// The user's client has it; false where no worker waits for that confirmation.
    pub(super) async fn confirm(
        &self,
        user: UserId,
        notification: &str,
        socket_id: String,
    ) -> bool {
        if self.confirm_here(user, notification, socket_id.clone()) {
            return true;
        }
        let Some(presence) = &self.inner.presence else {
            // Nobody waits for it in this process, and there is no other.
            return self.is_confirmed(user, notification);
        };
        let confirmation = Confirmation {
            user: user.0,
            notification: notification.to_owned(),
            socket_id,
        };
        presence.pass(&confirmation).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "a confirmation does not reach its worker: {error}");
            false
        })
    }

    /// Whether the worker that waits for a confirmation may be another process.
    pub(super) fn are_spread(&self) -> bool {
        self.inner.presence.is_some()
    }

    /// As [`Self::confirm`], for workers of this process.
    pub(super) fn confirm_here(&self, user: UserId, notification: &str, socket_id: String) -> bool {
        let mut unconfirmed = self.unconfirmed();
        if unconfirmed
            .get(notification)
            .is_none_or(|waiting| waiting.user != user)
        {
            return false;
        }
        let waiting = unconfirmed.remove(notification);
        drop(unconfirmed);
        let is_told = waiting.is_some_and(|waiting| waiting.confirm.send(socket_id).is_ok());
        if is_told {
            self.note_confirmed(user, notification);
        }
        is_told
    }

    /// Whether its confirmation is stored, as far as this process remembers.
    pub(super) fn is_confirmed(&self, user: UserId, notification: &str) -> bool {
        self.inner.confirmed.has(user, notification)
    }

    /// Further confirmations of it say nothing new.
    pub(super) fn note_confirmed(&self, user: UserId, notification: &str) {
        self.inner.confirmed.add(user, notification);
    }

    /// Binds a socket to its user; the answer is how many sockets that user has now.
    pub(super) fn bind(
        &self,
        user: UserId,
        server: Place,
        socket: SocketRef,
        since: WallMs,
    ) -> u64 {
        let mut users = self.users();
        let entries = users.entry(user).or_default();
        entries.retain(|entry| entry.socket.id != socket.id);
        entries.push(Entry {
            server,
            socket,
            since,
        });
        entries.len() as u64
    }

    /// Forgets a socket of the user; the answer is how many are left.
    pub(super) fn unbind(&self, user: UserId, socket: &SocketRef) -> u64 {
        let mut users = self.users();
        let Some(entries) = users.get_mut(&user) else {
            return 0;
        };
        entries.retain(|entry| entry.socket.id != socket.id);
        let left = entries.len() as u64;
        if left == 0 {
            users.remove(&user);
        }
        left
    }

    /// Tells the other processes how the user is online at this server now.
    pub(super) async fn say(&self, user: UserId, server: Place) {
        let Some(presence) = &self.inner.presence else {
            return;
        };
        let _in_order = self.inner.saying.lock().await;
        if self.behind().contains(&server) {
            // The next renewal says everything.
            return;
        }
        let online = self
            .users()
            .get(&user)
            .and_then(|entries| online(entries, server, presence.instance()));
        if let Err(error) = presence.note(server, user, online.as_ref()).await {
            tracing::warn!(%error, "other processes do not learn who is online: {error}");
            self.behind().insert(server);
        }
    }

    /// Tells them that this server lives on, and everything where they have lost it.
    pub(super) async fn renew(&self, server: Place) {
        let Some(presence) = &self.inner.presence else {
            return;
        };
        let _in_order = self.inner.saying.lock().await;
        let is_behind = self.behind().contains(&server);
        let is_known = !is_behind && matches!(presence.renew(server).await, Ok(true));
        if is_known {
            return;
        }
        let all: Vec<(UserId, Online)> = {
            let users = self.users();
            let here = users.iter().filter_map(|(&user, entries)| {
                Some((user, online(entries, server, presence.instance())?))
            });
            here.collect()
        };
        match presence.replace(server, &all).await {
            Ok(()) => self.behind().remove(&server),
            Err(_unreachable) => self.behind().insert(server),
        };
    }

    /// Nobody is online at this server any more.
    pub(super) async fn leave(&self, server: Place) {
        if let Some(presence) = &self.inner.presence {
            let _in_order = self.inner.saying.lock().await;
            if let Err(error) = presence.replace(server, &[]).await {
                tracing::debug!(%error, "a server's users count as online a little longer: {error}");
            }
        }
    }

    pub(super) fn opened(&self) -> u64 {
        self.inner.open_count.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn closed(&self) -> u64 {
        self.inner
            .open_count
            .fetch_sub(1, Ordering::Relaxed)
            .saturating_sub(1)
    }

    /// Open connections.
    pub(crate) fn open_count(&self) -> u64 {
        self.inner.open_count.load(Ordering::Relaxed)
    }

    /// Users with a socket in this process.
    pub(crate) fn user_count(&self) -> u64 {
        self.users().len() as u64
    }

    /// The user's sockets in this process.
    pub(super) fn sockets_of(&self, user: UserId) -> Vec<SocketRef> {
        let users = self.users();
        let entries = users.get(&user).into_iter().flatten();
        entries.map(|entry| entry.socket.clone()).collect()
    }

    fn behind(&self) -> MutexGuard<'_, HashSet<Place>> {
        self.inner
            .behind
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, Vec<Entry>>> {
        self.inner
            .users
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn unconfirmed(&self) -> MutexGuard<'_, HashMap<String, Unconfirmed>> {
        self.inner
            .unconfirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sockets at one moment, by a name that others do not have.
fn name_of(seen: &Seen) -> String {
    let one = |(place, online): &(Place, Online)| {
        let Online {
            instance,
            sockets,
            since_ms,
        } = online;
        format!("{}:{instance}:{sockets}:{since_ms}", place.name())
    };
    seen.iter().map(one).collect::<Vec<_>>().join(",")
}

/// The servers among `places`, each once, in their order.
fn names_of(places: impl Iterator<Item = Place> + Clone) -> String {
    let mut names = String::new();
    for server in Place::SERVERS {
        if places.clone().any(|place| place == server) {
            let comma = if names.is_empty() { "" } else { "," };
            names.push_str(comma);
            names.push_str(server.name());
        }
    }
    names
}

/// What one server says about a user with these sockets.
fn online(entries: &[Entry], server: Place, instance: &str) -> Option<Online> {
    let here = || entries.iter().filter(|entry| entry.server == server);
    Some(Online {
        instance: instance.to_owned(),
        sockets: here().count() as u64,
        since_ms: here().map(|entry| entry.since.0).min()?,
    })
}
