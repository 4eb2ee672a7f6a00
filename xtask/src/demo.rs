//! `cargo xtask demo`: the whole main job once, on this machine, with real parts.
//!
//! Belongs here: the order of what is shown, what is measured on the way.
//! Does not belong here: how programs are run (child), asked (http), compared (compare), shown (show).

pub(crate) mod child;
mod compare;
pub(crate) mod http;
mod show;

use crate::environment::Environment;
use crate::machine::{self, Need};
use crate::steps::{Ending, Stopwatch};
use crate::test::BUILD_PROGRAMS;
use crate::{Outcome, process, talk};
use anyhow::{Context, Result, bail};
use child::Running;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The ladder waits 5 and 30 minutes; divided by this, 2 and 12 seconds.
const RETRY_SCALE: &str = "150";

/// How long traffic lasts.
const LOAD: Duration = Duration::from_secs(25);

/// Requests per second, Poisson.
const LOAD_PER_S: &str = "2.5";

/// Users that sign up and connect first; each of them costs two requests.
const LOAD_USERS: &str = "10";

/// How long deliveries still on their way are waited for.
const LOAD_DRAIN: &str = "10s";

/// When the mail relay begins to fail, for how long, and how often.
const FAULT_AFTER: Duration = Duration::from_secs(6);
const FAULT_FOR: &str = "8s";
const FAULT_PROBABILITY: f64 = 0.6;

/// The ports of the contract.
const USUAL_PORTS: &[u16] = &[8000, 5001, 5002, 5003, 3002];

/// How long a program may take to come up, to drain, to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything the steps share.
struct Demo<'a> {
    environment: &'a Environment,
    /// Where everything of this run lies.
    folder: PathBuf,
    /// Rows of the summary: what, how much.
    measures: Vec<Vec<String>>,
}

/// Runs it. `headless` draws pictures even where there is a display.
pub(crate) fn run(environment: &Environment, headless: bool) -> Result<Outcome> {
    let whole = Stopwatch::start();
    talk::say("==> packages");
    match machine::provide(environment, Need::Demonstration)? {
        Ending::Passed(remark) | Ending::Skipped(remark) if remark.is_empty() => {}
        Ending::Passed(remark) | Ending::Skipped(remark) => talk::say(&format!("    {remark}")),
        Ending::Failed(why) => bail!("{why}"),
    }
    talk::say("==> building the three programs (the first time compiles a graphics stack)");
    process::run(&mut environment.cargo(BUILD_PROGRAMS))?;
    let built = whole.elapsed();

    let watch = Stopwatch::start();
    let folder = environment.target.join("demo");
    empty(&folder)?;
    let mut demo = Demo {
        environment,
        folder,
        measures: Vec::new(),
    };
    demo.measure("build", talk::seconds(built));
    let recorded = demo.record()?;
    demo.verify(&recorded)?;
    let simulated = demo.simulate(&recorded)?;
    talk::say("==> live beside simulated");
    talk::say(&compare::table(&recorded.state, &simulated.state)?);
    talk::say(compare::REMARK);
    let shown = show::show(&demo, &recorded.reel, &simulated.reel, headless)?;
    demo.measure(
        "demonstration, after building",
        talk::seconds(watch.elapsed()),
    );

    talk::say("");
    let mut rows = vec![vec!["measure".to_owned(), "value".to_owned()]];
    rows.append(&mut demo.measures);
    talk::say(&talk::table(&rows));
    talk::say(&format!("recorded   {}", recorded.reel.display()));
    talk::say(&format!("simulated  {}", simulated.reel.display()));
    talk::say(&format!(
        "data       {}",
        demo.folder.join("data").display()
    ));
    for line in shown {
        talk::say(&line);
    }
    Ok(Outcome::Holds)
}

/// A run on disk and what was true at its end.
struct Run {
    reel: PathBuf,
    state: Value,
}

impl Demo<'_> {
    fn measure(&mut self, what: &str, value: impl Into<String>) {
        self.measures.push(vec![what.to_owned(), value.into()]);
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.environment.program(name));
        command.current_dir(&self.environment.root);
        command
    }

    /// What a verb of `flowreel` answers.
    fn ask(&self, arguments: &[&str], reel: &Path) -> Result<Value> {
        let mut command = self.program("flowreel");
        let (verb, rest) = arguments.split_first().context("no verb")?;
        command.arg(verb).arg(reel).args(rest).arg("--json");
        let text = process::output(&mut command)?;
        serde_json::from_str(&text)
            .with_context(|| format!("`flowreel {verb} --json` did not answer with JSON"))
    }

    /// Backend, load, failures of the relay, stop.
    fn record(&mut self) -> Result<Run> {
        talk::say("==> starting the live backend");
        let (data, recordings) = (self.folder.join("data"), self.folder.join("recordings"));
        let mut command = self.program("flowreel-live");
        command.args(["all", "--print-ready", "--retry-scale", RETRY_SCALE]);
        command
            .arg("--data")
            .arg(&data)
            .arg("--record")
            .arg(&recordings);
        let taken: Vec<String> = USUAL_PORTS
            .iter()
            .filter(|port| is_taken(**port))
            .map(u16::to_string)
            .collect();
        if !taken.is_empty() {
            talk::say(&format!(
                "    port {} is taken; any free ports are used",
                taken.join(", ")
            ));
            command.args(["--port-base", "0"]);
        }
        let watch = Stopwatch::start();
        let mut backend = Running::start(command)?;
        let ready: Value = serde_json::from_str(&backend.line(PATIENCE)?)
            .context("the backend's ready line is not JSON")?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let balancer =
            text(&ready["urls"]["balancer"]).context("the ready line names no balancer")?;
        let token = text(&ready["admin_token"]).context("the ready line holds no admin_token")?;
        talk::say(&format!(
            "    it answers on {balancer}; retry delays are divided by {RETRY_SCALE}"
        ));
        self.measure("backend ready after", talk::seconds(watch.elapsed()));

        let answer = self.load(&balancer, &token)?;
        self.write_down_load(&answer);

        talk::say("==> stopping the backend (it drains, then ends the reel)");
        let watch = Stopwatch::start();
        backend.terminate(PATIENCE)?;
        self.measure("backend drained in", talk::seconds(watch.elapsed()));
        let reel = only_reel(&recordings)?;
        let state = self.state_at_end(&reel)?;
        Ok(Run { reel, state })
    }

    /// Mixed load over HTTP with connected clients; the relay fails for a while in the middle.
    fn load(&self, balancer: &str, token: &str) -> Result<Value> {
        talk::say(&format!(
            "==> {} s of mixed load with connected clients",
            LOAD.as_secs()
        ));
        let mut command = self.program("flowreel-live");
        command
            .args([
                "load",
                "--url",
                balancer,
                "--rate",
                LOAD_PER_S,
                "--users",
                LOAD_USERS,
                "--drain",
                LOAD_DRAIN,
                "--duration",
            ])
            .arg(format!("{}s", LOAD.as_secs()));
        let mut load = Running::start(command)?;
        if load.ends_within(FAULT_AFTER)? {
            bail!("the load ended before its time");
        }
        let fault = json!({"fault": {
            "target": "smtp", "kind": "error-rate", "probability": FAULT_PROBABILITY, "for": FAULT_FOR,
        }});
        http::post(&format!("{balancer}/api/live-view/control"), token, &fault)?;
        talk::say(&format!(
            "    the mail relay now refuses {:.0} % of mails for {FAULT_FOR}: watch the retries",
            FAULT_PROBABILITY * 100.0
        ));
        let text = load.rest(LOAD + PATIENCE)?;
        serde_json::from_str(text.trim()).context("the answer of `flowreel-live load` is not JSON")
    }

    fn write_down_load(&mut self, answer: &Value) {
        for (what, path, unit) in [
            ("requests accepted", "/accepted", ""),
            ("requests refused or failed", "/failed", ""),
            ("notifications delivered to sockets", "/delivered", ""),
            ("notifications that never came", "/undelivered", ""),
            ("answered after, p50", "/http_ms/p50", " ms"),
            ("answered after, p99", "/http_ms/p99", " ms"),
            (
                "answer to client's socket, p50",
                "/delivery_after_answer_ms/p50",
                " ms",
            ),
            (
                "answer to client's socket, p99",
                "/delivery_after_answer_ms/p99",
                " ms",
            ),
        ] {
            let value = answer.pointer(path).filter(|value| !value.is_null());
            let text = value.map_or("unknown".to_owned(), |value| {
                format!("{}{unit}", number(value))
            });
            self.measure(what, text);
        }
    }

    fn verify(&mut self, recorded: &Run) -> Result<()> {
        talk::say("==> verifying the reel");
        let verified = self.ask(&["verify"], &recorded.reel)?;
        let info = self.ask(&["info"], &recorded.reel)?;
        for (what, key) in [
            ("events recorded", "events"),
            ("events dropped", "dropped"),
            ("requests recorded", "requests"),
            ("bytes per event", "bytes_per_event"),
        ] {
            self.measure(what, number(&info[key]));
        }
        for (what, key) in [
            ("blocks verified", "checked_blocks"),
            ("keyframes verified", "checked_keyframes"),
        ] {
            self.measure(what, number(&verified[key]));
        }
        if verified["holds"] != true {
            bail!("the reel does not hold: {}", verified["problems"]);
        }
        talk::say("    every checksum and every keyframe holds");
        Ok(())
    }

    /// The same scenario at the recorded rate, for as long, with as many mails refused.
    fn simulate(&mut self, recorded: &Run) -> Result<Run> {
        let inputs = compare::inputs(&recorded.state, &self.ask(&["info"], &recorded.reel)?)?;
        let reel = self.folder.join("simulated.reel");
        let mut command = self.program("flowreel");
        command.args([
            "simulate",
            "scenarios/notification.toml",
            "--seed",
            "7",
            "--json",
            "--duration",
            &inputs.duration,
        ]);
        for setting in &inputs.settings {
            command.args(["--set", setting]);
        }
        // A finite stretch is compared, so a queue that still grows is no reason to refuse.
        command.arg("--allow-unstable").arg("--out").arg(&reel);
        talk::say(&format!(
            "==> simulating the same system: {}",
            process::shown(&command)
        ));
        let answer: Value = serde_json::from_str(&process::output(&mut command)?)
            .context("`flowreel simulate --json` did not answer with JSON")?;
        self.measure("events simulated", number(&answer["events"]));
        self.measure(
            "events simulated per second, recorded",
            number(&answer["events_per_s"]),
        );
        let state = self.state_at_end(&reel)?;
        Ok(Run { reel, state })
    }

    fn state_at_end(&self, reel: &Path) -> Result<Value> {
        let info = self.ask(&["info"], reel)?;
        let last = info["last_t_ns"].as_u64().context("the reel is empty")?;
        self.ask(&["state", "--at", &format!("{last}ns")], reel)
    }
}

/// A number as people read it.
fn number(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 => format!("{number:.0}"),
        Some(number) => format!("{number:.1}"),
        None => "unknown".to_owned(),
    }
}

fn is_taken(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err()
}

/// The folder, with nothing in it.
fn empty(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("{} cannot be emptied", folder.display()))?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))
}

fn only_reel(folder: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut reels: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "reel")
        })
        .collect();
    reels.sort();
    match (reels.pop(), reels.len()) {
        (Some(reel), 0) => Ok(reel),
        (None, _) => bail!("the backend left no reel in {}", folder.display()),
        (Some(_), more) => bail!("{} reels in {}, expected one", more + 1, folder.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_somebody_listens_on_is_taken() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(is_taken(port));
        drop(listener);
        assert!(!is_taken(port));
    }

    #[test]
    fn numbers_are_short_and_the_unknown_is_said() {
        assert_eq!(number(&json!(12.0)), "12");
        assert_eq!(number(&json!(12.34)), "12.3");
        assert_eq!(number(&Value::Null), "unknown");
    }
}
