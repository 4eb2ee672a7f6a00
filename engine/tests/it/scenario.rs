//! Scenario files: what is accepted, and what is said about the rest.

mod mistakes;

use flowreel_engine::scenario::load;
use mistakes::WRONG;

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
