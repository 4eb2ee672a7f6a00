//! Stage events: one request did one thing at one component at one instant.
//!
//! Belongs here: the vocabulary, its fixed shape, the meaning of each kind's `value`.
//! Does not belong here: what events add up to (state), how they are stored (recording).
//!
//! Order is (`t_ns`, `seq`), total and dense: `seq` counts from 0 without holes, `t_ns` never falls.
//!
//! A *visit* is one stay of one part at one component. It is opened by `Arrived`, `JobAdded`,
//! `JobDelayed` (already in service) or `JobDeadLettered`, may start service with `ServiceStarted`,
//! and is closed by `ServiceEnded`, `JobPickedUp`, `Rejected`, `Abandoned`, `TimedOut` or `JobRequeued`.
//! A part moves with `Forwarded` (leaves `component` for `peer`) or `JobPickedUp` (a worker pulls it),
//! and the opening event at the other end names in `peer` where it came from.
//!
//! A component may *call* another and keep its server busy meanwhile (a server its database, a worker
//! its relay): `Forwarded` and the callee's visit then lie inside the caller's service, the return is
//! not an event, and the caller's `ServiceEnded` follows the callee's. One login, in full:
//!
//! | kind | component, peer | part |
//! |---|---|---|
//! | `RequestBegun` | clients | 0 |
//! | `Forwarded`, `Arrived`, `ServiceStarted`, `ServiceEnded`, `ServerPicked` | clients to balancer, then balancer, server-2 | 0 |
//! | `Forwarded`, `Arrived`, `ServiceStarted` | balancer to server-2 | 0 |
//! | `Forwarded`, `Arrived`, `ServiceStarted`, `ServiceEnded` | server-2 calls database | 0 |
//! | `ServiceEnded` | server-2 | 0 |
//! | `Forwarded`, `JobAdded` (attempt 1), `EmailQueued` | server-2 to mail | 1 |
//! | `Forwarded`, `JobAdded` (attempt 1), `InAppQueued` | server-2 to in-app | 2 |
//! | `JobPickedUp`, `Arrived`, `ServiceStarted` | mail, mail-worker | 1 |
//! | `Forwarded`, `Arrived`, `ServiceStarted`, `ServiceEnded` (failed), `EmailBounced` | mail-worker calls smtp | 1 |
//! | `ServiceEnded` (failed), `JobFailed`, `RetryScheduled` | mail-worker, retry-1 | 1 |
//! | `Forwarded`, `JobDelayed`, later `ServiceEnded` | mail-worker to retry-1 | 1 |
//! | `Forwarded`, `JobAdded` (attempt 2) | retry-1 to mail | 1 |
//! | … `EmailSent`, `ServiceEnded` (ok), `JobCompleted`, `PartFinished` (ok) | smtp, mail-worker | 1 |
//! | `RequestFinished` with the last part | where it ended | 0 |
//!
//! A part that is split (`fork`, `hedge`) waits for its parts and goes on under its own number. Each part
//! ends with `PartFinished` where it met the others or was done; then follow the events of the one that
//! was split, or of the next place: `Arrived` without `peer`, because its parts brought it there.
//!
//! A cancelled part (the slower of a hedge) closes its visit with `Abandoned` where it waits, with
//! `ServiceEnded` where it is served or parked, both `cancelled`, callers after those they called, and
//! ends with `PartFinished` (`cancelled`, no path). Parts that a quorum does not wait for run on: their
//! events may follow `RequestFinished`.
//!
//! A request that goes one way only stays part 0. At the ladder's end: `Forwarded`, `JobDeadLettered`
//! at dlq, `PartFinished` (failed).

use super::id::{ClassId, ComponentId, DetailId, PartId, RequestId};
use super::time::TimeNs;

macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $code:literal => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$item_doc])* $item = $code,)+ }

        impl $name {
            /// Every member, in the order of the codes.
            pub const ALL: &'static [Self] = &[$(Self::$item,)+];

            /// The name used on the command line and in JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$item => $text,)+ }
            }

            /// The member with this code, as stored in a reel.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$item),)+ _ => None }
            }

            /// The member with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$item),)+ _ => None }
            }

            /// The code stored in a reel; never reused, never changed.
            #[must_use]
            #[inline]
            pub const fn code(self) -> u8 {
                self as u8
            }
        }
    };
}
pub(crate) use closed_set;

closed_set! {
    /// What happened. Codes are part of the reel format.
    EventKind {
        /// A user action begins at a source. `value`: user number, 0 unknown.
        RequestBegun = 1 => "request-begun",
        /// A part enters a component. `peer`: where it came from. `value`: 0.
        Arrived = 2 => "arrived",
        /// A server begins with the part. `value`: 0 (waiting time follows from the visit).
        ServiceStarted = 3 => "service-started",
        /// A server is done with the part; the visit closes. `outcome` says how. `value`: 0.
        ServiceEnded = 4 => "service-ended",
        /// The part leaves `component` for `peer`. `value`: transit time in ns where known, else 0.
        Forwarded = 5 => "forwarded",
        /// The request is over, with all parts it waits for. `outcome` says how. `value`: parts ended.
        RequestFinished = 6 => "request-finished",
        /// One part reached its end. `component`: where. `value`: 1 + path index, 0 no path.
        PartFinished = 7 => "part-finished",
        /// Refused at the door, component full. Closes the visit. `value`: number present.
        Rejected = 8 => "rejected",
        /// Left the waiting line, patience at its end or cancelled (`outcome`). Closes the visit. `value`: 0.
        Abandoned = 9 => "abandoned",
        /// Time limit over, waiting or in service. Closes the visit. `value`: limit in ns.
        TimedOut = 10 => "timed-out",

        /// A job enters a queue. Opens a visit. `peer`: who added it. `value`: priority.
        JobAdded = 20 => "job-added",
        /// A job is parked until later. Opens a visit that is in service. `value`: planned delay in ns.
        JobDelayed = 21 => "job-delayed",
        /// A worker (`peer`) takes the job from the queue (`component`). Closes the visit. `value`: 0.
        JobPickedUp = 22 => "job-picked-up",
        /// A run of the job went well at `component`. `value`: run time in ns.
        JobCompleted = 23 => "job-completed",
        /// A run of the job went wrong at `component`. `value`: reply code (SMTP, HTTP), 0 unknown.
        JobFailed = 24 => "job-failed",
        /// Another run is planned; `peer` is the delay station. `value`: delay in ns.
        RetryScheduled = 25 => "retry-scheduled",
        /// The ladder is at its end; the job rests in the dead-letter queue `component`. Opens a visit.
        /// `peer`: where it failed. `value`: runs made.
        JobDeadLettered = 26 => "job-dead-lettered",
        /// An operator took the job out of `component` and sent it to `peer` again. Closes the visit.
        JobRequeued = 27 => "job-requeued",

        /// An e-mail was accepted for sending. `value`: size in bytes, 0 unknown.
        EmailQueued = 40 => "email-queued",
        /// The relay took the e-mail. `value`: reply code.
        EmailSent = 41 => "email-sent",
        /// The relay refused the e-mail. `value`: reply code.
        EmailBounced = 42 => "email-bounced",
        /// An in-app notification was accepted. `value`: 0.
        InAppQueued = 43 => "in-app-queued",
        /// Written to the client's socket. `value`: sockets reached.
        InAppDelivered = 44 => "in-app-delivered",
        /// The client acknowledged. `value`: ns since delivery.
        InAppAcknowledged = 45 => "in-app-acknowledged",
        /// The user read it. `value`: ns since delivery.
        InAppRead = 46 => "in-app-read",

        /// A client connected. `value`: open connections.
        ConnectionOpened = 60 => "connection-opened",
        /// A client proved who it is. `value`: user number.
        ConnectionAuthenticated = 61 => "connection-authenticated",
        /// A client left. `value`: open connections.
        ConnectionClosed = 62 => "connection-closed",
        /// A client joined a room. `value`: members.
        RoomJoined = 63 => "room-joined",
        /// A client left a room. `value`: members.
        RoomLeft = 64 => "room-left",

        /// A store operation began. `peer`: who asked. `value`: operation code (detail names it).
        DatabaseStarted = 70 => "database-started",
        /// A store operation ended. `value`: duration in ns.
        DatabaseEnded = 71 => "database-ended",

        /// The balancer chose `peer`. `value`: requests in progress there.
        ServerPicked = 80 => "server-picked",
        /// A session was bound to `peer`. `value`: user number.
        SessionStuck = 81 => "session-stuck",
        /// `component` became healthy (1) or unhealthy (0), see `value`.
        HealthChanged = 82 => "health-changed",

        /// A worker has something to do. `value`: runs in progress.
        WorkerBusy = 90 => "worker-busy",
        /// A worker has nothing to do. `value`: 0.
        WorkerIdle = 91 => "worker-idle",

        /// A sampled figure; detail names it and its unit. `value`: thousandths of the unit.
        MetricSampled = 100 => "metric-sampled",
        /// An alert began; detail says which. `value`: thousandths of the watched figure.
        AlertRaised = 101 => "alert-raised",
        /// An alert is over. `value`: as for raised.
        AlertResolved = 102 => "alert-resolved",
        /// A user activity was logged; detail names it. `value`: user number.
        ActivityLogged = 103 => "activity-logged",
        /// A dashboard was sent out. `value`: subscribers.
        DashboardUpdated = 104 => "dashboard-updated",

        /// An operator changed something; detail says what. `value`: thousandths of the new value.
        ControlApplied = 110 => "control-applied",
        /// A fault began at `component`; detail names it. `value`: planned length in ns, 0 open-ended.
        FaultBegan = 111 => "fault-began",
        /// A fault at `component` is over. `value`: 0.
        FaultEnded = 112 => "fault-ended",
        /// A note made by a person; detail holds it. `value`: 0.
        Annotation = 113 => "annotation",
        /// Events were lost here. `value`: how many, 0 unknown.
        Gap = 114 => "gap",
    }
}

closed_set! {
    /// How it ended; `None` where nothing ended. Codes are part of the reel format.
    Outcome {
        /// Nothing ended here.
        None = 0 => "none",
        /// Went well.
        Ok = 1 => "ok",
        /// Went wrong.
        Failed = 2 => "failed",
        /// Refused, component full.
        Rejected = 3 => "rejected",
        /// Patience at its end.
        Abandoned = 4 => "abandoned",
        /// Time limit over.
        TimedOut = 5 => "timed-out",
        /// Cut off by a fault or a cancelled hedge.
        Cancelled = 6 => "cancelled",
    }
}

/// One stage event: 48 bytes, no strings, no floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct StageEvent {
    /// Time since the run's start.
    pub t_ns: TimeNs,
    /// Position in the run, from 0, without holes.
    pub seq: u64,
    /// Whose, or [`RequestId::NONE`].
    pub request: RequestId,
    /// See each kind.
    pub value: u64,
    /// Detail record, or none.
    pub detail: DetailId,
    /// Where.
    pub component: ComponentId,
    /// The other end, or none.
    pub peer: ComponentId,
    /// Class of the request.
    pub class: ClassId,
    /// Run of the job, from 1; 0 where there is none.
    pub attempt: u16,
    /// Part of the request.
    pub part: PartId,
    /// What.
    pub kind: EventKind,
    /// How it ended.
    pub outcome: Outcome,
}

const _: () = assert!(
    size_of::<StageEvent>() == 48,
    "the shape every buffer counts on"
);

impl StageEvent {
    /// An event with only the fields that every kind has; set the others as needed.
    #[must_use]
    #[inline]
    pub const fn new(t_ns: TimeNs, kind: EventKind, component: ComponentId) -> Self {
        Self {
            t_ns,
            seq: 0,
            request: RequestId::NONE,
            value: 0,
            detail: DetailId::NONE,
            component,
            peer: ComponentId::NONE,
            class: ClassId(0),
            attempt: 0,
            part: PartId(0),
            kind,
            outcome: Outcome::None,
        }
    }

    /// The event as six little-endian words, the canonical bytes that the run hash covers:
    /// `t_ns`, `seq`, `request`, `value`, `detail | component << 32 | peer << 48`,
    /// `class | attempt << 16 | part << 32 | kind << 48 | outcome << 56`.
    #[must_use]
    #[inline]
    pub fn words(&self) -> [u64; 6] {
        let places = u64::from(self.detail.0)
            | u64::from(self.component.0) << 32
            | u64::from(self.peer.0) << 48;
        let rest = u64::from(self.class.0)
            | u64::from(self.attempt) << 16
            | u64::from(self.part.0) << 32
            | u64::from(self.kind.code()) << 48
            | u64::from(self.outcome.code()) << 56;
        [
            self.t_ns.0,
            self.seq,
            self.request.0,
            self.value,
            places,
            rest,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_unique_and_come_back() {
        for &kind in EventKind::ALL {
            assert_eq!(EventKind::from_code(kind.code()), Some(kind));
            assert_eq!(EventKind::from_name(kind.name()), Some(kind));
        }
        for &outcome in Outcome::ALL {
            assert_eq!(Outcome::from_code(outcome.code()), Some(outcome));
            assert_eq!(Outcome::from_name(outcome.name()), Some(outcome));
        }
        assert_eq!(EventKind::from_code(0), None);
    }
}
