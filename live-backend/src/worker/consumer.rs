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
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a leaving worker waits for a job that is being handed to it.
const LAST_TAKE: Duration = Duration::from_secs(1);

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
        // One that leaves may still have runs, so its number is not given again.
        let mut numbers = 0..;
        loop {
            let wanted = limits.borrow_and_update().count.min(WORKERS_MAX);
            while members.len() < wanted {
                let Some(number) = numbers.next() else { return };
                let member = Member::new(&worker, channel, number);
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
    /// Jobs that went back without a run: their starts are still to be made.
    put_back: AtomicUsize,
    went_back: Notify,
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
            let start = tokio::select! {
                biased;
                () = leave.cancelled() => break,
                start = self.ready(&mut pace) => start,
            };
            // Taken last, so that an urgent job that came meanwhile goes first; and not given up halfway, as
            // what Redis hands out is locked.
            let taken = tokio::select! {
                biased;
                taken = self.worker.queues.take(self.channel) => taken,
                () = late(leave) => None,
            };
            let Some(job) = taken else { continue };
            self.crew().paced(self.number, start + pace.period());
            self.slots.running.fetch_add(1, Ordering::Relaxed);
            let (worker, slots) = (Arc::clone(&self.worker), Arc::clone(&self.slots));
            let number = self.number;
            tracker.spawn(async move {
                if !run(&worker, number, job).await {
                    slots.put_back.fetch_add(1, Ordering::Relaxed);
                    slots.went_back.notify_one();
                }
                slots.running.fetch_sub(1, Ordering::Relaxed);
                slots.freed.notify_one();
            });
        }
        self.crew().leave(self.number);
        // It may be the only one that was told of a job.
        self.worker.queues.stir(self.channel).await;
    }

    /// Waits until a job may be taken; the answer is when its run starts by this worker's rate.
    async fn ready(&mut self, pace: &mut Pace) -> Instant {
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
            for _ in 0..self.slots.put_back.swap(0, Ordering::Relaxed) {
                pace.give_back();
            }
            pace.set_rate(self.limits.borrow().rate_per_s);
            let now = Instant::now();
            let start = pace.next_start(now);
            // A timer takes a millisecond even where it is due.
            if start > now {
                self.crew().paced(self.number, start);
                tokio::select! {
                    () = tokio::time::sleep_until(start) => {}
                    _changed = self.limits.changed() => {
                        pace.give_back();
                        continue;
                    }
                    // Whoever goes back leaves its start to the next one, or those that come too early
                    // would take the rate of those that may go.
                    () = self.slots.went_back.notified() => {
                        pace.give_back();
                        continue;
                    }
                }
            }
            return start;
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

/// Some time after the worker was told to leave.
async fn late(leave: &CancellationToken) {
    leave.cancelled().await;
    tokio::time::sleep_until(Instant::now() + LAST_TAKE).await;
}

/// One run; false where the job went back, because it is before its turn.
async fn run(worker: &Worker, number: usize, job: Job) -> bool {
    let channel = job.channel;
    let (crew, place) = (worker.crews.of(channel), Worker::place(channel));
    let busy = || {
        let active = crew.began(number).max(1);
        worker.telemetry.worker_busy(place, active);
    };
    match channel {
        Channel::Email => {
            busy();
            jobs::send_mail::run(worker, job).await;
        }
        Channel::InApp => {
            let prepared = match jobs::deliver_in_app::prepare(worker, &job).await {
                Ok(prepared) => prepared,
                Err(rest) => {
                    worker.queues.put_back(&job, rest).await;
                    return false;
                }
            };
            busy();
            jobs::deliver_in_app::run(worker, job, prepared).await;
        }
    }
    match crew.ended(number) {
        0 => worker.telemetry.worker_idle(place),
        active => worker.telemetry.worker_busy(place, active),
    }
    true
}
