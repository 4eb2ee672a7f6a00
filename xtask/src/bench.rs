//! `cargo xtask bench [AREA]`: runs the benchmarks and gathers their figures in one file.
//!
//! Belongs here: which bench measures what, the summary's shape. Does not belong here: the workloads.

mod live;
mod peers;
mod recorders;

use crate::environment::Environment;
use crate::{Outcome, process, talk};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::Path;

/// Runs every bench whose name begins with `area`, all where none is named, and writes the summary.
pub(crate) fn run(environment: &Environment, area: Option<&str>) -> Result<Outcome> {
    let benches = declared(&environment.metadata(&["--no-deps"])?, area);
    let live_parts = live::parts(area);
    if benches.is_empty() && live_parts.is_empty() {
        bail!(
            "no benchmark{}; benches stand in PACKAGE/benches",
            area.map(|area| format!(" called {area}"))
                .unwrap_or_default()
        );
    }
    let criterion = environment.target.join("criterion");
    if criterion.is_dir() {
        // Figures of an earlier run must not pass for figures of this one.
        std::fs::remove_dir_all(&criterion)
            .with_context(|| format!("{} cannot be emptied", criterion.display()))?;
    }
    let mut results = Vec::new();
    for (package, bench) in &benches {
        talk::say(&format!("==> {bench} ({package})"));
        let arguments = ["bench", "--locked", "--package", package, "--bench", bench];
        process::run(&mut environment.cargo(&arguments))?;
        let command = format!("cargo {}", arguments.join(" "));
        let taken: Vec<String> = results
            .iter()
            .filter_map(|result: &Value| result["id"].as_str().map(str::to_owned))
            .collect();
        // A bench beside others says its own figures.
        let said = environment.target.join(format!("bench/{bench}.json"));
        if said.is_file() {
            results.extend(read_json(&said)?.as_array().cloned().unwrap_or_default());
        }
        results.extend(
            figures(&criterion, &command)?
                .into_iter()
                .filter(|figure| !taken.iter().any(|id| figure["id"] == **id)),
        );
    }
    if area == Some("kernel") {
        results.extend(peers::run(environment)?);
    }
    if !live_parts.is_empty() {
        results.extend(live::run(environment, &live_parts)?);
    }
    if area.is_none_or(|area| area == "reel") {
        let beside_others = recorders::run(environment)?;
        results.retain(|result| {
            beside_others
                .iter()
                .all(|other| other["id"] != result["id"])
        });
        results.extend(beside_others);
    }
    results.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
    let mut rows = vec![
        ["id", "value", "unit", "better"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for result in &results {
        let text = |key: &str| result[key].as_str().unwrap_or_default().to_owned();
        let value = result["value"].as_f64().unwrap_or_default();
        rows.push(vec![
            text("id"),
            format!("{value:.1}"),
            text("unit"),
            text("better"),
        ]);
    }
    let folder = environment.target.join("bench");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let path = folder.join("summary.json");
    let summary = json!({"schema": "flowreel.bench/1", "results": results});
    std::fs::write(&path, format!("{summary:#}\n"))
        .with_context(|| format!("{} cannot be written", path.display()))?;
    talk::say(&talk::table(&rows));
    talk::say(&format!("written to {}", path.display()));
    Ok(Outcome::Holds)
}

/// Package and name of every bench, from `cargo metadata`.
fn declared(metadata: &Value, area: Option<&str>) -> Vec<(String, String)> {
    let mut benches = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        for target in package["targets"].as_array().into_iter().flatten() {
            let is_bench = target["kind"]
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(|kind| kind == "bench"));
            let (Some(package), Some(name)) = (package["name"].as_str(), target["name"].as_str())
            else {
                continue;
            };
            if is_bench && area.is_none_or(|area| name.starts_with(area)) {
                benches.push((package.to_owned(), name.to_owned()));
            }
        }
    }
    benches.sort();
    benches
}

/// Every figure under criterion's folder: `GROUP/NAME/new/{benchmark,estimates}.json`.
fn figures(criterion: &Path, command: &str) -> Result<Vec<Value>> {
    let mut measured = Vec::new();
    let mut open = vec![criterion.to_path_buf()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry
                .with_context(|| format!("{} cannot be read", folder.display()))?
                .path();
            if path.is_dir() {
                open.push(path);
            }
        }
        if folder.ends_with("new") && folder.join("estimates.json").is_file() {
            measured.push((
                read_json(&folder.join("benchmark.json"))?,
                read_json(&folder.join("estimates.json"))?,
            ));
        }
    }
    let groups: Vec<String> = measured
        .iter()
        .map(|(benchmark, _)| group(benchmark).to_owned())
        .collect();
    measured
        .iter()
        .map(|(benchmark, estimates)| {
            let is_alone = groups
                .iter()
                .filter(|name| *name == group(benchmark))
                .count()
                == 1;
            figure(benchmark, estimates, is_alone, command)
        })
        .collect()
}

fn group(benchmark: &Value) -> &str {
    benchmark["group_id"].as_str().unwrap_or_default()
}

/// One entry of the summary; with a declared throughput it is a rate, without one a time.
///
/// A group that holds one workload is named `area.what`, and that is its id; the workload's own name
/// stands in the report of the bench.
fn figure(benchmark: &Value, estimates: &Value, is_alone: bool, command: &str) -> Result<Value> {
    let id = if is_alone && group(benchmark).contains('.') {
        group(benchmark).to_owned()
    } else {
        benchmark["full_id"]
            .as_str()
            .context("a benchmark without an id")?
            .replace('/', ".")
    };
    let time_ns = estimates["slope"]["point_estimate"]
        .as_f64()
        .or_else(|| estimates["mean"]["point_estimate"].as_f64())
        .with_context(|| format!("{id} has no estimate"))?;
    let elements = benchmark["throughput"]["Elements"].as_f64();
    let bytes = benchmark["throughput"]["Bytes"].as_f64();
    let (value, unit, better) = match (elements, bytes) {
        (Some(count), _) => (count * 1e9 / time_ns, "1/s", "higher"),
        (None, Some(count)) => (count * 1e9 / time_ns, "bytes/s", "higher"),
        (None, None) => (time_ns, "ns", "lower"),
    };
    Ok(
        json!({"id": id, "value": value, "unit": unit, "better": better, "peers": {}, "command": command}),
    )
}

fn read_json(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_throughput_makes_a_rate_and_none_makes_a_time() {
        let estimates = json!({"slope": null, "mean": {"point_estimate": 2e9}});
        let rate = json!({"full_id": "kernel/mm1", "throughput": {"Elements": 1000}});
        let found = figure(&rate, &estimates, true, "cargo bench").unwrap();
        assert_eq!(
            (found["id"].as_str(), found["value"].as_f64()),
            (Some("kernel.mm1"), Some(500.0))
        );
        let time =
            json!({"group_id": "reel.open", "full_id": "reel.open/a thousand", "throughput": null});
        let found = figure(&time, &estimates, true, "cargo bench").unwrap();
        assert_eq!(found["id"], "reel.open");
        assert_eq!(
            (found["unit"].as_str(), found["better"].as_str()),
            (Some("ns"), Some("lower"))
        );
    }

    #[test]
    fn benches_are_chosen_by_area() {
        let metadata = json!({"packages": [{"name": "flowreel-engine", "targets": [
            {"kind": ["bench"], "name": "kernel"}, {"kind": ["bench"], "name": "reel"}, {"kind": ["lib"], "name": "x"},
        ]}]});
        assert_eq!(declared(&metadata, None).len(), 2);
        assert_eq!(
            declared(&metadata, Some("reel")),
            [("flowreel-engine".to_owned(), "reel".to_owned())]
        );
    }
}
