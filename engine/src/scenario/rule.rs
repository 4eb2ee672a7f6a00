//! `next` rules: where a part goes after a step.
//!
//! Belongs here: reading a rule and everything inside it. Does not belong here: choosing (kernel::route).

use super::distribution;
use super::fields::{self, Bound, Fields};
use super::limit::{self, RetryLimits};
use super::names::Names;
use super::problem::{Place, Problems, nearest_hint};
use super::raw::{Node, Value};
use super::valid::{Choice, LadderStep, Rule, RuleId};
use crate::model::id::ComponentId;
use crate::model::topology::ComponentKind;

const CHOICES: &[&str] = &[
    "round-robin",
    "random",
    "weighted",
    "least-connections",
    "least-work-left",
    "power-of-two",
    "sticky",
    "hash",
];

/// Collects rules; each gets its position.
pub(super) struct Rules<'a> {
    pub(super) names: &'a Names,
    pub(super) list: Vec<Rule>,
}

impl Rules<'_> {
    pub(super) fn add(&mut self, rule: Rule) -> RuleId {
        let id = RuleId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        self.list.push(rule);
        id
    }

    /// Reads the rule under `key`.
    pub(super) fn read(
        &mut self,
        node: &Node,
        key: &str,
        problems: &mut Problems<'_>,
    ) -> Option<RuleId> {
        let rule = match &node.value {
            Value::Text(name) => self.named(name, node.place, problems)?,
            Value::Table(_) => self.table(node, key, problems)?,
            Value::Integer(_)
            | Value::Float(_)
            | Value::Bool(_)
            | Value::Array(_)
            | Value::Date => {
                problems.add_with_hint(
                    node.place,
                    format!("`{key}` is {}", node.value.type_name()),
                    "write a station id, \"done\", \"failed\" or a table such as { choose = \"random\", among = [..] }",
                );
                return None;
            }
        };
        Some(self.add(rule))
    }

    fn named(&self, name: &str, place: Place, problems: &mut Problems<'_>) -> Option<Rule> {
        match name {
            "done" => Some(Rule::Done),
            "failed" => Some(Rule::Failed),
            _ => self.names.station(name, place, problems).map(Rule::Station),
        }
    }

    fn table(&mut self, node: &Node, key: &str, problems: &mut Problems<'_>) -> Option<Rule> {
        let mut fields = Fields::new(node, &format!("the rule `{key}`"), problems)?;
        let rule = if let Some(choose) = fields.take("choose") {
            self.choose(choose, &mut fields, problems)
        } else if let Some(list) = fields.take("probability") {
            self.probability(list, problems)
        } else if let Some(table) = fields.take("by_class") {
            self.by_class(table, problems)
        } else if let Some(list) = fields.take("copy") {
            self.stations(list, "copy", problems).map(Rule::Copy)
        } else if let Some(list) = fields.take("fork") {
            self.fork(list, &mut fields, problems)
        } else if let Some(list) = fields.take("hedge") {
            self.hedge(list, &mut fields, problems)
        } else if let Some(list) = fields.take("retry") {
            self.ladder(list, &mut fields, problems)
        } else {
            if fields.entry_count() == 0 {
                problems.add_with_hint(
                    node.place,
                    format!("the rule `{key}` is empty"),
                    "write one of choose, probability, by_class, copy, fork, hedge, retry",
                );
            }
            None
        };
        fields.finish(problems);
        rule
    }

    fn choose(
        &self,
        choose: &Node,
        fields: &mut Fields<'_>,
        problems: &mut Problems<'_>,
    ) -> Option<Rule> {
        let among = fields
            .need("among", problems)
            .and_then(|node| self.stations(node, "among", problems));
        let name = fields::text(choose, "choose", problems)?;
        let choice = match name {
            "round-robin" => Choice::RoundRobin,
            "random" => Choice::Random,
            "hash" => Choice::Hash,
            "least-connections" => Choice::LeastConnections,
            "least-work-left" => Choice::LeastWorkLeft,
            "weighted" => {
                let node = fields.need("weights", problems)?;
                let weights = fields::numbers(node, "weights", Bound::NotNegative, problems)?;
                let total: f64 = weights.iter().sum();
                let expected = among.as_ref().map_or(weights.len(), Vec::len);
                if weights.len() != expected || !total.is_finite() || total <= 0.0 {
                    problems.add_with_hint(
                        node.place,
                        format!(
                            "{} weights with sum {total} for {expected} stations",
                            weights.len()
                        ),
                        "give one weight per station, not all 0",
                    );
                    return None;
                }
                Choice::Weighted(cumulative(weights.iter().map(|weight| weight / total)))
            }
            "power-of-two" => {
                let replace = match fields.take("replace").map(|node| (&node.value, node.place)) {
                    None => false,
                    Some((Value::Bool(replace), _)) => *replace,
                    Some((_, place)) => {
                        problems.add_with_hint(
                            place,
                            "`replace` is not a truth value",
                            "write true or false",
                        );
                        false
                    }
                };
                let d = fields.take_count("d", 1, 64, problems).unwrap_or(2);
                let count = among.as_ref().map_or(usize::MAX, Vec::len);
                if !replace && usize::try_from(d).is_ok_and(|d| d > count) {
                    problems.add_with_hint(
                        choose.place,
                        format!("`d` is {d} with {count} stations"),
                        "draw at most as many as there are, or set replace = true",
                    );
                    return None;
                }
                Choice::PowerOfTwo {
                    d: u32::try_from(d).ok()?,
                    replace,
                }
            }
            "sticky" => {
                self.sticky(choose.place, fields, problems)?;
                Choice::Sticky
            }
            other => {
                problems.add_with_hint(
                    choose.place,
                    format!("no choice is named `{other}`"),
                    nearest_hint(other, CHOICES),
                );
                return None;
            }
        };
        among.map(|among| Rule::Choose { choice, among })
    }

    fn sticky(
        &self,
        place: Place,
        fields: &mut Fields<'_>,
        problems: &mut Problems<'_>,
    ) -> Option<()> {
        if let Some(by) = fields.take("by")
            && fields::text(by, "by", problems)? != "user"
        {
            problems.add_with_hint(
                by.place,
                "sessions stick by user only",
                "write by = \"user\"",
            );
            return None;
        }
        if !self.names.has_users {
            problems.add_with_hint(
                place,
                "sticky needs users, and no source has any",
                "add `users = 500` to a source",
            );
            return None;
        }
        Some(())
    }

    pub(super) fn stations(
        &self,
        node: &Node,
        key: &str,
        problems: &mut Problems<'_>,
    ) -> Option<Vec<ComponentId>> {
        let items = fields::list(node, key, problems)?;
        if items.is_empty() {
            problems.add_with_hint(
                node.place,
                format!("`{key}` is empty"),
                "name at least one station",
            );
            return None;
        }
        let found: Vec<ComponentId> = items
            .iter()
            .filter_map(|item| {
                let name = fields::text(item, key, problems)?;
                self.names.station(name, item.place, problems)
            })
            .collect();
        (found.len() == items.len()).then_some(found)
    }

    fn probability(&mut self, node: &Node, problems: &mut Problems<'_>) -> Option<Rule> {
        let items = fields::list(node, "probability", problems)?;
        if items.is_empty() {
            problems.add_with_hint(
                node.place,
                "`probability` is empty",
                "write [ { to = \"done\", p = 1.0 } ]",
            );
            return None;
        }
        let mut shares = Vec::with_capacity(items.len());
        let mut targets = Vec::with_capacity(items.len());
        for item in items {
            let Some(mut fields) = Fields::new(item, "a choice of `probability`", problems) else {
                continue;
            };
            let to = fields.need("to", problems);
            let target = to.and_then(|to| self.read(to, "to", problems));
            let p = fields.need_number("p", Bound::Probability, problems);
            fields.finish(problems);
            if let (Some(target), Some(p)) = (target, p) {
                targets.push(target);
                shares.push(p);
            }
        }
        if shares.len() != items.len() || !fields::adds_to_one(&shares, node.place, problems) {
            return None;
        }
        let steps = cumulative(shares.into_iter());
        Some(Rule::Probability(steps.into_iter().zip(targets).collect()))
    }

    fn by_class(&mut self, node: &Node, problems: &mut Problems<'_>) -> Option<Rule> {
        let Value::Table(entries) = &node.value else {
            problems.add_with_hint(
                node.place,
                format!("`by_class` is {}", node.value.type_name()),
                "write { class = \"station\", default = \"station\" }",
            );
            return None;
        };
        let mut default = None;
        let mut rules = vec![None; self.names.classes.len()];
        for entry in entries {
            let rule = self.read(&entry.node, &entry.key, problems);
            if entry.key == "default" {
                default = rule;
            } else if let Some(class) = self.names.class(&entry.key, entry.place, problems)
                && let Some(slot) = rules.get_mut(class.index())
            {
                *slot = rule;
            }
        }
        let missing = rules.iter().position(Option::is_none);
        if let (Some(missing), None) = (missing, default)
            && problems.is_empty()
        {
            let class = self.names.classes.get(missing).map_or("", String::as_str);
            problems.add_with_hint(
                node.place,
                format!("`by_class` says nothing about `{class}`"),
                "add it, or a `default`",
            );
        }
        let filled: Option<Vec<RuleId>> = rules.into_iter().map(|rule| rule.or(default)).collect();
        filled.map(Rule::ByClass)
    }

    fn ladder(
        &mut self,
        node: &Node,
        fields: &mut Fields<'_>,
        problems: &mut Problems<'_>,
    ) -> Option<Rule> {
        let limits = limit::retry(fields, problems);
        let then = fields.take("then");
        let last = fields.take("last");
        let then = match (then, last) {
            (Some(then), None) => Some(self.read(then, "then", problems)?),
            (None, Some(last)) => {
                if fields::text(last, "last", problems)? != "repeat" {
                    problems.add_with_hint(
                        last.place,
                        "`last` has one value",
                        "write last = \"repeat\"",
                    );
                    return None;
                }
                None
            }
            (None, None) => Some(self.add(Rule::Failed)),
            (Some(_), Some(last)) => {
                problems.add_with_hint(
                    last.place,
                    "a ladder has both `then` and `last`",
                    "keep one: `then` ends it, last = \"repeat\" goes on for ever",
                );
                return None;
            }
        };
        let items = fields::list(node, "retry", problems)?;
        if items.is_empty() {
            problems.add_with_hint(
                node.place,
                "`retry` has no step",
                "write [ { delay_s = 300.0, via = \"retry-1\" } ]",
            );
            return None;
        }
        let steps: Vec<LadderStep> = items
            .iter()
            .filter_map(|item| self.step(item, limits, problems))
            .collect();
        let is_whole = steps.len() == items.len();
        limit::check_ladder(limits, then.is_none(), node.place, problems)?;
        let (then, limits) = match (then, limits) {
            // Who is out of attempts or budget is at the end of a ladder that would go on for ever.
            (None, limits) if limits.attempts.is_some() || limits.budget_per_s.is_some() => {
                let attempts = limits.attempts.or(Some(u32::MAX));
                let limits = RetryLimits { attempts, ..limits };
                (Some(self.add(Rule::Failed)), limits)
            }
            as_written => as_written,
        };
        is_whole.then_some(Rule::Retry {
            steps,
            then,
            limits,
        })
    }

    fn step(
        &self,
        node: &Node,
        limits: RetryLimits,
        problems: &mut Problems<'_>,
    ) -> Option<LadderStep> {
        let mut fields = Fields::new(node, "a step of `retry`", problems)?;
        let via = fields.need("via", problems).and_then(|via| {
            let name = fields::text(via, "via", problems)?;
            let id = self.names.station(name, via.place, problems)?;
            if !matches!(
                self.names.kind(id),
                Some(ComponentKind::Delay | ComponentKind::Queue)
            ) {
                problems.add_with_hint(
                    via.place,
                    format!("`{name}` does not park requests"),
                    "give it kind = \"delay\"",
                );
                return None;
            }
            Some(id)
        });
        let delay = match (fields.take("delay_s"), fields.take("delay")) {
            (Some(delay), None) => fields::seconds(delay, "delay_s", Bound::NotNegative, problems)
                .map(|mean_s| distribution::Distribution::Deterministic { mean_s }),
            (None, Some(delay)) => distribution::read(delay, "`delay`", problems),
            (None, None) if limits.backoff.is_some() => {
                Some(distribution::Distribution::Deterministic { mean_s: 0.0 })
            }
            (None, None) | (Some(_), Some(_)) => {
                problems.add_with_hint(
                    node.place,
                    "a step of `retry` needs one delay",
                    "add either `delay_s = 300.0` or `delay = { dist = … }`",
                );
                None
            }
        };
        if limits.backoff.is_some() && fields.holds_any(&["delay_s", "delay"]) {
            problems.add_with_hint(
                node.place,
                "a step of `retry` has a delay beside the ladder's `backoff`",
                "keep one of them",
            );
        }
        fields.finish(problems);
        Some(LadderStep {
            delay: delay?,
            via: via?,
        })
    }
}

/// Running sums whose last is exactly 1.
pub(crate) fn cumulative(shares: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sum = 0.0;
    let mut sums: Vec<f64> = shares
        .map(|share| {
            sum += share;
            sum
        })
        .collect();
    if let Some(last) = sums.last_mut() {
        *last = 1.0;
    }
    sums
}
