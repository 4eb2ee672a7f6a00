//! Servers that come and go with the load, as written.
//!
//! Belongs here: reading `autoscale` of a station. Does not belong here: scaling (kernel::autoscale).

use super::fields::{self, Bound, Fields};
use super::problem::Problems;
use super::raw::Node;
use super::valid::Autoscale;
use crate::model::time::ns_from_seconds;

const SERVERS_MAX: i64 = 1_000_000;

/// Reads the table; `servers` is how many the station begins with, where it says so.
#[expect(clippy::option_option, reason = "absent, or infinite")]
pub(super) fn read(
    node: &Node,
    servers: Option<Option<u32>>,
    problems: &mut Problems<'_>,
) -> Option<Autoscale> {
    let mut fields = Fields::new(node, "`autoscale`", problems)?;
    let min = fields
        .take_count("min", 1, SERVERS_MAX, problems)
        .unwrap_or(1);
    let max = fields
        .need("max", problems)
        .and_then(|node| fields::count(node, "max", 1, SERVERS_MAX, problems));
    let target_node = fields.need("target_utilization", problems);
    let target = target_node
        .and_then(|node| fields::number(node, "target_utilization", Bound::Positive, problems));
    let every_s = fields.need_seconds("every_s", Bound::Positive, problems);
    let mut lag = |key, problems: &mut Problems<'_>| match fields.take(key) {
        Some(node) => fields::seconds(node, key, Bound::NotNegative, problems),
        None => Some(0.0),
    };
    let up_lag_s = lag("up_lag_s", problems);
    let down_lag_s = lag("down_lag_s", problems);
    fields.finish(problems);
    let (target, every_s) = (target?, every_s?);
    if target > 1.0 {
        problems.add_with_hint(
            target_node.map_or(node.place, |node| node.place),
            format!("`target_utilization` is {target}"),
            "write a share above 0 and up to 1",
        );
        return None;
    }
    let every_ns = ns_from_seconds(every_s).unwrap_or(0);
    if every_ns < 1_000_000 {
        problems.add_with_hint(
            node.place,
            format!("`every_s` is {every_s}"),
            "look at most every 0.001 s",
        );
        return None;
    }
    let (min, max) = (u32::try_from(min).ok()?, u32::try_from(max?).ok()?);
    let begins = servers.unwrap_or(Some(min));
    if min > max || begins.is_none_or(|count| !(min..=max).contains(&count)) {
        let begins = begins.map_or_else(|| "infinite".to_owned(), |count| count.to_string());
        problems.add_with_hint(
            node.place,
            format!("{begins} servers to begin with, `min` {min} and `max` {max}"),
            "let `servers` lie from `min` to `max`",
        );
        return None;
    }
    Some(Autoscale {
        min,
        max,
        target_utilization: target,
        every_ns,
        up_lag_ns: ns_from_seconds(up_lag_s?)?,
        down_lag_ns: ns_from_seconds(down_lag_s?)?,
    })
}
