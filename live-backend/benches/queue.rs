//! The queues beside BullMQ on Node, in turns on one Redis each of the bench's own; and embedded ones.
//!
//! Belongs here: who is compared, processor time, the figures. Does not belong here: the work itself
//! (`queue_speed`, benches/peers/bullmq).

use flowreel_live_backend::queue_speed;
use serde_json::{Value, json};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const ROUNDS: usize = 3;
const JOBS: u32 = 20_000;
const HANDS: usize = 32;
const EMBEDDED_HANDS: usize = 256;
/// Processor time is told in these, 100 a second on every Linux there is.
const TICK_US: f64 = 10_000.0;

/// A Redis without a disk: both sides would wait for the same one.
struct Redis {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Redis {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port is free")
            .port();
        let folder = std::env::temp_dir().join(format!("flowreel-bench-queue-{port}"));
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed; apt-get install redis-server");
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Self {
            child,
            port,
            folder,
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn main() {
    // Asked for a list of benchmarks, as test runners do.
    if std::env::args().any(|word| word == "--list") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let modules = modules();
    let (mut ours, mut theirs, mut durable) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(ours_once(&runtime));
        theirs.push(theirs_once(&modules));
        durable.push(durable_once(&runtime));
    }
    let median = |rounds: &[Value], key: &str| {
        let mut values: Vec<f64> = rounds.iter().filter_map(|it| it[key].as_f64()).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let mut results = Vec::new();
    for (id, key, unit, better) in [
        ("queue.jobs_per_s", "completed_per_s", "jobs/s", "higher"),
        ("queue.added_per_s", "added_per_s", "jobs/s", "higher"),
        ("queue.cpu_us", "complete_cpu_us", "us", "lower"),
        ("queue.add_cpu_us", "add_cpu_us", "us", "lower"),
    ] {
        results.push(json!({
            "id": id, "value": median(&ours, key), "unit": unit, "better": better,
            "peers": {"BullMQ on Node": median(&theirs, key)}, "command": "cargo xtask bench queue",
        }));
    }
    results.push(json!({
        "id": "queue.durable_jobs_per_s", "value": median(&durable, "jobs_per_s"), "unit": "jobs/s",
        "better": "higher", "peers": {}, "command": "cargo xtask bench queue",
    }));
    let mut out = std::io::stdout().lock();
    for result in &results {
        writeln!(out, "{result}").expect("standard output is open");
    }
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = scratch
        .parent()
        .expect("it lies in the target folder")
        .join("bench");
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    let text = serde_json::to_string(&results).expect("figures are JSON");
    std::fs::write(folder.join("queue.json"), text).expect("the target folder can be written");
}

fn ours_once(runtime: &tokio::runtime::Runtime) -> Value {
    let redis = Redis::start();
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let (before, mut between) = (cpu_us(), 0.0);
    let done = queue_speed::redis(&url, &redis.folder, u64::from(JOBS), HANDS, || {
        between = cpu_us();
    });
    let speed = runtime.block_on(done).expect("Redis answers");
    let jobs = f64::from(JOBS);
    json!({
        "added_per_s": jobs / speed.added_s, "completed_per_s": jobs / speed.completed_s,
        "add_cpu_us": (between - before) / jobs, "complete_cpu_us": (cpu_us() - between) / jobs,
    })
}

fn theirs_once(modules: &Path) -> Value {
    let redis = Redis::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/peers/bullmq/peer.mjs");
    let output = Command::new("node")
        .current_dir(modules)
        .arg(
            script
                .canonicalize()
                .expect("the peer is in the repository"),
        )
        .args([redis.port.to_string(), JOBS.to_string(), HANDS.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .expect("node is installed; apt-get install nodejs npm");
    serde_json::from_slice(&output.stdout).expect("the peer prints JSON")
}

fn durable_once(runtime: &tokio::runtime::Runtime) -> Value {
    let name = format!("flowreel-bench-durable-{}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    let done = queue_speed::embedded(&folder, u64::from(JOBS), EMBEDDED_HANDS);
    let took_s = runtime.block_on(done).expect("the store works");
    drop(std::fs::remove_dir_all(&folder));
    json!({"jobs_per_s": f64::from(JOBS) / took_s})
}

/// A folder with BullMQ in it.
fn modules() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers-bullmq");
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    let installed = Command::new("npm")
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--no-save",
            "--silent",
        ])
        .arg("--prefix")
        .arg(&folder)
        .args(["bullmq@5", "ioredis@5"])
        .status();
    assert!(
        installed.is_ok_and(|status| status.success()),
        "npm cannot install bullmq"
    );
    folder
}

/// Processor time of this process so far.
fn cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let (_name, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| -> f64 { fields[index].parse().expect("a number") };
    (ticks(11) + ticks(12)) * TICK_US
}
