//! The end of a shipping process that talks to Redis.
//!
//! Belongs here: what is said and heard each time. Does not belong here: what waits (outgoing.rs).

use super::outgoing::{Outgoing, Parcel};
use super::{Keys, LEASE, Link, Mark, Pulse, STREAM_ENTRIES_MAX};
use crate::telemetry::clock::{Clock, Stamp};
use crate::telemetry::emit::{Elsewhere, Telemetry};
use crate::telemetry::ids::RequestIds;
use redis::{Pipeline, Value};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Longest silence towards Redis.
pub(super) const BEAT_INTERVAL: Duration = Duration::from_millis(20);
/// Longest wait at the end for a Redis that is away.
const END_WAIT_NS: u64 = 3_000_000_000;

/// Talks to Redis.
pub(super) struct Sender {
    pub(super) link: Link,
    pub(super) keys: Keys,
    pub(super) telemetry: Telemetry,
    pub(super) outgoing: Arc<Outgoing>,
    pub(super) asked: Arc<AtomicU64>,
    pub(super) process: u64,
    pub(super) steady: Clock,
}

impl Sender {
    /// True where all was sent.
    pub(super) fn run(mut self) -> bool {
        let mut ending_since = None;
        loop {
            #[cfg(test)]
            if self.telemetry.is_cut_off() {
                return false;
            }
            let parcel = self.outgoing.next(BEAT_INTERVAL);
            let is_sent = self.send(&parcel);
            if parcel.is_last && is_sent {
                return true;
            }
            if parcel.is_last {
                let now = self.steady.now();
                let since = *ending_since.get_or_insert(now);
                if now.since_ns(since) > END_WAIT_NS {
                    return false;
                }
            }
            if !is_sent {
                std::thread::park_timeout(BEAT_INTERVAL);
            }
        }
    }

    /// Sends what waited and hears the answer; false where Redis is away.
    pub(super) fn send(&mut self, parcel: &Parcel) -> bool {
        let wanted = match &self.telemetry.shared.ids {
            RequestIds::Leased(leases) => leases.wanted(),
            RequestIds::Counted(_) => None,
        };
        let question = self.question(&parcel.batches, parcel.mark, parcel.is_last, wanted);
        let answer = self.link.ask(|connection| {
            // All or nothing, so that a mark never speaks of batches that are not there.
            let mut values: Vec<Value> = question.query(connection)?;
            let leased = values.pop().filter(|_| wanted.is_some());
            let leased: Option<u64> = leased.map(redis::from_redis_value).transpose()?.flatten();
            let pulse: Option<Vec<u8>> = values
                .pop()
                .map(redis::from_redis_value)
                .transpose()?
                .flatten();
            let highest: Option<f64> = values
                .pop()
                .map(redis::from_redis_value)
                .transpose()?
                .flatten();
            Ok((highest, pulse, leased))
        });
        let Some(Ok((highest, pulse, leased))) = answer else {
            return false;
        };
        self.outgoing.sent(parcel.batches.len());
        self.telemetry.observe(Stamp(ns_from_score(highest)));
        if let (RequestIds::Leased(leases), Some(count), Some(last)) =
            (&self.telemetry.shared.ids, wanted, leased)
        {
            leases.lease(count, last);
        }
        if let Some(pulse) = pulse.as_deref().and_then(Pulse::decode) {
            self.hear(pulse);
        }
        true
    }

    fn question(
        &self,
        batches: &[Vec<u8>],
        mark: Mark,
        is_last: bool,
        wanted: Option<u64>,
    ) -> Pipeline {
        let keys = &self.keys;
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        for bytes in batches {
            pipeline
                .cmd("XADD")
                .arg(&keys.events)
                .arg("MAXLEN")
                .arg("~")
                .arg(STREAM_ENTRIES_MAX)
                .arg("*")
                .arg("b")
                .arg(bytes.as_slice())
                .ignore();
        }
        if is_last {
            pipeline
                .cmd("HDEL")
                .arg(&keys.alive)
                .arg(self.process)
                .ignore();
        } else {
            let sign = mark.encode();
            pipeline
                .cmd("HSET")
                .arg(&keys.alive)
                .arg(self.process)
                .arg(sign)
                .ignore();
        }
        pipeline
            .cmd("ZADD")
            .arg(&keys.clock)
            .arg("GT")
            .arg(self.telemetry.stamp().0)
            .arg("highest")
            .ignore()
            .cmd("ZSCORE")
            .arg(&keys.clock)
            .arg("highest")
            .cmd("GET")
            .arg(&keys.pulse);
        match wanted {
            Some(count) => pipeline
                .cmd("EVAL")
                .arg(LEASE)
                .arg(1)
                .arg(&keys.requests)
                .arg(count),
            None => pipeline.cmd("PING"),
        };
        pipeline
    }

    fn hear(&self, pulse: Pulse) {
        let shared = &self.telemetry.shared;
        if let RequestIds::Leased(leases) = &shared.ids {
            leases.heard_of(pulse.requests);
        }
        shared.folded.publish(pulse.counts);
        if let Some(elsewhere) = &shared.elsewhere {
            let mut held = elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
            if held.run_id != pulse.run_id && held.pulse.instance != 0 {
                tracing::info!("the recorder has begun another run");
            }
            *held = Elsewhere {
                run_id: pulse.run_id,
                pulse,
            };
        }
        self.asked.store(pulse.instance, Ordering::Release);
    }
}

/// Scores are floating-point numbers: exact up to 2^53 and close enough beyond, because they only help
/// clocks to meet; what must hold travels with the messages themselves.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a score is never negative, and rounds"
)]
pub(super) fn ns_from_score(score: Option<f64>) -> u64 {
    score.map_or(0, |score| score.max(0.0) as u64)
}
