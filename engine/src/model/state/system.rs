//! What is true of the system as a whole, and the facts that change it.
//!
//! Belongs here: figures over all components. Does not belong here: one component's (metrics).

use super::request::RequestCounts;
use crate::model::event::Outcome;
use crate::model::metrics::{Durations, Level, Window};
use crate::model::time::TimeNs;

/// What is true of the system as a whole.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SystemMeasures {
    /// Requests by how they ended.
    pub requests: RequestCounts,
    /// Requests begun and not finished.
    pub in_system: Level,
    /// Begun to finished, completed requests only.
    pub sojourn_time: Durations,
    /// Begun to answered by the first server on the way (to finished, where the map has no server).
    pub answer_time: Durations,
    /// Requests begun, by second.
    pub begun_window: Window,
    /// Requests finished, by second.
    pub finished_window: Window,
    /// Requests finished badly, by second.
    pub failed_window: Window,
    /// Answers, by second.
    pub answered_window: Window,
    /// Sum of answer times in microseconds, by second.
    pub answer_us_window: Window,
    /// Open client connections.
    pub connections: u64,
    /// Of these, those that proved who they are.
    pub authenticated: u64,
    /// Alerts at work now.
    pub alerts: u64,
    /// Events said to be lost.
    pub lost: u64,
}

impl SystemMeasures {
    pub(super) fn new(digits: u8) -> Self {
        Self {
            requests: RequestCounts::default(),
            in_system: Level::default(),
            sojourn_time: Durations::new(digits),
            answer_time: Durations::new(digits),
            begun_window: Window::default(),
            finished_window: Window::default(),
            failed_window: Window::default(),
            answered_window: Window::default(),
            answer_us_window: Window::default(),
            connections: 0,
            authenticated: 0,
            alerts: 0,
            lost: 0,
        }
    }

    /// A request began.
    #[inline]
    pub fn begun(&mut self, now: TimeNs) {
        self.requests.started += 1;
        self.in_system.rise(now);
        self.begun_window.add(now, 1);
    }

    /// A request ended, all parts included.
    #[inline]
    pub fn finished(&mut self, now: TimeNs, outcome: Outcome, sojourn_ns: u64) {
        self.in_system.fall(now);
        self.finished_window.add(now, 1);
        if outcome == Outcome::Ok {
            self.sojourn_time.record(sojourn_ns);
        } else {
            self.failed_window.add(now, 1);
        }
        self.requests.count(outcome);
    }

    /// A client got its answer.
    #[inline]
    pub fn answered(&mut self, now: TimeNs, answer_ns: u64) {
        self.answer_time.record(answer_ns);
        self.answered_window.add(now, 1);
        let answer_us = u32::try_from(answer_ns / 1000).unwrap_or(u32::MAX);
        self.answer_us_window.add(now, answer_us);
    }
}
