//! Faults on purpose: what an operator broke, where, and until when.
//!
//! Belongs here: which faults hold now and what they do to one operation. Does not belong here: who may
//! inject them (controllers), what a failed operation costs (workers).

use crate::security::random_ratio;
use crate::telemetry::Place;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Faults that may hold at once.
const FAULTS_MAX: usize = 64;
/// What `slow` with factor 2 adds to an operation of the mail sink or the client sockets, which take next
/// to no time of their own: the nominal service time that the factor stretches.
const NOMINAL_SERVICE: Duration = Duration::from_millis(100);
/// Longest delay of one operation.
const DELAY_MAX: Duration = Duration::from_secs(60);

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum FaultKind {
    /// Every operation fails at once.
    Down,
    /// Operations take that many times as long.
    Slow { factor: f64 },
    /// That share of the operations fails, with this reply code where there are reply codes.
    ErrorRate { probability: f64, reply_code: u16 },
}

impl FaultKind {
    /// The name in scenarios and control requests.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Slow { .. } => "slow",
            Self::ErrorRate { .. } => "error-rate",
        }
    }
}

/// Places that can be broken.
pub(crate) const TARGETS: [Place; 2] = [Place::Smtp, Place::Websocket];

/// All faults that hold now.
#[derive(Default)]
pub(crate) struct Faults {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    next_id: u64,
    faults: Vec<(u64, Place, FaultKind)>,
}

/// What one operation meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// It waits that long first.
    pub(crate) delay: Duration,
    /// It is refused with this code.
    pub(crate) reply_code: Option<u16>,
    /// There is nobody to refuse it.
    pub(crate) is_down: bool,
}

impl Faults {
    /// The fault holds from now on; `None` where too many hold already.
    pub(crate) fn begin(&self, place: Place, kind: FaultKind) -> Option<u64> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.faults.len() >= FAULTS_MAX {
            return None;
        }
        held.next_id += 1;
        let id = held.next_id;
        held.faults.push((id, place, kind));
        Some(id)
    }

    /// The fault is over.
    pub(crate) fn end(&self, id: u64) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.faults.retain(|(other, _, _)| *other != id);
    }

    /// Whether `place` is taken down now.
    pub(crate) fn is_down(&self, place: Place) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.faults
            .iter()
            .any(|fault| fault.1 == place && fault.2 == FaultKind::Down)
    }

    /// What one operation at `place` meets now.
    pub(crate) fn verdict(&self, place: Place) -> Verdict {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let here: Vec<FaultKind> = held
            .faults
            .iter()
            .filter(|fault| fault.1 == place)
            .map(|fault| fault.2)
            .collect();
        drop(held);
        let mut verdict = Verdict::default();
        for kind in here {
            match kind {
                FaultKind::Down => verdict.is_down = true,
                FaultKind::Slow { factor } => {
                    let more = NOMINAL_SERVICE.as_secs_f64() * (factor - 1.0).max(0.0);
                    let more = Duration::try_from_secs_f64(more).unwrap_or(DELAY_MAX);
                    verdict.delay = verdict.delay.saturating_add(more).min(DELAY_MAX);
                }
                FaultKind::ErrorRate {
                    probability,
                    reply_code,
                } => {
                    if random_ratio() < probability {
                        verdict.reply_code = Some(reply_code);
                    }
                }
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_hold_at_their_place_until_they_end() {
        let faults = Faults::default();
        let sure = FaultKind::ErrorRate {
            probability: 1.0,
            reply_code: 451,
        };
        let id = faults.begin(Place::Smtp, sure).unwrap();
        assert!(
            faults
                .begin(Place::Smtp, FaultKind::Slow { factor: 3.0 })
                .is_some()
        );
        let met = faults.verdict(Place::Smtp);
        assert_eq!(
            (met.reply_code, met.delay),
            (Some(451), Duration::from_millis(200))
        );
        assert_eq!(faults.verdict(Place::Websocket), Verdict::default());
        faults.end(id);
        assert_eq!(faults.verdict(Place::Smtp).reply_code, None);
    }

    #[test]
    fn a_share_of_operations_fails() {
        let faults = Faults::default();
        let kind = FaultKind::ErrorRate {
            probability: 0.3,
            reply_code: 451,
        };
        assert!(faults.begin(Place::Smtp, kind).is_some());
        let failed = (0..10_000)
            .filter(|_| faults.verdict(Place::Smtp).reply_code.is_some())
            .count();
        // Seven standard deviations of a binomial with n = 10,000 and p = 0.3 (46) on either side.
        assert!((2_680..=3_320).contains(&failed), "{failed}");
    }

    #[test]
    fn faults_are_bounded() {
        let faults = Faults::default();
        for _ in 0..FAULTS_MAX {
            assert!(faults.begin(Place::Smtp, FaultKind::Down).is_some());
        }
        assert_eq!(faults.begin(Place::Smtp, FaultKind::Down), None);
    }
}
