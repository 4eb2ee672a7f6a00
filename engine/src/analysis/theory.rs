//! Exact theory, where a station is exactly one of the models it knows.
//!
//! Belongs here: recognising M/M/c, M/G/1, M/G/∞ and open Jackson networks, and their formulas.
//! Does not belong here: approximations; where no exact model fits, nothing is said.

use super::traffic;
use crate::model::id::ComponentId;
use crate::scenario::distribution::Distribution;
use crate::scenario::valid::{
    Arrivals, Batch, Choice, Fork, Hedge, Role, Rule, RuleId, Scenario, Station,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Exact times in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ExactTimes {
    /// Mean.
    pub mean: f64,
    /// Percentile 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<f64>,
    /// Percentile 90.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90: Option<f64>,
    /// Percentile 95.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95: Option<f64>,
    /// Percentile 99.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
}

/// What theory says of one station.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Exact {
    /// Kendall's name of the model.
    pub model: &'static str,
    /// Visits per second.
    pub arrivals_per_s: f64,
    /// Busy share of the servers; absent where they are unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utilization: Option<f64>,
    /// Share that waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_wait: Option<f64>,
    /// From arrival to start of service.
    pub waiting_s: ExactTimes,
    /// From arrival to departure.
    pub sojourn_s: ExactTimes,
    /// Time average of those present.
    pub in_station: f64,
}

/// Stations that are exactly a known model, by name.
pub(super) fn exact(scenario: &Scenario) -> BTreeMap<String, Exact> {
    let traffic = traffic::solve(scenario);
    // Faults leave no steady state to be exact about.
    if !traffic.converged || !scenario.faults.is_empty() {
        return BTreeMap::new();
    }
    let feeders = feeders(scenario);
    let product_form = product_form(scenario, &feeders);
    let mut found = BTreeMap::new();
    for (index, station) in scenario.stations.iter().enumerate() {
        let rates = &traffic.visits_per_s[station.component.index()];
        let rate: f64 = rates.iter().sum();
        if rate <= 0.0 || !is_plain(scenario, station) {
            continue;
        }
        let only_sources = feeders[index]
            .iter()
            .all(|feeder| feeder.is_memoryless_source);
        let exact = match (product_form[index], station.servers) {
            (true, Some(servers)) => mean_of(station).and_then(|mean_s| mmc(rate, mean_s, servers)),
            (_, None) if only_sources || product_form[index] => Some(delay(rate, rates, station)),
            (false, Some(1)) if only_sources => mg1(rate, rates, station),
            _ => None,
        };
        if let Some(exact) = exact {
            found.insert(scenario.component(station.component).id.clone(), exact);
        }
    }
    found
}

/// Who sends to a station.
#[derive(Clone, Copy)]
struct Feeder {
    /// Its position among the stations; `None` for sources.
    station: Option<usize>,
    /// A Poisson source of single requests whose rule remembers nothing.
    is_memoryless_source: bool,
    /// Its rule remembers nothing.
    is_memoryless: bool,
}

/// Who sends to each station, by whatever rule.
fn feeders(scenario: &Scenario) -> Vec<Vec<Feeder>> {
    let sources = scenario.sources.len();
    let mut list: Vec<Vec<Feeder>> = vec![Vec::new(); scenario.stations.len()];
    for source in &scenario.sources {
        let is_memoryless = is_memoryless(scenario, source.to);
        let feeder = Feeder {
            station: None,
            is_memoryless_source: is_memoryless
                && matches!(source.arrivals, Arrivals::Poisson { .. })
                && source.batch == Batch::Constant(1),
            is_memoryless,
        };
        for target in targets(scenario, source.to) {
            list[target.index() - sources].push(feeder);
        }
    }
    for (index, station) in scenario.stations.iter().enumerate() {
        let mut reached: Vec<(ComponentId, bool)> = targets(scenario, station.next)
            .into_iter()
            .map(|target| (target, is_memoryless(scenario, station.next)))
            .collect();
        let rules = [
            Some(station.on_failure),
            station.on_full,
            station.on_abandon,
        ];
        for rule in rules.into_iter().flatten() {
            reached.extend(
                targets(scenario, rule)
                    .into_iter()
                    .map(|target| (target, false)),
            );
        }
        let called = station
            .calls
            .map_or_else(Vec::new, |rule| targets(scenario, rule));
        reached.extend(called.into_iter().map(|callee| (callee, false)));
        for (target, is_memoryless) in reached {
            list[target.index() - sources].push(Feeder {
                station: Some(index),
                is_memoryless_source: false,
                is_memoryless,
            });
        }
    }
    list
}

/// Stations in a product-form network: plain and exponential, fed only by the like and by Poisson sources.
fn product_form(scenario: &Scenario, feeders: &[Vec<Feeder>]) -> Vec<bool> {
    let mut holds: Vec<bool> = scenario
        .stations
        .iter()
        .map(|station| {
            is_plain(scenario, station) && (mean_of(station).is_some() || station.servers.is_none())
        })
        .collect();
    loop {
        let before = holds.clone();
        for (index, feeders) in feeders.iter().enumerate() {
            holds[index] &= feeders.iter().all(|feeder| match feeder.station {
                None => feeder.is_memoryless_source,
                Some(station) => before[station] && feeder.is_memoryless,
            });
        }
        if holds == before {
            return holds;
        }
    }
}

/// Serves first come, first served, loses nobody, and nobody waits for what it does meanwhile.
fn is_plain(scenario: &Scenario, station: &Station) -> bool {
    let worker = scenario
        .stations
        .iter()
        .any(|queue| queue.workers.contains(&station.component));
    station.role == Role::Serve
        && station.capacity.is_none()
        && station.patience.is_none()
        && station.autoscale.is_none()
        && station.rate_limit.is_none()
        && station.calls.is_none()
        && station.failure_probability <= 0.0
        && !worker
}

/// The mean, where every class has the same exponential service.
fn mean_of(station: &Station) -> Option<f64> {
    match station.service.first() {
        Some(Distribution::Exponential { mean_s })
            if station
                .service
                .iter()
                .all(|law| Some(law) == station.service.first()) =>
        {
            Some(*mean_s)
        }
        _ => None,
    }
}

fn is_memoryless(scenario: &Scenario, rule: RuleId) -> bool {
    match scenario.rule(rule) {
        Rule::Done | Rule::Failed | Rule::Station(_) => true,
        Rule::Choose { choice, .. } => matches!(choice, Choice::Random | Choice::Weighted(_)),
        Rule::Probability(list) => list.iter().all(|(_, rule)| is_memoryless(scenario, *rule)),
        Rule::ByClass(rules) => rules.iter().all(|rule| is_memoryless(scenario, *rule)),
        Rule::Copy(_) | Rule::Fork(_) | Rule::Hedge(_) | Rule::Retry { .. } => false,
    }
}

fn targets(scenario: &Scenario, rule: RuleId) -> Vec<ComponentId> {
    match scenario.rule(rule) {
        Rule::Done | Rule::Failed => Vec::new(),
        Rule::Station(station) => vec![*station],
        Rule::Choose { among: list, .. } | Rule::Copy(list) => list.clone(),
        Rule::Fork(Fork { to: list, join, .. })
        | Rule::Hedge(Hedge {
            among: list, join, ..
        }) => list.iter().chain(join).copied().collect(),
        Rule::Probability(list) => list
            .iter()
            .flat_map(|(_, rule)| targets(scenario, *rule))
            .collect(),
        Rule::ByClass(rules) => rules
            .iter()
            .flat_map(|rule| targets(scenario, *rule))
            .collect(),
        Rule::Retry { then, .. } => then.map_or_else(Vec::new, |then| targets(scenario, then)),
    }
}

/// M/M/c (Erlang C; Gross et al. 2018, ch. 3). `None` at utilization 1 and above.
fn mmc(rate: f64, mean_s: f64, servers: u32) -> Option<Exact> {
    let c = f64::from(servers);
    let offered = rate * mean_s;
    let utilization = offered / c;
    if utilization >= 1.0 {
        return None;
    }
    // Erlang B by its recursion, then C from B: no factorials, no overflow.
    let blocking = (1..=servers).fold(1.0, |blocking, n| {
        offered * blocking / (f64::from(n) + offered * blocking)
    });
    let p_wait = blocking / (1.0 - utilization * (1.0 - blocking));
    let drain_per_s = c / mean_s - rate;
    let wait_s = p_wait / drain_per_s;
    let wait_quantile = |q: f64| Some((libm::log(p_wait / (1.0 - q)) / drain_per_s).max(0.0));
    let sojourn_quantile = |q: f64| (servers == 1).then(|| -libm::log(1.0 - q) / drain_per_s);
    Some(Exact {
        model: if servers == 1 { "M/M/1" } else { "M/M/c" },
        arrivals_per_s: rate,
        utilization: Some(utilization),
        p_wait: Some(p_wait),
        waiting_s: times(wait_s, wait_quantile),
        sojourn_s: times(wait_s + mean_s, sojourn_quantile),
        in_station: rate * (wait_s + mean_s),
    })
}

/// M/G/1 (Pollaczek and Khinchine).
fn mg1(rate: f64, rates: &[f64], station: &Station) -> Option<Exact> {
    let over_classes = |f: fn(&Distribution) -> f64| -> f64 {
        let laws = station.service.iter().zip(rates);
        laws.map(|(law, share)| f(law) * share / rate).sum()
    };
    let mean_s = over_classes(Distribution::mean_s);
    let utilization = rate * mean_s;
    if utilization >= 1.0 {
        return None;
    }
    let wait_s = rate * over_classes(Distribution::second_moment_s2) / 2.0 / (1.0 - utilization);
    Some(Exact {
        model: "M/G/1",
        arrivals_per_s: rate,
        utilization: Some(utilization),
        p_wait: Some(utilization),
        waiting_s: times(wait_s, |_| None),
        sojourn_s: times(wait_s + mean_s, |_| None),
        in_station: rate * (wait_s + mean_s),
    })
}

/// M/G/∞: nobody waits.
fn delay(rate: f64, rates: &[f64], station: &Station) -> Exact {
    let laws = station.service.iter().zip(rates);
    let mean_s: f64 = laws.map(|(law, share)| law.mean_s() * share / rate).sum();
    Exact {
        model: "M/G/∞",
        arrivals_per_s: rate,
        utilization: None,
        p_wait: Some(0.0),
        waiting_s: times(0.0, |_| Some(0.0)),
        sojourn_s: times(mean_s, |_| None),
        in_station: rate * mean_s,
    }
}

fn times(mean: f64, quantile: impl Fn(f64) -> Option<f64>) -> ExactTimes {
    ExactTimes {
        mean,
        p50: quantile(0.5),
        p90: quantile(0.9),
        p95: quantile(0.95),
        p99: quantile(0.99),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erlang_c_is_that_of_the_tables() {
        let one = mmc(0.8, 1.0, 1).unwrap();
        assert!((one.waiting_s.mean - 4.0).abs() < 1e-12);
        assert!((one.sojourn_s.p99.unwrap() - 23.025_850_929_940_457).abs() < 1e-9);
        // Offered load 8 on 10 servers: C = 0.4092 (Gross et al. 2018, table of Erlang C).
        let ten = mmc(8.0, 1.0, 10).unwrap();
        assert!(
            (ten.p_wait.unwrap() - 0.409_180).abs() < 1e-5,
            "{:?}",
            ten.p_wait
        );
        assert_eq!(mmc(1.0, 1.0, 1), None);
    }
}
