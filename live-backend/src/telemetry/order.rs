//! Puts the events of all lanes in one order: by time, then lane, then place in the lane.
//!
//! Belongs here: the reorder window and what happens to events that come after it. Does not belong
//! here: threads, files, meaning.
//!
//! A thread reads the clock and then stores, and may be stopped in between; so an event may reach the
//! recorder after later ones of other threads. Events are held for [`WINDOW_NS`] before they are let
//! go. One that comes later still is let go at the time of the last one let go, and counted as late:
//! time in a reel never falls.

use super::lane::Entry;
use flowreel_engine::model::time::TimeNs;

/// How long events are held for others to overtake them: ten times the longest usual pre-emption.
pub(super) const WINDOW_NS: u64 = 40_000_000;

/// Events waiting to be let go.
#[derive(Debug, Default)]
pub(super) struct Order {
    held: Vec<Held>,
    last_t_ns: TimeNs,
    late_count: u64,
}

/// One event and where it came from.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) lane: u64,
    pub(super) position: u64,
    pub(super) entry: Entry,
}

impl Order {
    /// Takes in the event at `position` of `lane`.
    pub(super) fn hold(&mut self, lane: u64, position: u64, entry: Entry) {
        self.held.push(Held {
            lane,
            position,
            entry,
        });
    }

    /// Forgets what lanes from this one on hold; the answer is how many events that was.
    pub(super) fn forget_from(&mut self, lane: u64) -> u64 {
        let before = self.held.len();
        self.held.retain(|held| held.lane < lane);
        (before - self.held.len()) as u64
    }

    /// How many are held.
    pub(super) fn held_count(&self) -> usize {
        self.held.len()
    }

    /// The moment before which half of what is held happened, and one event at least.
    pub(super) fn middle(&mut self) -> TimeNs {
        let half = self.held.len() / 2;
        if self.held.is_empty() {
            return TimeNs::ZERO;
        }
        let time = |held: &Held| held.entry.event.t_ns;
        let (_, median, _) = self.held.select_nth_unstable_by_key(half, time);
        TimeNs(time(median).0.saturating_add(1))
    }

    /// Events that came after the window and had to take the time of the event before them.
    pub(super) fn late_count(&self) -> u64 {
        self.late_count
    }

    /// Lets go, in order, what happened before `horizon`.
    pub(super) fn release(&mut self, horizon: TimeNs) -> Vec<Held> {
        self.held
            .sort_unstable_by_key(|held| (held.entry.event.t_ns, held.lane, held.position));
        let count = self
            .held
            .partition_point(|held| held.entry.event.t_ns < horizon);
        let mut released = Vec::with_capacity(count);
        for mut held in self.held.drain(..count) {
            let event = &mut held.entry.event;
            if event.t_ns < self.last_t_ns {
                event.t_ns = self.last_t_ns;
                self.late_count += 1;
            }
            self.last_t_ns = event.t_ns;
            released.push(held);
        }
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowreel_engine::model::event::{EventKind, StageEvent};
    use flowreel_engine::model::id::ComponentId;

    fn entry(t_ns: u64, value: u64) -> Entry {
        let mut event = StageEvent::new(TimeNs(t_ns), EventKind::Arrived, ComponentId(0));
        event.value = value;
        Entry {
            event,
            detail: None,
        }
    }

    fn seen(released: &[Held]) -> Vec<(u64, u64)> {
        released
            .iter()
            .map(|held| (held.entry.event.t_ns.0, held.entry.event.value))
            .collect()
    }

    #[test]
    fn lanes_are_merged_by_time_then_lane_then_position() {
        let mut order = Order::default();
        order.hold(1, 0, entry(10, 1));
        order.hold(1, 1, entry(10, 2));
        order.hold(1, 2, entry(30, 3));
        order.hold(0, 0, entry(10, 0));
        order.hold(0, 1, entry(20, 9));
        let released = order.release(TimeNs(30));
        assert_eq!(seen(&released), [(10, 0), (10, 1), (10, 2), (20, 9)]);
        assert_eq!(order.held_count(), 1);
        assert_eq!(order.late_count(), 0);
    }

    #[test]
    fn half_of_what_is_held_is_before_the_middle() {
        let mut order = Order::default();
        assert_eq!(order.release(order.last_t_ns).len(), 0);
        for (position, t_ns) in (0..).zip([50, 10, 40, 20, 30]) {
            order.hold(0, position, entry(t_ns, position));
        }
        let middle = order.middle();
        assert_eq!(middle, TimeNs(31));
        assert_eq!(order.release(middle).len(), 3);
        assert_eq!(order.held_count(), 2);
    }

    #[test]
    fn what_comes_after_the_window_keeps_time_from_falling_and_is_counted() {
        let mut order = Order::default();
        order.hold(0, 0, entry(100, 1));
        assert_eq!(order.release(TimeNs(200)).len(), 1);
        order.hold(1, 0, entry(50, 2));
        order.hold(1, 1, entry(150, 3));
        let released = order.release(TimeNs::MAX);
        assert_eq!(seen(&released), [(100, 2), (150, 3)]);
        assert_eq!(order.late_count(), 1);
    }
}
