//! The program: its long-lived parts, and what all of them share.
//!
//! Belongs here: what controllers and layers are given, why a start fails. Does not belong here: what a
//! part does, or (each in a room of its own) ports, starting, stopping.

mod data;
mod listen;
mod outage;
mod parts;
mod phases;
mod recording;
mod running;
mod serve;
mod starting;
mod supervise;
mod work;

pub(crate) use listen::authority;
pub(crate) use running::Running;

use crate::config::Settings;
use crate::control::ControlCommand;
use crate::email::transport::RelayError;
use crate::faults::Faults;
use crate::injection::Generated;
use crate::load_balancer::Upstreams;
use crate::models::WallMs;
use crate::notification_service::NotificationService;
use crate::queue::{QueueError, Queues};
use crate::security::passwords::Passwords;
use crate::security::tokens::Tokens;
use crate::server::BindError;
use crate::store::{Store, StoreError};
use crate::telemetry::{RecorderError, Telemetry, TransportError};
use crate::websocket::{BusError, LiveView, Sockets};
use crate::worker::crew::Crews;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What controllers and layers use.
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) telemetry: Telemetry,
    pub(crate) store: Store,
    pub(crate) queues: Queues,
    pub(crate) service: NotificationService,
    pub(crate) passwords: Passwords,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) sockets: Sockets,
    pub(crate) live_view: LiveView,
    pub(crate) faults: Arc<Faults>,
    pub(crate) crews: Arc<Crews>,
    pub(crate) generated: Generated,
    /// Commands of operators are carried out one after the other; what is not kept of them yet, oldest first.
    pub(crate) commands: tokio::sync::Mutex<VecDeque<ControlCommand>>,
    pub(crate) upstreams: Arc<Upstreams>,
    /// By which servers know their balancer.
    pub(crate) hop_secret: String,
    /// Where the balancer listens.
    pub(crate) balancer_authority: String,
    /// Where the run's recorder answers, if it is another process.
    pub(crate) recorder: Option<String>,
    /// Requests and timers; waited for when stopping.
    pub(crate) tracker: TaskTracker,
    /// Timers end early.
    pub(crate) stopping: CancellationToken,
    readiness: Readiness,
}

impl App {
    pub(crate) fn now(&self) -> WallMs {
        WallMs(self.telemetry.clock().wall_ms())
    }

    /// Whether new requests are welcome.
    pub(crate) fn is_ready(&self) -> bool {
        self.readiness.is_ready()
    }

    /// Notes that the balancer was told that no further requests are welcome.
    pub(crate) fn told_balancer(&self) {
        self.readiness.inner.has_told.cancel();
    }
}

/// Whether this process takes new requests; cheap to copy.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    inner: Arc<ReadinessInner>,
}

#[derive(Debug)]
struct ReadinessInner {
    is_ready: AtomicBool,
    /// The balancer has heard that it is over.
    has_told: CancellationToken,
}

impl Readiness {
    pub(crate) fn new() -> Self {
        let inner = ReadinessInner {
            is_ready: AtomicBool::new(true),
            has_told: CancellationToken::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.inner.is_ready.load(Ordering::Relaxed)
    }

    /// From now on new requests are unwelcome.
    fn drop_readiness(&self) {
        self.inner.is_ready.store(false, Ordering::Relaxed);
    }

    /// Waits until the balancer has heard of it.
    async fn balancer_knows(&self) {
        self.inner.has_told.cancelled().await;
    }
}

/// Why the program does not start, or does not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Port(#[from] BindError),
    #[error("data folder {path} cannot be used: {source}; check that it can be written")]
    Data {
        path: String,
        source: std::io::Error,
    },
    #[error(
        "the kept secret {path} is too short to keep anything secret; delete it to have one made, which ends all sessions"
    )]
    ShortSecret { path: String },
    #[error(
        "other processes on this Redis sign with another secret; give all of them the same JWT_SECRET, or one folder with --data"
    )]
    OtherSecret,
    #[error(
        "data folder {path} is in use by another flowreel-live; stop that one, or choose another with --data"
    )]
    Locked { path: String },
    #[error(transparent)]
    Store {
        #[from]
        source: StoreError,
    },
    #[error(transparent)]
    Queues(#[from] QueueError),
    #[error(transparent)]
    Recorder(#[from] RecorderError),
    #[error(transparent)]
    Relay(#[from] RelayError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Bus(#[from] BusError),
}
