//! Workers and the relay they send by.
//!
//! Belongs here: starting those that this process runs. Does not belong here: what a run does (worker).

use super::App;
use super::StartError;
use super::data::DataFolder;
use super::phases::Phase;
use crate::config::{Process, Relay, RemoteRelay, Settings};
use crate::email::sink::{self, MailBox};
use crate::email::transport::Mailer;
use crate::faults::Faults;
use crate::models::Channel;
use crate::queue::LeftJob;
use crate::server;
use crate::websocket::BusError;
use crate::worker::backoff::Ladder;
use crate::worker::crew::{Crews, Limits};
use crate::worker::{self, Worker};
use std::sync::Arc;

/// The way to the relay, and the relay itself where it is embedded.
pub(super) async fn start_relay(
    settings: &Settings,
    data: &DataFolder,
    faults: &Arc<Faults>,
    phase: &Phase,
) -> Result<Mailer, StartError> {
    if let Relay::Remote(relay) = &settings.relay {
        return Ok(Mailer::new(relay)?);
    }
    let mail_box = MailBox::open(data.path().join("mail")).await;
    let mail_box = Arc::new(mail_box.map_err(|source| data.failed(source))?);
    let listener = server::bind("mail sink", 0).await?;
    let port = listener
        .local_addr()
        .map_err(|source| data.failed(source))?
        .port();
    let serving = sink::serve(
        listener,
        mail_box,
        Arc::clone(faults),
        phase.tracker.clone(),
        phase.stop.clone(),
    );
    phase.tracker.spawn(serving);
    Ok(Mailer::new(&RemoteRelay::embedded(port))?)
}

/// One worker of each channel, as the settings say; controls change them.
pub(super) fn crews(settings: &Settings) -> Crews {
    let limits = |concurrency, rate_per_s| Limits {
        count: 1,
        concurrency,
        rate_per_s,
    };
    Crews::new(
        limits(settings.mail_concurrency, settings.mail_rate_per_s),
        limits(settings.in_app_concurrency, settings.in_app_rate_per_s),
    )
}

/// Announces what an earlier process left, then starts this process's workers.
pub(super) async fn start_workers(
    app: &Arc<App>,
    left: Vec<LeftJob>,
    mailer: &Mailer,
    phase: &Phase,
) -> Result<(), BusError> {
    let settings = &app.settings;
    let worker = Arc::new(Worker {
        telemetry: app.telemetry.clone(),
        store: app.store.clone(),
        queues: app.queues.clone(),
        crews: Arc::clone(&app.crews),
        is_relay_embedded: matches!(settings.relay, Relay::Embedded),
        mailer: mailer.clone(),
        sockets: app.sockets.clone(),
        faults: Arc::clone(&app.faults),
        ladder: Ladder::new(
            settings.retry_scale,
            settings.in_app_retry,
            settings.in_app_attempts_max,
        ),
    });
    crate::control::restore(app).await;
    app.queues.resume(left).await;
    app.queues.start(&phase.tracker, &phase.stop);
    for (process, channel) in [
        (Process::MailWorker, Channel::Email),
        (Process::InAppWorker, Channel::InApp),
    ] {
        if settings.process != Process::All && settings.process != process {
            continue;
        }
        if channel == Channel::InApp {
            let clock = app.telemetry.clock();
            let Phase { tracker, stop } = phase;
            app.sockets
                .start_confirmations(&app.store, clock, tracker, stop)
                .await?;
        }
        worker::start(&worker, channel, &phase.tracker, &phase.stop);
    }
    Ok(())
}
