//! What is in the queues: figures of each, jobs of one, where one job stands.
//!
//! Belongs here: questions. Does not belong here: changes.

use super::Inner;
use super::outbox::{TRIMMED, trimmed_field};
use super::parcel::{Parcel, run_id};
use super::taking::due_ms;
use crate::models::WallMs;
use crate::queue::{
    Dispatched, Job, NamedCounts, Phase, QUEUES, QueueCounts, QueueError, Standing,
};
use crate::telemetry::{Part, Place};
use bullmq::QueueKeys;
use flowreel_engine::model::id::RequestId;
use std::collections::BTreeMap;

/// Runs of one job that are looked for; ladders are shorter.
const ATTEMPTS_MAX: u16 = 20;

/// What is asked per queue, in this order.
type Counted = (
    bool,
    u64,
    u64,
    u64,
    u64,
    u64,
    u64,
    u64,
    Option<u64>,
    Option<u64>,
);

impl Inner {
    pub(super) async fn counts(&self) -> Result<[NamedCounts; 6], QueueError> {
        let mut counts = QUEUES.map(|queue| NamedCounts {
            name: queue.name(),
            counts: QueueCounts::default(),
        });
        let mut open = 0_u64;
        for (queue, named) in QUEUES.into_iter().zip(&mut counts) {
            named.counts = self.counts_of(queue).await?;
            if queue != Place::Dlq {
                open = open
                    .saturating_add(named.counts.waiting)
                    .saturating_add(named.counts.delayed);
            }
        }
        self.outbox.note_open(open);
        Ok(counts)
    }

    async fn counts_of(&self, queue: Place) -> Result<QueueCounts, QueueError> {
        let keys = self.link.keys(queue)?;
        let mut pipe = redis::pipe();
        pipe.cmd("HEXISTS").arg(keys.meta()).arg("paused");
        pipe.cmd("LLEN").arg(keys.wait());
        pipe.cmd("LLEN").arg(keys.paused());
        pipe.cmd("ZCARD").arg(keys.prioritized());
        pipe.cmd("LLEN").arg(keys.active());
        pipe.cmd("ZCARD").arg(keys.completed());
        pipe.cmd("ZCARD").arg(keys.failed());
        pipe.cmd("ZCARD").arg(keys.delayed());
        for word in ["completed", "failed"] {
            pipe.cmd("HGET")
                .arg(TRIMMED)
                .arg(trimmed_field(queue, word));
        }
        let (
            is_paused,
            waiting,
            paused,
            prioritized,
            active,
            completed,
            failed,
            delayed,
            gone,
            lost,
        ): Counted = self.link.pipe(&pipe).await?;
        Ok(QueueCounts {
            waiting: waiting.saturating_add(paused).saturating_add(prioritized),
            active,
            completed: completed.saturating_add(gone.unwrap_or(0)),
            failed: failed.saturating_add(lost.unwrap_or(0)),
            delayed,
            is_paused,
        })
    }

    pub(super) async fn jobs(
        &self,
        queue: Place,
        phase: Phase,
        offset: usize,
        limit: usize,
    ) -> Result<(Vec<Dispatched>, u64), QueueError> {
        let ids = self.ids(queue, phase).await?;
        let total = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        let page: Vec<&(String, Option<u64>)> = ids.iter().skip(offset).take(limit).collect();
        if page.is_empty() {
            return Ok((Vec::new(), total));
        }
        let keys = self.link.keys(queue)?;
        let mut pipe = redis::pipe();
        for (id, _) in &page {
            pipe.cmd("HMGET").arg(keys.job_key(id));
            pipe.arg("data").arg("timestamp").arg("processedOn");
        }
        let found: Vec<(Option<String>, Option<u64>, Option<u64>)> = self.link.pipe(&pipe).await?;
        let jobs = page.iter().zip(found);
        let dispatched = jobs.filter_map(|((_, due_ms), (data, added, begun))| {
            // Jobs of other programs have no number until they are taken.
            let parcel: Parcel = serde_json::from_str(&data?).ok()?;
            let since = match phase {
                Phase::Active => begun.or(added),
                Phase::Waiting | Phase::Delayed => added,
            };
            Some(Dispatched {
                job: self.told(&parcel)?,
                since: WallMs(since?),
                due_at: due_ms.map(WallMs),
            })
        });
        Ok((dispatched.collect(), total))
    }

    /// All ids of a phase in the order in which they leave, delayed ones with their due time.
    pub(super) async fn ids(
        &self,
        queue: Place,
        phase: Phase,
    ) -> Result<Vec<(String, Option<u64>)>, QueueError> {
        let keys = self.link.keys(queue)?;
        let mut pipe = redis::pipe();
        match phase {
            Phase::Waiting => {
                pipe.cmd("LRANGE").arg(keys.wait()).arg(0).arg(-1);
                pipe.cmd("ZRANGE").arg(keys.prioritized()).arg(0).arg(-1);
                let (waiting, prioritized): (Vec<String>, Vec<String>) =
                    self.link.pipe(&pipe).await?;
                let in_order = waiting.into_iter().rev().chain(prioritized);
                Ok(in_order.map(|id| (id, None)).collect())
            }
            Phase::Active => {
                pipe.cmd("LRANGE").arg(keys.active()).arg(0).arg(-1);
                let (active,): (Vec<String>,) = self.link.pipe(&pipe).await?;
                Ok(active.into_iter().rev().map(|id| (id, None)).collect())
            }
            Phase::Delayed => {
                pipe.cmd("ZRANGE")
                    .arg(keys.delayed())
                    .arg(0)
                    .arg(-1)
                    .arg("WITHSCORES");
                let (delayed,): (Vec<(String, String)>,) = self.link.pipe(&pipe).await?;
                Ok(delayed
                    .into_iter()
                    .map(|(id, score)| (id, due_ms(&score)))
                    .collect())
            }
        }
    }

    pub(super) async fn standing(
        &self,
        queue: Place,
        job: i64,
    ) -> Result<Option<Standing>, QueueError> {
        let taking = [&self.mail, &self.in_app];
        if [Place::Mail, Place::InApp].contains(&queue)
            && taking
                .iter()
                .any(|taking| taking.active_since(job).is_some())
        {
            return Ok(Some(Standing::Active));
        }
        let keys = self.link.keys(queue)?;
        let mut pipe = redis::pipe();
        let number = job.to_string();
        for attempt in 1..=ATTEMPTS_MAX {
            ask_for(&mut pipe, keys, &run_id(&number, attempt));
        }
        pipe.cmd("LLEN").arg(keys.wait());
        let mut found: Vec<redis::Value> = self.link.pipe(&pipe).await?;
        let waiting: u64 = read(found.pop())?.unwrap_or(0);
        // The latest run is where the job is.
        for places in found.chunks_exact(4).rev() {
            let [active, wait, prioritized, delayed] = places else {
                continue;
            };
            if read::<u64>(Some(active.clone()))?.is_some() {
                return Ok(Some(Standing::Active));
            }
            if let Some(position) = read::<u64>(Some(wait.clone()))? {
                let ahead = waiting.saturating_sub(position).saturating_sub(1);
                return Ok(Some(Standing::Waiting { ahead }));
            }
            if let Some(rank) = read::<u64>(Some(prioritized.clone()))? {
                let ahead = waiting.saturating_add(rank);
                return Ok(Some(Standing::Waiting { ahead }));
            }
            let score: Option<String> = read(Some(delayed.clone()))?;
            if let Some(due_ms) = score.as_deref().and_then(due_ms) {
                return Ok(Some(Standing::Delayed {
                    due_at: WallMs(due_ms),
                }));
            }
        }
        Ok(None)
    }

    /// A job as it is told about; its request may be of an earlier run.
    pub(super) fn told(&self, parcel: &Parcel) -> Option<Job> {
        let known = parcel.part_in(self.run_id().as_deref());
        let earlier = Part::main(RequestId(0), parcel.kind.class()).with_attempt(parcel.attempt);
        parcel.job(known.unwrap_or(earlier)).ok()
    }

    /// What the ids in a queue stand for, those of other programs left out.
    pub(super) async fn parcels(
        &self,
        queue: Place,
        ids: &[String],
    ) -> Result<BTreeMap<String, Parcel>, QueueError> {
        let keys = self.link.keys(queue)?;
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut pipe = redis::pipe();
        for id in ids {
            pipe.cmd("HGET").arg(keys.job_key(id)).arg("data");
        }
        let data: Vec<Option<String>> = self.link.pipe(&pipe).await?;
        let parcels = ids.iter().zip(data);
        Ok(parcels
            .filter_map(|(id, data)| Some((id.clone(), serde_json::from_str(&data?).ok()?)))
            .collect())
    }
}

fn ask_for(pipe: &mut redis::Pipeline, keys: &QueueKeys, id: &str) {
    pipe.cmd("LPOS").arg(keys.active()).arg(id);
    pipe.cmd("LPOS").arg(keys.wait()).arg(id);
    pipe.cmd("ZRANK").arg(keys.prioritized()).arg(id);
    pipe.cmd("ZSCORE").arg(keys.delayed()).arg(id);
}

fn read<T: redis::FromRedisValue>(value: Option<redis::Value>) -> Result<Option<T>, QueueError> {
    let value = value.unwrap_or(redis::Value::Nil);
    redis::from_redis_value(value).map_err(|error| QueueError::Unreachable {
        text: error.to_string(),
    })
}
