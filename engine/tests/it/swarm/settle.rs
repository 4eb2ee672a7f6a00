//! What only the whole scenario allows: waiting for room, and choosing by work that is left.
//!
//! Belongs here: the second look at a scenario that is made, so that `check` takes it. Does not belong
//! here: making it (generate).

use super::tree::{id, tables, text};
use std::collections::BTreeSet;
use toml::{Table, Value};

/// Disciplines whose servers can keep what they have done.
const KEEPING: &[&str] = &["fifo", "lifo", "random", "priority", "sjf"];
const WORK: &str = "least-work-left";
const COUNT: &str = "least-connections";

/// What a station may have whose unfinished work is known.
const PLAIN: &[&str] = &[
    "id",
    "kind",
    "label",
    "servers",
    "service",
    "service_by_class",
    "failure",
    "on_failure",
    "next",
];

/// Takes back what `check` would refuse, and what is then no longer used.
pub(super) fn settle(root: &mut Table, used: &mut BTreeSet<&'static str>) {
    reject(root, used);
    choose(root, used);
}

/// Rejects where nobody could wait for room: where parts join, where servers cannot keep a part, and
/// where later stations send back, for a circle of full stations would wait for ever.
fn reject(root: &mut Table, used: &mut BTreeSet<&'static str>) {
    let stations: Vec<&Table> = tables(root, "station").collect();
    let mut joins = BTreeSet::new();
    for (_, value) in &mut root.clone() {
        each_table(value, &mut |rule| {
            joins.extend(rule.get("join").and_then(Value::as_str).map(str::to_owned));
        });
    }
    let may_block = |at: usize| {
        let name = id(stations[at]);
        let mut others = stations.iter().enumerate();
        !joins.contains(name)
            && !others
                .any(|(other, station)| mentions(station, name) && (other >= at || !keeps(station)))
    };
    let allowed: Vec<bool> = (0..stations.len()).map(may_block).collect();
    let mut stays = false;
    let list = root.get_mut("station").and_then(Value::as_array_mut);
    let stations = list.into_iter().flatten().filter_map(Value::as_table_mut);
    for (station, is_allowed) in stations.zip(allowed) {
        if !blocks(station) {
            continue;
        }
        if is_allowed {
            stays = true;
        } else {
            station.remove("on_full");
        }
    }
    if !stays {
        used.remove("block");
    }
}

fn blocks(station: &Table) -> bool {
    station.get("on_full").and_then(Value::as_str) == Some("block")
}

fn keeps(station: &Table) -> bool {
    let discipline = station.get("discipline").and_then(Value::as_str);
    KEEPING.contains(&discipline.unwrap_or("fifo"))
        && !station.contains_key("batch_service")
        && !station.contains_key("breakdown")
}

/// Does a rule of the station name that one?
fn mentions(station: &Table, name: &str) -> bool {
    fn walk(value: &Value, name: &str) -> bool {
        match value {
            Value::String(text) => text == name,
            Value::Table(inner) => inner.values().any(|value| walk(value, name)),
            Value::Array(items) => items.iter().any(|item| walk(item, name)),
            _ => false,
        }
    }
    let mut rules = station.iter().filter(|(key, _)| *key != "id");
    rules.any(|(_, value)| walk(value, name))
}

/// Chooses by connections where work is not known.
fn choose(root: &mut Table, used: &mut BTreeSet<&'static str>) {
    let known = known(root);
    let (mut stays, mut goes) = (false, false);
    for (_, value) in root.iter_mut() {
        each_table(value, &mut |rule| {
            if rule.get("choose").and_then(Value::as_str) != Some(WORK) {
                return;
            }
            let among = rule.get("among").and_then(Value::as_array);
            let mut among = among.into_iter().flatten().filter_map(Value::as_str);
            if among.all(|name| known.contains(name)) {
                stays = true;
            } else {
                goes = true;
                rule.insert("choose".to_owned(), text(COUNT));
            }
        });
    }
    if goes {
        used.insert(COUNT);
    }
    if !stays {
        used.remove(WORK);
    }
}

/// Stations whose unfinished work is known; none where a hedge may cut work short.
fn known(root: &Table) -> BTreeSet<String> {
    let mut hedges = false;
    for (_, value) in &mut root.clone() {
        each_table(value, &mut |rule| hedges |= rule.contains_key("hedge"));
    }
    if hedges {
        return BTreeSet::new();
    }
    let waits = |station: &Table| {
        let mut full = tables(root, "station").filter(|other| blocks(other));
        full.any(|other| mentions(station, id(other)))
    };
    let is_plain = |station: &&Table| {
        let one_server = matches!(station.get("servers"), None | Some(Value::Integer(1)));
        one_server
            && station.contains_key("service")
            && station.keys().all(|key| PLAIN.contains(&key.as_str()))
            && station.get("kind").and_then(Value::as_str) != Some("worker")
            && !waits(station)
    };
    let faulty: Vec<&str> = tables(root, "fault")
        .filter_map(|fault| fault.get("target")?.as_str())
        .collect();
    tables(root, "station")
        .filter(is_plain)
        .map(id)
        .filter(|name| !faulty.contains(name))
        .map(str::to_owned)
        .collect()
}

fn each_table(value: &mut Value, visit: &mut impl FnMut(&mut Table)) {
    match value {
        Value::Table(inner) => {
            visit(inner);
            for (_, value) in inner.iter_mut() {
                each_table(value, visit);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_table(item, visit)),
        _ => {}
    }
}
