//! What a run counts while it goes on.
//!
//! Belongs here: counts and distributions as they grow. Does not belong here: their printed form
//! (report.rs), which request an answer belongs to (ledger.rs).

use super::answer::ActionError;
use super::books::Reconciliation;
use super::report::{ClassReport, DriverReport, LoadReport, SocketReport, Times};
use super::settings::{LoadSettings, Model};
use crate::telemetry::Class;
use flowreel_engine::model::time::seconds_from_ns;
use std::collections::BTreeMap;

/// A request sent later than this is the driver's fault.
const LATE_NS: u64 = 10_000_000;

#[derive(Clone, Debug)]
struct ClassTally {
    sent: u64,
    accepted: u64,
    failed: u64,
    unclear: u64,
    http: Times,
    delivery: Times,
}

/// Collects what a run measures.
#[derive(Debug)]
pub(super) struct Tally {
    classes: Vec<ClassTally>,
    errors: BTreeMap<String, u64>,
    refused: BTreeMap<String, u64>,
    expected: u64,
    delivered: u64,
    out_of_order: u64,
    late: u64,
    sending_ns: u64,
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
            unclear: 0,
            http: Times::new(),
            delivery: Times::new(),
        };
        Self {
            classes: vec![class; Class::ALL.len()],
            errors: BTreeMap::new(),
            refused: BTreeMap::new(),
            expected: 0,
            delivered: 0,
            out_of_order: 0,
            late: 0,
            sending_ns: 0,
            start_lag: Times::new(),
            http: Times::new(),
            delivery: Times::new(),
            after_answer: Times::new(),
        }
    }

    /// A request went out, `since_begin_ns` after the run's begin and `lag_ns` after it was meant to.
    pub(super) fn sent(&mut self, class: Class, lag_ns: u64, since_begin_ns: u64) {
        self.classes[class.id().index()].sent += 1;
        self.start_lag.record(lag_ns);
        self.late += u64::from(lag_ns > LATE_NS);
        self.sending_ns = self.sending_ns.max(since_begin_ns);
    }

    /// A purchase was told after a later one of the same user.
    pub(super) fn overtaken(&mut self) {
        self.out_of_order += 1;
    }

    #[cfg(test)]
    pub(super) const fn out_of_order(&self) -> u64 {
        self.out_of_order
    }

    /// Notifications that accepted requests must bring, and those that came.
    pub(super) const fn expected(&self) -> (u64, u64) {
        (self.expected, self.delivered)
    }

    /// Accepted requests of a class.
    pub(super) fn accepted_of(&self, class: Class) -> u64 {
        self.classes[class.id().index()].accepted
    }

    /// Failed requests of a class that may have been accepted.
    pub(super) fn unclear_of(&self, class: Class) -> u64 {
        self.classes[class.id().index()].unclear
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
        let tally = &mut self.classes[class.id().index()];
        tally.failed += 1;
        tally.unclear += u64::from(error.is_unclear());
        *self.errors.entry(error.label()).or_insert(0) += 1;
        if let ActionError::Refused { status, .. } = error {
            *self.refused.entry(status.to_string()).or_insert(0) += 1;
        }
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

    #[expect(clippy::cast_precision_loss, reason = "printing")]
    pub(super) fn report(
        &self,
        settings: &LoadSettings,
        sockets: SocketReport,
        (duplicates, unacked): (u64, u64),
        reconciliation: Option<Reconciliation>,
    ) -> LoadReport {
        let sum = |field: fn(&ClassTally) -> u64| self.classes.iter().map(field).sum::<u64>();
        let duration_s = seconds_from_ns(settings.duration_ns);
        let (sent, accepted) = (sum(|class| class.sent), sum(|class| class.accepted));
        let sending_s = seconds_from_ns(self.sending_ns.max(settings.duration_ns));
        let per_arrival = match settings.model {
            Model::Open => Some(1.0),
            Model::Sessions => Some(settings.session_requests),
            Model::Closed => None,
        };
        let intended = settings.profile.expected_count(settings.duration_ns) / duration_s;
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
            model: settings.model.name(),
            arrivals: settings.spacing.name(),
            profile: settings.profile.to_string(),
            rate_per_s: per_arrival.map(|count| intended * count),
            sent_per_s: sent as f64 / sending_s.max(f64::MIN_POSITIVE),
            accepted_per_s: accepted as f64 / duration_s.max(f64::MIN_POSITIVE),
            warmup_s: seconds_from_ns(settings.warmup_ns),
            seed: settings.seed,
            mix: settings.mix.to_string(),
            users: settings.user_count,
            sockets_lost: sockets.lost,
            sent,
            accepted,
            failed: sum(|class| class.failed),
            errors: self.errors.clone(),
            refused: self.refused.clone(),
            expected: self.expected,
            delivered: self.delivered,
            undelivered: self.expected.saturating_sub(self.delivered),
            duplicates,
            out_of_order: self.out_of_order,
            unacked,
            sockets,
            driver: DriverReport {
                late: self.late,
                is_busy: self.late > sent / 100,
            },
            reconciliation,
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
