//! Sources and stations with all their rules.
//!
//! Belongs here: opening all of them before reading any. Does not belong here: the keys of one
//! (source, station), checks across them (shape).

use super::names::{Named, Names};
use super::problem::Problems;
use super::raw::{Node, Value};
use super::rule::Rules;
use super::valid::{Rule, Source, Station};
use super::{component, source, station};
use crate::model::id::ComponentId;
use crate::model::topology::{Class, Component, ComponentKind};
use std::collections::BTreeSet;

/// Sources and stations with all their rules.
pub(super) struct Graph {
    pub(super) components: Vec<Component>,
    pub(super) names: Names,
    pub(super) sources: Vec<Source>,
    pub(super) stations: Vec<Station>,
    pub(super) rules: Vec<Rule>,
}

/// Names first, then what they are: rules may name what is written later.
pub(super) fn read(
    source_tables: &[&Node],
    station_tables: &[&Node],
    classes: &[Class],
    problems: &mut Problems<'_>,
) -> Graph {
    let mut components = Vec::new();
    let mut taken = BTreeSet::new();
    let mut opened_sources = Vec::new();
    let mut opened_stations = Vec::new();
    for node in source_tables {
        if let Some((component, fields)) = component::open(node, "source", &mut taken, problems) {
            components.push(component);
            opened_sources.push(fields);
        }
    }
    let source_count = components.len();
    for node in station_tables {
        if let Some((component, fields)) = component::open(node, "station", &mut taken, problems) {
            components.push(component);
            opened_stations.push(fields);
        }
    }
    let names = Names::new(
        components
            .iter()
            .map(|component: &Component| Named {
                id: component.id.clone(),
                kind: component.kind,
            })
            .collect(),
        source_count,
        classes.iter().map(|class| class.id.clone()).collect(),
        source_tables.iter().any(|node| {
            has_key(node, "users")
                || value_at(node, "arrivals").is_some_and(|it| has_key(it, "users"))
        }),
    );
    let mut rules = Rules {
        names: &names,
        list: Vec::new(),
    };
    let mut ids = (0..u16::MAX).map(ComponentId);
    let mut sources = Vec::new();
    for (fields, id) in opened_sources.into_iter().zip(ids.by_ref()) {
        sources.extend(source::read(id, fields, &mut rules, problems));
    }
    let mut stations = Vec::new();
    for (fields, id) in opened_stations.into_iter().zip(ids) {
        let kind = names.kind(id).unwrap_or(ComponentKind::Server);
        stations.extend(station::read(id, kind, fields, &mut rules, problems));
    }
    let rules = rules.list;
    Graph {
        components,
        names,
        sources,
        stations,
        rules,
    }
}

fn has_key(node: &Node, key: &str) -> bool {
    value_at(node, key).is_some()
}

fn value_at<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Value::Table(entries) = &node.value else {
        return None;
    };
    let entry = entries.iter().find(|entry| entry.key == key)?;
    Some(&entry.node)
}
