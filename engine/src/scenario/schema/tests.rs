//! Holds the schema to the reader: every scenario fits it, and both know the same keys.
//!
//! Belongs here: a validator of the keywords that the schema uses. Does not belong here: other keywords.

use super::SCHEMA_JSON;
use crate::scenario::document;
use crate::scenario::problem::{Place, Problems};
use crate::scenario::raw::{self, Node, Value};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// Keywords that this validator knows; another one in the schema would be passed over unseen.
const KEYWORDS: &[&str] = &[
    "$schema",
    "$ref",
    "$defs",
    "title",
    "description",
    "type",
    "const",
    "enum",
    "properties",
    "required",
    "additionalProperties",
    "unevaluatedProperties",
    "items",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "pattern",
    "oneOf",
    "anyOf",
];

type Keys = BTreeMap<String, BTreeSet<String>>;
/// Keys that a table's schema has looked at.
type Seen = BTreeSet<String>;

struct Schema {
    root: Json,
}

impl Schema {
    fn new() -> Self {
        let root = serde_json::from_str(SCHEMA_JSON).expect("JSON");
        Self { root }
    }

    fn def(&self, reference: &str) -> (&str, &Json) {
        let pointer = reference.strip_prefix('#').expect("a local reference");
        let found = self.root.pointer(pointer).expect("a definition");
        let name = reference.rsplit('/').next().expect("a name");
        (
            self.root["$defs"]
                .as_object()
                .expect("definitions")
                .get_key_value(name)
                .expect("named")
                .0,
            found,
        )
    }

    /// The keys it has looked at, or why the node does not fit. `tables` learns which definition each
    /// table was read by.
    fn fits(
        &self,
        node: &Node,
        schema: &Json,
        tables: &mut Vec<(usize, String)>,
    ) -> Result<Seen, String> {
        let Json::Object(rules) = schema else {
            return Err("no schema".to_owned());
        };
        let mut seen = Seen::new();
        if let Some(reference) = rules.get("$ref") {
            let (name, definition) = self.def(reference.as_str().expect("text"));
            if let (Value::Table(_), Place::Text(offset)) = (&node.value, node.place) {
                tables.push((offset, name.to_owned()));
            }
            seen.extend(self.fits(node, definition, tables)?);
        }
        simple(node, schema)?;
        for (keyword, wanted) in [("oneOf", 1..=1), ("anyOf", 1..=usize::MAX)] {
            let Some(Json::Array(ways)) = rules.get(keyword) else {
                continue;
            };
            let mut fitting = Vec::new();
            let mut reasons = Vec::new();
            for way in ways {
                let mut more = Vec::new();
                match self.fits(node, way, &mut more) {
                    Ok(keys) => fitting.push((keys, more)),
                    Err(why) => reasons.push(why),
                }
            }
            if !wanted.contains(&fitting.len()) {
                return Err(format!(
                    "{} of {keyword} fit: {}",
                    fitting.len(),
                    reasons.join(" | ")
                ));
            }
            for (keys, more) in fitting {
                seen.extend(keys);
                tables.extend(more);
            }
        }
        match &node.value {
            Value::Table(_) => self.table(node, rules, seen, tables),
            Value::Array(items) => {
                if let Some(each) = rules.get("items") {
                    for item in items {
                        self.fits(item, each, tables)?;
                    }
                }
                Ok(seen)
            }
            _ => Ok(seen),
        }
    }

    fn table(
        &self,
        node: &Node,
        rules: &serde_json::Map<String, Json>,
        mut seen: Seen,
        tables: &mut Vec<(usize, String)>,
    ) -> Result<Seen, String> {
        let Value::Table(entries) = &node.value else {
            return Ok(seen);
        };
        let required = rules.get("required").and_then(Json::as_array);
        for key in required.into_iter().flatten() {
            if !entries.iter().any(|entry| key == &entry.key) {
                return Err(format!("no {key}"));
            }
        }
        for entry in entries {
            let property = rules.get("properties").and_then(|all| all.get(&entry.key));
            if let Some(property) = property {
                self.fits(&entry.node, property, tables)
                    .map_err(|why| format!("{}: {why}", entry.key))?;
                seen.insert(entry.key.clone());
                continue;
            }
            match rules.get("additionalProperties") {
                Some(Json::Bool(false)) => return Err(format!("unknown {}", entry.key)),
                Some(each) => {
                    self.fits(&entry.node, each, tables)?;
                    seen.insert(entry.key.clone());
                }
                None => {}
            }
        }
        if rules.get("unevaluatedProperties") == Some(&Json::Bool(false))
            && let Some(entry) = entries.iter().find(|entry| !seen.contains(&entry.key))
        {
            return Err(format!("unknown {}", entry.key));
        }
        Ok(seen)
    }

    /// Every key that a definition names, in whatever branch.
    fn keys(&self) -> Keys {
        let definitions = self.root["$defs"].as_object().expect("definitions");
        let mut all = Keys::new();
        for (name, definition) in definitions {
            let keys = all.entry(name.clone()).or_default();
            let branches = ["oneOf", "anyOf"].into_iter();
            let branches = branches.filter_map(|keyword| definition.get(keyword)?.as_array());
            for part in branches.flatten().chain([definition]) {
                let properties = part.get("properties").and_then(Json::as_object);
                keys.extend(properties.into_iter().flat_map(|it| it.keys().cloned()));
            }
        }
        all
    }
}

#[expect(clippy::cast_precision_loss, reason = "bounds are small")]
fn simple(node: &Node, schema: &Json) -> Result<(), String> {
    let fail = |what: &str| Err(format!("{what} {schema}"));
    let kind = match &node.value {
        Value::Text(_) => "string",
        Value::Integer(_) => "integer",
        Value::Float(_) => "number",
        Value::Bool(_) => "boolean",
        Value::Array(_) => "array",
        Value::Table(_) => "object",
        Value::Date => "date",
    };
    if let Some(wanted) = schema.get("type").and_then(Json::as_str)
        && wanted != kind
        && !(wanted == "number" && kind == "integer")
    {
        return fail(kind);
    }
    let same = |json: &Json| match &node.value {
        Value::Text(text) => json == text,
        Value::Integer(number) => json.as_i64() == Some(*number),
        _ => false,
    };
    if schema.get("const").is_some_and(|json| !same(json)) {
        return fail("another value than");
    }
    let choices = schema.get("enum").and_then(Json::as_array);
    if choices.is_some_and(|list| !list.iter().any(same)) {
        return fail("none of");
    }
    let number = match node.value {
        Value::Integer(number) => Some(number as f64),
        Value::Float(number) => Some(number),
        _ => None,
    };
    if let Some(number) = number {
        let bound = |keyword| schema.get(keyword).and_then(Json::as_f64);
        if bound("minimum").is_some_and(|low| number < low)
            || bound("exclusiveMinimum").is_some_and(|low| number <= low)
            || bound("maximum").is_some_and(|high| number > high)
        {
            return fail("out of bounds of");
        }
    }
    if let Value::Array(items) = &node.value {
        let bound = |keyword| schema.get(keyword).and_then(Json::as_u64);
        let length = items.len() as u64;
        if bound("minItems").is_some_and(|low| length < low)
            || bound("maxItems").is_some_and(|high| length > high)
        {
            return fail("too few or many for");
        }
    }
    Ok(())
}

/// Scenarios in files and in the reference of the language.
fn scenarios() -> Vec<(String, String)> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut list = Vec::new();
    let folder = std::fs::read_dir(format!("{root}/scenarios")).expect("the folder ships");
    for entry in folder {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|it| it == "toml") {
            let text = std::fs::read_to_string(&path).expect("text");
            list.push((path.display().to_string(), text));
        }
    }
    let reference = std::fs::read_to_string(format!("{root}/docs/scenario-language.md"));
    let reference = reference.expect("the reference ships");
    let blocks = reference.split("```toml\n").skip(1);
    for (index, block) in blocks.enumerate() {
        let text = block.split("```").next().expect("an end");
        list.push((format!("example {}", index + 1), text.to_owned()));
    }
    assert!(list.len() > 4);
    list
}

#[test]
fn the_schema_uses_only_words_that_are_checked_here() {
    fn walk(json: &Json, is_names: bool, strange: &mut BTreeSet<String>) {
        match json {
            Json::Object(map) => {
                for (key, value) in map {
                    if !is_names && !KEYWORDS.contains(&key.as_str()) {
                        strange.insert(key.clone());
                    }
                    let names = !is_names && (key == "properties" || key == "$defs");
                    walk(value, names, strange);
                }
            }
            Json::Array(list) => list.iter().for_each(|item| walk(item, false, strange)),
            _ => {}
        }
    }
    let mut strange = BTreeSet::new();
    walk(&Schema::new().root, false, &mut strange);
    assert_eq!(strange, BTreeSet::new());
}

/// Reads and validates every scenario; both must take it, and then know the same keys of each table.
#[test]
fn reader_and_schema_take_the_same_scenarios_and_keys() {
    let schema = Schema::new();
    let (mut read, mut known) = (Keys::new(), schema.keys());
    for (name, text) in scenarios() {
        let mut problems = Problems::new(&text, &[]);
        let mut root = raw::read(&text, &[], &mut problems).expect("TOML");
        let files: &dyn Fn(&str) -> Result<String, String> = &|_| Ok("0.5\n1.5\n".to_owned());
        let mut tables = Vec::new();
        schema
            .fits(&root, &schema.root, &mut tables)
            .unwrap_or_else(|why| panic!("{name} does not fit the schema: {why}"));
        crate::scenario::files::resolve(&mut root, Some(files), &mut problems);
        let scenario = document::scenario(&root, &mut problems);
        let asked = std::mem::take(&mut problems.asked);
        problems
            .into_result()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(scenario.is_some(), "{name}");
        for (place, keys) in asked {
            let Place::Text(offset) = place else {
                continue;
            };
            let names: Vec<&String> = tables
                .iter()
                .filter(|(at, _)| *at == offset)
                .map(|(_, name)| name)
                .collect();
            assert!(
                !names.is_empty(),
                "{name}: no definition for a table with {keys:?}"
            );
            for key in keys {
                let holds = names.iter().any(|name| known[*name].contains(key));
                assert!(
                    holds,
                    "{name}: add `{key}` to one of {names:?} in schema.json"
                );
                for name in &names {
                    read.entry((*name).clone())
                        .or_default()
                        .insert(key.to_owned());
                }
            }
        }
    }
    // Names of classes are keys too, but no definition lists them.
    known.retain(|_, keys| !keys.is_empty());
    for (name, keys) in known {
        let taken = read.get(&name).cloned().unwrap_or_default();
        let extra: Vec<&String> = keys.difference(&taken).collect();
        assert!(
            extra.is_empty(),
            "the reader never asked for {extra:?} of `{name}`: show them in docs/scenario-language.md, or take them out of schema.json"
        );
    }
}
