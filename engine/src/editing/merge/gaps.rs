//! Gaps that parts of one run tell, on their way into the joint reel.
//!
//! Belongs here: which of them are still gaps once the parts are joined, and where each goes. Does not
//! belong here: holes that show only when two parts are laid side by side (merge).

use crate::model::event::{EventKind, StageEvent};
use crate::recording::{Gap, GapReason, ReelReader};
use std::collections::{BTreeMap, VecDeque};

/// What the parts say is missing, each thing once.
pub(super) struct ToldGaps {
    /// By the first number missing, or the number after which nobody knows what is missing.
    numbered: BTreeMap<u64, Gap>,
    /// Events that never had a number, in order of time.
    dropped: VecDeque<Gap>,
}

impl ToldGaps {
    pub(super) fn of(readers: &[ReelReader]) -> Self {
        let mut numbered: BTreeMap<u64, Gap> = BTreeMap::new();
        let mut dropped: Vec<Gap> = Vec::new();
        let all = readers.iter().flat_map(ReelReader::gaps);
        for gap in all.filter(|gap| gap.reason != GapReason::Elsewhere) {
            match gap.first_seq {
                Some(first) => {
                    if !is_filled(readers, first) {
                        // The reel that goes on behind a torn one says so as well, and knows less.
                        numbered.entry(first).or_insert_with(|| gap.clone());
                    }
                }
                None if dropped.contains(gap) => {}
                None => dropped.push(gap.clone()),
            }
        }
        dropped.sort_by_key(|gap| gap.from_t_ns);
        for gap in numbered.values_mut().chain(&mut dropped) {
            // A place in a part is no place in the whole.
            gap.offset = None;
        }
        Self {
            numbered,
            dropped: dropped.into(),
        }
    }

    /// Why events from this number on are missing.
    pub(super) fn reason_at(&self, first: u64) -> GapReason {
        let told = self.numbered.get(&first);
        told.map_or(GapReason::Elsewhere, |gap| gap.reason)
    }

    /// The next gap to write before this event, which follows the one before without a hole.
    pub(super) fn before(&mut self, event: &StageEvent) -> Option<Gap> {
        while let Some(entry) = self.numbered.first_entry()
            && *entry.key() <= event.seq
        {
            let (first, gap) = entry.remove_entry();
            if first == event.seq {
                // The number was given again, so how many are missing nobody can know.
                return Some(Gap {
                    to_t_ns: event.t_ns,
                    events: None,
                    ..gap
                });
            }
        }
        let is_next = |gap: &Gap| {
            gap.from_t_ns < event.t_ns
                || (gap.from_t_ns == event.t_ns && event.kind == EventKind::Gap)
        };
        self.dropped
            .front()
            .is_some_and(is_next)
            .then(|| self.dropped.pop_front())
            .flatten()
    }

    /// What is left once every event is there.
    pub(super) fn after(self, next_seq: u64) -> impl Iterator<Item = Gap> {
        let numbered = self.numbered.into_iter();
        let last = numbered.filter_map(move |(first, gap)| (first == next_seq).then_some(gap));
        last.chain(self.dropped)
    }
}

/// True where one part has the event of this number right behind the one before it.
fn is_filled(readers: &[ReelReader], seq: u64) -> bool {
    readers.iter().any(|reader| {
        let tells = reader.gaps().iter().any(|gap| gap.first_seq == Some(seq));
        let blocks = reader.event_blocks();
        let is_inside = blocks
            .iter()
            .any(|block| block.first < seq && seq < block.next_seq());
        let is_between = blocks
            .windows(2)
            .any(|pair| pair[0].next_seq() == seq && pair[1].first == seq);
        !tells && (is_inside || is_between)
    })
}
