//! Passwords, tokens and chance: the only places where secrets are made and checked.
//!
//! Belongs here: hashing, signing, random bytes. Does not belong here: who may do what (middleware).

mod hashing;
pub(crate) mod passwords;
pub(crate) mod throttle;
pub(crate) mod tokens;

use sha2::{Digest, Sha256};

/// `byte_count` random bytes as hexadecimal digits.
pub(crate) fn random_hex<const BYTE_COUNT: usize>() -> String {
    hex(&random_bytes::<BYTE_COUNT>())
}

/// Bytes that nobody can foresee.
fn random_bytes<const BYTE_COUNT: usize>() -> [u8; BYTE_COUNT] {
    let mut bytes = [0_u8; BYTE_COUNT];
    getrandom::fill(&mut bytes).expect("the operating system hands out random bytes");
    bytes
}

/// A number that nobody can foresee, in `0.0..1.0`.
pub(crate) fn random_ratio() -> f64 {
    f64::from(u32::from_le_bytes(random_bytes())) / (f64::from(u32::MAX) + 1.0)
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// SHA-256 of a random token, which is what the store keeps of it; tokens are long and random, so a fast
/// hash without salt is enough.
pub(crate) fn hash_hex(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_texts_differ_and_have_their_length() {
        let (first, second) = (random_hex::<16>(), random_hex::<16>());
        assert_eq!(first.len(), 32);
        assert_ne!(first, second);
        assert_eq!(hex(&[0, 15, 160, 255]), "000fa0ff");
        for _ in 0..1000 {
            assert!((0.0..1.0).contains(&random_ratio()));
        }
    }
}
