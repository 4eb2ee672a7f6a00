//! Overrides: `PATH=VALUE` applied to a scenario as written.
//!
//! Belongs here: how a path finds its place. Does not belong here: what any key means.
//!
//! A path names tables by key, items of a list by their id or position, arrows also as `from->to`.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used
)]

use super::depth;
use super::problem::{Place, Problems, nearest_hint};
use super::raw::{Entry, Node, Value, node};
use toml::de::DeValue;

/// Keys of which a table has one: setting the second takes the first away.
const ALTERNATIVES: &[&[&str]] = &[&["duration", "requests"], &["file", "at_s", "values_s"]];
/// Lists of tables at the top, which a path may begin.
const LISTS: &[&str] = &["class", "source", "station", "edge", "path", "fault", "slo"];

/// `station.server-1.service.mean_s=0.4`.
pub(super) fn apply(root: &mut Node, place: Place, text: &str, problems: &mut Problems<'_>) {
    let Some((path, written)) = text.split_once('=') else {
        problems.add_with_hint(place, "an override needs `=`", "write PATH=VALUE");
        return;
    };
    let Some(value) = value(written.trim(), place, problems) else {
        return;
    };
    let parts: Vec<&str> = path.trim().split('.').collect();
    if parts.iter().any(|part| part.is_empty()) || parts.len() > depth::BRACKETS_MAX {
        problems.add_with_hint(
            place,
            format!("`{}` is not a path", shown(path)),
            "write names with dots between them, such as station.server-1.servers",
        );
        return;
    }
    let Some((last, way)) = parts.split_last() else {
        return;
    };
    let mut here = root;
    for (index, part) in way.iter().enumerate() {
        let walked = way.get(..index).unwrap_or(&[]);
        here = match step(here, part, walked.is_empty(), place) {
            Ok(next) => next,
            Err(names) => return complain(part, walked, &names, place, problems),
        };
    }
    if let Value::Table(list) = &mut here.value {
        let rivals = ALTERNATIVES.iter().find(|keys| keys.contains(last));
        list.retain(|entry| {
            entry.key != *last && rivals.is_none_or(|keys| !keys.contains(&entry.key.as_str()))
        });
        list.push(Entry {
            key: (*last).to_owned(),
            place,
            node: value,
        });
        return;
    }
    match step(here, last, false, place) {
        Ok(found) => *found = value,
        Err(names) => complain(last, way, &names, place, problems),
    }
}

/// The value as TOML where it is that, else as a bare text.
fn value(written: &str, place: Place, problems: &mut Problems<'_>) -> Option<Node> {
    if depth::too_deep(written).is_some() {
        problems.add_with_hint(
            place,
            format!("the value nests deeper than {} levels", depth::BRACKETS_MAX),
            "write a plainer one",
        );
        return None;
    }
    Some(DeValue::parse(written).map_or_else(
        |_not_toml| Node {
            place,
            value: Value::Text(written.to_owned()),
        },
        |value| node(value, Some(place), problems),
    ))
}

/// The named child, or the names that there are. A missing table on the way is made, and so is the
/// next item of a list, so that new keys can be set and are then checked like written ones.
fn step<'a>(
    node: &'a mut Node,
    part: &str,
    is_top: bool,
    place: Place,
) -> Result<&'a mut Node, Vec<String>> {
    let fresh = |value| Node { place, value };
    match &mut node.value {
        Value::Table(list) => {
            let found = list.iter().position(|entry| entry.key == part);
            let is_list = is_top && LISTS.contains(&part);
            if found.is_none() && is_top && !is_list {
                let mut names: Vec<String> = list.iter().map(|entry| entry.key.clone()).collect();
                names.extend(LISTS.iter().map(|name| (*name).to_owned()));
                return Err(names);
            }
            let index = found.unwrap_or(list.len());
            if found.is_none() {
                list.push(Entry {
                    key: part.to_owned(),
                    place,
                    node: fresh(if is_list {
                        Value::Array(Vec::new())
                    } else {
                        Value::Table(Vec::new())
                    }),
                });
            }
            let entry = list.get_mut(index).map(|entry| &mut entry.node);
            entry.ok_or_else(Vec::new)
        }
        Value::Array(items) => {
            let named = items.iter().position(|item| item.is_named(part));
            let index = named.or_else(|| part.parse().ok());
            let count = items.len();
            let Some(index) = index.filter(|index| *index <= count) else {
                let ids = items.iter().filter_map(Node::id).map(str::to_owned);
                let mut names: Vec<String> = ids.collect();
                if names.is_empty() {
                    names = (0..=count.min(16)).map(|index| index.to_string()).collect();
                }
                return Err(names);
            };
            if index == count {
                items.push(fresh(Value::Table(Vec::new())));
            }
            items.get_mut(index).ok_or_else(Vec::new)
        }
        Value::Text(_) | Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::Date => {
            Err(Vec::new())
        }
    }
}

fn complain(
    part: &str,
    walked: &[&str],
    names: &[String],
    place: Place,
    problems: &mut Problems<'_>,
) {
    let inside = if walked.is_empty() {
        "the scenario".to_owned()
    } else {
        format!("`{}`", shown(&walked.join(".")))
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hint = if names.is_empty() {
        format!("{inside} is a single value; set it as a whole")
    } else {
        nearest_hint(part, &names)
    };
    problems.add_with_hint(
        place,
        format!("nothing is named `{}` in {inside}", shown(part)),
        hint,
    );
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

impl Node {
    fn text_at(&self, key: &str) -> Option<&str> {
        let Value::Table(list) = &self.value else {
            return None;
        };
        list.iter().find_map(|entry| match &entry.node.value {
            Value::Text(text) if entry.key == key => Some(text.as_str()),
            _ => None,
        })
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.text_at("id")
    }

    fn is_named(&self, name: &str) -> bool {
        if self.id() == Some(name) {
            return true;
        }
        name.split_once("->").is_some_and(|(from, to)| {
            self.text_at("from") == Some(from) && self.text_at("to") == Some(to)
        })
    }
}
