//! One queue that workers pull from: highest priority first, and within it by number, whether a job comes
//! for the first time or again.
//!
//! Belongs here: the order of waiting jobs, figures, the pause. Does not belong here: rates, concurrency
//! (worker).

use super::super::turn::{PATIENCE, REST};
use super::super::{Dispatched, Job, Phase, QueueCounts, Standing, Turn};
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
    /// A run was written or is over.
    moved: Notify,
    completed: AtomicU64,
    failed: AtomicU64,
}

/// Lower leaves first. Jobs are numbered as they are accepted.
type Rank = (Reverse<u8>, i64);

#[derive(Default)]
struct Held {
    /// May be taken now.
    ready: BTreeMap<Rank, Entry>,
    /// Not before their time.
    late: BTreeMap<(Instant, Rank), Entry>,
    active: BTreeMap<i64, Active>,
    /// Runs that ended without having written, so far.
    unwritten_ends: u64,
    /// Where each job that waits is.
    places: HashMap<i64, (Rank, Option<Instant>)>,
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

/// A job whose run goes on.
struct Active {
    entry: Entry,
    /// Its notification is on its way to the user.
    is_written: bool,
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

    fn add(&mut self, job: Job, since: WallMs, ready_at: Option<Instant>) {
        let rank = (Reverse(job.priority.rank()), job.id);
        self.places.insert(job.id, (rank, ready_at));
        let entry = Entry { job, since };
        match ready_at {
            None => drop(self.ready.insert(rank, entry)),
            Some(ready_at) => drop(self.late.insert((ready_at, rank), entry)),
        }
    }

    /// A run of the same user that goes before this one's and has not written yet.
    fn has_unwritten_before(&self, job: &Job) -> bool {
        let earlier = self.active.range(..job.id).map(|(_, active)| active);
        let mut earlier = earlier.filter(|it| it.entry.job.user == job.user);
        earlier.any(|it| !it.is_written && it.entry.job.priority.rank() >= job.priority.rank())
    }
}

impl Lane {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            held: Mutex::default(),
            changed: Notify::new(),
            moved: Notify::new(),
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
        let ready_at = (!delay.is_zero()).then(|| now + delay);
        self.held().add(job, since, ready_at);
        self.changed.notify_one();
    }

    /// A job that was taken was not run, and waits again.
    pub(in crate::queue) fn put_back(&self, job: i64, rest: Duration) {
        let since = WallMs(self.clock.wall_ms());
        let ready_at = (!rest.is_zero()).then(|| Instant::now() + rest);
        let mut held = self.held();
        if let Some(active) = held.active.remove(&job) {
            held.unwritten_ends = held.unwritten_ends.wrapping_add(1);
            held.add(active.entry.job, since, ready_at);
        }
        drop(held);
        self.changed.notify_one();
        self.moved.notify_waiters();
    }

    /// Waits a moment until what goes before this job is written.
    pub(in crate::queue) async fn turn(&self, job: &Job) -> Turn {
        let give_up_at = Instant::now() + PATIENCE;
        let ends_before = self.held().unwritten_ends;
        let mut has_waited = false;
        loop {
            // Made before the check, so that a move in between is not missed.
            let moved = self.moved.notified();
            let (is_free, ends) = {
                let held = self.held();
                (!held.has_unwritten_before(job), held.unwritten_ends)
            };
            if is_free && has_waited && ends != ends_before {
                // What was waited for may be back in the queue, where it goes first.
                return Turn::Later(Duration::ZERO);
            }
            if is_free {
                return Turn::FREE;
            }
            has_waited = true;
            if tokio::time::timeout_at(give_up_at, moved).await.is_err() {
                return Turn::Later(REST);
            }
        }
    }

    /// What the job tells is on its way.
    pub(in crate::queue) fn written(&self, job: i64) {
        if let Some(active) = self.held().active.get_mut(&job) {
            active.is_written = true;
        }
        self.moved.notify_waiters();
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
        let is_written = false;
        held.active.insert(job.id, Active { entry, is_written });
        drop(held);
        Some(job)
    }

    /// The run of a job taken before is over.
    pub(in crate::queue) fn ended(&self, job: i64, is_ok: bool) {
        let counter = if is_ok { &self.completed } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        let mut held = self.held();
        let ended = held.active.remove(&job);
        if ended.is_some_and(|active| !active.is_written && !is_ok) {
            held.unwritten_ends = held.unwritten_ends.wrapping_add(1);
        }
        drop(held);
        self.moved.notify_waiters();
    }

    /// Whoever waits looks again.
    pub(in crate::queue) fn stir(&self) {
        self.changed.notify_one();
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
                let entries = held.active.values().map(|active| &active.entry);
                let page = entries.skip(offset).take(limit).map(shown);
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

    #[test]
    fn a_job_that_comes_again_goes_before_younger_ones() {
        let lane = lane();
        for id in [5, 2, 4] {
            push(&lane, id, Priority::Normal);
        }
        assert_eq!(lane.take().map(|job| job.id), Some(2));
        lane.put_back(2, Duration::ZERO);
        let order: Vec<i64> = std::iter::from_fn(|| lane.take().map(|job| job.id)).collect();
        assert_eq!(order, [2, 4, 5]);
        assert_eq!((lane.counts().completed, lane.counts().failed), (0, 0));
    }

    fn taken(lane: &Lane, id: i64, user: u64) -> Job {
        let job = Job {
            user: crate::models::UserId(user),
            ..job(id)
        };
        lane.push(job, Duration::ZERO);
        lane.take().unwrap()
    }

    #[tokio::test]
    async fn a_run_writes_once_the_earlier_ones_of_its_user_have_written() {
        let lane = lane();
        let (_first, other, second) = (taken(&lane, 1, 7), taken(&lane, 2, 8), taken(&lane, 3, 7));
        assert_eq!(lane.turn(&other).await, Turn::FREE);
        assert_eq!(lane.turn(&second).await, Turn::Later(REST));
        let (turn, ()) = tokio::join!(lane.turn(&second), async { lane.written(1) });
        assert_eq!(turn, Turn::FREE);
        lane.ended(1, false);
        assert_eq!(lane.turn(&second).await, Turn::FREE);
    }

    #[tokio::test]
    async fn a_run_that_waited_for_one_that_wrote_nothing_lets_it_go_first_again() {
        let lane = lane();
        let (first, second) = (taken(&lane, 1, 7), taken(&lane, 2, 7));
        let (turn, ()) = tokio::join!(lane.turn(&second), async { lane.ended(1, false) });
        assert_eq!(turn, Turn::Later(Duration::ZERO));
        lane.put_back(second.id, Duration::ZERO);
        lane.push(first, Duration::ZERO);
        let order: Vec<i64> = std::iter::from_fn(|| lane.take().map(|job| job.id)).collect();
        assert_eq!(order, [1, 2]);
        // One that had nothing to wait for goes on whatever ended before.
        lane.ended(1, false);
        assert_eq!(lane.turn(&second).await, Turn::FREE);
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
