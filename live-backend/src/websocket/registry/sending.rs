//! A notification on its way to a user's sockets, until a client confirms it.
//!
//! Belongs here: waiting for the confirmation. Does not belong here: writing to sockets (registry).

use super::{DeliveryFault, Sockets, name_of};
use crate::models::UserId;
use crate::websocket::presence::Seen;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a client may take to confirm.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is looked meanwhile whether the user has come back on other sockets.
const CONFIRM_LOOK: Duration = Duration::from_millis(500);

/// A notification on its way; forgotten when dropped.
pub(crate) struct Sending {
    pub(super) sockets: Sockets,
    pub(super) user: UserId,
    pub(super) id: String,
    pub(super) socket_count: u64,
    /// Where those sockets are, separated by commas.
    pub(super) servers: String,
    /// Where the user was online on other servers when it was sent.
    pub(super) seen: Option<Seen>,
    pub(super) confirmed: oneshot::Receiver<String>,
}

impl Sending {
    /// Sockets it was written to.
    pub(crate) const fn socket_count(&self) -> u64 {
        self.socket_count
    }

    /// The servers that have those sockets, separated by commas.
    pub(crate) fn servers(&self) -> &str {
        &self.servers
    }

    /// The sockets it was written to, where they may be on other servers; others come by another name.
    pub(crate) fn sockets(&self) -> Option<String> {
        self.seen.as_ref().map(name_of)
    }

    /// Waits for the client's confirmation; the answer is the id of the socket that sent it.
    pub(crate) async fn confirmed(mut self) -> Result<String, DeliveryFault> {
        let give_up_at = Instant::now() + CONFIRM_TIMEOUT;
        loop {
            let look_at = give_up_at.min(Instant::now() + CONFIRM_LOOK);
            match tokio::time::timeout_at(look_at, &mut self.confirmed).await {
                Ok(Ok(socket_id)) => return Ok(socket_id),
                Ok(Err(_)) => return Err(DeliveryFault::Unconfirmed),
                Err(_elapsed) => {}
            }
            let is_last = look_at == give_up_at;
            // A user whose sockets are other ones by now never got it: a killed server took them along.
            match self.others_by_now().await {
                Some(others) if is_last || !others.is_empty() => {
                    return Err(DeliveryFault::Offline);
                }
                _ if is_last => return Err(DeliveryFault::Unconfirmed),
                _ => {}
            }
        }
    }

    /// The user's sockets, where they are not those it was written to.
    async fn others_by_now(&self) -> Option<Seen> {
        let (before, presence) = (self.seen.as_ref()?, self.sockets.inner.presence.as_ref()?);
        let now = presence.seen(self.user).await.ok()?;
        (now != *before).then_some(now)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.sockets.unconfirmed().remove(&self.id);
    }
}
