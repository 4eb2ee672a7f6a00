//! The kernel: a scenario and a seed become stage events.
//!
//! Belongs here: virtual time, the calendar's loop, what a run reports at its end. Does not belong
//! here: reading scenarios, statistics (analysis), recording.
//!
//! Same scenario and seed: same events, on every machine and whoever watches. Events of a shorter
//! run are a prefix of those of a longer one. Appointments at one instant run in the order in which
//! they were made.

mod appointment;
mod arrivals;
mod attained;
mod autoscale;
mod batches;
mod bench;
mod breaker;
mod calendar;
mod cancel;
mod door;
mod error;
mod fault;
mod finish;
mod flow;
mod heap;
mod join;
mod limit;
mod line;
mod outage;
mod pull;
mod retry;
pub mod rng;
mod route;
mod sampler;
mod sink;
mod slab;
mod source;
mod special;
mod split;
mod station;

pub use error::{KernelError, Trouble};
pub use sink::{EventSink, Sink};

use crate::model::event::{EventKind, Outcome, StageEvent};
use crate::model::hash::RunHash;
use crate::model::id::{ClassId, ComponentId, PartId, RequestId};
use crate::model::time::TimeNs;
use crate::scenario::valid::{Scenario, Stop};
use crate::scenario::{ScenarioError, load};
use appointment::Appointment;
use calendar::{Calendar, Entry};
use join::Joins;
use route::{Destination, Router};
use sampler::Sampler;
use slab::{Call, Part, Request, Slab};
use source::SourceState;
use station::StationState;

/// Appointments at one instant before a run counts as going round in a circle.
const SAME_INSTANT_MAX: u64 = 50_000_000;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunReport {
    /// Virtual time at its end.
    pub end: TimeNs,
    /// Stage events.
    pub event_count: u64,
    /// Hash over all of them.
    pub run_hash: RunHash,
    /// Requests begun.
    pub started: u64,
    /// Requests ended, however they did.
    pub finished: u64,
}

/// Time on the arrows that leave one component.
#[derive(Clone, Debug)]
struct Arrow {
    to: u16,
    time: Sampler,
    stream: rng::Stream,
}

/// A run under way.
#[derive(Clone, Debug)]
pub struct Kernel {
    stop: Stop,
    /// Nothing after this moment happens.
    last_ns: u64,
    /// The run ends with this many requests finished.
    finished_max: u64,
    names: Vec<String>,
    priorities: Vec<u64>,
    calendar: Calendar,
    now: u64,
    same_instant: u64,
    hash: RunHash,
    event_count: u64,
    request_count: u64,
    finished_count: u64,
    /// Last turn given out; tells an outdated appointment from one that counts.
    turns: u32,
    requests: Slab<Request>,
    parts: Slab<Part>,
    calls: Slab<Call>,
    joins: Joins,
    /// What special stations remember, by part and by call.
    works: Vec<special::Work>,
    call_works: Vec<special::Work>,
    sources: Vec<SourceState>,
    stations: Vec<StationState>,
    limits: Vec<limit::Limits>,
    arrows: Vec<Vec<Arrow>>,
    router: Router,
    faults: Vec<fault::FaultState>,
    autoscalers: Vec<autoscale::Autoscaler>,
    /// Sources that will send more.
    open_sources: usize,
    /// Faults under way that lengthen a way.
    delays_on: u32,
    /// Stations with a server set free in this step.
    freed: Vec<u16>,
    /// Stations with somebody at the door and, perhaps, room again in this step.
    opened: Vec<u16>,
    /// Part that comes in past those at the door.
    admitted: u32,
}

impl Kernel {
    /// A run at time 0, first arrivals in the calendar.
    ///
    /// # Errors
    /// [`KernelError`] where the first arrival lies past the end of time.
    pub fn new(scenario: &Scenario, seed: u64) -> Result<Self, KernelError> {
        let names: Vec<String> = scenario
            .topology
            .components
            .iter()
            .map(|component| component.id.clone())
            .collect();
        let mut arrows: Vec<Vec<Arrow>> = vec![Vec::new(); names.len()];
        for transit in &scenario.transits {
            let purpose = format!("transit to {}", names[transit.to.index()]);
            arrows[transit.from.index()].push(Arrow {
                to: transit.to.0,
                time: Sampler::new(&transit.time),
                stream: rng::Stream::new(seed, &names[transit.from.index()], &purpose),
            });
        }
        let mut kernel = Self {
            stop: scenario.stop,
            last_ns: match scenario.stop {
                Stop::Duration(end) => end,
                Stop::Requests(_) => u64::MAX,
            },
            finished_max: match scenario.stop {
                Stop::Duration(_) => u64::MAX,
                Stop::Requests(count) => count,
            },
            priorities: scenario
                .classes()
                .iter()
                .map(|class| u64::try_from(class.priority).unwrap_or(0))
                .collect(),
            calendar: Calendar::default(),
            now: 0,
            same_instant: 0,
            hash: RunHash::default(),
            event_count: 0,
            request_count: 0,
            finished_count: 0,
            turns: 0,
            requests: Slab::default(),
            parts: Slab::default(),
            calls: Slab::default(),
            joins: Joins::new(scenario),
            works: Vec::new(),
            call_works: Vec::new(),
            sources: scenario
                .sources
                .iter()
                .map(|source| SourceState::new(scenario, source, seed))
                .collect(),
            stations: station::compile(scenario, seed),
            limits: Vec::new(),
            arrows,
            router: Router::new(scenario, seed),
            faults: fault::compile(scenario, seed),
            autoscalers: autoscale::compile(scenario),
            open_sources: scenario.sources.len(),
            delays_on: 0,
            freed: Vec::with_capacity(16),
            opened: Vec::with_capacity(16),
            admitted: Self::nobody(),
            names,
        };
        kernel.limits = limit::compile(scenario, &mut kernel.stations);
        kernel.plan_faults()?;
        kernel.plan_autoscalers()?;
        kernel.plan_outages()?;
        for index in 0..kernel.sources.len() {
            let thinkers = kernel.sources[index].thinkers;
            if thinkers == 0 {
                kernel.plan_arrival(index)?;
            }
            for user in 1..=thinkers {
                kernel.think(index, user)?;
            }
        }
        Ok(kernel)
    }

    /// Runs to the scenario's end.
    ///
    /// # Errors
    /// [`KernelError`] where the run cannot go on.
    pub fn run<S: Sink>(&mut self, sink: &mut S) -> Result<RunReport, KernelError> {
        while self.step(TimeNs::MAX, sink)? {}
        Ok(self.report())
    }

    /// Runs what happens up to and including `until`; `false` once the scenario's end is reached.
    ///
    /// # Errors
    /// [`KernelError`] where the run cannot go on.
    pub fn run_until<S: Sink>(&mut self, until: TimeNs, sink: &mut S) -> Result<bool, KernelError> {
        while self.calendar.next_at_ns().is_some_and(|at| at <= until.0) {
            if !self.step(until, sink)? {
                return Ok(false);
            }
        }
        Ok(!self.is_over())
    }

    /// The run so far.
    #[must_use]
    pub const fn report(&self) -> RunReport {
        RunReport {
            end: TimeNs(self.now),
            event_count: self.event_count,
            run_hash: self.hash,
            started: self.request_count,
            finished: self.finished_count,
        }
    }

    fn is_over(&mut self) -> bool {
        let is_late = |at| at > self.last_ns;
        self.finished_count >= self.finished_max || self.calendar.next_at_ns().is_none_or(is_late)
    }

    /// Takes the next appointment; `false` where the run is over or nothing is due by `until`.
    #[inline(always)]
    fn step<S: Sink>(&mut self, until: TimeNs, sink: &mut S) -> Result<bool, KernelError> {
        let next = self.calendar.next();
        let at_ns = next.map_or(u64::MAX, |entry| entry.at_ns);
        let is_over = at_ns > self.last_ns || self.finished_count >= self.finished_max;
        let Some(Entry { what, .. }) = next.filter(|_| !is_over && at_ns <= until.0) else {
            if let (true, Stop::Duration(end)) = (self.is_over(), self.stop) {
                self.now = end;
            }
            return Ok(false);
        };
        self.calendar.take_next();
        if at_ns == self.now {
            self.same_instant += 1;
        } else {
            self.same_instant = 0;
            self.now = at_ns;
            sink.clock(TimeNs(at_ns));
        }
        match Appointment::unpack(what) {
            Appointment::ServiceEnd(slot, turn) => self.service_end(slot, turn, sink)?,
            Appointment::Arrival(index) => self.arrival(index as usize, sink)?,
            Appointment::ParkingEnd(slot, turn) => self.parking_end(slot, turn, sink)?,
            Appointment::TransitEnd(slot, turn) => self.transit_end(slot, turn, sink)?,
            Appointment::Token(station) => self.token(station, sink)?,
            Appointment::PatienceEnd(slot, turn) => self.patience_end(slot, turn, sink)?,
            Appointment::Fault(slot) => self.fault(slot, sink)?,
            Appointment::Autoscale(slot, purpose) => self.autoscale(slot, purpose, sink)?,
            Appointment::Hedge(group, turn) => self.hedge_due(group, turn, sink)?,
            Appointment::ThinkingEnd(source, user) => {
                self.begin_again(source as usize, user, sink)?;
            }
            Appointment::Wake(station, why) => self.wake(station, why, sink)?,
            Appointment::TimeLimit(slot, turn) => self.time_limit(slot, turn, sink)?,
            Appointment::HalfOpen(station) => self.half_open(station, sink)?,
        }
        if !self.opened.is_empty() {
            self.open_doors(sink)?;
        }
        Ok(true)
    }

    #[inline(always)]
    fn plan_arrival(&mut self, index: usize) -> Result<(), KernelError> {
        let Some(gap) = self.sources[index].gap_ns(self.now) else {
            self.open_sources -= 1;
            return Ok(());
        };
        let component = self.sources[index].component;
        let slot = u32::try_from(index).unwrap_or(u32::MAX);
        self.plan(gap, Appointment::Arrival(slot), component)
    }

    /// A user of a closed source thinks before the next request.
    fn think(&mut self, index: usize, user: u32) -> Result<(), KernelError> {
        let Some(gap) = self.sources[index].gap_ns(self.now) else {
            return Ok(());
        };
        let component = self.sources[index].component;
        // Who never thinks and is turned away at once would ask for ever.
        let asked_max = 100_000 + 100 * u64::from(self.sources[index].thinkers);
        if gap == 0 && self.same_instant > asked_max {
            return Err(self.no_progress(component));
        }
        let slot = u32::try_from(index).unwrap_or(u32::MAX);
        self.plan(gap, Appointment::ThinkingEnd(slot, user), component)
    }

    #[inline(always)]
    fn plan(&mut self, after_ns: u64, what: Appointment, at: u16) -> Result<(), KernelError> {
        // The last value is the mark of a draw past the clock's range.
        match self
            .now
            .checked_add(after_ns)
            .filter(|at_ns| *at_ns < u64::MAX)
        {
            Some(at_ns) => {
                self.calendar.insert(at_ns, what.pack());
                Ok(())
            }
            None => Err(self.overflow(at)),
        }
    }

    #[inline(always)]
    fn arrival<S: Sink>(&mut self, index: usize, sink: &mut S) -> Result<(), KernelError> {
        for _ in 0..self.sources[index].batch_size() {
            let user = self.sources[index].user();
            self.begin(index, user, sink)?;
        }
        self.plan_arrival(index)
    }

    /// A user is done thinking.
    #[inline(never)]
    fn begin_again<S: Sink>(
        &mut self,
        index: usize,
        user: u32,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        self.begin(index, user, sink)
    }

    /// One request of that user begins.
    #[inline(always)]
    fn begin<S: Sink>(&mut self, index: usize, user: u32, sink: &mut S) -> Result<(), KernelError> {
        let source = &mut self.sources[index];
        let (class, component, to) = (source.class(), source.component, source.to);
        self.request_count += 1;
        let request = Request {
            id: self.request_count,
            begun_ns: self.now,
            user,
            parts_alive: 1,
            parts_ended: 0,
            last_part: 0,
            source: u16::try_from(index).unwrap_or(u16::MAX),
            outcome: Outcome::Ok,
        };
        let slot = self.requests.insert(request);
        let slot = slot.ok_or_else(|| self.too_many(component))?;
        let part = self.parts.insert(Part::new(slot, class, 0));
        let part = part.ok_or_else(|| self.too_many(component))?;
        let begun = self.event(EventKind::RequestBegun, component, part);
        self.emit(
            StageEvent {
                value: u64::from(user),
                ..begun
            },
            sink,
        );
        sink.begun(TimeNs(self.now));
        match self.destination(part, to) {
            Destination::Station(to) => self.forward_here(part, component, to, sink),
            elsewhere => self.follow(part, component, elsewhere, sink),
        }
    }

    #[cold]
    #[inline(never)]
    fn overflow(&self, component: u16) -> KernelError {
        let component = self.names[usize::from(component)].clone();
        let now_s = self.now / 1_000_000_000;
        Trouble::TimeOverflow { component, now_s }.into()
    }

    #[cold]
    #[inline(never)]
    fn too_many(&self, component: u16) -> KernelError {
        let trouble = Trouble::TooManyInFlight {
            count: slab::SLOTS_MAX,
            component: self.names[usize::from(component)].clone(),
            now_s: self.now / 1_000_000_000,
        };
        trouble.into()
    }

    #[cold]
    #[inline(never)]
    fn no_progress(&self, component: u16) -> KernelError {
        let component = self.names[usize::from(component)].clone();
        let now_s = self.now / 1_000_000_000;
        Trouble::NoProgress { component, now_s }.into()
    }

    /// An event about a part, with everything that follows from the part filled in.
    #[inline(always)]
    fn event(&self, kind: EventKind, component: u16, part: u32) -> StageEvent {
        let part = self.parts.get(part);
        StageEvent {
            request: RequestId(self.requests.get(part.request).id),
            class: ClassId(part.class),
            attempt: part.attempt,
            part: PartId(part.number),
            ..StageEvent::new(TimeNs(self.now), kind, ComponentId(component))
        }
    }

    #[inline(always)]
    fn emit<S: Sink>(&mut self, mut event: StageEvent, sink: &mut S) {
        event.seq = self.event_count;
        self.event_count += 1;
        self.hash.add(&event);
        sink.event(&event);
    }

    /// Steps at one instant are bounded, or a circle without delay would never end.
    #[inline]
    fn check_progress(&self, component: u16) -> Result<(), KernelError> {
        if self.same_instant < SAME_INSTANT_MAX {
            return Ok(());
        }
        Err(self.no_progress(component))
    }
}

/// Runs a scenario to its end.
///
/// # Errors
/// [`KernelError`] where the run cannot go on.
pub fn run<S: Sink>(
    scenario: &Scenario,
    seed: u64,
    sink: &mut S,
) -> Result<RunReport, KernelError> {
    Kernel::new(scenario, seed)?.run(sink)
}

/// Why a scenario's text did not become a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimulateError {
    /// The scenario is wrong.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The run cannot go on.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// Reads a scenario, applies overrides and runs it: what a reel embeds is enough to make it again.
///
/// # Errors
/// [`SimulateError`] where the text is wrong or the run cannot go on.
pub fn simulate_events<S: Sink>(
    scenario_text: &str,
    seed: u64,
    overrides: &[String],
    sink: &mut S,
) -> Result<RunReport, SimulateError> {
    let scenario = load(scenario_text, overrides)?;
    Ok(run(&scenario, seed, sink)?)
}
