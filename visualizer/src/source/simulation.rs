//! Runs a scenario through the engine's kernel and passes its events on as they happen.
//!
//! Belongs here: reading the scenario file, pacing the kernel. Does not belong here: the model.

use super::{EVENTS_PER_MESSAGE, Message, Outlet, SourceError, Stopped};
use flowreel_engine::kernel::{EventSink, Kernel};
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::time::{NS_PER_S, TimeNs};
use flowreel_engine::scenario;
use flowreel_engine::scenario::valid::Stop;
use std::path::Path;

/// Virtual time between two looks at whether anybody still watches.
const STRIDE_NS: u64 = NS_PER_S;

pub(super) fn run(path: &Path, outlet: &Outlet) -> Result<(), Stopped> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        SourceError::Bad(format!(
            "scenario {shown} cannot be read: {error}; name a TOML file from scenarios/"
        ))
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let read_file =
        |name: &str| std::fs::read_to_string(folder.join(name)).map_err(|error| error.to_string());
    let loaded = scenario::load_with_files(&text, &[], &read_file).map_err(|error| {
        let first = error
            .problems
            .first()
            .map_or_else(|| error.to_string(), ToString::to_string);
        SourceError::Bad(format!("{shown}: {first}"))
    })?;
    let scenario = loaded.scenario;
    let seed = scenario.seed;
    let planned_end = match scenario.stop {
        Stop::Duration(ns) => Some(TimeNs(ns)),
        Stop::Requests(_) => None,
    };
    outlet.send(Message::Opened {
        topology: Box::new(scenario.topology.clone()),
        seed: Some(seed),
        planned_end,
    })?;
    let failed = |error: &dyn std::fmt::Display| SourceError::Bad(format!("{shown}: {error}"));
    let mut kernel = Kernel::new(&scenario, seed).map_err(|error| failed(&error))?;
    let mut events: Vec<StageEvent> = Vec::with_capacity(EVENTS_PER_MESSAGE);
    let mut until = TimeNs(STRIDE_NS);
    loop {
        let mut sink = EventSink(|event: &StageEvent| events.push(*event));
        let goes_on = kernel
            .run_until(until, &mut sink)
            .map_err(|error| failed(&error))?;
        outlet.events(&events)?;
        events.clear();
        if !goes_on {
            return Ok(());
        }
        until = until.checked_add_ns(STRIDE_NS).unwrap_or(TimeNs::MAX);
        if let Some(end) = planned_end.filter(|end| end.0 > 0) {
            outlet.send(Message::Progress(share(until, end)))?;
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a share for a line of text"
)]
fn share(now: TimeNs, end: TimeNs) -> f32 {
    ((now.as_s() / end.as_s()) as f32).min(1.0)
}
