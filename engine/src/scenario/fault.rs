//! Faults as written: what breaks, where, when and for how long.
//!
//! Belongs here: reading `[[fault]]`. Does not belong here: what a fault does (kernel::fault).

use super::distribution;
use super::fields::{self, Bound, Fields};
use super::names::Names;
use super::problem::{Problems, nearest_hint};
use super::raw::{Node, Value};
use super::valid::{Fault, FaultKind, Role, Scenario};
use crate::model::time::parse_duration_ns;

const KINDS: &[&str] = &["down", "slow", "error-rate", "pause", "delay", "disconnect"];

pub(super) fn read(node: &Node, names: &Names, problems: &mut Problems<'_>) -> Option<Fault> {
    let mut fields = Fields::new(node, "a [[fault]]", problems)?;
    let at_ns = fields
        .need("at", problems)
        .and_then(|node| at(node, problems));
    let for_ns = match fields.take("for") {
        Some(node) => fields::duration_ns(node, "for", problems).map(Some),
        None => Some(None),
    };
    let target = fields.need("target", problems).and_then(|node| {
        let name = fields::text(node, "target", problems)?;
        names.station(name, node.place, problems)
    });
    let kind_node = fields.need("kind", problems)?;
    let kind = match fields::text(kind_node, "kind", problems)? {
        "down" => Some(FaultKind::Down),
        "pause" => Some(FaultKind::Pause),
        "disconnect" => Some(FaultKind::Disconnect),
        "slow" => fields
            .need_number("factor", Bound::Positive, problems)
            .map(FaultKind::Slow),
        "error-rate" => fields
            .need_number("probability", Bound::Probability, problems)
            .map(FaultKind::ErrorRate),
        "delay" => distribution::read_fields(&mut fields, problems).map(FaultKind::Delay),
        other => {
            problems.add_with_hint(
                kind_node.place,
                format!("no fault is named `{other}`"),
                nearest_hint(other, KINDS),
            );
            return None;
        }
    };
    fields.finish(problems);
    Some(Fault {
        at_ns: at_ns?,
        for_ns: for_ns?,
        target: target?,
        kind: kind?,
    })
}

/// A moment of the run; 0 is its start.
fn at(node: &Node, problems: &mut Problems<'_>) -> Option<u64> {
    match &node.value {
        Value::Text(text) if matches!(parse_duration_ns(text), Ok(0)) => Some(0),
        Value::Integer(0) => Some(0),
        _ => fields::duration_ns(node, "at", problems),
    }
}

/// Faults strike where something is served or held; `nodes` give their places.
pub(super) fn check(scenario: &Scenario, nodes: &[&Node], problems: &mut Problems<'_>) {
    for (fault, node) in scenario.faults.iter().zip(nodes) {
        let holds = scenario
            .station(fault.target)
            .is_some_and(|station| matches!(station.role, Role::Serve | Role::Hold));
        if !holds {
            problems.add_with_hint(
                node.place,
                format!(
                    "a fault at `{}`, which neither serves nor feeds workers",
                    scenario.component(fault.target).id
                ),
                "name a station with `service`, or a queue with workers",
            );
        }
    }
}
