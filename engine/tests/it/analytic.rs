//! Theory beside the estimates: every formula against the shared table of exact values.

use flowreel_engine::analysis::{Answer, Exact, replicate};
use flowreel_engine::scenario::load;

/// What theory says of a scenario, by name.
fn theory(text: &str) -> std::collections::BTreeMap<String, Exact> {
    let scenario = load(text, &["requests=20".to_owned()]).expect("valid");
    let runs = replicate(&scenario, 1, 1, 1).expect("the run ends");
    Answer::new(&scenario, 1, &runs).analytic
}

fn head(name: &str, arrivals: &str, to: &str) -> String {
    format!(
        "schema = 1\nname = \"{name}\"\nrequests = 20\n[[source]]\nid = \"a\"\narrivals = {arrivals}\nto = {to}\n"
    )
}

fn poisson(rate_per_s: f64) -> String {
    format!("{{ process = \"poisson\", rate_per_s = {rate_per_s} }}")
}

fn exponential(mean_s: f64) -> String {
    format!("{{ dist = \"exponential\", mean_s = {mean_s} }}")
}

fn station(id: &str, law: &str, rest: &str) -> String {
    format!("[[station]]\nid = \"{id}\"\nservice = {law}\n{rest}\n")
}

fn single(rate_per_s: f64, law: &str, rest: &str) -> Option<Exact> {
    theory(&(head("one", &poisson(rate_per_s), "\"s\"") + &station("s", law, rest))).remove("s")
}

#[track_caller]
fn near(found: Option<f64>, exact: f64) {
    let found = found.expect("theory says it");
    assert!(
        (found - exact).abs() <= 1e-6 * exact.abs().max(1e-3),
        "{found}, not {exact}"
    );
}

fn check(exact: Option<&Exact>, model: &str, rows: &[(&str, f64)]) {
    let exact = exact.expect("a known model");
    assert_eq!(exact.model, model);
    for (key, value) in rows {
        let found = match *key {
            "wait" => exact.waiting_s.map(|times| times.mean),
            "wait_p99" => exact.waiting_s.and_then(|times| times.p99),
            "sojourn" => Some(exact.sojourn_s.mean),
            "sojourn_p50" => exact.sojourn_s.p50,
            "sojourn_p99" => exact.sojourn_s.p99,
            "present" => Some(exact.in_station),
            "busy" => exact.utilization,
            "p_wait" => exact.p_wait,
            "p_reject" => exact.p_reject,
            "p_abandon" => exact.p_abandon,
            _ => None,
        };
        assert!(found.is_some(), "{model} says nothing of {key}");
        near(found, *value);
    }
}

#[test]
fn unlimited_lines_are_erlang_c_and_pollaczek_khinchine() {
    check(
        single(0.8, &exponential(1.0), "").as_ref(),
        "M/M/1",
        &[
            ("wait", 4.0),
            ("sojourn", 5.0),
            ("sojourn_p99", 23.025_850_93),
            ("sojourn_p50", 3.465_735_903),
        ],
    );
    check(
        single(8.0, &exponential(1.0), "servers = 10").as_ref(),
        "M/M/c",
        &[
            ("wait", 0.204_590_075_4),
            ("p_wait", 0.409_180_150_8),
            ("present", 9.636_720_603),
        ],
    );
    check(
        single(90.0, &exponential(0.04), "servers = 4").as_ref(),
        "M/M/c",
        &[("sojourn", 0.118_775_326_4), ("p_wait", 0.787_753_264_3)],
    );
    check(
        single(
            0.8,
            "{ dist = \"hyperexponential\", mean_s = 1.0, scv = 4.0 }",
            "",
        )
        .as_ref(),
        "M/G/1",
        &[("wait", 10.0), ("sojourn", 11.0), ("busy", 0.8)],
    );
    check(
        single(
            25.0,
            "{ dist = \"lognormal\", mean_s = 0.02, scv = 4.0 }",
            "",
        )
        .as_ref(),
        "M/G/1",
        &[("wait", 0.05), ("sojourn", 0.07)],
    );
    check(
        single(
            4.0,
            "{ dist = \"erlang\", k = 2, mean_s = 2.5 }",
            "servers = \"infinite\"",
        )
        .as_ref(),
        "M/G/∞",
        &[("sojourn", 2.5), ("present", 10.0)],
    );
}

#[test]
fn limits_are_erlang_b_and_birth_death_chains() {
    check(
        single(
            8.0,
            "{ dist = \"lognormal\", mean_s = 1.0, scv = 2.0 }",
            "servers = 10\ncapacity = 10",
        )
        .as_ref(),
        "M/G/c/c",
        &[
            ("p_reject", 0.121_661_064_3),
            ("busy", 0.702_671_148_6),
            ("present", 7.026_711_486),
        ],
    );
    check(
        single(
            60.0,
            "{ dist = \"deterministic\", mean_s = 0.1 }",
            "servers = 5\ncapacity = 5",
        )
        .as_ref(),
        "M/G/c/c",
        &[("p_reject", 0.360_400_444_9)],
    );
    for (rate, mean, servers, capacity, rows) in [
        (
            0.8,
            1.0,
            1,
            5,
            [
                0.088_819_498_66,
                1.563_065_207,
                1.868_332_032,
                0.702_522_608_3,
                0.728_944_401_1,
            ],
        ),
        (
            1.2,
            1.0,
            1,
            10,
            [
                0.192_586_495_1,
                5.926_137_844,
                6.710_708_678,
                0.961_477_243_1,
                0.968_896_205_8,
            ],
        ),
        (
            3.6,
            1.0,
            4,
            10,
            [
                0.067_174_407_93,
                0.507_100_338_9,
                5.061_102_357,
                0.634_910_665_1,
                0.839_543_032_9,
            ],
        ),
        (
            110.0,
            0.1,
            10,
            30,
            [
                0.100_628_417_9,
                0.128_518_838_4,
                22.607_568_42,
                0.952_561_171_8,
                0.989_308_740_3,
            ],
        ),
    ] {
        let [p_reject, wait, present, p_wait, busy] = rows;
        check(
            single(
                rate,
                &exponential(mean),
                &format!("servers = {servers}\ncapacity = {capacity}"),
            )
            .as_ref(),
            "M/M/c/K",
            &[
                ("p_reject", p_reject),
                ("wait", wait),
                ("present", present),
                ("p_wait", p_wait),
                ("busy", busy),
            ],
        );
    }
}

#[test]
fn patience_is_erlang_a_and_its_relatives() {
    let patience = |law: &str, rest: &str| format!("patience = {law}\n{rest}");
    check(
        single(
            12.0,
            &exponential(1.0),
            &patience(&exponential(2.0), "servers = 10"),
        )
        .as_ref(),
        "M/M/c+M",
        &[
            ("p_abandon", 0.195_655_944),
            ("wait", 0.400_833_695_4),
            ("busy", 0.965_212_867_2),
            ("p_wait", 0.850_384_947_9),
            ("present", 14.347_871_33),
        ],
    );
    check(
        single(0.9, &exponential(1.0), &patience(&exponential(5.0), "")).as_ref(),
        "M/M/c+M",
        &[
            ("p_abandon", 0.209_545_813_6),
            ("busy", 0.711_408_767_8),
            ("present", 1.654_364_929),
            ("wait", 0.978_271_287_2),
            ("p_wait", 0.711_408_767_8),
        ],
    );
    check(
        single(
            5.0,
            &exponential(1.0),
            &patience(&exponential(2.0), "servers = 4\ncapacity = 12"),
        )
        .as_ref(),
        "M/M/c/K+M",
        &[
            ("p_abandon", 0.237_241_269_9),
            ("p_reject", 0.023_513_893_97),
            ("present", 6.068_636_88),
            ("wait", 0.487_642_373_9),
            ("p_wait", 0.811_266_265),
        ],
    );
    for (rate, servers, patience_s, rows) in [
        (
            0.8,
            1,
            2.0,
            [
                0.187_832_074_4,
                0.530_913_093_8,
                1.295_218_128,
                0.649_734_340_5,
            ],
        ),
        (
            5.5,
            5,
            0.5,
            [
                0.206_762_697_1,
                0.150_142_399_1,
                5.586_444_617,
                0.872_561_033_2,
            ],
        ),
    ] {
        let [p_abandon, wait, present, busy] = rows;
        let law = format!("{{ dist = \"deterministic\", mean_s = {patience_s} }}");
        check(
            single(
                rate,
                &exponential(1.0),
                &patience(&law, &format!("servers = {servers}")),
            )
            .as_ref(),
            "M/M/c+D",
            &[
                ("p_abandon", p_abandon),
                ("wait", wait),
                ("present", present),
                ("busy", busy),
            ],
        );
    }
}

#[test]
fn open_networks_are_jacksons_and_the_system_is_their_sum() {
    // The tandem of five with feedback: C sends 10 % back to B, E 20 % back to A.
    let text = head("tandem", &poisson(0.5), "\"A\"")
        + &station("A", &exponential(1.0), "next = \"B\"")
        + &station("B", &exponential(0.833_333_333_333_333_3), "next = \"C\"")
        + &station(
            "C",
            &exponential(1.0),
            "next = { probability = [ { to = \"B\", p = 0.1 }, { to = \"D\", p = 0.9 } ] }",
        )
        + &station("D", &exponential(1.111_111_111_111_111_2), "next = \"E\"")
        + &station(
            "E",
            &exponential(1.25),
            "next = { probability = [ { to = \"A\", p = 0.2 }, { to = \"done\", p = 0.8 } ] }",
        );
    let found = theory(&text);
    check(
        found.get("A"),
        "M/M/1",
        &[
            ("sojourn", 2.666_666_667),
            ("present", 1.666_666_667),
            ("wait", 1.666_666_667),
        ],
    );
    check(
        found.get("B"),
        "M/M/1",
        &[("sojourn", 1.978_021_978), ("busy", 0.578_703_703_7)],
    );
    check(found.get("C"), "M/M/1", &[("present", 2.272_727_273)]);
    check(
        found.get("system"),
        "open network",
        &[("sojourn", 22.314_352_31), ("present", 11.157_176_16)],
    );
}

fn closed(users: u32, think: &str, stations: &str) -> std::collections::BTreeMap<String, Exact> {
    let arrivals = format!("{{ process = \"closed\", users = {users}{think} }}");
    theory(&(head("closed", &arrivals, "\"a1\"") + stations))
}

#[test]
fn closed_networks_are_solved_exactly() {
    let think = |mean_s: f64| format!(", think = {}", exponential(mean_s));
    // Twenty users: web once, db twice, disk one and a half times per cycle.
    let visits = station("a1", &exponential(0.1), "next = \"db\"")
        + &station(
            "db",
            &exponential(0.04),
            "next = { probability = [ { to = \"db\", p = 0.5 }, { to = \"disk\", p = 0.5 } ] }",
        )
        + &station(
            "disk",
            &exponential(0.03),
            "next = { probability = [ { to = \"disk\", p = 0.333333333333333333 }, { to = \"done\", p = 0.666666666666666667 } ] }",
        );
    let found = closed(20, &think(2.0), &visits);
    check(
        found.get("a1"),
        "closed network",
        &[("busy", 0.776_725_304_3), ("sojourn", 0.322_276_769_3)],
    );
    check(
        found.get("db"),
        "closed network",
        &[("present", 1.440_521_372), ("sojourn", 0.092_730_426_3)],
    );
    check(
        found.get("disk"),
        "closed network",
        &[("busy", 0.349_526_387)],
    );
    check(
        found.get("system"),
        "closed network",
        &[("sojourn", 0.574_912_892_4)],
    );
    near(
        found.get("system").map(|system| system.arrivals_per_s),
        7.767_253_043,
    );

    let cores = station("a1", &exponential(0.3), "servers = 4\nnext = \"db\"")
        + &station("db", &exponential(0.08), "");
    let found = closed(50, &think(5.0), &cores);
    check(
        found.get("a1"),
        "closed network",
        &[("busy", 0.668_002_658_1), ("present", 3.270_623_129)],
    );
    check(
        found.get("system"),
        "closed network",
        &[("sojourn", 0.613_750_117)],
    );

    let source = station("a1", &exponential(1.0), "servers = 5");
    let found = closed(40, &think(8.0), &source);
    check(
        found.get("a1"),
        "closed network",
        &[
            ("wait", 0.445_145_711_8),
            ("p_wait", 0.591_540_640_2),
            ("present", 6.120_162_699),
        ],
    );
}

#[test]
fn where_the_model_does_not_fit_nothing_is_said() {
    let service = exponential(1.0);
    let two = |choose: &str| {
        head(
            "two",
            &poisson(1.0),
            &format!("{{ choose = \"{choose}\", among = [\"x\", \"y\"] }}"),
        ) + &station("x", &service, "")
            + &station("y", &service, "")
    };
    assert!(theory(&two("random")).contains_key("x"));
    assert!(theory(&two("least-connections")).is_empty());
    assert!(theory(&two("round-robin")).is_empty());
    let regular = "{ process = \"deterministic\", every_s = 2.0 }";
    assert!(theory(&(head("gi", regular, "\"s\"") + &station("s", &service, ""))).is_empty());
    let fault = "[[fault]]\nat = \"1s\"\ntarget = \"s\"\nkind = \"pause\"\nfor = \"1s\"\n";
    let with_fault = head("f", &poisson(0.5), "\"s\"") + &station("s", &service, "") + fault;
    assert!(theory(&with_fault).is_empty());
    assert!(single(0.5, &service, "rate_limit = { per_s = 5.0 }").is_none());
    let uniform = "{ dist = \"uniform\", low_s = 0.5, high_s = 1.5 }";
    assert!(single(0.5, uniform, "servers = 2").is_none());
    assert!(single(0.5, uniform, "capacity = 3").is_none());
    // The stream that leaves M/G/1 is not Poisson, and arrivals that come round again are not either.
    let tandem = head("t", &poisson(0.5), "\"x\"")
        + &station("x", uniform, "next = \"y\"")
        + &station("y", &service, "");
    let found = theory(&tandem);
    assert!(found.contains_key("x") && !found.contains_key("y") && !found.contains_key("system"));
    let round = head("r", &poisson(0.5), "\"x\"")
        + &station("x", &service, "next = \"y\"")
        + &station(
            "y",
            &service,
            "capacity = 4\nnext = { probability = [ { to = \"x\", p = 0.2 }, { to = \"done\", p = 0.8 } ] }",
        );
    assert!(theory(&round).is_empty());
    // Without the way back both are exact: the stream out of M/M/1 is Poisson.
    let straight = head("s", &poisson(0.5), "\"x\"")
        + &station("x", &service, "next = \"y\"")
        + &station("y", &service, "capacity = 4");
    assert_eq!(theory(&straight).get("y").map(|y| y.model), Some("M/M/c/K"));
}
