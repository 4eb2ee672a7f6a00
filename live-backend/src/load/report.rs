//! What a load run measured, as one JSON object.
//!
//! Belongs here: counts, distributions, their form. Does not belong here: when something is measured.

use super::answer::ActionError;
use super::settings::LoadSettings;
use crate::telemetry::Class;
use flowreel_engine::model::time::seconds_from_ns;
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
    /// Intended requests per second.
    pub rate_per_s: f64,
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
    /// In-app notifications that had to reach a socket.
    pub expected: u64,
    /// Those that did.
    pub delivered: u64,
    /// Those that did not in the time given.
    pub undelivered: u64,
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
    /// Largest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

/// Durations in microseconds with three digits.
#[derive(Clone, Debug)]
struct Times(Histogram<u64>);

impl Times {
    fn new() -> Self {
        Self(Histogram::new(3).expect("three digits are allowed"))
    }

    fn record(&mut self, ns: u64) {
        // Not `saturating_record`, which never widens the range.
        self.0
            .record((ns / 1000).min(1 << 40))
            .expect("an auto-resizing histogram takes values up to 2^40");
    }

    #[expect(clippy::cast_precision_loss, reason = "printing")]
    fn spread(&self) -> Spread {
        let count = self.0.len();
        let of = |us: u64| (count > 0).then_some(us as f64 / 1000.0);
        Spread {
            count,
            mean: (count > 0).then(|| self.0.mean() / 1000.0),
            p50: of(self.0.value_at_quantile(0.5)),
            p90: of(self.0.value_at_quantile(0.9)),
            p99: of(self.0.value_at_quantile(0.99)),
            max: of(self.0.max()),
        }
    }
}

#[derive(Clone, Debug)]
struct ClassTally {
    sent: u64,
    accepted: u64,
    failed: u64,
    http: Times,
    delivery: Times,
}

/// Collects what a run measures.
#[derive(Debug)]
pub(super) struct Tally {
    classes: Vec<ClassTally>,
    errors: BTreeMap<String, u64>,
    expected: u64,
    delivered: u64,
    start_lag: Times,
    http: Times,
    delivery: Times,
    after_answer: Times,
}

impl Tally {
    pub(super) fn new() -> Self {
        let class = ClassTally {
            sent: 0,
            accepted: 0,
            failed: 0,
            http: Times::new(),
            delivery: Times::new(),
        };
        Self {
            classes: vec![class; Class::ALL.len()],
            errors: BTreeMap::new(),
            expected: 0,
            delivered: 0,
            start_lag: Times::new(),
            http: Times::new(),
            delivery: Times::new(),
            after_answer: Times::new(),
        }
    }

    pub(super) fn sent(&mut self, class: Class, lag_ns: u64) {
        self.classes[class.id().index()].sent += 1;
        self.start_lag.record(lag_ns);
    }

    /// `http_ns` is absent where the request is not measured.
    pub(super) fn accepted(&mut self, class: Class, http_ns: Option<u64>, is_expected: bool) {
        let tally = &mut self.classes[class.id().index()];
        tally.accepted += 1;
        self.expected += u64::from(is_expected);
        if let Some(http_ns) = http_ns {
            tally.http.record(http_ns);
            self.http.record(http_ns);
        }
    }

    pub(super) fn failed(&mut self, class: Class, error: &ActionError) {
        self.classes[class.id().index()].failed += 1;
        *self.errors.entry(error.label()).or_insert(0) += 1;
    }

    pub(super) fn delivered(
        &mut self,
        class: Class,
        delivery_ns: u64,
        after_answer_ns: u64,
        is_measured: bool,
    ) {
        self.delivered += 1;
        if is_measured {
            self.classes[class.id().index()]
                .delivery
                .record(delivery_ns);
            self.delivery.record(delivery_ns);
            self.after_answer.record(after_answer_ns);
        }
    }

    pub(super) fn is_all_delivered(&self) -> bool {
        self.delivered >= self.expected
    }

    #[expect(clippy::cast_precision_loss, reason = "printing")]
    pub(super) fn report(&self, settings: &LoadSettings, sockets_lost: u64) -> LoadReport {
        let sum = |field: fn(&ClassTally) -> u64| self.classes.iter().map(field).sum::<u64>();
        let duration_s = seconds_from_ns(settings.duration_ns);
        let accepted = sum(|class| class.accepted);
        let classes = Class::ALL
            .into_iter()
            .zip(&self.classes)
            .filter(|(_, tally)| tally.sent > 0)
            .map(|(class, tally)| (class.name(), class_report(tally)))
            .collect();
        LoadReport {
            schema: "flowreel.load/1",
            url: settings.url.clone(),
            duration_s,
            rate_per_s: settings.rate_per_s,
            accepted_per_s: accepted as f64 / duration_s.max(f64::MIN_POSITIVE),
            warmup_s: seconds_from_ns(settings.warmup_ns),
            seed: settings.seed,
            mix: settings.mix.to_string(),
            users: settings.user_count,
            sockets_lost,
            sent: sum(|class| class.sent),
            accepted,
            failed: sum(|class| class.failed),
            errors: self.errors.clone(),
            expected: self.expected,
            delivered: self.delivered,
            undelivered: self.expected.saturating_sub(self.delivered),
            start_lag_ms: self.start_lag.spread(),
            http_ms: self.http.spread(),
            delivery_ms: self.delivery.spread(),
            delivery_after_answer_ms: self.after_answer.spread(),
            classes,
        }
    }
}

fn class_report(tally: &ClassTally) -> ClassReport {
    ClassReport {
        sent: tally.sent,
        accepted: tally.accepted,
        failed: tally.failed,
        http_ms: tally.http.spread(),
        delivery_ms: tally.delivery.spread(),
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
        ] {
            let found = found.expect("there are values");
            assert!((found / ms - 1.0).abs() < 0.002, "{found} for {ms}");
        }
    }
}
