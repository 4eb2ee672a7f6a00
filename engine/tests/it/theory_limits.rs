//! Limits against exact values: deadlines, bounded retries, closed networks, blocking, token buckets.
//!
//! Belongs here: random models with known values, and deterministic ones with exact answers. Does not
//! belong here: sequences of events (limits).

use crate::theory::{check, scenario, single, station};
use flowreel_engine::analysis::{Answer, replicate, student_t_quantile};
use flowreel_engine::kernel::{EventSink, run};
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::scenario::load;
use std::collections::BTreeMap;

const SECOND: &str = "service = { dist = \"exponential\", mean_s = 1.0 }";
/// Passes on at once.
const NOTHING: &str =
    "servers = \"infinite\"\nservice = { dist = \"deterministic\", mean_s = 0.0 }";

#[test]
fn an_unbounded_pareto_service_is_pollaczek_and_khinchine() {
    let law = "service = { dist = \"pareto\", alpha = 3.5, low_s = 0.7142857143 }";
    check(
        &single(150_000, 0.7, law),
        &[
            ("stations.s.waiting_s.mean", 1.388_888_889, 0.03),
            ("system.sojourn_s.p95", 6.191_414_15, 0.03),
            ("stations.s.p_wait", 0.7, 0.02),
            ("stations.s.utilization", 0.7, 0.01),
        ],
    );
}

#[test]
fn a_client_that_stops_waiting_leaves_the_work_behind() {
    let text = scenario(
        150_000,
        80.0,
        "\"s\"",
        &station("s", "service = { dist = \"exponential\", mean_s = 0.01 }"),
    ) + "[[class]]\nid = \"request\"\ndeadline_s = 0.1\n";
    check(
        &text,
        &[
            ("system.p_late", 0.135_335_283_2, 0.1),
            ("system.goodput_per_s", 69.173_177_34, 0.02),
            ("classes.request.p_late", 0.135_335_283_2, 0.1),
            ("stations.s.utilization", 0.8, 0.01),
        ],
    );
}

/// Mean attempts, their deviation and the share that is given up, of one run.
fn attempts(text: &str, seed: u64) -> [f64; 3] {
    let scenario = load(text, &[]).expect("valid");
    let (mut open, mut runs, mut failed) = (BTreeMap::<u64, f64>::new(), Vec::new(), 0.0);
    let mut sink = EventSink(|event: &StageEvent| match event.kind {
        EventKind::ServiceEnded if event.component.0 == 1 => {
            *open.entry(event.request.0).or_default() += 1.0;
        }
        EventKind::RequestFinished => {
            runs.extend(open.remove(&event.request.0));
            failed += f64::from(u8::from(event.outcome == Outcome::Failed));
        }
        _ => {}
    });
    run(&scenario, seed, &mut sink).expect("the run ends");
    let count = runs.len() as f64;
    let mean = runs.iter().sum::<f64>() / count;
    let variance = runs.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (count - 1.0);
    [mean, variance.sqrt(), failed / count]
}

#[test]
fn bounded_attempts_are_a_truncated_geometric_law() {
    for (probability, limit, exact) in [
        (0.1, 3, [1.11, 0.343_365_694_3, 0.001]),
        (0.5, 4, [1.875, 1.053_268_722, 0.0625]),
    ] {
        let rest = format!(
            "{NOTHING}\nfailure = {{ probability = {probability} }}\n\
             on_failure = {{ retry = [ {{ delay_s = 0.1, via = \"pause\" }} ], attempts = {limit} }}"
        );
        let text = scenario(
            60_000,
            10.0,
            "\"s\"",
            &(station("s", &rest) + &station("pause", "kind = \"delay\"")),
        );
        let runs: Vec<[f64; 3]> = (1..=20).map(|seed| attempts(&text, seed)).collect();
        for (index, exact) in exact.into_iter().enumerate() {
            let mean = runs.iter().map(|run| run[index]).sum::<f64>() / 20.0;
            let squares: f64 = runs
                .iter()
                .map(|run| (run[index] - mean) * (run[index] - mean))
                .sum();
            let half = student_t_quantile(1.0 - 0.000_005, 19.0) * (squares / 19.0 / 20.0).sqrt();
            assert!(
                (mean - exact).abs() <= half && half <= (0.03 * exact).max(0.0005),
                "{probability}, {limit}, {index}: {mean} ± {half}, not {exact}"
            );
        }
    }
}

/// A closed source in place of the Poisson one.
fn closed(requests: u32, users: u32, think: &str, to: &str, stations: &str) -> String {
    let text = scenario(requests, 1.0, to, stations);
    text.replace(
        "process = \"poisson\", rate_per_s = 1",
        &format!("process = \"closed\", users = {users}{think}"),
    )
}

#[test]
fn closed_networks_are_mean_value_analysis() {
    let exponential =
        |mean_s: f64| format!("service = {{ dist = \"exponential\", mean_s = {mean_s} }}\n");
    let choice = |to: &str, p: f64| {
        format!(
            "next = {{ probability = [ {{ to = \"{to}\", p = {p} }}, {{ to = \"done\", p = {} }} ] }}",
            1.0 - p
        )
    };
    // Visits 1, 2 and 1.5: three of four from db to disk, two of three back.
    let twenty = station("web", &(exponential(0.1) + "next = \"db\""))
        + &station("db", &(exponential(0.04) + &choice("disk", 0.75)))
        + &station("disk", &(exponential(0.03) + &choice("db", 2.0 / 3.0)));
    check(
        &closed(
            60_000,
            20,
            ", think = { dist = \"exponential\", mean_s = 2.0 }",
            "\"web\"",
            &twenty,
        ),
        &[
            ("system.throughput_per_s", 7.767_253_043, 0.01),
            ("system.sojourn_s.mean", 0.574_912_892_4, 0.02),
            ("stations.web.utilization", 0.776_725_304_3, 0.01),
            ("stations.db.sojourn_s.mean", 0.092_730_426_3, 0.02),
            ("stations.disk.in_station", 0.521_767_324, 0.02),
        ],
    );
    let fifty = station("app", &(exponential(0.3) + "servers = 4\nnext = \"db\""))
        + &station("db", &exponential(0.08));
    check(
        &closed(
            60_000,
            50,
            ", think = { dist = \"exponential\", mean_s = 5.0 }",
            "\"app\"",
            &fifty,
        ),
        &[
            ("system.throughput_per_s", 8.906_702_108, 0.01),
            ("system.sojourn_s.mean", 0.613_750_117, 0.02),
            ("stations.app.utilization", 0.668_002_658_1, 0.01),
            ("stations.db.in_station", 2.195_866_331, 0.03),
        ],
    );
    let eight = station("a", &(exponential(0.5) + "next = \"b\""))
        + &station("b", &(exponential(0.4) + "next = \"c\""))
        + &station("c", &exponential(0.2));
    check(
        &closed(60_000, 8, "", "\"a\"", &eight),
        &[
            ("system.throughput_per_s", 1.904_202_387, 0.01),
            ("system.sojourn_s.mean", 4.201_234_1, 0.01),
            ("stations.a.utilization", 0.952_101_193_3, 0.01),
            ("stations.b.sojourn_s.mean", 1.293_908_529, 0.02),
            ("stations.c.in_station", 0.603_364_003_6, 0.02),
        ],
    );
}

#[test]
fn blocking_after_service_is_its_markov_chain() {
    let first = format!("{SECOND}\nnext = \"second\"");
    let second = format!("{SECOND}\ncapacity = 4\non_full = \"block\"");
    let stations = station("first", &first) + &station("second", &second);
    check(
        &scenario(150_000, 0.6, "\"first\"", &stations),
        &[
            ("system.sojourn_s.mean", 5.244_359_423, 0.02),
            ("system.in_system", 3.146_615_654, 0.02),
            ("system.throughput_per_s", 0.6, 0.01),
            ("stations.first.in_station", 1.878_737_663, 0.03),
            ("stations.second.in_station", 1.267_877_991, 0.02),
            ("stations.second.utilization", 0.6, 0.01),
            ("stations.first.p_blocked", 0.045_215_014_85, 0.05),
        ],
    );
    // Forty users without thinking: the first stage always has work.
    let stations = station("first", &first)
        + &station("second", &second.replace("capacity = 4", "capacity = 5"));
    check(
        &closed(60_000, 40, "", "\"first\"", &stations),
        &[("system.throughput_per_s", 0.857_142_857_1, 0.01)],
    );
}

fn bucket(rate_per_s: f64, rest: &str) -> String {
    let limit = format!("{NOTHING}\nrate_limit = {{ {rest} }}");
    single(150_000, rate_per_s, &limit)
}

#[test]
fn token_buckets_drop_and_delay_as_their_chains_say() {
    let drops = "per_s = 10.0, burst = 5, when_empty = \"drop\"";
    check(
        &bucket(9.0, drops),
        &[
            ("stations.s.p_reject", 0.064_361_897_19, 0.05),
            ("system.throughput_per_s", 8.420_742_925, 0.01),
        ],
    );
    check(
        &bucket(12.0, "per_s = 10.0, burst = 10, when_empty = \"drop\""),
        &[
            ("stations.s.p_reject", 0.170_910_768_5, 0.03),
            ("system.throughput_per_s", 9.949_070_778, 0.01),
        ],
    );
    check(
        &bucket(9.0, &format!("{drops}, refill = \"tick\"")),
        &[
            ("stations.s.p_reject", 0.055_046_494_22, 0.05),
            ("system.throughput_per_s", 8.504_581_552, 0.01),
        ],
    );
    let delays = bucket(8.0, "per_s = 10.0, burst = 5").replace("150000", "600000");
    check(
        &delays,
        &[
            ("stations.s.waiting_s.mean", 0.035_887_844_24, 0.06),
            ("stations.s.p_wait", 0.154_624_887_8, 0.03),
            ("stations.s.waiting_s.p99", 0.635_588_679_2, 0.06),
        ],
    );
}

fn answer(text: &str) -> serde_json::Value {
    let scenario = load(text, &[]).expect("valid");
    let runs = replicate(&scenario, 1, 1, 1).expect("the run ends");
    serde_json::to_value(Answer::new(&scenario, 1, &runs)).expect("JSON")
}

#[test]
fn deterministic_token_buckets_are_exact() {
    let text = |arrivals: &str, rest: &str| {
        format!(
            "schema = 1\nname = \"bucket\"\nduration = \"60s\"\nwarmup = 0\n[[source]]\nid = \"a\"\n{arrivals}\nto = \"s\"\n{}",
            station("s", &format!("{NOTHING}\nrate_limit = {{ {rest} }}"))
        )
    };
    let every = "arrivals = { process = \"deterministic\", every_s = 0.1, first_s = 0.0 }";
    let dropped = answer(&text(
        every,
        "per_s = 4.0, burst = 5, when_empty = \"drop\"",
    ));
    assert_eq!(dropped["requests"]["completed"], 245);
    assert_eq!(dropped["requests"]["rejected"], 356);
    let once =
        "arrivals = { process = \"deterministic\", every_s = 1000.0, first_s = 0.0 }\nbatch = 100";
    let delayed = answer(&text(once, "per_s = 20.0, burst = 10"));
    let waiting = &delayed["stations"]["s"]["waiting_s"];
    let mean = waiting["mean"]["value"].as_f64().expect("measured");
    assert!((mean - 2.0475).abs() < 1e-9 * mean, "{mean}");
    assert_eq!(waiting["max"], 4.5);
    assert_eq!(waiting["count"], 100);
    assert_eq!(delayed["stations"]["s"]["p_wait"]["value"], 0.9);
}
