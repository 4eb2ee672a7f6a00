//! What recording costs the backend: CPU time for the same requests with a recording and without.
//!
//! Belongs here: the pair of backends and the load on them. Does not belong here: the hot path alone
//! (telemetry.rs).
//!
//! Two backends run side by side, one of them recording. In each round both get the same requests one
//! after the other, in changing order, and the CPU time each process spent on them is compared. The
//! requests are for new passwords of addresses nobody has: they pass balancer, server and store and are
//! recorded, and cost neither a password hash nor a mail, which would hide what recording costs. Threads that
//! others keep busy do not count, so the figure holds on a machine that is not quiet; 100 ticks a second
//! are what the system counts in.

use flowreel_live_backend::load::Http;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tokio::task::JoinSet;

const ROUND_COUNT: u64 = 12;
/// Requests of one round: some seconds of processor time, which is told in hundredths of a second.
const REQUEST_COUNT: u64 = 8000;
/// An answer about a password takes the same time for all addresses, most of it waiting.
const CLIENT_COUNT: u64 = 400;
/// Processor time is told in these, 100 a second on every Linux there is.
const TICK_MS: f64 = 10.0;

struct Backend {
    child: Child,
    url: String,
    folder: PathBuf,
}

impl Backend {
    fn start(name: &str, is_recorded: bool) -> Self {
        let unique = format!("flowreel-bench-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let recordings = folder.join("recordings");
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowreel-live"));
        command
            .current_dir(&folder)
            .env_clear()
            .env("RUST_LOG", "error")
            .args(["--port-base", "0", "--print-ready", "--data"])
            .arg(folder.join("data"))
            .arg("--record");
        if is_recorded {
            command.arg(recordings);
        } else {
            command.arg("off");
        }
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program was built with this bench");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("a ready line");
        let ready: Value = serde_json::from_str(&line).expect("the ready line is JSON");
        let url = ready["urls"]["balancer"]
            .as_str()
            .expect("a URL")
            .to_owned();
        Self { child, url, folder }
    }

    /// Processor time so far, in ticks: fields 14 and 15 of its `stat` (proc(5)).
    fn ticks(&self) -> u64 {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(path).expect("Linux");
        let (_, after_name) = stat.rsplit_once(')').expect("a name in brackets");
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let of = |index: usize| -> u64 { fields[index].parse().expect("a number") };
        of(11) + of(12)
    }

    /// Ticks that the requests of one round cost.
    fn load(&self, runtime: &tokio::runtime::Runtime) -> u64 {
        let before = self.ticks();
        runtime.block_on(async {
            let mut clients = JoinSet::new();
            for _ in 0..CLIENT_COUNT {
                let http = Http::new(&self.url);
                clients.spawn(async move {
                    let body = json!({"email": "nobody@people.example"});
                    for _ in 0..REQUEST_COUNT / CLIENT_COUNT {
                        let answer = http.post("/api/reset-password", &body, None).await;
                        let (status, answer) = answer.expect("an answer");
                        assert_eq!(status, 202, "{answer}");
                    }
                });
            }
            while let Some(ended) = clients.join_next().await {
                ended.expect("no panic");
            }
        });
        self.ticks() - before
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

#[expect(clippy::cast_precision_loss, reason = "printing")]
fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be had");
    let pair = [Backend::start("off", false), Backend::start("on", true)];
    // Both have seen requests before anything is measured.
    for backend in &pair {
        backend.load(&runtime);
    }
    let (mut ticks, mut ratios) = ([0, 0], Vec::new());
    for round in 1..=ROUND_COUNT {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        let mut own = [0, 0];
        for at in order {
            own[at] = pair[at].load(&runtime);
            ticks[at] += own[at];
        }
        ratios.push(own[1] as f64 / own[0] as f64);
    }
    let requests = ROUND_COUNT * REQUEST_COUNT;
    let per_request = |at: usize| ticks[at] as f64 * TICK_MS / requests as f64;
    let cost = (per_request(1) / per_request(0) - 1.0) * 100.0;
    ratios.sort_by(f64::total_cmp);
    let middle = (ratios[ratios.len() / 2] - 1.0) * 100.0;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "live.recording_cost_percent {cost:.2} (middle of {ROUND_COUNT} rounds {middle:.2}; CPU ms a request: \
         {:.3} recorded, {:.3} not; {requests} requests each)",
        per_request(1),
        per_request(0),
    )
    .expect("somebody listens");
}
