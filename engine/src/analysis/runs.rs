//! Replications put together in their order, one after the other.
//!
//! Belongs here: what remains of a run once the next one comes. Does not belong here: running them
//! (replicate), the answer's shape (answer).

use super::answer::Parts;
use super::batch::Batch;
use super::observe::Observations;
use super::statistics::{Figures, RequestCounts, StationCounts};
use super::walk::{Moments, Walk};
use crate::model::event::{EventKind, StageEvent};
use crate::model::hash::RunHash;
use crate::model::id::ComponentId;
use crate::model::time::TimeNs;
use crate::scenario::valid::Scenario;

/// Runs of one scenario with different seeds: what all of them say.
#[derive(Clone, Debug)]
pub struct Runs {
    pub(super) count: u64,
    pub(super) event_count: u64,
    first_hash: RunHash,
    hashes: RunHash,
    pub(super) longest_ns: u64,
    pub(super) warmup_ns: u64,
    pub(super) requests: RequestCounts,
    pub(super) counts: Vec<StationCounts>,
    /// Everything after the warm-ups, of all runs.
    pub(super) total: Batch,
    /// Independent stretches of the only run; empty for several.
    pub(super) groups: Vec<Batch>,
    moments: Vec<Moments>,
    pub(super) observations: Observations,
    pub(super) unsteady: u64,
    pub(super) is_correlated: bool,
    pub(super) is_transient: bool,
}

impl Runs {
    /// Of one run.
    #[must_use]
    pub fn one(scenario: &Scenario, figures: Figures) -> Self {
        let mut runs = Self {
            count: 1,
            event_count: figures.report.event_count,
            first_hash: figures.report.run_hash,
            hashes: RunHash::default(),
            longest_ns: figures.report.end.0,
            warmup_ns: figures.warmup_ns,
            requests: figures.requests,
            counts: figures.counts,
            total: figures.total,
            groups: figures.groups,
            moments: Vec::new(),
            observations: Observations::new(&scenario.observe_at_ns),
            unsteady: u64::from(!figures.is_steady),
            is_correlated: figures.is_correlated,
            is_transient: false,
        };
        runs.observations.add(&figures.observed);
        fold(&mut runs.hashes, figures.report.run_hash);
        let walk = Walk::gather(&runs.total, &mut runs.moments);
        drop(Parts::new(scenario, &walk, &runs.counts));
        runs
    }

    /// Takes over the next run; from the second on intervals come from the runs, not from stretches.
    pub fn add(&mut self, scenario: &Scenario, figures: &Figures) {
        self.groups = Vec::new();
        self.is_correlated = false;
        self.count += 1;
        self.event_count += figures.report.event_count;
        fold(&mut self.hashes, figures.report.run_hash);
        self.longest_ns = self.longest_ns.max(figures.report.end.0);
        self.warmup_ns = self.warmup_ns.max(figures.warmup_ns);
        self.requests.add(figures.requests);
        for (mine, theirs) in self.counts.iter_mut().zip(&figures.counts) {
            mine.add(*theirs);
        }
        let figures_before = self.moments.len();
        let walk = Walk::gather(&figures.total, &mut self.moments);
        drop(Parts::new(scenario, &walk, &figures.counts));
        // A figure left out by one run would give its place to the next figure, and intervals to the wrong one.
        assert_eq!(walk.len(), figures_before, "every run has the same figures");
        self.total.pool(&figures.total);
        self.observations.add(&figures.observed);
        self.unsteady += u64::from(!figures.is_steady);
    }

    /// How many.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Events of all of them.
    #[must_use]
    pub const fn event_count(&self) -> u64 {
        self.event_count
    }

    /// The model has no steady state: one run says nothing of the long run, so its stretches give no intervals.
    pub fn say_transient(&mut self) {
        self.is_transient = true;
        self.groups = Vec::new();
        self.is_correlated = false;
    }

    /// The hash of one run; of several, theirs in order, folded in the same manner.
    pub(super) fn hash(&self) -> String {
        if self.count == 1 {
            self.first_hash.to_string()
        } else {
            self.hashes.to_string()
        }
    }

    /// Estimates with their intervals.
    pub(super) fn walk(&self) -> Walk<'_> {
        if self.count == 1 {
            Walk::batches(&self.total, &self.groups)
        } else {
            Walk::moments(&self.total, &self.moments)
        }
    }
}

fn fold(hashes: &mut RunHash, run_hash: RunHash) {
    let [high, low] = run_hash.0;
    let mut event = StageEvent::new(TimeNs(high), EventKind::Annotation, ComponentId::NONE);
    event.value = low;
    hashes.add(&event);
}
