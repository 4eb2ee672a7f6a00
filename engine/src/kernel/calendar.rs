//! The calendar: what happens next, ordered by time and then by order of insertion.
//!
//! Belongs here: the priority queue. Does not belong here: what entries mean.
//!
//! A heap with four children per node: half the levels of a binary one, and the four keys that are
//! compared lie side by side. Equal times leave in the order they came.

/// One appointment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// When, in nanoseconds.
    pub(super) at_ns: u64,
    order: u64,
    /// What, as the owner packed it.
    pub(super) what: u64,
}

impl Entry {
    #[inline]
    fn key(&self) -> u128 {
        u128::from(self.at_ns) << 64 | u128::from(self.order)
    }
}

/// Appointments to come.
#[derive(Clone, Debug, Default)]
pub(super) struct Calendar {
    heap: Vec<Entry>,
    inserted: u64,
}

impl Calendar {
    /// Time of the next entry.
    #[inline]
    pub(super) fn next_at_ns(&self) -> Option<u64> {
        self.heap.first().map(|entry| entry.at_ns)
    }

    #[inline]
    pub(super) fn insert(&mut self, at_ns: u64, what: u64) {
        let entry = Entry {
            at_ns,
            order: self.inserted,
            what,
        };
        self.inserted += 1;
        self.heap.push(entry);
        let key = entry.key();
        let mut index = self.heap.len() - 1;
        while index > 0 {
            let parent = (index - 1) / 4;
            if self.heap[parent].key() <= key {
                break;
            }
            self.heap[index] = self.heap[parent];
            index = parent;
        }
        self.heap[index] = entry;
    }

    /// Takes the earliest entry out.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let last = self.heap.pop()?;
        let Some(first) = self.heap.first().copied() else {
            return Some(last);
        };
        let key = last.key();
        let length = self.heap.len();
        let mut index = 0;
        loop {
            let child = index * 4 + 1;
            if child >= length {
                break;
            }
            let mut least = child;
            let mut least_key = self.heap[child].key();
            for other in child + 1..(child + 4).min(length) {
                let other_key = self.heap[other].key();
                if other_key < least_key {
                    least = other;
                    least_key = other_key;
                }
            }
            if key <= least_key {
                break;
            }
            self.heap[index] = self.heap[least];
            index = least;
        }
        self.heap[index] = last;
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::rng::Stream;

    #[test]
    fn entries_leave_by_time_and_ties_by_insertion() {
        let mut calendar = Calendar::default();
        let mut stream = Stream::new(1, "calendar", "test");
        let mut waiting: Vec<(u64, u64)> = Vec::new();
        let mut what = 0;
        let mut now = 0;
        for round in 0..20_000 {
            let grows = if round < 10_000 { 3 } else { 1 };
            for _ in 0..stream.below(grows + 1) {
                // Few distinct times, so that ties are the rule.
                let at = now + u64::from(stream.below(8));
                calendar.insert(at, what);
                waiting.push((at, what));
                what += 1;
            }
            if let Some(entry) = calendar.pop() {
                let expected = *waiting.iter().min().unwrap();
                assert_eq!((entry.at_ns, entry.what), expected);
                waiting.retain(|other| *other != expected);
                now = entry.at_ns;
            }
        }
        assert!(what > 10_000);
    }
}
