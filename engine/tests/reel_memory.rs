//! How much memory reading takes: the same for a reel ten times longer but for its index, and bounded
//! whatever a reel claims.
//!
//! Belongs here: one test binary with an allocator that counts bytes. Does not belong here: other tests, whose
//! threads would be counted too.

#![expect(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; this one counts and hands on"
)]

#[path = "it/craft.rs"]
mod craft;

use flowreel_engine::recording::{
    FinishInfo, ReelMeta, ReelReader, ReelWriter, RunId, RunSource, WriterOptions, recover, verify,
};
use flowreel_engine::replay::{Playhead, Via};
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(held, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the promises of this method, which are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Both may exist while one is copied to the other.
        grow(new_size);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The most that was held at once during `work`, beside what was held before, in bytes.
fn peak_of<T>(work: impl FnOnce() -> T) -> usize {
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    drop(work());
    PEAK.load(Ordering::Relaxed) - before
}

/// Docs/reel-format.md states these.
const INDEX_BYTES_A_BLOCK: usize = 256;
const HOSTILE_BYTES_MAX: usize = 64 << 20;

const BATCH_EVENTS: usize = 500;

fn reel(name: &str, events: u64) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let file = std::fs::File::create(&path).expect("room");
    let meta = ReelMeta::new(RunId([6; 16]), RunSource::Simulation);
    let options = WriterOptions {
        batch_events: BATCH_EVENTS,
        batch_span_ns: None,
    };
    let sink = std::io::BufWriter::new(file);
    let mut writer =
        ReelWriter::with_options(sink, &meta, &craft::topology(), options).expect("room");
    for first in (0..events).step_by(6000) {
        for event in craft::events(first..(first + 6000).min(events)) {
            writer.push(&event).expect("in order");
        }
    }
    writer.finish(&FinishInfo::default()).expect("room");
    path
}

/// Opens, plays from the beginning to the end, goes to and fro, and back again.
fn play(path: &Path, events: u64) {
    let reader = ReelReader::open(path).expect("sound");
    let mut playhead = Playhead::new(reader).expect("sound");
    while playhead.step().expect("sound").is_some() {}
    assert_eq!(playhead.position(), events);
    let mut state = 1_u64;
    for _ in 0..60 {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        playhead.go_to(state % events, Via::Seek).expect("sound");
        for _ in 0..3 {
            playhead.step_back().expect("sound");
        }
    }
}

/// One test, so that nothing runs beside what is counted.
#[test]
fn reading_takes_the_same_memory_however_long_the_reel_is() {
    let (short_events, long_events) = (300_000, 3_000_000);
    let (short, long) = (
        reel("short.reel", short_events),
        reel("long.reel", long_events),
    );
    let blocks = |path: &Path| ReelReader::open(path).expect("sound").blocks().len();
    let more_blocks = blocks(&long) - blocks(&short);
    assert!(more_blocks > 5000, "{more_blocks}");
    let small = peak_of(|| play(&short, short_events));
    let large = peak_of(|| play(&long, long_events));
    println!(
        "playing: {small} bytes for {short_events} events, {large} for {long_events}, {} a block",
        large.saturating_sub(small) / more_blocks
    );
    assert!(
        large <= small + INDEX_BYTES_A_BLOCK * more_blocks,
        "{small} and {large} bytes, {more_blocks} blocks more"
    );
    for path in [short, long] {
        std::fs::remove_file(path).expect("ours");
    }

    // And whatever a block claims, reading it takes no more than its limits allow.
    let mut worst = (0, String::new());
    for (case, lie) in craft::hostile() {
        let bytes = [
            craft::beginning(),
            craft::batch(&craft::events(0..6)),
            lie,
            craft::batch(&craft::events(6..12)),
        ]
        .concat();
        let peak = peak_of(|| {
            let mut reader = ReelReader::from_bytes(bytes.clone()).expect("it opens");
            assert_eq!(craft::read_all(&mut reader).len(), 12, "{case}");
            verify(&reader).expect("memory");
            recover(&reader, Vec::new()).expect("memory");
            craft::follow(&bytes).expect("named");
        });
        assert!(peak < HOSTILE_BYTES_MAX, "{case}: {peak} bytes");
        worst = worst.max((peak, case));
    }
    println!("the worst claim: {} bytes for `{}`", worst.0, worst.1);
}
