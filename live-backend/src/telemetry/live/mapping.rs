//! Stage events in the live view's words: which events are told of each kind.
//!
//! Belongs here: the pure mapping. Does not belong here: when it runs (feed.rs), the fields (event.rs).
//!
//! Every stage event of a request is one `request:progress`. Beside it, in this order:
//!
//! | stage event | also told |
//! |---|---|
//! | `RequestBegun` | `request:new`, before its progress |
//! | `JobAdded`, `JobDelayed`, `JobDeadLettered` | `queue:job:added` |
//! | `JobPickedUp` | `queue:job:processing`, `worker:processing` |
//! | `JobCompleted`, `JobFailed`, `RetryScheduled` | `queue:job:completed`, `…:failed`, `…:retry` |
//! | `EmailSent`, `InAppAcknowledged` | `notification:email:sent`, `notification:inapp:delivered` |
//! | `RequestFinished` | `request:complete` or `request:failed`, once each in a request's life |
//! | `WorkerIdle` | `worker:idle` |

use super::event::{
    EmailSent, Id, InAppDelivered, JobAdded, JobCompleted, JobFailed, JobId, JobProcessing,
    JobRetry, Metadata, Payload, RequestComplete, RequestFailed, RequestNew, RequestProgress,
    WorkerIdle, WorkerProcessing,
};
use super::tap::{Ending, Tapped};
use super::words::{StageStatus, SystemStage};
use crate::telemetry::clock::Clock;
use crate::telemetry::journal::JournalEntry;
use crate::telemetry::topology::{Class, Place};
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::{ComponentId, RequestId};
use flowreel_engine::model::time::TimeNs;

/// Adds what is told of one stage event to `out`.
pub(super) fn tell(tapped: &Tapped, clock: Clock, out: &mut Vec<Payload>) {
    let event = &tapped.event;
    let Some(place) = place_of(event.component) else {
        return;
    };
    let now = wall_ms(clock, event.t_ns);
    if event.request == RequestId::NONE {
        if event.kind == EventKind::WorkerIdle {
            out.push(Payload::WorkerIdle(WorkerIdle {
                worker_id: place.name(),
                queue: queue_of(place),
                idle_since: now,
            }));
        }
        return;
    }
    if event.kind == EventKind::RequestBegun {
        out.push(Payload::RequestNew(RequestNew {
            request_id: Id(event.request),
            kind: kind_of(event),
            start_time: now,
            metadata: begun_metadata(tapped),
        }));
    }
    out.push(Payload::RequestProgress(progress(tapped, place, clock)));
    tell_job(tapped, place, now, out);
    tell_delivery(tapped, now, out);
    if let Some(ending) = &tapped.ending {
        out.push(ended(event, ending));
    }
}

fn progress(tapped: &Tapped, place: Place, clock: Clock) -> RequestProgress {
    let event = &tapped.event;
    let opened = tapped.opened.unwrap_or(event.t_ns);
    let is_closed = closes(event.kind);
    let since_ms = ms(event.t_ns.since_ns(opened));
    let mut metadata = metadata(tapped);
    if let Some(peer) = place_of(event.peer) {
        metadata.0.push(("peer", peer.name().to_owned()));
    }
    RequestProgress {
        request_id: Id(event.request),
        stage: SystemStage::at(place),
        component: place.name(),
        status: status(event),
        start_time: wall_ms(clock, opened),
        end_time: is_closed.then(|| wall_ms(clock, event.t_ns)),
        duration: is_closed.then_some(since_ms),
        attempt: event.attempt,
        metadata,
        event: event.kind.name(),
        part: event.part.0,
    }
}

fn tell_job(tapped: &Tapped, place: Place, now: u64, out: &mut Vec<Payload>) {
    let event = &tapped.event;
    let (request_id, attempt) = (Id(event.request), event.attempt);
    let job_id = JobId {
        request: event.request,
        part: event.part,
    };
    match event.kind {
        EventKind::JobAdded | EventKind::JobDelayed | EventKind::JobDeadLettered => {
            let is_parked = event.kind == EventKind::JobDelayed;
            out.push(Payload::JobAdded(JobAdded {
                queue: place.name(),
                job_id,
                request_id,
                attempt,
                delay: if is_parked { ms(event.value) } else { 0.0 },
                timestamp: now,
            }));
        }
        EventKind::JobPickedUp => {
            let worker_id = place_of(event.peer).map_or("-", Place::name);
            out.push(Payload::JobProcessing(JobProcessing {
                queue: place.name(),
                job_id,
                request_id,
                worker_id,
                attempt,
                timestamp: now,
            }));
            out.push(Payload::WorkerProcessing(WorkerProcessing {
                worker_id,
                queue: place.name(),
                job_id,
            }));
        }
        EventKind::JobCompleted => out.push(Payload::JobCompleted(JobCompleted {
            queue: queue_of(place),
            job_id,
            request_id,
            duration: ms(event.value),
            timestamp: now,
        })),
        EventKind::JobFailed => out.push(Payload::JobFailed(JobFailed {
            queue: queue_of(place),
            job_id,
            request_id,
            error: text(tapped, "error").unwrap_or_else(|| "no reason was recorded".to_owned()),
            attempt,
            timestamp: now,
        })),
        EventKind::RetryScheduled => out.push(Payload::JobRetry(JobRetry {
            from_queue: queue_of(place),
            to_queue: place_of(event.peer).map_or("-", Place::name),
            job_id,
            request_id,
            attempt,
            delay: ms(event.value),
            run_at: now.saturating_add(event.value / 1_000_000),
        })),
        _ => {}
    }
}

fn tell_delivery(tapped: &Tapped, now: u64, out: &mut Vec<Payload>) {
    let event = &tapped.event;
    match event.kind {
        EventKind::EmailSent => out.push(Payload::EmailSent(EmailSent {
            request_id: Id(event.request),
            notification_id: text(tapped, "notification"),
            recipient: text(tapped, "recipient"),
            message_id: text(tapped, "message_id"),
            smtp_response: text(tapped, "reply").unwrap_or_else(|| event.value.to_string()),
            timestamp: now,
        })),
        EventKind::InAppAcknowledged => out.push(Payload::InAppDelivered(InAppDelivered {
            request_id: Id(event.request),
            notification_id: text(tapped, "notification"),
            user_id: text(tapped, "user"),
            socket_id: text(tapped, "socket"),
            delivered_at: now,
        })),
        _ => {}
    }
}

fn ended(event: &StageEvent, ending: &Ending) -> Payload {
    let (request_id, kind) = (Id(event.request), kind_of(event));
    let total_duration = ms(event.t_ns.since_ns(ending.begun));
    match &ending.fault {
        None => {
            let mut channels = Vec::with_capacity(2);
            if ending.has_email {
                channels.push("email");
            }
            if ending.has_in_app {
                channels.push("in-app");
            }
            Payload::RequestComplete(RequestComplete {
                request_id,
                kind,
                total_duration,
                channels,
            })
        }
        Some((component, error)) => Payload::RequestFailed(RequestFailed {
            request_id,
            kind,
            stage: place_of(*component).map_or(SystemStage::UserAction, SystemStage::at),
            error: error.clone(),
            total_duration,
        }),
    }
}

/// How the part stands after the event (requirements C17).
pub(in crate::telemetry) const fn status(event: &StageEvent) -> StageStatus {
    match event.kind {
        EventKind::Arrived
        | EventKind::JobAdded
        | EventKind::JobDelayed
        | EventKind::EmailQueued
        | EventKind::InAppQueued
        | EventKind::RetryScheduled => StageStatus::Pending,
        EventKind::ServiceStarted | EventKind::DatabaseStarted | EventKind::InAppDelivered => {
            StageStatus::Processing
        }
        EventKind::JobFailed
        | EventKind::JobDeadLettered
        | EventKind::EmailBounced
        | EventKind::Rejected
        | EventKind::TimedOut => StageStatus::Failed,
        _ => StageStatus::after(event.outcome),
    }
}

/// The event that ended the request, if it is over. A dead letter that was sent again goes on, and what is
/// confirmed or thrown away afterwards ends nothing.
pub(in crate::telemetry) fn end_of(entries: &[JournalEntry]) -> Option<StageEvent> {
    let last = entries.iter().rev().map(|entry| entry.event).find(|event| {
        matches!(
            event.kind,
            EventKind::RequestFinished | EventKind::JobRequeued
        )
    });
    last.filter(|event| event.kind == EventKind::RequestFinished)
}

/// Whether the event closes a visit.
pub(in crate::telemetry) const fn closes(kind: EventKind) -> bool {
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

/// Whether the event opens a visit.
pub(in crate::telemetry) const fn opens(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Arrived
            | EventKind::JobAdded
            | EventKind::JobDelayed
            | EventKind::JobDeadLettered
    )
}

pub(in crate::telemetry) fn place_of(component: ComponentId) -> Option<Place> {
    Place::ALL.get(component.index()).copied()
}

/// The queue that a worker takes from; of any other place, itself.
const fn queue_of(place: Place) -> &'static str {
    match place {
        Place::MailWorker => Place::Mail.name(),
        Place::InAppWorker => Place::InApp.name(),
        other => other.name(),
    }
}

/// The notification type of an event's class.
pub(in crate::telemetry) fn kind_of(event: &StageEvent) -> &'static str {
    match Class::from_id(event.class) {
        Some(Class::Signup) => "signup",
        Some(Class::Login) => "login",
        Some(Class::ResetPassword) => "reset_password",
        Some(Class::Purchase) => "purchase",
        Some(Class::FriendRequest) => "friend_request",
        None => "unknown",
    }
}

fn metadata(tapped: &Tapped) -> Metadata {
    let fields = tapped
        .detail
        .as_ref()
        .map(|detail| detail.fields().to_vec());
    Metadata(fields.unwrap_or_default())
}

fn begun_metadata(tapped: &Tapped) -> Metadata {
    let mut metadata = metadata(tapped);
    if tapped.event.value > 0 {
        metadata.0.push(("userId", tapped.event.value.to_string()));
    }
    metadata
}

fn text(tapped: &Tapped, key: &str) -> Option<String> {
    let fields = tapped.detail.as_ref()?.fields();
    let found = fields.iter().find(|(name, _)| *name == key);
    found.map(|(_, text)| text.clone())
}

fn wall_ms(clock: Clock, t_ns: TimeNs) -> u64 {
    clock.wall_ns_at(t_ns) / 1_000_000
}

#[expect(clippy::cast_precision_loss, reason = "printing")]
pub(in crate::telemetry) fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

#[cfg(test)]
mod tests;
