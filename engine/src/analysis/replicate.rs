//! Running a model for its statistics: once, or many times side by side.
//!
//! Belongs here: replications and threads. Does not belong here: what is measured (statistics).
//!
//! The answer is the same for any number of threads: each replication has its own seed, and results
//! are taken in the order of replications.

use super::answer::Answer;
use super::statistics::{Figures, Statistics};
use crate::kernel::rng::replication_seed;
use crate::kernel::{KernelError, Sink, run};
use crate::scenario::valid::Scenario;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs once, with a second watcher beside the statistics.
///
/// # Errors
/// [`KernelError`] where the run cannot go on.
pub fn simulate<S: Sink>(
    scenario: &Scenario,
    seed: u64,
    sink: &mut S,
) -> Result<Figures, KernelError> {
    let mut watchers = (Statistics::new(scenario), Borrowed(sink));
    let report = run(scenario, seed, &mut watchers)?;
    Ok(watchers.0.finish(report))
}

/// Runs `replications` times on `threads` threads (at least one of each).
///
/// # Errors
/// The error of the first replication, in order, that cannot go on.
pub fn replicate(
    scenario: &Scenario,
    seed: u64,
    replications: usize,
    threads: usize,
) -> Result<Vec<Figures>, KernelError> {
    let replications = replications.max(1);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= replications {
                return done;
            }
            let seed = replication_seed(seed, index as u64);
            let mut result = simulate(scenario, seed, &mut ());
            if let (Ok(figures), true) = (&mut result, replications > 1) {
                // Replications make the intervals; batches would only hold memory.
                figures.groups = Vec::new();
            }
            done.push((index, result));
        }
    };
    let mut results = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(replications))
            .map(|_| scope.spawn(work))
            .collect();
        let mut results = work();
        for other in others {
            match other.join() {
                Ok(done) => results.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
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
