//! One request's way through the system, stay by stay, read from the reel.
//!
//! Belongs here: turning a request's events into stages. Does not belong here: words, drawing.

use super::Reel;
use crate::view::{Journey, Retry, Stage};
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::id::{PartId, RequestId};
use flowreel_engine::model::topology::Channel;

/// Lines of payload shown.
const PAYLOAD_MAX: usize = 24;

/// The journey as far as it is recorded; `None` for an id the reel does not hold.
#[must_use]
pub fn journey(reel: &Reel, request: RequestId) -> Option<Journey> {
    let summary = reel.requests().get(request)?;
    let (first, last) = summary.events;
    let mut journey = Journey {
        request,
        class: summary.class,
        begun: summary.begun,
        finished: summary.finished,
        outcome: summary.outcome,
        stages: Vec::new(),
        retries: Vec::new(),
        payload: Vec::new(),
    };
    let events = reel.events().get(first..=last).unwrap_or_default();
    for event in events.iter().filter(|event| event.request == request) {
        take(&mut journey, reel, event);
        let told = reel
            .detail(event.detail)
            .into_iter()
            .flat_map(|detail| &detail.0);
        for (name, value) in told {
            let line = (name.clone(), value.clone());
            if !journey.payload.contains(&line) && journey.payload.len() < PAYLOAD_MAX {
                journey.payload.push(line);
            }
        }
    }
    Some(journey)
}

fn take(journey: &mut Journey, reel: &Reel, event: &StageEvent) {
    match event.kind {
        EventKind::Arrived
        | EventKind::JobAdded
        | EventKind::JobDelayed
        | EventKind::JobDeadLettered => {
            let is_delay = event.kind == EventKind::JobDelayed;
            journey.stages.push(Stage {
                number: u16::try_from(journey.stages.len() + 1).unwrap_or(u16::MAX),
                component: event.component,
                from: event.peer,
                part: event.part,
                channel: channel(journey, reel, event),
                attempt: event.attempt,
                arrived: event.t_ns,
                started: is_delay.then_some(event.t_ns),
                ended: None,
                outcome: Outcome::None,
                is_scheduled_delay: is_delay,
                code: 0,
            });
        }
        EventKind::ServiceStarted => {
            if let Some(stage) = open_stage(journey, event) {
                stage.started.get_or_insert(event.t_ns);
            }
        }
        EventKind::ServiceEnded
        | EventKind::JobPickedUp
        | EventKind::Rejected
        | EventKind::Abandoned
        | EventKind::TimedOut
        | EventKind::JobRequeued => {
            if let Some(stage) = open_stage(journey, event) {
                stage.ended = Some(event.t_ns);
                stage.outcome = match event.kind {
                    EventKind::Rejected => Outcome::Rejected,
                    EventKind::Abandoned => Outcome::Abandoned,
                    EventKind::TimedOut => Outcome::TimedOut,
                    _ => event.outcome,
                };
            }
        }
        EventKind::EmailSent | EventKind::EmailBounced => {
            set_code(journey, event);
        }
        EventKind::JobFailed => {
            set_code(journey, event);
            journey.retries.push(Retry {
                at: event.t_ns,
                attempt: event.attempt,
                component: event.component,
                code: event.value,
                delay_ns: None,
            });
        }
        EventKind::RetryScheduled => {
            if let Some(retry) = journey.retries.last_mut() {
                retry.delay_ns = Some(event.value);
            }
        }
        _ => {}
    }
}

/// The latest stay of this part here that has not ended.
fn open_stage<'a>(journey: &'a mut Journey, event: &StageEvent) -> Option<&'a mut Stage> {
    journey.stages.iter_mut().rev().find(|stage| {
        stage.component == event.component && stage.part == event.part && stage.ended.is_none()
    })
}

fn set_code(journey: &mut Journey, event: &StageEvent) {
    let stage = journey
        .stages
        .iter_mut()
        .rev()
        .find(|stage| stage.component == event.component && stage.part == event.part);
    if let Some(stage) = stage {
        stage.code = event.value;
    }
}

/// A part is drawn in the colour of the path it is on, else as its class says.
fn channel(journey: &Journey, reel: &Reel, event: &StageEvent) -> Channel {
    let topology = reel.topology();
    let path = topology
        .paths
        .iter()
        .find(|path| path.via == event.component);
    if let Some(path) = path {
        return path.channel;
    }
    let earlier = |part: PartId| journey.stages.iter().rev().find(|stage| stage.part == part);
    earlier(event.part)
        .or_else(|| earlier(PartId(0)))
        .map(|stage| stage.channel)
        .or_else(|| {
            topology
                .classes
                .get(event.class.index())
                .map(|class| class.channel)
        })
        .unwrap_or(Channel::None)
}
