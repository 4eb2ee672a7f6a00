//! Two readers of one specification: what they make of reels that are cut, damaged or pieces of others.
//!
//! Belongs here: making the copies and comparing what both say. Does not belong here: installing the other
//! reader's packages (`other_readers`).

use crate::environment::Environment;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Both readers on copies of every reel; gives the number of copies.
pub(super) fn check(environment: &Environment, python: &Path, reels: &[PathBuf]) -> Result<usize> {
    let folder = environment.target.join("xtask-test");
    let copy = folder.join("copy.reel");
    let mut checked = 0;
    for reel in reels {
        let bytes =
            std::fs::read(reel).with_context(|| format!("{} cannot be read", reel.display()))?;
        for (case, damaged) in damages(&bytes) {
            std::fs::write(&copy, damaged).context("the copy cannot be written")?;
            compare(
                environment,
                python,
                &copy,
                &format!("{}: {case}", reel.display()),
            )?;
            checked += 1;
        }
        // By events and not by time: what stands still in the middle has none there.
        let program = || Command::new(environment.program("flowreel"));
        let cat = answer(program(), &["cat"], reel)?;
        let events = cat["events"].as_array().filter(|all| !all.is_empty());
        let events = events.context("the reel has events")?;
        let at = |thirds: usize| -> Result<String> {
            let time = events[(events.len() - 1) * thirds / 3]["t_ns"].as_u64();
            Ok(format!("{}ns", time.context("an event has its time")?))
        };
        let mut command = program();
        command.arg("slice").arg(reel).arg("--out").arg(&copy);
        command.args(["--from", &at(1)?, "--to", &at(2)?]);
        let is_sliced = command.output()?.status.success();
        ensure!(is_sliced, "{} cannot be sliced", reel.display());
        compare(
            environment,
            python,
            &copy,
            &format!("{}: a slice", reel.display()),
        )?;
        checked += 1;
    }
    Ok(checked)
}

/// Copies with one kind of damage each, all of it behind the first blocks, without which no reader has names.
fn damages(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let named = 2500.min(bytes.len() / 2);
    let mut all = Vec::new();
    for part in 1..4 {
        let length = named + (bytes.len() - named) * part / 4;
        all.push((format!("cut at {length}"), bytes[..length].to_vec()));
    }
    for part in 0..6 {
        let at = named + (bytes.len() - named) * (2 * part + 1) / 12;
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 0x10;
        all.push((format!("byte {at} flipped"), flipped));
    }
    let piece = bytes[named..named + (bytes.len() - named) / 3].to_vec();
    let mut repeated = bytes.to_vec();
    repeated.splice(named..named, piece);
    all.push(("a piece repeated".to_owned(), repeated));
    all
}

fn compare(environment: &Environment, python: &Path, reel: &Path, case: &str) -> Result<()> {
    let program = || Command::new(environment.program("flowreel"));
    let state = {
        let mut command = program();
        command.args(["state", "--at", "100000h"]);
        answer(command, &[], reel)?
    };
    let cat = answer(program(), &["cat"], reel)?;
    let info = answer(program(), &["info"], reel)?;
    let mut other = Command::new(python);
    other
        .arg(environment.root.join("tools/read_reel.py"))
        .arg(reel);
    // Exit code 1 says that something does not hold, as it should here.
    let output = other.output().context("the other reader does not start")?;
    let told: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{case}: {}", String::from_utf8_lossy(&output.stderr)))?;
    let events = cat["events"].as_array().map_or(0, Vec::len);
    ensure!(
        told["events"] == events,
        "{case}: {} events by the specification and {events} by flowreel",
        told["events"]
    );
    ensure!(
        told["final_hash"] == state["run_hash"],
        "{case}: the hash is {} by the specification and {} by flowreel",
        told["final_hash"],
        state["run_hash"]
    );
    let (theirs, ours) = (missing(&told), missing(&info));
    ensure!(
        theirs == ours,
        "{case}: {theirs} events missing by the specification and {ours} by flowreel"
    );
    Ok(())
}

fn missing(answer: &Value) -> u64 {
    let gaps = answer["gaps"].as_array().into_iter().flatten();
    gaps.filter_map(|gap| gap["events"].as_u64()).sum()
}

fn answer(mut command: Command, verb: &[&str], reel: &Path) -> Result<Value> {
    command.args(verb).arg(reel).arg("--json");
    let output = command.output().context("flowreel does not start")?;
    serde_json::from_slice(&output.stdout).context("flowreel did not answer in JSON")
}
