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
/// Odd, so that multiplying by them loses nothing.
const KEYS: [u64; 3] = [
    0x9e37_79b9_7f4a_7c15,
    0xbf58_476d_1ce4_e5b9,
    0x94d0_49bb_1331_11eb,
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
    /// x = w0 ^ w1 * k0, y = w2 ^ w3 * k1, z = w4 ^ w5 * k2;
    /// a' = mum(a ^ x, b ^ y) ^ z, b' = rotl(b, 29) + ((a + y) ^ z) (all mod 2^64).
    ///
    /// One wide product an event: the kernel hashes seven events for every request of the simplest model.
    #[inline(always)]
    pub fn add(&mut self, event: &StageEvent) {
        let w = event.words();
        let x = w[0] ^ w[1].wrapping_mul(KEYS[0]);
        let y = w[2] ^ w[3].wrapping_mul(KEYS[1]);
        let z = w[4] ^ w[5].wrapping_mul(KEYS[2]);
        let [a, b] = self.0;
        self.0 = [
            mum(a ^ x, b ^ y) ^ z,
            b.rotate_left(29).wrapping_add(a.wrapping_add(y) ^ z),
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
    use crate::model::event::{EventKind, Outcome, StageEvent};
    use crate::model::id::{ClassId, ComponentId, DetailId, PartId, RequestId};
    use crate::model::time::TimeNs;
    use std::collections::BTreeSet;

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
                request: RequestId(9),
                ..first
            },
            StageEvent {
                detail: DetailId(9),
                ..first
            },
            StageEvent {
                class: ClassId(1),
                ..first
            },
            StageEvent {
                part: PartId(1),
                ..first
            },
            StageEvent {
                outcome: Outcome::Ok,
                ..first
            },
            StageEvent { seq: 1, ..first },
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

    #[test]
    fn neither_lane_repeats_itself_over_like_events() {
        // Counters that run beside each other are what a run is made of.
        let mut seen = [BTreeSet::new(), BTreeSet::new()];
        let mut hash = RunHash::default();
        for step in 0..200_000_u64 {
            hash.add(&StageEvent {
                seq: step,
                request: RequestId(step / 7),
                value: step % 3,
                ..StageEvent::new(TimeNs(step / 7 * 1000), EventKind::Arrived, ComponentId(1))
            });
            let [a, b] = hash.0;
            assert!(seen[0].insert(a) && seen[1].insert(b), "at {step}");
        }
    }

    #[test]
    fn one_changed_bit_early_changes_half_of_the_bits_later() {
        let events: Vec<StageEvent> = (0..64_u64)
            .map(|seq| StageEvent {
                seq,
                ..StageEvent::new(TimeNs(seq * 10), EventKind::Arrived, ComponentId(1))
            })
            .collect();
        let whole = hash_of(&events);
        for bit in 0..48 {
            let mut changed = events.clone();
            changed[3].t_ns.0 ^= 1 << bit;
            let other = hash_of(&changed);
            let differing: u32 = (0..2)
                .map(|lane| (whole.0[lane] ^ other.0[lane]).count_ones())
                .sum();
            assert!((36..=92).contains(&differing), "bit {bit}: {differing}");
        }
    }
}
