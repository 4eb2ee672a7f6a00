//! The run in slices of equal length: what the timeline and the sparklines draw.
//!
//! Belongs here: counting events into slices, sampling the state at their ends, halving the number
//! of slices when there are too many. Does not belong here: pixels.

use crate::view::{Lanes, Slice, is_error};
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::{Channel, ComponentKind, Topology};

const SLICE_NS: u64 = 100_000_000;
/// Twice as many as bars fit a wide screen.
const SLICES_MAX: usize = 480;
const WINDOW_S: u64 = 10;

pub(super) fn empty() -> Lanes {
    Lanes {
        slice_ns: SLICE_NS,
        ..Lanes::default()
    }
}

/// Opens the slice that `t` falls into; the slices before it are sampled from the state so far.
pub(super) fn advance(lanes: &mut Lanes, topology: &Topology, state: &SystemState, t: TimeNs) {
    while position(lanes, t) >= SLICES_MAX {
        halve(lanes);
    }
    let wanted = position(lanes, t);
    while lanes.slices.len() <= wanted {
        refresh(lanes, topology, state);
        lanes.slices.push(Slice::default());
    }
}

/// Counts an event into the newest slice.
pub(super) fn count(lanes: &mut Lanes, event: &StageEvent, channel: Channel) {
    let Some(slice) = lanes.slices.last_mut() else {
        return;
    };
    match channel {
        Channel::Email => slice.email += 1,
        Channel::InApp => slice.in_app += 1,
        Channel::None => slice.other += 1,
    }
    slice.errors += u32::from(is_error(event.kind, event.outcome));
}

/// Samples the state at the end of the newest slice.
#[expect(
    clippy::cast_possible_truncation,
    reason = "for a line a few pixels high"
)]
pub(super) fn refresh(lanes: &mut Lanes, topology: &Topology, state: &SystemState) {
    let count = lanes.slices.len() as u64;
    let end = TimeNs(count * lanes.slice_ns).max(state.now());
    let Some(slice) = lanes.slices.last_mut() else {
        return;
    };
    slice.active = narrow(state.requests().in_flight);
    slice.requests_per_s = state.system().begun_window.rate_per_s(end, WINDOW_S) as f32;
    slice.latency_mean_s = state.answer_mean_s(end).map(|s| s as f32);
    slice.latency_p95_s = state
        .recent_answer_quantile_s(end, WINDOW_S, 0.95)
        .map(|s| s as f32);
    slice.error_ratio = state.error_ratio(end).map(|ratio| ratio as f32);
    slice.queued = narrow(state.queued_and_delayed().0);
    slice.depths = state
        .components()
        .iter()
        .map(|component| narrow(component.measures.present()))
        .collect();
    // The depth lane shows the queue that was ever the fullest.
    let deepest = |lanes: &Lanes, index: usize| {
        lanes
            .slices
            .iter()
            .filter_map(|slice| slice.depths.get(index))
            .max()
            .copied()
            .unwrap_or(0)
    };
    let queues = topology
        .components
        .iter()
        .enumerate()
        .filter(|(_, component)| component.kind == ComponentKind::Queue);
    let fullest = queues.max_by_key(|(index, _)| (deepest(lanes, *index), usize::MAX - index));
    lanes.depth_of = fullest
        .and_then(|(index, _)| u16::try_from(index).ok())
        .map(flowreel_engine::model::id::ComponentId);
}

fn position(lanes: &Lanes, t: TimeNs) -> usize {
    usize::try_from(t.0 / lanes.slice_ns).unwrap_or(usize::MAX)
}

/// Joins slices two by two: counts add up, samples are those of the later one.
fn halve(lanes: &mut Lanes) {
    lanes.slice_ns *= 2;
    let mut joined: Vec<Slice> = Vec::with_capacity(lanes.slices.len() / 2 + 1);
    for (index, slice) in lanes.slices.drain(..).enumerate() {
        match joined.last_mut() {
            Some(before) if index % 2 == 1 => {
                *before = Slice {
                    email: before.email + slice.email,
                    in_app: before.in_app + slice.in_app,
                    other: before.other + slice.other,
                    errors: before.errors + slice.errors,
                    ..slice
                };
            }
            _ => joined.push(slice),
        }
    }
    lanes.slices = joined;
}

fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
