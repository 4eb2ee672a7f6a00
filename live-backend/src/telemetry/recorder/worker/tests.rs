//! The recorder's thread without a Redis: what other processes told is handed in by hand.

use super::*;
use crate::telemetry::recorder::tests::topology;
use crate::telemetry::split::SplitBook;
use crate::telemetry::topology::Place;
use crate::telemetry::transport::reader::Read;
use crate::telemetry::transport::tests::until;
use crate::telemetry::transport::wire::{BATCH_EVENTS_MAX, Batch};
use flowreel_engine::model::event::Outcome;

fn worker() -> Worker {
    let clock = Clock::start().listening();
    let fold = crate::telemetry::fold::Fold::bare(&topology());
    let gather = Gather::new(
        clock,
        fold.state(),
        (SplitBook::default(), Vec::new()),
        None,
        Vec::new(),
        "0-0".to_owned(),
    );
    let telemetry = Telemetry::of_many(clock, topology(), fold, None, 1, None);
    Worker::new(telemetry, None, 0, Some(gather))
}

fn socket(kind: EventKind) -> StageEvent {
    StageEvent::new(TimeNs::ZERO, kind, Place::Websocket.component())
}

/// Process 2 tells these, from its stage of that number on, all at one moment.
fn hear(worker: &mut Worker, first: u64, events: &[StageEvent], is_at_end: bool) {
    let clock = worker.telemetry.clock();
    let now = clock.now();
    let mut batch = Batch::default();
    batch.process = 2;
    batch.first = first;
    batch.watermark_wall_ns = clock.wall_ns_at(now);
    let entry = |event: &StageEvent| Entry {
        event: StageEvent {
            t_ns: now,
            ..*event
        },
        detail: None,
    };
    let entries: Vec<Entry> = events.iter().map(entry).collect();
    batch.fill(&entries, clock.started_wall_ns());
    take(
        worker,
        vec![(format!("{first}-0"), batch.encode())],
        is_at_end,
    );
}

fn take(worker: &mut Worker, entries: Vec<(String, Vec<u8>)>, is_at_end: bool) {
    let read = Read {
        asked_at: worker.telemetry.now(),
        marks: Vec::new(),
        entries,
        is_at_end,
        is_back: false,
    };
    let gather = worker.gather.as_mut().expect("there are others");
    gather.take(read, &mut worker.order);
}

/// Clients, and those of them who are known, once nothing waits any more.
fn clients(worker: &mut Worker) -> (u64, u64) {
    take(worker, Vec::new(), true);
    worker.step();
    let folded = worker.telemetry.shared.folded.lock();
    let system = folded.fold.state().system();
    (system.connections, system.authenticated)
}

#[test]
fn a_backlog_of_more_than_is_held_is_let_go_before_its_end_is_seen() {
    let mut worker = worker();
    let idle = StageEvent::new(
        TimeNs::ZERO,
        EventKind::WorkerIdle,
        Place::MailWorker.component(),
    );
    let mut first = 0;
    while worker.order.held_count() < HELD_COUNT_MAX {
        hear(&mut worker, first, &[idle; BATCH_EVENTS_MAX], false);
        first += BATCH_EVENTS_MAX as u64;
    }
    worker.step();
    let held = worker.order.held_count();
    assert!(held < HELD_COUNT_MAX, "{held} are held still");
    assert_eq!(worker.written, first - held as u64);
    assert_eq!(worker.counts().dropped, 0);
}

#[test]
fn sockets_of_a_process_that_speaks_again_are_not_closed_twice() {
    let mut worker = worker();
    let told = [
        socket(EventKind::ConnectionOpened),
        socket(EventKind::ConnectionAuthenticated),
        socket(EventKind::ConnectionOpened),
        socket(EventKind::ConnectionAuthenticated),
        socket(EventKind::ConnectionOpened),
    ];
    hear(&mut worker, 0, &told, true);
    until("three clients", || clients(&mut worker) == (3, 2));
    until("the end of a silent process", || {
        clients(&mut worker) == (0, 0)
    });
    let mut closed = socket(EventKind::ConnectionClosed);
    closed.outcome = Outcome::Ok;
    hear(&mut worker, 5, &[closed], true);
    until("what it says next", || {
        clients(&mut worker);
        worker.order.held_count() == 0
    });
    assert_eq!(clients(&mut worker), (2, 1));
    until("its second end", || clients(&mut worker) == (0, 0));
}
