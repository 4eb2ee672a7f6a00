//! One column of a batch: integers in as few bytes as their kind of change allows.
//!
//! Belongs here: the four encodings. Does not belong here: which field is encoded how (batch).
//!
//! First byte and what follows: 0 one LEB128 value that all items share; 1 a byte each; 2 two bytes
//! each; 3 half a byte each with the item's length in bytes (0 to 8, low half first), then the bytes of
//! all items, little-endian.

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

const CONSTANT: u8 = 0;
const ONE_BYTE: u8 = 1;
const TWO_BYTES: u8 = 2;
const LENGTHS: u8 = 3;

/// Maps small differences of either sign to small numbers: 0, -1, 1, -2, … to 0, 1, 2, 3, ….
#[inline]
#[expect(
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "bits are kept"
)]
pub(super) const fn zigzag(difference: u64) -> u64 {
    let signed = difference as i64;
    (difference << 1) ^ ((signed >> 63) as u64)
}

/// The other way round.
#[inline]
pub(super) const fn unzigzag(coded: u64) -> u64 {
    (coded >> 1) ^ (coded & 1).wrapping_neg()
}

/// What the items of a column have in common.
#[derive(Clone, Copy, Default)]
pub(super) struct Spread {
    first: Option<u64>,
    /// Bits in which some item differs from the first.
    differs: u64,
    /// Bits that occur.
    bits: u64,
}

impl Spread {
    /// Takes in the next items.
    #[inline]
    pub(super) fn widen(&mut self, items: &[u64]) {
        let Some(&next) = items.first() else { return };
        let first = *self.first.get_or_insert(next);
        // Both at once, without a branch in the loop.
        for &item in items {
            self.differs |= item ^ first;
            self.bits |= item;
        }
    }
}

/// Appends the column to `out`; `spread` is over all of `items`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the largest item was looked at"
)]
pub(super) fn encode(items: &[u64], spread: Spread, out: &mut Vec<u8>) {
    let Spread {
        first,
        differs,
        bits,
    } = spread;
    if differs == 0 {
        out.push(CONSTANT);
        encode_leb128(first.unwrap_or(0), out);
    } else if bits <= 0xff {
        out.push(ONE_BYTE);
        out.extend(items.iter().map(|&item| item as u8));
    } else {
        encode_lengths(items, bits, out);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "at most 8 bytes an item")]
fn encode_lengths(items: &[u64], bits: u64, out: &mut Vec<u8>) {
    let lengths_at = out.len().saturating_add(1);
    out.push(LENGTHS);
    let (pairs, last) = items.as_chunks::<2>();
    out.extend(
        pairs
            .iter()
            .map(|&[low, high]| length_of(low) | length_of(high) << 4),
    );
    out.extend(last.iter().map(|&item| length_of(item)));
    let data_at = out.len();
    // Eight bytes are written for each item and overlap: no branch on its length.
    out.resize(data_at.saturating_add(items.len().saturating_mul(8)), 0);
    let mut at = data_at;
    for &item in items {
        if let Some(target) = out
            .get_mut(at..)
            .and_then(|rest| rest.first_chunk_mut::<8>())
        {
            *target = item.to_le_bytes();
        }
        at = at.saturating_add(usize::from(length_of(item)));
    }
    out.truncate(at);
    let two_bytes_len = items.len().saturating_mul(2);
    if bits <= 0xffff && two_bytes_len < at.saturating_sub(lengths_at) {
        out.truncate(lengths_at.saturating_sub(1));
        out.push(TWO_BYTES);
        out.extend(items.iter().flat_map(|&item| (item as u16).to_le_bytes()));
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "0 to 8")]
const fn length_of(item: u64) -> u8 {
    (64_u32.saturating_sub(item.leading_zeros()).div_ceil(8)) as u8
}

/// Reads a column piece by piece, so that all columns of a batch stay in the nearest cache.
#[derive(Clone, Copy)]
pub(super) struct ColumnReader<'a> {
    rest: Rest<'a>,
}

#[derive(Clone, Copy)]
enum Rest<'a> {
    Constant(u64),
    OneByte(&'a [u8]),
    TwoBytes(&'a [[u8; 2]]),
    Lengths { lengths: &'a [u8], data: &'a [u8] },
}

impl<'a> ColumnReader<'a> {
    /// Reads zeros.
    pub(super) const EMPTY: Self = Self {
        rest: Rest::Constant(0),
    };

    /// A reader over a column of `count` items.
    pub(super) fn new(bytes: &'a [u8], count: usize) -> Result<Self, &'static str> {
        let (&encoding, rest) = bytes.split_first().ok_or("is empty")?;
        let rest = match encoding {
            CONSTANT => Rest::Constant(decode_leb128(rest).ok_or("has no readable value")?),
            ONE_BYTE if rest.len() == count => Rest::OneByte(rest),
            TWO_BYTES if rest.len() == count.saturating_mul(2) => {
                Rest::TwoBytes(rest.as_chunks::<2>().0)
            }
            LENGTHS => {
                let (lengths, data) = rest
                    .split_at_checked(count.div_ceil(2))
                    .ok_or("is cut off")?;
                if lengths.iter().any(|&pair| pair & 15 > 8 || pair >> 4 > 8) {
                    return Err("has an item of more than 8 bytes");
                }
                if count % 2 == 1 && lengths.last().is_some_and(|&pair| pair > 15) {
                    return Err("has a length without an item");
                }
                Rest::Lengths { lengths, data }
            }
            ONE_BYTE | TWO_BYTES => return Err("has another length than its batch"),
            _ => return Err("is encoded in an unknown way"),
        };
        Ok(Self { rest })
    }

    /// Fills `items`, whose length is even except for the last piece.
    pub(super) fn fill(&mut self, items: &mut [u64]) -> Result<(), &'static str> {
        match &mut self.rest {
            Rest::Constant(value) => items.fill(*value),
            Rest::OneByte(bytes) => {
                let (own, rest) = bytes.split_at_checked(items.len()).ok_or("is cut off")?;
                for (item, &byte) in items.iter_mut().zip(own) {
                    *item = u64::from(byte);
                }
                *bytes = rest;
            }
            Rest::TwoBytes(pairs) => {
                let (own, rest) = pairs.split_at_checked(items.len()).ok_or("is cut off")?;
                for (item, &pair) in items.iter_mut().zip(own) {
                    *item = u64::from(u16::from_le_bytes(pair));
                }
                *pairs = rest;
            }
            Rest::Lengths { lengths, data } => {
                let (own, rest) = lengths
                    .split_at_checked(items.len().div_ceil(2))
                    .ok_or("is cut off")?;
                for (pair, &length) in items.chunks_mut(2).zip(own) {
                    if let [low, high] = pair {
                        *low = take_item(data, length & 15)?;
                        *high = take_item(data, length >> 4)?;
                    } else if let [low] = pair {
                        *low = take_item(data, length & 15)?;
                    }
                }
                *lengths = rest;
            }
        }
        Ok(())
    }

    /// Every byte must have been used.
    pub(super) fn finish(self) -> Result<(), &'static str> {
        match self.rest {
            Rest::Lengths { data, .. } if !data.is_empty() => Err("has bytes left over"),
            _ => Ok(()),
        }
    }
}

/// Masks by length in bytes; lengths over 8 are refused before.
const MASKS: [u64; 16] = {
    let mut masks = [u64::MAX; 16];
    masks[0] = 0;
    masks[1] = 0xff;
    masks[2] = 0xffff;
    masks[3] = 0xff_ffff;
    masks[4] = 0xffff_ffff;
    masks[5] = 0xff_ffff_ffff;
    masks[6] = 0xffff_ffff_ffff;
    masks[7] = 0xff_ffff_ffff_ffff;
    masks
};

#[inline]
fn take_item(data: &mut &[u8], length: u8) -> Result<u64, &'static str> {
    let length = usize::from(length & 15);
    let item = if let Some(eight) = data.first_chunk::<8>() {
        // Reading past the item and masking needs no branch on its length.
        u64::from_le_bytes(*eight) & MASKS.get(length).copied().unwrap_or(0)
    } else {
        let own = data.get(..length).ok_or("is cut off")?;
        own.iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    };
    *data = data.get(length..).ok_or("is cut off")?;
    Ok(item)
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits are kept")]
fn encode_leb128(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The value, where the bytes are exactly one in its shortest form.
fn decode_leb128(bytes: &[u8]) -> Option<u64> {
    let (&last, before) = bytes.split_last()?;
    let is_shortest = before.is_empty() || last != 0;
    let is_one = last < 0x80 && before.iter().all(|&byte| byte >= 0x80);
    let fits = before.len() < 9 || (before.len() == 9 && last == 1);
    (is_shortest && is_one && fits).then(|| {
        bytes
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 7 | u64::from(byte & 0x7f))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(items: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut spread = Spread::default();
        for piece in items.chunks(7) {
            spread.widen(piece);
        }
        encode(items, spread, &mut bytes);
        assert_eq!(decode(&bytes, items.len(), 4).unwrap(), items);
        assert_eq!(decode(&bytes, items.len(), 1000).unwrap(), items);
        bytes
    }

    fn decode(bytes: &[u8], count: usize, piece: usize) -> Result<Vec<u64>, &'static str> {
        let mut reader = ColumnReader::new(bytes, count)?;
        let mut items = vec![0; count];
        for chunk in items.chunks_mut(piece) {
            reader.fill(chunk)?;
        }
        reader.finish()?;
        Ok(items)
    }

    #[test]
    fn small_columns_are_cheap() {
        assert_eq!(check(&[]).len(), 2);
        assert_eq!(check(&[0; 1000]).len(), 2);
        assert_eq!(check(&[3, 200, 7]).len(), 4);
        assert_eq!(check(&[300, 65_535, 256, 999]).len(), 9);
        assert_eq!(check(&[0, 0, 0, 70_000]).len(), 6);
        check(&[u64::MAX; 3]);
        check(&[u64::MAX, 0, 1]);
    }

    proptest! {
        #[test]
        fn decode_of_encode_is_identity(items in proptest::collection::vec(any::<u64>(), 0..40), shift in 0_u32..64) {
            let shifted: Vec<u64> = items.iter().map(|item| item >> shift).collect();
            check(&shifted);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60), count in 0_usize..50) {
            if let Ok(items) = decode(&bytes, count, 16) {
                prop_assert_eq!(items.len(), count);
            }
        }

        #[test]
        fn zigzag_comes_back(difference in any::<u64>()) {
            prop_assert_eq!(unzigzag(zigzag(difference)), difference);
        }
    }
}
