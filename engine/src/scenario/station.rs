//! Stations: servers, service times, limits, what follows.
//!
//! Belongs here: reading `[[station]]`. Does not belong here: serving (kernel::station).

use super::autoscale;
use super::distribution::{self, Distribution};
use super::fields::{self, Bound, Fields};
use super::limit;
use super::line;
use super::problem::{Place, Problems};
use super::raw::{Node, Value};
use super::rule::Rules;
use super::valid::{Role, Rule, RuleId, Station};
use crate::model::id::ComponentId;
use crate::model::topology::ComponentKind;

/// Reads the keys of a station beyond `id`, `kind` and `label`, which the caller took.
pub(super) fn read(
    component: ComponentId,
    kind: ComponentKind,
    mut fields: Fields<'_>,
    rules: &mut Rules<'_>,
    problems: &mut Problems<'_>,
) -> Option<Station> {
    let line = line::read(&mut fields, problems);
    let servers_node = fields.take("servers");
    let servers = servers_node.and_then(|node| count_or_infinite(node, "servers", problems));
    let scaled = fields
        .take("autoscale")
        .and_then(|node| autoscale::read(node, servers, problems));
    let servers = servers.or(scaled.map(|scaled| Some(scaled.min)));
    let service = service(&mut fields, rules, problems);
    let capacity = fields
        .take("capacity")
        .and_then(|node| count_or_infinite(node, "capacity", problems))
        .flatten();
    let (on_full, blocks) = on_full(&mut fields, rules, problems);
    let timeout_ns = limit::timeout(&mut fields, problems);
    let breaker_node = fields.take("breaker");
    let breaker = breaker_node.and_then(|node| limit::breaker(node, problems));
    let patience = fields
        .take("patience")
        .and_then(|node| distribution::read(node, "`patience`", problems));
    let on_abandon = fields
        .take("on_abandon")
        .and_then(|node| rules.read(node, "on_abandon", problems))
        .filter(|rule| !matches!(rules.list.get(rule.index()), Some(Rule::Failed)));
    let rate_limit = fields
        .take("rate_limit")
        .and_then(|node| limit::rate_limit(node, problems));
    let failure_probability = fields
        .take("failure")
        .and_then(|node| failure(node, problems));
    let on_failure = match fields.take("on_failure") {
        Some(node) => rules.read(node, "on_failure", problems),
        None => Some(rules.add(Rule::Failed)),
    };
    let calls = fields
        .take("calls")
        .and_then(|node| rules.read(node, "calls", problems));
    let next_node = fields.take("next");
    let next = match next_node {
        Some(node) => rules.read(node, "next", problems),
        None => Some(rules.add(Rule::Done)),
    };
    let what = fields.what.clone();
    let place = fields.place;
    fields.finish(problems);

    let (mut service, next, line) = (service?, next?, line?);
    if let Some(law) = line.by_server.first() {
        service = vec![law.clone(); rules.names.classes.len()];
    }
    let holds = kind == ComponentKind::Queue && servers_node.is_none();
    let role = match (holds, next_node.is_some(), service.is_empty()) {
        (true, true, _) => Role::Hold,
        (true, false, _) => Role::Keep,
        (false, _, true) => Role::Park,
        (false, _, false) => Role::Serve,
    };
    check_service(role, kind, &service, &what, place, problems)?;
    let blocks_key = blocks.then_some("on_full = \"block\"");
    let key = timeout_ns.map(|_ns| "timeout_s").or(blocks_key);
    limit::check(role, key, breaker_node, &what, place, problems);
    let workers = if role == Role::Hold {
        workers(
            next,
            next_node.map_or(place, |node| node.place),
            rules,
            problems,
        )?
    } else {
        Vec::new()
    };
    let servers_unsaid = match kind {
        _ if !line.by_server.is_empty() => u32::try_from(line.by_server.len()).ok(),
        ComponentKind::Delay => None,
        _ => Some(1),
    };
    let station = Station {
        component,
        role,
        servers: match role {
            Role::Serve => servers.unwrap_or(servers_unsaid),
            Role::Hold | Role::Keep | Role::Park => None,
        },
        autoscale: scaled.filter(|_| role == Role::Serve),
        service,
        line,
        capacity,
        on_full,
        blocks,
        timeout_ns,
        breaker,
        patience,
        on_abandon,
        rate_limit,
        failure_probability: failure_probability.unwrap_or(0.0),
        on_failure: on_failure?,
        calls,
        next,
        workers,
    };
    line::check(&station, &what, place, problems);
    Some(station)
}

/// Who serves has a service time, and nobody else.
fn check_service(
    role: Role,
    kind: ComponentKind,
    service: &[Distribution],
    what: &str,
    place: Place,
    problems: &mut Problems<'_>,
) -> Option<()> {
    if matches!(role, Role::Hold | Role::Keep) && !service.is_empty() {
        problems.add_with_hint(
            place,
            format!("{what} holds jobs for workers, so it has no service time"),
            "add `servers` to let it serve, or take `service` away",
        );
        return None;
    }
    if role == Role::Park && kind != ComponentKind::Delay {
        problems.add_with_hint(
            place,
            format!("{what} has no `service`"),
            "add `service = { dist = \"exponential\", mean_s = … }`",
        );
        return None;
    }
    Some(())
}

/// `Some(None)` is infinite.
#[expect(clippy::option_option, reason = "absent because wrong, or infinite")]
fn count_or_infinite(node: &Node, key: &str, problems: &mut Problems<'_>) -> Option<Option<u32>> {
    if let Value::Text(text) = &node.value {
        if text == "infinite" {
            return Some(None);
        }
        problems.add_with_hint(
            node.place,
            format!("`{key}` is \"{text}\""),
            "write a whole number of at least 1, or \"infinite\"",
        );
        return None;
    }
    let count = fields::count(node, key, 1, 1_000_000_000, problems)?;
    u32::try_from(count).ok().map(Some)
}

/// One law per class; empty where there is no service.
fn service(
    fields: &mut Fields<'_>,
    rules: &Rules<'_>,
    problems: &mut Problems<'_>,
) -> Option<Vec<Distribution>> {
    let classes = rules.names.classes.len();
    let base = fields
        .take("service")
        .map(|node| distribution::read(node, "`service`", problems));
    let by_class = fields.take("service_by_class");
    let mut laws: Vec<Option<Distribution>> = match &base {
        Some(law) => vec![Some(law.clone()?); classes],
        None => vec![None; classes],
    };
    let Some(node) = by_class else {
        return Some(laws.into_iter().flatten().collect());
    };
    let Value::Table(entries) = &node.value else {
        problems.add_with_hint(
            node.place,
            format!("`service_by_class` is {}", node.value.type_name()),
            "write { class = { dist = … } }",
        );
        return None;
    };
    for entry in entries {
        let class = rules.names.class(&entry.key, entry.place, problems);
        let law = distribution::read(
            &entry.node,
            &format!("the service of `{}`", entry.key),
            problems,
        );
        if let Some(slot) = class.and_then(|class| laws.get_mut(class.index())) {
            *slot = law;
        }
    }
    if let Some(missing) = laws.iter().position(Option::is_none) {
        if problems.is_empty() {
            let class = rules.names.classes.get(missing).map_or("", String::as_str);
            problems.add_with_hint(
                node.place,
                format!("`service_by_class` says nothing about `{class}`"),
                "add it, or a `service` for all others",
            );
        }
        return None;
    }
    Some(laws.into_iter().flatten().collect())
}

/// A rule, or `None` for rejection; and whether it blocks instead.
fn on_full(
    fields: &mut Fields<'_>,
    rules: &mut Rules<'_>,
    problems: &mut Problems<'_>,
) -> (Option<RuleId>, bool) {
    let Some(node) = fields.take("on_full") else {
        return (None, false);
    };
    match &node.value {
        Value::Text(text) if text == "reject" => (None, false),
        Value::Text(text) if text == "block" => (None, true),
        _ => (rules.read(node, "on_full", problems), false),
    }
}

fn failure(node: &Node, problems: &mut Problems<'_>) -> Option<f64> {
    let mut fields = Fields::new(node, "`failure`", problems)?;
    let probability = fields.need_number("probability", Bound::Probability, problems);
    fields.finish(problems);
    probability
}

/// The stations that pull: a queue's `next` names them.
fn workers(
    next: RuleId,
    place: Place,
    rules: &Rules<'_>,
    problems: &mut Problems<'_>,
) -> Option<Vec<ComponentId>> {
    match rules.list.get(next.index()) {
        Some(Rule::Station(worker)) => Some(vec![*worker]),
        Some(Rule::Choose { among, .. }) => Some(among.clone()),
        _ => {
            problems.add_with_hint(
                place,
                "a queue's `next` names the workers that pull from it",
                "write a station id, or { choose = \"round-robin\", among = [..] }",
            );
            None
        }
    }
}
