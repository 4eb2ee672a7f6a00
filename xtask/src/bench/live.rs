//! The live backend under load, beside HAProxy and socket.io on Node in the same run.
//!
//! Belongs here: the programs, what they are started with, one figure's form. Does not belong here: what
//! is measured (one file each).
//!
//! The machine is shared and noisy, so whoever is compared takes turns with the others, round by round.

mod balancer;
mod flow;
mod sockets;
mod usage;

use crate::demo::child::Running;
use crate::environment::Environment;
use crate::{process, talk};
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const COMMAND: &str = "cargo xtask bench live";
/// A program that does not start in this time does not start.
const START: Duration = Duration::from_secs(60);
/// A program that does not end in this time hangs.
const END: Duration = Duration::from_secs(60);

/// The programs, and where they may leave things.
pub(super) struct Bench<'a> {
    environment: &'a Environment,
    /// The backend, optimised.
    live: PathBuf,
    /// `benches/peers/src/bin/proxy.rs`.
    proxy: PathBuf,
    folder: PathBuf,
}

/// What is measured together.
type Part = fn(&Bench<'_>) -> Result<Vec<Value>>;

/// The parts of an area: all three of `live`, and each by its own name.
pub(super) fn parts(area: Option<&str>) -> Vec<Part> {
    let all: [(&str, Part); 3] = [
        ("balancer", balancer::run),
        ("sockets", sockets::run),
        ("flow", flow::run),
    ];
    all.into_iter()
        .filter(|(name, _)| area.is_none_or(|area| area == "live" || area == *name))
        .map(|(_, part)| part)
        .collect()
}

/// Measures these and says each figure for the summary.
pub(super) fn run(environment: &Environment, parts: &[Part]) -> Result<Vec<Value>> {
    talk::say("==> live backend and its peers");
    let bench = Bench::prepare(environment)?;
    talk::say(&format!("load average before: {}", usage::load_average()?));
    let mut results = Vec::new();
    for part in parts {
        results.extend(part(&bench)?);
    }
    talk::say(&format!("load average after: {}", usage::load_average()?));
    show(&results);
    Ok(results)
}

impl<'a> Bench<'a> {
    fn prepare(environment: &'a Environment) -> Result<Self> {
        let package = "flowreel-live-backend";
        let arguments = ["build", "--release", "--locked", "--package", package];
        process::run(&mut environment.cargo(&arguments))?;
        let peers = environment.target.join("peers");
        let manifest = environment.root.join("benches/peers/Cargo.toml");
        let mut build = environment.cargo(&["build", "--release", "--bin", "proxy"]);
        build.arg("--manifest-path").arg(manifest);
        process::run(build.arg("--target-dir").arg(&peers))?;
        let folder = environment.target.join("bench/live");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self {
            environment,
            live: environment.target.join("release/flowreel-live"),
            proxy: peers.join("release/proxy"),
            folder,
        })
    }

    /// Everything in one process on free ports and an empty store, as fast as the machine lets it.
    fn backend(&self, name: &str, recording: &str, parts: &[&str]) -> Result<Backend> {
        let folder = self.folder.join(name);
        if folder.is_dir() {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("{} cannot be emptied", folder.display()))?;
        }
        let recordings = folder.join("recordings");
        let mut command = Command::new(&self.live);
        command
            .args(["--port-base", "0", "--print-ready", "--data"])
            .arg(folder.join("data"))
            .args(parts)
            .arg("--record");
        if recording == "off" {
            command.arg("off");
        } else {
            command.arg(recordings);
        }
        for (name, value) in [
            ("RUST_LOG", "error"),
            ("MAIL_QUEUE_RATE", "1000000"),
            ("INAPP_QUEUE_RATE", "1000000"),
            ("MAIL_QUEUE_CONCURRENCY", "64"),
            ("INAPP_QUEUE_CONCURRENCY", "256"),
        ] {
            command.env(name, value);
        }
        let running = Running::start(command)?;
        let line = running.line(START)?;
        let ready: Value = serde_json::from_str(&line).context("the ready line is no JSON")?;
        Ok(Backend { running, ready })
    }

    /// One run of the load driver.
    fn load(&self, url: &str, token: Option<&str>, arguments: &str) -> Result<Value> {
        let mut command = Command::new(&self.live);
        command
            .env("RUST_LOG", "error")
            .args(["load", "--url", url]);
        command.args(arguments.split(' '));
        if let Some(token) = token {
            command.args(["--token", token]);
        }
        let text = process::output(&mut command)?;
        serde_json::from_str(&text).context("the report of the load driver is no JSON")
    }
}

/// A running backend.
struct Backend {
    running: Running,
    ready: Value,
}

impl Backend {
    fn url(&self, part: &str) -> Result<String> {
        let url = self.ready["urls"][part].as_str();
        url.map(str::to_owned)
            .with_context(|| format!("the ready line names no {part}"))
    }

    fn token(&self) -> Option<&str> {
        self.ready["admin_token"].as_str()
    }

    fn stop(mut self) -> Result<()> {
        self.running.terminate(END)
    }
}

/// A number of a report, or what is missing.
fn number(report: &Value, path: &str) -> Result<f64> {
    let value = report.pointer(path).and_then(Value::as_f64);
    value.with_context(|| format!("the report has no {path}: {report}"))
}

/// One entry of the summary.
fn figure(id: &str, value: f64, unit: &str, better: &str, peers: &[(&str, f64)]) -> Value {
    let peers: Map<String, Value> = peers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    json!({"id": id, "value": value, "unit": unit, "better": better, "peers": peers, "command": COMMAND})
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn show(results: &[Value]) {
    let mut rows = vec![
        ["figure", "flowreel", "unit", "peers"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for result in results {
        let peers = result["peers"].as_object().into_iter().flatten();
        let peers: Vec<String> = peers
            .map(|(name, value)| format!("{name} {:.3}", value.as_f64().unwrap_or_default()))
            .collect();
        let text = |key: &str| result[key].as_str().unwrap_or_default().to_owned();
        let value = result["value"].as_f64().unwrap_or_default();
        rows.push(vec![
            text("id"),
            format!("{value:.3}"),
            text("unit"),
            peers.join(", "),
        ]);
    }
    talk::say(&talk::table(&rows));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_all_of_live_or_one_part_of_it() {
        let counts =
            [None, Some("live"), Some("balancer"), Some("kernel")].map(|area| parts(area).len());
        assert_eq!(counts, [3, 3, 1, 0]);
    }

    #[test]
    fn the_median_is_the_middle_value() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(Vec::new()), None);
    }
}
