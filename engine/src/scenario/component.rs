//! What every source and station has: an id, a kind, a label.
//!
//! Belongs here: opening such a table, and what makes an id. Does not belong here: the other keys (source, station).

use super::fields::{self, Fields};
use super::problem::{Place, Problems, nearest_hint};
use super::raw::Node;
use crate::model::topology::{Component, ComponentKind};
use std::collections::BTreeSet;

/// Ids of components and classes are 16 bits wide, and one value means none.
pub(super) const LIST_LENGTH_MAX: usize = 60_000;

/// Takes `id`, `kind` and `label` of a source or station; the rest is read when all names are known.
pub(super) fn open<'a>(
    node: &'a Node,
    key: &'static str,
    taken: &mut BTreeSet<&'a str>,
    problems: &mut Problems<'_>,
) -> Option<(Component, Fields<'a>)> {
    let mut fields = Fields::new(node, &format!("a [[{key}]]"), problems)?;
    let id = fields.need_text("id", problems)?;
    fields.what = format!("{key} `{}`", id.chars().take(60).collect::<String>());
    if taken.contains(id) {
        problems.add_with_hint(
            node.place,
            format!("two components are named `{id}`"),
            "rename one",
        );
        return None;
    }
    if id == "done" || id == "failed" {
        problems.add_with_hint(
            node.place,
            format!("`{id}` is an end, not a component"),
            "rename it",
        );
        return None;
    }
    if taken.len() > LIST_LENGTH_MAX || !id_is_valid(id, node.place, problems) {
        return None;
    }
    taken.insert(id);
    let kind = match fields.take("kind") {
        None if key == "source" => Some(ComponentKind::Clients),
        None => Some(ComponentKind::Server),
        Some(node) => fields::text(node, "kind", problems)
            .and_then(|name| kind_named(name, node.place, problems)),
    };
    let label = fields
        .take("label")
        .and_then(|node| fields::text(node, "label", problems))
        .unwrap_or(id);
    let component = Component {
        id: id.to_owned(),
        // A wrong kind is a problem already; any value lets the rest be checked too.
        kind: kind.unwrap_or(ComponentKind::Server),
        label: label.to_owned(),
        servers: None,
        rate_limit_per_s: None,
        capacity: None,
        port: None,
    };
    Some((component, fields))
}

fn kind_named(name: &str, place: Place, problems: &mut Problems<'_>) -> Option<ComponentKind> {
    let kind = ComponentKind::from_name(name);
    if kind.is_none() {
        let names: Vec<&str> = ComponentKind::ALL.iter().map(|kind| kind.name()).collect();
        problems.add_with_hint(
            place,
            format!("no kind is named `{name}`"),
            nearest_hint(name, &names),
        );
    }
    kind
}

/// Ids stand in paths and URLs.
pub(super) fn id_is_valid(id: &str, place: Place, problems: &mut Problems<'_>) -> bool {
    let holds = !id.is_empty()
        && id.len() <= 100
        && id.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
        });
    if !holds {
        let shown: String = id.chars().take(40).collect();
        problems.add_with_hint(
            place,
            format!("`{shown}` is no id"),
            "use 1 to 100 small letters, digits and dashes",
        );
    }
    holds
}
