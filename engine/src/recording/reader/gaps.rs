//! The gaps of a reel: told by the writer, shown by the order of events, or found where a block is damaged.
//!
//! Belongs here: what is missing, from when to when. Does not belong here: finding blocks (scan).

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use super::ReelReader;
use crate::model::time::TimeNs;
use crate::recording::error::ReelError;
use crate::recording::format::{BlockType, FILE_HEADER_BYTES};
use crate::recording::index::EndForm;
use crate::recording::meta::{Gap, GapReason, Summary};
use crate::recording::scan;

impl ReelReader {
    /// Gaps that are told, gaps that the order of events shows, and the torn tail.
    pub(super) fn find_gaps(&mut self) -> Result<(), ReelError> {
        self.gaps.clear();
        for block in self.blocks.clone() {
            if block.block_type() == Some(BlockType::Gap)
                && let Ok(gap) =
                    scan::read_value::<Gap>(&self.source, &mut self.decoder, &block, "gap")
            {
                self.gaps.push(gap);
            }
        }
        let mut next_seq = 0;
        let mut last_t_ns = 0;
        let mut last_end = u64::try_from(FILE_HEADER_BYTES).unwrap_or(u64::MAX);
        for block in self.events.clone() {
            // What the writer told is missing needs no second gap; what it could not know of does.
            next_seq = self.end_of_told(next_seq);
            if block.first > next_seq {
                let hole = self
                    .holes
                    .iter()
                    .find(|hole| hole.offset >= last_end && hole.offset < block.offset);
                self.gaps.push(Gap {
                    from_t_ns: TimeNs(last_t_ns),
                    to_t_ns: TimeNs(block.first_t_ns),
                    first_seq: Some(next_seq),
                    events: Some(block.first.saturating_sub(next_seq)),
                    reason: hole.map_or(GapReason::Missing, |_| GapReason::Damaged),
                    offset: Some(hole.map_or(last_end, |hole| hole.offset)),
                });
            }
            (next_seq, last_t_ns, last_end) = (block.next_seq(), block.last_t_ns, block.end());
        }
        next_seq = self.end_of_told(next_seq);
        let end = self.last_value::<EndForm>(BlockType::End, "end");
        let total = self.last_value::<Summary>(BlockType::Summary, "summary");
        let after_events = self.holes.iter().filter(|hole| hole.offset >= last_end);
        for hole in after_events.copied().collect::<Vec<_>>() {
            let is_summary = end.is_some_and(|end| end.summary == hole.offset);
            if is_summary
                || total
                    .as_ref()
                    .is_some_and(|total| total.next_seq <= next_seq)
            {
                continue;
            }
            let header = scan::read_header(&self.source, hole.offset, &mut self.bytes)?.ok();
            let lost = header.filter(|header| header.block_type() == Some(BlockType::Events));
            let told = total
                .as_ref()
                .map(|total| (total.next_seq, total.last_t_ns.map_or(last_t_ns, |t| t.0)))
                .or(lost.map(|header| {
                    let count = u64::from(header.count);
                    (header.first.saturating_add(count), header.last_t_ns)
                }));
            self.gaps.push(Gap {
                from_t_ns: TimeNs(last_t_ns),
                to_t_ns: TimeNs(told.map_or(last_t_ns, |(_, t_ns)| t_ns)),
                first_seq: Some(next_seq),
                events: told.map(|(end, _)| end.saturating_sub(next_seq)),
                reason: if hole.is_tail {
                    GapReason::TornTail
                } else {
                    GapReason::Damaged
                },
                offset: Some(hole.offset),
            });
            break;
        }
        self.gaps.sort_by_key(|gap| gap.from_t_ns);
        for position in std::mem::take(&mut self.damaged) {
            self.note_damage(position);
        }
        Ok(())
    }

    /// `seq` after the gaps that are told from here on.
    fn end_of_told(&self, from: u64) -> u64 {
        let mut next_seq = from;
        while let Some(end) = self
            .gaps
            .iter()
            .filter(|gap| gap.first_seq == Some(next_seq))
            .find_map(|gap| end_seq(gap).filter(|&end| end > next_seq))
        {
            next_seq = end;
        }
        next_seq
    }

    /// The events of the block at `position` cannot be had. Damage side by side is one gap.
    pub(super) fn note_damage(&mut self, position: usize) {
        let Some(block) = self.events.get(position).copied() else {
            return;
        };
        if self.damaged.contains(&position) {
            return;
        }
        self.damaged.push(position);
        let before = position.checked_sub(1).and_then(|at| self.events.get(at));
        let after = self.events.get(position.saturating_add(1));
        let mut gap = Gap {
            from_t_ns: TimeNs(before.map_or(0, |block| block.last_t_ns)),
            to_t_ns: TimeNs(after.map_or(block.last_t_ns, |block| block.first_t_ns)),
            first_seq: Some(block.first),
            events: Some(u64::from(block.count)),
            reason: GapReason::Damaged,
            offset: Some(block.offset),
        };
        if let Some(held) = self.take_damaged(|held| end_seq(held) == gap.first_seq) {
            gap = joined(&held, &gap);
        }
        if let Some(held) = self.take_damaged(|held| held.first_seq == end_seq(&gap)) {
            gap = joined(&gap, &held);
        }
        let at = self
            .gaps
            .partition_point(|held| held.from_t_ns <= gap.from_t_ns);
        self.gaps.insert(at, gap);
    }

    fn take_damaged(&mut self, is_wanted: impl Fn(&Gap) -> bool) -> Option<Gap> {
        let is_wanted = |held: &Gap| {
            held.reason == GapReason::Damaged && held.events.is_some() && is_wanted(held)
        };
        let at = self.gaps.iter().position(is_wanted)?;
        Some(self.gaps.remove(at))
    }
}

/// `seq` of the first event after the gap, where known.
fn end_seq(gap: &Gap) -> Option<u64> {
    gap.first_seq?.checked_add(gap.events?)
}

fn joined(first: &Gap, second: &Gap) -> Gap {
    Gap {
        to_t_ns: second.to_t_ns,
        events: first
            .events
            .zip(second.events)
            .map(|(a, b)| a.saturating_add(b)),
        ..first.clone()
    }
}
