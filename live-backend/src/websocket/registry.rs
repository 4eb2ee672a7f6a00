//! Who is connected: the sockets of every user on every server, and what they have not confirmed yet.
//!
//! Belongs here: sending to a user, matching confirmations. Does not belong here: Socket.IO's handshake.

use super::message::InAppMessage;
use crate::models::UserId;
use crate::telemetry::Place;
use socketioxide::extract::SocketRef;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a client may take to confirm.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);

/// All client sockets; cheap to copy.
#[derive(Clone, Default)]
pub(crate) struct Sockets {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    users: Mutex<HashMap<UserId, Vec<Entry>>>,
    unconfirmed: Mutex<HashMap<String, Unconfirmed>>,
    open_count: AtomicU64,
}

struct Entry {
    server: Place,
    socket: SocketRef,
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

/// A notification on its way; forgotten when dropped.
pub(crate) struct Sending {
    sockets: Sockets,
    id: String,
    socket_count: u64,
    confirmed: oneshot::Receiver<String>,
}

impl Sending {
    /// Sockets it was written to.
    pub(crate) const fn socket_count(&self) -> u64 {
        self.socket_count
    }

    /// Waits for the client's confirmation; the answer is the id of the socket that sent it.
    pub(crate) async fn confirmed(mut self) -> Result<String, DeliveryFault> {
        match tokio::time::timeout(CONFIRM_TIMEOUT, &mut self.confirmed).await {
            Ok(Ok(socket_id)) => Ok(socket_id),
            Ok(Err(_)) | Err(_) => Err(DeliveryFault::Unconfirmed),
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.sockets.unconfirmed().remove(&self.id);
    }
}

impl Sockets {
    /// Writes to every socket of the user, on whichever server.
    pub(crate) fn send(
        &self,
        user: UserId,
        message: &InAppMessage,
    ) -> Result<Sending, DeliveryFault> {
        let sockets: Vec<SocketRef> = self
            .users()
            .get(&user)
            .map(|entries| entries.iter().map(|entry| entry.socket.clone()).collect())
            .unwrap_or_default();
        if sockets.is_empty() {
            return Err(DeliveryFault::Offline);
        }
        let (confirm, confirmed) = oneshot::channel();
        // Known before it is written: a fast client confirms at once.
        self.unconfirmed()
            .insert(message.id.clone(), Unconfirmed { user, confirm });
        let written = sockets
            .iter()
            .filter(|socket| socket.emit("notification:new", message).is_ok());
        let sending = Sending {
            sockets: self.clone(),
            id: message.id.clone(),
            socket_count: written.count() as u64,
            confirmed,
        };
        if sending.socket_count == 0 {
            Err(DeliveryFault::Unwritable)
        } else {
            Ok(sending)
        }
    }

    /// Whether the user has a socket.
    pub(crate) fn has_user(&self, user: UserId) -> bool {
        self.users().contains_key(&user)
    }

    /// The user's client has it; false where nothing waits for that confirmation.
    pub(super) fn confirm(&self, user: UserId, notification: &str, socket_id: String) -> bool {
        let mut unconfirmed = self.unconfirmed();
        if unconfirmed
            .get(notification)
            .is_none_or(|waiting| waiting.user != user)
        {
            return false;
        }
        let waiting = unconfirmed.remove(notification);
        drop(unconfirmed);
        waiting.is_some_and(|waiting| waiting.confirm.send(socket_id).is_ok())
    }

    /// Binds a socket to its user; the answer is how many sockets that user has now.
    pub(super) fn bind(&self, user: UserId, server: Place, socket: SocketRef) -> u64 {
        let mut users = self.users();
        let entries = users.entry(user).or_default();
        entries.retain(|entry| entry.socket.id != socket.id);
        entries.push(Entry { server, socket });
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

    /// Users with a socket, and their sockets per server.
    pub(crate) fn user_counts(&self) -> (u64, HashMap<Place, u64>) {
        let users = self.users();
        let mut per_server = HashMap::new();
        for entry in users.values().flatten() {
            *per_server.entry(entry.server).or_default() += 1;
        }
        (users.len() as u64, per_server)
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
