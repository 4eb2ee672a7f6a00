//! The map of an imported run: services as components, calls as edges, root operations as classes.
//!
//! Belongs here: what kind a service is, names that would clash. Does not belong here: the order of events.

use super::ImportError;
use super::journey::Journey;
use super::spans::{Role, SpanSet};
use crate::model::id::ComponentId;
use crate::model::topology::{Channel, Class, Component, ComponentKind, Edge, EdgeKind, Topology};
use std::collections::{BTreeMap, BTreeSet};

/// The made-up component where requests begin.
pub(super) const CLIENTS: ComponentId = ComponentId(0);

/// The class of requests beyond the limit.
pub(super) const OTHER_CLASS: &str = "(other)";

/// Services in one reel.
const SERVICES_MAX: usize = 10_000;

/// Classes by name; more would say nothing.
const CLASSES_MAX: usize = 1000;

/// The map of these journeys.
///
/// # Errors
/// [`ImportError::TooManyServices`].
pub(super) fn infer(set: &SpanSet, journeys: &[Journey]) -> Result<Topology, ImportError> {
    let count = set.services.len() + set.queues.len();
    if count > SERVICES_MAX {
        return Err(ImportError::TooManyServices {
            count,
            limit: SERVICES_MAX,
        });
    }
    let names: Vec<&str> = set.services.sorted();
    let clients = if names.contains(&"clients") {
        "(clients)"
    } else {
        "clients"
    };
    let mut topology = Topology {
        name: "import".to_owned(),
        title: "Imported traces".to_owned(),
        components: vec![component(clients, "Clients", ComponentKind::Clients)],
        ..Topology::default()
    };
    let kinds = kinds(set);
    for name in &names {
        let kind = kinds.get(name).copied().unwrap_or(ComponentKind::Server);
        topology.components.push(component(name, name, kind));
    }
    for queue in set.queues.sorted() {
        let is_taken = names.contains(&queue) || queue == clients;
        let id = if is_taken {
            format!("{queue} (queue)")
        } else {
            queue.to_owned()
        };
        let queue = component(&id, queue, ComponentKind::Queue);
        topology.components.push(queue);
    }
    let mut pairs = BTreeSet::new();
    for visit in journeys
        .iter()
        .flat_map(|journey| journey.visits.iter().map(move |visit| (journey, visit)))
    {
        let (journey, visit) = visit;
        let from = visit.caller.map_or(CLIENTS, |caller| {
            component_of(set, &topology, journey.visits[caller].service)
        });
        let to = component_of(set, &topology, visit.service);
        match visit.queue {
            Some(queue) => {
                let queue = queue_component(set, &topology, queue);
                pairs.extend([(from, queue), (queue, to)]);
            }
            None => {
                pairs.insert((from, to));
            }
        }
    }
    topology.edges = pairs
        .into_iter()
        .map(|(from, to)| Edge {
            from,
            to,
            kind: EdgeKind::Main,
        })
        .collect();
    let mut seen = BTreeSet::new();
    for journey in journeys {
        let name = &set.spans[journey.first_span].operation;
        if seen.contains(name) {
            continue;
        }
        if topology.classes.len() == CLASSES_MAX {
            topology.classes.push(class(OTHER_CLASS));
            break;
        }
        seen.insert(name);
        topology.classes.push(class(name));
    }
    Ok(topology)
}

/// The component of the service at that position.
pub(super) fn component_of(set: &SpanSet, topology: &Topology, service: usize) -> ComponentId {
    let name = set.services.name(service);
    // Components after `clients` are sorted by name, up to the queues.
    let services = topology
        .components
        .get(1..=set.services.len())
        .unwrap_or_default();
    let index = services
        .binary_search_by(|component| component.id.as_str().cmp(name))
        .unwrap_or(0);
    u16::try_from(index + 1).map_or(ComponentId::NONE, ComponentId)
}

/// The component of the queue at that position; its label is its name.
pub(super) fn queue_component(set: &SpanSet, topology: &Topology, queue: usize) -> ComponentId {
    let name = set.queues.name(queue);
    let first = set.services.len() + 1;
    let queues = topology.components.get(first..).unwrap_or_default();
    let rank = queues
        .binary_search_by(|queue| queue.label.as_str().cmp(name))
        .unwrap_or(0);
    u16::try_from(first + rank).map_or(ComponentId::NONE, ComponentId)
}

/// What each service is: a store where every span of it speaks of one, a worker where it only takes messages.
fn kinds(set: &SpanSet) -> BTreeMap<&str, ComponentKind> {
    let mut facts = vec![(true, true, true); set.services.len()];
    for span in &set.spans {
        let (is_store, takes_only, has_no_consumer) = &mut facts[span.service];
        *is_store &= span.is_database;
        *takes_only &= matches!(span.role, Role::Consumer | Role::Internal);
        *has_no_consumer &= span.role != Role::Consumer;
    }
    facts
        .into_iter()
        .enumerate()
        .map(|(service, (is_store, takes_only, has_no_consumer))| {
            let kind = if is_store {
                ComponentKind::Database
            } else if takes_only && !has_no_consumer {
                ComponentKind::Worker
            } else {
                ComponentKind::Server
            };
            (set.services.name(service), kind)
        })
        .collect()
}

fn component(id: &str, label: &str, kind: ComponentKind) -> Component {
    Component {
        id: id.to_owned(),
        kind,
        label: label.to_owned(),
        servers: None,
        rate_limit_per_s: None,
        capacity: None,
        port: None,
    }
}

fn class(id: &str) -> Class {
    Class {
        id: id.to_owned(),
        channel: Channel::None,
        priority: 0,
    }
}
