//! Requests in the system at given moments: how a system that starts empty fills, rushes and drains.
//!
//! Belongs here: watching for the moments of `observe_at_s`, estimates over runs. Does not belong
//! here: averages over time (statistics).

use super::answer::{AtAnswer, Value};
use super::interval::half_width;
use super::walk::Moments;
use crate::kernel::Sink;
use crate::model::event::Outcome;
use crate::model::id::ClassId;
use crate::model::time::{TimeNs, seconds_from_ns};
use crate::scenario::valid::Scenario;

/// Requests in the system, and begun so far, at one moment of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Observed {
    pub(super) in_system: u64,
    pub(super) arrivals: u64,
}

/// A watcher that looks at the moments asked for; what happens at a moment belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Observer {
    moments_ns: Vec<u64>,
    seen: Vec<Observed>,
    now: Observed,
}

impl Observer {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            moments_ns: scenario.observe_at_ns.clone(),
            seen: Vec::with_capacity(scenario.observe_at_ns.len()),
            now: Observed {
                in_system: 0,
                arrivals: 0,
            },
        }
    }

    /// Everything before `now_ns` has happened.
    #[inline]
    fn pass(&mut self, now_ns: u64) {
        while self
            .moments_ns
            .get(self.seen.len())
            .is_some_and(|moment| *moment < now_ns)
        {
            self.seen.push(self.now);
        }
    }

    /// What was seen; a run that ended before a moment has nothing to say of it.
    pub(super) fn finish(mut self, end: TimeNs) -> Vec<Observed> {
        self.pass(end.0.saturating_add(1));
        self.seen
    }
}

impl Sink for Observer {
    #[inline]
    fn begun(&mut self, now: TimeNs) {
        self.pass(now.0);
        self.now.arrivals += 1;
        self.now.in_system += 1;
    }

    #[inline]
    fn finished(&mut self, now: TimeNs, _: ClassId, _: Outcome, _: u64) {
        self.pass(now.0);
        self.now.in_system -= 1;
    }
}

/// The same moments of many runs.
#[derive(Clone, Debug)]
pub(super) struct Observations {
    moments: Vec<AtMoment>,
}

#[derive(Clone, Debug)]
struct AtMoment {
    t_ns: u64,
    level: Moments,
    empty: Moments,
    arrivals: Moments,
    /// Levels of all runs: eight bytes each, for the spread's own interval.
    levels: Vec<f64>,
}

impl Observations {
    pub(super) fn new(moments_ns: &[u64]) -> Self {
        Self {
            moments: moments_ns
                .iter()
                .map(|t_ns| AtMoment {
                    t_ns: *t_ns,
                    level: Moments::default(),
                    empty: Moments::default(),
                    arrivals: Moments::default(),
                    levels: Vec::new(),
                })
                .collect(),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "an estimate needs no more than 53 bits"
    )]
    pub(super) fn add(&mut self, observed: &[Observed]) {
        for (moment, seen) in self.moments.iter_mut().zip(observed) {
            let level = seen.in_system as f64;
            moment.level.add(level, 0.0);
            moment
                .empty
                .add(f64::from(u8::from(seen.in_system == 0)), 0.0);
            moment.arrivals.add(seen.arrivals as f64, 0.0);
            moment.levels.push(level);
        }
    }

    /// Moments that some of `count` runs ended before, in seconds.
    pub(super) fn missed(&self, count: u64) -> Vec<f64> {
        self.moments
            .iter()
            .filter(|moment| (moment.levels.len() as u64) < count)
            .map(|moment| seconds_from_ns(moment.t_ns))
            .collect()
    }

    pub(super) fn answer(&self) -> Vec<AtAnswer> {
        self.moments
            .iter()
            .map(|moment| AtAnswer {
                t_s: seconds_from_ns(moment.t_ns),
                runs: moment.levels.len() as u64,
                in_system: moment.level.mean(),
                p_empty: moment.empty.mean().map(Value::share),
                arrivals: moment.arrivals.mean(),
                variance: variance(&moment.levels),
            })
            .collect()
    }
}

/// Sample variance; its interval by Student's t over the squared distances from the mean.
#[expect(clippy::cast_precision_loss, reason = "a number of runs")]
fn variance(levels: &[f64]) -> Option<Value> {
    if levels.len() < 2 {
        return None;
    }
    let count = levels.len() as f64;
    let mean = levels.iter().sum::<f64>() / count;
    let squares = || levels.iter().map(|level| (level - mean) * (level - mean));
    let value = squares().sum::<f64>() / (count - 1.0);
    let spread: f64 = squares().map(|x| (x - value) * (x - value)).sum();
    let ci = half_width(spread, count).map(|half| [(value - half).max(0.0), value + half]);
    Some(Value { value, ci })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_at_a_moment_belongs_to_it_and_late_moments_are_missed() {
        let mut observer = Observer {
            moments_ns: vec![5, 10, 20, 30],
            seen: Vec::new(),
            now: Observed {
                in_system: 0,
                arrivals: 0,
            },
        };
        observer.begun(TimeNs(3));
        observer.begun(TimeNs(10));
        observer.finished(TimeNs(15), ClassId(0), Outcome::Ok, 12);
        let levels: Vec<_> = observer
            .finish(TimeNs(20))
            .iter()
            .map(|seen| (seen.in_system, seen.arrivals))
            .collect();
        assert_eq!(levels, [(1, 1), (2, 2), (1, 2)]);
        let mut observations = Observations::new(&[5, 40_000_000_000]);
        for in_system in [0, 4] {
            observations.add(&[Observed {
                in_system,
                arrivals: 1,
            }]);
        }
        let at = &observations.answer()[0];
        assert_eq!(at.in_system.unwrap().value, 2.0);
        assert_eq!(at.p_empty.unwrap().value, 0.5);
        assert_eq!(at.variance.unwrap().value, 8.0);
        assert_eq!(observations.missed(2), [40.0]);
    }
}
