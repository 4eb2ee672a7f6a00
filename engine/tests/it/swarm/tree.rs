//! A scenario as a tree of values, and its text.
//!
//! Belongs here: making and printing trees. Does not belong here: what stands in them (generate).

use std::fmt::Write;
use toml::{Table, Value};

pub(super) fn table<'a>(pairs: impl IntoIterator<Item = (&'a str, Value)>) -> Table {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

pub(super) fn inline<'a>(pairs: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::Table(table(pairs))
}

pub(super) fn list<T: Into<Value>>(items: impl IntoIterator<Item = T>) -> Value {
    Value::Array(items.into_iter().map(Into::into).collect())
}

pub(super) fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

/// The tables under `[[key]]`.
pub(super) fn tables<'a>(root: &'a Table, key: &str) -> impl Iterator<Item = &'a Table> {
    root.get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_table)
}

pub(super) fn id(table: &Table) -> &str {
    table.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// As a person would write it: scalars first, then `[[tables]]`, everything inside them on one line.
pub(super) fn print(root: &Table) -> String {
    let mut out = String::new();
    let is_list_of_tables = |value: &Value| {
        value
            .as_array()
            .is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_table))
    };
    let mut line = |indent: &str, key: &str, value: &Value| {
        writeln!(out, "{indent}{key} = {value}").expect("texts grow");
    };
    for first in ["schema", "name"] {
        if let Some(value) = root.get(first) {
            line("", first, value);
        }
    }
    for (key, value) in root {
        if !is_list_of_tables(value) && key != "schema" && key != "name" {
            line("", key, value);
        }
    }
    for key in ["class", "source", "station", "edge", "path", "fault", "slo"] {
        for item in tables(root, key) {
            writeln!(out, "\n[[{key}]]").expect("texts grow");
            for first in ["id", "kind"] {
                if let Some(value) = item.get(first) {
                    writeln!(out, "{first} = {value}").expect("texts grow");
                }
            }
            for (key, value) in item {
                if key != "id" && key != "kind" {
                    writeln!(out, "{key} = {value}").expect("texts grow");
                }
            }
        }
    }
    out
}
