//! One other process of the run, as far as the recorder knows it.
//!
//! Belongs here: its counters. Does not belong here: when it is over (bury.rs).

use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::id::{PartId, RequestId};
use flowreel_engine::model::time::TimeNs;
use std::collections::BTreeSet;

/// One other process.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) role: String,
    /// Number of the next stage to be read; `None` until one was.
    pub(super) next: Option<u64>,
    /// Number of the next stage to be let go.
    pub(super) released: u64,
    /// Of this process all before is read.
    pub(super) watermark: TimeNs,
    pub(super) beat: u64,
    pub(super) heard_at: TimeNs,
    pub(super) lane_dropped: Option<u64>,
    pub(super) life: Life,
    /// Parts that were closed when it was over.
    pub(super) broken: BTreeSet<(RequestId, PartId)>,
    pub(super) connections: u64,
    pub(super) authenticated: u64,
    /// Clients, and those of them who were known, that were closed for it when it was taken for dead.
    pub(super) buried: (u64, u64),
    /// Clients it had before its stage of that number, as it told a new recorder.
    pub(super) roll_called: Option<(u64, u64, u64)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Life {
    #[default]
    Alive,
    /// It said goodbye.
    Gone,
    /// It was cut off.
    Dead,
}

impl Source {
    /// It speaks again after it was taken for dead.
    pub(super) fn revive(&mut self) {
        if self.life == Life::Dead {
            self.life = Life::Alive;
        }
    }

    /// Takes the number of clients over once the stages before it are let go.
    pub(super) fn answer_roll_call(&mut self) {
        if let Some((first, connections, authenticated)) = self.roll_called
            && self.released >= first
        {
            (self.connections, self.authenticated) = (connections, authenticated);
            self.roll_called = None;
        }
    }

    /// True where all that was read of it is let go.
    pub(super) fn is_let_go(&self) -> bool {
        self.next.is_none_or(|next| self.released >= next)
    }

    pub(super) fn note(&mut self, event: &StageEvent) {
        match event.kind {
            EventKind::ConnectionOpened => self.connections += 1,
            EventKind::ConnectionAuthenticated => self.authenticated += 1,
            EventKind::ConnectionClosed => {
                self.connections = self.connections.saturating_sub(1);
                let known = u64::from(event.outcome == Outcome::Ok);
                self.authenticated = self.authenticated.saturating_sub(known);
            }
            EventKind::RequestFinished => {
                let request = event.request;
                self.broken.retain(|(whose, _)| *whose != request);
            }
            _ => {}
        }
    }
}
