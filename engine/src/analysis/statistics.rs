//! Statistics of one run: facts fall into batches, batches become figures.
//!
//! Belongs here: watching a run, cutting its warm-up, joining batches until they are independent.
//! Does not belong here: the answer's shape (answer), replications (replicate).
//!
//! A run of unknown length is watched in batches that double their width whenever there are too many,
//! so memory stays bounded and nothing need be known beforehand.

use super::batch::{Batch, StationBatch};
use super::warmup::Series;
use crate::kernel::{RunReport, Sink};
use crate::model::event::Outcome;
use crate::model::id::{ClassId, ComponentId, PathId};
use crate::model::time::TimeNs;
use crate::scenario::valid::{Scenario, Stop, Warmup};

/// Batches of a run whose length is known, and of one whose length is not, before they are joined.
const BATCHES: u64 = 32;
const BATCHES_MAX: usize = 64;
/// Fewer groups than this give no interval.
const GROUPS_MIN: usize = 5;
/// Lag-one correlation of neighbouring groups above which they are joined.
const CORRELATION_MAX: f64 = 0.3;

/// How requests ended, over the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RequestCounts {
    pub(super) started: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) rejected: u64,
    pub(super) abandoned: u64,
}

/// What happened at a station, over the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StationCounts {
    pub(super) arrivals: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) rejected: u64,
    pub(super) abandoned: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Level {
    value: u64,
    since_ns: u64,
}

impl Level {
    /// Adds the area up to now and takes the level to its next value.
    #[inline]
    fn settle(&mut self, now_ns: u64, area: &mut u128) {
        *area += u128::from(self.value) * u128::from(now_ns - self.since_ns);
        self.since_ns = now_ns;
    }
}

/// A watcher that measures everything the simulate answer asks for.
#[derive(Clone, Debug)]
pub struct Statistics {
    bits: u32,
    batches_max: usize,
    warmup: Warmup,
    width_ns: u64,
    /// Start of the batch under way is before the end of a fixed warm-up.
    is_warming: bool,
    batch_end_ns: u64,
    now: Batch,
    closed: Vec<Batch>,
    series: Series,
    in_system: Level,
    waiting: Vec<Level>,
    in_service: Vec<Level>,
    requests: RequestCounts,
    counts: Vec<StationCounts>,
}

/// What one run says, ready for the answer.
#[derive(Clone, Debug)]
pub struct Figures {
    pub(super) report: RunReport,
    pub(super) requests: RequestCounts,
    pub(super) counts: Vec<StationCounts>,
    pub(super) warmup_ns: u64,
    /// Everything after the warm-up.
    pub(super) total: Batch,
    /// The same in independent stretches; empty where there are too few.
    pub(super) groups: Vec<Batch>,
    pub(super) is_steady: bool,
    pub(super) is_correlated: bool,
}

impl Statistics {
    /// A watcher for one run of this scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let components = scenario.topology.components.len();
        // Many stations mean many histograms: they get coarser, and batches fewer.
        let (bits, batches_max) = match components {
            0..=64 => (9, BATCHES_MAX),
            65..=512 => (7, BATCHES_MAX / 2),
            _ => (5, 20),
        };
        let warmup_ns = match scenario.warmup {
            Warmup::Auto => 0,
            Warmup::Fixed(ns) => ns,
        };
        let (width_ns, bin_ns) = match scenario.stop {
            Stop::Duration(end) => (
                end.saturating_sub(warmup_ns)
                    .div_ceil(BATCHES.min(batches_max as u64))
                    .max(1),
                end / 1000,
            ),
            Stop::Requests(_) => (1000, 100),
        };
        let is_warming = warmup_ns > 0;
        Self {
            bits,
            batches_max,
            warmup: scenario.warmup,
            width_ns,
            is_warming,
            batch_end_ns: if is_warming { warmup_ns } else { width_ns },
            now: Batch::new(
                bits,
                scenario.classes().len(),
                scenario.paths().len(),
                components,
            ),
            closed: Vec::with_capacity(batches_max),
            series: Series::new(bin_ns),
            in_system: Level::default(),
            waiting: vec![Level::default(); components],
            in_service: vec![Level::default(); components],
            requests: RequestCounts::default(),
            counts: vec![StationCounts::default(); components],
        }
    }

    /// Closes every batch that ends by now.
    #[inline]
    fn roll(&mut self, now: TimeNs) {
        while now.0 >= self.batch_end_ns {
            self.close(self.batch_end_ns);
        }
    }

    #[cold]
    fn close(&mut self, end_ns: u64) {
        self.settle_all(end_ns);
        let fresh = Batch::new(
            self.bits,
            self.now.classes.len(),
            self.now.paths.len(),
            self.now.stations.len(),
        );
        let mut done = std::mem::replace(&mut self.now, fresh);
        self.now.start_ns = end_ns;
        done.end_ns = end_ns;
        self.count(&done);
        if self.is_warming {
            self.is_warming = false;
        } else {
            self.closed.push(done);
        }
        if self.closed.len() == self.batches_max {
            self.closed = pairs(&self.closed);
            self.width_ns = self.width_ns.saturating_mul(2);
        }
        self.batch_end_ns = end_ns.saturating_add(self.width_ns);
    }

    fn settle_all(&mut self, now_ns: u64) {
        self.in_system.settle(now_ns, &mut self.now.system_area);
        let levels = self.waiting.iter_mut().zip(&mut self.in_service);
        for ((waiting, in_service), batch) in levels.zip(&mut self.now.stations) {
            waiting.settle(now_ns, &mut batch.waiting_area);
            in_service.settle(now_ns, &mut batch.service_area);
        }
    }

    fn count(&mut self, batch: &Batch) {
        for (count, station) in self.counts.iter_mut().zip(&batch.stations) {
            count.arrivals += station.arrivals;
            count.completed += station.completed;
            count.failed += station.failed;
            count.rejected += station.rejected;
            count.abandoned += station.abandoned;
        }
    }

    #[inline]
    fn station(
        &mut self,
        now: TimeNs,
        station: ComponentId,
    ) -> (&mut StationBatch, &mut Level, &mut Level) {
        self.roll(now);
        let index = station.index();
        (
            &mut self.now.stations[index],
            &mut self.waiting[index],
            &mut self.in_service[index],
        )
    }

    /// Ends the run and makes its figures.
    #[must_use]
    pub fn finish(mut self, report: RunReport) -> Figures {
        self.roll(report.end);
        self.series.add(self.in_system.value, report.end.0);
        self.settle_all(report.end.0);
        self.now.end_ns = report.end.0;
        let last = self.now.clone();
        self.count(&last);
        let cut = self.series.cut();
        let first = match self.warmup {
            Warmup::Fixed(_) => 0,
            // A batch is cut whole, and never more than half of the run.
            Warmup::Auto => self
                .closed
                .iter()
                .position(|batch| batch.start_ns >= cut.at_ns)
                .unwrap_or(self.closed.len())
                .min(self.closed.len() / 2),
        };
        let mut groups = self.closed.split_off(first);
        // The last stretch is shorter: it counts in the total, and as a group only where it is nearly whole.
        let length_ns = last.end_ns - last.start_ns;
        let mut total = Batch::new(
            self.bits,
            last.classes.len(),
            last.paths.len(),
            last.stations.len(),
        );
        total.start_ns = groups.first().map_or(last.start_ns, |batch| batch.start_ns);
        for batch in groups.iter().chain([&last]) {
            total.absorb(batch);
        }
        if length_ns >= self.width_ns - self.width_ns / 20 {
            groups.push(last);
        }
        while groups.len() >= 4 * GROUPS_MIN && correlation(&groups) > CORRELATION_MAX {
            groups = pairs(&groups);
        }
        let is_correlated = correlation(&groups) > CORRELATION_MAX;
        if groups.len() < GROUPS_MIN {
            groups.clear();
        }
        Figures {
            report,
            requests: self.requests,
            counts: self.counts,
            warmup_ns: total.start_ns,
            total,
            groups,
            is_steady: cut.is_steady || matches!(self.warmup, Warmup::Fixed(_)),
            is_correlated,
        }
    }
}

/// Neighbours joined; an odd last one joins the pair before it.
fn pairs(batches: &[Batch]) -> Vec<Batch> {
    let mut joined: Vec<Batch> = Vec::with_capacity(batches.len());
    for pair in batches.chunks(2) {
        match (pair, joined.last_mut()) {
            ([first, second], _) => {
                let mut both = first.clone();
                both.absorb(second);
                joined.push(both);
            }
            ([odd], Some(last)) => last.absorb(odd),
            ([odd], None) => joined.push(odd.clone()),
            _ => {}
        }
    }
    joined
}

/// Lag-one correlation of requests in the system over neighbouring batches.
#[expect(clippy::cast_precision_loss, reason = "a handful of batches")]
fn correlation(batches: &[Batch]) -> f64 {
    let means: Vec<f64> = batches
        .iter()
        .map(|batch| batch.system_area as f64 / 1e9 / batch.length_s())
        .collect();
    let mean = means.iter().sum::<f64>() / means.len() as f64;
    let variance: f64 = means.iter().map(|x| (x - mean) * (x - mean)).sum();
    let together: f64 = means
        .windows(2)
        .map(|pair| (pair[0] - mean) * (pair[1] - mean))
        .sum();
    if variance > 0.0 {
        together / variance
    } else {
        0.0
    }
}

impl Sink for Statistics {
    #[inline]
    fn begun(&mut self, now: TimeNs) {
        self.roll(now);
        self.requests.started += 1;
        self.series.add(self.in_system.value, now.0);
        self.in_system.settle(now.0, &mut self.now.system_area);
        self.in_system.value += 1;
    }

    #[inline]
    fn finished(&mut self, now: TimeNs, class: ClassId, outcome: Outcome, sojourn_ns: u64) {
        self.roll(now);
        self.series.add(self.in_system.value, now.0);
        self.in_system.settle(now.0, &mut self.now.system_area);
        self.in_system.value -= 1;
        match outcome {
            Outcome::Ok => {
                self.requests.completed += 1;
                self.now.system.completed(sojourn_ns);
                self.now.classes[class.index()].completed(sojourn_ns);
            }
            Outcome::Rejected => self.requests.rejected += 1,
            Outcome::Abandoned => self.requests.abandoned += 1,
            Outcome::None | Outcome::Failed | Outcome::TimedOut | Outcome::Cancelled => {
                self.requests.failed += 1;
            }
        }
    }

    #[inline]
    fn part_finished(
        &mut self,
        now: TimeNs,
        path: Option<PathId>,
        outcome: Outcome,
        sojourn_ns: u64,
    ) {
        if let (Some(path), Outcome::Ok) = (path, outcome) {
            self.roll(now);
            self.now.paths[path.index()].completed(sojourn_ns);
        }
    }

    #[inline]
    fn arrived(&mut self, now: TimeNs, station: ComponentId) {
        let (batch, waiting, _) = self.station(now, station);
        batch.arrivals += 1;
        waiting.settle(now.0, &mut batch.waiting_area);
        waiting.value += 1;
    }

    #[inline]
    fn started(&mut self, now: TimeNs, station: ComponentId, waiting_ns: u64) {
        let (batch, waiting, in_service) = self.station(now, station);
        batch.started_at_once += u64::from(waiting_ns == 0);
        batch.waiting.record(waiting_ns);
        waiting.settle(now.0, &mut batch.waiting_area);
        waiting.value -= 1;
        in_service.settle(now.0, &mut batch.service_area);
        in_service.value += 1;
    }

    #[inline]
    fn ended(
        &mut self,
        now: TimeNs,
        station: ComponentId,
        waiting_ns: u64,
        service_ns: u64,
        went_well: bool,
    ) {
        let (batch, _, in_service) = self.station(now, station);
        batch.completed += u64::from(went_well);
        batch.failed += u64::from(!went_well);
        batch.service.record(service_ns);
        batch.sojourn.record(waiting_ns.saturating_add(service_ns));
        in_service.settle(now.0, &mut batch.service_area);
        in_service.value -= 1;
    }

    #[inline]
    fn picked_up(&mut self, now: TimeNs, station: ComponentId, waiting_ns: u64) {
        let (batch, waiting, _) = self.station(now, station);
        batch.completed += 1;
        batch.started_at_once += u64::from(waiting_ns == 0);
        batch.waiting.record(waiting_ns);
        batch.sojourn.record(waiting_ns);
        waiting.settle(now.0, &mut batch.waiting_area);
        waiting.value -= 1;
    }

    #[inline]
    fn gave_up(&mut self, now: TimeNs, station: ComponentId, outcome: Outcome) {
        let (batch, waiting, _) = self.station(now, station);
        if outcome == Outcome::Rejected {
            batch.rejected += 1;
        } else {
            batch.abandoned += 1;
        }
        waiting.settle(now.0, &mut batch.waiting_area);
        waiting.value -= 1;
    }
}
