//! Numbers that must agree: within one run, with the answer's own intervals, with the shared generator.
//!
//! Belongs here: comparisons without an exact value. Does not belong here: the rule (rule).

use crate::case::{self, named};
use crate::plan::{Plan, USUAL};
use crate::rule::lookup;
use crate::run::{replicate, steady, written};
use flowreel_engine::analysis::{Answer, mean_interval, replicate as runs_of};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Distances between both sides of the identities of one run, as shares.
fn gaps(measured_s: f64) -> [f64; 3] {
    let case = named("identity-gg1");
    let written = written(&case).expect("the case can be said");
    let plan = Plan {
        replications: 64,
        warmup_s: 2_000.0,
        duration_s: 2_000.0 + measured_s,
    };
    let scenario = steady(&case, &written.tables, plan).expect("a model");
    let (_, rows) = replicate(&scenario, USUAL.seed, plan.replications, |answer| {
        let at = |path: &str| lookup(answer, path);
        let (rate, service) = (
            at("system.throughput_per_s"),
            at("stations.s.service_s.mean"),
        );
        let (wait, sojourn) = (at("stations.s.waiting_s.mean"), at("system.sojourn_s.mean"));
        [
            rate * sojourn / at("system.in_system") - 1.0,
            rate * wait / at("stations.s.in_waiting") - 1.0,
            (wait + service) / sojourn - 1.0,
        ]
    })
    .expect("the runs end");
    let mean =
        |index: usize| rows.iter().map(|row| row[index].abs()).sum::<f64>() / rows.len() as f64;
    [mean(0), mean(1), mean(2)]
}

#[test]
fn identities_hold_but_for_the_edges_of_a_run() {
    let (short, long) = (gaps(5_000.0), gaps(50_000.0));
    for (short, long) in short.into_iter().zip(long) {
        // Ten times the run, a tenth of the edge; twice that for chance.
        assert!(
            short < 0.02 && long < 0.2 * short,
            "{short} in a short run, {long} in a long one"
        );
    }
}

#[test]
fn intervals_of_the_answer_are_those_of_its_replications() {
    let case = named("mm1-rho0.5");
    let written = written(&case).expect("the case can be said");
    let plan = Plan {
        replications: 24,
        warmup_s: 500.0,
        duration_s: 20_500.0,
    };
    let scenario = steady(&case, &written.tables, plan).expect("a model");
    let runs = runs_of(&scenario, 5, plan.replications, 2).expect("the runs end");
    let answer = serde_json::to_value(Answer::new(&scenario, 5, &runs)).expect("JSON");
    for check in &written.checks {
        let read = |one: &Value| lookup(one, &check.path);
        let (_, values) = replicate(&scenario, 5, plan.replications, read).expect("the runs end");
        let (mean, half) = mean_interval(&values, 0.95).expect("24 values");
        let ci = check.path.split('.').fold(&answer, |here, key| &here[key])["ci"].clone();
        let (low, high) = (lookup(&ci, "0"), lookup(&ci, "1"));
        // One ratio of sums, or one sample of all, is not quite the mean of each run's own.
        let value = lookup(&answer, &check.path);
        assert!(
            (value - mean).abs() < 0.3 * half,
            "{}: {value}, {mean} ± {half}",
            check.path
        );
        let ratio = (high - low) / 2.0 / half;
        assert!(
            (0.8..1.25).contains(&ratio),
            "{}: {ratio} of {half}",
            check.path
        );
    }
}

/// Without what says how long it runs, the order of branches, and the difference between 1 and 1.0.
fn bare(text: &str) -> toml::Value {
    let mut table: toml::Table = toml::from_str(text).expect("TOML");
    for key in ["name", "title", "requests", "duration", "warmup"] {
        table.remove(key);
    }
    plain(toml::Value::Table(table))
}

#[expect(clippy::cast_precision_loss, reason = "small whole numbers")]
fn plain(value: toml::Value) -> toml::Value {
    match value {
        toml::Value::Integer(whole) => toml::Value::Float(whole as f64),
        // The share that is left over depends on the order in which the others were taken off.
        toml::Value::Float(number) => toml::Value::Float((number * 1e12).round() / 1e12),
        toml::Value::Array(items) => {
            let mut items: Vec<toml::Value> = items.into_iter().map(plain).collect();
            if items.iter().all(|item| item.get("to").is_some()) {
                items.sort_by_key(|item| item["to"].to_string());
            }
            toml::Value::Array(items)
        }
        toml::Value::Table(entries) => {
            let entries = entries.into_iter();
            toml::Value::Table(entries.map(|(key, value)| (key, plain(value))).collect())
        }
        other => other,
    }
}

#[test]
fn scenarios_and_checks_are_those_of_the_shared_generator() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let script = shared.join("tools/ground_truth_scenarios.py");
    if !script.is_file() {
        println!("skipped: there is no shared generator beside the checkout");
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shared-scenarios");
    let ran = Command::new("python3")
        .arg(&script)
        .arg(shared.join("ground_truth.json"))
        .arg(&folder)
        .output();
    let Ok(output) = ran else {
        println!("skipped: python3 cannot be started");
        return;
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("it was written");
    let index: Value = serde_json::from_str(&read("index.json")).expect("JSON");
    let rows = case::list(&index["cases"]);
    assert_eq!(rows.len(), 94);
    for row in rows {
        let case = named(case::text(&row["id"]));
        let ours = written(&case).expect("the shared generator can say it");
        let mut mine: Vec<(String, f64)> = ours
            .checks
            .iter()
            .map(|check| (check.path.clone(), check.exact))
            .collect();
        let theirs = case::list(&row["checks"]).iter();
        let mut theirs: Vec<(String, f64)> = theirs
            .map(|check| (case::text(&check[0]).to_owned(), case::number(&check[1])))
            .collect();
        mine.sort_by(|a, b| a.0.cmp(&b.0));
        theirs.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(mine, theirs, "{}", case.id);
        let text = crate::run::text(&case, "", &ours.tables);
        assert_eq!(
            bare(&text),
            bare(&read(case::text(&row["file"]))),
            "{}",
            case.id
        );
    }
}
