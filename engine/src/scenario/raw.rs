//! A scenario as written: a tree of values, each with its place, and overrides applied to it.
//!
//! Belongs here: TOML, places, `--set` paths. Does not belong here: what any key means.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used
)]

use super::problem::{Place, Problems};
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
        apply_override(&mut root, Place::Override(index), text, problems);
    }
    Some(root)
}

/// `at` replaces every place: values given by an override stand there.
fn node(value: Spanned<DeValue<'_>>, at: Option<Place>, problems: &mut Problems<'_>) -> Node {
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
                problems.add(place, format!("{number} is not a number"));
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

/// `station.server-1.service.mean_s=0.4`: tables by key, lists by the id of their items or by position.
fn apply_override(root: &mut Node, place: Place, text: &str, problems: &mut Problems<'_>) {
    let Some((path, written)) = text.split_once('=') else {
        problems.add_with_hint(place, "an override needs `=`", "write PATH=VALUE");
        return;
    };
    let value = override_value(written.trim(), place, problems);
    let parts: Vec<&str> = path.trim().split('.').collect();
    if parts.iter().any(|part| part.is_empty()) {
        problems.add_with_hint(
            place,
            format!("`{path}` is not a path"),
            "write names with dots between them",
        );
        return;
    }
    if let [key @ ("duration" | "requests")] = parts.as_slice() {
        // A run has one end: the one given last replaces the other.
        if let Value::Table(list) = &mut root.value {
            list.retain(|entry| entry.key != "duration" && entry.key != "requests");
        }
        insert(root, key, place, value);
        return;
    }
    let mut here = root;
    let mut walked = String::new();
    for (index, part) in parts.iter().enumerate() {
        let last = index.saturating_add(1) == parts.len();
        if last && matches!(here.value, Value::Table(_)) {
            insert(here, part, place, value);
            return;
        }
        let Some(next) = child(here, part, place, last) else {
            problems.add_with_hint(
                place,
                format!(
                    "nothing is named `{part}` in `{}`",
                    if walked.is_empty() {
                        "the scenario"
                    } else {
                        &walked
                    }
                ),
                "a path names tables by key and list items by id, such as station.server-1.servers",
            );
            return;
        };
        if !walked.is_empty() {
            walked.push('.');
        }
        walked.push_str(part);
        here = next;
    }
    here.place = place;
    here.value = value.value;
}

/// The value as TOML where it is that, else as a bare text.
fn override_value(written: &str, place: Place, problems: &mut Problems<'_>) -> Node {
    DeValue::parse(written).map_or_else(
        |_not_toml| Node {
            place,
            value: Value::Text(written.to_owned()),
        },
        |value| node(value, Some(place), problems),
    )
}

fn insert(table: &mut Node, key: &str, place: Place, node: Node) {
    if let Value::Table(list) = &mut table.value {
        list.retain(|entry| entry.key != key);
        list.push(Entry {
            key: key.to_owned(),
            place,
            node,
        });
    }
}

/// The named child; a missing table on the way is made, so that new keys can be set and then checked.
fn child<'a>(node: &'a mut Node, part: &str, place: Place, last: bool) -> Option<&'a mut Node> {
    match &mut node.value {
        Value::Table(list) => {
            let found = list.iter().position(|entry| entry.key == part);
            let index = match found {
                Some(index) => index,
                None if last => return None,
                None => {
                    list.push(Entry {
                        key: part.to_owned(),
                        place,
                        node: Node {
                            place,
                            value: Value::Table(Vec::new()),
                        },
                    });
                    list.len().checked_sub(1)?
                }
            };
            list.get_mut(index).map(|entry| &mut entry.node)
        }
        Value::Array(items) => {
            let by_id = items.iter().position(|item| item.id() == Some(part));
            let index = by_id.or_else(|| part.parse().ok())?;
            items.get_mut(index)
        }
        Value::Text(_) | Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::Date => None,
    }
}

impl Node {
    fn id(&self) -> Option<&str> {
        let Value::Table(list) = &self.value else {
            return None;
        };
        list.iter().find_map(|entry| match &entry.node.value {
            Value::Text(text) if entry.key == "id" => Some(text.as_str()),
            _ => None,
        })
    }
}
