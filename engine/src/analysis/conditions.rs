//! Which exact models apply: who feeds whom, by what process, in what order they are served.
//!
//! Belongs here: reading the scenario for the conditions of theorems. Does not belong here: what the
//! theorems say (theory), formulas (queueing, closed).

use crate::model::id::ComponentId;
use crate::scenario::blocking::may_hold;
use crate::scenario::distribution::Distribution;
use crate::scenario::valid::{
    Arrivals, Batch, Choice, Discipline, Fork, Hedge, Role, Rule, RuleId, Scenario, Station,
};

/// No way leads to failure, splits, or is tried again.
pub(super) fn everyone_completes(scenario: &Scenario) -> bool {
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
pub(super) struct Feeder {
    /// Its position among the stations; `None` for sources.
    station: Option<usize>,
    /// A Poisson source of single requests.
    is_poisson_source: bool,
    /// By a rule that remembers nothing.
    is_memoryless: bool,
}

/// Who sends to each station, by whatever rule.
pub(super) fn feeders(scenario: &Scenario) -> Vec<Vec<Feeder>> {
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
pub(super) fn product_form(scenario: &Scenario, feeders: &[Vec<Feeder>]) -> Vec<bool> {
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
pub(super) fn poisson_fed(feeders: &[Vec<Feeder>], product_form: &[bool]) -> Vec<bool> {
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
pub(super) enum Order {
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

pub(super) const fn order(station: &Station) -> Order {
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
pub(super) fn is_simple(scenario: &Scenario, station: &Station) -> bool {
    let is_worker = scenario
        .stations
        .iter()
        .any(|queue| queue.workers.contains(&station.component));
    station.role == Role::Serve
        && station.line.serves_alike()
        && station.autoscale.is_none()
        && station.rate_limit.is_none()
        && station.timeout_ns.is_none()
        && station.breaker.is_none()
        && !station.blocks
        && !may_hold(scenario, station)
        && station.calls.is_none()
        && !is_worker
}

/// May turn requests away, or lose them.
pub(super) const fn is_limited(station: &Station) -> bool {
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
pub(super) fn mean_of(station: &Station) -> Option<f64> {
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
