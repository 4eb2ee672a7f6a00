//! Clocks of machines that recorded one system: how far apart they are.
//!
//! Belongs here: matching what one reel sent with what another received. Does not belong here: joining (merge).
//!
//! With the least times there and back, `a` and `b`, each transit plus or minus the difference of the
//! clocks, the difference is (a - b) / 2 and cannot be more than (a + b) / 2 off (Mills, RFC 5905 §8).

use super::cursor::Cursor;
use crate::model::event::{EventKind, StageEvent};
use crate::model::id::{ComponentId, RequestId};
use crate::model::topology::Topology;
use crate::recording::ReelError;
use std::collections::BTreeMap;

/// One part's clock against that of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// By how much its times are ahead, in ns.
    pub ahead_ns: i128,
    /// At most so far off, in ns; `None` where messages went one way only, or none at all.
    pub uncertainty_ns: Option<u64>,
    /// Pairs of send and receive that tell.
    pub pairs: u64,
}

/// A way that one part of a request took, by names that all reels share.
type Way = (RequestId, u16, u16, u16);

/// Sends without a receive in the same reel, and receives without a send, in order, times in ns.
#[derive(Default)]
pub(super) struct Loose {
    sent: BTreeMap<Way, Vec<i128>>,
    received: BTreeMap<Way, Vec<i128>>,
}

/// What a reel sent elsewhere and received from elsewhere; `to_union` gives the joint ids of components.
pub(super) fn loose_ends(
    cursor: &mut Cursor,
    to_union: &[ComponentId],
) -> Result<Loose, ReelError> {
    let place = |id: ComponentId| to_union.get(id.index()).copied().unwrap_or(id).0;
    let mut loose = Loose::default();
    while let Some(event) = cursor.next()? {
        let StageEvent { t_ns, .. } = event;
        match event.kind {
            EventKind::Forwarded => {
                let way = (
                    event.request,
                    event.part.0,
                    place(event.component),
                    place(event.peer),
                );
                loose.sent.entry(way).or_default().push(i128::from(t_ns.0));
            }
            EventKind::Arrived
            | EventKind::JobAdded
            | EventKind::JobDelayed
            | EventKind::JobDeadLettered
                if event.peer != ComponentId::NONE =>
            {
                let way = (
                    event.request,
                    event.part.0,
                    place(event.peer),
                    place(event.component),
                );
                // A receive whose send is here takes it away; on one clock it comes after it.
                if let Some(sent) = loose.sent.get_mut(&way) {
                    sent.remove(0);
                    if sent.is_empty() {
                        loose.sent.remove(&way);
                    }
                } else {
                    loose
                        .received
                        .entry(way)
                        .or_default()
                        .push(i128::from(t_ns.0));
                }
            }
            _ => {}
        }
    }
    Ok(loose)
}

/// How far the clock of `b` is ahead of that of `a`; `None` without a pair.
pub(super) fn compare(a: &Loose, b: &Loose) -> Option<Clock> {
    let (there, there_count) = least(&a.sent, &b.received);
    let (back, back_count) = least(&b.sent, &a.received);
    let pairs = there_count + back_count;
    match (there, back) {
        (Some(there), Some(back)) => Some(Clock {
            ahead_ns: (there - back) / 2,
            uncertainty_ns: u64::try_from((there + back) / 2).ok(),
            pairs,
        }),
        (Some(there), None) => Some(Clock {
            ahead_ns: there,
            uncertainty_ns: None,
            pairs,
        }),
        (None, Some(back)) => Some(Clock {
            ahead_ns: -back,
            uncertainty_ns: None,
            pairs,
        }),
        (None, None) => None,
    }
}

/// The least time from send to receive, by two clocks, and the number of pairs.
fn least(
    sent: &BTreeMap<Way, Vec<i128>>,
    received: &BTreeMap<Way, Vec<i128>>,
) -> (Option<i128>, u64) {
    let mut least = None;
    let mut pairs = 0;
    for (way, begun) in sent {
        for (sent, received) in begun.iter().zip(received.get(way).into_iter().flatten()) {
            let took = received - sent;
            least = Some(least.map_or(took, |least: i128| least.min(took)));
            pairs += 1;
        }
    }
    (least, pairs)
}

/// For each component of `own` its id in `union`.
pub(super) fn places(own: &Topology, union: &Topology) -> Vec<ComponentId> {
    own.components
        .iter()
        .map(|component| {
            union
                .component_named(&component.id)
                .unwrap_or(ComponentId::NONE)
        })
        .collect()
}
