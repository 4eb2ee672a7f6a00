//! Running until the figures are as precise as asked: one run made longer, or more replications.
//!
//! Belongs here: which figures count, how much longer to run, when to give up. Does not belong here:
//! intervals (walk), running (replicate).
//!
//! How much longer depends on the figures alone, so the same scenario, seed and precision end at the
//! same length for any number of threads, on every machine.

use super::answer::{Answer, Value};
use super::replicate::{Line, replicate};
use super::runs::Runs;
use crate::kernel::KernelError;
use crate::scenario::valid::{Scenario, Stop};
use serde::Serialize;
use std::collections::BTreeMap;

/// Events after which a run or a set of replications is long enough, precise or not.
const EVENTS_MAX: f64 = 2e9;
/// Replications after which no more are added.
const REPLICATIONS_MAX: f64 = 100_000.0;
/// A run grows by these factors at least and at most from one attempt to the next.
const GROWTH: [f64; 2] = [1.5, 10.0];

/// How precise an answer is, as far as it was asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Precision {
    /// Largest half width asked for, as a share of the value.
    pub asked: f64,
    /// Is every figure so precise?
    pub met: bool,
    /// Half width of each figure that counts, as a share of its value; absent where no interval can be had.
    pub half_widths: BTreeMap<String, Option<f64>>,
}

/// Runs that are as precise as asked, or as long as is sensible.
#[derive(Debug)]
pub struct Precise {
    /// The runs.
    pub runs: Runs,
    /// The scenario with the end they ran to.
    pub scenario: Scenario,
    /// What was reached.
    pub precision: Precision,
}

/// Runs until the mean sojourn of the system and of every path is known to within `asked` of its value
/// (95 % half width): with one replication by running longer, with several by adding more.
///
/// # Errors
/// [`KernelError`] where a run cannot go on.
pub fn run_until_precise(
    scenario: &Scenario,
    seed: u64,
    replications: usize,
    threads: usize,
    asked: f64,
) -> Result<Precise, KernelError> {
    if replications > 1 {
        return more_replications(scenario, seed, replications, threads, asked);
    }
    let mut scenario = scenario.clone();
    loop {
        let runs = replicate(&scenario, seed, 1, 1)?;
        let precision = judge(&scenario, seed, &runs, asked);
        let growth = growth(&precision, runs.event_count());
        let longer = growth.and_then(|growth| times(scenario.stop, growth));
        match longer {
            Some(stop) => scenario.stop = stop,
            None => {
                return Ok(Precise {
                    runs,
                    scenario,
                    precision,
                });
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "at most a hundred thousand replications"
)]
fn more_replications(
    scenario: &Scenario,
    seed: u64,
    replications: usize,
    threads: usize,
    asked: f64,
) -> Result<Precise, KernelError> {
    let mut line = Line::new(scenario, seed);
    let mut count = replications;
    loop {
        line.extend(count, threads)?;
        let look = |runs: &Runs| {
            let precision = judge(scenario, seed, runs, asked);
            let growth = growth(&precision, runs.event_count());
            (precision, growth)
        };
        let Some((precision, growth)) = line.look(look) else {
            // Nothing was merged: it cannot be, since there was no error either.
            return run_until_precise(scenario, seed, 1, 1, asked);
        };
        let next = growth.map(|growth| (count as f64 * growth).min(REPLICATIONS_MAX) as usize);
        if let Some(next) = next.filter(|next| *next > count) {
            count = next;
            continue;
        }
        let runs = match line.runs() {
            Some(runs) => runs,
            None => replicate(scenario, seed, count, threads)?,
        };
        return Ok(Precise {
            runs,
            scenario: scenario.clone(),
            precision,
        });
    }
}

/// Half widths of the figures that count.
fn judge(scenario: &Scenario, seed: u64, runs: &Runs, asked: f64) -> Precision {
    let answer = Answer::new(scenario, seed, runs);
    let mut half_widths = BTreeMap::new();
    half_widths.insert(
        "system.sojourn_s.mean".to_owned(),
        half_width(answer.system.sojourn_s.mean),
    );
    for (id, path) in &answer.paths {
        half_widths.insert(
            format!("paths.{id}.sojourn_s.mean"),
            half_width(path.sojourn_s.mean),
        );
    }
    // Intervals of stretches that depend on each other are too narrow to count.
    let met = !runs.is_correlated
        && half_widths
            .values()
            .all(|half| half.is_some_and(|half| half <= asked));
    Precision {
        asked,
        met,
        half_widths,
    }
}

fn half_width(value: Option<Value>) -> Option<f64> {
    let Value { value, ci } = value?;
    let [low, high] = ci?;
    let half = (high - low) / 2.0;
    Some(if half > 0.0 { half / value.abs() } else { 0.0 })
}

/// How many times longer the next attempt is; `None` where it is precise, or long enough.
#[expect(clippy::cast_precision_loss, reason = "a factor")]
fn growth(precision: &Precision, events: u64) -> Option<f64> {
    if precision.met {
        return None;
    }
    let worst = precision
        .half_widths
        .values()
        .map(|half| half.unwrap_or(f64::INFINITY))
        .fold(0.0, f64::max);
    // Widths shrink with the square root of the length; a tenth more for luck.
    let wanted = 1.1 * (worst / precision.asked) * (worst / precision.asked);
    let growth = wanted
        .clamp(GROWTH[0], GROWTH[1])
        .min(EVENTS_MAX / events.max(1) as f64);
    (growth >= 1.05).then_some(growth)
}

/// That many times later; `None` past the end of time.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "checked against the clock's range"
)]
fn times(stop: Stop, growth: f64) -> Option<Stop> {
    let longer = |length: u64| {
        let longer = libm::ceil(length as f64 * growth);
        (longer < 9.2e18).then_some(longer as u64)
    };
    Some(match stop {
        Stop::Requests(count) => Stop::Requests(longer(count)?),
        Stop::Duration(end) => Stop::Duration(longer(end)?),
    })
}
