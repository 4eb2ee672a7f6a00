//! What a reader must know before trusting the figures.
//!
//! Belongs here: sentences about runs that are too short, unsteady or dependent. Does not belong
//! here: refusing to run (traffic, and the command line).

use super::answer::{Answer, Value};
use super::runs::Runs;
use crate::model::time::seconds_from_ns;
use crate::scenario::distribution::Distribution;
use crate::scenario::valid::{Scenario, Stop};

/// What a reader must know before trusting the figures.
pub(super) fn list(scenario: &Scenario, runs: &Runs, answer: &Answer) -> Vec<String> {
    let mut list = Vec::new();
    let unsteady = runs.unsteady;
    if unsteady > 0 && !runs.is_transient {
        list.push(format!(
            "no steady state was found in {unsteady} of {} runs; run longer, or read the figures as those of a beginning",
            runs.count
        ));
    }
    if runs.is_correlated {
        list.push("neighbouring stretches of the run depend on each other, so intervals are too narrow; run longer or use --replications".to_owned());
    }
    let missed = runs.observations.missed(runs.count);
    if let Some(first) = missed.first() {
        list.push(format!(
            "some runs ended before {first} s, a moment of `observe_at_s`; its figures are those of the runs that lasted"
        ));
    }
    let mean = answer.system.sojourn_s.mean;
    match mean {
        None => list.push("no request completed after the warm-up; run longer".to_owned()),
        // The command line says why there are none.
        Some(Value { ci: None, .. }) if runs.is_transient => {}
        Some(Value { ci: None, .. }) => list.push(
            "the run is too short for intervals; run longer or use --replications".to_owned(),
        ),
        Some(Value {
            value,
            ci: Some([low, high]),
        }) if high - low > 0.5 * value => {
            list.push(format!(
                "the run is short for its question: mean sojourn {value:.3} s lies between {low:.3} and {high:.3} s"
            ));
        }
        Some(_) => {}
    }
    list.extend(heavy_tails(scenario));
    if let Stop::Duration(end) = scenario.stop {
        let parked = super::traffic::longest_delay(scenario);
        if let Some((id, delay_s)) =
            parked.filter(|(_, delay_s)| *delay_s > seconds_from_ns(end) / 2.0)
        {
            list.push(format!(
                "`{id}` parks requests for {delay_s} s, longer than half of the run; its figures are those of a beginning"
            ));
        }
    }
    list
}

/// Services whose variance is infinite: their means converge too slowly for any interval to be trusted.
fn heavy_tails(scenario: &Scenario) -> impl Iterator<Item = String> + '_ {
    let is_heavy = |law: &Distribution| law.second_moment_s2().is_infinite();
    let stations = scenario
        .stations
        .iter()
        .filter(move |station| station.service.iter().any(is_heavy));
    stations.map(|station| {
        format!(
            "service times of `{}` have no variance (pareto, alpha at most 2): intervals are too narrow; bound them with high_s",
            scenario.component(station.component).id
        )
    })
}
