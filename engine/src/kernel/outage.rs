//! Stations that are not always there: switched off while empty, broken down by themselves.
//!
//! Belongs here: setup and breakdown. Does not belong here: faults that a scenario plans (fault).

use super::rng::Stream;
use super::sampler::Sampler;
use super::special::{Wake, wake};
use super::{Kernel, KernelError, Sink};
use crate::model::event::EventKind;
use crate::model::time::TimeNs;
use crate::scenario::valid::{Breakdown, Gauge, Stop};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    Off,
    Starting,
    On,
}

/// A station that is off while nobody is there and takes time to start.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    law: Sampler,
    stream: Stream,
    power: Power,
    /// Tells the start under way from one that was given up.
    turn: u32,
}

const TURNS: u32 = super::appointment::TURN_MASK >> 2;

impl Setup {
    pub(super) const fn new(law: Sampler, stream: Stream) -> Self {
        Self {
            law,
            stream,
            power: Power::Off,
            turn: 0,
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.power == Power::On
    }
}

/// A station that breaks down and is repaired, with or without work.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    up: Sampler,
    down: Sampler,
    up_stream: Stream,
    down_stream: Stream,
    pub(super) is_down: bool,
}

impl Outage {
    pub(super) fn new(law: &Breakdown, stream: &dyn Fn(&'static str) -> Stream) -> Self {
        Self {
            up: Sampler::new(&law.up),
            down: Sampler::new(&law.down),
            up_stream: stream("time to breakdown"),
            down_stream: stream("repair"),
            is_down: false,
        }
    }

    fn next_ns(&mut self) -> u64 {
        if self.is_down {
            self.down.draw_ns(&mut self.down_stream)
        } else {
            self.up.draw_ns(&mut self.up_stream)
        }
    }
}

impl Kernel {
    /// The first breakdown of every station that has any.
    pub(super) fn plan_outages(&mut self) -> Result<(), KernelError> {
        for at in 0..self.stations.len() {
            let special = self.stations[at].special.as_deref_mut();
            let Some(outage) = special.and_then(|it| it.outage.as_mut()) else {
                continue;
            };
            let up_ns = outage.next_ns();
            let at = u16::try_from(at).unwrap_or(super::slab::NOWHERE);
            self.plan(up_ns, wake(at, Wake::Outage), at)?;
        }
        Ok(())
    }

    /// Breaks down, or is repaired: whoever was in service keeps what it got.
    pub(super) fn outage<S: Sink>(&mut self, at: u16, sink: &mut S) -> Result<(), KernelError> {
        let now = self.now;
        let Some(special) = self.stations[usize::from(at)].special.as_deref_mut() else {
            return Ok(());
        };
        let number = special.gauge(Gauge::Up);
        let (Some(outage), Some(bench)) = (&mut special.outage, &mut special.bench) else {
            return Ok(());
        };
        outage.is_down = !outage.is_down;
        let is_down = outage.is_down;
        let next_ns = outage.next_ns();
        bench.stop(now, is_down);
        if let Some(number) = number {
            sink.gauge(TimeNs(now), number, u64::from(!is_down));
        }
        self.announce(EventKind::HealthChanged, at, u64::from(!is_down), sink);
        // A run that counts requests ends where no more will come; breaking down on would keep it alive.
        let is_idle = self.open_sources == 0 && self.request_count == self.finished_count;
        if !(matches!(self.stop, Stop::Requests(_)) && is_idle) {
            self.plan(next_ns, wake(at, Wake::Outage), at)?;
        }
        self.fill_special(at, sink)
    }

    /// Someone comes: a station that is off begins to start.
    pub(super) fn switch_on<S: Sink>(&mut self, at: u16, sink: &mut S) -> Result<(), KernelError> {
        let now = self.now;
        let Some(special) = self.stations[usize::from(at)].special.as_deref_mut() else {
            return Ok(());
        };
        let numbers = (special.gauge(Gauge::Off), special.gauge(Gauge::Starting));
        let Some(setup) = special.setup.as_mut().filter(|it| it.power == Power::Off) else {
            return Ok(());
        };
        setup.power = Power::Starting;
        setup.turn = (setup.turn + 1) & TURNS;
        let turn = setup.turn;
        let setup_ns = setup.law.draw_ns(&mut setup.stream);
        if let (Some(off), Some(starting)) = numbers {
            sink.gauge(TimeNs(now), off, 0);
            sink.gauge(TimeNs(now), starting, 1);
        }
        self.plan(setup_ns, wake(at, Wake::Setup(turn)), at)
    }

    /// The start is over, unless it was given up.
    pub(super) fn set_up<S: Sink>(
        &mut self,
        at: u16,
        turn: u32,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let now = self.now;
        let Some(special) = self.stations[usize::from(at)].special.as_deref_mut() else {
            return Ok(());
        };
        let number = special.gauge(Gauge::Starting);
        let Some(setup) = &mut special.setup else {
            return Ok(());
        };
        if setup.power != Power::Starting || setup.turn != turn {
            return Ok(());
        }
        setup.power = Power::On;
        if let Some(number) = number {
            sink.gauge(TimeNs(now), number, 0);
        }
        self.fill_special(at, sink)?;
        // Another worker may have taken the job that it was started for.
        self.switch_off(at, sink);
        Ok(())
    }

    /// Someone has left: an empty station with a setup is off at once.
    pub(super) fn switch_off<S: Sink>(&mut self, at: u16, sink: &mut S) {
        let now = self.now;
        let station = &mut self.stations[usize::from(at)];
        let present = station.present;
        let Some(special) = station.special.as_deref_mut() else {
            return;
        };
        let numbers = (special.gauge(Gauge::Off), special.gauge(Gauge::Starting));
        let may_go_off = |it: &&mut Setup| present == 0 && it.power != Power::Off;
        let Some(setup) = special.setup.as_mut().filter(may_go_off) else {
            return;
        };
        let was_starting = setup.power == Power::Starting;
        setup.power = Power::Off;
        if let (Some(off), Some(starting)) = numbers {
            sink.gauge(TimeNs(now), off, 1);
            if was_starting {
                sink.gauge(TimeNs(now), starting, 0);
            }
        }
    }
}
