//! Faults at work: stations that are down, slow, failing, paused or late.
//!
//! Belongs here: beginning and ending a fault, what several at one station come to. Does not belong
//! here: which faults there are (scenario).
//!
//! A station that is down refuses what comes, starts nothing, and fails what it had begun before;
//! those in its line keep waiting. A paused one starts nothing and ends what it began. A slow one
//! multiplies the services begun meanwhile; a delay lengthens the way to it. One that disconnects ends
//! every visit at once, in line and in service, and is down for the rest of the fault.

use super::breaker::BreakerState;
use super::rng::Stream;
use super::sampler::Sampler;
use super::{Appointment, Kernel, KernelError, Sink};
use crate::model::event::{EventKind, StageEvent};
use crate::model::id::ComponentId;
use crate::model::time::TimeNs;
use crate::scenario::valid::{FaultKind, Role, Scenario};

#[derive(Clone, Debug)]
enum Effect {
    Down,
    Pause,
    Slow(f64),
    ErrorRate(f64),
    Delay(Sampler, Stream),
    Disconnect,
}

/// One fault, before, while or after it lasts.
#[derive(Clone, Debug)]
pub(super) struct FaultState {
    at_ns: u64,
    for_ns: Option<u64>,
    target: u16,
    effect: Effect,
    is_on: bool,
}

/// All faults, in file order.
pub(super) fn compile(scenario: &Scenario, seed: u64) -> Vec<FaultState> {
    let numbered = scenario.faults.iter().enumerate();
    numbered
        .map(|(index, fault)| FaultState {
            at_ns: fault.at_ns,
            for_ns: fault.for_ns,
            target: fault.target.0,
            effect: match &fault.kind {
                FaultKind::Down => Effect::Down,
                FaultKind::Disconnect => Effect::Disconnect,
                FaultKind::Pause => Effect::Pause,
                FaultKind::Slow(factor) => Effect::Slow(*factor),
                FaultKind::ErrorRate(probability) => Effect::ErrorRate(*probability),
                FaultKind::Delay(law) => Effect::Delay(
                    Sampler::new(law),
                    Stream::new(
                        seed,
                        &scenario.component(fault.target).id,
                        &format!("fault {index}"),
                    ),
                ),
            },
            is_on: false,
        })
        .collect()
}

impl Kernel {
    pub(super) fn plan_faults(&mut self) -> Result<(), KernelError> {
        for index in 0..self.faults.len() {
            let FaultState { at_ns, target, .. } = self.faults[index];
            let slot = u32::try_from(index).unwrap_or(u32::MAX);
            self.plan(at_ns, Appointment::Fault(slot), target)?;
        }
        Ok(())
    }

    /// A fault begins, or one that lasts is over.
    pub(super) fn fault<S: Sink>(&mut self, slot: u32, sink: &mut S) -> Result<(), KernelError> {
        let fault = &mut self.faults[slot as usize];
        fault.is_on = !fault.is_on;
        let (is_on, for_ns, at) = (fault.is_on, fault.for_ns, fault.target);
        let is_delay = matches!(fault.effect, Effect::Delay(..));
        let disconnects = is_on && matches!(fault.effect, Effect::Disconnect);
        let was_down = self.stations[usize::from(at)].is_down;
        self.settle(at);
        let (kind, value) = if is_on {
            (EventKind::FaultBegan, for_ns.unwrap_or(0))
        } else {
            (EventKind::FaultEnded, 0)
        };
        self.announce(kind, at, value, sink);
        let is_down = self.stations[usize::from(at)].is_down;
        if is_down != was_down {
            self.announce(EventKind::HealthChanged, at, u64::from(!is_down), sink);
        }
        if is_delay {
            self.delays_on = if is_on {
                self.delays_on + 1
            } else {
                self.delays_on - 1
            };
        }
        if disconnects {
            self.disconnect(at, sink)?;
        }
        self.left(at);
        if let Some(for_ns) = for_ns.filter(|_| is_on) {
            return self.plan(for_ns, Appointment::Fault(slot), at);
        }
        if self.stations[usize::from(at)].role == Role::Hold {
            for index in 0..self.stations[usize::from(at)].workers.len() {
                let worker = self.stations[usize::from(at)].workers[index];
                self.fill(worker, sink)?;
            }
            return Ok(());
        }
        self.fill(at, sink)
    }

    pub(super) fn announce<S: Sink>(&mut self, kind: EventKind, at: u16, value: u64, sink: &mut S) {
        let event = StageEvent::new(TimeNs(self.now), kind, ComponentId(at));
        self.emit(StageEvent { value, ..event }, sink);
    }

    /// What all faults that last come to at one station.
    pub(super) fn settle(&mut self, at: u16) {
        let (mut is_down, mut is_paused, mut slowness, mut success) = (false, false, None, 1.0);
        for fault in &self.faults {
            if !fault.is_on || fault.target != at {
                continue;
            }
            match &fault.effect {
                Effect::Down | Effect::Disconnect => is_down = true,
                Effect::Pause => is_paused = true,
                Effect::Slow(factor) => slowness = Some(slowness.unwrap_or(1.0) * factor),
                Effect::ErrorRate(probability) => success *= 1.0 - probability,
                Effect::Delay(..) => {}
            }
        }
        let now = self.now;
        let station = &mut self.stations[usize::from(at)];
        let limits = &mut self.limits[usize::from(at)];
        if is_down && !limits.is_cut {
            station.cut_before_ns = now + 1;
        }
        limits.is_cut = is_down;
        let is_open = limits.breaker.as_ref().is_some_and(BreakerState::is_open);
        station.is_down = is_down || is_open;
        station.slowness = slowness;
        let set = station.as_set;
        // Without servers nothing starts, without room nothing gets in: no check on the usual way.
        station.servers = if is_down || is_paused { 0 } else { set.servers };
        station.capacity = if is_down { 0 } else { set.capacity };
        station.failure_probability = if success < 1.0 {
            1.0 - (1.0 - set.failure_probability) * success
        } else {
            set.failure_probability
        };
    }

    /// Time that delays add on the way to a station.
    pub(super) fn late_ns(&mut self, to: u16) -> u64 {
        let on_the_way = |fault: &&mut FaultState| fault.is_on && fault.target == to;
        let faults = self.faults.iter_mut().filter(on_the_way);
        faults
            .map(|fault| match &mut fault.effect {
                Effect::Delay(law, stream) => law.draw_ns(stream),
                _ => 0,
            })
            .fold(0, u64::saturating_add)
    }
}
