//! How fast and how small recordings are, ours and MCAP files, and how a long one opens and plays.
//!
//! Belongs here: the work and its figures. Does not belong here: the events (tiles), MCAP (others).
//!
//! `reel compare RECORDING EVENTS` prints one line of JSON for each figure; so do `reel write RECORDING EVENTS
//! OUT` and `reel open OUT`. Rates are events per CPU second of the only thread, the best of five rounds, ours
//! and the others' in turn.

#[cfg(feature = "mcap")]
mod others;
mod tiles;

use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::{
    BatchDecoder, BatchEncoder, FinishInfo, ReelMeta, ReelReader, ReelWriter, RunId, RunSource,
};
use flowreel_engine::replay::{Playhead, Via};
use flowreel_peers::{Random, cpu_s};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;
use tiles::Tiles;

const ROUNDS: usize = 5;
/// As the reel writer closes them.
const BATCH: usize = 16_384;
const SEEKS: usize = 1000;
const OPENED: usize = 50;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |word: &str| word.parse::<usize>().expect("a number of events");
    match words.as_slice() {
        ["compare", recording, events] => compare(Path::new(recording), number(events)),
        ["write", recording, events, out] => {
            write(Path::new(recording), number(events), Path::new(out))
        }
        ["open", reel] => open(Path::new(reel)),
        ["play", reel] => play(Path::new(reel)),
        _ => panic!(
            "reel compare RECORDING EVENTS | write RECORDING EVENTS OUT | open REEL | play REEL"
        ),
    }
}

fn figure(id: &str, value: f64) {
    println!("{{\"id\":\"{id}\",\"value\":{value}}}");
}

/// Runs `work` and gives events per CPU second.
fn rate(events: usize, work: impl FnOnce()) -> f64 {
    let start = cpu_s();
    work();
    events as f64 / (cpu_s() - start)
}

fn compare(recording: &Path, count: usize) {
    let (topology, tiles) = Tiles::new(recording);
    let events: Vec<StageEvent> = tiles.take(count).collect();
    let mut best = [0.0_f64; 4];
    let mut reel = Vec::new();
    let mut batches: Vec<Vec<u8>> = Vec::new();
    #[cfg(feature = "mcap")]
    let mut others = others::all();
    for _ in 0..ROUNDS {
        let mut encoder = BatchEncoder::new().expect("zstd starts");
        let mut encoded = Vec::with_capacity(events.len().div_ceil(BATCH));
        best[0] = best[0].max(rate(count, || {
            for batch in events.chunks(BATCH) {
                let mut block = Vec::new();
                encoder.encode(batch, &mut block).expect("within limits");
                encoded.push(block);
            }
        }));
        batches = encoded;
        let mut decoder = BatchDecoder::new().expect("zstd starts");
        let mut batch = Vec::with_capacity(BATCH);
        best[1] = best[1].max(rate(count, || {
            for block in &batches {
                batch.clear();
                decoder.decode(block, &mut batch).expect("sound");
                std::hint::black_box(&batch);
            }
        }));
        let mut state = SystemState::new(&topology);
        best[2] = best[2].max(rate(count, || {
            for event in &events {
                state.apply(event);
            }
        }));
        std::hint::black_box(&state);
        best[3] = best[3].max(rate(count, || {
            reel = written(&topology, &mut events.iter().copied(), Vec::new());
        }));
        #[cfg(feature = "mcap")]
        for other in &mut others {
            other.round(&events);
        }
    }
    let stored: usize = batches.iter().map(Vec::len).sum();
    figure("reel.encode", best[0]);
    figure("reel.decode", best[1]);
    figure("reel.fold", best[2]);
    figure("reel.write_with_keyframes", best[3]);
    figure("reel.bytes_per_event", reel.len() as f64 / count as f64);
    figure("reel.batch_bytes_per_event", stored as f64 / count as f64);
    #[cfg(feature = "mcap")]
    for other in &others {
        other.say(count);
    }
}

/// A whole reel of a live run: blocks of at most 250 ms, keyframes, index, summary.
fn written<W: Write>(
    topology: &Topology,
    events: &mut dyn Iterator<Item = StageEvent>,
    sink: W,
) -> W {
    let meta = ReelMeta::new(RunId([1; 16]), RunSource::Live);
    let mut writer = ReelWriter::new(sink, &meta, topology).expect("a reel begins");
    for event in events {
        writer.push(&event).expect("in order");
    }
    writer
        .finish(&FinishInfo::default())
        .expect("a reel ends")
        .0
}

fn write(recording: &Path, count: usize, out: &Path) {
    let (topology, tiles) = Tiles::new(recording);
    let file = File::create(out).expect("the file can be made");
    let file = written(&topology, &mut tiles.take(count), file);
    let bytes = file.metadata().expect("it has a length").len();
    figure("reel.long_events", count as f64);
    figure("reel.long_bytes", bytes as f64);
}

fn open(path: &Path) {
    let ms = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
    let mut opened: Vec<f64> = (0..OPENED)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(ReelReader::open(path).expect("sound"));
            ms(start)
        })
        .collect();
    figure("reel.open_first_ms", opened[0]);
    figure("reel.open_ms", quantile(&mut opened, 0.5));
    figure("reel.open_max_ms", quantile(&mut opened, 1.0));
    let mut playhead = Playhead::new(ReelReader::open(path).expect("sound")).expect("sound");
    let (first, last) = playhead.reader().time_range().expect("it has events");
    figure(
        "reel.long_keyframes",
        playhead.reader().keyframe_blocks().len() as f64,
    );
    let mut random = Random::new(7);
    let mut sought: Vec<f64> = (0..SEEKS)
        .map(|_| {
            let t = first.0 + (random.uniform() * last.since_ns(first) as f64) as u64;
            let start = Instant::now();
            playhead.seek(TimeNs(t), Via::Seek).expect("sound");
            ms(start)
        })
        .collect();
    figure("reel.seek_p50_ms", quantile(&mut sought, 0.5));
    figure("reel.seek_p99_ms", quantile(&mut sought, 0.99));
    figure("reel.seek_max_ms", quantile(&mut sought, 1.0));
    figure("reel.seek_peak_mib", peak_mib());
}

fn play(path: &Path) {
    let mut playhead = Playhead::new(ReelReader::open(path).expect("sound")).expect("sound");
    figure("reel.play_opened_mib", peak_mib());
    let mut events = 0_usize;
    let start = cpu_s();
    while playhead.step().expect("sound").is_some() {
        events += 1;
    }
    figure("reel.play", events as f64 / (cpu_s() - start));
    let back = events.min(1_000_000);
    let start = cpu_s();
    for _ in 0..back {
        playhead.step_back().expect("sound");
    }
    figure("reel.play_back", back as f64 / (cpu_s() - start));
    figure("reel.play_peak_mib", peak_mib());
}

fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * q).round() as usize]
}

/// Most memory this process ever had.
fn peak_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.expect("a number of kB") / 1024.0
}
