//! A lane: one thread's bounded ring to the recorder.
//!
//! Belongs here: storing, counting, losing with a count. Does not belong here: order, meaning.
//!
//! The storing side lives in a thread-local, so that no two threads share a cache line they write; a
//! thread's lane is made on its first event and closes when the thread ends.

use super::detail::Detail;
use flowreel_engine::model::event::StageEvent;
use rtrb::{Consumer, Producer, PushError, RingBuffer};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Events one thread may be ahead of the recorder: 8,192 × 56 bytes = 448 KiB.
const LANE_CAPACITY: usize = 8192;

/// What lies in a ring.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) event: StageEvent,
    pub(super) detail: Option<Box<Detail>>,
}

/// Entries of one lane lost because the ring was full; counted by its thread only.
#[derive(Debug, Default)]
pub(super) struct Dropped(AtomicU64);

impl Dropped {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    // One writer: a load and a store are enough, and cheaper than a locked add.
    #[cold]
    fn add(&self) {
        self.0
            .store(self.0.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
}

/// The recorder's end of a lane.
#[derive(Debug)]
pub(super) struct LaneExit {
    pub(super) ring: Consumer<Entry>,
    pub(super) dropped: Arc<Dropped>,
}

/// Where new lanes announce themselves to the recorder.
#[derive(Debug)]
pub(super) struct LaneRegistry {
    /// Tells the registries of one process apart in the thread-locals.
    id: u64,
    capacity: usize,
    announced: Mutex<Vec<LaneExit>>,
    /// Events of threads that were already ending; they have no lane any more.
    homeless_count: AtomicU64,
}

struct LaneEntrance {
    registry_id: u64,
    ring: Producer<Entry>,
    dropped: Arc<Dropped>,
}

thread_local! {
    static ENTRANCES: RefCell<Vec<LaneEntrance>> = const { RefCell::new(Vec::new()) };
}

static REGISTRY_COUNT: AtomicU64 = AtomicU64::new(0);

impl LaneRegistry {
    pub(super) fn new() -> Self {
        Self::with_capacity(LANE_CAPACITY)
    }

    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            id: REGISTRY_COUNT.fetch_add(1, Ordering::Relaxed),
            capacity,
            announced: Mutex::new(Vec::new()),
            homeless_count: AtomicU64::new(0),
        }
    }

    /// Stores into this thread's ring; a full ring loses the entry and counts it.
    #[inline]
    pub(super) fn store(&self, entry: Entry) {
        let stored = ENTRANCES.try_with(|entrances| {
            let mut entrances = entrances.borrow_mut();
            let found = entrances
                .iter_mut()
                .find(|entrance| entrance.registry_id == self.id);
            match found {
                Some(entrance) => entrance.store(entry),
                None => self.open_lane(&mut entrances).store(entry),
            }
        });
        if stored.is_err() {
            self.homeless_count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lanes opened since the last call.
    pub(super) fn take_announced(&self) -> Vec<LaneExit> {
        let mut announced = self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *announced)
    }

    /// Events lost because their thread was already ending.
    pub(super) fn homeless_count(&self) -> u64 {
        self.homeless_count.load(Ordering::Relaxed)
    }

    #[cold]
    fn open_lane<'a>(&self, entrances: &'a mut Vec<LaneEntrance>) -> &'a mut LaneEntrance {
        // A recorder that is gone never empties its rings again.
        entrances.retain(|entrance| !entrance.ring.is_abandoned());
        let (producer, consumer) = RingBuffer::new(self.capacity);
        let dropped = Arc::new(Dropped::default());
        let exit = LaneExit {
            ring: consumer,
            dropped: Arc::clone(&dropped),
        };
        self.announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(exit);
        entrances.push(LaneEntrance {
            registry_id: self.id,
            ring: producer,
            dropped,
        });
        let last = entrances.len() - 1;
        &mut entrances[last]
    }
}

impl LaneEntrance {
    #[inline]
    fn store(&mut self, entry: Entry) {
        // What was stored the ring's own position says.
        if let Err(PushError::Full(_entry)) = self.ring.push(entry) {
            self.dropped.add();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowreel_engine::model::event::EventKind;
    use flowreel_engine::model::id::ComponentId;
    use flowreel_engine::model::time::TimeNs;

    fn entry(t_ns: u64) -> Entry {
        Entry {
            event: StageEvent::new(TimeNs(t_ns), EventKind::Arrived, ComponentId(0)),
            detail: None,
        }
    }

    #[test]
    fn a_full_ring_loses_and_counts_what_comes_after() {
        let registry = LaneRegistry::with_capacity(4);
        for t_ns in 0..10 {
            registry.store(entry(t_ns));
        }
        let mut lanes = registry.take_announced();
        assert_eq!(lanes.len(), 1);
        let lane = &mut lanes[0];
        let mut times = Vec::new();
        while let Ok(entry) = lane.ring.pop() {
            times.push(entry.event.t_ns.0);
        }
        assert_eq!(times, [0, 1, 2, 3]);
        assert_eq!(lane.dropped.count(), 6);
    }

    #[test]
    fn each_thread_and_each_registry_has_its_own_lane() {
        let registry = LaneRegistry::new();
        let other = LaneRegistry::new();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    registry.store(entry(1));
                    other.store(entry(2));
                    registry.store(entry(3));
                });
            }
        });
        let counts: Vec<usize> = registry
            .take_announced()
            .iter()
            .map(|lane| lane.ring.slots())
            .collect();
        assert_eq!(counts, [2, 2, 2]);
        assert_eq!(other.take_announced().len(), 3);
    }
}
