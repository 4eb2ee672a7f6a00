//! What we write is read by programs that share no code with ours: Python, with packages from PyPI.
//!
//! Belongs here: the packages, and what both sides must agree on. Does not belong here: the formats.

use super::second_reader;
use crate::environment::Environment;
use crate::process;
use crate::steps::Ending;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages, each with the version that the checks were written against.
const PACKAGES: &[&str] = &[
    "msgpack==1.*",
    "zstandard==0.25.*",
    "perfetto==0.59.*",
    "duckdb==2.0.*",
];

/// Every shipped reel, read from its specification alone and after export.
pub(crate) fn check(environment: &Environment) -> Result<Ending> {
    let python = python(environment)?;
    let folder = environment.target.join("xtask-test");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let reels = shipped(&environment.root.join("recordings"))?;
    for reel in &reels {
        let name = reel.display();
        let info = flowreel(environment, &["info"], reel, &[])?;
        let told = script(environment, &python, "tools/read_reel.py", reel)?;
        for key in ["final_hash", "events", "keyframes"] {
            ensure!(
                told[key] == info[key],
                "{name}: {key} is {} by the specification and {} by flowreel",
                told[key],
                info[key]
            );
        }
        let trace = folder.join("export.perfetto");
        let out = trace.to_string_lossy().into_owned();
        let exported = flowreel(
            environment,
            &["export"],
            reel,
            &["--format", "perfetto", "--out", &out],
        )?;
        let told = script(environment, &python, "tools/read_perfetto.py", &trace)?;
        ensure!(
            told["slices"] == exported["items"],
            "{name}: {} slices were written and {} are read",
            exported["items"],
            told["slices"]
        );
        check_tables(environment, &python, &folder, reel, &info)?;
    }
    let copies = second_reader::check(environment, &python, &reels)?;
    Ok(Ending::Passed(format!(
        "{} reels read from the specification, as Perfetto traces, and by DuckDB as Parquet, CSV and JSON lines; {copies} damaged copies and slices read alike",
        reels.len()
    )))
}

/// Parquet, CSV and JSON lines, read by DuckDB: all three must hold what `info` tells.
fn check_tables(
    environment: &Environment,
    python: &Path,
    folder: &Path,
    reel: &Path,
    info: &Value,
) -> Result<()> {
    let base = folder.join("export");
    for format in ["parquet", "csv", "jsonl"] {
        let out = base.with_extension(format).to_string_lossy().into_owned();
        let rest = ["--format", format, "--out", &out];
        flowreel(environment, &["export"], reel, &rest)?;
    }
    let told = script(environment, python, "tools/read_tables.py", &base)?;
    let about = &told["about"];
    let version = format!("{}.{}", info["format_version"], info["format_minor"]);
    for (what, read, wanted) in [
        ("rows", &told["rows"], &info["events"]),
        ("first time", &told["first_t_ns"], &info["first_t_ns"]),
        ("last time", &told["last_t_ns"], &info["last_t_ns"]),
        ("kinds", &told["kinds"], &info["kinds"]),
        ("details", &told["records"], &info["details"]),
        ("run", &about["flowreel.run_id"], &info["run_id"]),
        ("hash", &about["flowreel.final_hash"], &info["final_hash"]),
        (
            "version",
            &about["flowreel.format_version"],
            &version.into(),
        ),
    ] {
        ensure!(
            read == wanted,
            "{}: {what} is {read} by DuckDB and {wanted} by flowreel",
            reel.display()
        );
    }
    ensure!(
        told["started_at_unix_ns"].is_null() == info["started_at"].is_null(),
        "{}: there is a column for the wall clock where the run has none, or the reverse",
        reel.display()
    );
    Ok(())
}

fn shipped(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut reels = Vec::new();
    for entry in std::fs::read_dir(folder).context("recordings/ cannot be listed")? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "reel") {
            reels.push(path);
        }
    }
    reels.sort();
    ensure!(!reels.is_empty(), "there is no reel in recordings/");
    Ok(reels)
}

/// A Python with the packages, made once beside the builds.
fn python(environment: &Environment) -> Result<PathBuf> {
    let home = environment.target.join("xtask-python");
    let python = home.join("bin/python");
    let stamp = home.join("packages");
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|held| held == wanted) {
        return Ok(python);
    }
    process::run(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&home),
    )?;
    let mut install = Command::new(&python);
    install
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
        ])
        .args(PACKAGES);
    process::run(&mut install)?;
    std::fs::write(&stamp, wanted).with_context(|| format!("{}", stamp.display()))?;
    Ok(python)
}

fn script(environment: &Environment, python: &Path, script: &str, file: &Path) -> Result<Value> {
    let mut command = Command::new(python);
    command.arg(environment.root.join(script)).arg(file);
    let text = process::output(&mut command)?;
    serde_json::from_str(&text).with_context(|| format!("{script} did not answer in JSON"))
}

fn flowreel(environment: &Environment, verb: &[&str], reel: &Path, rest: &[&str]) -> Result<Value> {
    let mut command = Command::new(environment.program("flowreel"));
    command.args(verb).arg(reel).args(rest).arg("--json");
    let text = process::output(&mut command)?;
    serde_json::from_str(&text).context("flowreel did not answer in JSON")
}
