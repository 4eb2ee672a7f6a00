//! Deadlines and limits in the answer: late ones, those out of time, servers that are blocked.
//!
//! Belongs here: figures that stand there only where the scenario has such a limit. Does not belong
//! here: all other figures (answer).

use super::answer::{Parts, Value, value};
use super::batch::{Batch, FlowBatch, area_s};
use super::statistics::StationCounts;
use super::walk::Walk;
use crate::model::topology::Class;
use crate::scenario::valid::Scenario;
use serde::Serialize;

/// Answers against a deadline; absent where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct DeadlineAnswer {
    /// Share of completed ones that took longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_late: Option<Value>,
    /// Completed in time, per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goodput_per_s: Option<Value>,
}

/// What limits did at a station; absent where they did nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LimitAnswer {
    /// Of the failed visits, those over their time limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timed_out: Option<u64>,
    /// Time average of the share of servers that keep what they have finished, for want of room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_blocked: Option<Value>,
}

pub(super) fn limit_answer(
    runs: &Walk<'_>,
    index: usize,
    servers: Option<u32>,
    counts: StationCounts,
) -> LimitAnswer {
    let p_blocked = servers.and_then(|servers| {
        value(runs, |batch| {
            let capacity = batch.length_s() * f64::from(servers);
            (area_s(batch.stations[index].held_area), capacity)
        })
    });
    LimitAnswer {
        timed_out: Some(counts.timed_out).filter(|count| *count > 0),
        p_blocked: p_blocked.filter(|share| share.value > 0.0),
    }
}

/// Fills in what there is to say; a class without a deadline is never late.
pub(super) fn judge(answer: &mut Parts, scenario: &Scenario, runs: &Walk<'_>) {
    let deadlines = scenario.classes().iter().zip(&scenario.deadlines_ns);
    let with_deadline = |(index, (class, deadline)): (usize, (&Class, &Option<u64>))| {
        deadline.map(|_ns| (index, class.id.clone()))
    };
    let judged: Vec<(usize, String)> = deadlines.enumerate().filter_map(with_deadline).collect();
    if judged.is_empty() {
        return;
    }
    answer.system.deadline = deadline_answer(runs, |batch| &batch.system);
    for (index, id) in judged {
        if let Some(class) = answer.classes.get_mut(&id) {
            class.deadline = deadline_answer(runs, |batch| &batch.classes[index]);
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an estimate needs no more than 53 bits"
)]
fn deadline_answer(runs: &Walk<'_>, flow: impl Fn(&Batch) -> &FlowBatch) -> DeadlineAnswer {
    DeadlineAnswer {
        p_late: value(runs, |batch| {
            (flow(batch).late as f64, flow(batch).completed as f64)
        }),
        goodput_per_s: value(runs, |batch| {
            let in_time = flow(batch).completed - flow(batch).late;
            (in_time as f64, batch.length_s())
        }),
    }
}
