//! A station's line and servers: who is served next, by whom, together with whom, and when not.
//!
//! Belongs here: `discipline` and the keys beside it, what they mean for each other. Does not belong
//! here: serving (kernel::special), other keys of a station (station).

use super::distribution::{self, Distribution};
use super::fields::{self, Bound, Fields};
use super::problem::{Place, Problems, nearest_hint};
use super::raw::Node;
use super::valid::{Role, Scenario, Station};

/// Who is served next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Discipline {
    /// In order of arrival.
    #[default]
    Fifo,
    /// The newest first.
    Lifo,
    /// The newest first, interrupting an older one.
    LifoPreemptive,
    /// Anyone, each as likely.
    Random,
    /// The class with the largest priority first, in order of arrival within it.
    Priority,
    /// The same, interrupting those of lower priority, who resume later.
    PreemptivePriority,
    /// All at once: each gets a core, or an equal share of them all.
    ProcessorSharing,
    /// The shortest service first.
    Sjf,
    /// The shortest rest of service first, interrupting longer ones.
    Srpt,
    /// Those who got least service share the server.
    Las,
}

const DISCIPLINES: &[(&str, Discipline)] = &[
    ("fifo", Discipline::Fifo),
    ("lifo", Discipline::Lifo),
    ("lifo-preemptive", Discipline::LifoPreemptive),
    ("random", Discipline::Random),
    ("priority", Discipline::Priority),
    ("preemptive-priority", Discipline::PreemptivePriority),
    ("processor-sharing", Discipline::ProcessorSharing),
    ("sjf", Discipline::Sjf),
    ("srpt", Discipline::Srpt),
    ("las", Discipline::Las),
];

/// Most servers with laws of their own.
const UNEQUAL_SERVERS_MAX: usize = 1000;

impl Discipline {
    /// Its name in a scenario.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut all = DISCIPLINES.iter();
        all.find(|(_, it)| *it == self)
            .map_or("fifo", |(name, _)| name)
    }

    /// May one in service be interrupted by another?
    #[must_use]
    pub const fn is_preemptive(self) -> bool {
        matches!(
            self,
            Self::LifoPreemptive | Self::PreemptivePriority | Self::Srpt
        )
    }

    /// Are all present in service at once?
    #[must_use]
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::ProcessorSharing | Self::Las)
    }

    /// Does it look at service times, drawn on arrival?
    #[must_use]
    pub const fn is_by_size(self) -> bool {
        matches!(self, Self::Sjf | Self::Srpt)
    }
}

/// Which idle server an arrival takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdleServer {
    /// The one with the smallest mean, ties in file order.
    #[default]
    Fastest,
    /// Each as likely.
    Random,
}

/// Several served together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchService {
    /// Most in a batch.
    pub max: u32,
    /// Fewest in a batch.
    pub min: u32,
    /// How long the longest waiting waits for a batch to fill up, in ns.
    pub linger_ns: u64,
}

/// Times of being up and down, one after the other all the time.
#[derive(Clone, Debug, PartialEq)]
pub struct Breakdown {
    /// How long it stays up.
    pub up: Distribution,
    /// How long it stays down.
    pub down: Distribution,
}

/// Everything about line and servers beyond their number and one service time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// Who is served next.
    pub discipline: Discipline,
    /// One law per server; empty where all serve alike.
    pub by_server: Vec<Distribution>,
    /// Which idle server an arrival takes.
    pub idle_server: IdleServer,
    /// Served together, where they are.
    pub batch: Option<BatchService>,
    /// Time to switch on, for the first arrival to an empty station.
    pub setup: Option<Distribution>,
    /// Trouble that comes by itself.
    pub breakdown: Option<Breakdown>,
}

/// A level or count that the kernel reports beside arrivals and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// Servers at work, where that is not the number in service.
    Busy,
    /// 1 while this server is at work.
    Server(u32),
    /// Batches begun.
    Batches,
    /// 1 while it is being switched on.
    Starting,
    /// 1 while it is switched off.
    Off,
    /// 1 while it is not broken down.
    Up,
}

impl Line {
    /// First come, first served by equal servers that are always there.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Equal servers that are always there and serve one by one, in whatever order.
    #[must_use]
    pub fn serves_alike(&self) -> bool {
        self.by_server.is_empty()
            && self.batch.is_none()
            && self.setup.is_none()
            && self.breakdown.is_none()
    }

    /// Does served work have to be stopped, shared or resumed?
    #[must_use]
    pub const fn is_managed(&self) -> bool {
        self.discipline.is_preemptive() || self.discipline.is_shared() || self.breakdown.is_some()
    }

    /// What the kernel reports of this station, in order.
    #[must_use]
    pub fn gauges(&self) -> Vec<Gauge> {
        let mut list = Vec::new();
        if self.is_managed() || self.batch.is_some() {
            list.push(Gauge::Busy);
        }
        list.extend(
            (0..)
                .zip(&self.by_server)
                .map(|(index, _)| Gauge::Server(index)),
        );
        if self.batch.is_some() {
            list.push(Gauge::Batches);
        }
        if self.setup.is_some() {
            list.extend([Gauge::Starting, Gauge::Off]);
        }
        if self.breakdown.is_some() {
            list.push(Gauge::Up);
        }
        list
    }
}

/// Gauges of all stations, in file order; kernel and statistics number them alike.
#[must_use]
pub(crate) fn gauges(scenario: &Scenario) -> Vec<(usize, Gauge)> {
    let stations = scenario.stations.iter().enumerate();
    stations
        .flat_map(|(index, station)| {
            let own = station.line.gauges();
            own.into_iter().map(move |gauge| (index, gauge))
        })
        .collect()
}

impl Station {
    /// Servers of the station's first law that could do the same work; `None` is unlimited.
    #[must_use]
    pub fn effective_servers(&self) -> Option<f64> {
        let mut servers = f64::from(self.servers?);
        if let Some(first) = self.line.by_server.first() {
            let speed: f64 = self
                .line
                .by_server
                .iter()
                .map(|law| 1.0 / law.mean_s())
                .sum();
            servers = first.mean_s() * speed;
        }
        if let Some(batch) = self.line.batch {
            servers *= f64::from(batch.max);
        }
        if let Some(Breakdown { up, down }) = &self.line.breakdown {
            servers *= up.mean_s() / (up.mean_s() + down.mean_s());
        }
        Some(servers)
    }
}

/// Where the keys stand, for complaints about how they go together.
#[derive(Default)]
struct Written {
    discipline: Option<Place>,
    by_server: Option<Place>,
    idle_server: Option<Place>,
    batch: Option<Place>,
    setup: Option<Place>,
    breakdown: Option<Place>,
}

/// Reads the keys about line and servers, and checks how they go together.
pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Line> {
    let mut line = Line::default();
    let mut written = Written::default();
    if let Some(node) = fields.take("discipline") {
        written.discipline = Some(node.place);
        line.discipline = discipline(node, problems)?;
    }
    if let Some(node) = fields.take("service_by_server") {
        written.by_server = Some(node.place);
        for item in fields::list(node, "service_by_server", problems)? {
            line.by_server
                .push(distribution::read(item, "a server's service", problems)?);
        }
        if !(1..=UNEQUAL_SERVERS_MAX).contains(&line.by_server.len()) {
            problems.add_with_hint(
                node.place,
                format!("`service_by_server` has {} laws", line.by_server.len()),
                format!("write one per server, 1 to {UNEQUAL_SERVERS_MAX}"),
            );
        }
    }
    if let Some(node) = fields.take("idle_server") {
        written.idle_server = Some(node.place);
        line.idle_server = match fields::text(node, "idle_server", problems)? {
            "fastest" => IdleServer::Fastest,
            "random" => IdleServer::Random,
            name => {
                problems.add_with_hint(
                    node.place,
                    format!("no choice of an idle server is named `{name}`"),
                    nearest_hint(name, &["fastest", "random"]),
                );
                return None;
            }
        };
    }
    if let Some(node) = fields.take("batch_service") {
        written.batch = Some(node.place);
        line.batch = Some(batch(node, problems)?);
    }
    if let Some(node) = fields.take("setup") {
        written.setup = Some(node.place);
        line.setup = Some(distribution::read(node, "`setup`", problems)?);
    }
    if let Some(node) = fields.take("breakdown") {
        written.breakdown = Some(node.place);
        line.breakdown = Some(breakdown(node, problems)?);
    }
    together(&line, &written, fields, problems);
    Some(line)
}

fn discipline(node: &Node, problems: &mut Problems<'_>) -> Option<Discipline> {
    let name = fields::text(node, "discipline", problems)?;
    let found = DISCIPLINES.iter().find(|(known, _)| *known == name);
    if found.is_none() {
        let names: Vec<&str> = DISCIPLINES.iter().map(|(name, _)| *name).collect();
        problems.add_with_hint(
            node.place,
            format!("no discipline is named `{name}`"),
            nearest_hint(name, &names),
        );
    }
    found.map(|(_, discipline)| *discipline)
}

fn batch(node: &Node, problems: &mut Problems<'_>) -> Option<BatchService> {
    let mut fields = Fields::new(node, "`batch_service`", problems)?;
    let max = fields.need("max", problems);
    let max = max.and_then(|node| fields::count(node, "max", 1, 1_000_000, problems));
    let min = fields
        .take_count("min", 1, 1_000_000, problems)
        .unwrap_or(1);
    let linger_s = match fields.take("linger_s") {
        Some(node) => fields::seconds(node, "linger_s", Bound::NotNegative, problems)?,
        None => 0.0,
    };
    fields.finish(problems);
    let max = max?;
    if min > max {
        problems.add_with_hint(
            node.place,
            format!("`min` is {min} and `max` is {max}"),
            "write a `min` of at most `max`",
        );
        return None;
    }
    Some(BatchService {
        max: u32::try_from(max).ok()?,
        min: u32::try_from(min).ok()?,
        linger_ns: crate::model::time::ns_from_seconds(linger_s)?,
    })
}

fn breakdown(node: &Node, problems: &mut Problems<'_>) -> Option<Breakdown> {
    let mut fields = Fields::new(node, "`breakdown`", problems)?;
    let mut law = |key: &'static str, problems: &mut Problems<'_>| {
        let node = fields.need(key, problems)?;
        let law = distribution::read(node, &format!("`{key}`"), problems)?;
        if law.mean_s() <= 0.0 {
            problems.add_with_hint(
                node.place,
                format!("`{key}` takes no time"),
                "write a mean above 0",
            );
            return None;
        }
        Some(law)
    };
    let up = law("up", problems);
    let down = law("down", problems);
    fields.finish(problems);
    Some(Breakdown {
        up: up?,
        down: down?,
    })
}

/// Keys that contradict each other.
fn together(line: &Line, written: &Written, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    let name = line.discipline.name();
    if let (Some(place), None) = (written.idle_server, written.by_server) {
        problems.add_with_hint(
            place,
            "`idle_server` chooses between servers that are alike",
            "add `service_by_server`, or take it away",
        );
    }
    if let Some(place) = written.by_server {
        if fields.has("service") || fields.has("service_by_class") {
            problems.add_with_hint(
                place,
                "service times are given twice",
                "keep `service_by_server`, or `service` with `service_by_class`",
            );
        }
        let discipline = line.discipline;
        if discipline.is_preemptive() || discipline.is_shared() || discipline.is_by_size() {
            problems.add_with_hint(
                place,
                format!("under `{name}` a service has no one server"),
                "use fifo, lifo, random or priority with `service_by_server`",
            );
        }
    }
    if let Some(place) = written.batch {
        if line.discipline != Discipline::Fifo {
            problems.add_with_hint(
                place,
                format!("batches are not formed under `{name}`"),
                "use discipline = \"fifo\" with `batch_service`",
            );
        }
        if written.by_server.is_some() {
            problems.add_with_hint(
                place,
                "batches are not served by unequal servers",
                "keep `batch_service` or `service_by_server`",
            );
        }
    }
}

/// What the line needs of its station.
pub(super) fn check(station: &Station, what: &str, place: Place, problems: &mut Problems<'_>) {
    let line = &station.line;
    let by_line_only = matches!(
        line.discipline,
        Discipline::Fifo | Discipline::Lifo | Discipline::Random | Discipline::Priority
    );
    let serves_alike = line.serves_alike();
    if station.autoscale.is_some() && !(by_line_only && serves_alike) {
        problems.add_with_hint(
            place,
            format!("{what} scales servers that are not simply more or fewer of the same"),
            "use `autoscale` with discipline fifo, lifo, random or priority",
        );
    }
    if station.role == Role::Hold && !(by_line_only && serves_alike) {
        problems.add_with_hint(
            place,
            format!("{what} holds jobs for workers and does not serve them itself"),
            "keep discipline fifo, lifo, random or priority; write what serves at its workers",
        );
    }
    if matches!(station.role, Role::Keep | Role::Park) && !line.is_plain() {
        problems.add_with_hint(
            place,
            format!("{what} has neither line nor servers"),
            "take `discipline` and the keys about servers away",
        );
    }
    if !line.by_server.is_empty()
        && station.servers.map(u64::from) != u64::try_from(line.by_server.len()).ok()
    {
        problems.add_with_hint(
            place,
            format!(
                "{what} has {} laws in `service_by_server` for other servers",
                line.by_server.len()
            ),
            "write one law per server, and leave `servers` out",
        );
    }
}
