//! An independent bystander: keeps its own books of a run and says at once when they do not add up.
//!
//! Belongs here: what every run must keep, after every event. Does not belong here: the reducer's own
//! checks (`StreamCheck`), facts handed to statistics (facts).

use super::books::{Books, Key, PartBooks, RequestBooks, Visit};
use super::plan::{Order, Plan};
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use std::collections::BTreeMap;

/// The bystander.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    plans: Vec<Plan>,
    priorities: Vec<i64>,
    now_ns: u64,
    next_seq: u64,
    pub(super) visits: BTreeMap<Key, Visit>,
    pub(super) books: Vec<Books>,
    requests: BTreeMap<u64, RequestBooks>,
    /// Some fork does not wait for all of its parts.
    pub(super) has_quorum: bool,
    pub(super) started: u64,
    pub(super) finished: u64,
    /// Over its capacity: the next event must refuse it.
    must_leave: Option<Key>,
}

/// A short name of the broken promise, and the whole sentence.
pub(super) type Complaint = (&'static str, String);

impl Witness {
    pub(super) fn new(plans: Vec<Plan>, priorities: Vec<i64>) -> Self {
        Self {
            books: vec![Books::default(); plans.len()],
            plans,
            priorities,
            now_ns: 0,
            next_seq: 0,
            visits: BTreeMap::new(),
            requests: BTreeMap::new(),
            has_quorum: false,
            started: 0,
            finished: 0,
            must_leave: None,
        }
    }

    /// Takes the next event in.
    pub(super) fn event(&mut self, event: &StageEvent) -> Result<(), Complaint> {
        let key = (event.request.0, event.part.0, event.component.0);
        if event.seq != self.next_seq {
            return Err((
                "dense sequence",
                format!("event {} has number {}", self.next_seq, event.seq),
            ));
        }
        self.next_seq += 1;
        if event.t_ns.0 < self.now_ns {
            return Err((
                "monotone clock",
                format!("{event:?} comes before {} ns", self.now_ns),
            ));
        }
        if event.t_ns.0 > self.now_ns {
            self.nobody_rests()?;
            self.now_ns = event.t_ns.0;
        }
        if let Some(over) = self.must_leave.take()
            && (over != key || !leaves_unserved(event.kind))
        {
            let what = format!("{over:?} is over the capacity, and {event:?} follows");
            return Err(("capacity", what));
        }
        match event.kind {
            EventKind::RequestBegun => self.begun(event),
            EventKind::RequestFinished => self.request_finished(event),
            EventKind::PartFinished => self.part_finished(event),
            EventKind::Forwarded => self.forwarded(event, event.t_ns.0.saturating_add(event.value)),
            EventKind::Arrived
            | EventKind::JobAdded
            | EventKind::JobDeadLettered
            | EventKind::JobDelayed => self.opened(event, key),
            EventKind::ServiceStarted => self.service_started(event, key),
            EventKind::ServiceEnded if event.outcome == Outcome::Cancelled => {
                let visit = self.visits.get(&key);
                let served_ns = visit.map_or(0, |visit| event.t_ns.0 - visit.arrived_ns);
                self.books[event.component.index()].given_up_ns += u128::from(served_ns);
                self.closed(event, key, true)
            }
            EventKind::ServiceEnded => self.closed(event, key, true),
            EventKind::JobPickedUp => {
                self.in_order(key)?;
                self.closed(event, key, false)?;
                self.forwarded(event, event.t_ns.0)
            }
            EventKind::Rejected | EventKind::Abandoned | EventKind::TimedOut => {
                self.unserved(event, key)
            }
            EventKind::FaultBegan => {
                self.books[event.component.index()].faults += 1;
                Ok(())
            }
            EventKind::FaultEnded => {
                match self.books[event.component.index()].faults.checked_sub(1) {
                    Some(left) => {
                        self.books[event.component.index()].faults = left;
                        Ok(())
                    }
                    None => Err(("faults", format!("{event:?} ends a fault that never began"))),
                }
            }
            _ => Ok(()),
        }
    }

    fn begun(&mut self, event: &StageEvent) -> Result<(), Complaint> {
        let books = RequestBooks {
            class: event.class.0,
            source: event.component.0,
            parts: BTreeMap::from([(0, PartBooks::default())]),
            ended: 0,
            is_finished: false,
        };
        self.started += 1;
        if self.requests.insert(event.request.0, books).is_some() || event.request.0 != self.started
        {
            return Err((
                "requests",
                format!("{event:?} is not the {}th request", self.started),
            ));
        }
        let source = event.component.index();
        self.books[source].in_flight += 1;
        let most = self.plans[source].users.unwrap_or(u64::MAX);
        if self.books[source].in_flight > most {
            return Err((
                "closed source",
                format!(
                    "more than {most} requests of `{}` are in flight",
                    self.plans[source].id
                ),
            ));
        }
        Ok(())
    }

    fn request(&mut self, event: &StageEvent) -> Result<&mut RequestBooks, Complaint> {
        match self.requests.get_mut(&event.request.0) {
            Some(request) if request.class == event.class.0 => Ok(request),
            Some(_) => Err(("requests", format!("{event:?} changes its class"))),
            None => Err((
                "requests",
                format!("{event:?} is about no request in flight"),
            )),
        }
    }

    /// A new part appears when it first moves.
    fn forwarded(&mut self, event: &StageEvent, arrives_ns: u64) -> Result<(), Complaint> {
        let part = self.request(event)?.parts.entry(event.part.0).or_default();
        if part.heading.is_some() || part.is_over {
            return Err((
                "one place",
                format!("{event:?} moves a part that is on its way or over"),
            ));
        }
        part.heading = Some((event.peer.0, arrives_ns));
        Ok(())
    }

    fn opened(&mut self, event: &StageEvent, key: Key) -> Result<(), Complaint> {
        let priority = self
            .priorities
            .get(event.class.index())
            .copied()
            .unwrap_or(0);
        let may_be_late = self.plans[event.component.index()].blocks;
        let part = self.request(event)?.parts.entry(event.part.0).or_default();
        // A part that joins is brought by its parts: it comes from nowhere.
        let is_sent = part.heading.take().is_some_and(|(to, at_ns)| {
            to == event.component.0
                && (at_ns == event.t_ns.0 || (may_be_late && at_ns < event.t_ns.0))
        });
        if !is_sent && event.peer.is_some() {
            return Err((
                "one place",
                format!("{event:?} arrives where or when it was not sent"),
            ));
        }
        let around = part.open.clone();
        part.open.push(event.component.0);
        for outer in around {
            let is_busy = self
                .visits
                .get(&(key.0, key.1, outer))
                .is_some_and(|visit| visit.is_started);
            if !is_busy || !self.plans[usize::from(outer)].calls {
                return Err((
                    "one place",
                    format!(
                        "{event:?} arrives while it is at `{}`",
                        self.plans[usize::from(outer)].id
                    ),
                ));
            }
        }
        let parks = event.kind == EventKind::JobDelayed;
        let visit = Visit {
            arrived_ns: event.t_ns.0,
            arrived_seq: event.seq,
            is_started: parks,
            priority,
        };
        self.visits.insert(key, visit);
        let at = event.component.index();
        let books = &mut self.books[at];
        books.arrived += 1;
        if parks {
            books.in_service += 1;
        } else {
            books.line.insert(event.seq, key);
        }
        if books.waiting() + books.in_service > self.plans[at].capacity {
            self.must_leave = Some(key);
        }
        Ok(())
    }

    /// Whoever is taken from a line is the one whose turn it is.
    fn in_order(&self, key: Key) -> Result<(), Complaint> {
        let at = usize::from(key.2);
        let line = &self.books[at].line;
        let waiting = line
            .iter()
            .filter_map(|(seq, key)| Some((*seq, self.visits.get(key)?.priority)));
        let due = match self.plans[at].order {
            Order::Unknown => return Ok(()),
            Order::First => line.keys().next().copied(),
            Order::Last => line.keys().next_back().copied(),
            Order::Priority => {
                let best = waiting.max_by_key(|(seq, priority)| (*priority, u64::MAX - seq));
                best.map(|(seq, _)| seq)
            }
        };
        let taken = self.visits.get(&key).map(|visit| visit.arrived_seq);
        if taken == due {
            return Ok(());
        }
        Err((
            "order of service",
            format!(
                "`{}` takes {key:?} that came with event {taken:?}, it is the turn of {due:?}",
                self.plans[at].id
            ),
        ))
    }

    fn service_started(&mut self, event: &StageEvent, key: Key) -> Result<(), Complaint> {
        self.in_order(key)?;
        let at = event.component.index();
        let plan = &self.plans[at];
        let books = &mut self.books[at];
        let Some(visit) = self.visits.get_mut(&key).filter(|visit| !visit.is_started) else {
            return Err(("visits", format!("{event:?} starts what does not wait")));
        };
        visit.is_started = true;
        books.line.remove(&visit.arrived_seq);
        books.in_service += 1;
        if books.in_service > plan.servers && !plan.shares {
            return Err((
                "servers",
                format!(
                    "`{}` has {} servers, {} are in service",
                    plan.id, plan.servers, books.in_service
                ),
            ));
        }
        if let Some((token_ns, saved_ns)) = plan.bucket {
            if books.next_token_ns.saturating_sub(saved_ns) > event.t_ns.0 {
                return Err(("rate limit", format!("{event:?} starts without a token")));
            }
            books.next_token_ns = books
                .next_token_ns
                .max(event.t_ns.0)
                .saturating_add(token_ns);
        }
        Ok(())
    }

    /// Ends a visit; the innermost of its part.
    fn closed(&mut self, event: &StageEvent, key: Key, is_started: bool) -> Result<(), Complaint> {
        let part = self.request(event)?.parts.entry(event.part.0).or_default();
        if part.open.pop() != Some(event.component.0) {
            return Err((
                "visits",
                format!("{event:?} ends a visit that is not the innermost"),
            ));
        }
        if matches!(event.outcome, Outcome::TimedOut | Outcome::Cancelled) {
            // What it had called may still have been on its way.
            part.heading = None;
        }
        let books = &mut self.books[event.component.index()];
        let Some(visit) = self
            .visits
            .remove(&key)
            .filter(|visit| visit.is_started == is_started)
        else {
            return Err(("visits", format!("{event:?} ends a visit in another state")));
        };
        if is_started {
            books.in_service -= 1;
        } else {
            books.line.remove(&visit.arrived_seq);
        }
        books.left += 1;
        Ok(())
    }

    fn unserved(&mut self, event: &StageEvent, key: Key) -> Result<(), Complaint> {
        let plan = &self.plans[event.component.index()];
        let books = &mut self.books[event.component.index()];
        let Some(visit) = self.visits.get(&key).copied() else {
            return Err(("visits", format!("{event:?} gives up what is not there")));
        };
        let others = books.waiting() + books.in_service - 1;
        let is_allowed = match event.kind {
            EventKind::Rejected => {
                let is_full = others >= plan.capacity;
                (is_full || books.faults > 0 || plan.may_refuse)
                    && event.value == others
                    && !visit.is_started
            }
            EventKind::Abandoned => {
                let is_cancelled = event.outcome == Outcome::Cancelled;
                (plan.has_patience || is_cancelled) && !visit.is_started
            }
            _ => plan.has_timeout && event.t_ns.0 == visit.arrived_ns.saturating_add(event.value),
        };
        if !is_allowed {
            return Err((
                "reason to leave",
                format!(
                    "{event:?} at `{}` with {others} others has no reason",
                    plan.id
                ),
            ));
        }
        books.given_up_ns += u128::from(event.t_ns.0 - visit.arrived_ns);
        self.closed(event, key, visit.is_started)
    }

    fn part_finished(&mut self, event: &StageEvent) -> Result<(), Complaint> {
        let plans_keep = {
            let plan = &self.plans[event.component.index()];
            !plan.serves && plan.workers.is_empty()
        };
        let request = self.request(event)?;
        request.ended += 1;
        let part = request.parts.entry(event.part.0).or_default();
        let stays = part.open.as_slice() == [event.component.0] && plans_keep;
        // Called back on its way, or come to where its group meets.
        let is_home = part.heading == Some((event.component.0, event.t_ns.0));
        if event.outcome == Outcome::Cancelled || is_home {
            part.heading = None;
        }
        if part.is_over || part.heading.is_some() || !(part.open.is_empty() || stays) {
            return Err((
                "one place",
                format!("{event:?} ends a part that is still somewhere: {part:?}"),
            ));
        }
        part.is_over = true;
        Ok(())
    }

    fn request_finished(&mut self, event: &StageEvent) -> Result<(), Complaint> {
        let in_flight = self.requests.get_mut(&event.request.0);
        let Some(request) = in_flight.filter(|request| !request.is_finished) else {
            return Err(("requests", format!("{event:?} ends no request in flight")));
        };
        self.finished += 1;
        self.books[usize::from(request.source)].in_flight -= 1;
        request.is_finished = true;
        let mut somewhere = request.parts.iter().filter(|(_, part)| part.is_somewhere());
        let may_stay = self.has_quorum;
        if let Some(astray) = somewhere.find(|(number, _)| !may_stay || **number == 0) {
            return Err((
                "requests",
                format!("{event:?} leaves a part behind: {astray:?}"),
            ));
        }
        if request.ended != event.value || event.outcome == Outcome::None {
            return Err((
                "requests",
                format!("{event:?} counts other than {} parts", request.ended),
            ));
        }
        // Parts left behind may speak of it later.
        if !may_stay {
            self.requests.remove(&event.request.0);
        }
        Ok(())
    }

    /// Before time moves on: no server rests while somebody waits for it.
    fn nobody_rests(&self) -> Result<(), Complaint> {
        for (at, books) in self.books.iter().enumerate() {
            if books.waiting() == 0 || books.faults > 0 {
                continue;
            }
            let own = self.plans[at].serves.then_some(at);
            for worker in own
                .into_iter()
                .chain(self.plans[at].workers.iter().copied())
            {
                if self.could_serve(worker) {
                    return Err((
                        "work conservation",
                        format!(
                            "at {} ns `{}` rests while {} wait at `{}`",
                            self.now_ns,
                            self.plans[worker].id,
                            books.waiting(),
                            self.plans[at].id
                        ),
                    ));
                }
            }
        }
        Ok(())
    }

    fn could_serve(&self, at: usize) -> bool {
        let (plan, books) = (&self.plans[at], &self.books[at]);
        let has_token = plan.bucket.is_none_or(|(_, saved_ns)| {
            books.next_token_ns.saturating_sub(saved_ns) <= self.now_ns
        });
        let has_room = books.waiting() > 0 || books.in_service < plan.capacity;
        let is_idle = books.in_service < plan.servers && books.faults == 0;
        is_idle && has_room && has_token && !plan.may_rest
    }

    /// At the end: what came is gone or here, station by station and for requests.
    pub(super) fn end(&self) -> Result<(), Complaint> {
        let mut here = vec![0_u64; self.books.len()];
        for key in self.visits.keys() {
            here[usize::from(key.2)] += 1;
        }
        for (at, books) in self.books.iter().enumerate() {
            let present = books.waiting() + books.in_service;
            if books.arrived != books.left + present || present != here[at] {
                return Err((
                    "conservation",
                    format!(
                        "at `{}` {} arrived, {} left, {present} are counted, {} are here",
                        self.plans[at].id, books.arrived, books.left, here[at]
                    ),
                ));
            }
        }
        let in_flight = self
            .requests
            .values()
            .filter(|request| !request.is_finished);
        if self.started != self.finished + in_flight.count() as u64 {
            return Err((
                "conservation",
                format!(
                    "{} requests began, {} ended, {} are in flight",
                    self.started,
                    self.finished,
                    self.requests.len()
                ),
            ));
        }
        Ok(())
    }
}

const fn leaves_unserved(kind: EventKind) -> bool {
    matches!(kind, EventKind::Rejected)
}
