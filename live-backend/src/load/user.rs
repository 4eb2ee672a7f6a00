//! A user of the load driver: an account, a session, and what its sockets wait to hear.
//!
//! Belongs here: matching notifications with the requests that caused them. Does not belong here: when
//! requests are made, what is reported, the sockets themselves (listen.rs).

use super::answer::{self, ActionError};
use super::http::Http;
use super::renewal::Session;
use super::socket::SocketEvent;
use crate::telemetry::Class;
use flowreel_engine::model::time::TimeNs;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Notification ids a user remembers to tell a repetition.
const SEEN_COUNT_MAX: usize = 4096;
/// What the name of a bought item begins with; its request's number follows.
pub(super) const ITEM: &str = "Item ";

/// An account with a session; copies share it.
#[derive(Clone, Debug)]
pub struct User {
    /// Its address.
    pub email: String,
    /// Its password.
    pub password: String,
    /// Its id in the backend.
    pub id: String,
    pub(super) session: Arc<Session>,
    pub(super) expected: Arc<Expected>,
}

/// A request whose notification has not been heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) ticket: u64,
    pub(super) intended: TimeNs,
    pub(super) sent: TimeNs,
}

/// A notification as it comes out of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct News {
    pub(super) id: String,
    pub(super) class: Class,
    /// The request it names, where its text does.
    pub(super) ticket: Option<u64>,
}

/// What hearing a notification meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hearing {
    /// No socket of the user had it; what it answers, where anything waited for it.
    First {
        waiting: Option<Waiting>,
        /// Latest start among the requests heard of before, where the order can be told.
        overtaken_by: Option<TimeNs>,
    },
    /// Another socket of the user had it before.
    Copy { intended: Option<TimeNs> },
    /// This socket had it before.
    Repeated,
}

/// Requests whose notification this user has not heard yet, oldest first per class, and what it has heard.
#[derive(Debug, Default)]
pub(super) struct Expected {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: [VecDeque<Waiting>; Class::ALL.len()],
    seen: HashMap<String, Seen>,
    order: VecDeque<String>,
    latest_sent: Option<TimeNs>,
}

#[derive(Debug)]
struct Seen {
    intended: Option<TimeNs>,
    /// A bit for each socket of the user that has it.
    sockets: Vec<u64>,
}

impl Expected {
    /// A request begins whose notification will come to this user.
    pub(super) fn add(&self, class: Class, waiting: Waiting) {
        self.lock().waiting[class.id().index()].push_back(waiting);
    }

    /// The request failed, so no notification will come.
    pub(super) fn remove(&self, class: Class, ticket: u64) {
        self.lock().waiting[class.id().index()].retain(|waiting| waiting.ticket != ticket);
    }

    /// How many notifications are still to come.
    pub(super) fn count(&self) -> u64 {
        let inner = self.lock();
        inner.waiting.iter().map(|queue| queue.len() as u64).sum()
    }

    /// The user's socket of that number has this.
    pub(super) fn hear(&self, news: &News, socket: usize) -> Hearing {
        let mut inner = self.lock();
        if let Some(seen) = inner.seen.get_mut(&news.id) {
            return if mark(&mut seen.sockets, socket) {
                Hearing::Copy {
                    intended: seen.intended,
                }
            } else {
                Hearing::Repeated
            };
        }
        let queue = &mut inner.waiting[news.class.id().index()];
        let (waiting, overtaken_by) = match news.ticket {
            None => (queue.pop_front(), None),
            Some(ticket) => {
                let at = queue.iter().position(|waiting| waiting.ticket == ticket);
                let waiting = at.and_then(|at| queue.remove(at));
                let before = inner.latest_sent;
                inner.latest_sent = before.max(waiting.map(|waiting| waiting.sent));
                (waiting, before)
            }
        };
        inner.remember(
            news.id.clone(),
            waiting.map(|waiting| waiting.intended),
            socket,
        );
        Hearing::First {
            waiting,
            overtaken_by,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remember(&mut self, id: String, intended: Option<TimeNs>, socket: usize) {
        let mut sockets = Vec::new();
        mark(&mut sockets, socket);
        self.seen.insert(id.clone(), Seen { intended, sockets });
        self.order.push_back(id);
        if self.order.len() > SEEN_COUNT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }
}

/// Sets the bit; false where it was set.
fn mark(bits: &mut Vec<u64>, number: usize) -> bool {
    let (word, bit) = (number / 64, 1_u64 << (number % 64));
    if bits.len() <= word {
        bits.resize(word + 1, 0);
    }
    let is_new = bits[word] & bit == 0;
    bits[word] |= bit;
    is_new
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
            id: session.user_id.clone(),
            session: Arc::new(Session::new(session)),
            expected: Arc::new(Expected::default()),
        })
    }

    /// Its session token of now.
    #[must_use]
    pub fn token(&self) -> String {
        self.session.token()
    }
}

/// The notification in an event, where it is one.
pub(super) fn news_of(event: &SocketEvent) -> Option<News> {
    if event.name != "notification:new" {
        return None;
    }
    let text = |key: &str| event.data.get(key).and_then(Value::as_str);
    let class = Class::from_name(&text("type")?.replace('_', "-"))?;
    let named = text("message").filter(|_| class == Class::Purchase);
    Some(News {
        id: text("id")?.to_owned(),
        class,
        ticket: named.and_then(ticket_in),
    })
}

fn ticket_in(message: &str) -> Option<u64> {
    let (_, rest) = message.split_once(ITEM)?;
    let end = rest.find(|c: char| !c.is_ascii_digit());
    rest.get(..end.unwrap_or(rest.len()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn waiting(ticket: u64) -> Waiting {
        Waiting {
            ticket,
            intended: TimeNs(ticket),
            sent: TimeNs(ticket * 10),
        }
    }

    fn news(id: &str, class: Class, ticket: Option<u64>) -> News {
        News {
            id: id.to_owned(),
            class,
            ticket,
        }
    }

    #[test]
    fn notifications_meet_the_oldest_request_of_their_class() {
        let expected = Expected::default();
        expected.add(Class::Login, waiting(1));
        expected.add(Class::Purchase, waiting(2));
        expected.add(Class::Login, waiting(3));
        expected.remove(Class::Login, 1);
        let first = |id: &str| match expected.hear(&news(id, Class::Login, None), 0) {
            Hearing::First { waiting, .. } => waiting.map(|waiting| waiting.ticket),
            other => panic!("{other:?}"),
        };
        assert_eq!(first("a"), Some(3));
        assert_eq!(first("b"), None);
        assert_eq!(expected.count(), 1);
    }

    #[test]
    fn a_purchase_meets_its_own_request_and_tells_who_came_before_it() {
        let expected = Expected::default();
        expected.add(Class::Purchase, waiting(1));
        expected.add(Class::Purchase, waiting(2));
        let hear = |id: &str, ticket| expected.hear(&news(id, Class::Purchase, Some(ticket)), 0);
        assert_eq!(
            hear("b", 2),
            Hearing::First {
                waiting: Some(waiting(2)),
                overtaken_by: None
            }
        );
        assert_eq!(
            hear("a", 1),
            Hearing::First {
                waiting: Some(waiting(1)),
                overtaken_by: Some(TimeNs(20))
            }
        );
    }

    #[test]
    fn copies_and_repetitions_are_told_apart() {
        let expected = Expected::default();
        expected.add(Class::Login, waiting(7));
        let one = news("a", Class::Login, None);
        assert!(matches!(expected.hear(&one, 0), Hearing::First { .. }));
        let intended = Some(TimeNs(7));
        assert_eq!(expected.hear(&one, 200), Hearing::Copy { intended });
        assert_eq!(expected.hear(&one, 200), Hearing::Repeated);
        assert_eq!(expected.hear(&one, 0), Hearing::Repeated);
        for number in 0..SEEN_COUNT_MAX {
            expected.hear(&news(&number.to_string(), Class::Login, None), 0);
        }
        assert!(matches!(expected.hear(&one, 0), Hearing::First { .. }));
    }

    #[test]
    fn a_purchase_names_its_request() {
        let event = |kind: &str, message: &str| SocketEvent {
            name: "notification:new".to_owned(),
            data: json!({"id": "x", "type": kind, "message": message}),
        };
        let ticket = |kind, message| news_of(&event(kind, message)).expect("news").ticket;
        assert_eq!(
            ticket("purchase", "You bought Item 42 for 12.50 EUR."),
            Some(42)
        );
        assert_eq!(ticket("purchase", "You bought Tea."), None);
        assert_eq!(ticket("friend_request", "Item 42 is a name"), None);
    }
}
