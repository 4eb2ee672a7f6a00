//! What a load run measured, as one JSON object.
//!
//! Belongs here: counts, distributions, their form. Does not belong here: when something is measured.

use super::books::Reconciliation;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;

/// The answer of `flowreel-live load`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadReport {
    /// `flowreel.load/1`.
    pub schema: &'static str,
    /// Where requests were sent.
    pub url: String,
    /// How long requests were sent.
    pub duration_s: f64,
    /// `open`, `closed` or `sessions`.
    pub model: &'static str,
    /// `poisson` or `even`.
    pub arrivals: &'static str,
    /// The intended rate over time, as it was written.
    pub profile: String,
    /// Intended requests per second over the whole run; a closed model intends none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<f64>,
    /// Requests per second that were sent, over the time they were sent in.
    pub sent_per_s: f64,
    /// Requests per second that were accepted, over the time they were sent in.
    pub accepted_per_s: f64,
    /// Cut from the figures below, not from the counts.
    pub warmup_s: f64,
    /// Seed of arrivals, classes and users.
    pub seed: u64,
    /// Shares of the classes.
    pub mix: String,
    /// Users with a socket.
    pub users: u32,
    /// Sockets that were lost before the end.
    pub sockets_lost: u64,
    /// Requests sent.
    pub sent: u64,
    /// Requests the backend took.
    pub accepted: u64,
    /// Requests it did not take, refused or unanswered.
    pub failed: u64,
    /// Why, with counts.
    pub errors: BTreeMap<String, u64>,
    /// Those of them that were answered with a refusal, by status.
    pub refused: BTreeMap<String, u64>,
    /// In-app notifications that had to reach a socket.
    pub expected: u64,
    /// Those that did.
    pub delivered: u64,
    /// Those that did not in the time given.
    pub undelivered: u64,
    /// Notifications that came again on a socket that had them.
    pub duplicates: u64,
    /// Purchases told after one of the same user that was made only when the former had been accepted.
    pub out_of_order: u64,
    /// Notifications heard that could not be confirmed.
    pub unacked: u64,
    /// The sockets.
    pub sockets: SocketReport,
    /// Whether this driver itself kept up.
    pub driver: DriverReport,
    /// Whether the backend's counts and ours agree; absent where it did not show them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciliation: Option<Reconciliation>,
    /// How late requests were sent after their intended start: what this driver itself added.
    pub start_lag_ms: Spread,
    /// Intended start to the HTTP answer.
    pub http_ms: Spread,
    /// Intended start to the notification on the client's socket.
    pub delivery_ms: Spread,
    /// HTTP answer to the notification on the client's socket; 0 where it came first.
    pub delivery_after_answer_ms: Spread,
    /// The same per class.
    pub classes: BTreeMap<&'static str, ClassReport>,
}

/// The sockets of a load run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SocketReport {
    /// Those whose users confirm what they hear.
    pub confirming: u32,
    /// Those that only stay connected.
    pub idle: u32,
    /// How long each took to connect, and to prove who it is where it is somebody's.
    pub connect_ms: Spread,
    /// Losses before the end.
    pub lost: u64,
    /// Losses that were made good.
    pub reconnected: u64,
    /// Times that five attempts in a row were in vain, or a probe after them.
    pub breaker_opened: u64,
    /// Intended start to each socket of the user concerned.
    pub copies_ms: Spread,
}

/// The driver's own lateness.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DriverReport {
    /// Requests sent more than 10 ms after their intended start.
    pub late: u64,
    /// More than one in a hundred was: the figures then tell of this driver as well.
    pub is_busy: bool,
}

/// One class of a load run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassReport {
    /// Requests sent.
    pub sent: u64,
    /// Requests the backend took.
    pub accepted: u64,
    /// Requests it did not take.
    pub failed: u64,
    /// Intended start to the HTTP answer.
    pub http_ms: Spread,
    /// Intended start to the notification on the client's socket.
    pub delivery_ms: Spread,
}

/// A distribution in milliseconds; without any value only the count stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// Mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<f64>,
    /// 90th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90: Option<f64>,
    /// 99th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
    /// 99.9th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p999: Option<f64>,
    /// Largest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

/// Durations in microseconds with three digits.
#[derive(Clone, Debug)]
pub(super) struct Times(Histogram<u64>);

impl Times {
    pub(super) fn new() -> Self {
        Self(Histogram::new(3).expect("three digits are allowed"))
    }

    pub(super) fn record(&mut self, ns: u64) {
        // Not `saturating_record`, which never widens the range.
        self.0
            .record((ns / 1000).min(1 << 40))
            .expect("an auto-resizing histogram takes values up to 2^40");
    }

    #[expect(clippy::cast_precision_loss, reason = "printing")]
    pub(super) fn spread(&self) -> Spread {
        let count = self.0.len();
        let of = |us: u64| (count > 0).then_some(us as f64 / 1000.0);
        Spread {
            count,
            mean: (count > 0).then(|| self.0.mean() / 1000.0),
            p50: of(self.0.value_at_quantile(0.5)),
            p90: of(self.0.value_at_quantile(0.9)),
            p99: of(self.0.value_at_quantile(0.99)),
            p999: of(self.0.value_at_quantile(0.999)),
            max: of(self.0.max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_in_milliseconds() {
        let mut times = Times::new();
        assert_eq!(times.spread(), Spread::default());
        for ms in 1..=1000 {
            times.record(ms * 1_000_000);
        }
        let spread = times.spread();
        assert_eq!(spread.count, 1000);
        for (found, ms) in [
            (spread.p50, 500.0),
            (spread.p90, 900.0),
            (spread.p99, 990.0),
            (spread.p999, 999.0),
        ] {
            let found = found.expect("there are values");
            assert!((found / ms - 1.0).abs() < 0.002, "{found} for {ms}");
        }
    }
}
