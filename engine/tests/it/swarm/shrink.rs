//! Shrinking: the smallest scenario that still breaks the same promise.
//!
//! Belongs here: ways to make a scenario smaller. Does not belong here: judging it (the caller).

use super::tree::{id, inline, tables, text};
use toml::{Table, Value};

/// Scenarios tried at most; each takes some milliseconds.
const TRIES_MAX: u32 = 3_000;

/// Takes every step that keeps `fails` true until none is left. What can go altogether goes before
/// numbers get simpler: a rare fault in a short run would hold on to everything that made it happen.
pub(super) fn shrink(root: &Table, fails: &mut dyn FnMut(&Table) -> bool) -> Table {
    let mut best = root.clone();
    let mut tries = 0;
    for steps in [less as fn(&Table) -> Vec<Table>, simpler_everywhere] {
        loop {
            let mut improved = false;
            let mut index = 0;
            // The list is made anew after each success: positions have moved.
            while let Some(candidate) = steps(&best).into_iter().nth(index) {
                tries += 1;
                if tries > TRIES_MAX {
                    return best;
                }
                if fails(&candidate) {
                    best = candidate;
                    improved = true;
                } else {
                    index += 1;
                }
            }
            if !improved {
                break;
            }
        }
    }
    best
}

/// One table, key or item less.
fn less(root: &Table) -> Vec<Table> {
    let mut list = Vec::new();
    for key in ["fault", "slo", "edge", "path", "source", "station", "class"] {
        for (index, item) in tables(root, key).enumerate() {
            let mut smaller = root.clone();
            if let Some(Value::Array(items)) = smaller.get_mut(key) {
                items.remove(index);
                if items.is_empty() {
                    smaller.remove(key);
                }
            }
            let name = id(item);
            if name.is_empty() {
                list.push(smaller);
                continue;
            }
            // Whoever went there goes where it sent them, or is done.
            let mut instead = Vec::new();
            mentioned(root, item, &mut instead);
            for other in instead
                .into_iter()
                .chain(["done"])
                .filter(|other| *other != name)
            {
                let mut smaller = smaller.clone();
                replace(&mut smaller, name, other);
                list.push(smaller);
            }
        }
    }
    list.extend(everywhere(root, fewer));
    list
}

/// Stations that a table names.
fn mentioned<'a>(root: &Table, table: &'a Table, names: &mut Vec<&'a str>) {
    fn walk<'a>(root: &Table, value: &'a Value, names: &mut Vec<&'a str>) {
        match value {
            Value::String(name) => {
                let is_station = tables(root, "station").any(|station| id(station) == name);
                if is_station && !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
            Value::Table(inner) => inner.values().for_each(|value| walk(root, value, names)),
            Value::Array(items) => items.iter().for_each(|value| walk(root, value, names)),
            _ => {}
        }
    }
    table.values().for_each(|value| walk(root, value, names));
}

fn simpler_everywhere(root: &Table) -> Vec<Table> {
    let mut list = less(root);
    list.extend(everywhere(root, simpler));
    list
}

/// The scenario with one value replaced, for every value and everything that may stand there.
fn everywhere(root: &Table, others: fn(&Value) -> Vec<Value>) -> Vec<Table> {
    let whole = Value::Table(root.clone());
    let mut places = Vec::new();
    each_place(&whole, &mut Vec::new(), &mut places);
    let mut list = Vec::new();
    for place in places {
        for value in others(at(&whole, &place)) {
            let mut smaller = whole.clone();
            *at_mut(&mut smaller, &place) = value;
            list.extend(smaller.as_table().cloned());
        }
    }
    list
}

/// Writes another name where one stood; lists that would name none lose it.
fn replace(table: &mut Table, name: &str, other: &str) {
    table.remove(name);
    for (key, value) in table.iter_mut() {
        if key != "id" {
            replace_in(value, name, other);
        }
    }
}

fn replace_in(value: &mut Value, name: &str, other: &str) {
    match value {
        Value::String(text) if text == name => other.clone_into(text),
        Value::Table(inner) => replace(inner, name, other),
        Value::Array(items) => {
            items.retain(|item| other != "done" || item.as_str() != Some(name));
            for item in items {
                replace_in(item, name, other);
            }
        }
        _ => {}
    }
}

#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Item(usize),
}

/// The way to every value, outermost first.
fn each_place(value: &Value, here: &mut Vec<Step>, places: &mut Vec<Vec<Step>>) {
    places.push(here.clone());
    match value {
        Value::Table(table) => {
            for (key, inner) in table {
                here.push(Step::Key(key.clone()));
                each_place(inner, here, places);
                here.pop();
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                here.push(Step::Item(index));
                each_place(inner, here, places);
                here.pop();
            }
        }
        _ => {}
    }
}

fn at<'a>(value: &'a Value, place: &[Step]) -> &'a Value {
    place.iter().fold(value, |here, step| match step {
        Step::Key(key) => &here[key.as_str()],
        Step::Item(index) => &here[*index],
    })
}

fn at_mut<'a>(value: &'a mut Value, place: &[Step]) -> &'a mut Value {
    place.iter().fold(value, |here, step| match step {
        Step::Key(key) => &mut here[key.as_str()],
        Step::Item(index) => &mut here[*index],
    })
}

/// The value with something taken out of it.
fn fewer(value: &Value) -> Vec<Value> {
    match value {
        Value::Table(table) => {
            // A rule may become any rule inside it.
            let is_rule = !["id", "via", "from", "dist"]
                .iter()
                .any(|key| table.contains_key(*key));
            let mut list = if is_rule {
                inner_rules(table)
            } else {
                Vec::new()
            };
            for key in table.keys() {
                let mut smaller = table.clone();
                smaller.remove(key);
                list.push(Value::Table(smaller));
            }
            list
        }
        Value::Array(items) if items.len() > 1 && !items.iter().any(is_entry) => (0..items.len())
            .map(|index| {
                let mut smaller = items.clone();
                smaller.remove(index);
                Value::Array(smaller)
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// An entry of `[[…]]`, which is taken out whole and by name.
fn is_entry(item: &Value) -> bool {
    let keys = ["id", "target", "transit"];
    item.as_table()
        .is_some_and(|table| keys.iter().any(|key| table.contains_key(*key)))
}

/// Simpler values for one place; each is strictly simpler, so that shrinking ends.
fn simpler(value: &Value) -> Vec<Value> {
    match value {
        Value::Table(table) => simpler_law(table),
        Value::Integer(number) if *number > 1 => {
            let mut steps = vec![1, number / 2, number - 1];
            steps.dedup();
            steps.into_iter().map(Value::Integer).collect()
        }
        Value::Float(number) => {
            let rough: f64 = format!("{number:.0e}").parse().unwrap_or(*number);
            let is_simpler = |candidate: &f64| effort(*candidate) < effort(*number);
            let simple = [1.0, rough].into_iter().filter(is_simpler);
            simple.map(Value::Float).collect()
        }
        Value::String(duration) if duration.ends_with('s') => {
            let number: Option<f64> = duration.trim_end_matches('s').parse().ok();
            let number = number.unwrap_or(0.0);
            let halves = [1.0, (number / 2.0).ceil(), number.ceil()];
            let shorter = halves.into_iter().filter(|half| {
                let is_rounder = format!("{half}s").len() < duration.len();
                *half >= 1.0 && (*half < number || (is_rounder && number > 0.0))
            });
            shorter.map(|half| text(&format!("{half}s"))).collect()
        }
        _ => Vec::new(),
    }
}

/// Laws and arrival processes of one number.
fn simpler_law(table: &Table) -> Vec<Value> {
    let named = |key: &str| table.get(key).and_then(Value::as_str);
    let one = Value::Float(1.0);
    let laws = ["deterministic", "exponential"];
    if let Some(process) = named("process") {
        let regular = inline([("process", text("deterministic")), ("every_s", one.clone())]);
        let poisson = inline([("process", text("poisson")), ("rate_per_s", one)]);
        return match process {
            "deterministic" => Vec::new(),
            "poisson" => vec![regular],
            _ => vec![regular, poisson],
        };
    }
    let Some(dist) = named("dist").filter(|_| !table.contains_key("target")) else {
        return Vec::new();
    };
    let rank = laws
        .iter()
        .position(|law| *law == dist)
        .unwrap_or(laws.len());
    laws[..rank]
        .iter()
        .map(|law| inline([("dist", text(law)), ("mean_s", one.clone())]))
        .collect()
}

fn inner_rules(table: &Table) -> Vec<Value> {
    let mut list = Vec::new();
    for inner in table.values() {
        match inner {
            Value::Array(items) => {
                for item in items {
                    match item {
                        Value::String(_) => list.push(item.clone()),
                        Value::Table(share) => list.extend(share.get("to").cloned()),
                        _ => {}
                    }
                }
            }
            Value::Table(classes) => list.extend(
                classes
                    .values()
                    .filter(|rule| rule.is_str() || rule.is_table())
                    .cloned(),
            ),
            _ => {}
        }
    }
    list
}

/// How hard a number is to read.
fn effort(number: f64) -> usize {
    if number == 1.0 {
        0
    } else {
        format!("{number}").len()
    }
}
