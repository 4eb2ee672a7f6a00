//! Rules that split a part: forks that join, hedges of which the first answer counts.
//!
//! Belongs here: reading them. Does not belong here: other rules (rule), splitting (kernel::split).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used
)]

use super::fields::{self, Bound, Fields};
use super::problem::Problems;
use super::raw::{Node, Value};
use super::rule::Rules;
use super::valid::{Fork, Hedge, Rule};
use crate::model::id::ComponentId;
use crate::model::time::ns_from_seconds;

/// Most parts of one fork: they are numbered within their request.
const PARTS_MAX: i64 = 10_000;
/// Most stations of one hedge.
const HEDGE_MAX: usize = 64;

impl Rules<'_> {
    pub(super) fn fork(
        &self,
        node: &Node,
        fields: &mut Fields<'_>,
        problems: &mut Problems<'_>,
    ) -> Option<Rule> {
        let to = self.stations(node, "fork", problems);
        let join = fields
            .need("join", problems)
            .and_then(|node| self.join(node, to.as_deref(), problems));
        let copies_node = fields.take("copies");
        let copies =
            copies_node.and_then(|node| fields::count(node, "copies", 1, PARTS_MAX, problems));
        let to = to?;
        if let Some(node) = copies_node.filter(|_| to.len() > 1) {
            problems.add_with_hint(
                node.place,
                format!("`copies` with {} stations in `fork`", to.len()),
                "name one station, or each as often as it gets a part",
            );
            return None;
        }
        let to = match (copies, to.as_slice()) {
            (Some(copies), [station]) => vec![*station; usize::try_from(copies).ok()?],
            _ => to,
        };
        let count = i64::try_from(to.len()).unwrap_or(i64::MAX);
        if count > PARTS_MAX {
            problems.add_with_hint(
                node.place,
                format!("`fork` makes {count} parts"),
                format!("make at most {PARTS_MAX}"),
            );
            return None;
        }
        let wait_for = match fields.take("wait_for") {
            Some(node) => fields::count(node, "wait_for", 1, count, problems)?,
            None => count,
        };
        Some(Rule::Fork(Fork {
            to,
            join: join?,
            wait_for: u32::try_from(wait_for).ok()?,
        }))
    }

    pub(super) fn hedge(
        &self,
        node: &Node,
        fields: &mut Fields<'_>,
        problems: &mut Problems<'_>,
    ) -> Option<Rule> {
        let among = self.stations(node, "hedge", problems);
        let after_s = fields
            .need("after_s", problems)
            .and_then(|node| fields::seconds(node, "after_s", Bound::NotNegative, problems));
        let join = match fields.take("join") {
            Some(node) => self.join(node, among.as_deref(), problems),
            None => Some(None),
        };
        let d_node = fields.take("d");
        let among = among?;
        let count = among.len();
        if count > HEDGE_MAX {
            problems.add_with_hint(
                node.place,
                format!("`hedge` has {count} stations"),
                format!("name at most {HEDGE_MAX}"),
            );
            return None;
        }
        let d = match d_node {
            Some(node) => fields::count(node, "d", 1, i64::try_from(count).unwrap_or(1), problems)?,
            None => i64::try_from(count).ok()?,
        };
        Some(Rule::Hedge(Hedge {
            among,
            d: u32::try_from(d).ok()?,
            after_ns: ns_from_seconds(after_s?)?,
            join: join?,
        }))
    }

    /// `Some(None)` is "done".
    #[expect(clippy::option_option, reason = "absent because wrong, or no place")]
    fn join(
        &self,
        node: &Node,
        branches: Option<&[ComponentId]>,
        problems: &mut Problems<'_>,
    ) -> Option<Option<ComponentId>> {
        if matches!(&node.value, Value::Text(text) if text == "done") {
            return Some(None);
        }
        let name = fields::text(node, "join", problems)?;
        let id = self.names.station(name, node.place, problems)?;
        if branches.is_some_and(|branches| branches.contains(&id)) {
            problems.add_with_hint(
                node.place,
                format!("parts are sent to `{name}` and wait for each other there"),
                "join at a station after it, or at \"done\"",
            );
            return None;
        }
        Some(Some(id))
    }
}
