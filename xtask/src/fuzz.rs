//! `cargo xtask fuzz`: builds the fuzzer and runs its targets, one after the other.
//!
//! Belongs here: how it is built and run, what its log says. Does not belong here: what is checked
//! (engine/tests/it/fuzz_targets).

use crate::environment::Environment;
use crate::machine::{self, Need};
use crate::steps::{Ending, Steps};
use crate::{Outcome, process, talk};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What makes the compiler count edges and compared values; stable codegen options, see docs/decisions.md.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// The target is chosen by this variable.
const VARIABLE: &str = "FLOWREEL_FUZZ_TARGET";

/// Longest input, longest time for one in seconds (of a busy machine), most memory in MiB.
const LIMITS: [&str; 3] = ["-max_len=65536", "-timeout=30", "-rss_limit_mb=2048"];

/// Targets that are fed reels; they share a list of words.
const READ_REELS: [&str; 4] = ["reader", "stream", "recover", "edit"];

/// Time for each target where none is named.
const SECONDS: u64 = 60;

/// What a run of one target came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    executions: u64,
    /// Edges of the program that some input has taken.
    edges: u64,
    /// Inputs kept.
    inputs: u64,
    /// What went wrong, and the input that shows it.
    crash: Option<(String, String)>,
}

/// Runs the command's words; see the usage of xtask.
pub(crate) fn run(environment: &Environment, words: &[&str]) -> Result<Outcome> {
    let (names, seconds) = match *words {
        [] => (targets(environment)?, SECONDS),
        ["--seconds", seconds] => (targets(environment)?, seconds.parse()?),
        [target] => (vec![known(environment, target)?], SECONDS),
        [target, "--seconds", seconds] => (vec![known(environment, target)?], seconds.parse()?),
        [target, file] => return replay(environment, target, Path::new(file)),
        _ => bail!("fuzz takes a target, `--seconds N`, or a target and a file"),
    };
    let mut steps = Steps::default();
    let provided = steps.run("packages", || machine::provide(environment, Need::Fuzzing));
    if provided
        && steps.run("build", || {
            build(environment).map(|_| Ending::Passed(String::new()))
        })
    {
        for name in &names {
            steps.run(name, || target_step(environment, name, seconds));
        }
    }
    talk::say(&steps.summary());
    Ok(Outcome::of(steps.holds()))
}

/// Every target for a minute, as one step of the long checks.
pub(crate) fn step(environment: &Environment) -> Result<Ending> {
    Ok(match run(environment, &[])? {
        Outcome::Holds => Ending::Passed(format!("{SECONDS} s a target")),
        Outcome::Fails | Outcome::BadUsage | Outcome::Fault => {
            Ending::Failed("an input went wrong; its path stands above".to_owned())
        }
    })
}

/// The folders of the corpus; a test of the engine holds them against its list of targets.
fn targets(environment: &Environment) -> Result<Vec<String>> {
    let folder = environment.root.join("fuzz/corpus");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).context("fuzz/corpus cannot be read")? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn known(environment: &Environment, name: &str) -> Result<String> {
    let names = targets(environment)?;
    ensure!(
        names.iter().any(|known| known == name),
        "there is no target `{name}`; there are {}",
        names.join(", ")
    );
    Ok(name.to_owned())
}

/// Builds the fuzzer in a folder of its own, so that no other build starts anew; returns the program.
fn build(environment: &Environment) -> Result<PathBuf> {
    let host = process::output(Command::new("rustc").arg("-vV"))?;
    let host = host
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("`rustc -vV` names no host")?;
    let target = environment.target.join("fuzz");
    let mut command = environment.cargo(&["build", "--locked", "--release", "--target", host]);
    command
        .arg("--manifest-path")
        .arg(environment.root.join("fuzz/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        // With a host named, build scripts and macros go without.
        .env("RUSTFLAGS", FLAGS);
    process::run(&mut command)?;
    Ok(target.join(host).join("release/flowreel-fuzz"))
}

/// Feeds one file and nothing else.
fn replay(environment: &Environment, target: &str, file: &Path) -> Result<Outcome> {
    let name = known(environment, target)?;
    ensure!(file.is_file(), "there is no file {}", file.display());
    let mut command = Command::new(build(environment)?);
    let status = command
        .args(LIMITS)
        .arg(file)
        .env(VARIABLE, name)
        .status()?;
    Ok(Outcome::of(status.success()))
}

fn target_step(environment: &Environment, name: &str, seconds: u64) -> Result<Ending> {
    let program = build(environment)?;
    let folder = environment.target.join("fuzz");
    // Inputs that reach something new stay here from run to run; the corpus in the tree is only read.
    let found = folder.join("corpus").join(name);
    let crashes = folder.join("crashes");
    fs::create_dir_all(&found)?;
    fs::create_dir_all(&crashes)?;
    let log = folder.join(format!("{name}.log"));
    let mut command = Command::new(program);
    command
        .args(LIMITS)
        .arg(format!("-max_total_time={seconds}"))
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/{name}-", crashes.display()));
    let words = if READ_REELS.contains(&name) {
        "reel"
    } else {
        name
    };
    let words = environment.root.join("fuzz").join(format!("{words}.dict"));
    if words.is_file() {
        command.arg(format!("-dict={}", words.display()));
    }
    let status = command
        .arg(&found)
        .arg(environment.root.join("fuzz/corpus").join(name))
        .env(VARIABLE, name)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?)
        .status()?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let figures = figures(&text);
    if let Some((what, input)) = figures.crash {
        return Ok(Ending::Failed(format!(
            "{what}; the input is {input}, again: cargo xtask fuzz {name} {input}; log: {}",
            log.display()
        )));
    }
    if !status.success() {
        bail!("the fuzzer ended with {status}; log: {}", log.display());
    }
    ensure!(
        figures.executions > 0,
        "nothing was run; log: {}",
        log.display()
    );
    Ok(Ending::Passed(format!(
        "{} executions, {} a second, {} edges, {} inputs",
        figures.executions,
        figures.executions / seconds.max(1),
        figures.edges,
        figures.inputs
    )))
}

/// What libFuzzer's log says.
fn figures(log: &str) -> Figures {
    let mut figures = Figures::default();
    let mut what = None;
    for line in log.lines() {
        let number_after = |mark: &str| -> Option<u64> {
            let digits = line.split(mark).nth(1)?.trim_start();
            digits
                .split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse()
                .ok()
        };
        figures.executions =
            number_after("stat::number_of_executed_units:").unwrap_or(figures.executions);
        if line.starts_with('#') {
            figures.edges = number_after(" cov: ").unwrap_or(figures.edges);
            figures.inputs = number_after(" corp: ").unwrap_or(figures.inputs);
        }
        if what.is_none() && (line.contains("panicked at") || line.contains(" ERROR: libFuzzer: "))
        {
            what = Some(line.trim().to_owned());
        }
        if let Some((_, path)) = line.split_once("Test unit written to ") {
            let what = what
                .clone()
                .unwrap_or_else(|| "an input went wrong".to_owned());
            figures.crash = Some((what, path.trim().to_owned()));
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gives_executions_edges_and_inputs() {
        let log = "INFO: Seed: 1\n#2\tINITED cov: 6014 ft: 6015 corp: 1/1b exec/s: 0 rss: 40Mb\n\
                   #512\tpulse  cov: 6100 ft: 7000 corp: 23/4Kb lim: 4 exec/s: 256 rss: 41Mb\n\
                   stat::number_of_executed_units: 5120\nstat::average_exec_per_sec:     85\n";
        let expected = Figures {
            executions: 5120,
            edges: 6100,
            inputs: 23,
            crash: None,
        };
        assert_eq!(figures(log), expected);
    }

    #[test]
    fn a_crash_is_told_with_its_input() {
        let log = "thread '<unnamed>' panicked at engine/src/a.rs:3:5:\nattempt to add with overflow\n\
                   ==7== ERROR: libFuzzer: deadly signal\n\
                   artifact_prefix='x/'; Test unit written to x/reader-crash-1\n";
        let crash = figures(log).crash;
        let (what, input) = crash.expect("there is one");
        assert!(what.contains("engine/src/a.rs:3:5"), "{what}");
        assert_eq!(input, "x/reader-crash-1");
    }
}
