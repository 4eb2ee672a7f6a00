//! What operators set and broke, kept in Redis for processes that start later or missed a message.
//!
//! Belongs here: keeping it, taking it over. Does not belong here: messages (fan_out), pauses (the store and
//! BullMQ keep them), generated load (whoever began it generates it).
//!
//! It lives as long as any process of the system renews it: such experiments end with the system.

use super::paths::{self, Setting};
use super::{ControlCommand, NewFault, Reach, Taker, apply_setting, begin_fault, end_fault};
use crate::app::App;
use crate::telemetry::Place;
use crate::websocket::Bus;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A field for each setting and each fault.
const SETTING: &str = "set:";
const FAULT: &str = "fault:";
/// Whoever began a fault has ended it so long after its time, where it lives.
const LATE_MS: u64 = 5_000;

/// A fault as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    fault: NewFault,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at_ms: Option<u64>,
}

/// Keeps what a command of this process did.
pub(super) async fn note(app: &App, command: &ControlCommand) {
    let bus = app.sockets.bus();
    if !bus.is_shared() {
        return;
    }
    let now_ms = app.now().0;
    let noted = match command {
        ControlCommand::Set(values) => bus.keep(&fields_of(values)).await,
        ControlCommand::BeginFault(fault) => bus.keep(&[field_of(fault, now_ms)]).await,
        ControlCommand::EndFault(id) => bus.forget(&format!("{FAULT}{id}")).await.map(drop),
    };
    if let Err(error) = noted {
        tracing::error!(%error, "processes that start later do not know of a command: {error}");
    }
}

fn fields_of(values: &Map<String, Value>) -> Vec<(String, String)> {
    let settings = paths::read_all(values).unwrap_or_default();
    let all = settings.into_iter().zip(values.values());
    let kept = all.filter(|(setting, _)| is_kept(*setting));
    kept.map(|(setting, value)| (format!("{SETTING}{}", setting.path()), value.to_string()))
        .collect()
}

const fn is_kept(setting: Setting) -> bool {
    !matches!(setting, Setting::Paused(..) | Setting::LoadEnabled(_))
}

fn field_of(fault: &NewFault, now_ms: u64) -> (String, String) {
    let kept = Kept {
        ends_at_ms: fault.length_ms.map(|ms| now_ms.saturating_add(ms)),
        fault: fault.clone(),
    };
    let text = serde_json::to_string(&kept).expect("names and numbers always serialize");
    (format!("{FAULT}{}", kept.fault.id), text)
}

/// One process's view of it.
pub(super) struct InForce {
    reach: Reach,
    bus: Bus,
}

impl InForce {
    pub(super) const fn new(reach: Reach, bus: Bus) -> Self {
        Self { reach, bus }
    }

    /// Nothing of an earlier start is in force any more.
    pub(super) async fn begin_anew(&mut self) {
        if let Err(error) = self.bus.keep_nothing().await {
            tracing::warn!(%error, "what was in force before cannot be ended: {error}");
        }
    }

    /// Takes over what is in force and not so here, and renews its life.
    pub(super) async fn look(&mut self) {
        let _in_order = match &self.reach.app {
            Some(app) => Some(app.commands.lock().await),
            None => None,
        };
        let kept = match self.bus.kept().await {
            Ok(kept) => kept,
            Err(error) => {
                tracing::debug!(%error, "what is in force cannot be read: {error}");
                return;
            }
        };
        if kept.is_empty() {
            // Nobody set anything, or Redis lost it.
            self.keep_own().await;
            return;
        }
        self.take_settings(&kept).await;
        self.take_faults(&kept).await;
    }

    async fn keep_own(&self) {
        let own = self.reach.faults.list().into_iter();
        let own: Vec<(String, String)> = own
            .filter(|held| held.is_own)
            .map(|held| {
                let fault = NewFault {
                    id: held.id,
                    target: held.place.name().to_owned(),
                    kind: held.kind,
                    length_ms: held
                        .ends_at
                        .map(|end| end.0.saturating_sub(held.began_at.0)),
                };
                field_of(&fault, held.began_at.0)
            })
            .collect();
        if !own.is_empty()
            && let Err(error) = self.bus.keep(&own).await
        {
            tracing::debug!(%error, "faults cannot be kept: {error}");
        }
    }

    async fn take_settings(&self, kept: &BTreeMap<String, String>) {
        for (field, text) in kept {
            let Some(path) = field.strip_prefix(SETTING) else {
                continue;
            };
            let value: Value = serde_json::from_str(text).unwrap_or_default();
            // Another version's process may keep what this one does not know.
            let Ok(setting) = paths::read(path, &value) else {
                continue;
            };
            if is_so(&self.reach, setting) {
                continue;
            }
            if let Err(error) = apply_setting(&self.reach, setting, Taker::Follower).await {
                tracing::debug!("{path} stays as it is: {}", error.to_json());
            }
        }
    }

    async fn take_faults(&self, kept: &BTreeMap<String, String>) {
        let now_ms = self.reach.now().0;
        let mut known = BTreeSet::new();
        for (field, text) in kept {
            let Some(id) = field.strip_prefix(FAULT) else {
                continue;
            };
            known.insert(id);
            let Ok(Kept {
                mut fault,
                ends_at_ms,
            }) = serde_json::from_str(text)
            else {
                continue;
            };
            if let Some(end) = ends_at_ms.filter(|&end| end <= now_ms) {
                if now_ms - end > LATE_MS {
                    self.end_orphan(field, &fault).await;
                }
                continue;
            }
            fault.length_ms = ends_at_ms.map(|end| end - now_ms);
            if let Err(error) = begin_fault(&self.reach, fault, Taker::Follower) {
                tracing::debug!("fault {id} does not hold here: {}", error.to_json());
            }
        }
        for held in self.reach.faults.list() {
            if !known.contains(held.id.as_str()) {
                // An operator ended it elsewhere, where that was recorded.
                let _is_ended = end_fault(&self.reach, &held.id, Taker::Follower);
            }
        }
    }

    /// Whoever began it is gone; of those who notice, the one that removes it records its end.
    async fn end_orphan(&self, field: &str, fault: &NewFault) {
        let is_ours = matches!(self.bus.forget(field).await, Ok(true));
        if let Some(place) = Place::from_name(&fault.target).filter(|_| is_ours) {
            self.reach.telemetry.fault_ended(place, fault.kind.name());
        }
    }
}

/// Whether the setting has this value here, or means nothing here.
fn is_so(reach: &Reach, setting: Setting) -> bool {
    match setting {
        Setting::Delay(index, ms) => reach.faults.delays_ms().get(index) == Some(&ms),
        Setting::Algorithm(algorithm) => reach.upstreams.algorithm() == algorithm,
        Setting::Paused(..) | Setting::LoadEnabled(_) => true,
        Setting::Rate(..)
        | Setting::Concurrency(..)
        | Setting::Count(..)
        | Setting::LoadRate(_) => {
            let Some(app) = &reach.app else {
                return true;
            };
            match setting {
                Setting::Rate(channel, rate) => {
                    app.crews.of(channel).limits().rate_per_s.to_bits() == rate.to_bits()
                }
                Setting::Concurrency(channel, count) => {
                    app.crews.of(channel).limits().concurrency == count
                }
                Setting::Count(channel, count) => app.crews.of(channel).limits().count == count,
                Setting::LoadRate(rate) => app.generated.rate().to_bits() == rate.to_bits(),
                _ => true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::FaultKind;
    use serde_json::json;

    #[test]
    fn experiments_are_kept_under_their_own_paths_and_pauses_are_not() {
        let values = json!({"simulationRate": 5, "queues.mail.paused": true, "delays.queueing": 7,
            "load.enabled": true});
        let kept = fields_of(values.as_object().unwrap());
        let kept: BTreeMap<String, String> = kept.into_iter().collect();
        let expected = [("set:delays.queueing", "7"), ("set:load.rate_per_s", "5")];
        let expected = expected.map(|(field, text)| (field.to_owned(), text.to_owned()));
        assert_eq!(kept, BTreeMap::from(expected));
    }

    #[test]
    fn a_kept_fault_knows_its_end() {
        let fault = NewFault {
            id: "ab".to_owned(),
            target: "smtp".to_owned(),
            kind: FaultKind::Slow { factor: 3.0 },
            length_ms: Some(500),
        };
        let (field, text) = field_of(&fault, 1000);
        assert_eq!(field, "fault:ab");
        let kept: Kept = serde_json::from_str(&text).unwrap();
        assert_eq!(kept.ends_at_ms, Some(1500));
        assert_eq!(kept.fault.kind, fault.kind);
    }
}
