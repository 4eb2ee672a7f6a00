//! The simulate answer: figures of one run or of many, in the shape of CONTRACT §4.
//!
//! Belongs here: the JSON shape and what each field means. Does not belong here: measuring, printing.

use super::batch::{Batch, FlowBatch, StationBatch};
use super::histogram::Durations;
use super::interval::{Estimate, ratio, replicated};
use super::statistics::Figures;
use super::theory::{self, Exact};
use super::warnings;
use crate::model::time::seconds_from_ns;
use crate::scenario::valid::{Role, Scenario, Slo};
use serde::Serialize;
use std::collections::BTreeMap;

/// An estimate; `ci` is its 95 % interval, absent where it can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Value {
    /// Point estimate.
    pub value: f64,
    /// Low and high end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci: Option<[f64; 2]>,
}

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
}

/// A delivery path or a class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlowAnswer {
    /// Completed ones, begun to their end.
    pub sojourn_s: Spread,
    /// Completed ones per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput_per_s: Option<Value>,
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
    pub slos: Vec<SloVerdict>,
    pub analytic: BTreeMap<String, Exact>,
    pub warnings: Vec<String>,
}

impl Answer {
    /// The answer of these runs, which are replications of one scenario; at least one. Wall times are 0.
    #[must_use]
    pub fn new(scenario: &Scenario, seed: u64, runs: &[Figures]) -> Self {
        let stations = scenario
            .stations
            .iter()
            .map(|station| {
                let index = station.component.index();
                let servers = station.servers.filter(|_| station.role == Role::Serve);
                let id = scenario.component(station.component).id.clone();
                let mut answer = station_answer(runs, index, station.role, servers);
                if station.autoscale.is_some() {
                    scale(runs, index, &mut answer);
                }
                (id, answer)
            })
            .collect();
        let flows = |ids: Vec<&String>, flow: fn(&Batch) -> &[FlowBatch]| {
            ids.into_iter()
                .enumerate()
                .map(|(index, id)| (id.clone(), flow_answer(runs, |batch| &flow(batch)[index])))
                .collect()
        };
        let longest = runs.iter().map(|run| run.report.end.0).max().unwrap_or(0);
        let warmup = runs.iter().map(|run| run.warmup_ns).max().unwrap_or(0);
        let mut answer = Self {
            schema: "flowreel.simulate/1",
            scenario: scenario.topology.name.clone(),
            seed,
            replications: runs.len() as u64,
            run_hash: hash_of(runs),
            events: runs.iter().map(|run| run.report.event_count).sum(),
            wall_s: 0.0,
            events_per_s: 0.0,
            virtual_duration_s: seconds_from_ns(longest),
            warmup_s: seconds_from_ns(warmup),
            requests: requests(runs),
            system: system_answer(runs),
            paths: flows(
                scenario.paths().iter().map(|path| &path.id).collect(),
                |batch| &batch.paths,
            ),
            classes: flows(
                scenario.classes().iter().map(|class| &class.id).collect(),
                |batch| &batch.classes,
            ),
            stations,
            slos: Vec::new(),
            analytic: theory::exact(scenario),
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
    let found = path.split('.').try_fold(whole, |here, key| here.get(key))?;
    found.as_f64().or_else(|| found.get("value")?.as_f64())
}

/// The hash of one run; of several, theirs in order, folded in the same manner.
fn hash_of(runs: &[Figures]) -> String {
    if let [only] = runs {
        return only.report.run_hash.to_string();
    }
    let mut hash = crate::model::hash::RunHash::default();
    for run in runs {
        let [high, low] = run.report.run_hash.0;
        let mut event = crate::model::event::StageEvent::new(
            crate::model::time::TimeNs(high),
            crate::model::event::EventKind::Annotation,
            crate::model::id::ComponentId::NONE,
        );
        event.value = low;
        hash.add(&event);
    }
    hash.to_string()
}

fn requests(runs: &[Figures]) -> Requests {
    let mut sum = Requests::default();
    for run in runs {
        sum.started += run.requests.started;
        sum.completed += run.requests.completed;
        sum.failed += run.requests.failed;
        sum.rejected += run.requests.rejected;
        sum.abandoned += run.requests.abandoned;
    }
    sum.in_flight = sum.started - sum.completed - sum.failed - sum.rejected - sum.abandoned;
    sum
}

/// A ratio of two sums, with its interval from batches or from replications.
fn value(runs: &[Figures], parts: impl Fn(&Batch) -> (f64, f64)) -> Option<Value> {
    let estimate = match runs {
        [only] => {
            let groups: Vec<(f64, f64)> = only.groups.iter().map(&parts).collect();
            ratio(parts(&only.total), &groups)
        }
        many => {
            let values: Vec<f64> = many
                .iter()
                .filter_map(|run| ratio(parts(&run.total), &[]))
                .map(|estimate| estimate.value)
                .collect();
            replicated(&values)
        }
    };
    estimate.map(Value::from)
}

/// A quantile; from batches its interval is that of the share below it, read back through the distribution.
#[expect(
    clippy::cast_precision_loss,
    reason = "an estimate needs no more than 53 bits"
)]
fn quantile(runs: &[Figures], q: f64, durations: impl Fn(&Batch) -> &Durations) -> Option<Value> {
    let [only] = runs else {
        let values: Vec<f64> = runs
            .iter()
            .filter_map(|run| durations(&run.total).quantile_s(q))
            .collect();
        return replicated(&values).map(Value::from);
    };
    let all = durations(&only.total);
    let point = all.quantile_s(q)?;
    let groups: Vec<(f64, f64)> = only
        .groups
        .iter()
        .map(|group| {
            let durations = durations(group);
            (durations.count_below(point), durations.count as f64)
        })
        .collect();
    let share = ratio((q * all.count as f64, all.count as f64), &groups);
    let ci = share.and_then(|share| share.ci).and_then(|[low, high]| {
        if low <= 0.0 || high >= 1.0 {
            return None;
        }
        Some([
            all.quantile_s(low)?.min(point),
            all.quantile_s(high)?.max(point),
        ])
    });
    Some(Value { value: point, ci })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an estimate needs no more than 53 bits"
)]
fn spread(runs: &[Figures], durations: impl Fn(&Batch) -> &Durations) -> Spread {
    let count: u64 = runs.iter().map(|run| durations(&run.total).count).sum();
    let max = runs.iter().map(|run| durations(&run.total).max_ns).max();
    Spread {
        mean: value(runs, |batch| {
            let durations = durations(batch);
            (durations.sum_s(), durations.count as f64)
        }),
        p50: quantile(runs, 0.5, &durations),
        p90: quantile(runs, 0.9, &durations),
        p95: quantile(runs, 0.95, &durations),
        p99: quantile(runs, 0.99, &durations),
        max: max.filter(|_| count > 0).map(seconds_from_ns),
        count,
    }
}

fn system_answer(runs: &[Figures]) -> SystemAnswer {
    let flow = flow_answer(runs, |batch| &batch.system);
    SystemAnswer {
        sojourn_s: flow.sojourn_s,
        in_system: value(runs, |batch| (area_s(batch.system_area), batch.length_s())),
        throughput_per_s: flow.throughput_per_s,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an estimate needs no more than 53 bits"
)]
fn flow_answer(runs: &[Figures], flow: impl Fn(&Batch) -> &FlowBatch) -> FlowAnswer {
    FlowAnswer {
        sojourn_s: spread(runs, |batch| &flow(batch).sojourn),
        throughput_per_s: value(runs, |batch| {
            (flow(batch).completed as f64, batch.length_s())
        }),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an estimate needs no more than 53 bits"
)]
fn station_answer(
    runs: &[Figures],
    index: usize,
    role: Role,
    servers: Option<u32>,
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
    let mut counts = super::statistics::StationCounts::default();
    for run in runs {
        let count = run.counts[index];
        counts.arrivals += count.arrivals;
        counts.completed += count.completed;
        counts.failed += count.failed;
        counts.rejected += count.rejected;
        counts.abandoned += count.abandoned;
        counts.cancelled += count.cancelled;
    }
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
        .filter(|_| role != Role::Keep),
        p_reject: per(
            |station| station.rejected as f64,
            |station| station.arrivals as f64,
        ),
        p_abandon: per(
            |station| station.abandoned as f64,
            |station| station.arrivals as f64,
        ),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an estimate needs no more than 53 bits"
)]
fn area_s(area: u128) -> f64 {
    area as f64 / 1e9
}

/// Utilization of the servers that were there, and how many that were.
fn scale(runs: &[Figures], index: usize, answer: &mut StationAnswer) {
    answer.utilization = value(runs, |batch| {
        let station = &batch.stations[index];
        (area_s(station.service_area), area_s(station.servers_area))
    });
    answer.servers_mean = value(runs, |batch| {
        (area_s(batch.stations[index].servers_area), batch.length_s())
    });
}

impl From<Estimate> for Value {
    fn from(estimate: Estimate) -> Self {
        Self {
            value: estimate.value,
            ci: estimate.ci,
        }
    }
}
