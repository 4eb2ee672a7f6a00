//! Sources: arrival processes, class mix, batches, users.
//!
//! Belongs here: reading `[[source]]`. Does not belong here: drawing arrivals (kernel::source).

use super::distribution::{self, Distribution};
use super::fields::{self, Bound, Fields};
use super::names::Names;
use super::problem::{Problems, nearest_hint};
use super::raw::{Node, Value};
use super::rule::Rules;
use super::valid::{Arrivals, Batch, Source};
use crate::model::id::ComponentId;

const PROCESSES: &[&str] = &["poisson", "deterministic", "renewal"];
const PROCESSES_LATER: &[&str] = &["mmpp", "diurnal", "steps", "trace", "closed"];
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
        .and_then(|node| arrivals(node, problems));
    let mix = fields.take("mix");
    let mix = mix_shares(mix, rules.names, problems);
    let batch = fields
        .take("batch")
        .map_or(Some(Batch::Constant(1)), |node| batch(node, problems));
    let users = fields
        .take_count("users", 1, USERS_MAX, problems)
        .unwrap_or(0);
    let to = fields
        .need("to", problems)
        .and_then(|node| rules.read(node, "to", problems));
    fields.finish(problems);
    Some(Source {
        component,
        arrivals: arrivals?,
        mix: mix?,
        batch: batch?,
        users: u32::try_from(users).ok()?,
        to: to?,
    })
}

fn arrivals(node: &Node, problems: &mut Problems<'_>) -> Option<Arrivals> {
    let mut fields = Fields::new(node, "`arrivals`", problems)?;
    let process = fields.need("process", problems)?;
    let name = fields::text(process, "process", problems)?;
    let arrivals = match name {
        "poisson" => fields
            .need_number("rate_per_s", Bound::Positive, problems)
            .map(|rate_per_s| Arrivals::Poisson { rate_per_s }),
        "deterministic" => fields
            .need_seconds("every_s", Bound::Positive, problems)
            .map(|mean_s| Arrivals::Renewal(Distribution::Deterministic { mean_s })),
        "renewal" => {
            let law = distribution::read_fields(&mut fields, problems);
            if law.as_ref().is_some_and(|law| law.mean_s() <= 0.0) {
                problems.add_with_hint(
                    node.place,
                    "gaps between arrivals are 0",
                    "make their mean positive",
                );
                return None;
            }
            law.map(Arrivals::Renewal)
        }
        later if PROCESSES_LATER.contains(&later) => {
            problems.not_yet(process.place, &format!("the arrival process `{later}`"));
            return None;
        }
        other => {
            problems.add_with_hint(
                process.place,
                format!("no arrival process is named `{other}`"),
                nearest_hint(other, PROCESSES),
            );
            return None;
        }
    };
    if let Some(arrivals) = &arrivals
        && arrivals.rate_per_s() > 1e9
    {
        problems.add_with_hint(
            node.place,
            format!(
                "{} arrivals per second are more than one per nanosecond",
                arrivals.rate_per_s()
            ),
            "lower the rate",
        );
        return None;
    }
    fields.finish(problems);
    arrivals
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

fn batch(node: &Node, problems: &mut Problems<'_>) -> Option<Batch> {
    if !matches!(node.value, Value::Table(_)) {
        let size = fields::count(node, "batch", 1, 1_000_000, problems)?;
        return u32::try_from(size).ok().map(Batch::Constant);
    }
    let mut fields = Fields::new(node, "`batch`", problems)?;
    let dist = fields.need_text("dist", problems)?;
    let batch = match dist {
        "geometric" => {
            let mean = fields.need_number("mean", Bound::Positive, problems)?;
            if !(1.0..=1e6).contains(&mean) {
                problems.add_with_hint(
                    node.place,
                    format!("mean batch size is {mean}"),
                    "write a number from 1 to 1000000",
                );
                return None;
            }
            Batch::Geometric { mean }
        }
        other => {
            problems.add_with_hint(
                node.place,
                format!("no batch distribution is named `{other}`"),
                "write a whole number or { dist = \"geometric\", mean = 3 }",
            );
            return None;
        }
    };
    fields.finish(problems);
    Some(batch)
}
