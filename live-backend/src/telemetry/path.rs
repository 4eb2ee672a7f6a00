//! The way of a request, step by step: its stays at components, and what was done inside them.
//!
//! Belongs here: steps put together from recorded events and what stands beside them, so that a reel gives
//! the same as the running system. Does not belong here: when a layer begins and ends (served.rs, workers),
//! the stays alone (request.rs).
//!
//! | step | from | to |
//! |---|---|---|
//! | `middleware`, `routes`, `controller`, `notification_service` | points beside the end of the stay at the server | the same |
//! | `queue_manager`, by job | the server's handing over | the job stands in its queue |
//! | `email_service` | the worker turns to it | the relay's answer is known |
//! | `smtp` | the mail is composed (`smtpStart`) | the relay's answer is known |
//! | `delivery` | the relay took it | at once |
//! | `websocket_service` | the worker turns to it | the sockets are written to |
//! | `socket_io` | the sockets are found (`socketIoStart`) | they are written to |
//! | `client_delivery` | the sockets are written to | the client confirmed |
//!
//! Every other step is the stay at its component. A point that was not recorded gives no step.

use super::journal::JournalEntry;
use super::live::SystemStage;
use super::live::mapping::{closes, ms, opens, place_of};
use super::served::{Layer, MIDDLEWARE_END, MIDDLEWARE_START};
use super::topology::Place;
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::PartId;
use flowreel_engine::model::time::TimeNs;
use serde::Serialize;

/// Beside a mail's end at the relay: when it was composed, in ns since the worker turned to the e-mail service.
pub(crate) const SMTP_START: &str = "smtpStart";
/// Beside a notification's delivery: when Socket.IO was given it, in ns since the worker turned to the sockets.
pub(crate) const SOCKET_IO_START: &str = "socketIoStart";
/// Beside a notification's delivery: the servers that have the sockets, separated by commas.
pub(crate) const SERVERS: &str = "servers";

/// One step of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// A stage of the live view, or `smtp`, `delivery`, `socket_io`.
    pub stage: &'static str,
    /// Component of the map, and where the step is inside one, what of it: `server-2/controller`.
    pub component: String,
    /// In ms since the request began.
    pub start: f64,
    /// In ms since the request began; absent while it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
    /// Which job of the request, from 1; absent where it has one way only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<u16>,
    /// Which run of the job, from 1; absent before there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u16>,
}

/// A recorded event with the named texts beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// What happened.
    pub event: StageEvent,
    /// What stood beside it.
    pub fields: Vec<(&'a str, &'a str)>,
}

impl<'a> From<&'a JournalEntry> for Told<'a> {
    fn from(entry: &'a JournalEntry) -> Self {
        let fields = entry.detail.iter().flat_map(|detail| detail.fields());
        Self {
            event: entry.event,
            fields: fields.map(|(key, text)| (*key, text.as_str())).collect(),
        }
    }
}

impl Told<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(name, _)| *name == key);
        found.map(|(_, text)| *text)
    }

    /// The moment that is so many ns after `since`, at the latest when the event happened.
    fn moment(&self, key: &str, since: TimeNs) -> Option<TimeNs> {
        let offset_ns: u64 = self.text(key)?.parse().ok()?;
        Some(TimeNs(since.0.saturating_add(offset_ns)).min(self.event.t_ns))
    }
}

/// The steps of one request, given all of its events so far; by when they began, and where two began at
/// once the outer one first.
#[must_use]
pub fn path(told: &[Told<'_>]) -> Vec<Step> {
    let Some(first) = told.first() else {
        return Vec::new();
    };
    let mut walk = Walk::default();
    for told in told {
        walk.take_in(told);
    }
    walk.steps.sort_by_key(|step| step.start);
    let since_ms = |at: TimeNs| ms(at.since_ns(first.event.t_ns));
    let step = |open: Open| Step {
        stage: open.stage,
        component: open.component,
        start: since_ms(open.start),
        end: open.end.map(since_ms),
        part: Some(open.part.0).filter(|part| *part > 0),
        attempt: Some(open.attempt).filter(|attempt| *attempt > 0),
    };
    walk.steps.into_iter().map(step).collect()
}

/// A step that may go on.
#[derive(Clone)]
struct Open {
    stage: &'static str,
    component: String,
    part: PartId,
    attempt: u16,
    start: TimeNs,
    end: Option<TimeNs>,
}

#[derive(Default)]
struct Walk {
    steps: Vec<Open>,
}

impl Walk {
    fn take_in(&mut self, told: &Told<'_>) {
        let event = &told.event;
        let Some(place) = place_of(event.component) else {
            return;
        };
        match event.kind {
            EventKind::RequestBegun if place == Place::Clients => {
                self.open(event, SystemStage::UserAction.name(), place.name());
            }
            EventKind::Forwarded if place == Place::Clients => {
                self.close(event, SystemStage::UserAction.name());
            }
            kind if opens(kind) => self.arrive(event, place),
            kind if closes(kind) => {
                let at = self.close(event, stage_of(place));
                if let (Some(at), true) = (at, is_server(place)) {
                    self.insert_layers(told, place, at);
                }
            }
            EventKind::EmailSent => {
                self.add_smtp(told);
                self.open(event, "delivery", place.name());
                self.close(event, "delivery");
            }
            EventKind::EmailBounced => self.add_smtp(told),
            EventKind::InAppDelivered => {
                self.add_socket_io(told);
                let client = Place::Clients.name();
                self.open(event, SystemStage::ClientDelivery.name(), client);
            }
            EventKind::InAppAcknowledged => {
                self.close(event, SystemStage::ClientDelivery.name());
            }
            _ => {}
        }
    }

    fn open(&mut self, event: &StageEvent, stage: &'static str, component: impl Into<String>) {
        self.steps.push(Open {
            stage,
            component: component.into(),
            part: event.part,
            attempt: event.attempt,
            start: event.t_ns,
            end: None,
        });
    }

    /// The part's last such step is over, if it goes on; the answer is where it stands.
    fn close(&mut self, event: &StageEvent, stage: &str) -> Option<usize> {
        let is_it = |step: &Open| step.stage == stage && step.part == event.part;
        let at = self
            .steps
            .iter()
            .rposition(|step| is_it(step) && step.end.is_none())?;
        self.steps.get_mut(at)?.end = Some(event.t_ns);
        Some(at)
    }

    fn arrive(&mut self, event: &StageEvent, place: Place) {
        let from = place_of(event.peer);
        if let (EventKind::JobAdded, Some(server)) = (event.kind, from.filter(|it| is_server(*it)))
        {
            let handed_over = self.steps.iter().rev().find_map(|step| {
                let is_it = step.component == server.name();
                is_it.then_some(step.end?)
            });
            if let Some(start) = handed_over {
                let component = inside(server, "queue-manager");
                self.open(event, SystemStage::QueueManager.name(), component);
                if let Some(step) = self.steps.last_mut() {
                    (step.start, step.end) = (start, Some(event.t_ns));
                }
            }
        }
        let component = match (place, from) {
            (Place::Smtp, Some(worker)) => inside(worker, "email-service"),
            _ => place.name().to_owned(),
        };
        self.open(event, stage_of(place), component);
    }

    /// What was done inside the stay at a server, right behind that stay.
    fn insert_layers(&mut self, told: &Told<'_>, server: Place, at: usize) {
        let Some(stay) = self.steps.get(at).cloned() else {
            return;
        };
        let layers = [
            (
                SystemStage::Middleware,
                MIDDLEWARE_START,
                MIDDLEWARE_END,
                "middleware",
            ),
            of_layer(Layer::Routes, SystemStage::Routes, "routes"),
            of_layer(Layer::Controller, SystemStage::Controller, "controller"),
            of_layer(
                Layer::NotificationService,
                SystemStage::NotificationService,
                "notification-service",
            ),
        ];
        let steps = layers.into_iter().filter_map(|(stage, start, end, name)| {
            Some(Open {
                stage: stage.name(),
                component: inside(server, name),
                start: told.moment(start, stay.start)?,
                end: told.moment(end, stay.start),
                ..stay
            })
        });
        let steps: Vec<Open> = steps.collect();
        self.steps.splice(at + 1..at + 1, steps);
    }

    fn add_smtp(&mut self, told: &Told<'_>) {
        let service = self.last(told, SystemStage::EmailService.name());
        let Some((_, service)) = service else { return };
        if let Some(start) = told.moment(SMTP_START, service.start) {
            self.steps.push(Open {
                stage: "smtp",
                component: Place::Smtp.name().to_owned(),
                start,
                ..service
            });
        }
    }

    /// The sockets of which servers were written to, each by its own WebSocket service.
    fn add_socket_io(&mut self, told: &Told<'_>) {
        let service = self.last(told, SystemStage::WebsocketService.name());
        let (Some((at, service)), Some(servers)) = (service, told.text(SERVERS)) else {
            return;
        };
        let servers: Vec<Place> = servers.split(',').filter_map(Place::from_name).collect();
        if servers.is_empty() {
            return;
        }
        let of = |step: &Open, name: &str| -> Vec<Open> {
            let on = |server: &Place| Open {
                component: inside(*server, name),
                ..step.clone()
            };
            servers.iter().map(on).collect()
        };
        let written = told
            .moment(SOCKET_IO_START, service.start)
            .map(|start| Open {
                stage: "socket_io",
                start,
                ..service.clone()
            });
        self.steps.splice(at..=at, of(&service, "websocket"));
        if let Some(written) = written {
            self.steps.extend(of(&written, "socket-io"));
        }
    }

    /// The part's last step of that name, and where it stands.
    fn last(&self, told: &Told<'_>, stage: &str) -> Option<(usize, Open)> {
        let is_it = |step: &Open| step.stage == stage && step.part == told.event.part;
        let at = self.steps.iter().rposition(is_it)?;
        Some((at, self.steps.get(at)?.clone()))
    }
}

const fn of_layer(
    layer: Layer,
    stage: SystemStage,
    name: &'static str,
) -> (SystemStage, &'static str, &'static str, &'static str) {
    (stage, layer.start(), layer.end(), name)
}

/// What a part does at a place. The sockets are a service here, and the client's a step of its own.
const fn stage_of(place: Place) -> &'static str {
    match place {
        Place::Websocket => SystemStage::WebsocketService.name(),
        other => SystemStage::at(other).name(),
    }
}

fn is_server(place: Place) -> bool {
    Place::SERVERS.contains(&place)
}

fn inside(place: Place, name: &str) -> String {
    format!("{}/{name}", place.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::recorder::tests::{play_login, report_of};
    use crate::telemetry::{Class, Detail, Served, Telemetry};
    use flowreel_engine::model::event::Outcome;
    use flowreel_engine::model::id::RequestId;

    fn steps(play: impl FnOnce(&Telemetry) -> RequestId) -> Vec<Step> {
        report_of(play).request.path
    }

    fn words(steps: &[Step]) -> Vec<String> {
        let word = |step: &Step| {
            let part = step.part.map_or(String::new(), |part| format!(" {part}"));
            format!("{} {}{part}", step.stage, step.component)
        };
        steps.iter().map(word).collect()
    }

    #[test]
    fn what_was_done_inside_a_stay_stands_behind_it_in_order() {
        let steps = steps(|telemetry| {
            let part = telemetry.begin_request(Class::Login, 0);
            telemetry
                .enter(part, Place::Clients, Place::Balancer)
                .picked(Place::Server2, 0, "sticky");
            let visit = telemetry.enter(part, Place::Balancer, Place::Server2);
            let mut served = Served::begin(&visit);
            served.enter(Layer::Routes, &visit);
            served.leave(Layer::Routes, &visit);
            served.enter(Layer::Controller, &visit);
            visit.call(Place::Database).end_query(Outcome::Ok, 0);
            served.enter(Layer::NotificationService, &visit);
            visit.call(Place::Database).end_query(Outcome::Ok, 3);
            visit.end_served(Outcome::Ok, served);
            let parts = telemetry.split(part, 2);
            let mail = telemetry.email_queued(parts[0], Place::Server2, 1, 900);
            let in_app = telemetry.in_app_queued(parts[1], Place::Server2, 1);
            let run = telemetry.pick_up(mail, Place::Mail, Place::MailWorker);
            let call = run.call(Place::Smtp);
            let told = Detail::default().number(SMTP_START, call.elapsed_ns());
            call.email_sent_as(250, told);
            run.job_completed();
            let run = telemetry.pick_up(in_app, Place::InApp, Place::InAppWorker);
            let call = run.call(Place::Websocket);
            let told = Detail::default()
                .id(SERVERS, "server-1,server-3")
                .number(SOCKET_IO_START, call.elapsed_ns());
            call.in_app_delivered_as(2, told);
            telemetry.in_app_acknowledged(in_app, 5);
            run.job_completed();
            part.request
        });
        let expected = [
            "user_action clients",
            "load_balancer balancer",
            "server server-2",
            "middleware server-2/middleware",
            "routes server-2/routes",
            "controller server-2/controller",
            "database database",
            "notification_service server-2/notification-service",
            "database database",
            "queue_manager server-2/queue-manager 1",
            "queue_manager server-2/queue-manager 2",
            "mail_queue mail 1",
            "inapp_queue in-app 2",
            "mail_worker mail-worker 1",
            "email_service mail-worker/email-service 1",
            "smtp smtp 1",
            "delivery smtp 1",
            "inapp_worker in-app-worker 2",
            "websocket_service server-1/websocket 2",
            "websocket_service server-3/websocket 2",
            "socket_io server-1/socket-io 2",
            "socket_io server-3/socket-io 2",
            "client_delivery clients 2",
        ];
        assert_eq!(words(&steps), expected);
        for step in &steps {
            let end = step.end.expect("all are over");
            assert!(step.start <= end, "{step:?}");
        }
        // Layers lie inside their stay, and what had not ended at the handing over ended there.
        let end_of = |stage: &str| {
            let found = steps.iter().find(|step| step.stage == stage);
            found.and_then(|step| step.end).expect("it is over")
        };
        let server_end = end_of("server");
        for stage in ["middleware", "routes", "controller", "notification_service"] {
            assert!(end_of(stage) <= server_end, "{stage}");
        }
        assert!(end_of("routes") <= end_of("middleware"));
        assert_eq!(
            end_of("controller").to_bits(),
            end_of("notification_service").to_bits()
        );
    }

    #[test]
    fn points_that_were_not_recorded_make_no_steps() {
        let steps = steps(play_login);
        let expected = [
            "user_action clients",
            "load_balancer balancer",
            "server server-2",
            "database database",
            "queue_manager server-2/queue-manager 1",
            "queue_manager server-2/queue-manager 2",
            "mail_queue mail 1",
            "inapp_queue in-app 2",
            "inapp_worker in-app-worker 2",
            "websocket_service websocket 2",
            "client_delivery clients 2",
            "mail_worker mail-worker 1",
            "email_service mail-worker/email-service 1",
            "retry_1 retry-1 1",
            "mail_queue mail 1",
            "mail_worker mail-worker 1",
            "email_service mail-worker/email-service 1",
            "delivery smtp 1",
        ];
        assert_eq!(words(&steps), expected);
        let attempts: Vec<_> = steps.iter().filter_map(|step| step.attempt).collect();
        assert!(attempts.ends_with(&[2, 2, 2, 2]), "{attempts:?}");
    }

    #[test]
    fn a_request_that_goes_on_has_steps_without_an_end() {
        let mut held = None;
        let steps = steps(|telemetry| {
            let part = telemetry.begin_request(Class::Signup, 0);
            let visit = telemetry.enter(part, Place::Clients, Place::Server1);
            held = Some(visit);
            part.request
        });
        assert_eq!(words(&steps), ["user_action clients", "server server-1"]);
        assert_eq!(steps.last().and_then(|step| step.end), None);
        assert!(path(&[]).is_empty());
        drop(held);
    }
}
