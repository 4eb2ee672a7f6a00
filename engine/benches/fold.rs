//! How fast events become numbers: `SystemState::apply` over logins that overlap.
//!
//! Belongs here: the reducer's rate. Does not belong here: reading reels (reel bench).

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::id::{ComponentId, RequestId};
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::{Channel, Class, Component, ComponentKind, Topology};
use std::hint::black_box;

/// One login: what happens, where (position in [`KINDS`]), and how many ms after it began.
const STORY: [(EventKind, u16, u64); 16] = [
    (EventKind::RequestBegun, 0, 0),
    (EventKind::Forwarded, 0, 0),
    (EventKind::Arrived, 1, 1),
    (EventKind::ServiceStarted, 1, 1),
    (EventKind::ServiceEnded, 1, 2),
    (EventKind::Forwarded, 1, 2),
    (EventKind::Arrived, 2, 3),
    (EventKind::ServiceStarted, 2, 7),
    (EventKind::ServiceEnded, 2, 19),
    (EventKind::JobAdded, 3, 19),
    (EventKind::JobPickedUp, 3, 423),
    (EventKind::Arrived, 4, 423),
    (EventKind::ServiceStarted, 4, 423),
    (EventKind::ServiceEnded, 4, 611),
    (EventKind::PartFinished, 4, 611),
    (EventKind::RequestFinished, 4, 611),
];
const KINDS: [ComponentKind; 5] = [
    ComponentKind::Clients,
    ComponentKind::Balancer,
    ComponentKind::Server,
    ComponentKind::Queue,
    ComponentKind::Worker,
];
const REQUESTS: u64 = 20_000;

fn topology() -> Topology {
    let component = |kind: &ComponentKind| Component {
        id: kind.name().to_owned(),
        kind: *kind,
        label: kind.name().to_owned(),
        servers: None,
        rate_limit_per_s: None,
        capacity: None,
        port: None,
    };
    Topology {
        name: "bench".to_owned(),
        components: KINDS.iter().map(component).collect(),
        classes: vec![Class {
            id: "login".to_owned(),
            channel: Channel::None,
            priority: 0,
        }],
        ..Topology::default()
    }
}

fn events() -> Vec<StageEvent> {
    let mut events = Vec::new();
    for request in 1..=REQUESTS {
        for (kind, component, after_ms) in STORY {
            // Begun 7 ms apart and 611 ms long: some ninety overlap.
            let t_ns = TimeNs((request * 7 + after_ms) * 1_000_000 + request * 977);
            events.push(StageEvent {
                request: RequestId(request),
                outcome: Outcome::Ok,
                ..StageEvent::new(t_ns, kind, ComponentId(component))
            });
        }
    }
    events.sort_by_key(|event| event.t_ns);
    for (seq, event) in (0..).zip(&mut events) {
        event.seq = seq;
    }
    events
}

fn fold(c: &mut Criterion) {
    let (topology, events) = (topology(), events());
    let mut group = c.benchmark_group("reel.fold");
    group.throughput(Throughput::Elements(16 * REQUESTS));
    group.sample_size(20);
    group.bench_function("overlapping logins", |bencher| {
        bencher.iter(|| {
            let mut state = SystemState::new(&topology);
            for event in &events {
                state.apply(black_box(event));
            }
            assert_eq!(state.anomalies().total(), 0);
            state
        });
    });
    group.finish();
}

criterion_group!(benches, fold);
criterion_main!(benches);
