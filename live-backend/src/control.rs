//! Control of the running system: settings that change while it runs, and faults.
//!
//! Belongs here: one command and what it does in one process. Does not belong here: HTTP (controllers),
//! the names of settings (paths), what a fault does (faults), other processes (fan_out, in_force).
//!
//! A command is checked before it is applied, and carries nothing of the process that took it, so that
//! every process of the system can apply the same one. The process that took it records it.

pub(crate) mod fan_out;
mod in_force;
pub(crate) mod paths;
mod reach;

pub(crate) use reach::Reach;

use crate::app::App;
use crate::error::AppError;
use crate::faults::{DELAY_NAMES, FaultKind, HeldFault};
use crate::injection;
use crate::models::{Channel, WallMs};
use crate::queue::{QUEUES, first_queue};
use crate::telemetry::{Detail, Place};
use paths::Setting;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Something an operator wants, as it goes to every process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ControlCommand {
    /// All of these, or none.
    Set(Map<String, Value>),
    BeginFault(NewFault),
    /// The fault with this id is over.
    EndFault(String),
}

/// A fault with the id that it has in every process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NewFault {
    pub(crate) id: String,
    /// The component's id.
    pub(crate) target: String,
    #[serde(flatten)]
    pub(crate) kind: FaultKind,
    pub(crate) length_ms: Option<u64>,
}

/// Which process this is to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taker {
    /// It took the command from the operator: it records, keeps settings, and generates load.
    Origin,
    /// It heard of the command from the origin.
    Follower,
}

/// How long an operator waits for Redis with each step of a command that was carried out here.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// Commands that may wait to be kept; each fault among them ends once more.
const UNKEPT_MAX: usize = 256;

/// Carries a command out here, as the process that took it, and tells the others.
pub(crate) async fn carry_out(app: &Arc<App>, command: ControlCommand) -> Result<(), AppError> {
    let mut unkept = app.commands.lock().await;
    if unkept.len() >= UNKEPT_MAX {
        let message =
            "Redis keeps no commands now and too many wait for it; try again once it answers";
        return Err(AppError::unavailable("busy", message));
    }
    let reach = Reach::of(app);
    command.clone().apply(&reach, Taker::Origin).await?;
    unkept.push_back(command.clone());
    let noting = in_force::note_all(&reach, app.sockets.bus(), &mut unkept);
    if tokio::time::timeout(ANSWER_MAX, noting).await.is_err() {
        tracing::error!("some commands are kept later: Redis is slow");
    }
    fan_out::tell(app, command).await;
    Ok(())
}

impl ControlCommand {
    async fn apply(self, reach: &Reach, taker: Taker) -> Result<(), AppError> {
        match self {
            Self::Set(values) => {
                let mut settings = paths::read_all(&values)?;
                // What may fail comes first, so that nothing is half done where it does.
                settings.sort_by_key(|setting| !setting.may_fail());
                for setting in settings {
                    apply_setting(reach, setting, taker).await?;
                }
                Ok(())
            }
            Self::BeginFault(fault) => begin_fault(reach, fault, taker),
            Self::EndFault(id) => end_fault(reach, &id, taker).map_or_else(
                || {
                    let message = "no such fault holds; GET this address lists them";
                    Err(AppError::not_found(message))
                },
                |()| Ok(()),
            ),
        }
    }
}

fn begin_fault(reach: &Reach, fault: NewFault, taker: Taker) -> Result<(), AppError> {
    let place = Place::from_name(&fault.target)
        .ok_or_else(|| AppError::field("fault.target", "there is no such component"))?;
    let length = fault.length_ms.map(Duration::from_millis);
    if taker == Taker::Follower && reach.faults.holds_id(&fault.id) {
        // It was read where it is kept before it was heard of.
        return Ok(());
    }
    if taker == Taker::Origin
        && fault.kind == FaultKind::Down
        && length.is_none()
        && is_last_server(reach, place)
    {
        let message =
            "this is the last server that is up, so its fault needs an end: add fault.for";
        return Err(AppError::field("fault.for", message));
    }
    let now = reach.now();
    let held = HeldFault {
        id: fault.id.clone(),
        place,
        kind: fault.kind,
        began_at: now,
        ends_at: fault.length_ms.map(|ms| WallMs(now.0.saturating_add(ms))),
        is_own: taker == Taker::Origin,
    };
    if !reach.faults.begin(held) {
        return Err(AppError::new(
            axum::http::StatusCode::TOO_MANY_REQUESTS,
            "too_many_faults",
            "too many faults hold already; end one, or wait for one to end",
        ));
    }
    if taker == Taker::Origin {
        let (name, amount) = (fault.kind.name(), thousandths(fault.kind.amount()));
        let what = Detail::of("fault", name);
        reach.telemetry.control_applied(place, what, amount);
        let length_ns = fault.length_ms.unwrap_or(0).saturating_mul(1_000_000);
        reach.telemetry.fault_began(place, name, length_ns);
    }
    let (reach, id) = (reach.clone(), fault.id);
    reach.tracker.clone().spawn(async move {
        let over = async {
            match length {
                Some(length) => {
                    tokio::time::sleep_until(tokio::time::Instant::now() + length).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = reach.stopping.cancelled() => if reach.is_one_of_many() { return },
            () = reach.faults.until(|faults| !faults.holds_id(&id)) => {}
            () = over => {}
        }
        // Ended early by a command, there is nothing left to end.
        let is_ended = end_fault(&reach, &id, taker).is_some();
        if let Some(app) = &reach.app
            && is_ended
            && taker == Taker::Origin
        {
            let mut unkept = app.commands.lock().await;
            unkept.push_back(ControlCommand::EndFault(id));
            in_force::note_all(&reach, app.sockets.bus(), &mut unkept).await;
        }
    });
    Ok(())
}

fn end_fault(reach: &Reach, id: &str, taker: Taker) -> Option<()> {
    let fault = reach.faults.end(id)?;
    if taker == Taker::Origin {
        reach.telemetry.fault_ended(fault.place, fault.kind.name());
    }
    Some(())
}

fn is_last_server(reach: &Reach, place: Place) -> bool {
    let is_up = |server: &Place| *server != place && !reach.faults.is_down(*server);
    Place::SERVERS.contains(&place) && !Place::SERVERS.iter().any(is_up)
}

async fn apply_setting(reach: &Reach, setting: Setting, taker: Taker) -> Result<(), AppError> {
    let path = setting.path();
    match setting {
        Setting::Delay(index, ms) => reach.faults.set_delay(index, ms),
        Setting::Algorithm(algorithm) => reach.upstreams.set_algorithm(algorithm),
        of_app => {
            if let Some(app) = &reach.app {
                apply_to_app(app, of_app, taker).await?;
            }
        }
    }
    if taker == Taker::Origin {
        let (place, amount) = (setting.place(), thousandths(setting.amount()));
        let what = Detail::of(SET_KEY, &path);
        reach.telemetry.control_applied(place, what, amount);
    }
    Ok(())
}

/// Settings of what the balancer has not.
async fn apply_to_app(app: &Arc<App>, setting: Setting, taker: Taker) -> Result<(), AppError> {
    let limits = |channel| app.crews.of(channel);
    match setting {
        Setting::Delay(..) | Setting::Algorithm(_) => {}
        Setting::Paused(queue, paused) => {
            app.queues.set_paused(queue, paused).await?;
            if taker == Taker::Origin {
                let value = paused.then(|| "true".to_owned());
                app.store.set_setting(setting.path(), value).await?;
            }
        }
        Setting::Rate(channel, rate) => limits(channel).set_limits(|it| it.rate_per_s = rate),
        Setting::Concurrency(channel, count) => {
            limits(channel).set_limits(|it| it.concurrency = count);
        }
        Setting::Count(channel, count) => limits(channel).set_limits(|it| it.count = count),
        Setting::LoadRate(rate) => app.generated.set_rate(rate),
        Setting::LoadEnabled(is_on) => match (is_on, taker) {
            (true, Taker::Origin) => injection::generate(app).await?,
            (true, Taker::Follower) => app.generated.leave_to_another(),
            (false, _) => app.generated.stop(),
        },
    }
    Ok(())
}

/// Under which a recording tells the path of what was set.
const SET_KEY: &str = "set";

/// What operators set before a restart and expect after it.
pub(crate) async fn restore(app: &Arc<App>) {
    let kept = match app.store.settings().await {
        Ok(kept) => kept,
        Err(error) => {
            tracing::error!(%error, "kept settings cannot be read: {error}");
            return;
        }
    };
    for queue in QUEUES {
        let path = Setting::Paused(queue, true).path();
        if kept.iter().any(|(name, _)| *name == path) {
            tracing::info!("the queue {} stays paused", queue.name());
            if let Err(error) = app.queues.set_paused(queue, true).await {
                tracing::error!(%error, "it cannot be paused: {error}");
            }
        }
    }
}

/// Every setting with its value now, by path; null where the queues cannot say.
pub(crate) async fn values(app: &App) -> Map<String, Value> {
    let mut values = Map::new();
    for (name, ms) in DELAY_NAMES.into_iter().zip(app.faults.delays_ms()) {
        values.insert(format!("delays.{name}"), json!(ms));
    }
    let algorithm = app.upstreams.algorithm().name();
    values.insert("balancer.algorithm".to_owned(), json!(algorithm));
    let counts = app.queues.counts_if_any().await;
    for (at, queue) in QUEUES.into_iter().enumerate() {
        let is_paused = counts.as_ref().map(|all| all[at].counts.is_paused);
        let path = format!("queues.{}.paused", queue.name());
        values.insert(path, json!(is_paused));
    }
    for channel in [Channel::Email, Channel::InApp] {
        let (limits, name) = (app.crews.of(channel).limits(), first_queue(channel).name());
        values.insert(format!("workers.{name}.count"), json!(limits.count));
        values.insert(
            format!("workers.{name}.concurrency"),
            json!(limits.concurrency),
        );
        values.insert(
            format!("workers.{name}.rate_per_s"),
            json!(limits.rate_per_s),
        );
    }
    values.insert("load.enabled".to_owned(), json!(app.generated.is_on()));
    values.insert("load.rate_per_s".to_owned(), json!(app.generated.rate()));
    values
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "amounts are checked to be 0 to 100,000"
)]
fn thousandths(number: f64) -> u64 {
    (number * 1000.0).round() as u64
}
