//! Noticing that a process is over.
//!
//! Belongs here: silence, and what is asked for then. Does not belong here: what is recorded (over.rs).

use super::source::Life;
use super::{Gather, open};
use crate::telemetry::detail::Detail;
use crate::telemetry::lane::Entry;
use crate::telemetry::topology::Place;
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use std::sync::PoisonError;

/// A process that is silent for so long is over.
const DEAD_NS: u64 = 2_000_000_000;
/// A process that is over is forgotten after this time.
const FORGET_NS: u64 = 600_000_000_000;

impl Gather {
    /// Closes what processes that are over left open.
    pub(in crate::telemetry::recorder) fn close_broken(
        &mut self,
        state: &SystemState,
        at: TimeNs,
    ) -> Vec<Entry> {
        let now = self.steady.now();
        if !self.is_reached || now.since_ns(self.back_at) < DEAD_NS {
            return Vec::new();
        }
        let mut dead = Vec::new();
        for (&process, source) in &mut self.sources {
            let silence_ns = now.since_ns(source.heard_at.max(self.back_at));
            if source.life != Life::Dead && silence_ns > DEAD_NS && source.is_let_go() {
                if source.life == Life::Alive {
                    tracing::warn!(
                        process,
                        "a {} process is silent for 2 s and taken for dead; what it left open is closed",
                        source.role
                    );
                    self.is_lossy = true;
                }
                source.life = Life::Dead;
                dead.push(process);
            }
        }
        for process in dead {
            self.bury(process);
        }
        if self.over.is_roll_called(now.since_ns(self.back_at)) {
            self.bury_unclaimed(state);
        }
        self.sources.retain(|_, source| {
            source.life == Life::Alive || now.since_ns(source.heard_at) < FORGET_NS
        });
        let mended = self.over.mended(state, &self.open, &mut self.book, at);
        for (process, key) in mended.broken {
            if let Some(source) = self.sources.get_mut(&process) {
                source.broken.insert(key);
            }
        }
        mended.entries
    }

    /// Opens again what was closed for processes that were taken for dead and speak again, before
    /// anything they say now.
    pub(in crate::telemetry::recorder) fn reopen(
        &mut self,
        state: &SystemState,
        at: TimeNs,
    ) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut open_count = state.system().connections;
        for source in self.sources.values_mut() {
            if source.life == Life::Dead || source.buried == (0, 0) {
                continue;
            }
            let (connections, authenticated) = std::mem::take(&mut source.buried);
            source.connections += connections;
            source.authenticated += authenticated;
            for _ in 0..connections {
                open_count += 1;
                entries.push(again(EventKind::ConnectionOpened, open_count, at));
            }
            // Who they are is not known any more.
            let known =
                (0..authenticated).map(|_| again(EventKind::ConnectionAuthenticated, 0, at));
            entries.extend(known);
        }
        entries
    }

    fn bury(&mut self, process: u64) {
        let Some(source) = self.sources.get_mut(&process) else {
            return;
        };
        let connections = std::mem::take(&mut source.connections);
        let authenticated = std::mem::take(&mut source.authenticated);
        source.buried = (connections, authenticated);
        let role = source.role.clone();
        let parts = self.open.of_process(process);
        if let Some(reader) = &self.reader {
            let mut told = reader.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.over.push(process);
        }
        self.over
            .left(process, &role, parts, (connections, authenticated));
    }

    fn bury_unclaimed(&mut self, state: &SystemState) {
        for request in std::mem::take(&mut self.recalled) {
            if state.request(request).is_none() {
                self.book.forget(request);
            }
        }
        let claimed = self.sources.values();
        let (mut connections, mut authenticated) = (0, 0);
        for source in claimed {
            connections += source.connections;
            authenticated += source.authenticated;
        }
        let system = state.system();
        let rest = (
            system.connections.saturating_sub(connections),
            system.authenticated.saturating_sub(authenticated),
        );
        let parts = self.open.of_process(open::UNCLAIMED);
        self.over.left(open::UNCLAIMED, "former", parts, rest);
    }

    /// True while any other process takes part.
    pub(in crate::telemetry::recorder) fn has_others(&self) -> bool {
        let now = self.steady.now();
        self.sources.values().any(|source| {
            source.life == Life::Alive && now.since_ns(source.heard_at.max(self.back_at)) <= DEAD_NS
        })
    }
}

fn again(kind: EventKind, value: u64, at: TimeNs) -> Entry {
    let mut event = StageEvent::new(at, kind, Place::Websocket.component());
    event.value = value;
    Entry {
        event,
        detail: Some(Box::new(Detail::of("repaired", "its process speaks again"))),
    }
}
