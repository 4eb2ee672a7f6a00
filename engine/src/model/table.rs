//! A flat hash table over copyable keys and values, the same on every machine and run.
//!
//! Belongs here: look-up by key on the hot path. Does not belong here: ordered walks; iteration
//! order is an accident of the past, so whoever writes it down sorts first.
//!
//! Linear probing in a power-of-two array, at most half full, deletion by shifting back: no
//! tombstones, so cost does not creep up with age, and no allocation until the table doubles.

/// A key with its own well-mixed 64-bit hash.
pub trait TableKey: Copy + PartialEq {
    /// Mixes every bit of the key into the upper bits of the result.
    fn mixed(self) -> u64;
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Table<K, V> {
    slots: Vec<Option<(K, V)>>,
    len: usize,
    shift: u32,
}

const FIRST_BITS: u32 = 5;

impl<K: TableKey, V: Copy> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            slots: vec![None; 1 << FIRST_BITS],
            len: 0,
            shift: 64 - FIRST_BITS,
        }
    }
}

impl<K: TableKey, V: Copy> Table<K, V> {
    /// Entries held.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True without entries.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value under `key`.
    #[inline]
    #[must_use]
    pub fn get(&self, key: K) -> Option<&V> {
        let index = self.find(key)?;
        self.slots[index].as_ref().map(|(_, value)| value)
    }

    /// The value under `key`, to change in place.
    #[inline]
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let index = self.find(key)?;
        self.slots[index].as_mut().map(|(_, value)| value)
    }

    /// Sets `key` and returns what stood there before.
    #[inline]
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if (self.len + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut index = self.home(key);
        while let Some((held, old)) = &mut self.slots[index] {
            if *held == key {
                return Some(std::mem::replace(old, value));
            }
            index = (index + 1) & mask;
        }
        self.slots[index] = Some((key, value));
        self.len += 1;
        None
    }

    /// Takes `key` out.
    #[inline]
    pub fn remove(&mut self, key: K) -> Option<V> {
        let mut hole = self.find(key)?;
        let (_, value) = self.slots[hole].take()?;
        self.len -= 1;
        let mask = self.slots.len() - 1;
        let mut index = (hole + 1) & mask;
        while let Some((held, _)) = &self.slots[index] {
            let home = self.home(*held);
            // An entry may move into the hole unless its home lies after the hole on the way to it.
            if (index.wrapping_sub(home) & mask) >= (index.wrapping_sub(hole) & mask) {
                self.slots.swap(hole, index);
                hole = index;
            }
            index = (index + 1) & mask;
        }
        Some(value)
    }

    /// All entries in no order that means anything; sort before showing or writing.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.slots
            .iter()
            .filter_map(|slot| slot.as_ref().map(|(key, value)| (*key, value)))
    }

    #[inline]
    fn home(&self, key: K) -> usize {
        usize::try_from(key.mixed() >> self.shift).expect("at most as many bits as the table has")
    }

    #[inline]
    fn find(&self, key: K) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let mut index = self.home(key);
        while let Some((held, _)) = &self.slots[index] {
            if *held == key {
                return Some(index);
            }
            index = (index + 1) & mask;
        }
        None
    }

    #[cold]
    fn grow(&mut self) {
        let doubled = vec![None; self.slots.len() * 2];
        let old = std::mem::replace(&mut self.slots, doubled);
        self.shift -= 1;
        self.len = 0;
        for (key, value) in old.into_iter().flatten() {
            self.insert(key, value);
        }
    }
}

/// Mixes a word so that its upper bits depend on all of it (Steele, Lea, Flood 2014, variant 13).
#[inline]
#[must_use]
pub const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl TableKey for u64 {
        // A poor hash on purpose: clusters are what deletion has to survive.
        fn mixed(self) -> u64 {
            (self % 7) << 60
        }
    }

    proptest! {
        #[test]
        fn a_table_does_what_an_ordered_map_does(steps in prop::collection::vec((0u8..3, 0u64..60, 0u32..9), 0..400)) {
            let mut table = Table::default();
            let mut map = BTreeMap::new();
            for (step, key, value) in steps {
                match step {
                    0 | 1 => prop_assert_eq!(table.insert(key, value), map.insert(key, value)),
                    _ => prop_assert_eq!(table.remove(key), map.remove(&key)),
                }
                prop_assert_eq!(table.get(key), map.get(&key));
                prop_assert_eq!(table.len(), map.len());
            }
            let mut entries: Vec<_> = table.iter().map(|(key, value)| (key, *value)).collect();
            entries.sort_unstable();
            prop_assert_eq!(entries, map.into_iter().collect::<Vec<_>>());
        }
    }
}
