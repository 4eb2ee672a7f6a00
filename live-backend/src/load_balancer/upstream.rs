//! The servers behind the balancer: which are healthy, which is next.
//!
//! Belongs here: choice and counts. Does not belong here: connections (forward), checks (health).

use crate::telemetry::Place;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Checks that must fail in a row before a server counts as down; a refused connection counts at once.
const FAILED_CHECKS_MAX: u32 = 2;

/// One server.
pub(crate) struct Upstream {
    pub(crate) index: usize,
    pub(crate) place: Place,
    /// `127.0.0.1:5001`.
    pub(crate) authority: String,
    is_healthy: AtomicBool,
    failed_checks: AtomicU32,
    in_progress: AtomicU64,
    handled: AtomicU64,
}

/// A request in progress at a server; over when dropped.
pub(super) struct Busy<'a>(&'a Upstream);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.in_progress.fetch_sub(1, Ordering::Relaxed);
        self.0.handled.fetch_add(1, Ordering::Relaxed);
    }
}

impl Upstream {
    fn new(index: usize, place: Place, authority: String) -> Self {
        Self {
            index,
            place,
            authority,
            is_healthy: AtomicBool::new(true),
            failed_checks: AtomicU32::new(0),
            in_progress: AtomicU64::new(0),
            handled: AtomicU64::new(0),
        }
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.is_healthy.load(Ordering::Relaxed)
    }

    pub(crate) fn in_progress_count(&self) -> u64 {
        self.in_progress.load(Ordering::Relaxed)
    }

    pub(crate) fn handled_count(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self) -> Busy<'_> {
        self.in_progress.fetch_add(1, Ordering::Relaxed);
        Busy(self)
    }

    /// Nobody listens there; the answer is whether it counted as healthy until now.
    pub(super) fn failed(&self) -> bool {
        self.failed_checks
            .store(FAILED_CHECKS_MAX, Ordering::Relaxed);
        self.is_healthy.swap(false, Ordering::Relaxed)
    }

    /// A check ended; the answer is the new health where it changed.
    pub(super) fn checked(&self, is_well: bool) -> Option<bool> {
        if is_well {
            self.failed_checks.store(0, Ordering::Relaxed);
            return (!self.is_healthy.swap(true, Ordering::Relaxed)).then_some(true);
        }
        let failed = self
            .failed_checks
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        let is_down = failed >= FAILED_CHECKS_MAX;
        (is_down && self.is_healthy.swap(false, Ordering::Relaxed)).then_some(false)
    }
}

/// All servers, and whose turn it is.
pub(crate) struct Upstreams {
    servers: Vec<Arc<Upstream>>,
    turn: AtomicUsize,
}

impl Upstreams {
    /// Servers by place and authority, in order.
    pub(crate) fn new(servers: impl IntoIterator<Item = (Place, String)>) -> Self {
        let servers = servers
            .into_iter()
            .enumerate()
            .map(|(index, (place, authority))| Arc::new(Upstream::new(index, place, authority)))
            .collect();
        Self {
            servers,
            turn: AtomicUsize::new(0),
        }
    }

    pub(crate) fn all(&self) -> &[Arc<Upstream>] {
        &self.servers
    }

    /// The wanted server where it is healthy, else the next healthy one in turn; none tried before.
    pub(super) fn choose(
        &self,
        wanted: Option<usize>,
        tried: &[usize],
    ) -> Option<(Arc<Upstream>, &'static str)> {
        let may_take =
            |upstream: &Arc<Upstream>| upstream.is_healthy() && !tried.contains(&upstream.index);
        let wanted = wanted.and_then(|index| self.servers.get(index));
        if let Some(upstream) = wanted.filter(|&upstream| may_take(upstream)) {
            return Some((Arc::clone(upstream), "sticky"));
        }
        // The turn counts requests, not servers, so a server that is down does not skew the others.
        let well: Vec<&Arc<Upstream>> = self.servers.iter().filter(|&one| may_take(one)).collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let upstream = well.get(turn.checked_rem(well.len())?)?;
        Some((Arc::clone(upstream), "round-robin"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Upstreams {
        Upstreams::new(Place::SERVERS.map(|place| (place, String::new())))
    }

    fn chosen(upstreams: &Upstreams, wanted: Option<usize>, tried: &[usize]) -> Option<usize> {
        upstreams
            .choose(wanted, tried)
            .map(|(upstream, _)| upstream.index)
    }

    #[test]
    fn requests_go_round_over_healthy_servers() {
        let upstreams = three();
        let mut counts = [0; 3];
        for _ in 0..300 {
            counts[chosen(&upstreams, None, &[]).unwrap()] += 1;
        }
        assert_eq!(counts, [100, 100, 100]);
        assert!(upstreams.all()[1].failed());
        assert!(!upstreams.all()[1].failed());
        let mut counts = [0; 3];
        for _ in 0..30 {
            counts[chosen(&upstreams, None, &[]).unwrap()] += 1;
        }
        assert_eq!(counts, [15, 0, 15]);
    }

    #[test]
    fn a_wanted_server_is_kept_until_it_is_down() {
        let upstreams = three();
        for _ in 0..5 {
            assert_eq!(chosen(&upstreams, Some(2), &[]), Some(2));
        }
        assert_ne!(chosen(&upstreams, Some(2), &[2]), Some(2));
        assert!(upstreams.all()[2].failed());
        assert_ne!(chosen(&upstreams, Some(2), &[]), Some(2));
        assert_eq!(chosen(&upstreams, None, &[0, 1, 2]), None);
    }

    #[test]
    fn health_changes_after_two_failed_checks_and_one_good_one() {
        let upstreams = three();
        let server = &upstreams.all()[0];
        assert_eq!(server.checked(false), None);
        assert_eq!(server.checked(true), None);
        assert_eq!(server.checked(false), None);
        assert_eq!(server.checked(false), Some(false));
        assert_eq!(server.checked(false), None);
        assert_eq!(server.checked(true), Some(true));
    }
}
