//! What operators set and broke, kept in Redis for processes that start later or missed a message.
//!
//! Belongs here: keeping it, taking it over. Does not belong here: messages (fan_out), pauses (the store and
//! BullMQ keep them), generated load (whoever began it generates it).
//!
//! It lives as long as any process of the system renews it: such experiments end with the system.

use super::paths::{self, Setting};
use super::{ControlCommand, NewFault, Reach, Taker, apply_setting, begin_fault, end_fault};
use crate::faults::HeldFault;
use crate::models::WallMs;
use crate::telemetry::Place;
use crate::websocket::{ANEW, Bus, BusError, MARK};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Longest wait until a command is kept, more than Redis may take for an answer.
const KEEP_MAX: Duration = Duration::from_secs(4);
/// A field for each setting and each fault.
const SETTING: &str = "set:";
const FAULT: &str = "fault:";
/// Whoever began a fault has ended it so long after others saw that it is over, where it lives.
const LATE_MS: u64 = 5_000;

/// A fault as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    fault: NewFault,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at_ms: Option<u64>,
}

/// Keeps what commands of this process did, oldest first; false where some wait for the next look.
pub(super) async fn note_all(
    reach: &Reach,
    bus: &Bus,
    unkept: &mut VecDeque<ControlCommand>,
) -> bool {
    while let Some(command) = unkept.front() {
        match tokio::time::timeout(KEEP_MAX, note(reach, bus, command)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "processes that start later do not know of a command yet: {error}");
                return false;
            }
            Err(_elapsed) => {
                tracing::error!(
                    "processes that start later do not know of a command yet: Redis is silent"
                );
                return false;
            }
        }
        unkept.pop_front();
    }
    true
}

/// What is no longer so was changed by a later command, which keeps itself.
async fn note(reach: &Reach, bus: &Bus, command: &ControlCommand) -> Result<(), BusError> {
    match command {
        ControlCommand::Set(values) => {
            let fields = fields_of(values, |setting| is_so(reach, setting));
            bus.keep(&fields).await
        }
        ControlCommand::BeginFault(fault) => {
            let held = reach.faults.list();
            let held = held.iter().filter(|held| held.id == fault.id);
            let fields: Vec<(String, String)> = held.map(field_of).collect();
            bus.keep(&fields).await
        }
        ControlCommand::EndFault(id) => bus.forget(&format!("{FAULT}{id}")).await.map(drop),
    }
}

fn fields_of(
    values: &Map<String, Value>,
    is_so: impl Fn(Setting) -> bool,
) -> Vec<(String, String)> {
    let settings = paths::read_all(values).unwrap_or_default();
    let all = settings.into_iter().zip(values.values());
    let kept = all.filter(|(setting, _)| is_kept(*setting) && is_so(*setting));
    kept.map(|(setting, value)| (format!("{SETTING}{}", setting.path()), value.to_string()))
        .collect()
}

const fn is_kept(setting: Setting) -> bool {
    !matches!(setting, Setting::Paused(..) | Setting::LoadEnabled(_))
}

fn field_of(held: &HeldFault) -> (String, String) {
    let length_ms = |end: WallMs| end.0.saturating_sub(held.began_at.0);
    let kept = Kept {
        fault: NewFault {
            id: held.id.clone(),
            target: held.place.name().to_owned(),
            kind: held.kind,
            length_ms: held.ends_at.map(length_ms),
        },
        ends_at_ms: held.ends_at.map(|end| end.0),
    };
    let text = serde_json::to_string(&kept).expect("names and numbers always serialize");
    (format!("{FAULT}{}", kept.fault.id), text)
}

/// One process's view of it.
pub(super) struct InForce {
    reach: Reach,
    bus: Bus,
    /// The mark that was there last.
    mark: Option<String>,
    /// Settings as they were kept then, for the case that Redis loses them.
    settings: Vec<(String, String)>,
    /// Fields of faults that are over and still kept, with the time at which that was first seen.
    late: BTreeMap<String, u64>,
}

impl InForce {
    pub(super) const fn new(reach: Reach, bus: Bus) -> Self {
        Self {
            reach,
            bus,
            mark: None,
            settings: Vec::new(),
            late: BTreeMap::new(),
        }
    }

    /// Nothing of an earlier start is in force any more.
    pub(super) async fn begin_anew(&mut self) {
        if let Err(error) = self.bus.keep_nothing().await {
            tracing::warn!(%error, "what was in force before cannot be ended: {error}");
        }
    }

    /// Takes over what is in force and not so here, and renews its life.
    pub(super) async fn look(&mut self) {
        let app = self.reach.app.clone();
        let mut in_order = match &app {
            Some(app) => Some(app.commands.lock().await),
            None => None,
        };
        // What is kept is the truth only once it holds what this process did.
        let is_noted = match &mut in_order {
            Some(unkept) => note_all(&self.reach, &self.bus, unkept).await,
            None => true,
        };
        if !is_noted {
            // Others cannot end their faults now either.
            self.late.clear();
            return;
        }
        if let Err(error) = self.take_over().await {
            tracing::debug!(%error, "what is in force cannot be read: {error}");
            self.late.clear();
        }
    }

    async fn take_over(&mut self) -> Result<(), BusError> {
        let mut kept = self.bus.kept().await?;
        // Nobody did anything, or Redis lost it, and another process may have kept something since.
        let is_other = match kept.get(MARK) {
            None => true,
            Some(mark) => mark != ANEW && self.mark.as_ref() != Some(mark),
        };
        if is_other && self.keep_again().await? {
            kept = self.bus.kept().await?;
        }
        self.mark = kept.get(MARK).cloned();
        if kept.is_empty() {
            return Ok(());
        }
        let settings = kept.iter().filter(|(field, _)| field.starts_with(SETTING));
        self.settings = settings
            .map(|(field, text)| (field.clone(), text.clone()))
            .collect();
        self.take_settings(&kept).await;
        self.take_faults(&kept, is_other).await;
        Ok(())
    }

    /// Keeps the faults that this process began, and settings that nobody has changed since; false where
    /// there are none.
    async fn keep_again(&self) -> Result<bool, BusError> {
        let held = self.reach.faults.list();
        let own = held.iter().filter(|held| held.is_own).map(field_of);
        let fields: Vec<(String, String)> = own.chain(self.settings.iter().cloned()).collect();
        self.bus.keep_missing(&fields).await?;
        Ok(!fields.is_empty())
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

    /// Where Redis has lost something, other processes have yet to keep their faults again.
    async fn take_faults(&mut self, kept: &BTreeMap<String, String>, is_incomplete: bool) {
        let now_ms = self.reach.now().0;
        let (mut known, mut late) = (BTreeSet::new(), BTreeMap::new());
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
            if ends_at_ms.is_some_and(|end| end <= now_ms) {
                let since_ms = self.late.get(field).copied().unwrap_or(now_ms);
                if now_ms.saturating_sub(since_ms) > LATE_MS {
                    self.end_orphan(field, &fault).await;
                } else {
                    late.insert(field.clone(), since_ms);
                }
                continue;
            }
            fault.length_ms = ends_at_ms.map(|end| end.saturating_sub(now_ms));
            if let Err(error) = begin_fault(&self.reach, fault, Taker::Follower) {
                tracing::debug!("fault {id} does not hold here: {}", error.to_json());
            }
        }
        self.late = late;
        if is_incomplete {
            return;
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
    let app = reach.app.as_ref();
    let limits = |channel| app.map(|app| app.crews.of(channel).limits());
    match setting {
        Setting::Delay(index, ms) => reach.faults.delays_ms().get(index) == Some(&ms),
        Setting::Algorithm(algorithm) => reach.upstreams.algorithm() == algorithm,
        Setting::Paused(..) | Setting::LoadEnabled(_) => true,
        Setting::Rate(channel, rate) => {
            limits(channel).is_none_or(|limits| limits.rate_per_s.to_bits() == rate.to_bits())
        }
        Setting::Concurrency(channel, count) => {
            limits(channel).is_none_or(|limits| limits.concurrency == count)
        }
        Setting::Count(channel, count) => {
            limits(channel).is_none_or(|limits| limits.count == count)
        }
        Setting::LoadRate(rate) => {
            app.is_none_or(|app| app.generated.rate().to_bits() == rate.to_bits())
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
        let kept = fields_of(values.as_object().unwrap(), |_| true);
        let kept: BTreeMap<String, String> = kept.into_iter().collect();
        let expected = [("set:delays.queueing", "7"), ("set:load.rate_per_s", "5")];
        let expected = expected.map(|(field, text)| (field.to_owned(), text.to_owned()));
        assert_eq!(kept, BTreeMap::from(expected));
        let still = |setting| setting != Setting::Delay(3, 7);
        let kept = fields_of(values.as_object().unwrap(), still);
        assert_eq!(kept, [("set:load.rate_per_s".to_owned(), "5".to_owned())]);
    }

    #[test]
    fn a_kept_fault_knows_its_end() {
        let held = HeldFault {
            id: "ab".to_owned(),
            place: Place::Smtp,
            kind: FaultKind::Slow { factor: 3.0 },
            began_at: WallMs(1000),
            ends_at: Some(WallMs(1500)),
            is_own: true,
        };
        let (field, text) = field_of(&held);
        assert_eq!(field, "fault:ab");
        let kept: Kept = serde_json::from_str(&text).unwrap();
        assert_eq!(kept.ends_at_ms, Some(1500));
        assert_eq!(kept.fault.length_ms, Some(500));
        assert_eq!(kept.fault.target, "smtp");
        assert_eq!(kept.fault.kind, held.kind);
    }
}
