//! `cargo xtask`: the project's own commands, the same at a desk and in checks.
//!
//! Belongs here: reading the command line, choosing the command, the exit code.
//! Does not belong here: what a command does (one file each).

mod bench;
mod demo;
mod dev;
mod dist;
mod environment;
mod fuzz;
mod machine;
mod named_tests;
mod process;
mod record_failures;
mod services;
mod steps;
mod talk;
mod test;
mod tidy;

use environment::Environment;
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND

  demo               build, run the whole main job once, show it, say what was measured
       [--headless]  render pictures even where there is a display
  dev [ARGUMENTS]    build and run the backend, and again whenever its source changes
  test [--long]      every check: format, lints, tidy, docs, tests, determinism, pictures
  tidy               only the rules of the house
  bench [AREA]       run the benchmarks, write bench/summary.json under the target folder
  services up|down|status [redis] [mongod] [--dir FOLDER]
                     a real Redis and mongod on this machine, for trying and for tests
  record-failures [TEST]
                     play every failure on real parts and keep its reel in recordings/
  fuzz [TARGET] [--seconds N]
                     feed readers and parsers with input made up by libFuzzer, a minute each
  fuzz TARGET FILE   feed one input, for instance one that went wrong
  dist               the three programs as they ship, in dist/ under the target folder";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = Environment::read().and_then(|environment| match words.as_slice() {
        ["demo"] => demo::run(&environment, false),
        ["demo", "--headless"] => demo::run(&environment, true),
        ["dev", rest @ ..] => dev::run(&environment, rest),
        ["test"] => Ok(test::run(&environment, false)),
        ["test", "--long"] => Ok(test::run(&environment, true)),
        ["tidy"] => tidy::run(&environment),
        ["bench"] => bench::run(&environment, None),
        ["bench", area] => bench::run(&environment, Some(area)),
        ["services", rest @ ..] => services::run(&environment, rest),
        ["record-failures"] => record_failures::run(&environment, None),
        ["record-failures", which] => record_failures::run(&environment, Some(which)),
        ["fuzz", rest @ ..] => fuzz::run(&environment, rest),
        ["dist"] => dist::run(&environment),
        ["help" | "--help" | "-h"] => {
            talk::say(USAGE);
            Ok(Outcome::Holds)
        }
        _ => {
            talk::say(USAGE);
            Ok(Outcome::BadUsage)
        }
    });
    match outcome {
        Ok(outcome) => outcome.exit_code(),
        Err(error) => {
            talk::say(&format!("xtask: {error:#}"));
            Outcome::Fault.exit_code()
        }
    }
}

/// How a command ended; the exit codes are those of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Done, and what was checked holds.
    Holds,
    /// Done, and what was checked does not hold.
    Fails,
    /// No such command.
    BadUsage,
    /// The machine lacks something, or a program could not be run.
    Fault,
}

impl Outcome {
    const fn of(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Fails }
    }

    fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Holds => 0,
            Self::Fails => 1,
            Self::BadUsage => 2,
            Self::Fault => 3,
        })
    }
}
