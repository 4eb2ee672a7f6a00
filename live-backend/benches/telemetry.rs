//! What one telemetry push costs the thread that makes it, the reading of the clock included.
//!
//! Belongs here: the hot path, alone and with eight threads at once. Does not belong here: the recorder's
//! own rate (the engine's benches), delivery times (the load driver).
//!
//! Pushes come in bursts that fit the ring, and each burst waits until the recorder has taken it in, so
//! that what is timed is a push that is stored and never one that is dropped. Single pushes are timed
//! with two readings of the clock, whose own cost (the median of pairs with nothing between) is taken off.

use criterion::{Criterion, criterion_group, criterion_main};
use flowreel_engine::model::event::EventKind;
use flowreel_engine::model::id::RequestId;
use flowreel_engine::model::time::TimeNs;
use flowreel_live_backend::telemetry::topology::{TopologySettings, live_topology};
use flowreel_live_backend::telemetry::{
    Class, Clock, Part, Place, Recorder, RecordingSettings, Stage, Telemetry,
};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Duration;

/// A quarter of a ring: two bursts fit even where the recorder has just begun a round.
const BURST: u64 = 2048;
const THREAD_COUNT: usize = 8;
const SAMPLE_COUNT: u64 = 16 * BURST;

fn recorder() -> Recorder {
    let topology = live_topology(&TopologySettings::default());
    Recorder::start(Clock::start(), topology, &RecordingSettings::default())
        .expect("a thread can be had")
}

fn stage() -> Stage {
    let part = Part::main(RequestId(7), Class::Login);
    let mut stage = Stage::new(
        TimeNs(0),
        EventKind::WorkerIdle,
        Place::MailWorker.component(),
    );
    stage.request = part.request;
    stage
}

/// Waits until the recorder has written everything pushed so far.
fn await_drained(telemetry: &Telemetry, pushed: u64) {
    loop {
        let counts = telemetry.counts();
        assert_eq!(counts.dropped, 0, "a dropped push is no push");
        if counts.written >= pushed {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Cost of single pushes in ns, ascending, the clock pair's own cost taken off.
fn single_pushes(telemetry: &Telemetry, clock: Clock, sample_count: u64) -> Vec<u64> {
    let mut empty: Vec<u64> = (0..BURST).map(|_| pair_ns(clock, || ())).collect();
    empty.sort_unstable();
    let own_ns = empty[empty.len() / 2];
    let stage = stage();
    let mut times = Vec::new();
    for _ in 0..sample_count.div_ceil(BURST) {
        for _ in 0..BURST {
            let spent_ns = pair_ns(clock, || telemetry.emit(black_box(stage)));
            times.push(spent_ns.saturating_sub(own_ns));
        }
        // Other threads push too: what matters is that this burst has left the ring.
        await_drained(telemetry, times.len() as u64);
    }
    times.sort_unstable();
    times
}

fn pair_ns(clock: Clock, between: impl FnOnce()) -> u64 {
    let from = clock.now();
    between();
    clock.now().since_ns(from)
}

fn quantile(times: &[u64], per_thousand: usize) -> u64 {
    times[(times.len() * per_thousand / 1000).min(times.len() - 1)]
}

/// Pushes of eight threads at once, all their times together, ascending.
fn crowded_pushes() -> Vec<u64> {
    let recorder = recorder();
    let telemetry = recorder.telemetry();
    let clock = telemetry.clock();
    let barrier = Barrier::new(THREAD_COUNT);
    let mut times = Vec::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREAD_COUNT)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    single_pushes(&telemetry, clock, SAMPLE_COUNT / 4)
                })
            })
            .collect();
        for thread in threads {
            times.extend(thread.join().expect("no push panics"));
        }
    });
    let counts = recorder.finish().expect("it runs").counts;
    assert_eq!(counts.emitted, counts.written + counts.dropped);
    times.sort_unstable();
    times
}

fn push(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("telemetry");
    group.sample_size(10);
    // The whole burst timed as one: the mean, without a clock pair around each push.
    group.bench_function("push_mean_ns", |bencher| {
        let recorder = recorder();
        let telemetry = recorder.telemetry();
        let clock = telemetry.clock();
        let stage = stage();
        let mut pushed = 0;
        bencher.iter_custom(|iterations| {
            let mut spent_ns = 0;
            let mut rest = iterations;
            while rest > 0 {
                let burst = rest.min(BURST);
                spent_ns += pair_ns(clock, || {
                    for _ in 0..burst {
                        telemetry.emit(black_box(stage));
                    }
                });
                rest -= burst;
                pushed += burst;
                await_drained(&telemetry, pushed);
            }
            Duration::from_nanos(spent_ns)
        });
    });
    // Ten samples, each a quantile over 32,768 single pushes; criterion's mean is the mean of the ten.
    for (name, per_thousand) in [("push_p50_ns", 500), ("push_p99_ns", 990)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let recorder = recorder();
                let telemetry = recorder.telemetry();
                let times = single_pushes(&telemetry, telemetry.clock(), SAMPLE_COUNT);
                Duration::from_nanos(quantile(&times, per_thousand) * iterations)
            });
        });
    }
    for (name, per_thousand) in [
        ("push_8_threads_p50_ns", 500),
        ("push_8_threads_p99_ns", 990),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                Duration::from_nanos(quantile(&crowded_pushes(), per_thousand) * iterations)
            });
        });
    }
    group.bench_function("clock_mean_ns", |bencher| {
        let clock = Clock::start();
        bencher.iter(|| clock.now());
    });
    group.finish();
}

criterion_group!(benches, push);
criterion_main!(benches);
