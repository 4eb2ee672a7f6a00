//! What the run as a whole is: format, name, seed, end, warm-up.
//!
//! Belongs here: keys at the top of the file with one value. Does not belong here: lists of tables (document).

use super::component::id_is_valid;
use super::fields::{self, Fields};
use super::problem::Problems;
use super::raw::Value;
use super::valid::{Stop, Warmup};

/// Top-level keys with one value.
pub(super) struct Header<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) title: Option<&'a str>,
    pub(super) watch: Option<&'a str>,
    pub(super) expect: Option<&'a str>,
    pub(super) seed: i64,
    pub(super) stop: Option<Stop>,
    pub(super) warmup: Option<Warmup>,
}

/// Takes them from the open document.
pub(super) fn read<'a>(fields: &mut Fields<'a>, problems: &mut Problems<'_>) -> Header<'a> {
    schema(fields, problems);
    let name = name(fields, problems);
    let [title, watch, expect] = ["title", "watch", "expect"].map(|key| {
        let node = fields.take(key)?;
        fields::text(node, key, problems)
    });
    let seed = fields
        .take_count("seed", 0, i64::MAX, problems)
        .unwrap_or(1);
    let stop = stop(fields, problems);
    let warmup = warmup(fields, problems);
    if let (Some(Stop::Duration(end)), Some(Warmup::Fixed(cut))) = (stop, warmup)
        && cut >= end
    {
        problems.add_with_hint(
            fields.place,
            "`warmup` is not shorter than `duration`",
            "leave time to measure after it",
        );
    }
    Header {
        name,
        title,
        watch,
        expect,
        seed,
        stop,
        warmup,
    }
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
