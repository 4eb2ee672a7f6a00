//! How many files this process may hold open: each connection is one, behind a balancer three.
//!
//! Belongs here: raising the limit at the start. Does not belong here: limits on connections (server).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for some 80,000 clients through a balancer in one process.
const WANTED: u64 = 262_144;

/// Raises the limit as far as the system lets us, and says how far where that is less than wanted.
pub(crate) fn raise() {
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= WANTED) {
        return;
    }
    let wanted = Rlimit {
        current: Some(WANTED),
        maximum: now.maximum.map(|maximum| maximum.max(WANTED)),
    };
    let within = Rlimit {
        current: now.maximum,
        maximum: now.maximum,
    };
    if setrlimit(Resource::Nofile, wanted).is_ok() {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, within) {
        tracing::warn!(%error, "the limit on open files stays as it is: {error}");
    }
    let held = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    tracing::debug!(
        held,
        "this process may hold {held} files open; more clients need a higher `ulimit -Hn`"
    );
}

/// How many files this process may hold open.
pub(crate) fn allowed() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_rises_to_what_is_wanted_or_to_what_is_allowed() {
        let before = getrlimit(Resource::Nofile);
        raise();
        let after = getrlimit(Resource::Nofile).current;
        let allowed = before.maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
        assert!(after.is_none_or(|after| after >= allowed), "{after:?}");
        assert!(after.is_none_or(|after| before.current.is_none_or(|before| after >= before)));
    }
}
