//! Who waits for whom: parts that were split and will be joined, or of which one is enough.
//!
//! Belongs here: the tables beside parts and requests. Does not belong here: splitting and joining
//! (split), cancelling (cancel).
//!
//! Runs without such rules never look here: `is_on` is false and tables stay empty.

use super::slab::{NONE, NOWHERE, Slab};
use crate::model::event::Outcome;
use crate::scenario::valid::{Rule, RuleId, Scenario};

/// What becomes of the parts of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// They wait for each other.
    Fork,
    /// One answer is enough and ends the others.
    Hedge,
    /// Copies inside a branch: their parent joins where it would have joined itself.
    Copy,
}

/// One split under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    /// The part that was split and waits; [`NONE`] once it has gone on without the rest.
    pub(super) parent: u32,
    /// Where the parts come together; [`NOWHERE`] where they are just done.
    pub(super) join: u16,
    /// Where it was split.
    pub(super) from: u16,
    pub(super) rule: RuleId,
    /// Parts that must come well before the parent goes on.
    pub(super) needed: u32,
    /// Parts that have not come, those not sent included.
    pub(super) open: u32,
    /// Parts sent so far.
    pub(super) sent: u32,
    /// The member sent first, of those left.
    pub(super) first: u32,
    /// Tells its timer from one of an earlier group in the same slot.
    pub(super) turn: u32,
    /// Of the first part that did not come well.
    pub(super) outcome: Outcome,
    pub(super) kind: Kind,
    /// Parts are being sent; nothing is decided before all are on their way.
    pub(super) is_sending: bool,
}

/// What a part has to do with groups.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// The group it is a member of, and its neighbours there.
    group: u32,
    before: u32,
    after: u32,
    /// The group it waits for.
    waits_for: u32,
}

const NO_LINK: Link = Link {
    group: NONE,
    before: NONE,
    after: NONE,
    waits_for: NONE,
};

/// All splits of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Joins {
    /// Some rule splits, or a call may end without a callee.
    pub(super) is_on: bool,
    pub(super) groups: Slab<Group>,
    /// By slot of the part.
    links: Vec<Link>,
    /// By slot of the request: parts that run on though nobody waits for them.
    left_behind: Vec<u32>,
    /// Stations drawn for each hedge, `stride` of them by slot of the group.
    picks: Vec<u16>,
    stride: usize,
}

impl Joins {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let splits = |rule: &Rule| matches!(rule, Rule::Fork(_) | Rule::Hedge(_));
        let calls = |rule: RuleId| !matches!(scenario.rule(rule), Rule::Station(_));
        let mut stations = scenario.stations.iter();
        let hedged = scenario.rules.iter().map(|rule| match rule {
            Rule::Hedge(hedge) => hedge.d as usize,
            _ => 0,
        });
        Self {
            is_on: scenario.rules.iter().any(splits)
                || stations.any(|station| station.calls.is_some_and(calls)),
            stride: hedged.max().unwrap_or(0),
            ..Self::default()
        }
    }

    /// Opens a group; `None` past the number of slots.
    pub(super) fn open(&mut self, group: Group) -> Option<u32> {
        let parent = group.parent;
        let id = self.groups.insert(group)?;
        self.link(parent).waits_for = id;
        Some(id)
    }

    pub(super) fn close(&mut self, id: u32) {
        // A late timer finds no turn.
        self.groups.get_mut(id).turn = 0;
        self.groups.remove(id);
    }

    /// Stations drawn for the hedge in this group.
    pub(super) fn picks(&mut self, id: u32) -> &mut [u16] {
        let end = (id as usize + 1) * self.stride;
        if self.picks.len() < end {
            self.picks.resize(end, NOWHERE);
        }
        &mut self.picks[end - self.stride..end]
    }

    fn link(&mut self, part: u32) -> &mut Link {
        let index = part as usize;
        if self.links.len() <= index {
            self.links.resize(index + 1, NO_LINK);
        }
        &mut self.links[index]
    }

    fn look(&self, part: u32) -> Link {
        self.links.get(part as usize).copied().unwrap_or(NO_LINK)
    }

    /// The group it is a member of.
    #[inline]
    pub(super) fn group_of(&self, part: u32) -> Option<u32> {
        Some(self.look(part).group).filter(|group| *group != NONE)
    }

    /// The group it waits for.
    pub(super) fn awaited_by(&self, part: u32) -> Option<u32> {
        Some(self.look(part).waits_for).filter(|group| *group != NONE)
    }

    pub(super) fn wait_no_more(&mut self, part: u32) {
        self.link(part).waits_for = NONE;
    }

    /// Makes the part a member, the last in order.
    pub(super) fn add(&mut self, id: u32, part: u32) {
        let first = self.groups.get(id).first;
        *self.link(part) = Link {
            group: id,
            before: if first == NONE {
                part
            } else {
                self.look(first).before
            },
            ..NO_LINK
        };
        if first == NONE {
            self.groups.get_mut(id).first = part;
        } else {
            // The first knows the last, so that members keep the order they were sent in.
            let last = self.look(first).before;
            self.link(last).after = part;
            self.link(first).before = part;
        }
    }

    /// Takes the part out of its group.
    pub(super) fn take_out(&mut self, part: u32) {
        let Link {
            group,
            before,
            after,
            ..
        } = self.look(part);
        let first = self.groups.get(group).first;
        if first == part {
            self.groups.get_mut(group).first = after;
            if after != NONE {
                self.link(after).before = before;
            }
        } else {
            self.link(before).after = after;
            let next = if after == NONE { first } else { after };
            self.link(next).before = before;
        }
        *self.link(part) = NO_LINK;
    }

    /// The member that was sent first, of those left.
    pub(super) fn first_of(&self, id: u32) -> Option<u32> {
        Some(self.groups.get(id).first).filter(|part| *part != NONE)
    }

    /// So many parts of that request run on alone.
    pub(super) fn leave_behind(&mut self, request: u32, count: u32) {
        let index = request as usize;
        if self.left_behind.len() <= index {
            self.left_behind.resize(index + 1, 0);
        }
        self.left_behind[index] += count;
    }

    pub(super) fn left_behind(&self, request: u32) -> u32 {
        let count = self.left_behind.get(request as usize);
        count.copied().unwrap_or(0)
    }

    /// One of them has ended; true where it was the last.
    pub(super) fn one_less_behind(&mut self, request: u32) -> bool {
        let count = &mut self.left_behind[request as usize];
        *count -= 1;
        *count == 0
    }
}

impl Group {
    /// A group without members.
    pub(super) const fn new(parent: u32, from: u16, rule: RuleId, count: u32, turn: u32) -> Self {
        Self {
            parent,
            join: NOWHERE,
            from,
            rule,
            needed: count,
            open: count,
            sent: 0,
            first: NONE,
            turn,
            outcome: Outcome::Ok,
            kind: Kind::Fork,
            is_sending: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(joins: &Joins, id: u32) -> Vec<u32> {
        let mut list: Vec<u32> = joins.first_of(id).into_iter().collect();
        while let Some(last) = list.last() {
            match joins.look(*last).after {
                NONE => break,
                next => list.push(next),
            }
        }
        list
    }

    #[test]
    fn members_keep_their_order_whoever_leaves() {
        for leaver in [3, 4, 5, 6] {
            let mut joins = Joins::default();
            let id = joins.open(Group::new(0, 0, RuleId(0), 4, 1)).unwrap();
            for part in [3, 4, 5, 6] {
                joins.add(id, part);
            }
            joins.take_out(leaver);
            let mut left: Vec<u32> = [3, 4, 5, 6].into();
            left.retain(|part| *part != leaver);
            assert_eq!(members(&joins, id), left);
            joins.add(id, leaver);
            left.push(leaver);
            assert_eq!(members(&joins, id), left);
            for part in left {
                assert_eq!(joins.first_of(id), Some(part));
                joins.take_out(part);
            }
            assert_eq!(joins.first_of(id), None);
        }
    }
}
