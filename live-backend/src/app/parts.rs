//! What a process stands on: its recorder, its store, its queues.
//!
//! Belongs here: opening them as the settings say. Does not belong here: what is done with them.

use super::StartError;
use crate::config::{QueuePart, Settings, StorePart};
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

/// How long a start waits for its services.
pub(super) const SERVICE_PATIENCE: Duration = Duration::from_secs(60);
/// How often it looks for them.
const SERVICE_LOOK: Duration = Duration::from_millis(500);

/// The store, once it can be reached.
pub(super) async fn open_store(
    part: &StorePart,
    folder: &Path,
) -> Result<(Store, StoreWriter), StoreError> {
    let open = async || Store::open(part, folder).await;
    let is_lasting = |error: &StoreError| !matches!(error, StoreError::Unreachable { .. });
    patiently("the store", open, is_lasting).await
}

/// Whether a start of this process may have to wait.
pub(super) fn waits(settings: &Settings) -> bool {
    settings.queue != QueuePart::Embedded || settings.store != StorePart::Embedded
}

/// How the servers' sockets hear of each other.
pub(super) async fn open_bus(queue: &QueuePart) -> Result<Bus, BusError> {
    match queue {
        QueuePart::Embedded => Ok(Bus::in_process()),
        QueuePart::Redis(address) => {
            let open = async || Bus::over_redis(address).await;
            patiently("Redis", open, BusError::is_lasting).await
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
            let url = address.with_secret();
            let opened = Redis::open(url, telemetry.clone(), store.clone()).await;
            Ok(Queues::Redis(opened?))
        }
    }
}

/// Waits for a service that is not there yet; services and roles may start in any order. One that refuses
/// us for good is not waited for.
pub(super) async fn patiently<T, E: std::fmt::Display>(
    service: &'static str,
    open: impl AsyncFn() -> Result<T, E>,
    is_lasting: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let give_up_at = Instant::now() + SERVICE_PATIENCE;
    let mut is_said = false;
    loop {
        let error = match open().await {
            Ok(opened) => return Ok(opened),
            Err(error) if is_lasting(&error) || Instant::now() >= give_up_at => return Err(error),
            Err(error) => error,
        };
        if !is_said {
            let patience_s = SERVICE_PATIENCE.as_secs();
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
