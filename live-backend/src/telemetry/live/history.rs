//! Figures over time: one sample a second, the last hour of them.
//!
//! Belongs here: the ring and which figures are kept. Does not belong here: where a sample comes from.

use serde::Serialize;

/// Samples kept: an hour.
pub const SAMPLES_MAX: usize = 3600;

macro_rules! figures {
    ($($(#[$doc:meta])* $field:ident => $name:literal, $unit:literal;)+) => {
        /// One second's figures; absent means nothing was measured.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
        #[serde(rename_all = "camelCase")]
        pub struct Sample {
            /// Wall time in ms since 1970.
            pub timestamp: u64,
            $($(#[$doc])* pub $field: Option<f64>,)+
        }

        /// Names and units of what a sample has.
        pub const FIGURES: &[(&str, &str)] = &[$(($name, $unit),)+];

        impl Sample {
            /// The figure of that name, `None` where there is none of it.
            #[must_use]
            pub fn figure(&self, name: &str) -> Option<f64> {
                match name { $($name => self.$field,)+ _ => None }
            }
        }
    };
}

figures! {
    /// Requests begun and not finished.
    active_requests => "activeRequests", "requests";
    /// Requests begun in the last full second.
    requests_per_second => "requestsPerSecond", "per s";
    /// Mean time to an answer over the last minute.
    average_latency => "averageLatency", "ms";
    /// Badly ended requests over the last minute.
    error_rate => "errorRate", "%";
    /// Open client sockets.
    total_connections => "totalConnections", "connections";
    /// Messages to clients.
    messages_per_second => "messagesPerSecond", "per s";
    /// Jobs that wait for a worker.
    jobs_waiting => "jobsWaiting", "jobs";
    /// Jobs that wait for their next run.
    jobs_delayed => "jobsDelayed", "jobs";
    /// Reads of the store.
    reads_per_second => "readsPerSecond", "per s";
    /// Writes to the store.
    writes_per_second => "writesPerSecond", "per s";
    /// This program's share of the processors.
    cpu_percent => "cpuPercent", "%";
    /// This program's share of the memory.
    memory_percent => "memoryPercent", "%";
}

/// A ring that never grows.
#[derive(Debug)]
pub struct Ring<T> {
    slots: Box<[T]>,
    next: usize,
    len: usize,
}

impl<T: Copy + Default> Ring<T> {
    /// A ring of that many places.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            slots: vec![T::default(); capacity].into_boxed_slice(),
            next: 0,
            len: 0,
        }
    }

    /// Adds the newest; the oldest goes where it is full.
    pub fn push(&mut self, item: T) {
        let capacity = self.slots.len();
        let Some(slot) = self.slots.get_mut(self.next) else {
            return;
        };
        *slot = item;
        self.next = (self.next + 1) % capacity;
        self.len = (self.len + 1).min(capacity);
    }

    /// The last `count`, oldest first.
    #[must_use]
    pub fn last(&self, count: usize) -> Vec<T> {
        let count = count.min(self.len);
        let capacity = self.slots.len().max(1);
        let first = (self.next + capacity - count) % capacity;
        let at = |offset: usize| self.slots.get((first + offset) % capacity).copied();
        (0..count).filter_map(at).collect()
    }

    /// Places it has.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.slots.len()
    }
}

/// The last hour.
#[derive(Debug)]
pub struct History(Ring<Sample>);

impl Default for History {
    fn default() -> Self {
        Self(Ring::new(SAMPLES_MAX))
    }
}

impl History {
    /// Keeps one more second.
    pub fn push(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// The last `seconds`, oldest first.
    #[must_use]
    pub fn last(&self, seconds: usize) -> Vec<Sample> {
        self.0.last(seconds)
    }
}

/// How fast a count rises, over its last ten seconds.
#[derive(Debug)]
pub struct Rate(Ring<(u64, u64)>);

impl Default for Rate {
    fn default() -> Self {
        Self(Ring::new(11))
    }
}

impl Rate {
    /// Takes in the count at a moment, once a second.
    pub fn push(&mut self, now_ns: u64, count: u64) {
        self.0.push((now_ns, count));
    }

    /// Rise per second over the last `seconds`, or over what is known where that is less.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "printing")]
    pub fn per_s(&self, seconds: usize) -> f64 {
        let known = self.0.last(seconds + 1);
        let (Some(&(from_ns, from)), Some(&(to_ns, to))) = (known.first(), known.last()) else {
            return 0.0;
        };
        let length_ns = to_ns.saturating_sub(from_ns);
        if length_ns == 0 {
            return 0.0;
        }
        to.saturating_sub(from) as f64 * 1e9 / length_ns as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_never_grows_and_keeps_the_newest() {
        let mut ring = Ring::new(600);
        assert!(ring.last(5).is_empty());
        for number in 0..1_000_000_u64 {
            ring.push(number);
        }
        assert_eq!(ring.capacity(), 600);
        assert_eq!(ring.last(3), [999_997, 999_998, 999_999]);
        let all = ring.last(5000);
        assert_eq!((all.len(), all[0]), (600, 999_400));
    }

    #[test]
    fn every_figure_is_found_by_its_name() {
        let value = serde_json::to_value(Sample::default()).unwrap();
        let keys = value.as_object().unwrap();
        assert_eq!(keys.len(), FIGURES.len() + 1);
        for (name, _unit) in FIGURES {
            assert!(keys.contains_key(*name), "{name}");
        }
        let sample = Sample {
            error_rate: Some(2.0),
            ..Sample::default()
        };
        assert_eq!(sample.figure("errorRate"), Some(2.0));
        assert_eq!(sample.figure("nothing"), None);
    }

    #[test]
    fn a_rate_is_the_rise_over_its_window() {
        let mut rate = Rate::default();
        assert!(rate.per_s(10).abs() < f64::EPSILON);
        for second in 0..=20_u64 {
            rate.push(second * 1_000_000_000, second * 100);
        }
        assert!((rate.per_s(10) - 100.0).abs() < 1e-9);
        rate.push(21_000_000_000, 2000 + 400);
        assert!((rate.per_s(1) - 400.0).abs() < 1e-9);
    }
}
