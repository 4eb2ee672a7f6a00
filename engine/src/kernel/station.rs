//! Stations at work: servers, waiting lines, token buckets.
//!
//! Belongs here: what one station knows of itself. Does not belong here: where parts go (route),
//! events (kernel).

use super::heap::Ticket;
use super::rng::Stream;
use super::sampler::Sampler;
use super::slab::{NONE, Part, Slab};
use super::special::{self, Special};
use crate::model::topology::{Channel, ComponentKind};
use crate::scenario::limit::RateLimit;
use crate::scenario::valid::{Choice, Role, Rule, RuleId, Scenario};

/// One station at work. Sources have one too, unused, so that component numbers are positions.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "flags that stand alone, read on the hot path"
)]
pub(super) struct StationState {
    pub(super) role: Role,
    pub(super) kind: ComponentKind,
    pub(super) present: u32,
    /// Services are drawn on arrival, so that its unfinished work is known.
    pub(super) knows_work: bool,
    /// When all work here is done, if nobody comes.
    pub(super) work_until_ns: u64,
    pub(super) busy: u32,
    pub(super) waiting: u32,
    first: u32,
    last: u32,
    pub(super) servers: u32,
    pub(super) capacity: u32,
    pub(super) service: Vec<Sampler>,
    pub(super) service_stream: Stream,
    pub(super) failure_probability: f64,
    pub(super) failure_stream: Stream,
    pub(super) as_set: AsSet,
    /// An autoscaler changes the number of its servers.
    pub(super) is_scaled: bool,
    /// A line or servers of another kind; `None` is the plain way.
    pub(super) special: Option<Box<Special>>,
    /// Down, by a fault.
    pub(super) is_down: bool,
    /// Services begun before this moment fail: the station went down under them.
    pub(super) cut_before_ns: u64,
    /// Factor on services begun while a fault makes it slow.
    pub(super) slowness: Option<f64>,
    pub(super) patience: Option<(Sampler, Stream)>,
    pub(super) bucket: Option<Bucket>,
    pub(super) calls: Option<RuleId>,
    pub(super) next: RuleId,
    pub(super) on_failure: RuleId,
    pub(super) on_full: Option<RuleId>,
    pub(super) on_abandon: Option<RuleId>,
    /// Stations that pull from here, and who is asked first next time.
    pub(super) workers: Vec<u16>,
    pub(super) worker_turn: usize,
    /// Queues it pulls from.
    pub(super) queues: Vec<u16>,
    /// Something is asked at its door, or its visits may be cut short: see its limits.
    pub(super) is_limited: bool,
    /// What its servers have finished may find no room.
    pub(super) may_be_held: bool,
    /// 1 + path that begins here, 0 none.
    pub(super) path: u16,
    pub(super) channel: Channel,
}

/// Limits as the scenario sets them; faults change those at work.
#[derive(Clone, Copy, Debug)]
pub(super) struct AsSet {
    pub(super) servers: u32,
    pub(super) capacity: u32,
    pub(super) failure_probability: f64,
}

/// Token bucket, full at the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    interval_ns: u64,
    refill: Refill,
    /// A wake-up is in the calendar.
    pub(super) is_armed: bool,
}

#[derive(Clone, Copy, Debug)]
enum Refill {
    /// As a theoretical next start (generic cell rate algorithm).
    Continuous { slack_ns: u64, next_ns: u64 },
    /// A whole token at each multiple of the interval.
    Ticks { burst: u32, tokens: u32, seen: u64 },
}

impl Bucket {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates from 1e-6 to 1e9 per second are checked when the scenario is read"
    )]
    pub(super) fn new(limit: RateLimit) -> Self {
        let interval_ns = libm::round(1e9 / limit.per_s) as u64;
        Self {
            interval_ns,
            refill: if limit.ticks {
                Refill::Ticks {
                    burst: limit.burst,
                    tokens: limit.burst,
                    seen: 0,
                }
            } else {
                Refill::Continuous {
                    slack_ns: interval_ns.saturating_mul(u64::from(limit.burst - 1)),
                    next_ns: 0,
                }
            },
            is_armed: false,
        }
    }

    /// Earliest moment at which a token is there; not after now where one is there now.
    #[inline]
    pub(super) fn ready_at_ns(&mut self, now_ns: u64) -> u64 {
        match &mut self.refill {
            Refill::Continuous { slack_ns, next_ns } => next_ns.saturating_sub(*slack_ns),
            Refill::Ticks { .. } => {
                let ticks = now_ns / self.interval_ns;
                if self.refresh(ticks) > 0 {
                    now_ns
                } else {
                    (ticks + 1).saturating_mul(self.interval_ns)
                }
            }
        }
    }

    /// Tokens of a ticking bucket after so many ticks.
    fn refresh(&mut self, ticks: u64) -> u32 {
        let Refill::Ticks {
            burst,
            tokens,
            seen,
        } = &mut self.refill
        else {
            return 0;
        };
        let fresh = u32::try_from(ticks - *seen).unwrap_or(u32::MAX);
        *tokens = tokens.saturating_add(fresh).min(*burst);
        *seen = ticks;
        *tokens
    }

    /// Takes a token that is there.
    #[inline]
    pub(super) fn take(&mut self, now_ns: u64) {
        match &mut self.refill {
            Refill::Continuous { next_ns, .. } => {
                *next_ns = (*next_ns).max(now_ns).saturating_add(self.interval_ns);
            }
            Refill::Ticks { tokens, .. } => *tokens -= 1,
        }
    }
}

/// All stations, by component number.
pub(super) fn compile(scenario: &Scenario, seed: u64) -> Vec<StationState> {
    let nothing = RuleId(0);
    let mut states: Vec<StationState> = scenario
        .topology
        .components
        .iter()
        .map(|component| {
            let stream = |purpose| Stream::new(seed, &component.id, purpose);
            StationState {
                role: Role::Park,
                kind: component.kind,
                present: 0,
                knows_work: false,
                work_until_ns: 0,
                busy: 0,
                waiting: 0,
                first: NONE,
                last: NONE,
                servers: u32::MAX,
                capacity: u32::MAX,
                service: Vec::new(),
                service_stream: stream("service"),
                failure_probability: 0.0,
                failure_stream: stream("failure"),
                as_set: AsSet {
                    servers: u32::MAX,
                    capacity: u32::MAX,
                    failure_probability: 0.0,
                },
                is_scaled: false,
                special: None,
                is_down: false,
                cut_before_ns: 0,
                slowness: None,
                patience: None,
                bucket: None,
                calls: None,
                next: nothing,
                on_failure: nothing,
                on_full: None,
                on_abandon: None,
                workers: Vec::new(),
                worker_turn: 0,
                queues: Vec::new(),
                is_limited: false,
                may_be_held: false,
                path: 0,
                channel: Channel::None,
            }
        })
        .collect();
    for rule in &scenario.rules {
        if let Rule::Choose {
            choice: Choice::LeastWorkLeft,
            among,
        } = rule
        {
            for id in among {
                states[id.index()].knows_work = true;
            }
        }
    }
    for station in &scenario.stations {
        let id = station.component;
        let name = &scenario.component(id).id;
        for worker in &station.workers {
            states[worker.index()].queues.push(id.0);
        }
        let state = &mut states[id.index()];
        state.role = station.role;
        state.servers = station.servers.unwrap_or(u32::MAX);
        state.capacity = station.capacity.unwrap_or(u32::MAX);
        state.service = station.service.iter().map(Sampler::new).collect();
        state.failure_probability = station.failure_probability;
        state.as_set = AsSet {
            servers: state.servers,
            capacity: state.capacity,
            failure_probability: state.failure_probability,
        };
        state.patience = station
            .patience
            .as_ref()
            .map(|law| (Sampler::new(law), Stream::new(seed, name, "patience")));
        state.bucket = station
            .rate_limit
            .filter(|limit| !limit.drops)
            .map(Bucket::new);
        state.calls = station.calls;
        state.next = station.next;
        state.on_failure = station.on_failure;
        state.on_full = station.on_full;
        state.on_abandon = station.on_abandon;
        state.workers = station.workers.iter().map(|worker| worker.0).collect();
        if let Some(path) = scenario.topology.path_via(id) {
            state.path = path.0 + 1;
            state.channel = scenario.paths()[path.index()].channel;
        }
    }
    special::compile(scenario, seed, &mut states);
    states
}

impl StationState {
    /// First in line.
    #[inline]
    pub(super) fn head(&self) -> Option<u32> {
        if let Some(special) = &self.special {
            return special.line.head();
        }
        if self.first == NONE {
            None
        } else {
            Some(self.first)
        }
    }

    /// Joins the line at its end.
    #[inline]
    pub(super) fn enqueue(&mut self, parts: &mut Slab<Part>, slot: u32) {
        let last = self.last;
        let part = parts.get_mut(slot);
        part.is_waiting = true;
        if self.special.is_some() {
            self.enqueue_by_rank(parts, slot);
            return;
        }
        part.before = last;
        part.after = NONE;
        if last == NONE {
            self.first = slot;
        } else {
            parts.get_mut(last).after = slot;
        }
        self.last = slot;
        self.waiting += 1;
    }

    /// Joins a line that has an order of its own.
    fn enqueue_by_rank(&mut self, parts: &mut Slab<Part>, slot: u32) {
        let Some(special) = self.special.as_deref_mut() else {
            return;
        };
        let class = parts.get(slot).class;
        let size_ns = if special.line.discipline.is_by_size() {
            self.service[usize::from(class)].draw_ns(&mut self.service_stream)
        } else {
            0
        };
        let ticket = special.line.ticket(slot, class, size_ns);
        special.line.push(parts, ticket);
        self.waiting += 1;
    }

    /// Leaves the line, wherever it stands in it; a special station gives its ticket back.
    #[inline]
    pub(super) fn dequeue(&mut self, parts: &mut Slab<Part>, slot: u32) -> Option<Ticket> {
        let part = parts.get_mut(slot);
        let (before, after) = (part.before, part.after);
        assert!(part.is_waiting, "only a waiting part leaves a line");
        part.is_waiting = false;
        if let Some(special) = self.special.as_deref_mut() {
            self.waiting -= 1;
            return Some(special.line.remove(parts, slot));
        }
        if before == NONE {
            self.first = after;
        } else {
            parts.get_mut(before).after = after;
        }
        if after == NONE {
            self.last = before;
        } else {
            parts.get_mut(after).before = before;
        }
        self.waiting -= 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_its_burst_through_and_then_its_rate() {
        for (ticks, expected) in [(false, [0, 0, 0, 200, 400]), (true, [0, 0, 0, 150, 350])] {
            let mut bucket = Bucket::new(RateLimit {
                per_s: 5.0,
                burst: 3,
                drops: false,
                ticks,
            });
            let mut starts = Vec::new();
            let mut now = 1_050_000_000;
            for _ in 0..5 {
                now = bucket.ready_at_ns(now).max(now);
                assert!(bucket.ready_at_ns(now) <= now, "a token is there");
                bucket.take(now);
                starts.push((now - 1_050_000_000) / 1_000_000);
            }
            assert_eq!(starts, expected);
        }
    }
}
