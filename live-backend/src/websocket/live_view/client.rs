//! One client of the live view: what it wants, what it was sent, what it missed.
//!
//! Belongs here: sending batches to one socket at the socket's own pace. Does not belong here: what is in
//! them.
//!
//! A socket that takes nothing holds its own task up and nobody else: batches go on meanwhile, the oldest
//! are lost to this client, and before the next one it is told how many events that were. What waits for a
//! client is bounded: the packets of its socket, and the shared batches of a second and a half.

use super::subscription::Subscription;
use super::wire::{self, BadOption, Form, Format, Item, PackError};
use super::{LiveView, send};
use crate::security::tokens::Claims;
use crate::telemetry::live::{Batch, LiveEvent};
use crate::websocket::bus::SocketRef;
use crate::websocket::limits::put_out;
use crate::websocket::message::AuthError;
use serde::Serialize;
use socketioxide::{SendError, SocketError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

/// How soon a full socket is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(10);
/// Events in one packet at most.
const ITEMS_MAX: usize = 500;
/// How often a session is looked up again, in seconds.
const SESSION_CHECK_S: u64 = 10;
/// Name of the event that tells what was missed.
const MISSED: &str = "events:missed";

/// A connected client.
pub(super) struct Client {
    pub(super) subscription: Subscription,
    form: Form,
    /// When its token expires, in seconds since 1970; 0 as long as nothing is proved.
    proved_until_s: AtomicU64,
    proved: CancellationToken,
    gone: CancellationToken,
    /// The program stops; who takes nothing then is not waited for.
    stopping: CancellationToken,
}

/// Data of `events:missed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Missed {
    /// Events told meanwhile, of whatever name.
    count: u64,
    from_seq: u64,
    to_seq: u64,
    seq: u64,
}

/// Nothing can be sent any more.
struct Gone;

impl Client {
    /// What the address of the connection asks for.
    pub(super) fn new(socket: &SocketRef, stopping: CancellationToken) -> Result<Self, BadOption> {
        Ok(Self {
            subscription: Subscription::default(),
            form: Form::read(socket.req_parts().uri.query())?,
            proved_until_s: AtomicU64::new(0),
            proved: CancellationToken::new(),
            gone: CancellationToken::new(),
            stopping,
        })
    }

    /// The client may listen until then; the answer is whether it may not have before.
    pub(super) fn is_admitted(&self, until_s: u64) -> bool {
        let before = self.proved_until_s.swap(until_s, Ordering::AcqRel);
        self.proved.cancel();
        before == 0
    }

    /// Whether it proves who it is in time, or leaves.
    pub(super) async fn proves_itself_within(&self, limit: Duration) -> bool {
        tokio::select! {
            () = self.proved.cancelled() => true,
            () = self.gone.cancelled() => true,
            () = tokio::time::sleep_until(tokio::time::Instant::now() + limit) => false,
        }
    }

    /// The socket is closed, or is to be.
    pub(super) fn left(&self) {
        self.gone.cancel();
    }

    /// Sends `first`, then every batch, until the client leaves, its token expires or its session ends.
    pub(super) async fn follow(
        self: Arc<Self>,
        socket: SocketRef,
        first: LiveEvent,
        mut batches: Receiver<Arc<Batch>>,
        view: LiveView,
        claims: Claims,
    ) {
        let clock = view.inner.parts.telemetry.clock();
        let mut session_due_s = clock.wall_ms() / 1000 + SESSION_CHECK_S;
        // Batches that were under way before this one began end with it or before it.
        let mut next_seq = first.seq + 1;
        if self.send_events(&socket, &[&first]).await.is_err() {
            return;
        }
        loop {
            let batch = tokio::select! {
                biased;
                () = self.gone.cancelled() => return,
                received = batches.recv() => match received {
                    Ok(batch) => batch,
                    // Told by the numbers of the next one.
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return,
                },
            };
            let now_s = clock.wall_ms() / 1000;
            if now_s >= self.proved_until_s.load(Ordering::Acquire) {
                self.dismiss(&socket, "this token has expired; connect with another one")
                    .await;
                return;
            }
            if now_s >= session_due_s {
                session_due_s = now_s + SESSION_CHECK_S;
                // A store that cannot be asked ends nobody's session.
                if view.has_open_session(&claims).await == Ok(false) {
                    self.dismiss(&socket, "this session has ended; log in again")
                        .await;
                    return;
                }
            }
            if batch.last_seq() < next_seq {
                continue;
            }
            if self.send_batch(&socket, &batch, next_seq).await.is_err() {
                return;
            }
            next_seq = batch.last_seq() + 1;
        }
    }

    async fn send_batch(&self, socket: &SocketRef, batch: &Batch, next: u64) -> Result<(), Gone> {
        if let Some(missed) = missed(next, batch.first_seq()) {
            tracing::debug!(
                missed.count,
                "a client is slow and missed {} events",
                missed.count
            );
            self.send_missed(socket, missed).await?;
        }
        let wanted = self.subscription.wanted();
        let is_wanted =
            |event: &&LiveEvent| event.seq >= next && event.payload.name().bit() & wanted != 0;
        let events: Vec<&LiveEvent> = batch.events.iter().filter(is_wanted).collect();
        self.send_events(socket, &events).await
    }

    async fn send_events(&self, socket: &SocketRef, events: &[&LiveEvent]) -> Result<(), Gone> {
        match self.form {
            Form::Named(format) => {
                for event in events {
                    let name = event.payload.name();
                    // The client may have changed its mind since the batch was begun.
                    if self.subscription.has(name) {
                        self.send_one(socket, name.name(), *event, format).await?;
                    }
                }
                Ok(())
            }
            Form::Batch(_) | Form::Zipped(_) => {
                for chunk in events.chunks(ITEMS_MAX) {
                    self.send_items(socket, &wire::items(chunk)).await?;
                }
                Ok(())
            }
        }
    }

    async fn send_missed(&self, socket: &SocketRef, missed: Missed) -> Result<(), Gone> {
        match self.form {
            Form::Named(format) => self.send_one(socket, MISSED, &missed, format).await,
            Form::Batch(_) | Form::Zipped(_) => {
                let item = Item {
                    event: MISSED,
                    data: &missed,
                };
                self.send_items(socket, &[item]).await
            }
        }
    }

    async fn send_one<T: Serialize>(
        &self,
        socket: &SocketRef,
        name: &str,
        data: &T,
        format: Format,
    ) -> Result<(), Gone> {
        match format {
            Format::Json => self.emit(socket, name, data).await,
            Format::MessagePack => {
                let binary = sound(wire::packed(data))?;
                self.emit(socket, name, &binary).await
            }
        }
    }

    async fn send_items<T: Serialize>(
        &self,
        socket: &SocketRef,
        items: &[Item<'_, T>],
    ) -> Result<(), Gone> {
        match self.form {
            Form::Named(Format::Json) | Form::Batch(Format::Json) => {
                self.emit(socket, "batch", items).await
            }
            Form::Named(Format::MessagePack) | Form::Batch(Format::MessagePack) => {
                let binary = sound(wire::packed(&items))?;
                self.emit(socket, "batch", &binary).await
            }
            Form::Zipped(zip) => {
                let binary = sound(wire::zipped(&items, zip))?;
                self.emit(socket, "batch", &binary).await
            }
        }
    }

    async fn dismiss(&self, socket: &SocketRef, message: &'static str) {
        let over = AuthError {
            code: "unauthorized",
            message,
        };
        send(socket, "auth:error", &over);
        self.put_out(socket).await;
    }

    /// Closes the socket, unless the program stops before it takes that.
    pub(super) async fn put_out(&self, socket: &SocketRef) {
        self.stopping.run_until_cancelled(put_out(socket)).await;
    }

    /// Sends one packet, however long the socket takes.
    async fn emit<T: Serialize + ?Sized>(
        &self,
        socket: &SocketRef,
        name: &str,
        data: &T,
    ) -> Result<(), Gone> {
        loop {
            match socket.emit(name, data) {
                Ok(()) => return Ok(()),
                Err(SendError::Socket(SocketError::InternalChannelFull)) => {
                    let later = tokio::time::Instant::now() + FULL_PAUSE;
                    tokio::select! {
                        biased;
                        () = self.gone.cancelled() => return Err(Gone),
                        () = self.stopping.cancelled() => return Err(Gone),
                        () = tokio::time::sleep_until(later) => {}
                    }
                }
                Err(SendError::Socket(SocketError::Closed)) => return Err(Gone),
                Err(SendError::Serialize(error)) => {
                    tracing::error!(%error, "a live event cannot be written: {error}");
                    return Ok(());
                }
            }
        }
    }
}

fn sound<T>(packed: Result<T, PackError>) -> Result<T, Gone> {
    packed.map_err(|error| {
        tracing::error!(%error, "a client of the live view is left: {error}");
        Gone
    })
}

/// What lies between the event that was due and the one that comes.
fn missed(next: u64, first: u64) -> Option<Missed> {
    let count = first.checked_sub(next).filter(|&count| count > 0)?;
    Some(Missed {
        count,
        from_seq: next,
        to_seq: first - 1,
        seq: first - 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_what_the_numbers_leave_out() {
        assert_eq!(missed(5, 5), None);
        assert_eq!(missed(6, 5), None);
        let missed = missed(5, 9).unwrap();
        assert_eq!((missed.count, missed.from_seq, missed.to_seq), (4, 5, 8));
    }
}
