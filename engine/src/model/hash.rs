//! The run hash: a rolling 128-bit value over the canonical words of every event, in order.
//!
//! Belongs here: the definition, which every reader in any language repeats bit for bit.
//! Does not belong here: checksums of bytes on disk (recording::format).
//!
//! Not cryptographic: it finds accidents and divergence, not forgery.

use super::event::StageEvent;
use serde::{Deserialize, Serialize};
use std::fmt;

const SEED: [u64; 2] = [0x666c_6f77_7265_656c, 0x7265_656c_666c_6f77];
const KEYS: [u64; 6] = [
    0x9e37_79b9_7f4a_7c15,
    0xbf58_476d_1ce4_e5b9,
    0x94d0_49bb_1331_11eb,
    0xd6e8_feb8_6659_fd93,
    0xa076_1d64_78bd_642f,
    0xe703_7ed1_a0b4_28db,
];

/// Rolling hash of a prefix of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunHash(pub [u64; 2]);

impl Default for RunHash {
    fn default() -> Self {
        Self(SEED)
    }
}

impl RunHash {
    /// Adds one event. With w0..w5 its words and `mum(x, y)` the xor of both halves of the 128-bit product:
    /// m0 = mum(w0 ^ k0, w1 ^ k1), m1 = mum(w2 ^ k2, w3 ^ k3), m2 = mum(w4 ^ k4, w5 ^ k5);
    /// a' = mum(a ^ m0 ^ rotl(m1, 32), k0 ^ b), b' = rotl(b, 29) + m1 * k1 + m2 * k2 (mod 2^64).
    #[inline]
    pub fn add(&mut self, event: &StageEvent) {
        let w = event.words();
        let m0 = mum(w[0] ^ KEYS[0], w[1] ^ KEYS[1]);
        let m1 = mum(w[2] ^ KEYS[2], w[3] ^ KEYS[3]);
        let m2 = mum(w[4] ^ KEYS[4], w[5] ^ KEYS[5]);
        let [a, b] = self.0;
        self.0 = [
            mum(a ^ m0 ^ m1.rotate_left(32), KEYS[0] ^ b),
            b.rotate_left(29)
                .wrapping_add(m1.wrapping_mul(KEYS[1]))
                .wrapping_add(m2.wrapping_mul(KEYS[2])),
        ];
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for RunHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.0[0], self.0[1])
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
fn mum(x: u64, y: u64) -> u64 {
    let product = u128::from(x) * u128::from(y);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{EventKind, StageEvent};
    use crate::model::id::ComponentId;
    use crate::model::time::TimeNs;

    fn hash_of(events: &[StageEvent]) -> RunHash {
        let mut hash = RunHash::default();
        for event in events {
            hash.add(event);
        }
        hash
    }

    #[test]
    fn order_and_every_field_matter() {
        let first = StageEvent::new(TimeNs(5), EventKind::Arrived, ComponentId(1));
        let second = StageEvent { seq: 1, ..first };
        assert_ne!(hash_of(&[first, second]), hash_of(&[second, first]));
        let variants = [
            StageEvent {
                t_ns: TimeNs(6),
                ..first
            },
            StageEvent { value: 1, ..first },
            StageEvent {
                component: ComponentId(2),
                ..first
            },
            StageEvent {
                peer: ComponentId(2),
                ..first
            },
            StageEvent {
                attempt: 1,
                ..first
            },
            StageEvent {
                kind: EventKind::JobAdded,
                ..first
            },
        ];
        for changed in variants {
            assert_ne!(hash_of(&[first]), hash_of(&[changed]), "{changed:?}");
        }
    }
}
