//! The workers of one channel: each takes jobs at its rate, so many at once.
//!
//! Belongs here: the loops, their number and their stop. Does not belong here: what a run does (jobs).

use super::crew::{Crew, Limits, WORKERS_MAX};
use super::pace::Pace;
use super::{Worker, jobs};
use crate::models::Channel;
use crate::queue::{Job, first_queue};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Starts as many workers of one channel as its limits say, and follows their changes. When stopped they
/// take no further job; the runs they have begun end on the tracker.
pub(crate) fn start(
    worker: &Arc<Worker>,
    channel: Channel,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) {
    let (worker, stop, runs) = (Arc::clone(worker), stop.clone(), tracker.clone());
    tracker.spawn(async move {
        let mut limits = worker.crews.of(channel).watch();
        let mut members: Vec<CancellationToken> = Vec::new();
        loop {
            let wanted = limits.borrow_and_update().count.min(WORKERS_MAX);
            while members.len() < wanted {
                let member = Member::new(&worker, channel, members.len());
                let leave = stop.child_token();
                members.push(leave.clone());
                let tracker = runs.clone();
                runs.spawn(async move { member.work(&tracker, &leave).await });
            }
            for leaving in members.drain(wanted..) {
                leaving.cancel();
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = limits.changed() => if changed.is_err() { return },
            }
        }
    });
}

/// One worker.
struct Member {
    worker: Arc<Worker>,
    channel: Channel,
    number: usize,
    slots: Arc<Slots>,
    limits: watch::Receiver<Limits>,
}

/// Runs of one worker that go on.
#[derive(Default)]
struct Slots {
    running: AtomicUsize,
    freed: Notify,
}

impl Member {
    fn new(worker: &Arc<Worker>, channel: Channel, number: usize) -> Self {
        Self {
            worker: Arc::clone(worker),
            channel,
            number,
            slots: Arc::default(),
            limits: worker.crews.of(channel).watch(),
        }
    }

    fn crew(&self) -> &Crew {
        self.worker.crews.of(self.channel)
    }

    async fn work(mut self, tracker: &TaskTracker, leave: &CancellationToken) {
        self.crew().join(self.number);
        let mut pace = Pace::new(self.limits.borrow().rate_per_s);
        loop {
            let job = tokio::select! {
                biased;
                () = leave.cancelled() => break,
                job = self.next(&mut pace) => job,
            };
            self.slots.running.fetch_add(1, Ordering::Relaxed);
            let (worker, slots) = (Arc::clone(&self.worker), Arc::clone(&self.slots));
            let number = self.number;
            tracker.spawn(async move {
                run(&worker, number, job).await;
                slots.running.fetch_sub(1, Ordering::Relaxed);
                slots.freed.notify_one();
            });
        }
        self.crew().leave(self.number);
    }

    async fn next(&mut self, pace: &mut Pace) -> Job {
        let worker = Arc::clone(&self.worker);
        let (queue, place) = (first_queue(self.channel), Worker::place(self.channel));
        loop {
            self.has_slot().await;
            worker.queues.has_job(self.channel).await;
            let is_open = |place| worker.faults.stopped_by(place).is_none();
            worker
                .faults
                .until(|_| is_open(queue) && is_open(place))
                .await;
            pace.set_rate(self.limits.borrow().rate_per_s);
            let now = tokio::time::Instant::now();
            let start = pace.next_start(now);
            // A timer takes a millisecond even where it is due.
            if start > now {
                self.crew().paced(self.number, start);
                tokio::time::sleep_until(start).await;
            }
            // Taken last, so that an urgent job that came meanwhile goes first.
            if let Some(job) = worker.queues.take(self.channel).await {
                self.crew().paced(self.number, start + pace.period());
                return job;
            }
        }
    }

    async fn has_slot(&mut self) {
        loop {
            let freed = self.slots.freed.notified();
            let concurrency = self.limits.borrow_and_update().concurrency;
            if self.slots.running.load(Ordering::Relaxed) < concurrency {
                return;
            }
            tokio::select! {
                () = freed => {}
                // The crew outlives its members.
                _changed = self.limits.changed() => {}
            }
        }
    }
}

async fn run(worker: &Worker, number: usize, job: Job) {
    let channel = job.channel;
    let (crew, place) = (worker.crews.of(channel), Worker::place(channel));
    worker
        .telemetry
        .worker_busy(place, crew.began(number).max(1));
    match channel {
        Channel::Email => jobs::send_mail::run(worker, job).await,
        Channel::InApp => jobs::deliver_in_app::run(worker, job).await,
    }
    match crew.ended(number) {
        0 => worker.telemetry.worker_idle(place),
        active => worker.telemetry.worker_busy(place, active),
    }
}
