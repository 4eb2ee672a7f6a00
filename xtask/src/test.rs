//! `cargo xtask test`: every check there is, timed, with a table at the end.
//!
//! Belongs here: the list of checks and how each is run. Does not belong here: the rules of the house (tidy).

mod checkout;
mod deny;
mod determinism;
mod exact;
mod openapi;
mod other_readers;
mod pictures;
mod second_reader;

use crate::environment::Environment;
use crate::machine::{self, Need};
use crate::steps::{Ending, Steps};
use crate::{Outcome, fuzz, named_tests, process, services, talk, tidy};
use anyhow::Result;

/// Builds the programs. `--examples` (there are none) makes cargo count the features of
/// dev-dependencies, as for tests, so that both always share one build of Bevy.
pub(crate) const BUILD_PROGRAMS: &[&str] =
    &["build", "--locked", "--workspace", "--bins", "--examples"];

/// Random scenarios of a long run.
const SWARM_LONG: &str = "4000";

/// Tests whose size the environment sets.
const LARGE_TESTS: [&str; 3] = ["killed_at_any", "whoever_is_killed", "clients_at_rest"];
/// Processes killed, and sockets at rest, in a long run.
const KILLS_LONG: &str = "100";
const SOCKETS_LONG: &str = "10000";

/// Runs all checks; `long` adds the large sizes of tests that have two, the swarm of random scenarios, the
/// exact values with tighter intervals, and the fuzzer.
pub(crate) fn run(environment: &Environment, long: bool) -> Outcome {
    let mut steps = Steps::default();
    steps.run("packages", || machine::provide(environment, Need::Checks));
    steps.run("target folder", || checkout::claim(environment));
    steps.run("mongod", || {
        let program = services::mongod::program(environment)?;
        Ok(Ending::Passed(program.display().to_string()))
    });
    read_the_text(environment, &mut steps);
    run_the_tests(environment, &mut steps, long);
    steps.run("exact values", || {
        exact::check(environment, exact::Level::Brief)
    });
    if long {
        steps.run("exact values by the rule", || {
            exact::check(environment, exact::Level::Rule)
        });
        steps.run("exact values, tighter", || {
            exact::check(environment, exact::Level::Long)
        });
    }
    ask_the_programs(environment, &mut steps);
    if long {
        steps.run("description of the backend", || openapi::check(environment));
        steps.run("fuzzing", || fuzz::step(environment));
    }
    steps.run("licences and sources", || deny::check(environment, long));
    if long {
        steps.run("known faults of dependencies", || {
            deny::advisories(environment)
        });
    }
    steps.run("material beside the checkout", || {
        Ok(shared_step(environment))
    });
    talk::say("");
    talk::say(&steps.summary());
    Outcome::of(steps.holds())
}

/// Checks that read the source without running it.
fn read_the_text(environment: &Environment, steps: &mut Steps) {
    steps.run("format", || {
        cargo(environment, &["fmt", "--all", "--", "--check"])
    });
    steps.run("tidy", || tidy_step(environment));
    steps.run("lints", || {
        let arguments = [
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ];
        cargo(environment, &arguments)
    });
    steps.run("documentation", || {
        // The same choice of features as for lints, see BUILD_PROGRAMS.
        let arguments = [
            "doc",
            "--locked",
            "--workspace",
            "--no-deps",
            "--lib",
            "--bins",
            "--examples",
        ];
        let mut command = environment.cargo(&arguments);
        process::run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
        Ok(Ending::Passed(String::new()))
    });
}

/// Unit, integration and documentation tests.
fn run_the_tests(environment: &Environment, steps: &mut Steps, long: bool) {
    let has_nextest = environment.has("cargo-nextest");
    steps.run("tests", || {
        let arguments: &[&str] = if has_nextest {
            &[
                "nextest",
                "run",
                "--locked",
                "--workspace",
                "--profile",
                "ci",
            ]
        } else {
            let all = ["--lib", "--bins", "--tests", "--examples"];
            &[&["test", "--locked", "--workspace"], all.as_slice()].concat()
        };
        let mut command = environment.cargo(arguments);
        // A service that a test needs is here by now: its absence is a failure.
        command.env("FLOWREEL_SERVICES", "required");
        if let Ok(mongod) = services::mongod::program(environment) {
            command.env("MONGOD", mongod);
        }
        process::run(&mut command)?;
        Ok(Ending::Passed(if has_nextest {
            String::new()
        } else {
            "by cargo test; cargo-nextest is not installed".to_owned()
        }))
    });
    steps.run("documentation tests", || {
        cargo(environment, &["test", "--locked", "--workspace", "--doc"])
    });
    if long {
        steps.run("many kills, many sockets", || many(environment));
        steps.run("swarm", || {
            let profile = ["--profile", "swarm", "--no-tests", "pass"];
            let arguments = if has_nextest {
                [
                    &["nextest", "run", "--locked", "--workspace"],
                    profile.as_slice(),
                ]
                .concat()
            } else {
                vec!["test", "--locked", "--workspace", "--tests", "swarm"]
            };
            let mut command = environment.cargo(&arguments);
            process::run(command.env("FLOWREEL_SWARM", SWARM_LONG))?;
            Ok(Ending::Passed(format!("{SWARM_LONG} random scenarios")))
        });
    }
}

/// The tests that come in two sizes, in the large one; they are long and load the machine, so one by one.
fn many(environment: &Environment) -> Result<Ending> {
    let all = named_tests::of(environment, "flowreel-live-backend")?;
    named_tests::all_match(&all, &LARGE_TESTS)?;
    let mut command = environment.cargo(&["test", "--locked", "-p", "flowreel-live-backend"]);
    command
        .args(["--test", "it", "--", "--test-threads", "1"])
        .args(LARGE_TESTS)
        .env("FLOWREEL_SERVICES", "required")
        .env("FLOWREEL_KILLS", KILLS_LONG)
        .env("FLOWREEL_SOCKETS", SOCKETS_LONG)
        .env("MONGOD", services::mongod::program(environment)?);
    process::run(&mut command)?;
    Ok(Ending::Passed(format!(
        "{KILLS_LONG} kills, {SOCKETS_LONG} sockets"
    )))
}

/// Checks that ask the built programs, as a user would.
fn ask_the_programs(environment: &Environment, steps: &mut Steps) {
    if !steps.run("programs", || cargo(environment, BUILD_PROGRAMS)) {
        return;
    }
    steps.run("same bytes again", || determinism::check(environment));
    steps.run("same bytes as shipped", || {
        determinism::check_builds(environment)
    });
    steps.run("other readers", || other_readers::check(environment));
    steps.run("pictures", || pictures::check(environment));
}

fn cargo(environment: &Environment, arguments: &[&str]) -> Result<Ending> {
    process::run(&mut environment.cargo(arguments))?;
    Ok(Ending::Passed(String::new()))
}

fn tidy_step(environment: &Environment) -> Result<Ending> {
    let report = tidy::check(environment)?;
    for line in report
        .remarks
        .iter()
        .cloned()
        .chain(report.findings.iter().map(ToString::to_string))
    {
        talk::say(&line);
    }
    let summary = report.summary();
    Ok(if report.findings.is_empty() {
        Ending::Passed(summary)
    } else {
        Ending::Failed(summary)
    })
}

/// The tests read `../shared` themselves; here it is only said whether they could.
fn shared_step(environment: &Environment) -> Ending {
    match &environment.shared {
        Some(_) => Ending::Passed("the tests compared with ../shared/traces".to_owned()),
        None => {
            Ending::Skipped("there is no ../shared; tests that compare with it said so".to_owned())
        }
    }
}
