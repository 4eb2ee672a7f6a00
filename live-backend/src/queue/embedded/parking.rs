//! One delay station: jobs rest until they are due.
//!
//! Belongs here: due times in memory. Does not belong here: how long a rest is (worker/backoff).

use super::super::{Dispatched, Job, QueueCounts, Standing};
use super::lane::wall_at;
use crate::models::{UserId, WallMs};
use crate::telemetry::{Clock, Place};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Jobs that rest at one place, by due time and then by number.
pub(super) struct Parking {
    place: Place,
    clock: Clock,
    resting: Mutex<Resting>,
    changed: Notify,
    left_count: AtomicU64,
}

#[derive(Default)]
struct Resting {
    jobs: BTreeMap<(Instant, i64), Rester>,
    is_paused: bool,
}

/// What a look finds.
enum Next {
    Due(Job),
    At(Instant),
    Never,
}

struct Rester {
    job: Job,
    since: WallMs,
}

impl Parking {
    pub(super) fn new(place: Place, clock: Clock) -> Self {
        Self {
            place,
            clock,
            resting: Mutex::default(),
            changed: Notify::new(),
            left_count: AtomicU64::new(0),
        }
    }

    pub(super) const fn place(&self) -> Place {
        self.place
    }

    pub(super) fn len(&self) -> u64 {
        self.resting().jobs.len() as u64
    }

    /// A job that has left counts as completed here.
    pub(super) fn counts(&self) -> QueueCounts {
        let resting = self.resting();
        QueueCounts {
            delayed: resting.jobs.len() as u64,
            completed: self.left_count.load(Ordering::Relaxed),
            is_paused: resting.is_paused,
            ..QueueCounts::default()
        }
    }

    pub(super) fn park(&self, job: Job, rest: Duration) {
        self.park_until(job, Instant::now() + rest);
    }

    fn park_until(&self, job: Job, due: Instant) {
        let since = WallMs(self.clock.wall_ms());
        let key = (due, job.id);
        self.resting().jobs.insert(key, Rester { job, since });
        self.changed.notify_one();
    }

    /// The answer is whether it was otherwise before.
    pub(super) fn set_paused(&self, paused: bool) -> bool {
        let was_paused = std::mem::replace(&mut self.resting().is_paused, paused);
        self.changed.notify_one();
        was_paused != paused
    }

    /// Takes out every job.
    pub(super) fn drain(&self) -> Vec<Job> {
        let jobs = std::mem::take(&mut self.resting().jobs);
        jobs.into_values().map(|rester| rester.job).collect()
    }

    /// Jobs by due time, and how many there are.
    pub(super) fn jobs(&self, offset: usize, limit: usize) -> (Vec<Dispatched>, u64) {
        let resting = self.resting();
        let page = resting.jobs.iter().skip(offset).take(limit);
        let page = page.map(|(&(due, _id), rester)| Dispatched {
            job: rester.job.clone(),
            since: rester.since,
            due_at: Some(wall_at(self.clock, due)),
        });
        (page.collect(), resting.jobs.len() as u64)
    }

    pub(super) fn standing(&self, job: i64) -> Option<Standing> {
        let resting = self.resting();
        let &(due, _id) = resting.jobs.keys().find(|(_, id)| *id == job)?;
        Some(Standing::Delayed {
            due_at: wall_at(self.clock, due),
        })
    }

    /// Waits for the next job that is due, and takes it.
    pub(super) async fn next_due(&self) -> Job {
        loop {
            let changed = self.changed.notified();
            match self.look(Instant::now()) {
                Next::Due(job) => return job,
                // Whichever comes first, the earliest job is looked up again.
                Next::At(due) => drop(tokio::time::timeout_at(due, changed).await),
                Next::Never => changed.await,
            }
        }
    }

    /// Takes the first job where it is due at `now`, else tells when to look again.
    fn look(&self, now: Instant) -> Next {
        let mut resting = self.resting();
        if resting.is_paused {
            return Next::Never;
        }
        let Some(entry) = resting.jobs.first_entry() else {
            return Next::Never;
        };
        let &(due, _id) = entry.key();
        if due > now {
            return Next::At(due);
        }
        let job = entry.remove().job;
        drop(resting);
        self.left_count.fetch_add(1, Ordering::Relaxed);
        Next::Due(job)
    }

    /// Takes the jobs of one user, whenever they are due.
    pub(super) fn take_of(&self, user: UserId) -> Vec<Job> {
        let mut resting = self.resting();
        if resting.is_paused {
            return Vec::new();
        }
        let is_theirs = |_: &(Instant, i64), rester: &mut Rester| rester.job.user == user;
        let jobs: Vec<Job> = resting
            .jobs
            .extract_if(.., is_theirs)
            .map(|(_, rester)| rester.job)
            .collect();
        drop(resting);
        self.left_count
            .fetch_add(jobs.len() as u64, Ordering::Relaxed);
        jobs
    }

    fn resting(&self) -> MutexGuard<'_, Resting> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::job;
    use super::*;

    impl Parking {
        /// The job that leaves at `now`.
        fn leaves_at(&self, now: Instant) -> Option<i64> {
            match self.look(now) {
                Next::Due(job) => Some(job.id),
                Next::At(_) | Next::Never => None,
            }
        }
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn jobs_leave_exactly_when_they_are_due() {
        let (begun, rests) = (Instant::now(), [300_000, 1_800_000, 60_000]);
        for (place, rest) in [Place::Retry1, Place::Retry2, Place::InAppRetry]
            .into_iter()
            .zip(rests)
        {
            let parking = Parking::new(place, Clock::start());
            parking.park_until(job(1), begun + ms(rest));
            parking.park_until(job(2), begun + ms(rest + 5));
            assert_eq!(parking.leaves_at(begun + ms(rest - 1)), None);
            assert_eq!(parking.leaves_at(begun + ms(rest)), Some(1));
            assert_eq!(parking.leaves_at(begun + ms(rest + 4)), None);
            assert_eq!(parking.leaves_at(begun + ms(rest + 5)), Some(2));
            let counts = parking.counts();
            assert_eq!((counts.delayed, counts.completed), (0, 2));
        }
    }

    #[tokio::test]
    async fn a_waiter_gets_the_earliest_job_even_one_parked_later() {
        let parking = Parking::new(Place::Retry1, Clock::start());
        let begun = Instant::now();
        parking.park(job(1), ms(60));
        let (first, ()) = tokio::join!(parking.next_due(), async { parking.park(job(2), ms(20)) });
        assert_eq!(first.id, 2);
        assert!(begun.elapsed() >= ms(20));
        assert_eq!(parking.next_due().await.id, 1);
        assert!(begun.elapsed() >= ms(60));
    }

    #[test]
    fn a_users_jobs_leave_early_and_no_others() {
        let parking = Parking::new(Place::InAppRetry, Clock::start());
        let due = Instant::now() + ms(10);
        for (id, user) in [(1, 7), (2, 8), (3, 7)] {
            let job = Job {
                user: UserId(user),
                ..job(id)
            };
            parking.park_until(job, due);
        }
        let ids: Vec<i64> = parking
            .take_of(UserId(7))
            .iter()
            .map(|job| job.id)
            .collect();
        assert_eq!(ids, [1, 3]);
        assert_eq!(parking.leaves_at(due), Some(2));
    }

    #[test]
    fn a_paused_station_keeps_even_what_is_due() {
        let parking = Parking::new(Place::InAppRetry, Clock::start());
        let due = Instant::now();
        parking.park_until(job(1), due);
        assert!(parking.set_paused(true));
        assert!(!parking.set_paused(true));
        assert_eq!(parking.leaves_at(due + ms(600_000)), None);
        assert!(parking.take_of(UserId(1)).is_empty());
        assert!(matches!(
            parking.standing(1),
            Some(Standing::Delayed { .. })
        ));
        assert!(parking.set_paused(false));
        assert_eq!(parking.leaves_at(due), Some(1));
        parking.park_until(job(2), due);
        assert_eq!(parking.drain().len(), 1);
        assert_eq!(parking.len(), 0);
    }
}
