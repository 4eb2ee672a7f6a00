//! Same scenario, seed and version: same bytes. Asked of the built program, as a user would.
//!
//! Belongs here: runs side by side and their hashes. Does not belong here: what a run computes.

use crate::environment::Environment;
use crate::process;
use crate::steps::Ending;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const SCENARIO: &str = "scenarios/notification.toml";

/// Two runs, another seed, a run that records, and the proof a reel carries in itself.
pub(crate) fn check(environment: &Environment) -> Result<Ending> {
    let folder = environment.target.join("xtask-test");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let reel = folder.join("determinism.reel");

    let first = simulate(environment, "7", None)?;
    ensure!(
        first == simulate(environment, "7", None)?,
        "seed 7 gave two run hashes"
    );
    ensure!(
        first != simulate(environment, "8", None)?,
        "seeds 7 and 8 gave one run hash"
    );
    ensure!(
        first == simulate(environment, "7", Some(&reel))?,
        "recording the run changed its hash"
    );
    let mut verify = flowreel(environment);
    process::output(
        verify
            .arg("verify")
            .arg(&reel)
            .args(["--resimulate", "--json"]),
    )?;
    Ok(Ending::Passed(format!(
        "run hash {first}, four runs and one simulated again"
    )))
}

fn simulate(environment: &Environment, seed: &str, reel: Option<&Path>) -> Result<String> {
    let mut command = flowreel(environment);
    command.args(["simulate", SCENARIO, "--seed", seed, "--json"]);
    if let Some(reel) = reel {
        command.arg("--out").arg(reel);
    }
    let answer: Value = serde_json::from_str(&process::output(&mut command)?)
        .context("the answer of `flowreel simulate --json` is not JSON")?;
    let hash = answer["run_hash"]
        .as_str()
        .context("the answer has no run_hash")?;
    Ok(hash.to_owned())
}

fn flowreel(environment: &Environment) -> Command {
    let mut command = Command::new(environment.program("flowreel"));
    command.current_dir(&environment.root);
    command
}
