//! How long a case runs: replications, jobs in each, and what is cut from the beginning.
//!
//! Belongs here: lengths and warm-up. Does not belong here: the runs themselves (run).

use crate::case::{Case, list};
use crate::write::Written;
use serde_json::Value;
use std::collections::BTreeMap;

/// Jobs of a replication at least where percentiles are compared, and where only means are.
const JOBS_FOR_PERCENTILES: f64 = 100_000.0;
const JOBS_FOR_MEANS: f64 = 40_000.0;
const REPLICATIONS_MIN: f64 = 24.0;
const REPLICATIONS_MAX: f64 = 256.0;
/// Replications of a case that `lengths.json` does not name.
const REPLICATIONS: f64 = 64.0;
/// Share of a run that is cut, or more where the model forgets its beginning slowly.
pub(crate) const CUT: f64 = 0.02;
/// Relaxation times that are cut at least.
pub(crate) const RELAXATIONS: f64 = 20.0;

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Effort {
    /// Base of all seeds.
    pub(crate) seed: u64,
    /// Length as a multiple of the usual one.
    pub(crate) length: f64,
    /// Allowances as a multiple of the usual ones.
    pub(crate) allowance: f64,
    /// The cut as a multiple of the usual one.
    pub(crate) cut: f64,
}

/// The length of one case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) replications: usize,
    pub(crate) warmup_s: f64,
    pub(crate) duration_s: f64,
}

/// In every run of the checks: every value, intervals twice as wide as the rule asks for.
pub(crate) const BRIEF: Effort = Effort {
    seed: 20_250,
    length: 0.25,
    allowance: 2.0,
    cut: 1.0,
};
/// The rule as it stands.
pub(crate) const USUAL: Effort = Effort {
    seed: 20_250,
    length: 1.0,
    allowance: 1.0,
    cut: 1.0,
};
/// Tighter intervals, other seeds, and twice the cut, which must not matter.
pub(crate) const LONG: Effort = Effort {
    seed: 977_000,
    length: 4.2,
    allowance: 0.5,
    cut: 2.0,
};

/// Millions of jobs over all replications, by case.
pub(crate) fn lengths() -> BTreeMap<String, f64> {
    serde_json::from_str(include_str!("lengths.json")).expect("a number for each case")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "24 to 256"
)]
pub(crate) fn plan(case: &Case, written: &Written, effort: Effort) -> Plan {
    let has_percentiles = written
        .checks
        .iter()
        .any(|check| check.path.contains(".p9"));
    let least = if has_percentiles {
        JOBS_FOR_PERCENTILES
    } else {
        JOBS_FOR_MEANS
    };
    let total = lengths()
        .get(&case.id)
        .map_or(REPLICATIONS * least, |millions| millions * 1e6)
        * effort.length;
    let replications = (total / least)
        .clamp(REPLICATIONS_MIN, REPLICATIONS_MAX)
        .floor();
    let jobs = (total / replications).max(least);
    let measured_s = jobs / case.rate_per_s();
    let warmup_s = (CUT * measured_s).max(RELAXATIONS * relaxation_s(case)) * effort.cut;
    Plan {
        replications: replications as usize,
        warmup_s,
        duration_s: warmup_s + measured_s,
    }
}

/// The time in which the model forgets, as for a queue in heavy traffic, from its load and variability.
pub(crate) fn relaxation_s(case: &Case) -> f64 {
    let stations = list(&case.params["stations"]);
    let rows: Vec<&Value> = if stations.is_empty() {
        vec![&case.params]
    } else {
        stations.iter().collect()
    };
    let mut longest: f64 = 0.0;
    for row in rows {
        let services: Vec<&Value> = match &row["service"] {
            Value::Array(laws) => laws.iter().collect(),
            Value::Null => list(&row["classes"])
                .iter()
                .map(|class| &class["service"])
                .collect(),
            law => vec![law],
        };
        let mean = services
            .iter()
            .filter_map(|law| law["mean_s"].as_f64())
            .fold(0.0, f64::max);
        let scv = services
            .iter()
            .filter_map(|law| law["scv"].as_f64())
            .fold(0.0, f64::max);
        let servers = row["servers"].as_f64().unwrap_or(1.0);
        let spread = f64::midpoint(arrivals_scv(case), scv).max(1.0);
        let free = 1.0 - load(case, row, mean).sqrt();
        let shared = if case.has("dispatch") { 1.0 } else { servers };
        let queue = if row["servers"] == "infinite" {
            0.0
        } else {
            mean / (shared * free * free)
        };
        longest = longest.max(spread * queue.max(mean));
    }
    let setup = case.params["setup"]["mean_s"].as_f64().unwrap_or(0.0);
    let orbit = case.params["retrial"]["interval"]["mean_s"]
        .as_f64()
        .unwrap_or(0.0);
    let down = case.params["breakdown"]["up"]["mean_s"]
        .as_f64()
        .unwrap_or(0.0);
    longest + setup + orbit + down
}

/// Load of a station: as the table expects it, else from its rate; a full one counts as nearly so.
fn load(case: &Case, row: &Value, mean_s: f64) -> f64 {
    let servers = row["servers"].as_f64().unwrap_or(1.0);
    let by_station = row["name"]
        .as_str()
        .and_then(|name| case.expect["stations"][name]["utilization"].as_f64());
    let offered = case.rate_per_s() * mean_s / servers;
    let has_limit = !row["capacity"].is_null() || row.get("patience").is_some();
    let by_server = list(&case.expect["servers"]).iter();
    let busiest = by_server
        .filter_map(|server| server["utilization"].as_f64())
        .reduce(f64::max);
    let by_table = case.exact("utilization").or(busiest).filter(|_| !has_limit);
    let load = by_station
        .or(by_table)
        .or(case.params["arrival_rate_per_server_per_s"].as_f64());
    // What is refused or gives up bounds the line: there it forgets as fast below as above 1.
    let load = load.unwrap_or(if offered > 1.0 {
        1.0 / offered
    } else {
        offered
    });
    load.min(0.99)
}

/// Variability of the arrivals in the long run (index of dispersion), 1 for Poisson.
fn arrivals_scv(case: &Case) -> f64 {
    let process = &case.params["arrival_process"];
    if let (Some([fast, slow]), Some([a, b])) = (
        pair(&process["rates_per_s"]),
        pair(&process["leave_phase_rate_per_s"]),
    ) {
        let (share, mean) = (b / (a + b), case.rate_per_s());
        let gap = fast - slow;
        return 1.0 + 2.0 * share * (1.0 - share) * gap * gap / (mean * (a + b));
    }
    if let Some(size) = process.get("batch_size") {
        let constant = size["value"].as_f64();
        return constant.unwrap_or_else(|| 2.0 / size["p"].as_f64().unwrap_or(1.0) - 1.0);
    }
    process["interarrival"]["scv"].as_f64().unwrap_or(1.0)
}

fn pair(value: &Value) -> Option<[f64; 2]> {
    Some([value.get(0)?.as_f64()?, value.get(1)?.as_f64()?])
}
