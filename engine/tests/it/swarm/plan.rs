//! What the witness knows of a scenario: limits of each component, read from the text, not from the engine.
//!
//! Belongs here: numbers that bound what may be seen. Does not belong here: watching (witness).

use super::tree::{id, tables};
use toml::{Table, Value};

/// Order in which a line is served, where a bystander can check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    First,
    Last,
    /// Larger priority first, then the first.
    Priority,
    /// Depends on what cannot be seen.
    Unknown,
}

/// One component, as the text has it.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a list of what may be seen there"
)]
pub(super) struct Plan {
    pub(super) id: String,
    /// Serves by itself, or pulls from queues.
    pub(super) serves: bool,
    /// Holds jobs for these components.
    pub(super) workers: Vec<usize>,
    pub(super) servers: u64,
    pub(super) capacity: u64,
    pub(super) order: Order,
    /// Services may be interrupted, or share a server.
    pub(super) shares: bool,
    /// A server may rest although somebody waits.
    pub(super) may_rest: bool,
    /// Refuses for other reasons than being full.
    pub(super) may_refuse: bool,
    pub(super) has_patience: bool,
    pub(super) has_timeout: bool,
    /// Who finds no room waits at the door.
    pub(super) blocks: bool,
    pub(super) calls: bool,
    /// Tokens: time of one, and time that may be saved up.
    pub(super) bucket: Option<(u64, u64)>,
    /// Users of a closed source.
    pub(super) users: Option<u64>,
}

/// Sources first, then stations, as in the topology.
pub(super) fn plans(root: &Table) -> Vec<Plan> {
    let names: Vec<&str> = tables(root, "source")
        .chain(tables(root, "station"))
        .map(id)
        .collect();
    let position = |name: &str| names.iter().position(|id| *id == name);
    let sources = tables(root, "source").map(|source| {
        let arrivals = source.get("arrivals").and_then(Value::as_table);
        let users = arrivals
            .and_then(|it| it.get("users"))
            .and_then(Value::as_integer);
        Plan {
            users: users.and_then(|count| u64::try_from(count).ok()),
            ..plan(source, Vec::new())
        }
    });
    let stations = tables(root, "station").map(|station| {
        let is_queue = text(station, "kind") == "queue" && !station.contains_key("servers");
        let workers = match station.get("next").filter(|_| is_queue) {
            Some(Value::String(name)) => position(name).into_iter().collect(),
            Some(Value::Table(rule)) => {
                let among = rule
                    .get("among")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten();
                among
                    .filter_map(Value::as_str)
                    .filter_map(position)
                    .collect()
            }
            _ => Vec::new(),
        };
        plan(station, workers)
    });
    sources.chain(stations).collect()
}

fn text<'a>(table: &'a Table, key: &str) -> &'a str {
    table.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn plan(station: &Table, workers: Vec<usize>) -> Plan {
    let has = |key: &str| station.contains_key(key);
    let count = |key: &str, otherwise: u64| match station.get(key) {
        Some(Value::Integer(count)) => u64::try_from(*count).unwrap_or(0),
        Some(_) => u64::MAX,
        None => otherwise,
    };
    let discipline = text(station, "discipline");
    let serves = has("service");
    let limit = station.get("rate_limit").and_then(Value::as_table);
    let bucket = limit.and_then(|limit| {
        let per_s = limit.get("per_s")?.as_float()?;
        let burst = limit.get("burst").and_then(Value::as_integer).unwrap_or(1);
        let token_ns = (1e9 / per_s).round() as u64;
        Some((
            token_ns,
            token_ns.saturating_mul(u64::try_from(burst - 1).ok()?),
        ))
    });
    let limit_has = |key: &str| limit.is_some_and(|limit| limit.contains_key(key));
    let autoscale = station.get("autoscale").and_then(Value::as_table);
    let most = autoscale
        .and_then(|it| it.get("max"))
        .and_then(Value::as_integer);
    let odd = ["batch_service", "setup", "breakdown", "autoscale"]
        .iter()
        .any(|key| has(key));
    Plan {
        id: id(station).to_owned(),
        serves,
        servers: match most {
            Some(most) => u64::try_from(most).unwrap_or(0),
            None => count(
                "servers",
                if text(station, "kind") == "delay" {
                    u64::MAX
                } else {
                    1
                },
            ),
        },
        capacity: count("capacity", u64::MAX),
        order: match discipline {
            _ if has("batch_service") => Order::Unknown,
            "" | "fifo" => Order::First,
            "lifo" => Order::Last,
            "priority" => Order::Priority,
            _ => Order::Unknown,
        },
        shares: matches!(
            discipline,
            "lifo-preemptive" | "preemptive-priority" | "processor-sharing" | "srpt" | "las"
        ) || has("batch_service"),
        // A worker with an open breaker leaves jobs where they are.
        may_rest: odd || has("breaker") || limit_has("refill") || limit_has("when_empty"),
        may_refuse: has("breaker") || limit_has("when_empty"),
        has_patience: has("patience"),
        has_timeout: has("timeout_s"),
        blocks: text(station, "on_full") == "block",
        calls: has("calls"),
        // A batch takes one token for all its members.
        bucket: bucket
            .filter(|_| !limit_has("refill") && !limit_has("when_empty") && !has("batch_service")),
        users: None,
        workers,
    }
}
