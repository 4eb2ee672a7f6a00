//! Sources: arrival processes, class mix, batches, users.
//!
//! Belongs here: reading `[[source]]`. Does not belong here: drawing arrivals (kernel::source).

use super::arrivals;
use super::fields::{self, Bound, Fields};
use super::names::Names;
use super::problem::{Problems, nearest_hint};
use super::raw::{Node, Value};
use super::rule::{Rules, cumulative};
use super::valid::{Arrivals, Batch, Source};
use crate::model::id::ComponentId;

/// A table of sticky sessions has one entry per user.
pub(super) const USERS_MAX: i64 = 10_000_000;

/// Reads the keys of a source beyond `id`, `kind` and `label`, which the caller took.
pub(super) fn read(
    component: ComponentId,
    mut fields: Fields<'_>,
    rules: &mut Rules<'_>,
    problems: &mut Problems<'_>,
) -> Option<Source> {
    let arrivals = fields
        .need("arrivals", problems)
        .and_then(|node| arrivals::read(node, problems));
    let mix = fields.take("mix");
    let mix = mix_shares(mix, rules.names, problems);
    let batch = fields
        .take("batch")
        .map_or(Some(Batch::Constant(1)), |node| batch(node, problems));
    let users_node = fields.take("users");
    let mut users = users_node
        .and_then(|node| fields::count(node, "users", 1, USERS_MAX, problems))
        .and_then(|count| u32::try_from(count).ok())
        .unwrap_or(0);
    if let Some(Arrivals::Closed {
        users: thinkers, ..
    }) = &arrivals
    {
        users = *thinkers;
        if let Some(node) = users_node {
            problems.add_with_hint(
                node.place,
                "a closed source knows its users already",
                "leave `users` to `arrivals`",
            );
        }
        if batch
            .as_ref()
            .is_some_and(|batch| *batch != Batch::Constant(1))
        {
            problems.add_with_hint(
                fields.place,
                "users of a closed source make one request at a time",
                "leave `batch` out, or raise `users` of `arrivals`",
            );
        }
    }
    let to = fields
        .need("to", problems)
        .and_then(|node| rules.read(node, "to", problems));
    fields.finish(problems);
    Some(Source {
        component,
        arrivals: arrivals?,
        mix: mix?,
        batch: batch?,
        users,
        to: to?,
    })
}

/// Shares adding up to 1, one per class.
fn mix_shares(node: Option<&Node>, names: &Names, problems: &mut Problems<'_>) -> Option<Vec<f64>> {
    let count = names.classes.len();
    let Some(node) = node else {
        #[expect(clippy::cast_precision_loss, reason = "at most 65,535 classes")]
        let share = 1.0 / count as f64;
        return Some(vec![share; count]);
    };
    let Value::Table(entries) = &node.value else {
        problems.add_with_hint(
            node.place,
            format!("`mix` is {}", node.value.type_name()),
            "write { class = weight, … }",
        );
        return None;
    };
    let mut weights = vec![0.0; count];
    let mut whole = true;
    for entry in entries {
        let class = names.class(&entry.key, entry.place, problems);
        let weight = fields::number(&entry.node, &entry.key, Bound::NotNegative, problems);
        match (
            class.and_then(|class| weights.get_mut(class.index())),
            weight,
        ) {
            (Some(slot), Some(weight)) => *slot = weight,
            _ => whole = false,
        }
    }
    let total: f64 = weights.iter().sum();
    if whole && !(total > 0.0 && total.is_finite()) {
        problems.add_with_hint(
            node.place,
            format!("weights of `mix` add up to {total}"),
            "give at least one class a weight above 0",
        );
        whole = false;
    }
    whole.then(|| weights.into_iter().map(|weight| weight / total).collect())
}

/// Largest batch, and largest mean of one.
const BATCH_MAX: i64 = 1_000_000;
const BATCH_LAWS: &[&str] = &["geometric", "deterministic", "uniform", "discrete"];

fn batch(node: &Node, problems: &mut Problems<'_>) -> Option<Batch> {
    if !matches!(node.value, Value::Table(_)) {
        let size = fields::count(node, "batch", 1, BATCH_MAX, problems)?;
        return u32::try_from(size).ok().map(Batch::Constant);
    }
    let mut fields = Fields::new(node, "`batch`", problems)?;
    let dist = fields.need("dist", problems)?;
    let size = |fields: &mut Fields<'_>, key, problems: &mut Problems<'_>| {
        let node = fields.need(key, problems)?;
        let size = fields::count(node, key, 1, BATCH_MAX, problems)?;
        u32::try_from(size).ok()
    };
    let batch = match fields::text(dist, "dist", problems)? {
        "geometric" => {
            let mean = fields.need("mean", problems)?;
            let value = fields::number(mean, "mean", Bound::Positive, problems)?;
            if !(1.0..=1e6).contains(&value) {
                problems.add_with_hint(
                    mean.place,
                    format!("mean batch size is {value}"),
                    "write a number from 1 to 1000000",
                );
                return None;
            }
            Batch::Geometric { mean: value }
        }
        "deterministic" => Batch::Constant(size(&mut fields, "mean", problems)?),
        "uniform" => {
            let low = size(&mut fields, "low", problems);
            let high = size(&mut fields, "high", problems);
            let (low, high) = (low?, high?);
            if low > high {
                problems.add_with_hint(
                    node.place,
                    format!("`low` {low} is above `high` {high}"),
                    "swap them",
                );
                return None;
            }
            Batch::Uniform { low, high }
        }
        "discrete" => discrete_batch(&mut fields, problems)?,
        other => {
            problems.add_with_hint(
                dist.place,
                format!("no batch distribution is named `{other}`"),
                nearest_hint(other, BATCH_LAWS),
            );
            return None;
        }
    };
    fields.finish(problems);
    Some(batch)
}

fn discrete_batch(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Batch> {
    let values_node = fields.need("values", problems);
    let p_node = fields.need("p", problems);
    let (values_node, p_node) = (values_node?, p_node?);
    let items = fields::list(values_node, "values", problems)?;
    let values: Vec<u32> = items
        .iter()
        .filter_map(|item| fields::count(item, "values", 1, BATCH_MAX, problems))
        .filter_map(|size| u32::try_from(size).ok())
        .collect();
    let p = fields::numbers(p_node, "p", Bound::Probability, problems)?;
    if items.len() != p.len() {
        problems.add_with_hint(
            p_node.place,
            format!("`p` has {} numbers, `values` has {}", p.len(), items.len()),
            "give one probability per size",
        );
        return None;
    }
    if !fields::adds_to_one(&p, p_node.place, problems) || values.len() != items.len() {
        return None;
    }
    Some(Batch::Discrete {
        values,
        cumulative: cumulative(p.into_iter()),
    })
}
