//! Least attained service: those who got least come first, and share what is too little for them all.
//!
//! Belongs here: levels of attained service. Does not belong here: who is present (special).
//!
//! Parts with the same attained service form a group; groups lie on a stack, the least on top. Cores
//! are given out from the top, one per part while they last, the last of them shared by their group.
//! A group gains until its shortest part is done, or until it reaches the group below and joins it.
//! Service is counted in units of 2^-32 ns and rounded down; a group that joins another loses what it
//! got past the other's level since the nanosecond before, less than 1 ns in all.

use super::bench::FRACTION_BITS;
use super::heap::{Heap, Ticket};
use super::slab::{Part, Slab};

/// Parts that have all got the same.
#[derive(Clone, Copy, Debug)]
struct Group {
    level: u128,
    /// Position of its heap.
    members: u32,
}

/// All parts in service.
#[derive(Clone, Debug)]
pub(super) struct Attained {
    groups: Vec<Group>,
    /// By whole service needed; a part's heap stands in [`Part::after`].
    heaps: Vec<Heap>,
    free: Vec<u32>,
    count: usize,
    /// Done at the moment at which somebody came, and not taken out yet; the last is next.
    finished: Vec<Ticket>,
    pub(super) settled_ns: u64,
    cores: u32,
}

impl Attained {
    pub(super) const fn new(cores: u32) -> Self {
        Self {
            groups: Vec::new(),
            heaps: Vec::new(),
            free: Vec::new(),
            count: 0,
            finished: Vec::new(),
            settled_ns: 0,
            cores,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    fn members(&self, group: Group) -> &Heap {
        &self.heaps[group.members as usize]
    }

    /// Groups at work from the top: position, parts, cores for them.
    fn at_work(&self) -> impl Iterator<Item = (usize, u128, u128)> + '_ {
        let mut cores = u128::from(self.cores);
        let from_top = self.groups.iter().enumerate().rev();
        from_top.map_while(move |(index, group)| {
            let count = self.members(*group).len() as u128;
            let share = count.min(cores);
            cores -= share;
            (share > 0).then_some((index, count, share))
        })
    }

    pub(super) fn settle(&mut self, now_ns: u64) {
        let units = u128::from(now_ns - self.settled_ns) << FRACTION_BITS;
        self.settled_ns = now_ns;
        let mut cores = u128::from(self.cores);
        for group in self.groups.iter_mut().rev() {
            let count = self.heaps[group.members as usize].len() as u128;
            let share = count.min(cores);
            cores -= share;
            if share == 0 {
                break;
            }
            group.level += units * share / count;
        }
    }

    /// Time until one is done or two groups meet.
    pub(super) fn due_ns(&self) -> Option<u64> {
        if !self.finished.is_empty() {
            return Some(0);
        }
        let one_ns = 1_u128 << FRACTION_BITS;
        let mut soonest: Option<u128> = None;
        let mut sooner = |ns: u128| soonest = Some(soonest.map_or(ns, |it| it.min(ns)));
        let mut above: Option<(u128, u128, u128)> = None;
        for (index, count, share) in self.at_work() {
            let level = self.groups[index].level;
            if let Some((level_above, count_above, share_above)) = above {
                // Both gain; they meet only where this one gains less.
                let faster = share_above * count - share * count_above;
                let gap = level.saturating_sub(level_above);
                if faster > 0 {
                    let span = gap.saturating_mul(count).saturating_mul(count_above);
                    sooner(span.div_ceil(faster * one_ns));
                }
            }
            let first = self.members(self.groups[index]).first()?;
            let left = first.key.saturating_sub(level);
            sooner(left.saturating_mul(count).div_ceil(share * one_ns));
            above = Some((level, count, share));
        }
        let (index, ..) = self.at_work().last()?;
        if let (Some((level, count, share)), Some(below)) = (above, index.checked_sub(1)) {
            let gap = self.groups[below].level.saturating_sub(level);
            sooner(gap.saturating_mul(count).div_ceil(share * one_ns));
        }
        soonest.map(|ns| u64::try_from(ns).unwrap_or(u64::MAX))
    }

    /// A newcomer has got nothing yet; the key is the service it needs.
    pub(super) fn add(&mut self, parts: &mut Slab<Part>, ticket: Ticket) {
        // Under a newcomer nobody would notice that they are done.
        while let Some(done) = self.next_done(parts) {
            self.finished.insert(0, done);
        }
        self.count += 1;
        let members = match self.groups.last() {
            Some(top) if top.level == 0 => top.members,
            _ => {
                let members = self.free.pop().unwrap_or_else(|| {
                    self.heaps.push(Heap::default());
                    u32::try_from(self.heaps.len() - 1).unwrap_or(u32::MAX)
                });
                self.groups.push(Group { level: 0, members });
                members
            }
        };
        parts.get_mut(ticket.slot).after = members;
        self.heaps[members as usize].push(parts, ticket);
    }

    /// Takes out one that is done.
    pub(super) fn done(&mut self, parts: &mut Slab<Part>) -> Option<Ticket> {
        self.finished.pop().or_else(|| self.next_done(parts))
    }

    fn next_done(&mut self, parts: &mut Slab<Part>) -> Option<Ticket> {
        loop {
            let done = self.at_work().find_map(|(index, ..)| {
                let group = self.groups[index];
                let first = self.members(group).first()?;
                (first.key <= group.level).then_some((index, first.slot))
            });
            if let Some((index, slot)) = done {
                return Some(self.take(parts, index, slot));
            }
            let met = self.at_work().find_map(|(index, ..)| {
                let below = index.checked_sub(1)?;
                (self.groups[index].level >= self.groups[below].level).then_some(index)
            });
            self.join(parts, met?);
        }
    }

    /// A group joins the one below it: the smaller heap moves.
    fn join(&mut self, parts: &mut Slab<Part>, index: usize) {
        let below = index - 1;
        let joining = self.groups.remove(index);
        let (mut keep, mut move_out) = (self.groups[below].members, joining.members);
        if self.heaps[keep as usize].len() < self.heaps[move_out as usize].len() {
            (keep, move_out) = (move_out, keep);
        }
        while let Some(ticket) = self.heaps[move_out as usize].pop(parts) {
            parts.get_mut(ticket.slot).after = keep;
            self.heaps[keep as usize].push(parts, ticket);
        }
        self.groups[below].members = keep;
        self.free.push(move_out);
    }

    fn take(&mut self, parts: &mut Slab<Part>, index: usize, slot: u32) -> Ticket {
        let group = self.groups[index];
        let members = &mut self.heaps[group.members as usize];
        let ticket = members.remove(parts, slot);
        if members.is_empty() {
            self.groups.remove(index);
            self.free.push(group.members);
        }
        self.count -= 1;
        let units = ticket.key.saturating_sub(group.level);
        let left_ns = u64::try_from(units.div_ceil(1 << FRACTION_BITS)).unwrap_or(u64::MAX);
        Ticket { left_ns, ..ticket }
    }

    /// Takes a part out before it is done; `None` where it is not in service.
    pub(super) fn remove(&mut self, parts: &mut Slab<Part>, slot: u32) -> Option<Ticket> {
        if let Some(index) = self.finished.iter().position(|it| it.slot == slot) {
            return Some(self.finished.remove(index));
        }
        let members = parts.get(slot).after;
        let index = self.groups.iter().position(|it| it.members == members)?;
        if !self.members(self.groups[index]).holds(parts, slot) {
            return None;
        }
        Some(self.take(parts, index, slot))
    }
}
