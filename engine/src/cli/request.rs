//! `flowreel request RUN.reel ID`: one request's journey.
//!
//! Belongs here: visits put together from events, waiting and service apart. Does not belong here:
//! finding the events (recording), lists of requests (requests).

use super::info::tell_gaps;
use super::{CliError, Console, Outcome, reel_file};
use flowreel_engine::model::event::{EventKind, Outcome as Ended, StageEvent};
use flowreel_engine::model::id::{ComponentId, DetailId, PartId, RequestId};
use flowreel_engine::model::time::{TimeNs, seconds_from_ns};
use flowreel_engine::recording::{ReelError, ReelReader};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: flowreel request recordings/smtp-refuses.reel 5")]
pub(super) struct Args {
    /// Reel to look into.
    reel: PathBuf,
    /// The request's number.
    id: u64,
}

#[derive(Serialize)]
struct RequestAnswer {
    schema: &'static str,
    id: String,
    class: String,
    outcome: &'static str,
    attempts: u16,
    begun_t_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_t_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sojourn_s: Option<f64>,
    waiting_s: f64,
    service_s: f64,
    events: usize,
    stages: Vec<StageAnswer>,
}

#[derive(Serialize)]
struct StageAnswer {
    component: String,
    kind: &'static str,
    part: u16,
    arrived_t_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_t_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_t_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_s: Option<f64>,
    attempt: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    detail: BTreeMap<String, String>,
}

/// One stay of one part at one component.
struct Stage {
    component: ComponentId,
    part: PartId,
    attempt: u16,
    arrived: TimeNs,
    started: Option<TimeNs>,
    ended: Option<TimeNs>,
    outcome: Option<&'static str>,
    details: Vec<DetailId>,
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let mut reader = reel_file::open(&args.reel)?;
    let failed = |error| reel_file::read_error(&args.reel, &error);
    let events = events_of(&mut reader, RequestId(args.id)).map_err(failed)?;
    let Some(first) = events.first() else {
        return Err(CliError::input(format!("there is no request {}", args.id))
            .at(args.reel.display().to_string())
            .hint("`flowreel requests` lists those there are"));
    };
    let answer = answer(&mut reader, first, &events).map_err(failed)?;
    tell_gaps(reader.gaps(), console);
    if console.json {
        console.answer(&answer)?;
    } else {
        table(&answer, console)?;
    }
    Ok(Outcome::Done)
}

/// The events of one request, from the few blocks that may hold some.
fn events_of(reader: &mut ReelReader, request: RequestId) -> Result<Vec<StageEvent>, ReelError> {
    let mut events = Vec::new();
    if request == RequestId::NONE {
        return Ok(events);
    }
    let mut batch = Vec::new();
    for position in reader.blocks_with_request(request)? {
        reader.read_events(position, &mut batch)?;
        events.extend(batch.iter().filter(|event| event.request == request));
    }
    Ok(events)
}

fn answer(
    reader: &mut ReelReader,
    first: &StageEvent,
    events: &[StageEvent],
) -> Result<RequestAnswer, ReelError> {
    let stages = stages_of(events);
    let finished = events
        .iter()
        .rfind(|event| event.kind == EventKind::RequestFinished);
    let begun = events
        .iter()
        .find(|event| event.kind == EventKind::RequestBegun)
        .unwrap_or(first);
    let attempts = events.iter().map(|event| event.attempt).max().unwrap_or(0);
    let mut answers = Vec::new();
    for stage in &stages {
        answers.push(stage_answer(reader, stage)?);
    }
    let sum = |part: fn(&StageAnswer) -> Option<f64>| answers.iter().filter_map(part).sum();
    Ok(RequestAnswer {
        schema: "flowreel.request/1",
        id: first.request.0.to_string(),
        class: reader.topology().class_name(begun.class).to_owned(),
        outcome: finished.map_or("in-flight", |event| event.outcome.name()),
        attempts: attempts.max(1),
        begun_t_ns: begun.t_ns.0,
        finished_t_ns: finished.map(|event| event.t_ns.0),
        sojourn_s: finished.map(|event| seconds_from_ns(event.t_ns.since_ns(begun.t_ns))),
        waiting_s: sum(|stage| stage.waiting_s),
        service_s: sum(|stage| stage.service_s),
        events: events.len(),
        stages: answers,
    })
}

/// Visits in the order of arrival; what opens, starts and closes one is told in `model::event`.
fn stages_of(events: &[StageEvent]) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for event in events {
        let is_here = |stage: &&mut Stage| {
            stage.component == event.component && stage.part == event.part && stage.ended.is_none()
        };
        match event.kind {
            EventKind::Arrived
            | EventKind::JobAdded
            | EventKind::JobDelayed
            | EventKind::JobDeadLettered => stages.push(Stage {
                component: event.component,
                part: event.part,
                attempt: event.attempt,
                arrived: event.t_ns,
                started: (event.kind == EventKind::JobDelayed).then_some(event.t_ns),
                ended: None,
                outcome: None,
                details: Vec::new(),
            }),
            EventKind::ServiceStarted => {
                if let Some(stage) = stages.iter_mut().rfind(is_here) {
                    stage.started = Some(event.t_ns);
                }
            }
            EventKind::ServiceEnded
            | EventKind::JobPickedUp
            | EventKind::Rejected
            | EventKind::Abandoned
            | EventKind::TimedOut
            | EventKind::JobRequeued => {
                if let Some(stage) = stages.iter_mut().rfind(is_here) {
                    stage.ended = Some(event.t_ns);
                    if event.kind == EventKind::JobPickedUp {
                        // Waiting in a queue ends where the worker takes the job.
                        stage.started = Some(event.t_ns);
                    }
                    stage.outcome = Some(outcome_of(event));
                }
            }
            _ => {}
        }
        if event.detail != DetailId::NONE {
            let at = stages
                .iter()
                .rposition(|stage| stage.component == event.component && stage.part == event.part)
                .unwrap_or(stages.len().saturating_sub(1));
            if let Some(stage) = stages.get_mut(at) {
                stage.details.push(event.detail);
            }
        }
    }
    stages
}

fn outcome_of(event: &StageEvent) -> &'static str {
    match (event.kind, event.outcome) {
        (EventKind::Rejected, _) => Ended::Rejected.name(),
        (EventKind::Abandoned, _) => Ended::Abandoned.name(),
        (EventKind::TimedOut, _) => Ended::TimedOut.name(),
        (_, Ended::None) => Ended::Ok.name(),
        (_, outcome) => outcome.name(),
    }
}

fn stage_answer(reader: &mut ReelReader, stage: &Stage) -> Result<StageAnswer, ReelError> {
    let mut detail = BTreeMap::new();
    for &id in &stage.details {
        if let Some(record) = reader.read_detail(id)? {
            detail.extend(record.0);
        }
    }
    let topology = reader.topology();
    let component = topology.component(stage.component);
    let since = |from: TimeNs, to: TimeNs| seconds_from_ns(to.since_ns(from));
    Ok(StageAnswer {
        component: topology.component_name(stage.component).to_owned(),
        kind: component.map_or("unknown", |component| component.kind.name()),
        part: stage.part.0,
        arrived_t_ns: stage.arrived.0,
        started_t_ns: stage.started.map(|t| t.0),
        ended_t_ns: stage.ended.map(|t| t.0),
        waiting_s: stage
            .started
            .or(stage.ended)
            .map(|until| since(stage.arrived, until)),
        service_s: stage
            .started
            .zip(stage.ended)
            .map(|(from, to)| since(from, to)),
        attempt: stage.attempt,
        outcome: stage.outcome,
        detail,
    })
}

fn table(answer: &RequestAnswer, console: &mut Console<'_>) -> Result<(), CliError> {
    console.line(format_args!(
        "request {} ({}): {}{}, {} attempt{}",
        answer.id,
        answer.class,
        answer.outcome,
        answer
            .sojourn_s
            .map_or_else(String::new, |s| format!(" after {s:.4} s")),
        answer.attempts,
        if answer.attempts == 1 { "" } else { "s" }
    ))?;
    console.line(format_args!(
        "\n{:<11} {:<5} {:<16} {:<12} {:>11} {:>11} {:>8} outcome",
        "arrived", "part", "component", "kind", "waiting s", "service s", "attempt"
    ))?;
    let seconds =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.5}"));
    for stage in &answer.stages {
        console.line(format_args!(
            "{:<11} {:<5} {:<16} {:<12} {:>11} {:>11} {:>8} {}",
            TimeNs(stage.arrived_t_ns).to_string(),
            stage.part,
            stage.component,
            stage.kind,
            seconds(stage.waiting_s),
            seconds(stage.service_s),
            stage.attempt,
            stage.outcome.unwrap_or("here still")
        ))?;
        for (key, value) in &stage.detail {
            console.line(format_args!("{:<17} {key}: {value}", ""))?;
        }
    }
    Ok(())
}
