//! One delay station: jobs rest until they are due.
//!
//! Belongs here: due times in memory. Does not belong here: how long a rest is (worker/backoff).

use super::Job;
use crate::models::UserId;
use crate::telemetry::Place;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Jobs that rest at one place, by due time and then by number.
pub(super) struct Parking {
    place: Place,
    resting: Mutex<BTreeMap<(Instant, i64), Job>>,
    changed: Notify,
    left_count: AtomicU64,
}

impl Parking {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            resting: Mutex::default(),
            changed: Notify::new(),
            left_count: AtomicU64::new(0),
        }
    }

    pub(super) const fn place(&self) -> Place {
        self.place
    }

    pub(super) fn len(&self) -> u64 {
        self.resting().len() as u64
    }

    /// Jobs that have left since the start.
    pub(super) fn left_count(&self) -> u64 {
        self.left_count.load(Ordering::Relaxed)
    }

    pub(super) fn park(&self, job: Job, rest: Duration) {
        self.resting().insert((Instant::now() + rest, job.id), job);
        self.changed.notify_one();
    }

    /// Waits for the next job that is due, and takes it.
    pub(super) async fn next_due(&self) -> Job {
        loop {
            let changed = self.changed.notified();
            let first_due = self.resting().keys().next().map(|&(due, _id)| due);
            let Some(due) = first_due else {
                changed.await;
                continue;
            };
            if due <= Instant::now() {
                if let Some(job) = self.take_first_due() {
                    return job;
                }
                continue;
            }
            // Whichever comes first, the earliest job is looked up again.
            drop(tokio::time::timeout_at(due, changed).await);
        }
    }

    /// Takes the jobs of one user, whenever they are due.
    pub(super) fn take_of(&self, user: UserId) -> Vec<Job> {
        let mut resting = self.resting();
        let keys: Vec<_> = resting
            .iter()
            .filter(|(_, job)| job.user == user)
            .map(|(key, _)| *key)
            .collect();
        let jobs: Vec<Job> = keys.iter().filter_map(|key| resting.remove(key)).collect();
        drop(resting);
        self.left_count
            .fetch_add(jobs.len() as u64, Ordering::Relaxed);
        jobs
    }

    fn take_first_due(&self) -> Option<Job> {
        let mut resting = self.resting();
        let entry = resting
            .first_entry()
            .filter(|entry| entry.key().0 <= Instant::now())?;
        let job = entry.remove();
        drop(resting);
        self.left_count.fetch_add(1, Ordering::Relaxed);
        Some(job)
    }

    fn resting(&self) -> MutexGuard<'_, BTreeMap<(Instant, i64), Job>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::job;
    use super::*;

    #[tokio::test]
    async fn jobs_leave_when_they_are_due_and_not_before() {
        let parking = Parking::new(Place::Retry1);
        let begun = Instant::now();
        parking.park(job(1), Duration::from_millis(60));
        parking.park(job(2), Duration::from_millis(20));
        assert_eq!(parking.next_due().await.id, 2);
        assert!(begun.elapsed() >= Duration::from_millis(20));
        assert_eq!(parking.next_due().await.id, 1);
        assert!(begun.elapsed() >= Duration::from_millis(60));
        assert_eq!((parking.len(), parking.left_count()), (0, 2));
    }

    #[tokio::test]
    async fn a_users_jobs_leave_early_and_no_others() {
        let parking = Parking::new(Place::InAppRetry);
        for (id, user) in [(1, 7), (2, 8), (3, 7)] {
            let job = Job {
                user: UserId(user),
                ..job(id)
            };
            parking.park(job, Duration::from_millis(10));
        }
        let ids: Vec<i64> = parking
            .take_of(UserId(7))
            .iter()
            .map(|job| job.id)
            .collect();
        assert_eq!(ids, [1, 3]);
        assert_eq!(parking.next_due().await.id, 2);
    }
}
