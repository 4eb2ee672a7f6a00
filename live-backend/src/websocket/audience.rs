//! Who listens at this process: open sockets by server, users online since when, messages sent.
//!
//! Belongs here: facts for the live view. Does not belong here: delivery (registry), what other processes
//! are told about it (presence).
//!
//! One entry for each open socket of the namespace `/`, gone when it closes.

use super::namespace::EVERYBODY;
use crate::models::{UserId, WallMs};
use crate::telemetry::Place;
use serde::Serialize;
use socketioxide::socket::Sid;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Users and rooms listed at most; their numbers are told whole.
const LISTED_MAX: u64 = 1000;

/// All open sockets; cheap to copy.
#[derive(Clone, Default)]
pub(crate) struct Audience {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    sockets: Mutex<HashMap<Sid, Entry>>,
    sent: AtomicU64,
}

#[derive(Clone, Copy)]
struct Entry {
    server: Place,
    /// Who it belongs to, and since when.
    owner: Option<(UserId, WallMs)>,
}

/// A user with at least one socket.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OnlineUser {
    user_id: String,
    /// When the oldest of the sockets proved whose it is.
    since: WallMs,
    /// Where that socket is.
    server: &'static str,
    sockets: u64,
}

/// A room and how many users are in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) users: u64,
}

/// Sockets by server; the counts add up to the total.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ByServer {
    pub(crate) total: u64,
    pub(crate) by_server: BTreeMap<&'static str, u64>,
}

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Present {
    pub(crate) sockets: ByServer,
    /// Different users.
    pub(crate) user_count: u64,
    pub(crate) users: Vec<OnlineUser>,
    pub(crate) rooms: Vec<Room>,
}

impl Audience {
    pub(super) fn opened(&self, id: Sid, server: Place) {
        let entry = Entry {
            server,
            owner: None,
        };
        self.sockets().insert(id, entry);
    }

    pub(super) fn authenticated(&self, id: Sid, user: UserId, now: WallMs) {
        if let Some(entry) = self.sockets().get_mut(&id) {
            entry.owner = Some((user, now));
        }
    }

    pub(super) fn closed(&self, id: Sid) {
        self.sockets().remove(&id);
    }

    /// So many messages went out.
    pub(super) fn sent(&self, count: u64) {
        self.inner.sent.fetch_add(count, Ordering::Relaxed);
    }

    /// Messages so far.
    pub(crate) fn sent_count(&self) -> u64 {
        self.inner.sent.load(Ordering::Relaxed)
    }

    /// Everything now. `servers` are listed even where nobody is.
    pub(crate) fn now(&self, servers: &[Place]) -> Present {
        let mut entries: Vec<Entry> = {
            let sockets = self.sockets();
            sockets.values().copied().collect()
        };
        entries.sort_unstable_by_key(|entry| (entry.owner, entry.server));
        let mut present = Present::default();
        for server in servers {
            present.sockets.by_server.insert(server.name(), 0);
        }
        let mut last = None;
        for entry in &entries {
            let count = present.sockets.by_server.entry(entry.server.name());
            *count.or_default() += 1;
            present.sockets.total += 1;
            let Some((user, since)) = entry.owner else {
                continue;
            };
            let is_new = last != Some(user);
            last = Some(user);
            present.user_count += u64::from(is_new);
            if present.user_count > LISTED_MAX {
                continue;
            }
            match present.users.last_mut().filter(|_| !is_new) {
                Some(known) => known.sockets += 1,
                None => present.users.push(OnlineUser {
                    user_id: user.to_string(),
                    since,
                    server: entry.server.name(),
                    sockets: 1,
                }),
            }
        }
        let everybody = Room {
            name: EVERYBODY.to_owned(),
            users: present.user_count,
        };
        let own = present.users.iter().map(|user| Room {
            name: format!("user:{}", user.user_id),
            users: 1,
        });
        present.rooms = std::iter::once(everybody).chain(own).collect();
        present
    }

    fn sockets(&self) -> MutexGuard<'_, HashMap<Sid, Entry>> {
        self.inner
            .sockets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_server_add_up_after_any_coming_and_going() {
        let audience = Audience::default();
        let mut open: Vec<Sid> = Vec::new();
        // A fixed sequence of pseudo-random steps, so that a failure can be repeated.
        let mut step = 12_345_u64;
        for _ in 0..5000 {
            step = step
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let pick = usize::try_from(step >> 33).unwrap();
            if pick % 3 == 0 && !open.is_empty() {
                audience.closed(open.swap_remove(pick % open.len()));
            } else {
                let id = Sid::new();
                audience.opened(id, Place::SERVERS[pick % 3]);
                if pick % 2 == 0 {
                    audience.authenticated(id, UserId(1 + (step >> 60)), WallMs(step >> 40));
                }
                open.push(id);
            }
        }
        let present = audience.now(&Place::SERVERS);
        let sum: u64 = present.sockets.by_server.values().sum();
        assert_eq!(present.sockets.total, open.len() as u64);
        assert_eq!(sum, present.sockets.total);
        for id in open {
            audience.closed(id);
        }
        let present = audience.now(&Place::SERVERS);
        assert_eq!((present.sockets.total, present.user_count), (0, 0));
        assert_eq!(present.sockets.by_server.len(), 3);
    }

    #[test]
    fn all_users_are_counted_and_the_first_thousand_listed() {
        let audience = Audience::default();
        for user in 1..=LISTED_MAX + 5 {
            for server in [Place::Server1, Place::Server2] {
                let id = Sid::new();
                audience.opened(id, server);
                audience.authenticated(id, UserId(user), WallMs(user));
            }
        }
        let present = audience.now(&[]);
        assert_eq!(present.user_count, LISTED_MAX + 5);
        assert_eq!(present.users.len() as u64, LISTED_MAX);
        assert!(present.users.iter().all(|user| user.sockets == 2));
        assert_eq!(present.sockets.by_server["server-2"], LISTED_MAX + 5);
    }

    #[test]
    fn users_are_told_once_with_their_oldest_socket() {
        let audience = Audience::default();
        let ids: Vec<Sid> = (0..4).map(|_| Sid::new()).collect();
        for &id in &ids {
            audience.opened(id, Place::Server1);
        }
        audience.opened(ids[1], Place::Server3);
        audience.authenticated(ids[0], UserId(7), WallMs(20));
        audience.authenticated(ids[1], UserId(7), WallMs(10));
        audience.authenticated(ids[2], UserId(8), WallMs(30));
        let present = audience.now(&[]);
        assert_eq!((present.sockets.total, present.user_count), (4, 2));
        let first = &present.users[0];
        assert_eq!(
            (
                first.user_id.as_str(),
                first.since,
                first.server,
                first.sockets
            ),
            ("7", WallMs(10), "server-3", 2)
        );
        assert_eq!(present.rooms[0].users, 2);
        audience.closed(ids[0]);
        audience.closed(ids[1]);
        assert_eq!(audience.now(&[]).user_count, 1);
    }
}
