//! Events with names in place of numbers, a JSON object a line.
//!
//! Belongs here: the object. Does not belong here: which events (whoever asks).

use super::{ExportError, Exported};
use crate::model::event::{Outcome, StageEvent};
use crate::model::id::RequestId;
use crate::model::topology::Topology;
use crate::recording::{Detail, ReelReader};
use serde::Serialize;
use std::io::Write;

/// An event with names in place of numbers; what it does not have is left out.
#[derive(Debug, Serialize)]
pub struct EventRecord<'a> {
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

impl<'a> EventRecord<'a> {
    /// The event on this map, with its record.
    #[must_use]
    pub fn new(event: &StageEvent, topology: &'a Topology, detail: Option<Detail>) -> Self {
        let has_request = event.request != RequestId::NONE;
        let named = |id| {
            topology
                .component(id)
                .map(|component| component.id.as_str())
        };
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
            outcome: (event.outcome != Outcome::None).then(|| event.outcome.name()),
            value: event.value,
            detail,
        }
    }
}

/// Writes every event.
///
/// # Errors
/// [`ExportError`] where the reel cannot be read or the lines not be written.
pub fn write_json_lines(
    reader: &mut ReelReader,
    out: &mut impl Write,
) -> Result<Exported, ExportError> {
    let topology = reader.topology().clone();
    let mut exported = Exported::default();
    let mut events = Vec::new();
    for position in 0..reader.event_blocks().len() {
        reader.read_events(position, &mut events)?;
        for event in &events {
            let detail = reader.read_detail(event.detail)?;
            serde_json::to_writer(&mut *out, &EventRecord::new(event, &topology, detail))?;
            out.write_all(b"\n")?;
        }
        exported.events += events.len() as u64;
    }
    exported.items = exported.events;
    Ok(exported)
}
