//! Cancelling a part wherever it is: its server and its place in line are free at once.
//!
//! Belongs here: ending visits early. Does not belong here: deciding who is cancelled (split, limit).
//!
//! | where it is | what is told |
//! |---|---|
//! | waiting in a line or a queue | `Abandoned` (cancelled) |
//! | in service, or parked for a delay | `ServiceEnded` (cancelled) |
//! | under way over an arrow, or at a door | nothing |
//! | called by others | the same, then `ServiceEnded` (cancelled) of each caller, innermost first |
//! | waiting for parts of its own | all this for each of them, then for its callers |
//!
//! `PartFinished` (cancelled, no path) ends each. What the calendar still holds of it has an outdated turn.

use super::slab::Part;
use super::{Kernel, Sink};
use crate::model::event::{EventKind, Outcome, StageEvent};
use crate::model::id::ComponentId;
use crate::model::time::TimeNs;
use crate::scenario::valid::Role;

impl Kernel {
    /// Ends a member of a group and everything it has under way. Servers set free are noted, not filled.
    pub(super) fn cancel<S: Sink>(&mut self, slot: u32, sink: &mut S) {
        let mut last_at = self.parts.get(slot).from;
        if let Some(awaited) = self.joins.awaited_by(slot) {
            while let Some(member) = self.joins.first_of(awaited) {
                self.cancel(member, sink);
            }
            last_at = self.joins.groups.get(awaited).from;
            self.joins.close(awaited);
        } else if !self.parts.get(slot).is_under_way && !self.leave_door(slot, sink) {
            last_at = self.parts.get(slot).at;
            self.cut_off(slot, sink);
        }
        while self.return_to_caller(slot) {
            last_at = self.parts.get(slot).at;
            self.cut_off(slot, sink);
        }
        self.tell_end(slot, last_at, 0, Outcome::Cancelled, sink);
        if let Some(group) = self.joins.group_of(slot) {
            self.joins.take_out(slot);
            self.joins.groups.get_mut(group).open -= 1;
        }
        self.parts.get_mut(slot).turn = 0;
        self.parts.remove(slot);
    }

    /// Closes the open visit.
    pub(super) fn cut_off<S: Sink>(&mut self, slot: u32, sink: &mut S) {
        let Part {
            at,
            is_waiting,
            turn,
            ..
        } = *self.parts.get(slot);
        let station = &mut self.stations[usize::from(at)];
        station.present -= 1;
        let kind = if is_waiting {
            station.dequeue(&mut self.parts, slot);
            self.switch_off(at, sink);
            EventKind::Abandoned
        } else {
            if station.role == Role::Serve && !self.parts.get(slot).is_parking {
                if station.special.is_some() {
                    self.stop_special(slot, at, sink);
                }
                let station = &mut self.stations[usize::from(at)];
                station.busy -= 1;
                if station.is_scaled {
                    self.note_busy(at);
                }
                self.freed.push(at);
            }
            EventKind::ServiceEnded
        };
        self.left(at);
        self.forget_probe(at, turn);
        let event = self.event(kind, at, slot);
        self.emit(
            StageEvent {
                outcome: Outcome::Cancelled,
                ..event
            },
            sink,
        );
        sink.cancelled(TimeNs(self.now), ComponentId(at), !is_waiting);
    }

    /// Takes a part out of a special station's service; the caller then takes it off the busy servers.
    pub(super) fn stop_special<S: Sink>(&mut self, slot: u32, at: u16, sink: &mut S) {
        let now = self.now;
        let station = &mut self.stations[usize::from(at)];
        let special = station.special.as_deref_mut();
        if let Some(bench) = special.and_then(|it| it.bench.as_mut()) {
            if bench.aside.holds(&self.parts, slot) {
                bench.aside.remove(&mut self.parts, slot);
                // While it was interrupted its server was another's.
                station.busy += 1;
            } else {
                bench.interrupt(&mut self.parts, slot, now);
            }
        }
        self.leave_special(slot, at, sink);
    }
}
