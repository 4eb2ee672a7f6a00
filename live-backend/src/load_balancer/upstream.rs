//! The servers behind the balancer: which are healthy, which is next.
//!
//! Belongs here: choice and counts. Does not belong here: connections (forward), checks (health).

use super::line::IdleLines;
use crate::open_files;
use crate::telemetry::Place;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Checks that must fail in a row before a server counts as down; a refused connection counts at once.
const FAILED_CHECKS_MAX: u32 = 2;

/// Handles that one upgraded connection takes where the servers are in the same process.
const TUNNEL_HANDLES: u64 = 3;

/// One server.
pub(crate) struct Upstream {
    pub(crate) index: usize,
    pub(crate) place: Place,
    /// `127.0.0.1:5001`.
    pub(crate) authority: String,
    is_healthy: AtomicBool,
    /// It answered the last check, well or not.
    is_there: AtomicBool,
    failed_checks: AtomicU32,
    in_progress: AtomicU64,
    tunnels: AtomicU64,
    handled: AtomicU64,
    pub(super) idle: IdleLines,
}

/// How a server is chosen where nothing binds the client to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Algorithm {
    /// Each in its turn.
    RoundRobin = 0,
    /// The one with the fewest requests in progress and open sockets.
    LeastConnections = 1,
}

impl Algorithm {
    /// Every algorithm.
    pub(crate) const ALL: [Self; 2] = [Self::RoundRobin, Self::LeastConnections];

    /// As in answers and settings, and in the recording as the reason of a choice.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastConnections => "least-connections",
        }
    }

    /// The algorithm of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// Room for one upgraded connection, from before a server is asked for it until it is over.
pub(super) struct Room(Arc<AtomicU64>);

impl Drop for Room {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An upgraded connection to a server; over when dropped.
pub(super) struct Tunnel {
    upstream: Arc<Upstream>,
    _room: Room,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.upstream.tunnels.fetch_sub(1, Ordering::Relaxed);
    }
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
            is_there: AtomicBool::new(true),
            failed_checks: AtomicU32::new(0),
            in_progress: AtomicU64::new(0),
            tunnels: AtomicU64::new(0),
            idle: IdleLines::default(),
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

    /// Requests in progress and open sockets.
    fn connection_count(&self) -> u64 {
        self.in_progress_count() + self.tunnels.load(Ordering::Relaxed)
    }

    pub(super) fn begin_tunnel(self: &Arc<Self>, room: Room) -> Tunnel {
        self.tunnels.fetch_add(1, Ordering::Relaxed);
        Tunnel {
            upstream: Arc::clone(self),
            _room: room,
        }
    }

    pub(super) fn begin(&self) -> Busy<'_> {
        self.in_progress.fetch_add(1, Ordering::Relaxed);
        Busy(self)
    }

    /// Nobody listens there; the answer is whether it counted as healthy until now.
    pub(super) fn failed(&self) -> bool {
        self.failed_checks
            .store(FAILED_CHECKS_MAX, Ordering::Relaxed);
        self.is_there.store(false, Ordering::Relaxed);
        self.is_healthy.swap(false, Ordering::Relaxed)
    }

    /// It takes requests, though it may answer that something behind it is down.
    fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Relaxed)
    }

    /// Notes whether a check was answered, or refused.
    pub(super) fn was_there(&self, is_there: bool) {
        self.is_there.store(is_there, Ordering::Relaxed);
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
    algorithm: AtomicU8,
    /// Upgraded connections to all servers together: as many as the system gives handles for, less an
    /// eighth, so that requests are still served.
    pub(super) tunnels_max: u64,
    /// Those that are open, and those being opened.
    tunnels: Arc<AtomicU64>,
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
            algorithm: AtomicU8::new(Algorithm::RoundRobin as u8),
            tunnels_max: open_files::allowed() / 8 * 7 / TUNNEL_HANDLES,
            tunnels: Arc::default(),
        }
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        let code = self.algorithm.load(Ordering::Relaxed);
        if code == Algorithm::LeastConnections as u8 {
            Algorithm::LeastConnections
        } else {
            Algorithm::RoundRobin
        }
    }

    /// Holds from the next request on.
    pub(crate) fn set_algorithm(&self, algorithm: Algorithm) {
        self.algorithm.store(algorithm as u8, Ordering::Relaxed);
    }

    pub(crate) fn all(&self) -> &[Arc<Upstream>] {
        &self.servers
    }

    /// Takes the room of another connection that is to be upgraded, where there is some.
    pub(super) fn take_room(&self) -> Option<Room> {
        let more = |count| (count < self.tunnels_max).then_some(count + 1);
        self.tunnels
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        Some(Room(Arc::clone(&self.tunnels)))
    }

    /// The wanted server where it is healthy, else one by the algorithm; none tried before.
    ///
    /// Where none is healthy something that all of them need is down, or they have too much to do: one that
    /// takes connections says what, or answers late.
    pub(super) fn choose(
        &self,
        wanted: Option<usize>,
        tried: &[usize],
    ) -> Option<(Arc<Upstream>, &'static str)> {
        self.choose_among(wanted, tried, Upstream::is_healthy)
            .or_else(|| self.choose_among(wanted, tried, Upstream::is_there))
    }

    fn choose_among(
        &self,
        wanted: Option<usize>,
        tried: &[usize],
        is_fit: fn(&Upstream) -> bool,
    ) -> Option<(Arc<Upstream>, &'static str)> {
        let may_take =
            |upstream: &Arc<Upstream>| is_fit(upstream) && !tried.contains(&upstream.index);
        let wanted = wanted.and_then(|index| self.servers.get(index));
        if let Some(upstream) = wanted.filter(|&upstream| may_take(upstream)) {
            return Some((Arc::clone(upstream), "sticky"));
        }
        // The turn counts requests, not servers, so a server that is down does not skew the others.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let well_count = self.servers.iter().filter(|&one| may_take(one)).count();
        let first = turn.checked_rem(well_count)?;
        let mut in_turn = self
            .servers
            .iter()
            .filter(|&one| may_take(one))
            .cycle()
            .skip(first)
            .take(well_count);
        let algorithm = self.algorithm();
        let upstream = match algorithm {
            Algorithm::RoundRobin => in_turn.next(),
            // Among equals the first in turn.
            Algorithm::LeastConnections => in_turn.min_by_key(|one| one.connection_count()),
        };
        Some((Arc::clone(upstream?), algorithm.name()))
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
    fn the_fewest_connections_are_chosen_once_that_is_set() {
        let upstreams = three();
        upstreams.set_algorithm(Algorithm::LeastConnections);
        let busy: Vec<Busy<'_>> = [0, 0, 2].map(|index| upstreams.all()[index].begin()).into();
        assert_eq!(chosen(&upstreams, None, &[]), Some(1));
        let tunnels = [1, 1, 1].map(|index: usize| {
            let room = upstreams.take_room().expect("room");
            upstreams.all()[index].begin_tunnel(room)
        });
        assert_eq!(chosen(&upstreams, None, &[]), Some(2));
        drop(busy);
        // Equals take turns.
        let pair: Vec<_> = (0..2).map(|_| chosen(&upstreams, None, &[])).collect();
        assert!(
            pair.contains(&Some(0)) && pair.contains(&Some(2)),
            "{pair:?}"
        );
        drop(tunnels);
        assert_eq!(
            Algorithm::from_name("least-connections"),
            Some(upstreams.algorithm())
        );
        assert_eq!(Algorithm::from_name("fastest"), None);
    }

    #[test]
    fn upgraded_connections_are_counted_over_all_servers() {
        let mut upstreams = three();
        assert!(upstreams.tunnels_max > 0, "by the handles there are");
        upstreams.tunnels_max = 4;
        let open = |index: usize| {
            let room = upstreams.take_room()?;
            Some(upstreams.all()[index].begin_tunnel(room))
        };
        let mut tunnels: Vec<Tunnel> = (0..3).filter_map(open).collect();
        let opening = upstreams.take_room();
        assert!(opening.is_some());
        assert!(open(0).is_none(), "one that is being opened counts");
        drop(opening);
        tunnels.extend(open(0));
        assert_eq!(tunnels.len(), 4);
        assert!(open(0).is_none());
        tunnels.pop();
        assert!(open(2).is_some());
        drop(tunnels);
        assert_eq!(upstreams.tunnels.load(Ordering::Relaxed), 0);
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
    fn where_none_is_healthy_one_that_answers_says_why() {
        let upstreams = three();
        for upstream in upstreams.all() {
            upstream.checked(false);
            upstream.checked(false);
        }
        assert!(upstreams.all()[0].is_there() && !upstreams.all()[0].is_healthy());
        upstreams.all()[1].failed();
        upstreams.all()[2].was_there(false);
        assert_eq!(chosen(&upstreams, Some(1), &[]), Some(0));
        assert_eq!(chosen(&upstreams, None, &[0]), None);
        upstreams.all()[2].checked(true);
        assert_eq!(chosen(&upstreams, None, &[]), Some(2));
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
