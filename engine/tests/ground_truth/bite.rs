//! Does the rule bite? Models broken on purpose, and the checks that must notice.
//!
//! Belongs here: one break per test. Does not belong here: the unbroken models.

use crate::case::named;
use crate::plan::{Plan, USUAL, relaxation_s};
use crate::rule::{Verdict, judge, lookup};
use crate::run::{replicate, steady, written};
use crate::{case::Case, checks_in_all};

const REPLICATIONS: usize = 64;

/// What the rule says of a case whose tables had `from` replaced by `to`.
fn verdicts(case: &Case, from: &str, to: &str, jobs: f64) -> Vec<Verdict> {
    let written = written(case).expect("the case can be said");
    let tables = written.tables.join("\n");
    assert!(
        tables.contains(from),
        "{}: there is no `{from}` to break in\n{tables}",
        case.id
    );
    let tables = [tables.replace(from, to)];
    let warmup_s = 20.0 * relaxation_s(case);
    let duration_s = warmup_s + jobs / case.rate_per_s();
    let plan = Plan {
        replications: REPLICATIONS,
        warmup_s,
        duration_s,
    };
    let scenario = steady(case, &tables, plan).expect("the broken model is a model");
    let checks = &written.checks;
    let read = |answer: &serde_json::Value| -> Vec<f64> {
        checks
            .iter()
            .map(|check| lookup(answer, &check.path))
            .collect()
    };
    let (_, rows) = replicate(&scenario, USUAL.seed, REPLICATIONS, read).expect("the runs end");
    let judged = checks.iter().enumerate().map(|(index, check)| {
        let values: Vec<f64> = rows.iter().map(|row| row[index]).collect();
        judge(check, &values, checks_in_all())
    });
    judged.collect()
}

/// The unbroken model passes at this length, the broken one is caught at `caught` and not at `kept`.
fn bites(id: &str, from: &str, to: &str, jobs: f64, caught: &[&str], kept: &[&str]) {
    let case = named(id);
    let find = |list: &[Verdict], path: &str| {
        let found = list.iter().find(|verdict| verdict.check.path == path);
        found
            .unwrap_or_else(|| panic!("{id} has no check at {path}"))
            .clone()
    };
    let (sound, broken) = (
        verdicts(&case, from, from, jobs),
        verdicts(&case, from, to, jobs),
    );
    for verdict in &sound {
        assert!(verdict.is_inside, "{id}, unbroken: {verdict:?}");
    }
    for path in caught {
        let verdict = find(&broken, path);
        assert!(!verdict.is_inside, "{id}, broken: {verdict:?}");
    }
    for path in kept {
        let verdict = find(&broken, path);
        assert!(verdict.is_inside, "{id}, broken: {verdict:?}");
    }
}

#[test]
fn a_service_two_percent_too_long_is_caught() {
    let caught = [
        "stations.s.utilization",
        "system.sojourn_s.mean",
        "system.in_system",
    ];
    bites(
        "mm1-rho0.5",
        "mean_s = 1.0",
        "mean_s = 1.02",
        20_000.0,
        &caught,
        &["system.throughput_per_s"],
    );
}

#[test]
fn round_robin_in_place_of_chance_is_caught() {
    let caught = [
        "system.sojourn_s.mean",
        "system.sojourn_s.p99",
        "system.in_system",
    ];
    let kept = ["stations.s1.utilization", "system.throughput_per_s"];
    bites(
        "random-split-n10-rho0.8",
        "choose = \"random\"",
        "choose = \"round-robin\"",
        20_000.0,
        &caught,
        &kept,
    );
}

#[test]
fn drawing_the_same_server_twice_is_caught() {
    let caught = ["system.sojourn_s.mean", "system.in_system"];
    let kept = ["stations.s1.utilization"];
    bites(
        "pod2-n3-rho0.8-without",
        "replace = false",
        "replace = true",
        20_000.0,
        &caught,
        &kept,
    );
}

#[test]
fn the_last_come_served_first_is_caught() {
    let caught = ["system.sojourn_s.p99", "stations.s.waiting_s.p99"];
    let kept = [
        "system.sojourn_s.mean",
        "stations.s.waiting_s.mean",
        "system.in_system",
    ];
    bites(
        "mm1-rho0.5",
        "servers = 1",
        "servers = 1\ndiscipline = \"lifo\"",
        20_000.0,
        &caught,
        &kept,
    );
}

#[test]
fn one_place_more_is_caught() {
    let caught = [
        "stations.s.p_reject",
        "stations.s.in_waiting",
        "system.sojourn_s.mean",
    ];
    bites(
        "mm1k-k5-rho0.8",
        "capacity = 5",
        "capacity = 6",
        20_000.0,
        &caught,
        &[],
    );
}

#[test]
fn no_interval_is_no_excuse() {
    let case = named("mm1-rho0.8");
    let short = verdicts(&case, "mean_s = 1.0", "mean_s = 1.0", 5_000.0);
    assert!(short.iter().any(|verdict| !verdict.is_tight), "{short:#?}");
}
