//! The queues: mail, retry-1, retry-2, in-app, in-app-retry, and the dead letters.
//!
//! Belongs here: what every kind of queue can do, and the words for it. Does not belong here: how one
//! kind does it (embedded), the rows (store), what a run does (worker), what operators may do (operations).
//!
//! A job is stored before it is announced here, and announced (with its stages recorded) before a worker
//! can see it. The store is the truth and a queue is dispatch over it: where dispatch loses a job, for
//! example by a crash, the stored rows are announced again. So changes that follow a stored row cannot
//! fail for the caller; questions and operators' changes can.

mod embedded;
mod left;
mod redis;
mod turn;

pub(crate) use embedded::Embedded;
pub(crate) use left::LeftJob;
pub(crate) use redis::Redis;
pub(crate) use turn::Turn;

use crate::models::{Channel, Priority, UserId, WallMs};
use crate::store::jobs::NewJob;
use crate::telemetry::{Part, Place};
use serde::Serialize;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// All queues, in the order in which they are shown.
pub(crate) const QUEUES: [Place; 6] = [
    Place::Mail,
    Place::Retry1,
    Place::Retry2,
    Place::Dlq,
    Place::InApp,
    Place::InAppRetry,
];

/// A job in dispatch.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: i64,
    pub(crate) channel: Channel,
    pub(crate) notification: String,
    pub(crate) user: UserId,
    pub(crate) priority: Priority,
    /// Its request in this run; its attempt is the run that comes next or is going on.
    pub(crate) part: Part,
}

/// All queues; cheap to copy.
#[derive(Clone)]
pub(crate) enum Queues {
    /// In memory over the stored rows, in this process.
    Embedded(Embedded),
    /// On a Redis that several processes share, in BullMQ's layout.
    Redis(Redis),
}

/// Why a queue does not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum QueueError {
    #[error("queues cannot be reached: {text}; check that Redis runs and REDIS_URL names it")]
    Unreachable { text: String },
}

/// Longest wait for an answer that one can do without.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// Figures of one queue, jobs of earlier runs included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueueCounts {
    pub(crate) waiting: u64,
    pub(crate) active: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) delayed: u64,
    pub(crate) is_paused: bool,
}

/// Figures of one queue under its name.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct NamedCounts {
    pub(crate) name: &'static str,
    #[serde(flatten)]
    pub(crate) counts: QueueCounts,
}

/// Which jobs of a queue: those that dispatch knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Waiting,
    Active,
    Delayed,
}

/// A job as dispatch sees it.
#[derive(Clone, Debug)]
pub(crate) struct Dispatched {
    pub(crate) job: Job,
    /// Since when it is in this phase.
    pub(crate) since: WallMs,
    pub(crate) due_at: Option<WallMs>,
}

/// Where one job stands in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// That many jobs go first.
    Waiting {
        ahead: u64,
    },
    Active,
    Delayed {
        due_at: WallMs,
    },
}

impl Queues {
    /// Whether another request's jobs may be accepted, as far as this process knows.
    pub(crate) fn has_room(&self) -> bool {
        match self {
            Self::Embedded(queues) => queues.has_room(),
            Self::Redis(queues) => queues.has_room(),
        }
    }

    /// Whether they answer. While Redis is away its driver tries for long, so there is a limit.
    pub(crate) async fn is_well(&self) -> bool {
        match self {
            Self::Embedded(_) => true,
            Self::Redis(queues) => {
                let asked = tokio::time::timeout(ANSWER_MAX, queues.is_well()).await;
                asked.unwrap_or(false)
            }
        }
    }

    /// The run that is recorded, as its id's digits.
    pub(crate) fn run_id(&self) -> Option<String> {
        match self {
            Self::Embedded(queues) => queues.run_id(),
            Self::Redis(queues) => queues.run_id(),
        }
    }

    /// A request's stored jobs enter their queues, each as a part of it.
    pub(crate) async fn announce(&self, main: Part, from: Place, jobs: Vec<NewJob>) {
        match self {
            Self::Embedded(queues) => queues.announce(main, from, jobs),
            Self::Redis(queues) => queues.announce(main, from, jobs).await,
        }
    }

    /// Jobs that an earlier process left.
    pub(crate) async fn resume(&self, jobs: Vec<LeftJob>) {
        match self {
            Self::Embedded(queues) => queues.resume(jobs),
            Self::Redis(queues) => queues.resume(jobs).await,
        }
    }

    /// Waits until a job of this channel may be taken.
    pub(crate) async fn has_job(&self, channel: Channel) {
        match self {
            Self::Embedded(queues) => queues.lane(channel).has_job().await,
            Self::Redis(queues) => queues.has_job(channel).await,
        }
    }

    /// Takes the next job of this channel; it is active until [`Self::completed`], [`Self::park`],
    /// [`Self::bury`] or [`Self::dropped`] says how its run ended.
    pub(crate) async fn take(&self, channel: Channel) -> Option<Job> {
        match self {
            Self::Embedded(queues) => queues.lane(channel).take(),
            Self::Redis(queues) => queues.take(channel).await,
        }
    }

    /// Whether a taken in-app job may be told now; `sockets` says where its user is online, and is asked only
    /// where it matters. The run is in the others' way from here on, until it is written or over.
    pub(crate) async fn turn(
        &self,
        job: &Job,
        sockets: impl Future<Output = Option<String>>,
    ) -> Turn {
        match self {
            Self::Embedded(queues) => queues.lane(job.channel).turn(job).await,
            Self::Redis(queues) => queues.turn(job, sockets).await,
        }
    }

    /// What the job tells was written to those sockets.
    pub(crate) async fn written(&self, job: &Job, sockets: Option<&str>) {
        match self {
            Self::Embedded(queues) => queues.lane(job.channel).written(job.id),
            Self::Redis(queues) => queues.written(job, sockets).await,
        }
    }

    /// A taken job was not run: it is before its turn, and waits again.
    pub(crate) async fn put_back(&self, job: &Job, rest: Duration) {
        match self {
            Self::Embedded(queues) => queues.lane(job.channel).put_back(job.id, rest),
            Self::Redis(queues) => queues.put_back(job, rest).await,
        }
    }

    /// Somebody who was told of a job takes none: another one looks.
    pub(crate) async fn stir(&self, channel: Channel) {
        match self {
            Self::Embedded(queues) => queues.lane(channel).stir(),
            Self::Redis(queues) => queues.stir(channel).await,
        }
    }

    /// The run of a taken job went well; the job is gone.
    pub(crate) async fn completed(&self, job: &Job) {
        match self {
            Self::Embedded(queues) => queues.lane(job.channel).ended(job.id, true),
            Self::Redis(queues) => queues.completed(job).await,
        }
    }

    /// A taken job is gone without a good run, for example because it expired.
    pub(crate) async fn dropped(&self, job: &Job, reason: &str) {
        match self {
            Self::Embedded(queues) => queues.lane(job.channel).ended(job.id, false),
            Self::Redis(queues) => queues.dropped(job, reason).await,
        }
    }

    /// The run of a taken job failed and it rests at `via`; its stages are recorded already.
    pub(crate) async fn park(&self, job: Job, via: Place, rest: Duration, reason: &str) {
        match self {
            Self::Embedded(queues) => {
                queues.lane(job.channel).ended(job.id, false);
                queues.park(job, via, rest);
            }
            Self::Redis(queues) => queues.park(job, via, rest, reason).await,
        }
    }

    /// The last run of a taken job failed and it rests with the dead letters.
    pub(crate) async fn bury(&self, job: Job, reason: &str) {
        match self {
            Self::Embedded(queues) => {
                queues.lane(job.channel).ended(job.id, false);
                queues.count_dead(1);
            }
            Self::Redis(queues) => queues.bury(job, reason).await,
        }
    }

    /// The user is here again: in-app jobs parked for that user are due now.
    pub(crate) async fn wake_user(&self, user: UserId) {
        match self {
            Self::Embedded(queues) => queues.wake_user(user),
            Self::Redis(queues) => queues.wake_user(user).await,
        }
    }

    /// Sends parked jobs on when they are due, until stopped; what is parked then stays stored.
    pub(crate) fn start(&self, tracker: &TaskTracker, stop: &CancellationToken) {
        match self {
            Self::Embedded(queues) => queues.start(tracker, stop),
            Self::Redis(queues) => queues.start(tracker, stop),
        }
    }

    /// Figures of every queue, in the order of [`QUEUES`].
    pub(crate) async fn counts(&self) -> Result<[NamedCounts; 6], QueueError> {
        match self {
            Self::Embedded(queues) => Ok(queues.counts()),
            Self::Redis(queues) => queues.counts().await,
        }
    }

    /// The same for pages that show much else; `None` where it cannot be had now.
    pub(crate) async fn counts_if_any(&self) -> Option<[NamedCounts; 6]> {
        let counted = tokio::time::timeout(ANSWER_MAX, self.counts()).await;
        counted.ok()?.ok()
    }
}

/// What operators do.
impl Queues {
    /// Nothing leaves a paused queue by itself; the answer is whether that changed anything.
    pub(crate) async fn set_paused(&self, queue: Place, paused: bool) -> Result<bool, QueueError> {
        match self {
            Self::Embedded(queues) => Ok(queues.set_paused(queue, paused)),
            Self::Redis(queues) => queues.set_paused(queue, paused).await,
        }
    }

    /// Takes the waiting jobs out of a queue, the delayed ones too where asked; none of them runs any more.
    /// Not for the dead letters, which only the store knows.
    pub(crate) async fn drain(&self, queue: Place, delayed: bool) -> Result<Vec<Job>, QueueError> {
        match self {
            Self::Embedded(queues) => Ok(queues.drain(queue, delayed)),
            Self::Redis(queues) => queues.drain(queue, delayed).await,
        }
    }

    /// One dead letter enters its first queue again, as stored and recorded by the caller.
    pub(crate) async fn requeue(&self, job: Job) -> Result<(), QueueError> {
        match self {
            Self::Embedded(queues) => {
                queues.requeue(job);
                Ok(())
            }
            Self::Redis(queues) => queues.requeue(job).await,
        }
    }

    /// One dead letter is gone.
    pub(crate) async fn discard(&self, job: i64) -> Result<(), QueueError> {
        match self {
            Self::Embedded(queues) => {
                queues.forget_dead(1);
                Ok(())
            }
            Self::Redis(queues) => queues.discard(job).await,
        }
    }

    /// Jobs of a queue in the order in which they leave, and how many there are.
    pub(crate) async fn jobs(
        &self,
        queue: Place,
        phase: Phase,
        offset: usize,
        limit: usize,
    ) -> Result<(Vec<Dispatched>, u64), QueueError> {
        match self {
            Self::Embedded(queues) => Ok(queues.jobs(queue, phase, offset, limit)),
            Self::Redis(queues) => queues.jobs(queue, phase, offset, limit).await,
        }
    }

    /// Where a job stands in a queue; `None` where it is not there.
    pub(crate) async fn standing(
        &self,
        queue: Place,
        job: i64,
    ) -> Result<Option<Standing>, QueueError> {
        match self {
            Self::Embedded(queues) => Ok(queues.standing(queue, job)),
            Self::Redis(queues) => queues.standing(queue, job).await,
        }
    }
}

impl Job {
    pub(crate) fn new(job: NewJob, part: Part) -> Self {
        Self {
            id: job.id,
            channel: job.channel,
            notification: job.notification,
            user: job.user,
            priority: job.priority,
            part,
        }
    }
}

/// The queue with this name.
pub(crate) fn queue_named(name: &str) -> Option<Place> {
    QUEUES.into_iter().find(|queue| queue.name() == name)
}

/// Where a channel's jobs wait for a worker.
pub(crate) const fn first_queue(channel: Channel) -> Place {
    match channel {
        Channel::Email => Place::Mail,
        Channel::InApp => Place::InApp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Class;
    use flowreel_engine::model::id::RequestId;

    /// A job that differs from others in its number only.
    pub(super) fn job(id: i64) -> Job {
        Job {
            id,
            channel: Channel::InApp,
            notification: id.to_string(),
            user: UserId(1),
            priority: Priority::Normal,
            part: Part::main(RequestId(1), Class::Login),
        }
    }

    #[test]
    fn six_queues_have_their_names() {
        let names = QUEUES.map(Place::name);
        assert_eq!(
            names,
            [
                "mail",
                "retry-1",
                "retry-2",
                "dlq",
                "in-app",
                "in-app-retry"
            ]
        );
        for queue in QUEUES {
            assert_eq!(queue_named(queue.name()), Some(queue));
        }
        assert_eq!(queue_named("database"), None);
    }
}
