//! `observe_at_s`: moments at which requests in the system are counted.
//!
//! Belongs here: reading the list. Does not belong here: counting (analysis::observe).

use super::fields::{self, Bound, Fields};
use super::problem::Problems;
use super::valid::Stop;
use crate::model::time::{ns_from_seconds, seconds_from_ns};

/// Most moments; each costs a few bytes per run and a line of the answer.
const MOMENTS_MAX: usize = 10_000;

/// Moments in ns, rising; empty where none are asked for.
pub(super) fn read(
    fields: &mut Fields<'_>,
    stop: Option<Stop>,
    problems: &mut Problems<'_>,
) -> Vec<u64> {
    let Some(node) = fields.take("observe_at_s") else {
        return Vec::new();
    };
    let Some(moments_s) = fields::numbers(node, "observe_at_s", Bound::NotNegative, problems)
    else {
        return Vec::new();
    };
    if moments_s.len() > MOMENTS_MAX {
        problems.add_with_hint(
            node.place,
            format!("`observe_at_s` has {} moments", moments_s.len()),
            format!("ask for at most {MOMENTS_MAX}"),
        );
        return Vec::new();
    }
    let moments: Vec<u64> = moments_s
        .iter()
        .map_while(|s| ns_from_seconds(*s))
        .collect();
    if moments.len() < moments_s.len() {
        problems.add_with_hint(
            node.place,
            "a moment of `observe_at_s` lies past the end of time",
            "write seconds since the run's start, at most 584 years",
        );
    } else if moments.windows(2).any(|pair| pair[0] >= pair[1]) {
        problems.add_with_hint(
            node.place,
            "the moments of `observe_at_s` do not rise",
            "write each once, the earliest first",
        );
    } else if let (Some(Stop::Duration(end)), Some(last)) = (stop, moments.last())
        && *last > end
    {
        problems.add_with_hint(
            node.place,
            format!(
                "`observe_at_s` asks for {} s, and the run ends after {} s",
                seconds_from_ns(*last),
                seconds_from_ns(end)
            ),
            "make `duration` longer, or leave that moment out",
        );
    }
    moments
}
