//! Breakers: closed, open, half-open with one probe.
//!
//! Belongs here: counting failures, opening and closing, telling of it. Does not belong here: refusing
//! (limit).
//!
//! An alert is raised when a breaker opens and resolved when it closes; health is 0 while it is open.
//! So it is half-open where the alert stands and the station is healthy.

use super::{Appointment, Kernel, KernelError, Sink};
use crate::model::event::EventKind;
use crate::scenario::limit::Breaker;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open,
    /// With the turn of the visit that tries, 0 while nobody does.
    HalfOpen(u32),
}

/// One breaker at work.
#[derive(Clone, Debug)]
pub(super) struct BreakerState {
    as_set: Breaker,
    state: State,
    /// Moments of the latest failures, no more than open it.
    failures: VecDeque<u64>,
}

impl BreakerState {
    pub(super) fn new(as_set: Breaker) -> Self {
        Self {
            as_set,
            state: State::Closed,
            failures: VecDeque::with_capacity(as_set.failures as usize),
        }
    }

    /// Turns everybody away?
    pub(super) fn refuses(&self) -> bool {
        match self.state {
            State::Closed | State::HalfOpen(0) => false,
            State::Open | State::HalfOpen(_) => true,
        }
    }

    /// Open, in the narrow sense.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Would the next visit be the one that tries?
    pub(super) fn wants_probe(&self) -> bool {
        self.state == State::HalfOpen(0)
    }

    /// The visit with this turn tries.
    pub(super) const fn probe(&mut self, turn: u32) {
        self.state = State::HalfOpen(turn);
    }

    /// Counts a failure; true where it is one too many.
    fn is_too_many(&mut self, now_ns: u64) -> bool {
        let since = now_ns.saturating_sub(self.as_set.window_ns);
        while self.failures.front().is_some_and(|at| *at < since) {
            self.failures.pop_front();
        }
        self.failures.push_back(now_ns);
        self.failures.len() >= self.as_set.failures as usize
    }
}

impl Kernel {
    /// A visit to a limited station has ended, well or not.
    pub(super) fn heed<S: Sink>(
        &mut self,
        at: u16,
        turn: u32,
        went_well: bool,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let Some(breaker) = &mut self.limits[usize::from(at)].breaker else {
            return Ok(());
        };
        let state = breaker.state;
        let is_too_many = state == State::Closed && !went_well && breaker.is_too_many(self.now);
        match state {
            State::Closed if is_too_many => {
                let count = breaker.failures.len() as u64;
                self.announce(EventKind::AlertRaised, at, count * 1000, sink);
                self.open(at, sink)
            }
            State::HalfOpen(probe) if probe == turn && probe != 0 => {
                if !went_well {
                    return self.open(at, sink);
                }
                breaker.state = State::Closed;
                self.announce(EventKind::AlertResolved, at, 0, sink);
                Ok(())
            }
            State::Closed | State::Open | State::HalfOpen(_) => Ok(()),
        }
    }

    fn open<S: Sink>(&mut self, at: u16, sink: &mut S) -> Result<(), KernelError> {
        let Some(breaker) = &mut self.limits[usize::from(at)].breaker else {
            return Ok(());
        };
        breaker.state = State::Open;
        breaker.failures.clear();
        let open_ns = breaker.as_set.open_ns;
        let station = &mut self.stations[usize::from(at)];
        if !station.is_down {
            station.is_down = true;
            self.announce(EventKind::HealthChanged, at, 0, sink);
        }
        self.plan(open_ns, Appointment::HalfOpen(u32::from(at)), at)
    }

    /// Open for long enough: the next one may try.
    pub(super) fn half_open<S: Sink>(
        &mut self,
        station: u32,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let at = u16::try_from(station).unwrap_or(u16::MAX);
        let limits = &mut self.limits[usize::from(at)];
        if let Some(breaker) = &mut limits.breaker {
            breaker.state = State::HalfOpen(0);
        }
        if !limits.is_cut {
            self.stations[usize::from(at)].is_down = false;
            self.announce(EventKind::HealthChanged, at, 1, sink);
        }
        self.left(at);
        self.fill(at, sink)
    }

    /// The visit that tried came to nothing: the next one tries.
    pub(super) fn forget_probe(&mut self, at: u16, turn: u32) {
        if let Some(breaker) = &mut self.limits[usize::from(at)].breaker
            && breaker.state == State::HalfOpen(turn)
        {
            breaker.state = State::HalfOpen(0);
        }
    }
}
