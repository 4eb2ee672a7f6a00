//! Cases that are no steady state of one scenario: instants of a transient, limits of many servers, gaps.
//!
//! Belongs here: their runs. Does not belong here: everything that `run` does for the other cases.

use crate::case::{Case, list, number};
use crate::plan::{CUT, Effort, Plan, RELAXATIONS, lengths};
use crate::rule::{Check, Verdict, judge, judge_error, lookup};
use crate::run::{Report, replicate, side_by_side, steady, text};
use crate::words::{Unsaid, arrivals, source, station};
use flowreel_engine::analysis::{Answer, replicate as runs_of, simulate};
use flowreel_engine::kernel::EventSink;
use flowreel_engine::kernel::rng::replication_seed;
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::scenario::load;
use serde_json::{Value, json};

/// Numbers of servers from which a limit is extrapolated.
const SERVERS: [f64; 3] = [50.0, 100.0, 200.0];
const REPLICATIONS: usize = 64;

/// Runs a case of this kind; `None` for the others.
pub(crate) fn run(case: &Case, effort: Effort, checks: usize) -> Option<Result<Report, String>> {
    if is_limit(case) {
        return Some(limit(case, effort, checks));
    }
    if is_transient(case) {
        return Some(transient(case, effort, checks));
    }
    is_gaps(case).then(|| gaps(case, effort, checks))
}

/// The checks of a case of this kind; none for the others.
pub(crate) fn checks(case: &Case) -> Vec<Check> {
    if is_limit(case) {
        return limit_checks(case);
    }
    if is_transient(case) {
        return transient_checks(case);
    }
    if is_gaps(case) {
        gap_checks(case)
    } else {
        Vec::new()
    }
}

/// True for a case that is run here.
pub(crate) fn is_special(case: &Case) -> bool {
    is_limit(case) || is_transient(case) || is_gaps(case)
}

fn is_limit(case: &Case) -> bool {
    case.has("arrival_rate_per_server_per_s")
}

fn is_transient(case: &Case) -> bool {
    case.expect.get("at_s").is_some()
}

fn is_gaps(case: &Case) -> bool {
    case.exact("mean_residual_s").is_some()
}

fn limit_checks(case: &Case) -> Vec<Check> {
    let exact = number(&case.expect["limit_mean_sojourn_s"]);
    let p_wait = number(&case.expect["limit_p_wait"]);
    vec![
        Check::new(case, "system.sojourn_s.mean", exact),
        Check::new(case, "p_wait", p_wait),
    ]
}

/// Each number of servers gives a mean and its error; the line through them in 1/N gives the limit.
fn limit(case: &Case, effort: Effort, checks: usize) -> Result<Report, String> {
    let rate = number(&case.params["arrival_rate_per_server_per_s"]);
    let millions = lengths().get(&case.id).copied().unwrap_or(6.0) * effort.length;
    let mut wanted = limit_checks(case);
    let mut points: Vec<Vec<(f64, f64)>> = vec![Vec::new(); wanted.len()];
    let mut events = 0;
    for (index, count) in SERVERS.into_iter().enumerate() {
        let jobs = millions * 1e6 / SERVERS.len() as f64 / REPLICATIONS as f64;
        let measured_s = jobs / (rate * count);
        let choices = number(&case.params["dispatch"]["d"]);
        let warmup_s =
            (CUT * measured_s).max(RELAXATIONS * relaxation_s(rate, choices)) * effort.cut;
        let plan = Plan {
            replications: REPLICATIONS,
            warmup_s,
            duration_s: warmup_s + measured_s,
        };
        let tables = many_servers(case, rate, count)?;
        let scenario = steady(case, &tables, plan)?;
        let seed = effort.seed + index as u64;
        let (more, rows) = replicate(&scenario, seed, plan.replications, |answer| {
            [
                lookup(answer, "system.sojourn_s.mean"),
                share_that_waits(answer),
            ]
        })?;
        events += more;
        for (check, points) in points.iter_mut().enumerate() {
            let values: Vec<f64> = rows.iter().map(|row| row[check]).collect();
            points.push(mean_and_error(&values));
        }
    }
    let verdicts = wanted.iter_mut().zip(points).map(|(check, points)| {
        check.allowance *= effort.allowance;
        let (value, error) = at_infinity(&points);
        judge_error(check, value, error, (REPLICATIONS - 1) as f64, checks)
    });
    let verdicts = verdicts.collect();
    Ok(Report {
        id: case.id.clone(),
        replications: SERVERS.len() * REPLICATIONS,
        events,
        verdicts,
    })
}

/// How long the total is remembered: the limit has a share `rate^e` of lines at least k long, e = (d^k - 1)/(d - 1);
/// the total's drift is what the share of busy servers lacks, so it decays at the rate at which the total grows with it.
fn relaxation_s(rate: f64, choices: f64) -> f64 {
    let mut exponent = 0.0;
    let slopes = std::iter::repeat_with(|| {
        exponent = exponent * choices + 1.0;
        exponent * libm::pow(rate, exponent - 1.0)
    });
    slopes.take(20).sum()
}

fn many_servers(case: &Case, rate: f64, count: f64) -> Result<Vec<String>, Unsaid> {
    let ids: Vec<String> = (1..)
        .map(|index| format!("s{index}"))
        .take_while(|id| *id != format!("s{}", count + 1.0))
        .collect();
    let to = json!({ "choose": "power-of-two", "d": case.params["dispatch"]["d"], "among": ids });
    let poisson = json!({ "process": "poisson", "rate_per_s": rate * count });
    let mut tables = vec![source("arrivals", &poisson, &to, &[])];
    for id in &ids {
        tables.push(station(id, &case.params["service"], &json!(1), &[])?);
    }
    Ok(tables)
}

/// Of all that were served anywhere: `p_wait` of the stations, weighed by who came.
fn share_that_waits(answer: &Value) -> f64 {
    let stations = answer["stations"]
        .as_object()
        .into_iter()
        .flat_map(|rows| rows.values());
    let (mut waited, mut all) = (0.0, 0.0);
    for station in stations {
        let count = number(&station["waiting_s"]["count"]);
        waited += count * number(&station["p_wait"]["value"]);
        all += count;
    }
    waited / all
}

fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values
        .iter()
        .map(|value| (value - mean) * (value - mean))
        .sum();
    (mean, (squares / (count - 1.0) / count).sqrt())
}

/// The constant of the least-squares line through the points over 1/N, and its standard error.
fn at_infinity(points: &[(f64, f64)]) -> (f64, f64) {
    let inverse: Vec<f64> = SERVERS.iter().map(|count| 1.0 / count).collect();
    let middle = inverse.iter().sum::<f64>() / inverse.len() as f64;
    let spread: f64 = inverse.iter().map(|x| (x - middle) * (x - middle)).sum();
    let (mut value, mut variance) = (0.0, 0.0);
    for (x, (mean, error)) in inverse.iter().zip(points) {
        let weight = 1.0 / inverse.len() as f64 - middle * (x - middle) / spread;
        value += weight * mean;
        variance += weight * weight * error * error;
    }
    (value, variance.sqrt())
}

fn transient_checks(case: &Case) -> Vec<Check> {
    let mut found = Vec::new();
    for index in 0..list(&case.expect["at_s"]).len() {
        for (key, path) in [
            ("mean_in_system_at", "in_system"),
            ("p_empty_at", "p_empty"),
            ("mean_arrivals_until", "arrivals"),
            ("variance_in_system_at", "variance"),
        ] {
            if let Some(exact) = case.expect[key][index].as_f64() {
                found.push(Check::new(case, &format!("at.{index}.{path}"), exact));
            }
        }
    }
    found
}

/// Many short runs from the beginning; each group of them gives one number per instant.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of runs"
)]
fn transient(case: &Case, effort: Effort, checks: usize) -> Result<Report, String> {
    let instants: Vec<f64> = list(&case.expect["at_s"]).iter().map(number).collect();
    let last = instants.iter().copied().fold(0.0, f64::max);
    let segments = list(&case.params["arrival_process"]["segments"]);
    let process = if segments.is_empty() {
        arrivals(case)?
    } else {
        steps(segments, last)
    };
    let tables = [
        source("arrivals", &process, &json!("s"), &[]),
        station("s", &case.params["service"], &case.params["servers"], &[])?,
    ];
    let head = format!(
        "duration = \"{}s\"\nwarmup = \"0s\"\nobserve_at_s = {}\n",
        last + 1.0,
        json!(instants)
    );
    let text = text(case, &head, &tables);
    let scenario = load(&text, &[]).map_err(|error| format!("{}: {error}", case.id))?;
    // The length of such a case counts runs, not jobs.
    let millions = lengths().get(&case.id).copied().unwrap_or(0.02) * effort.length;
    let group = (millions * 1e6 / REPLICATIONS as f64).ceil().max(2.0) as usize;
    let wanted = transient_checks(case);
    let (events, rows) = side_by_side(REPLICATIONS, |index| {
        let seed = replication_seed(effort.seed, index as u64);
        let runs = runs_of(&scenario, seed, group, 1).map_err(|error| error.to_string())?;
        let answer = Answer::new(&scenario, seed, &runs);
        let events = answer.events;
        let answer = serde_json::to_value(answer).map_err(|error| error.to_string())?;
        Ok((
            events,
            wanted
                .iter()
                .map(|check| lookup(&answer, &check.path))
                .collect::<Vec<f64>>(),
        ))
    })?;
    let verdicts = verdicts(wanted, &rows, effort, checks);
    Ok(Report {
        id: case.id.clone(),
        replications: REPLICATIONS * group,
        events,
        verdicts,
    })
}

/// Rates by time, repeated until the end.
fn steps(segments: &[Value], end_s: f64) -> Value {
    let (mut steps, mut at) = (Vec::new(), 0.0);
    for segment in segments.iter().cycle() {
        if at > end_s {
            break;
        }
        steps.push(json!([at, segment["rate_per_s"]]));
        at += number(&segment["duration_s"]);
    }
    json!({ "process": "steps", "steps": steps })
}

fn gap_checks(case: &Case) -> Vec<Check> {
    let keys = [
        "mean_gap_s",
        "mean_gap_seen_by_random_instant_s",
        "mean_residual_s",
    ];
    keys.iter()
        .map(|key| Check::new(case, key, number(&case.expect[*key])))
        .collect()
}

/// Gaps between arrivals, as their events say: a long gap is met in proportion to its length.
fn gaps(case: &Case, effort: Effort, checks: usize) -> Result<Report, String> {
    let mut process = crate::words::dist(&case.params["interarrival"])?;
    process["process"] = json!("renewal");
    let law = json!({ "dist": "deterministic", "mean_s": 0.001 });
    let tables = [
        source("arrivals", &process, &json!("s"), &[]),
        station("s", &law, &json!("infinite"), &[])?,
    ];
    let requests = 100_000.0 * effort.length;
    let text = text(case, &format!("requests = {requests}\n"), &tables);
    let scenario = load(&text, &[]).map_err(|error| format!("{}: {error}", case.id))?;
    let (events, rows) = side_by_side(REPLICATIONS, |index| {
        let (mut before, mut count, mut sum, mut squares) = (0_u64, 0.0, 0.0, 0.0);
        let mut watch = EventSink(|event: &StageEvent| {
            if event.kind == EventKind::RequestBegun {
                let gap = (event.t_ns.0 - before) as f64 / 1e9;
                before = event.t_ns.0;
                count += 1.0;
                sum += gap;
                squares += gap * gap;
            }
        });
        let seed = replication_seed(effort.seed, index as u64);
        simulate(&scenario, seed, &mut watch).map_err(|error| error.to_string())?;
        Ok((2, vec![sum / count, squares / sum, squares / sum / 2.0]))
    })?;
    let verdicts = verdicts(gap_checks(case), &rows, effort, checks);
    Ok(Report {
        id: case.id.clone(),
        replications: REPLICATIONS,
        events,
        verdicts,
    })
}

fn verdicts(wanted: Vec<Check>, rows: &[Vec<f64>], effort: Effort, checks: usize) -> Vec<Verdict> {
    let wanted = wanted.into_iter().enumerate();
    let judged = wanted.map(|(index, mut check)| {
        check.allowance *= effort.allowance;
        let values: Vec<f64> = rows.iter().map(|row| row[index]).collect();
        judge(&check, &values, checks)
    });
    judged.collect()
}
