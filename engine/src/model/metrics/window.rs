//! Counts by second over the last minute, for rates that screens show.
//!
//! Belongs here: one ring of seconds. Does not belong here: whole-run counts (metrics).

use super::super::packed::Packed;
use crate::model::time::{NS_PER_S, TimeNs, seconds_from_ns};
use serde::{Deserialize, Serialize};

/// Seconds a [`Window`] remembers.
pub const WINDOW_SECONDS: u64 = 64;

/// Counts by second over the last [`WINDOW_SECONDS`] seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WindowForm", into = "WindowForm")]
pub struct Window {
    second: u64,
    slots: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct WindowForm {
    second: u64,
    /// Of each filled slot, ascending: its number and its count.
    filled: Packed,
}

impl From<Window> for WindowForm {
    fn from(window: Window) -> Self {
        let mut filled = Packed::default();
        for (slot, &count) in (0..).zip(&window.slots).filter(|(_, count)| **count > 0) {
            filled.push(slot);
            filled.push(u64::from(count));
        }
        Self {
            second: window.second,
            filled,
        }
    }
}

impl TryFrom<WindowForm> for Window {
    type Error = String;

    fn try_from(form: WindowForm) -> Result<Self, String> {
        let mut window = Self {
            second: form.second,
            ..Self::default()
        };
        let mut filled = form.filled.reader();
        while !filled.is_at_end() {
            let slot = filled.next().and_then(|slot| usize::try_from(slot).ok());
            let slot = slot.and_then(|slot| window.slots.get_mut(slot));
            let count = filled.next().and_then(|count| u32::try_from(count).ok());
            let (Some(slot), Some(count)) = (slot, count) else {
                return Err(format!(
                    "a window has {WINDOW_SECONDS} seconds with 32-bit counts"
                ));
            };
            *slot = count;
        }
        Ok(window)
    }
}

impl Default for Window {
    fn default() -> Self {
        Self {
            second: 0,
            slots: vec![0; slot_of(WINDOW_SECONDS - 1) + 1],
        }
    }
}

impl Window {
    /// Adds `amount` in the second of `now`; what would overflow a second's counter is held at the top.
    #[inline]
    pub fn add(&mut self, now: TimeNs, amount: u32) {
        let second = now.0 / NS_PER_S;
        if second > self.second {
            let stale = (second - self.second).min(WINDOW_SECONDS);
            for passed in 0..stale {
                self.slots[slot_of(second - passed)] = 0;
            }
            self.second = second;
        }
        let slot = &mut self.slots[slot_of(second)];
        *slot = slot.saturating_add(amount);
    }

    /// Sum over the `seconds` whole seconds before the one of `now` (at most 63) and the part of this one.
    #[must_use]
    pub fn sum(&self, now: TimeNs, seconds: u64) -> u64 {
        let second = now.0 / NS_PER_S;
        let first = second.saturating_sub(seconds.min(WINDOW_SECONDS - 1));
        let oldest = self.second.saturating_sub(WINDOW_SECONDS - 1);
        (first.max(oldest)..=second.min(self.second))
            .map(|at| u64::from(self.slots[slot_of(at)]))
            .sum()
    }

    /// Mean rate per second over the last `seconds` (or since the start, where that is less).
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "printing")]
    pub fn rate_per_s(&self, now: TimeNs, seconds: u64) -> f64 {
        let first = (now.0 / NS_PER_S).saturating_sub(seconds.min(WINDOW_SECONDS - 1)) * NS_PER_S;
        let length_s = seconds_from_ns(now.0 - first).max(1.0);
        self.sum(now, seconds) as f64 / length_s
    }
}

const fn slot_of(second: u64) -> usize {
    (second % WINDOW_SECONDS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_forgets_old_seconds() {
        let mut window = Window::default();
        let at = |second: u64| TimeNs(second * NS_PER_S);
        window.add(at(1), 5);
        window.add(at(3), 7);
        assert_eq!(window.sum(at(3), 10), 12);
        assert_eq!(window.sum(at(13), 10), 7);
        assert_eq!(window.sum(at(14), 10), 0);
        window.add(at(3 + WINDOW_SECONDS), 1);
        assert_eq!(window.sum(at(3 + WINDOW_SECONDS), 63), 1);
        window.add(at(1000), 1);
        assert_eq!(window.sum(at(1000), 63), 1);
    }
}
