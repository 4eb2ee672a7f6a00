//! The engine against exact values, as fast as it is shipped.
//!
//! Belongs here: how that test is built and told how much to do. Does not belong here: the test itself.

use crate::environment::Environment;
use crate::process;
use crate::steps::Ending;
use anyhow::Result;

/// How much the test does; it reads the word from this variable.
const VARIABLE: &str = "FLOWREEL_GROUND_TRUTH";

/// How tight the intervals must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Twice as wide as the rule asks for: every value in a quarter of the time.
    Brief,
    /// As the rule asks.
    Rule,
    /// Half as wide, with other seeds and twice the cut.
    Long,
}

/// Runs every case.
pub(crate) fn check(environment: &Environment, level: Level) -> Result<Ending> {
    let (level, file) = match level {
        Level::Brief => ("brief", "ground-truth-brief.md"),
        Level::Rule => ("usual", "ground-truth.md"),
        Level::Long => ("long", "ground-truth-long.md"),
    };
    let mut command = environment.cargo(&[
        "test",
        "--locked",
        "--release",
        "--package",
        "flowreel-engine",
        "--test",
        "ground_truth",
        "every_exact_value",
        "--",
        "--nocapture",
    ]);
    process::run(command.env(VARIABLE, level))?;
    let table = environment.target.join("tmp").join(file);
    let text = std::fs::read_to_string(&table).unwrap_or_default();
    Ok(Ending::Passed(
        text.lines().next().unwrap_or_default().to_owned(),
    ))
}
