//! Stations with a line or servers of their own kind: what the plain way in, through and out becomes.
//!
//! Belongs here: disciplines, shared and interrupted service, unequal servers. Does not belong here:
//! plain stations (flow, finish), batches, being switched off or broken down (outage).
//!
//! For events a part that is interrupted or shares a server is in service from its first start to its
//! end. What it got of that time is told to watchers apart, and so is how many servers are at work.

use super::batches::Batches;
use super::bench::Bench;
use super::heap::Ticket;
use super::line::Line;
use super::outage::{Outage, Setup};
use super::rng::Stream;
use super::sampler::Sampler;
use super::station::StationState;
use super::{Appointment, Kernel, KernelError, Sink};
use crate::model::event::EventKind;
use crate::model::id::ComponentId;
use crate::model::time::TimeNs;
use crate::scenario::line;
use crate::scenario::valid::{Gauge, IdleServer, Role, Scenario, Station};

/// What a station with keys about its line knows beyond a plain one.
#[derive(Clone, Debug)]
pub(super) struct Special {
    pub(super) line: Line,
    /// Where service may be stopped, shared or resumed.
    pub(super) bench: Option<Bench>,
    pub(super) unequal: Option<Unequal>,
    pub(super) batches: Option<Batches>,
    pub(super) setup: Option<Setup>,
    pub(super) outage: Option<Outage>,
    /// Number of each gauge.
    pub(super) gauges: Vec<(Gauge, u32)>,
    /// Servers at work as last reported.
    busy_told: u64,
}

/// Servers with laws of their own.
#[derive(Clone, Debug)]
pub(super) struct Unequal {
    laws: Vec<Sampler>,
    /// Fastest first.
    by_speed: Vec<u32>,
    is_busy: Vec<bool>,
    choice: Option<Stream>,
}

/// What a special station remembers of a part in its service.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    /// Time since its start in which it was not served, once it has all it needs.
    pub(super) aside_ns: u64,
    /// Server, or batch.
    place: u32,
}

/// What a wake-up of a station is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    Work,
    Linger,
    Outage,
    /// Which switching-on it belongs to.
    Setup(u32),
}

impl Wake {
    pub(super) const fn pack(self) -> u32 {
        match self {
            Self::Work => 0,
            Self::Linger => 1,
            Self::Outage => 2,
            Self::Setup(turn) => 3 | turn << 2,
        }
    }

    const fn unpack(word: u32) -> Self {
        match word & 3 {
            0 => Self::Work,
            1 => Self::Linger,
            2 => Self::Outage,
            _ => Self::Setup(word >> 2),
        }
    }
}

/// Gives their special half to the stations that have one.
pub(super) fn compile(scenario: &Scenario, seed: u64, states: &mut [StationState]) {
    let gauges = line::gauges(scenario);
    let priorities: Vec<i32> = scenario.classes().iter().map(|it| it.priority).collect();
    for (index, station) in scenario.stations.iter().enumerate() {
        if station.line.is_plain() || !matches!(station.role, Role::Serve | Role::Hold) {
            continue;
        }
        let numbered = (0..).zip(&gauges).filter(|(_, (at, _))| *at == index);
        let own = numbered
            .map(|(number, (_, gauge))| (*gauge, number))
            .collect();
        let name = &scenario.component(station.component).id;
        let special = Special::new(station, name, seed, &priorities, own);
        states[station.component.index()].special = Some(Box::new(special));
    }
}

impl Special {
    fn new(
        station: &Station,
        name: &str,
        seed: u64,
        priorities: &[i32],
        gauges: Vec<(Gauge, u32)>,
    ) -> Self {
        let stream = |purpose| Stream::new(seed, name, purpose);
        let line = &station.line;
        let mut by_speed: Vec<u32> = (0..).zip(&line.by_server).map(|(it, _)| it).collect();
        by_speed.sort_by(|a, b| {
            let mean_s = |index: &u32| line.by_server[*index as usize].mean_s();
            mean_s(a).total_cmp(&mean_s(b))
        });
        Self {
            line: Line::new(line.discipline, priorities, stream("order of service")),
            bench: line
                .is_managed()
                .then(|| Bench::new(line.discipline, station.servers.unwrap_or(u32::MAX))),
            unequal: (!line.by_server.is_empty()).then(|| Unequal {
                laws: line.by_server.iter().map(Sampler::new).collect(),
                is_busy: vec![false; by_speed.len()],
                by_speed,
                choice: (line.idle_server == IdleServer::Random).then(|| stream("idle server")),
            }),
            batches: line.batch.map(Batches::new),
            setup: line
                .setup
                .as_ref()
                .map(|law| Setup::new(Sampler::new(law), stream("setup"))),
            outage: line
                .breakdown
                .as_ref()
                .map(|breakdown| Outage::new(breakdown, &stream)),
            gauges,
            busy_told: 0,
        }
    }

    pub(super) fn gauge(&self, gauge: Gauge) -> Option<u32> {
        let mut all = self.gauges.iter();
        all.find(|(it, _)| *it == gauge).map(|(_, number)| *number)
    }

    /// Nobody may be served now.
    fn is_closed(&self) -> bool {
        self.outage.as_ref().is_some_and(|outage| outage.is_down)
            || self.setup.as_ref().is_some_and(|setup| !setup.is_on())
    }

    fn is_shared(&self) -> bool {
        self.line.discipline.is_shared()
    }
}

impl Unequal {
    /// An idle server; there is one.
    fn take(&mut self) -> u32 {
        let mut idle = self
            .by_speed
            .iter()
            .filter(|it| !self.is_busy[**it as usize]);
        let chosen = match &mut self.choice {
            None => idle.next(),
            Some(stream) => {
                let count = u32::try_from(idle.clone().count()).unwrap_or(u32::MAX);
                idle.nth(if count > 1 {
                    stream.below(count) as usize
                } else {
                    0
                })
            }
        };
        let server = chosen.copied().unwrap_or(0);
        self.is_busy[server as usize] = true;
        server
    }
}

impl Kernel {
    /// A part that was let in is in the line; who is next is served, where a server is free.
    pub(super) fn arrive_special<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        self.switch_on(at, sink)?;
        self.stations[usize::from(at)].enqueue(&mut self.parts, slot);
        self.fill_special(at, sink)?;
        if self.parts.get(slot).is_waiting {
            self.begin_patience(slot, at)?;
        }
        Ok(())
    }

    /// Gives servers to those who are next, and sees to it that they are looked at again.
    pub(super) fn fill_special<S: Sink>(
        &mut self,
        at: u16,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        if self.has_job(at) {
            self.switch_on(at, sink)?;
        }
        while self.serve_next(at, sink)? {}
        self.keep_watch(at, sink)
    }

    /// Plans the next end, and reports how many servers are at work.
    pub(super) fn keep_watch<S: Sink>(&mut self, at: u16, sink: &mut S) -> Result<(), KernelError> {
        let now = self.now;
        if self.stations[usize::from(at)].is_scaled {
            self.note_busy(at);
        }
        let station = &mut self.stations[usize::from(at)];
        let (busy, cores) = (station.busy, station.as_set.servers);
        let Some(special) = station.special.as_deref_mut() else {
            return Ok(());
        };
        let wake_ns = special.bench.as_mut().and_then(|bench| bench.arm(now));
        if let Some(number) = special.gauge(Gauge::Busy) {
            let is_down = special.outage.as_ref().is_some_and(|outage| outage.is_down);
            let at_work = match (&special.bench, &special.batches) {
                _ if is_down => 0,
                (_, Some(batches)) => batches.running,
                (Some(bench), None) if special.is_shared() => {
                    cores.min(u32::try_from(bench.len()).unwrap_or(u32::MAX))
                }
                _ => busy,
            };
            if special.busy_told != u64::from(at_work) {
                special.busy_told = u64::from(at_work);
                sink.gauge(TimeNs(now), number, u64::from(at_work));
            }
        }
        match wake_ns {
            Some(wake_ns) => self.plan(wake_ns, wake(at, Wake::Work), at),
            None => Ok(()),
        }
    }

    /// Serves one more; `false` where nobody else can be.
    fn serve_next<S: Sink>(&mut self, at: u16, sink: &mut S) -> Result<bool, KernelError> {
        let now = self.now;
        let station = &mut self.stations[usize::from(at)];
        let (busy, servers, all_servers) = (station.busy, station.servers, station.as_set.servers);
        let Some(special) = station.special.as_deref_mut() else {
            return Ok(false);
        };
        if special.is_closed() {
            return Ok(false);
        }
        if special.batches.is_some() {
            return self.serve_batch(at, sink);
        }
        let is_free = if special.is_shared() {
            servers > 0
        } else {
            busy < servers
        };
        let newest = special.line.head_rank();
        let mut victim = None;
        let mut resumed = None;
        if let Some(bench) = &mut special.bench {
            let oldest = bench.aside.first().filter(|_| busy < all_servers);
            resumed = oldest.map(Ticket::rank);
            if !is_free && servers > 0 && special.line.discipline.is_preemptive() {
                let line = &special.line;
                let last = bench.last(&self.parts, now, |class, left| line.key(class, left));
                victim =
                    last.filter(|(key, order, _)| newest.is_some_and(|new| new < (*key, *order)));
            }
        }
        let may_start = is_free || victim.is_some();
        let is_first = newest.is_some_and(|new| resumed.is_none_or(|old| new < old));
        if may_start && is_first && self.has_token(at)? {
            if let Some((_, _, slot)) = victim {
                self.interrupt(slot, at);
            }
            let station = &mut self.stations[usize::from(at)];
            if let Some(slot) = station.head() {
                let ticket = station.dequeue(&mut self.parts, slot);
                self.begin_special(slot, at, ticket, sink)?;
            }
            return Ok(true);
        }
        if resumed.is_some() {
            self.resume(at);
            return Ok(true);
        }
        // A worker pulls while a server is free, also where all could share.
        let has_room = busy < servers && self.room_for_pulled(at) > 0;
        if is_free && newest.is_none() && has_room && self.has_job(at) && self.has_token(at)? {
            return self.pull(at, sink);
        }
        Ok(false)
    }

    /// Loses its server to another.
    fn interrupt(&mut self, slot: u32, at: u16) {
        let now = self.now;
        let station = &mut self.stations[usize::from(at)];
        let Some(special) = station.special.as_deref_mut() else {
            return;
        };
        let Some(bench) = &mut special.bench else {
            return;
        };
        if let Some(ticket) = bench.interrupt(&mut self.parts, slot, now) {
            let class = self.parts.get(slot).class;
            let key = special.line.key(class, ticket.left_ns);
            bench.aside.push(&mut self.parts, Ticket { key, ..ticket });
            station.busy -= 1;
        }
    }

    /// The first of those interrupted gets a server again.
    fn resume(&mut self, at: u16) {
        let now = self.now;
        let station = &mut self.stations[usize::from(at)];
        let Some(special) = station.special.as_deref_mut() else {
            return;
        };
        if let Some(bench) = &mut special.bench
            && let Some(ticket) = bench.aside.pop(&mut self.parts)
        {
            bench.add(&mut self.parts, ticket, now);
            station.busy += 1;
        }
    }

    /// Begins service at a special station; the part is in no line.
    pub(super) fn begin_special<S: Sink>(
        &mut self,
        slot: u32,
        at: u16,
        ticket: Option<Ticket>,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let now = self.now;
        let part = self.parts.get_mut(slot);
        part.started_ns = now;
        let (class, waiting_ns) = (part.class, now - part.arrived_ns);
        let station = &mut self.stations[usize::from(at)];
        station.busy += 1;
        let Some(special) = station.special.as_deref_mut() else {
            return Ok(());
        };
        let mut work = Work::default();
        let opened = special.batches.as_mut().and_then(|batches| {
            let (number, size_ns) = batches.join()?;
            work.place = number;
            Some(size_ns)
        });
        if opened.is_none()
            && let Some(bucket) = &mut station.bucket
        {
            bucket.take(now);
        }
        let drawn = ticket.filter(|_| special.line.discipline.is_by_size());
        let mut server = None;
        let mut size_ns = match (opened, drawn, &mut special.unequal) {
            (Some(size_ns), _, _) => size_ns,
            (_, Some(ticket), _) => ticket.size_ns,
            (_, _, Some(unequal)) => {
                work.place = unequal.take();
                server = special.gauge(Gauge::Server(work.place));
                match &mut special.unequal {
                    Some(unequal) => {
                        unequal.laws[work.place as usize].draw_ns(&mut station.service_stream)
                    }
                    None => 0,
                }
            }
            _ => station.service[usize::from(class)].draw_ns(&mut station.service_stream),
        };
        if let Some(factor) = station.slowness.filter(|_| opened.is_none()) {
            size_ns = super::flow::longer(size_ns, factor);
        }
        let mut is_managed = false;
        if let Some(bench) = &mut special.bench {
            is_managed = true;
            let ticket = ticket.unwrap_or_else(|| special.line.ticket(slot, class, size_ns));
            let ticket = Ticket {
                size_ns,
                left_ns: size_ns,
                ..ticket
            };
            bench.add(&mut self.parts, ticket, now);
        }
        self.remember(slot, work);
        let event = self.event(EventKind::ServiceStarted, at, slot);
        self.emit(event, sink);
        sink.started(TimeNs(now), ComponentId(at), waiting_ns);
        if let Some(number) = server {
            sink.gauge(TimeNs(now), number, 1);
        }
        if is_managed {
            return Ok(());
        }
        let turn = self.parts.get(slot).turn;
        self.plan(size_ns, Appointment::ServiceEnd(slot, turn), at)
    }

    fn remember(&mut self, slot: u32, work: Work) {
        let index = slot as usize;
        if self.works.len() <= index {
            self.works.resize(index + 1, Work::default());
        }
        self.works[index] = work;
    }

    /// The station calls another: what it remembers of the part waits with the call.
    pub(super) fn keep_work(&mut self, call: u32, slot: u32) {
        let index = call as usize;
        if self.call_works.len() <= index {
            self.call_works.resize(index + 1, Work::default());
        }
        self.call_works[index] = self.works[slot as usize];
    }

    /// The call has come back to a special station.
    pub(super) fn take_up_work(&mut self, call: u32, slot: u32) {
        self.remember(slot, self.call_works[call as usize]);
    }

    /// Someone has left the service of a special station.
    pub(super) fn leave_special<S: Sink>(&mut self, slot: u32, at: u16, sink: &mut S) {
        let now = self.now;
        let work = self.works[slot as usize];
        let Some(special) = self.stations[usize::from(at)].special.as_deref_mut() else {
            return;
        };
        if let Some(batches) = &mut special.batches {
            batches.leave(work.place);
        }
        if let Some(unequal) = &mut special.unequal {
            unequal.is_busy[work.place as usize] = false;
            if let Some(number) = special.gauge(Gauge::Server(work.place)) {
                sink.gauge(TimeNs(now), number, 0);
            }
        }
        self.switch_off(at, sink);
    }

    /// A wake-up that a special station asked for.
    pub(super) fn wake<S: Sink>(
        &mut self,
        station: u32,
        word: u32,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let at = u16::try_from(station).unwrap_or(super::slab::NOWHERE);
        match Wake::unpack(word) {
            Wake::Work => self.work_done(at, sink),
            Wake::Linger => {
                let special = self.stations[usize::from(at)].special.as_deref_mut();
                if let Some(batches) = special.and_then(|it| it.batches.as_mut()) {
                    batches.is_armed = false;
                }
                self.fill_special(at, sink)
            }
            Wake::Outage => self.outage(at, sink),
            Wake::Setup(turn) => self.set_up(at, turn, sink),
        }
    }

    /// The next of those at work may be done; one per wake-up, so that every end is a step.
    fn work_done<S: Sink>(&mut self, at: u16, sink: &mut S) -> Result<(), KernelError> {
        let now = self.now;
        let special = self.stations[usize::from(at)].special.as_deref_mut();
        let Some(bench) = special.and_then(|it| it.bench.as_mut()) else {
            return Ok(());
        };
        bench.wake();
        if let Some(ticket) = bench.done(&mut self.parts, now) {
            let slot = ticket.slot;
            let in_service_ns = now - self.parts.get(slot).started_ns;
            self.works[slot as usize].aside_ns = in_service_ns.saturating_sub(ticket.size_ns);
            let turn = self.parts.get(slot).turn;
            self.service_end(slot, turn, sink)?;
        }
        self.keep_watch(at, sink)
    }
}

/// An appointment of a special station.
pub(super) fn wake(at: u16, what: Wake) -> Appointment {
    Appointment::Wake(u32::from(at), what.pack())
}
