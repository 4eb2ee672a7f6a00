//! Passwords: kept only as argon2id hashes, made and checked away from the event loop.
//!
//! Belongs here: how many hashes run at once and how many wait. Does not belong here: the hash itself
//! (hashing), which passwords are long enough.

use super::hashing::Memories;
use super::throttle::{Throttle, Tryer};
use crate::error::AppError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Hashes at once; more would only share the cores and hold more memory.
const PARALLEL_MAX: usize = 2;

/// Requests that wait for a hash; more would be answered too late to be of use.
const WAITING_MAX: usize = 2048;

/// Makes and checks password hashes.
pub(crate) struct Passwords {
    slots: Arc<Semaphore>,
    memories: Arc<Memories>,
    waiting: AtomicUsize,
    run_count: AtomicU64,
    throttle: Throttle,
    /// What a password is checked against when nobody has that address, so that both take equally long.
    nobody: Arc<str>,
}

/// Somebody's try at a password.
pub(crate) struct Guess {
    pub(crate) password: String,
    /// The hash of whom the address belongs to, where it belongs to somebody.
    pub(crate) stored: Option<String>,
    pub(crate) tryer: Tryer,
    pub(crate) now_ms: u64,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let memories = Memories::default();
        let nobody = memories
            .hash("nobody has this password")
            .expect("a constant can be hashed");
        Self {
            slots: Arc::new(Semaphore::new(PARALLEL_MAX)),
            memories: Arc::new(memories),
            waiting: AtomicUsize::new(0),
            run_count: AtomicU64::new(0),
            throttle: Throttle::new(),
            nobody: nobody.into(),
        }
    }

    pub(crate) const fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// Hashes made and checked so far.
    pub(crate) fn run_count(&self) -> u64 {
        self.run_count.load(Ordering::Relaxed)
    }

    /// The hash to store.
    pub(crate) async fn hash(&self, password: String) -> Result<String, AppError> {
        let slot = self.slot().await?;
        let work = move |memories: &Memories| memories.hash(&password);
        let (hash, _slot) = self.on_blocking_thread(slot, work).await?;
        hash.ok_or_else(AppError::internal)
    }

    /// Whether the password belongs to the stored hash; takes as long without one.
    ///
    /// # Errors
    /// 429 where the account or the address has guessed too often; nothing is hashed then.
    pub(crate) async fn is_right(&self, guess: Guess) -> Result<bool, AppError> {
        let Guess {
            password,
            stored,
            tryer,
            now_ms,
        } = guess;
        self.must_have_try(tryer, now_ms)?;
        let slot = self.slot().await?;
        // Again, with all before it counted: many guesses at once are no way round.
        self.must_have_try(tryer, now_ms)?;
        let nobody = Arc::clone(&self.nobody);
        let check = move |memories: &Memories| {
            let is_known = stored.is_some();
            let is_right = memories.verify(&password, stored.as_deref().unwrap_or(&nobody));
            is_known && is_right
        };
        let (is_right, slot) = self.on_blocking_thread(slot, check).await?;
        if is_right {
            self.throttle.succeeded(tryer);
        } else {
            self.throttle.failed(tryer, now_ms);
        }
        // The next one looks with this one counted.
        drop(slot);
        Ok(is_right)
    }

    /// # Errors
    /// 429 where the account or the address has no try left.
    pub(crate) fn must_have_try(&self, tryer: Tryer, now_ms: u64) -> Result<(), AppError> {
        self.throttle.check(tryer, now_ms).map_err(|wait_s| {
            AppError::too_many(
                wait_s,
                format!(
                    "too many tries for this account or from this address; come again in {wait_s} s"
                ),
            )
        })
    }

    async fn slot(&self) -> Result<OwnedSemaphorePermit, AppError> {
        let _waiting = Waiting::begin(&self.waiting)?;
        Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_closed| AppError::internal())
    }

    /// The slot is held until the work is done, also where whoever asked has gone meanwhile, and comes back.
    async fn on_blocking_thread<T: Send + 'static>(
        &self,
        slot: OwnedSemaphorePermit,
        work: impl FnOnce(&Memories) -> T + Send + 'static,
    ) -> Result<(T, OwnedSemaphorePermit), AppError> {
        self.run_count.fetch_add(1, Ordering::Relaxed);
        let memories = Arc::clone(&self.memories);
        let work = move || (work(&memories), slot);
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "password work did not end well: {error}");
            AppError::internal()
        })
    }
}

/// A place in the line for a hash.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Result<Self, AppError> {
        let waiting = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            return Err(AppError::unavailable(
                "busy",
                "too many logins and signups wait already, try again later",
            ));
        }
        Ok(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn only_the_right_password_fits_its_hash() {
        let passwords = Passwords::new();
        let stored = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(stored.starts_with("$argon2id$"), "{stored}");
        assert!(!stored.contains("correct"));
        let check = |password: &str, stored: Option<&str>| {
            passwords.is_right(guess(&passwords, password, stored))
        };
        assert_eq!(check("correct horse", Some(&stored)).await, Ok(true));
        assert_eq!(check("wrong horse", Some(&stored)).await, Ok(false));
        assert_eq!(check("nobody has this password", None).await, Ok(false));
        assert_eq!(check("x", Some("no hash")).await, Ok(false));
    }

    fn guess(passwords: &Passwords, password: &str, stored: Option<&str>) -> Guess {
        let here = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        Guess {
            password: password.to_owned(),
            stored: stored.map(str::to_owned),
            tryer: passwords.throttle().tryer("ada@example.org", here),
            now_ms: 0,
        }
    }

    #[tokio::test]
    async fn an_unknown_account_costs_as_many_hashes_as_a_known_one() {
        let passwords = Passwords::new();
        let stored = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(passwords.nobody.contains("m=19456,t=2,p=1"));
        let mut costs = Vec::new();
        for stored in [Some(stored.as_str()), None] {
            let before = passwords.run_count();
            let is_right = passwords.is_right(guess(&passwords, "wrong", stored)).await;
            assert_eq!(is_right, Ok(false));
            costs.push(passwords.run_count() - before);
        }
        assert_eq!(costs, [1, 1]);
    }

    #[tokio::test]
    async fn those_that_ask_and_leave_do_not_make_more_hashes_run_at_once() {
        let passwords = Passwords::new();
        let mut ends = Vec::new();
        for _slot in 0..PARALLEL_MAX {
            let (end, ended) = std::sync::mpsc::sync_channel::<()>(0);
            let slot = passwords.slot().await.unwrap();
            let asked = passwords.on_blocking_thread(slot, move |_| ended.recv().is_err());
            // Polled once, so that the work has begun, and then dropped.
            assert!(asked.now_or_never().is_none());
            ends.push(end);
        }
        assert!(passwords.slot().now_or_never().is_none());
        drop(ends);
        drop(passwords.slot().await.unwrap());
    }

    #[tokio::test]
    async fn many_guesses_at_once_are_no_way_round_the_limit() {
        let passwords = Passwords::new();
        let stored = passwords.hash("correct horse".to_owned()).await.unwrap();
        let before = passwords.run_count();
        let guesses =
            (0..40).map(|_| passwords.is_right(guess(&passwords, "wrong", Some(&stored))));
        let answers = futures_util::future::join_all(guesses).await;
        let refused = answers.iter().filter(|answer| answer.is_err()).count();
        let hashed = passwords.run_count() - before;
        assert_eq!(refused as u64 + hashed, 40);
        assert!(hashed <= 10 + PARALLEL_MAX as u64, "{hashed}");
        let right = passwords
            .is_right(guess(&passwords, "correct horse", Some(&stored)))
            .await;
        let error = right.unwrap_err().to_json();
        assert!(error.contains("too_many_attempts"), "{error}");
    }
}
