//! Disciplines and servers of every kind against exact values.
//!
//! As in `theory`: intervals over replications with one fixed seed, tight enough to notice another
//! discipline. Sources: Kleinrock 1975 and 1976, Cobham 1954, Schrage & Miller 1966, Sakata et al.
//! 1971, Gumbel 1960, Bailey 1954, Welch 1964, White & Christie 1958; numbers are those of the shared
//! table of queueing models.

use crate::theory::{check, complaints, single};

const EXPONENTIAL: &str = "service = { dist = \"exponential\", mean_s = 1.0 }";
const H2: &str = "service = { dist = \"hyperexponential\", p = [0.8872983346, 0.11270166540000004], means_s = [0.5635083269729726, 4.436491672287214] }";

fn mm1(load: f64, discipline: &str) -> String {
    single(
        80_000,
        load,
        &format!("{EXPONENTIAL}\ndiscipline = \"{discipline}\""),
    )
}

#[test]
fn last_come_first_served() {
    check(
        &mm1(0.8, "lifo"),
        &[
            ("system.sojourn_s.mean", 5.0, 0.05),
            ("system.sojourn_s.p50", 1.776_383_55, 0.03),
            ("system.sojourn_s.p95", 19.058_726_88, 0.06),
            ("stations.s.waiting_s.p95", 18.006_331_57, 0.06),
            ("stations.s.p_wait", 0.8, 0.02),
            ("stations.s.utilization", 0.8, 0.02),
        ],
    );
    check(
        &mm1(0.7, "lifo-preemptive"),
        &[
            ("system.sojourn_s.mean", 10.0 / 3.0, 0.04),
            ("system.sojourn_s.p50", 0.933_720_248_5, 0.02),
            ("system.sojourn_s.p95", 14.523_961_63, 0.05),
            ("stations.s.utilization", 0.7, 0.02),
        ],
    );
}

#[test]
fn a_line_in_another_order_is_noticed() {
    // FIFO, LIFO and random order share the mean wait, and differ in its distribution.
    for (discipline, p95) in [
        ("fifo", 18.006_331_57),
        ("random", 18.006_331_57),
        ("lifo", 16.636_986_09),
    ] {
        let list = complaints(
            &mm1(0.8, discipline),
            &[("stations.s.waiting_s.p95", p95, 0.06)],
        );
        assert_eq!(list.len(), 1, "{discipline}: {list:#?}");
    }
    for (discipline, mean) in [("sjf", 2.352_773_27), ("srpt", 2.882_218_616)] {
        let list = complaints(
            &mm1(0.8, discipline),
            &[("system.sojourn_s.mean", mean, 0.05)],
        );
        assert_eq!(list.len(), 1, "{discipline}: {list:#?}");
    }
}

#[test]
fn random_order_of_service() {
    check(
        &mm1(0.8, "random"),
        &[
            ("stations.s.waiting_s.mean", 4.0, 0.06),
            ("stations.s.waiting_s.p95", 16.636_986_09, 0.06),
        ],
    );
}

#[test]
fn the_shortest_first() {
    check(
        &mm1(0.8, "sjf"),
        &[("system.sojourn_s.mean", 2.882_218_616, 0.04)],
    );
    check(
        &mm1(0.8, "srpt"),
        &[
            ("system.sojourn_s.mean", 2.352_773_27, 0.04),
            ("system.in_system", 1.882_218_616, 0.04),
            ("stations.s.utilization", 0.8, 0.02),
        ],
    );
    check(
        &mm1(0.5, "srpt"),
        &[("system.sojourn_s.mean", 1.425_372_664, 0.02)],
    );
}

/// Two classes of priorities 2 and 1 at one station.
fn two_classes(rate_per_s: f64, first_share: f64, keys: &str) -> String {
    format!(
        "schema = 1\nname = \"theory\"\nseed = 11\nrequests = 100000\n[[class]]\nid = \"high\"\npriority = 2\n[[class]]\nid = \"low\"\npriority = 1\n\
         [[source]]\nid = \"arrivals\"\narrivals = {{ process = \"poisson\", rate_per_s = {rate_per_s} }}\n\
         mix = {{ high = {first_share}, low = {} }}\nto = \"s\"\n[[station]]\nid = \"s\"\n{keys}\n",
        1.0 - first_share
    )
}

#[test]
fn priorities() {
    let (high, low) = ("classes.high.sojourn_s.mean", "classes.low.sojourn_s.mean");
    // Cobham: waits W0 / (1 - r1) and W0 / ((1 - r1)(1 - r)) with loads 0.3 and 0.5, W0 = 0.8.
    check(
        &two_classes(
            0.8,
            0.375,
            &format!("{EXPONENTIAL}\ndiscipline = \"priority\""),
        ),
        &[(high, 1.0 + 0.8 / 0.7, 0.02), (low, 1.0 + 0.8 / 0.14, 0.05)],
    );
    check(
        &two_classes(
            0.8,
            0.375,
            &format!("{EXPONENTIAL}\ndiscipline = \"preemptive-priority\""),
        ),
        &[
            (high, 1.0 / 0.7, 0.02),
            (low, 1.0 / (0.7 * 0.2), 0.05),
            ("stations.s.utilization", 0.8, 0.02),
        ],
    );
    let unequal = "service_by_class = { high = { dist = \"exponential\", mean_s = 0.4 }, low = { dist = \"exponential\", mean_s = 1.0 } }\n\
                   discipline = \"preemptive-priority\"";
    check(
        &two_classes(1.3, 1.0 / 1.3, unequal),
        &[(high, 2.0 / 3.0, 0.02), (low, 4.222_222_222, 0.04)],
    );
    check(
        &two_classes(
            3.2,
            0.375,
            &format!("{EXPONENTIAL}\nservers = 4\ndiscipline = \"priority\""),
        ),
        &[(high, 1.213_011_597, 0.01), (low, 2.065_057_985, 0.04)],
    );
}

#[test]
fn processor_sharing_cares_for_the_mean_only() {
    let shared = "discipline = \"processor-sharing\"";
    check(
        &mm1(0.8, "processor-sharing"),
        &[
            ("system.sojourn_s.mean", 5.0, 0.05),
            ("system.sojourn_s.p50", 2.351_687_049, 0.04),
            ("system.sojourn_s.p95", 18.748_111_31, 0.05),
            ("stations.s.utilization", 0.8, 0.02),
            ("stations.s.service_s.mean", 1.0, 0.01),
        ],
    );
    check(
        &single(100_000, 0.8, &format!("{H2}\n{shared}")),
        &[
            ("system.sojourn_s.mean", 5.0, 0.07),
            ("system.in_system", 4.0, 0.07),
        ],
    );
    let four = "service = { dist = \"lognormal\", mean_s = 0.1, scv = 3.0 }\nservers = 4";
    check(
        &single(200_000, 36.0, &format!("{four}\n{shared}")),
        &[
            ("system.sojourn_s.mean", 0.296_938_316_1, 0.07),
            ("stations.s.utilization", 0.9, 0.02),
        ],
    );
}

#[test]
fn least_attained_service() {
    check(
        &single(100_000, 0.8, &format!("{H2}\ndiscipline = \"las\"")),
        &[
            ("system.sojourn_s.mean", 3.762_320_956, 0.05),
            ("system.in_system", 3.009_856_765, 0.05),
            ("stations.s.utilization", 0.8, 0.02),
        ],
    );
    // Of exponential services no order that does not look at them is better than another.
    check(
        &mm1(0.7, "las"),
        &[("system.sojourn_s.mean", 10.0 / 3.0, 0.04)],
    );
}

#[test]
fn the_fastest_of_unequal_servers() {
    let laws = "service_by_server = [ { dist = \"exponential\", mean_s = 0.5 }, { dist = \"exponential\", mean_s = 1.0 } ]";
    check(
        &single(80_000, 2.0, laws),
        &[
            ("system.sojourn_s.mean", 1.191_176_471, 0.02),
            ("stations.s.servers.0.utilization", 0.676_470_588_2, 0.01),
            ("stations.s.servers.1.utilization", 0.647_058_823_5, 0.01),
        ],
    );
    // Any idle one, each as likely: the chain of (none, fast, slow, both, both and more).
    let (any_fast, any_slow) = random_idle();
    check(
        &single(80_000, 2.0, &format!("{laws}\nidle_server = \"random\"")),
        &[
            ("stations.s.servers.0.utilization", any_fast, 0.01),
            ("stations.s.servers.1.utilization", any_slow, 0.01),
        ],
    );
}

/// Busy shares of servers of rates 2 and 1 under arrivals of rate 2 that take any idle one.
fn random_idle() -> (f64, f64) {
    let (lambda, fast, slow) = (2.0, 2.0, 1.0);
    // Balance of "fast busy" and "slow busy" with p0 = 1, given p2: a (l + m) = l/2 + other rate · p2.
    let alone = |own: f64, other: f64, both: f64| (lambda / 2.0 + other * both) / (lambda + own);
    // Cut between one and two present: l (a + b) = (fast + slow) p2; a + b = c + d · p2.
    let at_zero = alone(fast, slow, 0.0) + alone(slow, fast, 0.0);
    let slope = alone(fast, slow, 1.0) + alone(slow, fast, 1.0) - at_zero;
    let both = lambda * at_zero / (fast + slow - lambda * slope);
    let more = both / (1.0 - lambda / (fast + slow));
    let (a, b) = (alone(fast, slow, both), alone(slow, fast, both));
    let total = 1.0 + a + b + more;
    ((a + more) / total, (b + more) / total)
}

#[test]
fn batches() {
    check(
        &single(
            200_000,
            3.0,
            &format!("{EXPONENTIAL}\nbatch_service = {{ max = 4 }}"),
        ),
        &[
            ("stations.s.waiting_s.mean", 2.552_498_725, 0.05),
            ("stations.s.utilization", 0.964_065_942, 0.005),
            ("stations.s.batch_size", 3.111_820_332, 0.01),
        ],
    );
}

#[test]
fn cold_starts() {
    check(
        &single(
            80_000,
            0.7,
            &format!("{EXPONENTIAL}\nsetup = {{ dist = \"exponential\", mean_s = 3.0 }}"),
        ),
        &[
            ("system.sojourn_s.mean", 19.0 / 3.0, 0.04),
            ("stations.s.utilization", 0.7, 0.02),
            ("stations.s.p_off", 0.096_774_193_55, 0.03),
            ("stations.s.p_starting", 0.203_225_806_5, 0.03),
        ],
    );
    let law = "service = { dist = \"lognormal\", mean_s = 0.05, scv = 2.0 }\nsetup = { dist = \"deterministic\", mean_s = 0.5 }";
    check(
        &single(80_000, 8.0, law),
        &[
            ("system.sojourn_s.mean", 0.4, 0.02),
            ("stations.s.p_off", 0.12, 0.02),
            ("stations.s.p_starting", 0.48, 0.01),
        ],
    );
}

#[test]
fn breakdowns() {
    let law = "breakdown = { up = { dist = \"exponential\", mean_s = 50.0 }, down = { dist = \"exponential\", mean_s = 5.555555556 } }";
    check(
        &single(150_000, 0.6, &format!("{EXPONENTIAL}\n{law}")),
        &[
            ("system.sojourn_s.mean", 5.0, 0.05),
            ("system.in_system", 3.0, 0.05),
            ("stations.s.availability", 0.9, 0.01),
            ("stations.s.utilization", 0.6, 0.02),
        ],
    );
}
