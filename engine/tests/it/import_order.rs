//! Spans in an order of time that no honest run has, and what an import makes of them.

use crate::import::{imported, trace};
use flowreel_engine::model::event::{EventKind, StageEvent};

#[test]
fn a_call_begins_with_the_stay_that_made_it_at_the_earliest() {
    let imported = imported(
        "early",
        &trace(&[
            ("a", "", "web", 4000, 100),
            ("b", "a", "web", 0, 100),
            ("c", "b", "mail", 10, 20),
        ]),
    );
    let warnings = &imported.report.warnings;
    let is_said = |line: &String| line.contains("began before the stay that made them");
    assert!(warnings.iter().any(is_said), "{warnings:?}");
    let at = |kind: EventKind, name: &str| {
        let is_it = |event: &StageEvent| {
            event.kind == kind && imported.topology.component_name(event.component) == name
        };
        let found = imported.events.iter().find(|(event, _)| is_it(event));
        found.map(|(event, _)| event.t_ns)
    };
    let begun = at(EventKind::ServiceStarted, "web");
    assert!(begun.is_some());
    assert_eq!(at(EventKind::Arrived, "mail"), begun);
    assert_eq!(at(EventKind::ServiceStarted, "mail"), begun);
}
