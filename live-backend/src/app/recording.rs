//! How the stages of this process get into the reel: by its own recorder, or through Redis to that of the run.
//!
//! Belongs here: which of the two, and their ends. Does not belong here: how either works (telemetry).

use super::StartError;
use super::listen::authority;
use super::parts::{patience, patiently};
use super::phases::Phase;
use crate::config::{Address, Ports, Process, QueuePart, Settings};
use crate::models::WallMs;
use crate::queue::LeftJob;
use crate::security::tokens::Tokens;
use crate::telemetry::topology::{TopologySettings, live_topology};
use crate::telemetry::{
    Clock, Mirror, Receiving, Recorder, RecorderError, RecordingSettings, Shipper, Telemetry,
    TransportError, TransportSettings,
};
use flowreel_engine::model::topology::Topology;
use std::sync::Arc;
use std::time::Duration;

/// What the names of all keys begin with.
const KEY_PREFIX: &str = "flowreel";
/// Longest wait of one try to take part in a run.
const TRY_WAIT: Duration = Duration::from_secs(2);

/// The way into the reel.
pub(super) enum Recording {
    /// This process records: itself, or the whole run.
    Here(Recorder),
    /// The run's recorder is another process.
    Elsewhere(Shipper),
}

impl Recording {
    /// Those who are asked about the run follow the recorder as tasks of `following`.
    pub(super) async fn start(
        settings: &Settings,
        ports: Ports,
        left: &[LeftJob],
        tokens: &Arc<Tokens>,
        following: &Phase,
    ) -> Result<Self, StartError> {
        match (&settings.queue, settings.process) {
            (QueuePart::Redis(address), Process::Recorder) => {
                let transport = transport(address, patience(settings.process));
                let receiving = Receiving {
                    transport,
                    address: Some(authority(&settings.hosts.recorder, ports.recorder)),
                };
                start_recorder(settings, ports, left, Some(receiving)).await
            }
            (QueuePart::Redis(address), process) if process != Process::All => {
                let shipper = take_part(address, process).await?;
                let is_asked = matches!(process, Process::Server(_) | Process::Gateway);
                let followed = shipper.recorder_address().filter(|_| is_asked);
                if let Some(address) = followed {
                    let telemetry = shipper.telemetry();
                    let (tokens, clock) = (Arc::clone(tokens), telemetry.clock());
                    let token = move || Some(tokens.sign_local_admin(WallMs(clock.wall_ms())));
                    let Phase { tracker, stop } = following;
                    let token = Arc::new(token);
                    Mirror::start(&telemetry, address, token, tracker, stop.clone());
                }
                Ok(Self::Elsewhere(shipper))
            }
            (QueuePart::Redis(_) | QueuePart::Embedded, _) => {
                start_recorder(settings, ports, left, None).await
            }
        }
    }

    pub(super) fn telemetry(&self) -> Telemetry {
        match self {
            Self::Here(recorder) => recorder.telemetry(),
            Self::Elsewhere(shipper) => shipper.telemetry(),
        }
    }

    /// Where the run's recorder answers, if it is another process.
    pub(super) fn recorder_address(&self) -> Option<String> {
        match self {
            Self::Here(_) => None,
            Self::Elsewhere(shipper) => shipper.recorder_address().map(str::to_owned),
        }
    }

    /// Hands over the last stages; a recorder ends its reel.
    pub(super) async fn finish(self) -> Result<(), StartError> {
        match self {
            Self::Here(recorder) => {
                let ended = tokio::task::spawn_blocking(move || recorder.finish()).await;
                let counts = ended.unwrap_or(Err(RecorderError::Gone))?.counts;
                tracing::info!(
                    counts.written,
                    counts.dropped,
                    "stopped; {} events recorded",
                    counts.written
                );
            }
            Self::Elsewhere(shipper) => {
                let ended = tokio::task::spawn_blocking(move || shipper.finish()).await;
                let ended = ended.map_err(|_panic| RecorderError::Gone)?;
                tracing::info!(
                    ended.emitted,
                    ended.dropped,
                    "stopped; {} events handed to the recorder, all arrived: {}",
                    ended.emitted,
                    ended.is_sent
                );
            }
        }
        Ok(())
    }
}

async fn take_part(address: &Address, process: Process) -> Result<Shipper, TransportError> {
    let try_once = async || {
        let transport = transport(address, TRY_WAIT);
        let joining = tokio::task::spawn_blocking(move || {
            Telemetry::start_shipping(&transport, process.name())
        });
        joining.await.unwrap_or_else(|error| {
            let source = std::io::Error::other(error);
            Err(TransportError::Thread { source })
        })
    };
    let is_lasting = |error: &TransportError| {
        !matches!(
            error,
            TransportError::Unreachable { .. } | TransportError::NoRun { .. }
        )
    };
    patiently("the recorder", patience(process), try_once, is_lasting).await
}

fn transport(address: &Address, wait: Duration) -> TransportSettings {
    TransportSettings {
        url: address.with_secret().to_owned(),
        ca: address.ca().map(<[u8]>::to_vec),
        prefix: KEY_PREFIX.to_owned(),
        wait,
    }
}

/// Reading back a run that a crash cut off takes a while, so it has a thread that may block.
async fn start_recorder(
    settings: &Settings,
    ports: Ports,
    left: &[LeftJob],
    receiving: Option<Receiving>,
) -> Result<Recording, StartError> {
    let notes = [("retry_scale".to_owned(), settings.retry_scale.to_string())];
    let is_recording = matches!(settings.process, Process::All | Process::Recorder);
    let recording = RecordingSettings {
        folder: settings.record.clone().filter(|_| is_recording),
        notes: notes.into_iter().collect(),
        segment_bytes: settings.recording.segment_bytes,
        segment_time: settings.recording.segment_time,
        keep: settings.recording.keep,
        hold_bytes: None,
        survivors: left.iter().filter_map(LeftJob::survivor).collect(),
    };
    let topology = topology(settings, ports);
    let start = move || match receiving {
        None => Recorder::start(Clock::start(), topology, &recording),
        Some(receiving) => {
            Recorder::start_receiving(Clock::start(), topology, &recording, &receiving)
        }
    };
    let started = tokio::task::spawn_blocking(start).await;
    Ok(Recording::Here(
        started.unwrap_or(Err(RecorderError::Gone))?,
    ))
}

fn topology(settings: &Settings, ports: Ports) -> Topology {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    live_topology(&TopologySettings {
        balancer_port: ports.balancer,
        server_ports: ports.servers,
        websocket_port: ports.balancer,
        mail_worker_servers: count(settings.mail_concurrency),
        mail_rate_per_s: settings.mail_rate_per_s,
        in_app_worker_servers: count(settings.in_app_concurrency),
        in_app_rate_per_s: settings.in_app_rate_per_s,
    })
}
