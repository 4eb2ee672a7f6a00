//! What every kind of store does, shown on each of them by the same checks.
//!
//! Belongs here: behaviour that the rest of the program relies on. Does not belong here: what is one
//! kind's own (its folder).

mod counts;
mod late;
mod operators;
mod order;
mod people;
mod runs;

use super::foreign::Adopted;
use super::histories::Which;
use super::jobs::{JobOrigin, NewJob, RunEnd};
use super::mongo::server::Server;
use super::notifications::{News, Page};
use super::operations::{JobFilter, Removal};
use super::records::{NewFriendRequest, NewPurchase, NewReset};
use super::sessions::NewSession;
use super::step::RunStep;
use super::users::NewUser;
use super::{Store, StoreError, StoreWriter};
use crate::config::StorePart;
use crate::models::{Channel, NotificationType, Priority, UserId, WallMs};
use crate::security::hash_hex;
use crate::telemetry::Part;
use flowreel_engine::model::id::RequestId;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A place for one store, which can be opened more than once.
struct Site {
    at: StorePart,
    folder: PathBuf,
}

/// An open store.
struct Open {
    store: Store,
    writer: StoreWriter,
}

impl Site {
    fn embedded() -> Self {
        Self::new(StorePart::Embedded)
    }

    fn mongodb(server: &Server, database: &str) -> Self {
        Self::new(StorePart::MongoDb(server.address(database)))
    }

    fn new(at: StorePart) -> Self {
        let name = format!("flowreel-store-{}", crate::security::random_hex::<8>());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self { at, folder }
    }

    async fn open(&self) -> Open {
        let (store, writer) = Store::open(&self.at, &self.folder).await.unwrap();
        Open { store, writer }
    }
}

impl Open {
    async fn close(self) {
        drop(self.store);
        self.writer.closed().await;
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// A database for one check.
fn database_of(check: &str) -> String {
    let name = check.rsplit("::").next().unwrap_or(check);
    name.trim().to_owned()
}

/// Runs every check on every kind of store, each in a place of its own.
macro_rules! suite {
    ($($check:path),+ $(,)?) => {
        #[tokio::test]
        async fn the_embedded_store_does_what_a_store_does() {
            $($check(&Site::embedded()).await;)+
        }

        #[tokio::test]
        async fn mongodb_does_what_a_store_does() {
            let Some(server) = Server::start().await else { return };
            $($check(&Site::mongodb(&server, &database_of(stringify!($check)))).await;)+
        }
    };
}

suite!(
    runs::what_is_answered_is_there_after_it_is_opened_again,
    people::an_address_belongs_to_one_account_and_a_refusal_leaves_nothing,
    people::numbers_are_given_once_under_many_hands,
    runs::a_run_is_told_wherever_its_message_is_listed,
    runs::a_dead_letter_rests_and_its_signup_is_listed_as_failed,
    runs::a_run_of_another_stores_job_changes_nothing,
    runs::what_nobody_wanted_in_time_expires,
    runs::a_late_confirmation_counts_once,
    runs::a_step_that_is_said_again_changes_nothing_more,
    runs::a_run_that_begins_again_takes_no_delivery_back,
    runs::a_request_is_known_by_what_is_stored_of_it,
    late::a_run_that_another_one_has_overtaken_sets_nothing_back,
    late::what_is_given_up_stays_so_unless_it_arrives,
    late::nothing_is_told_of_a_job_that_is_gone,
    order::what_is_to_be_told_before_a_job_is_known,
    people::only_own_notifications_are_marked_and_listed,
    people::sessions_open_rotate_once_and_end,
    people::attempts_at_logging_in_are_listed_newest_first,
    people::records_come_with_what_is_told_about_them,
    people::an_address_is_proved_once_and_counted,
    people::what_people_type_is_a_value_and_nothing_else,
    counts::a_call_counts_the_documents_that_it_affected,
    operators::operators_look_up_requeue_and_remove_jobs,
    operators::what_operators_set_is_kept,
    operators::what_another_program_asks_for_is_stored_once,
);

const ALL: Page = Page {
    offset: 0,
    limit: 100,
};

fn user(email: &str) -> NewUser {
    NewUser {
        username: "Ada".to_owned(),
        email: email.to_owned(),
        password_hash: "$argon2id$h".to_owned(),
        verification_hash: Some(format!("token of {email}")),
    }
}

fn news(id: &str, channel: Channel, kind: NotificationType) -> News {
    News {
        id: id.to_owned(),
        channel,
        kind,
        title: "t".to_owned(),
        message: "m".to_owned(),
        priority: Priority::High,
        expires_at: (channel == Channel::InApp).then_some(WallMs(90_000)),
        origin: None,
    }
}

fn welcome(id: &str) -> Vec<News> {
    vec![news(id, Channel::Email, NotificationType::Signup)]
}

fn both(id: &str, kind: NotificationType) -> Vec<News> {
    let in_app = format!("{id}-in-app");
    vec![
        news(id, Channel::Email, kind),
        news(&in_app, Channel::InApp, kind),
    ]
}

fn session(id: &str, user: UserId) -> NewSession {
    NewSession {
        id: id.to_owned(),
        user,
        token_hash: hash_hex(&format!("token of {id}")),
        refresh_hash: format!("refresh of {id}"),
        expires_at: WallMs(100_000),
    }
}

fn run(job: &NewJob, attempt: u16) -> RunEnd {
    RunEnd {
        job: job.id,
        request: RequestId(0),
        notification: job.notification.clone(),
        channel: job.channel,
        attempt,
        code: Some(451),
        reason: "later".to_owned(),
        is_missed: false,
    }
}

const fn delayed(station: &'static str, due_at: WallMs) -> RunStep {
    RunStep::Delayed { station, due_at }
}

fn json_of(listed: &impl serde::Serialize) -> Value {
    serde_json::to_value(listed).unwrap()
}

fn statuses(history: &Value) -> Vec<&str> {
    let entries = history.as_array().unwrap().iter();
    entries
        .map(|entry| entry["status"].as_str().unwrap())
        .collect()
}

async fn new_user(store: &Store, email: &str, news: Vec<News>) -> (UserId, Vec<NewJob>) {
    store
        .create_user(user(email), news, WallMs(5))
        .await
        .unwrap()
}
