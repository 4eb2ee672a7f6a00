//! One process from its first port to its last flush.
//!
//! Belongs here: the order of starting and stopping. Does not belong here: how a part is opened (parts),
//! served (serve) or worked (work).
//!
//! Stopping: readiness goes first, then the workers end the runs they have begun, then sockets close, no
//! connection is accepted and requests in progress end; the store is flushed, and the reel ends last.

use super::data::DataFolder;
use super::listen::{Listeners, authority, upstreams};
use super::phases::{Phase, Phases, ended, noticed};
use super::recording::Recording;
use super::starting::Waiting;
use super::{App, Readiness, StartError, parts, serve, work};
use crate::config::{Ports, Process, Settings, StorePart};
use crate::control::{Reach, fan_out};
use crate::email::transport::Mailer;
use crate::faults::Faults;
use crate::injection::Generated;
use crate::load_balancer::{Trust, Upstreams};
use crate::models::WallMs;
use crate::notification_service::NotificationService;
use crate::queue::LeftJob;
use crate::recorder_listener::RecorderState;
use crate::security::passwords::Passwords;
use crate::security::tokens::Tokens;
use crate::security::{hash_hex, random_hex};
use crate::store::{Store, StoreWriter};
use crate::telemetry::{Place, Telemetry};
use crate::websocket::{
    Bus, BusError, LiveView, ServerSockets, Sockets, agree_on_secret, live_view,
};
use axum::http::HeaderValue;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A client that reads has heard by then that its socket closes.
const CLOSING_MAX: Duration = Duration::from_secs(3);

/// Everything that was started.
pub(crate) struct Running {
    settings: Settings,
    readiness: Readiness,
    stopping: CancellationToken,
    telemetry: Telemetry,
    recording: Recording,
    /// What stands on the store; the balancer and the recorder have none.
    worked: Option<Worked>,
    data: DataFolder,
    admin_token: String,
    ports: Ports,
    phases: Phases,
}

struct Worked {
    app: Arc<App>,
    store_writer: StoreWriter,
    sockets: Vec<ServerSockets>,
    mailer: Mailer,
}

impl Running {
    /// Starts this process's parts; when this returns, every port of it answers.
    pub(crate) async fn start(settings: Settings) -> Result<Self, StartError> {
        let mut listeners = Listeners::bind(&settings).await?;
        let ports = listeners.ports(&settings);
        let data = DataFolder::open(&settings.data, is_sharing(&settings)).await?;
        let secret = data.jwt_secret(settings.jwt_secret.clone()).await?;
        let hop_secret = hash_hex(&format!("balancer and servers {secret}"));
        let tokens = Arc::new(Tokens::new(secret.as_bytes()));
        let phases = Phases::default();
        let readiness = Readiness::new();
        let stopping = CancellationToken::new();
        let faults = Arc::new(Faults::new(stopping.clone()));
        let upstreams = Arc::new(upstreams(&settings.hosts, ports));

        let waiting = parts::waits(&settings).then(|| Waiting::begin(&listeners));
        let stored = if has_app(settings.process) {
            let (store, writer) = parts::open_store(&settings, data.path()).await?;
            let left = if takes_up(settings.process) {
                parts::left_jobs(&store).await?
            } else {
                Vec::new()
            };
            Some((store, writer, left))
        } else {
            None
        };
        let bus = parts::open_bus(&settings).await?;
        let phase = &phases.relay;
        if !agree_on_secret(&bus, &secret, &phase.tracker, &phase.stop).await? {
            return Err(StartError::OtherSecret);
        }
        let left = stored.as_ref().map_or(&[][..], |(_, _, left)| left);
        let recording = Recording::start(&settings, ports, left, &tokens, &phases.relay).await?;
        let telemetry = recording.telemetry();
        if let Some(waiting) = waiting {
            waiting.end().await;
        }
        let admin_token = tokens.sign_local_admin(now_of(&telemetry));
        data.keep_admin_token(&admin_token).await?;
        let common = Common {
            settings: &settings,
            telemetry: &telemetry,
            tokens: &tokens,
            upstreams: &upstreams,
            hop_secret: &hop_secret,
            readiness: &readiness,
            bus,
            faults: &faults,
            stopping: &stopping,
            recorder: recording.recorder_address(),
            ports,
        };
        let worked = match stored {
            None => None,
            Some((store, writer, left)) => {
                let opened = (store, writer);
                Some(Worked::start(&common, opened, left, &data, &mut listeners, &phases).await?)
            }
        };
        if settings.process == Process::Balancer {
            common.hear_commands(&phases.balancer).await?;
        }
        if let Some(listener) = listeners.recorder.take() {
            let state = RecorderState {
                telemetry: telemetry.clone(),
                readiness: readiness.clone(),
                tokens: Arc::clone(&tokens),
                hop_secret: hop_secret.clone(),
            };
            serve::start_recorder(listener, state, &phases);
        }
        if let Some(listener) = listeners.balancer.take() {
            let (upstreams, readiness) = (Arc::clone(&upstreams), readiness.clone());
            let telemetry = telemetry.clone();
            let trust = Trust {
                hop_secret: HeaderValue::from_str(&hop_secret)
                    .expect("hexadecimal digits fit in a header"),
                proxies: settings.trusted_proxies.clone(),
            };
            serve::start_balancer(
                listener, upstreams, telemetry, trust, readiness, &faults, &phases,
            );
        }
        tracing::info!("{} is ready on {:?}", settings.process.name(), ports);
        Ok(Self {
            settings,
            readiness,
            stopping,
            telemetry,
            recording,
            worked,
            data,
            admin_token,
            ports,
            phases,
        })
    }

    /// One JSON line that tells scripts where everything of this process is.
    pub(crate) fn ready_line(&self) -> String {
        let shown = |path: &PathBuf| path.display().to_string();
        let record = self.settings.record.as_ref();
        let record = record.map_or_else(|| "off".to_owned(), shown);
        json!({
            "ready": true,
            "role": self.settings.process.name(),
            "urls": self.urls(),
            "admin_token": self.admin_token,
            "record": record,
            "reel": self.telemetry.reel_path().map(|path| path.display().to_string()),
            "data": self.data.path().display().to_string(),
        })
        .to_string()
    }

    /// Where this process listens.
    fn urls(&self) -> Map<String, Value> {
        let (process, hosts, ports) = (self.settings.process, &self.settings.hosts, self.ports);
        let [first, second, third] = &hosts.servers;
        let all = [
            (
                Process::Balancer,
                "balancer",
                &hosts.balancer,
                ports.balancer,
            ),
            (
                Process::Server(Place::Server1),
                "server-1",
                first,
                ports.servers[0],
            ),
            (
                Process::Server(Place::Server2),
                "server-2",
                second,
                ports.servers[1],
            ),
            (
                Process::Server(Place::Server3),
                "server-3",
                third,
                ports.servers[2],
            ),
            (Process::Gateway, "gateway", &hosts.gateway, ports.gateway),
        ];
        let ours = all
            .into_iter()
            .filter(|(role, ..)| process == Process::All || process == *role);
        let url = |host: &str, port| Value::String(format!("http://{}", authority(host, port)));
        let mut urls: Map<String, Value> = ours
            .map(|(_, name, host, port)| (name.to_owned(), url(host, port)))
            .collect();
        if process == Process::Recorder {
            urls.insert("recorder".to_owned(), url(&hosts.recorder, ports.recorder));
        }
        urls
    }

    /// Stops every part in order; what is accepted is stored, and the reel is whole.
    pub(crate) async fn stop(self) -> Result<(), StartError> {
        tracing::info!("stopping: requests in progress and begun runs end first");
        let phases = self.phases;
        self.readiness.drop_readiness();
        if let Process::Server(_) = self.settings.process {
            noticed(self.readiness.balancer_knows()).await;
        }
        self.stopping.cancel();
        if let Some(worked) = &self.worked {
            worked.app.store.stop_waiting();
        }
        phases.workers.end().await;
        // Polling clients wait inside a request, so sockets close before requests are waited for.
        let sockets = self.worked.iter().flat_map(|worked| &worked.sockets);
        let closing = futures_util::future::join_all(sockets.map(ServerSockets::close));
        if tokio::time::timeout(CLOSING_MAX, closing).await.is_err() {
            tracing::warn!("clients that take nothing are cut off without a word");
        }
        phases.balancer.stop.cancel();
        ended(&phases.answering).await;
        phases.servers.stop.cancel();
        if let Some(worked) = &self.worked {
            ended(&worked.app.tracker).await;
            worked.mailer.close().await;
        }
        phases.relay.end().await;
        // Followers of the reel read on until it has ended, so their connections close last.
        let ended = self.recording.finish().await;
        phases.balancer.end().await;
        phases.servers.end().await;
        if let Some(worked) = self.worked {
            drop(worked.app);
            worked.store_writer.closed().await;
        }
        ended
    }
}

/// What every part of a process is given.
struct Common<'a> {
    settings: &'a Settings,
    telemetry: &'a Telemetry,
    tokens: &'a Arc<Tokens>,
    upstreams: &'a Arc<Upstreams>,
    hop_secret: &'a str,
    readiness: &'a Readiness,
    bus: Bus,
    faults: &'a Arc<Faults>,
    stopping: &'a CancellationToken,
    recorder: Option<String>,
    ports: Ports,
}

impl Common<'_> {
    /// The balancer hears commands about itself, and what it shall think of others.
    async fn hear_commands(&self, phase: &Phase) -> Result<(), BusError> {
        let Phase { tracker, stop } = phase;
        let reach = Reach {
            faults: Arc::clone(self.faults),
            upstreams: Arc::clone(self.upstreams),
            telemetry: self.telemetry.clone(),
            tracker: tracker.clone(),
            stopping: self.stopping.clone(),
            app: None,
        };
        let name = process_name(self.settings.process);
        fan_out::listen(reach, &self.bus, name, tracker, stop).await
    }
}

impl Worked {
    async fn start(
        common: &Common<'_>,
        (store, store_writer): (Store, StoreWriter),
        left: Vec<LeftJob>,
        data: &DataFolder,
        listeners: &mut Listeners,
        phases: &Phases,
    ) -> Result<Self, StartError> {
        let (settings, telemetry) = (common.settings, common.telemetry);
        let faults = Arc::clone(common.faults);
        let mailer = work::start_relay(settings, data, &faults, &phases.relay).await?;
        let queues = parts::open_queues(settings, telemetry, &faults, &store).await?;
        let sockets = Sockets::new(common.bus.clone());
        let service = NotificationService::new(store.clone(), queues.clone());
        let stopping = common.stopping.clone();
        let crews = Arc::new(work::crews(settings));
        let live_view = LiveView::new(live_view::Parts {
            telemetry: telemetry.clone(),
            run_count: {
                let crews = Arc::clone(&crews);
                Box::new(move |channel| crews.of(channel).limits().run_count())
            },
            tokens: Arc::clone(common.tokens),
            store: store.clone(),
            service: service.clone(),
            upstreams: Arc::clone(common.upstreams),
            faults: Arc::clone(&faults),
            served: served(settings.process),
            has_balancer: settings.process == Process::All,
            stopping: stopping.clone(),
            closed: phases.servers.stop.clone(),
            tracker: phases.servers.tracker.clone(),
        });
        let app = Arc::new(App {
            service,
            live_view,
            passwords: Passwords::new(),
            tokens: Arc::clone(common.tokens),
            sockets: sockets.clone(),
            upstreams: Arc::clone(common.upstreams),
            hop_secret: common.hop_secret.to_owned(),
            balancer_authority: authority(&settings.hosts.balancer, common.ports.balancer),
            tracker: TaskTracker::new(),
            stopping,
            crews,
            generated: Generated::default(),
            commands: tokio::sync::Mutex::default(),
            readiness: common.readiness.clone(),
            recorder: common.recorder.clone(),
            settings: settings.clone(),
            telemetry: telemetry.clone(),
            store,
            queues,
            faults,
        });
        if serves_nobody(settings.process) {
            sockets.reach_rooms().await?;
        }
        let (hearing, name) = (&phases.servers, process_name(settings.process));
        let Phase { tracker, stop } = hearing;
        fan_out::listen(Reach::of(&app), &common.bus, name, tracker, stop).await?;
        work::start_workers(&app, left, &mailer, &phases.workers).await?;
        let sockets = serve::start_servers(&app, listeners, phases).await?;
        Ok(Self {
            app,
            store_writer,
            sockets,
            mailer,
        })
    }
}

/// Whether a process takes up the jobs that others left.
const fn takes_up(process: Process) -> bool {
    matches!(
        process,
        Process::All | Process::MailWorker | Process::InAppWorker
    )
}

/// Whether the data folder may be another process's too.
fn is_sharing(settings: &Settings) -> bool {
    settings.process != Process::All || settings.store != StorePart::Embedded
}

/// The servers of a process.
fn served(process: Process) -> Vec<Place> {
    match process {
        Process::All => Place::SERVERS.to_vec(),
        Process::Server(place) => vec![place],
        _ => Vec::new(),
    }
}

/// What a process is called among the living, and whether it is every role at once.
fn process_name(process: Process) -> (String, bool) {
    let name = format!("{}:{}", process.name(), random_hex::<8>());
    (name, process == Process::All)
}

/// Whether a process serves or works on what is stored.
const fn has_app(process: Process) -> bool {
    !matches!(process, Process::Balancer | Process::Recorder)
}

/// Whether a process has no sockets of its own to reach the others by.
const fn serves_nobody(process: Process) -> bool {
    !matches!(process, Process::All | Process::Server(_))
}

fn now_of(telemetry: &Telemetry) -> WallMs {
    WallMs(telemetry.clock().wall_ms())
}
