//! One event as a line: a table row, or a JSON object.
//!
//! Belongs here: what `cat` and `replay` share. Does not belong here: which events (cat).

use super::CliError;
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::id::{DetailId, RequestId};
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::{Detail, ReelError, ReelReader};
use serde::Serialize;

/// An event with names in place of numbers.
#[derive(Serialize)]
pub(super) struct EventAnswer<'a> {
    t_ns: u64,
    seq: u64,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a str>,
    part: u16,
    attempt: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    value: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Detail>,
}

impl<'a> EventAnswer<'a> {
    pub(super) fn new(event: &StageEvent, topology: &'a Topology, detail: Option<Detail>) -> Self {
        let has_request = event.request != RequestId::NONE;
        let named = |id| {
            topology
                .component(id)
                .map(|component| component.id.as_str())
        };
        let is_ended = event.outcome != flowreel_engine::model::event::Outcome::None;
        Self {
            t_ns: event.t_ns.0,
            seq: event.seq,
            kind: event.kind.name(),
            request: has_request.then(|| event.request.0.to_string()),
            component: named(event.component),
            peer: named(event.peer),
            class: has_request.then(|| topology.class_name(event.class)),
            part: event.part.0,
            attempt: event.attempt,
            outcome: is_ended.then(|| event.outcome.name()),
            value: event.value,
            detail,
        }
    }

    pub(super) fn json(&self) -> Result<String, CliError> {
        serde_json::to_string(self)
            .map_err(|error| CliError::input(format!("the event does not fit JSON: {error}")))
    }
}

/// Heads the rows of [`row`].
pub(super) const HEAD: &str =
    "         time        seq  kind                 request   part  component        peer";

/// The event as a table row.
pub(super) fn row(event: &StageEvent, topology: &Topology, detail: Option<&Detail>) -> String {
    let mut row = format!(
        "{:>13} {:>10}  {:<20} {:<9} {:<5} {:<16} {:<16}",
        event.t_ns.to_string(),
        event.seq,
        event.kind.name(),
        if event.request == RequestId::NONE {
            "-".to_owned()
        } else {
            event.request.0.to_string()
        },
        event.part.0,
        topology.component_name(event.component),
        topology.component_name(event.peer),
    );
    if event.attempt > 0 {
        row += &format!(" attempt {}", event.attempt);
    }
    if event.outcome != flowreel_engine::model::event::Outcome::None {
        row += &format!(" {}", event.outcome.name());
    }
    if event.value != 0 {
        row += &format!(" value {}", event.value);
    }
    for (key, value) in detail.iter().flat_map(|detail| &detail.0) {
        row += &format!(" {key}={value:?}");
    }
    row.truncate(row.trim_end().len());
    row
}

/// The record beside an event, where it has one.
pub(super) fn detail_of(
    reader: &mut ReelReader,
    event: &StageEvent,
) -> Result<Option<Detail>, ReelError> {
    if event.detail == DetailId::NONE {
        return Ok(None);
    }
    reader.read_detail(event.detail)
}
