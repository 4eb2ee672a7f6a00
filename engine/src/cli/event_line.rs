//! One event as a line: a table row, or a JSON object.
//!
//! Belongs here: what `cat` and `replay` share. Does not belong here: which events (cat).

use super::CliError;
use flowreel_engine::export::EventRecord;
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::id::RequestId;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::Detail;

/// The event as a JSON object on one line.
pub(super) fn json(
    event: &StageEvent,
    topology: &Topology,
    detail: Option<Detail>,
) -> Result<String, CliError> {
    serde_json::to_string(&EventRecord::new(event, topology, detail))
        .map_err(|error| CliError::input(format!("the event does not fit JSON: {error}")))
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
