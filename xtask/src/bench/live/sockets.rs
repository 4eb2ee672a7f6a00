//! Socket.IO connections beside socket.io on Node: memory of idle and busy ones, broadcast.
//!
//! Belongs here: both servers in turn under the same driver. Does not belong here: Node's server
//! (benches/peers/socketio), the driver (`flowreel-live load`).

use super::{Backend, Bench, END, START, figure, number, usage};
use crate::demo::child::Running;
use crate::{machine, process, talk};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const IDLE: u32 = 10_000;
/// Each takes three files of the one process, of which systems allow 20,000 at least.
const BALANCED: u32 = 4_000;
/// Two sizes: what the process takes whole, and what each further connection adds.
const BUSY: [u32; 2] = [1_000, 2_000];
/// Both have opened sockets before anything is measured.
const WARM: &str = "--users 0 --sockets-idle 200 --duration 1s --warmup 0s";
/// Its people have signed up before, so that the memory of password hashes is not taken for that of sockets.
const SIGN_UP: &str =
    "--users 20 --sockets 20 --mix friend-request=1 --rate 5 --duration 1s --warmup 0s";
/// Each notification goes to a twentieth of the sockets, all of which confirm it.
const TALK: &str = "--users 20 --mix friend-request=1 --rate 5 --duration 10s --warmup 1s";
/// Each notification goes to the thousand sockets of one user.
const BROADCAST: &str = "--users 2 --sockets 2000 --mix friend-request=1 --rate 2 --arrivals even --duration 15s --warmup 1s";
const PEER: &str = "socket.io on Node";

/// What one server took.
struct Taken {
    idle_bytes: f64,
    /// All that a fresh server took for the larger number of busy connections, by their number.
    busy_bytes: f64,
    /// The difference between the two numbers: without what does not depend on it.
    further_bytes: f64,
    broadcast_p99_ms: f64,
}

/// A server under measurement.
enum Server {
    Ours(Backend),
    Node(Running, String),
}

impl Server {
    /// Straight to one server, as Node's clients go to theirs.
    fn url(&self) -> Result<String> {
        match self {
            Self::Ours(backend) => backend.url("server-1"),
            Self::Node(_, url) => Ok(url.clone()),
        }
    }

    const fn pid(&self) -> u32 {
        match self {
            Self::Ours(backend) => backend.running.pid(),
            Self::Node(running, _) => running.pid(),
        }
    }

    fn stop(self) -> Result<()> {
        match self {
            Self::Ours(backend) => backend.stop(),
            // Dropped, it is killed: it knows no other end.
            Self::Node(..) => Ok(()),
        }
    }
}

pub(super) fn run(bench: &Bench<'_>) -> Result<Vec<Value>> {
    talk::say("==> sockets");
    let peer = match install_node(bench).and_then(|script| take(bench, || node(&script))) {
        Ok(taken) => Some(taken),
        Err(error) => {
            talk::say(&format!("SKIPPED {PEER}: {error:#}"));
            None
        }
    };
    let ours = take(bench, || {
        Ok(Server::Ours(bench.backend("sockets", "off", &[])?))
    })?;
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
        one(
            "sockets.bytes_per_further_busy_connection",
            "bytes",
            |taken| taken.further_bytes,
        ),
        one("sockets.broadcast_1000_p99_ms", "ms", |taken| {
            taken.broadcast_p99_ms
        }),
    ])
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

/// Its server, ready to be started.
fn install_node(bench: &Bench<'_>) -> Result<PathBuf> {
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
    Ok(copy)
}

fn node(script: &Path) -> Result<Server> {
    let mut command = Command::new("node");
    command.arg(script);
    let running = Running::start(command)?;
    let url = running.line(START)?;
    Ok(Server::Node(running, url))
}

fn take(bench: &Bench<'_>, start: impl Fn() -> Result<Server>) -> Result<Taken> {
    let [fewer, more] = BUSY;
    let fewer_bytes = busy_bytes(bench, &start, fewer)?;
    let more_bytes = busy_bytes(bench, &start, more)?;
    let server = start()?;
    let url = server.url()?;
    let idle_bytes = idle_bytes(bench, &url, server.pid(), IDLE)?;
    let report = bench.load(&url, None, BROADCAST)?;
    talk::say(&format!("    {url}: {report}"));
    if number(&report, "/undelivered")? > 0.0 {
        bail!("broadcasts were lost: {report}");
    }
    server.stop()?;
    Ok(Taken {
        idle_bytes,
        busy_bytes: more_bytes / f64::from(more),
        further_bytes: (more_bytes - fewer_bytes) / f64::from(more - fewer),
        broadcast_p99_ms: number(&report, "/sockets/copies_ms/p99")?,
    })
}

/// Memory that a fresh server takes for so many connections that are all told things and confirm them.
fn busy_bytes(bench: &Bench<'_>, start: &impl Fn() -> Result<Server>, count: u32) -> Result<f64> {
    let server = start()?;
    let (url, pid) = (server.url()?, server.pid());
    bench.load(&url, None, WARM)?;
    bench.load(&url, None, SIGN_UP)?;
    let before = usage::rss_bytes(pid)?;
    let (most, report) = most_bytes(bench, &url, pid, &format!("{TALK} --sockets {count}"))?;
    if number(&report, "/undelivered")? > 0.0 || number(&report, "/sockets/lost")? > 0.0 {
        bail!("not all of {count} busy connections held: {report}");
    }
    let taken = most - before;
    talk::say(&format!(
        "    {url}: {count} busy connections took {:.1} MiB",
        taken / f64::from(1 << 20)
    ));
    server.stop()?;
    Ok(taken)
}

/// Memory that each of so many connections adds while they are held.
fn idle_bytes(bench: &Bench<'_>, url: &str, pid: u32, count: u32) -> Result<f64> {
    bench.load(url, None, WARM)?;
    let before = usage::rss_bytes(pid)?;
    let hold = format!("--users 0 --sockets-idle {count} --duration 8s --warmup 0s");
    let (most, report) = most_bytes(bench, url, pid, &hold)?;
    let connected = number(&report, "/sockets/connect_ms/count")?;
    let count = f64::from(count);
    if connected < count || number(&report, "/sockets/lost")? > 0.0 {
        bail!("not all of {count} connections held: {report}");
    }
    Ok((most - before) / count)
}

/// The most memory a process had while the load ran, and the load's report.
fn most_bytes(bench: &Bench<'_>, url: &str, pid: u32, load: &str) -> Result<(f64, Value)> {
    let mut command = Command::new(&bench.live);
    command
        .env("RUST_LOG", "error")
        .args(["load", "--url", url])
        .args(load.split(' '));
    let mut driver = Running::start(command)?;
    let mut most = usage::rss_bytes(pid)?;
    while !driver.ends_within(Duration::from_millis(100))? {
        most = most.max(usage::rss_bytes(pid)?);
    }
    let text = driver.rest(END)?;
    let report = serde_json::from_str(&text).context("the report is no JSON")?;
    Ok((most, report))
}
