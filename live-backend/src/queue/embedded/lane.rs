//! One queue that workers pull from: highest priority first, first come first served within it.
//!
//! Belongs here: the order of waiting jobs, figures, the pause. Does not belong here: rates, concurrency
//! (worker).

use super::super::{Dispatched, Job, Phase, QueueCounts, Standing};
use crate::models::WallMs;
use crate::telemetry::Clock;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Jobs of one channel that wait or run.
pub(crate) struct Lane {
    clock: Clock,
    held: Mutex<Held>,
    changed: Notify,
    completed: AtomicU64,
    failed: AtomicU64,
}

/// Lower leaves first.
type Rank = (Reverse<u8>, u64);

#[derive(Default)]
struct Held {
    /// May be taken now.
    ready: BTreeMap<Rank, Entry>,
    /// Not before their time.
    late: BTreeMap<(Instant, Rank), Entry>,
    active: BTreeMap<i64, Entry>,
    /// Where each job that waits is.
    places: HashMap<i64, (Rank, Option<Instant>)>,
    /// Lets jobs of one priority leave in the order they came.
    next_sequence: u64,
    is_paused: bool,
}

/// What a look finds.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Ready,
    At(Instant),
    Never,
}

struct Entry {
    job: Job,
    since: WallMs,
}

impl Held {
    /// Jobs whose time has come are ready.
    fn release(&mut self, now: Instant) {
        while let Some(entry) = self.late.first_entry() {
            let &(ready_at, rank) = entry.key();
            if ready_at > now {
                return;
            }
            let entry = entry.remove();
            self.places.insert(entry.job.id, (rank, None));
            self.ready.insert(rank, entry);
        }
    }
}

impl Lane {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            held: Mutex::default(),
            changed: Notify::new(),
            completed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// The job waits here, and may be taken after `delay`.
    pub(super) fn push(&self, job: Job, delay: Duration) {
        self.push_at(job, Instant::now(), delay);
    }

    fn push_at(&self, job: Job, now: Instant, delay: Duration) {
        let since = WallMs(self.clock.wall_ms());
        let mut held = self.held();
        let rank = (Reverse(job.priority.rank()), held.next_sequence);
        held.next_sequence += 1;
        let entry = Entry { job, since };
        if delay.is_zero() {
            held.places.insert(entry.job.id, (rank, None));
            held.ready.insert(rank, entry);
        } else {
            let ready_at = now + delay;
            held.places.insert(entry.job.id, (rank, Some(ready_at)));
            held.late.insert((ready_at, rank), entry);
        }
        drop(held);
        self.changed.notify_one();
    }

    /// Waits until a job may be taken here.
    pub(in crate::queue) async fn has_job(&self) {
        loop {
            // Made before the check, so that a push in between is not missed.
            let changed = self.changed.notified();
            match self.look(Instant::now()) {
                Next::Ready => return,
                // Whichever comes first, the lane is looked at again.
                Next::At(at) => drop(tokio::time::timeout_at(at, changed).await),
                Next::Never => changed.await,
            }
        }
    }

    fn look(&self, now: Instant) -> Next {
        let mut held = self.held();
        held.release(now);
        if held.is_paused {
            return Next::Never;
        }
        if !held.ready.is_empty() {
            return Next::Ready;
        }
        let ready_at = held.late.keys().next().map(|&(ready_at, _)| ready_at);
        ready_at.map_or(Next::Never, Next::At)
    }

    /// Takes the next job, which is active from now on.
    pub(in crate::queue) fn take(&self) -> Option<Job> {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Option<Job> {
        let since = WallMs(self.clock.wall_ms());
        let mut held = self.held();
        if held.is_paused {
            return None;
        }
        held.release(now);
        let (_rank, Entry { job, .. }) = held.ready.pop_first()?;
        held.places.remove(&job.id);
        let entry = Entry {
            job: job.clone(),
            since,
        };
        held.active.insert(job.id, entry);
        drop(held);
        Some(job)
    }

    /// The run of a job taken before is over.
    pub(in crate::queue) fn ended(&self, job: i64, is_ok: bool) {
        let counter = if is_ok { &self.completed } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        self.held().active.remove(&job);
    }

    pub(super) fn counts(&self) -> QueueCounts {
        let held = self.held();
        QueueCounts {
            waiting: held.ready.len() as u64,
            active: held.active.len() as u64,
            completed: self.completed.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            delayed: held.late.len() as u64,
            is_paused: held.is_paused,
        }
    }

    /// The answer is whether it was otherwise before.
    pub(super) fn set_paused(&self, paused: bool) -> bool {
        let was_paused = std::mem::replace(&mut self.held().is_paused, paused);
        self.changed.notify_waiters();
        was_paused != paused
    }

    /// Takes out all that wait, those not ready yet too where asked.
    pub(super) fn drain(&self, delayed: bool) -> Vec<Job> {
        let mut held = self.held();
        held.release(Instant::now());
        let mut out: Vec<Job> = std::mem::take(&mut held.ready)
            .into_values()
            .map(|entry| entry.job)
            .collect();
        if delayed {
            let late = std::mem::take(&mut held.late);
            out.extend(late.into_values().map(|entry| entry.job));
        }
        for job in &out {
            held.places.remove(&job.id);
        }
        out
    }

    pub(super) fn jobs(&self, phase: Phase, offset: usize, limit: usize) -> (Vec<Dispatched>, u64) {
        let mut held = self.held();
        held.release(Instant::now());
        let shown = |entry: &Entry| Dispatched {
            job: entry.job.clone(),
            since: entry.since,
            due_at: None,
        };
        match phase {
            Phase::Waiting => {
                let page = held.ready.values().skip(offset).take(limit).map(shown);
                (page.collect(), held.ready.len() as u64)
            }
            Phase::Active => {
                let page = held.active.values().skip(offset).take(limit).map(shown);
                (page.collect(), held.active.len() as u64)
            }
            Phase::Delayed => {
                let page = held.late.iter().skip(offset).take(limit);
                let page = page.map(|((ready_at, _), entry)| Dispatched {
                    due_at: Some(self.wall(*ready_at)),
                    ..shown(entry)
                });
                (page.collect(), held.late.len() as u64)
            }
        }
    }

    pub(super) fn standing(&self, job: i64) -> Option<Standing> {
        let mut held = self.held();
        held.release(Instant::now());
        if held.active.contains_key(&job) {
            return Some(Standing::Active);
        }
        match *held.places.get(&job)? {
            (rank, None) => Some(Standing::Waiting {
                ahead: held.ready.range(..rank).count() as u64,
            }),
            (_, Some(ready_at)) => Some(Standing::Delayed {
                due_at: self.wall(ready_at),
            }),
        }
    }

    fn wall(&self, at: Instant) -> WallMs {
        wall_at(self.clock, at)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A moment of a timer as wall time.
pub(super) fn wall_at(clock: Clock, at: Instant) -> WallMs {
    let rest = at.saturating_duration_since(Instant::now());
    let rest_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
    WallMs(clock.wall_ms().saturating_add(rest_ms))
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::job;
    use super::*;
    use crate::models::Priority;

    fn lane() -> Lane {
        Lane::new(Clock::start())
    }

    fn push(lane: &Lane, id: i64, priority: Priority) {
        let job = Job {
            priority,
            ..job(id)
        };
        lane.push(job, Duration::ZERO);
    }

    #[test]
    fn urgent_jobs_overtake_and_equals_keep_their_order() {
        let lane = lane();
        push(&lane, 1, Priority::Normal);
        push(&lane, 2, Priority::Low);
        push(&lane, 3, Priority::Normal);
        push(&lane, 4, Priority::Urgent);
        assert_eq!(lane.standing(2), Some(Standing::Waiting { ahead: 3 }));
        assert_eq!(lane.standing(4), Some(Standing::Waiting { ahead: 0 }));
        let order: Vec<i64> = std::iter::from_fn(|| lane.take().map(|job| job.id)).collect();
        assert_eq!(order, [4, 1, 3, 2]);
        assert_eq!(lane.counts().active, 4);
        assert_eq!(lane.standing(3), Some(Standing::Active));
        lane.ended(3, true);
        assert_eq!((lane.counts().completed, lane.counts().active), (1, 3));
        assert_eq!(lane.standing(3), None);
    }

    #[tokio::test]
    async fn a_waiting_worker_sees_a_job_pushed_later() {
        let lane = std::sync::Arc::new(lane());
        let other = std::sync::Arc::clone(&lane);
        let (taken, ()) = tokio::join!(
            async {
                lane.has_job().await;
                lane.take().map(|job| job.id)
            },
            async move { push(&other, 9, Priority::Normal) }
        );
        assert_eq!(taken, Some(9));
    }

    #[test]
    fn a_delayed_job_is_ready_exactly_after_its_delay() {
        let (lane, now) = (lane(), Instant::now());
        let ready_at = now + Duration::from_millis(500);
        lane.push_at(job(1), now, Duration::from_millis(500));
        assert_eq!(lane.look(now), Next::At(ready_at));
        assert!(lane.take_at(ready_at - Duration::from_nanos(1)).is_none());
        assert_eq!((lane.counts().waiting, lane.counts().delayed), (0, 1));
        assert_eq!(lane.look(ready_at), Next::Ready);
        assert_eq!(lane.take_at(ready_at).map(|job| job.id), Some(1));
    }

    #[tokio::test]
    async fn nothing_leaves_a_paused_lane_until_it_goes_on() {
        let lane = lane();
        assert!(lane.set_paused(true));
        assert!(!lane.set_paused(true));
        push(&lane, 1, Priority::Normal);
        assert!(lane.take().is_none());
        assert_eq!(lane.look(Instant::now()), Next::Never);
        tokio::join!(lane.has_job(), async {
            tokio::task::yield_now().await;
            assert!(lane.set_paused(false));
        });
        assert_eq!(lane.take().map(|job| job.id), Some(1));
    }

    #[test]
    fn draining_takes_what_waits_and_leaves_what_runs() {
        let lane = lane();
        for id in 1..=3 {
            push(&lane, id, Priority::Normal);
        }
        lane.push(job(4), Duration::from_secs(1));
        assert_eq!(lane.take().map(|job| job.id), Some(1));
        let ids = |jobs: Vec<Job>| jobs.iter().map(|job| job.id).collect::<Vec<_>>();
        assert_eq!(ids(lane.drain(false)), [2, 3]);
        assert_eq!(ids(lane.drain(true)), [4]);
        let counts = lane.counts();
        assert_eq!((counts.waiting, counts.active, counts.delayed), (0, 1, 0));
    }
}
