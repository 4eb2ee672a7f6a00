//! `flowreel info RUN.reel`: what is in it.
//!
//! Belongs here: totals of a reel as an answer. Does not belong here: checking them (verify).

use super::moment::WallClock;
use super::notes::{self, Note};
use super::{CliError, Console, Outcome, reel_file};
use flowreel_engine::model::time::{TimeNs, seconds_from_ns};
use flowreel_engine::recording::{Gap, ReelReader, Summary, totals};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: flowreel info recordings/smtp-refuses.reel")]
pub(super) struct Args {
    /// Reel to look into.
    reel: PathBuf,
}

/// The answer of `info`, which `verify` extends.
#[derive(Serialize)]
pub(super) struct InfoAnswer {
    pub(super) schema: &'static str,
    format_version: u16,
    format_minor: u16,
    run_id: String,
    source: &'static str,
    program: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    pub(super) events: u64,
    duration_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_t_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_t_ns: Option<u64>,
    requests: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scenario: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    components: Vec<ComponentAnswer>,
    edges: Vec<EdgeAnswer>,
    kinds: BTreeMap<&'static str, u64>,
    details: u32,
    keyframes: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_event: Option<f64>,
    pub(super) final_hash: String,
    pub(super) complete: bool,
    /// Number of this segment, where the reel goes on with an earlier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    segment: Option<u32>,
    /// The run goes on in another reel.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    continues: bool,
    pub(super) gaps: Vec<GapAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
    /// What the reel says of its run beside all this.
    notes: BTreeMap<String, String>,
    /// Notes of people, from the file beside the reel.
    annotations: Vec<Note>,
}

#[derive(Serialize)]
struct ComponentAnswer {
    id: String,
    kind: &'static str,
    label: String,
}

#[derive(Serialize)]
struct EdgeAnswer {
    from: String,
    to: String,
    events: u64,
}

/// A hole; `events` is absent where nobody can know.
#[derive(Serialize)]
pub(super) struct GapAnswer {
    from_t_ns: u64,
    to_t_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<u64>,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
}

impl GapAnswer {
    pub(super) fn new(gap: &Gap) -> Self {
        Self {
            from_t_ns: gap.from_t_ns.0,
            to_t_ns: gap.to_t_ns.0,
            events: gap.events,
            reason: gap.reason.name(),
            offset: gap.offset,
        }
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        let events = match self.events {
            Some(1) => "1 event".to_owned(),
            Some(n) => format!("{n} events"),
            None => "an unknown number of events".to_owned(),
        };
        format!(
            "gap: {events} missing from {} to {} ({})",
            TimeNs(self.from_t_ns),
            TimeNs(self.to_t_ns),
            self.reason
        )
    }
}

/// What is missing from a reel as far as it was read, for standard error: no view is silent about it.
pub(super) fn tell_gaps(gaps: &[Gap], console: &mut Console<'_>) {
    for gap in gaps {
        console.progress(format_args!("{}", GapAnswer::new(gap).line()));
    }
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let mut reader = reel_file::open(&args.reel)?;
    let notes = notes::read_or_say(&args.reel, console);
    let answer = answer("flowreel.info/1", &mut reader, &args.reel, notes)?;
    if console.json {
        console.answer(&answer)?;
    } else {
        table(&answer, console)?;
    }
    Ok(Outcome::Done)
}

/// Everything `info` says about a reel.
pub(super) fn answer(
    schema: &'static str,
    reader: &mut ReelReader,
    path: &Path,
    annotations: Vec<Note>,
) -> Result<InfoAnswer, CliError> {
    let failed = |error| reel_file::read_error(path, &error);
    // Only reading shows damage, and a gap that is not shown is a lie.
    reader.check_events().map_err(failed)?;
    let summary = totals(reader).map_err(failed)?;
    let topology = reader.topology();
    let meta = reader.meta();
    let bytes = reader.length_bytes();
    Ok(InfoAnswer {
        schema,
        format_version: reader.version().0,
        format_minor: reader.version().1,
        run_id: meta.run_id.to_string(),
        source: meta.source.name(),
        program: meta.program.clone(),
        started_at: meta.started_at_unix_ns.map(|ns| WallClock(ns).to_string()),
        events: summary.events,
        duration_s: seconds_from_ns(summary.last_t_ns.map_or(0, |t| t.0)),
        first_t_ns: summary.first_t_ns.map(|t| t.0),
        last_t_ns: summary.last_t_ns.map(|t| t.0),
        requests: summary.requests,
        scenario: meta.scenario.as_ref().map(|_| topology.name.clone()),
        seed: meta.scenario.as_ref().map(|scenario| scenario.seed),
        components: topology
            .components
            .iter()
            .map(|component| ComponentAnswer {
                id: component.id.clone(),
                kind: component.kind.name(),
                label: component.label.clone(),
            })
            .collect(),
        edges: edges(reader, &summary),
        kinds: summary.kind_counts().map(|(k, n)| (k.name(), n)).collect(),
        details: summary.details,
        keyframes: summary.keyframes,
        bytes,
        bytes_per_event: bytes_per_event(bytes, summary.events),
        final_hash: summary.final_hash.to_string(),
        complete: reader.is_complete(),
        segment: meta.segment.map(|segment| segment.number),
        continues: reader.continues(),
        gaps: reader.gaps().iter().map(GapAnswer::new).collect(),
        dropped: summary.dropped,
        notes: meta.notes.clone(),
        annotations,
    })
}

#[expect(clippy::cast_precision_loss, reason = "printing")]
fn bytes_per_event(bytes: u64, events: u64) -> Option<f64> {
    (events > 0).then(|| bytes as f64 / events as f64)
}

/// Every edge of the map with its count, and ways that were taken without being on the map.
fn edges(reader: &ReelReader, summary: &Summary) -> Vec<EdgeAnswer> {
    let topology = reader.topology();
    let mut counts: BTreeMap<(u16, u16), u64> = topology
        .edges
        .iter()
        .map(|edge| ((edge.from.0, edge.to.0), 0))
        .collect();
    for (from, to, events) in summary.edge_counts() {
        counts.insert((from.0, to.0), events);
    }
    let name = |id| {
        topology
            .component_name(flowreel_engine::model::id::ComponentId(id))
            .to_owned()
    };
    counts
        .into_iter()
        .map(|((from, to), events)| EdgeAnswer {
            from: name(from),
            to: name(to),
            events,
        })
        .collect()
}

fn table(answer: &InfoAnswer, console: &mut Console<'_>) -> Result<(), CliError> {
    console.line(format_args!(
        "{} reel, run {}, format {}.{}, written by {}",
        answer.source, answer.run_id, answer.format_version, answer.format_minor, answer.program
    ))?;
    if let Some(started_at) = &answer.started_at {
        console.line(format_args!("started at {started_at}"))?;
    }
    if let (Some(scenario), Some(seed)) = (&answer.scenario, answer.seed) {
        console.line(format_args!("scenario {scenario}, seed {seed}"))?;
    }
    console.line(format_args!(
        "{} events of {} requests over {:.3} s; {} bytes{}; {} keyframes; {}",
        answer.events,
        answer.requests,
        answer.duration_s,
        answer.bytes,
        answer
            .bytes_per_event
            .map_or_else(String::new, |bytes| format!(", {bytes:.2} an event")),
        answer.keyframes,
        if answer.continues {
            "the run goes on in another segment"
        } else if answer.complete {
            "ended in good order"
        } else {
            "without an end"
        }
    ))?;
    if let Some(dropped) = answer.dropped {
        console.line(format_args!("{dropped} events dropped while recording"))?;
    }
    console.line(format_args!("final hash {}", answer.final_hash))?;
    for gap in &answer.gaps {
        console.line(format_args!("{}", gap.line()))?;
    }
    for (name, text) in &answer.notes {
        console.line(format_args!("{name}: {text}"))?;
    }
    for note in &answer.annotations {
        console.line(format_args!(
            "note at {}{}: {}",
            TimeNs(note.t_ns),
            note.about(),
            note.text
        ))?;
    }
    console.line(format_args!("\n{:<16} {:<12} label", "component", "kind"))?;
    for component in &answer.components {
        console.line(format_args!(
            "{:<16} {:<12} {}",
            component.id, component.kind, component.label
        ))?;
    }
    console.line(format_args!("\n{:<34} {:>10}", "edge", "parts"))?;
    for edge in &answer.edges {
        let way = format!("{} > {}", edge.from, edge.to);
        console.line(format_args!("{way:<34} {:>10}", edge.events))?;
    }
    console.line(format_args!("\n{:<34} {:>10}", "kind", "events"))?;
    for (kind, events) in &answer.kinds {
        console.line(format_args!("{kind:<34} {events:>10}"))?;
    }
    Ok(())
}
