//! What one connection may do: how many messages, and how long it may stay unknown.
//!
//! Belongs here: counting and refusing. Does not belong here: frame sizes (Socket.IO's settings), events.
//!
//! The count belongs to the connection, not to a namespace: who is put out of a namespace and comes back
//! on the same connection finds it as it was.

use super::bus::{BusError, SocketRef, next_heard};
use super::live_view;
use super::message::AuthError;
use super::namespace::room_of;
use super::registry::Sockets;
use crate::models::UserId;
use axum::extract::Request;
use serde::Serialize;
use socketioxide_redis::drivers::Driver;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Messages a second; as many may come at once.
const MESSAGES_PER_S: u64 = 100;
/// Time after which one more is allowed.
const PER_MESSAGE_NS: u64 = 1_000_000_000 / MESSAGES_PER_S;

/// How long one who sent too many is still read from: a connection closed over unread messages is reset,
/// and a reset takes what we said last with it.
const FAREWELL: Duration = Duration::from_millis(250);

/// Where every server hears whose sessions have ended.
const ENDED_CHANNEL: &str = "flowreel:ended";
/// Such messages that may wait for this process.
const ENDS_MAX: usize = 1024;

/// Messages of one connection: the one moment at which all may come at once again.
#[derive(Default)]
pub(super) struct Rate {
    full_at_ns: AtomicU64,
    /// It sent too many, and is being put out.
    is_over: AtomicBool,
}

/// Data of `error`.
#[derive(Serialize)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) message: &'static str,
}

/// Gives each new connection its count; a layer around Socket.IO's own.
pub(crate) async fn count_messages(mut request: Request) -> Request {
    if request.uri().path().starts_with("/socket.io") {
        request.extensions_mut().insert(Arc::new(Rate::default()));
    }
    request
}

/// Counts a message; false where the connection has sent too many, which puts it out.
pub(super) async fn may_speak(socket: &SocketRef, now_ns: u64) -> bool {
    let Some(rate) = socket.req_parts().extensions.get::<Arc<Rate>>() else {
        return true;
    };
    if rate.is_over.load(Ordering::Relaxed) {
        return false;
    }
    if rate.take(now_ns) {
        return true;
    }
    if rate.is_over.swap(true, Ordering::Relaxed) {
        return false;
    }
    let refusal = Refusal {
        code: "rate_limited",
        message: "more than 100 messages in a second; the connection ends",
    };
    if let Err(error) = socket.emit("error", &refusal) {
        tracing::debug!(%error, "a client is put out without a word: {error}");
    }
    tokio::time::sleep_until(tokio::time::Instant::now() + FAREWELL).await;
    put_out(socket).await;
    // Who comes back on the same connection finds its count as it was.
    if let Some(rate) = socket.req_parts().extensions.get::<Arc<Rate>>() {
        rate.is_over.store(false, Ordering::Relaxed);
    }
    false
}

/// Closes the socket, also one that takes nothing now: it is tried until it is closed.
pub(super) async fn put_out(socket: &SocketRef) {
    while socket.connected() && socket.clone().disconnect().is_err() {
        tokio::time::sleep_until(tokio::time::Instant::now() + FAREWELL).await;
    }
}

impl Sockets {
    /// Puts the user's sockets out, on whichever server: the sessions behind them have ended.
    pub(crate) async fn end_user(&self, user: UserId) {
        let Some(rooms) = self.rooms() else {
            return;
        };
        let ended = AuthError {
            code: "session_ended",
            message: "this session has ended; log in again",
        };
        for rooms in std::iter::once(rooms).chain(self.rooms_at(live_view::NAMESPACE)) {
            let of_user = rooms.to(room_of(user));
            if let Err(error) = of_user.clone().emit("auth:error", &ended).await {
                tracing::debug!(%error, "sockets of user {user} are not told of their end: {error}");
            }
            if let Err(error) = of_user.disconnect().await {
                tracing::debug!(%error, "sockets of user {user} take nothing now: {error}");
            }
        }
        let message = user.to_string().into_bytes();
        if let Err(error) = self.bus().tell(ENDED_CHANNEL, message).await {
            tracing::warn!(%error, "sockets of user {user} may stay open after the logout: {error}");
        }
    }

    /// Puts out who took nothing when the user's sockets were closed, until stopped.
    pub(crate) async fn hear_ends(
        &self,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<(), BusError> {
        let bus = self.bus();
        let mut heard = bus.subscribe(ENDED_CHANNEL.to_owned(), ENDS_MAX).await?;
        let (sockets, all, stop) = (self.clone(), tracker.clone(), stop.clone());
        tracker.spawn(async move {
            while let Some(message) = next_heard(&mut heard, &stop).await {
                let Some(user) = std::str::from_utf8(&message).ok().and_then(UserId::parse) else {
                    continue;
                };
                // Those that log in from now on are not meant.
                let mut left = sockets.sockets_of(user);
                let watching = sockets.sockets_at(live_view::NAMESPACE, user);
                watching.iter().for_each(live_view::end_batches);
                left.extend(watching);
                for socket in left {
                    let stop = stop.clone();
                    all.spawn(async move {
                        let last_words = tokio::time::Instant::now() + FAREWELL;
                        tokio::select! {
                            () = stop.cancelled() => return,
                            () = tokio::time::sleep_until(last_words) => {}
                        }
                        stop.run_until_cancelled(put_out(&socket)).await;
                    });
                }
            }
        });
        Ok(())
    }
}

impl Rate {
    fn take(&self, now_ns: u64) -> bool {
        let next = |full_at_ns: u64| {
            let next = full_at_ns.max(now_ns).saturating_add(PER_MESSAGE_NS);
            (next.saturating_sub(now_ns) <= MESSAGES_PER_S * PER_MESSAGE_NS).then_some(next)
        };
        self.full_at_ns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_messages_a_second_pass() {
        let rate = Rate::default();
        let second = 1_000_000_000;
        assert_eq!((0..150).filter(|_| rate.take(second)).count(), 100);
        assert!(!rate.take(second + PER_MESSAGE_NS - 1));
        assert!(rate.take(second + PER_MESSAGE_NS));
        assert_eq!((0..150).filter(|_| rate.take(9 * second)).count(), 100);
    }
}
