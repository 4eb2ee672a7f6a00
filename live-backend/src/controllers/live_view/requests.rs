//! `GET /api/live-view/requests/:id`: one recent request, stage by stage.
//!
//! Belongs here: the answer's fields. Does not belong here: older requests, which are in the reel.

use crate::error::AppError;
use crate::router::ServerState;
use crate::telemetry::clock::rfc3339_from_ns;
use crate::telemetry::journal::JournalEntry;
use crate::telemetry::{Class, Clock, Place};
use axum::Json;
use axum::extract::{Path, State};
use flowreel_engine::model::event::{EventKind, Outcome};
use flowreel_engine::model::id::RequestId;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
pub(crate) struct Answer {
    request: Tracker,
    logs: Vec<LogEntry>,
    metrics: Metrics,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tracker {
    request_id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    current_stage: &'static str,
    start_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_duration: Option<f64>,
    stages: Vec<Stage>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stage {
    stage: &'static str,
    component: &'static str,
    start_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    status: &'static str,
    attempt: u16,
    part: u16,
    #[serde(skip)]
    begun_ns: u64,
}

#[derive(Serialize)]
struct LogEntry {
    timestamp: String,
    level: &'static str,
    component: &'static str,
    message: String,
}

#[derive(Serialize)]
struct Metrics {
    /// Milliseconds spent at each component, all visits together.
    stages: BTreeMap<&'static str, f64>,
}

pub(crate) async fn show(
    State(server): State<ServerState>,
    Path(id): Path<String>,
) -> Result<Json<Answer>, AppError> {
    let telemetry = &server.app.telemetry;
    let events = id
        .parse()
        .ok()
        .and_then(|id| telemetry.request_events(RequestId(id)));
    let events = events.filter(|events| !events.is_empty()).ok_or_else(|| {
        AppError::not_found("no request of this id is kept; the last 1000 finished ones are")
    })?;
    Ok(Json(answer(&id, &events, telemetry.clock())))
}

fn answer(id: &str, events: &[JournalEntry], clock: Clock) -> Answer {
    let stages = stages(events, clock);
    let mut spent = BTreeMap::new();
    for stage in &stages {
        *spent.entry(stage.component).or_default() += stage.duration.unwrap_or(0.0);
    }
    let begun_ns = events.first().map_or(0, |entry| entry.event.t_ns.0);
    let end = events
        .iter()
        .find(|entry| entry.event.kind == EventKind::RequestFinished);
    let status = match end.map(|entry| entry.event.outcome) {
        None => "processing",
        Some(Outcome::Ok) => "completed",
        Some(_) => "failed",
    };
    let class = events
        .first()
        .and_then(|entry| Class::from_id(entry.event.class));
    let request = Tracker {
        request_id: id.to_owned(),
        kind: class.map_or("request", Class::name),
        status,
        current_stage: events.last().map_or("-", |entry| place_name(entry)),
        start_time: at(clock, begun_ns),
        total_duration: end.map(|entry| ms_between(begun_ns, entry.event.t_ns.0)),
        stages,
    };
    Answer {
        request,
        logs: logs(events, clock),
        metrics: Metrics { stages: spent },
    }
}

/// Visits in the order they were opened.
fn stages(events: &[JournalEntry], clock: Clock) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for entry in events {
        let event = &entry.event;
        let component = place_name(entry);
        if is_opening(event.kind) {
            stages.push(Stage {
                stage: component,
                component,
                start_time: at(clock, event.t_ns.0),
                end_time: None,
                duration: None,
                status: "pending",
                attempt: event.attempt,
                part: event.part.0,
                begun_ns: event.t_ns.0,
            });
            continue;
        }
        let open = stages.iter_mut().rev().find(|stage| {
            stage.component == component && stage.part == event.part.0 && stage.end_time.is_none()
        });
        let Some(stage) = open else { continue };
        if event.kind == EventKind::ServiceStarted {
            stage.status = "processing";
        } else if is_closing(event.kind) {
            let is_ok = matches!(event.outcome, Outcome::Ok | Outcome::None);
            stage.status = if is_ok { "completed" } else { "failed" };
            stage.end_time = Some(at(clock, event.t_ns.0));
            stage.duration = Some(ms_between(stage.begun_ns, event.t_ns.0));
        }
    }
    stages
}

const fn is_opening(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Arrived
            | EventKind::JobAdded
            | EventKind::JobDelayed
            | EventKind::JobDeadLettered
    )
}

const fn is_closing(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::ServiceEnded
            | EventKind::JobPickedUp
            | EventKind::Rejected
            | EventKind::Abandoned
            | EventKind::TimedOut
            | EventKind::JobRequeued
    )
}

fn logs(events: &[JournalEntry], clock: Clock) -> Vec<LogEntry> {
    let log = |entry: &JournalEntry| {
        let mut message = entry.event.kind.name().to_owned();
        for (key, value) in entry.detail.iter().flat_map(|detail| detail.fields()) {
            message.push_str(&format!(", {key}: {value}"));
        }
        let is_failure = !matches!(entry.event.outcome, Outcome::Ok | Outcome::None)
            || matches!(
                entry.event.kind,
                EventKind::JobFailed | EventKind::EmailBounced
            );
        LogEntry {
            timestamp: at(clock, entry.event.t_ns.0),
            level: if is_failure { "error" } else { "info" },
            component: place_name(entry),
            message,
        }
    };
    events.iter().map(log).collect()
}

fn place_name(entry: &JournalEntry) -> &'static str {
    Place::ALL
        .get(entry.event.component.index())
        .map_or("-", |place| place.name())
}

fn at(clock: Clock, ns: u64) -> String {
    rfc3339_from_ns(clock.started_wall_ns().saturating_add(ns))
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds for people")]
fn ms_between(from_ns: u64, to_ns: u64) -> f64 {
    to_ns.saturating_sub(from_ns) as f64 / 1e6
}
