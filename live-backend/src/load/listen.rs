//! One socket of the driver: it hears, confirms, comes back when it is lost, and stays until the end.
//!
//! Belongs here: what a client does with its socket. Does not belong here: whose request a notification
//! answers (user.rs), when the way back is tried (reconnect.rs).

use super::reconnect::{Pause, Reconnect};
use super::report::Times;
use super::schedule::Draws;
use super::socket::{Socket, SocketError};
use super::user::{Hearing, User, news_of};
use crate::telemetry::{Class, Clock};
use flowreel_engine::model::time::TimeNs;
use serde_json::json;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

/// A notification that answers a request, at the first socket of its user that had it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) ticket: u64,
    pub(super) class: Class,
    pub(super) intended: TimeNs,
    pub(super) at: TimeNs,
    pub(super) overtaken_by: Option<TimeNs>,
}

/// What all sockets count together.
#[derive(Debug)]
pub(super) struct SocketCounts {
    pub(super) lost: AtomicU64,
    pub(super) reconnected: AtomicU64,
    pub(super) breaker_opened: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) unacked: AtomicU64,
    /// Copies of requests intended before this moment are not measured.
    measured_from: AtomicU64,
    copies: Mutex<Times>,
}

/// A socket of the driver, connected or not.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) base: String,
    /// Whose it is, and which of that user's it is; nobody's sockets only stay.
    pub(super) owner: Option<(User, usize)>,
    pub(super) source: Option<IpAddr>,
    pub(super) draws: Draws,
}

/// What listening needs beside the socket.
#[derive(Clone, Debug)]
pub(super) struct Ear {
    pub(super) clock: Clock,
    pub(super) heard: Sender<Heard>,
    pub(super) counts: std::sync::Arc<SocketCounts>,
    pub(super) stop: CancellationToken,
}

impl SocketCounts {
    pub(super) fn new() -> Self {
        Self {
            lost: AtomicU64::new(0),
            reconnected: AtomicU64::new(0),
            breaker_opened: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            unacked: AtomicU64::new(0),
            measured_from: AtomicU64::new(u64::MAX),
            copies: Mutex::new(Times::new()),
        }
    }

    /// Measuring begins with requests intended from here on.
    pub(super) fn measure_from(&self, moment: TimeNs) {
        self.measured_from.store(moment.0, Ordering::Relaxed);
    }

    /// Intended start to each socket of the user concerned.
    pub(super) fn copies(&self) -> Times {
        let copies = self.copies.lock();
        copies.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count_copy(&self, intended: TimeNs, at: TimeNs) {
        if intended.0 >= self.measured_from.load(Ordering::Relaxed) {
            let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
            copies.record(at.since_ns(intended));
        }
    }
}

impl Listener {
    /// Connects, and proves who it is where it is somebody's.
    pub(super) async fn connect(&self) -> Result<Socket, SocketError> {
        let mut socket = Socket::connect_from(&self.base, "/", self.source).await?;
        if let Some((user, _)) = &self.owner {
            socket.authenticate(&user.token()).await?;
        }
        Ok(socket)
    }

    /// Listens until told to stop, and comes back as often as it is lost.
    pub(super) async fn listen(mut self, mut socket: Socket, ear: Ear) {
        loop {
            tokio::select! {
                () = ear.stop.cancelled() => {
                    socket.close().await;
                    return;
                }
                error = self.hear(&mut socket, &ear) => {
                    tracing::debug!(%error, "a socket is lost: {error}");
                }
            }
            ear.counts.lost.fetch_add(1, Ordering::Relaxed);
            let Some(again) = self.come_back(&ear).await else {
                return;
            };
            ear.counts.reconnected.fetch_add(1, Ordering::Relaxed);
            socket = again;
        }
    }

    /// Tries until it is connected; `None` where the run ends before.
    async fn come_back(&mut self, ear: &Ear) -> Option<Socket> {
        let mut way = Reconnect::default();
        loop {
            let pause = match way.next_pause(self.draws.unit()) {
                Pause::Delay(delay) => delay,
                Pause::Breaker(open) => {
                    ear.counts.breaker_opened.fetch_add(1, Ordering::Relaxed);
                    open
                }
            };
            let pause_ns = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
            let at = TimeNs(ear.clock.now().0.saturating_add(pause_ns));
            let tried = async {
                ear.clock.sleep_until(at).await;
                self.connect().await
            };
            tokio::select! {
                () = ear.stop.cancelled() => return None,
                connected = tried => match connected {
                    Ok(socket) => return Some(socket),
                    Err(error) => tracing::debug!(%error, "a socket stays lost: {error}"),
                },
            }
        }
    }

    /// Hears and confirms until the socket fails.
    async fn hear(&self, socket: &mut Socket, ear: &Ear) -> SocketError {
        loop {
            let event = match socket.next_event().await {
                Ok(event) => event,
                Err(error) => return error,
            };
            let at = ear.clock.now();
            let (Some((user, number)), Some(news)) = (&self.owner, news_of(&event)) else {
                continue;
            };
            let confirm = json!({ "id": news.id });
            if let Err(error) = socket.emit("notification:ack", &confirm).await {
                ear.counts.unacked.fetch_add(1, Ordering::Relaxed);
                return error;
            }
            match user.expected.hear(&news, *number) {
                Hearing::Repeated => {
                    ear.counts.duplicates.fetch_add(1, Ordering::Relaxed);
                }
                Hearing::Copy { intended } => {
                    if let Some(intended) = intended {
                        ear.counts.count_copy(intended, at);
                    }
                }
                Hearing::First {
                    waiting: Some(waiting),
                    overtaken_by,
                } => {
                    ear.counts.count_copy(waiting.intended, at);
                    let heard = Heard {
                        ticket: waiting.ticket,
                        class: news.class,
                        intended: waiting.intended,
                        at,
                        overtaken_by,
                    };
                    if ear.heard.send(heard).await.is_err() {
                        tracing::trace!("the run is over; nobody counts any more");
                    }
                }
                Hearing::First { waiting: None, .. } => {}
            }
        }
    }
}
