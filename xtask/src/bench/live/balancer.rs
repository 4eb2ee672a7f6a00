//! The balancer beside HAProxy, before the same servers and with the same client.
//!
//! Belongs here: rate, CPU per request, added latency. Does not belong here: the client and the servers
//! (benches/peers/src/bin/proxy.rs).

use super::{Bench, END, START, figure, median, number, usage};
use crate::demo::child::Running;
use crate::{machine, process, talk};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const ROUNDS: usize = 5;
const CONNECTIONS: &str = "16";
const SECONDS: &str = "3";
/// Rate of the rounds that measure latency: far below what any of them can.
const LATENCY_RATE: &str = "1000";
/// How often it is looked whether HAProxy listens.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
const PEER: &str = "HAProxy";
const FREE: [&str; 2] = ["GET", "/api/nothing"];
const RECORDED: [&str; 2] = ["POST", "/api/logins"];

/// What is asked: the servers themselves, our balancer, HAProxy.
struct Way {
    address: String,
    pid: Option<u32>,
}

/// Servers that answer at once; they end with their input.
struct Upstream {
    child: Child,
    ports: Vec<u16>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// One drive over one way.
struct Driven {
    rate: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_us: Option<f64>,
}

pub(super) fn run(bench: &Bench<'_>) -> Result<Vec<Value>> {
    talk::say("==> balancer");
    let upstream = start_upstream(bench)?;
    let (mut ours, our_port) = start_ours(bench, &upstream)?;
    let mut haproxy = start_haproxy(bench, &upstream)?;
    let way = |port: u16, pid| Way {
        address: format!("127.0.0.1:{port}"),
        pid,
    };
    let direct = way(upstream.ports.first().copied().context("no server")?, None);
    let mut ways = vec![way(our_port, Some(ours.pid()))];
    if let Some((running, port)) = &haproxy {
        ways.push(way(*port, Some(running.pid())));
    }
    for one in &ways {
        drive(bench, one, "1", "0", FREE)?;
    }
    let mut results = rates(bench, &ways)?;
    results.extend(latencies(bench, &direct, &ways)?);
    ours.terminate(END)?;
    if let Some((running, _)) = &mut haproxy {
        // It ends by a signal's number, which is how it is meant to.
        drop(running.terminate(END));
    }
    Ok(results)
}

/// As fast as answers come, in turns.
fn rates(bench: &Bench<'_>, ways: &[Way]) -> Result<Vec<Value>> {
    let mut free: Vec<Vec<Driven>> = ways.iter().map(|_| Vec::new()).collect();
    let mut recorded_us = Vec::new();
    for round in 0..ROUNDS {
        let mut order: Vec<usize> = (0..ways.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            free[index].push(drive(bench, &ways[index], SECONDS, "0", FREE)?);
        }
        recorded_us.extend(drive(bench, &ways[0], SECONDS, "0", RECORDED)?.cpu_us);
    }
    let middle = |of: fn(&Driven) -> f64, index: usize| {
        free.get(index)
            .and_then(|driven| median(driven.iter().map(of).collect()))
    };
    let mut results = Vec::new();
    for (id, unit, better, of) in [
        (
            "balancer.requests_per_s",
            "1/s",
            "higher",
            (|driven| driven.rate) as fn(&Driven) -> f64,
        ),
        ("balancer.cpu_us_per_request", "us", "lower", |driven| {
            driven.cpu_us.unwrap_or_default()
        }),
    ] {
        let own = middle(of, 0).context("no round was driven")?;
        let peer = middle(of, 1).map(|value| (PEER, value));
        results.push(figure(id, own, unit, better, peer.as_slice()));
    }
    if let [own, peer] = free.as_slice() {
        let ratios = own.iter().zip(peer).map(|(own, peer)| own.rate / peer.rate);
        let ratio = median(ratios.collect()).context("no round was driven")?;
        results.push(figure(
            "balancer.rate_vs_haproxy",
            ratio,
            "1",
            "higher",
            &[],
        ));
    }
    let recorded_us = median(recorded_us).context("no round was driven")?;
    let id = "balancer.cpu_us_per_recorded_request";
    results.push(figure(id, recorded_us, "us", "lower", &[]));
    Ok(results)
}

/// At a rate that nobody has trouble with; what is over the servers' own latency was added on the way.
fn latencies(bench: &Bench<'_>, direct: &Way, ways: &[Way]) -> Result<Vec<Value>> {
    let mut added: Vec<Vec<(f64, f64)>> = ways.iter().map(|_| Vec::new()).collect();
    for _round in 0..ROUNDS {
        let base = drive(bench, direct, SECONDS, LATENCY_RATE, FREE)?;
        for (way, added) in ways.iter().zip(&mut added) {
            let driven = drive(bench, way, SECONDS, LATENCY_RATE, FREE)?;
            added.push((driven.p50_ms - base.p50_ms, driven.p99_ms - base.p99_ms));
        }
    }
    let middle = |of: fn(&(f64, f64)) -> f64, index: usize| {
        added
            .get(index)
            .and_then(|rounds| median(rounds.iter().map(of).collect()))
    };
    let mut results = Vec::new();
    for (id, of) in [
        (
            "balancer.added_p50_ms",
            (|added| added.0) as fn(&(f64, f64)) -> f64,
        ),
        ("balancer.added_p99_ms", |added| added.1),
    ] {
        let own = middle(of, 0).context("no round was driven")?;
        let peer = middle(of, 1).map(|value| (PEER, value));
        results.push(figure(id, own, "ms", "lower", peer.as_slice()));
    }
    Ok(results)
}

fn drive(
    bench: &Bench<'_>,
    way: &Way,
    seconds: &str,
    rate: &str,
    [method, path]: [&str; 2],
) -> Result<Driven> {
    let before = way.pid.map(usage::cpu_s).transpose()?;
    let mut command = Command::new(&bench.proxy);
    command.args([
        "drive",
        &way.address,
        CONNECTIONS,
        seconds,
        rate,
        method,
        path,
    ]);
    let text = process::output(&mut command)?;
    let after = way.pid.map(usage::cpu_s).transpose()?;
    let report: Value = serde_json::from_str(&text).context("the client printed no JSON")?;
    let requests = number(&report, "/requests")?;
    let cpu_s = before.zip(after).map(|(before, after)| after - before);
    Ok(Driven {
        rate: requests / number(&report, "/seconds")?,
        p50_ms: number(&report, "/p50_us")? / 1e3,
        p99_ms: number(&report, "/p99_us")? / 1e3,
        cpu_us: cpu_s.map(|cpu_s| cpu_s * 1e6 / requests),
    })
}

fn start_upstream(bench: &Bench<'_>) -> Result<Upstream> {
    let mut child = Command::new(&bench.proxy)
        .args(["upstream", "3"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("the servers cannot be started")?;
    let mut line = String::new();
    let output = child.stdout.take().context("its output is piped")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line)?;
    let ports = serde_json::from_str(&line).context("the servers print no ports")?;
    Ok(Upstream { child, ports })
}

/// Our balancer alone in its process, its servers elsewhere.
fn start_ours(bench: &Bench<'_>, upstream: &Upstream) -> Result<(Running, u16)> {
    let port = free_port()?;
    let mut command = Command::new(&bench.live);
    command
        .args(["balancer", "--print-ready", "--record", "off", "--data"])
        .arg(bench.folder.join("balancer"))
        .env("RUST_LOG", "error")
        .env("LOAD_BALANCER_PORT", port.to_string());
    for (name, server) in ["SERVER1_PORT", "SERVER2_PORT", "SERVER3_PORT"]
        .iter()
        .zip(&upstream.ports)
    {
        command.env(name, server.to_string());
    }
    let running = Running::start(command)?;
    running.line(START)?;
    Ok((running, port))
}

/// Debian's HAProxy with kept connections on both sides; `None` where it cannot be had.
fn start_haproxy(bench: &Bench<'_>, upstream: &Upstream) -> Result<Option<(Running, u16)>> {
    if let Err(error) = machine::install_packages(bench.environment, &["haproxy"]) {
        talk::say(&format!("SKIPPED {PEER}: {error:#}"));
        return Ok(None);
    }
    let port = free_port()?;
    let mut text = format!(
        "global\n  maxconn 2000\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 60s\n  \
         timeout server 60s\n  option forwardfor\n  http-reuse always\nfrontend front\n  bind 127.0.0.1:{port}\n  \
         default_backend back\nbackend back\n  balance roundrobin\n"
    );
    for (number, server) in upstream.ports.iter().enumerate() {
        text.push_str(&format!("  server s{number} 127.0.0.1:{server} check\n"));
    }
    let path = bench.folder.join("haproxy.cfg");
    std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    // Debian puts it where only administrators look.
    let mut command = Command::new("/usr/sbin/haproxy");
    command.arg("-db").arg("-f").arg(&path);
    let mut running = Running::start(command)?;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if running.ends_within(LOOK_INTERVAL)? {
            bail!("HAProxy ended before it listened on port {port}");
        }
    }
    Ok(Some((running, port)))
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
    Ok(listener.local_addr()?.port())
}
