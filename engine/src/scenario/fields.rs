//! Reading a table key by key: types, ranges, and a complaint about every key nobody asked for.
//!
//! Belongs here: how a value is read. Does not belong here: what keys exist.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used
)]

use super::problem::{Place, Problems, nearest_hint};
use super::raw::{Entry, Node, Value};
use crate::model::time::{ns_from_seconds, parse_duration_ns};

/// Which numbers are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// Above 0.
    Positive,
    /// 0 and above.
    NotNegative,
    /// From 0 to 1.
    Probability,
}

/// One table while it is read.
pub(super) struct Fields<'a> {
    /// What the table describes, for messages: "station `server-1`".
    pub(super) what: String,
    pub(super) place: Place,
    entries: &'a [Entry],
    taken: Vec<bool>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// `None`, with a problem, where the node is no table.
    pub(super) fn new(node: &'a Node, what: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            problems.add_with_hint(
                node.place,
                format!("{what} is {}", node.value.type_name()),
                "write a table",
            );
            return None;
        };
        Some(Self {
            what: what.to_owned(),
            place: node.place,
            entries,
            taken: vec![false; entries.len()],
            known: Vec::new(),
        })
    }

    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.take_entry(key).map(|entry| &entry.node)
    }

    /// Is the key written, whoever takes it?
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    fn take_entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.known.push(key);
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        if let Some(taken) = self.taken.get_mut(index) {
            *taken = true;
        }
        self.entries.get(index)
    }

    /// Like [`Self::take`], with a problem where the key is missing.
    pub(super) fn need(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<&'a Node> {
        let found = self.take(key);
        if found.is_none() {
            problems.add_with_hint(
                self.place,
                format!("{} has no `{key}`", self.what),
                format!("add `{key} = …`"),
            );
        }
        found
    }

    pub(super) fn need_number(
        &mut self,
        key: &'static str,
        bound: Bound,
        problems: &mut Problems<'_>,
    ) -> Option<f64> {
        let node = self.need(key, problems)?;
        number(node, key, bound, problems)
    }

    /// A duration in seconds above or equal to 0 that fits the clock.
    pub(super) fn need_seconds(
        &mut self,
        key: &'static str,
        bound: Bound,
        problems: &mut Problems<'_>,
    ) -> Option<f64> {
        let node = self.need(key, problems)?;
        seconds(node, key, bound, problems)
    }

    pub(super) fn need_text(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<&'a str> {
        let node = self.need(key, problems)?;
        text(node, key, problems)
    }

    /// A whole number from `low` to `high`.
    pub(super) fn take_count(
        &mut self,
        key: &'static str,
        low: i64,
        high: i64,
        problems: &mut Problems<'_>,
    ) -> Option<i64> {
        let node = self.take(key)?;
        count(node, key, low, high, problems)
    }

    pub(super) const fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// How many keys were asked for so far.
    pub(super) fn asked_count(&self) -> usize {
        self.known.len()
    }

    /// Is any of these keys written?
    pub(super) fn holds_any(&self, keys: &[&str]) -> bool {
        self.entries
            .iter()
            .any(|entry| keys.contains(&entry.key.as_str()))
    }

    /// Complains about every key that was not taken.
    pub(super) fn finish(self, problems: &mut Problems<'_>) {
        #[cfg(test)]
        problems.asked.push((self.place, self.known.clone()));
        for (entry, taken) in self.entries.iter().zip(&self.taken) {
            if !taken {
                if problems.is_full() {
                    problems.add_with_hint(entry.place, "unknown key", "");
                    continue;
                }
                problems.add_with_hint(
                    entry.place,
                    format!("unknown key `{}` in {}", entry.key, self.what),
                    nearest_hint(&entry.key, &self.known),
                );
            }
        }
    }
}

pub(super) fn text<'a>(node: &'a Node, key: &str, problems: &mut Problems<'_>) -> Option<&'a str> {
    if let Value::Text(text) = &node.value {
        return Some(text);
    }
    problems.add_with_hint(
        node.place,
        format!("`{key}` is {}", node.value.type_name()),
        "write a text in quotes",
    );
    None
}

/// A number within its bound; NaN and infinities are out of every bound.
pub(super) fn number(
    node: &Node,
    key: &str,
    bound: Bound,
    problems: &mut Problems<'_>,
) -> Option<f64> {
    let value = match node.value {
        Value::Float(value) => value,
        #[expect(
            clippy::cast_precision_loss,
            reason = "2^53 is past every sensible setting"
        )]
        Value::Integer(value) => value as f64,
        Value::Text(_) | Value::Bool(_) | Value::Array(_) | Value::Table(_) | Value::Date => {
            problems.add_with_hint(
                node.place,
                format!("`{key}` is {}", node.value.type_name()),
                "write a number",
            );
            return None;
        }
    };
    let (holds, range) = match bound {
        Bound::Positive => (value > 0.0 && value.is_finite(), "above 0"),
        Bound::NotNegative => (value >= 0.0 && value.is_finite(), "0 or above"),
        Bound::Probability => ((0.0..=1.0).contains(&value), "from 0 to 1"),
    };
    if !holds {
        problems.add_with_hint(
            node.place,
            format!("`{key}` is {value}"),
            format!("write a number {range}"),
        );
        return None;
    }
    Some(value)
}

pub(super) fn seconds(
    node: &Node,
    key: &str,
    bound: Bound,
    problems: &mut Problems<'_>,
) -> Option<f64> {
    let value = number(node, key, bound, problems)?;
    if ns_from_seconds(value).is_none() {
        problems.add_with_hint(
            node.place,
            format!("`{key}` is {value} s, longer than 292 years"),
            "write a shorter time",
        );
        return None;
    }
    Some(value)
}

/// A duration as text with a unit, or a bare number of seconds; in nanoseconds, above 0.
pub(super) fn duration_ns(node: &Node, key: &str, problems: &mut Problems<'_>) -> Option<u64> {
    if let Value::Text(text) = &node.value {
        let parsed = parse_duration_ns(text);
        return match parsed {
            Ok(ns) if ns > 0 => Some(ns),
            Ok(_) => {
                problems.add_with_hint(node.place, format!("`{key}` is 0"), "write a time above 0");
                None
            }
            Err(error) => {
                let shown: String = error.text.chars().take(40).collect();
                problems.add_with_hint(
                    node.place,
                    format!("`{shown}` is not a duration of at most 292 years"),
                    "write a number and a unit, such as 250ms, 12.5s, 5m or 1h30m",
                );
                None
            }
        };
    }
    seconds(node, key, Bound::Positive, problems).and_then(ns_from_seconds)
}

pub(super) fn count(
    node: &Node,
    key: &str,
    low: i64,
    high: i64,
    problems: &mut Problems<'_>,
) -> Option<i64> {
    let (value, shown) = match node.value {
        Value::Integer(value) => (Some(value), value.to_string()),
        Value::Float(value) => (None, value.to_string()),
        Value::Text(_) | Value::Bool(_) | Value::Array(_) | Value::Table(_) | Value::Date => {
            (None, node.value.type_name().to_owned())
        }
    };
    let inside = value.filter(|value| (low..=high).contains(value));
    if inside.is_none() {
        let range = if high == i64::MAX {
            format!("of at least {low}")
        } else {
            format!("from {low} to {high}")
        };
        problems.add_with_hint(
            node.place,
            format!("`{key}` is {shown}"),
            format!("write a whole number {range}"),
        );
    }
    inside
}

pub(super) fn list<'a>(
    node: &'a Node,
    key: &str,
    problems: &mut Problems<'_>,
) -> Option<&'a [Node]> {
    if let Value::Array(items) = &node.value {
        return Some(items);
    }
    problems.add_with_hint(
        node.place,
        format!("`{key}` is {}", node.value.type_name()),
        "write a list in brackets",
    );
    None
}

/// Numbers of a list; `None` where any of them is wrong or the list is empty.
pub(super) fn numbers(
    node: &Node,
    key: &str,
    bound: Bound,
    problems: &mut Problems<'_>,
) -> Option<Vec<f64>> {
    let items = list(node, key, problems)?;
    if items.is_empty() {
        problems.add_with_hint(
            node.place,
            format!("`{key}` is empty"),
            "write at least one number",
        );
        return None;
    }
    let values: Vec<f64> = items
        .iter()
        .filter_map(|item| number(item, key, bound, problems))
        .collect();
    (values.len() == items.len()).then_some(values)
}

/// Times of a list, in seconds from 0 to 292 years.
pub(super) fn times(node: &Node, key: &str, problems: &mut Problems<'_>) -> Option<Vec<f64>> {
    let values = numbers(node, key, Bound::NotNegative, problems)?;
    let long = values
        .iter()
        .find(|value| ns_from_seconds(**value).is_none());
    if let Some(long) = long {
        problems.add_with_hint(
            node.place,
            format!("`{key}` has {long} s, longer than 292 years"),
            "write shorter times",
        );
        return None;
    }
    Some(values)
}

/// True where the probabilities add up to 1 within rounding; else a problem.
pub(super) fn adds_to_one(p: &[f64], place: Place, problems: &mut Problems<'_>) -> bool {
    let sum: f64 = p.iter().sum();
    let holds = (sum - 1.0).abs() <= 1e-6;
    if !holds {
        problems.add_with_hint(
            place,
            format!("probabilities add up to {sum}"),
            "make them add up to 1",
        );
    }
    holds
}
