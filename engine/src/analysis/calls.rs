//! Calls in the long run: whom they reach, how often they fail, how long they keep a server busy.
//!
//! Belongs here: sums over the rules that a station calls by. Does not belong here: traffic as a whole.
//!
//! Lower bounds like all of traffic: of a hedge or a quorum, which cut or skip work, nothing is certain.

use super::traffic::shares;
use crate::model::id::ComponentId;
use crate::scenario::valid::{Fork, Rule, RuleId, Scenario, Station};

/// Adds the visits of calls made at this rate: `called` come back by themselves, `sent` go their own way.
pub(super) fn visit(
    scenario: &Scenario,
    rate: f64,
    class: usize,
    rule: RuleId,
    sent: &mut [Vec<f64>],
    called: &mut [Vec<f64>],
) {
    match scenario.rule(rule) {
        Rule::Station(to) => enter(scenario, rate, class, *to, sent, called),
        Rule::Choose { choice, among } => {
            for (to, share) in among.iter().zip(shares(scenario, choice, among)) {
                enter(scenario, rate * share, class, *to, sent, called);
            }
        }
        Rule::Probability(list) => {
            let mut below = 0.0;
            for (up_to, rule) in list {
                visit(scenario, rate * (up_to - below), class, *rule, sent, called);
                below = *up_to;
            }
        }
        Rule::ByClass(rules) => visit(scenario, rate, class, rules[class], sent, called),
        Rule::Fork(Fork { to, .. }) => {
            for station in to {
                sent[station.index()][class] += rate;
            }
        }
        Rule::Done | Rule::Failed | Rule::Hedge(_) | Rule::Copy(_) | Rule::Retry { .. } => {}
    }
}

fn enter(
    scenario: &Scenario,
    rate: f64,
    class: usize,
    to: ComponentId,
    sent: &mut [Vec<f64>],
    called: &mut [Vec<f64>],
) {
    called[to.index()][class] += rate;
    if let Some(rule) = scenario.station(to).and_then(|station| station.calls) {
        visit(scenario, rate, class, rule, sent, called);
    }
}

/// Chance that a visit goes well, its calls included.
pub(super) fn success(scenario: &Scenario, station: &Station, class: usize) -> f64 {
    let own = 1.0 - station.failure_probability;
    let call = station.calls;
    own * call.map_or(1.0, |rule| answer(scenario, rule, class))
}

fn answer(scenario: &Scenario, rule: RuleId, class: usize) -> f64 {
    let at = |id: &ComponentId| {
        let station = scenario.station(*id);
        station.map_or(1.0, |station| success(scenario, station, class))
    };
    match scenario.rule(rule) {
        Rule::Station(to) => at(to),
        Rule::Choose { choice, among } => {
            let shares = shares(scenario, choice, among);
            among.iter().zip(shares).map(|(id, p)| p * at(id)).sum()
        }
        Rule::Probability(list) => over(list, |rule| answer(scenario, rule, class)),
        Rule::ByClass(rules) => answer(scenario, rules[class], class),
        Rule::Fork(fork) if fork.wait_for as usize == fork.to.len() => {
            fork.to.iter().map(at).product()
        }
        Rule::Failed => 0.0,
        Rule::Done | Rule::Fork(_) | Rule::Hedge(_) | Rule::Copy(_) | Rule::Retry { .. } => 1.0,
    }
}

/// Time a server is kept busy by one visit, without waiting at those it calls.
pub(super) fn busy_s(scenario: &Scenario, station: &Station, class: usize) -> f64 {
    let own = station.service.get(class).map_or(0.0, |law| law.mean_s());
    let call = station.calls;
    own + call.map_or(0.0, |rule| call_s(scenario, rule, class))
}

fn call_s(scenario: &Scenario, rule: RuleId, class: usize) -> f64 {
    let at = |id: &ComponentId| {
        let station = scenario.station(*id);
        station.map_or(0.0, |station| busy_s(scenario, station, class))
    };
    match scenario.rule(rule) {
        Rule::Station(to) => at(to),
        // Whoever balances by load prefers the fast ones.
        Rule::Choose { among, .. } => among.iter().map(at).fold(f64::INFINITY, f64::min),
        Rule::Probability(list) => over(list, |rule| call_s(scenario, rule, class)),
        Rule::ByClass(rules) => call_s(scenario, rules[class], class),
        Rule::Fork(fork) if fork.wait_for as usize == fork.to.len() => {
            fork.to.iter().map(at).fold(0.0, f64::max)
        }
        Rule::Done
        | Rule::Failed
        | Rule::Fork(_)
        | Rule::Hedge(_)
        | Rule::Copy(_)
        | Rule::Retry { .. } => 0.0,
    }
}

/// Mean over cumulative shares.
fn over(list: &[(f64, RuleId)], value: impl Fn(RuleId) -> f64) -> f64 {
    let mut below = 0.0;
    let weighted = list.iter().map(|(up_to, rule)| {
        let share = up_to - below;
        below = *up_to;
        share * value(*rule)
    });
    weighted.sum()
}
