//! The program: its long-lived parts, and how they start and stop together.
//!
//! Belongs here: order of starting and stopping, task trackers. Does not belong here: what a part does.
//!
//! Stopping: readiness goes first, then the workers end the runs they have begun, then sockets close, no
//! connection is accepted and requests in progress end; the store is flushed, and the reel ends last.

mod data;

use crate::config::{Relay, RemoteRelay, Settings};
use crate::email::sink::{self, MailBox};
use crate::email::transport::{Mailer, RelayError};
use crate::faults::Faults;
use crate::load_balancer::{LoadBalancer, Upstreams};
use crate::models::{Channel, WallMs};
use crate::notification_service::NotificationService;
use crate::queue::{Embedded, LeftJob, Queues};
use crate::security::passwords::Passwords;
use crate::security::random_hex;
use crate::security::tokens::Tokens;
use crate::server::{self, BindError};
use crate::store::{Store, StoreError, StoreWriter};
use crate::telemetry::topology::{TopologySettings, live_topology};
use crate::telemetry::{Clock, Place, Recorder, RecorderError, RecordingSettings, Telemetry};
use crate::websocket::{Gateway, ServerSockets, Sockets};
use crate::worker::backoff::Ladder;
use crate::worker::{self, Limits, RunCounts, Worker};
use crate::{gateway, router};
use axum::http::HeaderValue;
use data::DataFolder;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// E-mails started per second and worker.
const MAIL_RATE_PER_S: f64 = 5.0;
/// In-app notifications started per second and worker.
const IN_APP_RATE_PER_S: f64 = 10.0;

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
    pub(crate) faults: Arc<Faults>,
    pub(crate) upstreams: Arc<Upstreams>,
    /// By which servers know their balancer.
    pub(crate) hop_secret: String,
    /// Where the balancer listens.
    pub(crate) balancer_authority: String,
    /// Requests and timers; waited for when stopping.
    pub(crate) tracker: TaskTracker,
    /// Timers end early.
    pub(crate) stopping: CancellationToken,
    is_ready: AtomicBool,
}

impl App {
    pub(crate) fn now(&self) -> WallMs {
        WallMs(self.telemetry.clock().wall_ms())
    }

    /// Whether new requests are welcome.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
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
        "data folder {path} is in use by another flowreel-live; stop that one, or choose another with --data"
    )]
    Locked { path: String },
    #[error(transparent)]
    Store {
        #[from]
        source: StoreError,
    },
    #[error(transparent)]
    Recorder(#[from] RecorderError),
    #[error(transparent)]
    Relay(#[from] RelayError),
}

/// Everything that was started.
pub(crate) struct Running {
    app: Arc<App>,
    recorder: Recorder,
    store_writer: StoreWriter,
    sockets: Vec<ServerSockets>,
    mailer: Mailer,
    data: DataFolder,
    admin_token: String,
    ports: ListenedPorts,
    phases: Phases,
}

/// What is stopped together.
#[derive(Default)]
struct Phases {
    workers: Phase,
    balancer: Phase,
    /// Requests at the balancer whose answer has not begun.
    answering: TaskTracker,
    servers: Phase,
    relay: Phase,
}

#[derive(Default)]
struct Phase {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Phase {
    async fn end(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

struct Listeners {
    balancer: TcpListener,
    servers: [TcpListener; 3],
    gateway: TcpListener,
}

#[derive(Clone, Copy)]
struct ListenedPorts {
    balancer: u16,
    servers: [u16; 3],
    gateway: u16,
}

impl Running {
    /// Starts every part; when this returns, every port answers.
    pub(crate) async fn start(settings: Settings) -> Result<Self, StartError> {
        let listeners = Listeners::bind(&settings).await?;
        let ports = listeners.ports();
        let data = DataFolder::open(&settings.data).await?;
        let secret = data.jwt_secret(settings.jwt_secret.clone()).await?;
        let (store, store_writer) = Store::open(data.path())?;
        let left = left_jobs(&store).await?;
        let recorder = start_recorder(&settings, ports, &left).await?;
        let telemetry = recorder.telemetry();
        let phases = Phases::default();
        let faults = Arc::new(Faults::default());
        let mailer = start_relay(&settings, &data, &faults, &phases.relay).await?;

        let queues = Embedded::new(telemetry.clone(), store.dead_job_count().await?);
        let queues = Queues::Embedded(queues);
        let app = Arc::new(App {
            service: NotificationService::new(store.clone(), queues.clone()),
            passwords: Passwords::new(),
            tokens: Arc::new(Tokens::new(secret.as_bytes())),
            sockets: Sockets::default(),
            upstreams: Arc::new(upstreams(ports)),
            hop_secret: random_hex::<16>(),
            balancer_authority: format!("127.0.0.1:{}", ports.balancer),
            tracker: TaskTracker::new(),
            stopping: CancellationToken::new(),
            is_ready: AtomicBool::new(true),
            settings,
            telemetry,
            store,
            queues,
            faults,
        });
        let admin_token = app.tokens.sign_local_admin(app.now());
        data.keep_admin_token(&admin_token).await?;

        start_workers(&app, left, &mailer, &phases.workers).await;
        let sockets = start_listeners(&app, listeners, &phases);
        tracing::info!(
            "balancer listens on port {}, servers on {:?}",
            ports.balancer,
            ports.servers
        );
        Ok(Self {
            app,
            recorder,
            store_writer,
            sockets,
            mailer,
            data,
            admin_token,
            ports,
            phases,
        })
    }

    /// One JSON line that tells scripts where everything is.
    pub(crate) fn ready_line(&self) -> String {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let [first, second, third] = self.ports.servers;
        let shown = |path: &PathBuf| path.display().to_string();
        let record = self
            .app
            .settings
            .record
            .as_ref()
            .map_or_else(|| "off".to_owned(), shown);
        json!({
            "ready": true,
            "urls": {
                "balancer": url(self.ports.balancer),
                "server-1": url(first),
                "server-2": url(second),
                "server-3": url(third),
                "gateway": url(self.ports.gateway),
            },
            "admin_token": self.admin_token,
            "record": record,
            "reel": self.app.telemetry.reel_path().map(|path| path.display().to_string()),
            "data": self.data.path().display().to_string(),
        })
        .to_string()
    }

    /// Stops every part in order; what is accepted is stored, and the reel is whole.
    pub(crate) async fn stop(self) -> Result<(), StartError> {
        tracing::info!("stopping: requests in progress and begun runs end first");
        let phases = self.phases;
        self.app.is_ready.store(false, Ordering::Relaxed);
        self.app.stopping.cancel();
        phases.workers.end().await;
        // Polling clients wait inside a request, so sockets close before requests are waited for.
        for sockets in &self.sockets {
            sockets.close().await;
        }
        phases.balancer.stop.cancel();
        ended(&phases.answering).await;
        phases.servers.stop.cancel();
        ended(&self.app.tracker).await;
        self.mailer.close().await;
        phases.relay.end().await;
        // Followers of the reel read on until it has ended, so their connections close last.
        let recorder = self.recorder;
        let ended = tokio::task::spawn_blocking(move || recorder.finish()).await;
        phases.balancer.end().await;
        phases.servers.end().await;
        drop(self.app);
        self.store_writer.closed().await;
        let counts = ended.unwrap_or(Err(RecorderError::Gone))?.counts;
        tracing::info!(
            counts.written,
            counts.dropped,
            "stopped; {} events recorded",
            counts.written
        );
        Ok(())
    }
}

/// Waits for the tracker's tasks, but not for ever.
async fn ended(tracker: &TaskTracker) {
    tracker.close();
    if tokio::time::timeout(server::DRAIN_MAX, tracker.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            "{} requests took too long to end and are cut off",
            tracker.len()
        );
    }
}

impl Listeners {
    async fn bind(settings: &Settings) -> Result<Self, BindError> {
        let [first, second, third] = settings.ports.servers;
        Ok(Self {
            balancer: server::bind("balancer", settings.ports.balancer).await?,
            servers: [
                server::bind("first server", first).await?,
                server::bind("second server", second).await?,
                server::bind("third server", third).await?,
            ],
            gateway: server::bind("gateway", settings.ports.gateway).await?,
        })
    }

    fn ports(&self) -> ListenedPorts {
        let port = |listener: &TcpListener| {
            listener
                .local_addr()
                .expect("a bound socket has an address")
                .port()
        };
        ListenedPorts {
            balancer: port(&self.balancer),
            servers: self.servers.each_ref().map(port),
            gateway: port(&self.gateway),
        }
    }
}

/// Jobs that are neither done nor dead, with where each is now.
async fn left_jobs(store: &Store) -> Result<Vec<LeftJob>, StoreError> {
    let now = WallMs(Clock::start().wall_ms());
    let stored = store.open_jobs().await?;
    Ok(stored
        .into_iter()
        .map(|stored| LeftJob::new(stored, now))
        .collect())
}

/// Reading back a run that a crash cut off takes a while, so it has a thread that may block.
async fn start_recorder(
    settings: &Settings,
    ports: ListenedPorts,
    left: &[LeftJob],
) -> Result<Recorder, RecorderError> {
    let notes = [("retry_scale".to_owned(), settings.retry_scale.to_string())];
    let recording = RecordingSettings {
        folder: settings.record.clone(),
        notes: notes.into_iter().collect(),
        segment_bytes: settings.recording.segment_bytes,
        segment_time: settings.recording.segment_time,
        keep: settings.recording.keep,
        hold_bytes: None,
        survivors: left.iter().filter_map(LeftJob::survivor).collect(),
    };
    let topology = live_topology(&topology(settings, ports));
    let started = move || Recorder::start(Clock::start(), topology, &recording);
    tokio::task::spawn_blocking(started)
        .await
        .unwrap_or(Err(RecorderError::Gone))
}

fn upstreams(ports: ListenedPorts) -> Upstreams {
    let authority = |port: u16| format!("127.0.0.1:{port}");
    Upstreams::new(Place::SERVERS.into_iter().zip(ports.servers.map(authority)))
}

fn topology(settings: &Settings, ports: ListenedPorts) -> TopologySettings {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    TopologySettings {
        balancer_port: ports.balancer,
        server_ports: ports.servers,
        websocket_port: ports.balancer,
        mail_worker_servers: count(settings.mail_concurrency),
        mail_rate_per_s: MAIL_RATE_PER_S,
        in_app_worker_servers: count(settings.in_app_concurrency),
        in_app_rate_per_s: IN_APP_RATE_PER_S,
    }
}

/// The way to the relay, and the relay itself where it is embedded.
async fn start_relay(
    settings: &Settings,
    data: &DataFolder,
    faults: &Arc<Faults>,
    phase: &Phase,
) -> Result<Mailer, StartError> {
    if let Relay::Remote(relay) = &settings.relay {
        return Ok(Mailer::new(relay)?);
    }
    let mail_box = MailBox::open(data.path().join("mail")).await;
    let mail_box = Arc::new(mail_box.map_err(|source| data.failed(source))?);
    let listener = server::bind("mail sink", 0).await?;
    let port = listener
        .local_addr()
        .map_err(|source| data.failed(source))?
        .port();
    let serving = sink::serve(
        listener,
        mail_box,
        Arc::clone(faults),
        phase.tracker.clone(),
        phase.stop.clone(),
    );
    phase.tracker.spawn(serving);
    Ok(Mailer::new(&RemoteRelay::embedded(port))?)
}

/// Announces what an earlier process left, then starts the workers.
async fn start_workers(app: &Arc<App>, left: Vec<LeftJob>, mailer: &Mailer, phase: &Phase) {
    let settings = &app.settings;
    let worker = Arc::new(Worker {
        telemetry: app.telemetry.clone(),
        store: app.store.clone(),
        queues: app.queues.clone(),
        runs: RunCounts::default(),
        mailer: mailer.clone(),
        sockets: app.sockets.clone(),
        faults: Arc::clone(&app.faults),
        ladder: Ladder::new(
            settings.retry_scale,
            settings.in_app_retry,
            settings.in_app_attempts_max,
        ),
    });
    app.queues.resume(left).await;
    app.queues.start(&phase.tracker, &phase.stop);
    for (channel, concurrency, rate_per_s) in [
        (Channel::Email, settings.mail_concurrency, MAIL_RATE_PER_S),
        (
            Channel::InApp,
            settings.in_app_concurrency,
            IN_APP_RATE_PER_S,
        ),
    ] {
        let limits = Limits {
            concurrency,
            rate_per_s,
        };
        worker::start(&worker, channel, limits, &phase.tracker, &phase.stop);
    }
}

fn start_listeners(app: &Arc<App>, listeners: Listeners, phases: &Phases) -> Vec<ServerSockets> {
    let events = Gateway {
        sockets: app.sockets.clone(),
        tokens: Arc::clone(&app.tokens),
        store: app.store.clone(),
        queues: app.queues.clone(),
        telemetry: app.telemetry.clone(),
        heartbeat: app.settings.heartbeat,
        connections_max: app.settings.connections_max,
    };
    let mut all_sockets = Vec::new();
    for (place, listener) in Place::SERVERS.into_iter().zip(listeners.servers) {
        let sockets = events.attach(place);
        let routes = router::routes(app, place, &sockets);
        let serving = server::serve(listener, routes, phases.servers.stop.clone());
        phases.servers.tracker.spawn(serving);
        all_sockets.push(sockets);
    }
    let hop_secret =
        HeaderValue::from_str(&app.hop_secret).expect("hexadecimal digits fit in a header");
    let balancer = LoadBalancer::new(
        Arc::clone(&app.upstreams),
        app.telemetry.clone(),
        hop_secret,
        phases.balancer.tracker.clone(),
        phases.balancer.stop.clone(),
        phases.answering.clone(),
    );
    let Phase { tracker, stop } = &phases.balancer;
    balancer.start_health_checks(tracker, stop);
    tracker.spawn(server::serve(listeners.balancer, balancer, stop.clone()));
    let routes = gateway::routes(Arc::clone(app));
    tracker.spawn(server::serve(listeners.gateway, routes, stop.clone()));
    all_sockets
}
