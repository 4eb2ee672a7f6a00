//! Exact theory, where a station is exactly one of the models it knows.
//!
//! Belongs here: recognising models, and what they say. Does not belong here: their formulas (queueing,
//! closed); approximations: where no exact model fits, nothing is said.
//!
//! Arrivals count as Poisson where every way to a station leads back to Poisson sources through stations
//! that let Poisson streams out again and no circle (Burke 1956); stations of product form may lie on
//! circles (Jackson 1957; Baskett, Chandy, Muntz & Palacios 1975).

use super::closed::{self, Node};
use super::queueing::{self, Kind, Line};
use super::traffic;
use crate::model::id::ComponentId;
use crate::scenario::distribution::Distribution;
use crate::scenario::valid::{
    Arrivals, Batch, Choice, Discipline, Fork, Hedge, Role, Rule, RuleId, Scenario, Station,
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
    let mean = |of: &dyn Fn(&(Option<f64>, f64)) -> f64| -> f64 {
        let weighted = kinds.iter().zip(&times);
        weighted
            .map(|(kind, times)| kind.rate_per_s * of(times))
            .sum::<f64>()
            / rate_per_s
    };
    let busy: f64 = kinds.iter().map(|kind| kind.rate_per_s * kind.mean_s).sum();
    let sojourn_s = mean(&|times| times.1);
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
            .then(|| queueing::only_mean(mean(&|times| times.0.unwrap_or(0.0)))),
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

/// No way leads to failure, splits, or is tried again.
fn everyone_completes(scenario: &Scenario) -> bool {
    let starts = scenario.sources.iter().map(|source| source.to);
    let nexts = scenario.stations.iter().map(|station| station.next);
    starts.chain(nexts).all(|rule| is_plain_way(scenario, rule))
        && scenario
            .stations
            .iter()
            .all(|station| station.failure_probability <= 0.0 && station.role == Role::Serve)
}

fn is_plain_way(scenario: &Scenario, rule: RuleId) -> bool {
    match scenario.rule(rule) {
        Rule::Done | Rule::Station(_) | Rule::Choose { .. } => true,
        Rule::Probability(list) => list.iter().all(|(_, rule)| is_plain_way(scenario, *rule)),
        Rule::ByClass(rules) => rules.iter().all(|rule| is_plain_way(scenario, *rule)),
        _ => false,
    }
}

/// Who sends to a station.
#[derive(Clone, Copy)]
struct Feeder {
    /// Its position among the stations; `None` for sources.
    station: Option<usize>,
    /// A Poisson source of single requests.
    is_poisson_source: bool,
    /// By a rule that remembers nothing.
    is_memoryless: bool,
}

/// Who sends to each station, by whatever rule.
fn feeders(scenario: &Scenario) -> Vec<Vec<Feeder>> {
    let sources = scenario.sources.len();
    let mut list: Vec<Vec<Feeder>> = vec![Vec::new(); scenario.stations.len()];
    for source in &scenario.sources {
        let is_closed = matches!(source.arrivals, Arrivals::Closed { .. });
        let feeder = Feeder {
            station: None,
            // Thinkers of the only source of a closed network are a station without queues.
            is_poisson_source: (matches!(source.arrivals, Arrivals::Poisson { .. })
                || (is_closed && sources == 1))
                && source.batch == Batch::Constant(1),
            is_memoryless: is_memoryless(scenario, source.to),
        };
        for target in targets(scenario, source.to) {
            list[target.index() - sources].push(feeder);
        }
    }
    for (index, station) in scenario.stations.iter().enumerate() {
        // What failed by chance goes its own way by chance; a retry comes back.
        let by_chance = [station.next, station.on_failure];
        let mut reached: Vec<(ComponentId, bool)> = by_chance
            .into_iter()
            .flat_map(|rule| {
                let is_memoryless = is_memoryless(scenario, rule);
                let targets = targets(scenario, rule).into_iter();
                targets.map(move |target| (target, is_memoryless))
            })
            .collect();
        let limits = [station.on_full, station.on_abandon].into_iter().flatten();
        for rule in limits {
            let targets = targets(scenario, rule).into_iter();
            reached.extend(targets.map(|target| (target, false)));
        }
        let all = by_chance
            .into_iter()
            .chain([station.on_full, station.on_abandon].into_iter().flatten());
        if all.into_iter().any(|rule| comes_back(scenario, rule)) {
            reached.push((station.component, false));
        }
        reached.extend(
            called(scenario, station)
                .into_iter()
                .map(|callee| (callee, false)),
        );
        for (target, is_memoryless) in reached {
            list[target.index() - sources].push(Feeder {
                station: Some(index),
                is_poisson_source: false,
                is_memoryless,
            });
        }
    }
    list
}

/// Stations of a product-form network: simple, unlimited, and fed only by the like and by Poisson sources.
fn product_form(scenario: &Scenario, feeders: &[Vec<Feeder>]) -> Vec<bool> {
    let mut holds: Vec<bool> = scenario
        .stations
        .iter()
        .map(|station| is_simple(scenario, station) && !is_limited(station) && is_balanced(station))
        .collect();
    loop {
        let before = holds.clone();
        for (index, feeders) in feeders.iter().enumerate() {
            holds[index] &= feeders.iter().all(|feeder| {
                feeder.is_memoryless
                    && match feeder.station {
                        None => feeder.is_poisson_source,
                        Some(station) => before[station],
                    }
            });
        }
        if holds == before {
            return holds;
        }
    }
}

/// Stations whose arrivals are Poisson: on no circle, behind stations of product form only.
fn poisson_fed(feeders: &[Vec<Feeder>], product_form: &[bool]) -> Vec<bool> {
    let mut holds = vec![false; feeders.len()];
    loop {
        let before = holds.clone();
        for (index, feeders) in feeders.iter().enumerate() {
            holds[index] |= feeders.iter().all(|feeder| {
                feeder.is_memoryless
                    && match feeder.station {
                        None => feeder.is_poisson_source,
                        Some(station) => before[station] && product_form[station],
                    }
            });
        }
        if holds == before {
            return holds;
        }
    }
}

/// In which order a station serves, as far as means depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Arrival,
    /// Another order that looks at neither sizes nor classes, nobody interrupted.
    BlindToSize,
    Shared,
    NewestInterrupts,
    Priority {
        interrupts: bool,
    },
    /// By sizes: no formula here.
    Other,
}

const fn order(station: &Station) -> Order {
    match station.line.discipline {
        Discipline::Fifo => Order::Arrival,
        Discipline::Lifo | Discipline::Random => Order::BlindToSize,
        Discipline::ProcessorSharing => Order::Shared,
        Discipline::LifoPreemptive => Order::NewestInterrupts,
        Discipline::Priority => Order::Priority { interrupts: false },
        Discipline::PreemptivePriority => Order::Priority { interrupts: true },
        Discipline::Sjf | Discipline::Srpt | Discipline::Las => Order::Other,
    }
}

/// Serves by itself from its own line, with nothing beside.
fn is_simple(scenario: &Scenario, station: &Station) -> bool {
    let is_worker = scenario
        .stations
        .iter()
        .any(|queue| queue.workers.contains(&station.component));
    station.role == Role::Serve
        && station.line.serves_alike()
        && station.autoscale.is_none()
        && station.rate_limit.is_none()
        && station.calls.is_none()
        && !is_worker
}

/// May turn requests away, or lose them.
const fn is_limited(station: &Station) -> bool {
    station.capacity.is_some() || station.patience.is_some()
}

/// One of the four kinds of station of Baskett, Chandy, Muntz and Palacios.
fn is_balanced(station: &Station) -> bool {
    match (order(station), station.servers) {
        (_, None) | (Order::Shared, _) | (Order::NewestInterrupts, Some(1)) => true,
        (Order::Arrival | Order::BlindToSize, _) => mean_of(station).is_some(),
        _ => false,
    }
}

/// The mean, where every class has the same exponential service.
fn mean_of(station: &Station) -> Option<f64> {
    let first = station.service.first();
    match first {
        Some(Distribution::Exponential { mean_s })
            if station.service.iter().all(|law| Some(law) == first) =>
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

/// Does a retry lead back to the station that takes this rule?
fn comes_back(scenario: &Scenario, rule: RuleId) -> bool {
    match scenario.rule(rule) {
        Rule::Retry { .. } => true,
        Rule::Probability(list) => list.iter().any(|(_, rule)| comes_back(scenario, *rule)),
        Rule::ByClass(rules) => rules.iter().any(|rule| comes_back(scenario, *rule)),
        _ => false,
    }
}

fn called(scenario: &Scenario, station: &Station) -> Vec<ComponentId> {
    station
        .calls
        .map_or_else(Vec::new, |rule| targets(scenario, rule))
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
