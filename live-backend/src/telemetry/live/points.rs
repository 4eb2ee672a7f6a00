//! The collection points of one request by the names of requirements LV-124 to LV-128.
//!
//! Belongs here: which stage event is which point. Does not belong here: what is measured between them
//! (request.rs).
//!
//! Each point is the wall time in ms of its first event; of the queue's points there is one group per job.

use super::mapping::place_of;
use crate::telemetry::clock::Clock;
use crate::telemetry::journal::JournalEntry;
use crate::telemetry::topology::Place;
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::PartId;
use serde::Serialize;
use std::collections::BTreeMap;

/// Wall times in ms since 1970, by name.
type Group = BTreeMap<&'static str, u64>;

/// The points of one request; groups it never reached are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Points {
    load_balancer: Group,
    server: Group,
    database: Group,
    /// One group per job, by its queue.
    queue: BTreeMap<&'static str, Group>,
    notification: Group,
}

impl Points {
    /// Those of a request's recorded events.
    pub(in crate::telemetry) fn of(entries: &[JournalEntry], clock: Clock) -> Self {
        let mut points = Self::default();
        let mut queues: BTreeMap<PartId, &'static str> = BTreeMap::new();
        for entry in entries {
            let event = &entry.event;
            let Some(place) = place_of(event.component) else {
                continue;
            };
            let at = clock.wall_ns_at(event.t_ns) / 1_000_000;
            if let Some((group, name)) = points.named(event, place) {
                group.entry(name).or_insert(at);
            }
            if event.kind == EventKind::JobAdded {
                queues.entry(event.part).or_insert(place.name());
            }
            if let (Some(name), Some(queue)) = (queue_point(event.kind), queues.get(&event.part)) {
                let group = points.queue.entry(queue).or_default();
                group.entry(name).or_insert(at);
            }
        }
        points
    }

    fn named(&mut self, event: &StageEvent, place: Place) -> Option<(&mut Group, &'static str)> {
        let notification = match event.kind {
            EventKind::EmailQueued => Some("emailQueued"),
            EventKind::EmailSent => Some("emailSent"),
            EventKind::InAppQueued => Some("inAppQueued"),
            EventKind::InAppDelivered => Some("inAppDelivered"),
            _ => None,
        };
        if let Some(name) = notification {
            return Some((&mut self.notification, name));
        }
        match (place, event.kind) {
            (Place::Balancer, EventKind::Arrived) => {
                Some((&mut self.load_balancer, "requestReceived"))
            }
            (Place::Balancer, EventKind::ServerPicked) => {
                Some((&mut self.load_balancer, "serverSelected"))
            }
            (Place::Balancer, EventKind::Forwarded) => {
                Some((&mut self.load_balancer, "requestForwarded"))
            }
            (Place::Server1 | Place::Server2 | Place::Server3, EventKind::Arrived) => {
                Some((&mut self.server, "requestReceived"))
            }
            (Place::Server1 | Place::Server2 | Place::Server3, EventKind::ServiceEnded) => {
                Some((&mut self.server, "responseTime"))
            }
            (Place::Database, EventKind::ServiceStarted) => {
                Some((&mut self.database, "queryStart"))
            }
            (Place::Database, EventKind::ServiceEnded) => Some((&mut self.database, "queryEnd")),
            _ => None,
        }
    }
}

const fn queue_point(kind: EventKind) -> Option<&'static str> {
    match kind {
        EventKind::JobAdded => Some("jobAdded"),
        EventKind::JobPickedUp => Some("jobPickedUp"),
        EventKind::JobCompleted => Some("jobCompleted"),
        EventKind::RetryScheduled => Some("retryScheduled"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::telemetry::recorder::tests::{play_login, topology};
    use crate::telemetry::{Clock, Recorder, RecordingSettings};
    use serde_json::Value;

    #[test]
    fn the_points_of_a_login_are_all_there_and_in_order() {
        let settings = RecordingSettings::default();
        let recorder = Recorder::start(Clock::start(), topology(), &settings).expect("a thread");
        let telemetry = recorder.telemetry();
        let request = play_login(&telemetry);
        recorder.finish().expect("it runs");
        let report = telemetry.request_report(request).expect("it is recent");
        let points = serde_json::to_value(&report.points).unwrap();
        for (group, names) in [
            (
                "/loadBalancer",
                "requestReceived serverSelected requestForwarded",
            ),
            ("/server", "requestReceived responseTime"),
            ("/database", "queryStart queryEnd"),
            (
                "/queue/mail",
                "jobAdded jobPickedUp retryScheduled jobCompleted",
            ),
            ("/queue/in-app", "jobAdded jobPickedUp jobCompleted"),
            ("/notification", "emailQueued emailSent"),
            ("/notification", "inAppQueued inAppDelivered"),
        ] {
            let found = points.pointer(group).expect("a group");
            let times: Vec<u64> = names
                .split(' ')
                .map(|name| {
                    found[name]
                        .as_u64()
                        .unwrap_or_else(|| panic!("{name} in {found}"))
                })
                .collect();
            assert!(times.is_sorted(), "{group}: {found}");
        }
        let retried = points.pointer("/queue/in-app/retryScheduled");
        assert_eq!(retried.unwrap_or(&Value::Null), &Value::Null);
    }
}
