//! Levels and counts that only some stations report: servers at work, switched off, broken down.
//!
//! Belongs here: adding them up over a batch. Does not belong here: what they mean (serving).

use super::batch::Batch;
use crate::scenario::line;
use crate::scenario::valid::{Gauge, Scenario};

/// All gauges of a scenario, by number.
#[derive(Clone, Debug)]
pub(super) struct Gauges {
    /// Value, and since when its area is not added up yet.
    levels: Vec<(u64, u64)>,
}

impl Gauges {
    /// Before the run begins: stations are switched off and whole.
    pub(super) fn new(scenario: &Scenario) -> Self {
        let levels = line::gauges(scenario)
            .into_iter()
            .map(|(_, gauge)| (u64::from(matches!(gauge, Gauge::Off | Gauge::Up)), 0))
            .collect();
        Self { levels }
    }

    pub(super) fn set(&mut self, number: u32, value: u64, now_ns: u64, batch: &mut Batch) {
        let level = &mut self.levels[number as usize];
        *batch.gauge(number as usize) += u128::from(level.0) * u128::from(now_ns - level.1);
        *level = (value, now_ns);
    }

    /// A count; read like an area, in billionths.
    pub(super) fn tally(number: u32, batch: &mut Batch) {
        *batch.gauge(number as usize) += 1_000_000_000;
    }

    /// Adds up to the end of a batch.
    pub(super) fn settle(&mut self, now_ns: u64, batch: &mut Batch) {
        for number in 0..self.levels.len() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            self.set(number, self.levels[number as usize].0, now_ns, batch);
        }
    }
}
