//! Who listens: open sockets by server, users online since when, messages sent by this process.
//!
//! Belongs here: facts for the live view. Does not belong here: delivery (registry), how processes tell each
//! other (presence).
//!
//! One entry for each open socket of the namespace `/` here, gone when it closes; and what the servers of
//! other processes said last.

use super::namespace::EVERYBODY;
use crate::models::{UserId, WallMs};
use crate::telemetry::Place;
use serde::{Deserialize, Serialize};
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
    elsewhere: Mutex<Vec<(Place, Listeners)>>,
    sent: AtomicU64,
}

/// Sockets of one owner at one server.
#[derive(Clone, Copy)]
struct Entry {
    server: Place,
    /// Who they belong to, and since when.
    owner: Option<(UserId, WallMs)>,
    count: u64,
}

/// What one server tells of its sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listeners {
    /// All of them, whoever they belong to.
    sockets: u64,
    users: u64,
    listed: Vec<Listener>,
}

/// One user at one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Listener {
    user: u64,
    since_ms: u64,
    sockets: u64,
}

/// A user with at least one socket.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OnlineUser {
    #[serde(serialize_with = "as_text")]
    user_id: UserId,
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
            count: 1,
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

    /// What other processes are told of this one's server.
    pub(super) fn listeners(&self, server: Place) -> Listeners {
        let here = self.entries().into_iter();
        let present = summed(here.filter(|entry| entry.server == server).collect(), &[]);
        let listed = present.users.iter().map(|user| Listener {
            user: user.user_id.0,
            since_ms: user.since.0,
            sockets: user.sockets,
        });
        Listeners {
            sockets: present.sockets.total,
            users: present.user_count,
            listed: listed.collect(),
        }
    }

    /// What the servers of other processes said last; who said nothing is left out.
    pub(super) fn heard(&self, elsewhere: Vec<(Place, Listeners)>) {
        *self.elsewhere() = elsewhere;
    }

    /// Everything now. `servers` are listed even where nobody is.
    ///
    /// Of a server elsewhere with more users than are listed, the others count as users of no other server.
    pub(crate) fn now(&self, servers: &[Place]) -> Present {
        let (mut entries, mut servers) = (self.entries(), servers.to_vec());
        let mut unlisted = 0;
        for (server, said) in &*self.elsewhere() {
            servers.push(*server);
            unlisted += said.users.saturating_sub(said.listed.len() as u64);
            let known: u64 = said.listed.iter().map(|listener| listener.sockets).sum();
            entries.push(Entry {
                server: *server,
                owner: None,
                count: said.sockets.saturating_sub(known),
            });
            entries.extend(said.listed.iter().map(|listener| Entry {
                server: *server,
                owner: Some((UserId(listener.user), WallMs(listener.since_ms))),
                count: listener.sockets,
            }));
        }
        let mut present = summed(entries, &servers);
        present.user_count += unlisted;
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

    fn entries(&self) -> Vec<Entry> {
        self.sockets().values().copied().collect()
    }

    fn elsewhere(&self) -> MutexGuard<'_, Vec<(Place, Listeners)>> {
        self.inner
            .elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn sockets(&self) -> MutexGuard<'_, HashMap<Sid, Entry>> {
        self.inner
            .sockets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sums up by server and by user; no rooms.
fn summed(mut entries: Vec<Entry>, servers: &[Place]) -> Present {
    entries.sort_unstable_by_key(|entry| (entry.owner, entry.server));
    let mut present = Present::default();
    for server in servers {
        present.sockets.by_server.insert(server.name(), 0);
    }
    let mut last = None;
    for entry in &entries {
        let count = present.sockets.by_server.entry(entry.server.name());
        *count.or_default() += entry.count;
        present.sockets.total += entry.count;
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
            Some(known) => known.sockets += entry.count,
            None => present.users.push(OnlineUser {
                user_id: user,
                since,
                server: entry.server.name(),
                sockets: entry.count,
            }),
        }
    }
    present
}

fn as_text<S: serde::Serializer>(user: &UserId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(user)
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
            (first.user_id, first.since, first.server, first.sockets),
            (UserId(7), WallMs(10), "server-3", 2)
        );
        assert_eq!(present.rooms[0].users, 2);
        audience.closed(ids[0]);
        audience.closed(ids[1]);
        assert_eq!(audience.now(&[]).user_count, 1);
    }

    #[test]
    fn what_other_servers_say_is_summed_up_with_what_is_here() {
        let (here, there) = (Audience::default(), Audience::default());
        let opened = |audience: &Audience, server, owner: Option<(u64, u64)>| {
            let id = Sid::new();
            audience.opened(id, server);
            if let Some((user, since)) = owner {
                audience.authenticated(id, UserId(user), WallMs(since));
            }
        };
        opened(&here, Place::Server1, Some((1, 30)));
        opened(&there, Place::Server3, Some((1, 20)));
        opened(&there, Place::Server3, Some((1, 25)));
        opened(&there, Place::Server3, Some((2, 40)));
        opened(&there, Place::Server3, None);
        let said = there.listeners(Place::Server3);
        let text = serde_json::to_string(&said).unwrap();
        let heard = serde_json::from_str(&text).unwrap();
        assert_eq!(said, heard);
        here.heard(vec![(Place::Server3, heard)]);
        let present = here.now(&[Place::Server1]);
        let by_server = BTreeMap::from([("server-1", 1), ("server-3", 4)]);
        assert_eq!(
            (present.sockets.by_server, present.sockets.total),
            (by_server, 5)
        );
        assert_eq!(present.user_count, 2);
        let first = &present.users[0];
        assert_eq!(
            (first.user_id, first.since, first.server, first.sockets),
            (UserId(1), WallMs(20), "server-3", 3)
        );
        // Users that are not listed are counted.
        let mut many = said;
        many.users += 7;
        here.heard(vec![(Place::Server3, many)]);
        assert_eq!(here.now(&[]).user_count, 9);
        here.heard(Vec::new());
        assert_eq!(here.now(&[]).user_count, 1);
    }
}
