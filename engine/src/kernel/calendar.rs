//! The calendar: what happens next, ordered by time and then by order of insertion.
//!
//! Belongs here: the priority queue. Does not belong here: what entries mean.
//!
//! Entries before a horizon stand in a small heap with four children per node; those after it lie in
//! buckets by the digits of their time (far), and come near one bucket at a time. While there are few
//! entries the horizon is the end of time and the heap is all there is. The cost of an entry is that of
//! a small heap and a few moves between buckets, however many wait. Equal times leave in the order they
//! came.

mod far;

use far::Far;

/// A bucket with more entries than this is parted before it comes near.
const NEAR_USUAL: usize = 48;
/// A heap with more entries than this goes back into buckets.
const NEAR_MAX: usize = 192;

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
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    heap: Vec<Entry>,
    /// The first place of the heap was taken out and not filled again yet: what follows an appointment is
    /// mostly another one, which then takes that place instead of climbing from the end.
    has_hole: bool,
    inserted: u64,
    /// Entries from here on are far.
    horizon_ns: u64,
    near_max: usize,
    far: Far,
}

impl Default for Calendar {
    fn default() -> Self {
        Self {
            heap: Vec::with_capacity(2 * NEAR_MAX),
            has_hole: false,
            inserted: 0,
            horizon_ns: u64::MAX,
            near_max: NEAR_MAX,
            far: Far::default(),
        }
    }
}

impl Calendar {
    /// Time of the next entry.
    #[inline]
    pub(super) fn next_at_ns(&mut self) -> Option<u64> {
        self.next().map(|entry| entry.at_ns)
    }

    /// The next entry, which stays.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<Entry> {
        if self.has_hole {
            self.close_hole();
        }
        if self.heap.is_empty() && !self.far.is_empty() {
            self.come_near();
        }
        self.heap.first().copied()
    }

    #[inline(always)]
    pub(super) fn insert(&mut self, at_ns: u64, what: u64) {
        let entry = Entry {
            at_ns,
            order: self.inserted,
            what,
        };
        self.inserted += 1;
        if at_ns >= self.horizon_ns {
            self.far.insert(entry);
        } else if self.has_hole {
            self.has_hole = false;
            self.sink_from_top(entry);
        } else {
            self.climb_from_end(entry);
        }
    }

    /// Takes out what [`Self::next`] gave just now.
    #[inline]
    pub(super) fn take_next(&mut self) {
        self.has_hole = true;
    }

    #[inline(never)]
    fn close_hole(&mut self) {
        self.has_hole = false;
        if let Some(last) = self.heap.pop()
            && !self.heap.is_empty()
        {
            self.sink_from_top(last);
        }
    }

    #[inline(never)]
    fn climb_from_end(&mut self, entry: Entry) {
        if self.heap.len() >= self.near_max {
            return self.crowd(entry);
        }
        self.heap.push(entry);
        let key = entry.key();
        let heap = &mut self.heap[..];
        let mut index = heap.len() - 1;
        while index > 0 {
            let parent = (index - 1) / 4;
            if heap[parent].key() <= key {
                break;
            }
            heap[index] = heap[parent];
            index = parent;
        }
        heap[index] = entry;
    }

    /// Puts an entry at the top, or below where earlier ones are. The heap is not empty.
    #[inline]
    fn sink_from_top(&mut self, entry: Entry) {
        let key = entry.key();
        let heap = &mut self.heap[..];
        let mut index = 0;
        // Four children at a time, told apart without branches.
        while let Some([a, b, c, d]) = heap.get(4 * index + 1..4 * index + 5) {
            let (left, left_key) = lesser((1, a.key()), (2, b.key()));
            let (right, right_key) = lesser((3, c.key()), (4, d.key()));
            let (least, least_key) = lesser((left, left_key), (right, right_key));
            if key <= least_key {
                heap[index] = entry;
                return;
            }
            heap[index] = heap[4 * index + least];
            index = 4 * index + least;
        }
        let last = heap.get(4 * index + 1..).unwrap_or(&[]);
        let rest = last
            .iter()
            .enumerate()
            .map(|(at, entry)| (at + 1, entry.key()));
        if let Some((least, least_key)) = rest.reduce(lesser)
            && least_key < key
        {
            heap[index] = heap[4 * index + least];
            index = 4 * index + least;
        }
        heap[index] = entry;
    }

    /// Too many for a heap: all of them go back into buckets, and a smaller first one comes near.
    #[cold]
    #[inline(never)]
    fn crowd(&mut self, entry: Entry) {
        let first_ns = self.heap.first().map_or(0, |first| first.at_ns);
        let first_ns = first_ns.min(entry.at_ns);
        self.far.narrow(first_ns);
        self.horizon_ns = first_ns;
        self.far.insert(entry);
        for index in 0..self.heap.len() {
            self.far.insert(self.heap[index]);
        }
        self.heap.clear();
        self.come_near();
    }

    /// Brings the first bucket near. The heap is empty.
    #[cold]
    #[inline(never)]
    fn come_near(&mut self) {
        self.horizon_ns = self.far.take_first(NEAR_USUAL, &mut self.heap);
        // Entries of one instant cannot be parted, and there may be many.
        self.near_max = NEAR_MAX.max(2 * self.heap.len());
        // Few entries, ascending, are a heap.
        self.heap.sort_unstable_by_key(Entry::key);
        if self.far.is_empty() && self.heap.len() <= NEAR_USUAL {
            self.horizon_ns = u64::MAX;
        }
    }
}

#[inline(always)]
fn lesser(a: (usize, u128), b: (usize, u128)) -> (usize, u128) {
    if b.1 < a.1 { b } else { a }
}

#[cfg(test)]
#[path = "calendar/tests.rs"]
mod tests;
