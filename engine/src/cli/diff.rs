//! `flowreel diff A.reel B.reel`: where two runs part, and their figures side by side.
//!
//! Belongs here: the answer. Does not belong here: finding the place (editing).

use super::event_line::{HEAD, row};
use super::{CliError, Console, Outcome, reel_file};
use flowreel_engine::editing::{Divergence, EditError, diverge};
use flowreel_engine::export::EventRecord;
use flowreel_engine::model::metrics::Durations;
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::replay::{Via, state_at};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: flowreel diff before.reel after.reel")]
pub(super) struct Args {
    /// One reel.
    a: PathBuf,
    /// The other.
    b: PathBuf,
}

#[derive(Serialize)]
struct DiffAnswer<'a> {
    schema: &'static str,
    same: bool,
    same_topology: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    divergence: Option<DivergenceAnswer<'a>>,
    /// Places where hashes could be compared, and how many were.
    keyframes: usize,
    keyframes_compared: usize,
    /// Events in a gap of one of the reels.
    not_compared: u64,
    a: SideAnswer,
    b: SideAnswer,
}

#[derive(Serialize)]
struct DivergenceAnswer<'a> {
    common_events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    a: Option<EventRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<EventRecord<'a>>,
}

/// Figures at the end of one run.
#[derive(Serialize)]
struct SideAnswer {
    reel: String,
    events: u64,
    final_hash: String,
    duration_s: f64,
    metrics: BTreeMap<String, f64>,
}

impl SideAnswer {
    fn new(path: &Path, topology: &Topology, state: &SystemState) -> Self {
        let mut metrics = BTreeMap::new();
        let requests = state.requests();
        let mut add = |name: String, value: Option<f64>| {
            if let Some(value) = value {
                metrics.insert(name, value);
            }
        };
        for (name, count) in [
            ("started", requests.started),
            ("completed", requests.completed),
            ("failed", requests.failed),
            ("rejected", requests.rejected),
            ("abandoned", requests.abandoned),
            ("in_flight", requests.in_flight),
        ] {
            add(format!("requests.{name}"), Some(plain(count)));
        }
        let mut spread = |name: String, durations: &Durations| {
            add(format!("{name}.mean"), durations.mean_s());
            add(format!("{name}.p99"), durations.quantile_s(0.99));
        };
        spread("system.sojourn_s".to_owned(), &state.system().sojourn_time);
        for (path, held) in topology.paths.iter().zip(state.paths()) {
            spread(format!("paths.{}.sojourn_s", path.id), &held.sojourn_time);
        }
        for (component, held) in topology.components.iter().zip(state.components()) {
            let measures = &held.measures;
            if measures.arrivals == 0 {
                continue;
            }
            let name = |what: &str| format!("stations.{}.{what}", component.id);
            spread(name("waiting_s"), &measures.waiting_time);
            spread(name("sojourn_s"), &measures.sojourn_time);
        }
        for (component, held) in topology.components.iter().zip(state.components()) {
            let measures = &held.measures;
            if measures.arrivals > 0 {
                let name = |what: &str| format!("stations.{}.{what}", component.id);
                metrics.insert(name("arrivals"), plain(measures.arrivals));
                metrics.insert(name("completed"), plain(measures.completed));
                metrics.insert(name("failed"), plain(measures.failed));
            }
        }
        Self {
            reel: path.display().to_string(),
            events: state.event_count(),
            final_hash: state.run_hash().to_string(),
            duration_s: state.now().as_s(),
            metrics,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of people's size")]
fn plain(count: u64) -> f64 {
    count as f64
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let read = [args.a.clone(), args.b.clone()];
    let (a, b) = (reel_file::open(&args.a)?, reel_file::open(&args.b)?);
    let (a_topology, b_topology) = (a.topology().clone(), b.topology().clone());
    let compared =
        diverge(a, b).map_err(|error: EditError| reel_file::edit_error(&read, &args.a, &error))?;
    let parted = compared.divergence;
    let side = |path: &Path, topology: &Topology| {
        let state = state_at(reel_file::open(path)?, TimeNs::MAX, Via::Seek)
            .map_err(|error| reel_file::read_error(path, &error))?;
        Ok::<_, CliError>(SideAnswer::new(path, topology, &state))
    };
    let answer = DiffAnswer {
        schema: "flowreel.diff/1",
        same: parted.is_none(),
        same_topology: a_topology == b_topology,
        divergence: parted.map(
            |Divergence {
                 common_events,
                 a,
                 b,
             }| DivergenceAnswer {
                common_events,
                a: a.map(|event| EventRecord::new(&event, &a_topology, None)),
                b: b.map(|event| EventRecord::new(&event, &b_topology, None)),
            },
        ),
        keyframes: compared.places,
        keyframes_compared: compared.probes,
        not_compared: compared.not_compared,
        a: side(&args.a, &a_topology)?,
        b: side(&args.b, &b_topology)?,
    };
    if console.json {
        console.answer(&answer)?;
    } else {
        match parted {
            None => console.line(format_args!(
                "the same {} events, hash {}",
                answer.a.events, answer.a.final_hash
            ))?,
            Some(Divergence {
                common_events,
                a,
                b,
            }) => {
                console.line(format_args!(
                    "the first {common_events} events are the same, then"
                ))?;
                console.line(format_args!("  {HEAD}"))?;
                for (mark, event, topology) in [("a", a, &a_topology), ("b", b, &b_topology)] {
                    let text = event.map_or_else(
                        || "the run is over".to_owned(),
                        |event| row(&event, topology, None),
                    );
                    console.line(format_args!("{mark} {text}"))?;
                }
            }
        }
        if answer.not_compared > 0 {
            console.line(format_args!(
                "{} events lie in a gap of one of the reels and were compared with nothing",
                answer.not_compared
            ))?;
        }
        if !answer.same_topology {
            console.line(format_args!(
                "the topologies differ, so equal events may have happened at different places"
            ))?;
        }
        table(&answer, console)?;
    }
    Ok(reel_file::outcome(answer.same && answer.same_topology))
}

/// Figures that differ, side by side.
fn table(answer: &DiffAnswer<'_>, console: &mut Console<'_>) -> Result<(), CliError> {
    let (a, b) = (&answer.a.metrics, &answer.b.metrics);
    let mut is_first = true;
    for name in a
        .keys()
        .chain(b.keys().filter(|name| !a.contains_key(*name)))
    {
        let (one, other) = (a.get(name), b.get(name));
        if one == other {
            continue;
        }
        if is_first {
            console.line(format_args!(
                "\n{:<40} {:>14} {:>14} {:>9}",
                "figure", "a", "b", "b - a"
            ))?;
            is_first = false;
        }
        let number =
            |value: Option<&f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.6}"));
        let change = match (one, other) {
            (Some(one), Some(other)) if *one != 0.0 => {
                format!("{:+.2} %", (other - one) / one * 100.0)
            }
            _ => String::new(),
        };
        console.line(format_args!(
            "{name:<40} {:>14} {:>14} {change:>9}",
            number(one),
            number(other)
        ))?;
    }
    Ok(())
}
