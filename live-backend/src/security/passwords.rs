//! Passwords: kept only as argon2id hashes, made and checked away from the event loop.
//!
//! Belongs here: cost, hashing, checking. Does not belong here: which passwords are long enough.

use crate::error::AppError;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Memory per hash: OWASP's second choice (19 MiB, two passes, one lane) takes about 30 ms of one core.
const MEMORY_KIB: u32 = 19 * 1024;
const PASS_COUNT: u32 = 2;
/// Hashes at once; more would only share the cores and hold more memory.
const PARALLEL_MAX: usize = 2;

/// Makes and checks password hashes.
#[derive(Clone)]
pub(crate) struct Passwords {
    slots: Arc<Semaphore>,
    /// What a password is checked against when nobody has that address, so that both take equally long.
    nobody: Arc<str>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let nobody = hash("nobody has this password").expect("a constant can be hashed");
        Self {
            slots: Arc::new(Semaphore::new(PARALLEL_MAX)),
            nobody: nobody.into(),
        }
    }

    /// The hash to store.
    pub(crate) async fn hash(&self, password: String) -> Result<String, AppError> {
        self.on_blocking_thread(move || hash(&password))
            .await?
            .ok_or_else(AppError::internal)
    }

    /// Whether the password belongs to the stored hash; takes as long without one.
    pub(crate) async fn is_right(
        &self,
        password: String,
        stored: Option<String>,
    ) -> Result<bool, AppError> {
        let nobody = Arc::clone(&self.nobody);
        let check = move || {
            let is_known = stored.is_some();
            let is_right = verify(&password, stored.as_deref().unwrap_or(&nobody));
            is_known && is_right
        };
        self.on_blocking_thread(check).await
    }

    async fn on_blocking_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AppError> {
        let _slot = self
            .slots
            .acquire()
            .await
            .map_err(|_closed| AppError::internal())?;
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "password work did not end well: {error}");
            AppError::internal()
        })
    }
}

fn argon2() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASS_COUNT, 1, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str) -> Option<String> {
    Some(
        argon2()?
            .hash_password(password.as_bytes())
            .ok()?
            .to_string(),
    )
}

fn verify(password: &str, stored: &str) -> bool {
    PasswordHash::new(stored).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_fits_its_hash() {
        let passwords = Passwords::new();
        let stored = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(stored.starts_with("$argon2id$"), "{stored}");
        assert!(!stored.contains("correct"));
        let check = |password: &str, stored: Option<&str>| {
            passwords.is_right(password.to_owned(), stored.map(str::to_owned))
        };
        assert_eq!(check("correct horse", Some(&stored)).await, Ok(true));
        assert_eq!(check("wrong horse", Some(&stored)).await, Ok(false));
        assert_eq!(check("nobody has this password", None).await, Ok(false));
        assert_eq!(check("x", Some("no hash")).await, Ok(false));
    }
}
