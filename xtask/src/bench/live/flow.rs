//! The whole flow: accepted request to the client's socket, and the highest rate that holds.
//!
//! Belongs here: the search for that rate, and the run at half of it. Does not belong here: the driver.

use super::{Bench, figure, number};
use crate::services::Both;
use crate::talk;
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Purchases and friend requests, because a password's hash is meant to be slow and would be all that is
/// measured; each is an e-mail over SMTP and a notification on a socket.
const MIX: &str = "--users 20 --mix purchase=0.5,friend-request=0.5 --warmup 1s --drain 20s";
/// First rate tried, per second.
const FIRST_RATE: f64 = 200.0;
/// Doublings of it, up to some 50,000/s.
const DOUBLINGS: usize = 8;
/// Answers that take longer than this come from a queue that grows.
const ANSWER_P99_MAX_MS: f64 = 1000.0;
/// Deliveries that take longer, too.
const DELIVERY_P99_MAX_MS: f64 = 3000.0;
/// Jobs that still wait when everybody has been told, in seconds of their arrival: more is a queue that grows.
const LEFT_MAX_S: f64 = 0.5;
/// Looks at what an overload left, a second apart, until nothing is.
const SETTLING_LOOKS: usize = 120;
/// Halvings of the interval between the last rate that held and the first that did not.
const HALVINGS: usize = 3;

/// On embedded parts, then on services.
pub(super) fn run(bench: &Bench<'_>) -> Result<Vec<Value>> {
    let mut results = flow(bench, "live", &[])?;
    match Both::start(bench.environment, bench.folder.join("services")) {
        Ok(both) => {
            let parts = ["--queue", &both.redis, "--store", &both.mongodb];
            results.extend(flow(bench, "live.services", &parts)?);
        }
        Err(error) => talk::say(&format!("SKIPPED flow on services: {error:#}")),
    }
    Ok(results)
}

fn flow(bench: &Bench<'_>, area: &str, parts: &[&str]) -> Result<Vec<Value>> {
    talk::say(&format!(
        "==> flow, recording on, {area} {}",
        parts.join(" ")
    ));
    let backend = bench.backend("flow", "on", parts)?;
    let url = backend.url("balancer")?;
    let token = backend.token();
    let load = |rate: f64, duration: &str| {
        let arguments = format!("{MIX} --rate {rate} --duration {duration}");
        bench.load(&url, token, &arguments)
    };
    // What an overload left is not counted against the next rate.
    let settle = || -> Result<()> {
        for _look in 0..SETTLING_LOOKS {
            if number(&load(1.0, "1s")?, "/reconciliation/queued")? < 1.0 {
                return Ok(());
            }
        }
        bail!("what an overload left in the queues does not go")
    };
    let (mut holds, mut fails) = (0.0, FIRST_RATE);
    let mut best = Value::Null;
    for _doubling in 0..DOUBLINGS {
        let report = load(fails, "6s")?;
        if !held(fails, &report)? {
            settle()?;
            break;
        }
        (holds, best) = (fails, report);
        fails *= 2.0;
    }
    for _halving in 0..HALVINGS {
        let middle = f64::midpoint(holds, fails);
        let report = load(middle, "6s")?;
        if held(middle, &report)? {
            (holds, best) = (middle, report);
        } else {
            settle()?;
            fails = middle;
        }
    }
    let half = load((holds / 2.0).max(1.0), "20s")?;
    talk::say(&format!("    at half of {holds:.0}/s: {half}"));
    backend.stop()?;
    let accepted = number(&best, "/accepted_per_s").context("no rate held")?;
    let jobs = number(&best, "/reconciliation/accepted")? / number(&best, "/duration_s")?;
    let at_half = |id: &str, path: &str| -> Result<Value> {
        let id = format!("{area}.{id}");
        Ok(figure(&id, number(&half, path)?, "ms", "lower", &[]))
    };
    let at_most = |id: &str, value| figure(&format!("{area}.{id}"), value, "1/s", "higher", &[]);
    Ok(vec![
        at_most("requests_per_s", accepted),
        at_most("jobs_per_s", jobs),
        at_half("delivery_p50_ms", "/delivery_ms/p50")?,
        at_half("delivery_p99_ms", "/delivery_ms/p99")?,
        at_half(
            "delivery_after_answer_p99_ms",
            "/delivery_after_answer_ms/p99",
        )?,
        at_half("answer_p99_ms", "/http_ms/p99")?,
    ])
}

/// Everything accepted, everything told, nothing lost, and no queue that grew.
fn held(rate: f64, report: &Value) -> Result<bool> {
    let is_whole = report["reconciliation"]["holds"] == true
        && number(report, "/failed")? < 1.0
        && number(report, "/undelivered")? < 1.0
        && number(report, "/reconciliation/queued")? <= rate * LEFT_MAX_S;
    let answer_ms = number(report, "/http_ms/p99")?;
    let delivery_ms = number(report, "/delivery_ms/p99")?;
    let is_quick = answer_ms < ANSWER_P99_MAX_MS && delivery_ms < DELIVERY_P99_MAX_MS;
    let word = if is_whole && is_quick {
        "holds"
    } else {
        "fails"
    };
    talk::say(&format!(
        "    {rate:.0}/s {word}: answers p99 {answer_ms:.1} ms, deliveries p99 {delivery_ms:.1} ms, failed {}, \
         undelivered {}, books {}",
        report["failed"], report["undelivered"], report["reconciliation"]
    ));
    Ok(is_whole && is_quick)
}
