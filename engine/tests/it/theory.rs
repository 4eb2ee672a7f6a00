//! The kernel and its statistics against exact values.
//!
//! Twenty replications with one fixed seed; every exact value must lie in its interval, corrected for
//! the number of checks, and every interval must be tight, so that no test passes by being vague.
//! The exact values are closed forms or those of the shared table of queueing models.

use flowreel_engine::analysis::{Answer, replicate, student_t_quantile};
use flowreel_engine::scenario::load;

const REPLICATIONS: usize = 20;
/// Chance that a right kernel fails anywhere here: 0.1 %, shared by at most this many checks.
const CHECKS_MAX: f64 = 100.0;

pub(crate) fn station(id: &str, rest: &str) -> String {
    format!("[[station]]\nid = \"{id}\"\n{rest}\n\n")
}

pub(crate) fn scenario(requests: u32, rate_per_s: f64, to: &str, stations: &str) -> String {
    format!(
        "schema = 1\nname = \"theory\"\nseed = 11\nrequests = {requests}\n\n[[source]]\nid = \"arrivals\"\n\
         arrivals = {{ process = \"poisson\", rate_per_s = {rate_per_s} }}\nto = {to}\n\n{stations}"
    )
}

pub(crate) fn single(requests: u32, rate_per_s: f64, rest: &str) -> String {
    scenario(requests, rate_per_s, "\"s\"", &station("s", rest))
}

/// What is wrong with an answer: values outside their interval, intervals wider than the allowance.
pub(crate) fn complaints(text: &str, expected: &[(&str, f64, f64)]) -> Vec<String> {
    let scenario = load(text, &[]).expect("valid");
    let runs = replicate(&scenario, scenario.seed, REPLICATIONS, 2).expect("the runs end");
    let answer = serde_json::to_value(Answer::new(&scenario, scenario.seed, &runs)).expect("JSON");
    let df = (REPLICATIONS - 1) as f64;
    let widen = student_t_quantile(1.0 - 0.0005 / CHECKS_MAX, df) / student_t_quantile(0.975, df);
    let mut list = Vec::new();
    for (path, exact, allowance) in expected {
        let found = path
            .split('.')
            .fold(&answer, |here, key| match key.parse::<usize>() {
                Ok(index) => &here[index],
                Err(_) => &here[key],
            });
        let number = |value: &serde_json::Value| value.as_f64().unwrap_or(f64::NAN);
        let value = number(&found["value"]);
        let half = (number(&found["ci"][1]) - number(&found["ci"][0])) / 2.0 * widen;
        let lies_inside = (value - exact).abs() <= half + 1e-9 * exact;
        if !lies_inside {
            list.push(format!("{path}: {exact} is outside {value} ± {half}"));
        }
        let is_tight = half <= allowance * exact;
        if !is_tight {
            list.push(format!(
                "{path}: ± {half} is wider than {allowance} of {exact}"
            ));
        }
    }
    list
}

pub(crate) fn check(text: &str, expected: &[(&str, f64, f64)]) {
    let list = complaints(text, expected);
    assert!(list.is_empty(), "{list:#?}");
}

#[test]
fn one_server_at_half_load_is_mm1() {
    check(
        &single(
            100_000,
            0.5,
            "service = { dist = \"exponential\", mean_s = 1.0 }",
        ),
        &[
            ("system.sojourn_s.mean", 2.0, 0.015),
            ("system.sojourn_s.p50", 2.0 * std::f64::consts::LN_2, 0.015),
            ("system.sojourn_s.p95", 5.991_464_547, 0.02),
            ("system.sojourn_s.p99", 9.210_340_372, 0.03),
            ("system.in_system", 1.0, 0.02),
            ("system.throughput_per_s", 0.5, 0.01),
            ("stations.s.waiting_s.mean", 1.0, 0.03),
            ("stations.s.in_waiting", 0.5, 0.03),
            ("stations.s.utilization", 0.5, 0.01),
            ("stations.s.p_wait", 0.5, 0.03),
        ],
    );
}

#[test]
fn one_server_at_high_load_is_mm1() {
    check(
        &single(
            120_000,
            0.8,
            "service = { dist = \"exponential\", mean_s = 1.0 }",
        ),
        &[
            ("system.sojourn_s.mean", 5.0, 0.04),
            ("system.sojourn_s.p99", 23.025_850_93, 0.07),
            ("stations.s.p_wait", 0.8, 0.03),
        ],
    );
}

#[test]
fn ten_servers_are_mmc() {
    // Erlang C for offered load 8 on 10 servers.
    let p_wait = 0.409_180_144_769;
    check(
        &single(
            200_000,
            8.0,
            "servers = 10\nservice = { dist = \"exponential\", mean_s = 1.0 }",
        ),
        &[
            ("stations.s.p_wait", p_wait, 0.03),
            ("stations.s.waiting_s.mean", p_wait / 2.0, 0.065),
            ("stations.s.sojourn_s.mean", 1.0 + p_wait / 2.0, 0.014),
            ("stations.s.utilization", 0.8, 0.01),
            ("system.in_system", 8.0 + 8.0 * p_wait / 2.0, 0.016),
        ],
    );
}

#[test]
fn general_service_is_pollaczek_and_khinchine() {
    let wait = |load: f64, scv: f64| load * (1.0 + scv) / 2.0 / (1.0 - load);
    for (law, scv) in [
        ("{ dist = \"deterministic\", mean_s = 1.0 }", 0.0),
        ("{ dist = \"erlang\", k = 4, mean_s = 1.0 }", 0.25),
        ("{ dist = \"lognormal\", mean_s = 1.0, scv = 0.5 }", 0.5),
        (
            "{ dist = \"hyperexponential\", mean_s = 1.0, scv = 2.0 }",
            2.0,
        ),
    ] {
        check(
            &single(60_000, 0.6, &format!("service = {law}")),
            &[
                ("stations.s.waiting_s.mean", wait(0.6, scv), 0.05),
                ("stations.s.p_wait", 0.6, 0.02),
                ("stations.s.utilization", 0.6, 0.012),
            ],
        );
    }
}

#[test]
fn a_full_station_refuses_as_mm1k_and_an_impatient_one_loses_as_mm1_with_patience() {
    let service = "service = { dist = \"exponential\", mean_s = 1.0 }";
    check(
        &single(60_000, 0.8, &format!("{service}\ncapacity = 5")),
        &[
            ("stations.s.p_reject", 0.088_819_498_66, 0.035),
            ("stations.s.waiting_s.mean", 1.563_065_207, 0.02),
            ("stations.s.in_station", 1.868_332_032, 0.02),
            ("stations.s.throughput_per_s", 0.728_944_401_1, 0.01),
        ],
    );
    check(
        &single(
            60_000,
            0.8,
            &format!("{service}\npatience = {{ dist = \"deterministic\", mean_s = 2.0 }}"),
        ),
        &[
            ("stations.s.p_abandon", 0.187_832_074_4, 0.03),
            ("stations.s.in_waiting", 0.645_483_787_9, 0.03),
            ("stations.s.utilization", 0.649_734_340_5, 0.01),
        ],
    );
}

#[test]
fn the_shorter_of_two_lines_is_shorter_than_chance() {
    let service = "service = { dist = \"exponential\", mean_s = 1.0 }";
    let two = station("a", service) + &station("b", service);
    check(
        &scenario(
            60_000,
            1.6,
            "{ choose = \"least-connections\", among = [\"a\", \"b\"] }",
            &two,
        ),
        &[("system.sojourn_s.mean", 2.955_736_618, 0.04)],
    );
    check(
        &scenario(
            60_000,
            1.0,
            "{ choose = \"random\", among = [\"a\", \"b\"] }",
            &two,
        ),
        &[("system.sojourn_s.mean", 2.0, 0.02)],
    );
}

#[test]
fn feedback_and_ladders_count_every_visit() {
    // Visits 1 / (1 - 0.25): two M/M/1 stations of a Jackson network.
    let first = "service = { dist = \"exponential\", mean_s = 0.5 }\nnext = \"b\"";
    let second = "service = { dist = \"exponential\", mean_s = 0.3 }\n\
                  next = { probability = [ { to = \"a\", p = 0.25 }, { to = \"done\", p = 0.75 } ] }";
    let (load_a, load_b) = (0.5 * 4.0 / 3.0, 0.3 * 4.0 / 3.0);
    check(
        &scenario(
            80_000,
            1.0,
            "\"a\"",
            &(station("a", first) + &station("b", second)),
        ),
        &[
            (
                "system.in_system",
                load_a / (1.0 - load_a) + load_b / (1.0 - load_b),
                0.03,
            ),
            ("stations.a.utilization", load_a, 0.01),
            (
                "stations.b.waiting_s.mean",
                0.3 * load_b / (1.0 - load_b),
                0.04,
            ),
        ],
    );
    // Infinitely many servers, each attempt failing with 0.2, one second between attempts: nobody waits.
    let flaky = "servers = \"infinite\"\nservice = { dist = \"exponential\", mean_s = 1.0 }\nfailure = { probability = 0.2 }\n\
                 on_failure = { retry = [ { delay_s = 1.0, via = \"pause\" } ], last = \"repeat\" }";
    let pause = "kind = \"delay\"\nservers = \"infinite\"";
    check(
        &scenario(
            60_000,
            1.0,
            "\"s\"",
            &(station("s", flaky) + &station("pause", pause)),
        ),
        &[
            ("system.sojourn_s.mean", 1.25 + 0.25, 0.01),
            ("stations.pause.in_station", 0.25, 0.03),
        ],
    );
}

#[test]
fn regular_arrivals_and_services_are_exact() {
    let text = "schema = 1\nname = \"regular\"\nrequests = 5000\n[[source]]\nid = \"arrivals\"\n\
                arrivals = { process = \"deterministic\", every_s = 0.5 }\nto = \"s\"\n\
                [[station]]\nid = \"s\"\nservice = { dist = \"deterministic\", mean_s = 0.3 }\n";
    let scenario = load(text, &[]).expect("valid");
    let runs = replicate(&scenario, 1, 1, 1).expect("the run ends");
    let answer = serde_json::to_value(Answer::new(&scenario, 1, &runs)).expect("JSON");
    for (path, exact) in [
        ("system.sojourn_s.mean", 0.3),
        ("system.sojourn_s.p99", 0.3),
        ("system.throughput_per_s", 2.0),
        ("system.in_system", 0.6),
        ("stations.s.utilization", 0.6),
        ("stations.s.p_wait", 0.0),
    ] {
        let found = path.split('.').fold(&answer, |here, key| &here[key])["value"].as_f64();
        let value = found.expect("measured");
        assert!(
            (value - exact).abs() <= 1e-9 * exact,
            "{path}: {value}, not {exact}"
        );
    }
}

#[test]
fn a_service_two_percent_too_long_is_noticed() {
    let list = complaints(
        &single(
            60_000,
            0.5,
            "service = { dist = \"exponential\", mean_s = 1.02 }",
        ),
        &[
            ("system.sojourn_s.mean", 2.0, 0.02),
            ("stations.s.utilization", 0.5, 0.02),
        ],
    );
    assert_eq!(list.len(), 2, "{list:#?}");
}
