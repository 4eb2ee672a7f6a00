//! Traffic: how many requests per second reach each station in the long run, and who cannot keep up.
//!
//! Belongs here: traffic equations, overload. Does not belong here: waiting times (theory, statistics).
//!
//! Rates are lower bounds: what a full or impatient station may lose is not sent on, so that a model
//! is refused only where it has no steady state for certain.

use super::calls;
use crate::model::id::ComponentId;
use crate::scenario::valid::{Choice, Fork, Hedge, Role, Rule, RuleId, Scenario, Source, Station};

/// A station that gets more than it can serve.
#[derive(Clone, Debug, PartialEq)]
pub struct Overload {
    /// Its name.
    pub station: String,
    /// Offered load over capacity; 1 and above never settles.
    pub utilization: f64,
    /// True where its rate limit, not its servers, is too small.
    pub by_rate_limit: bool,
}

/// Long-run visits per second, by component and class.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    pub(super) visits_per_s: Vec<Vec<f64>>,
    /// False where requests circle without end.
    pub(super) converged: bool,
}

/// Rounds of substitution; a network with feedback of 0.999 needs some thousands.
const ROUNDS_MAX: usize = 20_000;

/// Solves the traffic equations by substitution, at the mean rates of all sources.
pub(super) fn solve(scenario: &Scenario) -> Traffic {
    solve_at(scenario, &|source| source.arrivals.rate_per_s())
}

/// The same with batches per second of each source as given.
pub(super) fn solve_at(scenario: &Scenario, rate_of: &dyn Fn(&Source) -> f64) -> Traffic {
    let components = scenario.topology.components.len();
    let classes = scenario.classes().len();
    let joins = joins(scenario);
    // Rows past the components: requests that go on from a join, by the station they go on to.
    let rows = if joins.is_empty() {
        components
    } else {
        2 * components
    };
    let zero = vec![vec![0.0; classes]; rows];
    // Fresh arrivals: a ladder's returns are counted through the number of attempts.
    let mut fresh = zero.clone();
    let mut visits = zero.clone();
    for _ in 0..ROUNDS_MAX {
        let mut next = zero.clone();
        let mut called = zero.clone();
        for source in &scenario.sources {
            let rate = rate_of(source) * source.batch.mean();
            for (class, share) in source.mix.iter().enumerate() {
                send(scenario, rate * share, class, source.to, &mut next);
            }
        }
        for station in &scenario.stations {
            for (class, rate) in fresh[station.component.index()].iter().enumerate() {
                if *rate > 0.0 {
                    leave(scenario, station, *rate, class, &mut next, &mut called);
                }
            }
        }
        for (join, is_certain) in &joins {
            // Parts come one by one and go on as one.
            let joined =
                std::mem::replace(&mut next[components + join.index()], vec![0.0; classes]);
            next[join.index()] = if *is_certain {
                joined
            } else {
                vec![0.0; classes]
            };
        }
        let mut change: f64 = 0.0;
        let rows = next.iter().zip(&called).zip(&mut visits);
        for (index, ((next, called), visits)) in rows.enumerate() {
            for (class, visit) in visits.iter_mut().enumerate() {
                let attempts = attempts_at(scenario, index, class);
                let value = next[class] * attempts + called[class];
                change = change.max((value - *visit).abs() / value.max(1e-12));
                *visit = value;
            }
        }
        fresh = next;
        if change < 1e-12 {
            return Traffic {
                visits_per_s: visits,
                converged: true,
            };
        }
    }
    Traffic {
        visits_per_s: visits,
        converged: false,
    }
}

/// Sends a rate where a rule leads.
fn send(scenario: &Scenario, rate: f64, class: usize, rule: RuleId, to: &mut [Vec<f64>]) {
    match scenario.rule(rule) {
        Rule::Done | Rule::Failed => {}
        Rule::Station(station) => to[station.index()][class] += rate,
        Rule::Copy(stations) => {
            for station in stations {
                to[station.index()][class] += rate;
            }
        }
        Rule::Fork(Fork {
            to: parts, join, ..
        }) => {
            for station in parts {
                to[station.index()][class] += rate;
            }
            if let Some(join) = join {
                to[scenario.topology.components.len() + join.index()][class] += rate;
            }
        }
        // How much of the work is cut short is not known.
        Rule::Hedge(Hedge { join, .. }) => {
            if let Some(join) = join {
                to[scenario.topology.components.len() + join.index()][class] += rate;
            }
        }
        Rule::Choose { choice, among } => {
            let shares = shares(scenario, choice, among);
            for (station, share) in among.iter().zip(shares) {
                to[station.index()][class] += rate * share;
            }
        }
        Rule::Probability(list) => {
            let mut below = 0.0;
            for (up_to, rule) in list {
                send(scenario, rate * (up_to - below), class, *rule, to);
                below = *up_to;
            }
        }
        Rule::ByClass(rules) => send(scenario, rate, class, rules[class], to),
        // Reached after failures only, which count attempts; what falls off its end goes on.
        Rule::Retry { then, .. } => {
            if let Some(then) = then {
                send(scenario, rate, class, *then, to);
            }
        }
    }
}

/// Stations where parts join, and whether all that are split come so far for certain.
fn joins(scenario: &Scenario) -> Vec<(ComponentId, bool)> {
    let loses_nobody = scenario.faults.is_empty()
        && scenario
            .stations
            .iter()
            .all(|station| station.failure_probability <= 0.0 && !is_lossy(scenario, station));
    let joins = scenario.rules.iter().filter_map(|rule| match rule {
        Rule::Fork(Fork { join, .. }) | Rule::Hedge(Hedge { join, .. }) => *join,
        _ => None,
    });
    let mut joins: Vec<ComponentId> = joins.collect();
    joins.sort_unstable();
    joins.dedup();
    joins.into_iter().map(|join| (join, loses_nobody)).collect()
}

/// Share of each station; balancing by load is taken to even out utilization.
#[expect(clippy::cast_precision_loss, reason = "a handful of stations")]
pub(super) fn shares(scenario: &Scenario, choice: &Choice, among: &[ComponentId]) -> Vec<f64> {
    let even = vec![1.0 / among.len() as f64; among.len()];
    match choice {
        Choice::RoundRobin | Choice::Random | Choice::Sticky | Choice::Hash => even,
        Choice::Weighted(sums) => {
            let mut below = 0.0;
            sums.iter()
                .map(|sum| {
                    let share = sum - below;
                    below = *sum;
                    share
                })
                .collect()
        }
        Choice::LeastConnections | Choice::LeastWorkLeft | Choice::PowerOfTwo { .. } => {
            let speeds: Vec<f64> = among
                .iter()
                .filter_map(|id| scenario.station(*id))
                .map(|station| {
                    let servers = station.effective_servers().unwrap_or(f64::INFINITY);
                    servers / calls::busy_s(scenario, station, 0)
                })
                .collect();
            let total: f64 = speeds.iter().sum();
            if total.is_finite() && total > 0.0 && speeds.len() == among.len() {
                speeds.iter().map(|speed| speed / total).collect()
            } else {
                even
            }
        }
    }
}

/// What one station hands on.
fn leave(
    scenario: &Scenario,
    station: &Station,
    rate: f64,
    class: usize,
    next: &mut [Vec<f64>],
    called: &mut [Vec<f64>],
) {
    match station.role {
        Role::Keep | Role::Park => return,
        Role::Hold => {
            let count = station.workers.len();
            for worker in &station.workers {
                #[expect(clippy::cast_precision_loss, reason = "a handful of workers")]
                let share = rate / count as f64;
                next[worker.index()][class] += share;
            }
            return;
        }
        Role::Serve => {}
    }
    let attempts = attempts_at(scenario, station.component.index(), class);
    if let Some(rule) = station.calls {
        calls::visit(scenario, rate * attempts, class, rule, next, called);
    }
    if is_lossy(scenario, station) {
        return;
    }
    let failure = 1.0 - calls::success(scenario, station, class);
    let lost = match ladder(scenario, station.on_failure, class) {
        Some((_, true)) => 0.0,
        Some((steps, false)) => power(failure, steps + 1),
        None => failure,
    };
    send(scenario, rate * (1.0 - lost), class, station.next, next);
    send(scenario, rate * lost, class, station.on_failure, next);
}

/// May it turn requests away for good?
fn is_lossy(scenario: &Scenario, station: &Station) -> bool {
    let comes_back = station
        .on_full
        .is_some_and(|rule| matches!(scenario.rule(rule), Rule::Retry { then: None, .. }));
    station.patience.is_some()
        || station.timeout_ns.is_some()
        || station.breaker.is_some()
        || station.rate_limit.is_some_and(|limit| limit.drops)
        || (station.capacity.is_some() && !comes_back && !station.blocks)
}

/// Mean number of attempts per fresh arrival at a component. A queue sees those of its workers' ladders.
fn attempts_at(scenario: &Scenario, component: usize, class: usize) -> f64 {
    let id = u16::try_from(component).map_or(ComponentId::NONE, ComponentId);
    let Some(station) = scenario.station(id) else {
        return 1.0;
    };
    let worker = match station.role {
        Role::Serve => Some(station),
        Role::Hold => station.workers.first().and_then(|id| scenario.station(*id)),
        Role::Keep | Role::Park => None,
    };
    let Some(worker) = worker else {
        return 1.0;
    };
    let failure = 1.0 - calls::success(scenario, worker, class);
    match ladder(scenario, worker.on_failure, class) {
        None => 1.0,
        Some((_, true)) if failure < 1.0 => 1.0 / (1.0 - failure),
        Some((_, true)) => f64::INFINITY,
        Some((steps, false)) => attempts_of(failure, steps),
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most 60,000 attempts")]
fn power(base: f64, exponent: usize) -> f64 {
    libm::pow(base, exponent as f64)
}

/// 1 + f + f² + … up to so many retries.
#[expect(clippy::cast_precision_loss, reason = "at most 60,000 attempts")]
fn attempts_of(failure: f64, retries: usize) -> f64 {
    if failure < 1.0 {
        (1.0 - power(failure, retries + 1)) / (1.0 - failure)
    } else {
        retries as f64 + 1.0
    }
}

/// Steps of the ladder that a failure of this class climbs, and whether it repeats for ever.
fn ladder(scenario: &Scenario, rule: RuleId, class: usize) -> Option<(usize, bool)> {
    match scenario.rule(rule) {
        // A budget may be spent: at least no retry is certain.
        Rule::Retry { limits, .. } if limits.budget_per_s.is_some() => Some((0, false)),
        Rule::Retry {
            steps,
            then,
            limits,
        } => {
            let retries = limits.attempts.map(|attempts| attempts as usize - 1);
            Some((retries.unwrap_or(steps.len()), then.is_none()))
        }
        Rule::ByClass(rules) => ladder(scenario, rules[class], class),
        Rule::Done
        | Rule::Failed
        | Rule::Station(_)
        | Rule::Choose { .. }
        | Rule::Probability(_)
        | Rule::Copy(_)
        | Rule::Fork(_)
        | Rule::Hedge(_) => None,
    }
}

/// The station that is overloaded most, where one is.
#[must_use]
pub fn find_overload(scenario: &Scenario) -> Option<Overload> {
    let traffic = solve(scenario);
    let mut worst: Option<Overload> = None;
    for station in &scenario.stations {
        if station.role != Role::Serve || is_lossy(scenario, station) {
            continue;
        }
        let visits = &traffic.visits_per_s[station.component.index()];
        let total: f64 = visits.iter().sum();
        let work: f64 = visits
            .iter()
            .enumerate()
            .map(|(class, rate)| rate * calls::busy_s(scenario, station, class))
            .sum();
        // One that scales can have all it may scale to.
        let servers = match station.autoscale {
            Some(rule) => Some(f64::from(rule.max)),
            None => station.effective_servers(),
        };
        let by_servers = servers.map_or(0.0, |servers| work / servers);
        let by_rate = station.rate_limit.map_or(0.0, |limit| total / limit.per_s);
        let utilization = by_servers.max(by_rate);
        let is_worse = worst
            .as_ref()
            .is_none_or(|worst| utilization > worst.utilization);
        // A circle without end counts as overload of its busiest station, whatever the number.
        if is_worse && (utilization >= 1.0 - 1e-9 || (!traffic.converged && utilization > 0.0)) {
            worst = Some(Overload {
                station: scenario.component(station.component).id.clone(),
                utilization,
                by_rate_limit: by_rate > by_servers,
            });
        }
    }
    worst
}

/// The longest mean delay of any ladder, and where.
pub(super) fn longest_delay(scenario: &Scenario) -> Option<(&str, f64)> {
    let steps = scenario.rules.iter().filter_map(|rule| match rule {
        Rule::Retry { steps, limits, .. } if limits.backoff.is_none() => Some(steps),
        _ => None,
    });
    steps
        .flatten()
        .map(|step| {
            (
                scenario.component(step.via).id.as_str(),
                step.delay.mean_s(),
            )
        })
        .max_by(|a, b| a.1.total_cmp(&b.1))
}
