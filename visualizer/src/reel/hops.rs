//! Moves as they are drawn: each at least 350 ms long, one after the other for each part.
//!
//! Belongs here: when a token leaves and when it arrives on screen, and what shape it has.
//! Does not belong here: positions (a share of the edge's way), statistics; recorded times stay exact.
//!
//! A hop starts when it was recorded or when the part's previous hop has arrived, whichever is
//! later, so one part is in one place. It depends on earlier events only: the picture at T is the
//! same whether the reel ends there or goes on.

use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::{ComponentId, PartId, RequestId};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::{Channel, EdgeKind, Topology};
use std::collections::HashMap;

/// Shortest drawn hop.
pub const HOP_MIN_NS: u64 = 350_000_000;
/// A part whose drawing lags further than this behind its events takes short hops until it caught up.
const LAG_MAX_NS: u64 = 3_000_000_000;
/// A short hop.
const HOP_HURRIED_NS: u64 = 40_000_000;
/// Hops are found by the second in which they are drawn.
const SLOT_NS: u64 = 1_000_000_000;

/// What a token stands for; decides its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// Neither channel yet.
    Plain,
    /// An e-mail.
    Email,
    /// An in-app message.
    InApp,
    /// Second and later runs.
    Retry,
    /// On its way after a failure.
    Failed,
}

/// One drawn move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Whose.
    pub request: RequestId,
    /// Which part.
    pub part: PartId,
    /// Position of the edge in the topology.
    pub edge: usize,
    /// When the move was recorded.
    pub recorded: TimeNs,
    /// When the token leaves.
    pub from: TimeNs,
    /// When it arrives.
    pub to: TimeNs,
    /// Shape.
    pub carried: Carried,
}

#[derive(Clone, Copy, Debug)]
struct Track {
    free_from: TimeNs,
    channel: Channel,
    attempt: u16,
    last_to: ComponentId,
}

/// All moves of a run.
#[derive(Clone, Debug)]
pub struct Hops {
    shortest_ns: u64,
    hops: Vec<Hop>,
    slots: HashMap<u64, Vec<usize>>,
    tracks: HashMap<(RequestId, PartId), Track>,
    edges: HashMap<(ComponentId, ComponentId), usize>,
    edge_kinds: Vec<EdgeKind>,
    class_channels: Vec<Channel>,
    channel_via: HashMap<ComponentId, Channel>,
}

impl Hops {
    /// No moves yet; each will be drawn at least this long.
    pub(super) fn new(topology: &Topology, shortest_ns: u64) -> Self {
        let edges = topology.edges.iter().enumerate();
        Self {
            shortest_ns,
            hops: Vec::new(),
            slots: HashMap::new(),
            tracks: HashMap::new(),
            edges: edges
                .map(|(index, edge)| ((edge.from, edge.to), index))
                .collect(),
            edge_kinds: topology.edges.iter().map(|edge| edge.kind).collect(),
            class_channels: topology.classes.iter().map(|class| class.channel).collect(),
            channel_via: topology
                .paths
                .iter()
                .map(|path| (path.via, path.channel))
                .collect(),
        }
    }

    pub(super) fn push(&mut self, event: &StageEvent) {
        if event.request == RequestId::NONE {
            return;
        }
        let key = (event.request, event.part);
        match event.kind {
            EventKind::Forwarded | EventKind::JobPickedUp | EventKind::JobRequeued => {
                self.depart(event, event.component, event.peer, event.value);
            }
            EventKind::Arrived
            | EventKind::JobAdded
            | EventKind::JobDelayed
            | EventKind::JobDeadLettered => {
                // A producer that recorded no departure still moved the part here.
                let is_announced = self
                    .tracks
                    .get(&key)
                    .is_some_and(|track| track.last_to == event.component);
                if event.peer.is_some() && !is_announced {
                    self.depart(event, event.peer, event.component, 0);
                }
                let channel = self.channel_via.get(&event.component).copied();
                let track = self.track(event);
                track.attempt = track.attempt.max(event.attempt);
                track.channel = channel.unwrap_or(track.channel);
                // A later move to the same place is a new one.
                track.last_to = ComponentId::NONE;
            }
            EventKind::PartFinished | EventKind::RequestFinished => {
                self.tracks.remove(&key);
            }
            _ => {}
        }
    }

    fn track(&mut self, event: &StageEvent) -> &mut Track {
        let parent = self.tracks.get(&(event.request, PartId(0))).copied();
        let class_channel = self.class_channels.get(event.class.index()).copied();
        self.tracks
            .entry((event.request, event.part))
            .or_insert_with(|| Track {
                // A copy leaves the main line where that is drawn now.
                free_from: parent.map_or(TimeNs::ZERO, |parent| parent.free_from),
                channel: parent
                    .map(|parent| parent.channel)
                    .or(class_channel)
                    .unwrap_or(Channel::None),
                attempt: 0,
                last_to: ComponentId::NONE,
            })
    }

    fn depart(&mut self, event: &StageEvent, from: ComponentId, to: ComponentId, transit_ns: u64) {
        let edge = self.edges.get(&(from, to)).copied();
        let channel = self.channel_via.get(&to).copied();
        let edge_kind = edge.map_or(EdgeKind::Main, |edge| self.edge_kinds[edge]);
        let usual_ns = self.shortest_ns;
        let track = self.track(event);
        track.attempt = track.attempt.max(event.attempt);
        track.channel = channel.unwrap_or(track.channel);
        track.last_to = to;
        let Some(edge) = edge else {
            return;
        };
        let start = track.free_from.max(event.t_ns);
        let is_late = start.since_ns(event.t_ns) > LAG_MAX_NS;
        let shortest_ns = if is_late {
            HOP_HURRIED_NS.min(usual_ns)
        } else {
            usual_ns
        };
        let length_ns = transit_ns.max(shortest_ns);
        let end = start.checked_add_ns(length_ns).unwrap_or(TimeNs::MAX);
        track.free_from = end;
        let carried = match (edge_kind, track.attempt, track.channel) {
            (EdgeKind::Failure, _, _) => Carried::Failed,
            (EdgeKind::Retry, _, _) | (EdgeKind::Main, 2.., _) => Carried::Retry,
            (EdgeKind::Main, _, Channel::Email) => Carried::Email,
            (EdgeKind::Main, _, Channel::InApp) => Carried::InApp,
            (EdgeKind::Main, _, Channel::None) => Carried::Plain,
        };
        self.insert(Hop {
            request: event.request,
            part: event.part,
            edge,
            recorded: event.t_ns,
            from: start,
            to: end,
            carried,
        });
    }

    fn insert(&mut self, hop: Hop) {
        let index = self.hops.len();
        self.hops.push(hop);
        // A transit of hours would fill every slot on its way; its last hour is drawn.
        let last = slot_of(hop.to);
        let first = slot_of(hop.from).max(last.saturating_sub(3600));
        for slot in first..=last {
            self.slots.entry(slot).or_default().push(index);
        }
    }

    /// The channel an event belongs to, as its part is drawn.
    #[must_use]
    pub fn flow_of(&self, event: &StageEvent) -> Channel {
        match event.kind {
            EventKind::EmailQueued | EventKind::EmailSent | EventKind::EmailBounced => {
                Channel::Email
            }
            EventKind::InAppQueued
            | EventKind::InAppDelivered
            | EventKind::InAppAcknowledged
            | EventKind::InAppRead => Channel::InApp,
            _ => self
                .tracks
                .get(&(event.request, event.part))
                .map_or(Channel::None, |track| track.channel),
        }
    }

    /// Moves on screen at `t`, in the order they were recorded.
    pub fn at(&self, t: TimeNs) -> impl Iterator<Item = &Hop> {
        self.slots
            .get(&slot_of(t))
            .into_iter()
            .flatten()
            .map(|index| &self.hops[*index])
            .filter(move |hop| hop.from <= t && t < hop.to)
    }

    /// Shortest drawn move of this run.
    #[must_use]
    pub const fn shortest_ns(&self) -> u64 {
        self.shortest_ns
    }

    /// All moves.
    #[must_use]
    pub fn all(&self) -> &[Hop] {
        &self.hops
    }
}

const fn slot_of(t: TimeNs) -> u64 {
    t.0 / SLOT_NS
}
