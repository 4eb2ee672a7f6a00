//! Entries that are far: buckets by the digits of their time.
//!
//! Belongs here: putting entries into buckets and opening the first. Does not belong here: their order
//! within a bucket (calendar).
//!
//! A time has eight digits of eight bits. An entry lies in the level of the highest digit in which it
//! differs from the base, in the bucket of that digit; the base moves on to the start of each bucket that
//! is opened, and then all levels below that bucket's are empty. A bucket with too many entries is parted
//! into the level below. Buckets are lists of chunks from one pool, which keeps what it once had.

use super::Entry;

const BITS: u32 = 8;
const LEVELS: usize = 8;
const SLOTS: usize = 1 << BITS;
const CHUNK: usize = 14;
const NONE: u32 = u32::MAX;
const NOTHING: Entry = Entry {
    at_ns: 0,
    order: 0,
    what: 0,
};

#[derive(Clone, Debug)]
struct Chunk {
    entries: [Entry; CHUNK],
    length: u32,
    next: u32,
}

/// One level: its first chunks, and which buckets hold anything.
#[derive(Clone, Debug)]
struct Level {
    heads: [u32; SLOTS],
    counts: [u32; SLOTS],
    filled: [u64; SLOTS / 64],
}

/// All entries after the horizon.
#[derive(Clone, Debug, Default)]
pub(super) struct Far {
    base_ns: u64,
    count: usize,
    /// None until they are needed.
    levels: Vec<Level>,
    /// Levels that hold anything, one bit each.
    filled: u32,
    chunks: Vec<Chunk>,
    free: u32,
}

impl Far {
    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Entries from that time on may come; nothing that is here is earlier than the bucket opened last, and
    /// that bucket holds the time.
    pub(super) fn narrow(&mut self, base_ns: u64) {
        if self.levels.is_empty() {
            let level = Level {
                heads: [NONE; SLOTS],
                counts: [0; SLOTS],
                filled: [0; SLOTS / 64],
            };
            self.levels = vec![level; LEVELS];
            self.free = NONE;
        }
        self.base_ns = base_ns;
    }

    #[inline(never)]
    pub(super) fn insert(&mut self, entry: Entry) {
        // Equal to the base: the lowest level.
        let digit = (63 - ((entry.at_ns ^ self.base_ns) | 1).leading_zeros()) / BITS;
        self.count += 1;
        self.put(digit as usize, entry);
    }

    #[inline]
    fn put(&mut self, digit: usize, entry: Entry) {
        let slot = slot_of(entry.at_ns, digit);
        let level = &mut self.levels[digit];
        let head = level.heads[slot];
        level.counts[slot] += 1;
        if let Some(chunk) = self.chunks.get_mut(head as usize)
            && (chunk.length as usize) < CHUNK
        {
            chunk.entries[chunk.length as usize] = entry;
            chunk.length += 1;
            return;
        }
        let fresh = self.free;
        let chunk = if let Some(chunk) = self.chunks.get_mut(fresh as usize) {
            self.free = chunk.next;
            level.heads[slot] = fresh;
            chunk
        } else {
            level.heads[slot] = u32::try_from(self.chunks.len()).unwrap_or(NONE);
            self.chunks.push(Chunk {
                entries: [NOTHING; CHUNK],
                length: 0,
                next: NONE,
            });
            let last = self.chunks.len() - 1;
            &mut self.chunks[last]
        };
        chunk.entries[0] = entry;
        chunk.length = 1;
        chunk.next = head;
        level.filled[slot / 64] |= 1 << (slot % 64);
        self.filled |= 1 << digit;
    }

    /// Empties the first bucket into `near`, parted as often as it holds more than `most`; says where it
    /// ends. There is one.
    pub(super) fn take_first(&mut self, most: usize, near: &mut Vec<Entry>) -> u64 {
        loop {
            let digit = self.filled.trailing_zeros() as usize;
            let Some(level) = self.levels.get_mut(digit) else {
                return u64::MAX;
            };
            let Some(slot) = first_bit(&level.filled) else {
                self.filled &= !(1 << digit);
                continue;
            };
            let count = std::mem::take(&mut level.counts[slot]) as usize;
            let mut head = std::mem::replace(&mut level.heads[slot], NONE);
            level.filled[slot / 64] &= !(1 << (slot % 64));
            if level.filled.iter().all(|word| *word == 0) {
                self.filled &= !(1 << digit);
            }
            let shift = u32::try_from(digit).unwrap_or(0) * BITS;
            let above = u64::MAX.checked_shl(shift + BITS).unwrap_or(0);
            self.base_ns = self.base_ns & above | (slot as u64) << shift;
            let stays = digit == 0 || count <= most;
            while head != NONE {
                let chunk = &self.chunks[head as usize];
                let (length, next) = (chunk.length as usize, chunk.next);
                if stays {
                    near.extend_from_slice(&chunk.entries[..length]);
                } else {
                    for index in 0..length {
                        let entry = self.chunks[head as usize].entries[index];
                        let lower =
                            (63 - ((entry.at_ns ^ self.base_ns) | 1).leading_zeros()) / BITS;
                        self.put(lower as usize, entry);
                    }
                }
                self.chunks[head as usize].next = self.free;
                self.free = head;
                head = next;
            }
            if stays {
                self.count -= count;
                return self.base_ns.saturating_add(1 << shift);
            }
        }
    }
}

#[inline]
fn slot_of(at_ns: u64, digit: usize) -> usize {
    usize::from(at_ns.to_le_bytes()[digit % LEVELS])
}

fn first_bit(words: &[u64; SLOTS / 64]) -> Option<usize> {
    let word = words.iter().position(|word| *word != 0)?;
    Some(word * 64 + words[word].trailing_zeros() as usize)
}
