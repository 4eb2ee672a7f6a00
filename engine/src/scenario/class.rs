//! Classes: the kinds of request, and the channels they are told by.
//!
//! Belongs here: reading `[[class]]`. Does not belong here: who asks for a class (source, station).

use super::component::id_is_valid;
use super::fields::{self, Bound, Fields};
use super::problem::Problems;
use super::raw::Node;
use crate::model::time::ns_from_seconds;
use crate::model::topology::{Channel, Class};
use std::collections::BTreeSet;

/// Classes and their deadlines in ns; one class named `request` where none is written.
pub(super) fn read(nodes: &[&Node], problems: &mut Problems<'_>) -> (Vec<Class>, Vec<Option<u64>>) {
    if nodes.is_empty() {
        let only = Class {
            id: "request".to_owned(),
            channel: Channel::None,
            priority: 0,
        };
        return (vec![only], vec![None]);
    }
    let mut deadlines_ns = Vec::with_capacity(nodes.len());
    let mut classes: Vec<Class> = Vec::with_capacity(nodes.len());
    let mut taken = BTreeSet::from(["default"]);
    for node in nodes {
        let Some(mut fields) = Fields::new(node, "a [[class]]", problems) else {
            continue;
        };
        let id = fields.need_text("id", problems).unwrap_or_default();
        if !id.is_empty() && !taken.insert(id) {
            problems.add_with_hint(
                node.place,
                format!("the class name `{id}` is taken"),
                "rename it",
            );
        } else if !id.is_empty() {
            id_is_valid(id, node.place, problems);
        }
        let channel = channel(&mut fields, problems).unwrap_or(Channel::None);
        let priority = fields
            .take_count(
                "priority",
                i64::from(i32::MIN),
                i64::from(i32::MAX),
                problems,
            )
            .unwrap_or(0);
        deadlines_ns.push(fields.take("deadline_s").and_then(|node| {
            fields::seconds(node, "deadline_s", Bound::Positive, problems).and_then(ns_from_seconds)
        }));
        fields.finish(problems);
        classes.push(Class {
            id: id.to_owned(),
            channel,
            priority: i32::try_from(priority).unwrap_or(0),
        });
    }
    (classes, deadlines_ns)
}

pub(super) fn channel(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Channel> {
    let Some(node) = fields.take("channel") else {
        return Some(Channel::None);
    };
    let name = fields::text(node, "channel", problems)?;
    let channel = Channel::from_name(name);
    if channel.is_none() {
        problems.add_with_hint(
            node.place,
            format!("no channel is named `{name}`"),
            "write email, in-app or none",
        );
    }
    channel
}
