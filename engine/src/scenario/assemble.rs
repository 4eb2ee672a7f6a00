//! The whole file: top-level keys, and the lists of classes, sources, stations, edges, paths and promises.
//!
//! Belongs here: reading the document and its short tables. Does not belong here: sources, stations, rules.

use super::distribution;
use super::fields::{self, Bound, Fields};
use super::names::{Named, Names};
use super::problem::{Place, Problems, nearest_hint};
use super::raw::{Node, Value};
use super::rule::Rules;
use super::shape;
use super::valid::{Rule, Scenario, Slo, Source, Station, Stop, Transit, Warmup};
use super::{fault, source, station};
use crate::model::id::ComponentId;
use crate::model::topology::{Channel, Class, Component, ComponentKind, Path, Topology};

/// Ids of components and classes are 16 bits wide, and one value means none.
const LIST_LENGTH_MAX: usize = 60_000;

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
    schema(&mut fields, problems);
    let name = name(&mut fields, problems);
    let title = fields
        .take("title")
        .and_then(|node| fields::text(node, "title", problems));
    let seed = fields
        .take_count("seed", 0, i64::MAX, problems)
        .unwrap_or(1);
    let stop = stop(&mut fields, problems);
    let warmup = warmup(&mut fields, problems);
    if let (Some(Stop::Duration(end)), Some(Warmup::Fixed(cut))) = (stop, warmup)
        && cut >= end
    {
        problems.add_with_hint(
            fields.place,
            "`warmup` is not shorter than `duration`",
            "leave time to measure after it",
        );
    }

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
    let classes = classes(&class_tables, problems);
    let Graph {
        components,
        names,
        sources,
        stations,
        rules,
    } = graph(&source_tables, &station_tables, &classes, problems);
    let transits: Vec<Transit> = edges
        .iter()
        .filter_map(|node| edge(node, &names, problems))
        .collect();
    let paths: Vec<Path> = path_tables
        .iter()
        .filter_map(|node| path(node, &names, problems))
        .collect();
    let faults = fault_tables
        .iter()
        .filter_map(|node| fault::read(node, &names, problems))
        .collect();
    let slos: Vec<Slo> = slo_tables
        .iter()
        .filter_map(|node| slo(node, problems))
        .collect();
    if !problems.is_empty() {
        return None;
    }
    let mut scenario = Scenario {
        topology: Topology {
            name: name?.to_owned(),
            title: title.unwrap_or_default().to_owned(),
            components,
            edges: Vec::new(),
            classes,
            paths,
        },
        seed: u64::try_from(seed).ok()?,
        stop: stop?,
        warmup: warmup?,
        sources,
        stations,
        rules,
        transits,
        faults,
        slos,
    };
    fault::check(&scenario, &fault_tables, problems);
    shape::check(&scenario, &station_tables, problems);
    shape::complete_topology(&mut scenario);
    Some(scenario)
}

/// Sources and stations with all their rules.
struct Graph {
    components: Vec<Component>,
    names: Names,
    sources: Vec<Source>,
    stations: Vec<Station>,
    rules: Vec<Rule>,
}

/// Names first, then what they are: rules may name what is written later.
fn graph(
    source_tables: &[&Node],
    station_tables: &[&Node],
    classes: &[Class],
    problems: &mut Problems<'_>,
) -> Graph {
    let mut components = Vec::new();
    let mut opened_sources = Vec::new();
    let mut opened_stations = Vec::new();
    for node in source_tables {
        if let Some((component, fields)) = open(node, "source", &components, problems) {
            components.push(component);
            opened_sources.push(fields);
        }
    }
    let source_count = components.len();
    for node in station_tables {
        if let Some((component, fields)) = open(node, "station", &components, problems) {
            components.push(component);
            opened_stations.push(fields);
        }
    }
    let names = Names {
        components: components
            .iter()
            .map(|component: &Component| Named {
                id: component.id.clone(),
                kind: component.kind,
            })
            .collect(),
        source_count,
        classes: classes.iter().map(|class| class.id.clone()).collect(),
        has_users: source_tables.iter().any(|node| {
            has_key(node, "users")
                || value_at(node, "arrivals").is_some_and(|it| has_key(it, "users"))
        }),
    };
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

fn schema(fields: &mut Fields<'_>, problems: &mut Problems<'_>) {
    if let Some(node) = fields.need("schema", problems)
        && !matches!(node.value, Value::Integer(1))
    {
        problems.add_with_hint(
            node.place,
            "`schema` is not 1",
            "this version reads schema = 1",
        );
    }
}

fn name<'a>(fields: &mut Fields<'a>, problems: &mut Problems<'_>) -> Option<&'a str> {
    let node = fields.need("name", problems)?;
    let name = fields::text(node, "name", problems)?;
    id_is_valid(name, node.place, problems).then_some(name)
}

/// Ids stand in paths and URLs.
fn id_is_valid(id: &str, place: Place, problems: &mut Problems<'_>) -> bool {
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

fn stop(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Stop> {
    match (fields.take("duration"), fields.take("requests")) {
        (Some(node), None) => fields::duration_ns(node, "duration", problems).map(Stop::Duration),
        (None, Some(node)) => fields::count(node, "requests", 1, 1_000_000_000_000, problems)
            .and_then(|count| u64::try_from(count).ok())
            .map(Stop::Requests),
        (None, None) => {
            problems.add_with_hint(
                fields.place,
                "the scenario has no end",
                "add `duration = \"10m\"` or `requests = 100000`",
            );
            None
        }
        (Some(_), Some(node)) => {
            problems.add_with_hint(
                node.place,
                "the scenario has two ends",
                "keep `duration` or `requests`",
            );
            None
        }
    }
}

fn warmup(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Warmup> {
    let Some(node) = fields.take("warmup") else {
        return Some(Warmup::Auto);
    };
    match &node.value {
        Value::Text(text) if text == "auto" => Some(Warmup::Auto),
        Value::Text(text) if matches!(crate::model::time::parse_duration_ns(text), Ok(0)) => {
            Some(Warmup::Fixed(0))
        }
        Value::Integer(0) => Some(Warmup::Fixed(0)),
        _ => fields::duration_ns(node, "warmup", problems).map(Warmup::Fixed),
    }
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

/// Takes `id`, `kind` and `label` of a source or station; the rest is read when all names are known.
fn open<'a>(
    node: &'a Node,
    key: &'static str,
    before: &[Component],
    problems: &mut Problems<'_>,
) -> Option<(Component, Fields<'a>)> {
    let mut fields = Fields::new(node, &format!("a [[{key}]]"), problems)?;
    let id = fields.need_text("id", problems)?;
    fields.what = format!("{key} `{}`", id.chars().take(60).collect::<String>());
    if before.iter().any(|component| component.id == id) {
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
    if before.len() > LIST_LENGTH_MAX || !id_is_valid(id, node.place, problems) {
        return None;
    }
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

fn channel(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Channel> {
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

/// One class named `request` where none is written.
fn classes(nodes: &[&Node], problems: &mut Problems<'_>) -> Vec<Class> {
    if nodes.is_empty() {
        return vec![Class {
            id: "request".to_owned(),
            channel: Channel::None,
            priority: 0,
        }];
    }
    let mut classes: Vec<Class> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let Some(mut fields) = Fields::new(node, "a [[class]]", problems) else {
            continue;
        };
        let id = fields.need_text("id", problems).unwrap_or_default();
        if id == "default" || classes.iter().any(|class| class.id == id) {
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
        fields.finish(problems);
        classes.push(Class {
            id: id.to_owned(),
            channel,
            priority: i32::try_from(priority).unwrap_or(0),
        });
    }
    classes
}

fn edge(node: &Node, names: &Names, problems: &mut Problems<'_>) -> Option<Transit> {
    let mut fields = Fields::new(node, "an [[edge]]", problems)?;
    let mut end = |key: &'static str, problems: &mut Problems<'_>| -> Option<ComponentId> {
        let node = fields.need(key, problems)?;
        let name = fields::text(node, key, problems)?;
        names.component(name, node.place, problems)
    };
    let from = end("from", problems);
    let to = end("to", problems);
    let time = fields
        .need("transit", problems)
        .and_then(|node| distribution::read(node, "`transit`", problems));
    fields.finish(problems);
    Some(Transit {
        from: from?,
        to: to?,
        time: time?,
    })
}

fn path(node: &Node, names: &Names, problems: &mut Problems<'_>) -> Option<Path> {
    let mut fields = Fields::new(node, "a [[path]]", problems)?;
    let id = fields.need_text("id", problems);
    let channel = channel(&mut fields, problems);
    let via = fields.need("via", problems).and_then(|node| {
        let name = fields::text(node, "via", problems)?;
        names.station(name, node.place, problems)
    });
    fields.finish(problems);
    let id = id?;
    id_is_valid(id, node.place, problems).then_some(())?;
    Some(Path {
        id: id.to_owned(),
        channel: channel?,
        via: via?,
    })
}

fn slo(node: &Node, problems: &mut Problems<'_>) -> Option<Slo> {
    let mut fields = Fields::new(node, "an [[slo]]", problems)?;
    let id = fields.need_text("id", problems);
    let metric = fields.need_text("metric", problems);
    let limits = (fields.take("below"), fields.take("above"));
    let (limit, below) = match limits {
        (Some(node), None) => (
            fields::number(node, "below", Bound::NotNegative, problems),
            true,
        ),
        (None, Some(node)) => (
            fields::number(node, "above", Bound::NotNegative, problems),
            false,
        ),
        (None, None) | (Some(_), Some(_)) => {
            problems.add_with_hint(
                node.place,
                "an [[slo]] needs one limit",
                "add `below = …` or `above = …`",
            );
            (None, true)
        }
    };
    fields.finish(problems);
    Some(Slo {
        id: id?.to_owned(),
        metric: metric?.to_owned(),
        limit: limit?,
        below,
    })
}
