//! The collection points of one request by the names of requirements LV-124 to LV-128.
//!
//! Belongs here: which stage event is which point. Does not belong here: what is measured between them
//! (request.rs).
//!
//! Each point is the wall time in ms of its first event; of the queue's points there is one group per job.
//! The server's are those of the last server that served it. Of several calls to the database `queryStart`
//! is the first one's, `queryEnd` the last one's, and `documentsAffected` is the count of all together.

use super::mapping::place_of;
use crate::telemetry::clock::Clock;
use crate::telemetry::journal::JournalEntry;
use crate::telemetry::served;
use crate::telemetry::topology::Place;
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::PartId;
use flowreel_engine::model::time::TimeNs;
use serde::Serialize;
use std::collections::BTreeMap;

/// Wall times in ms since 1970, by name; `documentsAffected` is a count.
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
        let mut arrived = None;
        for entry in entries {
            let event = &entry.event;
            let Some(place) = place_of(event.component) else {
                continue;
            };
            let at = clock.wall_ns_at(event.t_ns) / 1_000_000;
            if let Place::Server1 | Place::Server2 | Place::Server3 = place {
                points.take_server(entry, &mut arrived, clock);
            }
            if (place, event.kind) == (Place::Database, EventKind::ServiceEnded) {
                points.take_query(entry, at);
            }
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

    /// A stay at a server: when it began, and what stands beside its end.
    fn take_server(
        &mut self,
        JournalEntry { event, detail }: &JournalEntry,
        arrived: &mut Option<TimeNs>,
        clock: Clock,
    ) {
        match event.kind {
            EventKind::Arrived => {
                *arrived = Some(event.t_ns);
                self.server.clear();
            }
            EventKind::ServiceEnded => {
                let since = arrived.unwrap_or(event.t_ns);
                for (name, offset_ns) in detail.iter().flat_map(served::layers) {
                    let at = TimeNs(since.0.saturating_add(offset_ns)).min(event.t_ns);
                    self.server.insert(name, clock.wall_ns_at(at) / 1_000_000);
                }
            }
            _ => {}
        }
    }

    fn take_query(&mut self, entry: &JournalEntry, at: u64) {
        self.database.insert("queryEnd", at);
        let count = |detail| served::number(detail, served::DOCUMENTS_AFFECTED);
        if let Some(count) = entry.detail.as_ref().and_then(count) {
            let sum = self.database.entry(served::DOCUMENTS_AFFECTED).or_default();
            *sum = sum.saturating_add(count);
        }
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
    use crate::telemetry::recorder::tests::{play_login, report_of};
    use crate::telemetry::{Class, Layer, Place, Served, Telemetry};
    use flowreel_engine::model::event::Outcome;
    use flowreel_engine::model::id::RequestId;
    use serde_json::Value;

    /// The points of a request once it is over.
    fn points(play: impl FnOnce(&Telemetry) -> RequestId) -> Value {
        serde_json::to_value(&report_of(play).points).expect("plain data")
    }

    #[test]
    fn layers_and_documents_stand_beside_the_ends_of_their_visits() {
        let points = points(|telemetry| {
            let part = telemetry.begin_request(Class::Signup, 0);
            // The first server is not there.
            telemetry
                .enter(part, Place::Balancer, Place::Server1)
                .end(Outcome::Failed);
            let visit = telemetry.enter(part, Place::Balancer, Place::Server2);
            let mut served = Served::begin(&visit);
            served.enter(Layer::Controller, &visit);
            visit.call(Place::Database).end_query(Outcome::Ok, 0);
            visit.call(Place::Database).end_query(Outcome::Ok, 3);
            served.leave(Layer::Controller, &visit);
            visit.end_request_served(Outcome::Ok, served);
            part.request
        });
        let server = &points["server"];
        let names = [
            "requestReceived",
            "middlewareStart",
            "middlewareEnd",
            "controllerStart",
            "controllerEnd",
            "responseTime",
        ];
        let times = names.map(|name| server[name].as_u64());
        assert!(times.iter().all(Option::is_some), "{server}");
        assert!(times.is_sorted(), "{server}");
        let database = &points["database"];
        assert!(database["queryStart"].as_u64() <= database["queryEnd"].as_u64());
        assert_eq!(database["documentsAffected"], 3);
    }

    #[test]
    fn a_request_that_a_middleware_refuses_has_no_controller() {
        let points = points(|telemetry| {
            let part = telemetry.begin_request(Class::Purchase, 0);
            let visit = telemetry.enter(part, Place::Balancer, Place::Server1);
            let served = Served::begin(&visit);
            visit.end_request_served(Outcome::Failed, served);
            part.request
        });
        let server = points["server"].as_object().expect("a group");
        let names: Vec<&str> = server.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "middlewareEnd",
                "middlewareStart",
                "requestReceived",
                "responseTime"
            ]
        );
    }

    #[test]
    fn an_e_mail_alone_has_no_points_of_a_notification() {
        let points = points(|telemetry| {
            let part = telemetry.begin_request(Class::ResetPassword, 0);
            let parts = telemetry.split(part, 1);
            let mail = telemetry.email_queued(parts[0], Place::Server2, 1, 900);
            let run = telemetry.pick_up(mail, Place::Mail, Place::MailWorker);
            run.call(Place::Smtp).email_sent(250);
            run.job_completed();
            part.request
        });
        let told = points["notification"].as_object().expect("a group");
        let names: Vec<&str> = told.keys().map(String::as_str).collect();
        assert_eq!(names, ["emailQueued", "emailSent"]);
    }

    #[test]
    fn the_points_of_a_login_are_all_there_and_in_order() {
        let points = points(play_login);
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
