//! Servers that come and go with the load.
//!
//! Belongs here: looking at a station's utilization, ordering servers, giving them back.
//! Does not belong here: what a server does (flow, finish).
//!
//! Every look compares the servers busy on average since the last one with the target. Missing
//! servers come up after a lag; surplus ones go after another. A later look first takes back what
//! is not done yet, the newest first. A server that goes finishes what it has begun.

use super::{Appointment, Kernel, KernelError, Sink};
use crate::model::event::EventKind;
use crate::model::id::ComponentId;
use crate::model::time::TimeNs;
use crate::scenario::valid::{Autoscale, Scenario, Stop};
use std::collections::VecDeque;

/// What the appointment of an autoscaler is for.
pub(super) const LOOK: u32 = 0;
pub(super) const CHANGE: u32 = 1;

/// Servers under way: ordered and not up, or marked and not gone.
#[derive(Clone, Copy, Debug)]
struct Change {
    at_ns: u64,
    is_up: bool,
    count: u32,
}

/// One station's autoscaler.
#[derive(Clone, Debug)]
pub(super) struct Autoscaler {
    station: u16,
    rule: Autoscale,
    servers: u32,
    /// Busy servers since `since_ns`, and their area since the last look.
    busy: u32,
    since_ns: u64,
    area: u128,
    changes: VecDeque<Change>,
}

/// One autoscaler for each station that has one.
pub(super) fn compile(scenario: &Scenario) -> Vec<Autoscaler> {
    let scaled = scenario.stations.iter();
    scaled
        .filter_map(|station| {
            let rule = station.autoscale?;
            Some(Autoscaler {
                station: station.component.0,
                rule,
                servers: station.servers.unwrap_or(rule.min),
                busy: 0,
                since_ns: 0,
                area: 0,
                changes: VecDeque::with_capacity(16),
            })
        })
        .collect()
}

impl Autoscaler {
    fn settle(&mut self, now_ns: u64, busy: u32) {
        self.area += u128::from(self.busy) * u128::from(now_ns - self.since_ns);
        self.since_ns = now_ns;
        self.busy = busy;
    }

    /// Servers that would keep the last interval's work at the target.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean of at most a million servers, and the result is clamped"
    )]
    fn wanted(&mut self) -> u32 {
        let busy = self.area as f64 / self.rule.every_ns as f64;
        self.area = 0;
        // Rounding must not order a server for the last bit of a quotient.
        let wanted = libm::ceil(busy / self.rule.target_utilization - 1e-9);
        (wanted.max(0.0) as u32).clamp(self.rule.min, self.rule.max)
    }

    /// Takes back what is under way in the other direction; gives what is left to change.
    fn take_back(&mut self, is_up: bool, mut count: u32) -> u32 {
        for change in self.changes.iter_mut().rev() {
            if change.is_up == is_up {
                let taken = change.count.min(count);
                change.count -= taken;
                count -= taken;
            }
        }
        self.changes.retain(|change| change.count > 0);
        count
    }

    /// Looks and decides; gives the lag after which something will change.
    fn look(&mut self, now_ns: u64, busy: u32) -> Option<u64> {
        self.settle(now_ns, busy);
        let wanted = self.wanted();
        let under_way = |is_up: bool| -> u32 {
            let changes = self.changes.iter().filter(|change| change.is_up == is_up);
            changes.map(|change| change.count).sum()
        };
        let planned = self.servers + under_way(true) - under_way(false);
        let is_up = wanted > planned;
        let count = self.take_back(!is_up, wanted.abs_diff(planned));
        if count == 0 {
            return None;
        }
        let lag_ns = if is_up {
            self.rule.up_lag_ns
        } else {
            self.rule.down_lag_ns
        };
        self.changes.push_back(Change {
            // Past the end of time nothing comes: the run ends before.
            at_ns: now_ns.saturating_add(lag_ns),
            is_up,
            count,
        });
        Some(lag_ns)
    }

    /// Carries out what is due; true where it changed something.
    fn apply(&mut self, now_ns: u64) -> bool {
        let before = self.servers;
        for change in &self.changes {
            if change.at_ns <= now_ns {
                self.servers = if change.is_up {
                    self.servers + change.count
                } else {
                    self.servers - change.count
                };
            }
        }
        self.changes.retain(|change| change.at_ns > now_ns);
        self.servers != before
    }
}

impl Kernel {
    pub(super) fn plan_autoscalers(&mut self) -> Result<(), KernelError> {
        for index in 0..self.autoscalers.len() {
            self.plan_look(index)?;
        }
        Ok(())
    }

    fn plan_look(&mut self, index: usize) -> Result<(), KernelError> {
        let Autoscaler { station, rule, .. } = &self.autoscalers[index];
        let (station, every_ns) = (*station, rule.every_ns);
        let slot = u32::try_from(index).unwrap_or(u32::MAX);
        self.stations[usize::from(station)].is_scaled = true;
        self.plan(every_ns, Appointment::Autoscale(slot, LOOK), station)
    }

    /// The number of busy servers of an autoscaled station has changed.
    #[cold]
    pub(super) fn note_busy(&mut self, at: u16) {
        let (now, busy) = (self.now, self.stations[usize::from(at)].busy);
        let mut all = self.autoscalers.iter_mut();
        if let Some(scaler) = all.find(|scaler| scaler.station == at) {
            scaler.settle(now, busy);
        }
    }

    /// Time to look, or for a change to take place.
    pub(super) fn autoscale<S: Sink>(
        &mut self,
        slot: u32,
        purpose: u32,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let index = slot as usize;
        let now = self.now;
        let scaler = &mut self.autoscalers[index];
        let at = scaler.station;
        if purpose == LOOK {
            let busy = self.stations[usize::from(at)].busy;
            if let Some(lag_ns) = scaler.look(now, busy) {
                self.plan(lag_ns, Appointment::Autoscale(slot, CHANGE), at)?;
            }
            // A run that counts requests ends where no more will come; looking on would keep it alive.
            let is_idle = self.open_sources == 0 && self.request_count == self.finished_count;
            if matches!(self.stop, Stop::Requests(_)) && is_idle {
                return Ok(());
            }
            return self.plan_look(index);
        }
        if !scaler.apply(now) {
            return Ok(());
        }
        let servers = scaler.servers;
        self.stations[usize::from(at)].as_set.servers = servers;
        self.settle(at);
        self.announce(
            EventKind::ControlApplied,
            at,
            u64::from(servers) * 1000,
            sink,
        );
        sink.scaled(TimeNs(now), ComponentId(at), servers);
        self.fill(at, sink)
    }
}
