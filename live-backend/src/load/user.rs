//! A user of the load driver: an account, a session, a socket that listens, and what it waits to hear.
//!
//! Belongs here: matching notifications with the requests that caused them. Does not belong here: when
//! requests are made, what is reported.

use super::answer::{self, ActionError};
use super::http::Http;
use super::settings::LoadError;
use super::socket::{Socket, SocketEvent};
use crate::telemetry::{Class, Clock};
use flowreel_engine::model::time::TimeNs;
use serde_json::{Value, json};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

/// Notification ids a user remembers to tell a repetition.
const SEEN_COUNT_MAX: usize = 4096;

/// A notification that reached its user's socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) ticket: u64,
    pub(super) class: Class,
    pub(super) at: TimeNs,
}

/// An account with a session and, once connected, a listening socket.
#[derive(Clone, Debug)]
pub struct User {
    /// Its address.
    pub email: String,
    /// Its password.
    pub password: String,
    /// Its id in the backend.
    pub id: String,
    /// Its session token.
    pub token: String,
    pub(super) expected: Arc<Expected>,
}

/// Requests whose notification this user has not heard yet, oldest first per class.
#[derive(Debug, Default)]
pub(super) struct Expected {
    waiting: Mutex<[VecDeque<u64>; Class::ALL.len()]>,
}

impl Expected {
    /// A request begins whose notification will come to this user.
    pub(super) fn add(&self, class: Class, ticket: u64) {
        self.lock()[class.id().index()].push_back(ticket);
    }

    /// The request failed, so no notification will come.
    pub(super) fn remove(&self, class: Class, ticket: u64) {
        self.lock()[class.id().index()].retain(|&waiting| waiting != ticket);
    }

    /// How many notifications are still to come.
    pub(super) fn count(&self) -> u64 {
        self.lock().iter().map(|queue| queue.len() as u64).sum()
    }

    fn hear(&self, class: Class) -> Option<u64> {
        self.lock()[class.id().index()].pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, [VecDeque<u64>; Class::ALL.len()]> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl User {
    /// Signs up and logs in.
    ///
    /// # Errors
    /// [`ActionError`] where the backend refuses or cannot be reached.
    pub async fn create(http: &Http, name: &str) -> Result<Self, ActionError> {
        let email = format!("{name}@load.example");
        let password = format!("load {name} 7!");
        answer::sign_up(http, name, &email, &password).await?;
        let session = answer::log_in(http, &email, &password).await?;
        Ok(Self {
            email,
            password,
            id: session.user_id,
            token: session.session_token,
            expected: Arc::new(Expected::default()),
        })
    }

    /// Connects the user's socket and proves who it is.
    pub(super) async fn connect(&self, http: &Http) -> Result<Socket, LoadError> {
        let no_socket = |source| LoadError::NoSocket {
            url: http.base().to_owned(),
            source,
        };
        let mut socket = Socket::connect(http.base(), "/").await.map_err(no_socket)?;
        socket.authenticate(&self.token).await.map_err(no_socket)?;
        Ok(socket)
    }

    /// Listens until told to stop: confirms every notification and reports those that were waited for.
    /// The answer is whether the socket held until then.
    pub(super) async fn listen(
        self,
        mut socket: Socket,
        clock: Clock,
        heard: Sender<Heard>,
        stop: CancellationToken,
    ) -> bool {
        let mut seen = SeenIds::default();
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => {
                    socket.close().await;
                    return true;
                }
                event = socket.next_event() => event,
            };
            let at = clock.now();
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    tracing::warn!(%error, "a user's socket is lost: {error}");
                    return false;
                }
            };
            let Some((id, class)) = notification_of(&event) else {
                continue;
            };
            if let Err(error) = socket.emit("notification:ack", &json!({ "id": id })).await {
                tracing::warn!(%error, "a notification cannot be confirmed: {error}");
                return false;
            }
            // At-least-once delivery may repeat a notification under the same id.
            if !seen.insert(id) {
                continue;
            }
            let Some(ticket) = self.expected.hear(class) else {
                continue;
            };
            if heard.send(Heard { ticket, class, at }).await.is_err() {
                return true;
            }
        }
    }
}

fn notification_of(event: &SocketEvent) -> Option<(String, Class)> {
    if event.name != "notification:new" {
        return None;
    }
    let id = event.data.get("id").and_then(Value::as_str)?;
    let kind = event.data.get("type").and_then(Value::as_str)?;
    Some((id.to_owned(), Class::from_name(&kind.replace('_', "-"))?))
}

#[derive(Debug, Default)]
struct SeenIds {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

impl SeenIds {
    /// False where it was seen before.
    fn insert(&mut self, id: String) -> bool {
        if !self.ids.insert(id.clone()) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > SEEN_COUNT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_meet_the_oldest_request_of_their_class() {
        let expected = Expected::default();
        expected.add(Class::Login, 1);
        expected.add(Class::Purchase, 2);
        expected.add(Class::Login, 3);
        expected.remove(Class::Login, 1);
        assert_eq!(expected.hear(Class::Login), Some(3));
        assert_eq!(expected.hear(Class::Login), None);
        assert_eq!(expected.count(), 1);
    }

    #[test]
    fn a_repeated_notification_is_known_by_its_id() {
        let mut seen = SeenIds::default();
        assert!(seen.insert("a".to_owned()));
        assert!(!seen.insert("a".to_owned()));
        for number in 0..SEEN_COUNT_MAX {
            assert!(seen.insert(number.to_string()));
        }
        assert!(seen.insert("a".to_owned()));
    }
}
