//! Saving a damaged reel: what comes out holds, and has every event that could be read.
//!
//! Belongs here: promises of `recover`. Does not belong here: reading (reader).

use super::{reader, seal};
use flowreel_engine::recording::{ReelReader, recover, verify};
use std::collections::BTreeSet;

/// Takes a reel, see [`seal::reel`].
pub(crate) fn check(data: &[u8]) {
    let Ok(mut reader) = ReelReader::from_bytes(seal::reel(data)) else {
        return;
    };
    let shown = reader::shown(&mut reader);
    let before = verify(&reader).expect("it could be opened");
    let (saved, told) = recover(&reader, Vec::new()).expect("memory");
    let mut again = ReelReader::from_bytes(saved).expect("what was saved can be opened");
    assert!(again.is_complete(), "what was saved has an end");
    let checked = verify(&again).expect("it could be opened");
    for problem in &checked.problems {
        // Gaps that stay are told; anything else would be a mistake of ours.
        let is_gap = problem.what.ends_with("are missing") && !told.gaps.is_empty();
        assert!(is_gap, "what was saved does not hold: {problem:?}");
    }
    let kept = reader::shown(&mut again);
    reader::in_order(&kept);
    assert_eq!(
        kept.len() as u64,
        told.summary.events,
        "the totals are those of the events"
    );
    // A keyframe that lies may hide events that it says it has seen.
    let is_lied_to = before.problems.iter().any(|problem| {
        ["keyframe", "twice", "backwards"]
            .iter()
            .any(|word| problem.what.contains(word))
    });
    if !is_lied_to {
        let seqs: BTreeSet<u64> = kept.iter().map(|event| event.seq).collect();
        for event in &shown {
            assert!(
                seqs.contains(&event.seq),
                "event {} was shown and is not saved",
                event.seq
            );
        }
    }
}
