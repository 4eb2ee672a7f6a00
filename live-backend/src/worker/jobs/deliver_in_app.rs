//! Delivers one in-app notification to its recipient's sockets and waits for the confirmation.
//!
//! Belongs here: one run of an in-app job. Does not belong here: sockets (websocket), the ladder.
//!
//! Running it twice: a confirmed notification is not sent again; an unconfirmed one is sent with the
//! same id, by which a client tells the repetition.

use crate::models::WallMs;
use crate::queue::Turn;
use crate::queue::{Job, first_queue};
use crate::store::StoreError;
use crate::store::notifications::Notification;
use crate::store::step::RunStep;
use crate::telemetry::path::{SERVERS, SOCKET_IO_START};
use crate::telemetry::{Detail, Place, Visit};
use crate::websocket::{DeliveryFault, InAppMessage};
use crate::worker::{RunFailure, Worker};
use std::pin::pin;
use std::time::Duration;

/// What a run begins with.
pub(in crate::worker) struct Prepared {
    found: Result<Option<Notification>, StoreError>,
    /// Where earlier notifications were written that are not confirmed yet.
    sockets: Option<String>,
}

/// Looks whether the job may be told now; an error says for how long it goes back.
pub(in crate::worker) async fn prepare(worker: &Worker, job: &Job) -> Result<Prepared, Duration> {
    let sockets = worker.sockets.of_user(job.user);
    let (found, turn) = tokio::join!(
        worker
            .store
            .notification(job.notification.clone(), job.channel),
        worker.queues.turn(job, sockets)
    );
    // What is not told is in nobody's way.
    let is_told =
        matches!(&found, Ok(Some(it)) if !it.is_delivered && !is_expired(it, worker.now()));
    let sockets = match turn {
        Turn::Now { sockets } => sockets,
        Turn::Later(rest) if is_told => return Err(rest),
        Turn::Later(_) => None,
    };
    Ok(Prepared { found, sockets })
}

/// One run, to its end.
pub(in crate::worker) async fn run(worker: &Worker, job: Job, prepared: Prepared) {
    let Prepared { found, sockets } = prepared;
    if let Ok(Some(notification)) = &found
        && is_expired(notification, worker.now())
    {
        return expire(worker, &job, notification).await;
    }
    let visit = worker
        .telemetry
        .pick_up(job.part, first_queue(job.channel), Place::InAppWorker);
    for place in [Place::InAppWorker, Place::Database] {
        if let Err(failure) = worker.pass(place).await {
            return worker.fail(job, visit, failure).await;
        }
    }
    let notification = match found {
        Ok(Some(notification)) => notification,
        Ok(None) => {
            let gone = failure("the notification or its recipient is gone", true);
            return worker.fail(job, visit, gone).await;
        }
        Err(error) => {
            return worker
                .fail(job, visit, failure(&error.to_string(), false))
                .await;
        }
    };
    if notification.is_delivered {
        return complete(worker, &job, visit, None).await;
    }
    match deliver(worker, &job, &visit, &notification, sockets).await {
        Ok(socket_id) => complete(worker, &job, visit, Some(socket_id)).await,
        Err(fault) => {
            let is_offline = fault == DeliveryFault::Offline;
            let failure = failure(fault.reason(), false);
            let failure = RunFailure {
                is_offline,
                ..failure
            };
            worker.fail(job, visit, failure).await;
        }
    }
}

/// Writes to the sockets and waits; the answer is the socket that confirmed.
async fn deliver(
    worker: &Worker,
    job: &Job,
    visit: &Visit,
    notification: &Notification,
    only_to: Option<String>,
) -> Result<String, DeliveryFault> {
    let call = visit.call(Place::Websocket);
    if worker.faults.pass(Place::Websocket).await.is_err() {
        call.end(flowreel_engine::model::event::Outcome::Failed);
        return Err(DeliveryFault::Injected);
    }
    let message = InAppMessage::from(notification);
    let mut socket_io_start_ns = 0;
    let writes = || socket_io_start_ns = call.elapsed_ns();
    let sending = worker
        .sockets
        .send(job.user, &message, only_to.as_deref(), writes);
    match sending.await {
        Ok(sending) => {
            let told = Detail::default()
                .id(SERVERS, sending.servers())
                .number(SOCKET_IO_START, socket_io_start_ns);
            call.in_app_delivered_as(sending.socket_count(), told);
            let written_at = worker.telemetry.now();
            let sockets = sending.sockets();
            let mut confirmed = pin!(sending.confirmed());
            // Later ones may follow; the confirmation does not wait for that to be known.
            let socket_id = tokio::select! {
                biased;
                () = worker.queues.written(job, sockets.as_deref()) => confirmed.await,
                confirmed = &mut confirmed => confirmed,
            }?;
            let since_ns = worker.telemetry.now().since_ns(written_at);
            let told = Detail::default()
                .id("notification", &message.id)
                .number("user", job.user.0)
                .id("socket", &socket_id);
            worker.telemetry.in_app_confirmed(job.part, since_ns, told);
            Ok(socket_id)
        }
        Err(fault) => {
            call.end(flowreel_engine::model::event::Outcome::Failed);
            Err(fault)
        }
    }
}

async fn complete(worker: &Worker, job: &Job, visit: Visit, socket_id: Option<String>) {
    let end = Worker::run_end(job, None, String::new());
    let delivered = RunStep::Delivered {
        message_id: None,
        socket_id,
    };
    if let Err(error) = worker.store.step(end, delivered, worker.now()).await {
        tracing::error!(%error, job.id, "delivery of job {} cannot be stored: {error}", job.id);
    }
    visit.job_completed();
    worker.queues.completed(job).await;
}

async fn expire(worker: &Worker, job: &Job, notification: &Notification) {
    let end = Worker::run_end(job, None, "past its time".to_owned());
    let expired = worker.store.step(end, RunStep::Expired, worker.now());
    if let Err(error) = expired.await {
        tracing::error!(%error, job.id, "expiry of job {} cannot be stored: {error}", job.id);
    }
    let limit_ms = notification.news.expires_at.map_or(0, |expires_at| {
        expires_at.0.saturating_sub(notification.created_at.0)
    });
    let limit_ns = limit_ms.saturating_mul(1_000_000);
    worker
        .telemetry
        .job_expired(job.part, first_queue(job.channel), limit_ns);
    worker.queues.dropped(job, "expired").await;
}

fn is_expired(notification: &Notification, now: WallMs) -> bool {
    notification
        .news
        .expires_at
        .is_some_and(|expires_at| expires_at <= now)
}

fn failure(reason: &str, is_lasting: bool) -> RunFailure {
    RunFailure {
        reply_code: 0,
        reason: reason.to_owned(),
        is_lasting,
        is_offline: false,
    }
}
