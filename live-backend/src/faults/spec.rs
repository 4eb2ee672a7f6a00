//! A fault as scenarios and control requests write it, read and checked.
//!
//! Belongs here: which kinds make sense where, bounds. Does not belong here: what a fault does.

use super::{FaultKind, Law};
use crate::error::AppError;
use crate::telemetry::Place;
use flowreel_engine::model::time::parse_duration_ns;
use flowreel_engine::scenario::nearest_hint;
use serde_json::Value;
use std::time::Duration;

/// The code that a refused mail gets where none is asked for: try again later.
const MAIL_CODE_DEFAULT: u16 = 451;
/// The code that other refused operations get where none is asked for.
const CODE_DEFAULT: u16 = 503;
/// Longest planned fault: a day.
const LENGTH_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest delay of one operation, in seconds.
const DELAY_S_MAX: f64 = 60.0;

const SERVICE_KINDS: &[&str] = &["down", "slow", "error-rate", "pause", "delay"];
const SOCKET_KINDS: &[&str] = &["down", "slow", "error-rate", "pause", "delay", "disconnect"];
const QUEUE_KINDS: &[&str] = &["down", "slow", "pause", "delay"];

/// Places that can be broken, and how.
const TARGETS: [(Place, &[&str]); 11] = [
    (Place::Balancer, SERVICE_KINDS),
    (Place::Server1, SOCKET_KINDS),
    (Place::Server2, SOCKET_KINDS),
    (Place::Server3, SOCKET_KINDS),
    (Place::Database, SERVICE_KINDS),
    (Place::Mail, QUEUE_KINDS),
    (Place::InApp, QUEUE_KINDS),
    (Place::MailWorker, SERVICE_KINDS),
    (Place::InAppWorker, SERVICE_KINDS),
    (Place::Smtp, SOCKET_KINDS),
    (Place::Websocket, SOCKET_KINDS),
];

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) target: Place,
    pub(crate) kind: FaultKind,
    pub(crate) length: Option<Duration>,
}

/// Reads `{"target", "kind", …, "for"}`.
pub(crate) fn read(fault: &Value) -> Result<Asked, AppError> {
    let (target, kinds) = target(fault)?;
    let name = fault.get("kind").and_then(Value::as_str).unwrap_or("");
    if !kinds.contains(&name) {
        let message = format!(
            "fault.kind at {} is one of {}",
            target.name(),
            kinds.join(", ")
        );
        return Err(AppError::field("fault.kind", message));
    }
    let number = |key: &str| fault.get(key).and_then(Value::as_f64);
    let kind = match name {
        "down" => FaultKind::Down,
        "pause" => FaultKind::Pause,
        "disconnect" => FaultKind::Disconnect,
        "delay" => FaultKind::Delay { delay: law(fault)? },
        "slow" => FaultKind::Slow {
            factor: number("factor")
                .filter(|factor| (1.0..=1000.0).contains(factor))
                .ok_or_else(|| {
                    AppError::field("fault.factor", "write a fault.factor from 1 to 1000")
                })?,
        },
        _error_rate => FaultKind::ErrorRate {
            probability: number("probability")
                .filter(|probability| (0.0..=1.0).contains(probability))
                .ok_or_else(|| {
                    AppError::field("fault.probability", "write a fault.probability from 0 to 1")
                })?,
            reply_code: reply_code(fault, target)?,
        },
    };
    Ok(Asked {
        target,
        kind,
        length: length(fault)?,
    })
}

fn target(fault: &Value) -> Result<(Place, &'static [&'static str]), AppError> {
    let name = fault.get("target").and_then(Value::as_str).unwrap_or("");
    let found = TARGETS
        .into_iter()
        .find(|(place, _kinds)| place.name() == name);
    found.ok_or_else(|| {
        let names = TARGETS.map(|(place, _kinds)| place.name());
        let hint = nearest_hint(name, &names);
        let message = format!("fault.target is one of {}; {hint}", names.join(", "));
        AppError::field("fault.target", message)
    })
}

fn law(fault: &Value) -> Result<Law, AppError> {
    let wrong = || {
        AppError::field(
            "fault.delay",
            "write fault.delay as {\"dist\": \"deterministic\" or \"exponential\", \"mean_s\": s} or \
             {\"dist\": \"uniform\", \"low_s\": s, \"high_s\": s}, with up to 60 seconds",
        )
    };
    let value = fault.get("delay").or_else(|| fault.get("dist"));
    let law: Law = value
        .and_then(|value| serde_json::from_value(value.clone()).ok())
        .ok_or_else(wrong)?;
    let is_fine = |s: f64| (0.0..=DELAY_S_MAX).contains(&s);
    let is_well = match law {
        Law::Deterministic { mean_s } | Law::Exponential { mean_s } => is_fine(mean_s),
        Law::Uniform { low_s, high_s } => is_fine(low_s) && is_fine(high_s) && low_s <= high_s,
    };
    is_well.then_some(law).ok_or_else(wrong)
}

fn reply_code(fault: &Value, target: Place) -> Result<u16, AppError> {
    let Some(value) = fault.get("code") else {
        let is_mail = target == Place::Smtp;
        return Ok(if is_mail {
            MAIL_CODE_DEFAULT
        } else {
            CODE_DEFAULT
        });
    };
    let code = value.as_u64().and_then(|code| u16::try_from(code).ok());
    code.filter(|code| (400..=599).contains(code))
        .ok_or_else(|| AppError::field("fault.code", "write a fault.code from 400 to 599"))
}

fn length(fault: &Value) -> Result<Option<Duration>, AppError> {
    let Some(value) = fault.get("for") else {
        return Ok(None);
    };
    let ns = value.as_str().and_then(|text| parse_duration_ns(text).ok());
    let length = ns
        .map(Duration::from_nanos)
        .filter(|length| *length <= LENGTH_MAX);
    length.map(Some).ok_or_else(|| {
        AppError::field(
            "fault.for",
            "write fault.for as a duration up to 24h, such as 10s or 500ms",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn faults_are_read_as_scenarios_write_them() {
        let fault =
            json!({"target": "smtp", "kind": "error-rate", "probability": 0.3, "for": "10s"});
        let asked = read(&fault).unwrap();
        assert_eq!(asked.target, Place::Smtp);
        assert_eq!(
            asked.kind,
            FaultKind::ErrorRate {
                probability: 0.3,
                reply_code: 451
            }
        );
        assert_eq!(asked.length, Some(Duration::from_secs(10)));
        let asked = read(&json!({"target": "server-2", "kind": "down"})).unwrap();
        assert_eq!(
            (asked.target, asked.kind, asked.length),
            (Place::Server2, FaultKind::Down, None)
        );
        let delay = json!({"target": "database", "kind": "delay",
            "delay": {"dist": "exponential", "mean_s": 0.02}});
        assert_eq!(
            read(&delay).unwrap().kind,
            FaultKind::Delay {
                delay: Law::Exponential { mean_s: 0.02 }
            }
        );
    }

    #[test]
    fn wrong_faults_name_the_wrong_part() {
        for (fault, field) in [
            (json!({}), "fault.target"),
            (json!({"target": "moon", "kind": "down"}), "fault.target"),
            (json!({"target": "smtp", "kind": "broken"}), "fault.kind"),
            (
                json!({"target": "mail", "kind": "disconnect"}),
                "fault.kind",
            ),
            (
                json!({"target": "database", "kind": "delay"}),
                "fault.delay",
            ),
            (
                json!({"target": "database", "kind": "delay", "delay": {"dist": "uniform", "low_s": 2, "high_s": 1}}),
                "fault.delay",
            ),
            (
                json!({"target": "smtp", "kind": "error-rate"}),
                "fault.probability",
            ),
            (
                json!({"target": "smtp", "kind": "error-rate", "probability": 2}),
                "fault.probability",
            ),
            (
                json!({"target": "smtp", "kind": "error-rate", "probability": 1, "code": 250}),
                "fault.code",
            ),
            (
                json!({"target": "smtp", "kind": "slow", "factor": "x"}),
                "fault.factor",
            ),
            (
                json!({"target": "smtp", "kind": "down", "for": "soon"}),
                "fault.for",
            ),
            (
                json!({"target": "smtp", "kind": "down", "for": "100d"}),
                "fault.for",
            ),
        ] {
            let error = read(&fault).err().unwrap().to_json();
            assert!(
                error.contains(&format!("\"field\":\"{field}\"")),
                "{fault}: {error}"
            );
        }
    }
}
