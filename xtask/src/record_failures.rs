//! `cargo xtask record-failures`: plays every failure on real parts and keeps its reel in `recordings/`.
//!
//! Belongs here: which tests play them, where reels and notes go. Does not belong here: the plays
//! (the live backend's tests), what notes say.

use crate::environment::Environment;
use crate::{Outcome, named_tests, process, services, talk};
use anyhow::{Result, ensure};

/// Plays those whose test names hold `which`, else all, then prints anew what the notes' commands print.
pub(crate) fn run(environment: &Environment, which: Option<&str>) -> Result<Outcome> {
    let all = named_tests::of(environment, "flowreel-live-backend")?;
    let names = plays(&all, which.unwrap_or_default());
    ensure!(
        !names.is_empty(),
        "no failure has `{}` in its test's name; these are played: {}",
        which.unwrap_or_default(),
        plays(&all, "").join(", ")
    );
    let notes = "failures::every_note_of_a_failure_says_what_its_commands_print";
    named_tests::all_match(&named_tests::of(environment, "flowreel-engine")?, &[notes])?;
    let package = ["test", "-p", "flowreel-live-backend", "--test", "it"];
    // One at a time: each has the machine for itself.
    let how = ["--", "--exact", "--test-threads", "1"];
    let mut command = environment.cargo(&[&package[..], &how[..], &names[..]].concat());
    command
        .env("FLOWREEL_FAILURES", environment.root.join("recordings"))
        .env("FLOWREEL_SERVICES", "required")
        .env("MONGOD", services::mongod::program(environment)?);
    process::run(&mut command)?;
    let package = ["test", "-p", "flowreel-engine", "--test", "it"];
    let mut command = environment.cargo(&[&package[..], &["--", "--exact", notes]].concat());
    process::run(command.env("FLOWREEL_NOTES", "write"))?;
    talk::say("recordings/ holds the new reels; read each note again before you commit them");
    Ok(Outcome::Holds)
}

/// Tests that play a failure and hold `which` in their name.
fn plays<'a>(all: &'a [String], which: &str) -> Vec<&'a str> {
    all.iter()
        .map(String::as_str)
        .filter(|name| name.starts_with("failures::") && name.contains(which))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_play_is_a_failure_whatever_else_has_its_name() {
        let all = [
            "failures::redis_is_killed",
            "redis_outages::redis_is_killed",
            "failures::stalls",
        ];
        let all = all.map(str::to_owned);
        assert_eq!(plays(&all, "redis"), ["failures::redis_is_killed"]);
        assert_eq!(plays(&all, "").len(), 2);
        assert!(plays(&all, "typo").is_empty());
    }
}
