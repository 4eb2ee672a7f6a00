//! One request of one user, and what is waited for because of it.
//!
//! Belongs here: who makes a request and who hears of it. Does not belong here: when (traffic.rs).

use super::answer::{self, ActionError};
use super::http::Http;
use super::ledger::Report;
use super::user::{ITEM, User, Waiting};
use crate::telemetry::{Class, Clock};
use flowreel_engine::model::time::TimeNs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc::Sender;

/// What every request needs; cheap to copy.
#[derive(Clone, Debug)]
pub(super) struct Actors {
    pub(super) http: Http,
    pub(super) users: Arc<Vec<User>>,
    pub(super) clock: Clock,
    pub(super) reports: Sender<Report>,
    pub(super) tickets: Arc<AtomicU64>,
}

impl Actors {
    /// Makes one request now that was meant to begin at `intended`; `user` is a free number. The answer is
    /// when it was answered.
    pub(super) async fn perform(&self, class: Class, user: u64, intended: TimeNs) -> TimeNs {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let at = self.clock.now();
        let sent = Report::Sent {
            ticket,
            class,
            intended,
            at,
        };
        // The ledger outlives its senders, so a failed send means the run is over anyway.
        drop(self.reports.send(sent).await);
        let waiting = Waiting {
            ticket,
            intended,
            sent: at,
        };
        let result = self.act(class, user, waiting).await;
        let at = self.clock.now();
        drop(
            self.reports
                .send(Report::Answered { ticket, at, result })
                .await,
        );
        at
    }

    async fn act(&self, class: Class, number: u64, waiting: Waiting) -> Result<(), ActionError> {
        let count = self.users.len() as u64;
        let index = |number: u64| usize::try_from(number % count).unwrap_or(0);
        let user = &self.users[index(number)];
        // Another user wherever there is one: nobody befriends himself.
        let step = 1 + number / count % count.saturating_sub(1).max(1);
        let other = &self.users[index(number % count + step)];
        let listener = match class {
            Class::Login | Class::Purchase => Some(user),
            Class::FriendRequest => Some(other),
            Class::Signup | Class::ResetPassword => None,
        };
        if let Some(listener) = listener {
            listener.expected.add(class, waiting);
        }
        let result = self.ask(class, user, other, waiting.ticket).await;
        if let (Err(_), Some(listener)) = (&result, listener) {
            listener.expected.remove(class, waiting.ticket);
        }
        result
    }

    async fn ask(
        &self,
        class: Class,
        user: &User,
        other: &User,
        ticket: u64,
    ) -> Result<(), ActionError> {
        let http = &self.http;
        match class {
            Class::Signup => {
                let local = user.email.split('@').next().unwrap_or("load");
                let name = format!("{local}-{ticket}");
                let email = format!("{name}@load.example");
                answer::sign_up(http, &name, &email, &user.password)
                    .await
                    .map(drop)
            }
            Class::Login => answer::log_in(http, &user.email, &user.password)
                .await
                .map(drop),
            Class::ResetPassword => answer::reset_password(http, &user.email).await.map(drop),
            Class::Purchase => {
                let item = format!("{ITEM}{ticket}");
                answer::purchase(http, &user.token(), &item).await.map(drop)
            }
            Class::FriendRequest => answer::request_friend(http, &user.token(), &other.id)
                .await
                .map(drop),
        }
    }
}
