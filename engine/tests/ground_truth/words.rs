//! The scenario language's words: values, laws, arrivals, stations and sources as TOML.
//!
//! Belongs here: how one thing is written. Does not belong here: which things a case needs (write, extra).

use crate::case::{Case, list, number, text};
use serde_json::{Value, json};

/// Why a case cannot be said in the scenario language.
pub(crate) type Unsaid = String;

/// A value as inline TOML.
pub(crate) fn toml(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{key} = {}", toml(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        plain => plain.to_string(),
    }
}

/// A law of times.
pub(crate) fn dist(law: &Value) -> Result<Value, Unsaid> {
    let kind = text(&law["dist"]);
    let mean = law["mean_s"].as_f64().unwrap_or(0.0);
    Ok(match kind {
        "exponential" | "deterministic" => json!({ "dist": kind, "mean_s": mean }),
        "uniform" => json!({ "dist": kind, "low_s": law["low_s"], "high_s": law["high_s"] }),
        "erlang" => json!({ "dist": kind, "k": law["k"], "mean_s": mean }),
        "gamma" | "lognormal" => json!({ "dist": kind, "mean_s": mean, "scv": law["scv"] }),
        "weibull" => json!({ "dist": kind, "shape": law["shape"], "mean_s": mean }),
        "pareto" => json!({ "dist": kind, "alpha": law["shape"], "low_s": law["scale_s"] }),
        "discrete" => json!({ "dist": kind, "values_s": law["values_s"], "p": law["probs"] }),
        "hyperexponential" => {
            let phases = list(&law["phases"]);
            let mut p: Vec<f64> = phases.iter().map(|phase| number(&phase["p"])).collect();
            let means: Vec<f64> = phases
                .iter()
                .map(|phase| 1.0 / number(&phase["rate_per_s"]))
                .collect();
            // Ten digits do not add up to 1.
            let last = p.pop().map(|_| 1.0 - p.iter().sum::<f64>());
            p.extend(last);
            json!({ "dist": kind, "p": p, "means_s": means })
        }
        other => return Err(format!("distribution {other}")),
    })
}

/// The arrival process of a case.
pub(crate) fn arrivals(case: &Case) -> Result<Value, Unsaid> {
    let process = &case.params["arrival_process"];
    let poisson = |rate: &Value| json!({ "process": "poisson", "rate_per_s": number(rate) });
    Ok(match text(&process["type"]) {
        "poisson" => poisson(&case.params["arrival_rate_per_s"]),
        "batch_poisson" => poisson(&process["batch_rate_per_s"]),
        "deterministic" => json!({ "process": "deterministic", "every_s": process["interval_s"] }),
        "renewal" => {
            let mut words = dist(&process["interarrival"])?;
            words["process"] = json!("renewal");
            words
        }
        "mmpp" => {
            let leave = &process["leave_phase_rate_per_s"];
            let switch = json!([[0.0, leave[0]], [leave[1], 0.0]]);
            json!({ "process": "mmpp", "rates_per_s": process["rates_per_s"], "switch_per_s": switch })
        }
        "sinusoidal_poisson" => json!({
            "process": "diurnal", "rate_per_s": process["a"], "amplitude": process["b"],
            "period_s": process["period_s"], "phase_s": 0.0
        }),
        other => return Err(format!("arrival process {other}")),
    })
}

/// Several arrive at once: how many, as the source's `batch`.
pub(crate) fn batch(case: &Case) -> Option<Value> {
    let size = case.params["arrival_process"].get("batch_size")?;
    let geometric = || json!({ "dist": "geometric", "mean": 1.0 / number(&size["p"]) });
    Some(if size["dist"] == "constant" {
        size["value"].clone()
    } else {
        geometric()
    })
}

/// A source of everything that arrives.
pub(crate) fn source(id: &str, arrivals: &Value, to: &Value, more: &[(&str, Value)]) -> String {
    let keys = [("arrivals", arrivals.clone()), ("to", to.clone())];
    table("source", id, "clients", &[&keys, more].concat())
}

/// A station that serves by a law of the table; without a `next` among its keys it is the last.
pub(crate) fn station(
    id: &str,
    service: &Value,
    servers: &Value,
    more: &[(&str, Value)],
) -> Result<String, Unsaid> {
    let mut keys = vec![("service", dist(service)?), ("servers", servers.clone())];
    keys.extend_from_slice(more);
    if !more.iter().any(|(key, _)| *key == "next") {
        keys.push(("next", json!("done")));
    }
    Ok(table("station", id, "server", &keys))
}

/// A station that only lets time pass.
pub(crate) fn delay(id: &str) -> String {
    table("station", id, "delay", &[("servers", json!("infinite"))])
}

/// One table of a scenario.
pub(crate) fn table(name: &str, id: &str, kind: &str, keys: &[(&str, Value)]) -> String {
    let mut lines = vec![format!("[[{name}]]\nid = \"{id}\"\nkind = \"{kind}\"")];
    lines.extend(
        keys.iter()
            .map(|(key, value)| format!("{key} = {}", toml(value))),
    );
    lines.join("\n") + "\n"
}
