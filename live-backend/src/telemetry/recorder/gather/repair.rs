//! Contradictions that losses leave: what has to be recorded before an event so that it makes sense.
//!
//! Belongs here: one event against what is known. Does not belong here: noticing losses (gather.rs).
//!
//! A process that is killed takes its last stages with it, while others tell what followed from them:
//! a server tells of a request whose balancer can no longer say that it began, a worker takes a job that
//! another one had. So the missing stage is recorded with the detail `repaired`; what cannot be made
//! sense of is lost, with a count. In a run without losses nothing of this happens.

use super::open::{OpenVisits, Stay};
use crate::telemetry::broken;
use crate::telemetry::detail::Detail;
use crate::telemetry::journey::Part;
use crate::telemetry::lane::Entry;
use crate::telemetry::topology::{Class, Place};
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::state::SystemState;

/// Puts into `before` what must come first; false where the event makes no sense at all.
pub(super) fn repair(
    event: &StageEvent,
    state: &SystemState,
    open: &OpenVisits,
    before: &mut Vec<Entry>,
) -> bool {
    let is_known = state.request(event.request).is_some();
    let stay = open.at(event);
    match event.kind {
        EventKind::RequestBegun => !is_known,
        EventKind::RequestFinished | EventKind::PartFinished => is_known,
        EventKind::Arrived
        | EventKind::JobAdded
        | EventKind::JobDelayed
        | EventKind::JobDeadLettered => {
            if !is_known {
                before.push(begun(event));
            }
            if let Some(stay) = stay {
                before.push(closed(event, stay));
            }
            true
        }
        EventKind::ServiceStarted => stay.is_some_and(|stay| stay.visit.started.is_none()),
        EventKind::ServiceEnded => {
            let Some(stay) = stay else { return false };
            if stay.visit.started.is_none() {
                before.push(like(event, EventKind::ServiceStarted));
            }
            true
        }
        EventKind::JobPickedUp if stay.is_none() => {
            let (Some(class), Some(queue)) = (
                Class::from_id(event.class),
                Place::ALL.get(event.component.index()).copied(),
            ) else {
                return false;
            };
            if !is_known {
                before.push(begun(event));
            }
            let part = Part {
                request: event.request,
                class,
                part: event.part,
                attempt: event.attempt,
            };
            let stays = open.part((event.request, event.part));
            let mut held: Vec<_> = stays
                .iter()
                .filter_map(|stay| Some((stay.place()?, stay.visit)))
                .collect();
            held.sort_by_key(|(_, visit)| std::cmp::Reverse(visit.arrived_seq));
            let brought = broken::bring_back(part, queue, &held, event.t_ns);
            before.extend(brought.into_iter().map(|(event, detail)| Entry {
                event,
                detail: detail.map(Box::new),
            }));
            true
        }
        EventKind::Rejected
        | EventKind::Abandoned
        | EventKind::TimedOut
        | EventKind::JobRequeued => stay.is_some(),
        _ => true,
    }
}

/// The request's begin, which its process could not tell.
fn begun(event: &StageEvent) -> Entry {
    let mut begun = like(event, EventKind::RequestBegun);
    begun.event.part = flowreel_engine::model::id::PartId(0);
    begun.event.attempt = 0;
    begun.detail = Some(Box::new(Detail::of("repaired", "its beginning was lost")));
    begun
}

/// The end of a stay that nobody told.
fn closed(event: &StageEvent, stay: &Stay) -> Entry {
    let kind = match stay.visit.started {
        Some(_) => EventKind::ServiceEnded,
        None => EventKind::Abandoned,
    };
    let mut closed = like(event, kind);
    closed.event.attempt = stay.visit.attempt;
    closed.event.outcome = Outcome::Cancelled;
    closed.detail = Some(Box::new(Detail::of("repaired", "its end was lost")));
    closed
}

fn like(event: &StageEvent, kind: EventKind) -> Entry {
    let mut made = StageEvent::new(event.t_ns, kind, event.component);
    made.request = event.request;
    made.class = event.class;
    made.part = event.part;
    made.attempt = event.attempt;
    Entry {
        event: made,
        detail: None,
    }
}
