//! Promises about the answer.
//!
//! Belongs here: reading `[[slo]]`. Does not belong here: judging them (analysis).

use super::fields::{self, Bound, Fields};
use super::problem::Problems;
use super::raw::Node;
use super::valid::Slo;

pub(super) fn read(node: &Node, problems: &mut Problems<'_>) -> Option<Slo> {
    let mut fields = Fields::new(node, "an [[slo]]", problems)?;
    let id = fields.need_text("id", problems);
    let metric = fields.need_text("metric", problems);
    let limits = (fields.take("below"), fields.take("above"));
    let (limit, below) = match limits {
        (Some(node), None) => (
            fields::number(node, "below", Bound::NotNegative, problems),
            true,
        ),
        (None, Some(node)) => (
            fields::number(node, "above", Bound::NotNegative, problems),
            false,
        ),
        (None, None) | (Some(_), Some(_)) => {
            problems.add_with_hint(
                node.place,
                "an [[slo]] needs one limit",
                "add `below = …` or `above = …`",
            );
            (None, true)
        }
    };
    fields.finish(problems);
    Some(Slo {
        id: id?.to_owned(),
        metric: metric?.to_owned(),
        limit: limit?,
        below,
    })
}
