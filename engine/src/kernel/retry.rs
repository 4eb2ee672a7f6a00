//! Retry ladders: parked for a delay, then back to where it failed.
//!
//! Belongs here: climbing, parking, returning. Does not belong here: which delays (scenario).

use super::rng::Stream;
use super::sampler::whole;
use super::slab::{NOWHERE, Part};
use super::station::Bucket;
use super::{Appointment, Kernel, KernelError, Sink};
use crate::model::event::{EventKind, Outcome, StageEvent};
use crate::model::id::ComponentId;
use crate::model::time::TimeNs;
use crate::model::time::ns_from_seconds;
use crate::scenario::limit::{Backoff, Jitter, RateLimit};
use crate::scenario::valid::{Role, RuleId};

/// A bucket of retries: one second's worth of them at once, at least one.
pub(super) fn budget(per_s: f64) -> Bucket {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most 1e9, as the scenario's check says"
    )]
    let burst = per_s.max(1.0) as u32;
    Bucket::new(RateLimit {
        per_s,
        burst,
        drops: true,
        ticks: false,
    })
}

/// The delay before retry `step`, counted from 0; `before_ns` is the one before it.
#[expect(
    clippy::cast_precision_loss,
    reason = "delays past 104 days need no single nanoseconds"
)]
pub(super) fn backoff_ns(backoff: Backoff, step: u16, before_ns: u64, stream: &mut Stream) -> u64 {
    const NS: f64 = 1e9;
    let Backoff {
        first_s,
        factor,
        max_s,
        jitter,
    } = backoff;
    let grown_s = (first_s * libm::pow(factor, f64::from(step))).min(max_s);
    let exact = || ns_from_seconds(grown_s).unwrap_or(u64::MAX);
    let between = |low: f64, high: f64, u: f64| whole((low + (high - low) * u) * NS);
    match jitter {
        Jitter::None => exact(),
        Jitter::Full => between(0.0, grown_s, stream.uniform()),
        Jitter::Equal => between(grown_s / 2.0, grown_s, stream.uniform()),
        Jitter::Share(share) => between(
            grown_s * (1.0 - share),
            grown_s * (1.0 + share),
            stream.uniform(),
        ),
        Jitter::Decorrelated => {
            let before_s = if step == 0 {
                first_s
            } else {
                before_ns as f64 / NS
            };
            let drawn = between(first_s, (before_s * 3.0).max(first_s), stream.uniform());
            drawn.min(ns_from_seconds(max_s).unwrap_or(u64::MAX))
        }
    }
}

impl Kernel {
    /// One step up the ladder, or off its end.
    pub(super) fn climb<S: Sink>(
        &mut self,
        slot: u32,
        from: u16,
        rule: RuleId,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let part = self.parts.get_mut(slot);
        if part.ladder != rule.0 {
            part.ladder = rule.0;
            part.ladder_step = 0;
        }
        let step = part.ladder_step;
        part.ladder_step = step.saturating_add(1);
        let (queue, before_ns) = (part.queue, part.delay_ns);
        match self.router.climb(rule, step, before_ns, self.now) {
            Err(then) => self.go(slot, from, then, sink),
            Ok((delay_ns, via)) => {
                let event = self.event(EventKind::RetryScheduled, from, slot);
                let peer = ComponentId(via);
                self.emit(
                    StageEvent {
                        peer,
                        value: delay_ns,
                        ..event
                    },
                    sink,
                );
                let was_pulled =
                    queue != NOWHERE && self.stations[usize::from(from)].queues.contains(&queue);
                let part = self.parts.get_mut(slot);
                part.delay_ns = delay_ns;
                part.is_parking = true;
                part.returns_to = if was_pulled { queue } else { from };
                self.forward(slot, from, via, sink)
            }
        }
    }

    /// Arrives where it is parked; in service from the first moment.
    pub(super) fn park<S: Sink>(&mut self, slot: u32, sink: &mut S) -> Result<(), KernelError> {
        let now = self.now;
        let part = self.parts.get_mut(slot);
        part.started_ns = now;
        let Part {
            at, from, delay_ns, ..
        } = *part;
        self.stations[usize::from(at)].present += 1;
        let event = self.event(EventKind::JobDelayed, at, slot);
        self.emit(
            StageEvent {
                peer: ComponentId(from),
                value: delay_ns,
                ..event
            },
            sink,
        );
        sink.arrived(TimeNs(now), ComponentId(at));
        sink.started(TimeNs(now), ComponentId(at), 0);
        let turn = self.turn_of(slot);
        self.plan(delay_ns, Appointment::ParkingEnd(slot, turn), at)
    }

    /// The delay is over: back to where it failed, one attempt on.
    pub(super) fn parking_end<S: Sink>(
        &mut self,
        slot: u32,
        turn: u32,
        sink: &mut S,
    ) -> Result<(), KernelError> {
        let now = self.now;
        let Part {
            at,
            started_ns,
            returns_to,
            turn: turn_now,
            ..
        } = *self.parts.get(slot);
        if turn_now != turn {
            return Ok(());
        }
        self.stations[usize::from(at)].present -= 1;
        let event = self.event(EventKind::ServiceEnded, at, slot);
        self.emit(
            StageEvent {
                outcome: Outcome::Ok,
                ..event
            },
            sink,
        );
        sink.ended(TimeNs(now), ComponentId(at), 0, now - started_ns, true);
        let part = self.parts.get_mut(slot);
        part.is_parking = false;
        // Away from queues attempts are counted from the first retry on.
        let attempt = if self.stations[usize::from(returns_to)].role == Role::Hold {
            part.attempt
        } else {
            part.attempt.max(1)
        };
        part.attempt = attempt.saturating_add(1);
        self.forward(slot, at, returns_to, sink)
    }
}
