//! How a state is stored in a keyframe, and its own hash.
//!
//! Belongs here: the canonical form, sorted, without what can be derived.
//! Does not belong here: blocks and checksums (recording).

use super::request::EdgeKey;
use super::{
    Anomalies, ClassState, ComponentState, FinishedRequest, InFlight, PathState, SystemMeasures,
    SystemState, Visit, VisitKey,
};
use crate::model::event::{EventKind, Outcome};
use crate::model::hash::RunHash;
use crate::model::id::{ClassId, ComponentId, RequestId};
use crate::model::packed::Packed;
use crate::model::table::Table;
use crate::model::time::TimeNs;
use crate::model::topology::{ComponentKind, Topology};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::VecDeque;
use std::fmt;

/// More events than any run has: 2^60 at a billion a second take 36 years.
const MOST_EVENTS: u64 = 1 << 60;

/// Hash of a whole state: equal states, equal hashes, however they were reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateHash(pub u128);

/// 32 hexadecimal digits.
impl fmt::Display for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[derive(Serialize, Deserialize)]
struct StateForm {
    now: TimeNs,
    event_count: u64,
    run_hash: RunHash,
    digits: u8,
    kinds: Vec<ComponentKind>,
    components: Vec<ComponentState>,
    classes: Vec<ClassState>,
    paths: Vec<PathState>,
    system: SystemMeasures,
    event_counts: Vec<(u8, u64)>,
    anomalies: Anomalies,
    in_flight: Vec<(RequestId, InFlight)>,
    visits: Vec<(VisitKey, Visit)>,
    edges: Vec<(ComponentId, ComponentId, u64)>,
    /// Row after row, see [`pack_finished`].
    finished: Packed,
}

/// Each request as steps from the one before it: they are near in number and time.
fn pack_finished(finished: &VecDeque<FinishedRequest>) -> Packed {
    let mut packed = Packed::default();
    let (mut request, mut at_ns, mut seq) = (0, 0, 0);
    for row in finished {
        packed.push_step(request, row.request.0);
        packed.push(u64::from(row.class.0));
        packed.push(u64::from(row.outcome.code()));
        packed.push_step(at_ns, row.finished.0);
        packed.push_step(row.begun.0, row.finished.0);
        packed.push_step(seq, row.finished_seq);
        packed.push_step(row.begun_seq, row.finished_seq);
        packed.push(u64::from(row.answered.is_some()));
        if let Some(answered) = row.answered {
            packed.push_step(row.begun.0, answered.0);
        }
        packed.push(u64::from(row.attempts));
        (request, at_ns, seq) = (row.request.0, row.finished.0, row.finished_seq);
    }
    packed
}

/// What [`pack_finished`] packed; `None` where it did not.
fn unpack_finished(packed: &Packed) -> Option<VecDeque<FinishedRequest>> {
    let mut finished = VecDeque::with_capacity(super::FINISHED_KEPT);
    let mut reader = packed.reader();
    let (mut request, mut at_ns, mut seq) = (0, 0, 0);
    while !reader.is_at_end() {
        request = reader.next_step(request)?;
        let class = ClassId(reader.next()?.try_into().ok()?);
        let outcome = Outcome::from_code(reader.next()?.try_into().ok()?)?;
        at_ns = reader.next_step(at_ns)?;
        let begun = TimeNs(at_ns.wrapping_sub(reader.next_step(0)?));
        seq = reader.next_step(seq)?;
        let begun_seq = seq.wrapping_sub(reader.next_step(0)?);
        let answered = match reader.next()? {
            0 => None,
            _ => Some(TimeNs(reader.next_step(begun.0)?)),
        };
        finished.push_back(FinishedRequest {
            request: RequestId(request),
            class,
            outcome,
            begun,
            finished: TimeNs(at_ns),
            begun_seq,
            finished_seq: seq,
            answered,
            attempts: reader.next()?.try_into().ok()?,
        });
    }
    (finished.len() <= super::FINISHED_KEPT).then_some(finished)
}

impl SystemState {
    /// Hash of the canonical form (XXH3-128 over MessagePack).
    #[must_use]
    pub fn state_hash(&self) -> StateHash {
        let bytes = rmp_serde::to_vec(self).expect("a state has nothing that cannot be written");
        StateHash(xxhash_rust::xxh3::xxh3_128(&bytes))
    }

    /// True where this state, read from outside, can be carried on over this topology.
    #[must_use]
    pub fn fits(&self, topology: &Topology) -> bool {
        self.kinds.len() == topology.components.len()
            && self
                .kinds
                .iter()
                .zip(&topology.components)
                .all(|(kind, held)| *kind == held.kind)
            && self.classes.len() == topology.classes.len()
            && self.paths.len() == topology.paths.len()
    }
}

impl Serialize for SystemState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StateForm {
            now: self.now,
            event_count: self.event_count,
            run_hash: self.run_hash,
            digits: self.digits,
            kinds: self.kinds.clone(),
            components: self.components.clone(),
            classes: self.classes.clone(),
            paths: self.paths.clone(),
            system: self.system.clone(),
            event_counts: EventKind::ALL
                .iter()
                .map(|kind| (kind.code(), self.kind_count(*kind)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            anomalies: self.anomalies.clone(),
            in_flight: self.in_flight(),
            visits: self.visits(),
            edges: self.edge_counts(),
            finished: pack_finished(&self.finished),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SystemState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let form = StateForm::deserialize(deserializer)?;
        if form.components.len() != form.kinds.len() || !form.anomalies.is_well_formed() {
            return Err(D::Error::custom("a state with missing components"));
        }
        let finished = unpack_finished(&form.finished)
            .ok_or_else(|| D::Error::custom("a state with broken finished requests"))?;
        let fits = form
            .components
            .iter()
            .all(|held| held.measures.fits(form.event_count));
        if !fits || form.event_count > MOST_EVENTS {
            return Err(D::Error::custom("a state with more done than events"));
        }
        let mut event_counts = vec![0; usize::from(u8::MAX) + 1];
        for (code, count) in form.event_counts {
            event_counts[usize::from(code)] = count;
        }
        let mut in_flight = Table::default();
        for (request, held) in form.in_flight {
            in_flight.insert(request, held);
        }
        let mut visits = Table::default();
        for (key, visit) in form.visits {
            if key.component.index() >= form.kinds.len() {
                return Err(D::Error::custom("a visit at no component"));
            }
            visits.insert(key, visit);
        }
        let mut edges = Table::default();
        for (from, to, count) in form.edges {
            edges.insert(EdgeKey { from, to }, count);
        }
        Ok(Self {
            now: form.now,
            event_count: form.event_count,
            run_hash: form.run_hash,
            digits: form.digits,
            answers_at_servers: form.kinds.contains(&ComponentKind::Server),
            kinds: form.kinds,
            components: form.components,
            classes: form.classes,
            paths: form.paths,
            system: form.system,
            event_counts,
            anomalies: form.anomalies,
            in_flight,
            visits,
            edges,
            finished,
        })
    }
}
