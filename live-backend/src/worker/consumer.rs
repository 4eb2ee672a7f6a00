//! One worker: takes jobs of its channel, at its rate, so many at once.
//!
//! Belongs here: the loop and its stop. Does not belong here: what a run does (jobs).

use super::pace::Pace;
use super::{Worker, jobs};
use crate::models::Channel;
use crate::queue::Job;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How fast one worker may go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) concurrency: usize,
    pub(crate) rate_per_s: f64,
}

/// Runs in progress in this process, by channel.
#[derive(Debug, Default)]
pub(crate) struct RunCounts {
    mail: AtomicU64,
    in_app: AtomicU64,
}

impl RunCounts {
    const fn of(&self, channel: Channel) -> &AtomicU64 {
        match channel {
            Channel::Email => &self.mail,
            Channel::InApp => &self.in_app,
        }
    }
}

/// Starts the worker of one channel. When stopped it takes no further job; the runs it has begun end on
/// the tracker.
pub(crate) fn start(
    worker: &Arc<Worker>,
    channel: Channel,
    limits: Limits,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) {
    let (worker, stop, runs) = (Arc::clone(worker), stop.clone(), tracker.clone());
    tracker.spawn(async move {
        let slots = Arc::new(Semaphore::new(limits.concurrency));
        let mut pace = Pace::new(limits.rate_per_s);
        while let Some((job, slot)) = next(&worker, channel, &slots, &mut pace, &stop).await {
            let worker = Arc::clone(&worker);
            runs.spawn(async move {
                run(&worker, job).await;
                drop(slot);
            });
        }
    });
}

async fn next(
    worker: &Worker,
    channel: Channel,
    slots: &Arc<Semaphore>,
    pace: &mut Pace,
    stop: &CancellationToken,
) -> Option<(Job, tokio::sync::OwnedSemaphorePermit)> {
    let queues = &worker.queues;
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        found = async {
            loop {
                let slot = Arc::clone(slots).acquire_owned().await.ok()?;
                queues.has_job(channel).await;
                let now = tokio::time::Instant::now();
                let start = pace.next_start(now);
                // A timer takes a millisecond even where it is due.
                if start > now {
                    tokio::time::sleep_until(start).await;
                }
                // Taken last, so that an urgent job that came meanwhile goes first.
                if let Some(job) = queues.take(channel).await {
                    return Some((job, slot));
                }
            }
        } => found,
    }
}

async fn run(worker: &Worker, job: Job) {
    let channel = job.channel;
    let (runs, place) = (worker.runs.of(channel), Worker::place(channel));
    let before = runs.fetch_add(1, Ordering::Relaxed);
    worker.telemetry.worker_busy(place, before + 1);
    match channel {
        Channel::Email => jobs::send_mail::run(worker, job).await,
        Channel::InApp => jobs::deliver_in_app::run(worker, job).await,
    }
    match runs.fetch_sub(1, Ordering::Relaxed).saturating_sub(1) {
        0 => worker.telemetry.worker_idle(place),
        active => worker.telemetry.worker_busy(place, active),
    }
}
