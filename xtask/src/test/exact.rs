//! The engine against exact values, as fast as it is shipped.
//!
//! Belongs here: how that test is built and told how much to do. Does not belong here: the test itself.

use crate::environment::Environment;
use crate::process;
use crate::steps::Ending;
use anyhow::Result;

/// How much the test does; it reads the word from this variable.
const VARIABLE: &str = "FLOWREEL_GROUND_TRUTH";

/// Runs every case, or with `long` every case with half the allowances, other seeds and twice the cut.
pub(crate) fn check(environment: &Environment, long: bool) -> Result<Ending> {
    let (level, file) = if long {
        ("long", "ground-truth-long.md")
    } else {
        ("usual", "ground-truth.md")
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
