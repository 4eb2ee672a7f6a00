//! Workers: pull jobs, run them at their rate, climb the ladder when a run fails.
//!
//! Belongs here: rate, concurrency, what follows from a failure. Does not belong here: the order of
//! jobs (queue), sending (email, websocket).

pub(crate) mod backoff;
mod consumer;
pub(crate) mod crew;
mod jobs;
mod pace;

pub(crate) use consumer::start;

use crate::email::transport::Mailer;
use crate::faults::Faults;
use crate::models::{Channel, WallMs};
use crate::queue::{Job, Queues};
use crate::store::Store;
use crate::store::jobs::RunEnd;
use crate::store::step::RunStep;
use crate::telemetry::visit::AfterFailure;
use crate::telemetry::{Place, Telemetry, Visit};
use crate::websocket::Sockets;
use backoff::{Ladder, Step};
use crew::Crews;
use std::sync::Arc;

/// What every run needs.
pub(crate) struct Worker {
    pub(crate) telemetry: Telemetry,
    pub(crate) store: Store,
    pub(crate) queues: Queues,
    pub(crate) crews: Arc<Crews>,
    pub(crate) mailer: Mailer,
    pub(crate) sockets: Sockets,
    pub(crate) faults: Arc<Faults>,
    /// The relay is ours and shows its faults itself.
    pub(crate) is_relay_embedded: bool,
    pub(crate) ladder: Ladder,
}

/// Why a run failed.
pub(crate) struct RunFailure {
    /// SMTP's reply code, 0 where there is none.
    pub(crate) reply_code: u16,
    pub(crate) reason: String,
    /// A later run cannot go better.
    pub(crate) is_lasting: bool,
    /// The user had no socket; a user who has one by now is told at once.
    pub(crate) is_offline: bool,
}

impl Worker {
    /// A step of a run at `place`, as delays and faults there allow.
    async fn pass(&self, place: Place) -> Result<(), RunFailure> {
        let passed = self.faults.pass(place).await;
        passed.map_err(|refused| RunFailure {
            reply_code: refused.code,
            reason: format!("{} refused by an injected fault", place.name()),
            is_lasting: false,
            is_offline: false,
        })
    }

    /// The relay's part of delays and faults that the relay does not show itself.
    async fn pass_relay(&self) -> Result<(), RunFailure> {
        if !self.is_relay_embedded {
            let passed = self.pass(Place::Smtp).await;
            return passed.map_err(|failure| RunFailure {
                is_lasting: failure.reply_code >= 500,
                ..failure
            });
        }
        self.faults.wait(self.faults.stage_delay(Place::Smtp)).await;
        Ok(())
    }

    fn now(&self) -> WallMs {
        WallMs(self.telemetry.clock().wall_ms())
    }

    /// What the history keeps about this run.
    fn run_end(job: &Job, code: Option<u16>, reason: String) -> RunEnd {
        RunEnd {
            job: job.id,
            request: job.part.request,
            notification: job.notification.clone(),
            channel: job.channel,
            attempt: job.part.attempt,
            code,
            reason,
            is_missed: false,
        }
    }

    /// The run failed: the job rests for its next run, or with the dead letters.
    async fn fail(&self, job: Job, visit: Visit, failure: RunFailure) {
        let now = self.now();
        let code = (failure.reply_code > 0).then_some(failure.reply_code);
        let end = RunEnd {
            is_missed: failure.is_offline,
            ..Self::run_end(&job, code, failure.reason.clone())
        };
        let step = if failure.is_lasting {
            Step::DeadLetter
        } else {
            self.ladder.after(job.channel, job.part.attempt)
        };
        let (stored, next) = match step {
            Step::Rest { via, rest } => {
                let rest_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
                let due_at = WallMs(now.0.saturating_add(rest_ms));
                let delay_ns = u64::try_from(rest.as_nanos()).unwrap_or(u64::MAX);
                let delayed = RunStep::Delayed {
                    station: via.name(),
                    due_at,
                };
                let stored = self.store.step(end, delayed, now).await;
                (stored, AfterFailure::Retry { via, delay_ns })
            }
            Step::DeadLetter => (
                self.store.step(end, RunStep::Dead, now).await,
                AfterFailure::DeadLetter,
            ),
        };
        if let Err(error) = stored {
            // The row still says that this run is to come: after a restart it is made again.
            tracing::error!(%error, job.id, "failed run of job {} cannot be stored: {error}", job.id);
        }
        visit.job_failed(failure.reply_code, &failure.reason, next);
        match step {
            Step::Rest { via, rest } => {
                let user = job.user;
                self.queues.park(job, via, rest, &failure.reason).await;
                // Whoever came between the run and the rest found nothing to wake.
                if failure.is_offline && self.sockets.has_user(user).await {
                    self.queues.wake_user(user).await;
                }
            }
            Step::DeadLetter => self.queues.bury(job, &failure.reason).await,
        }
    }

    /// Whether this kind of job is sent by this channel's worker.
    const fn place(channel: Channel) -> Place {
        match channel {
            Channel::Email => Place::MailWorker,
            Channel::InApp => Place::InAppWorker,
        }
    }
}
