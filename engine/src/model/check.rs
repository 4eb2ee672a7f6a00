//! Invariants over an event stream: order, conservation, levels, Little's law as an identity.
//!
//! Belongs here: what must hold for every honest producer, after each event and at the end.
//! Does not belong here: estimates (analysis), repair (recording::recover).

use super::event::{EventKind, StageEvent};
use super::state::{AnomalyKind, RequestCounts, SystemState};
use super::time::TimeNs;
use super::topology::Topology;

/// What does not hold, and after which event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("after event {seq} at {t_ns}: {what}")]
pub struct Violation {
    /// Sequence number of the event after which it showed.
    pub seq: u64,
    /// Its time.
    pub t_ns: TimeNs,
    /// What is wrong, in one sentence.
    pub what: String,
}

/// Folds a stream and checks it on the way.
#[derive(Clone, Debug)]
pub struct StreamCheck {
    state: SystemState,
}

impl StreamCheck {
    /// Before the first event.
    #[must_use]
    pub fn new(topology: &Topology) -> Self {
        Self {
            state: SystemState::new(topology),
        }
    }

    /// From a state on that others have checked.
    #[must_use]
    pub const fn going_on(state: SystemState) -> Self {
        Self { state }
    }

    /// The state so far.
    #[must_use]
    pub const fn state(&self) -> &SystemState {
        &self.state
    }

    /// Takes the next event in.
    ///
    /// # Errors
    /// The first invariant that this event breaks.
    pub fn apply(&mut self, event: &StageEvent) -> Result<(), Violation> {
        let before = self.state.anomalies().total();
        self.state.apply(event);
        if self.state.anomalies().total() > before {
            let kinds: Vec<_> = AnomalyKind::ALL
                .iter()
                .filter(|kind| self.state.anomalies().of(**kind) > 0)
                .map(|kind| kind.name())
                .collect();
            return Err(self.violation(event.seq, format!("{event:?} is {}", kinds.join(", "))));
        }
        if event.kind == EventKind::RequestFinished {
            self.check_requests(event.seq)?;
        }
        Ok(())
    }

    /// Checks what must hold at any moment and is too dear to check after every event.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check_levels(&self) -> Result<(), Violation> {
        let seq = self.state.event_count().saturating_sub(1);
        let now = self.state.now();
        self.check_requests(seq)?;
        let mut open = vec![(0_u64, 0_u64, 0_u128); self.state.components().len()];
        for (key, visit) in self.state.visits() {
            let (waiting, in_service, time_ns) = &mut open[key.component.index()];
            match visit.started {
                None => *waiting += 1,
                Some(_) => *in_service += 1,
            }
            *time_ns += u128::from(now.since_ns(visit.arrived));
        }
        for (index, component) in self.state.components().iter().enumerate() {
            let measures = &component.measures;
            let (waiting, in_service, open_ns) = open[index];
            let levels = (measures.waiting.value, measures.in_service.value);
            if levels != (waiting, in_service) {
                let what = format!(
                    "component {index} counts {levels:?} waiting and in service, but its open visits are {:?}",
                    (waiting, in_service)
                );
                return Err(self.violation(seq, what));
            }
            let unserved = measures.rejected + measures.abandoned + measures.timed_out;
            let gone = measures.completed + measures.failed + unserved;
            if measures.arrivals != gone + waiting + in_service {
                let what = format!(
                    "component {index}: {} arrived, {gone} left, {} are here",
                    measures.arrivals,
                    waiting + in_service
                );
                return Err(self.violation(seq, what));
            }
            let area = measures.waiting.integral(now) + measures.in_service.integral(now);
            let time_ns = measures.sojourn_time.sum_ns + open_ns;
            // Visits given up count in the area and not in the sojourn of the served.
            if area < time_ns || (unserved == 0 && area != time_ns) {
                let what = format!(
                    "component {index}: time in station adds up to {time_ns} ns by visits and {area} ns by level"
                );
                return Err(self.violation(seq, what));
            }
        }
        Ok(())
    }

    fn check_requests(&self, seq: u64) -> Result<(), Violation> {
        let RequestCounts {
            started,
            reopened,
            completed,
            failed,
            rejected,
            abandoned,
            timed_out,
            in_flight,
        } = self.state.requests();
        let ended = completed + failed + rejected + abandoned + timed_out;
        if started + reopened == ended + in_flight
            && self.state.system().in_system.value == in_flight
        {
            return Ok(());
        }
        let what = format!("{started} requests began, {ended} ended, {in_flight} are in flight");
        Err(self.violation(seq, what))
    }

    fn violation(&self, seq: u64, what: String) -> Violation {
        Violation {
            seq,
            t_ns: self.state.now(),
            what,
        }
    }
}

/// Folds a whole stream with every check; levels are checked at the end.
///
/// # Errors
/// The first invariant that does not hold.
pub fn check_stream<'a>(
    topology: &Topology,
    events: impl IntoIterator<Item = &'a StageEvent>,
) -> Result<SystemState, Violation> {
    let mut check = StreamCheck::new(topology);
    for event in events {
        check.apply(event)?;
    }
    check.check_levels()?;
    Ok(check.state)
}
