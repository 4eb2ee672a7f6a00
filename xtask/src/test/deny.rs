//! `cargo deny`: licences, bans, sources, and known faults of what we depend on.
//!
//! Belongs here: getting cargo-deny, which of its checks run. Does not belong here: the rules (deny.toml).

use crate::environment::Environment;
use crate::process;
use crate::steps::Ending;
use anyhow::Result;
use std::path::PathBuf;

/// What cargo-deny says where its database of faults cannot be had.
const NO_DATABASE: &str = "failed to fetch advisory database";

/// Everything that needs no network; a long run gets cargo-deny where it is absent.
pub(super) fn check(environment: &Environment, long: bool) -> Result<Ending> {
    if !environment.has("cargo-deny") && !long {
        let remark = "cargo-deny is not installed; cargo install --locked cargo-deny";
        return Ok(Ending::Skipped(remark.to_owned()));
    }
    let mut command = deny(environment)?;
    process::run(command.args(["bans", "licenses", "sources"]))?;
    Ok(Ending::Passed(String::new()))
}

/// Known faults, where the database can be had.
pub(super) fn advisories(environment: &Environment) -> Result<Ending> {
    let mut command = deny(environment)?;
    let output = command.arg("advisories").output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(Ending::Passed(String::new()));
    }
    if said.contains(NO_DATABASE) {
        let remark =
            "the advisory database cannot be reached; deny.toml bans the versions known as unsafe";
        return Ok(Ending::Skipped(remark.to_owned()));
    }
    Ok(Ending::Failed(said.into_owned()))
}

/// `cargo deny check`, by an installed cargo-deny or one of our own beside the builds.
fn deny(environment: &Environment) -> Result<std::process::Command> {
    let program = if environment.has("cargo-deny") {
        PathBuf::from("cargo-deny")
    } else {
        own(environment)?
    };
    let mut command = std::process::Command::new(program);
    command
        .current_dir(&environment.root)
        .args(["deny", "check"]);
    Ok(command)
}

fn own(environment: &Environment) -> Result<PathBuf> {
    let home = environment.target.join("xtask-cargo-deny");
    let program = home.join("bin/cargo-deny");
    if !program.exists() {
        let mut install = environment.cargo(&["install", "--locked", "cargo-deny", "--root"]);
        process::run(install.arg(&home))?;
    }
    Ok(program)
}
