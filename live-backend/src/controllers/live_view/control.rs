//! `POST /api/live-view/control`: breaks a part on purpose for a while.
//!
//! Belongs here: reading a fault as scenarios write it. Does not belong here: what a fault does.

use crate::app::App;
use crate::error::AppError;
use crate::faults::{FaultKind, TARGETS};
use crate::middleware::body::Fields;
use crate::middleware::caller::Caller;
use crate::router::ServerState;
use crate::telemetry::{Detail, Place};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flowreel_engine::model::time::parse_duration_ns;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// The code that refused operations answer where none is asked for: try again later.
const REPLY_CODE_DEFAULT: u16 = 451;
/// Longest planned fault: a day.
const LENGTH_MAX: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Serialize)]
pub(crate) struct Applied {
    fault: Shown,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    target: &'static str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    for_s: Option<f64>,
}

struct Asked {
    target: Place,
    kind: FaultKind,
    length: Option<Duration>,
}

pub(crate) async fn apply(
    State(server): State<ServerState>,
    caller: Caller,
    fields: Fields,
) -> Result<(StatusCode, Json<Applied>), AppError> {
    caller.must_be_admin()?;
    let fault = fields.get("fault").ok_or_else(|| {
        AppError::field(
            "fault",
            "send {\"fault\": {\"target\", \"kind\", …, \"for\"}} as in a scenario",
        )
    })?;
    let asked = read(fault)?;
    let app = &server.app;
    let id = app.faults.begin(asked.target, asked.kind).ok_or_else(|| {
        AppError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_faults",
            "too many faults hold already; wait for one to end",
        )
    })?;
    record_begin(app, &asked);
    if let Some(length) = asked.length {
        end_later(app, id, &asked, length);
    }
    let shown = Shown {
        id: id.to_string(),
        target: asked.target.name(),
        kind: asked.kind.name(),
        for_s: asked.length.map(|length| length.as_secs_f64()),
    };
    Ok((StatusCode::OK, Json(Applied { fault: shown })))
}

fn record_begin(app: &App, asked: &Asked) {
    let (name, value_milli) = match asked.kind {
        FaultKind::Down => (asked.kind.name(), 1000),
        FaultKind::Slow { factor } => (asked.kind.name(), thousandths(factor)),
        FaultKind::ErrorRate { probability, .. } => (asked.kind.name(), thousandths(probability)),
    };
    app.telemetry
        .control_applied(asked.target, Detail::of("fault", name), value_milli);
    let length_ns = asked.length.map_or(0, |length| {
        u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
    });
    app.telemetry.fault_began(asked.target, name, length_ns);
}

fn end_later(app: &Arc<App>, id: u64, asked: &Asked, length: Duration) {
    let (app, target, name) = (Arc::clone(app), asked.target, asked.kind.name());
    let ends_at = tokio::time::Instant::now() + length;
    app.tracker.clone().spawn(async move {
        tokio::select! {
            biased;
            () = app.stopping.cancelled() => {}
            () = tokio::time::sleep_until(ends_at) => {}
        }
        app.faults.end(id);
        app.telemetry.fault_ended(target, name);
    });
}

fn read(fault: &Value) -> Result<Asked, AppError> {
    let text = |key: &str| fault.get(key).and_then(Value::as_str);
    let number = |key: &str| fault.get(key).and_then(Value::as_f64);
    let target = match text("target") {
        Some("smtp") => Place::Smtp,
        Some("websocket" | "in-app") => Place::Websocket,
        _ => {
            let names = TARGETS.map(Place::name).join(" or ");
            return Err(AppError::field(
                "fault.target",
                format!("fault.target is {names}"),
            ));
        }
    };
    let kind = match text("kind") {
        Some("down") => FaultKind::Down,
        Some("slow") => FaultKind::Slow {
            factor: number("factor")
                .filter(|factor| (1.0..=1000.0).contains(factor))
                .ok_or_else(|| {
                    AppError::field("fault.factor", "write a fault.factor from 1 to 1000")
                })?,
        },
        Some("error-rate") => FaultKind::ErrorRate {
            probability: number("probability")
                .filter(|probability| (0.0..=1.0).contains(probability))
                .ok_or_else(|| {
                    AppError::field("fault.probability", "write a fault.probability from 0 to 1")
                })?,
            reply_code: reply_code(fault)?,
        },
        _ => {
            return Err(AppError::field(
                "fault.kind",
                "fault.kind is down, slow or error-rate",
            ));
        }
    };
    Ok(Asked {
        target,
        kind,
        length: length(fault)?,
    })
}

fn reply_code(fault: &Value) -> Result<u16, AppError> {
    let Some(value) = fault.get("code") else {
        return Ok(REPLY_CODE_DEFAULT);
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

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "factors and probabilities are checked to be 0 to 1000"
)]
fn thousandths(number: f64) -> u64 {
    (number * 1000.0).round() as u64
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
        let asked = read(&json!({"target": "in-app", "kind": "down"})).unwrap();
        assert_eq!(
            (asked.target, asked.kind, asked.length),
            (Place::Websocket, FaultKind::Down, None)
        );
    }

    #[test]
    fn wrong_faults_name_the_wrong_part() {
        for (fault, field) in [
            (json!({}), "fault.target"),
            (json!({"target": "moon", "kind": "down"}), "fault.target"),
            (json!({"target": "smtp", "kind": "broken"}), "fault.kind"),
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
