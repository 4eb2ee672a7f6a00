//! Batches: stages of one process as bytes, and back.
//!
//! Belongs here: the MessagePack of a batch, what is refused when it is read. Does not belong here: Redis.
//!
//! Times are wall times of the shared clock, so that a process and a recorder which disagree about the
//! run's start still agree about the order.

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use crate::telemetry::detail::Detail;
use crate::telemetry::lane::Entry;
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::id::{ClassId, ComponentId, PartId, RequestId};
use flowreel_engine::model::time::TimeNs;
use serde::{Deserialize, Serialize};

/// Stages of one batch at most.
pub(in crate::telemetry) const BATCH_EVENTS_MAX: usize = 1024;
/// Bytes of one batch at most: every stage with a full detail beside it.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// What one process tells at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::telemetry) struct Batch {
    /// Number of the process.
    pub(in crate::telemetry) process: u64,
    /// Its role, for people.
    pub(in crate::telemetry) role: String,
    /// Stages that the process took from its lanes before these.
    pub(in crate::telemetry) first: u64,
    /// Of this process all before this moment is in this batch or an earlier one.
    pub(in crate::telemetry) watermark_wall_ns: u64,
    /// Stages lost in the process because a ring was full.
    pub(in crate::telemetry) lane_dropped: u64,
    /// Requests that go several ways, and how many.
    pub(in crate::telemetry) splits: Vec<(u64, u16)>,
    /// Answer to a recorder that does not know what this process has open.
    pub(in crate::telemetry) roll_call: Option<RollCall>,
    /// Nothing follows.
    pub(in crate::telemetry) is_last: bool,
    pub(super) base_wall_ns: u64,
    pub(super) events: Vec<WireEvent>,
    /// By position of the stage beside which they stand.
    pub(super) details: Vec<(u32, Vec<(String, String)>)>,
}

/// What a process has open before the stages of its batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::telemetry) struct RollCall {
    /// Recorder that asked.
    pub(in crate::telemetry) instance: u64,
    /// Request, part and component of each stay.
    pub(in crate::telemetry) visits: Vec<(u64, u16, u16)>,
    /// Open client connections, and those of them whose client is known.
    pub(in crate::telemetry) connections: u64,
    pub(in crate::telemetry) authenticated: u64,
}

/// Time since the batch's base, request, value, component, peer, class, attempt, part, kind, outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireEvent(u64, u64, u64, u16, u16, u16, u16, u16, u8, u8);

/// Why a batch cannot be read.
#[derive(Debug, thiserror::Error)]
pub(in crate::telemetry) enum WireError {
    #[error("it has {0} bytes, over the limit of {BATCH_BYTES_MAX}")]
    TooLong(usize),
    #[error("it has {0} stages, over the limit of {BATCH_EVENTS_MAX}")]
    TooMany(usize),
    #[error("it is no batch: {0}")]
    Shape(#[from] rmp_serde::decode::Error),
    #[error("kind {0} or outcome {1} is not known")]
    Code(u8, u8),
}

impl Batch {
    /// Takes the stages in; `started_wall_ns` is the run's start as their times know it.
    pub(in crate::telemetry) fn fill(&mut self, entries: &[Entry], started_wall_ns: u64) {
        let base = entries
            .first()
            .map_or(TimeNs::ZERO, |first| first.event.t_ns);
        self.base_wall_ns = started_wall_ns.saturating_add(base.0);
        for (entry, position) in entries.iter().zip(0_u32..) {
            let event = &entry.event;
            self.events.push(WireEvent(
                event.t_ns.since_ns(base),
                event.request.0,
                event.value,
                event.component.0,
                event.peer.0,
                event.class.0,
                event.attempt,
                event.part.0,
                event.kind.code(),
                event.outcome.code(),
            ));
            if let Some(detail) = &entry.detail {
                let fields = detail.fields().iter();
                let named = fields.map(|(key, text)| ((*key).to_owned(), text.clone()));
                self.details.push((position, named.collect()));
            }
        }
    }

    pub(in crate::telemetry) fn event_count(&self) -> u64 {
        u64::try_from(self.events.len()).unwrap_or(u64::MAX)
    }

    /// Number of the stage after the batch's last one.
    pub(in crate::telemetry) fn end(&self) -> u64 {
        self.first.saturating_add(self.event_count())
    }

    pub(in crate::telemetry) fn encode(&self) -> Vec<u8> {
        // Numbers and texts always serialize; an empty batch would be refused by whoever reads it.
        rmp_serde::to_vec(self).unwrap_or_default()
    }

    pub(in crate::telemetry) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > BATCH_BYTES_MAX {
            return Err(WireError::TooLong(bytes.len()));
        }
        let batch: Self = rmp_serde::from_slice(bytes)?;
        if batch.events.len() > BATCH_EVENTS_MAX {
            return Err(WireError::TooMany(batch.events.len()));
        }
        for event in &batch.events {
            if EventKind::from_code(event.8).is_none() || Outcome::from_code(event.9).is_none() {
                return Err(WireError::Code(event.8, event.9));
            }
        }
        Ok(batch)
    }

    /// The stages, with times of the run that began at `started_wall_ns`.
    pub(in crate::telemetry) fn entries(&self, started_wall_ns: u64) -> Vec<Entry> {
        let mut details = self.details.iter().peekable();
        let mut entries = Vec::with_capacity(self.events.len());
        for (event, position) in self.events.iter().zip(0_u32..) {
            let detail = details.next_if(|(at, _)| *at == position);
            let Some(event) = self.event(event, started_wall_ns) else {
                continue;
            };
            entries.push(Entry {
                event,
                detail: detail.map(|(_, fields)| Box::new(Detail::of_others(fields))),
            });
        }
        entries
    }

    fn event(&self, wire: &WireEvent, started_wall_ns: u64) -> Option<StageEvent> {
        let wall_ns = self.base_wall_ns.saturating_add(wire.0);
        let t_ns = TimeNs(wall_ns.saturating_sub(started_wall_ns));
        let kind = EventKind::from_code(wire.8)?;
        let mut event = StageEvent::new(t_ns, kind, ComponentId(wire.3));
        event.request = RequestId(wire.1);
        event.value = wire.2;
        event.peer = ComponentId(wire.4);
        event.class = ClassId(wire.5);
        event.attempt = wire.6;
        event.part = PartId(wire.7);
        event.outcome = Outcome::from_code(wire.9)?;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        (0..5_u16)
            .map(|n| {
                let mut event = StageEvent::new(
                    TimeNs(1000 + u64::from(n)),
                    EventKind::ServiceEnded,
                    ComponentId(n),
                );
                event.request = RequestId(1 << 40);
                event.part = PartId(n);
                event.value = u64::MAX;
                event.outcome = Outcome::Failed;
                let detail = (n % 2 == 1).then(|| Box::new(Detail::of("reason", "sticky")));
                Entry { event, detail }
            })
            .collect()
    }

    #[test]
    fn a_batch_comes_back_at_the_time_of_the_other_start() {
        let mut batch = Batch {
            process: 3,
            first: 70,
            splits: vec![(9, 2)],
            roll_call: Some(RollCall::default()),
            ..Batch::default()
        };
        batch.fill(&entries(), 5_000);
        let read = Batch::decode(&batch.encode()).unwrap();
        assert_eq!(read, batch);
        assert_eq!(read.end(), 75);
        let back = read.entries(4_000);
        for (back, sent) in back.iter().zip(entries()) {
            let moved = StageEvent {
                t_ns: TimeNs(sent.event.t_ns.0 + 1_000),
                ..sent.event
            };
            assert_eq!(back.event, moved);
            assert_eq!(back.detail, sent.detail);
        }
        assert_eq!(back.len(), 5);
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        let mut batch = Batch::default();
        batch.fill(&entries(), 0);
        let sound = batch.encode();
        for cut in 0..sound.len() {
            assert!(Batch::decode(&sound[..cut]).is_err(), "{cut}");
        }
        let mut strange = batch.clone();
        strange.events[0].8 = 255;
        assert!(matches!(
            Batch::decode(&strange.encode()),
            Err(WireError::Code(255, _))
        ));
        let mut long = batch.clone();
        long.events = vec![batch.events[0]; BATCH_EVENTS_MAX + 1];
        assert!(matches!(
            Batch::decode(&long.encode()),
            Err(WireError::TooMany(_))
        ));
        // A length that promises more than there is reserves nothing.
        assert!(Batch::decode(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
