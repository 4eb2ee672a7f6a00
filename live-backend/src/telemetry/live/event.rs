//! The live view's events: their fields, as clients read them (requirements LV-107 to LV-123).
//!
//! Belongs here: one struct per event. Does not belong here: when an event is told (mapping.rs).
//!
//! Times are wall times in ms since 1970, durations are in ms, ids are texts. What is not known yet is
//! null under its name, so that every event of one name has the same fields.

use super::words::{EventName, StageStatus, SystemStage};
use crate::telemetry::status::{ComponentStatus, SystemMetrics};
use flowreel_engine::model::id::{PartId, RequestId};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// One event with its number in the stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveEvent {
    /// Rises from event to event; what is missing between two of them was not sent to this client.
    pub seq: u64,
    /// What is told.
    #[serde(flatten)]
    pub payload: Payload,
}

/// What is told, by event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Payload {
    /// `system:status`.
    SystemStatus(SystemStatusTold),
    /// `system:metrics`.
    SystemMetrics(SystemMetricsTold),
    /// `request:new`.
    RequestNew(RequestNew),
    /// `request:progress`.
    RequestProgress(RequestProgress),
    /// `request:complete`.
    RequestComplete(RequestComplete),
    /// `request:failed`.
    RequestFailed(RequestFailed),
    /// `component:status`.
    ComponentStatus(ComponentStatusTold),
    /// `component:metrics`.
    ComponentMetrics(ComponentMetricsTold),
    /// `queue:job:added`.
    JobAdded(JobAdded),
    /// `queue:job:processing`.
    JobProcessing(JobProcessing),
    /// `queue:job:completed`.
    JobCompleted(JobCompleted),
    /// `queue:job:failed`.
    JobFailed(JobFailed),
    /// `queue:job:retry`.
    JobRetry(JobRetry),
    /// `worker:processing`.
    WorkerProcessing(WorkerProcessing),
    /// `worker:idle`.
    WorkerIdle(WorkerIdle),
    /// `notification:email:sent`.
    EmailSent(EmailSent),
    /// `notification:inapp:delivered`.
    InAppDelivered(InAppDelivered),
}

impl Payload {
    /// Under which name it is sent.
    #[must_use]
    pub const fn name(&self) -> EventName {
        match self {
            Self::SystemStatus(_) => EventName::SystemStatus,
            Self::SystemMetrics(_) => EventName::SystemMetrics,
            Self::RequestNew(_) => EventName::RequestNew,
            Self::RequestProgress(_) => EventName::RequestProgress,
            Self::RequestComplete(_) => EventName::RequestComplete,
            Self::RequestFailed(_) => EventName::RequestFailed,
            Self::ComponentStatus(_) => EventName::ComponentStatus,
            Self::ComponentMetrics(_) => EventName::ComponentMetrics,
            Self::JobAdded(_) => EventName::JobAdded,
            Self::JobProcessing(_) => EventName::JobProcessing,
            Self::JobCompleted(_) => EventName::JobCompleted,
            Self::JobFailed(_) => EventName::JobFailed,
            Self::JobRetry(_) => EventName::JobRetry,
            Self::WorkerProcessing(_) => EventName::WorkerProcessing,
            Self::WorkerIdle(_) => EventName::WorkerIdle,
            Self::EmailSent(_) => EventName::EmailSent,
            Self::InAppDelivered(_) => EventName::InAppDelivered,
        }
    }
}

/// A request's number, sent as a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(pub RequestId);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.0)
    }
}

/// A job, by its request and the part it is: the same for every run of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobId {
    /// Whose.
    pub request: RequestId,
    /// Which part.
    pub part: PartId,
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}-{}", self.request.0, self.part.0))
    }
}

/// Named texts that stand beside an event; `true` and `false` are sent as what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(pub Vec<(&'static str, String)>);

impl Metadata {
    /// The text of that name.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| *name == key);
        found.map(|(_, text)| text.as_str())
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, text) in &self.0 {
            match text.as_str() {
                "true" => map.serialize_entry(key, &true)?,
                "false" => map.serialize_entry(key, &false)?,
                text => map.serialize_entry(key, text)?,
            }
        }
        map.end()
    }
}

macro_rules! told {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name { $($(#[$field_doc])* pub $field: $kind,)+ }
    )+};
}

told! {
    /// Data of `system:status`.
    SystemStatusTold {
        /// `healthy`, `degraded` or `critical`.
        status: &'static str,
        /// One entry per component.
        components: Vec<ComponentStatus>,
        /// When.
        timestamp: u64,
    }
    /// Data of `request:new`.
    RequestNew {
        /// Which.
        request_id: Id,
        /// Its notification type.
        #[serde(rename = "type")]
        kind: &'static str,
        /// When it began.
        start_time: u64,
        /// Whose, and whether it is simulated.
        metadata: Metadata,
    }
    /// Data of `request:progress`.
    RequestProgress {
        /// Which.
        request_id: Id,
        /// What it does there.
        stage: SystemStage,
        /// Where.
        component: &'static str,
        /// How that stands.
        status: StageStatus,
        /// When the visit began.
        start_time: u64,
        /// When it ended.
        end_time: Option<u64>,
        /// How long it took.
        duration: Option<f64>,
        /// Run of the job; 0 where there is none.
        attempt: u16,
        /// What was recorded beside it.
        metadata: Metadata,
        /// Kind of the stage event.
        event: &'static str,
        /// Part of the request.
        part: u16,
    }
    /// Data of `request:complete`.
    RequestComplete {
        /// Which.
        request_id: Id,
        /// Its notification type.
        #[serde(rename = "type")]
        kind: &'static str,
        /// First stage event to the last delivery.
        total_duration: f64,
        /// By which it was delivered: `email`, `in-app`.
        channels: Vec<&'static str>,
    }
    /// Data of `request:failed`.
    RequestFailed {
        /// Which.
        request_id: Id,
        /// Its notification type.
        #[serde(rename = "type")]
        kind: &'static str,
        /// Where it went wrong.
        stage: SystemStage,
        /// Why, in words.
        error: String,
        /// First stage event to its end.
        total_duration: f64,
    }
    /// Data of `component:status`.
    ComponentStatusTold {
        /// Which.
        component: &'static str,
        /// `idle`, `processing`, `waiting`, `error` or `offline`.
        status: &'static str,
        /// Whether it answers health checks.
        healthy: bool,
        /// When.
        timestamp: u64,
    }
    /// Data of `queue:job:added`.
    JobAdded {
        /// Which queue.
        queue: &'static str,
        /// Which job.
        job_id: JobId,
        /// Of which request.
        request_id: Id,
        /// Its run.
        attempt: u16,
        /// How long it is parked, 0 where it may run at once.
        delay: f64,
        /// When.
        timestamp: u64,
    }
    /// Data of `queue:job:processing`.
    JobProcessing {
        /// Which queue.
        queue: &'static str,
        /// Which job.
        job_id: JobId,
        /// Of which request.
        request_id: Id,
        /// Who took it.
        worker_id: &'static str,
        /// Its run.
        attempt: u16,
        /// When.
        timestamp: u64,
    }
    /// Data of `queue:job:completed`.
    JobCompleted {
        /// Which queue.
        queue: &'static str,
        /// Which job.
        job_id: JobId,
        /// Of which request.
        request_id: Id,
        /// How long the run took.
        duration: f64,
        /// When.
        timestamp: u64,
    }
    /// Data of `queue:job:failed`.
    JobFailed {
        /// Which queue.
        queue: &'static str,
        /// Which job.
        job_id: JobId,
        /// Of which request.
        request_id: Id,
        /// Why.
        error: String,
        /// The run that failed.
        attempt: u16,
        /// When.
        timestamp: u64,
    }
    /// Data of `queue:job:retry`.
    JobRetry {
        /// Where it ran.
        from_queue: &'static str,
        /// Where it waits.
        to_queue: &'static str,
        /// Which job.
        job_id: JobId,
        /// Of which request.
        request_id: Id,
        /// The run that failed.
        attempt: u16,
        /// How long it waits.
        delay: f64,
        /// When it is due.
        run_at: u64,
    }
    /// Data of `worker:processing`.
    WorkerProcessing {
        /// Which.
        worker_id: &'static str,
        /// From where.
        queue: &'static str,
        /// Which job.
        job_id: JobId,
    }
    /// Data of `worker:idle`.
    WorkerIdle {
        /// Which.
        worker_id: &'static str,
        /// Of which queue.
        queue: &'static str,
        /// Since when.
        idle_since: u64,
    }
    /// Data of `notification:email:sent`; nobody's address is recorded, so the recipient is masked.
    EmailSent {
        /// Of which request.
        request_id: Id,
        /// Which.
        notification_id: Option<String>,
        /// First letter and host of the address.
        recipient: Option<String>,
        /// Of the mail.
        message_id: Option<String>,
        /// In the relay's words.
        smtp_response: String,
        /// When.
        timestamp: u64,
    }
    /// Data of `notification:inapp:delivered`.
    InAppDelivered {
        /// Of which request.
        request_id: Id,
        /// Which.
        notification_id: Option<String>,
        /// Who confirmed.
        user_id: Option<String>,
        /// On which socket.
        socket_id: Option<String>,
        /// When.
        delivered_at: u64,
    }
}

/// Data of `system:metrics`: the header.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SystemMetricsTold {
    /// The six values.
    #[serde(flatten)]
    pub header: SystemMetrics,
    /// When.
    pub timestamp: u64,
}

/// Data of `component:metrics`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComponentMetricsTold {
    /// Which.
    pub component: &'static str,
    /// Its card.
    pub metrics: serde_json::Value,
    /// When.
    pub timestamp: u64,
}
