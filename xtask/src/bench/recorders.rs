//! Recording beside the `mcap` crate, and a reel of 100 million events, in one run.
//!
//! Belongs here: building and running `benches/peers` for reels, what its figures are called. Does not belong
//! here: the work itself (benches/peers), the engine's own benches (bench).

use crate::environment::Environment;
use crate::{process, talk};
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const RECORDING: &str = "recordings/smtp-refuses.reel";
/// Events of the comparison; ten million are ten seconds of one core.
const COMPARED: &str = "10000000";
const LONG: &str = "100000000";
/// Names of the other ways, as the program prints them before a dot.
const OTHERS: [&str; 2] = ["mcap", "mcap_batched"];

/// Runs everything, prints the table, and says each figure for the summary.
pub(crate) fn run(environment: &Environment) -> Result<Vec<Value>> {
    talk::say("==> recorders");
    let program = built(environment)?;
    let recording = environment.root.join(RECORDING);
    let long = environment.target.join("bench").join("long.reel");
    if let Some(folder) = long.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    let mut figures = Vec::new();
    figures.extend(ask(
        &program,
        &[Path::new("compare"), &recording, Path::new(COMPARED)],
    )?);
    figures.extend(ask(
        &program,
        &[Path::new("write"), &recording, Path::new(LONG), &long],
    )?);
    for verb in ["open", "play"] {
        figures.extend(ask(&program, &[Path::new(verb), &long])?);
    }
    std::fs::remove_file(&long).with_context(|| format!("{} stays", long.display()))?;
    let results: Vec<Value> = figures
        .iter()
        .filter(|(id, _)| id.starts_with("reel."))
        .map(|(id, value)| result(id, *value, &figures))
        .collect();
    show(&results);
    Ok(results)
}

/// With MCAP beside ours where its crate can be had.
fn built(environment: &Environment) -> Result<PathBuf> {
    let target = environment.target.join("peers");
    let build = |features: &[&str]| {
        let manifest = environment.root.join("benches/peers/Cargo.toml");
        let mut command = environment.cargo(&["build", "--release", "--manifest-path"]);
        command.arg(manifest).args(["--bin", "reel"]).args(features);
        process::run(command.arg("--target-dir").arg(&target))
    };
    if let Err(error) = build(&["--features", "mcap"]) {
        talk::say(&format!("SKIPPED mcap: {error:#}"));
        build(&[])?;
    }
    Ok(target.join("release/reel"))
}

fn ask(program: &Path, words: &[&Path]) -> Result<Vec<(String, f64)>> {
    let mut command = Command::new(program);
    command.args(words);
    let text = process::output(&mut command)?;
    text.lines()
        .map(|line| {
            let figure: Value = serde_json::from_str(line)
                .with_context(|| format!("{} printed {line}", program.display()))?;
            let id = figure["id"].as_str().context("a figure without a name")?;
            let value = figure["value"]
                .as_f64()
                .context("a figure without a number")?;
            Ok((id.to_owned(), value))
        })
        .collect()
}

fn result(id: &str, value: f64, figures: &[(String, f64)]) -> Value {
    let what = id.strip_prefix("reel.").unwrap_or(id);
    let peers: Map<String, Value> = OTHERS
        .iter()
        .filter_map(|other| {
            let name = format!("{other}.{what}");
            let (_, value) = figures.iter().find(|(id, _)| *id == name)?;
            Some(((*other).to_owned(), json!(value)))
        })
        .collect();
    let (unit, better) = match what {
        _ if what.ends_with("_ms") => ("ms", "lower"),
        _ if what.ends_with("_mib") => ("MiB", "lower"),
        "bytes_per_event" | "batch_bytes_per_event" => ("bytes", "lower"),
        "long_bytes" => ("bytes", "lower"),
        "long_events" | "long_keyframes" => ("1", "higher"),
        _ => ("1/s", "higher"),
    };
    json!({"id": id, "value": value, "unit": unit, "better": better, "peers": peers,
           "command": "cargo xtask bench reel"})
}

fn show(results: &[Value]) {
    let mut rows = vec![
        ["figure", "flowreel", "mcap", "mcap in batches"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for result in results {
        let own = result["value"].as_f64().unwrap_or_default();
        let mut row = vec![
            result["id"].as_str().unwrap_or_default().to_owned(),
            format!("{own:.3}"),
        ];
        row.extend(OTHERS.iter().map(|other| {
            let theirs = result["peers"][*other].as_f64();
            theirs.map_or_else(String::new, |theirs| {
                format!("{theirs:.3} ({:.2} times)", own / theirs)
            })
        }));
        rows.push(row);
    }
    talk::say(&talk::table(&rows));
}
