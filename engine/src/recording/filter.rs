//! Which requests occur in a block: a Bloom filter as small as the block deserves.
//!
//! Belongs here: building, folding, asking. Does not belong here: who asks (reader).

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use super::format::FILTER_BYTES_MAX;
use crate::model::id::RequestId;

const WORDS: usize = FILTER_BYTES_MAX / 8;

/// Collects the requests of a batch in 16,384 bits; folded to its content when the batch closes.
///
/// A request sets three bits: of `h = request * 0x9e3779b97f4a7c15 mod 2^64`, the positions `h >> 50`,
/// `h >> 36 & 0x3fff`, `h >> 22 & 0x3fff`, each modulo the number of bits.
pub(super) struct FilterBuilder {
    words: [u64; WORDS],
    last: RequestId,
}

impl FilterBuilder {
    pub(super) fn new() -> Self {
        Self {
            words: [0; WORDS],
            last: RequestId::NONE,
        }
    }

    /// Events of one request come in bursts, so most calls end at the comparison.
    #[inline]
    pub(super) fn add(&mut self, request: RequestId) {
        if request == self.last {
            return;
        }
        self.last = request;
        if request == RequestId::NONE {
            return;
        }
        for position in positions(request) {
            if let Some(word) = self.words.get_mut(position / 64) {
                *word |= 1 << (position % 64);
            }
        }
    }

    /// Appends the filter, halved as long as no more than half of its bits are set, and starts anew.
    /// Nothing is appended where no request occurred.
    pub(super) fn finish(&mut self, bytes: &mut Vec<u8>) {
        let mut length = WORDS;
        if self.words.iter().all(|&word| word == 0) {
            length = 0;
        }
        while length > 1 {
            let half = length / 2;
            let (low, rest) = self.words.split_at_mut(half);
            let high = rest.get(..half).unwrap_or_default();
            let pairs = || low.iter().zip(high);
            let set: u32 = pairs()
                .map(|(a, b)| (a | b).count_ones())
                .fold(0, u32::saturating_add);
            if usize::try_from(set).unwrap_or(usize::MAX) > half.saturating_mul(32) {
                break;
            }
            for (a, b) in low.iter_mut().zip(high) {
                *a |= b;
            }
            length = half;
        }
        for word in self.words.get(..length).unwrap_or_default() {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        *self = Self::new();
    }
}

/// False where the request is certainly not in the block; an empty filter has none.
#[must_use]
pub(super) fn may_contain(filter: &[u8], request: RequestId) -> bool {
    let bits = filter.len().saturating_mul(8);
    positions(request).into_iter().all(|position| {
        let folded = position.checked_rem(bits).unwrap_or(0);
        filter
            .get(folded / 8)
            .is_some_and(|byte| byte >> (folded % 8) & 1 == 1)
    })
}

#[inline]
fn positions(request: RequestId) -> [usize; 3] {
    let h = request.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [
        (h >> 50) as usize,
        (h >> 36 & 0x3fff) as usize,
        (h >> 22 & 0x3fff) as usize,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter_of(requests: impl Iterator<Item = u64>) -> Vec<u8> {
        let mut builder = FilterBuilder::new();
        requests.for_each(|request| builder.add(RequestId(request)));
        let mut bytes = Vec::new();
        builder.finish(&mut bytes);
        bytes
    }

    #[test]
    fn what_went_in_is_found_and_little_else() {
        for count in [1, 3, 40, 700, 1500] {
            let bytes = filter_of(1..=count);
            assert!((1..=count).all(|request| may_contain(&bytes, RequestId(request))));
            let others = 100_000..110_000;
            let wrong = others
                .filter(|&r| may_contain(&bytes, RequestId(r)))
                .count();
            assert!(wrong < 2000, "{count}: {wrong} of 10,000 wrongly found");
        }
        assert_eq!(filter_of(1..=1).len(), 8);
        assert!(filter_of(0..=0).is_empty());
        assert!(!may_contain(&[], RequestId(1)));
    }

    #[test]
    fn a_crowded_block_has_the_largest_filter() {
        assert_eq!(filter_of(1..=100_000).len(), FILTER_BYTES_MAX);
    }
}
