//! Embedded queues: which job is next and which is parked until when, in memory over the stored rows.
//!
//! Belongs here: how the lanes and delay stations work together. Does not belong here: the rows (store).

mod lane;
mod parking;

pub(super) use lane::Lane;

use super::{
    Dispatched, Job, LeftJob, NamedCounts, Phase, QUEUES, QueueCounts, Standing, first_queue,
};
use crate::faults::Faults;
use crate::models::{Channel, UserId};
use crate::store::jobs::NewJob;
use crate::telemetry::{Part, Place, Telemetry};
use parking::Parking;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Jobs that may wait or rest in memory; past it new requests are refused with 503, nothing is dropped.
const JOBS_MAX: u64 = 200_000;

/// All queues of one process; cheap to copy.
#[derive(Clone)]
pub(crate) struct Embedded {
    inner: Arc<Inner>,
}

struct Inner {
    telemetry: Telemetry,
    faults: Arc<Faults>,
    mail: Lane,
    in_app: Lane,
    retry_1: Parking,
    retry_2: Parking,
    in_app_retry: Parking,
    dead_count: AtomicU64,
    is_dlq_paused: AtomicBool,
}

/// One queue as its kind.
enum Queue<'a> {
    Lane(&'a Lane),
    Parking(&'a Parking),
    Dead,
}

impl Embedded {
    pub(crate) fn new(telemetry: Telemetry, faults: Arc<Faults>, dead_count: u64) -> Self {
        let clock = telemetry.clock();
        Self {
            inner: Arc::new(Inner {
                telemetry,
                faults,
                mail: Lane::new(clock),
                in_app: Lane::new(clock),
                retry_1: Parking::new(Place::Retry1, clock),
                retry_2: Parking::new(Place::Retry2, clock),
                in_app_retry: Parking::new(Place::InAppRetry, clock),
                dead_count: AtomicU64::new(dead_count),
                is_dlq_paused: AtomicBool::new(false),
            }),
        }
    }

    pub(super) fn has_room(&self) -> bool {
        let inner = &self.inner;
        let waiting: u64 = [&inner.mail, &inner.in_app]
            .into_iter()
            .map(|lane| lane.counts())
            .map(|counts| counts.waiting + counts.delayed)
            .sum();
        let parked: u64 = inner.parkings().iter().map(|parking| parking.len()).sum();
        waiting + parked < JOBS_MAX
    }

    /// The queue that workers of this channel pull from.
    pub(super) fn lane(&self, channel: Channel) -> &Lane {
        match channel {
            Channel::Email => &self.inner.mail,
            Channel::InApp => &self.inner.in_app,
        }
    }

    pub(super) fn announce(&self, main: Part, from: Place, jobs: Vec<NewJob>) {
        let telemetry = &self.inner.telemetry;
        let parts = telemetry.split(main, u16::try_from(jobs.len()).unwrap_or(u16::MAX));
        for (job, part) in jobs.into_iter().zip(parts) {
            let rank = u64::from(job.priority.rank());
            let part = match job.channel {
                Channel::Email => telemetry.email_queued(part, from, rank, 0),
                Channel::InApp => telemetry.in_app_queued(part, from, rank),
            };
            self.push(Job::new(job, part));
        }
    }

    pub(super) fn run_id(&self) -> Option<String> {
        let run_id = self.inner.telemetry.run_id();
        run_id.map(|run_id| run_id.to_string())
    }

    /// Where the recording goes on with the earlier process's run, its jobs go on under their requests;
    /// else each is a request of its own in this run's recording.
    pub(super) fn resume(&self, jobs: Vec<LeftJob>) {
        let telemetry = &self.inner.telemetry;
        for left in jobs {
            let known = left
                .survivor()
                .filter(|(run, survivor)| {
                    telemetry.run_id() == Some(*run) && telemetry.goes_on(survivor.part)
                })
                .map(|(_, survivor)| survivor.part);
            let LeftJob { stored, parked } = left;
            let (class, attempt) = (stored.job.kind.class(), stored.attempt);
            let Some((via, rest)) = parked else {
                let queue = first_queue(stored.job.channel);
                let part = known.unwrap_or_else(|| telemetry.resume_job(class, queue, attempt));
                self.push(Job::new(stored.job, part));
                continue;
            };
            let rest_ns = u64::try_from(rest.as_nanos()).unwrap_or(u64::MAX);
            // The stored attempt is the next run; while parked, the part carries the one that failed.
            let part = known.unwrap_or_else(|| {
                telemetry.resume_delayed(class, via, attempt.saturating_sub(1), rest_ns)
            });
            self.park(Job::new(stored.job, part), via, rest);
        }
    }

    pub(super) fn park(&self, job: Job, via: Place, rest: Duration) {
        match self.inner.parking(via) {
            Some(parking) => parking.park(job, rest),
            None => tracing::error!(job.id, "job {} cannot rest at {}", job.id, via.name()),
        }
    }

    pub(super) fn wake_user(&self, user: UserId) {
        let mut jobs = self.inner.in_app_retry.take_of(user);
        jobs.sort_unstable_by_key(|job| job.id);
        for job in jobs {
            self.due(job, Place::InAppRetry);
        }
    }

    pub(super) fn count_dead(&self, count: u64) {
        self.inner.dead_count.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn forget_dead(&self, count: u64) {
        self.inner.dead_count.fetch_sub(count, Ordering::Relaxed);
    }

    pub(super) fn requeue(&self, job: Job) {
        self.forget_dead(1);
        self.push(job);
    }

    pub(super) fn start(&self, tracker: &TaskTracker, stop: &CancellationToken) {
        for via in [Place::Retry1, Place::Retry2, Place::InAppRetry] {
            let (queues, stop) = (self.clone(), stop.clone());
            tracker.spawn(async move {
                while let Some(job) = queues.next_due(via, &stop).await {
                    queues.due(job, via);
                }
            });
        }
    }

    async fn next_due(&self, via: Place, stop: &CancellationToken) -> Option<Job> {
        let parking = self.inner.parking(via)?;
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            job = parking.next_due() => Some(job),
        }
    }

    fn due(&self, job: Job, via: Place) {
        let queue = first_queue(job.channel);
        let rank = u64::from(job.priority.rank());
        let part = self.inner.telemetry.retry_due(job.part, via, queue, rank);
        self.push(Job { part, ..job });
    }

    fn push(&self, job: Job) {
        let delay = self.inner.faults.queue_delay(first_queue(job.channel));
        self.lane(job.channel).push(job, delay);
    }

    pub(super) fn counts(&self) -> [NamedCounts; 6] {
        QUEUES.map(|place| NamedCounts {
            name: place.name(),
            counts: match self.inner.queue(place) {
                Queue::Lane(lane) => lane.counts(),
                Queue::Parking(parking) => parking.counts(),
                Queue::Dead => QueueCounts {
                    waiting: self.inner.dead_count.load(Ordering::Relaxed),
                    is_paused: self.inner.is_dlq_paused.load(Ordering::Relaxed),
                    ..QueueCounts::default()
                },
            },
        })
    }

    pub(super) fn set_paused(&self, queue: Place, paused: bool) -> bool {
        match self.inner.queue(queue) {
            Queue::Lane(lane) => lane.set_paused(paused),
            Queue::Parking(parking) => parking.set_paused(paused),
            Queue::Dead => self.inner.is_dlq_paused.swap(paused, Ordering::Relaxed) != paused,
        }
    }

    pub(super) fn drain(&self, queue: Place, delayed: bool) -> Vec<Job> {
        match self.inner.queue(queue) {
            Queue::Lane(lane) => lane.drain(delayed),
            Queue::Parking(parking) if delayed => parking.drain(),
            Queue::Parking(_) | Queue::Dead => Vec::new(),
        }
    }

    pub(super) fn jobs(
        &self,
        queue: Place,
        phase: Phase,
        offset: usize,
        limit: usize,
    ) -> (Vec<Dispatched>, u64) {
        match (self.inner.queue(queue), phase) {
            (Queue::Lane(lane), phase) => lane.jobs(phase, offset, limit),
            (Queue::Parking(parking), Phase::Delayed) => parking.jobs(offset, limit),
            (Queue::Parking(_), Phase::Waiting | Phase::Active) | (Queue::Dead, _) => {
                (Vec::new(), 0)
            }
        }
    }

    pub(super) fn standing(&self, queue: Place, job: i64) -> Option<Standing> {
        match self.inner.queue(queue) {
            Queue::Lane(lane) => lane.standing(job),
            Queue::Parking(parking) => parking.standing(job),
            Queue::Dead => None,
        }
    }
}

impl Inner {
    fn parkings(&self) -> [&Parking; 3] {
        [&self.retry_1, &self.retry_2, &self.in_app_retry]
    }

    fn parking(&self, via: Place) -> Option<&Parking> {
        self.parkings()
            .into_iter()
            .find(|parking| parking.place() == via)
    }

    fn queue(&self, place: Place) -> Queue<'_> {
        match place {
            Place::Mail => Queue::Lane(&self.mail),
            Place::InApp => Queue::Lane(&self.in_app),
            other => self.parking(other).map_or(Queue::Dead, Queue::Parking),
        }
    }
}
