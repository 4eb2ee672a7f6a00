//! Figures of the live view from runs whose figures are known beforehand.

use super::*;
use crate::telemetry::live::figures::channels;
use crate::telemetry::recorder::tests::topology;
use crate::telemetry::{Clock, Recorder, RecordingSettings};
use flowreel_engine::model::event::{Outcome, StageEvent};
use flowreel_engine::model::id::{PartId, RequestId};

const MS: u64 = 1_000_000;
const S: u64 = 1000 * MS;

/// A state that is told a story, event by event.
struct Story {
    state: SystemState,
    seq: u64,
}

impl Story {
    fn new() -> Self {
        Self {
            state: SystemState::new(&topology()),
            seq: 0,
        }
    }

    fn tell(&mut self, t_ns: u64, kind: EventKind, place: Place, request: u64) -> &mut Self {
        self.tell_as(t_ns, kind, place, request, Outcome::None)
    }

    fn tell_as(
        &mut self,
        t_ns: u64,
        kind: EventKind,
        place: Place,
        request: u64,
        outcome: Outcome,
    ) -> &mut Self {
        let mut event = StageEvent::new(TimeNs(t_ns), kind, place.component());
        event.seq = self.seq;
        event.request = RequestId(request);
        event.outcome = outcome;
        if kind == EventKind::PartFinished {
            event.part = PartId(0);
            event.value = crate::telemetry::stage::path_code(place);
        }
        self.seq += 1;
        self.state.apply(&event);
        self
    }

    /// A request answered after `answer_ns`.
    fn request(&mut self, begun: u64, answer_ns: u64, number: u64, outcome: Outcome) {
        let server = Place::Server1;
        self.tell(begun, EventKind::RequestBegun, Place::Clients, number)
            .tell(begun, EventKind::Arrived, server, number)
            .tell(begun, EventKind::ServiceStarted, server, number)
            .tell_as(
                begun + answer_ns,
                EventKind::ServiceEnded,
                server,
                number,
                outcome,
            )
            .tell_as(
                begun + answer_ns,
                EventKind::RequestFinished,
                server,
                number,
                outcome,
            );
    }
}

#[test]
fn uptime_prints_as_days_and_a_clock() {
    assert_eq!(uptime_text(93_784), "1d 02:03:04");
    assert_eq!(uptime_text(59), "00:00:59");
}

#[test]
fn three_answers_of_10_20_and_30_ms_take_20_on_average() {
    let mut story = Story::new();
    for (number, ms) in [(1, 10), (2, 20), (3, 30)] {
        story.request(S * number, ms * MS, number, Outcome::Ok);
    }
    let header = header(&story.state, TimeNs(4 * S), None);
    assert_eq!(header.average_latency, Some(20.0));
    assert_eq!(header.error_rate, Some(0.0));
}

#[test]
fn one_failure_of_fifty_is_two_percent_and_a_full_second_is_counted() {
    let mut story = Story::new();
    for number in 1..=50 {
        let outcome = if number == 9 {
            Outcome::Failed
        } else {
            Outcome::Ok
        };
        story.request(S + number * 10 * MS, MS, number, outcome);
    }
    for number in 51..=53 {
        story.tell(2 * S + 1, EventKind::RequestBegun, Place::Clients, number);
    }
    let header = header(&story.state, TimeNs(2 * S + MS), None);
    assert_eq!(header.error_rate, Some(2.0));
    assert_eq!(header.requests_per_second, 50);
    assert_eq!(header.active_requests, 3);
}

#[test]
fn queues_tell_how_fast_they_go_and_how_long_jobs_wait() {
    let settings = RecordingSettings::default();
    let recorder = Recorder::start(Clock::start(), topology(), &settings).expect("a thread");
    let telemetry = recorder.telemetry();
    let mut story = Story::new();
    let queue = |story: &Story, now| {
        telemetry.queue(&story.state, Place::Mail, Place::MailWorker, TimeNs(now))
    };
    for (number, waits_ms) in [(1, 100), (2, 300)] {
        story
            .tell(S, EventKind::RequestBegun, Place::Clients, number)
            .tell(S, EventKind::JobAdded, Place::Mail, number);
        assert_eq!(queue(&story, S).waiting, 1, "job {number}");
        story.tell(
            S + waits_ms * MS,
            EventKind::JobPickedUp,
            Place::Mail,
            number,
        );
        story.tell(
            S + waits_ms * MS,
            EventKind::Arrived,
            Place::MailWorker,
            number,
        );
        story.tell(
            S + waits_ms * MS,
            EventKind::ServiceStarted,
            Place::MailWorker,
            number,
        );
    }
    let card = queue(&story, 2 * S);
    assert_eq!(card.average_wait_time, Some(200.0));
    assert_eq!((card.workers.active, card.workers.idle), (2, 3));
    for number in 3..=50 {
        let at = S + number * 190 * MS;
        story
            .tell(at, EventKind::RequestBegun, Place::Clients, number)
            .tell(at, EventKind::JobAdded, Place::Mail, number)
            .tell(at, EventKind::JobPickedUp, Place::Mail, number)
            .tell(at, EventKind::Arrived, Place::MailWorker, number)
            .tell(at, EventKind::ServiceStarted, Place::MailWorker, number);
    }
    // None has ended.
    let card = queue(&story, 11 * S);
    assert!(
        card.processing_rate.abs() < 1e-9,
        "{}",
        card.processing_rate
    );
    for number in 1..=50 {
        let at = 11 * S + number * 190 * MS;
        story.tell(at, EventKind::ServiceEnded, Place::MailWorker, number);
    }
    let card = queue(&story, 21 * S);
    assert!(
        (card.processing_rate - 5.0).abs() < 1e-9,
        "{}",
        card.processing_rate
    );
    recorder.finish().expect("it runs");
}

#[test]
fn eight_mails_of_ten_are_eighty_percent() {
    let mut story = Story::new();
    for number in 1..=10 {
        let (kind, outcome) = if number > 8 {
            (EventKind::EmailBounced, Outcome::Failed)
        } else {
            (EventKind::EmailSent, Outcome::Ok)
        };
        story
            .tell(S, EventKind::RequestBegun, Place::Clients, number)
            .tell(S, kind, Place::Smtp, number)
            .tell_as(
                S,
                EventKind::PartFinished,
                Place::MailWorker,
                number,
                outcome,
            );
    }
    let card = email(&story.state, TimeNs(2 * S));
    assert_eq!(
        (card.sent, card.failed, card.success_rate),
        (8, 2, Some(80.0))
    );
    let rates = channels(&story.state);
    assert_eq!((rates.email.delivered, rates.email.failed), (8, 2));
    assert_eq!(
        (rates.email.success_rate, rates.email.failure_rate),
        (Some(80.0), Some(20.0))
    );
    assert_eq!(
        (rates.in_app.delivered, rates.in_app.success_rate),
        (0, None)
    );
}
