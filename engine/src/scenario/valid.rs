//! A scenario as meant: checked, every name turned into a position.
//!
//! Belongs here: plain data that kernel and analysis read. Does not belong here: TOML, running.
//!
//! Components are numbered as in the topology: sources first, then stations, each in file order.

use super::distribution::Distribution;
use super::limit::{Breaker, RateLimit, RetryLimits};
pub use super::line::{BatchService, Breakdown, Discipline, Gauge, IdleServer, Line};
use crate::model::id::ComponentId;
use crate::model::topology::{Class, Component, ComponentKind, Path, Topology};
use std::sync::Arc;

/// Position in [`Scenario::rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(pub u32);

impl RuleId {
    /// Position in the list.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// At this virtual time, in ns; events at that instant included.
    Duration(u64),
    /// When this many requests have finished, however they ended.
    Requests(u64),
}

/// What is cut from statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warmup {
    /// Found by MSER-5.
    Auto,
    /// This long, in ns.
    Fixed(u64),
}

/// How the next request comes.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// Exponential gaps.
    Poisson {
        /// Mean arrivals per second.
        rate_per_s: f64,
    },
    /// Gaps of any distribution.
    Renewal(Distribution),
    /// Equal gaps.
    Regular {
        /// From one arrival to the next.
        every_s: f64,
        /// From the start to the first arrival.
        first_s: f64,
    },
    /// Poisson at a rate that changes at given moments: (seconds, per second), times rising. Before
    /// the first nobody comes.
    Steps(Vec<(f64, f64)>),
    /// Poisson at the rate `rate_per_s · (1 + amplitude · sin(2π (t + phase_s) / period_s))`.
    Diurnal {
        /// Mean arrivals per second.
        rate_per_s: f64,
        /// Swing around the mean, from 0 to 1 of it.
        amplitude: f64,
        /// Length of one turn.
        period_s: f64,
        /// How far into its turn it begins.
        phase_s: f64,
    },
    /// Poisson at the rate of a phase; phases follow each other as a Markov chain.
    Mmpp {
        /// Arrivals per second in each phase.
        rates_per_s: Vec<f64>,
        /// Switches per second from phase (row) to phase (column), 0 on the diagonal.
        switch_per_s: Vec<Vec<f64>>,
        /// Share of time in each phase in the long run, and chance to begin in it.
        shares: Vec<f64>,
    },
    /// At these moments, in seconds and rising; nobody comes after the last.
    Trace(Arc<[f64]>),
    /// Users who think, ask, and think again when their request is over.
    Closed {
        /// How many.
        users: u32,
        /// How long they think; 0 where they do not.
        think: Distribution,
    },
}

impl Arrivals {
    /// Long-run arrivals (batches) per second; 0 for users who wait for answers and for traces, which
    /// end: no station can be overloaded by them for ever.
    #[must_use]
    pub fn rate_per_s(&self) -> f64 {
        match self {
            Self::Poisson { rate_per_s } | Self::Diurnal { rate_per_s, .. } => *rate_per_s,
            Self::Renewal(gap) => 1.0 / gap.mean_s(),
            Self::Regular { every_s, .. } => 1.0 / every_s,
            Self::Steps(steps) => steps.last().map_or(0.0, |(_, rate)| *rate),
            Self::Mmpp {
                rates_per_s,
                shares,
                ..
            } => rates_per_s.iter().zip(shares).map(|(r, p)| r * p).sum(),
            Self::Closed { .. } | Self::Trace(_) => 0.0,
        }
    }
}

/// How many requests come at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Batch {
    /// Always this many.
    Constant(u32),
    /// 1, 2, 3, … with P(k) falling geometrically; the mean is at least 1.
    Geometric {
        /// Mean size.
        mean: f64,
    },
    /// Each from `low` to `high` as likely.
    Uniform {
        /// Least.
        low: u32,
        /// Most.
        high: u32,
    },
    /// One of several sizes.
    Discrete {
        /// Sizes.
        values: Vec<u32>,
        /// Cumulative shares, the last is 1.
        cumulative: Vec<f64>,
    },
}

impl Batch {
    /// Mean size.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match self {
            Self::Constant(size) => f64::from(*size),
            Self::Geometric { mean } => *mean,
            Self::Uniform { low, high } => f64::midpoint(f64::from(*low), f64::from(*high)),
            Self::Discrete { values, cumulative } => {
                let before = std::iter::once(&0.0).chain(cumulative);
                let shares = cumulative.iter().zip(before).map(|(to, from)| to - from);
                values
                    .iter()
                    .zip(shares)
                    .map(|(v, p)| f64::from(*v) * p)
                    .sum()
            }
        }
    }
}

/// Where requests come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its place in the topology.
    pub component: ComponentId,
    /// Gaps between batches.
    pub arrivals: Arrivals,
    /// Share of each class, adding up to 1; one entry per class of the scenario.
    pub mix: Vec<f64>,
    /// Requests per arrival.
    pub batch: Batch,
    /// Users behind the requests, numbered from 1 and drawn evenly; 0 where nobody is told apart.
    pub users: u32,
    /// First step.
    pub to: RuleId,
}

/// How a station treats what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Servers take from its own line, or from queues that name it.
    Serve,
    /// Holds jobs for its workers.
    Hold,
    /// Keeps for ever what comes: a dead-letter queue.
    Keep,
    /// Parks for a delay that the ladder sets.
    Park,
}

/// How the number of servers follows the load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Autoscale {
    /// Fewest servers.
    pub min: u32,
    /// Most servers.
    pub max: u32,
    /// Share of its servers that should be busy, above 0 and up to 1.
    pub target_utilization: f64,
    /// Time between looks, in ns.
    pub every_ns: u64,
    /// From the order of a server to its first request, in ns.
    pub up_lag_ns: u64,
    /// From the mark on a surplus server to its going, in ns.
    pub down_lag_ns: u64,
}

/// One station.
#[derive(Clone, Debug, PartialEq)]
pub struct Station {
    /// Its place in the topology.
    pub component: ComponentId,
    /// What it does with what comes.
    pub role: Role,
    /// Parallel servers; `None` is unlimited.
    pub servers: Option<u32>,
    /// How they follow the load; `servers` is then how many it begins with.
    pub autoscale: Option<Autoscale>,
    /// Service time of each class of the scenario; empty where it does not serve.
    pub service: Vec<Distribution>,
    /// Who is served next, and by which servers.
    pub line: Line,
    /// Most present in waiting plus service; `None` is unlimited.
    pub capacity: Option<u32>,
    /// Taken when full; `None` ends the part as rejected.
    pub on_full: Option<RuleId>,
    /// Longest wait, drawn per visit; `None` is for ever.
    pub patience: Option<Distribution>,
    /// Refused for want of room, it waits where it is: a server that is done stays busy with it.
    pub blocks: bool,
    /// Most time waiting and in service, in ns; `None` is for ever. Past it a visit fails.
    pub timeout_ns: Option<u64>,
    /// Refuses everybody for a while after too many failures.
    pub breaker: Option<Breaker>,
    /// Taken when patience ends; `None` ends the part as abandoned.
    pub on_abandon: Option<RuleId>,
    /// Starts of service, or admissions, per second at most.
    pub rate_limit: Option<RateLimit>,
    /// Share of services that fail by themselves.
    pub failure_probability: f64,
    /// Taken after a failure.
    pub on_failure: RuleId,
    /// Followed after its own service, its server kept busy until the answer.
    pub calls: Option<RuleId>,
    /// Taken after success.
    pub next: RuleId,
    /// Stations that pull from it, where it holds jobs.
    pub workers: Vec<ComponentId>,
}

/// How one of several stations is chosen.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// One after the other.
    RoundRobin,
    /// Each as likely.
    Random,
    /// By share; cumulative, the last is 1.
    Weighted(Vec<f64>),
    /// Fewest present, ties at random.
    LeastConnections,
    /// Least time until all work there would be done, ties at random.
    LeastWorkLeft,
    /// Fewest present among `d` drawn, ties at random.
    PowerOfTwo {
        /// Stations drawn.
        d: u32,
        /// May one be drawn twice.
        replace: bool,
    },
    /// The one the user had before; round-robin for a new user.
    Sticky,
    /// By a hash of the user, or of the request where users are not told apart.
    Hash,
}

/// One step of a retry ladder.
#[derive(Clone, Debug, PartialEq)]
pub struct LadderStep {
    /// How long the part is parked.
    pub delay: Distribution,
    /// Where.
    pub via: ComponentId,
}

/// Parts that wait for each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// One part each; a station may stand here several times.
    pub to: Vec<ComponentId>,
    /// Where they meet and go on as one; `None` where each is done by itself.
    pub join: Option<ComponentId>,
    /// So many must come; the rest is not waited for.
    pub wait_for: u32,
}

/// Parts of which the first answer wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// Stations to ask.
    pub among: Vec<ComponentId>,
    /// So many of them are asked: all in their order, or fewer at random without replacement.
    pub d: u32,
    /// Time without an answer after which the next is asked, in ns.
    pub after_ns: u64,
    /// Where arriving is the answer; `None` where being done is.
    pub join: Option<ComponentId>,
}

/// Where a part goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// The part ends well.
    Done,
    /// The part ends badly.
    Failed,
    /// To this station.
    Station(ComponentId),
    /// To one of these.
    Choose {
        /// How.
        choice: Choice,
        /// Of which.
        among: Vec<ComponentId>,
    },
    /// By chance: cumulative shares, the last is 1.
    Probability(Vec<(f64, RuleId)>),
    /// By class: one rule per class of the scenario.
    ByClass(Vec<RuleId>),
    /// To all of these, each its own part.
    Copy(Vec<ComponentId>),
    /// To all of these; the parts wait for each other.
    Fork(Fork),
    /// To these until one answers; the others are cancelled.
    Hedge(Hedge),
    /// Up a ladder of delays and back to where it failed.
    Retry {
        /// At least one.
        steps: Vec<LadderStep>,
        /// After the last step; `None` repeats it for ever.
        then: Option<RuleId>,
        /// What bounds it beside its steps.
        limits: RetryLimits,
    },
}

/// Time on one arrow.
#[derive(Clone, Debug, PartialEq)]
pub struct Transit {
    /// Leaves here.
    pub from: ComponentId,
    /// Arrives there.
    pub to: ComponentId,
    /// How long it takes.
    pub time: Distribution,
}

/// What a fault does to its station while it lasts.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// Refuses what comes, starts nothing, fails what it had begun.
    Down,
    /// Starts nothing; what it had begun ends as usual.
    Pause,
    /// Services begun meanwhile take this many times as long.
    Slow(f64),
    /// This share of services fails, beside those that fail anyway.
    ErrorRate(f64),
    /// The way to it takes this much longer.
    Delay(Distribution),
    /// Everything there ends at once, and it refuses what comes.
    Disconnect,
}

/// Trouble at one station for some time.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// When it begins, in ns.
    pub at_ns: u64,
    /// How long it lasts, in ns; `None` is to the end of the run.
    pub for_ns: Option<u64>,
    /// Where.
    pub target: ComponentId,
    /// What.
    pub kind: FaultKind,
}

/// A promise about the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// Its name.
    pub id: String,
    /// Path into the simulate answer.
    pub metric: String,
    /// The limit.
    pub limit: f64,
    /// Must the value be below the limit, or above it?
    pub below: bool,
}

/// One whole scenario, ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Names, kinds, arrows, classes, paths.
    pub topology: Topology,
    /// What to look at while it runs; may be empty.
    pub watch: String,
    /// What comes of it; may be empty.
    pub expect: String,
    /// Seed where none is given.
    pub seed: u64,
    /// When a run ends.
    pub stop: Stop,
    /// What is cut from statistics.
    pub warmup: Warmup,
    /// Moments at which requests in the system are counted, in ns, rising.
    pub observe_at_ns: Vec<u64>,
    /// Where requests come from.
    pub sources: Vec<Source>,
    /// By class: past this sojourn, in ns, an answer is late; `None` is never.
    pub deadlines_ns: Vec<Option<u64>>,
    /// Where they go.
    pub stations: Vec<Station>,
    /// All rules; others name them by position.
    pub rules: Vec<Rule>,
    /// Arrows that take time.
    pub transits: Vec<Transit>,
    /// Trouble to come.
    pub faults: Vec<Fault>,
    /// Promises to check.
    pub slos: Vec<Slo>,
}

impl Scenario {
    /// The rule at that position.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> &Rule {
        &self.rules[id.index()]
    }

    /// The station of that component; `None` for sources.
    #[must_use]
    pub fn station(&self, component: ComponentId) -> Option<&Station> {
        let index = component.index().checked_sub(self.sources.len())?;
        self.stations.get(index)
    }

    /// Name, kind and label of a component.
    #[must_use]
    pub fn component(&self, id: ComponentId) -> &Component {
        &self.topology.components[id.index()]
    }

    /// Is it of that kind?
    #[must_use]
    pub fn is_kind(&self, id: ComponentId, kind: ComponentKind) -> bool {
        self.component(id).kind == kind
    }

    /// Classes in the order of their ids.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        &self.topology.classes
    }

    /// Paths in the order of their ids.
    #[must_use]
    pub fn paths(&self) -> &[Path] {
        &self.topology.paths
    }
}
