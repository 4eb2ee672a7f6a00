//! How far the stream is in the reel, so that after a crash of the recorder nothing is lost or twice.
//!
//! Belongs here: what is kept on Redis about that, and what the reel has beyond it. Does not belong
//! here: when it is kept (gather.rs).
//!
//! A position is kept after the events it speaks of are with the system, so the reel may have more. What
//! it has more is compared event by event with what is read again.

use super::source::Source;
use flowreel_engine::model::event::StageEvent;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A moment of the recorder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::telemetry::recorder) struct Position {
    /// Events in the reel.
    pub(in crate::telemetry::recorder) next_seq: u64,
    /// Entry of the stream of which, and of all before, every stage is among them.
    pub(in crate::telemetry::recorder) id: String,
    pub(super) sources: Vec<Known>,
}

/// How far one process is in the reel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) process: u64,
    pub(super) role: String,
    /// Its stages before this number are in the reel, or lost and counted.
    pub(super) released: u64,
    pub(super) lane_dropped: u64,
}

impl Position {
    pub(super) fn new(next_seq: u64, id: &str, sources: &BTreeMap<u64, Source>) -> Self {
        let known = sources.iter().filter(|(_, source)| source.next.is_some());
        Self {
            next_seq,
            id: id.to_owned(),
            sources: known
                .map(|(&process, source)| Known {
                    process,
                    role: source.role.clone(),
                    released: source.released,
                    lane_dropped: source.lane_dropped.unwrap_or(0),
                })
                .collect(),
        }
    }

    /// Where a new run begins.
    pub(in crate::telemetry::recorder) fn of_new_run(id: &str) -> Self {
        Self::new(0, id, &BTreeMap::new())
    }

    pub(in crate::telemetry::recorder) fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("texts and numbers always serialize")
    }

    /// The newest that speaks of no more events than there are.
    pub(in crate::telemetry::recorder) fn newest(kept: &[Vec<u8>], next_seq: u64) -> Option<Self> {
        let read = kept
            .iter()
            .filter_map(|it| rmp_serde::from_slice::<Self>(it).ok());
        // The newest is kept first, and of several for one number of events it knows most.
        read.filter(|it| it.next_seq <= next_seq)
            .reduce(|best, it| {
                if it.next_seq > best.next_seq {
                    it
                } else {
                    best
                }
            })
    }
}

/// Events that are in the reel and that the position does not speak of.
#[derive(Debug, Default)]
pub(super) struct Written {
    events: BTreeMap<[u64; 4], Vec<u64>>,
}

impl Written {
    pub(super) fn new(events: Vec<StageEvent>) -> Self {
        let mut written = Self::default();
        for event in events {
            written
                .events
                .entry(key(&event))
                .or_default()
                .push(event.t_ns.0);
        }
        written
    }

    /// True, once each, for events that are in the reel. One that came late has a later time there.
    pub(super) fn contains(&mut self, event: &StageEvent) -> bool {
        if self.events.is_empty() {
            return false;
        }
        let key = key(event);
        let Some(times) = self.events.get_mut(&key) else {
            return false;
        };
        let exact = times.iter().position(|&t_ns| t_ns == event.t_ns.0);
        let Some(index) = exact.or_else(|| times.iter().position(|&t_ns| t_ns > event.t_ns.0))
        else {
            return false;
        };
        times.remove(index);
        if times.is_empty() {
            self.events.remove(&key);
        }
        true
    }
}

/// All of an event but its time, its number and its detail's.
fn key(event: &StageEvent) -> [u64; 4] {
    let [_t_ns, _seq, request, value, places, rest] = event.words();
    [request, value, places >> 32, rest]
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowreel_engine::model::event::EventKind;
    use flowreel_engine::model::id::{ComponentId, DetailId};
    use flowreel_engine::model::time::TimeNs;

    #[test]
    fn the_newest_position_that_the_reel_reaches_is_taken() {
        let kept = [40, 30, 20].map(|next_seq| {
            let id = format!("{next_seq}-0");
            Position::new(next_seq, &id, &BTreeMap::new()).encode()
        });
        let found = Position::newest(&kept, 35).unwrap();
        assert_eq!((found.next_seq, found.id.as_str()), (30, "30-0"));
        assert_eq!(Position::newest(&kept, 19), None);
        assert_eq!(Position::newest(&[vec![1, 2]], 19), None);
    }

    #[test]
    fn what_the_reel_has_is_known_once_each() {
        let event = |t_ns, detail| {
            let mut event = StageEvent::new(TimeNs(t_ns), EventKind::Arrived, ComponentId(3));
            event.detail = DetailId(detail);
            event
        };
        let mut written = Written::new(vec![event(10, 7), event(30, 0)]);
        assert!(written.contains(&event(10, 0)));
        assert!(
            !written.contains(&event(31, 0)),
            "it would have become earlier"
        );
        assert!(written.contains(&event(20, 0)), "it came late");
        assert!(!written.contains(&event(20, 0)));
    }
}
