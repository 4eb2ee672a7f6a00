//! How fast scenarios become events and statistics, one thread, nothing recorded.
//!
//! Belongs here: the kernel's rate with every figure of the simulate answer. Does not belong here:
//! recording (reel bench). An event is an arrival at a station or an end of service there.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowreel_engine::analysis::simulate;
use flowreel_engine::scenario::{Scenario, load};
use std::hint::black_box;

const REQUESTS: u64 = 200_000;

fn open_model(stations: &str, rate_per_s: f64) -> Scenario {
    let text = format!(
        "schema = 1\nname = \"bench\"\nrequests = {REQUESTS}\n[[source]]\nid = \"arrivals\"\n\
         arrivals = {{ process = \"poisson\", rate_per_s = {rate_per_s} }}\nto = \"s1\"\n{stations}"
    );
    load(&text, &[]).expect("the bench's own scenario is valid")
}

fn station(index: u32, mean_s: f64, servers: u32, next: &str) -> String {
    format!(
        "[[station]]\nid = \"s{index}\"\nservers = {servers}\nnext = {next}\n\
         service = {{ dist = \"exponential\", mean_s = {mean_s} }}\n"
    )
}

fn kernel(c: &mut Criterion) {
    let tandem: String = (1..=4)
        .map(|index| station(index, 0.8, 1, &format!("\"s{}\"", index + 1)))
        .chain([station(
            5,
            0.8,
            1,
            "{ probability = [ { to = \"s1\", p = 0.2 }, { to = \"done\", p = 0.8 } ] }",
        )])
        .collect();
    let notification = load(
        include_str!("../../scenarios/notification.toml"),
        &["duration=1h".to_owned()],
    )
    .expect("the shipped scenario is valid");
    let mut group = c.benchmark_group("kernel");
    group.sample_size(10);
    for (name, scenario, events) in [
        (
            "mm1",
            open_model(&station(1, 0.8, 1, "\"done\""), 1.0),
            2 * REQUESTS,
        ),
        (
            "mm10",
            open_model(&station(1, 8.0, 10, "\"done\""), 1.0),
            2 * REQUESTS,
        ),
        // Five stations, 1.25 visits each.
        ("tandem", open_model(&tandem, 0.8), REQUESTS * 25 / 2),
        // Stage events here: visits differ by request.
        (
            "notification",
            notification.clone(),
            stage_events(&notification),
        ),
    ] {
        group.throughput(Throughput::Elements(events));
        group.bench_function(name, |bencher| {
            bencher.iter(|| simulate(black_box(&scenario), 1, &mut ()).expect("the run ends"));
        });
    }
    group.finish();
}

fn stage_events(scenario: &Scenario) -> u64 {
    let report = flowreel_engine::kernel::run(scenario, 1, &mut ()).expect("the run ends");
    report.event_count
}

criterion_group!(benches, kernel);
criterion_main!(benches);
