//! Forks, hedges and redundancy against exact values, by the rules of `theory`.

use crate::theory::{check, scenario, station};

const ONE_SECOND: &str = "service = { dist = \"exponential\", mean_s = 1.0 }";

fn stations(ids: &[&str], rest: &str) -> String {
    ids.iter().map(|id| station(id, rest)).collect()
}

#[test]
fn fork_join_of_two_and_three_is_that_of_flatto_and_hahn() {
    // (12 - ρ) / 8 · 1 / (1 - ρ) (Flatto & Hahn 1984).
    let two = "{ fork = [\"a\", \"b\"], join = \"done\" }";
    for (rate, mean, allowance) in [(0.5, 2.875, 0.02), (0.8, 7.0, 0.06)] {
        check(
            &scenario(60_000, rate, two, &stations(&["a", "b"], ONE_SECOND)),
            &[
                ("system.sojourn_s.mean", mean, allowance),
                ("system.in_system", rate * mean, allowance + 0.01),
                (
                    "stations.a.sojourn_s.mean",
                    1.0 / (1.0 - rate),
                    allowance + 0.01,
                ),
                ("stations.b.utilization", rate, 0.02),
            ],
        );
    }
    // Queue-length chain.
    let three = "{ fork = [\"a\", \"b\", \"c\"], join = \"done\" }";
    check(
        &scenario(40_000, 0.5, three, &stations(&["a", "b", "c"], ONE_SECOND)),
        &[("system.sojourn_s.mean", 3.432_578_822, 0.02)],
    );
}

#[test]
fn hedges_take_the_least_of_two_times() {
    // min(X, after + Y).
    let service = "servers = \"infinite\"\nservice = { dist = \"exponential\", mean_s = 0.1 }";
    for (after_s, mean, p99, asked) in [
        ("0.0", 0.05, 0.230_258_509_3, 1.0),
        ("0.2302585093", 0.095, 0.345_387_763_9, 0.1),
    ] {
        let to = format!("{{ hedge = [\"a\", \"b\"], after_s = {after_s} }}");
        check(
            &scenario(50_000, 1.0, &to, &stations(&["a", "b"], service)),
            &[
                ("system.sojourn_s.mean", mean, 0.01),
                ("system.sojourn_s.p99", p99, 0.03),
                // The answers of b: half of all at once, else whoever is silent for so long.
                ("stations.b.throughput_per_s", asked / 2.0, 0.04),
            ],
        );
    }
    let heavy =
        "servers = \"infinite\"\nservice = { dist = \"lognormal\", mean_s = 0.1, scv = 4.0 }";
    check(
        &scenario(
            50_000,
            1.0,
            "{ hedge = [\"a\", \"b\"], after_s = 0.2 }",
            &stations(&["a", "b"], heavy),
        ),
        &[
            ("system.sojourn_s.mean", 0.076_832_969_49, 0.01),
            ("system.sojourn_s.p95", 0.239_599_126, 0.02),
        ],
    );
}

#[test]
fn redundancy_with_cancelling_is_that_of_gardner_and_others() {
    // T = Σ i=d..n of 1 / (n μ C(n-1, d-1) / C(i-1, d-1) - λ) (Gardner et al. 2017).
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    for (n, d, rate, mean, allowance) in [
        (3, 2, 0.9, 0.672_268_907_6, 0.012),
        (10, 2, 7.0, 1.101_626_621, 0.03),
        (4, 4, 2.4, 0.625, 0.035),
    ] {
        let to = format!("{{ hedge = {:?}, after_s = 0.0, d = {d} }}", &names[..n]);
        check(
            &scenario(50_000, rate, &to, &stations(&names[..n], ONE_SECOND)),
            &[
                ("system.sojourn_s.mean", mean, allowance),
                ("system.in_system", rate * mean, allowance + 0.01),
                ("system.throughput_per_s", rate, 0.01),
            ],
        );
    }
}

#[test]
fn a_quorum_is_an_order_statistic_and_a_fan_out_the_last() {
    let pool = |mean_s: &str| {
        station(
            "s",
            &format!(
                "servers = \"infinite\"\nservice = {{ dist = \"exponential\", mean_s = {mean_s} }}"
            ),
        )
    };
    // 0.05 · (1/3 + 1/2) and 0.01 · H(100) (Rényi 1953).
    let two_of_three = "{ fork = [\"s\"], copies = 3, wait_for = 2, join = \"done\" }";
    check(
        &scenario(50_000, 1.0, two_of_three, &pool("0.05")),
        &[
            ("system.sojourn_s.mean", 0.041_666_666_67, 0.01),
            ("system.sojourn_s.p99", 0.141_593_047_5, 0.02),
            ("stations.s.in_station", 0.15, 0.01),
        ],
    );
    let all = "{ fork = [\"s\"], copies = 100, join = \"done\" }";
    check(
        &scenario(8_000, 1.0, all, &pool("0.01")),
        &[
            ("system.sojourn_s.mean", 0.051_873_775_18, 0.01),
            ("system.sojourn_s.p95", 0.075_756_218_91, 0.02),
        ],
    );
}

#[test]
fn split_merge_is_mg1_with_the_longer_of_two() {
    // E[S] = 1.5, E[S²] = 3.5, so W = λ E[S²] / 2 / (1 - ρ) = 3.5 (Harrison & Zertal 2003).
    let job = "service = { dist = \"deterministic\", mean_s = 0.0 }\n\
               calls = { fork = [\"a\", \"b\"], join = \"done\" }";
    check(
        &scenario(
            60_000,
            0.5,
            "\"job\"",
            &(station("job", job) + &stations(&["a", "b"], ONE_SECOND)),
        ),
        &[
            ("system.sojourn_s.mean", 5.0, 0.05),
            ("stations.job.waiting_s.mean", 3.5, 0.06),
            ("stations.job.utilization", 0.75, 0.02),
            ("stations.job.p_wait", 0.75, 0.03),
            ("stations.job.in_waiting", 1.75, 0.07),
            ("stations.a.p_wait", 0.0, 0.01),
        ],
    );
}

#[test]
fn least_work_left_is_one_line_before_all_servers() {
    // Sample paths are those of M/M/4: Erlang C for offered load 3.2.
    let names = ["a", "b", "c", "d"];
    let to = format!("{{ choose = \"least-work-left\", among = {names:?} }}");
    check(
        &scenario(60_000, 3.2, &to, &stations(&names, ONE_SECOND)),
        &[
            ("system.sojourn_s.mean", 1.745_540_59, 0.045),
            ("system.sojourn_s.p95", 4.738_019_496, 0.05),
            ("stations.a.utilization", 0.8, 0.02),
        ],
    );
}
