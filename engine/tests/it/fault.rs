//! Faults: what a station does while one lasts, and that events keep their invariants.

use flowreel_engine::kernel::{EventSink, run};
use flowreel_engine::model::check::StreamCheck;
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::scenario::load;

const NOTIFICATION: &str = include_str!("../../../scenarios/notification.toml");

/// One arrival a second, from 1 s on; 0.4 s of service at each of two servers in turn.
fn regular(choose: &str, fault: &str) -> String {
    format!(
        "schema = 1\nname = \"fault\"\nduration = \"20.9s\"\n[[source]]\nid = \"clients\"\nusers = 2\n\
         arrivals = {{ process = \"deterministic\", every_s = 1.0 }}\n\
         to = {choose}\n\
         [[station]]\nid = \"a\"\nservice = {{ dist = \"deterministic\", mean_s = 0.4 }}\n\
         [[station]]\nid = \"b\"\nservice = {{ dist = \"deterministic\", mean_s = 0.4 }}\n{fault}"
    )
}

fn fault(rest: &str) -> String {
    format!("[[fault]]\nat = \"5.2s\"\nfor = \"6s\"\ntarget = \"a\"\n{rest}\n")
}

/// Every event, each checked against the invariants.
fn events(text: &str, seed: u64) -> Vec<StageEvent> {
    let scenario = load(text, &[]).expect("valid");
    let mut check = StreamCheck::new(&scenario.topology);
    let mut list = Vec::new();
    let mut broken = None;
    let mut sink = EventSink(|event: &StageEvent| {
        list.push(*event);
        if let Err(violation) = check.apply(event) {
            broken.get_or_insert(violation);
        }
    });
    run(&scenario, seed, &mut sink).expect("the run ends");
    assert_eq!(broken, None);
    check.check_levels().expect("levels add up");
    list
}

/// Times in ms of one kind of event at component `at`.
fn times(events: &[StageEvent], kind: EventKind, at: u16) -> Vec<u64> {
    let here = events
        .iter()
        .filter(|e| e.kind == kind && e.component.0 == at);
    here.map(|event| event.t_ns.0 / 1_000_000).collect()
}

const TURNS: &str = "{ choose = \"round-robin\", among = [\"a\", \"b\"] }";

#[test]
fn a_station_that_is_down_fails_what_it_does_and_gets_no_turn() {
    let list = events(&regular(TURNS, &fault("kind = \"down\"")), 1);
    assert_eq!(times(&list, EventKind::FaultBegan, 1), [5200]);
    assert_eq!(times(&list, EventKind::FaultEnded, 1), [11_200]);
    assert_eq!(times(&list, EventKind::HealthChanged, 1), [5200, 11_200]);
    // The service begun at 5 s is lost; turns go to b until 11 s, and alternate again from 12 s on.
    let failed: Vec<u64> = list
        .iter()
        .filter(|e| e.kind == EventKind::ServiceEnded && e.outcome == Outcome::Failed)
        .map(|event| event.t_ns.0 / 1_000_000)
        .collect();
    assert_eq!(failed, [5400]);
    let starts = times(&list, EventKind::ServiceStarted, 1);
    assert_eq!(
        starts,
        [1000, 3000, 5000, 12_000, 14_000, 16_000, 18_000, 20_000]
    );
    let began = list.iter().find(|e| e.kind == EventKind::FaultBegan);
    assert_eq!(began.map(|event| event.value), Some(6_000_000_000));
}

#[test]
fn a_session_leaves_a_server_that_is_down() {
    let sticky = "{ choose = \"sticky\", by = \"user\", among = [\"a\", \"b\"] }";
    let list = events(&regular(sticky, &fault("kind = \"down\"")), 1);
    let arrived = times(&list, EventKind::Arrived, 1);
    assert!(arrived.iter().any(|ms| *ms < 5200), "{arrived:?}");
    assert!(
        !arrived.iter().any(|ms| (5200..11_200).contains(ms)),
        "{arrived:?}"
    );
    assert!(times(&list, EventKind::Rejected, 1).is_empty());
}

#[test]
fn a_station_that_is_down_refuses_whoever_comes_all_the_same() {
    let list = events(&regular("\"a\"", &fault("kind = \"down\"")), 1);
    let refused = times(&list, EventKind::Rejected, 1);
    assert_eq!(refused, [6000, 7000, 8000, 9000, 10_000, 11_000]);
}

#[test]
fn a_paused_station_ends_what_it_began_and_starts_the_rest_afterwards() {
    let list = events(&regular("\"a\"", &fault("kind = \"pause\"")), 1);
    let starts = times(&list, EventKind::ServiceStarted, 1);
    assert_eq!(
        starts[..8],
        [1000, 2000, 3000, 4000, 5000, 11_200, 11_600, 12_000]
    );
    assert!(list.iter().all(|event| event.outcome != Outcome::Failed));
    assert!(times(&list, EventKind::HealthChanged, 1).is_empty());
}

#[test]
fn a_slow_station_stretches_services_and_a_delay_the_way() {
    let slow = events(
        &regular("\"a\"", &fault("kind = \"slow\"\nfactor = 2.0")),
        1,
    );
    let ends = times(&slow, EventKind::ServiceEnded, 1);
    assert_eq!(ends[3..7], [4400, 5400, 6800, 7800]);
    assert_eq!(ends[10..12], [11_800, 12_400]);
    let late = "kind = \"delay\"\ndist = \"deterministic\"\nmean_s = 0.25";
    let late = events(&regular("\"a\"", &fault(late)), 1);
    let arrived = times(&late, EventKind::Arrived, 1);
    assert_eq!(arrived[3..7], [4000, 5000, 6250, 7250]);
    assert_eq!(arrived[10..12], [11_250, 12_000]);
}

#[test]
fn an_error_rate_fails_its_share() {
    let text = "schema = 1\nname = \"errors\"\nduration = \"1000s\"\n[[source]]\nid = \"clients\"\n\
                arrivals = { process = \"poisson\", rate_per_s = 50.0 }\nto = \"a\"\n\
                [[station]]\nid = \"a\"\nservers = \"infinite\"\nfailure = { probability = 0.2 }\n\
                service = { dist = \"exponential\", mean_s = 0.1 }\n\
                [[fault]]\nat = 0\ntarget = \"a\"\nkind = \"error-rate\"\nprobability = 0.5\n\
                [[fault]]\nat = \"500s\"\ntarget = \"a\"\nkind = \"error-rate\"\nprobability = 1.0\n";
    let list = events(text, 3);
    let share = |from: u64, to: u64| {
        let ended = list.iter().filter(|e| {
            e.kind == EventKind::ServiceEnded && (from..to).contains(&(e.t_ns.0 / 1_000_000_000))
        });
        let (mut failed, mut all) = (0_u32, 0_u32);
        for event in ended {
            all += 1;
            failed += u32::from(event.outcome == Outcome::Failed);
        }
        f64::from(failed) / f64::from(all)
    };
    // 1 - 0.8 · 0.5, five standard deviations of 25,000 trials.
    assert!((share(0, 500) - 0.6).abs() < 0.0155, "{}", share(0, 500));
    assert!((share(501, 1000) - 1.0).abs() < 1e-9);
}

#[test]
fn the_notification_system_keeps_its_invariants_through_every_fault() {
    let mut faults = String::new();
    for (index, target) in [
        "server-2",
        "database",
        "mail",
        "mail-worker",
        "smtp",
        "in-app",
        "in-app-worker",
        "websocket",
        "balancer",
    ]
    .into_iter()
    .enumerate()
    {
        for (step, kind) in [
            "kind = \"down\"",
            "kind = \"pause\"",
            "kind = \"slow\"\nfactor = 3.0",
            "kind = \"error-rate\"\nprobability = 0.5",
        ]
        .into_iter()
        .enumerate()
        {
            faults += &format!(
                "\n[[fault]]\nat = {}\nfor = 25\ntarget = \"{target}\"\n{kind}\n",
                5 + index * 11 + step * 20
            );
        }
    }
    let text = format!("{NOTIFICATION}{faults}");
    for seed in [1, 2, 7] {
        let list = events(&text, seed);
        assert!(
            list.iter()
                .filter(|e| e.kind == EventKind::FaultEnded)
                .count()
                > 30
        );
        assert!(list.iter().any(|e| e.kind == EventKind::Rejected));
    }
}
