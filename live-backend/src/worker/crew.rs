//! The workers of one channel: how many there are, what each may do, what each does now.
//!
//! Belongs here: limits that change while workers run, and the reason why a worker takes nothing now.
//! Does not belong here: the loop (consumer).

use crate::models::Channel;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// Workers of one channel in one process at most.
pub(crate) const WORKERS_MAX: usize = 64;

/// How fast each worker of a channel may go, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    pub(crate) count: usize,
    pub(crate) concurrency: usize,
    pub(crate) rate_per_s: f64,
}

impl Limits {
    /// Runs of all workers at a time.
    pub(crate) const fn run_count(self) -> u64 {
        self.count.saturating_mul(self.concurrency) as u64
    }
}

/// The workers of one channel in this process.
pub(crate) struct Crew {
    limits: watch::Sender<Limits>,
    members: Mutex<BTreeMap<usize, Member>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Member {
    running: usize,
    /// Its rate lets it start no run before.
    next_start: Option<Instant>,
}

/// Why no worker takes a job now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hindrance {
    /// There is no worker in this process.
    Nobody,
    /// Each worker has all the runs it may have; that many go on.
    Concurrency(u64),
    /// The first worker may start again then.
    Rate(Instant),
}

impl Crew {
    fn new(limits: Limits) -> Self {
        Self {
            limits: watch::Sender::new(limits),
            members: Mutex::default(),
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        *self.limits.borrow()
    }

    pub(crate) fn set_limits(&self, change: impl FnOnce(&mut Limits)) {
        self.limits.send_modify(change);
    }

    pub(super) fn watch(&self) -> watch::Receiver<Limits> {
        self.limits.subscribe()
    }

    pub(super) fn join(&self, number: usize) {
        self.members().insert(number, Member::default());
    }

    pub(super) fn leave(&self, number: usize) {
        self.members().remove(&number);
    }

    /// A run begins; the answer is how many go on in the whole crew.
    pub(super) fn began(&self, number: usize) -> u64 {
        self.change(number, |member| member.running += 1)
    }

    /// A run is over; the answer is how many go on in the whole crew.
    pub(super) fn ended(&self, number: usize) -> u64 {
        self.change(number, |member| {
            member.running = member.running.saturating_sub(1);
        })
    }

    pub(super) fn paced(&self, number: usize, next_start: Instant) {
        self.change(number, |member| member.next_start = Some(next_start));
    }

    fn change(&self, number: usize, change: impl FnOnce(&mut Member)) -> u64 {
        let mut members = self.members();
        if let Some(member) = members.get_mut(&number) {
            change(member);
        }
        members.values().map(|member| member.running as u64).sum()
    }

    /// Runs that go on, and further ones that could.
    pub(crate) fn active_and_idle(&self) -> (u64, u64) {
        let members = self.members();
        let active: u64 = members.values().map(|member| member.running as u64).sum();
        let all = members.len().saturating_mul(self.limits().concurrency) as u64;
        (active, all.saturating_sub(active))
    }

    /// Why nobody takes a job at `now`; `None` where somebody could.
    pub(crate) fn hindrance(&self, now: Instant) -> Option<Hindrance> {
        let concurrency = self.limits().concurrency;
        let members = self.members();
        if members.is_empty() {
            return Some(Hindrance::Nobody);
        }
        let free = members.values().filter(|it| it.running < concurrency);
        let earliest = free.map(|it| it.next_start.unwrap_or(now)).min();
        match earliest {
            None => {
                let running = members.values().map(|member| member.running as u64).sum();
                Some(Hindrance::Concurrency(running))
            }
            Some(start) => (start > now).then_some(Hindrance::Rate(start)),
        }
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<usize, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both crews.
pub(crate) struct Crews {
    mail: Crew,
    in_app: Crew,
}

impl Crews {
    pub(crate) fn new(mail: Limits, in_app: Limits) -> Self {
        Self {
            mail: Crew::new(mail),
            in_app: Crew::new(in_app),
        }
    }

    pub(crate) const fn of(&self, channel: Channel) -> &Crew {
        match channel {
            Channel::Email => &self.mail,
            Channel::InApp => &self.in_app,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_crew_knows_why_it_takes_nothing() {
        let crew = Crew::new(Limits {
            count: 2,
            concurrency: 1,
            rate_per_s: 5.0,
        });
        let now = Instant::now();
        let later = now + Duration::from_millis(200);
        assert_eq!(crew.hindrance(now), Some(Hindrance::Nobody));
        crew.join(0);
        crew.join(1);
        assert_eq!(crew.hindrance(now), None);
        assert_eq!(crew.active_and_idle(), (0, 2));
        assert_eq!(crew.began(0), 1);
        crew.paced(1, later);
        assert_eq!(crew.hindrance(now), Some(Hindrance::Rate(later)));
        assert_eq!(crew.hindrance(later), None);
        assert_eq!(crew.began(1), 2);
        assert_eq!(crew.hindrance(later), Some(Hindrance::Concurrency(2)));
        assert_eq!(crew.ended(0), 1);
        assert_eq!(crew.active_and_idle(), (1, 1));
        crew.leave(0);
        crew.leave(1);
        assert_eq!(crew.hindrance(later), Some(Hindrance::Nobody));
    }
}
