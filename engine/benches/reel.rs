//! How fast and how small reels are: an hour and a half of the notification system, a million events.
//!
//! Belongs here: encoding, decoding, writing with keyframes, opening, seeking. Does not belong here:
//! the fold alone (fold bench), running the model (kernel bench).

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowreel_engine::kernel::{EventSink, simulate_events};
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::{
    BatchDecoder, BatchEncoder, FinishInfo, ReelMeta, ReelReader, ReelWriter, RunId, RunSource,
};
use flowreel_engine::replay::{Playhead, Via};
use flowreel_engine::scenario::load;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

const SCENARIO: &str = include_str!("../../scenarios/notification.toml");
const DURATION: &str = "duration=\"7200s\"";
const BATCH: usize = 16_384;
/// The CPU clock ticks too coarsely for one.
const OPENED: u64 = 1000;

/// Time this thread spent computing: figures are events per CPU second, whatever else the machine does.
struct CpuTime(WallTime);

fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    let first = text.split(' ').next().expect("a number comes first");
    first.parse().expect("nanoseconds")
}

impl Measurement for CpuTime {
    type Intermediate = u64;
    type Value = Duration;

    fn start(&self) -> u64 {
        cpu_ns()
    }
    fn end(&self, start: u64) -> Duration {
        Duration::from_nanos(cpu_ns() - start)
    }
    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }
    fn zero(&self) -> Duration {
        Duration::ZERO
    }
    fn to_f64(&self, value: &Duration) -> f64 {
        self.0.to_f64(value)
    }
    fn formatter(&self) -> &dyn ValueFormatter {
        self.0.formatter()
    }
}

fn simulated() -> (Topology, Vec<StageEvent>) {
    let settings = [DURATION.to_owned()];
    let mut events = Vec::new();
    let mut sink = EventSink(|event: &StageEvent| events.push(*event));
    simulate_events(SCENARIO, 1, &settings, &mut sink).expect("the shipped scenario runs");
    let scenario = load(SCENARIO, &settings).expect("the shipped scenario is valid");
    (scenario.topology, events)
}

fn written(topology: &Topology, events: &[StageEvent], sink: Vec<u8>) -> Vec<u8> {
    let meta = ReelMeta::new(RunId([1; 16]), RunSource::Simulation);
    let mut writer = ReelWriter::new(sink, &meta, topology).expect("memory takes all");
    for event in events {
        writer.push(event).expect("in order");
    }
    let (bytes, _) = writer
        .finish(&FinishInfo::default())
        .expect("memory takes all");
    bytes
}

fn blocks(events: &[StageEvent]) -> Vec<Vec<u8>> {
    let mut encoder = BatchEncoder::new().expect("zstd starts");
    events
        .chunks(BATCH)
        .map(|batch| {
            let mut block = Vec::new();
            encoder.encode(batch, &mut block).expect("within limits");
            block
        })
        .collect()
}

#[expect(
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a figure for people"
)]
fn say_size(reel: &[u8], events: usize) {
    let each = reel.len() as f64 / events as f64;
    eprintln!("reel.bytes_per_event: {each:.3} ({events} events, index and checksums included)");
}

fn reel(c: &mut Criterion<CpuTime>) {
    let (topology, events) = simulated();
    let count = events.len() as u64;
    let reel = written(&topology, &events, Vec::new());
    say_size(&reel, events.len());

    let mut group = c.benchmark_group("reel.encode");
    group
        .throughput(Throughput::Elements(count))
        .sample_size(10);
    group.bench_function("notification, batches of 16,384", |bencher| {
        let mut encoder = BatchEncoder::new().expect("zstd starts");
        let mut block = Vec::new();
        bencher.iter(|| {
            for batch in events.chunks(BATCH) {
                block.clear();
                encoder
                    .encode(black_box(batch), &mut block)
                    .expect("within limits");
            }
        });
    });
    group.finish();

    let mut group = c.benchmark_group("reel.decode");
    group
        .throughput(Throughput::Elements(count))
        .sample_size(10);
    group.bench_function("notification, batches of 16,384", |bencher| {
        let blocks = blocks(&events);
        let mut decoder = BatchDecoder::new().expect("zstd starts");
        let mut batch = Vec::new();
        bencher.iter(|| {
            for block in &blocks {
                batch.clear();
                decoder.decode(black_box(block), &mut batch).expect("sound");
            }
        });
    });
    group.finish();

    let mut group = c.benchmark_group("reel.write");
    group
        .throughput(Throughput::Elements(count))
        .sample_size(10);
    group.bench_function("notification, fold and keyframes included", |bencher| {
        let mut sink = Vec::with_capacity(reel.len());
        bencher.iter(|| {
            sink.clear();
            sink = written(&topology, black_box(&events), std::mem::take(&mut sink));
        });
    });
    group.finish();

    let mut group = c.benchmark_group("reel.open");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench.reel");
    std::fs::write(&path, &reel).expect("the build folder can be written");
    group
        .throughput(Throughput::Elements(OPENED))
        .sample_size(10);
    group.bench_function("a million events, from a file", |bencher| {
        bencher.iter(|| {
            for _ in 0..OPENED {
                black_box(ReelReader::open(black_box(&path)).expect("sound"));
            }
        });
    });
    group.finish();

    let mut group = c.benchmark_group("reel.seek");
    group.bench_function("a million events, any moment", |bencher| {
        let end = events.last().map_or(0, |event| event.t_ns.0);
        let reader = ReelReader::from_bytes(reel.clone()).expect("sound");
        let mut playhead = Playhead::new(reader).expect("sound");
        let mut draw = 1_u64;
        bencher.iter(|| {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            playhead
                .seek(TimeNs((draw >> 11) % end), Via::Seek)
                .expect("sound");
            playhead.position()
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime(WallTime));
    targets = reel
}
criterion_main!(benches);
