//! Scenario files: what is accepted, and what is said about the rest.

use flowreel_engine::scenario::load;

const GOOD: &str = r#"schema = 1
name = "small"
requests = 100

[[class]]
id = "signup"

[[class]]
id = "login"

[[source]]
id = "clients"
arrivals = { process = "poisson", rate_per_s = 1.0 }
mix = { signup = 0.3, login = 0.7 }
users = 10
to = "server"

[[station]]
id = "server"
service = { dist = "exponential", mean_s = 0.5 }
next = "done"
"#;

const LAW: &str = "{ dist = \"exponential\", mean_s = 0.5 }";

/// What is replaced in the good scenario, by what; where the problem lies and words of its sentence.
const WRONG: &[(&str, &str, &str, &[&str])] = &[
    (
        "users = 10",
        "user = 10",
        "15:1",
        &["unknown key `user` in source `clients`", "`users`"],
    ),
    (
        "service =",
        "sevice =",
        "20:1",
        &["unknown key `sevice`", "did you mean `service`?"],
    ),
    (
        "requests = 100",
        "request = 100",
        "3:1",
        &["unknown key `request`", "`requests`"],
    ),
    (
        "mean_s = 0.5",
        "mean = 0.5",
        "20:35",
        &["unknown key `mean`", "`mean_s`"],
    ),
    (
        "mean_s = 0.5",
        "mean_s = -0.5",
        "20:44",
        &["`mean_s` is -0.5", "above 0"],
    ),
    (
        "mean_s = 0.5",
        "mean_s = nan",
        "20:44",
        &["`mean_s` is NaN"],
    ),
    (
        "mean_s = 0.5",
        "mean_s = inf",
        "20:44",
        &["`mean_s` is inf"],
    ),
    (
        "mean_s = 0.5",
        "mean_s = 1e30",
        "20:44",
        &["longer than 292 years"],
    ),
    (
        "mean_s = 0.5",
        "mean_s = \"fast\"",
        "20:44",
        &["a text", "write a number"],
    ),
    (
        "rate_per_s = 1.0",
        "rate_per_s = 0",
        "13:48",
        &["`rate_per_s` is 0"],
    ),
    (
        "\"poisson\"",
        "\"poison\"",
        "13:24",
        &["no arrival process", "`poisson`"],
    ),
    (
        "\"poisson\"",
        "\"trace\"",
        "13:12",
        &["a trace without arrival times", "file"],
    ),
    (
        "signup = 0.3",
        "singup = 0.3",
        "14:9",
        &["no class is named `singup`", "`signup`"],
    ),
    (
        "signup = 0.3, login = 0.7",
        "signup = 0, login = 0",
        "14:7",
        &["add up to 0"],
    ),
    (
        "to = \"server\"",
        "to = \"sever\"",
        "16:6",
        &["no station is named `sever`", "`server`"],
    ),
    (
        "to = \"server\"",
        "to = \"clients\"",
        "16:6",
        &["is a source"],
    ),
    (
        "next = \"done\"",
        "next = \"clients\"",
        "21:8",
        &["is a source"],
    ),
    (
        "next = \"done\"",
        "next = { probability = [ { to = \"done\", p = 0.5 }, { to = \"failed\", p = 0.4 } ] }",
        "21:24",
        &["add up to 0.9", "add up to 1"],
    ),
    (
        "next = \"done\"",
        "next = { choose = \"stiky\", among = [\"server\"] }",
        "21:19",
        &["`sticky`"],
    ),
    (
        "next = \"done\"",
        "next = { choose = \"random\", among = [] }",
        "21:37",
        &["`among` is empty"],
    ),
    (
        "next = \"done\"",
        "next = { hedge = [], after_s = 1.0 }",
        "21:18",
        &["`hedge` is empty"],
    ),
    (
        "next = \"done\"",
        "next = { hedge = [\"server\", \"server\"], after_s = 1.0, d = 3 }",
        "21:59",
        &["`d` is 3", "from 1 to 2"],
    ),
    (
        "next = \"done\"",
        "next = { hedge = [\"server\", \"server\"] }",
        "21:8",
        &["no `after_s`"],
    ),
    (
        "next = \"done\"",
        "next = { fork = [\"server\"] }",
        "21:8",
        &["no `join`"],
    ),
    (
        "next = \"done\"",
        "next = { fork = [\"server\"], join = \"server\" }",
        "21:36",
        &["wait for each other there"],
    ),
    (
        "next = \"done\"",
        "next = { fork = [\"server\", \"server\"], join = \"done\", copies = 2 }",
        "21:63",
        &["`copies` with 2 stations"],
    ),
    (
        "next = \"done\"",
        "next = { fork = [\"server\"], copies = 3, join = \"done\", wait_for = 4 }",
        "21:67",
        &["`wait_for` is 4", "from 1 to 3"],
    ),
    (
        "next = \"done\"",
        "capacity = 2\nnext = { choose = \"least-work-left\", among = [\"server\"] }",
        "18:1",
        &[
            "the work left at `server` is not known",
            "least-connections",
        ],
    ),
    (
        "next = \"done\"",
        "calls = { copy = [\"server\"] }",
        "18:1",
        &["calls by the rule `copy`", "no one answer"],
    ),
    ("next = \"done\"", "next = {}", "21:8", &["is empty"]),
    (
        "next = \"done\"",
        "next = 7",
        "21:8",
        &["`next` is a whole number"],
    ),
    (
        "next = \"done\"",
        "next = { by_class = { signup = \"done\" } }",
        "21:21",
        &["nothing about `login`"],
    ),
    (
        "next = \"done\"",
        "idle_server = \"random\"",
        "21:15",
        &["`idle_server`", "add `service_by_server`"],
    ),
    (
        "next = \"done\"",
        "discipline = \"fifo2\"",
        "21:14",
        &["no discipline", "`fifo`"],
    ),
    (
        "next = \"done\"",
        "timeout_s = 0.0",
        "21:13",
        &["`timeout_s` is 0"],
    ),
    (
        "next = \"done\"",
        "capacity = 0",
        "21:12",
        &["`capacity` is 0"],
    ),
    (
        "next = \"done\"",
        "servers = 1.5",
        "21:11",
        &["`servers` is 1.5", "whole number"],
    ),
    (
        "next = \"done\"",
        "servers = \"many\"",
        "21:11",
        &["infinite"],
    ),
    (
        "next = \"done\"",
        "calls = \"server\"",
        "18:1",
        &["calls of `server` lead around in a circle"],
    ),
    (
        "next = \"done\"",
        "capacity = 3\non_full = \"server\"",
        "18:1",
        &["circle", "`server`"],
    ),
    (
        "next = \"done\"",
        "next = { retry = [ { delay_s = 1.0, via = \"server\" } ], then = \"failed\" }",
        "21:43",
        &["does not park"],
    ),
    (
        "name = \"small\"",
        "name = \"Two Words\"",
        "2:8",
        &["is no id"],
    ),
    (
        "requests = 100",
        "requests = 0",
        "3:12",
        &["`requests` is 0"],
    ),
    (
        "requests = 100",
        "requests = 99999999999999999999",
        "3:12",
        &["too large"],
    ),
    (
        "requests = 100",
        "duration = \"soon\"",
        "3:12",
        &["`soon` is not a duration"],
    ),
    (
        "requests = 100",
        "requests = 100\nduration = \"1m\"",
        "3:12",
        &["two ends"],
    ),
    ("requests = 100\n", "", "1:1", &["no end"]),
    ("schema = 1", "schema = 2", "1:10", &["`schema` is not 1"]),
    ("schema = 1\n", "", "1:1", &["has no `schema`"]),
    (
        "id = \"server\"",
        "id = \"clients\"",
        "18:1",
        &["two components are named `clients`"],
    ),
    (
        "id = \"server\"",
        "id = \"server\"\nkind = \"sever\"",
        "20:8",
        &["no kind", "`server`"],
    ),
    (
        LAW,
        "{ dist = \"exponental\", mean_s = 0.5 }",
        "20:20",
        &["`exponential`"],
    ),
    (
        LAW,
        "{ dist = \"uniform\", low_s = 2.0, high_s = 1.0 }",
        "20:11",
        &["not below"],
    ),
    (
        LAW,
        "{ dist = \"discrete\", values_s = [1.0], p = [0.5, 0.5] }",
        "20:54",
        &["2 numbers"],
    ),
    (
        LAW,
        "{ dist = \"empirical\", file = \"x\" }",
        "20:40",
        &["the file `x` is not at hand"],
    ),
    (
        LAW,
        "{ dist = \"empirical\", values_s = [0.5, -1] }",
        "20:50",
        &["`values_s` is -1"],
    ),
    (
        "{ process = \"poisson\", rate_per_s = 1.0 }",
        "{ process = \"trace\", at_s = [1, 0.5] }",
        "13:40",
        &["the arrival at 0.5 s comes after the one at 1 s"],
    ),
    (
        "{ process = \"poisson\", rate_per_s = 1.0 }",
        "{ process = \"trace\", at_s = [] }",
        "13:40",
        &["`at_s` is empty", "at least one"],
    ),
    (
        "users = 10",
        "batch = { dist = \"uniform\", low = 3, high = 2 }",
        "15:9",
        &["`low` 3 is above `high` 2"],
    ),
    (
        "users = 10",
        "batch = { dist = \"discrete\", values = [1, 2], p = [0.5, 0.4] }",
        "15:51",
        &["add up to 0.9"],
    ),
    (
        "users = 10",
        "batch = { dist = \"discrete\", values = [0], p = [1] }",
        "15:40",
        &["`values` is 0"],
    ),
    (
        "{ process = \"poisson\", rate_per_s = 1.0 }",
        "{ process = \"steps\", steps = [[0, 1.0], [0, 2.0]] }",
        "13:52",
        &["not later than the one before"],
    ),
    (
        "{ process = \"poisson\", rate_per_s = 1.0 }",
        "{ process = \"steps\", steps = [[0, 1.0, 2.0]] }",
        "13:42",
        &["a step has 3 numbers"],
    ),
    (
        "{ process = \"poisson\", rate_per_s = 1.0 }",
        "{ process = \"steps\", steps = [[0, 0.0]] }",
        "13:41",
        &["no step has arrivals"],
    ),
    (
        "{ process = \"poisson\", rate_per_s = 1.0 }",
        "{ process = \"diurnal\", rate_per_s = 1.0, amplitude = 1.5, period_s = 10 }",
        "13:65",
        &["`amplitude` is 1.5"],
    ),
    (
        "{ process = \"poisson\", rate_per_s = 1.0 }",
        "{ process = \"mmpp\", rates_per_s = [1.0, 2.0], switch_per_s = [[0, 1]] }",
        "13:73",
        &["2 rows of 2 rates"],
    ),
    (
        "{ process = \"poisson\", rate_per_s = 1.0 }",
        "{ process = \"mmpp\", rates_per_s = [1.0, 2.0], switch_per_s = [[0, 1], [0, 0]] }",
        "13:73",
        &["never reached again"],
    ),
    (
        "{ process = \"poisson\", rate_per_s = 1.0 }",
        "{ process = \"closed\", users = 5, think = { dist = \"deterministic\", mean_s = 1 } }",
        "15:9",
        &["knows its users already"],
    ),
    (
        "next = \"done\"",
        "next = \"done\"\n\n[[fault]]\nat = \"1s\"\nfor = \"2s\"\ntarget = \"server\"\nkind = \"downn\"",
        "27:8",
        &["did you mean `down`?"],
    ),
    (
        "next = \"done\"",
        "breaker = { failures = 0, window_s = 1.0, open_s = 1.0 }",
        "21:24",
        &["`failures` is 0"],
    ),
    (
        "next = \"done\"",
        "rate_limit = { per_s = 5.0, when_empty = \"dropp\" }",
        "21:42",
        &["did you mean `drop`?"],
    ),
    (
        "next = \"done\"",
        "next = \"done\"\n\n[[fault]]\nat = \"1s\"\nfor = \"2s\"\ntarget = \"server\"\nkind = \"slow\"\nfactor = 0",
        "28:10",
        &["`factor` is 0"],
    ),
    (LAW, "0.5", "20:11", &["write a table"]),
];

/// The scenario with one text in it replaced is refused at this place with these words.
fn check(from: &str, to: &str, place: &str, words: &[&str]) -> Result<(), String> {
    assert!(GOOD.contains(from), "{from} is in the good scenario");
    check_text(&GOOD.replacen(from, to, 1), &[], place, words)
}

fn check_text(text: &str, overrides: &[String], place: &str, words: &[&str]) -> Result<(), String> {
    let error = load(text, overrides).expect_err("refused");
    let said: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
    let hit = said.iter().any(|line| {
        line.starts_with(&format!("{place}: ")) && words.iter().all(|word| line.contains(word))
    });
    let is_short = said
        .iter()
        .all(|line| !line.contains('\n') && line.len() < 500);
    if hit && is_short {
        return Ok(());
    }
    Err(format!("no problem at {place} with {words:?} in {said:#?}"))
}

#[test]
fn the_good_scenario_is_accepted() {
    let scenario = load(GOOD, &[]).expect("valid");
    assert_eq!(scenario.topology.components.len(), 2);
    assert_eq!(scenario.topology.edges.len(), 1);
    assert_eq!(scenario.classes().len(), 2);
}

#[test]
fn every_wrong_value_is_named_with_its_place_and_what_to_do() {
    let wrong: Vec<String> = WRONG
        .iter()
        .filter_map(|(from, to, place, words)| check(from, to, place, words).err())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_problems_are_listed_in_the_order_of_their_places() {
    let text = GOOD
        .replace("requests = 100", "requests = -1")
        .replace("rate_per_s = 1.0", "rate_per_s = nan")
        .replace("next = \"done\"", "nxt = \"done\"");
    let error = load(&text, &[]).expect_err("refused");
    let lines: Vec<_> = error.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [Some(3), Some(13), Some(21)]);
}

#[test]
fn text_that_is_no_scenario_is_refused_in_a_sentence() {
    let deep_list = format!("schema = 1\nname = \"x\"\nseed = {}", "[".repeat(500_000));
    let deep_table = format!("schema = 1\nx = {}", "{ a = ".repeat(200_000));
    let garbage: String = (0..1_000_000_u32)
        .map(|step| {
            char::from(u8::try_from(33 + step.wrapping_mul(2_654_435_761) % 94).unwrap_or(b'x'))
        })
        .collect();
    for text in [
        "",
        "   \n",
        "schema",
        "schema = ",
        "[[station]",
        "\u{0}\u{1}",
        &deep_list,
        &deep_table,
        &garbage,
    ] {
        let error = load(text, &[]).expect_err("refused");
        assert!(!error.problems.is_empty() && error.problems.len() <= 1000);
        for problem in &error.problems {
            assert!(problem.to_string().len() < 500 && problem.line.is_some());
        }
    }
    assert_eq!(check_text("", &[], "1:1", &["empty"]), Ok(()));
}

#[test]
fn overrides_reach_every_value_and_are_named_when_wrong() {
    let set = |text: &str| vec![text.to_owned()];
    let changed = load(GOOD, &set("station.server.service.mean_s=0.25")).expect("valid");
    assert!((changed.stations[0].service[0].mean_s() - 0.25).abs() < 1e-12);
    let shorter = load(GOOD, &set("duration=5m")).expect("valid");
    assert_eq!(
        shorter.stop,
        flowreel_engine::scenario::valid::Stop::Duration(300_000_000_000)
    );
    let whole = load(
        GOOD,
        &set("station.server.service={ dist = \"deterministic\", mean_s = 1 }"),
    );
    assert!(whole.is_ok());
    for (text, words) in [
        ("station.sever.servers=2", "nothing is named `sever`"),
        ("station.server.servres=2", "did you mean `servers`?"),
        ("station.server.servers=0", "`servers` is 0"),
        ("station.server.servers", "needs `=`"),
        ("station..servers=1", "is not a path"),
        ("station.server.service.mean_s=", "a text"),
        (
            "name.x=1",
            "nothing is named `x` in `name`; `name` is a single value",
        ),
        ("station.sever.servers=2", "did you mean `server`?"),
        ("sttion.server.servers=2", "did you mean `station`?"),
        ("station.7.servers=2", "valid here: server"),
        (
            "source.clients.arrivals.rate=2",
            "did you mean `rate_per_s`?",
        ),
        ("fault.0.kind=down", "has no `at`"),
    ] {
        let place = format!("--set {text}");
        assert_eq!(check_text(GOOD, &set(text), &place, &[words]), Ok(()));
    }
}

#[test]
fn every_scenario_that_ships_is_valid() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the folder ships") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        load(&text, &[]).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        count += 1;
    }
    assert!(count > 0);
}
