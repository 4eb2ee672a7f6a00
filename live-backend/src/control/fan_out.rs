//! Commands on their way to every process of the system, over the bus of the sockets.
//!
//! Belongs here: telling and hearing them. Does not belong here: what a command does (control).

use super::{ControlCommand, Taker};
use crate::app::App;
use crate::websocket::BusError;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use socketioxide_redis::drivers::Driver;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const CHANNEL: &str = "flowreel:control";
/// Commands that may wait for this process.
const WAITING_MAX: usize = 256;

/// A command with the process that took it, which has carried it out already.
#[derive(Serialize, Deserialize)]
struct Told {
    from: String,
    command: ControlCommand,
}

/// Tells the other processes, where there are any.
pub(super) async fn tell(app: &App, command: ControlCommand) {
    let Some(process) = app.sockets.process() else {
        return;
    };
    let told = Told {
        from: process.to_owned(),
        command,
    };
    let message = serde_json::to_vec(&told).expect("names and numbers always serialize");
    if let Err(error) = app.sockets.bus().tell(CHANNEL, message).await {
        tracing::error!(%error, "other processes do not hear of a command: {error}");
    }
}

/// Carries out what other processes took, until stopped.
pub(crate) async fn listen(
    app: &Arc<App>,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) -> Result<(), BusError> {
    if app.sockets.process().is_none() {
        return Ok(());
    }
    let bus = app.sockets.bus();
    let mut heard = bus.subscribe(CHANNEL.to_owned(), WAITING_MAX).await?;
    let (app, stop) = (Arc::clone(app), stop.clone());
    tracker.spawn(async move {
        loop {
            let message = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                message = heard.next() => message,
            };
            let Some((_channel, message)) = message else {
                return;
            };
            let told: Told = match serde_json::from_slice(&message) {
                Ok(told) => told,
                Err(error) => {
                    tracing::warn!(%error, "a command of another process cannot be read: {error}");
                    continue;
                }
            };
            if app.sockets.process() == Some(told.from.as_str()) {
                continue;
            }
            if let Err(error) = told.command.apply(&app, Taker::Follower).await {
                let text = error.to_json();
                tracing::warn!("a command of another process does nothing here: {text}");
            }
        }
    });
    Ok(())
}
