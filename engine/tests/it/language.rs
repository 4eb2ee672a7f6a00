//! The scenario language at work: files, batches, overrides, and what they leave alone.

use flowreel_engine::kernel::{EventSink, run};
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::scenario::{Scenario, load, load_with_files};
use std::collections::BTreeMap;

fn events(scenario: &Scenario) -> Vec<StageEvent> {
    let mut events = Vec::new();
    run(
        scenario,
        scenario.seed,
        &mut EventSink(|event: &StageEvent| events.push(*event)),
    )
    .expect("runs");
    events
}

/// Times of events of one kind at one component, in ns.
fn times(events: &[StageEvent], kind: EventKind, component: u16) -> Vec<u64> {
    let here = |event: &&StageEvent| event.kind == kind && event.component.0 == component;
    events
        .iter()
        .filter(here)
        .map(|event| event.t_ns.0)
        .collect()
}

fn one_station(arrivals: &str, more: &str, service: &str) -> String {
    format!(
        "schema = 1\nname = \"t\"\nduration = \"1h\"\n[[source]]\nid = \"c\"\narrivals = {arrivals}\n{more}\nto = \"s\"\n[[station]]\nid = \"s\"\nservice = {service}\n"
    )
}

const ONE: &str = "{ dist = \"deterministic\", mean_s = 1.0 }";

#[test]
fn a_trace_arrives_when_it_says_and_no_more() {
    let text = one_station(
        "{ process = \"trace\", file = \"day/arrivals.txt\" }",
        "",
        ONE,
    );
    let read = |name: &str| match name {
        "day/arrivals.txt" => Ok("# seconds\n0\n0.25\n0.25\n7\n".to_owned()),
        _ => Err("there is no such file".to_owned()),
    };
    let loaded = load_with_files(&text, &[], &read).expect("valid");
    let all = events(&loaded.scenario);
    assert_eq!(
        times(&all, EventKind::RequestBegun, 0),
        [0, 250_000_000, 250_000_000, 7_000_000_000]
    );
    assert_eq!(
        times(&all, EventKind::ServiceEnded, 1),
        [1_000_000_000, 2_000_000_000, 3_000_000_000, 8_000_000_000]
    );
    // What a reel embeds makes the same scenario without the file.
    assert_eq!(
        loaded.settings,
        ["source.0.arrivals.at_s=[0.0,0.25,0.25,7.0]"]
    );
    assert_eq!(load(&text, &loaded.settings), Ok(loaded.scenario));
    let error = load(&text, &[]).expect_err("no file at hand");
    assert_eq!(error.problems[0].place(), "6:40");
    let other = ["source.c.arrivals.file=other.txt".to_owned()];
    let error = load_with_files(&text, &other, &read).expect_err("no such file");
    assert_eq!(error.problems[0].place(), format!("--set {}", other[0]));
    let wrong = load_with_files(&text, &[], &|_| Ok("1\n2\n1.5\n".to_owned()));
    let said = wrong.expect_err("unsorted").to_string();
    assert!(
        said.starts_with("6:40: day/arrivals.txt:3: 1.5 s is earlier"),
        "{said}"
    );
}

#[test]
fn an_empirical_law_draws_its_samples_evenly() {
    let text = one_station(
        "{ process = \"deterministic\", every_s = 0.1 }",
        "",
        "{ dist = \"empirical\", file = \"samples\" }",
    )
    .replace("id = \"s\"", "id = \"s\"\nservers = \"infinite\"");
    let loaded =
        load_with_files(&text, &[], &|_| Ok("0.75\n0.5\n0.25\n0.5\n".to_owned())).expect("valid");
    let law = &loaded.scenario.stations[0].service[0];
    assert!((law.mean_s() - 0.5).abs() < 1e-12);
    assert!((law.second_moment_s2() - 0.281_25).abs() < 1e-12);
    let mut started = BTreeMap::new();
    let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
    for event in events(&loaded.scenario) {
        if event.kind == EventKind::ServiceStarted {
            started.insert(event.request.0, event.t_ns.0);
        } else if event.kind == EventKind::ServiceEnded {
            *counts
                .entry(event.t_ns.0 - started[&event.request.0])
                .or_default() += 1;
        }
    }
    let total: u32 = counts.values().sum();
    let keys: Vec<u64> = counts.keys().copied().collect();
    assert_eq!(keys, [250_000_000, 500_000_000, 750_000_000]);
    for (key, share) in [(250_000_000, 0.25), (500_000_000, 0.5)] {
        let expected = f64::from(total) * share;
        let off = (f64::from(counts[&key]) - expected).abs() / (expected * (1.0 - share)).sqrt();
        assert!(off < 5.0, "{key}: {off} standard deviations");
    }
}

#[test]
fn batches_have_the_sizes_of_their_law() {
    let arrivals = "{ process = \"deterministic\", every_s = 1.0 }";
    for (batch, sizes) in [
        ("3", [0, 0, 1, 0]),
        ("{ dist = \"deterministic\", mean = 2 }", [0, 1, 0, 0]),
        ("{ dist = \"uniform\", low = 2, high = 4 }", [0, 1, 1, 1]),
        (
            "{ dist = \"discrete\", values = [1, 4], p = [0.5, 0.5] }",
            [1, 0, 0, 1],
        ),
        ("{ dist = \"geometric\", mean = 1 }", [1, 0, 0, 0]),
    ] {
        let text = one_station(arrivals, &format!("batch = {batch}"), ONE)
            .replace("id = \"s\"", "id = \"s\"\nservers = \"infinite\"");
        let all = events(&load(&text, &[]).expect("valid"));
        let mut counts = [0; 4];
        let begun = times(&all, EventKind::RequestBegun, 0);
        for size in begun.chunk_by(|a, b| a == b).map(<[u64]>::len) {
            counts[size - 1] += 1;
        }
        let share: u32 = sizes.iter().sum();
        let total: u32 = counts.iter().sum();
        for (count, expected) in counts.into_iter().zip(sizes) {
            let mean = f64::from(total * expected) / f64::from(share);
            let bound = 5.0 * mean.sqrt() * f64::from(u8::from(share > 1));
            assert!(
                (f64::from(count) - mean).abs() <= bound,
                "{batch}: {counts:?}"
            );
        }
    }
}

const PAIR: &str = r#"schema = 1
name = "pair"
seed = 5
requests = 2000
[[class]]
id = "a"
[[class]]
id = "b"
[[source]]
id = "c"
arrivals = { process = "poisson", rate_per_s = 1.0 }
mix = { a = 0.5, b = 0.5 }
to = "first"
[[station]]
id = "first"
service = { dist = "exponential", mean_s = 0.5 }
failure = { probability = 0.1 }
next = "second"
[[station]]
id = "second"
servers = 2
service_by_class = { a = { dist = "exponential", mean_s = 0.5 }, b = { dist = "erlang", k = 2, mean_s = 0.5 } }
next = { probability = [ { to = "done", p = 0.75 }, { to = "first", p = 0.25 } ] }
[[edge]]
from = "first"
to = "second"
transit = { dist = "deterministic", mean_s = 0.1 }
[[fault]]
at = "1s"
for = "1s"
target = "second"
kind = "slow"
factor = 2.0
[[slo]]
id = "p99"
metric = "system.sojourn_s.p99"
below = 10.0
"#;

#[test]
fn overrides_reach_every_kind_of_place() {
    let plain = load(PAIR, &[]).expect("valid");
    for text in [
        "class.a.priority=3",
        "source.c.mix.a=0.9",
        "source.c.batch={ dist = \"geometric\", mean = 2 }",
        "source.0.arrivals={ process = \"deterministic\", every_s = 2 }",
        "source.c.users=7",
        "station.first.capacity=4",
        "station.first.patience.dist=exponential",
        "station.second.service_by_class.b.k=3",
        "station.second.next.probability=[{ to = \"done\", p = 1.0 }]",
        "edge.0.transit.mean_s=0.2",
        "edge.first->second.transit.mean_s=0.2",
        "fault.0.factor=3",
        "fault.1={ at = \"3s\", target = \"first\", kind = \"pause\" }",
        "slo.p99.below=5",
        "slo.0.metric=system.sojourn_s.p95",
        "path.0={ id = \"way\", via = \"second\" }",
        "title=Two in a row",
        "warmup=10s",
        "requests=10",
        "duration=1h30m",
    ] {
        let mut set = vec![text.to_owned()];
        if text.contains("patience") {
            set.push("station.first.patience.mean_s=1".to_owned());
        }
        let changed = load(PAIR, &set).unwrap_or_else(|error| panic!("{error}"));
        assert_ne!(changed, plain, "{text}");
    }
    // The last of several wins, and an override of an override is one of the original too.
    let twice = ["station.first.servers=2", "station.first.servers=1"].map(str::to_owned);
    assert_eq!(load(PAIR, &twice).expect("valid").stations, plain.stations);
}

/// Service times of a station in the order of their starts.
fn services(scenario: &Scenario, station: &str) -> Vec<u64> {
    let all = events(scenario);
    let components = &scenario.topology.components;
    let here = components.iter().position(|it| it.id == station);
    let here = here.expect("a station of that name");
    let mut started = BTreeMap::new();
    let mut order = Vec::new();
    let mut length = BTreeMap::new();
    for event in all.iter().filter(|it| it.component.index() == here) {
        let key = event.request.0;
        match event.kind {
            EventKind::ServiceStarted => {
                started.insert(key, (order.len(), event.t_ns.0));
                order.push(key);
            }
            EventKind::ServiceEnded => {
                let (index, at) = started[&key];
                length.insert(index, event.t_ns.0 - at);
            }
            _ => {}
        }
    }
    // Those still in service at the end have no length; everything before the first of them is whole.
    (0..)
        .map_while(|index| length.get(&index).copied())
        .collect()
}

#[test]
fn a_change_at_one_station_leaves_the_draws_of_all_others() {
    // One class and one law, so that the order of customers does not matter.
    let text = PAIR
        .replace(
            "service_by_class = { a = { dist = \"exponential\", mean_s = 0.5 }, b = { dist = \"erlang\", k = 2, mean_s = 0.5 } }",
            "service = { dist = \"exponential\", mean_s = 0.5 }",
        )
        .replace("kind = \"slow\"\nfactor = 2.0", "kind = \"pause\"");
    let plain = load(&text, &[]).expect("valid");
    let (begun, second) = (
        times(&events(&plain), EventKind::RequestBegun, 0),
        services(&plain, "second"),
    );
    assert!(second.len() > 2000);
    let agree = |a: &[u64], b: &[u64]| {
        let both = a.len().min(b.len());
        assert!(both > 1500 && a[..both] == b[..both]);
    };
    for set in [
        "station.first.service.mean_s=0.25",
        "station.first.service.dist=deterministic",
        "station.first.failure.probability=0.2",
        "station.first.servers=3",
    ] {
        let changed = load(&text, &[set.to_owned()]).expect("valid");
        agree(
            &times(&events(&changed), EventKind::RequestBegun, 0),
            &begun,
        );
        agree(&services(&changed, "second"), &second);
        assert_ne!(events(&changed), events(&plain), "{set}");
    }
    // Another station between them, and one before all others in the file.
    let more = text.replace(
        "[[station]]\nid = \"first\"",
        "[[station]]\nid = \"new\"\nservice = { dist = \"exponential\", mean_s = 0.3 }\nnext = \"second\"\n[[station]]\nid = \"first\"",
    );
    let added = load(&more, &["station.first.next=new".to_owned()]).expect("valid");
    agree(&times(&events(&added), EventKind::RequestBegun, 0), &begun);
    agree(&services(&added, "second"), &second);
    agree(&services(&added, "first"), &services(&plain, "first"));
}
