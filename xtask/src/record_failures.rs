//! `cargo xtask record-failures`: plays every failure on real parts and keeps its reel in `recordings/`.
//!
//! Belongs here: which tests play them, where reels and notes go. Does not belong here: the plays
//! (the live backend's tests), what notes say.

use crate::environment::Environment;
use crate::{Outcome, process, services, talk};
use anyhow::Result;

/// Plays those whose test names hold `which`, else all, then prints anew what the notes' commands print.
pub(crate) fn run(environment: &Environment, which: Option<&str>) -> Result<Outcome> {
    let filter = which.unwrap_or("failures::");
    let package = ["test", "-p", "flowreel-live-backend", "--test", "it"];
    // One at a time: each has the machine for itself.
    let plays = ["--", filter, "--test-threads", "1"];
    let mut command = environment.cargo(&[&package[..], &plays[..]].concat());
    command
        .env("FLOWREEL_FAILURES", environment.root.join("recordings"))
        .env("FLOWREEL_SERVICES", "required")
        .env("MONGOD", services::mongod::program(environment)?);
    process::run(&mut command)?;
    let notes = "failures::every_note_of_a_failure_says_what_its_commands_print";
    let package = ["test", "-p", "flowreel-engine", "--test", "it"];
    let mut command = environment.cargo(&[&package[..], &["--", "--exact", notes]].concat());
    process::run(command.env("FLOWREEL_NOTES", "write"))?;
    talk::say("recordings/ holds the new reels; read each note again before you commit them");
    Ok(Outcome::Holds)
}
