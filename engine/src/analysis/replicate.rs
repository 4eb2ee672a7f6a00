//! Running a model for its statistics: once, or many times side by side.
//!
//! Belongs here: replications and threads. Does not belong here: what is measured (statistics).
//!
//! The answer is the same for any number of threads: each replication has its own seed, and results
//! are taken in the order of replications.

use super::answer::Answer;
use super::observe::Observer;
use super::runs::Runs;
use super::statistics::{Figures, Measured, Statistics};
use super::warmup::{Cut, Series, common_cut};
use crate::kernel::rng::replication_seed;
use crate::kernel::{KernelError, Sink, run};
use crate::scenario::valid::Scenario;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Runs once, with a second watcher beside the statistics.
///
/// # Errors
/// [`KernelError`] where the run cannot go on.
pub fn simulate<S: Sink>(
    scenario: &Scenario,
    seed: u64,
    sink: &mut S,
) -> Result<Figures, KernelError> {
    let measured = measure(scenario, seed, sink)?;
    let cut = measured.series.cut();
    Ok(measured.figures(cut))
}

fn measure<S: Sink>(scenario: &Scenario, seed: u64, sink: &mut S) -> Result<Measured, KernelError> {
    let statistics = Statistics::new(scenario);
    if scenario.observe_at_ns.is_empty() {
        let mut watchers = (statistics, Borrowed(sink));
        let report = run(scenario, seed, &mut watchers)?;
        return Ok(watchers.0.end(report));
    }
    let mut watchers = (statistics, (Observer::new(scenario), Borrowed(sink)));
    let report = run(scenario, seed, &mut watchers)?;
    let observed = watchers.1.0.finish(report.end);
    let mut measured = watchers.0.end(report);
    measured.observed = observed;
    Ok(measured)
}

/// So many runs say together where the warm-up ends, for all.
const PILOTS: usize = 16;

/// Runs `replications` times on `threads` threads (at least one of each).
///
/// # Errors
/// The error of the first replication, in order, that cannot go on.
pub fn replicate(
    scenario: &Scenario,
    seed: u64,
    replications: usize,
    threads: usize,
) -> Result<Runs, KernelError> {
    if replications <= 1 {
        let figures = simulate(scenario, replication_seed(seed, 0), &mut ())?;
        return Ok(Runs::one(scenario, figures));
    }
    let mut line = Line::new(scenario, seed);
    line.extend(replications, threads)?;
    match line.runs() {
        Some(runs) => Ok(runs),
        // Nothing was merged: it cannot be, since there was no error either.
        None => replicate(scenario, seed, 1, 1),
    }
}

/// Replications of one scenario, taken up and merged in their order.
pub(super) struct Line<'a> {
    scenario: &'a Scenario,
    seed: u64,
    state: Mutex<LineState>,
    moved: Condvar,
    end: usize,
    /// Nobody runs further ahead than this: so many results wait for their turn at most.
    lead: usize,
}

#[derive(Default)]
struct LineState {
    next: usize,
    merged: usize,
    ready: BTreeMap<usize, Result<Measured, KernelError>>,
    /// The first ones, until they say together where the warm-up ends.
    pilots: Vec<Measured>,
    cut: Option<Cut>,
    runs: Option<Runs>,
    failure: Option<KernelError>,
    is_broken: bool,
}

impl<'a> Line<'a> {
    pub(super) fn new(scenario: &'a Scenario, seed: u64) -> Self {
        Self {
            scenario,
            seed,
            state: Mutex::default(),
            moved: Condvar::new(),
            end: 0,
            lead: 1,
        }
    }

    /// Runs until there are `replications` of them.
    pub(super) fn extend(
        &mut self,
        replications: usize,
        threads: usize,
    ) -> Result<(), KernelError> {
        let left = replications.saturating_sub(self.lock().merged);
        let threads = threads.clamp(1, left.max(1));
        self.end = replications;
        self.lead = 2 * threads;
        let line = &*self;
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| line.work());
            }
            line.work();
        });
        let mut state = self.lock();
        state.merge_pilots(self.scenario);
        state.failure.clone().map_or(Ok(()), Err)
    }

    /// All of them so far.
    pub(super) fn runs(self) -> Option<Runs> {
        let state = self.state.into_inner();
        state.unwrap_or_else(PoisonError::into_inner).runs
    }

    /// Looks at all of them so far.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Runs) -> T) -> Option<T> {
        self.lock().runs.as_ref().map(look)
    }

    fn work(&self) {
        // A worker that panics must not leave the others waiting for its replication.
        let guard = Unwinding(self);
        while let Some(index) = self.take() {
            let seed = replication_seed(self.seed, index as u64);
            self.put(index, measure(self.scenario, seed, &mut ()));
        }
        drop(guard);
    }

    fn lock(&self) -> MutexGuard<'_, LineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.next >= self.end || state.failure.is_some() || state.is_broken {
                return None;
            }
            if state.next < state.merged + self.lead {
                state.next += 1;
                return Some(state.next - 1);
            }
            let waited = self.moved.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put(&self, index: usize, measured: Result<Measured, KernelError>) {
        let mut state = self.lock();
        let state = &mut *state;
        state.ready.insert(index, measured);
        while let Some(result) = state.ready.remove(&state.merged) {
            state.merged += 1;
            match (result, state.cut) {
                (Err(error), _) => {
                    state.failure.get_or_insert(error);
                    break;
                }
                (Ok(measured), Some(cut)) => state.merge(self.scenario, measured.figures(cut)),
                (Ok(measured), None) => {
                    state.pilots.push(measured);
                    if state.pilots.len() == PILOTS {
                        state.merge_pilots(self.scenario);
                    }
                }
            }
        }
        self.moved.notify_all();
    }
}

impl LineState {
    fn merge_pilots(&mut self, scenario: &Scenario) {
        if self.pilots.is_empty() {
            return;
        }
        let series: Vec<&Series> = self.pilots.iter().map(|one| &one.series).collect();
        let cut = common_cut(&series);
        self.cut = Some(cut);
        for measured in std::mem::take(&mut self.pilots) {
            self.merge(scenario, measured.figures(cut));
        }
    }

    fn merge(&mut self, scenario: &Scenario, figures: Figures) {
        match &mut self.runs {
            Some(runs) => runs.add(scenario, &figures),
            runs @ None => *runs = Some(Runs::one(scenario, figures)),
        }
    }
}

struct Unwinding<'a>(&'a Line<'a>);

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().is_broken = true;
            self.0.moved.notify_all();
        }
    }
}

/// How long it took, as measured by the caller: the engine reads no clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// Seconds on the wall.
    pub wall_s: f64,
}

impl Timing {
    /// Writes the time into the answer.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn note(self, answer: &mut Answer) {
        answer.wall_s = self.wall_s;
        answer.events_per_s = if self.wall_s > 0.0 {
            answer.events as f64 / self.wall_s
        } else {
            0.0
        };
    }
}

/// A watcher that is lent.
struct Borrowed<'a, S>(&'a mut S);

impl<S: Sink> Sink for Borrowed<'_, S> {
    #[inline]
    fn event(&mut self, event: &crate::model::event::StageEvent) {
        self.0.event(event);
    }
}
