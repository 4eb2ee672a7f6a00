//! Blocking: circles of stations that may wait for each other's room for ever.
//!
//! Belongs here: finding them before a run. Does not belong here: those that only a run can show
//! (kernel::door).

use super::problem::{Place, Problems};
use super::raw::Node;
use super::shape::each_target;
use super::valid::{Arrivals, Fork, Hedge, Role, Rule, Scenario, Station};
use crate::model::id::ComponentId;

/// A station that blocks when it is full: how many fit, and whose room its parts may wait for.
struct Blocker<'a> {
    station: &'a Station,
    place: Place,
    room: u64,
    waits_for: Vec<ComponentId>,
}

/// Complains about the smallest circle that the requests there are can fill; `nodes` give places.
pub(super) fn check(scenario: &Scenario, nodes: &[&Node], problems: &mut Problems<'_>) {
    let blockers: Vec<Blocker<'_>> = scenario
        .stations
        .iter()
        .zip(nodes)
        .filter_map(|(station, node)| blocker(scenario, station, node.place))
        .collect();
    check_neighbours(scenario, nodes, problems);
    let people = population(scenario);
    for start in &blockers {
        let Some(room) = smallest_circle(&blockers, start) else {
            continue;
        };
        if people.is_none_or(|people| people >= room) {
            problems.add_with_hint(
                start.place,
                format!(
                    "`{}` and those it sends to wait for each other's room for ever once all are full",
                    scenario.component(start.station.component).id
                ),
                "let one of them reject, or give one a timeout_s",
            );
            return;
        }
    }
}

/// Could a part that is done at the station find no room where it goes?
pub(crate) fn may_hold(scenario: &Scenario, station: &Station) -> bool {
    if station.role != Role::Serve {
        return false;
    }
    let mut found = false;
    for rule in [station.next, station.on_failure] {
        each_target(scenario, rule, &mut |to| {
            found |= scenario
                .station(to)
                .is_some_and(|to| to.blocks && to.capacity.is_some());
        });
    }
    found
}

/// A server that keeps what it has done must be one part's own; who joins takes no room.
fn check_neighbours(scenario: &Scenario, nodes: &[&Node], problems: &mut Problems<'_>) {
    for (station, node) in scenario.stations.iter().zip(nodes) {
        let has_own_servers = !station.line.is_managed() && station.line.batch.is_none();
        if !has_own_servers && may_hold(scenario, station) {
            problems.add_with_hint(
                node.place,
                format!(
                    "`{}` sends to a station that blocks, but its servers cannot keep what they have done",
                    scenario.component(station.component).id
                ),
                "let it serve one at a time in a plain discipline without breakdowns, or let the next one reject",
            );
        }
        let joins_here = |rule: &Rule| {
            matches!(rule, Rule::Fork(Fork { join, .. }) | Rule::Hedge(Hedge { join, .. })
                if *join == Some(station.component))
        };
        if station.blocks && scenario.rules.iter().any(joins_here) {
            problems.add_with_hint(
                node.place,
                format!(
                    "parts join at `{}`, which blocks when it is full",
                    scenario.component(station.component).id
                ),
                "join at a station without `on_full = \"block\"`, such as one before it that serves in no time",
            );
        }
    }
}

/// `None` where it never blocks, or where waiting there ends by itself.
fn blocker<'a>(scenario: &Scenario, station: &'a Station, place: Place) -> Option<Blocker<'a>> {
    let capacity = station.capacity.filter(|_| station.blocks)?;
    if station.timeout_ns.is_some() || station.patience.is_some() {
        return None;
    }
    let mut waits_for = Vec::new();
    let mut room = u64::from(capacity);
    let mut add = |server: &Station| {
        let rules = [Some(server.next), Some(server.on_failure), server.calls];
        for rule in rules.into_iter().flatten() {
            each_target(scenario, rule, &mut |to| waits_for.push(to));
        }
    };
    if station.role == Role::Hold {
        for worker in &station.workers {
            if let Some(worker) = scenario.station(*worker) {
                room = room.saturating_add(u64::from(worker.servers.unwrap_or(u32::MAX)));
                add(worker);
            }
        }
    } else {
        add(station);
    }
    Some(Blocker {
        station,
        place,
        room,
        waits_for,
    })
}

/// Most parts there can be; `None` where nothing bounds them.
fn population(scenario: &Scenario) -> Option<u64> {
    if scenario
        .rules
        .iter()
        .any(|rule| matches!(rule, Rule::Copy(_) | Rule::Fork(_) | Rule::Hedge(_)))
    {
        return None;
    }
    scenario
        .sources
        .iter()
        .map(|source| match source.arrivals {
            Arrivals::Closed { users, .. } => Some(u64::from(users)),
            _ => None,
        })
        .sum()
}

/// Room on the circle through `start` that has the least (Dijkstra 1959).
fn smallest_circle(blockers: &[Blocker<'_>], start: &Blocker<'_>) -> Option<u64> {
    let mut best: Vec<Option<u64>> = vec![None; blockers.len()];
    let mut is_settled = vec![false; blockers.len()];
    let reach = |from: &Blocker<'_>, room: u64, best: &mut Vec<Option<u64>>| {
        for (index, to) in blockers.iter().enumerate() {
            if from.waits_for.contains(&to.station.component) {
                let room = room.saturating_add(to.room);
                if best[index].is_none_or(|before| room < before) {
                    best[index] = Some(room);
                }
            }
        }
    };
    reach(start, 0, &mut best);
    loop {
        let open = (0..blockers.len()).filter(|index| !is_settled[*index]);
        let nearest = open.filter_map(|index| Some((best[index]?, index))).min();
        let (room, index) = nearest?;
        if blockers[index].station.component == start.station.component {
            return Some(room);
        }
        is_settled[index] = true;
        reach(&blockers[index], room, &mut best);
    }
}
