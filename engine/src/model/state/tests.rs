//! Tests of the reducer: one request in full, contradictions, storage.

use super::*;
use crate::model::check::check_stream;
use crate::model::id::{ComponentId, PartId};
use crate::model::time::NS_PER_S;
use crate::model::topology::{Channel, Class, Component, Path};

fn component(id: &str, kind: ComponentKind) -> Component {
    Component {
        id: id.to_owned(),
        kind,
        label: id.to_owned(),
        servers: Some(1),
        rate_limit_per_s: None,
        capacity: None,
        port: None,
    }
}

fn topology() -> Topology {
    Topology {
        name: "small".to_owned(),
        title: "Small".to_owned(),
        components: vec![
            component("clients", ComponentKind::Clients),
            component("server-1", ComponentKind::Server),
            component("mail", ComponentKind::Queue),
            component("mail-worker", ComponentKind::Worker),
        ],
        edges: Vec::new(),
        classes: vec![Class {
            id: "login".to_owned(),
            channel: Channel::Email,
            priority: 0,
        }],
        paths: vec![Path {
            id: "email".to_owned(),
            channel: Channel::Email,
            via: ComponentId(2),
        }],
    }
}

struct Story {
    state: SystemState,
}

impl Story {
    fn new() -> Self {
        Self {
            state: SystemState::new(&topology()),
        }
    }

    fn tell(&mut self, ms: u64, kind: EventKind, component: u16, request: u64) -> &mut Self {
        self.tell_with(ms, kind, component, request, Outcome::Ok, 1)
    }

    fn tell_with(
        &mut self,
        ms: u64,
        kind: EventKind,
        component: u16,
        request: u64,
        outcome: Outcome,
        value: u64,
    ) -> &mut Self {
        let event = StageEvent {
            seq: self.state.event_count(),
            request: RequestId(request),
            part: PartId(0),
            peer: ComponentId(0),
            outcome,
            value,
            ..StageEvent::new(TimeNs(ms * 1_000_000), kind, ComponentId(component))
        };
        self.state.apply(&event);
        self
    }

    fn one_login(&mut self, from_ms: u64, request: u64) -> &mut Self {
        self.tell(from_ms, EventKind::RequestBegun, 0, request)
            .tell(from_ms, EventKind::Forwarded, 0, request)
            .tell(from_ms + 1, EventKind::Arrived, 1, request)
            .tell(from_ms + 3, EventKind::ServiceStarted, 1, request)
            .tell(from_ms + 10, EventKind::ServiceEnded, 1, request)
            .tell(from_ms + 10, EventKind::JobAdded, 2, request)
            .tell(from_ms + 40, EventKind::JobPickedUp, 2, request)
            .tell(from_ms + 40, EventKind::Arrived, 3, request)
            .tell(from_ms + 40, EventKind::ServiceStarted, 3, request)
            .tell(from_ms + 90, EventKind::ServiceEnded, 3, request)
            .tell(from_ms + 90, EventKind::PartFinished, 3, request)
            .tell(from_ms + 90, EventKind::RequestFinished, 3, request)
    }
}

#[test]
fn one_login_adds_up_everywhere() {
    let mut story = Story::new();
    story.one_login(0, 1);
    let state = &story.state;
    assert_eq!(state.anomalies().total(), 0);
    let server = &state.components()[1].measures;
    assert_eq!(
        (server.waiting_time.sum_ns, server.service_time.sum_ns),
        (2_000_000, 7_000_000)
    );
    let queue = &state.components()[2].measures;
    assert_eq!(
        (queue.waiting_time.sum_ns, queue.waiting.value),
        (30_000_000, 0)
    );
    assert_eq!(state.requests().completed, 1);
    assert_eq!(state.requests().in_flight, 0);
    assert_eq!(state.paths()[0].sojourn_time.max_ns, 90_000_000);
    assert_eq!(state.system().answer_time.max_ns, 10_000_000);
    assert_eq!(state.edge_counts().len(), 2);
    let finished = state.finished().next().expect("one request is over");
    assert_eq!((finished.begun_seq, finished.finished_seq), (0, 11));
}

#[test]
fn the_stream_check_accepts_honest_streams_and_names_the_first_broken_event() {
    let begun = StageEvent {
        request: RequestId(1),
        ..StageEvent::new(TimeNs(5), EventKind::RequestBegun, ComponentId(0))
    };
    let arrived = StageEvent {
        seq: 1,
        kind: EventKind::Arrived,
        component: ComponentId(1),
        ..begun
    };
    let honest = check_stream(&topology(), [&begun, &arrived]).expect("an honest stream");
    assert_eq!(honest.event_count(), 2);
    let hole = StageEvent { seq: 3, ..arrived };
    let violation = check_stream(&topology(), [&begun, &hole]).unwrap_err();
    assert_eq!(violation.seq, 3);
    assert!(violation.what.contains("sequence-broken"), "{violation}");
}

#[test]
fn time_in_station_is_the_integral_of_the_level() {
    let mut story = Story::new();
    for request in 1..50 {
        story.one_login(request * 100, request);
    }
    for station in story.state.components() {
        let measures = &station.measures;
        let now = story.state.now();
        let area = measures.waiting.integral(now) + measures.in_service.integral(now);
        assert_eq!(area, measures.sojourn_time.sum_ns);
    }
}

#[test]
fn contradictions_are_counted_by_kind_and_nothing_panics() {
    let check = |kinds: &[(EventKind, u16)], expected: AnomalyKind| {
        let mut story = Story::new();
        story.tell(0, EventKind::RequestBegun, 0, 1);
        for (kind, component) in kinds {
            story.tell(1, *kind, *component, 1);
        }
        assert_eq!(story.state.anomalies().of(expected), 1, "{kinds:?}");
        assert_eq!(story.state.anomalies().total(), 1, "{kinds:?}");
    };
    check(&[(EventKind::RequestBegun, 0)], AnomalyKind::BegunTwice);
    check(
        &[(EventKind::ServiceStarted, 1)],
        AnomalyKind::StartWithoutArrival,
    );
    check(
        &[(EventKind::ServiceEnded, 1)],
        AnomalyKind::EndWithoutStart,
    );
    check(
        &[(EventKind::Arrived, 1), (EventKind::ServiceEnded, 1)],
        AnomalyKind::EndWithoutStart,
    );
    check(
        &[(EventKind::Arrived, 1), (EventKind::Arrived, 1)],
        AnomalyKind::OpenedTwice,
    );
    check(&[(EventKind::Arrived, 999)], AnomalyKind::UnknownComponent);
    check(
        &[(EventKind::HealthChanged, 999)],
        AnomalyKind::UnknownComponent,
    );
    check(
        &[
            (EventKind::RequestFinished, 1),
            (EventKind::PartFinished, 1),
        ],
        AnomalyKind::UnknownRequest,
    );
}

#[test]
fn every_kind_anywhere_is_survived() {
    let mut story = Story::new();
    for component in [0, 3, 4, u16::MAX] {
        for &kind in EventKind::ALL {
            for &outcome in Outcome::ALL {
                story.tell_with(5, kind, component, 7, outcome, u64::MAX);
            }
        }
    }
    assert!(story.state.anomalies().total() > 0);
    let _hash = story.state.state_hash();
}

#[test]
fn a_stored_state_goes_on_as_if_it_had_never_been_away() {
    let mut story = Story::new();
    for request in 1..1200 {
        story.one_login(request * 20, request);
    }
    story.tell(30_000, EventKind::RequestBegun, 0, 5000);
    story.tell(30_000, EventKind::Arrived, 1, 5000);
    let bytes = rmp_serde::to_vec(&story.state).unwrap();
    let back: SystemState = rmp_serde::from_slice(&bytes).unwrap();
    assert!(back.fits(&topology()));
    let mut other = Story { state: back };
    assert_eq!(other.state.state_hash(), story.state.state_hash());
    for tale in [&mut story, &mut other] {
        tale.tell(30_500, EventKind::ServiceStarted, 1, 5000);
        tale.tell(31_000, EventKind::ServiceEnded, 1, 5000);
    }
    assert_eq!(other.state.state_hash(), story.state.state_hash());
    assert_eq!(story.state.finished().len(), FINISHED_KEPT);
}

#[test]
fn a_requeued_dead_letter_opens_its_request_again() {
    let mut story = Story::new();
    story
        .tell(0, EventKind::RequestBegun, 0, 1)
        .tell_with(1, EventKind::JobDeadLettered, 2, 1, Outcome::None, 3)
        .tell_with(1, EventKind::RequestFinished, 2, 1, Outcome::Failed, 1)
        .tell(2_000, EventKind::JobRequeued, 2, 1)
        .tell(2_000, EventKind::Arrived, 3, 1)
        .tell(2_000, EventKind::ServiceStarted, 3, 1)
        .tell(2_100, EventKind::ServiceEnded, 3, 1)
        .tell(2_100, EventKind::RequestFinished, 3, 1);
    let counts = story.state.requests();
    assert_eq!(story.state.anomalies().total(), 0);
    assert_eq!((counts.started, counts.reopened), (1, 1));
    assert_eq!(
        (counts.failed, counts.completed, counts.in_flight),
        (1, 1, 0)
    );
}

#[test]
fn status_follows_errors_faults_and_health() {
    let mut story = Story::new();
    let server = ComponentId(1);
    let status = |story: &Story| story.state.component_status(server, story.state.now());
    assert_eq!(status(&story), ComponentStatus::Idle);
    story
        .tell(0, EventKind::RequestBegun, 0, 1)
        .tell(0, EventKind::Arrived, 1, 1);
    assert_eq!(status(&story), ComponentStatus::Waiting);
    story.tell(1, EventKind::ServiceStarted, 1, 1);
    assert_eq!(status(&story), ComponentStatus::Processing);
    story.tell_with(2, EventKind::ServiceEnded, 1, 1, Outcome::Failed, 0);
    assert_eq!(status(&story), ComponentStatus::Error);
    let later = TimeNs(story.state.now().0 + 3 * NS_PER_S);
    assert_eq!(
        story.state.component_status(server, later),
        ComponentStatus::Idle
    );
    story.tell_with(3, EventKind::HealthChanged, 1, 0, Outcome::None, 0);
    assert_eq!(status(&story), ComponentStatus::Offline);
    assert_eq!(story.state.status(later), SystemStatus::Critical);
}
