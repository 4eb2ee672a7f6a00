//! Live beside simulated: the same places, read from two reels by the same reducer.
//!
//! Belongs here: which settings make the two comparable, the table. Does not belong here: statistics
//! with intervals (`flowreel compare`).

use crate::talk;
use anyhow::{Context, Result};
use serde_json::Value;

/// What a reader of the table must know.
pub(super) const REMARK: &str = "    the simulation takes its arrival rate, its length and the share of refused mails from the recording; service times\n    are those of the scenario, and its ladder waits minutes where the recorded one waited seconds";

/// What the simulation takes over from the recording.
pub(super) struct Inputs {
    /// As `--duration` takes it.
    pub(super) duration: String,
    /// As `--set` takes them.
    pub(super) settings: Vec<String>,
}

/// Rate, length and share of refused mails of the recording.
pub(super) fn inputs(state: &Value, info: &Value) -> Result<Inputs> {
    let seconds = info["duration_s"]
        .as_f64()
        .context("`flowreel info` told no duration_s")?;
    let requests = info["requests"]
        .as_f64()
        .context("`flowreel info` told no requests")?;
    let rate_per_s = requests / seconds.max(1.0);
    let mut settings = vec![format!(
        "source.clients.arrivals.rate_per_s={rate_per_s:.3}"
    )];
    let relay = component(state, "smtp").context("the recording has no component `smtp`")?;
    let (sent, refused) = (count(relay, "completed"), count(relay, "failed"));
    if let (Some(sent), Some(refused)) = (sent, refused)
        && sent + refused > 0.0
    {
        settings.push(format!(
            "station.smtp.failure.probability={:.4}",
            refused / (sent + refused)
        ));
    }
    Ok(Inputs {
        duration: format!("{seconds:.1}s"),
        settings,
    })
}

/// One row per component that both runs have.
pub(super) fn table(live: &Value, simulated: &Value) -> Result<String> {
    let heading = [
        "component",
        "arrivals live",
        "simulated",
        "waiting live",
        "simulated",
        "service live",
        "simulated",
        "failed live",
        "simulated",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let components = live["components"]
        .as_array()
        .context("`flowreel state` told no components")?;
    for ours in components {
        let Some(id) = ours["id"].as_str() else {
            continue;
        };
        let Some(theirs) = component(simulated, id) else {
            continue;
        };
        let mut row = vec![id.to_owned()];
        for (key, is_time) in [
            ("arrivals", false),
            ("waiting_s", true),
            ("service_s", true),
            ("failed", false),
        ] {
            for side in [ours, theirs] {
                row.push(if is_time {
                    time(&side[key])
                } else {
                    whole(side, key)
                });
            }
        }
        rows.push(row);
    }
    Ok(talk::table(&rows))
}

fn component<'a>(state: &'a Value, id: &str) -> Option<&'a Value> {
    state["components"]
        .as_array()?
        .iter()
        .find(|component| component["id"] == id)
}

fn count(component: &Value, key: &str) -> Option<f64> {
    component[key].as_f64()
}

fn whole(component: &Value, key: &str) -> String {
    count(component, key).map_or("-".to_owned(), |count| format!("{count:.0}"))
}

/// The mean of a measure in milliseconds, given as `{"mean": …}` or as the mean itself.
fn time(measure: &Value) -> String {
    let mean = measure["mean"].as_f64().or_else(|| measure.as_f64());
    mean.map_or("-".to_owned(), |mean| format!("{:.1} ms", mean * 1000.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn state(arrivals: u32) -> Value {
        json!({"components": [
            {"id": "smtp", "arrivals": arrivals, "completed": 15, "failed": 5, "waiting_s": {"mean": 0.5}, "service_s": {"mean": null}},
        ]})
    }

    #[test]
    fn the_simulation_takes_rate_and_share_from_the_recording() {
        let inputs = inputs(&state(20), &json!({"duration_s": 40.0, "requests": 100})).unwrap();
        assert_eq!(inputs.duration, "40.0s");
        assert_eq!(
            inputs.settings,
            [
                "source.clients.arrivals.rate_per_s=2.500",
                "station.smtp.failure.probability=0.2500"
            ]
        );
    }

    #[test]
    fn places_that_both_have_stand_side_by_side() {
        let text = table(&state(20), &state(30)).unwrap();
        assert!(
            text.lines().count() == 3 && text.contains("smtp") && text.contains("500.0 ms"),
            "{text}"
        );
        assert!(
            !table(&state(20), &json!({"components": []}))
                .unwrap()
                .contains("smtp")
        );
    }
}
