//! The simulate answer: figures of one run or of many, in the shape of CONTRACT §4.
//!
//! Belongs here: the JSON shape and what each field means. Does not belong here: measuring, printing.

use super::batch::{Batch, FlowBatch, StationBatch, area_s};
use super::deadline::{self, DeadlineAnswer, LimitAnswer};
use super::histogram::Durations;
use super::precise::Precision;
use super::runs::Runs;
use super::serving::{self, ServingAnswer};
use super::statistics::StationCounts;
use super::theory::{self, Exact};
pub use super::value::Value;
use super::walk::Walk;
use super::warnings;
use crate::model::time::seconds_from_ns;
use crate::scenario::valid::{Role, Scenario, Slo};
use serde::Serialize;
use std::collections::BTreeMap;

/// A distribution of times in seconds. Fields are absent where nothing was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "percentiles say what they are")]
pub struct Spread {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// How many times were measured.
    pub count: u64,
}

/// Requests by how they ended, over the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each counts what it says")]
pub struct Requests {
    pub started: u64,
    pub completed: u64,
    pub failed: u64,
    pub rejected: u64,
    pub abandoned: u64,
    pub in_flight: u64,
}

/// The system as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SystemAnswer {
    /// Completed requests, begun to the end of their last part.
    pub sojourn_s: Spread,
    /// Time average of requests begun and not finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_system: Option<Value>,
    /// Completed requests per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput_per_s: Option<Value>,
    /// Against the deadlines of classes, where any has one.
    #[serde(flatten)]
    pub deadline: DeadlineAnswer,
}

/// A delivery path or a class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlowAnswer {
    /// Completed ones, begun to their end.
    pub sojourn_s: Spread,
    /// Completed ones per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput_per_s: Option<Value>,
    /// Against the deadline of a class that has one.
    #[serde(flatten)]
    pub deadline: DeadlineAnswer,
}

/// One station. Counts are of the whole run, estimates of the time after the warm-up.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "CONTRACT §4 defines each")]
pub struct StationAnswer {
    pub arrivals: u64,
    pub completed: u64,
    pub failed: u64,
    pub rejected: u64,
    pub abandoned: u64,
    /// Visits cut short because another part had the answer.
    pub cancelled: u64,
    #[serde(flatten)]
    pub limits: LimitAnswer,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput_per_s: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utilization: Option<Value>,
    /// Time average, where an autoscaler changes their number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub servers_mean: Option<Value>,
    pub waiting_s: Spread,
    pub service_s: Spread,
    pub sojourn_s: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_station: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_waiting: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_wait: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_reject: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_abandon: Option<Value>,
    #[serde(flatten)]
    pub extra: ServingAnswer,
}

/// Requests at one moment, over all runs; a run that ended before it does not count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AtAnswer {
    /// The moment.
    pub t_s: f64,
    /// Runs that lived to see it.
    pub runs: u64,
    /// Mean of requests begun and not finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_system: Option<Value>,
    /// Share of runs with none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_empty: Option<Value>,
    /// Mean of requests begun so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<Value>,
    /// Variance of requests begun and not finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variance: Option<Value>,
}

/// A promise and whether it is kept; one without a value is not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SloVerdict {
    /// Its name.
    pub id: String,
    /// Where the value stands in this answer.
    pub metric: String,
    /// The estimate; absent where nothing was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The limit.
    pub limit: f64,
    /// Is it kept?
    pub holds: bool,
}

/// What `flowreel simulate --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "CONTRACT §4 defines each")]
pub struct Answer {
    pub schema: &'static str,
    pub scenario: String,
    pub seed: u64,
    pub replications: u64,
    pub run_hash: String,
    pub events: u64,
    pub wall_s: f64,
    pub events_per_s: f64,
    pub virtual_duration_s: f64,
    pub warmup_s: f64,
    pub requests: Requests,
    pub system: SystemAnswer,
    pub paths: BTreeMap<String, FlowAnswer>,
    pub classes: BTreeMap<String, FlowAnswer>,
    pub stations: BTreeMap<String, StationAnswer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<AtAnswer>,
    pub slos: Vec<SloVerdict>,
    pub analytic: BTreeMap<String, Exact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    pub warnings: Vec<String>,
}

/// Everything that is estimated, in the order of the walk.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) system: SystemAnswer,
    pub(super) paths: BTreeMap<String, FlowAnswer>,
    pub(super) classes: BTreeMap<String, FlowAnswer>,
    pub(super) stations: BTreeMap<String, StationAnswer>,
}

impl Parts {
    /// Goes through every figure once, in the same order for every run of a scenario: which figures
    /// there are may depend on the scenario, never on what a run measured. To leave one out for what
    /// was measured, ask for its value first and filter afterwards.
    pub(super) fn new(scenario: &Scenario, runs: &Walk<'_>, counts: &[StationCounts]) -> Self {
        let flows = |ids: Vec<&String>, flow: fn(&Batch) -> &[FlowBatch]| {
            ids.into_iter()
                .enumerate()
                .map(|(index, id)| (id.clone(), flow_answer(runs, |batch| &flow(batch)[index])))
                .collect()
        };
        let mut parts = Self {
            system: system_answer(runs),
            paths: flows(
                scenario.paths().iter().map(|path| &path.id).collect(),
                |batch| &batch.paths,
            ),
            classes: flows(
                scenario.classes().iter().map(|class| &class.id).collect(),
                |batch| &batch.classes,
            ),
            stations: scenario
                .stations
                .iter()
                .map(|station| {
                    let index = station.component.index();
                    let servers = station.servers.filter(|_| station.role == Role::Serve);
                    let id = scenario.component(station.component).id.clone();
                    let mut answer =
                        station_answer(runs, index, station.role, servers, counts[index]);
                    if station.autoscale.is_some() {
                        scale(runs, index, &mut answer);
                    }
                    serving::fill_in(&mut answer, scenario, station, runs);
                    (id, answer)
                })
                .collect(),
        };
        deadline::judge(&mut parts, scenario, runs);
        parts
    }
}

impl Answer {
    /// The answer of these runs of one scenario. Wall times are 0.
    #[must_use]
    pub fn new(scenario: &Scenario, seed: u64, runs: &Runs) -> Self {
        let parts = Parts::new(scenario, &runs.walk(), &runs.counts);
        let mut answer = Self {
            schema: "flowreel.simulate/1",
            scenario: scenario.topology.name.clone(),
            seed,
            replications: runs.count,
            run_hash: runs.hash(),
            events: runs.event_count,
            wall_s: 0.0,
            events_per_s: 0.0,
            virtual_duration_s: seconds_from_ns(runs.longest_ns),
            warmup_s: seconds_from_ns(runs.warmup_ns),
            requests: requests(runs),
            system: parts.system,
            paths: parts.paths,
            classes: parts.classes,
            stations: parts.stations,
            at: runs.observations.answer(),
            slos: Vec::new(),
            analytic: if runs.is_transient {
                BTreeMap::new()
            } else {
                theory::exact(scenario)
            },
            precision: None,
            warnings: Vec::new(),
        };
        answer.warnings = warnings::list(scenario, runs, &answer);
        answer.judge(&scenario.slos);
        answer
    }

    /// Every promise is kept.
    #[must_use]
    pub fn slos_hold(&self) -> bool {
        self.slos.iter().all(|slo| slo.holds)
    }

    /// Adds what `--precision` asked for; where it was not reached, a warning says how far off it is.
    pub fn note_precision(&mut self, precision: Precision) {
        if !precision.met {
            self.warnings.push(format!(
                "a precision of {} % was not reached in {} events; run longer than that, or ask for less",
                100.0 * precision.asked, self.events
            ));
        }
        self.precision = Some(precision);
    }

    fn judge(&mut self, slos: &[Slo]) {
        if slos.is_empty() {
            return;
        }
        let Ok(whole) = serde_json::to_value(&*self) else {
            return;
        };
        for slo in slos {
            let found = lookup(&whole, &slo.metric);
            if found.is_none() {
                self.warnings.push(format!(
                    "promise `{}` cannot be judged: this run has no figure at `{}`",
                    slo.id, slo.metric
                ));
            }
            self.slos.push(SloVerdict {
                id: slo.id.clone(),
                metric: slo.metric.clone(),
                value: found,
                limit: slo.limit,
                holds: found.is_some_and(|value| {
                    if slo.below {
                        value < slo.limit
                    } else {
                        value > slo.limit
                    }
                }),
            });
        }
    }
}

/// The number at a dotted path, or the `value` of what stands there.
fn lookup(whole: &serde_json::Value, path: &str) -> Option<f64> {
    let found = path
        .split('.')
        .try_fold(whole, |here, key| match key.parse::<usize>() {
            Ok(index) if here.is_array() => here.get(index),
            _ => here.get(key),
        })?;
    found.as_f64().or_else(|| found.get("value")?.as_f64())
}

const fn requests(runs: &Runs) -> Requests {
    let sum = runs.requests;
    Requests {
        started: sum.started,
        completed: sum.completed,
        failed: sum.failed,
        rejected: sum.rejected,
        abandoned: sum.abandoned,
        in_flight: sum.started - sum.finished(),
    }
}

/// A ratio of two sums, with its interval from batches or from replications.
pub(super) fn value(runs: &Walk<'_>, parts: impl Fn(&Batch) -> (f64, f64)) -> Option<Value> {
    runs.ratio(parts)
}

/// A quantile of all durations together.
fn quantile(runs: &Walk<'_>, q: f64, durations: impl Fn(&Batch) -> &Durations) -> Option<Value> {
    runs.quantile(q, durations)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an estimate needs no more than 53 bits"
)]
fn spread(runs: &Walk<'_>, durations: impl Fn(&Batch) -> &Durations) -> Spread {
    let all = durations(runs.total);
    let (count, max_ns) = (all.count, all.max_ns);
    Spread {
        mean: value(runs, |batch| {
            let durations = durations(batch);
            (durations.sum_s(), durations.count as f64)
        }),
        p50: quantile(runs, 0.5, &durations),
        p90: quantile(runs, 0.9, &durations),
        p95: quantile(runs, 0.95, &durations),
        p99: quantile(runs, 0.99, &durations),
        max: (count > 0).then(|| seconds_from_ns(max_ns)),
        count,
    }
}

fn system_answer(runs: &Walk<'_>) -> SystemAnswer {
    let flow = flow_answer(runs, |batch| &batch.system);
    SystemAnswer {
        sojourn_s: flow.sojourn_s,
        in_system: value(runs, |batch| (area_s(batch.system_area), batch.length_s())),
        throughput_per_s: flow.throughput_per_s,
        deadline: DeadlineAnswer::default(),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an estimate needs no more than 53 bits"
)]
fn flow_answer(runs: &Walk<'_>, flow: impl Fn(&Batch) -> &FlowBatch) -> FlowAnswer {
    FlowAnswer {
        sojourn_s: spread(runs, |batch| &flow(batch).sojourn),
        throughput_per_s: value(runs, |batch| {
            (flow(batch).completed as f64, batch.length_s())
        }),
        deadline: DeadlineAnswer::default(),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an estimate needs no more than 53 bits"
)]
fn station_answer(
    runs: &Walk<'_>,
    index: usize,
    role: Role,
    servers: Option<u32>,
    counts: StationCounts,
) -> StationAnswer {
    let per = |above: fn(&StationBatch) -> f64, below: fn(&StationBatch) -> f64| {
        value(runs, move |batch| {
            let station = &batch.stations[index];
            (above(station), below(station))
        })
    };
    let over_time = |above: fn(&StationBatch) -> f64| {
        value(runs, move |batch| {
            (above(&batch.stations[index]), batch.length_s())
        })
    };
    let utilization = servers.and_then(|servers| {
        value(runs, |batch| {
            let capacity = batch.length_s() * f64::from(servers);
            (area_s(batch.stations[index].service_area), capacity)
        })
    });
    StationAnswer {
        arrivals: counts.arrivals,
        completed: counts.completed,
        failed: counts.failed,
        rejected: counts.rejected,
        abandoned: counts.abandoned,
        cancelled: counts.cancelled,
        limits: deadline::limit_answer(runs, index, servers, counts),
        throughput_per_s: over_time(|station| station.completed as f64),
        utilization,
        servers_mean: None,
        waiting_s: spread(runs, |batch| &batch.stations[index].waiting),
        service_s: spread(runs, |batch| &batch.stations[index].service),
        sojourn_s: spread(runs, |batch| &batch.stations[index].sojourn),
        in_station: over_time(|station| area_s(station.waiting_area + station.service_area)),
        in_waiting: over_time(|station| area_s(station.waiting_area)),
        // What is kept for ever does not wait for service.
        p_wait: per(
            |station| {
                (station.arrivals - station.rejected) as f64 - station.started_at_once() as f64
            },
            |station| (station.arrivals - station.rejected) as f64,
        )
        .filter(|_| role != Role::Keep)
        .map(Value::share),
        p_reject: per(
            |station| station.rejected as f64,
            |station| station.arrivals as f64,
        )
        .map(Value::share),
        p_abandon: per(
            |station| station.abandoned as f64,
            |station| station.arrivals as f64,
        )
        .map(Value::share),
        extra: ServingAnswer::default(),
    }
}

/// Utilization of the servers that were there, and how many that were.
fn scale(runs: &Walk<'_>, index: usize, answer: &mut StationAnswer) {
    answer.utilization = value(runs, |batch| {
        let station = &batch.stations[index];
        (area_s(station.service_area), area_s(station.servers_area))
    });
    answer.servers_mean = value(runs, |batch| {
        (area_s(batch.stations[index].servers_area), batch.length_s())
    });
}
