//! Circles without delay: requests that go round for ever at one instant.
//!
//! Belongs here: which stations let a request pass in no time, and whether it can ever get out.
//! Does not belong here: other checks across stations (shape).
//!
//! A circle that can be left with some probability is fine: it ends, however often it is gone round.
//! An error is a station from which every way leads, at once, back to such stations only.

use super::problem::{Place, Problems};
use super::shape::each_target;
use super::valid::{Role, Rule, RuleId, Scenario, Station};
use crate::model::id::ComponentId;
use std::collections::BTreeSet;

/// Complains about the first station of each class that cannot be left.
pub(super) fn check(
    scenario: &Scenario,
    place_of: impl Fn(ComponentId) -> Place,
    problems: &mut Problems<'_>,
) {
    let timed: BTreeSet<(ComponentId, ComponentId)> = scenario
        .transits
        .iter()
        .filter(|transit| transit.time.mean_s() > 0.0)
        .map(|transit| (transit.from, transit.to))
        .collect();
    let mut told = BTreeSet::new();
    for class in 0..scenario.classes().len() {
        let passes = |station: &Station| passes_at_once(station, class);
        if !scenario.stations.iter().any(passes) {
            continue;
        }
        let map = Map {
            scenario,
            timed: &timed,
            class,
        };
        let leaves = map.leaves();
        let trapped = scenario
            .stations
            .iter()
            .zip(&leaves)
            .find(|(_, leaves)| !**leaves);
        if let Some((station, _)) = trapped
            && told.insert(station.component)
        {
            problems.add_with_hint(
                place_of(station.component),
                format!(
                    "requests go round in a circle without delay from `{}` on, and nothing leads out",
                    scenario.component(station.component).id
                ),
                "give a station on the way a service time, or let some requests be done",
            );
        }
    }
}

/// Serves that class in no time at all, whatever is drawn.
fn passes_at_once(station: &Station, class: usize) -> bool {
    let law = station.service.get(class);
    station.role == Role::Serve
        && station.calls.is_none()
        && station.rate_limit.is_none()
        && law.is_some_and(|law| law.mean_s() <= 0.0)
}

struct Map<'a> {
    scenario: &'a Scenario,
    timed: &'a BTreeSet<(ComponentId, ComponentId)>,
    class: usize,
}

impl Map<'_> {
    /// By station: a request there gets on in time, or to an end. Grows from the ends backwards.
    fn leaves(&self) -> Vec<bool> {
        let scenario = self.scenario;
        let stations = &scenario.stations;
        let mut leaves: Vec<bool> = stations
            .iter()
            .map(|station| !passes_at_once(station, self.class))
            .collect();
        let mut comes_from: Vec<Vec<usize>> = vec![Vec::new(); stations.len()];
        for (index, station) in stations.iter().enumerate() {
            for rule in [station.next, station.on_failure] {
                each_target(scenario, rule, &mut |to| {
                    if let Some(to) = to.index().checked_sub(scenario.sources.len()) {
                        comes_from[to].push(index);
                    }
                });
            }
        }
        let mut open: Vec<usize> = (0..stations.len()).collect();
        while let Some(index) = open.pop() {
            if !leaves[index] && !self.gets_on(&stations[index], &leaves) {
                continue;
            }
            leaves[index] = true;
            open.extend(comes_from[index].iter().filter(|from| !leaves[**from]));
        }
        leaves
    }

    fn gets_on(&self, station: &Station, leaves: &[bool]) -> bool {
        let fails = station.failure_probability;
        let follow = |rule| self.follow(rule, station.component, leaves);
        (fails < 1.0 && follow(station.next)) || (fails > 0.0 && follow(station.on_failure))
    }

    fn follow(&self, rule: RuleId, from: ComponentId, leaves: &[bool]) -> bool {
        let moves = |to: ComponentId| {
            let index = to.index().checked_sub(self.scenario.sources.len());
            self.timed.contains(&(from, to)) || index.is_none_or(|index| leaves[index])
        };
        match self.scenario.rule(rule) {
            Rule::Done | Rule::Failed => true,
            Rule::Probability(shares) => {
                let mut before = 0.0;
                shares.iter().any(|(upto, rule)| {
                    let share = upto - before;
                    before = *upto;
                    share > 0.0 && self.follow(*rule, from, leaves)
                })
            }
            Rule::ByClass(rules) => {
                let rule = rules.get(self.class);
                rule.is_none_or(|rule| self.follow(*rule, from, leaves))
            }
            // Every copy has to get out.
            Rule::Copy(list) => list.iter().all(|to| moves(*to)),
            Rule::Retry {
                steps,
                then,
                limits,
            } => {
                limits.backoff.is_some_and(|backoff| backoff.first_s > 0.0)
                    || steps.iter().any(|step| step.delay.mean_s() > 0.0)
                    || then.is_some_and(|then| self.follow(then, from, leaves))
            }
            _ => {
                let mut any = false;
                each_target(self.scenario, rule, &mut |to| any |= moves(to));
                any
            }
        }
    }
}
