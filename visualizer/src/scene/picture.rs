//! What is drawn where at one playhead position, in world units: a pure function of what it is given.
//!
//! Belongs here: tokens and their level of detail, the selected way, visit numbers, node words.
//! Does not belong here: pixels and colours (paint.rs), the clock.

use super::layout::Layout;
use super::station::{Words, words};
use crate::reel::Reel;
use crate::reel::hops::{Carried, HOP_MIN_NS, Hop};
use crate::reel::requests::Summary;
use crate::view::{ComponentNumbers, Filter, Journey, Metrics, Selection, Status};
use egui::Pos2;
use flowreel_engine::model::id::RequestId;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::ComponentKind;

/// Up to here each moving request is a token of its own.
const EACH_MAX: usize = 200;
/// Up to here a sample of them is drawn; above, streams.
const SAMPLED_MAX: usize = 3000;
/// Errors and retries always drawn, each.
const ALWAYS_MAX: usize = 150;
/// Distance between the dots of a trail.
const TRAIL_STEP: f32 = 8.0;

/// Everything to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// One per component.
    pub nodes: Vec<Node>,
    /// Moving requests, in drawing order.
    pub tokens: Vec<Token>,
    /// Busy edges in place of tokens.
    pub streams: Vec<Stream>,
    /// The selected request's way so far: edge and share of it.
    pub path: Vec<(usize, f32)>,
    /// 1 in n tokens is drawn.
    pub sampled_one_in: u32,
    /// Some hop is drawn slower than it was.
    pub is_not_to_scale: bool,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Ring and glyph.
    pub status: Status,
    /// What it says.
    pub words: Words,
    /// Visits of the selected request: number, and whether it has got here on screen.
    pub visits: Vec<(u16, bool)>,
    /// Selected, or visited by the selected request.
    pub is_marked: bool,
}

/// One moving request.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Whose.
    pub request: RequestId,
    /// Where.
    pub at: Pos2,
    /// Where it was: newest first.
    pub trail: Vec<Pos2>,
    /// Shape.
    pub carried: Carried,
    /// Half its size.
    pub radius: f32,
    /// 1 fully, less while something else is selected.
    pub opacity: f32,
    /// Ring and name.
    pub is_selected: bool,
}

/// A busy edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// Position in the topology.
    pub edge: usize,
    /// Main shape of what moves there.
    pub carried: Carried,
    /// Moves per second.
    pub rate_per_s: f32,
    /// 3 to 12.
    pub width: f32,
    /// How far its dashes have moved.
    pub phase: f32,
}

/// What a picture is made of.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The run.
    pub reel: &'a Reel,
    /// Positions.
    pub layout: &'a Layout,
    /// Header figures at the playhead.
    pub metrics: &'a Metrics,
    /// Figures at the playhead.
    pub components: &'a [ComponentNumbers],
    /// The playhead.
    pub now: TimeNs,
    /// What is selected.
    pub selection: Selection,
    /// The selected request's journey.
    pub journey: Option<&'a Journey>,
    /// What is hidden.
    pub filter: &'a Filter,
}

/// Works out the picture.
#[must_use]
pub fn picture(input: Input) -> Picture {
    let mut picture = Picture {
        nodes: nodes(input),
        sampled_one_in: 1,
        ..Picture::default()
    };
    let moving = moving(input);
    picture.is_not_to_scale = moving.iter().any(|(hop, _)| {
        hop.from > hop.recorded || hop.to.since_ns(hop.from) == input.reel.hops().shortest_ns()
    });
    if moving.len() > SAMPLED_MAX {
        picture.streams = streams(input, &moving);
    }
    tokens(input, &moving, &mut picture);
    follow_selected(input, &mut picture);
    picture
}

fn nodes(input: Input) -> Vec<Node> {
    let topology = input.reel.topology();
    let source_count = topology
        .components
        .iter()
        .filter(|component| component.kind == ComponentKind::Clients)
        .count();
    let inflow = input.metrics.requests_per_s.filter(|_| source_count == 1);
    topology
        .components
        .iter()
        .zip(input.components)
        .enumerate()
        .map(|(index, (component, numbers))| {
            let is_last = !topology.edges.iter().any(|edge| edge.from.index() == index);
            let is_selected =
                matches!(input.selection, Selection::Component(id) if id.index() == index);
            Node {
                status: numbers.status,
                words: words(component, numbers, inflow, is_last),
                visits: Vec::new(),
                is_marked: is_selected,
            }
        })
        .collect()
}

/// Moves on screen now whose request passes the filter.
fn moving(input: Input<'_>) -> Vec<(&Hop, &Summary)> {
    let requests = input.reel.requests();
    input
        .reel
        .hops()
        .at(input.now)
        .filter_map(|hop| Some((hop, requests.get(hop.request)?)))
        .filter(|(hop, summary)| {
            is_selected(input, hop.request) || requests.passes(summary, input.filter)
        })
        .collect()
}

fn is_selected(input: Input, request: RequestId) -> bool {
    input.selection == Selection::Request(request)
}

fn share(hop: &Hop, now: TimeNs) -> f32 {
    let length = hop.to.since_ns(hop.from).max(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a share of an edge"
    )]
    let share = (now.since_ns(hop.from) as f64 / length as f64) as f32;
    share.clamp(0.0, 1.0)
}

fn tokens(input: Input, moving: &[(&Hop, &Summary)], picture: &mut Picture) {
    let one_in = match moving.len() {
        0..=EACH_MAX => 1,
        count => count.div_ceil(EACH_MAX).next_power_of_two(),
    };
    picture.sampled_one_in = u32::try_from(one_in).unwrap_or(u32::MAX);
    let is_sampled = one_in > 1;
    let has_streams = !picture.streams.is_empty();
    let has_selected_request = matches!(input.selection, Selection::Request(_));
    let mut older = [Carried::Failed, Carried::Retry].map(|shape| {
        let count = moving
            .iter()
            .filter(|(hop, _)| hop.carried == shape)
            .count();
        count.saturating_sub(ALWAYS_MAX)
    });
    for (hop, _) in moving {
        let is_chosen = is_selected(input, hop.request);
        // Hops come oldest first: over the cap the newest are kept.
        let is_always = match hop.carried {
            Carried::Failed => is_past(&mut older[0]),
            Carried::Retry => is_past(&mut older[1]),
            Carried::Plain | Carried::Email | Carried::InApp => false,
        };
        let is_in_sample = !has_streams && spread(hop.request.0).is_multiple_of(one_in as u64);
        if !(is_chosen || is_always || is_in_sample) {
            continue;
        }
        let Some(route) = input
            .layout
            .routes
            .get(hop.edge)
            .filter(|r| r.length() > 0.0)
        else {
            continue;
        };
        let at = share(hop, input.now);
        let dots = if is_sampled { 1_u8 } else { 3 };
        let trail = (1..=dots)
            .map(|step| at - f32::from(step) * TRAIL_STEP / route.length())
            .take_while(|share| *share > 0.0)
            .map(|share| route.at(share))
            .collect();
        picture.tokens.push(Token {
            request: hop.request,
            at: route.at(at),
            trail,
            carried: hop.carried,
            radius: match (is_chosen, is_sampled) {
                (true, _) => 6.5,
                (false, true) => 4.0,
                (false, false) => 5.5,
            },
            opacity: if has_selected_request && !is_chosen {
                0.55
            } else {
                1.0
            },
            is_selected: is_chosen,
        });
    }
    // The selected one lies on top.
    picture.tokens.sort_by_key(|token| token.is_selected);
}

/// True once as many as `older` have gone by.
const fn is_past(older: &mut usize) -> bool {
    let is_newest = *older == 0;
    *older = older.saturating_sub(1);
    is_newest
}

/// Spreads ids evenly, so that a sample has no pattern and a token never flickers in and out.
const fn spread(id: u64) -> u64 {
    let mixed = (id ^ (id >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed >> 17
}

fn streams(input: Input, moving: &[(&Hop, &Summary)]) -> Vec<Stream> {
    let edge_count = input.layout.routes.len();
    let mut counts = vec![[0_u32; 5]; edge_count];
    for (hop, _) in moving {
        if let Some(count) = counts.get_mut(hop.edge) {
            count[hop.carried as usize] += 1;
        }
    }
    let shapes = [
        Carried::Plain,
        Carried::Email,
        Carried::InApp,
        Carried::Retry,
        Carried::Failed,
    ];
    counts
        .iter()
        .enumerate()
        .filter_map(|(edge, by_shape)| {
            let total: u32 = by_shape.iter().sum();
            let main = shapes
                .iter()
                .copied()
                .max_by_key(|shape| by_shape[*shape as usize])?;
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate_per_s = total as f32 / (HOP_MIN_NS as f32 / 1e9);
            #[expect(clippy::cast_precision_loss, reason = "below one second")]
            let phase = (input.now.0 % 1_000_000_000) as f32 / 1e9;
            (total > 0).then(|| Stream {
                edge,
                carried: main,
                rate_per_s,
                width: (3.0 + rate_per_s.max(1.0).log10() * 2.5).clamp(3.0, 12.0),
                phase,
            })
        })
        .collect()
}

/// The selected request's way so far, its visit numbers, and its token where it rests in a node.
fn follow_selected(input: Input, picture: &mut Picture) {
    let Some(journey) = input.journey else {
        return;
    };
    let all = input.reel.hops().all();
    let first = all.partition_point(|hop| hop.recorded < journey.begun);
    let own: Vec<&Hop> = all[first..]
        .iter()
        .take_while(|hop| hop.recorded <= input.now)
        .filter(|hop| hop.request == journey.request)
        .filter(|hop| hop.from <= input.now)
        .collect();
    for hop in &own {
        let share = share(hop, input.now);
        match picture.path.iter_mut().find(|(edge, _)| *edge == hop.edge) {
            Some((_, so_far)) => *so_far = so_far.max(share),
            None => picture.path.push((hop.edge, share)),
        }
    }
    let topology = input.reel.topology();
    let on_the_way: Vec<usize> = own
        .iter()
        .filter(|hop| input.now < hop.to)
        .filter_map(|hop| topology.edges.get(hop.edge))
        .map(|edge| edge.to.index())
        .collect();
    for stage in journey
        .stages
        .iter()
        .filter(|stage| stage.arrived <= input.now)
    {
        if let Some(node) = picture.nodes.get_mut(stage.component.index()) {
            node.visits.push((stage.number, true));
            node.is_marked = true;
        }
    }
    for index in on_the_way {
        let Some(node) = picture.nodes.get_mut(index) else {
            continue;
        };
        if let Some(last) = node.visits.last_mut() {
            last.1 = false;
        }
        node.is_marked = node.visits.iter().any(|visit| visit.1);
    }
    rest(input, &own, picture);
}

/// Draws the selected request at the tip of its last move while it is inside a node.
fn rest(input: Input, own: &[&Hop], picture: &mut Picture) {
    let is_over = input
        .journey
        .and_then(|journey| journey.finished)
        .is_some_and(|finished| finished < input.now);
    if is_over || picture.tokens.iter().any(|token| token.is_selected) {
        return;
    }
    let Some(last) = own.iter().max_by_key(|hop| hop.to) else {
        return;
    };
    let Some(route) = input.layout.routes.get(last.edge) else {
        return;
    };
    picture.tokens.push(Token {
        request: last.request,
        at: route.at(1.0),
        trail: Vec::new(),
        carried: last.carried,
        radius: 6.5,
        opacity: 1.0,
        is_selected: true,
    });
}

#[cfg(test)]
mod tests {
    use super::is_past;

    #[test]
    fn over_the_cap_the_newest_stay() {
        let mut older = 2;
        let kept: Vec<bool> = (0..5).map(|_| is_past(&mut older)).collect();
        assert_eq!(kept, [false, false, true, true, true]);
    }
}
