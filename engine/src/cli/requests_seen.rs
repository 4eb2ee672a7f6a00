//! What is known of every request of a reel from its events, once through.
//!
//! Belongs here: one row for each request, gathered event by event, as conditions and lists ask for it.
//! Does not belong here: lists (requests), single journeys (request), the language (condition).
//!
//! Memory: a row for each request of the reel (some 200 bytes), and its open visits while it has any.

use flowreel_engine::condition::{Condition, Name, Value};
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::id::{ClassId, ComponentId, PartId, RequestId};
use flowreel_engine::model::time::{TimeNs, seconds_from_ns};
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::{ReelError, ReelReader};
use std::collections::BTreeMap;

/// What is known of a request.
pub(super) struct Seen {
    pub(super) class: ClassId,
    pub(super) user: Option<u64>,
    pub(super) begun: TimeNs,
    pub(super) finished: Option<TimeNs>,
    pub(super) outcome: &'static str,
    pub(super) attempts: u16,
    pub(super) retries: u64,
    /// Highest part number; parts count from 0.
    last_part: u16,
    pub(super) waiting_ns: u64,
    pub(super) service_ns: u64,
    /// Sorted.
    components: Vec<ComponentId>,
    /// Positions, sorted.
    paths: Vec<u16>,
    /// Sorted.
    failed_at: Vec<ComponentId>,
    open: Vec<Stay>,
}

/// A visit that is not over.
struct Stay {
    part: PartId,
    component: ComponentId,
    arrived: TimeNs,
    started: Option<TimeNs>,
}

/// Every request, by number.
pub(super) fn read(reader: &mut ReelReader) -> Result<BTreeMap<RequestId, Seen>, ReelError> {
    let mut seen: BTreeMap<RequestId, Seen> = BTreeMap::new();
    let mut batch = Vec::new();
    for position in 0..reader.event_blocks().len() {
        reader.read_events(position, &mut batch)?;
        let own = batch
            .iter()
            .filter(|event| event.request != RequestId::NONE);
        for event in own {
            let request = seen
                .entry(event.request)
                .or_insert_with(|| Seen::new(event));
            request.take(event);
        }
    }
    // A stay that is not over has waited until its service began; what it waits since nobody knows yet.
    for request in seen.values_mut() {
        for stay in std::mem::take(&mut request.open) {
            if let Some(started) = stay.started {
                request.waiting_ns += started.since_ns(stay.arrived);
            }
        }
    }
    Ok(seen)
}

/// Numbers of the requests that fit, in order.
pub(super) fn fitting(
    reader: &mut ReelReader,
    condition: &Condition,
) -> Result<Vec<RequestId>, ReelError> {
    let seen = read(reader)?;
    let topology = reader.topology();
    let fits = |(id, seen): &(RequestId, Seen)| seen.fits(*id, condition, topology);
    Ok(seen.into_iter().filter(fits).map(|(id, _)| id).collect())
}

impl Seen {
    fn new(event: &StageEvent) -> Self {
        Self {
            class: event.class,
            user: None,
            begun: event.t_ns,
            finished: None,
            outcome: "in-flight",
            attempts: 1,
            retries: 0,
            last_part: 0,
            waiting_ns: 0,
            service_ns: 0,
            components: Vec::new(),
            paths: Vec::new(),
            failed_at: Vec::new(),
            open: Vec::new(),
        }
    }

    fn take(&mut self, event: &StageEvent) {
        self.attempts = self.attempts.max(event.attempt);
        self.last_part = self.last_part.max(event.part.0);
        match event.kind {
            EventKind::RequestBegun => {
                self.user = (event.value != 0).then_some(event.value);
                self.class = event.class;
            }
            EventKind::RequestFinished => {
                self.finished = Some(event.t_ns);
                self.outcome = event.outcome.name();
            }
            EventKind::PartFinished => {
                let path = event.value.checked_sub(1).map(u16::try_from);
                if let Some(Ok(path)) = path {
                    insert(&mut self.paths, path);
                }
            }
            EventKind::RetryScheduled => self.retries += 1,
            EventKind::JobFailed => insert(&mut self.failed_at, event.component),
            EventKind::Arrived
            | EventKind::JobAdded
            | EventKind::JobDelayed
            | EventKind::JobDeadLettered => {
                insert(&mut self.components, event.component);
                self.open.push(Stay {
                    part: event.part,
                    component: event.component,
                    arrived: event.t_ns,
                    started: (event.kind == EventKind::JobDelayed).then_some(event.t_ns),
                });
            }
            EventKind::ServiceStarted => {
                if let Some(at) = self.at(event) {
                    self.open[at].started = Some(event.t_ns);
                }
            }
            EventKind::ServiceEnded
            | EventKind::JobPickedUp
            | EventKind::Rejected
            | EventKind::Abandoned
            | EventKind::TimedOut
            | EventKind::JobRequeued => self.leave(event),
            _ => {}
        }
    }

    fn at(&self, event: &StageEvent) -> Option<usize> {
        self.open
            .iter()
            .rposition(|stay| stay.component == event.component && stay.part == event.part)
    }

    fn leave(&mut self, event: &StageEvent) {
        let has_failed = match event.kind {
            EventKind::Rejected | EventKind::Abandoned | EventKind::TimedOut => true,
            _ => !matches!(event.outcome, Outcome::None | Outcome::Ok),
        };
        if has_failed && event.outcome != Outcome::Cancelled {
            insert(&mut self.failed_at, event.component);
        }
        let Some(at) = self.at(event) else {
            return;
        };
        let mut stay = self.open.remove(at);
        if self.open.is_empty() {
            // Nearly every request of a long reel is over: its room is given back.
            self.open = Vec::new();
        }
        if event.kind == EventKind::JobPickedUp {
            // Waiting in a queue ends where the worker takes the job.
            stay.started = Some(event.t_ns);
        }
        self.waiting_ns += stay.started.unwrap_or(event.t_ns).since_ns(stay.arrived);
        self.service_ns += stay
            .started
            .map_or(0, |started| event.t_ns.since_ns(started));
    }

    pub(super) fn sojourn_ns(&self) -> Option<u64> {
        self.finished.map(|finished| finished.since_ns(self.begun))
    }

    pub(super) fn parts(&self) -> u64 {
        u64::from(self.last_part) + 1
    }

    /// Paths that parts of it ended on.
    pub(super) fn paths<'a>(&self, topology: &'a Topology) -> Vec<&'a str> {
        let paths = self.paths.iter();
        paths
            .filter_map(|path| topology.paths.get(usize::from(*path)))
            .map(|path| path.id.as_str())
            .collect()
    }

    /// Components where a visit or a run of a job failed.
    pub(super) fn failed_at<'a>(&self, topology: &'a Topology) -> Vec<&'a str> {
        named(&self.failed_at, topology)
    }

    pub(super) fn fits(&self, id: RequestId, condition: &Condition, topology: &Topology) -> bool {
        condition.holds(&|name| self.value(id, name, topology))
    }

    /// The value of a name for this request.
    #[expect(clippy::cast_precision_loss, reason = "numbers of people, not of bits")]
    pub(super) fn value<'a>(&self, id: RequestId, name: Name, topology: &'a Topology) -> Value<'a>
    where
        Self: 'a,
    {
        let number = |value: Option<f64>| value.map_or(Value::Unknown, Value::Number);
        let seconds = |ns: u64| Value::Number(seconds_from_ns(ns));
        match name {
            Name::Id => Value::Number(id.0 as f64),
            Name::Class => Value::Text(topology.class_name(self.class)),
            Name::Outcome => Value::Text(self.outcome),
            Name::Attempts => Value::Number(f64::from(self.attempts)),
            Name::Retries => Value::Number(self.retries as f64),
            Name::Parts => Value::Number(self.parts() as f64),
            Name::User => number(self.user.map(|user| user as f64)),
            Name::Begun => Value::Number(self.begun.as_s()),
            Name::Finished => number(self.finished.map(TimeNs::as_s)),
            Name::Sojourn => number(self.sojourn_ns().map(seconds_from_ns)),
            Name::Waiting => seconds(self.waiting_ns),
            Name::Service => seconds(self.service_ns),
            Name::Component => Value::Texts(named(&self.components, topology)),
            Name::Path => Value::Texts(self.paths(topology)),
            Name::FailedAt => Value::Texts(self.failed_at(topology)),
        }
    }
}

fn named<'a>(ids: &[ComponentId], topology: &'a Topology) -> Vec<&'a str> {
    ids.iter().map(|id| topology.component_name(*id)).collect()
}

/// Into a short sorted list, once.
fn insert<T: Ord + Copy>(list: &mut Vec<T>, item: T) {
    if let Err(at) = list.binary_search(&item) {
        list.insert(at, item);
    }
}
