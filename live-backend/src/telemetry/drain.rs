//! Emptying the lanes of this process, and up to which moment all of them are emptied.
//!
//! Belongs here: lanes that come and go, their totals, the horizon. Does not belong here: what is done
//! with what they held (recorder, transport).

use super::clock::Clock;
use super::lane::{LaneExit, LaneRegistry};
use super::order::{Order, WINDOW_NS};
use flowreel_engine::model::time::TimeNs;
use std::collections::VecDeque;

/// All lanes of this process.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    open: Vec<Lane>,
    count: u64,
    gone: LaneTotals,
}

#[derive(Debug)]
struct Lane {
    number: u64,
    position: u64,
    exit: LaneExit,
}

/// Events handed in and lost before they were taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LaneTotals {
    pub(super) emitted: u64,
    pub(super) dropped: u64,
}

impl Lanes {
    /// Takes what lies in the lanes until `held_max` are held; the answer is how many were taken.
    pub(super) fn drain(
        &mut self,
        registry: &LaneRegistry,
        order: &mut Order,
        held_max: usize,
    ) -> u64 {
        for exit in registry.take_announced() {
            self.open.push(Lane {
                number: self.count,
                position: 0,
                exit,
            });
            self.count += 1;
        }
        let mut taken = 0;
        let mut index = 0;
        while let Some(lane) = self.open.get_mut(index) {
            // Asked before emptying: what a thread stored before it ended is then still taken.
            let is_gone = lane.exit.ring.is_abandoned();
            while order.held_count() < held_max
                && let Ok(entry) = lane.exit.ring.pop()
            {
                order.hold(lane.number, lane.position, entry);
                lane.position += 1;
                taken += 1;
            }
            if is_gone && lane.exit.ring.is_empty() {
                let dropped = lane.exit.dropped.count();
                self.gone.emitted += lane.position + dropped;
                self.gone.dropped += dropped;
                self.open.swap_remove(index);
            } else {
                index += 1;
            }
        }
        taken
    }

    /// What was handed in and lost so far.
    pub(super) fn totals(&self, registry: &LaneRegistry) -> LaneTotals {
        let homeless = registry.homeless_count();
        let mut totals = LaneTotals {
            emitted: self.gone.emitted + homeless,
            dropped: self.gone.dropped + homeless,
        };
        for lane in &self.open {
            let dropped = lane.exit.dropped.count();
            totals.emitted += lane.position + lane.exit.ring.slots() as u64 + dropped;
            totals.dropped += dropped;
        }
        totals
    }
}

/// The moment before which every event is in its ring: what the clock showed a window ago. Where the
/// clock listens to others it may have jumped since, so what it showed is remembered.
#[derive(Debug, Default)]
pub(super) struct Horizon {
    /// A steady clock's time, and the run's at that moment; the oldest first.
    seen: VecDeque<(TimeNs, TimeNs)>,
    passed: TimeNs,
}

/// Moments remembered, five milliseconds apart and more.
const SEEN_MAX: usize = 64;

impl Horizon {
    /// Looks at both clocks and says what is past; call it before the lanes are emptied.
    pub(super) fn pass(&mut self, steady: &Clock, run: &Clock) -> TimeNs {
        let (steady_now, now) = (steady.now(), run.now());
        if !run.is_listening() {
            return TimeNs(now.0.saturating_sub(WINDOW_NS));
        }
        if self.seen.len() < SEEN_MAX {
            self.seen.push_back((steady_now, now));
        }
        while let Some(&(at, shown)) = self.seen.front()
            && steady_now.since_ns(at) >= WINDOW_NS
        {
            self.passed = self.passed.max(shown);
            self.seen.pop_front();
        }
        self.passed
    }
}
