//! One recent request, as `GET /api/live-view/requests/:id` answers it.
//!
//! Belongs here: events of one request turned into stages, log lines and durations. Does not belong
//! here: which requests are kept (journal.rs), older ones (read from the reel).

use super::clock::Clock;
use super::emit::Telemetry;
use super::journal::JournalEntry;
use super::live::event::Metadata;
use super::live::mapping::{closes, end_of, kind_of, place_of, status};
use super::live::points::Points;
use super::live::{StageStatus, SystemStage};
use super::path::{Step, Told, path};
use super::topology::Place;
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::id::{PartId, RequestId};
use flowreel_engine::model::time::TimeNs;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest wait for a request that just began: many times the recorder's window.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(2);

/// A request's journey so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestReport {
    /// The request and its stages.
    pub request: RequestTracker,
    /// One line per recorded event.
    pub logs: Vec<LogLine>,
    /// Time spent per stage in ms, waiting included, over all visits that ended.
    pub metrics: BTreeMap<&'static str, f64>,
    /// When it passed the collection points.
    pub points: Points,
}

/// The request and its stages.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestTracker {
    /// Its id.
    pub request_id: String,
    /// Its notification type: `signup`, `login`, `reset_password`, `purchase` or `friend_request`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The stage it last entered.
    pub current_stage: SystemStage,
    /// Wall time in ms since 1970.
    pub start_time: u64,
    /// First event to the last one, or to now while the request is open, in ms.
    pub total_duration: f64,
    /// How it stands as a whole.
    pub status: StageStatus,
    /// What was recorded when it began: whether it is simulated, or was taken over from an earlier run.
    pub metadata: Metadata,
    /// One entry per visit of one part at one component, in the order they were entered.
    pub stages: Vec<StageReport>,
    /// The same way step by step, with what was done inside its server, its worker and its sockets.
    pub path: Vec<Step>,
}

/// One visit.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StageReport {
    /// Stage of the live view, such as `mail_queue`.
    pub stage: SystemStage,
    /// Component of the map, such as `mail`.
    pub component: &'static str,
    /// Wall time in ms since 1970.
    pub start_time: u64,
    /// Wall time in ms since 1970; absent while it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<u64>,
    /// In ms; absent while it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Pending while waiting, processing while served.
    pub status: StageStatus,
    /// Which part and run of a job it is (where it is one), and what was recorded beside its events:
    /// reasons, causes, tiers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<&'static str, serde_json::Value>,
    #[serde(skip)]
    part: PartId,
    #[serde(skip)]
    entered: TimeNs,
}

/// One recorded event in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Wall time in ms since 1970.
    pub timestamp: u64,
    /// `info`, or `warn` where something went wrong.
    pub level: &'static str,
    /// Component of the map.
    pub component: &'static str,
    /// What happened.
    pub message: String,
}

impl Telemetry {
    /// The journey of a recent request, or `None` where it is not among those kept. A request whose id
    /// was handed out a moment ago is waited for until what it did so far is folded.
    pub async fn settled_request_report(&self, request: RequestId) -> Option<RequestReport> {
        let asked_at = self.now();
        let kept = self.request_report(request);
        if kept.is_some() || !self.was_handed_out(request) {
            return kept;
        }
        let mut settling = self.shared.folded.settling();
        let folded = settling.wait_for(|until| *until >= asked_at);
        // Whether it settled or took too long, the answer is what is kept by then.
        let _settled_in_time = tokio::time::timeout(SETTLE_TIMEOUT, folded).await.is_ok();
        self.request_report(request)
    }

    /// The journey of a recent request, or `None` where it is not among those kept.
    #[must_use]
    pub fn request_report(&self, request: RequestId) -> Option<RequestReport> {
        let entries = self.request_events(request)?;
        report(&entries, self.clock(), self.now())
    }
}

fn report(entries: &[JournalEntry], clock: Clock, now: TimeNs) -> Option<RequestReport> {
    let first = entries.first()?.event;
    let mut stages: Vec<StageReport> = Vec::new();
    for entry in entries {
        take_in(&mut stages, entry, clock);
    }
    let end = end_of(entries);
    let mut metrics = BTreeMap::new();
    for stage in &stages {
        if let Some(duration) = stage.duration {
            *metrics.entry(stage.stage.name()).or_insert(0.0) += duration;
        }
    }
    let until = end.map_or(now, |end| end.t_ns);
    let current_stage = stages
        .last()
        .map_or(SystemStage::UserAction, |last| last.stage);
    let begun = entries.first().and_then(|entry| entry.detail.as_ref());
    let request = RequestTracker {
        request_id: first.request.0.to_string(),
        kind: kind_of(&first),
        current_stage,
        start_time: clock.wall_ns_at(first.t_ns) / 1_000_000,
        total_duration: ms_from_ns(until.since_ns(first.t_ns)),
        status: end.map_or_else(
            || status_while_open(&stages),
            |end| StageStatus::after(end.outcome),
        ),
        metadata: Metadata(
            begun
                .map(|detail| detail.fields().to_vec())
                .unwrap_or_default(),
        ),
        stages,
        path: path(&entries.iter().map(Told::from).collect::<Vec<_>>()),
    };
    let logs = entries.iter().map(|entry| log_line(entry, clock)).collect();
    Some(RequestReport {
        request,
        logs,
        metrics,
        points: Points::of(entries, clock),
    })
}

fn take_in(stages: &mut Vec<StageReport>, entry: &JournalEntry, clock: Clock) {
    let event = entry.event;
    let Some(place) = place_of(event.component) else {
        return;
    };
    let wall_ms = clock.wall_ns_at(event.t_ns) / 1_000_000;
    match event.kind {
        EventKind::Arrived
        | EventKind::JobAdded
        | EventKind::JobDelayed
        | EventKind::JobDeadLettered => stages.push(StageReport {
            stage: SystemStage::at(place),
            component: place.name(),
            start_time: wall_ms,
            end_time: None,
            duration: None,
            status: status(&event),
            metadata: which(&event),
            part: event.part,
            entered: event.t_ns,
        }),
        EventKind::ServiceStarted => {
            if let Some(stage) = open_stage(stages, place, event.part) {
                stage.status = StageStatus::Processing;
            }
        }
        kind if closes(kind) => {
            if let Some(stage) = open_stage(stages, place, event.part) {
                stage.end_time = Some(wall_ms);
                stage.duration = Some(ms_from_ns(event.t_ns.since_ns(stage.entered)));
                stage.status = StageStatus::after(event.outcome);
            }
        }
        EventKind::RetryScheduled => {
            if let Some(stage) = last_stage(stages, place, event.part)
                && let Some(tier) = place_of(event.peer)
            {
                stage.metadata.insert("tier", tier.name().into());
                stage
                    .metadata
                    .insert("delay", ms_from_ns(event.value).into());
            }
        }
        EventKind::EmailQueued | EventKind::InAppQueued => {
            let channel = if event.kind == EventKind::EmailQueued {
                "email"
            } else {
                "in-app"
            };
            if let Some(stage) = last_stage(stages, place, event.part) {
                stage.metadata.insert("channel", channel.into());
            }
        }
        _ => {}
    }
    if let Some(detail) = &entry.detail
        && let Some(stage) = last_stage(stages, place, event.part)
    {
        for (key, text) in detail.fields() {
            stage.metadata.insert(key, text.as_str().into());
        }
    }
}

fn open_stage(stages: &mut [StageReport], place: Place, part: PartId) -> Option<&mut StageReport> {
    last_stage(stages, place, part).filter(|stage| stage.end_time.is_none())
}

fn last_stage(stages: &mut [StageReport], place: Place, part: PartId) -> Option<&mut StageReport> {
    stages
        .iter_mut()
        .rev()
        .find(|stage| stage.component == place.name() && stage.part == part)
}

/// Part and run, where it is a job.
fn which(event: &StageEvent) -> BTreeMap<&'static str, serde_json::Value> {
    let mut which = BTreeMap::new();
    if event.part.0 > 0 {
        which.insert("part", event.part.0.into());
    }
    if event.attempt > 0 {
        which.insert("attempt", event.attempt.into());
    }
    which
}

fn status_while_open(stages: &[StageReport]) -> StageStatus {
    let is_served = stages
        .iter()
        .any(|stage| stage.end_time.is_none() && stage.status == StageStatus::Processing);
    if is_served {
        StageStatus::Processing
    } else {
        StageStatus::Pending
    }
}

fn log_line(entry: &JournalEntry, clock: Clock) -> LogLine {
    let StageEvent {
        t_ns,
        kind,
        component,
        peer,
        outcome,
        ..
    } = entry.event;
    let mut message = kind.name().to_owned();
    if let Some(peer) = place_of(peer) {
        message = format!("{message} {}", peer.name());
    }
    if !matches!(outcome, Outcome::None) {
        message = format!("{message} {}", outcome.name());
    }
    if let Some(detail) = &entry.detail {
        for (key, text) in detail.fields() {
            message = format!("{message}, {key}: {text}");
        }
    }
    let is_bad = !matches!(outcome, Outcome::None | Outcome::Ok)
        || matches!(
            kind,
            EventKind::JobFailed | EventKind::EmailBounced | EventKind::JobDeadLettered
        );
    LogLine {
        timestamp: clock.wall_ns_at(t_ns) / 1_000_000,
        level: if is_bad { "warn" } else { "info" },
        component: place_of(component).map_or("-", Place::name),
        message,
    }
}

#[expect(clippy::cast_precision_loss, reason = "printing")]
fn ms_from_ns(ns: u64) -> f64 {
    ns as f64 / 1e6
}
