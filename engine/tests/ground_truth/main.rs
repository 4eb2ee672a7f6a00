//! The engine against models whose performance is known exactly.
//!
//! Independent replications give one number each; the exact value lies inside their Student interval,
//! corrected for the number of checks in the suite, and the interval is tight. How many cases and how
//! long is said by `FLOWREEL_GROUND_TRUTH`: nothing runs a handful; `brief` all of them with twice the allowances
//! (in `cargo xtask test`); `usual` all of them by the rule, `long` all of them with half the allowances, other
//! seeds and twice the cut (`cargo xtask test --long` runs both). `usual:ID,ID` runs only those.

#![expect(
    clippy::panic,
    reason = "a test says what is wrong by panicking, helpers included"
)]

mod agree;
mod bite;
mod case;
mod extra;
mod left_out;
mod plan;
mod rule;
mod run;
mod special;
mod table;
mod words;
mod write;

use case::Case;
use plan::{BRIEF, Effort, LONG, USUAL};
use std::path::Path;

const VARIABLE: &str = "FLOWREEL_GROUND_TRUTH";
/// What a plain `cargo test` runs: each kind of arithmetic once, in seconds.
const HANDFUL: &[&str] = &[
    "attempt-limit-4-p0.5",
    "dd1-rho0.6",
    "erlang-b-c10-a8",
    "md1k-k5-rho0.8",
];

/// Number of checks in the suite.
pub(crate) fn checks_in_all() -> usize {
    case::all()
        .iter()
        .filter(|case| left_out::reason(&case.id).is_none())
        .map(checks_of)
        .sum()
}

fn checks_of(case: &Case) -> usize {
    if special::is_special(case) {
        return special::checks(case).len();
    }
    run::written(case).expect("it is not left out").checks.len()
}

#[expect(
    clippy::disallowed_methods,
    reason = "how much a test does is told to it in no other way"
)]
fn asked_for() -> (Effort, Vec<Case>, bool) {
    let asked = std::env::var(VARIABLE).unwrap_or_default();
    let (level, names) = asked.split_once(':').unwrap_or((&asked, ""));
    let names: Vec<&str> = names.split(',').filter(|name| !name.is_empty()).collect();
    let effort = match level {
        "long" => LONG,
        "brief" => BRIEF,
        _ => USUAL,
    };
    let is_wanted = |case: &Case| match (level, names.is_empty()) {
        ("", _) => HANDFUL.contains(&case.id.as_str()),
        ("brief" | "usual" | "long", true) => left_out::reason(&case.id).is_none(),
        ("brief" | "usual" | "long", false) => names.contains(&case.id.as_str()),
        (other, _) => panic!("{VARIABLE} is `{other}`, not `brief`, `usual` or `long`"),
    };
    let is_whole = !level.is_empty() && names.is_empty();
    (
        effort,
        case::all().into_iter().filter(is_wanted).collect(),
        is_whole,
    )
}

#[test]
fn every_exact_value_lies_in_its_tight_interval() {
    let (effort, cases, is_whole) = asked_for();
    let checks = checks_in_all();
    let (mut reports, mut complaints) = (Vec::new(), Vec::new());
    for case in &cases {
        match run::run(case, effort, checks) {
            Ok(report) => {
                println!("{}", table::row(&report));
                for complaint in report.complaints() {
                    println!("    {complaint}");
                    complaints.push(complaint);
                }
                reports.push(report);
            }
            Err(error) => {
                println!("{error}");
                complaints.push(error);
            }
        }
    }
    println!("{}", table::summary(&reports, checks));
    if is_whole {
        let name = if effort == LONG {
            "ground-truth-long.md"
        } else if effort == BRIEF {
            "ground-truth-brief.md"
        } else {
            "ground-truth.md"
        };
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, table::markdown(&reports, checks)).expect("the table can be written");
        println!("table: {}", path.display());
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn every_case_is_written_or_left_out_with_a_reason() {
    let cases = case::all();
    let mut unsaid = Vec::new();
    for case in cases.iter().filter(|case| !special::is_special(case)) {
        let written = run::written(case);
        let loaded = written.and_then(|written| {
            assert!(
                !written.checks.is_empty(),
                "{}: nothing to compare",
                case.id
            );
            let stop = if written.head.is_empty() {
                "requests = 10\n"
            } else {
                &written.head
            };
            let text = run::text(case, stop, &written.tables);
            flowreel_engine::scenario::load(&text, &[]).map_err(|error| error.to_string())
        });
        if let (Err(error), None) = (&loaded, left_out::reason(&case.id)) {
            unsaid.push(format!("{}: {error}", case.id));
        }
        if let (Ok(_), Some(reason)) = (&loaded, left_out::reason(&case.id)) {
            println!("{} can be said now: {reason}", case.id);
        }
    }
    for (id, _) in left_out::LEFT_OUT {
        assert!(
            cases.iter().any(|case| case.id == *id),
            "there is no case `{id}`"
        );
    }
    assert_eq!(cases.len(), 134);
    assert!(unsaid.is_empty(), "{unsaid:#?}");
}
