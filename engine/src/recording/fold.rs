//! Folding a whole reel, holes included.
//!
//! Belongs here: the one rule about holes. Does not belong here: what an event means (model::state),
//! moving to and fro (replay).
//!
//! The rule: after a hole the fold goes on with what is there, and the next keyframe replaces the
//! folded state, for its writer had seen the missing events.

use super::error::ReelError;
use super::meta::Summary;
use super::reader::ReelReader;
use crate::model::event::StageEvent;
use crate::model::state::SystemState;
use crate::model::time::TimeNs;
use crate::model::topology::Topology;

/// How a keyframe compares with the events before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyframeCheck {
    /// The fold gives the same state.
    Same,
    /// The fold gives another state.
    Differs,
    /// Events are missing before it, so it was taken over.
    TakenOver,
}

/// A fold over the events of a reel, from the first to the last.
pub(super) struct Fold {
    /// Only what the events here add up to.
    counted: SystemState,
    /// The state since a keyframe was taken over.
    taken_over: Option<SystemState>,
    is_holed: bool,
    first_t_ns: Option<TimeNs>,
    next_seq: u64,
}

impl Fold {
    pub(super) fn new(topology: &Topology) -> Self {
        Self {
            counted: SystemState::new(topology),
            taken_over: None,
            is_holed: false,
            first_t_ns: None,
            next_seq: 0,
        }
    }

    /// `seq` of the event that comes next.
    pub(super) const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Events up to this `seq` are missing, as far as is known.
    pub(super) fn hole(&mut self, next_seq: u64) {
        self.is_holed = true;
        self.next_seq = self.next_seq.max(next_seq);
    }

    /// True where events before here are missing, as far as is known.
    pub(super) const fn is_holed(&self) -> bool {
        self.is_holed
    }

    pub(super) fn apply(&mut self, events: &[StageEvent]) {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return;
        };
        if first.seq > self.next_seq {
            self.is_holed = true;
        }
        self.first_t_ns.get_or_insert(first.t_ns);
        self.next_seq = last.seq.saturating_add(1);
        for event in events {
            self.counted.apply(event);
        }
        if let Some(state) = &mut self.taken_over {
            for event in events {
                state.apply(event);
            }
        }
    }

    pub(super) fn keyframe(&mut self, state: SystemState) -> KeyframeCheck {
        if self.is_holed && state.event_count() >= self.next_seq {
            self.is_holed = false;
            self.next_seq = state.event_count();
            self.taken_over = Some(state);
            return KeyframeCheck::TakenOver;
        }
        if state.state_hash() == self.state().state_hash() {
            KeyframeCheck::Same
        } else {
            KeyframeCheck::Differs
        }
    }

    /// What is true after the events so far.
    pub(super) fn state(&self) -> &SystemState {
        self.taken_over.as_ref().unwrap_or(&self.counted)
    }

    /// Totals of what is here; keyframes, details and drops are known to the caller.
    pub(super) fn summary(&self) -> Summary {
        Summary {
            first_t_ns: self.first_t_ns,
            next_seq: self.next_seq,
            final_hash: self.state().run_hash(),
            ..Summary::of_state(&self.counted)
        }
    }
}

/// The totals of a reel, folded where it has no end that tells them.
///
/// # Errors
/// [`ReelError::Io`] where the file cannot be read.
pub fn totals(reader: &mut ReelReader) -> Result<Summary, ReelError> {
    if let Some(summary) = reader.summary() {
        return Ok(summary.clone());
    }
    let mut fold = Fold::new(reader.topology());
    let mut events = Vec::new();
    let keyframes = reader.keyframe_blocks().to_vec();
    let mut next_keyframe = 0;
    for position in 0..reader.event_blocks().len() {
        if let Some(block) = reader.event_blocks().get(position).copied() {
            while let Some(keyframe) = keyframes.get(next_keyframe)
                && keyframe.first <= block.first
            {
                if fold.is_holed
                    && let Some(state) = reader.read_keyframe(next_keyframe)?
                {
                    fold.keyframe(state);
                }
                next_keyframe += 1;
            }
            if reader.read_events(position, &mut events)? {
                fold.apply(&events);
            } else {
                fold.hole(block.next_seq());
            }
        }
    }
    Ok(Summary {
        keyframes: keyframes.len() as u64,
        ..fold.summary()
    })
}
