//! Commands on their way to every process of the system, over the bus of the sockets.
//!
//! Belongs here: telling and hearing them. Does not belong here: what a command does (control), what is kept
//! of them (in_force).

use super::in_force::InForce;
use super::{ANSWER_MAX, ControlCommand, Reach, Taker};
use crate::app::App;
use crate::websocket::{Bus, BusError, next_heard};
use serde::{Deserialize, Serialize};
use socketioxide_redis::drivers::Driver;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const CHANNEL: &str = "flowreel:control";
/// Commands that may wait for this process.
const WAITING_MAX: usize = 256;
/// How often a process looks what is in force: a message over a broken connection is lost.
const LOOK_EVERY: Duration = Duration::from_secs(2);

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
    // They look for themselves where they do not hear of it.
    match tokio::time::timeout(ANSWER_MAX, app.sockets.bus().tell(CHANNEL, message)).await {
        Ok(Ok(_listening)) => {}
        Ok(Err(error)) => {
            tracing::error!(%error, "other processes do not hear of a command yet: {error}");
        }
        Err(_elapsed) => {
            tracing::error!("other processes do not hear of a command yet: Redis is silent");
        }
    }
}

/// Takes over what is in force, then carries out what other processes took, until stopped; `name` is this
/// process's among them, `is_whole` says that it is every role at once.
pub(crate) async fn listen(
    reach: Reach,
    bus: &Bus,
    (name, is_whole): (String, bool),
    tracker: &TaskTracker,
    stop: &CancellationToken,
) -> Result<(), BusError> {
    if !bus.is_shared() {
        return Ok(());
    }
    // Heard before it is looked, so that nothing falls in between.
    let mut heard = bus.subscribe(CHANNEL.to_owned(), WAITING_MAX).await?;
    let own = reach.app.as_ref().and_then(|app| app.sockets.process());
    let own = own.map(str::to_owned);
    let mut in_force = InForce::new(reach.clone(), bus.clone());
    if is_whole {
        in_force.begin_anew().await;
    }
    in_force.look().await;
    let (bus, stop) = (bus.clone(), stop.clone());
    tracker.spawn(async move {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                biased;
                message = next_heard(&mut heard, &stop) => message,
                _now = ticks.tick() => {
                    say_alive(&bus, &name).await;
                    in_force.look().await;
                    continue;
                }
            };
            let Some(message) = message else { break };
            let told: Told = match serde_json::from_slice(&message) {
                Ok(told) => told,
                Err(error) => {
                    tracing::warn!(%error, "a command of another process cannot be read: {error}");
                    continue;
                }
            };
            if own.as_ref() == Some(&told.from) {
                continue;
            }
            if let Err(error) = told.command.apply(&reach, Taker::Follower).await {
                let text = error.to_json();
                tracing::debug!("a command of another process does nothing here: {text}");
            }
        }
        if let Err(error) = bus.say_gone(&name).await {
            tracing::debug!(%error, "this process counts as alive a little longer: {error}");
        }
    });
    Ok(())
}

async fn say_alive(bus: &Bus, name: &str) {
    if let Err(error) = bus.say_alive(name).await {
        tracing::debug!(%error, "nobody hears that this process lives: {error}");
    }
}
