//! `flowreel state RUN.reel --at T`: what was true at a moment.
//!
//! Belongs here: a state as an answer. Does not belong here: reaching it (replay), what it means (model::state).

use super::info::GapAnswer;
use super::moment::Moment;
use super::{CliError, Console, Outcome, reel_file};
use clap::ValueEnum;
use flowreel_engine::model::id::ComponentId;
use flowreel_engine::model::metrics::Durations;
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::replay::{Playhead, Via};
use serde::Serialize;
use std::path::PathBuf;

/// Windows of rates on screens and here.
const WINDOW_S: u64 = 10;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: flowreel state recordings/smtp-refuses.reel --at 12.5s")]
pub(super) struct Args {
    /// Reel to look into.
    reel: PathBuf,
    /// Moment: 12.5s since the start, or 2026-01-31T12:00:00Z where the reel has a wall clock.
    #[arg(long, value_name = "T")]
    at: Moment,
    /// From the nearest keyframe, or from the first event; both give the same hash.
    #[arg(long, value_enum, default_value_t = Way::Seek)]
    via: Way,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    Seek,
    Fold,
}

#[derive(Serialize)]
struct StateAnswer {
    schema: &'static str,
    t_ns: u64,
    events: u64,
    hash: String,
    run_hash: String,
    header: HeaderAnswer,
    components: Vec<ComponentAnswer>,
    anomalies: u64,
}

#[derive(Serialize)]
struct HeaderAnswer {
    status: &'static str,
    started: u64,
    completed: u64,
    failed: u64,
    rejected: u64,
    abandoned: u64,
    timed_out: u64,
    in_flight: u64,
    throughput_per_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_mean_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_ratio: Option<f64>,
    queued: u64,
    delayed: u64,
    connections: u64,
    alerts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sojourn_s: Option<SpreadAnswer>,
}

#[derive(Serialize)]
struct ComponentAnswer {
    id: String,
    kind: &'static str,
    status: &'static str,
    healthy: bool,
    waiting: u64,
    in_service: u64,
    arrivals: u64,
    started: u64,
    completed: u64,
    failed: u64,
    rejected: u64,
    abandoned: u64,
    timed_out: u64,
    retries: u64,
    arrivals_per_s: f64,
    departures_per_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_s: Option<SpreadAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_s: Option<SpreadAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sojourn_s: Option<SpreadAnswer>,
}

#[derive(Serialize)]
struct SpreadAnswer {
    count: u64,
    mean: Option<f64>,
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    max: f64,
}

impl SpreadAnswer {
    fn new(durations: &Durations) -> Option<Self> {
        (durations.count > 0).then(|| Self {
            count: durations.count,
            mean: durations.mean_s(),
            p50: durations.quantile_s(0.5),
            p95: durations.quantile_s(0.95),
            p99: durations.quantile_s(0.99),
            max: TimeNs(durations.max_ns).as_s(),
        })
    }
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let reader = reel_file::open(&args.reel)?;
    let t = args.at.resolve(reader.meta().started_at_unix_ns)?;
    let via = match args.via {
        Way::Seek => Via::Seek,
        Way::Fold => Via::Fold,
    };
    let failed = |error| reel_file::read_error(&args.reel, &error);
    let mut playhead = Playhead::new(reader).map_err(failed)?;
    playhead.seek(t, via).map_err(failed)?;
    // A state after lost events is not the whole truth, and says so.
    for gap in playhead
        .reader()
        .gaps()
        .iter()
        .filter(|gap| gap.from_t_ns <= t)
    {
        console.progress(format_args!("{}", GapAnswer::new(gap).line()));
    }
    let answer = answer(t, playhead.state(), playhead.reader().topology());
    if console.json {
        console.answer(&answer)?;
    } else {
        table(&answer, console)?;
    }
    Ok(Outcome::Done)
}

fn answer(t: TimeNs, state: &SystemState, topology: &Topology) -> StateAnswer {
    // Windows and statuses are those of the moment asked for, which may lie behind the last event.
    let now = t.max(state.now());
    let requests = state.requests();
    let (queued, delayed) = state.queued_and_delayed();
    let system = state.system();
    StateAnswer {
        schema: "flowreel.state/1",
        t_ns: t.0,
        events: state.event_count(),
        hash: state.state_hash().to_string(),
        run_hash: state.run_hash().to_string(),
        header: HeaderAnswer {
            status: state.status(now).name(),
            started: requests.started,
            completed: requests.completed,
            failed: requests.failed,
            rejected: requests.rejected,
            abandoned: requests.abandoned,
            timed_out: requests.timed_out,
            in_flight: requests.in_flight,
            throughput_per_s: system.finished_window.rate_per_s(now, WINDOW_S),
            answer_mean_s: state.answer_mean_s(now),
            error_ratio: state.error_ratio(now),
            queued,
            delayed,
            connections: system.connections,
            alerts: system.alerts,
            sojourn_s: SpreadAnswer::new(&system.sojourn_time),
        },
        components: components(state, topology, now),
        anomalies: state.anomalies().total(),
    }
}

fn components(state: &SystemState, topology: &Topology, now: TimeNs) -> Vec<ComponentAnswer> {
    let held = state.components().iter().zip(&topology.components);
    held.zip(0_u16..)
        .map(|((held, component), id)| {
            let measures = &held.measures;
            ComponentAnswer {
                id: component.id.clone(),
                kind: component.kind.name(),
                status: state.component_status(ComponentId(id), now).name(),
                healthy: held.healthy,
                waiting: measures.waiting.value,
                in_service: measures.in_service.value,
                arrivals: measures.arrivals,
                started: measures.started,
                completed: measures.completed,
                failed: measures.failed,
                rejected: measures.rejected,
                abandoned: measures.abandoned,
                timed_out: measures.timed_out,
                retries: held.retries,
                arrivals_per_s: measures.arrivals_window.rate_per_s(now, WINDOW_S),
                departures_per_s: measures.departures_window.rate_per_s(now, WINDOW_S),
                waiting_s: SpreadAnswer::new(&measures.waiting_time),
                service_s: SpreadAnswer::new(&measures.service_time),
                sojourn_s: SpreadAnswer::new(&measures.sojourn_time),
            }
        })
        .collect()
}

fn table(answer: &StateAnswer, console: &mut Console<'_>) -> Result<(), CliError> {
    let header = &answer.header;
    console.line(format_args!(
        "at {} after {} events: {}, {} in flight, {} completed, {} failed, {:.2} finished/s",
        TimeNs(answer.t_ns),
        answer.events,
        header.status,
        header.in_flight,
        header.completed,
        header.failed,
        header.throughput_per_s
    ))?;
    console.line(format_args!("state hash {}", answer.hash))?;
    console.line(format_args!(
        "\n{:<16} {:<10} {:>8} {:>8} {:>9} {:>9} {:>7} {:>11} {:>11}",
        "component",
        "status",
        "waiting",
        "serving",
        "arrivals",
        "completed",
        "failed",
        "waiting s",
        "service s"
    ))?;
    for component in &answer.components {
        console.line(format_args!(
            "{:<16} {:<10} {:>8} {:>8} {:>9} {:>9} {:>7} {:>11} {:>11}",
            component.id,
            component.status,
            component.waiting,
            component.in_service,
            component.arrivals,
            component.completed,
            component.failed,
            mean(component.waiting_s.as_ref()),
            mean(component.service_s.as_ref()),
        ))?;
    }
    Ok(())
}

fn mean(spread: Option<&SpreadAnswer>) -> String {
    spread
        .and_then(|spread| spread.mean)
        .map_or_else(|| "-".to_owned(), |mean| format!("{mean:.4}"))
}
