//! Namespace `/`: clients prove who they are, get their notifications, confirm them.
//!
//! Belongs here: Socket.IO's settings and the events of this namespace. Does not belong here: the
//! registry, tokens' contents.

use super::bus::{Adapter, Bus, BusError, SocketIo, SocketRef};
use super::limits::{self, Refusal, put_out};
use super::live_view::{self, LiveView};
use super::message::{AuthError, AuthSuccess, MarkedRead, text_of, texts_of};
use super::registry::Sockets;
use crate::models::{UserId, WallMs};
use crate::queue::Queues;
use crate::security::tokens::Tokens;
use crate::store::Store;
use crate::telemetry::{Place, Telemetry};
use serde_json::{Value, json};
use socketioxide::extract::TryData;
use socketioxide::handler::ConnectHandler;
use socketioxide::layer::SocketIoLayer;
use socketioxide_redis::{InitError, RedisAdapterConfig, RedisAdapterCtr};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Largest frame and polling body a client may send, in bytes.
const PAYLOAD_BYTES_MAX: u64 = 64 * 1024;
/// What each socket holds to read into; larger frames take more for as long as they are read.
const READ_BUFFER_BYTES: usize = 1024;
/// Packets waiting for one slow client; further ones fail for it.
const CLIENT_BUFFER_PACKETS: usize = 256;
/// The room of every socket that has proved whose it is.
pub(super) const EVERYBODY: &str = "authenticated";
/// Longest id of a notification that is looked at, in bytes.
const ID_BYTES_MAX: usize = 128;
/// Notifications named in one `notification:markRead`.
const MARKED_MAX: usize = 1000;

/// What the events need.
#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) sockets: Sockets,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) store: Store,
    pub(crate) queues: Queues,
    pub(crate) telemetry: Telemetry,
    pub(crate) live_view: LiveView,
    /// Socket.IO's own ping; a client silent for twice as long is dropped.
    pub(crate) heartbeat: Duration,
    /// A client that has not proved who it is by then is put out.
    pub(crate) auth_timeout: Duration,
    /// Connections accepted in all; 0 is no limit.
    pub(crate) connections_max: u64,
    /// Nobody is waited for any more.
    pub(crate) stopping: CancellationToken,
}

/// The sockets of one server; cheap to copy.
#[derive(Clone)]
pub(crate) struct ServerSockets {
    io: SocketIo,
    pub(crate) layer: SocketIoLayer<Adapter>,
}

impl ServerSockets {
    /// Cuts every connection of this server; new ones may come.
    pub(crate) async fn cut(&self) {
        for namespace in ["/", live_view::NAMESPACE] {
            let Some(all) = self.io.of(namespace) else {
                continue;
            };
            if let Err(error) = all.local().disconnect().await {
                tracing::warn!(%error, "some sockets of {namespace} were not cut: {error}");
            }
        }
    }

    /// Closes every connection of this server.
    pub(crate) async fn close(&self) {
        self.io.close().await;
    }
}

/// The user a socket belongs to, once it has proved it.
#[derive(Clone, Copy)]
struct Owner(UserId);

/// It counts, or would have counted, as one that has proved it.
#[derive(Clone, Copy)]
struct Counted;

/// Done once the client has proved who it is, or has left.
#[derive(Clone)]
struct Settled(CancellationToken);

/// How many connections there were with this one.
#[derive(Clone, Copy)]
struct Position(u64);

impl Gateway {
    /// Socket.IO for one server.
    pub(crate) async fn attach(&self, server: Place) -> Result<ServerSockets, BusError> {
        let (layer, io) = socketioxide::SocketIo::builder()
            .ping_interval(self.heartbeat)
            .ping_timeout(self.heartbeat)
            .max_payload(PAYLOAD_BYTES_MAX)
            .ws_max_message_size(usize::try_from(PAYLOAD_BYTES_MAX).unwrap_or(usize::MAX))
            .ws_max_frame_size(usize::try_from(PAYLOAD_BYTES_MAX).unwrap_or(usize::MAX))
            .max_buffer_size(CLIENT_BUFFER_PACKETS)
            .ws_read_buffer_size(READ_BUFFER_BYTES)
            .with_adapter::<Adapter>(adapter_over(self.sockets.bus()))
            .build_layer();
        let gateway = self.clone();
        // A middleware runs before the client is told that it is connected; a handler runs beside what
        // the client sends next, and an early `authenticate` would find nobody listening.
        let listen = {
            let gateway = self.clone();
            async move |socket: SocketRef| {
                gateway.listen(&socket, server);
                Ok::<_, Infallible>(())
            }
        };
        let connected = async move |socket: SocketRef| gateway.connected(&socket).await;
        io.ns("/", connected.with(listen))
            .await
            .map_err(bus_error)?;
        self.live_view.attach(&io).await?;
        self.sockets.reach_rooms_by(io.clone());
        Ok(ServerSockets { io, layer })
    }

    async fn connected(&self, socket: &SocketRef) {
        let is_over = |Position(open)| self.connections_max > 0 && open > self.connections_max;
        if socket.extensions.get::<Position>().is_some_and(is_over) {
            let full = AuthError {
                code: "full",
                message: "too many connections, try later",
            };
            self.send(socket, "auth:error", &full);
            put_out(socket).await;
            return;
        }
        let deadline = tokio::time::Instant::now() + self.auth_timeout;
        let settled = socket.extensions.get::<Settled>();
        let settled = async {
            match settled {
                Some(Settled(settled)) => settled.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // This holds the store, which is closed only once nobody does.
            () = self.stopping.cancelled() => return,
            () = settled => return,
            () = tokio::time::sleep_until(deadline) => {}
        }
        if socket.connected() && socket.extensions.get::<Owner>().is_none() {
            let late = AuthError {
                code: "auth_timeout",
                message: "nobody authenticated on this socket in time",
            };
            self.send(socket, "auth:error", &late);
            put_out(socket).await;
        }
    }

    /// Every message counts, whatever it is.
    async fn may_speak(&self, socket: &SocketRef) -> bool {
        limits::may_speak(socket, self.telemetry.now().0).await
    }

    fn on_unknown(&self, socket: &SocketRef) {
        let gateway = self.clone();
        socket.on_fallback(async move |socket: SocketRef| {
            if gateway.may_speak(&socket).await {
                let unknown = Refusal {
                    code: "unknown_event",
                    message: "this namespace knows no such event",
                };
                gateway.send(&socket, "error", &unknown);
            }
        });
    }

    fn listen(&self, socket: &SocketRef, server: Place) {
        let open = self.sockets.opened();
        self.live_view.audience().opened(socket.id, server);
        self.telemetry.connection_opened(open);
        socket.extensions.insert(Position(open));
        socket.extensions.insert(Settled(CancellationToken::new()));
        self.on_leave(socket, server);
        self.on_authenticate(socket, server);
        self.on_confirm(socket);
        self.on_mark_read(socket);
        self.on_unknown(socket);
        let gateway = self.clone();
        socket.on("ping", async move |socket: SocketRef| {
            if !gateway.may_speak(&socket).await {
                return;
            }
            let now = WallMs(gateway.telemetry.clock().wall_ms());
            gateway.send(&socket, "pong", &json!({ "timestamp": now }));
        });
    }

    fn on_authenticate(&self, socket: &SocketRef, server: Place) {
        let gateway = self.clone();
        socket.on(
            "authenticate",
            async move |socket: SocketRef, TryData(data): TryData<Value>| {
                if !gateway.may_speak(&socket).await {
                    return;
                }
                let data = data.unwrap_or(Value::Null);
                match gateway.owner_of(text_of(&data, &["token"])).await {
                    Ok(user) => gateway.admit(&socket, server, user).await,
                    Err(error) => gateway.send(&socket, "auth:error", &error),
                }
            },
        );
    }

    async fn owner_of(&self, token: Option<&str>) -> Result<UserId, AuthError> {
        let refused = |message| AuthError {
            code: "unauthorized",
            message,
        };
        let token = token.ok_or(refused("send {\"token\": sessionToken}"))?;
        let claims = self
            .tokens
            .check(token)
            .map_err(|fault| refused(fault.message()))?;
        let user = claims
            .user_id()
            .ok_or(refused("this token belongs to no user"))?;
        let now = WallMs(self.telemetry.clock().wall_ms());
        match self.store.is_session_open(claims.sid, now).await {
            Ok(true) => Ok(user),
            Ok(false) => Err(refused("this session has ended; log in again")),
            Err(error) => {
                tracing::error!(%error, "a session cannot be looked up: {error}");
                Err(AuthError {
                    code: "store_unavailable",
                    message: "the store cannot be reached now, try again",
                })
            }
        }
    }

    async fn admit(&self, socket: &SocketRef, server: Place, user: UserId) {
        if let Some(Owner(before)) = socket.extensions.insert(Owner(user))
            && before != user
        {
            self.sockets.unbind(before, socket);
            socket.leave(room_of(before));
            self.sockets.say(before, server).await;
        }
        socket.join([room_of(user), EVERYBODY.to_owned()]);
        let now = WallMs(self.telemetry.clock().wall_ms());
        let member_count = self.sockets.bind(user, server, socket.clone(), now);
        if !socket.connected() {
            // It left while its session was looked up, and who heard of that found nothing bound.
            self.sockets.unbind(user, socket);
            socket.leave_all();
            self.sockets.say(user, server).await;
            return;
        }
        self.live_view
            .audience()
            .authenticated(socket.id, user, now);
        if socket.extensions.insert(Counted).is_none() {
            self.telemetry.connection_authenticated(user.0);
        }
        self.telemetry.room_joined(member_count);
        self.sockets.say(user, server).await;
        settle(socket);
        let success = AuthSuccess {
            user_id: user.to_string(),
            socket_id: socket.id.to_string(),
        };
        self.send(socket, "auth:success", &success);
        // Last, so that what the user missed comes after the answer.
        self.queues.wake_user(user).await;
    }

    async fn store_confirmation(&self, user: UserId, id: &str, socket_id: String) {
        let now = WallMs(self.telemetry.clock().wall_ms());
        let stored = self
            .store
            .confirm_late(user, id.to_owned(), socket_id, now)
            .await;
        match stored {
            Ok(true) => self.sockets.note_confirmed(user, id),
            // It was confirmed before, or is not this user's: nobody may fill the memory with such.
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "a confirmation cannot be stored: {error}");
            }
        }
    }

    fn on_confirm(&self, socket: &SocketRef) {
        let gateway = self.clone();
        socket.on(
            "notification:ack",
            async move |socket: SocketRef, TryData(data): TryData<Value>| {
                if !gateway.may_speak(&socket).await {
                    return;
                }
                let data = data.unwrap_or(Value::Null);
                let owner = socket.extensions.get::<Owner>();
                let id = text_of(&data, &["id", "notificationId"]);
                let id = id.filter(|id| id.len() <= ID_BYTES_MAX);
                let (Some(Owner(user)), Some(id)) = (owner, id) else {
                    return;
                };
                let socket_id = socket.id.to_string();
                // Its worker is in this process, which dies with both or stores the run's end at once.
                if gateway.sockets.confirm_here(user, id, socket_id.clone()) {
                    return;
                }
                if gateway.sockets.are_spread() {
                    // Its worker may die with what it was told; whoever runs the job again looks here.
                    if !gateway.sockets.is_confirmed(user, id) {
                        gateway
                            .store_confirmation(user, id, socket_id.clone())
                            .await;
                    }
                    gateway.sockets.confirm(user, id, socket_id).await;
                } else if !gateway.sockets.confirm(user, id, socket_id.clone()).await {
                    gateway.store_confirmation(user, id, socket_id).await;
                }
            },
        );
    }

    fn on_mark_read(&self, socket: &SocketRef) {
        let gateway = self.clone();
        socket.on(
            "notification:markRead",
            async move |socket: SocketRef, TryData(data): TryData<Value>| {
                if !gateway.may_speak(&socket).await {
                    return;
                }
                let data = data.unwrap_or(Value::Null);
                let owner = socket.extensions.get::<Owner>();
                let (Some(Owner(user)), Some(ids)) = (owner, texts_of(&data, MARKED_MAX)) else {
                    return;
                };
                let now = WallMs(gateway.telemetry.clock().wall_ms());
                match gateway.store.mark_read(user, ids, now).await {
                    Ok(notification_ids) => {
                        let marked = MarkedRead {
                            count: notification_ids.len(),
                            notification_ids,
                        };
                        gateway.send(&socket, "notifications:markedRead", &marked);
                    }
                    Err(error) => {
                        tracing::error!(%error, "read notifications cannot be stored: {error}");
                    }
                }
            },
        );
    }

    fn send(&self, socket: &SocketRef, event: &'static str, data: &impl serde::Serialize) {
        match socket.emit(event, data) {
            Ok(()) => self.live_view.audience().sent(1),
            Err(error) => tracing::debug!(%error, "a client missed {event}: {error}"),
        }
    }

    fn on_leave(&self, socket: &SocketRef, server: Place) {
        let gateway = self.clone();
        socket.on_disconnect(async move |socket: SocketRef| {
            settle(&socket);
            let owner = socket.extensions.get::<Owner>();
            if let Some(Owner(user)) = owner {
                let left = gateway.sockets.unbind(user, &socket);
                gateway.telemetry.room_left(left);
                gateway.sockets.say(user, server).await;
            }
            gateway.live_view.audience().closed(socket.id);
            let open = gateway.sockets.closed();
            // Whoever counts it after this finds it counted.
            let was_counted = socket.extensions.insert(Counted).is_some();
            gateway.telemetry.connection_closed(open, was_counted);
        });
    }
}

/// Nobody waits for this client any more.
fn settle(socket: &SocketRef) {
    if let Some(Settled(settled)) = socket.extensions.get::<Settled>() {
        settled.cancel();
    }
}

/// Keeps the rooms of all servers in step over this bus.
pub(super) fn adapter_over(bus: &Bus) -> RedisAdapterCtr<Bus> {
    let config = RedisAdapterConfig::new().with_prefix("flowreel:socket.io");
    RedisAdapterCtr::new_with_driver(bus.clone(), config)
}

/// Why a namespace does not hear the other servers.
pub(super) fn bus_error(error: InitError<Bus>) -> BusError {
    match error {
        InitError::Driver(error) => error,
        InitError::MalformedNamespace => unreachable!("our namespaces have plain names"),
    }
}

/// The user's room, on whichever server the sockets are.
pub(super) fn room_of(user: UserId) -> String {
    format!("user:{user}")
}
