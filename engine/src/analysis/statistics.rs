//! Statistics of one run: facts fall into batches, batches become figures.
//!
//! Belongs here: watching a run, cutting its warm-up, joining batches until they are independent.
//! Does not belong here: the answer's shape (answer), replications (replicate).
//!
//! A run of fixed length falls into batches of equal time, one of a fixed number of requests into
//! batches of equally many finished ones; those begin and end with a request, so that a regular
//! process is measured over whole cycles.

mod facts;

use super::batch::{Batch, StationBatch};
use super::gauges::Gauges;
use super::level::{Level, Levels};
use super::observe::Observed;
use super::warmup::{Cut, Series};
use crate::kernel::RunReport;
use crate::model::id::ComponentId;
use crate::scenario::valid::{Scenario, Station, Stop, Warmup};

/// Batches of a run before they are joined; fewer where many stations need many histograms.
const BATCHES: u64 = 32;
const BATCHES_OF_MANY: u64 = 16;
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

impl RequestCounts {
    pub(super) const fn add(&mut self, other: Self) {
        self.started += other.started;
        self.completed += other.completed;
        self.failed += other.failed;
        self.rejected += other.rejected;
        self.abandoned += other.abandoned;
    }

    pub(super) const fn finished(self) -> u64 {
        self.completed + self.failed + self.rejected + self.abandoned
    }
}

/// What happened at a station, over the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StationCounts {
    pub(super) arrivals: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) rejected: u64,
    pub(super) abandoned: u64,
    pub(super) cancelled: u64,
    pub(super) timed_out: u64,
}

impl StationCounts {
    pub(super) const fn add(&mut self, other: Self) {
        self.arrivals += other.arrivals;
        self.completed += other.completed;
        self.failed += other.failed;
        self.rejected += other.rejected;
        self.abandoned += other.abandoned;
        self.cancelled += other.cancelled;
        self.timed_out += other.timed_out;
    }
}

/// A watcher that measures everything the simulate answer asks for.
#[derive(Clone, Debug)]
pub struct Statistics {
    bits: u32,
    warmup: Warmup,
    stop: Stop,
    batches: u64,
    /// Before the end of a fixed warm-up, or the first finished request.
    is_warming: bool,
    /// The batch under way ends at this time, or when so many more requests have finished.
    batch_end_ns: u64,
    batch_requests: u64,
    /// Length of every batch after the warm-up, in ns or requests; 0 until it is known.
    width: u64,
    now: Batch,
    closed: Vec<Batch>,
    series: Series,
    in_system: Level,
    levels: Vec<Levels>,
    gauges: Gauges,
    /// Servers that keep what they have finished.
    held: Vec<Level>,
    /// By class; empty where no class has one.
    deadlines_ns: Vec<Option<u64>>,
    /// The next moment at which a batch or a bin ends.
    next_mark_ns: u64,
    /// One class has the figures of the system, and they are counted once.
    has_classes: bool,
    /// Servers of stations with an autoscaler.
    servers: Vec<(ComponentId, Level)>,
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
    /// At the moments of `observe_at_s`, as far as the run came.
    pub(super) observed: Vec<Observed>,
}

impl Statistics {
    /// A watcher for one run of this scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let components = scenario.topology.components.len();
        // Many stations mean many histograms: they get coarser, and batches fewer.
        let (bits, batches) = match components {
            0..=64 => (9, BATCHES),
            65..=512 => (7, BATCHES),
            _ => (5, BATCHES_OF_MANY),
        };
        let bin_ns = match scenario.stop {
            Stop::Duration(end) => end / 1000,
            Stop::Requests(_) => 100,
        };
        let mut this = Self {
            bits,
            warmup: scenario.warmup,
            stop: scenario.stop,
            batches,
            is_warming: true,
            batch_end_ns: u64::MAX,
            batch_requests: u64::MAX,
            width: 0,
            now: Batch::new(
                bits,
                scenario.classes().len(),
                scenario.paths().len(),
                components,
            ),
            closed: Vec::with_capacity(64),
            series: Series::new(bin_ns),
            in_system: Level::default(),
            levels: vec![Levels::default(); components],
            gauges: Gauges::new(scenario),
            held: vec![Level::default(); components],
            deadlines_ns: scenario.deadlines_ns.clone(),
            next_mark_ns: 0,
            has_classes: scenario.classes().len() > 1,
            servers: scaled(scenario),
            requests: RequestCounts::default(),
            counts: vec![StationCounts::default(); components],
        };
        match (scenario.warmup, scenario.stop) {
            (Warmup::Fixed(ns), _) if ns > 0 => this.batch_end_ns = ns,
            // Batches then begin and end with a request.
            (Warmup::Auto, Stop::Requests(_)) => this.batch_requests = 1,
            _ => {
                this.is_warming = false;
                this.plan_batch(0);
            }
        }
        this.mark();
        this
    }

    /// Sets the end of the batch that begins now.
    fn plan_batch(&mut self, now_ns: u64) {
        let done = self.requests.finished();
        match self.stop {
            Stop::Duration(end) => {
                if self.width == 0 {
                    self.width = end.saturating_sub(now_ns).div_ceil(self.batches).max(1);
                }
                self.batch_end_ns = now_ns.saturating_add(self.width);
            }
            Stop::Requests(count) => {
                if self.width == 0 {
                    self.width = count.saturating_sub(done).div_ceil(self.batches).max(1);
                }
                self.batch_end_ns = u64::MAX;
                self.batch_requests = self.width;
            }
        }
    }

    fn mark(&mut self) {
        self.next_mark_ns = self.batch_end_ns.min(self.series.bin_end_ns());
    }

    /// Closes every batch and every bin that ends by now.
    #[cold]
    #[inline(never)]
    fn roll(&mut self, now_ns: u64) {
        while now_ns >= self.next_mark_ns {
            let bin_end_ns = self.series.bin_end_ns();
            if bin_end_ns == self.next_mark_ns {
                self.series.close_bin(self.in_system.integral(bin_end_ns));
            }
            if self.batch_end_ns == self.next_mark_ns {
                self.close(self.batch_end_ns);
            }
            self.mark();
        }
    }

    #[cold]
    #[inline(never)]
    fn close(&mut self, end_ns: u64) {
        self.settle_all(end_ns);
        let done = self.now.cut(end_ns);
        self.count(&done);
        if self.is_warming {
            self.is_warming = false;
        } else {
            self.closed.push(done);
        }
        self.plan_batch(end_ns);
        self.mark();
    }

    fn settle_all(&mut self, now_ns: u64) {
        self.now.system_area += self.in_system.cut(now_ns);
        for (levels, batch) in self.levels.iter_mut().zip(&mut self.now.stations) {
            batch.waiting_area += levels.waiting.cut(now_ns);
            batch.service_area += levels.in_service.cut(now_ns);
        }
        self.gauges.settle(now_ns, &mut self.now);
        if !self.has_classes {
            self.now.classes.fill(self.now.system.clone());
        }
        for (station, servers) in &mut self.servers {
            self.now.stations[station.index()].servers_area += servers.cut(now_ns);
        }
        for (held, batch) in self.held.iter_mut().zip(&mut self.now.stations) {
            batch.held_area += held.cut(now_ns);
        }
    }

    fn count(&mut self, batch: &Batch) {
        for (count, station) in self.counts.iter_mut().zip(&batch.stations) {
            count.arrivals += station.arrivals;
            count.completed += station.completed;
            count.failed += station.failed;
            count.rejected += station.rejected;
            count.abandoned += station.abandoned;
            count.cancelled += station.cancelled;
            count.timed_out += station.timed_out;
        }
    }

    #[inline]
    fn station(&mut self, station: ComponentId) -> (&mut StationBatch, &mut Levels) {
        let index = station.index();
        (&mut self.now.stations[index], &mut self.levels[index])
    }

    /// Ends the run and makes its figures.
    #[must_use]
    pub fn finish(self, report: RunReport) -> Figures {
        let measured = self.end(report);
        let cut = measured.series.cut();
        measured.figures(cut)
    }

    /// Ends the run; the warm-up is cut afterwards.
    pub(super) fn end(mut self, report: RunReport) -> Measured {
        self.roll(report.end.0);
        self.settle_all(report.end.0);
        self.now.end_ns = report.end.0;
        let last = self.now.clone();
        self.count(&last);
        Measured {
            report,
            bits: self.bits,
            warmup: self.warmup,
            requests: self.requests,
            counts: self.counts,
            closed: self.closed,
            last,
            series: self.series,
            observed: Vec::new(),
        }
    }
}

/// What one run measured, its warm-up still in it.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    report: RunReport,
    bits: u32,
    warmup: Warmup,
    requests: RequestCounts,
    counts: Vec<StationCounts>,
    closed: Vec<Batch>,
    last: Batch,
    pub(super) series: Series,
    pub(super) observed: Vec<Observed>,
}

impl Measured {
    /// Cuts the warm-up, where the scenario does not say how long it is, and joins what is left.
    pub(super) fn figures(mut self, cut: Cut) -> Figures {
        let last = self.last;
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
        let typical_ns = groups
            .last()
            .map_or(0, |batch| batch.end_ns - batch.start_ns);
        if length_ns > 0 && length_ns >= typical_ns - typical_ns / 20 {
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
            report: self.report,
            requests: self.requests,
            counts: self.counts,
            warmup_ns: total.start_ns,
            total,
            groups,
            is_steady: cut.is_steady || matches!(self.warmup, Warmup::Fixed(_)),
            is_correlated,
            observed: self.observed,
        }
    }
}

fn scaled(scenario: &Scenario) -> Vec<(ComponentId, Level)> {
    let scaled = |station: &&Station| station.autoscale.is_some();
    let all = scenario.stations.iter().filter(scaled);
    all.map(|station| {
        let value = station.servers.map_or(0, u64::from);
        let level = Level::standing(value);
        (station.component, level)
    })
    .collect()
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
