//! Which events a client wants (requirements LV-133, LV-134).
//!
//! Belongs here: the set and how it changes. Does not belong here: sending.
//!
//! Before any `subscribe` all are sent; the first one leaves only what it names, further ones add to it.
//! Names that are none are told back; the others of the same call hold.

use crate::telemetry::live::EventName;
use serde_json::Value;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Names in one call at most.
const NAMES_MAX: usize = 100;
/// Every event.
const ALL: u32 = (1 << EventName::ALL.len()) - 1;

/// A client's set.
#[derive(Debug)]
pub(super) struct Subscription(Mutex<Set>);

#[derive(Clone, Copy, Debug)]
struct Set {
    wanted: u32,
    is_narrowed: bool,
}

/// What was wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// No list of texts.
    NoList,
    /// These are no events.
    Unknown(Vec<String>),
}

impl Mistake {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::NoList => "invalid_events",
            Self::Unknown(_) => "unknown_event",
        }
    }

    pub(super) fn names(&self) -> &[String] {
        match self {
            Self::NoList => &[],
            Self::Unknown(names) => names,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoList => write!(f, "send a list of up to {NAMES_MAX} names of events"),
            Self::Unknown(names) => {
                let known: Vec<&str> = EventName::ALL.iter().map(|name| name.name()).collect();
                let (names, known) = (names.join(", "), known.join(", "));
                write!(f, "there is no event {names}; there are {known}")
            }
        }
    }
}

impl Default for Subscription {
    fn default() -> Self {
        Self(Mutex::new(Set {
            wanted: ALL,
            is_narrowed: false,
        }))
    }
}

impl Subscription {
    pub(super) fn has(&self, name: EventName) -> bool {
        self.set().wanted & name.bit() != 0
    }

    /// All that is wanted, as a set of [`EventName::bit`]s.
    pub(super) fn wanted(&self) -> u32 {
        self.set().wanted
    }

    /// What is wanted now, by name.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let wanted = EventName::ALL.iter().filter(|name| self.has(**name));
        wanted.map(|name| name.name()).collect()
    }

    pub(super) fn subscribe(&self, names: &Value) -> Result<(), Mistake> {
        let (named, unknown) = read(names)?;
        // A call that names nothing but mistakes does not leave the client without any event.
        if named != 0 || unknown.is_empty() {
            let mut set = self.set();
            let before = if set.is_narrowed { set.wanted } else { 0 };
            *set = Set {
                wanted: before | named,
                is_narrowed: true,
            };
        }
        told(unknown)
    }

    pub(super) fn unsubscribe(&self, names: &Value) -> Result<(), Mistake> {
        let (named, unknown) = read(names)?;
        self.set().wanted &= !named;
        told(unknown)
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn told(unknown: Vec<String>) -> Result<(), Mistake> {
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(Mistake::Unknown(unknown))
    }
}

fn read(names: &Value) -> Result<(u32, Vec<String>), Mistake> {
    let list = names.as_array().or_else(|| names.get("events")?.as_array());
    let list = list.ok_or(Mistake::NoList)?;
    if list.len() > NAMES_MAX {
        return Err(Mistake::NoList);
    }
    let (mut named, mut unknown) = (0, Vec::new());
    for name in list {
        let name = name.as_str().ok_or(Mistake::NoList)?;
        match EventName::from_name(name) {
            Some(name) => named |= name.bit(),
            None => unknown.push(name.chars().take(64).collect()),
        }
    }
    Ok((named, unknown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_call_narrows_and_further_ones_add() {
        let subscription = Subscription::default();
        assert_eq!(subscription.names().len(), 17);
        subscription
            .subscribe(&json!(["queue:job:failed"]))
            .unwrap();
        assert_eq!(subscription.names(), ["queue:job:failed"]);
        subscription
            .subscribe(&json!({"events": ["request:new"]}))
            .unwrap();
        assert_eq!(subscription.names(), ["request:new", "queue:job:failed"]);
        subscription
            .unsubscribe(&json!(["queue:job:failed"]))
            .unwrap();
        assert_eq!(subscription.names(), ["request:new"]);
        subscription.unsubscribe(&json!(["request:new"])).unwrap();
        assert!(subscription.names().is_empty());
        subscription.subscribe(&json!(["worker:idle"])).unwrap();
        assert_eq!(subscription.names(), ["worker:idle"]);
    }

    #[test]
    fn before_any_call_only_the_named_ones_are_taken_away() {
        let subscription = Subscription::default();
        subscription
            .unsubscribe(&json!(["system:metrics"]))
            .unwrap();
        assert_eq!(subscription.names().len(), 16);
        assert!(!subscription.has(EventName::SystemMetrics));
    }

    #[test]
    fn mistakes_are_named_and_harm_nothing() {
        let subscription = Subscription::default();
        let unknown = subscription
            .subscribe(&json!(["party", "ball"]))
            .unwrap_err();
        assert_eq!(unknown.names(), ["party", "ball"]);
        assert_eq!(subscription.names().len(), 17);
        let unknown = subscription
            .subscribe(&json!(["party", "request:new"]))
            .unwrap_err();
        assert_eq!(unknown.names(), ["party"]);
        assert_eq!(subscription.names(), ["request:new"]);
        for names in [
            json!(null),
            json!("request:new"),
            json!([1]),
            json!({}),
            json!(5),
        ] {
            assert_eq!(
                subscription.subscribe(&names),
                Err(Mistake::NoList),
                "{names}"
            );
            assert_eq!(
                subscription.unsubscribe(&names),
                Err(Mistake::NoList),
                "{names}"
            );
        }
        let many = json!(vec!["request:new"; NAMES_MAX + 1]);
        assert_eq!(subscription.subscribe(&many), Err(Mistake::NoList));
        assert_eq!(subscription.names(), ["request:new"]);
    }
}
