//! Sends one e-mail.
//!
//! Belongs here: one run of a mail job. Does not belong here: SMTP (email), the ladder (worker).
//!
//! Running it twice: a delivered notification is not sent again, and the message id is the same on
//! every run, so a relay that took the message just before a crash can tell the repetition.

use crate::queue::{Job, first_queue};
use crate::store::StoreError;
use crate::store::notifications::Notification;
use crate::store::step::RunStep;
use crate::telemetry::path::SMTP_START;
use crate::telemetry::{Detail, Place, Visit};
use crate::worker::{RunFailure, Worker};

/// One run, to its end.
pub(in crate::worker) async fn run(worker: &Worker, job: Job) {
    let visit = worker
        .telemetry
        .pick_up(job.part, first_queue(job.channel), Place::MailWorker);
    let notification = match begin(worker, &job).await {
        Ok(notification) => notification,
        Err(failure) => {
            return worker.fail(job, visit, failure).await;
        }
    };
    if notification.is_delivered {
        return complete(worker, &job, visit, "delivered by an earlier run", None).await;
    }
    let call = visit.call(Place::Smtp);
    if let Err(failure) = worker.pass_relay().await {
        call.email_bounced(failure.reply_code, &failure.reason);
        return worker.fail(job, visit, failure).await;
    }
    let mut smtp_start_ns = None;
    let handed = || smtp_start_ns = Some(call.elapsed_ns());
    let sent = worker.mailer.send(&notification, handed).await;
    let told = smtp_start_ns.map_or_else(Detail::default, |start_ns| {
        Detail::default().number(SMTP_START, start_ns)
    });
    match sent {
        Ok(sent) => {
            let told = told
                .id("notification", &notification.news.id)
                .address("recipient", &notification.recipient.email)
                .id("message_id", &sent.message_id)
                .text("reply", &sent.reply);
            call.email_sent_as(sent.reply_code, told);
            complete(
                worker,
                &job,
                visit,
                &sent.reply,
                Some((sent.reply_code, sent.message_id)),
            )
            .await;
        }
        Err(failure) => {
            let told = told.text("cause", &failure.reason);
            call.email_bounced_as(failure.reply_code, told);
            let failure = RunFailure {
                reply_code: failure.reply_code,
                reason: failure.reason,
                is_lasting: failure.is_lasting,
                is_offline: false,
            };
            worker.fail(job, visit, failure).await;
        }
    }
}

async fn begin(worker: &Worker, job: &Job) -> Result<Notification, RunFailure> {
    worker.pass(Place::MailWorker).await?;
    worker.pass(Place::Database).await?;
    let found = worker
        .store
        .notification(job.notification.clone(), job.channel)
        .await
        .map_err(passing)?;
    let notification = found.ok_or_else(|| RunFailure {
        reply_code: 0,
        reason: "the notification or its recipient is gone".to_owned(),
        is_lasting: true,
        is_offline: false,
    })?;
    let begun = Worker::run_end(job, None, String::new());
    worker
        .store
        .step(begun, RunStep::Began, worker.now())
        .await
        .map_err(passing)?;
    Ok(notification)
}

async fn complete(
    worker: &Worker,
    job: &Job,
    visit: Visit,
    reply: &str,
    sent: Option<(u16, String)>,
) {
    let (code, message_id) = sent.unzip();
    let end = Worker::run_end(job, code, reply.to_owned());
    let delivered = RunStep::Delivered {
        message_id,
        socket_id: None,
    };
    if let Err(error) = worker.store.step(end, delivered, worker.now()).await {
        // The mail is out; a repetition after a restart is recognised by its message id.
        tracing::error!(%error, job.id, "delivery of job {} cannot be stored: {error}", job.id);
    }
    visit.job_completed();
    worker.queues.completed(job).await;
}

fn passing(error: StoreError) -> RunFailure {
    RunFailure {
        reply_code: 0,
        reason: error.to_string(),
        is_lasting: false,
        is_offline: false,
    }
}
