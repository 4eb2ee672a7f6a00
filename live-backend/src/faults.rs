//! Faults on purpose, and delays for visibility: what an operator broke or slowed, where, until when.
//!
//! Belongs here: which faults and delays hold now and what they do to one operation. Does not belong
//! here: who may ask for them (controllers), reading them (spec), what a failed operation costs (workers).

pub(crate) mod spec;

use crate::models::WallMs;
use crate::security::random_ratio;
use crate::telemetry::Place;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Faults that may hold at once.
const FAULTS_MAX: usize = 64;
/// What `slow` with factor 2 adds to an operation: the nominal service time that the factor stretches.
const NOMINAL_SERVICE: Duration = Duration::from_millis(100);
/// Longest delay of one operation.
const DELAY_MAX: Duration = Duration::from_secs(60);

/// A law of delays.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "dist", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Law {
    Deterministic { mean_s: f64 },
    Exponential { mean_s: f64 },
    Uniform { low_s: f64, high_s: f64 },
}

impl Law {
    fn draw(self) -> Duration {
        let seconds = match self {
            Self::Deterministic { mean_s } => mean_s,
            Self::Exponential { mean_s } => -mean_s * (1.0 - random_ratio()).ln(),
            Self::Uniform { low_s, high_s } => low_s + (high_s - low_s) * random_ratio(),
        };
        let drawn = Duration::try_from_secs_f64(seconds).unwrap_or(DELAY_MAX);
        drawn.min(DELAY_MAX)
    }

    fn mean_s(self) -> f64 {
        match self {
            Self::Deterministic { mean_s } | Self::Exponential { mean_s } => mean_s,
            Self::Uniform { low_s, high_s } => f64::midpoint(low_s, high_s),
        }
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum FaultKind {
    /// Every operation fails at once.
    Down,
    /// Operations take that many times as long.
    Slow { factor: f64 },
    /// That share of the operations fails, with this reply code where there are reply codes.
    ErrorRate {
        probability: f64,
        #[serde(rename = "code")]
        reply_code: u16,
    },
    /// Operations wait until the fault is over.
    Pause,
    /// Connections are cut, and new ones with them.
    Disconnect,
    /// Operations take that much longer.
    Delay { delay: Law },
}

impl FaultKind {
    /// The name in scenarios and control requests.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Slow { .. } => "slow",
            Self::ErrorRate { .. } => "error-rate",
            Self::Pause => "pause",
            Self::Disconnect => "disconnect",
            Self::Delay { .. } => "delay",
        }
    }

    /// How much, for the recording: factor, probability or mean in seconds; 1 where there is no amount.
    pub(crate) fn amount(self) -> f64 {
        match self {
            Self::Slow { factor } => factor,
            Self::ErrorRate { probability, .. } => probability,
            Self::Delay { delay } => delay.mean_s(),
            Self::Down | Self::Pause | Self::Disconnect => 1.0,
        }
    }
}

/// A fault that holds.
#[derive(Clone, Debug)]
pub(crate) struct HeldFault {
    pub(crate) id: String,
    pub(crate) place: Place,
    pub(crate) kind: FaultKind,
    pub(crate) began_at: WallMs,
    pub(crate) ends_at: Option<WallMs>,
    /// This process took it from the operator.
    pub(crate) is_own: bool,
}

/// Stages that can be delayed for visibility, as `delays.<name>`.
pub(crate) const DELAY_NAMES: [&str; 7] = [
    "loadBalancer",
    "serverProcessing",
    "databaseOperation",
    "queueing",
    "workerProcessing",
    "emailDelivery",
    "websocketDelivery",
];

/// All faults and delays that hold now.
#[derive(Default)]
pub(crate) struct Faults {
    held: Mutex<Vec<HeldFault>>,
    count: AtomicUsize,
    changed: Notify,
    delays_ms: [AtomicU64; DELAY_NAMES.len()],
    /// Nothing waits any more once the program stops.
    stopping: CancellationToken,
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
    /// Its connection is cut.
    pub(crate) is_cut: bool,
}

/// Why an operation does not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The asked code, 0 where nobody is there to answer.
    pub(crate) code: u16,
}

impl Faults {
    pub(crate) fn new(stopping: CancellationToken) -> Self {
        Self {
            stopping,
            ..Self::default()
        }
    }

    /// The fault holds from now on; false where too many hold already, or this one does.
    pub(crate) fn begin(&self, fault: HeldFault) -> bool {
        let mut held = self.held();
        if held.len() >= FAULTS_MAX || held.iter().any(|other| other.id == fault.id) {
            return false;
        }
        held.push(fault);
        self.count.store(held.len(), Ordering::Release);
        drop(held);
        self.changed.notify_waiters();
        true
    }

    /// An open-ended fault with an id of its own.
    #[cfg(test)]
    pub(crate) fn fault(place: Place, kind: FaultKind) -> HeldFault {
        HeldFault {
            id: crate::security::random_hex::<4>(),
            place,
            kind,
            began_at: WallMs(0),
            ends_at: None,
            is_own: true,
        }
    }

    /// The fault is over; `None` where it was already.
    pub(crate) fn end(&self, id: &str) -> Option<HeldFault> {
        let mut held = self.held();
        let index = held.iter().position(|fault| fault.id == id)?;
        let fault = held.remove(index);
        self.count.store(held.len(), Ordering::Release);
        drop(held);
        self.changed.notify_waiters();
        Some(fault)
    }

    /// Whether the fault with this id holds.
    pub(crate) fn holds_id(&self, id: &str) -> bool {
        !self.is_quiet() && self.held().iter().any(|held| held.id == id)
    }

    /// All that hold, oldest first.
    pub(crate) fn list(&self) -> Vec<HeldFault> {
        self.held().clone()
    }

    /// The first fault at `place` that stops everything there.
    pub(crate) fn stopped_by(&self, place: Place) -> Option<HeldFault> {
        if self.is_quiet() {
            return None;
        }
        let held = self.held();
        let stops = |fault: &&HeldFault| {
            fault.place == place && matches!(fault.kind, FaultKind::Down | FaultKind::Pause)
        };
        held.iter().find(stops).cloned()
    }

    /// Whether `place` is taken down now.
    pub(crate) fn is_down(&self, place: Place) -> bool {
        self.holds(place, FaultKind::Down)
    }

    /// Whether connections at `place` are cut now.
    pub(crate) fn is_cut(&self, place: Place) -> bool {
        self.holds(place, FaultKind::Disconnect)
    }

    fn holds(&self, place: Place, kind: FaultKind) -> bool {
        !self.is_quiet()
            && self
                .held()
                .iter()
                .any(|fault| fault.place == place && fault.kind == kind)
    }

    fn is_quiet(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Waits until `is_so`, which is looked at whenever faults change, or the program stops.
    pub(crate) async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            if is_so(self) || self.stopping.is_cancelled() {
                return;
            }
            tokio::select! {
                () = changed => {}
                () = self.stopping.cancelled() => return,
            }
        }
    }

    /// Waits while a pause holds at `place`.
    pub(crate) async fn released(&self, place: Place) {
        self.until(|faults| !faults.holds(place, FaultKind::Pause))
            .await;
    }

    /// What one operation at `place` meets now; pauses are [`Self::released`]'s.
    pub(crate) fn verdict(&self, place: Place) -> Verdict {
        let mut verdict = Verdict::default();
        if self.is_quiet() {
            return verdict;
        }
        let held = self.held();
        for fault in held.iter().filter(|fault| fault.place == place) {
            match fault.kind {
                FaultKind::Down => verdict.is_down = true,
                FaultKind::Disconnect => verdict.is_cut = true,
                FaultKind::Pause => {}
                FaultKind::Slow { factor } => {
                    let more = NOMINAL_SERVICE.as_secs_f64() * (factor - 1.0).max(0.0);
                    let more = Duration::try_from_secs_f64(more).unwrap_or(DELAY_MAX);
                    verdict.delay = verdict.delay.saturating_add(more);
                }
                FaultKind::Delay { delay } => {
                    verdict.delay = verdict.delay.saturating_add(delay.draw());
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
        drop(held);
        verdict.delay = verdict.delay.min(DELAY_MAX);
        verdict
    }

    /// One operation at `place`: waits as long as delays and faults there say, then may go on or not.
    pub(crate) async fn pass(&self, place: Place) -> Result<(), Refused> {
        let delay = self.stage_delay(place);
        if self.is_quiet() && delay.is_zero() {
            return Ok(());
        }
        self.released(place).await;
        let verdict = self.verdict(place);
        self.wait(delay + verdict.delay).await;
        if verdict.is_down || verdict.is_cut {
            return Err(Refused { code: 0 });
        }
        verdict
            .reply_code
            .map_or(Ok(()), |code| Err(Refused { code }))
    }

    /// What a job waits at `queue` before it may be taken, beside its turn.
    pub(crate) fn queue_delay(&self, queue: Place) -> Duration {
        self.stage_delay(queue) + self.verdict(queue).delay
    }

    /// Waits, but not past the program's stop.
    pub(crate) async fn wait(&self, delay: Duration) {
        if delay.is_zero() {
            return;
        }
        let until = tokio::time::Instant::now() + delay;
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            () = self.stopping.cancelled() => {}
        }
    }

    /// The delay of the stage that `place` belongs to.
    pub(crate) fn stage_delay(&self, place: Place) -> Duration {
        let index = match place {
            Place::Balancer => 0,
            Place::Server1 | Place::Server2 | Place::Server3 => 1,
            Place::Database => 2,
            Place::Mail | Place::InApp => 3,
            Place::MailWorker | Place::InAppWorker => 4,
            Place::Smtp => 5,
            Place::Websocket => 6,
            Place::Clients | Place::Retry1 | Place::Retry2 | Place::Dlq | Place::InAppRetry => {
                return Duration::ZERO;
            }
        };
        Duration::from_millis(self.delays_ms[index].load(Ordering::Relaxed))
    }

    /// Delays in ms, in the order of [`DELAY_NAMES`].
    pub(crate) fn delays_ms(&self) -> [u64; DELAY_NAMES.len()] {
        self.delays_ms
            .each_ref()
            .map(|delay| delay.load(Ordering::Relaxed))
    }

    /// Sets the delay at this position of [`DELAY_NAMES`].
    pub(crate) fn set_delay(&self, index: usize, ms: u64) {
        if let Some(delay) = self.delays_ms.get(index) {
            delay.store(ms, Ordering::Relaxed);
        }
    }

    fn held(&self) -> MutexGuard<'_, Vec<HeldFault>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(faults: &Faults, place: Place, kind: FaultKind) -> String {
        let fault = Faults::fault(place, kind);
        let id = fault.id.clone();
        assert!(faults.begin(fault));
        id
    }

    #[test]
    fn faults_hold_at_their_place_until_they_end() {
        let faults = Faults::default();
        let sure = FaultKind::ErrorRate {
            probability: 1.0,
            reply_code: 451,
        };
        let id = begin(&faults, Place::Smtp, sure);
        begin(&faults, Place::Smtp, FaultKind::Slow { factor: 3.0 });
        let met = faults.verdict(Place::Smtp);
        assert_eq!(
            (met.reply_code, met.delay),
            (Some(451), Duration::from_millis(200))
        );
        assert_eq!(faults.verdict(Place::Websocket), Verdict::default());
        assert!(faults.end(&id).is_some());
        assert!(faults.end(&id).is_none());
        assert_eq!(faults.verdict(Place::Smtp).reply_code, None);
    }

    #[test]
    fn a_share_of_operations_fails() {
        let faults = Faults::default();
        let kind = FaultKind::ErrorRate {
            probability: 0.3,
            reply_code: 451,
        };
        begin(&faults, Place::Smtp, kind);
        let failed = (0..10_000)
            .filter(|_| faults.verdict(Place::Smtp).reply_code.is_some())
            .count();
        // Seven standard deviations of a binomial with n = 10,000 and p = 0.3 (46) on either side.
        assert!((2_680..=3_320).contains(&failed), "{failed}");
    }

    #[test]
    fn drawn_delays_follow_their_law() {
        let faults = Faults::default();
        let delay = Law::Exponential { mean_s: 0.05 };
        begin(&faults, Place::Database, FaultKind::Delay { delay });
        let sum: f64 = (0..10_000)
            .map(|_| faults.verdict(Place::Database).delay.as_secs_f64())
            .sum();
        // Seven standard deviations of the mean of 10,000 (0.0005) on either side.
        let mean = sum / 10_000.0;
        assert!((0.0465..=0.0535).contains(&mean), "{mean}");
        let even = Law::Uniform {
            low_s: 0.1,
            high_s: 0.2,
        };
        for _ in 0..1000 {
            assert!((0.1..=0.2).contains(&even.draw().as_secs_f64()));
        }
    }

    #[test]
    fn faults_are_bounded() {
        let faults = Faults::default();
        for _ in 0..FAULTS_MAX {
            begin(&faults, Place::Smtp, FaultKind::Down);
        }
        assert!(!faults.begin(Faults::fault(Place::Smtp, FaultKind::Down)));
        assert_eq!(faults.list().len(), FAULTS_MAX);
    }

    #[tokio::test]
    async fn a_pause_holds_operations_until_it_ends_and_a_stop_frees_them() {
        let stopping = CancellationToken::new();
        let faults = Faults::new(stopping.clone());
        let id = begin(&faults, Place::Websocket, FaultKind::Pause);
        let (passed, ()) = tokio::join!(faults.pass(Place::Websocket), async {
            tokio::task::yield_now().await;
            assert!(faults.stopped_by(Place::Websocket).is_some());
            assert!(faults.end(&id).is_some());
        });
        assert_eq!(passed, Ok(()));
        begin(&faults, Place::Websocket, FaultKind::Pause);
        faults.set_delay(6, 60_000);
        let (passed, ()) = tokio::join!(faults.pass(Place::Websocket), async {
            stopping.cancel();
        });
        assert_eq!(passed, Ok(()));
    }
}
