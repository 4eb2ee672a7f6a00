//! Models that need a word of their own: closed networks, blocking, set-ups, buckets, quorums, deadlines.
//!
//! Belongs here: the cases that the plain writer has no words for. Does not belong here: how they run.

use crate::case::{Case, list, number};
use crate::rule::Check;
use crate::words::{Unsaid, arrivals, delay, dist, source, station, table};
use crate::write::{STATION, SYSTEM, Written, checks};
use serde_json::{Value, json};

/// As short as time gets: for stations whose own work takes none.
const NO_TIME: f64 = 1e-9;

/// The scenario of a case with a word of its own; `None` where the plain writer has all words.
pub(crate) fn write(case: &Case) -> Option<Result<Written, Unsaid>> {
    let params = &case.params;
    let policy = params["dispatch"]["policy"].as_str().unwrap_or_default();
    Some(match () {
        () if case.has("deadline_s") => deadline(case),
        () if params["retrial"]["policy"] == "head_only" => head_of_orbit(case),
        () if case.has("max_attempts") => attempts(case),
        () if policy == "redundancy" => redundancy(case),
        () if policy == "fastest_idle" => fastest_idle(case),
        () if case.has("batch_service") => batch_worker(case),
        () if params["fork_join"]["next_job_waits_for_all_tasks"] == true => split_merge(case),
        () if params["fork_join"].get("wait_for").is_some() => quorum(case),
        () if case.has("users") && case.has("stations") => closed(case),
        () if case.has("blocking") => blocking(case),
        () if case.has("setup") => cold_start(case),
        () if case.has("breakdown") => breakdown(case),
        () if case.has("token_bucket") => token_bucket(case),
        () => return None,
    })
}

fn exponential(mean_s: f64) -> Value {
    json!({ "dist": "exponential", "mean_s": mean_s })
}

fn at_once() -> Value {
    json!({ "dist": "deterministic", "mean_s": NO_TIME })
}

fn deadline(case: &Case) -> Result<Written, Unsaid> {
    let params = &case.params;
    let class = format!(
        "[[class]]\nid = \"request\"\ndeadline_s = {}\n",
        params["deadline_s"]
    );
    let pairs = [
        ("p_late", "system.p_late"),
        ("goodput_per_s", "system.goodput_per_s"),
    ];
    Ok(Written {
        head: String::new(),
        tables: vec![
            class,
            source("arrivals", &arrivals(case)?, &json!("s"), &[]),
            station("s", &params["service"], &params["servers"], &[])?,
        ],
        checks: checks(case, [SYSTEM, STATION, &pairs].concat().iter()),
    })
}

/// A line of one that tries again and again; who failed goes to its end, which moves no mean.
fn head_of_orbit(case: &Case) -> Result<Written, Unsaid> {
    let params = &case.params;
    let keys = [("capacity", json!(1)), ("on_full", json!("orbit"))];
    let pairs = [
        ("mean_in_orbit", "stations.orbit.in_station"),
        ("utilization", "stations.s.utilization"),
        ("throughput_per_s", "system.throughput_per_s"),
    ];
    let mut list = checks(case, &pairs);
    let sojourn = number(&case.expect["mean_wait_s"]) + number(&params["service"]["mean_s"]);
    list.push(Check::new(case, "system.sojourn_s.mean", sojourn));
    Ok(Written {
        head: String::new(),
        tables: vec![
            source("arrivals", &arrivals(case)?, &json!("s"), &[]),
            station("s", &params["service"], &json!(1), &keys)?,
            station(
                "orbit",
                &params["retrial"]["interval"],
                &json!(1),
                &[("next", json!("s"))],
            )?,
        ],
        checks: list,
    })
}

fn attempts(case: &Case) -> Result<Written, Unsaid> {
    let tries = case.params["max_attempts"]
        .as_u64()
        .ok_or("no number of attempts")?;
    let step = json!({ "delay_s": 0.001, "via": "pause" });
    let steps: Vec<Value> = (1..tries).map(|_| step.clone()).collect();
    let keys = [
        (
            "failure",
            json!({ "probability": case.params["failure_probability"] }),
        ),
        ("on_failure", json!({ "retry": steps, "then": "failed" })),
    ];
    let poisson = json!({ "process": "poisson", "rate_per_s": 1.0 });
    let service = json!({ "dist": "deterministic", "mean_s": 0.001 });
    let pairs = [
        ("attempts_per_job", "stations.s.arrivals / requests.started"),
        ("dead_letter_fraction", "requests.failed / requests.started"),
    ];
    Ok(Written {
        head: String::new(),
        tables: vec![
            source("arrivals", &poisson, &json!("s"), &[]),
            station("s", &service, &json!("infinite"), &keys)?,
            delay("pause"),
        ],
        checks: checks(case, &pairs),
    })
}

fn redundancy(case: &Case) -> Result<Written, Unsaid> {
    let count = case.params["servers"]
        .as_u64()
        .ok_or("no number of servers")?;
    let ids: Vec<String> = (1..=count).map(|index| format!("s{index}")).collect();
    let to = json!({ "hedge": ids, "after_s": 0.0, "d": case.params["dispatch"]["d"] });
    let mut tables = vec![source("arrivals", &arrivals(case)?, &to, &[])];
    for id in &ids {
        tables.push(station(id, &case.params["service"], &json!(1), &[])?);
    }
    Ok(Written {
        head: String::new(),
        tables,
        checks: checks(case, SYSTEM),
    })
}

fn fastest_idle(case: &Case) -> Result<Written, Unsaid> {
    let laws: Result<Vec<Value>, Unsaid> = list(&case.params["service"]).iter().map(dist).collect();
    let keys = [
        ("servers", case.params["servers"].clone()),
        ("service_by_server", json!(laws?)),
        ("idle_server", json!("fastest")),
        ("next", json!("done")),
    ];
    let mut list_of_checks = checks(case, SYSTEM);
    for (index, row) in list(&case.expect["servers"]).iter().enumerate() {
        let path = format!("stations.s.servers.{index}.utilization");
        list_of_checks.push(Check::new(case, &path, number(&row["utilization"])));
    }
    Ok(Written {
        head: String::new(),
        tables: vec![
            source("arrivals", &arrivals(case)?, &json!("s"), &[]),
            table("station", "s", "server", &keys),
        ],
        checks: list_of_checks,
    })
}

/// One station with one server and one key of its own, beside the usual checks those of `pairs`.
fn lone(case: &Case, key: (&str, Value), pairs: &[(&str, &str)]) -> Result<Written, Unsaid> {
    Ok(Written {
        head: String::new(),
        tables: vec![
            source("arrivals", &arrivals(case)?, &json!("s"), &[]),
            station("s", &case.params["service"], &json!(1), &[key])?,
        ],
        checks: checks(case, [SYSTEM, STATION, pairs].concat().iter()),
    })
}

fn batch_worker(case: &Case) -> Result<Written, Unsaid> {
    let rule = &case.params["batch_service"];
    let batch = json!({
        "max": rule["max_batch"], "min": rule["min_batch"], "linger_s": number(&rule["linger_s"])
    });
    let pairs = [("mean_batch_size", "stations.s.batch_size")];
    lone(case, ("batch_service", batch), &pairs)
}

/// A gate of one server that is busy until all tasks have joined.
fn split_merge(case: &Case) -> Result<Written, Unsaid> {
    let service = &case.params["service"];
    let tasks = case.params["fork_join"]["tasks"]
        .as_u64()
        .ok_or("no number of tasks")?;
    let ids: Vec<String> = (1..=tasks).map(|index| format!("task{index}")).collect();
    let calls = json!({ "fork": ids, "join": "done" });
    let mut tables = vec![
        source("arrivals", &arrivals(case)?, &json!("s"), &[]),
        station("s", &at_once(), &json!(1), &[("calls", calls)])?,
    ];
    for id in &ids {
        tables.push(station(id, service, &json!(1), &[])?);
    }
    Ok(Written {
        head: String::new(),
        tables,
        checks: checks(case, [SYSTEM, STATION].concat().iter()),
    })
}

fn quorum(case: &Case) -> Result<Written, Unsaid> {
    let rule = &case.params["fork_join"];
    let (tasks, wait_for) = (&rule["tasks"], &rule["wait_for"]);
    let to = json!({ "fork": ["s"], "copies": tasks, "join": "done", "wait_for": wait_for });
    Ok(Written {
        head: String::new(),
        tables: vec![
            source("arrivals", &arrivals(case)?, &to, &[]),
            station("s", &case.params["service"], &json!("infinite"), &[])?,
        ],
        checks: checks(case, SYSTEM),
    })
}

/// A circle of stations with the wanted visits per round: `v` visits to the first, the rest by chance.
fn closed(case: &Case) -> Result<Written, Unsaid> {
    let rows = list(&case.params["stations"]);
    let mut process = json!({ "process": "closed", "users": case.params["users"] });
    if let Some(mean) = case.params["think_time"]["mean_s"].as_f64() {
        process["think"] = exponential(mean);
    }
    let mut tables = vec![source("arrivals", &process, &rows[0]["name"], &[])];
    for (index, row) in rows.iter().enumerate() {
        // Each visit is repeated with chance 1 - 1/v, and v visits follow from one entry.
        let visits = number(&row["visits_per_cycle"]);
        let onward = rows
            .get(index + 1)
            .map_or(json!("done"), |next| next["name"].clone());
        let next = if visits > 1.0 {
            let leave = 1.0 / visits;
            json!({ "probability": [
                { "to": row["name"], "p": 1.0 - leave }, { "to": onward, "p": leave }
            ] })
        } else {
            onward
        };
        let id = row["name"].as_str().ok_or("a station without a name")?;
        tables.push(station(
            id,
            &row["service"],
            &row["servers"],
            &[("next", next)],
        )?);
    }
    let pairs = [
        ("throughput_per_s", "system.throughput_per_s"),
        ("mean_response_s", "system.sojourn_s.mean"),
    ];
    let mut found = checks(case, &pairs);
    let stations = case.expect["stations"].as_object();
    for (id, row) in stations.into_iter().flatten() {
        let keys = [
            ("utilization", "utilization"),
            ("mean_visit_sojourn_s", "sojourn_s.mean"),
            ("mean_in_station", "in_station"),
        ];
        for (key, path) in keys {
            found.push(Check::new(
                case,
                &format!("stations.{id}.{path}"),
                number(&row[key]),
            ));
        }
    }
    Ok(Written {
        head: String::new(),
        tables,
        checks: found,
    })
}

fn blocking(case: &Case) -> Result<Written, Unsaid> {
    let rows = list(&case.params["stations"]);
    let is_saturated = rows[0]["always_has_work"] == true;
    let places = rows[1]["waiting_places"]
        .as_u64()
        .ok_or("no number of places")?;
    let full = [("capacity", json!(places + 1)), ("on_full", json!("block"))];
    let process = if is_saturated {
        // With a user more than fit behind the first server and in it, it always has work.
        json!({ "process": "closed", "users": places + 4 })
    } else {
        arrivals(case)?
    };
    let mut found = checks(case, SYSTEM);
    if !is_saturated {
        let second = &case.expect["stations"]["second"];
        let (first, load) = (
            &case.expect["stations"]["first"],
            number(&second["utilization"]),
        );
        let blocked = number(&case.expect["p_first_server_blocked"]);
        found.extend([
            Check::new(
                case,
                "stations.first.in_station",
                number(&first["mean_in_station"]),
            ),
            Check::new(
                case,
                "stations.second.in_station",
                number(&second["mean_in_station"]),
            ),
            Check::new(case, "stations.second.utilization", load),
            Check::new(case, "stations.first.p_blocked", blocked),
        ]);
    }
    Ok(Written {
        head: String::new(),
        tables: vec![
            source("arrivals", &process, &json!("first"), &[]),
            station(
                "first",
                &rows[0]["service"],
                &json!(1),
                &[("next", json!("second"))],
            )?,
            station("second", &rows[1]["service"], &json!(1), &full)?,
        ],
        checks: found,
    })
}

fn cold_start(case: &Case) -> Result<Written, Unsaid> {
    let setup = dist(&case.params["setup"])?;
    let pairs = [
        ("p_off", "stations.s.p_off"),
        ("p_starting", "stations.s.p_starting"),
    ];
    lone(case, ("setup", setup), &pairs)
}

fn breakdown(case: &Case) -> Result<Written, Unsaid> {
    let rule = &case.params["breakdown"];
    let law = json!({ "up": dist(&rule["up"])?, "down": dist(&rule["down"])? });
    let pairs = [("availability", "stations.s.availability")];
    lone(case, ("breakdown", law), &pairs)
}

/// A bucket before a station without work of its own.
fn token_bucket(case: &Case) -> Result<Written, Unsaid> {
    let bucket = &case.params["token_bucket"];
    let is_dropping = bucket["when_empty"] == "drop";
    let refill = if bucket["refill"] == "continuous" {
        "continuous"
    } else {
        "tick"
    };
    let limit = json!({
        "per_s": bucket["rate_per_s"], "burst": bucket["burst"], "refill": refill,
        "when_empty": if is_dropping { "drop" } else { "delay" }
    });
    let mut more = Vec::new();
    let (mut process, mut head) = (Value::Null, String::new());
    let mut found = checks(
        case,
        &[
            ("p_drop", "stations.s.p_reject"),
            ("throughput_per_s", "stations.s.throughput_per_s"),
            ("mean_wait_s", "stations.s.waiting_s.mean"),
            ("p_wait", "stations.s.p_wait"),
            ("p95_wait_s", "stations.s.waiting_s.p95"),
            ("p99_wait_s", "stations.s.waiting_s.p99"),
            ("max_wait_s", "stations.s.waiting_s.max"),
        ],
    );
    if let Some(jobs) = case.params["burst_jobs"].as_u64() {
        // One burst; the next would come after the run.
        process = json!({ "process": "deterministic", "every_s": 3600.0 });
        more.push(("batch", json!(jobs)));
        // A run of so many requests would cut what is before its first completion.
        head = "duration = \"3700s\"\nwarmup = \"0s\"\n".to_owned();
        let at_once = number(&case.expect["jobs_without_wait"]) / number(&json!(jobs));
        found.push(Check::new(case, "stations.s.p_wait", 1.0 - at_once));
    } else if let Some(count) = case.params["arrival_process"]["count"].as_u64() {
        head = format!("requests = {count}\n");
        let accepted = number(&case.expect["accepted"]);
        found.push(Check::new(case, "stations.s.completed", accepted));
        let dropped = number(&case.expect["dropped"]);
        found.push(Check::new(case, "stations.s.rejected", dropped));
    }
    if process.is_null() {
        process = arrivals(case)?;
    }
    let keys = [("rate_limit", limit), ("on_full", json!("reject"))];
    Ok(Written {
        head,
        tables: vec![
            source("arrivals", &process, &json!("s"), &more),
            station("s", &at_once(), &json!("infinite"), &keys)?,
        ],
        checks: found,
    })
}
