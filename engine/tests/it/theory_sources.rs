//! Arrival processes beyond Poisson, against exact values.

use crate::theory::{check, station};

const UNIT_SERVICE: &str = "service = { dist = \"exponential\", mean_s = 1.0 }";

fn fed_by(requests: u32, arrivals: &str, station_keys: &str) -> String {
    format!(
        "schema = 1\nname = \"theory\"\nseed = 11\nrequests = {requests}\n\n[[source]]\nid = \"arrivals\"\n\
         arrivals = {arrivals}\nto = \"s\"\n\n{}",
        station("s", station_keys)
    )
}

#[test]
fn switching_arrivals_wait_as_mmpp_m_1() {
    check(
        &fed_by(
            200_000,
            "{ process = \"mmpp\", rates_per_s = [1.2, 0.4], switch_per_s = [[0.0, 0.1], [0.1, 0.0]] }",
            UNIT_SERVICE,
        ),
        &[
            ("system.sojourn_s.mean", 8.691_130_099, 0.08),
            ("stations.s.p_wait", 0.852_354_796, 0.02),
            ("stations.s.utilization", 0.8, 0.02),
        ],
    );
    // Switched off half the time.
    check(
        &fed_by(
            200_000,
            "{ process = \"mmpp\", rates_per_s = [2, 0], switch_per_s = [[0.0, 0.2], [0.2, 0.0]] }",
            "service = { dist = \"exponential\", mean_s = 0.8 }",
        ),
        &[
            ("system.sojourn_s.mean", 12.312_202_37, 0.08),
            ("stations.s.p_wait", 0.935_023_810_1, 0.01),
        ],
    );
}

#[test]
fn users_who_think_are_a_finite_source() {
    check(
        &fed_by(
            60_000,
            "{ process = \"closed\", users = 10, think = { dist = \"exponential\", mean_s = 10.0 } }",
            UNIT_SERVICE,
        ),
        &[
            ("system.throughput_per_s", 0.785_417_656_9, 0.01),
            ("system.sojourn_s.mean", 2.732_079_439, 0.02),
            ("system.in_system", 2.145_823_431, 0.02),
            ("stations.s.p_wait", 0.726_792_056_1, 0.015),
        ],
    );
    check(
        &fed_by(
            60_000,
            "{ process = \"closed\", users = 40, think = { dist = \"exponential\", mean_s = 8.0 } }",
            &format!("{UNIT_SERVICE}\nservers = 5"),
        ),
        &[
            ("system.throughput_per_s", 4.234_979_663, 0.01),
            ("stations.s.waiting_s.mean", 0.445_145_711_8, 0.04),
        ],
    );
}

#[test]
fn a_sine_on_infinitely_many_servers_has_its_mean() {
    // By Little's law, whatever the arrivals: 2 per second, 1 s each.
    check(
        &fed_by(
            100_000,
            "{ process = \"diurnal\", rate_per_s = 2.0, amplitude = 0.9, period_s = 50.0 }",
            &format!("{UNIT_SERVICE}\nservers = \"infinite\""),
        ),
        &[
            ("system.throughput_per_s", 2.0, 0.01),
            ("system.in_system", 2.0, 0.015),
        ],
    );
}
