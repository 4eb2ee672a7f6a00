//! Other simulators at the same work beside ours, in one run.
//!
//! Belongs here: building and running the programs of `benches/peers`, the table of ratios. Does not
//! belong here: the models (benches/peers), our own benches (bench).
//!
//! Every program prints the CPU seconds it took, so a busy machine does not count against anybody; each is
//! run several times in turn with the others, and its best run counts.

use crate::environment::Environment;
use crate::{process, talk};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

const MODELS: [&str; 3] = ["mm1", "mm10", "tandem"];
const ROUNDS: usize = 3;
/// What our own rate is held against: half of the hand-written loop.
const HAND: &str = "hand-written loop";
const OURS: &str = "flowreel";

struct Peer {
    name: &'static str,
    program: PathBuf,
    /// Words before the model's name.
    words: Vec<String>,
    /// Requests of one run: about a second's worth.
    requests: u64,
    /// Events per CPU second, by model.
    best: [f64; 3],
}

/// Runs everybody, prints the table, and says each rate of ours for the summary.
pub(crate) fn run(environment: &Environment) -> Result<Vec<Value>> {
    talk::say("==> peers");
    let mut peers = rust_peers(environment)?;
    peers.extend(python_peers(environment));
    for _ in 0..ROUNDS {
        for peer in &mut peers {
            for (index, model) in MODELS.iter().enumerate() {
                // Six stations' worth of events a request.
                let requests = if *model == "tandem" {
                    peer.requests / 6
                } else {
                    peer.requests
                };
                let rate = rate(&ask(peer, &[model, &requests.to_string()])?)?;
                peer.best[index] = peer.best[index].max(rate);
            }
        }
    }
    show(&peers);
    flatness(&peers)?;
    let command = "cargo xtask bench kernel";
    let ours = peers.iter().find(|peer| peer.name == OURS);
    let ours = ours.context("our own program was not built")?;
    let results = MODELS.iter().enumerate().map(|(index, model)| {
        let others: serde_json::Map<String, Value> = peers
            .iter()
            .filter(|peer| peer.name != OURS)
            .map(|peer| (peer.name.to_owned(), json!(peer.best[index])))
            .collect();
        json!({"id": format!("kernel.{model}.full"), "value": ours.best[index], "unit": "1/s",
               "better": "higher", "peers": others, "command": command})
    });
    Ok(results.collect())
}

/// Our own program and the hand-written loop must build; the others may be out of reach.
fn rust_peers(environment: &Environment) -> Result<Vec<Peer>> {
    let target = environment.target.join("peers");
    let build = |bin: &str, feature: Option<&str>| {
        let manifest = environment.root.join("benches/peers/Cargo.toml");
        let mut command = environment.cargo(&["build", "--release", "--manifest-path"]);
        command.arg(manifest).args(["--bin", bin]);
        command.arg("--target-dir").arg(&target);
        if let Some(feature) = feature {
            command.args(["--features", feature]);
        }
        process::run(&mut command)
    };
    let program = |bin: &str| target.join("release").join(bin);
    let peer = |name, bin: &str, requests| Peer {
        name,
        program: program(bin),
        words: Vec::new(),
        requests,
        best: [0.0; 3],
    };
    build("ours", None)?;
    build("hand", None)?;
    let mut peers = vec![
        peer(OURS, "ours", 6_000_000),
        peer(HAND, "hand", 12_000_000),
    ];
    for (name, bin, requests) in [
        ("odem-rs 0.4", "odem", 6_000_000),
        ("nexosim 1.0", "nexosim", 1_200_000),
    ] {
        match build(bin, Some(bin)) {
            Ok(()) => peers.push(peer(name, bin, requests)),
            Err(error) => talk::say(&format!("SKIPPED {name}: {error:#}")),
        }
    }
    Ok(peers)
}

fn python_peers(environment: &Environment) -> Vec<Peer> {
    let folder = environment.target.join("peers-python");
    let python = folder.join("bin/python");
    let mut peers = Vec::new();
    for (name, package, script, requests) in [
        ("SimPy", "simpy>=4,<5", "simpy_peer.py", 120_000),
        ("Ciw", "ciw>=3,<4", "ciw_peer.py", 30_000),
    ] {
        let install = || -> Result<()> {
            if !python.is_file() {
                process::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
            }
            process::run(Command::new(&python).args(["-m", "pip", "install", "--quiet", package]))
        };
        match install() {
            Ok(()) => peers.push(Peer {
                name,
                program: python.clone(),
                words: vec![
                    environment
                        .root
                        .join("benches/peers")
                        .join(script)
                        .display()
                        .to_string(),
                ],
                requests,
                best: [0.0; 3],
            }),
            Err(error) => talk::say(&format!("SKIPPED {name}: {error:#}")),
        }
    }
    peers
}

fn ask(peer: &Peer, words: &[&str]) -> Result<Value> {
    let mut command = Command::new(&peer.program);
    command.args(&peer.words).args(words);
    let text = process::output(&mut command)?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} did not print its figures: {text}", peer.name))
}

fn rate(figures: &Value) -> Result<f64> {
    let number = |key: &str| {
        figures[key]
            .as_f64()
            .with_context(|| format!("no {key} was printed"))
    };
    let (events, cpu_s) = (number("events")?, number("cpu_s")?);
    ensure!(cpu_s > 0.0, "a run took no time");
    Ok(events / cpu_s)
}

fn show(peers: &[Peer]) {
    let mut rows = vec![
        [
            "events per CPU second",
            "M/M/1",
            "M/M/10",
            "tandem",
            "flowreel is",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    let ours = peers
        .iter()
        .find(|peer| peer.name == OURS)
        .map(|peer| peer.best);
    for peer in peers {
        let mut row = vec![peer.name.to_owned()];
        row.extend(peer.best.iter().map(|rate| format!("{:.2} M", rate / 1e6)));
        let ratios = ours.map(|ours| {
            let ratio = |index: usize| format!("{:.2}", ours[index] / peer.best[index]);
            format!("{} / {} / {} times", ratio(0), ratio(1), ratio(2))
        });
        row.push(ratios.unwrap_or_default());
        rows.push(row);
    }
    talk::say(&talk::table(&rows));
}

/// Cost of an event from few to many pending ones, and from few to many stations.
fn flatness(peers: &[Peer]) -> Result<()> {
    let Some(ours) = peers.iter().find(|peer| peer.name == OURS) else {
        return Ok(());
    };
    let mut rows = vec![
        ["cost of an event", "size", "ns", "of the first"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (model, what, sizes) in [
        (
            "pending",
            "requests in service side by side",
            [10_u64, 1000, 100_000, 1_000_000],
        ),
        ("wide", "stations", [3, 100, 1000, 10_000]),
    ] {
        let mut first = 0.0;
        for size in sizes {
            // Half of the requests are for filling up, which takes four times as many as there is room for.
            let requests = (8 * size).max(4_000_000);
            let words = [model, &requests.to_string(), &size.to_string()];
            let mut cost = f64::INFINITY;
            for _ in 0..2 {
                cost = cost.min(1e9 / rate(&ask(ours, &words)?)?);
            }
            first = if first == 0.0 { cost } else { first };
            rows.push(vec![
                what.to_owned(),
                size.to_string(),
                format!("{cost:.1}"),
                format!("{:.2} times", cost / first),
            ]);
        }
    }
    talk::say(&talk::table(&rows));
    Ok(())
}
