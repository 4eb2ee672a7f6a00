//! Exact theory, where a station is exactly one of the models it knows.
//!
//! Belongs here: recognising models, and what they say. Does not belong here: their formulas (queueing,
//! closed); approximations: where no exact model fits, nothing is said.
//!
//! Arrivals count as Poisson where every way to a station leads back to Poisson sources through stations
//! that let Poisson streams out again and no circle (Burke 1956); stations of product form may lie on
//! circles (Jackson 1957; Baskett, Chandy, Muntz & Palacios 1975).

use super::closed::{self, Node};
use super::conditions::{
    Order, everyone_completes, feeders, is_limited, is_simple, mean_of, order, poisson_fed,
    product_form,
};
use super::queueing::{self, Kind, Line};
use super::traffic;
use crate::scenario::distribution::Distribution;
use crate::scenario::valid::{Arrivals, Rule, Scenario, Station};
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

/// What theory says of one class at a station with priorities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ExactClass {
    /// From arrival to start of service; absent where services are interrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_s: Option<ExactTimes>,
    /// From arrival to departure.
    pub sojourn_s: ExactTimes,
}

/// What theory says of one station, or of the whole system under the name `system`. Where requests are
/// refused or leave, times are those of the served.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exact {
    /// Kendall's name of the model.
    pub model: &'static str,
    /// Visits per second.
    pub arrivals_per_s: f64,
    /// Busy share of the servers; absent where they are unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utilization: Option<f64>,
    /// Share of the accepted that waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_wait: Option<f64>,
    /// Share refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_reject: Option<f64>,
    /// Share that leaves the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_abandon: Option<f64>,
    /// From arrival to start of service; absent where services are shared or interrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_s: Option<ExactTimes>,
    /// From arrival to departure.
    pub sojourn_s: ExactTimes,
    /// Time average of those present.
    pub in_station: f64,
    /// By class, where classes differ.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, ExactClass>,
}

impl Exact {
    /// Of that model, with nothing said yet.
    pub(super) const fn of(model: &'static str, arrivals_per_s: f64) -> Self {
        Self {
            model,
            arrivals_per_s,
            utilization: None,
            p_wait: None,
            p_reject: None,
            p_abandon: None,
            waiting_s: None,
            sojourn_s: ExactTimes {
                mean: 0.0,
                p50: None,
                p90: None,
                p95: None,
                p99: None,
            },
            in_station: 0.0,
            classes: BTreeMap::new(),
        }
    }
}

/// Name of the entry for the whole system; a station of that name keeps it for itself.
const SYSTEM: &str = "system";

/// Stations that are exactly a known model, by name.
pub(super) fn exact(scenario: &Scenario) -> BTreeMap<String, Exact> {
    // Faults leave no steady state to be exact about.
    if !scenario.faults.is_empty() {
        return BTreeMap::new();
    }
    let feeders = feeders(scenario);
    let product_form = product_form(scenario, &feeders);
    if let [only] = &scenario.sources[..]
        && let Arrivals::Closed { users, think } = &only.arrivals
    {
        return closed_network(scenario, *users, think.mean_s(), &product_form).unwrap_or_default();
    }
    let traffic = traffic::solve(scenario);
    if !traffic.converged {
        return BTreeMap::new();
    }
    let is_poisson = poisson_fed(&feeders, &product_form);
    let mut found = BTreeMap::new();
    let mut is_all = scenario.transits.is_empty();
    let (mut present, mut visited) = (0.0, 0);
    for (index, station) in scenario.stations.iter().enumerate() {
        let rates = &traffic.visits_per_s[station.component.index()];
        if rates.iter().sum::<f64>() <= 0.0 {
            continue;
        }
        let fed = Fed {
            is_poisson: is_poisson[index],
            is_product_form: product_form[index],
        };
        let exact = at_station(scenario, station, rates, fed);
        visited += 1;
        match exact {
            Some(exact) => {
                present += exact.in_station;
                is_all &= exact.p_reject.is_none() && exact.p_abandon.is_none();
                found.insert(scenario.component(station.component).id.clone(), exact);
            }
            None => is_all = false,
        }
    }
    let rate: f64 = scenario
        .sources
        .iter()
        .map(|source| source.arrivals.rate_per_s() * source.batch.mean())
        .sum();
    if is_all && visited > 1 && everyone_completes(scenario) && !found.contains_key(SYSTEM) {
        let whole = Exact {
            sojourn_s: queueing::only_mean(present / rate),
            in_station: present,
            ..Exact::of("open network", rate)
        };
        found.insert(SYSTEM.to_owned(), whole);
    }
    found
}

/// What is known of the arrivals at a station.
#[derive(Clone, Copy)]
struct Fed {
    is_poisson: bool,
    is_product_form: bool,
}

fn at_station(scenario: &Scenario, station: &Station, rates: &[f64], fed: Fed) -> Option<Exact> {
    let rate_per_s: f64 = rates.iter().sum();
    let over_classes = |f: fn(&Distribution) -> f64| -> f64 {
        let laws = station.service.iter().zip(rates);
        laws.map(|(law, share)| f(law) * share / rate_per_s).sum()
    };
    let mean_s = over_classes(Distribution::mean_s);
    let line = |servers| Line {
        rate_per_s,
        mean_s,
        servers,
    };
    let order = order(station);
    if !is_simple(scenario, station) || !(fed.is_poisson || fed.is_product_form) {
        return None;
    }
    let is_exponential = mean_of(station).is_some();
    let Some(servers) = station.servers else {
        return (!is_limited(station)).then(|| queueing::delay(rate_per_s, mean_s));
    };
    if is_limited(station) {
        // Losses break product form, so only arrivals that are Poisson by themselves will do.
        if !fed.is_poisson || order != Order::Arrival {
            return None;
        }
        return match (station.capacity, &station.patience) {
            (Some(capacity), None) if capacity == servers => Some(queueing::loss(line(servers))),
            (capacity, None) if is_exponential && capacity.is_none_or(|c| c > servers) => {
                queueing::limited(line(servers), capacity, 0.0)
            }
            (capacity, Some(Distribution::Exponential { mean_s: patience_s }))
                if is_exponential && capacity.is_none_or(|c| c > servers) =>
            {
                queueing::limited(line(servers), capacity, 1.0 / patience_s)
            }
            (None, Some(Distribution::Deterministic { mean_s: patience_s })) if is_exponential => {
                queueing::same_patience(line(servers), *patience_s)
            }
            _ => None,
        };
    }
    match order {
        Order::Arrival | Order::BlindToSize if is_exponential => {
            queueing::mmc(line(servers), order == Order::Arrival)
        }
        Order::Arrival | Order::BlindToSize if servers == 1 && fed.is_poisson => {
            queueing::mg1(line(1), over_classes(Distribution::second_moment_s2))
        }
        Order::Shared => {
            let model = if servers == 1 { "M/G/1-PS" } else { "M/G/c-PS" };
            queueing::insensitive(line(servers), model)
        }
        Order::NewestInterrupts if servers == 1 => {
            queueing::insensitive(line(1), "M/G/1 LIFO, preemptive")
        }
        Order::Priority { interrupts } if fed.is_poisson => {
            with_priorities(scenario, station, rates, servers, interrupts)
        }
        _ => None,
    }
}

fn with_priorities(
    scenario: &Scenario,
    station: &Station,
    rates: &[f64],
    servers: u32,
    interrupts: bool,
) -> Option<Exact> {
    if servers > 1 && (interrupts || mean_of(station).is_none()) {
        return None;
    }
    let mut kinds = Vec::new();
    let mut names = Vec::new();
    for ((class, law), rate) in scenario.classes().iter().zip(&station.service).zip(rates) {
        if *rate > 0.0 {
            names.push(class.id.clone());
            kinds.push(Kind {
                priority: class.priority,
                rate_per_s: *rate,
                mean_s: law.mean_s(),
                second_moment_s2: law.second_moment_s2(),
            });
        }
    }
    let times = queueing::priorities(&kinds, servers, interrupts)?;
    let rate_per_s: f64 = rates.iter().sum();
    let mean = |of_each: Vec<f64>| -> f64 {
        let weighted = kinds.iter().zip(of_each);
        weighted
            .map(|(kind, mean_s)| kind.rate_per_s * mean_s)
            .sum::<f64>()
            / rate_per_s
    };
    let busy: f64 = kinds.iter().map(|kind| kind.rate_per_s * kind.mean_s).sum();
    let sojourn_s = mean(times.iter().map(|times| times.1).collect());
    if !sojourn_s.is_finite() {
        return None;
    }
    let model = match (interrupts, servers) {
        (true, _) => "M/G/1, preemptive priorities",
        (false, 1) => "M/G/1, priorities",
        (false, _) => "M/M/c, priorities",
    };
    let of_class = |(waiting_s, sojourn_s): &(Option<f64>, f64)| ExactClass {
        waiting_s: waiting_s.map(queueing::only_mean),
        sojourn_s: queueing::only_mean(*sojourn_s),
    };
    Some(Exact {
        utilization: Some(busy / f64::from(servers)),
        waiting_s: (!interrupts)
            .then(|| times.iter().map(|times| times.0.unwrap_or(0.0)).collect())
            .map(|each| queueing::only_mean(mean(each))),
        sojourn_s: queueing::only_mean(sojourn_s),
        in_station: rate_per_s * sojourn_s,
        classes: names.into_iter().zip(times.iter().map(of_class)).collect(),
        ..Exact::of(model, rate_per_s)
    })
}

/// Users who think, and stations of product form only.
fn closed_network(
    scenario: &Scenario,
    users: u32,
    think_s: f64,
    product_form: &[bool],
) -> Option<BTreeMap<String, Exact>> {
    let traffic = traffic::solve_at(scenario, &|_source| 1.0);
    if !traffic.converged || !scenario.transits.is_empty() {
        return None;
    }
    let (mut stations, mut nodes) = (Vec::new(), Vec::new());
    for (index, station) in scenario.stations.iter().enumerate() {
        let rates = &traffic.visits_per_s[station.component.index()];
        let visits: f64 = rates.iter().sum();
        if visits <= 0.0 {
            continue;
        }
        if !product_form[index] {
            return None;
        }
        let laws = station.service.iter().zip(rates);
        nodes.push(Node {
            visits,
            mean_s: laws.map(|(law, rate)| law.mean_s() * rate / visits).sum(),
            servers: station.servers,
        });
        stations.push(station);
    }
    // A retry's delay is a place too, which the traffic does not count.
    if scenario
        .rules
        .iter()
        .any(|rule| matches!(rule, Rule::Retry { .. }))
    {
        return None;
    }
    let network = closed::solve(users, think_s, &nodes)?;
    let mut found = BTreeMap::new();
    let mut present = 0.0;
    for ((station, node), (in_station, p_wait)) in stations.iter().zip(&nodes).zip(&network.nodes) {
        let rate = network.cycles_per_s * node.visits;
        let sojourn_s = in_station / rate;
        let is_in_line = matches!(order(station), Order::Arrival | Order::BlindToSize);
        let busy = rate * node.mean_s;
        present += in_station;
        let exact = Exact {
            utilization: node.servers.map(|servers| busy / f64::from(servers)),
            p_wait: Some(*p_wait).filter(|_| is_in_line),
            waiting_s: is_in_line.then(|| queueing::only_mean((sojourn_s - node.mean_s).max(0.0))),
            sojourn_s: queueing::only_mean(sojourn_s),
            in_station: *in_station,
            ..Exact::of("closed network", rate)
        };
        found.insert(scenario.component(station.component).id.clone(), exact);
    }
    if !found.contains_key(SYSTEM) && everyone_completes(scenario) {
        let rate = network.cycles_per_s;
        let whole = Exact {
            sojourn_s: queueing::only_mean(present / rate),
            in_station: present,
            ..Exact::of("closed network", rate)
        };
        found.insert(SYSTEM.to_owned(), whole);
    }
    Some(found)
}
