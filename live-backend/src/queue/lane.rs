//! One queue that workers pull from: highest priority first, first come first served within it.
//!
//! Belongs here: the order of waiting jobs, figures. Does not belong here: rates, concurrency (worker).

use super::{Job, QueueCounts};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Waiting jobs of one channel.
#[derive(Default)]
pub(crate) struct Lane {
    waiting: Mutex<Waiting>,
    changed: Notify,
    active: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    heap: BinaryHeap<Entry>,
    /// Lets jobs of one priority leave in the order they came.
    next_sequence: u64,
}

struct Entry {
    key: (u8, Reverse<u64>),
    job: Job,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl Lane {
    pub(super) fn push(&self, job: Job) {
        let mut waiting = self.waiting();
        let key = (job.priority.rank(), Reverse(waiting.next_sequence));
        waiting.next_sequence += 1;
        waiting.heap.push(Entry { key, job });
        drop(waiting);
        self.changed.notify_one();
    }

    /// Waits until a job waits here.
    pub(crate) async fn has_job(&self) {
        loop {
            // Made before the check, so that a push in between is not missed.
            let changed = self.changed.notified();
            if !self.waiting().heap.is_empty() {
                return;
            }
            changed.await;
        }
    }

    /// Takes the next job and counts it as active.
    pub(crate) fn take(&self) -> Option<Job> {
        let job = self.waiting().heap.pop()?.job;
        self.active.fetch_add(1, Ordering::Relaxed);
        Some(job)
    }

    /// A job taken before is over; the answer is how many are still active.
    pub(crate) fn ended(&self, is_ok: bool) -> u64 {
        let counter = if is_ok { &self.completed } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        self.active
            .fetch_sub(1, Ordering::Relaxed)
            .saturating_sub(1)
    }

    pub(crate) fn counts(&self) -> QueueCounts {
        QueueCounts {
            waiting: self.waiting().heap.len() as u64,
            active: self.active.load(Ordering::Relaxed),
            completed: self.completed.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            delayed: 0,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::job;
    use super::*;
    use crate::models::Priority;

    #[test]
    fn urgent_jobs_overtake_and_equals_keep_their_order() {
        let lane = Lane::default();
        for (id, priority) in [
            (1, Priority::Normal),
            (2, Priority::Low),
            (3, Priority::Normal),
            (4, Priority::Urgent),
        ] {
            lane.push(Job {
                priority,
                ..job(id)
            });
        }
        let order: Vec<i64> = std::iter::from_fn(|| lane.take().map(|job| job.id)).collect();
        assert_eq!(order, [4, 1, 3, 2]);
        assert_eq!(lane.counts().active, 4);
        assert_eq!(lane.ended(true), 3);
        assert_eq!(lane.counts().completed, 1);
    }

    #[tokio::test]
    async fn a_waiting_worker_sees_a_job_pushed_later() {
        let lane = std::sync::Arc::new(Lane::default());
        let other = std::sync::Arc::clone(&lane);
        let (taken, ()) = tokio::join!(
            async {
                lane.has_job().await;
                lane.take().map(|job| job.id)
            },
            async move { other.push(job(9)) }
        );
        assert_eq!(taken, Some(9));
    }
}
