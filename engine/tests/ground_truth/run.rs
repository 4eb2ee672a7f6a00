//! Running cases: replications side by side, one number of each per check, judged by the rule.
//!
//! Belongs here: how a case is run and what comes out. Does not belong here: lengths (plan), verdicts (rule).

use crate::case::Case;
use crate::plan::{Effort, Plan, plan};
use crate::rule::{Check, Verdict, judge, lookup};
use crate::write::Written;
use crate::{extra, special, write};
use flowreel_engine::analysis::{Answer, replicate as runs_of};
use flowreel_engine::kernel::rng::replication_seed;
use flowreel_engine::scenario::{Scenario, load};
use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A case after its runs.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) id: String,
    pub(crate) replications: usize,
    pub(crate) events: u64,
    pub(crate) verdicts: Vec<Verdict>,
}

impl Report {
    /// What does not hold, a sentence each.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut list = Vec::new();
        for verdict in &self.verdicts {
            let Check {
                path,
                exact,
                allowance,
            } = &verdict.check;
            let (id, mean, half) = (&self.id, verdict.mean, verdict.half);
            if !verdict.is_inside {
                list.push(format!(
                    "{id}: {path}: {exact} lies outside {mean} ± {half}"
                ));
            }
            if !verdict.is_tight {
                list.push(format!(
                    "{id}: {path}: ± {half} is wider than {allowance} ({mean})"
                ));
            }
        }
        list
    }
}

/// The scenario of a case, in whatever words it needs.
pub(crate) fn written(case: &Case) -> Result<Written, String> {
    extra::write(case).unwrap_or_else(|| write::write(case))
}

/// The whole text of a scenario.
pub(crate) fn text(case: &Case, head: &str, tables: &[String]) -> String {
    let name = case.id.replace(['.', '_'], "-").to_lowercase();
    let title = serde_json::json!(case.model);
    format!(
        "schema = 1\nname = \"{name}\"\ntitle = {title}\n{head}\n{}",
        tables.join("\n")
    )
}

/// Times that a case with an interval too wide is run again, longer.
const LENGTHENED_MAX: u32 = 2;
/// Longest step from one length to the next.
const LENGTHENED_BY_MAX: f64 = 8.0;

/// Runs a case, `checks` being all checks of the suite. Where an interval is too wide the replications are
/// lengthened, as the rule says; whether the exact value lies inside plays no part in that.
pub(crate) fn run(case: &Case, effort: Effort, checks: usize) -> Result<Report, String> {
    let mut effort = effort;
    let mut report = run_once(case, effort, checks)?;
    for _ in 0..LENGTHENED_MAX {
        let widths = report.verdicts.iter().map(Verdict::width_ratio);
        let widest = widths.fold(0.0, f64::max);
        if report.verdicts.iter().all(|verdict| verdict.is_tight) {
            break;
        }
        effort.length *= (widest * widest * 1.25).clamp(1.25, LENGTHENED_BY_MAX);
        report = run_once(case, effort, checks)?;
    }
    Ok(report)
}

fn run_once(case: &Case, effort: Effort, checks: usize) -> Result<Report, String> {
    if let Some(report) = special::run(case, effort, checks) {
        return report;
    }
    let mut written = written(case)?;
    for check in &mut written.checks {
        check.allowance *= effort.allowance;
    }
    if !written.head.is_empty() {
        return once(case, &written);
    }
    let plan = plan(case, &written, effort);
    let scenario = steady(case, &written.tables, plan)?;
    let (events, rows) = replicate(
        &scenario,
        effort.seed,
        plan.replications,
        |answer| -> Vec<f64> {
            written
                .checks
                .iter()
                .map(|check| lookup(answer, &check.path))
                .collect()
        },
    )?;
    let verdicts = written.checks.iter().enumerate().map(|(index, check)| {
        let values: Vec<f64> = rows.iter().map(|row| row[index]).collect();
        judge(check, &values, checks)
    });
    let verdicts = verdicts.collect();
    Ok(Report {
        id: case.id.clone(),
        replications: plan.replications,
        events,
        verdicts,
    })
}

/// A case without chance: one run, equal to nine digits.
fn once(case: &Case, written: &Written) -> Result<Report, String> {
    let text = text(case, &written.head, &written.tables);
    let scenario = load(&text, &[]).map_err(|error| format!("{}: {error}", case.id))?;
    let (events, row) = one(&scenario, 1, &|answer| {
        written
            .checks
            .iter()
            .map(|check| lookup(answer, &check.path))
            .collect::<Vec<f64>>()
    })?;
    let verdicts = written.checks.iter().zip(row).map(|(check, value)| {
        let distance = (value - check.exact).abs();
        let holds = distance <= 1e-9 * check.exact.abs();
        Verdict {
            check: check.clone(),
            mean: value,
            half: 0.0,
            is_inside: holds,
            is_tight: true,
        }
    });
    let verdicts = verdicts.collect();
    Ok(Report {
        id: case.id.clone(),
        replications: 1,
        events,
        verdicts,
    })
}

/// The scenario of a case that is measured in its steady state.
pub(crate) fn steady(case: &Case, tables: &[String], plan: Plan) -> Result<Scenario, String> {
    let head = format!(
        "duration = \"{}s\"\nwarmup = \"{}s\"\n",
        rounded(plan.duration_s),
        rounded(plan.warmup_s)
    );
    let text = text(case, &head, tables);
    load(&text, &[]).map_err(|error| format!("{}: {error}", case.id))
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1e6).ceil() / 1e6
}

/// One row of values for each replication, in order, and the events of all.
pub(crate) fn replicate<T: Send>(
    scenario: &Scenario,
    seed: u64,
    replications: usize,
    read: impl Fn(&Value) -> T + Sync,
) -> Result<(u64, Vec<T>), String> {
    side_by_side(replications, |index| {
        one(scenario, replication_seed(seed, index as u64), &read)
    })
}

fn one<T>(scenario: &Scenario, seed: u64, read: &impl Fn(&Value) -> T) -> Result<(u64, T), String> {
    let runs = runs_of(scenario, seed, 1, 1).map_err(|error| error.to_string())?;
    let answer = Answer::new(scenario, seed, &runs);
    let events = answer.events;
    let answer = serde_json::to_value(answer).map_err(|error| error.to_string())?;
    Ok((events, read(&answer)))
}

/// Does `count` pieces of work on all cores; results in order, their counts summed.
pub(crate) fn side_by_side<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<(u64, T), String> + Sync,
) -> Result<(u64, Vec<T>), String> {
    let next = AtomicUsize::new(0);
    let labour = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return done;
            }
            done.push((index, work(index)));
        }
    };
    let mut results = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads()).map(|_| scope.spawn(labour)).collect();
        let results = workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("no panic"));
        results.collect::<Vec<_>>()
    });
    results.sort_by_key(|(index, _)| *index);
    let (mut sum, mut values) = (0, Vec::with_capacity(count));
    for (_, result) in results {
        let (more, value) = result?;
        sum += more;
        values.push(value);
    }
    Ok((sum, values))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the number of threads changes no result"
)]
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
