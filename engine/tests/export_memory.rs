//! Exports hold what is under way, not what they have written: four times the reel, the same memory.
//!
//! Belongs here: one test binary with an allocator that measures. Does not belong here: other tests, whose
//! threads would be measured too.

#![expect(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; this one counts and hands on"
)]

use flowreel_engine::export::{
    ExportError, Exported, write_csv, write_json_lines, write_otlp, write_parquet, write_perfetto,
};
use flowreel_engine::kernel::{EventSink, simulate_events};
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::recording::{FinishInfo, ReelMeta, ReelReader, ReelWriter, RunId, RunSource};
use flowreel_engine::scenario::load;
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Sink, sink};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Measuring;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn take(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(held, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Measuring {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller keeps the promises of this method, which are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        take(new_size);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static MEASURING: Measuring = Measuring;

type Export = fn(&mut ReelReader, &mut Sink) -> Result<Exported, ExportError>;

/// The bytes of a reel of a system at rest in the long run.
fn reel(minutes: u32) -> Vec<u8> {
    let text = include_str!("../../scenarios/notification.toml");
    // Enough servers, so that as many requests are under way late as early.
    let settings = [
        format!("duration=\"{minutes}m\""),
        "station.server-1.servers=4".to_owned(),
        "station.server-2.servers=4".to_owned(),
        "station.server-3.servers=4".to_owned(),
    ];
    let scenario = load(text, &settings).expect("valid");
    let meta = ReelMeta::new(RunId([7; 16]), RunSource::Simulation);
    let mut writer =
        ReelWriter::new(Vec::new(), &meta, &scenario.topology).expect("memory has room");
    let mut sink = EventSink(|event: &StageEvent| writer.push(event).expect("in order"));
    simulate_events(text, 7, &settings, &mut sink).expect("it runs");
    let (bytes, _) = writer.finish(&FinishInfo::default()).expect("sound");
    bytes
}

/// The most that an export held at once beyond what was held before, and the events it told of.
fn most(bytes: &[u8], export: Export) -> (usize, u64) {
    let mut reader = ReelReader::from_bytes(bytes.to_vec()).expect("sound");
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let exported = export(&mut reader, &mut sink()).expect("nothing stands in its way");
    (MOST.load(Ordering::Relaxed) - before, exported.events)
}

/// One test, so that nothing runs beside what is measured.
#[test]
fn an_export_of_four_times_the_length_needs_no_more_memory() {
    let (short, long) = (reel(60), reel(240));
    let exports: [(&str, Export); 5] = [
        ("perfetto", write_perfetto),
        ("otlp", write_otlp),
        ("csv", write_csv),
        ("jsonl", write_json_lines),
        ("parquet", write_parquet),
    ];
    for (name, export) in exports {
        let (small, events) = most(&short, export);
        let (large, many) = most(&long, export);
        println!("{name}: {small} bytes for {events} events, {large} for {many}");
        assert!(events > 250_000 && many > 3 * events, "{events} {many}");
        // What still grows: Parquet's footer, and how many requests happen to be under way at once.
        assert!(
            large < small + small / 4 + 300_000,
            "{name}: {small} bytes for {events} events, {large} for {many}"
        );
    }
}
