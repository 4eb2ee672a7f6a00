//! Intervals are honest: over many seeds they hold the exact value about as often as they say.
//!
//! Each seed is a short run of M/M/1 (load 0.5, then 0.7), once as one run by batch means and once as
//! replications. 95 % of the intervals should hold the exact value; between 90 and 99 % are let
//! through, with an allowance of three standard deviations of a binomial count at either end.

use crate::theory::single;
use flowreel_engine::analysis::{Answer, replicate};
use flowreel_engine::scenario::load;
use serde_json::Value;

const SEEDS: u64 = 200;

/// How many of the seeds' intervals hold each exact value.
fn held(text: &str, replications: usize, exact: &[(&str, f64)]) -> Vec<u64> {
    let scenario = load(text, &[]).expect("valid");
    let mut held = vec![0; exact.len()];
    for seed in 0..SEEDS {
        let runs = replicate(&scenario, 1000 + seed, replications, 2).expect("the runs end");
        let answer = serde_json::to_value(Answer::new(&scenario, seed, &runs)).expect("an object");
        for (count, (path, exact)) in held.iter_mut().zip(exact) {
            let found = path.split('.').fold(&answer, |here, key| &here[key]);
            let end = |index: usize| found["ci"][index].as_f64();
            // An interval that cannot be had holds nothing.
            if let (Some(low), Some(high)) = (end(0), end(1)) {
                *count += u64::from(low <= *exact && *exact <= high);
            }
        }
    }
    held
}

fn check(text: &str, replications: usize, exact: &[(&str, f64)]) {
    let counts = held(text, replications, exact);
    let n = SEEDS as f64;
    let low = 0.90 * n - 3.0 * (n * 0.90 * 0.10).sqrt();
    let high = 0.99 * n + 3.0 * (n * 0.99 * 0.01).sqrt();
    let table: Vec<(&str, u64)> = exact.iter().map(|(path, _)| *path).zip(counts).collect();
    for (path, count) in &table {
        let count = *count as f64;
        assert!(
            (low..=high).contains(&count),
            "{path}: {count} of {SEEDS} intervals hold the exact value, of {table:?}"
        );
    }
}

const UNIT: &str = "service = { dist = \"exponential\", mean_s = 1.0 }";

fn mm1(load: f64) -> [(&'static str, f64); 8] {
    let drain = 1.0 - load;
    [
        ("system.sojourn_s.mean", 1.0 / drain),
        ("system.sojourn_s.p50", std::f64::consts::LN_2 / drain),
        ("system.sojourn_s.p99", libm::log(100.0) / drain),
        ("system.in_system", load / drain),
        ("system.throughput_per_s", load),
        ("stations.s.waiting_s.mean", load / drain),
        ("stations.s.utilization", load),
        ("stations.s.p_wait", load),
    ]
}

#[test]
fn batches_of_one_run_give_intervals_that_hold() {
    check(&single(10_000, 0.5, UNIT), 1, &mm1(0.5));
}

#[test]
fn batches_of_one_busier_run_give_intervals_that_hold() {
    check(&single(20_000, 0.7, UNIT), 1, &mm1(0.7));
}

#[test]
fn replications_give_intervals_that_hold() {
    check(&single(1_500, 0.5, UNIT), 8, &mm1(0.5));
}

#[test]
fn busier_replications_give_intervals_that_hold() {
    check(&single(3_000, 0.7, UNIT), 8, &mm1(0.7));
}

/// The count is no constant: intervals around a value that is 15 % off hold it far less often.
#[test]
fn a_wrong_value_is_held_less_often() {
    let off = [("system.sojourn_s.mean", 2.3)];
    let counts = held(&single(6_000, 0.5, UNIT), 1, &off);
    assert!(counts[0] < SEEDS * 8 / 10, "{counts:?}");
}

#[test]
fn the_point_of_replications_is_the_percentile_of_all_and_not_the_average() {
    // Runs of 50 requests: their own 99th percentiles lie far too low.
    let scenario = load(&single(50, 0.5, UNIT), &["warmup=0".to_owned()]).expect("valid");
    let runs = replicate(&scenario, 1, 400, 2).expect("the runs end");
    let answer: Value = serde_json::to_value(Answer::new(&scenario, 1, &runs)).expect("an object");
    let p99 = answer["system"]["sojourn_s"]["p99"]["value"].as_f64();
    let mut own = 0.0;
    for seed in 0..50 {
        let one = replicate(&scenario, seed, 1, 1).expect("the run ends");
        let answer = serde_json::to_value(Answer::new(&scenario, seed, &one)).expect("an object");
        own += answer["system"]["sojourn_s"]["p99"]["value"]
            .as_f64()
            .expect("a percentile")
            / 50.0;
    }
    assert!(p99.expect("a percentile") > 1.1 * own, "{p99:?} and {own}");
}
