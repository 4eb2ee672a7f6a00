//! The fuzzer: libFuzzer, guided by coverage, over the targets that the engine's tests share.
//!
//! `cargo xtask fuzz` builds and runs it. What a target checks stands in `engine/tests/it/fuzz_targets`.

#![no_main]

#[path = "../../engine/tests/it/fuzz_targets.rs"]
mod fuzz_targets;
mod limit;

use fuzz_targets::{TARGETS, Target};
use std::sync::OnceLock;

static TARGET: OnceLock<Target> = OnceLock::new();

#[global_allocator]
static ALLOCATOR: limit::Limited = limit::Limited;

libfuzzer_sys::fuzz_target!(
    init: choose(),
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            limit::begin();
            (target.check)(data);
        }
    }
);

/// Takes the target from the environment: libFuzzer reads the command line itself.
fn choose() {
    let name = std::env::var("FLOWREEL_FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|target| target.name == name);
    let Some(target) = found else {
        let names = TARGETS.map(|target| target.name);
        eprintln!("set FLOWREEL_FUZZ_TARGET to one of {}", names.join(", "));
        std::process::exit(2);
    };
    assert!(TARGET.set(*target).is_ok(), "the target is chosen once");
}
