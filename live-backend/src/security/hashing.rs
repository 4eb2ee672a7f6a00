//! Argon2id itself, in memory that is kept between hashes.
//!
//! Belongs here: cost, making and checking one hash, its memory. Does not belong here: how many run at once.
//!
//! Freed after each hash, its 19 MiB stayed in the allocator's arenas of whichever threads had hashed, and
//! were seldom used again: hundreds of MiB after some forty logins.

use super::random_bytes;
use argon2::password_hash::{
    PasswordVerifier,
    phc::{Output, ParamsString, PasswordHash, Salt},
};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Memory per hash: OWASP's second choice (19 MiB, two passes, one lane) takes about 30 ms of one core.
const MEMORY_KIB: u32 = 19 * 1024;
const PASS_COUNT: u32 = 2;
const SALT_BYTES: usize = 16;

/// Memory of as many hashes as have run at once.
#[derive(Default)]
pub(super) struct Memories {
    free: Mutex<Vec<Vec<Block>>>,
}

impl Memories {
    /// The hash to store; `None` where the system gives no memory.
    pub(super) fn hash(&self, password: &str) -> Option<String> {
        let (argon2, salt) = (argon2()?, Salt::new(&random_bytes::<SALT_BYTES>()).ok()?);
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(argon2.params()).ok()?,
            salt: Some(salt),
            hash: Some(self.output(&argon2, password, &salt, Params::DEFAULT_OUTPUT_LEN)?),
        };
        Some(hash.to_string())
    }

    /// Whether the password belongs to the hash.
    pub(super) fn verify(&self, password: &str, stored: &str) -> bool {
        let Ok(hash) = PasswordHash::new(stored) else {
            return false;
        };
        let (Some(argon2), Some(salt), Some(expected)) = (argon2(), &hash.salt, &hash.hash) else {
            return false;
        };
        let is_ours = hash.algorithm == Algorithm::Argon2id.ident()
            && hash.version == Some(Version::V0x13.into())
            && ParamsString::try_from(argon2.params()).is_ok_and(|ours| ours == hash.params);
        if !is_ours {
            // Made at another cost, which may take more memory than is kept.
            return argon2.verify_password(password.as_bytes(), &hash).is_ok();
        }
        // Outputs compare in constant time.
        self.output(&argon2, password, salt, expected.len())
            .is_some_and(|output| output == *expected)
    }

    fn output(
        &self,
        argon2: &Argon2<'_>,
        password: &str,
        salt: &[u8],
        length: usize,
    ) -> Option<Output> {
        let mut memory = self.take(argon2.params().block_count())?;
        let mut output = [0; Output::MAX_LENGTH];
        let output = output.get_mut(..length)?;
        let made = argon2.hash_password_into_with_memory(
            password.as_bytes(),
            salt,
            output,
            memory.as_mut_slice(),
        );
        self.free().push(memory);
        made.ok()?;
        Output::new(output).ok()
    }

    fn take(&self, block_count: usize) -> Option<Vec<Block>> {
        let kept = self.free().pop();
        if kept.is_some() {
            return kept;
        }
        let mut memory = Vec::new();
        memory.try_reserve_exact(block_count).ok()?;
        memory.resize(block_count, Block::new());
        Some(memory)
    }

    fn free(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn argon2() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASS_COUNT, 1, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::password_hash::PasswordHasher;

    #[test]
    fn memory_of_an_earlier_hash_changes_nothing_and_is_used_again() {
        let memories = Memories::default();
        let first = memories.hash("correct horse").unwrap();
        for password in ["battery staple", "", "correct horse"] {
            let again = memories.hash(password).unwrap();
            assert_ne!(again, first, "each has a salt of its own");
            // As the crate itself sees it, in fresh memory.
            let parsed = PasswordHash::new(&again).unwrap();
            let checked = Argon2::default().verify_password(password.as_bytes(), &parsed);
            assert!(checked.is_ok(), "{again}");
        }
        assert!(memories.verify("correct horse", &first));
        assert!(!memories.verify("correct horse ", &first));
        assert_eq!(memories.free().len(), 1);
    }

    #[test]
    fn hashes_of_another_cost_are_checked_too_and_their_memory_is_not_kept() {
        let memories = Memories::default();
        for cost_kib in [8, MEMORY_KIB + 1024] {
            let params = Params::new(cost_kib, 1, 1, None).unwrap();
            let dearer = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let stored = dearer.hash_password(b"correct horse").unwrap().to_string();
            assert!(memories.verify("correct horse", &stored), "{stored}");
            assert!(!memories.verify("wrong horse", &stored), "{stored}");
        }
        assert!(!memories.verify("x", "no hash"));
        assert!(!memories.verify("x", "$argon2id$v=19$m=19456,t=2,p=1"));
        assert!(memories.free().is_empty());
    }

    #[test]
    fn the_cost_is_what_is_recommended() {
        let argon2 = argon2().unwrap();
        let params = argon2.params();
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (19 * 1024, 2, 1),
            "OWASP's parameters for argon2id"
        );
        let stored = Memories::default().hash("correct horse").unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
    }
}
