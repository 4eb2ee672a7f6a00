//! From a case to a scenario and the answers it must give.
//!
//! Belongs here: single stations, dispatch, classes and open networks. Does not belong here: models
//! that need a word of their own (extra), and how long a scenario runs (plan).

use crate::case::{Case, list, number, text};
use crate::rule::Check;
use crate::words::{Unsaid, arrivals, batch, delay, dist, source, station};
use serde_json::{Value, json};

/// Tables of a scenario and what its answer must say.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Keys before the tables: when the run stops, where it is looked at.
    pub(crate) head: String,
    pub(crate) tables: Vec<String>,
    pub(crate) checks: Vec<Check>,
}

/// What the answer says of the whole system: key of the table, path into the answer.
pub(crate) const SYSTEM: &[(&str, &str)] = &[
    ("mean_sojourn_s", "system.sojourn_s.mean"),
    ("p50_sojourn_s", "system.sojourn_s.p50"),
    ("p95_sojourn_s", "system.sojourn_s.p95"),
    ("p99_sojourn_s", "system.sojourn_s.p99"),
    ("throughput_per_s", "system.throughput_per_s"),
    ("mean_in_system", "system.in_system"),
];

/// What it says of station `s`.
pub(crate) const STATION: &[(&str, &str)] = &[
    ("mean_wait_s", "stations.s.waiting_s.mean"),
    ("p95_wait_s", "stations.s.waiting_s.p95"),
    ("p99_wait_s", "stations.s.waiting_s.p99"),
    ("mean_in_queue", "stations.s.in_waiting"),
    ("utilization", "stations.s.utilization"),
    ("p_wait", "stations.s.p_wait"),
    ("p_block", "stations.s.p_reject"),
    ("p_abandon", "stations.s.p_abandon"),
    ("mean_visit_sojourn_s", "stations.s.sojourn_s.mean"),
    ("mean_visit_wait_s", "stations.s.waiting_s.mean"),
    ("mean_in_station", "stations.s.in_station"),
];

/// The scenario of a case whose model is one station, a dispatcher, classes or an open network.
pub(crate) fn write(case: &Case) -> Result<Written, Unsaid> {
    if case.has("users") {
        return finite_source(case);
    }
    if case.has("stations") {
        return network(case);
    }
    if case.has("classes") {
        return classes(case);
    }
    if case.has("fork_join") {
        return fork_join(case);
    }
    if case.has("hedge") {
        return hedge(case);
    }
    if case.has("dispatch") {
        return dispatch(case);
    }
    single(case)
}

/// The checks of all keys that the case gives.
pub(crate) fn checks<'a>(
    case: &Case,
    pairs: impl IntoIterator<Item = &'a (&'a str, &'a str)>,
) -> Vec<Check> {
    let pairs = pairs.into_iter();
    pairs
        .filter_map(|(key, path)| Some(Check::new(case, path, case.exact(key)?)))
        .collect()
}

fn only<'a>(pairs: &'a [(&'a str, &'a str)], keys: &[&str]) -> Vec<(&'a str, &'a str)> {
    let wanted = |pair: &&(&str, &str)| keys.contains(&pair.0);
    pairs.iter().filter(wanted).copied().collect()
}

fn without<'a>(pairs: &[(&'a str, &'a str)], keys: &[&str]) -> Vec<(&'a str, &'a str)> {
    let wanted = |pair: &&(&str, &str)| !keys.contains(&pair.0);
    pairs.iter().filter(wanted).copied().collect()
}

/// The word for the order in which a station serves; `None` for the usual one.
pub(crate) fn discipline(case: &Case) -> Result<Option<Value>, Unsaid> {
    Ok(Some(json!(
        match case.params["discipline"].as_str().unwrap_or("fifo") {
            "fifo" => return Ok(None),
            "lcfs" => "lifo",
            "lcfs_preemptive_resume" => "lifo-preemptive",
            "random_order" => "random",
            "ps" => "processor-sharing",
            "priority_non_preemptive" => "priority",
            "priority_preemptive_resume" => "preemptive-priority",
            same @ ("srpt" | "sjf" | "las") => same,
            other => return Err(format!("discipline {other}")),
        }
    )))
}

fn single(case: &Case) -> Result<Written, Unsaid> {
    let params = &case.params;
    let mut keys: Vec<(&str, Value)> = Vec::new();
    let mut pairs = [SYSTEM, STATION].concat();
    let mut tables = Vec::new();
    let order = discipline(case)?;
    keys.extend(order.clone().map(|word| ("discipline", word)));
    let capacity = params["capacity"].as_u64();
    if let Some(most) = capacity {
        keys.push(("capacity", json!(most)));
        keys.push(("on_full", json!("reject")));
    }
    if case.has("patience") {
        keys.push(("patience", dist(&params["patience"])?));
        keys.push(("on_abandon", json!("failed")));
    }
    if case.has("patience") || capacity.is_some() {
        pairs = STATION.to_vec();
        pairs.push(("throughput_per_s", "stations.s.throughput_per_s"));
        pairs.push(("mean_in_system", "stations.s.in_station"));
        pairs.push(("mean_sojourn_s", "system.sojourn_s.mean"));
        if case.has("patience") {
            // The table counts who gave up among them; the answer does not.
            pairs = without(&pairs, &["mean_wait_s", "mean_sojourn_s", "p_wait"]);
        }
    }
    if case.has("retrial") {
        keys.retain(|(key, _)| *key != "on_full");
        let step = json!({ "delay": dist(&params["retrial"]["interval"])?, "via": "orbit" });
        keys.push(("on_full", json!({ "retry": [step], "last": "repeat" })));
        pairs = only(
            SYSTEM,
            &["mean_sojourn_s", "throughput_per_s", "mean_in_system"],
        );
        pairs.push(("utilization", "stations.s.utilization"));
        pairs.push(("mean_in_orbit", "stations.orbit.in_station"));
        tables.push(delay("orbit"));
    }
    if case.has("retry") {
        let steps = list(&params["retry"]["backoff_s"]).iter();
        let steps: Vec<Value> = steps
            .map(|wait| json!({ "delay_s": number(wait), "via": "backoff" }))
            .collect();
        let is_endless = params["retry"]["max_attempts"].is_null();
        let end = if is_endless {
            ("last", "repeat")
        } else {
            ("then", "failed")
        };
        keys.push((
            "failure",
            json!({ "probability": params["failure_probability"] }),
        ));
        keys.push(("on_failure", json!({ "retry": steps, end.0: end.1 })));
        let visits = [
            "utilization",
            "mean_visit_sojourn_s",
            "mean_visit_wait_s",
            "mean_in_station",
        ];
        pairs = only(STATION, &visits);
        pairs.push(("mean_in_backoff", "stations.backoff.in_station"));
        if is_endless {
            pairs.push(("mean_sojourn_s", "system.sojourn_s.mean"));
        }
        tables.push(delay("backoff"));
    }
    let word = order.as_ref().and_then(Value::as_str).unwrap_or("fifo");
    if !matches!(word, "fifo" | "lifo" | "random" | "sjf") {
        pairs = without(&pairs, &["mean_wait_s", "mean_in_queue", "p_wait"]);
    }
    if params["servers"] == "infinite" {
        pairs = without(&pairs, &["utilization", "p_wait"]);
    }
    let is_regular = params["arrival_process"]["type"] == "deterministic"
        && params["service"]["dist"] == "deterministic";
    // Nothing is left to chance: one run says it all.
    let head = if is_regular { "requests = 5000\n" } else { "" };
    let more: Vec<(&str, Value)> = batch(case)
        .map(|size| ("batch", size))
        .into_iter()
        .collect();
    tables.insert(0, source("arrivals", &arrivals(case)?, &json!("s"), &more));
    tables.insert(
        1,
        station("s", &params["service"], &params["servers"], &keys)?,
    );
    Ok(Written {
        head: head.to_owned(),
        tables,
        checks: checks(case, &pairs),
    })
}

fn fork_join(case: &Case) -> Result<Written, Unsaid> {
    let queues = case.params["fork_join"]["queues"]
        .as_u64()
        .ok_or("fork without queues")?;
    let ids: Vec<String> = (1..=queues).map(|index| format!("q{index}")).collect();
    let mut tables = vec![source(
        "arrivals",
        &arrivals(case)?,
        &json!({ "fork": ids, "join": "done" }),
        &[],
    )];
    for id in &ids {
        tables.push(station(id, &case.params["service"], &json!(1), &[])?);
    }
    let keys = [
        "mean_sojourn_s",
        "mean_in_system",
        "p95_sojourn_s",
        "p99_sojourn_s",
    ];
    let mut list = checks(case, &only(SYSTEM, &keys));
    let task = number(&case.expect["mean_task_sojourn_s"]);
    list.push(Check::new(case, "stations.q1.sojourn_s.mean", task));
    Ok(Written {
        head: String::new(),
        tables,
        checks: list,
    })
}

fn hedge(case: &Case) -> Result<Written, Unsaid> {
    let rule = json!({ "hedge": ["a", "b"], "after_s": case.params["hedge"]["delay_s"] });
    let mut tables = vec![source("arrivals", &arrivals(case)?, &rule, &[])];
    for id in ["a", "b"] {
        tables.push(station(
            id,
            &case.params["service"],
            &json!("infinite"),
            &[],
        )?);
    }
    Ok(Written {
        head: String::new(),
        tables,
        checks: checks(case, SYSTEM),
    })
}

/// Servers with lines of their own behind a dispatcher.
fn dispatch(case: &Case) -> Result<Written, Unsaid> {
    let (params, rule) = (&case.params, &case.params["dispatch"]);
    let count = params["servers"].as_u64().ok_or("no number of servers")?;
    let ids: Vec<String> = (1..=count).map(|index| format!("s{index}")).collect();
    let has_weights = !rule["weights"].is_null();
    let mut to = match text(&rule["policy"]) {
        "round_robin" => json!({ "choose": "round-robin" }),
        "random" if has_weights => json!({ "choose": "weighted", "weights": rule["weights"] }),
        "random" => json!({ "choose": "random" }),
        "jsq" => json!({ "choose": "least-connections" }),
        "least_work_left" => json!({ "choose": "least-work-left" }),
        "power_of_d" => {
            let again = rule["replacement"].as_bool().unwrap_or(false);
            json!({ "choose": "power-of-two", "d": rule["d"], "replace": again })
        }
        other => return Err(format!("dispatch {other}")),
    };
    to["among"] = json!(ids);
    let mut tables = vec![source("arrivals", &arrivals(case)?, &to, &[])];
    let services = list(&params["service"]);
    for (index, id) in ids.iter().enumerate() {
        let service = services.get(index).unwrap_or(&params["service"]);
        tables.push(station(id, service, &json!(1), &[])?);
    }
    let mut list_of_checks = checks(case, SYSTEM);
    let are_equal = services.windows(2).all(|pair| pair[0] == pair[1]);
    if let Some(load) = case.exact("utilization").filter(|_| are_equal) {
        for id in ids.iter().take(2) {
            let path = format!("stations.{id}.utilization");
            list_of_checks.push(Check::new(case, &path, load));
        }
    }
    for (id, row) in ids.iter().zip(list(&case.expect["servers"])) {
        if let Some(load) = row["utilization"].as_f64() {
            let path = format!("stations.{id}.utilization");
            list_of_checks.push(Check::new(case, &path, load));
        }
    }
    Ok(Written {
        head: String::new(),
        tables,
        checks: list_of_checks,
    })
}

fn classes(case: &Case) -> Result<Written, Unsaid> {
    let rows = list(&case.params["classes"]);
    let total: f64 = rows
        .iter()
        .map(|row| number(&row["arrival_rate_per_s"]))
        .sum();
    let (mut tables, mut mix, mut by_class) = (Vec::new(), json!({}), json!({}));
    for (index, row) in rows.iter().enumerate() {
        let (id, rank) = (format!("class{index}"), number(&row["priority"]));
        tables.push(format!(
            "[[class]]\nid = \"{id}\"\npriority = {}\n",
            rows.len() as f64 - rank
        ));
        mix[&id] = json!(number(&row["arrival_rate_per_s"]) / total);
        by_class[&id] = dist(&row["service"])?;
    }
    let poisson = json!({ "process": "poisson", "rate_per_s": total });
    tables.push(source("arrivals", &poisson, &json!("s"), &[("mix", mix)]));
    let mut keys = vec![("service_by_class", by_class)];
    keys.extend(discipline(case)?.map(|word| ("discipline", word)));
    tables.push(station(
        "s",
        &rows[0]["service"],
        &case.params["servers"],
        &keys,
    )?);
    let mut list = checks(case, &only(STATION, &["utilization"]));
    for index in 0..rows.len() {
        let id = format!("class{index}");
        if let Some(mean) = case.expect["classes"][&id]["mean_sojourn_s"].as_f64() {
            list.push(Check::new(
                case,
                &format!("classes.{id}.sojourn_s.mean"),
                mean,
            ));
        }
    }
    Ok(Written {
        head: String::new(),
        tables,
        checks: list,
    })
}

/// An open network; stations without names are a line.
fn network(case: &Case) -> Result<Written, Unsaid> {
    let rows = list(&case.params["stations"]);
    let name = |index: usize, row: &Value| {
        row["name"]
            .as_str()
            .map_or_else(|| format!("station{}", index + 1), str::to_owned)
    };
    let names: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(index, row)| name(index, row))
        .collect();
    let (mut sources, mut stations) = (Vec::new(), Vec::new());
    for (index, row) in rows.iter().enumerate() {
        let is_line = row["name"].is_null();
        let own = row["external_arrival_rate_per_s"].as_f64().unwrap_or(0.0);
        let rate = if is_line && index == 0 {
            number(&case.params["arrival_rate_per_s"])
        } else {
            own
        };
        if rate > 0.0 {
            let poisson = json!({ "process": "poisson", "rate_per_s": rate });
            let id = format!("arrivals-{}", names[index]);
            sources.push(source(&id, &poisson, &json!(names[index]), &[]));
        }
        let next = if is_line {
            names
                .get(index + 1)
                .map_or(json!("done"), |next| json!(next))
        } else {
            branches(&row["routing"], &names)
        };
        stations.push(station(
            &names[index],
            &row["service"],
            &row["servers"],
            &[("next", next)],
        )?);
    }
    let mut list = checks(case, SYSTEM);
    for name in &names {
        let row = &case.expect["stations"][name];
        let keys = [
            ("utilization", "utilization"),
            ("mean_sojourn_s", "sojourn_s.mean"),
            ("mean_wait_s", "waiting_s.mean"),
        ];
        for (key, path) in keys {
            if let Some(exact) = row[key].as_f64() {
                list.push(Check::new(case, &format!("stations.{name}.{path}"), exact));
            }
        }
    }
    Ok(Written {
        head: String::new(),
        tables: [sources, stations].concat(),
        checks: list,
    })
}

/// A routing row as a `next` rule; what is missing to 1 leaves.
fn branches(routing: &Value, names: &[String]) -> Value {
    let entries = routing.as_object().into_iter().flatten();
    let mut ways: Vec<(Value, f64)> = entries
        .filter(|(to, _)| names.contains(to))
        .map(|(to, p)| (json!(to), number(p)))
        .collect();
    let left = 1.0 - ways.iter().map(|(_, p)| p).sum::<f64>();
    if left > 1e-6 {
        ways.push((json!("done"), left));
    } else if let Some((to, _)) = ways.pop() {
        let rest = 1.0 - ways.iter().map(|(_, p)| p).sum::<f64>();
        ways.push((to, rest));
    }
    if let [(to, _)] = &ways[..] {
        return to.clone();
    }
    let ways: Vec<Value> = ways
        .into_iter()
        .map(|(to, p)| json!({ "to": to, "p": p }))
        .collect();
    json!({ "probability": ways })
}

fn finite_source(case: &Case) -> Result<Written, Unsaid> {
    let mean = number(&case.params["think_time"]["mean_s"]);
    let think = json!({ "dist": "exponential", "mean_s": mean });
    let closed = json!({ "process": "closed", "users": case.params["users"], "think": think });
    let tables = vec![
        source("arrivals", &closed, &json!("s"), &[]),
        station("s", &case.params["service"], &case.params["servers"], &[])?,
    ];
    Ok(Written {
        head: String::new(),
        tables,
        checks: checks(case, &[SYSTEM, STATION].concat()),
    })
}
