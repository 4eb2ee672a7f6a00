//! Splitting and joining: forks whose parts wait for each other, hedges of which one answer is enough.
//!
//! Belongs here: sending parts, counting them home, going on. Does not belong here: cancelling (cancel).
//!
//! The part that splits waits and goes on itself when its parts are home, under its own number. A part
//! that ends badly does not keep the others from running; once too few can come well, the split has
//! failed, and its parent ends as the first of them did, when the last one is home.

use super::join::{Group, Kind};
use super::slab::{NONE, NOWHERE, Part};
use super::{Appointment, Kernel, KernelError, Sink};
use crate::model::event::{EventKind, Outcome, StageEvent};
use crate::model::id::PathId;
use crate::model::time::TimeNs;
use crate::scenario::valid::RuleId;

impl Kernel {
    /// Sends one part to each station of the rule and lets the parent wait.
    pub(super) fn fork<S: Sink>(
        &mut self,
        slot: u32,
        from: u16,
        rule: RuleId,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let turn = self.fresh_turn();
        let Some(fork) = self.router.fork(rule) else {
            return self.finish_part(slot, from, Outcome::Failed, sink);
        };
        let count = u32::try_from(fork.to.len()).unwrap_or(u32::MAX);
        let group = Group {
            join: fork.join.map_or(NOWHERE, |join| join.0),
            needed: fork.wait_for,
            ..Group::new(slot, from, rule, count, turn)
        };
        let id = self.joins.open(group).ok_or_else(|| self.too_many(from))?;
        for index in 0..count as usize {
            let to = self.router.fork(rule).map_or(from, |fork| fork.to[index].0);
            self.send_member(id, to, 0, sink)?;
        }
        self.all_sent(id, from, sink)
    }

    /// Copies made inside a branch: the branch is home when all of them are.
    pub(super) fn copy_in_branch<S: Sink>(
        &mut self,
        slot: u32,
        outer: u32,
        from: u16,
        rule: RuleId,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let turn = self.fresh_turn();
        let count = self.router.copies(rule).len();
        let group = Group {
            join: self.joins.groups.get(outer).join,
            kind: Kind::Copy,
            ..Group::new(
                slot,
                from,
                rule,
                u32::try_from(count).unwrap_or(u32::MAX),
                turn,
            )
        };
        let id = self.joins.open(group).ok_or_else(|| self.too_many(from))?;
        // The copies are what becomes of it: each counts on its path, and the original no more.
        let path = std::mem::take(&mut self.parts.get_mut(slot).path);
        for index in 0..count {
            let to = self.router.copies(rule)[index].0;
            self.send_member(id, to, path, sink)?;
        }
        self.all_sent(id, from, sink)
    }

    /// Sends the first part of a hedge; the others follow while there is no answer.
    pub(super) fn hedge<S: Sink>(
        &mut self,
        slot: u32,
        from: u16,
        rule: RuleId,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let turn = self.fresh_turn();
        let Some(hedge) = self.router.hedge(rule) else {
            return self.finish_part(slot, from, Outcome::Failed, sink);
        };
        let group = Group {
            join: hedge.join.map_or(NOWHERE, |join| join.0),
            needed: 1,
            kind: Kind::Hedge,
            ..Group::new(slot, from, rule, hedge.d, turn)
        };
        let id = self.joins.open(group).ok_or_else(|| self.too_many(from))?;
        self.router.draw_hedge(rule, self.joins.picks(id));
        self.send_hedged(id, sink)
    }

    /// The time without an answer is over, unless there was one.
    pub(super) fn hedge_due<S: Sink>(
        &mut self,
        id: u32,
        turn: u32,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let group = self.joins.groups.get_mut(id);
        if group.turn != turn {
            return Ok(());
        }
        group.is_sending = true;
        self.send_hedged(id, sink)
    }

    fn send_hedged<S: Sink>(&mut self, id: u32, sink: &mut S) -> Result<(), KernelError> {
        let Group { rule, from, .. } = *self.joins.groups.get(id);
        let (d, after_ns) = self
            .router
            .hedge(rule)
            .map_or((0, 0), |hedge| (hedge.d, hedge.after_ns));
        loop {
            let index = self.joins.groups.get(id).sent as usize;
            let to = self.joins.picks(id)[index];
            self.send_member(id, to, 0, sink)?;
            let Group { sent, turn, .. } = *self.joins.groups.get(id);
            if sent == d {
                break;
            }
            if after_ns > 0 {
                self.plan(after_ns, Appointment::Hedge(id, turn), from)?;
                break;
            }
        }
        self.all_sent(id, from, sink)
    }

    fn send_member<S: Sink>(
        &mut self,
        id: u32,
        to: u16,
        path: u16,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let group = self.joins.groups.get_mut(id);
        group.sent += 1;
        let (parent, from) = (group.parent, group.from);
        let Part { request, class, .. } = *self.parts.get(parent);
        let owner = self.requests.get_mut(request);
        owner.last_part = owner.last_part.saturating_add(1);
        let mut part = Part::new(request, class, owner.last_part);
        part.path = path;
        let member = self.parts.insert(part);
        let member = member.ok_or_else(|| self.too_many(from))?;
        self.joins.add(id, member);
        self.forward(member, from, to, sink)
    }

    fn all_sent<S: Sink>(&mut self, id: u32, at: u16, sink: &mut S) -> Result<(), KernelError> {
        self.joins.groups.get_mut(id).is_sending = false;
        self.settle_group(id, at, sink)
    }

    /// True where the part has come to the place where its group meets.
    pub(super) fn comes_to_join(&self, slot: u32) -> bool {
        let Part {
            at,
            caller,
            is_parking,
            ..
        } = *self.parts.get(slot);
        let group = self.joins.group_of(slot);
        caller == NONE
            && !is_parking
            && group.is_some_and(|id| self.joins.groups.get(id).join == at)
    }

    /// A part of a group is home, well or badly.
    pub(super) fn end_member<S: Sink>(
        &mut self,
        slot: u32,
        id: u32,
        at: u16,
        outcome: Outcome,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let Part { request, path, .. } = *self.parts.get(slot);
        let is_left_behind = self.joins.groups.get(id).parent == NONE;
        // Nobody waits for it any more, or for those who wait for it: its end is no figure of its path.
        let is_over = self.requests.get(request).parts_alive == 0;
        let path = if is_left_behind || is_over { 0 } else { path };
        self.tell_end(slot, at, path, outcome, sink);
        self.joins.take_out(slot);
        self.parts.remove(slot);
        let group = self.joins.groups.get_mut(id);
        group.open -= 1;
        if outcome == Outcome::Ok {
            group.needed = group.needed.saturating_sub(1);
        } else if group.outcome == Outcome::Ok {
            group.outcome = outcome;
        }
        if is_left_behind {
            if group.open == 0 {
                self.joins.close(id);
            }
            let is_last = self.joins.one_less_behind(request);
            if is_last && self.requests.get(request).parts_alive == 0 {
                self.requests.remove(request);
            }
            return Ok(());
        }
        self.settle_group(id, at, sink)
    }

    /// `PartFinished` of a member.
    pub(super) fn tell_end<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        path: u16,
        outcome: Outcome,
        sink: &mut S,
    ) {
        let event = self.event(EventKind::PartFinished, at, slot);
        self.emit(
            StageEvent {
                value: u64::from(path),
                outcome,
                ..event
            },
            sink,
        );
        let owner = self.requests.get_mut(self.parts.get(slot).request);
        owner.parts_ended += 1;
        let sojourn_ns = self.now - owner.begun_ns;
        let path = path.checked_sub(1).map(PathId);
        sink.part_finished(TimeNs(self.now), path, outcome, sojourn_ns);
    }

    /// Lets the parent go on where enough parts are home, or all are and too few came well.
    fn settle_group<S: Sink>(&mut self, id: u32, at: u16, sink: &mut S) -> Result<(), KernelError> {
        let group = *self.joins.groups.get(id);
        if group.is_sending || (group.needed > 0 && group.open > 0) {
            return Ok(());
        }
        let outcome = if group.needed == 0 {
            Outcome::Ok
        } else {
            group.outcome
        };
        if group.kind == Kind::Hedge {
            while let Some(loser) = self.joins.first_of(id) {
                self.cancel(loser, sink);
            }
        }
        if self.joins.first_of(id).is_some() {
            let request = self.parts.get(group.parent).request;
            self.joins.leave_behind(request, group.open);
            self.joins.groups.get_mut(id).parent = NONE;
        } else {
            self.joins.close(id);
        }
        self.joins.wait_no_more(group.parent);
        let goes_to_join =
            outcome == Outcome::Ok && group.join != NOWHERE && group.kind != Kind::Copy;
        if goes_to_join {
            // Its parts brought it here: it comes from nowhere else.
            let part = self.parts.get_mut(group.parent);
            part.at = group.join;
            part.from = NOWHERE;
            self.arrive(group.parent, sink)?;
        } else {
            self.finish_part(group.parent, at, outcome, sink)?;
        }
        self.fill_freed(sink)
    }
}
