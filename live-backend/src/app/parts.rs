//! What a process stands on: its recorder, its store, its queues.
//!
//! Belongs here: opening them as the settings say. Does not belong here: what is done with them.

use super::StartError;
use crate::config::{Process, QueuePart, Settings, StorePart};
use crate::faults::Faults;
use crate::models::WallMs;
use crate::queue::{Embedded, LeftJob, Queues, Redis};
use crate::store::{Store, StoreError, StoreWriter};
use crate::telemetry::{Clock, Telemetry};
use crate::websocket::{Bus, BusError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a role's start waits for its services: roles and services may start in any order.
const SERVICE_PATIENCE: Duration = Duration::from_secs(60);
/// How often it looks for them.
const SERVICE_LOOK: Duration = Duration::from_millis(500);

/// The store, once it can be reached.
pub(super) async fn open_store(
    settings: &Settings,
    folder: &Path,
) -> Result<(Store, StoreWriter), StoreError> {
    let open = async || Store::open(&settings.store, folder).await;
    let is_lasting = |error: &StoreError| !matches!(error, StoreError::Unreachable { .. });
    patiently("the store", patience(settings.process), open, is_lasting).await
}

/// Whether a start of this process may have to wait.
pub(super) fn waits(settings: &Settings) -> bool {
    settings.queue != QueuePart::Embedded || settings.store != StorePart::Embedded
}

/// How the servers' sockets hear of each other.
pub(super) async fn open_bus(settings: &Settings) -> Result<Bus, BusError> {
    match &settings.queue {
        QueuePart::Embedded => Ok(Bus::in_process()),
        QueuePart::Redis(address) => {
            let open = async || Bus::over_redis(address).await;
            patiently(
                "Redis",
                patience(settings.process),
                open,
                BusError::is_lasting,
            )
            .await
        }
    }
}

/// Where jobs wait for workers.
pub(super) async fn open_queues(
    settings: &Settings,
    telemetry: &Telemetry,
    faults: &Arc<Faults>,
    store: &Store,
) -> Result<Queues, StartError> {
    match &settings.queue {
        QueuePart::Embedded => {
            let dead_count = store.dead_job_count().await?;
            Ok(Queues::Embedded(Embedded::new(
                telemetry.clone(),
                Arc::clone(faults),
                dead_count,
            )))
        }
        QueuePart::Redis(address) => {
            let (url, ca) = (address.with_secret(), address.ca());
            let (telemetry, store) = (telemetry.clone(), store.clone());
            let opened = Redis::open(url, ca, telemetry, store, Arc::clone(faults)).await;
            Ok(Queues::Redis(opened?))
        }
    }
}

/// Whoever starts everything at once sits before it and is told at once what is missing.
pub(super) const fn patience(process: Process) -> Duration {
    match process {
        Process::All => Duration::ZERO,
        Process::Balancer
        | Process::Server(_)
        | Process::MailWorker
        | Process::InAppWorker
        | Process::Gateway
        | Process::Recorder => SERVICE_PATIENCE,
    }
}

/// Waits that long for a service that is not there yet. One that refuses us for good is not waited for.
pub(super) async fn patiently<T, E: std::fmt::Display>(
    service: &'static str,
    patience: Duration,
    open: impl AsyncFn() -> Result<T, E>,
    is_lasting: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let give_up_at = Instant::now() + patience;
    let mut is_said = false;
    loop {
        let error = match open().await {
            Ok(opened) => return Ok(opened),
            Err(error) if is_lasting(&error) || Instant::now() >= give_up_at => return Err(error),
            Err(error) => error,
        };
        if !is_said {
            let patience_s = patience.as_secs();
            tracing::warn!(
                service,
                "waiting for {service} for up to {patience_s} s: {error}"
            );
            is_said = true;
        }
        tokio::time::sleep_until(Instant::now() + SERVICE_LOOK).await;
    }
}

/// Jobs that are neither done nor dead, with where each is now.
pub(super) async fn left_jobs(store: &Store) -> Result<Vec<LeftJob>, StoreError> {
    let now = WallMs(Clock::start().wall_ms());
    let stored = store.open_jobs().await?;
    Ok(stored
        .into_iter()
        .map(|stored| LeftJob::new(stored, now))
        .collect())
}
