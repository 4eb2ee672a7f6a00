//! Answers of stations whose servers are unequal, shared, switched off, broken down or serve batches.
//!
//! Belongs here: what gauges add up to. Does not belong here: figures that every station has (answer).

use super::answer::{StationAnswer, Value, value};
use super::batch::area_s;
use super::walk::Walk;
use crate::scenario::line;
use crate::scenario::valid::{Gauge, Scenario, Station};
use serde::Serialize;

/// One of several unequal servers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ServerAnswer {
    /// Share of time in which it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utilization: Option<Value>,
}

/// What only some stations have; all shares are of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ServingAnswer {
    /// Servers with laws of their own, in file order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<ServerAnswer>,
    /// Mean size of a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<Value>,
    /// Being switched on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_starting: Option<Value>,
    /// Switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_off: Option<Value>,
    /// Not broken down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability: Option<Value>,
}

/// Adds what the station's gauges say.
pub(super) fn fill_in(
    answer: &mut StationAnswer,
    scenario: &Scenario,
    station: &Station,
    runs: &Walk<'_>,
) {
    for (number, (index, gauge)) in line::gauges(scenario).into_iter().enumerate() {
        if scenario.stations[index].component != station.component {
            continue;
        }
        let area = move |batch: &super::batch::Batch| {
            area_s(batch.gauges.get(number).copied().unwrap_or(0))
        };
        let share = || value(runs, |batch| (area(batch), batch.length_s()));
        match gauge {
            Gauge::Busy => {
                answer.utilization = station.servers.and_then(|servers| {
                    value(runs, |batch| {
                        (area(batch), batch.length_s() * f64::from(servers))
                    })
                });
            }
            Gauge::Server(_) => answer.extra.servers.push(ServerAnswer {
                utilization: share(),
            }),
            Gauge::Batches => {
                let place = station.component.index();
                answer.extra.batch_size = value(runs, |batch| {
                    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
                    let begun = batch.stations[place].waiting.count as f64;
                    (begun, area(batch))
                });
            }
            Gauge::Starting => answer.extra.p_starting = share().map(Value::share),
            Gauge::Off => answer.extra.p_off = share().map(Value::share),
            Gauge::Up => answer.extra.availability = share().map(Value::share),
        }
    }
}
