//! A scenario as written: a tree of values, each with its place.
//!
//! Belongs here: TOML and places. Does not belong here: overrides (setting), what any key means.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used
)]

use super::problem::{Place, Problems};
use super::{depth, setting};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longest text accepted; a scenario is written by people.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// One value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Array(Vec<Node>),
    Table(Vec<Entry>),
    Date,
}

/// One key of a table.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) node: Node,
}

impl Value {
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
            Self::Date => "a date",
        }
    }
}

/// Parses the text and applies the overrides; every syntax error becomes a problem.
pub(super) fn read(text: &str, overrides: &[String], problems: &mut Problems<'_>) -> Option<Node> {
    if text.len() > TEXT_BYTES_MAX {
        problems.add_with_hint(
            Place::Text(0),
            format!(
                "scenario has {} bytes, more than {TEXT_BYTES_MAX}",
                text.len()
            ),
            "give a scenario file",
        );
        return None;
    }
    if let Some(offset) = depth::too_deep(text) {
        problems.add_with_hint(
            Place::Text(offset),
            "nested deeper than any scenario is",
            format!(
                "at most {} brackets may be open, and {} dots stand in one key",
                depth::BRACKETS_MAX,
                depth::DOTS_MAX
            ),
        );
        return None;
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let start = error.span().map_or(0, |span| span.start);
        let message = error.message().lines().next().unwrap_or("unreadable");
        problems.add_with_hint(
            Place::Text(start),
            format!("not TOML: {message}"),
            "correct the syntax here",
        );
    }
    if !errors.is_empty() {
        return None;
    }
    let mut root = Node {
        place: Place::Text(0),
        value: Value::Table(entries(table.into_inner(), None, problems)),
    };
    for (index, text) in overrides.iter().enumerate() {
        setting::apply(&mut root, Place::Override(index), text, problems);
    }
    Some(root)
}

/// `at` replaces every place: values given by an override stand there.
pub(super) fn node(
    value: Spanned<DeValue<'_>>,
    at: Option<Place>,
    problems: &mut Problems<'_>,
) -> Node {
    let place = at.unwrap_or_else(|| Place::Text(value.span().start));
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(
                |_overflow| {
                    problems.add_with_hint(
                        place,
                        format!("{number} is too large for a whole number"),
                        "write at most 9223372036854775807",
                    );
                    Value::Integer(0)
                },
                Value::Integer,
            ),
        DeValue::Float(number) => number.as_str().parse().map_or_else(
            |_malformed| {
                problems.add_with_hint(
                    place,
                    format!("{number} is not a number"),
                    "write a number such as 0.5",
                );
                Value::Float(0.0)
            },
            Value::Float,
        ),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => Value::Array(
            items
                .into_iter()
                .map(|item| node(item, at, problems))
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(entries(table, at, problems)),
    };
    Node { place, value }
}

/// Entries in the order they were written.
fn entries(table: DeTable<'_>, at: Option<Place>, problems: &mut Problems<'_>) -> Vec<Entry> {
    let mut list: Vec<(usize, Entry)> = table
        .into_iter()
        .map(|(key, value)| {
            let start = key.span().start;
            let entry = Entry {
                place: at.unwrap_or(Place::Text(start)),
                key: key.into_inner().into_owned(),
                node: node(value, at, problems),
            };
            (start, entry)
        })
        .collect();
    list.sort_by_key(|(start, _)| *start);
    list.into_iter().map(|(_, entry)| entry).collect()
}
