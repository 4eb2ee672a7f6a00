//! The fuzzer's corpus, and every input that ever went wrong, once more at each check.

use crate::fuzz_targets::TARGETS;
use std::path::Path;

/// Feeds every file of the target's folder.
fn replay(name: &str) {
    let target = TARGETS
        .iter()
        .find(|target| target.name == name)
        .expect("a target of that name");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(name);
    let entries = std::fs::read_dir(&folder).expect("the corpus is in the tree");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(
        files.len() >= 5,
        "{} has only {} files",
        folder.display(),
        files.len()
    );
    for file in files {
        let bytes = std::fs::read(&file).expect("it can be read");
        let ended = std::panic::catch_unwind(|| (target.check)(&bytes));
        assert!(ended.is_ok(), "{} goes wrong", file.display());
    }
}

#[test]
fn every_target_has_a_corpus_and_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let entries = std::fs::read_dir(&folder).expect("the corpus is in the tree");
    let names = entries.map(|entry| {
        entry
            .expect("a folder")
            .file_name()
            .into_string()
            .expect("a plain name")
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    let mut wanted = TARGETS.map(|target| target.name.to_owned());
    wanted.sort();
    assert_eq!(names, wanted);
}

macro_rules! replays {
    ($($test:ident => $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                replay($name);
            }
        )*
    };
}

replays! {
    the_corpus_of_the_reader_holds => "reader",
    the_corpus_of_the_stream_holds => "stream",
    the_corpus_of_recover_holds => "recover",
    the_corpus_of_batches_holds => "batch",
    the_corpus_of_editing_holds => "edit",
    the_corpus_of_imports_holds => "import",
    the_corpus_of_scenarios_holds => "scenario",
    the_corpus_of_conditions_holds => "condition",
}
