//! The queues: mail, retry-1, retry-2, in-app, in-app-retry, and the dead letters.
//!
//! Belongs here: which job is next and which is parked until when, in memory over the stored rows.
//! Does not belong here: the rows (store), what a run does (worker).
//!
//! A job is stored before it is announced here, and announced (with its stages recorded) before a worker
//! can see it. After a crash the stored rows are announced again.

mod lane;
mod left;
mod parking;

pub(crate) use lane::Lane;
pub(crate) use left::LeftJob;

use crate::models::{Channel, Priority, UserId};
use crate::store::jobs::NewJob;
use crate::telemetry::{Part, Place, Telemetry};
use parking::Parking;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Jobs that may wait or rest in memory; past it new requests are refused with 503, nothing is dropped.
const JOBS_MAX: u64 = 200_000;

/// A job in memory.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: i64,
    pub(crate) channel: Channel,
    pub(crate) notification: String,
    pub(crate) user: UserId,
    pub(crate) priority: Priority,
    /// Its request in this run; its attempt is the run that comes next or is going on.
    pub(crate) part: Part,
}

/// All queues; cheap to copy.
#[derive(Clone)]
pub(crate) struct Queues {
    inner: Arc<Inner>,
}

struct Inner {
    telemetry: Telemetry,
    mail: Lane,
    in_app: Lane,
    retry_1: Parking,
    retry_2: Parking,
    in_app_retry: Parking,
    dead_count: AtomicU64,
}

/// Figures of one queue, jobs of earlier runs included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct QueueCounts {
    pub(crate) waiting: u64,
    pub(crate) active: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) delayed: u64,
}

/// Figures of one queue under its name.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct NamedCounts {
    pub(crate) name: &'static str,
    #[serde(flatten)]
    pub(crate) counts: QueueCounts,
}

impl Queues {
    pub(crate) fn new(telemetry: Telemetry, dead_count: u64) -> Self {
        Self {
            inner: Arc::new(Inner {
                telemetry,
                mail: Lane::default(),
                in_app: Lane::default(),
                retry_1: Parking::new(Place::Retry1),
                retry_2: Parking::new(Place::Retry2),
                in_app_retry: Parking::new(Place::InAppRetry),
                dead_count: AtomicU64::new(dead_count),
            }),
        }
    }

    /// Whether another request's jobs may be accepted.
    pub(crate) fn has_room(&self) -> bool {
        let inner = &self.inner;
        let waiting = inner.mail.counts().waiting + inner.in_app.counts().waiting;
        let parked: u64 = inner.parkings().iter().map(|parking| parking.len()).sum();
        waiting + parked < JOBS_MAX
    }

    /// The queue that workers of this channel pull from.
    pub(crate) fn lane(&self, channel: Channel) -> &Lane {
        match channel {
            Channel::Email => &self.inner.mail,
            Channel::InApp => &self.inner.in_app,
        }
    }

    /// A request's stored jobs enter their queues, each as a part of it.
    pub(crate) fn announce(&self, main: Part, from: Place, jobs: Vec<NewJob>) {
        let telemetry = &self.inner.telemetry;
        let parts = telemetry.split(main, u16::try_from(jobs.len()).unwrap_or(u16::MAX));
        for (job, part) in jobs.into_iter().zip(parts) {
            let rank = u64::from(job.priority.rank());
            let part = match job.channel {
                Channel::Email => telemetry.email_queued(part, from, rank, 0),
                Channel::InApp => telemetry.in_app_queued(part, from, rank),
            };
            self.lane(job.channel).push(Job::new(job, part));
        }
    }

    /// The run that is recorded, as its id's digits.
    pub(crate) fn run_id(&self) -> Option<String> {
        let run_id = self.inner.telemetry.run_id();
        run_id.map(|run_id| run_id.to_string())
    }

    /// Jobs that an earlier process left. Where the recording goes on with that process's run, they go on
    /// under their requests; else each is a request of its own in this run's recording.
    pub(crate) fn resume(&self, jobs: Vec<LeftJob>) {
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
                self.lane(stored.job.channel)
                    .push(Job::new(stored.job, part));
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

    /// The job rests at `via`; its stages are recorded already.
    pub(crate) fn park(&self, job: Job, via: Place, rest: Duration) {
        match self.inner.parking(via) {
            Some(parking) => parking.park(job, rest),
            None => tracing::error!(job.id, "job {} cannot rest at {}", job.id, via.name()),
        }
    }

    /// The user is here again: in-app jobs parked for that user are due now.
    pub(crate) fn wake_user(&self, user: UserId) {
        for job in self.inner.in_app_retry.take_of(user) {
            self.due(job, Place::InAppRetry);
        }
    }

    /// One more job rests with the dead letters.
    pub(crate) fn count_dead(&self) {
        self.inner.dead_count.fetch_add(1, Ordering::Relaxed);
    }

    /// Sends parked jobs on when they are due, until stopped; what is parked then stays stored.
    pub(crate) fn start(&self, tracker: &TaskTracker, stop: &CancellationToken) {
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
        self.lane(job.channel).push(Job { part, ..job });
    }

    /// Figures of every queue, by name.
    pub(crate) fn counts(&self) -> [NamedCounts; 6] {
        let inner = &self.inner;
        let parked = |parking: &Parking| QueueCounts {
            delayed: parking.len(),
            completed: parking.left_count(),
            ..QueueCounts::default()
        };
        let dead = inner.dead_count.load(Ordering::Relaxed);
        [
            ("mail", inner.mail.counts()),
            ("retry-1", parked(&inner.retry_1)),
            ("retry-2", parked(&inner.retry_2)),
            (
                "dlq",
                QueueCounts {
                    waiting: dead,
                    ..QueueCounts::default()
                },
            ),
            ("in-app", inner.in_app.counts()),
            ("in-app-retry", parked(&inner.in_app_retry)),
        ]
        .map(|(name, counts)| NamedCounts { name, counts })
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
}

impl Job {
    fn new(job: NewJob, part: Part) -> Self {
        Self {
            id: job.id,
            channel: job.channel,
            notification: job.notification,
            user: job.user,
            priority: job.priority,
            part,
        }
    }
}

/// Where a channel's jobs wait for a worker.
pub(crate) const fn first_queue(channel: Channel) -> Place {
    match channel {
        Channel::Email => Place::Mail,
        Channel::InApp => Place::InApp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Class;
    use flowreel_engine::model::id::RequestId;

    /// A job that differs from others in its number only.
    pub(super) fn job(id: i64) -> Job {
        Job {
            id,
            channel: Channel::InApp,
            notification: id.to_string(),
            user: UserId(1),
            priority: Priority::Normal,
            part: Part::main(RequestId(1), Class::Login),
        }
    }
}
