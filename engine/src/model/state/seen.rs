//! What a state looks like to people: status words and windowed header figures.
//!
//! Belongs here: judgements drawn from the state. Does not belong here: colours, words on screen.

use super::SystemState;
use crate::model::event::closed_set;
use crate::model::id::ComponentId;
use crate::model::time::{NS_PER_S, TimeNs};
use crate::model::topology::ComponentKind;

closed_set! {
    /// What a component is doing.
    ComponentStatus {
        /// Nothing to do.
        Idle = 0 => "idle",
        /// Serving.
        Processing = 1 => "processing",
        /// Parts wait and none is served.
        Waiting = 2 => "waiting",
        /// Something went wrong in the last two seconds, or a fault is at work.
        Error = 3 => "error",
        /// Does not answer health checks.
        Offline = 4 => "offline",
    }
}

closed_set! {
    /// How the whole system is.
    SystemStatus {
        /// Nothing wrong.
        Healthy = 0 => "healthy",
        /// Slow, loaded, or with a server or worker down.
        Degraded = 1 => "degraded",
        /// No healthy server, very slow, or more than 2 % errors.
        Critical = 2 => "critical",
    }
}

/// How long an error stays on a component's status.
const ERROR_SHOWN_NS: u64 = 2 * NS_PER_S;
/// Window of the status rule, of the error rate and of mean latency (requirements C13 to C15).
const STATUS_WINDOW_S: u64 = 60;

impl SystemState {
    /// What the component is doing at `now`, which is at or after the last event.
    #[must_use]
    pub fn component_status(&self, id: ComponentId, now: TimeNs) -> ComponentStatus {
        let Some(component) = self.component(id) else {
            return ComponentStatus::Offline;
        };
        let recent_error = component
            .last_error
            .is_some_and(|at| now.since_ns(at) < ERROR_SHOWN_NS);
        if !component.healthy {
            ComponentStatus::Offline
        } else if component.faults > 0 || recent_error {
            ComponentStatus::Error
        } else if self.kinds[id.index()] == ComponentKind::Delay && component.measures.present() > 0
        {
            ComponentStatus::Waiting
        } else if component.measures.in_service.value > 0 {
            ComponentStatus::Processing
        } else if component.measures.waiting.value > 0 {
            ComponentStatus::Waiting
        } else {
            ComponentStatus::Idle
        }
    }

    /// Share of badly ended requests among those finished in the last minute, 0 to 1; `None` without any.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "printing")]
    pub fn error_ratio(&self, now: TimeNs) -> Option<f64> {
        let finished = self.system.finished_window.sum(now, STATUS_WINDOW_S);
        let failed = self.system.failed_window.sum(now, STATUS_WINDOW_S);
        (finished > 0).then(|| failed as f64 / finished as f64)
    }

    /// Mean answer time over the last minute in seconds; `None` without any answer.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "printing")]
    pub fn answer_mean_s(&self, now: TimeNs) -> Option<f64> {
        let answers = self.system.answered_window.sum(now, STATUS_WINDOW_S);
        let sum_us = self.system.answer_us_window.sum(now, STATUS_WINDOW_S);
        (answers > 0).then(|| sum_us as f64 / answers as f64 / 1e6)
    }

    /// How the system is at `now` (requirements C13).
    #[must_use]
    pub fn status(&self, now: TimeNs) -> SystemStatus {
        let of_kind = |kind| {
            self.kinds
                .iter()
                .zip(&self.components)
                .filter(move |(held, _)| **held == kind)
                .map(|(_, component)| component.healthy)
        };
        let servers = of_kind(ComponentKind::Server).count();
        let servers_up = of_kind(ComponentKind::Server)
            .filter(|healthy| *healthy)
            .count();
        let worker_down = of_kind(ComponentKind::Worker).any(|healthy| !healthy);
        let answer_s = self.answer_mean_s(now).unwrap_or(0.0);
        let errors = self.error_ratio(now).unwrap_or(0.0);
        let rate_per_s = self.system.begun_window.rate_per_s(now, STATUS_WINDOW_S);
        if (servers > 0 && servers_up == 0) || answer_s > 2.0 || errors > 0.02 {
            SystemStatus::Critical
        } else if servers_up < servers || worker_down || answer_s > 0.5 || rate_per_s > 1000.0 {
            SystemStatus::Degraded
        } else {
            SystemStatus::Healthy
        }
    }

    /// Jobs waiting in queues, and jobs parked until later, dead letters in neither.
    #[must_use]
    pub fn queued_and_delayed(&self) -> (u64, u64) {
        let mut sums = (0, 0);
        for (kind, component) in self.kinds.iter().zip(&self.components) {
            match kind {
                ComponentKind::Queue => sums.0 += component.measures.waiting.value,
                ComponentKind::Delay => sums.1 += component.measures.present(),
                _ => {}
            }
        }
        sums
    }

    /// Quantile of answer times among the last finished requests answered in the last `window_s`, in seconds.
    #[must_use]
    pub fn recent_answer_quantile_s(&self, now: TimeNs, window_s: u64, q: f64) -> Option<f64> {
        let since = TimeNs(now.0.saturating_sub(window_s.saturating_mul(NS_PER_S)));
        let mut times_ns: Vec<u64> = self
            .finished
            .iter()
            .filter(|request| request.answered.unwrap_or(request.finished) >= since)
            .map(|request| {
                request
                    .answered
                    .unwrap_or(request.finished)
                    .since_ns(request.begun)
            })
            .collect();
        times_ns.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a position among at most a thousand"
        )]
        let rank = (times_ns.len() as f64 * q.clamp(0.0, 1.0)) as usize;
        let at = rank.min(times_ns.len().checked_sub(1)?);
        times_ns.get(at).map(|ns| TimeNs(*ns).as_s())
    }
}
