//! The closed sets of the live view: stages, their statuses, names of events.
//!
//! Belongs here: words and their order. Does not belong here: which stage event is told by which word
//! (mapping.rs).

use crate::telemetry::topology::Place;
use flowreel_engine::model::event::Outcome;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$item_doc])* #[serde(rename = $text)] $item,)+ }

        impl $name {
            /// Every member, in order.
            pub const ALL: &'static [Self] = &[$(Self::$item,)+];

            /// As clients read it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$item => $text,)+ }
            }

            /// The member of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|item| item.name() == name)
            }
        }
    };
}

words! {
    /// What a request does somewhere (requirements LV, "Stage").
    SystemStage {
        /// Somebody did something.
        UserAction => "user_action",
        /// The balancer picks a server.
        LoadBalancer => "load_balancer",
        /// A server serves.
        Server => "server",
        /// Body, token and origin are checked.
        Middleware => "middleware",
        /// The controller is looked up.
        Routes => "routes",
        /// The controller runs.
        Controller => "controller",
        /// The store reads or writes.
        Database => "database",
        /// Who is told what is decided.
        NotificationService => "notification_service",
        /// Jobs are made.
        QueueManager => "queue_manager",
        /// A mail waits for a worker.
        MailQueue => "mail_queue",
        /// A mail waits for its second run.
        Retry1 => "retry_1",
        /// A mail waits for its third run.
        Retry2 => "retry_2",
        /// The ladder is at its end.
        Dlq => "dlq",
        /// An in-app notification waits for a worker.
        InAppQueue => "inapp_queue",
        /// An in-app notification waits for its next run.
        InAppRetry => "inapp_retry",
        /// A run of a mail.
        MailWorker => "mail_worker",
        /// A run of an in-app notification.
        InAppWorker => "inapp_worker",
        /// The relay is spoken to.
        EmailService => "email_service",
        /// The sockets are looked up.
        WebsocketService => "websocket_service",
        /// The client is told.
        ClientDelivery => "client_delivery",
    }
}

words! {
    /// How a stage stands (requirements C17).
    StageStatus {
        /// Waits.
        Pending => "pending",
        /// Is served.
        Processing => "processing",
        /// Ended well.
        Completed => "completed",
        /// Ended badly.
        Failed => "failed",
    }
}

words! {
    /// Events of the namespace `/live-view`, server to client.
    EventName {
        /// The system's word changed.
        SystemStatus => "system:status",
        /// The header, once a second.
        SystemMetrics => "system:metrics",
        /// A request was accepted.
        RequestNew => "request:new",
        /// One stage event of a request.
        RequestProgress => "request:progress",
        /// Every channel is delivered.
        RequestComplete => "request:complete",
        /// A channel is given up, or the answer was an error.
        RequestFailed => "request:failed",
        /// A component's health or status changed.
        ComponentStatus => "component:status",
        /// A component's card changed.
        ComponentMetrics => "component:metrics",
        /// A job entered a queue.
        JobAdded => "queue:job:added",
        /// A worker took a job.
        JobProcessing => "queue:job:processing",
        /// A run went well.
        JobCompleted => "queue:job:completed",
        /// A run went wrong.
        JobFailed => "queue:job:failed",
        /// Another run is planned.
        JobRetry => "queue:job:retry",
        /// A worker begins a run.
        WorkerProcessing => "worker:processing",
        /// A worker's last run ended.
        WorkerIdle => "worker:idle",
        /// The relay took a mail.
        EmailSent => "notification:email:sent",
        /// A client confirmed a notification.
        InAppDelivered => "notification:inapp:delivered",
    }
}

impl EventName {
    /// Its place in a set of names.
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << (self as u8)
    }
}

impl SystemStage {
    /// What a request does at a place.
    #[must_use]
    pub const fn at(place: Place) -> Self {
        match place {
            Place::Clients => Self::UserAction,
            Place::Balancer => Self::LoadBalancer,
            Place::Server1 | Place::Server2 | Place::Server3 => Self::Server,
            Place::Database => Self::Database,
            Place::Mail => Self::MailQueue,
            Place::Retry1 => Self::Retry1,
            Place::Retry2 => Self::Retry2,
            Place::Dlq => Self::Dlq,
            Place::MailWorker => Self::MailWorker,
            Place::Smtp => Self::EmailService,
            Place::InApp => Self::InAppQueue,
            Place::InAppRetry => Self::InAppRetry,
            Place::InAppWorker => Self::InAppWorker,
            Place::Websocket => Self::ClientDelivery,
        }
    }
}

impl StageStatus {
    /// How what ended so stands.
    #[must_use]
    pub const fn after(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Ok | Outcome::None => Self::Completed,
            Outcome::Failed
            | Outcome::Rejected
            | Outcome::Abandoned
            | Outcome::TimedOut
            | Outcome::Cancelled => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_survives_json_and_messagepack() {
        assert_eq!(SystemStage::ALL.len(), 20);
        for &stage in SystemStage::ALL {
            let json = serde_json::to_string(&stage).unwrap();
            assert_eq!(json, format!("\"{}\"", stage.name()));
            assert_eq!(serde_json::from_str::<SystemStage>(&json).unwrap(), stage);
            let packed = rmp_serde::to_vec(&stage).unwrap();
            assert_eq!(
                rmp_serde::from_slice::<SystemStage>(&packed).unwrap(),
                stage
            );
        }
        assert!(serde_json::from_str::<SystemStage>("\"elsewhere\"").is_err());
    }

    #[test]
    fn a_stage_has_one_of_four_statuses() {
        for (word, status) in [
            ("\"pending\"", StageStatus::Pending),
            ("\"processing\"", StageStatus::Processing),
            ("\"completed\"", StageStatus::Completed),
            ("\"failed\"", StageStatus::Failed),
        ] {
            assert_eq!(serde_json::from_str::<StageStatus>(word).unwrap(), status);
            assert_eq!(serde_json::to_string(&status).unwrap(), word);
        }
        for word in ["\"success\"", "\"done\"", "\"\"", "1", "null"] {
            assert!(serde_json::from_str::<StageStatus>(word).is_err(), "{word}");
        }
    }

    #[test]
    fn names_of_events_fit_one_set() {
        assert_eq!(EventName::ALL.len(), 17);
        let all = EventName::ALL.iter().fold(0, |set, name| set | name.bit());
        assert_eq!(all, (1 << 17) - 1);
        assert_eq!(
            EventName::from_name("queue:job:retry"),
            Some(EventName::JobRetry)
        );
        assert_eq!(EventName::from_name("queue:job"), None);
    }
}
