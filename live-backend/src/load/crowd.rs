//! The crowd: users signed up and all sockets connected, before the first request.
//!
//! Belongs here: making them, and waiting until they are quiet. Does not belong here: what they do then.

use super::answer::ActionError;
use super::http::Http;
use super::listen::{Ear, Heard, Listener};
use super::report::Times;
use super::schedule::Draws;
use super::settings::{LoadError, LoadSettings};
use super::user::{User, Waiting};
use crate::telemetry::{Class, Clock};
use flowreel_engine::model::time::TimeNs;
use std::net::{IpAddr, Ipv4Addr};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

/// Users signed up at the same time.
const SETUP_PARALLEL: usize = 4;
/// Sockets connecting at the same time.
const CONNECT_PARALLEL: usize = 64;
/// Longest wait for what users are told about their first login.
const SETUP_DRAIN_NS: u64 = 20_000_000_000;
/// Sockets from one address of this machine; the system has some 28,000 ports for each.
const SOCKETS_PER_ADDRESS: u32 = 20_000;
/// No request has this number.
const SETUP_TICKET: u64 = u64::MAX;

/// Signs up and logs in every user.
pub(super) async fn create_users(
    settings: &LoadSettings,
    http: &Http,
    clock: Clock,
) -> Result<Vec<User>, LoadError> {
    // Names must be new in a store that earlier runs filled.
    let run = format!("{:x}", clock.started_wall_ns());
    let mut users = Vec::new();
    let mut making = JoinSet::new();
    let mut next = 0;
    while next < settings.user_count || !making.is_empty() {
        if next < settings.user_count && making.len() < SETUP_PARALLEL {
            let (http, name) = (http.clone(), format!("load-{run}-{next}"));
            making.spawn(async move { (next, User::create(&http, &name).await) });
            next += 1;
            continue;
        }
        let Some(Ok((number, made))) = making.join_next().await else {
            continue;
        };
        let user = made.map_err(|error| setup_error(settings, error))?;
        // The notification of this first login comes once the socket is there.
        let waiting = Waiting {
            ticket: SETUP_TICKET,
            intended: TimeNs(0),
            sent: TimeNs(0),
        };
        user.expected.add(Class::Login, waiting);
        users.push((number, user));
    }
    users.sort_unstable_by_key(|(number, _)| *number);
    Ok(users.into_iter().map(|(_, user)| user).collect())
}

fn setup_error(settings: &LoadSettings, error: ActionError) -> LoadError {
    let url = settings.url.clone();
    match error {
        ActionError::Http(source) => LoadError::Unreachable { url, source },
        refused @ (ActionError::Refused { .. } | ActionError::Incomplete { .. }) => {
            LoadError::Refused {
                url,
                reason: refused.to_string(),
            }
        }
    }
}

/// Connects every socket and lets it listen; the answer is how long each took.
pub(super) async fn connect(
    settings: &LoadSettings,
    users: &[User],
    ear: &Ear,
    listening: &mut JoinSet<()>,
) -> Result<Times, LoadError> {
    let no_socket = |source| LoadError::NoSocket {
        url: settings.url.clone(),
        source,
    };
    let mut waiting = listeners(settings, users).into_iter();
    let (mut times, mut connecting) = (Times::new(), JoinSet::new());
    loop {
        while connecting.len() < CONNECT_PARALLEL
            && let Some(listener) = waiting.next()
        {
            let clock = ear.clock;
            connecting.spawn(async move {
                let began = clock.now();
                let connected = listener.connect().await;
                (listener, connected, clock.now().since_ns(began))
            });
        }
        match connecting.join_next().await {
            None => return Ok(times),
            Some(Err(_cancelled)) => {}
            Some(Ok((listener, connected, took_ns))) => {
                let socket = connected.map_err(no_socket)?;
                times.record(took_ns);
                listening.spawn(listener.listen(socket, ear.clone()));
            }
        }
    }
}

fn listeners(settings: &LoadSettings, users: &[User]) -> Vec<Listener> {
    let is_near = settings.url.starts_with("http://127.0.0.1");
    let all = settings.socket_count + settings.idle_count;
    (0..all)
        .map(|number| {
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            let is_owned = number < settings.socket_count;
            let owner = is_owned.then(|| {
                let user = &users[index % users.len()];
                (user.clone(), index / users.len())
            });
            let mut seeds = Draws::new(settings.seed ^ u64::from(number).rotate_left(40));
            Listener {
                base: settings.url.clone(),
                owner,
                source: source_of(number).filter(|_| is_near),
                draws: Draws::new(seeds.number()),
            }
        })
        .collect()
}

/// The machine's own choice for the first sockets, then 127.0.0.2, 127.0.0.3 and so on.
fn source_of(number: u32) -> Option<IpAddr> {
    let address = number / SOCKETS_PER_ADDRESS;
    let last = u8::try_from(address).ok().filter(|&last| last > 0)?;
    Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last + 1)))
}

/// Waits until every user has heard of its first login, so that none of that is taken for a measured one.
pub(super) async fn settle(users: &[User], news: &mut Receiver<Heard>, clock: Clock) {
    let deadline = TimeNs(clock.now().0.saturating_add(SETUP_DRAIN_NS));
    while users.iter().any(|user| user.expected.count() > 0) {
        tokio::select! {
            heard = news.recv() => if heard.is_none() { return },
            () = clock.sleep_until(deadline) => break,
        }
    }
    for user in users {
        user.expected.remove(Class::Login, SETUP_TICKET);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_fewer_sockets_than_ports() {
        assert_eq!(source_of(19_999), None);
        let second = Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));
        assert_eq!(source_of(20_000), second);
        assert_ne!(source_of(40_000), second);
    }
}
