//! The rule: an exact value lies inside its interval, and the interval is tight.
//!
//! Belongs here: allowances, intervals, verdicts. Does not belong here: where the values come from (run).

use crate::case::{Case, list};
use flowreel_engine::analysis::{mean_interval, student_t_quantile};
use serde_json::Value;

/// Chance that a right engine fails anywhere in the suite; shared by all checks (Bonferroni).
pub(crate) const SUITE_ERROR: f64 = 0.001;
/// What a double and a table of ten digits leave open.
const ROUNDING: f64 = 1e-9;

/// One exact value and where the answer says it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Check {
    /// Dotted path into the answer, or two of them as `above / below`.
    pub(crate) path: String,
    pub(crate) exact: f64,
    /// Half-width of the interval at most, in the value's own unit.
    pub(crate) allowance: f64,
}

/// What became of a check.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) check: Check,
    pub(crate) mean: f64,
    pub(crate) half: f64,
    pub(crate) is_inside: bool,
    pub(crate) is_tight: bool,
}

impl Check {
    /// A check with the allowance that its kind of value has.
    pub(crate) fn new(case: &Case, path: &str, exact: f64) -> Self {
        Self {
            path: path.to_owned(),
            exact,
            allowance: allowance(case, path, exact),
        }
    }
}

/// Percentiles and means 1 %; p99, deviations, heavy tails and heavy load 2 %; probabilities 3 % or 0.0005.
fn allowance(case: &Case, path: &str, exact: f64) -> f64 {
    let last = path.rsplit('.').next().unwrap_or(path);
    if last.starts_with("p_") || path.contains(" / requests.") {
        return (0.03 * exact).max(0.0005);
    }
    let is_wide = last == "p99" || last.starts_with("std") || last.starts_with("variance");
    let share = if is_wide || is_hard(case) { 0.02 } else { 0.01 };
    share * exact.abs()
}

/// Heavy tails (squared coefficient of variation above 4, Pareto) or a load of 0.95 and above.
fn is_hard(case: &Case) -> bool {
    let laws = [
        &case.params["service"],
        &case.params["arrival_process"]["interarrival"],
    ];
    let has_heavy_tail = laws
        .iter()
        .any(|law| law["scv"].as_f64().is_some_and(|scv| scv > 4.0) || law["dist"] == "pareto");
    let stations = case.expect["stations"].as_object();
    let rows = stations.into_iter().flat_map(|rows| rows.values());
    let loads = rows
        .chain(list(&case.expect["servers"]))
        .chain([&case.expect])
        .filter_map(|row| row["utilization"].as_f64())
        .chain(case.params["arrival_rate_per_server_per_s"].as_f64());
    has_heavy_tail || loads.fold(0.0, f64::max) >= 0.95
}

/// Judges the values of independent replications, `checks` of them being made in the whole suite.
pub(crate) fn judge(check: &Check, values: &[f64], checks: usize) -> Verdict {
    let confidence = 1.0 - SUITE_ERROR / checks as f64;
    let (mean, half) = mean_interval(values, confidence).unwrap_or((f64::NAN, f64::NAN));
    verdict(check, mean, half)
}

/// Judges an estimate with a known standard error from so many degrees of freedom.
pub(crate) fn judge_error(check: &Check, mean: f64, error: f64, df: f64, checks: usize) -> Verdict {
    let t = student_t_quantile(1.0 - SUITE_ERROR / checks as f64 / 2.0, df);
    verdict(check, mean, t * error)
}

fn verdict(check: &Check, mean: f64, half: f64) -> Verdict {
    let rounding = ROUNDING * check.exact.abs();
    Verdict {
        mean,
        half,
        is_inside: (mean - check.exact).abs() <= half + rounding,
        is_tight: half <= check.allowance + rounding,
        check: check.clone(),
    }
}

impl Verdict {
    /// Half-width as a share of its allowance.
    pub(crate) fn width_ratio(&self) -> f64 {
        if self.half == 0.0 {
            return 0.0;
        }
        self.half / self.check.allowance
    }

    /// Distance of the exact value from the middle as a share of the half-width.
    pub(crate) fn distance_ratio(&self) -> f64 {
        let distance = (self.mean - self.check.exact).abs();
        if distance == 0.0 {
            return 0.0;
        }
        distance / self.half
    }
}

/// The number at a path of an answer: of `{"value", …}` its value, of `a / b` the quotient.
pub(crate) fn lookup(answer: &Value, path: &str) -> f64 {
    if let Some((above, below)) = path.split_once(" / ") {
        return lookup(answer, above) / lookup(answer, below);
    }
    let found = path.split('.').fold(answer, |here, key| {
        key.parse::<usize>().map_or(&here[key], |index| {
            if here.is_array() {
                &here[index]
            } else {
                &here[key]
            }
        })
    });
    let value = if found.is_object() {
        &found["value"]
    } else {
        found
    };
    value.as_f64().unwrap_or(f64::NAN)
}
