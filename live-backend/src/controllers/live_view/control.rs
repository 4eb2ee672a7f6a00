//! `/api/live-view/control`: what operators may change and break, what is changed and broken now.
//!
//! Belongs here: the shape of requests and answers. Does not belong here: what a command does (control).

use crate::app::App;
use crate::control::{self, ControlCommand, NewFault};
use crate::error::AppError;
use crate::faults::spec::{self, Asked};
use crate::faults::{FaultKind, HeldFault};
use crate::middleware::body::Fields;
use crate::models::WallMs;
use crate::router::ServerState;
use crate::security::random_hex;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Everything that can be controlled, as it is now.
#[derive(Serialize)]
pub(crate) struct Now {
    settings: Map<String, Value>,
    faults: Vec<Shown>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: String,
    target: &'static str,
    #[serde(flatten)]
    kind: FaultKind,
    began_at: WallMs,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<WallMs>,
}

impl From<HeldFault> for Shown {
    fn from(fault: HeldFault) -> Self {
        Self {
            id: fault.id,
            target: fault.place.name(),
            kind: fault.kind,
            began_at: fault.began_at,
            ends_at: fault.ends_at,
        }
    }
}

/// What a command did.
#[derive(Serialize)]
pub(crate) struct Applied {
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Begun>,
    #[serde(flatten)]
    now: Now,
}

#[derive(Serialize)]
struct Begun {
    id: String,
    target: &'static str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    for_s: Option<f64>,
}

pub(crate) async fn show(State(server): State<ServerState>) -> Json<Now> {
    Json(as_it_is(&server.app).await)
}

pub(crate) async fn apply(
    State(server): State<ServerState>,
    fields: Fields,
) -> Result<Json<Applied>, AppError> {
    let app = &server.app;
    let (command, fault) = read(&fields)?;
    control::carry_out(app, command).await?;
    Ok(Json(Applied {
        fault,
        now: as_it_is(app).await,
    }))
}

async fn as_it_is(app: &Arc<App>) -> Now {
    Now {
        settings: control::values(app).await,
        faults: app.faults.list().into_iter().map(Shown::from).collect(),
    }
}

/// Exactly one of `set`, `fault` and `end`.
fn read(fields: &Fields) -> Result<(ControlCommand, Option<Begun>), AppError> {
    match (fields.get("set"), fields.get("fault"), fields.get("end")) {
        (Some(Value::Object(values)), None, None) => {
            control::paths::read_all(values)?;
            Ok((ControlCommand::Set(values.clone()), None))
        }
        (Some(_), None, None) => Err(AppError::field("set", "write set as {\"<path>\": value}")),
        (None, Some(fault), None) => {
            let (fault, begun) = new_fault(spec::read(fault)?);
            Ok((ControlCommand::BeginFault(fault), Some(begun)))
        }
        (None, None, Some(Value::String(id))) => Ok((ControlCommand::EndFault(id.clone()), None)),
        (None, None, Some(_)) => Err(AppError::field("end", "end is the id of a fault")),
        _ => Err(AppError::bad_request(
            "invalid_field",
            "send one of {\"set\": {\"<path>\": value}}, {\"fault\": {\"target\", \"kind\", …, \"for\"}} as \
             in a scenario, and {\"end\": \"<id of a fault>\"}",
        )),
    }
}

fn new_fault(asked: Asked) -> (NewFault, Begun) {
    let length_ms = |length: std::time::Duration| {
        // A part of a millisecond is not cut off: a fault of no length would be no fault.
        u64::try_from(length.as_millis()).unwrap_or(u64::MAX).max(1)
    };
    let fault = NewFault {
        id: random_hex::<4>(),
        target: asked.target.name().to_owned(),
        kind: asked.kind,
        length_ms: asked.length.map(length_ms),
    };
    let begun = Begun {
        id: fault.id.clone(),
        target: asked.target.name(),
        kind: asked.kind.name(),
        for_s: asked.length.map(|length| length.as_secs_f64()),
    };
    (fault, begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_thing_and_survives_its_way_to_other_processes() {
        let fields = |json: &str| Fields::parse(json.as_bytes()).ok().unwrap();
        for json in [
            r#"{"set":{"delays.queueing":5}}"#,
            r#"{"fault":{"target":"server-2","kind":"slow","factor":3,"for":"1s"}}"#,
            r#"{"fault":{"target":"smtp","kind":"delay","delay":{"dist":"uniform","low_s":0,"high_s":1}}}"#,
            r#"{"end":"abc"}"#,
        ] {
            let (command, _) = read(&fields(json)).unwrap();
            let text = serde_json::to_string(&command).unwrap();
            let again: ControlCommand = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&again).unwrap(), text);
        }
        for json in [
            "{}",
            r#"{"set":{"delays.queueing":5},"end":"x"}"#,
            r#"{"set":5}"#,
            r#"{"end":5}"#,
        ] {
            assert!(read(&fields(json)).is_err(), "{json}");
        }
    }
}
