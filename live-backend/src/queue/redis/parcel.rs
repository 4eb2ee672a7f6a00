//! A job's data in Redis: whole, so that a program that knows nothing of the store can read and serve it.
//!
//! Belongs here: the JSON, its ids, reading it back. Does not belong here: where it goes.

use crate::models::{Channel, NotificationType, Priority, UserId, WallMs};
use crate::queue::Job;
use crate::store::jobs::NewJob;
use crate::telemetry::Part;
use serde::{Deserialize, Serialize};

/// Runs that are remembered; ladders are shorter.
const HISTORY_MAX: usize = 20;

/// One job of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parcel {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_id: Option<String>,
    pub(super) notification_id: String,
    /// The stored job's number.
    pub(super) job_id: String,
    #[serde(rename = "type")]
    pub(super) kind: NotificationType,
    pub(super) channel: Channel,
    pub(super) recipient: Recipient,
    pub(super) priority: Priority,
    /// The run that comes next, or is going on.
    pub(super) attempt: u16,
    /// Its part of its request, in the run `run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<String>,
    /// When it was added first.
    pub(super) time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_error: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) history: Vec<FailedRun>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Recipient {
    pub(super) user_id: String,
}

/// A run that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FailedRun {
    pub(super) attempt: u16,
    pub(super) error: String,
    pub(super) time: String,
}

impl Parcel {
    pub(super) fn new(job: &NewJob, part: Part, run: Option<String>, now: WallMs) -> Self {
        let job = Job::new(job.clone(), part);
        Self::of(&job, run, now)
    }

    pub(super) fn of(job: &Job, run: Option<String>, now: WallMs) -> Self {
        let kinds = NotificationType::ALL.iter().copied();
        Self {
            request_id: run.is_some().then(|| job.part.request.0.to_string()),
            notification_id: job.notification.clone(),
            job_id: job.id.to_string(),
            kind: kinds
                .into_iter()
                .find(|kind| kind.class() == job.part.class)
                .unwrap_or(NotificationType::Login),
            channel: job.channel,
            recipient: Recipient {
                user_id: job.user.to_string(),
            },
            priority: job.priority,
            attempt: job.part.attempt,
            part: Some(job.part.to_string()),
            run,
            time: now.to_string(),
            last_error: None,
            history: Vec::new(),
        }
    }

    /// The id of this run's job in its queue.
    pub(super) fn bull_id(&self) -> String {
        run_id(&self.job_id, self.attempt)
    }

    /// The id among the dead letters.
    pub(super) fn dead_id(&self) -> String {
        dead_id(&self.job_id)
    }

    /// One more run went wrong.
    pub(super) fn failed(&mut self, run: FailedRun) {
        self.last_error = Some(run.error.clone());
        if self.history.len() < HISTORY_MAX {
            self.history.push(run);
        }
    }

    /// Its part, where it is of that run.
    pub(super) fn part_in(&self, run: Option<&str>) -> Option<Part> {
        let part: Part = self.part.as_deref()?.parse().ok()?;
        (run.is_some() && self.run.as_deref() == run).then_some(part)
    }

    /// As the workers know it; an error says what is wrong with it.
    pub(super) fn job(&self, part: Part) -> Result<Job, String> {
        let id = self.job_id.parse();
        let user = UserId::parse(&self.recipient.user_id);
        Ok(Job {
            id: id.map_err(|_number| format!("jobId `{}` is no whole number", self.job_id))?,
            channel: self.channel,
            notification: self.notification_id.clone(),
            user: user.ok_or_else(|| format!("`{}` is no userId", self.recipient.user_id))?,
            priority: self.priority,
            part,
        })
    }
}

/// The id of one run of a stored job.
pub(super) fn run_id(job: &str, attempt: u16) -> String {
    format!("{job}-{attempt}")
}

/// The id of a stored job among the dead letters.
pub(super) fn dead_id(job: &str) -> String {
    format!("{job}-dead")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Class;
    use flowreel_engine::model::id::RequestId;

    #[test]
    fn a_parcel_comes_back_from_its_json_and_names_its_run() {
        let part = Part::main(RequestId(7), Class::Purchase).with_attempt(2);
        let job = Job {
            id: 17,
            channel: Channel::Email,
            notification: "n".to_owned(),
            user: UserId(3),
            priority: Priority::High,
            part,
        };
        let mut parcel = Parcel::of(&job, Some("ab".to_owned()), WallMs(0));
        parcel.failed(FailedRun {
            attempt: 1,
            error: "450 later".to_owned(),
            time: WallMs(0).to_string(),
        });
        assert_eq!(parcel.bull_id(), "17-2");
        let json = serde_json::to_value(&parcel).unwrap();
        assert_eq!(json["recipient"]["userId"], "3");
        assert_eq!(json["type"], "purchase");
        assert_eq!(json["lastError"], "450 later");
        let back: Parcel = serde_json::from_value(json).unwrap();
        assert_eq!(back, parcel);
        assert_eq!(back.part_in(Some("ab")), Some(part));
        assert_eq!(back.part_in(Some("cd")), None);
        assert_eq!(back.part_in(None), None);
        assert_eq!(back.job(part).unwrap().user, UserId(3));
    }
}
