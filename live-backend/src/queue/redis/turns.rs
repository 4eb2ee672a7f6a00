//! Whose turn it is, where several processes tell one user.
//!
//! Belongs here: what of a user is on its way, here and at other processes. Does not belong here: telling.
//!
//! The store says what is to be told before a job, whatever Redis knows of it: it may be held by a process
//! that was killed. Which of it has been written is told by a mark that names the sockets it was written
//! to, so that what a broken connection took along counts as not written.

use super::Inner;
use super::parcel::run_id;
use super::taking::{Ending, wall_ms};
use crate::queue::turn::{PATIENCE, REST, Turn, rest_behind};
use crate::queue::{Job, QueueError};
use crate::store::jobs::EarlierJob;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A mark outlives the wait for a confirmation.
const MARK_LIFE: Duration = Duration::from_secs(10);
/// So many earlier ones may be written soon.
const FEW: usize = 3;
/// When to look again what has become of them.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// A job that was taken so often waits for nobody any more: after two minutes at least.
const STARTS_MAX: u32 = 480;

/// In-app runs of this process.
#[derive(Default)]
pub(super) struct Turns {
    /// The sockets each was written to; none yet where it is about to write.
    runs: Mutex<BTreeMap<i64, Option<String>>>,
    moved: Notify,
}

impl Turns {
    fn begun(&self, job: i64) {
        self.runs().insert(job, None);
    }

    fn written(&self, job: i64, sockets: &str) {
        if let Some(written) = self.runs().get_mut(&job) {
            *written = Some(sockets.to_owned());
        }
        self.moved.notify_waiters();
    }

    /// The run is over, well or not.
    pub(super) fn ended(&self, job: i64) {
        if self.runs().remove(&job).is_some() {
            self.moved.notify_waiters();
        }
    }

    fn is_about_to_write(&self, job: i64) -> bool {
        matches!(self.runs().get(&job), Some(None))
    }

    fn is_written_to(&self, job: i64, sockets: &str) -> bool {
        matches!(self.runs().get(&job), Some(Some(written)) if written == sockets)
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<i64, Option<String>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether this job may be told now.
    pub(super) async fn turn(
        &self,
        job: &Job,
        sockets: impl Future<Output = Option<String>>,
    ) -> Turn {
        self.turns.begun(job.id);
        if self.in_app.starts(job.id) > STARTS_MAX {
            tracing::warn!(job.id, "job {} waits no longer for earlier ones", job.id);
            return Turn::FREE;
        }
        let give_up_at = Instant::now() + PATIENCE;
        let (mut sockets, mut known) = (pin!(sockets), None);
        loop {
            // Made before the look, so that a move in between is not missed.
            let moved = self.turns.moved.notified();
            let asked = self.store.earlier_jobs(job.user, job.priority, job.id);
            let earlier = match asked.await {
                Ok(earlier) if earlier.is_empty() => return Turn::FREE,
                Ok(earlier) => earlier,
                Err(error) => {
                    tracing::debug!(%error, "what goes before job {} is unknown: {error}", job.id);
                    return Turn::Later(REST);
                }
            };
            if known.is_none() {
                known = Some(sockets.as_mut().await);
            }
            // Who is away is told nothing, in whatever order.
            let Some(Some(sockets)) = &known else {
                return Turn::FREE;
            };
            let mut about_to = earlier.iter();
            if about_to.any(|earlier| self.turns.is_about_to_write(earlier.id))
                && tokio::time::timeout_at(give_up_at, moved).await.is_ok()
            {
                continue;
            }
            return match self.is_free(job, &earlier, sockets).await {
                Ok(true) => Turn::Now {
                    sockets: Some(sockets.clone()),
                },
                // Stored already, and about to be announced or taken: sooner than this one would be back. What was
                // woken needs longer, and a second look would find that it does not rest and let this one pass.
                Ok(false) if is_soon(&earlier) && Instant::now() < give_up_at => {
                    // Whoever moves here tells nothing of those elsewhere, and may move a thousand times a second.
                    tokio::time::sleep_until(Instant::now() + LOOK_AGAIN).await;
                    continue;
                }
                Ok(false) => Turn::Later(rest_behind(earlier.len())),
                Err(error) => {
                    tracing::debug!(%error, "{error}");
                    Turn::Later(REST)
                }
            };
        }
    }

    /// Whether all of these were written to the sockets that the user has now.
    async fn is_free(
        &self,
        job: &Job,
        earlier: &[EarlierJob],
        sockets: &str,
    ) -> Result<bool, QueueError> {
        let elsewhere = earlier
            .iter()
            .filter(|it| !self.turns.is_written_to(it.id, sockets));
        let elsewhere: Vec<EarlierJob> = elsewhere.copied().collect();
        if elsewhere.is_empty() {
            return Ok(true);
        }
        let mut pipe = redis::pipe();
        pipe.cmd("MGET");
        for earlier in &elsewhere {
            pipe.arg(mark_key(earlier.id, earlier.attempt));
        }
        let (marks,): (Vec<Option<String>>,) = self.link.pipe(&pipe).await?;
        let all = elsewhere.iter().zip(marks);
        let unwritten = all.filter(|(_, mark)| mark.as_deref() != Some(sockets));
        let (missed, others): (Vec<_>, Vec<_>) = unwritten.partition(|(it, _)| it.is_missed);
        if missed.is_empty() && others.is_empty() {
            return Ok(true);
        }
        // What found the user away goes first now that the user is here, unless an operator keeps it.
        let is_woken = missed.is_empty() || self.wake(job.user).await?;
        Ok(others.is_empty() && !is_woken)
    }

    /// The job was written to these sockets, which other processes learn as well.
    pub(super) async fn mark_written(&self, job: &Job, sockets: &str) {
        self.turns.written(job.id, sockets);
        let mut pipe = redis::pipe();
        let life_ms = u64::try_from(MARK_LIFE.as_millis()).unwrap_or(u64::MAX);
        pipe.cmd("SET").arg(mark_key(job.id, job.part.attempt));
        pipe.arg(sockets).arg("PX").arg(life_ms).ignore();
        if let Err(error) = self.link.pipe::<()>(&pipe).await {
            tracing::debug!(%error, "{error}");
        }
    }

    /// A taken job waits again, as if it had not been taken. All that go back at about the same time come
    /// again at once, in the order in which they went.
    pub(super) async fn put_back(self: &Arc<Self>, job: &Job, rest: Duration) {
        let due_ms = due_after(wall_ms(), rest);
        let taking = self.taking(job.channel);
        drop(taking.end(self, job.id, Ending::PutBack(due_ms)).await);
        self.turns.ended(job.id);
    }
}

/// Whether the earlier ones may all be written within a moment.
fn is_soon(earlier: &[EarlierJob]) -> bool {
    earlier.len() <= FEW && earlier.iter().all(|it| !it.is_missed)
}

/// The full quarter of a second at which a job comes again: one later at most than it is to rest.
fn due_after(now_ms: u64, rest: Duration) -> u64 {
    let quarter_ms = u64::try_from(REST.as_millis()).unwrap_or(u64::MAX);
    let rest_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
    let quarters = (now_ms / quarter_ms).saturating_add(rest_ms.div_ceil(quarter_ms));
    quarters.saturating_add(1).saturating_mul(quarter_ms)
}

/// To which sockets a run was written; beside BullMQ's own keys.
fn mark_key(job: i64, attempt: u16) -> String {
    format!("flowreel:written:{}", run_id(&job.to_string(), attempt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_rests_in_proportion_to_what_is_before_it_and_in_its_order() {
        let due = |before| due_after(10_100, rest_behind(before));
        assert_eq!([due(1), due(2), due(10)], [10_500; 3], "as ever");
        assert_eq!([due(11), due(20), due(64)], [10_750, 10_750, 12_000]);
        assert_eq!(due(usize::MAX), 12_250);
        assert_eq!(due_after(10_249, REST), 10_500);
        assert_eq!(due_after(10_250, REST), 10_750);
    }

    #[test]
    fn who_was_missed_is_not_waited_for_in_the_worker() {
        let job = |is_missed| EarlierJob {
            id: 1,
            attempt: 1,
            is_missed,
        };
        assert!(is_soon(&[job(false); FEW]));
        assert!(!is_soon(&[job(false); FEW + 1]));
        assert!(!is_soon(&[job(false), job(true)]));
    }
}
