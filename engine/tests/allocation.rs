//! No allocation per event once a run has warmed up.
//!
//! Belongs here: one test binary with an allocator that counts. Does not belong here: other tests, whose
//! threads would be counted too.

#![expect(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; this one counts and hands on"
)]

use flowreel_engine::analysis::Statistics;
use flowreel_engine::kernel::{EventSink, Kernel};
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::scenario::load;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of this method, which are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What may still grow late: a line longer than ever before, a duration in a size not seen before. Both
/// happen ever more rarely.
const GROWTH_MAX: u64 = 16;
/// A run of fixed length falls into so many batches; closing one copies its figures.
const BATCHES: u64 = 32;

fn station(id: u32, servers: u32, mean_s: f64, next: &str) -> String {
    format!(
        "[[station]]\nid = \"s{id}\"\nservers = {servers}\nnext = {next}\n\
         service = {{ dist = \"exponential\", mean_s = {mean_s} }}\n"
    )
}

fn open(rate_per_s: f64, stations: &str) -> String {
    format!(
        "schema = 1\nname = \"allocation\"\nduration = \"1s\"\n[[source]]\nid = \"arrivals\"\n\
         arrivals = {{ process = \"poisson\", rate_per_s = {rate_per_s} }}\nto = \"s1\"\n{stations}"
    )
}

/// One test, so that nothing runs beside what is counted.
#[test]
fn a_warm_run_allocates_nothing_for_its_events() {
    let tandem: String = (1..=4)
        .map(|id| station(id, 1, 0.8, &format!("\"s{}\"", id + 1)))
        .chain([station(
            5,
            1,
            0.8,
            "{ probability = [ { to = \"s1\", p = 0.2 }, { to = \"done\", p = 0.8 } ] }",
        )])
        .collect();
    let notification = include_str!("../../scenarios/notification.toml").to_owned();
    for (name, text, duration_s) in [
        (
            "M/M/1",
            open(1.0, &station(1, 1, 0.8, "\"done\"")),
            1_200_000_u64,
        ),
        (
            "M/M/10",
            open(1.0, &station(1, 10, 8.0, "\"done\"")),
            1_200_000,
        ),
        ("tandem", open(0.8, &tandem), 300_000),
        // Many pending: the calendar's far part is at work.
        (
            "M/M/infinity",
            open(2000.0, &station(1, 1_000_000, 1.0, "\"done\"")),
            1000,
        ),
        ("notification", notification, 100_000),
    ] {
        let scenario = load(&text, &[format!("duration=\"{duration_s}s\"")]).expect("valid");
        let mut kernel = Kernel::new(&scenario, 7).expect("it begins");
        let mut events = 0_u64;
        let mut watchers = (
            Statistics::new(&scenario),
            EventSink(|_: &StageEvent| events += 1),
        );
        // Within one batch, late in the run.
        let batch_ns = duration_s * 1_000_000_000 / BATCHES;
        let (from, to) = (20 * batch_ns + batch_ns / 20, 21 * batch_ns - batch_ns / 20);
        kernel
            .run_until(TimeNs(from), &mut watchers)
            .expect("it runs");
        let (allocations, seen) = (
            ALLOCATIONS.load(Ordering::Relaxed),
            kernel.report().event_count,
        );
        kernel
            .run_until(TimeNs(to), &mut watchers)
            .expect("it runs");
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - allocations;
        let seen = kernel.report().event_count - seen;
        assert!(seen > 50_000, "{name}: only {seen} events were watched");
        assert!(
            allocations <= GROWTH_MAX,
            "{name}: {allocations} allocations for {seen} events"
        );
        assert_eq!(kernel.report().event_count, events, "{name}");
    }
}
