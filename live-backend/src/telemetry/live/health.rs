//! How the system is, in one word (requirements C13).
//!
//! Belongs here: the rule, a pure function. Does not belong here: where its signs come from.

use flowreel_engine::model::state::SystemStatus;

/// Answers slower than this on average are critical, in ms.
const ANSWER_CRITICAL_MS: f64 = 2000.0;
/// Answers slower than this on average are no good sign, in ms.
const ANSWER_DEGRADED_MS: f64 = 500.0;
/// More errors than this are critical, in percent.
const ERRORS_CRITICAL_PERCENT: f64 = 2.0;
/// More requests than this, per second.
const REQUESTS_DEGRADED_PER_S: f64 = 1000.0;
/// More use of the processors than this, in percent.
const CPU_DEGRADED_PERCENT: f64 = 70.0;
/// More use of the memory than this, in percent.
const MEMORY_DEGRADED_PERCENT: f64 = 80.0;

/// What the rule looks at; absent means unknown, and nothing follows from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signs {
    /// Servers that should be up.
    pub servers: usize,
    /// Servers that are.
    pub servers_up: usize,
    /// Workers that should be up and are not.
    pub workers_down: usize,
    /// Whether the store answers.
    pub store_up: bool,
    /// Whether the queues take jobs.
    pub queue_up: bool,
    /// Mean time to an answer over the last minute, in ms.
    pub answer_ms: Option<f64>,
    /// Badly ended requests among those of the last minute, in percent.
    pub errors_percent: Option<f64>,
    /// Requests per second.
    pub requests_per_s: f64,
    /// This program's share of the processors, in percent.
    pub cpu_percent: Option<f64>,
    /// This program's share of the memory, in percent.
    pub memory_percent: Option<f64>,
}

/// The word for these signs.
#[must_use]
pub fn judge(signs: &Signs) -> SystemStatus {
    let is_over = |value: Option<f64>, limit: f64| value.is_some_and(|value| value > limit);
    let is_critical = signs.servers_up == 0
        || !signs.store_up
        || !signs.queue_up
        || is_over(signs.answer_ms, ANSWER_CRITICAL_MS)
        || is_over(signs.errors_percent, ERRORS_CRITICAL_PERCENT);
    let is_degraded = signs.servers_up < signs.servers
        || signs.workers_down > 0
        || is_over(signs.answer_ms, ANSWER_DEGRADED_MS)
        || signs.requests_per_s > REQUESTS_DEGRADED_PER_S
        || is_over(signs.cpu_percent, CPU_DEGRADED_PERCENT)
        || is_over(signs.memory_percent, MEMORY_DEGRADED_PERCENT);
    if is_critical {
        SystemStatus::Critical
    } else if is_degraded {
        SystemStatus::Degraded
    } else {
        SystemStatus::Healthy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Signs = Signs {
        servers: 3,
        servers_up: 3,
        workers_down: 0,
        store_up: true,
        queue_up: true,
        answer_ms: Some(500.0),
        errors_percent: Some(2.0),
        requests_per_s: 1000.0,
        cpu_percent: Some(70.0),
        memory_percent: Some(80.0),
    };

    #[test]
    fn the_word_follows_the_table() {
        use SystemStatus::{Critical, Degraded, Healthy};
        type Row = (&'static str, fn(&mut Signs), SystemStatus);
        let table: [Row; 16] = [
            ("everything at its limit", |_| {}, Healthy),
            (
                "nothing known",
                |it| {
                    (it.answer_ms, it.errors_percent) = (None, None);
                    (it.cpu_percent, it.memory_percent) = (None, None);
                },
                Healthy,
            ),
            ("no server", |it| it.servers_up = 0, Critical),
            ("store away", |it| it.store_up = false, Critical),
            ("queue away", |it| it.queue_up = false, Critical),
            ("very slow", |it| it.answer_ms = Some(2000.1), Critical),
            ("many errors", |it| it.errors_percent = Some(2.1), Critical),
            ("a server down", |it| it.servers_up = 2, Degraded),
            ("a worker down", |it| it.workers_down = 1, Degraded),
            ("slow", |it| it.answer_ms = Some(500.1), Degraded),
            (
                "just not very slow",
                |it| it.answer_ms = Some(2000.0),
                Degraded,
            ),
            ("many requests", |it| it.requests_per_s = 1000.1, Degraded),
            ("busy", |it| it.cpu_percent = Some(70.1), Degraded),
            ("full", |it| it.memory_percent = Some(80.1), Degraded),
            (
                "a server down and no store",
                |it| (it.servers_up, it.store_up) = (2, false),
                Critical,
            ),
            (
                "busy and many errors",
                |it| (it.cpu_percent, it.errors_percent) = (Some(99.0), Some(50.0)),
                Critical,
            ),
        ];
        for (what, change, word) in table {
            let mut signs = WELL;
            change(&mut signs);
            assert_eq!(judge(&signs), word, "{what}");
        }
    }
}
