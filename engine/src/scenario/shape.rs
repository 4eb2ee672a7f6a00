//! The graph as a whole: what no single table can know, and the arrows that follow from the rules.
//!
//! Belongs here: checks across stations, edges of the topology. Does not belong here: reading tables.

use super::problem::{Place, Problems};
use super::raw::Node;
use super::trap;
use super::valid::{Choice, FaultKind, Fork, Hedge, Role, Rule, RuleId, Scenario, Station};
use crate::model::id::ComponentId;
use crate::model::topology::{Edge, EdgeKind};

/// Checks calls, workers, parking places and loops without delay; `nodes` give the places of stations.
pub(super) fn check(scenario: &Scenario, nodes: &[&Node], problems: &mut Problems<'_>) {
    for (index, station) in scenario.stations.iter().enumerate() {
        let place = nodes.get(index).map_or(Place::Text(0), |node| node.place);
        check_calls(scenario, station, place, problems);
        for worker in &station.workers {
            if scenario
                .station(*worker)
                .is_none_or(|worker| worker.role != Role::Serve)
            {
                problems.add_with_hint(
                    place,
                    format!(
                        "queue `{}` feeds `{}`, which does not serve",
                        scenario.component(station.component).id,
                        scenario.component(*worker).id
                    ),
                    "give the worker `servers` and `service`",
                );
            }
        }
    }
    for (from, rule) in entries(scenario) {
        let place = station_place(scenario, nodes, from);
        each_target(scenario, rule, &mut |to| {
            if scenario
                .station(to)
                .is_some_and(|station| station.role == Role::Park)
            {
                problems.add_with_hint(
                    place,
                    format!(
                        "`{}` sends requests to `{}`, which has no `service`",
                        scenario.component(from).id,
                        scenario.component(to).id
                    ),
                    "give it `service`, or reach it by a retry ladder only",
                );
            }
        });
    }
    for rule in &scenario.rules {
        let (Rule::Fork(Fork { join, .. }) | Rule::Hedge(Hedge { join, .. })) = rule else {
            continue;
        };
        let parks = |id: &ComponentId| {
            scenario
                .station(*id)
                .is_some_and(|station| station.role == Role::Park)
        };
        if let Some(join) = join.filter(parks) {
            problems.add_with_hint(
                station_place(scenario, nodes, join),
                format!(
                    "parts join at `{}`, which has no `service`",
                    scenario.component(join).id
                ),
                "give it `service`",
            );
        }
    }
    check_work(scenario, nodes, problems);
    let not_after_trouble = scenario
        .sources
        .iter()
        .map(|source| (source.component, source.to))
        .chain(
            scenario
                .stations
                .iter()
                .map(|station| (station.component, station.next)),
        );
    for (from, rule) in not_after_trouble {
        if !parking_places(scenario, rule).is_empty() {
            problems.add_with_hint(
                station_place(scenario, nodes, from),
                format!(
                    "a retry ladder in the normal way out of `{}`",
                    scenario.component(from).id
                ),
                "put it under on_failure, on_full or on_abandon",
            );
        }
    }
    trap::check(scenario, |id| station_place(scenario, nodes, id), problems);
    if let Some(start) = loop_of_overflow(scenario) {
        problems.add_with_hint(
            station_place(scenario, nodes, start),
            format!(
                "`on_full` rules lead around in a circle through `{}`",
                scenario.component(start).id
            ),
            "let one of them reject, or retry after a delay",
        );
    }
}

fn station_place(scenario: &Scenario, nodes: &[&Node], id: ComponentId) -> Place {
    let index = id.index().checked_sub(scenario.sources.len());
    index
        .and_then(|index| nodes.get(index))
        .map_or(Place::Text(0), |node| node.place)
}

fn check_calls(scenario: &Scenario, station: &Station, place: Place, problems: &mut Problems<'_>) {
    let Some(rule) = station.calls else {
        return;
    };
    let name = &scenario.component(station.component).id;
    if station.role != Role::Serve {
        problems.add_with_hint(
            place,
            format!("`{name}` calls, but does not serve"),
            "give it `service`",
        );
        return;
    }
    if let Some(what) = no_answer(scenario, rule) {
        problems.add_with_hint(
            place,
            format!("`{name}` calls by the rule `{what}`, which gives no one answer"),
            "call a station, or let `fork`, `hedge`, `choose`, `probability` or `by_class` lead to some",
        );
        return;
    }
    // Depth first: whoever is called while its own call is open makes a circle.
    let mut open = vec![(station.component, false)];
    let mut on_way = vec![false; scenario.topology.components.len()];
    let mut done = on_way.clone();
    while let Some((id, leaves)) = open.pop() {
        on_way[id.index()] = !leaves;
        if leaves {
            done[id.index()] = true;
            continue;
        }
        open.push((id, true));
        let Some(rule) = scenario.station(id).and_then(|station| station.calls) else {
            continue;
        };
        for callee in called(scenario, rule) {
            if scenario
                .station(callee)
                .is_some_and(|station| station.role != Role::Serve)
            {
                problems.add_with_hint(
                    place,
                    format!(
                        "`{name}` calls `{}`, which does not serve",
                        scenario.component(callee).id
                    ),
                    "call a station with `service`",
                );
                return;
            }
            if on_way[callee.index()] {
                problems.add_with_hint(
                    place,
                    format!("calls of `{name}` lead around in a circle"),
                    "end the chain",
                );
                return;
            }
            if !done[callee.index()] {
                open.push((callee, false));
            }
        }
    }
}

/// Unfinished work is known where nothing but one server changes it.
fn check_work(scenario: &Scenario, nodes: &[&Node], problems: &mut Problems<'_>) {
    let is_cut = |rule: &Rule| matches!(rule, Rule::Hedge(_));
    let hedges = scenario.rules.iter().any(is_cut);
    for rule in &scenario.rules {
        let Rule::Choose {
            choice: Choice::LeastWorkLeft,
            among,
        } = rule
        else {
            continue;
        };
        for id in among {
            let is_plain = scenario.station(*id).is_some_and(|station| {
                station.role == Role::Serve
                    && station.servers == Some(1)
                    && station.line.is_plain()
                    && station.capacity.is_none()
                    && station.patience.is_none()
                    && station.timeout_ns.is_none()
                    && !super::blocking::may_hold(scenario, station)
                    && station.rate_limit.is_none()
                    && station.calls.is_none()
                    && station.autoscale.is_none()
                    && scenario
                        .stations
                        .iter()
                        .all(|queue| !queue.workers.contains(id))
                    && scenario.faults.iter().all(|fault| fault.target != *id)
            });
            if hedges || !is_plain {
                problems.add_with_hint(
                    station_place(scenario, nodes, *id),
                    format!(
                        "the work left at `{}` is not known",
                        scenario.component(*id).id
                    ),
                    "choose by least-work-left among stations with one server in order of arrival and no capacity, patience, time limit, blocking next, rate limit, calls, autoscaler, queue or faults, without hedges; or by least-connections",
                );
                return;
            }
        }
    }
}

/// The rule inside a call that leads to several ends or to none.
fn no_answer(scenario: &Scenario, rule: RuleId) -> Option<&'static str> {
    match scenario.rule(rule) {
        Rule::Copy(_) => Some("copy"),
        Rule::Retry { .. } => Some("retry"),
        Rule::Probability(shares) => shares
            .iter()
            .find_map(|(_, rule)| no_answer(scenario, *rule)),
        Rule::ByClass(rules) => rules.iter().find_map(|rule| no_answer(scenario, *rule)),
        Rule::Done
        | Rule::Failed
        | Rule::Station(_)
        | Rule::Choose { .. }
        | Rule::Fork(_)
        | Rule::Hedge(_) => None,
    }
}

/// Stations that a call enters itself; parts of forks and hedges go their own way.
fn called(scenario: &Scenario, rule: RuleId) -> Vec<ComponentId> {
    match scenario.rule(rule) {
        Rule::Fork(Fork { join, .. }) | Rule::Hedge(Hedge { join, .. }) => {
            join.iter().copied().collect()
        }
        Rule::Probability(shares) => shares
            .iter()
            .flat_map(|(_, rule)| called(scenario, *rule))
            .collect(),
        Rule::ByClass(rules) => rules
            .iter()
            .flat_map(|rule| called(scenario, *rule))
            .collect(),
        _ => {
            let mut list = Vec::new();
            each_target(scenario, rule, &mut |to| list.push(to));
            list
        }
    }
}

/// Every rule that a component starts: source or station, rule.
fn entries(scenario: &Scenario) -> Vec<(ComponentId, RuleId)> {
    let mut list: Vec<(ComponentId, RuleId)> = scenario
        .sources
        .iter()
        .map(|source| (source.component, source.to))
        .collect();
    for station in &scenario.stations {
        list.push((station.component, station.next));
        list.push((station.component, station.on_failure));
        list.extend(station.on_full.map(|rule| (station.component, rule)));
        list.extend(station.on_abandon.map(|rule| (station.component, rule)));
        list.extend(station.calls.map(|rule| (station.component, rule)));
    }
    list
}

/// Calls `visit` for each station a rule may lead to without a ladder's delay.
pub(crate) fn each_target(scenario: &Scenario, rule: RuleId, visit: &mut dyn FnMut(ComponentId)) {
    match scenario.rule(rule) {
        Rule::Done | Rule::Failed => {}
        Rule::Station(to) => visit(*to),
        Rule::Choose { among: list, .. }
        | Rule::Copy(list)
        | Rule::Fork(Fork { to: list, .. })
        | Rule::Hedge(Hedge { among: list, .. }) => {
            for to in list {
                visit(*to);
            }
        }
        Rule::Probability(shares) => {
            for (_, rule) in shares {
                each_target(scenario, *rule, visit);
            }
        }
        Rule::ByClass(rules) => {
            for rule in rules {
                each_target(scenario, *rule, visit);
            }
        }
        Rule::Retry { then, .. } => {
            if let Some(then) = then {
                each_target(scenario, *then, visit);
            }
        }
    }
}

/// A station from which full stations hand a request around for ever at one instant.
fn loop_of_overflow(scenario: &Scenario) -> Option<ComponentId> {
    for start in &scenario.stations {
        let mut seen = vec![false; scenario.stations.len()];
        let mut open = vec![start];
        while let Some(station) = open.pop() {
            let may_refuse = station.capacity.is_some()
                || station.breaker.is_some()
                || station.rate_limit.is_some_and(|limit| limit.drops)
                || goes_down(scenario, station);
            let Some(rule) = station.on_full.filter(|_| may_refuse) else {
                continue;
            };
            let mut back = false;
            each_target(scenario, rule, &mut |to| {
                back |= to == start.component;
                let index = to.index().saturating_sub(scenario.sources.len());
                if let (Some(next), Some(seen)) = (scenario.station(to), seen.get_mut(index))
                    && !*seen
                {
                    *seen = true;
                    open.push(next);
                }
            });
            if back {
                return Some(start.component);
            }
        }
    }
    None
}

fn goes_down(scenario: &Scenario, station: &Station) -> bool {
    scenario.faults.iter().any(|fault| {
        fault.target == station.component
            && matches!(fault.kind, FaultKind::Down | FaultKind::Disconnect)
    })
}

/// Copies what the picture shows into the topology, and derives its arrows from the rules.
pub(super) fn complete_topology(scenario: &mut Scenario) {
    let mut edges: Vec<Edge> = Vec::new();
    let mut add = |from: ComponentId, to: ComponentId, kind: EdgeKind| {
        if !edges.iter().any(|edge| edge.from == from && edge.to == to) {
            edges.push(Edge { from, to, kind });
        }
    };
    for source in &scenario.sources {
        each_target(scenario, source.to, &mut |to| {
            add(source.component, to, EdgeKind::Main);
        });
    }
    for station in &scenario.stations {
        let here = station.component;
        each_target(scenario, station.next, &mut |to| {
            add(here, to, EdgeKind::Main);
        });
        if let Some(calls) = station.calls {
            each_target(scenario, calls, &mut |to| add(here, to, EdgeKind::Main));
        }
        let after_trouble = [
            Some(station.on_failure),
            station.on_full,
            station.on_abandon,
        ];
        for rule in after_trouble.into_iter().flatten() {
            each_target(scenario, rule, &mut |to| add(here, to, EdgeKind::Failure));
            for via in parking_places(scenario, rule) {
                add(here, via, EdgeKind::Failure);
                for back in returns_to(scenario, station) {
                    add(via, back, EdgeKind::Retry);
                }
            }
        }
    }
    for transit in &scenario.transits {
        add(transit.from, transit.to, EdgeKind::Main);
    }
    scenario.topology.edges = edges;
    for station in &scenario.stations {
        let component = &mut scenario.topology.components[station.component.index()];
        component.servers = station.servers;
        component.capacity = station.capacity;
        component.rate_limit_per_s = station.rate_limit.map(|limit| limit.per_s);
    }
}

/// Delay stations of every ladder inside a rule.
fn parking_places(scenario: &Scenario, rule: RuleId) -> Vec<ComponentId> {
    match scenario.rule(rule) {
        Rule::Done
        | Rule::Failed
        | Rule::Station(_)
        | Rule::Choose { .. }
        | Rule::Copy(_)
        | Rule::Fork(_)
        | Rule::Hedge(_) => Vec::new(),
        Rule::Probability(shares) => shares
            .iter()
            .flat_map(|(_, rule)| parking_places(scenario, *rule))
            .collect(),
        Rule::ByClass(rules) => rules
            .iter()
            .flat_map(|rule| parking_places(scenario, *rule))
            .collect(),
        Rule::Retry { steps, then, .. } => {
            let mut places: Vec<ComponentId> = steps.iter().map(|step| step.via).collect();
            if let Some(then) = then {
                places.extend(parking_places(scenario, *then));
            }
            places
        }
    }
}

/// Queues that feed the station, or the station itself.
fn returns_to(scenario: &Scenario, station: &Station) -> Vec<ComponentId> {
    let queues: Vec<ComponentId> = scenario
        .stations
        .iter()
        .filter(|queue| queue.workers.contains(&station.component))
        .map(|queue| queue.component)
        .collect();
    if queues.is_empty() {
        vec![station.component]
    } else {
        queues
    }
}
