//! What operators do to the queues.
//!
//! Belongs here: pausing, draining, the dead letters. Does not belong here: the store's side of it, what
//! is recorded about it (operations).

use super::Inner;
use super::link::{addition, unreachable};
use super::parcel::{Parcel, dead_id, run_id};
use crate::models::Channel;
use crate::queue::{Job, Phase, QueueError, first_queue};
use crate::telemetry::{Part, Place};
use std::time::Duration;

/// Runs of a climb whose dead letter is not in Redis.
const ATTEMPTS: u16 = 3;
/// Jobs taken out at once.
const DRAIN_BATCH: usize = 500;

impl Inner {
    pub(super) async fn set_paused(&self, queue: Place, paused: bool) -> Result<bool, QueueError> {
        let queue = self.link.queue(queue)?;
        if queue.is_paused().await.map_err(unreachable)? == paused {
            return Ok(false);
        }
        let done = if paused {
            queue.pause().await
        } else {
            queue.resume().await
        };
        done.map_err(unreachable)?;
        Ok(true)
    }

    /// Each job is taken out by one step, so that none of them is run as well.
    pub(super) async fn drain(&self, queue: Place, delayed: bool) -> Result<Vec<Job>, QueueError> {
        let mut ids = self.ids(queue, Phase::Waiting).await?;
        if delayed {
            ids.extend(self.ids(queue, Phase::Delayed).await?);
        }
        let ids: Vec<String> = ids.into_iter().map(|(id, _due)| id).collect();
        let mut drained = Vec::new();
        for chunk in ids.chunks(DRAIN_BATCH) {
            let parcels = self.parcels(queue, chunk).await?;
            for id in chunk {
                if self.take_out(queue, id).await?
                    && let Some(parcel) = parcels.get(id)
                {
                    drained.extend(parcel.job(self.part_here(parcel, queue)).ok());
                }
            }
        }
        Ok(drained)
    }

    /// A job that an earlier run left begins in this one, so that its end can be told here.
    fn part_here(&self, parcel: &Parcel, queue: Place) -> Part {
        if queue == first_queue(parcel.channel) {
            return self.part_of(parcel, queue);
        }
        let known = parcel.part_in(self.run_id().as_deref());
        known.unwrap_or_else(|| {
            let (class, failed) = (parcel.kind.class(), parcel.attempt.saturating_sub(1));
            self.telemetry.resume_delayed(class, queue, failed, 0)
        })
    }

    async fn take_out(&self, queue: Place, id: &str) -> Result<bool, QueueError> {
        let keys = self.link.keys(queue)?;
        let script = redis::Script::new(TAKE_OUT);
        let mut call = script.key(keys.wait());
        call.key(keys.prioritized())
            .key(keys.delayed())
            .key(keys.job_key(id));
        call.arg(id);
        self.link.script(&call).await
    }

    pub(super) async fn add_dead(&self, parcel: &Parcel) -> Result<(), QueueError> {
        let letter = addition(parcel, parcel.dead_id(), Duration::ZERO).priority(0);
        self.link.add(Place::Dlq, vec![letter]).await
    }

    pub(super) async fn requeue(&self, job: Job) -> Result<(), QueueError> {
        let queue = first_queue(job.channel);
        let parcel = Parcel::of(&job, self.run_id(), self.now());
        // The runs and rests of an earlier climb are over, and would be in the way.
        let dead = dead_id(&parcel.job_id);
        let letters = self
            .parcels(Place::Dlq, std::slice::from_ref(&dead))
            .await?;
        let last = letters.get(&dead).map_or(ATTEMPTS, |letter| letter.attempt);
        // The store says already that it waits: where this is broken off, the sweep adds what is missing.
        self.discard(job.id).await?;
        for attempt in 1..=last {
            let id = run_id(&parcel.job_id, attempt);
            for place in [queue].into_iter().chain(rests_of(job.channel)) {
                self.forget(place, &id).await?;
            }
        }
        let id = parcel.bull_id();
        self.link
            .add(
                queue,
                vec![addition(&parcel, id, self.faults.queue_delay(queue))],
            )
            .await
    }

    pub(super) async fn discard(&self, job: i64) -> Result<(), QueueError> {
        self.forget(Place::Dlq, &dead_id(&job.to_string())).await
    }
}

/// Where jobs of a channel rest between their runs.
fn rests_of(channel: Channel) -> impl Iterator<Item = Place> {
    let places: &[Place] = match channel {
        Channel::Email => &[Place::Retry1, Place::Retry2],
        Channel::InApp => &[Place::InAppRetry],
    };
    places.iter().copied()
}

/// In one step: a job that is in no list and yet there would count as waiting for ever.
const TAKE_OUT: &str = r"
local found = redis.call('LREM', KEYS[1], -1, ARGV[1]) + redis.call('ZREM', KEYS[2], ARGV[1])
  + redis.call('ZREM', KEYS[3], ARGV[1])
if found == 0 then return 0 end
redis.call('DEL', KEYS[4], KEYS[4] .. ':logs')
return 1
";
