//! Socket.IO connections beside socket.io on Node: memory of idle and busy ones, broadcast.
//!
//! Belongs here: both servers in turn under the same driver. Does not belong here: Node's server
//! (benches/peers/socketio), the driver (`flowreel-live load`).

use super::{Bench, END, START, figure, number, usage};
use crate::demo::child::Running;
use crate::{machine, process, talk};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const IDLE: u32 = 10_000;
/// Each takes three files of the one process, of which systems allow 20,000 at least.
const BALANCED: u32 = 4_000;
const BUSY: f64 = 2_000.0;
/// Both have opened sockets before anything is measured.
const WARM: &str = "--users 0 --sockets-idle 200 --duration 1s --warmup 0s";
/// Its people have signed up before, so that the memory of password hashes is not taken for that of sockets.
const SIGN_UP: &str =
    "--users 20 --sockets 20 --mix friend-request=1 --rate 5 --duration 1s --warmup 0s";
const TALK: &str =
    "--users 20 --sockets 2000 --mix friend-request=1 --rate 5 --duration 10s --warmup 1s";
/// Each notification goes to the thousand sockets of one user.
const BROADCAST: &str = "--users 2 --sockets 2000 --mix friend-request=1 --rate 2 --arrivals even --duration 15s --warmup 1s";
const PEER: &str = "socket.io on Node";

/// What one server took.
struct Taken {
    idle_bytes: f64,
    busy_bytes: f64,
    broadcast_p99_ms: f64,
}

pub(super) fn run(bench: &Bench<'_>) -> Result<Vec<Value>> {
    talk::say("==> sockets");
    let peer = match node(bench) {
        Ok(taken) => Some(taken),
        Err(error) => {
            talk::say(&format!("SKIPPED {PEER}: {error:#}"));
            None
        }
    };
    let ours = ours(bench, "server-1")?;
    let balanced = ours_balanced(bench)?;
    let one = |id, unit, of: fn(&Taken) -> f64| {
        let peer = peer.as_ref().map(|peer| (PEER, of(peer)));
        figure(id, of(&ours), unit, "lower", peer.as_slice())
    };
    Ok(vec![
        one("sockets.bytes_per_idle_connection", "bytes", |taken| {
            taken.idle_bytes
        }),
        figure(
            "sockets.bytes_per_balanced_connection",
            balanced,
            "bytes",
            "lower",
            &[],
        ),
        one("sockets.bytes_per_busy_connection", "bytes", |taken| {
            taken.busy_bytes
        }),
        one("sockets.broadcast_1000_p99_ms", "ms", |taken| {
            taken.broadcast_p99_ms
        }),
    ])
}

/// Straight to one server, as Node's clients go to theirs.
fn ours(bench: &Bench<'_>, part: &str) -> Result<Taken> {
    let backend = bench.backend("sockets", "off", &[])?;
    let taken = take(bench, &backend.url(part)?, backend.running.pid());
    backend.stop()?;
    taken
}

/// Through the balancer: its two connections and the server's one are all in the one process.
fn ours_balanced(bench: &Bench<'_>) -> Result<f64> {
    let backend = bench.backend("sockets", "off", &[])?;
    let bytes = idle_bytes(
        bench,
        &backend.url("balancer")?,
        backend.running.pid(),
        BALANCED,
    );
    backend.stop()?;
    bytes
}

fn node(bench: &Bench<'_>) -> Result<Taken> {
    // By program: other builds of Node bring npm along.
    for (program, package) in [("node", "nodejs"), ("npm", "npm")] {
        if !bench.environment.has(program) {
            machine::install_packages(bench.environment, &[package])?;
        }
    }
    let folder = bench.environment.target.join("peers-node");
    std::fs::create_dir_all(&folder)?;
    let script = bench
        .environment
        .root
        .join("benches/peers/socketio/server.mjs");
    let copy = folder.join("server.mjs");
    std::fs::copy(&script, &copy)
        .with_context(|| format!("{} cannot be read", script.display()))?;
    let mut install = Command::new("npm");
    install.args([
        "install",
        "--no-audit",
        "--no-fund",
        "--no-save",
        "--silent",
        "--prefix",
    ]);
    process::run(install.arg(&folder).arg("socket.io@4.8"))?;
    let mut command = Command::new("node");
    command.arg(&copy);
    let server = Running::start(command)?;
    let url = server.line(START)?;
    take(bench, &url, server.pid())
}

fn take(bench: &Bench<'_>, url: &str, pid: u32) -> Result<Taken> {
    let idle_bytes = idle_bytes(bench, url, pid, IDLE)?;
    bench.load(url, None, SIGN_UP)?;
    let before = usage::rss_bytes(pid)?;
    bench.load(url, None, TALK)?;
    let busy_bytes = (usage::rss_bytes(pid)? - before).max(0.0) / BUSY;
    let report = bench.load(url, None, BROADCAST)?;
    talk::say(&format!("    {url}: {report}"));
    if number(&report, "/undelivered")? > 0.0 {
        bail!("broadcasts were lost: {report}");
    }
    Ok(Taken {
        idle_bytes,
        busy_bytes: busy_bytes + idle_bytes,
        broadcast_p99_ms: number(&report, "/sockets/copies_ms/p99")?,
    })
}

/// Memory that each of so many connections adds while they are held.
fn idle_bytes(bench: &Bench<'_>, url: &str, pid: u32, count: u32) -> Result<f64> {
    bench.load(url, None, WARM)?;
    let before = usage::rss_bytes(pid)?;
    let mut command = Command::new(&bench.live);
    command
        .env("RUST_LOG", "error")
        .args(["load", "--url", url]);
    let hold = format!("--users 0 --sockets-idle {count} --duration 8s --warmup 0s");
    command.args(hold.split(' '));
    let mut driver = Running::start(command)?;
    let mut most = before;
    while !driver.ends_within(Duration::from_millis(100))? {
        most = most.max(usage::rss_bytes(pid)?);
    }
    let text = driver.rest(END)?;
    let report: Value = serde_json::from_str(&text).context("the report is no JSON")?;
    let connected = number(&report, "/sockets/connect_ms/count")?;
    let count = f64::from(count);
    if connected < count || number(&report, "/sockets/lost")? > 0.0 {
        bail!("not all of {count} connections held: {report}");
    }
    Ok((most - before) / count)
}
