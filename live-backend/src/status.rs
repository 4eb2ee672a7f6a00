//! `flowreel-live status`: asks every part whether it is up, and says what is wrong with those that are not.
//!
//! Belongs here: whom to ask, how the answers read. Does not belong here: the parts' own checks.

mod services;

use crate::app::authority;
use crate::config::{QueuePart, Settings};
use crate::load::Http;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// Longest wait for one part.
const PATIENCE: Duration = Duration::from_secs(3);

/// What one part answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PartStatus {
    id: &'static str,
    up: bool,
    /// Where it was asked, without secrets.
    address: String,
    /// What is wrong, where something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl PartStatus {
    fn new(id: &'static str, address: impl Into<String>, problem: Option<String>) -> Self {
        Self {
            id,
            up: problem.is_none(),
            address: address.into(),
            problem,
        }
    }
}

/// Every part's answer.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    schema: &'static str,
    up: bool,
    parts: Vec<PartStatus>,
}

impl Report {
    fn new(parts: Vec<PartStatus>) -> Self {
        Self {
            schema: "flowreel.status/1",
            up: parts.iter().all(|part| part.up),
            parts,
        }
    }

    pub(crate) const fn is_all_up(&self) -> bool {
        self.up
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts always serialize")
    }

    /// A line for each part, and one that says how it stands in all.
    pub(crate) fn to_text(&self) -> String {
        let line = |part: &PartStatus| {
            let word = if part.up { "up" } else { "down" };
            let problem = part.problem.as_deref().unwrap_or_default();
            let line = format!("{word:<5} {:<14} {:<28} {problem}", part.id, part.address);
            line.trim_end().to_owned()
        };
        let mut lines: Vec<String> = self.parts.iter().map(line).collect();
        let down: Vec<&str> = self
            .parts
            .iter()
            .filter(|part| !part.up)
            .map(|part| part.id)
            .collect();
        lines.push(if down.is_empty() {
            "every part is up".to_owned()
        } else {
            format!("down: {}", down.join(", "))
        });
        lines.join("\n")
    }
}

/// Asks every part that these settings name.
pub(crate) async fn ask(settings: &Settings) -> Report {
    let (hosts, ports) = (&settings.hosts, settings.ports);
    let [first, second, third] = &hosts.servers;
    let listeners = [
        ("balancer", &hosts.balancer, ports.balancer),
        ("server-1", first, ports.servers[0]),
        ("server-2", second, ports.servers[1]),
        ("server-3", third, ports.servers[2]),
        ("gateway", &hosts.gateway, ports.gateway),
    ];
    let recorder = ("recorder", &hosts.recorder, ports.recorder);
    let is_spread = matches!(settings.queue, QueuePart::Redis(_));
    let asked = listeners.into_iter().chain(is_spread.then_some(recorder));
    let asked = asked.map(|(id, host, port)| listener(id, authority(host, port)));
    let answers = futures_util::future::join_all(asked).await;
    let healths: Vec<&Value> = answers
        .iter()
        .filter_map(|(_, health)| health.as_ref())
        .collect();
    let services = services::ask(settings, &healths).await;
    let mut parts: Vec<PartStatus> = answers.into_iter().map(|(part, _)| part).collect();
    parts.extend(services);
    Report::new(parts)
}

/// Asks one listener; beside its status, what it says about its health.
async fn listener(id: &'static str, authority: String) -> (PartStatus, Option<Value>) {
    let url = format!("http://{authority}");
    let http = Http::new(&url);
    let answer = tokio::time::timeout(PATIENCE, http.get("/api/health", None)).await;
    let (status, body) = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            return (PartStatus::new(id, url, Some(error.to_string())), None);
        }
        Err(_late) => {
            let problem = format!("no answer within {} s", PATIENCE.as_secs());
            return (PartStatus::new(id, url, Some(problem)), None);
        }
    };
    let problem = problem_of(id, status, &body);
    let health = body.get("checks").is_some().then_some(body);
    (PartStatus::new(id, url, problem), health)
}

/// What is wrong with a part that answered so.
fn problem_of(id: &str, status: u16, body: &Value) -> Option<String> {
    if status == 200 {
        return None;
    }
    let code = body.pointer("/error/code").and_then(Value::as_str);
    // The balancer passes the question on, so a server's trouble is not its own.
    if id == "balancer"
        && code != Some("draining")
        && (code == Some("no_server") || body.get("server").is_some())
    {
        return None;
    }
    if let Some(message) = body.pointer("/error/message").and_then(Value::as_str) {
        return Some(message.to_owned());
    }
    let said = body
        .get("status")
        .and_then(Value::as_str)
        .unwrap_or("unwell");
    let failing: Vec<&str> = CHECKS
        .into_iter()
        .filter(|check| {
            body.pointer(&format!("/checks/{check}"))
                .and_then(Value::as_str)
                == Some("down")
        })
        .collect();
    Some(if failing.is_empty() {
        format!("answers {status}: {said}")
    } else {
        format!("{said}: {} down", failing.join(", "))
    })
}

/// What a server checks.
const CHECKS: [&str; 4] = ["store", "queue", "smtp", "sockets"];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_is_named() {
        let unwell = json!({"status": "unhealthy", "server": "server-1",
            "checks": {"store": "down", "queue": "up", "smtp": "down", "sockets": "up"}});
        let problem = problem_of("server-1", 503, &unwell).unwrap();
        assert_eq!(problem, "unhealthy: store, smtp down");
        assert_eq!(problem_of("balancer", 503, &unwell), None);
        let draining =
            json!({"error": {"code": "draining", "message": "the balancer is stopping"}});
        assert_eq!(
            problem_of("balancer", 503, &draining).unwrap(),
            "the balancer is stopping"
        );
        assert_eq!(problem_of("server-1", 200, &json!({})), None);
        assert_eq!(
            problem_of("gateway", 404, &json!(null)).unwrap(),
            "answers 404: unwell"
        );
    }

    #[test]
    fn the_last_line_names_what_is_down() {
        let parts = vec![
            PartStatus::new("balancer", "http://h:1", None),
            PartStatus::new("store", "mongodb://***@h", Some("refused".to_owned())),
        ];
        let report = Report::new(parts);
        assert!(!report.is_all_up());
        let text = report.to_text();
        assert!(text.ends_with("down: store"), "{text}");
        assert!(text.contains("down  store"), "{text}");
        let json: Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["parts"][1]["problem"], "refused");
        assert_eq!(json["schema"], "flowreel.status/1");
    }
}
