//! Figures for people, drawn from the replayed state at one playhead position.
//!
//! Belongs here: which measure a screen figure is. Does not belong here: how a measure comes about
//! (the engine's state), words and colours (panels).

use crate::view::{ComponentNumbers, Health, Metrics, Status};
use flowreel_engine::model::event::EventKind;
use flowreel_engine::model::id::ComponentId;
use flowreel_engine::model::metrics::Durations;
use flowreel_engine::model::state::{ComponentStatus, SystemState, SystemStatus};
use flowreel_engine::model::time::{TimeNs, seconds_from_ns};
use flowreel_engine::model::topology::{ComponentKind, Topology};

use crate::reel::Reel;

/// Window of rates.
const WINDOW_S: u64 = 10;
/// Depth at which a queue without a capacity turns red.
const DEPTH_ALERT: u64 = 100;

/// Header figures at `now`.
#[must_use]
pub fn metrics(reel: &Reel, state: &SystemState, now: TimeNs) -> Metrics {
    let (queued, delayed) = state.queued_and_delayed();
    let has_events = state.event_count() > 0;
    Metrics {
        health: match state.status(now) {
            _ if !has_events => Health::Unknown,
            SystemStatus::Healthy => Health::Healthy,
            SystemStatus::Degraded => Health::Degraded,
            SystemStatus::Critical => Health::Critical,
        },
        active: state.requests().in_flight,
        requests_per_s: has_events.then(|| state.system().begun_window.rate_per_s(now, WINDOW_S)),
        latency_mean_s: state.answer_mean_s(now),
        latency_p95_s: state.recent_answer_quantile_s(now, WINDOW_S, 0.95),
        error_ratio: state.error_ratio(now),
        queued,
        delayed: delayed.max(parked(reel.topology(), state)),
        dead_letters: dead_letters(reel.topology(), state),
        uptime_s: has_events.then(|| now.as_s()),
        anomalies: state.anomalies().total(),
    }
}

/// Jobs in service at queues: parked until later (a queue that only delays).
fn parked(topology: &Topology, state: &SystemState) -> u64 {
    topology
        .components
        .iter()
        .zip(state.components())
        .filter(|(component, _)| {
            matches!(component.kind, ComponentKind::Queue | ComponentKind::Delay)
        })
        .map(|(_, held)| held.measures.in_service.value)
        .sum()
}

/// Jobs resting in queues that nothing leads out of.
fn dead_letters(topology: &Topology, state: &SystemState) -> u64 {
    topology
        .components
        .iter()
        .zip(state.components())
        .enumerate()
        .filter(|(index, (component, _))| {
            component.kind == ComponentKind::Queue
                && !topology
                    .edges
                    .iter()
                    .any(|edge| edge.from.index() == *index)
        })
        .map(|(_, (_, held))| held.measures.present())
        .sum()
}

/// Every component at `now`, in the order of the topology.
#[must_use]
pub fn components(reel: &Reel, state: &SystemState, now: TimeNs) -> Vec<ComponentNumbers> {
    let mut numbers: Vec<ComponentNumbers> = (0..reel.topology().components.len())
        .filter_map(|index| u16::try_from(index).ok())
        .map(|index| component(reel.topology(), state, ComponentId(index), now))
        .collect();
    // Visits come sorted by component, then arrival: the first waiting one is the oldest.
    for (key, visit) in state.visits() {
        let Some(at) = numbers.get_mut(key.component.index()) else {
            continue;
        };
        if visit.started.is_none() && at.oldest_waiting_s.is_none() {
            at.oldest_waiting_s = Some(seconds_from_ns(now.since_ns(visit.arrived)));
        }
        let opened = reel.event_with_seq(visit.arrived_seq);
        if let Some(event) = opened.filter(|event| event.kind == EventKind::JobDelayed) {
            let due = visit
                .arrived
                .checked_add_ns(event.value)
                .unwrap_or(TimeNs::MAX);
            let due_s = seconds_from_ns(due.since_ns(now));
            at.next_due_s = Some(at.next_due_s.map_or(due_s, |other| other.min(due_s)));
        }
    }
    numbers
}

fn component(
    topology: &Topology,
    state: &SystemState,
    id: ComponentId,
    now: TimeNs,
) -> ComponentNumbers {
    let Some(held) = state.components().get(id.index()) else {
        return ComponentNumbers::default();
    };
    let Some(component) = topology.component(id) else {
        return ComponentNumbers::default();
    };
    let measures = &held.measures;
    let window = |window: &flowreel_engine::model::metrics::Window| {
        (measures.arrivals > 0).then(|| window.rate_per_s(now, WINDOW_S))
    };
    let is_queue = matches!(component.kind, ComponentKind::Queue | ComponentKind::Delay);
    let alert_limit = is_queue.then(|| component.capacity.map_or(DEPTH_ALERT, u64::from));
    let is_over = alert_limit.is_some_and(|limit| measures.waiting.value > limit);
    let status = match state.component_status(id, now) {
        _ if is_over => Status::Error,
        // What it holds is due later; nobody works on it.
        ComponentStatus::Processing if is_queue => Status::Waiting,
        ComponentStatus::Idle => Status::Idle,
        ComponentStatus::Processing => Status::Processing,
        ComponentStatus::Waiting => Status::Waiting,
        ComponentStatus::Error => Status::Error,
        ComponentStatus::Offline => Status::Offline,
    };
    let ended = measures.departures_window.sum(now, WINDOW_S);
    let errors = measures.errors_window.sum(now, WINDOW_S);
    ComponentNumbers {
        status,
        waiting: measures.waiting.value,
        in_service: measures.in_service.value,
        servers: component.servers,
        arrived: measures.arrivals,
        completed: measures.completed,
        failed: measures.failed,
        rejected: measures.rejected,
        abandoned: measures.abandoned,
        timed_out: measures.timed_out,
        rate_per_s: window(&measures.departures_window),
        arrival_rate_per_s: window(&measures.arrivals_window),
        rate_limit_per_s: component.rate_limit_per_s,
        utilization_ratio: utilization(component.servers, measures.in_service.value),
        error_ratio: (ended > 0).then(|| ratio(errors.min(ended), ended)),
        waiting_mean_s: mean(&measures.waiting_time),
        service_mean_s: mean(&measures.service_time),
        sojourn_p95_s: measures.sojourn_time.quantile_s(0.95),
        oldest_waiting_s: None,
        next_due_s: None,
        alert_limit,
        shares: shares(topology, state, id, component.kind),
    }
}

fn mean(durations: &Durations) -> Option<f64> {
    durations.mean_s()
}

fn utilization(servers: Option<u32>, in_service: u64) -> Option<f64> {
    let servers = u64::from(servers?);
    (servers > 0).then(|| ratio(in_service.min(servers), servers))
}

/// Shares of a balancer's arrivals by target.
fn shares(
    topology: &Topology,
    state: &SystemState,
    id: ComponentId,
    kind: ComponentKind,
) -> Vec<(ComponentId, f64)> {
    if kind != ComponentKind::Balancer {
        return Vec::new();
    }
    let targets: Vec<(ComponentId, u64)> = topology
        .edges
        .iter()
        .filter(|edge| edge.from == id)
        .filter_map(|edge| {
            let held = state.components().get(edge.to.index())?;
            Some((edge.to, held.measures.arrivals))
        })
        .collect();
    let total: u64 = targets.iter().map(|target| target.1).sum();
    if total == 0 {
        return Vec::new();
    }
    targets
        .into_iter()
        .map(|(target, count)| (target, ratio(count, total)))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
