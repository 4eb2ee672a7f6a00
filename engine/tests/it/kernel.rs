//! The kernel: invariants over every event, reproducibility, prefixes.

use flowreel_engine::kernel::{EventSink, Kernel, RunReport, run, simulate_events};
use flowreel_engine::model::check::StreamCheck;
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::scenario::{Scenario, load};

const NOTIFICATION: &str = include_str!("../../../scenarios/notification.toml");

fn notification() -> Scenario {
    load(NOTIFICATION, &[]).expect("the shipped scenario is valid")
}

fn events_of(scenario: &Scenario, seed: u64) -> (Vec<StageEvent>, RunReport) {
    let mut events = Vec::new();
    let report = run(
        scenario,
        seed,
        &mut EventSink(|event: &StageEvent| events.push(*event)),
    )
    .expect("the run ends");
    (events, report)
}

#[test]
fn every_event_of_the_notification_system_keeps_the_invariants() {
    let scenario = notification();
    for seed in [1, 2, 3, 7] {
        let mut check = StreamCheck::new(&scenario.topology);
        let mut broken = None;
        let mut sink = EventSink(|event: &StageEvent| {
            let result = check.apply(event).and_then(|()| {
                if event.seq.is_multiple_of(1000) {
                    check.check_levels()
                } else {
                    Ok(())
                }
            });
            if let Err(violation) = result {
                broken.get_or_insert(violation);
            }
        });
        let report = run(&scenario, seed, &mut sink).unwrap();
        assert_eq!(broken, None, "seed {seed}");
        check.check_levels().unwrap();
        assert_eq!(check.state().run_hash(), report.run_hash);
        assert_eq!(check.state().event_count(), report.event_count);
        let seen = |kind| check.state().kind_count(kind);
        for kind in [
            EventKind::EmailSent,
            EventKind::EmailBounced,
            EventKind::InAppDelivered,
            EventKind::RetryScheduled,
            EventKind::JobDelayed,
            EventKind::JobFailed,
            EventKind::JobCompleted,
            EventKind::ServerPicked,
            EventKind::SessionStuck,
        ] {
            assert!(seen(kind) > 0, "seed {seed} has no {}", kind.name());
        }
    }
}

#[test]
fn one_seed_is_one_run_and_another_seed_another() {
    let scenario = notification();
    let (_, first) = events_of(&scenario, 7);
    let (_, again) = events_of(&scenario, 7);
    let (_, other) = events_of(&scenario, 8);
    assert_eq!(first, again);
    assert_ne!(first.run_hash, other.run_hash);
}

#[test]
fn a_shorter_run_is_a_prefix_of_a_longer_one() {
    let (short, _) = events_of(&load(NOTIFICATION, &["duration=2m".to_owned()]).unwrap(), 7);
    let (long, _) = events_of(&notification(), 7);
    assert!(short.len() > 1000 && short.len() < long.len());
    assert_eq!(short[..], long[..short.len()]);
    assert!(long[short.len()].t_ns > TimeNs(120_000_000_000));
}

#[test]
fn a_run_taken_in_steps_is_the_same_run() {
    let scenario = notification();
    let (_, whole) = events_of(&scenario, 7);
    let mut kernel = Kernel::new(&scenario, 7).unwrap();
    let mut until = 0;
    while kernel.run_until(TimeNs(until), &mut ()).unwrap() {
        until += 777_777_777;
    }
    assert_eq!(kernel.report().run_hash, whole.run_hash);
}

#[test]
fn a_scenario_text_and_its_overrides_are_enough_to_make_a_run_again() {
    let overrides = vec![
        "duration=30s".to_owned(),
        "station.server-1.servers=1".to_owned(),
    ];
    let scenario = load(NOTIFICATION, &overrides).unwrap();
    let (events, report) = events_of(&scenario, 5);
    let mut again = Vec::new();
    let mut sink = EventSink(|event: &StageEvent| again.push(*event));
    let second = simulate_events(NOTIFICATION, 5, &overrides, &mut sink).unwrap();
    assert_eq!((events, report), (again, second));
}

#[test]
fn a_worker_pulls_no_more_than_it_has_room_for() {
    let text = "schema = 1\nname = \"pull\"\nduration = \"6s\"\n\
                [[source]]\nid = \"clients\"\nto = \"queue\"\n\
                arrivals = { process = \"deterministic\", every_s = 1.0 }\n\
                [[station]]\nid = \"queue\"\nkind = \"queue\"\nnext = \"worker\"\n\
                [[station]]\nid = \"worker\"\ncapacity = 1\nservers = 3\n\
                service = { dist = \"deterministic\", mean_s = 2.5 }\n";
    let (events, _) = events_of(&load(text, &[]).unwrap(), 1);
    let picked = events
        .iter()
        .filter(|event| event.kind == EventKind::JobPickedUp);
    let seconds: Vec<u64> = picked.map(|event| event.t_ns.0 / 100_000_000).collect();
    assert_eq!(seconds, [10, 35, 60]);
}
