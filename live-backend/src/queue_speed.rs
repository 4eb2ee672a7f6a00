//! How fast the queues are, for the bench: jobs added and completed on Redis, jobs stored and done embedded.
//!
//! Belongs here: the same calls as servers and workers make, without sockets and relays, and without a
//! rate. Does not belong here: what is compared with whom (benches/queue.rs).

use crate::config::StorePart;
use crate::faults::Faults;
use crate::models::{Channel, NotificationType, Priority, UserId, WallMs};
use crate::queue::{Embedded, Queues, Redis};
use crate::store::Store;
use crate::store::jobs::{NewJob, RunEnd};
use crate::store::notifications::News;
use crate::store::step::RunStep;
use crate::store::users::NewUser;
use crate::telemetry::topology::{TopologySettings, live_topology};
use crate::telemetry::{Class, Clock, Part, Place, Recorder, RecordingSettings, Telemetry};
use flowreel_engine::model::id::RequestId;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::JoinSet;

/// Jobs that are added at the same time.
const ADDERS: u64 = 64;

/// Times of one round, in seconds of the run's clock.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// From the first addition to the last one.
    pub added_s: f64,
    /// From the first job taken to the last one completed.
    pub completed_s: f64,
}

/// Adds that many jobs to `in-app` on a Redis of the bench alone, then completes them by so many hands:
/// each waits for a job, takes it and ends its run before it goes for the next one, as workers do.
///
/// `between` is called when all are added, so that the caller can read its processor time.
///
/// # Errors
/// What Redis or the store said.
pub async fn redis(
    url: &str,
    folder: &Path,
    jobs: u64,
    hands: usize,
    between: impl FnOnce(),
) -> Result<Speed, String> {
    let (telemetry, recorder) = telemetry()?;
    let opened = Store::open(&StorePart::Embedded, folder).await;
    let (store, writer) = opened.map_err(|error| error.to_string())?;
    let (recorded, kept) = (telemetry.clone(), store.clone());
    let queues = Redis::open(url, None, recorded, kept, Arc::default()).await;
    let queues = Queues::Redis(queues.map_err(|error| error.to_string())?);
    let begun = telemetry.now();
    let mut adders = JoinSet::new();
    for adder in 0..ADDERS {
        let queues = queues.clone();
        adders.spawn(async move {
            for number in (adder..jobs).step_by(usize::try_from(ADDERS).unwrap_or(1)) {
                let main = Part::main(RequestId(number), Class::Login);
                queues
                    .announce(main, Place::Server1, vec![job(number)])
                    .await;
            }
        });
    }
    while adders.join_next().await.is_some() {}
    let added = telemetry.now();
    between();
    let mut workers = JoinSet::new();
    let next = Arc::new(AtomicU64::new(0));
    for _ in 0..hands {
        let (queues, next) = (queues.clone(), Arc::clone(&next));
        workers.spawn(async move {
            let mut done = 0_u64;
            while next.fetch_add(1, Ordering::Relaxed) < jobs {
                let job = loop {
                    queues.has_job(Channel::InApp).await;
                    if let Some(job) = queues.take(Channel::InApp).await {
                        break job;
                    }
                };
                queues.completed(&job).await;
                done += 1;
            }
            done
        });
    }
    let mut done = 0;
    while let Some(count) = workers.join_next().await {
        done += count.map_err(|error| error.to_string())?;
    }
    let completed = telemetry.now();
    drop((queues, store));
    writer.closed().await;
    drop(recorder.finish());
    if done != jobs {
        return Err(format!("{done} of {jobs} jobs were completed"));
    }
    Ok(Speed {
        added_s: seconds(added.since_ns(begun)),
        completed_s: seconds(completed.since_ns(added)),
    })
}

/// Stores that many accounts with a welcome job each, and does each job: two durable changes a job, many
/// in one write to disk. The answer is the seconds from the first to the last.
///
/// # Errors
/// What the store said.
pub async fn embedded(folder: &Path, jobs: u64, hands: usize) -> Result<f64, String> {
    let (telemetry, recorder) = telemetry()?;
    let opened = Store::open(&StorePart::Embedded, folder).await;
    let (store, writer) = opened.map_err(|error| error.to_string())?;
    let faults = Arc::new(Faults::default());
    let queues = Queues::Embedded(Embedded::new(telemetry.clone(), faults, 0));
    let (begun, next) = (telemetry.now(), Arc::new(AtomicU64::new(0)));
    let mut all: JoinSet<Result<(), String>> = JoinSet::new();
    for _ in 0..hands {
        let (store, queues, next) = (store.clone(), queues.clone(), Arc::clone(&next));
        all.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= jobs {
                    return Ok(());
                }
                accept_and_do(&store, &queues, number).await?;
            }
        });
    }
    while let Some(ended) = all.join_next().await {
        ended.map_err(|error| error.to_string())??;
    }
    let took = seconds(telemetry.now().since_ns(begun));
    drop((queues, store));
    writer.closed().await;
    drop(recorder.finish());
    Ok(took)
}

async fn accept_and_do(store: &Store, queues: &Queues, number: u64) -> Result<(), String> {
    let user = NewUser {
        username: format!("user {number}"),
        email: format!("user{number}@people.example"),
        password_hash: "none".to_owned(),
        verification_hash: None,
    };
    let news = News {
        id: format!("{number:032x}"),
        channel: Channel::Email,
        kind: NotificationType::Signup,
        title: "Welcome".to_owned(),
        message: "Good to have you.".to_owned(),
        priority: Priority::Normal,
        expires_at: None,
        origin: None,
    };
    let said = |error: crate::store::StoreError| error.to_string();
    let (_id, stored) = store
        .create_user(user, vec![news], WallMs(0))
        .await
        .map_err(said)?;
    let main = Part::main(RequestId(number), Class::Signup);
    queues.announce(main, Place::Server1, stored).await;
    queues.has_job(Channel::Email).await;
    let Some(job) = queues.take(Channel::Email).await else {
        return Err("a job that was announced is not there".to_owned());
    };
    let end = RunEnd {
        job: job.id,
        request: job.part.request,
        notification: job.notification.clone(),
        channel: job.channel,
        attempt: 1,
        code: None,
        reason: String::new(),
        is_missed: false,
    };
    let delivered = store.step(end, RunStep::DELIVERED, WallMs(0)).await;
    delivered.map_err(said)?;
    queues.completed(&job).await;
    Ok(())
}

pub(crate) fn telemetry() -> Result<(Telemetry, Recorder), String> {
    let topology = live_topology(&TopologySettings::default());
    let recorder = Recorder::start(Clock::start(), topology, &RecordingSettings::default());
    let recorder = recorder.map_err(|error| error.to_string())?;
    Ok((recorder.telemetry(), recorder))
}

fn job(number: u64) -> NewJob {
    NewJob {
        id: i64::try_from(number).unwrap_or(i64::MAX),
        channel: Channel::InApp,
        kind: NotificationType::Login,
        notification: format!("{number:032x}"),
        user: UserId(17),
        priority: Priority::Normal,
    }
}

fn seconds(ns: u64) -> f64 {
    std::time::Duration::from_nanos(ns).as_secs_f64()
}
