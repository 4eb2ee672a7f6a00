//! Namespace `/live-view`: the run as it happens, for administrators and holders of `dashboard:read:live`.
//!
//! Belongs here: who may connect, its handlers, what the parts of the live view share. Does not belong
//! here: what is told (`telemetry/live`), how it is packed (wire.rs).
//!
//! A client proves who it is in the handshake (`auth.token`) or by an `authenticate` event, joins the room
//! `live-view`, gets `system:status` at once and everything else in batches, 100 ms apart.

mod beside;
pub(crate) mod cards;
mod client;
mod subscription;
mod watch;
mod wire;

use super::audience::{Audience, Room};
use super::bus::{Adapter, BusError, SocketIo, SocketRef};
use super::limits::{may_speak, put_out};
use super::message::{AuthError, AuthSuccess, text_of};
use super::namespace::{bus_error, room_of};
use crate::faults::Faults;
use crate::load_balancer::Upstreams;
use crate::models::{Channel, WallMs};
use crate::notification_service::NotificationService;
use crate::security::tokens::{Claims, Permission, Tokens};
use crate::store::Store;
use crate::telemetry::live::event::SystemStatusTold;
use crate::telemetry::live::{LiveEvent, Payload};
use crate::telemetry::{Place, Telemetry};
use client::Client;
use serde::Serialize;
use serde_json::Value;
use socketioxide::extract::{AckSender, TryData};
use socketioxide::handler::ConnectHandler;
use std::convert::Infallible;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use watch::Rates;

/// Its address.
pub(super) const NAMESPACE: &str = "/live-view";
/// The room everybody is in who may listen (requirements C10).
const ROOM: &str = "live-view";
/// How long a client may take to prove who it is.
const PROOF_TIMEOUT: Duration = Duration::from_secs(10);
/// Clients at once; each costs its own packing.
const CLIENTS_MAX: usize = 256;

/// What the live view is made of; cheap to copy.
#[derive(Clone)]
pub(crate) struct LiveView {
    inner: Arc<Inner>,
}

/// The parts it looks at.
pub(crate) struct Parts {
    pub(crate) telemetry: Telemetry,
    /// How many runs a channel's workers may have at a time, as it is set now.
    pub(crate) run_count: Box<dyn Fn(Channel) -> u64 + Send + Sync>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) store: Store,
    pub(crate) service: NotificationService,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) faults: Arc<Faults>,
    /// Servers of this process.
    pub(crate) served: Vec<Place>,
    /// Whether the balancer is in this process.
    pub(crate) has_balancer: bool,
    /// Cancelled once the program stops.
    pub(crate) stopping: CancellationToken,
    /// Sockets have been closed; a client that took nothing, and so did not hear of it, is left.
    pub(crate) closed: CancellationToken,
    /// Clients are followed here; they leave when the sockets close.
    pub(crate) tracker: TaskTracker,
}

struct Inner {
    parts: Parts,
    audience: Audience,
    rates: Mutex<Rates>,
    /// Told with the next batch.
    pending: Mutex<Vec<Payload>>,
    /// When the balancer last asked how a server of this process is; 0 is never.
    asked_at_ns: AtomicU64,
}

/// The store could not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unknown;

/// Data of `error`.
#[derive(Serialize)]
struct Refused<'a> {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    events: &'a [String],
}

/// No batch is sent to this client any more: what it has not read yet would keep it from being put out.
pub(super) fn end_batches(socket: &SocketRef) {
    if let Some(client) = socket.extensions.get::<Arc<Client>>() {
        client.left();
    }
}

impl LiveView {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            inner: Arc::new(Inner {
                parts,
                audience: Audience::default(),
                rates: Mutex::default(),
                pending: Mutex::default(),
                asked_at_ns: AtomicU64::new(0),
            }),
        }
    }

    /// Adds the namespace to one server's sockets.
    pub(super) async fn attach(&self, io: &SocketIo) -> Result<(), BusError> {
        let view = self.clone();
        let listen = async move |socket: SocketRef| {
            view.listen(&socket);
            Ok::<_, Infallible>(())
        };
        let view = self.clone();
        let connected = async move |socket: SocketRef, TryData(auth): TryData<Value>| {
            view.connected(socket, auth.unwrap_or(Value::Null)).await;
        };
        io.ns(NAMESPACE, connected.with(listen))
            .await
            .map_err(bus_error)
    }

    /// Who listens at this process, on whichever of its servers.
    pub(crate) fn audience(&self) -> &Audience {
        &self.inner.audience
    }

    /// Clients that may listen now.
    pub(crate) fn room(&self) -> Room {
        Room {
            name: ROOM.to_owned(),
            users: self.inner.parts.telemetry.listener_count() as u64,
        }
    }

    fn listen(&self, socket: &SocketRef) {
        let client = match Client::new(socket, self.inner.parts.stopping.clone()) {
            Ok(client) => Arc::new(client),
            Err(fault) => {
                refuse(socket, &fault);
                return;
            }
        };
        socket.extensions.insert(Arc::clone(&client));
        let gone = Arc::clone(&client);
        socket.on_disconnect(async move || gone.left());
        let view = self.clone();
        socket.on(
            "authenticate",
            async move |socket: SocketRef, TryData(data): TryData<Value>| {
                if !view.may_speak(&socket).await {
                    return;
                }
                let data = data.unwrap_or(Value::Null);
                if let Some(claims) = view.admit(&socket, text_of(&data, &["token"])).await {
                    let success = AuthSuccess {
                        user_id: claims.sub.clone(),
                        socket_id: socket.id.to_string(),
                    };
                    send(&socket, "auth:success", &success);
                    view.begin(&socket, &claims);
                }
            },
        );
        let view = self.clone();
        socket.on_fallback(async move |socket: SocketRef| {
            view.may_speak(&socket).await;
        });
        let (view, narrowed) = (self.clone(), Arc::clone(&client));
        socket.on(
            "subscribe",
            async move |socket: SocketRef,
                        TryData(names): TryData<Value>,
                        ack: AckSender<Adapter>| {
                if !view.may_speak(&socket).await {
                    return;
                }
                let change = narrowed
                    .subscription
                    .subscribe(&names.unwrap_or(Value::Null));
                answer(&socket, ack, &narrowed, change);
            },
        );
        let view = self.clone();
        socket.on(
            "unsubscribe",
            async move |socket: SocketRef,
                        TryData(names): TryData<Value>,
                        ack: AckSender<Adapter>| {
                if !view.may_speak(&socket).await {
                    return;
                }
                let change = client
                    .subscription
                    .unsubscribe(&names.unwrap_or(Value::Null));
                answer(&socket, ack, &client, change);
            },
        );
    }

    /// Every message counts, whatever it is.
    async fn may_speak(&self, socket: &SocketRef) -> bool {
        may_speak(socket, self.inner.parts.telemetry.now().0).await
    }

    async fn connected(&self, socket: SocketRef, auth: Value) {
        let Some(client) = socket.extensions.get::<Arc<Client>>() else {
            put_out(&socket).await;
            return;
        };
        if let Some(token) = text_of(&auth, &["token"]) {
            match self.admit(&socket, Some(token)).await {
                Some(claims) => self.begin(&socket, &claims),
                None => put_out(&socket).await,
            }
            return;
        }
        // It may still send `authenticate`, but not for ever.
        self.track(async move {
            if client.proves_itself_within(PROOF_TIMEOUT).await {
                return;
            }
            let late = AuthError {
                code: "unauthorized",
                message: "nothing proved who this is within 10 s",
            };
            send(&socket, "auth:error", &late);
            client.put_out(&socket).await;
        });
    }

    /// Whose token it is, where that person may listen; else the client is told why not.
    async fn admit(&self, socket: &SocketRef, token: Option<&str>) -> Option<Claims> {
        match self.check(token).await {
            Ok(claims) => Some(claims),
            Err(error) => {
                send(socket, "auth:error", &error);
                None
            }
        }
    }

    async fn check(&self, token: Option<&str>) -> Result<Claims, AuthError> {
        let refused = |code, message| AuthError { code, message };
        let token = token.ok_or(refused("unauthorized", "send {\"token\": …}"))?;
        let parts = &self.inner.parts;
        let claims = parts
            .tokens
            .check(token)
            .map_err(|fault| refused("unauthorized", fault.message()))?;
        if !claims.may(Permission::ReadLiveDashboard) {
            return Err(refused(
                "forbidden",
                "this needs the role admin or the permission dashboard:read:live",
            ));
        }
        let is_open = self.has_open_session(&claims).await.map_err(|Unknown| {
            refused(
                "store_unavailable",
                "the store cannot be reached now, try again",
            )
        })?;
        if !is_open {
            return Err(refused(
                "unauthorized",
                "this session has ended; log in again",
            ));
        }
        if parts.telemetry.listener_count() >= CLIENTS_MAX {
            return Err(refused("full", "too many clients watch already, try later"));
        }
        Ok(claims)
    }

    /// Whether the session behind the token still is; the local administrator's token needs none.
    async fn has_open_session(&self, claims: &Claims) -> Result<bool, Unknown> {
        if !claims.has_session() {
            return Ok(true);
        }
        let parts = &self.inner.parts;
        let now = WallMs(parts.telemetry.clock().wall_ms());
        let asked = parts.store.is_session_open(claims.sid.clone(), now).await;
        asked.map_err(|error| {
            tracing::error!(%error, "a session cannot be looked up: {error}");
            Unknown
        })
    }

    /// The client joins the room and is told everything from now on; once is enough.
    fn begin(&self, socket: &SocketRef, claims: &Claims) {
        let Some(client) = socket.extensions.get::<Arc<Client>>() else {
            return;
        };
        if !client.is_admitted(claims.expires_at_s()) {
            return;
        }
        socket.join(ROOM);
        if let Some(user) = claims.user_id() {
            // Its sessions' end finds it there.
            socket.join(room_of(user));
        }
        let telemetry = &self.inner.parts.telemetry;
        let batches = telemetry.listen();
        let seq = telemetry.last_seq();
        let status = LiveEvent {
            seq,
            payload: Payload::SystemStatus(self.system_status()),
        };
        let (socket, view, claims) = (socket.clone(), self.clone(), claims.clone());
        let following = async move {
            client.follow(socket, status, batches, view, claims).await;
        };
        self.track(following);
    }

    /// The work for one client goes on until the sockets are closed.
    fn track(&self, work: impl Future<Output = ()> + Send + 'static) {
        let closed = self.inner.parts.closed.clone();
        let work = async move { closed.run_until_cancelled(work).await };
        self.inner.parts.tracker.spawn(work);
    }

    /// The word given last, with every component.
    fn system_status(&self) -> SystemStatusTold {
        let status = self.inner.parts.telemetry.status();
        SystemStatusTold {
            status: status.metrics.system_status,
            components: status.components,
            timestamp: status.timestamp,
        }
    }
}

fn answer(
    socket: &SocketRef,
    ack: AckSender<Adapter>,
    client: &Client,
    change: Result<(), subscription::Mistake>,
) {
    if let Err(mistake) = change {
        let refused = Refused {
            code: mistake.code(),
            message: mistake.to_string(),
            events: mistake.names(),
        };
        send(socket, "error", &refused);
    }
    let names = client.subscription.names();
    // It fails where the client is gone, and nothing is lost then.
    drop(ack.send(&serde_json::json!({ "events": names })));
}

fn refuse(socket: &SocketRef, fault: &wire::BadOption) {
    let refused = Refused {
        code: "bad_option",
        message: fault.to_string(),
        events: &[],
    };
    send(socket, "error", &refused);
}

fn send(socket: &SocketRef, event: &'static str, data: &impl Serialize) {
    if let Err(error) = socket.emit(event, data) {
        tracing::debug!(%error, "a client missed {event}: {error}");
    }
}
