//! Notifications that were confirmed a short while ago.
//!
//! Belongs here: remembering them, within a bound. Does not belong here: who waits for a confirmation.
//!
//! Every socket of a user confirms what it hears, and the first one is enough; without this each of the
//! others would cost a look into the store.

use crate::models::UserId;
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Remembered at most; past it the oldest is forgotten, and costs a look again.
const COUNT_MAX: usize = 8192;

#[derive(Debug, Default)]
pub(super) struct Confirmed {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    known: HashSet<(UserId, Arc<str>)>,
    order: VecDeque<(UserId, Arc<str>)>,
}

impl Confirmed {
    pub(super) fn add(&self, user: UserId, notification: &str) {
        let entry = (user, Arc::from(notification));
        let mut inner = self.lock();
        if inner.known.insert(entry.clone()) {
            inner.order.push_back(entry);
        }
        if inner.order.len() > COUNT_MAX
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.known.remove(&oldest);
        }
    }

    pub(super) fn has(&self, user: UserId, notification: &str) -> bool {
        self.lock().known.contains(&(user, Arc::from(notification)))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_known_and_the_oldest_forgotten() {
        let confirmed = Confirmed::default();
        let user = UserId(7);
        for number in 0..=COUNT_MAX {
            confirmed.add(user, &number.to_string());
            confirmed.add(user, &number.to_string());
        }
        assert!(!confirmed.has(user, "0"));
        assert!(confirmed.has(user, "1"));
        assert!(confirmed.has(user, &COUNT_MAX.to_string()));
        assert!(!confirmed.has(UserId(8), "1"));
        assert_eq!(confirmed.lock().known.len(), COUNT_MAX);
    }
}
