//! The whole file: its lists of tables, put together in the right order.
//!
//! Belongs here: the order of reading, and what a whole scenario needs. Does not belong here: the keys of any table; each has a file of its own.

use super::component::LIST_LENGTH_MAX;
use super::fields::Fields;
use super::problem::Problems;
use super::raw::{Node, Value};
use super::valid::{Scenario, Slo, Transit};
use super::{blocking, class, edge, fault, graph, header, observe, path, shape, slo};
use crate::model::topology::{Path, Topology};

/// Reads the document; `None`, with problems, where a part of it is unusable.
pub(super) fn scenario(root: &Node, problems: &mut Problems<'_>) -> Option<Scenario> {
    let mut fields = Fields::new(root, "the scenario", problems)?;
    if fields.entry_count() == 0 {
        problems.add_with_hint(
            root.place,
            "the scenario is empty",
            "it needs schema, name, duration or requests, a [[source]] and a [[station]]",
        );
        return None;
    }
    let header = header::read(&mut fields, problems);
    let observe_at_ns = observe::read(&mut fields, header.stop, problems);
    let class_tables = tables(&mut fields, "class", problems);
    let source_tables = tables(&mut fields, "source", problems);
    let station_tables = tables(&mut fields, "station", problems);
    let edges = tables(&mut fields, "edge", problems);
    let path_tables = tables(&mut fields, "path", problems);
    let slo_tables = tables(&mut fields, "slo", problems);
    let fault_tables = tables(&mut fields, "fault", problems);
    let place = fields.place;
    fields.finish(problems);

    for (list, key) in [(&source_tables, "source"), (&station_tables, "station")] {
        if list.is_empty() {
            problems.add_with_hint(
                place,
                format!("no [[{key}]]"),
                format!("add at least one [[{key}]]"),
            );
        }
    }
    let (classes, deadlines_ns) = class::read(&class_tables, problems);
    let graph::Graph {
        components,
        names,
        sources,
        stations,
        rules,
    } = graph::read(&source_tables, &station_tables, &classes, problems);
    let transits: Vec<Transit> = edges
        .iter()
        .filter_map(|node| edge::read(node, &names, problems))
        .collect();
    let paths: Vec<Path> = path_tables
        .iter()
        .filter_map(|node| path::read(node, &names, problems))
        .collect();
    let faults = fault_tables
        .iter()
        .filter_map(|node| fault::read(node, &names, problems))
        .collect();
    let slos: Vec<Slo> = slo_tables
        .iter()
        .filter_map(|node| slo::read(node, problems))
        .collect();
    if !problems.is_empty() {
        return None;
    }
    let mut scenario = Scenario {
        topology: Topology {
            name: header.name?.to_owned(),
            title: header.title.unwrap_or_default().to_owned(),
            components,
            edges: Vec::new(),
            classes,
            paths,
        },
        watch: header.watch.unwrap_or_default().to_owned(),
        expect: header.expect.unwrap_or_default().to_owned(),
        seed: u64::try_from(header.seed).ok()?,
        stop: header.stop?,
        warmup: header.warmup?,
        observe_at_ns,
        sources,
        deadlines_ns,
        stations,
        rules,
        transits,
        faults,
        slos,
    };
    fault::check(&scenario, &fault_tables, problems);
    shape::check(&scenario, &station_tables, problems);
    blocking::check(&scenario, &station_tables, problems);
    shape::complete_topology(&mut scenario);
    Some(scenario)
}

/// The tables of `[[key]]`.
fn tables<'a>(
    fields: &mut Fields<'a>,
    key: &'static str,
    problems: &mut Problems<'_>,
) -> Vec<&'a Node> {
    let Some(node) = fields.take(key) else {
        return Vec::new();
    };
    let Value::Array(items) = &node.value else {
        problems.add_with_hint(
            node.place,
            format!("`{key}` is {}", node.value.type_name()),
            format!("write [[{key}]] with two brackets"),
        );
        return Vec::new();
    };
    if items.len() > LIST_LENGTH_MAX {
        problems.add_with_hint(
            node.place,
            format!("{} entries of [[{key}]]", items.len()),
            format!("at most {LIST_LENGTH_MAX} are possible"),
        );
        return Vec::new();
    }
    items.iter().collect()
}
