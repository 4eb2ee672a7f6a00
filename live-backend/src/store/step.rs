//! What one step makes of a job, of the notification that it delivers, and of that one's history.
//!
//! Belongs here: the rules, the same for every store. Does not belong here: how they are stored (embedded,
//! mongo), which step follows from a failure (worker).

use super::jobs::{RunEnd, tier};
use super::notifications::Delivery;
use super::operations::Removal;
use crate::models::{Channel, EmailStatus, InAppStatus, TrackedStatus, WallMs};
use serde::{Deserialize, Serialize};

/// Where a job is between runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum JobState {
    Waiting,
    Delayed,
    Dead,
}

/// How a run changes its job.
#[derive(Clone, Debug)]
pub(crate) enum RunStep {
    Began,
    /// The notification is delivered.
    Delivered {
        message_id: Option<String>,
        socket_id: Option<String>,
    },
    /// The run failed and another is planned after a rest at `station`.
    Delayed {
        station: &'static str,
        due_at: WallMs,
    },
    /// The last run failed; the job rests with the dead letters.
    Dead,
    /// The notification is past its time.
    Expired,
}

/// What is stored of a step.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct After {
    pub(super) was: JobWas,
    /// What the job must deliver for the step to be its own; any where it was found by its number here.
    pub(super) notification: Option<String>,
    pub(super) job: JobAfter,
    /// New status of the notification; one that is delivered stays so.
    pub(super) status: Option<&'static str>,
    /// The first moment stays, also where a confirmation came before the run ended.
    pub(super) delivered_at: Option<WallMs>,
    pub(super) message_id: Option<String>,
    pub(super) socket_id: Option<String>,
    /// Its attempt is how many runs there were at least.
    pub(super) entry: Delivery,
}

/// How the step finds the job; where it is not so, the step is stored already or comes too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobWas {
    /// There.
    Kept,
    /// Neither dead nor past this run.
    OpenAt(u16),
    Dead,
}

/// What becomes of the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JobAfter {
    Same,
    Gone,
    Row(JobRow),
}

/// New values of a job's row; where an attempt and whether it is missed are `None`, they stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JobRow {
    pub(super) state: JobState,
    pub(super) station: Option<&'static str>,
    pub(super) due_at: Option<WallMs>,
    pub(super) attempt: Option<u16>,
    pub(super) is_missed: Option<bool>,
}

impl JobState {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delayed => "delayed",
            Self::Dead => "dead",
        }
    }
}

impl RunStep {
    /// Delivered, and nothing is known of how.
    pub(crate) const DELIVERED: Self = Self::Delivered {
        message_id: None,
        socket_id: None,
    };

    /// What a step of this run leaves.
    pub(super) fn after(self, run: RunEnd, now: WallMs) -> After {
        let open = JobWas::OpenAt(run.attempt);
        let (was, job, status, told) = match &self {
            Self::Began => {
                let status =
                    (run.channel == Channel::Email).then(|| EmailStatus::Processing.name());
                (open, JobAfter::Same, status, "sending")
            }
            Self::Delivered { .. } => {
                let status = InAppStatus::Delivered.name();
                (JobWas::Kept, JobAfter::Gone, Some(status), "delivered")
            }
            Self::Delayed { station, due_at } => {
                let row = JobRow {
                    state: JobState::Delayed,
                    station: Some(station),
                    due_at: Some(*due_at),
                    attempt: Some(run.attempt.saturating_add(1)),
                    is_missed: Some(run.is_missed),
                };
                let status = InAppStatus::Pending.name();
                (open, JobAfter::Row(row), Some(status), "failed")
            }
            Self::Dead => {
                let row = JobRow {
                    state: JobState::Dead,
                    station: Some("dlq"),
                    due_at: None,
                    attempt: None,
                    is_missed: None,
                };
                let status = InAppStatus::Failed.name();
                (open, JobAfter::Row(row), Some(status), "failed")
            }
            Self::Expired => {
                let status = InAppStatus::Expired.name();
                (JobWas::Kept, JobAfter::Gone, Some(status), "expired")
            }
        };
        let delivery = match self {
            Self::Delivered {
                message_id,
                socket_id,
            } => (Some(now), message_id, socket_id),
            Self::Began | Self::Delayed { .. } | Self::Dead | Self::Expired => (None, None, None),
        };
        let (delivered_at, message_id, socket_id) = delivery;
        After {
            was,
            notification: Some(run.notification),
            job,
            status,
            delivered_at,
            message_id,
            socket_id,
            entry: Delivery {
                at: now,
                status: told.to_owned(),
                attempt: u64::from(run.attempt),
                tier: tier(run.channel, run.attempt).to_owned(),
                code: run.code.map(i64::from),
                reason: (!run.reason.is_empty()).then_some(run.reason),
            },
        }
    }
}

impl After {
    /// A dead letter waits for its first run again.
    pub(super) fn requeue(now: WallMs) -> Self {
        let row = JobRow {
            state: JobState::Waiting,
            station: None,
            due_at: None,
            attempt: Some(1),
            is_missed: Some(false),
        };
        Self {
            was: JobWas::Dead,
            notification: None,
            job: JobAfter::Row(row),
            status: Some(InAppStatus::Pending.name()),
            delivered_at: None,
            message_id: None,
            socket_id: None,
            entry: by_operator(
                "queued",
                "dlq",
                "an operator sent it again from the dead letters".to_owned(),
                now,
            ),
        }
    }

    /// A person takes the job away.
    pub(super) fn removal(removal: Removal, now: WallMs) -> Self {
        Self {
            was: JobWas::Kept,
            notification: None,
            job: JobAfter::Gone,
            status: Some(InAppStatus::Failed.name()),
            delivered_at: None,
            message_id: None,
            socket_id: None,
            entry: by_operator(removal.status, removal.tier, removal.reason, now),
        }
    }

    /// The status as signups and logins tell it.
    pub(super) fn tracked(&self) -> Option<TrackedStatus> {
        self.status.and_then(TrackedStatus::from_stored)
    }
}

fn by_operator(status: &str, tier: &str, reason: String, now: WallMs) -> Delivery {
    Delivery {
        at: now,
        status: status.to_owned(),
        attempt: 0,
        tier: tier.to_owned(),
        code: None,
        reason: Some(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowreel_engine::model::id::RequestId;

    const NOW: WallMs = WallMs(70);

    fn run(channel: Channel, attempt: u16) -> RunEnd {
        RunEnd {
            job: 7,
            request: RequestId(1),
            notification: "n7".to_owned(),
            channel,
            attempt,
            code: Some(451),
            reason: "later".to_owned(),
            is_missed: true,
        }
    }

    #[test]
    fn every_step_of_a_run_leaves_what_it_should() {
        let delayed = RunStep::Delayed {
            station: "retry-1",
            due_at: WallMs(500),
        };
        let rests = JobAfter::Row(JobRow {
            state: JobState::Delayed,
            station: Some("retry-1"),
            due_at: Some(WallMs(500)),
            attempt: Some(3),
            is_missed: Some(true),
        });
        let is_dead = JobAfter::Row(JobRow {
            state: JobState::Dead,
            station: Some("dlq"),
            due_at: None,
            attempt: None,
            is_missed: None,
        });
        let open = JobWas::OpenAt(2);
        let delivered = RunStep::Delivered {
            message_id: Some("<m@h>".to_owned()),
            socket_id: Some("socket".to_owned()),
        };
        let (email, in_app) = (Channel::Email, Channel::InApp);
        #[rustfmt::skip]
        let table = [
            (RunStep::Began, email, open, JobAfter::Same, Some("processing"), "sending", "retry_1"),
            (RunStep::Began, in_app, open, JobAfter::Same, None, "sending", "in_app_retry"),
            (delivered.clone(), email, JobWas::Kept, JobAfter::Gone, Some("delivered"), "delivered", "retry_1"),
            (delivered, in_app, JobWas::Kept, JobAfter::Gone, Some("delivered"), "delivered", "in_app_retry"),
            (delayed, email, open, rests, Some("pending"), "failed", "retry_1"),
            (RunStep::Dead, email, open, is_dead, Some("failed"), "failed", "retry_1"),
            (RunStep::Expired, in_app, JobWas::Kept, JobAfter::Gone, Some("expired"), "expired", "in_app_retry"),
        ];
        for (step, channel, was, job, status, told, tier) in table {
            let is_delivered = matches!(step, RunStep::Delivered { .. });
            let text = |text: &str| is_delivered.then(|| text.to_owned());
            let expected = After {
                was,
                notification: Some("n7".to_owned()),
                job,
                status,
                delivered_at: is_delivered.then_some(NOW),
                message_id: text("<m@h>"),
                socket_id: text("socket"),
                entry: Delivery {
                    at: NOW,
                    status: told.to_owned(),
                    attempt: 2,
                    tier: tier.to_owned(),
                    code: Some(451),
                    reason: Some("later".to_owned()),
                },
            };
            assert_eq!(step.after(run(channel, 2), NOW), expected);
        }
    }

    #[test]
    fn a_run_that_says_nothing_has_no_reason_and_every_attempt_its_tier() {
        let quiet = RunEnd {
            code: None,
            reason: String::new(),
            ..run(Channel::Email, 1)
        };
        let entry = RunStep::Began.after(quiet, NOW).entry;
        assert_eq!((entry.code, entry.reason), (None, None));
        for (channel, tiers) in [
            (
                Channel::Email,
                ["mail", "mail", "retry_1", "retry_2", "retry_2"],
            ),
            (
                Channel::InApp,
                [
                    "in_app",
                    "in_app",
                    "in_app_retry",
                    "in_app_retry",
                    "in_app_retry",
                ],
            ),
        ] {
            for (attempt, expected) in (0..).zip(tiers) {
                assert_eq!(tier(channel, attempt), expected);
            }
        }
    }

    #[test]
    fn operators_bring_back_what_is_dead_and_take_away_what_is_there() {
        let back = After::requeue(NOW);
        assert_eq!(back.was, JobWas::Dead);
        let first = JobRow {
            state: JobState::Waiting,
            station: None,
            due_at: None,
            attempt: Some(1),
            is_missed: Some(false),
        };
        assert_eq!(back.job, JobAfter::Row(first));
        assert_eq!(back.status, Some("pending"));
        assert_eq!(back.tracked(), Some(TrackedStatus::Queued));
        assert_eq!(
            (back.entry.status.as_str(), back.entry.attempt),
            ("queued", 0)
        );
        let removal = Removal {
            status: "discarded",
            tier: "dlq",
            reason: "no longer wanted".to_owned(),
        };
        let gone = After::removal(removal, NOW);
        assert_eq!((gone.was, &gone.job), (JobWas::Kept, &JobAfter::Gone));
        assert_eq!(gone.tracked(), Some(TrackedStatus::Failed));
        assert_eq!(gone.entry.status, "discarded");
        assert_eq!(gone.entry.reason.as_deref(), Some("no longer wanted"));
    }
}
