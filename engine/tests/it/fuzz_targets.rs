//! What the fuzzer feeds: each function takes any bytes and checks what must hold of them.
//!
//! `fuzz/` runs them under libFuzzer (`cargo xtask fuzz`), `fuzz_corpus` runs them over the corpus at each check.
//! Belongs here: the list of targets. Does not belong here: the fuzzer itself (fuzz/).

// Paths are written out because `fuzz/` takes this file in from another folder.
#[path = "fuzz_targets/batch.rs"]
mod batch;
#[path = "fuzz_targets/condition.rs"]
mod condition;
#[path = "fuzz_targets/edit.rs"]
mod edit;
#[path = "fuzz_targets/import.rs"]
mod import;
#[path = "fuzz_targets/reader.rs"]
mod reader;
#[path = "fuzz_targets/recover.rs"]
mod recover;
#[path = "fuzz_targets/scenario.rs"]
mod scenario;
#[path = "fuzz_targets/seal.rs"]
mod seal;
#[path = "fuzz_targets/stream.rs"]
mod stream;

/// One thing to feed.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// Its name, and that of its folder in the corpus.
    pub(crate) name: &'static str,
    /// Panics where something does not hold.
    pub(crate) check: fn(&[u8]),
}

/// Every target.
pub(crate) const TARGETS: [Target; 8] = [
    Target {
        name: "reader",
        check: reader::check,
    },
    Target {
        name: "stream",
        check: stream::check,
    },
    Target {
        name: "recover",
        check: recover::check,
    },
    Target {
        name: "batch",
        check: batch::check,
    },
    Target {
        name: "edit",
        check: edit::check,
    },
    Target {
        name: "import",
        check: import::check,
    },
    Target {
        name: "condition",
        check: condition::check,
    },
    Target {
        name: "scenario",
        check: scenario::check,
    },
];
