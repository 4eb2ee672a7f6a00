//! What operators do to the queues.
//!
//! Belongs here: pausing, draining, the dead letters. Does not belong here: the store's side of it, what
//! is recorded about it (operations).

use super::Inner;
use super::link::{addition, unreachable};
use super::parcel::{Parcel, dead_id};
use crate::queue::{Job, Phase, QueueError, first_queue};
use crate::telemetry::Place;
use std::time::Duration;

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
                    drained.extend(self.told(parcel));
                }
            }
        }
        Ok(drained)
    }

    async fn take_out(&self, queue: Place, id: &str) -> Result<bool, QueueError> {
        let keys = self.link.keys(queue)?;
        let mut pipe = redis::pipe();
        pipe.atomic();
        pipe.cmd("LREM").arg(keys.wait()).arg(1).arg(id);
        pipe.cmd("ZREM").arg(keys.prioritized()).arg(id);
        pipe.cmd("ZREM").arg(keys.delayed()).arg(id);
        let (waiting, prioritized, delayed): (u64, u64, u64) = self.link.pipe(&pipe).await?;
        if waiting + prioritized + delayed == 0 {
            return Ok(false);
        }
        let key = keys.job_key(id);
        let mut pipe = redis::pipe();
        pipe.cmd("DEL")
            .arg(&key)
            .arg(format!("{key}:logs"))
            .ignore();
        self.link.pipe::<()>(&pipe).await?;
        Ok(true)
    }

    pub(super) async fn add_dead(&self, parcel: &Parcel) -> Result<(), QueueError> {
        let letter = addition(parcel, parcel.dead_id(), Duration::ZERO).priority(0);
        self.link.add(Place::Dlq, vec![letter]).await
    }

    pub(super) async fn requeue(&self, job: Job) -> Result<(), QueueError> {
        let queue = first_queue(job.channel);
        let parcel = Parcel::of(&job, self.run_id(), self.now());
        let id = parcel.bull_id();
        // The same run of an earlier climb is over, and would be in the way.
        self.forget(queue, &id).await?;
        self.link
            .add(queue, vec![addition(&parcel, id, Duration::ZERO)])
            .await?;
        self.discard(job.id).await
    }

    pub(super) async fn discard(&self, job: i64) -> Result<(), QueueError> {
        self.forget(Place::Dlq, &dead_id(&job.to_string())).await
    }
}
