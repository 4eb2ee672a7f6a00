//! Telemetry between the processes of one run: stages go through Redis to the one recorder.
//!
//! Belongs here: settings, the names of the keys, what the recorder announces. Does not belong here:
//! order and folding (recorder), the lanes.
//!
//! A process that ships ([`Shipper`]) empties its lanes as the recorder does its own, and appends what
//! they held, in order, to a stream. With every append it says up to which moment it has told all. The
//! recorder ([`super::Recorder::start_receiving`]) merges the streams by time. A hash says who is alive;
//! a counter hands out request ids; clocks meet in the highest moment anybody was heard at.

mod alive;
mod counters;
mod drainer;
mod link;
mod outgoing;
pub(super) mod reader;
mod sender;
mod shipper;
pub(super) mod wire;

pub(super) use alive::Mark;
pub(super) use link::Link;
pub use shipper::{Shipper, ShippingEnd};

use super::fold::RecorderCounts;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::RunId;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Entries of the stream that are kept while nobody reads them: an hour of a quiet system, minutes of a
/// busy one. Past it the oldest go, and the recorder counts what they held as lost.
const STREAM_ENTRIES_MAX: usize = 100_000;

/// Leases so many ids where the counter is there. Only the recorder makes it: it knows what was leased
/// before a Redis lost its data.
const LEASE: &str = "if redis.call('EXISTS', KEYS[1]) == 0 then return false end \
                     return redis.call('INCRBY', KEYS[1], ARGV[1])";

/// Where the processes of a run meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportSettings {
    /// `redis://…` or `rediss://…`.
    pub url: String,
    /// Certificates trusted in place of the public ones (PEM), for `rediss://`.
    pub ca: Option<Vec<u8>>,
    /// What the names of all keys begin with; runs beside each other on one Redis need different ones.
    pub prefix: String,
    /// How long a process that starts waits for Redis and for the recorder's run.
    pub wait: Duration,
}

/// Why a process cannot take part in a run.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The address cannot be read.
    #[error("the address of Redis for telemetry cannot be read: {source}; write redis://HOST:PORT")]
    Address {
        /// What is wrong with it.
        #[source]
        source: redis::RedisError,
    },
    /// Nobody answers there.
    #[error(
        "Redis at {address} cannot be reached for telemetry: {source}; start it, or check --queue"
    )]
    Unreachable {
        /// Where, without secrets.
        address: String,
        /// What the system said.
        #[source]
        source: redis::RedisError,
    },
    /// No recorder has begun a run.
    #[error(
        "no recorder has announced a run on Redis at {address}; start `flowreel-live recorder` there first"
    )]
    NoRun {
        /// Where, without secrets.
        address: String,
    },
    /// The recorder speaks another language.
    #[error(
        "the recorder on Redis at {address} is of another version; start all roles from one version"
    )]
    OtherVersion {
        /// Where, without secrets.
        address: String,
    },
    /// The system gave no thread.
    #[error("cannot start a thread for telemetry; free some memory or threads and start again")]
    Thread {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Names of the keys of one run.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// What the recorder announces: [`Announcement`].
    pub(super) run: String,
    /// What the recorder says of itself again and again: [`Pulse`].
    pub(super) pulse: String,
    /// The stream of [`wire::Batch`]es.
    pub(super) events: String,
    /// Process number to [`Mark`].
    pub(super) alive: String,
    /// The highest moment anybody was at.
    pub(super) clock: String,
    /// The last request id that was leased.
    pub(super) requests: String,
    /// The last process number.
    pub(super) processes: String,
    /// How far the recorder has written the stream, newest first.
    pub(super) positions: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        let key = |name| format!("{prefix}:telemetry:{name}");
        Self {
            run: key("run"),
            pulse: key("pulse"),
            events: key("events"),
            alive: key("alive"),
            clock: key("clock"),
            requests: key("requests"),
            processes: key("processes"),
            positions: key("positions"),
        }
    }
}

/// What this version's processes say to each other.
const VERSION: u32 = 2;

/// A run as its recorder announces it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Announcement {
    version: u32,
    /// `None` where nothing is recorded.
    pub(super) run_id: Option<RunId>,
    pub(super) started_wall_ns: u64,
    pub(super) topology: Topology,
    /// Where the recorder answers `/api/live-view/*`, as `HOST:PORT`.
    pub(super) address: Option<String>,
}

impl Announcement {
    pub(super) const fn new(
        run_id: Option<RunId>,
        started_wall_ns: u64,
        topology: Topology,
        address: Option<String>,
    ) -> Self {
        Self {
            version: VERSION,
            run_id,
            started_wall_ns,
            topology,
            address,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec_named(self).expect("a map and its names always serialize")
    }

    /// `None` where another version wrote it.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let read: Self = rmp_serde::from_slice(bytes).ok()?;
        (read.version == VERSION).then_some(read)
    }
}

/// The recorder as it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pulse {
    /// Tells one process of the recorder from the next.
    pub(super) instance: u64,
    pub(super) run_id: Option<RunId>,
    /// All that happened before this moment is with the followers in `next_seq` events.
    pub(super) settled_wall_ns: u64,
    pub(super) next_seq: u64,
    /// Highest request id leased.
    pub(super) requests: u64,
    pub(super) counts: RecorderCounts,
    pub(super) is_on: bool,
    pub(super) bytes: u64,
    pub(super) followers: u64,
    pub(super) dropped_followers: u64,
    pub(super) waiting_bytes: u64,
}

impl Pulse {
    pub(super) fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("numbers always serialize")
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok()
    }
}

#[cfg(test)]
pub(super) mod tests;
