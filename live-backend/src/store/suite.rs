//! What every kind of store does, shown on each of them by the same checks.
//!
//! Belongs here: behaviour that the rest of the program relies on. Does not belong here: what is one
//! kind's own (its folder).

use super::foreign::Adopted;
use super::histories::Which;
use super::jobs::{NewJob, RunEnd};
use super::mongo::server::Server;
use super::notifications::{News, Page};
use super::operations::{JobFilter, Removal};
use super::records::{NewFriendRequest, NewPurchase, NewReset};
use super::sessions::NewSession;
use super::users::NewUser;
use super::{Store, StoreError, StoreWriter};
use crate::config::StorePart;
use crate::models::{Channel, NotificationType, Priority, UserId, WallMs};
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

/// Runs every check on every kind of store, each in a place of its own.
macro_rules! suite {
    ($($check:ident),+ $(,)?) => {
        #[tokio::test]
        async fn the_embedded_store_does_what_a_store_does() {
            $($check(&Site::embedded()).await;)+
        }

        #[tokio::test]
        async fn mongodb_does_what_a_store_does() {
            let Some(server) = Server::start().await else { return };
            $($check(&Site::mongodb(&server, stringify!($check))).await;)+
        }
    };
}

suite!(
    what_is_answered_is_there_after_it_is_opened_again,
    an_address_belongs_to_one_account_and_a_refusal_leaves_nothing,
    numbers_are_given_once_under_many_hands,
    a_run_is_told_wherever_its_message_is_listed,
    a_dead_letter_rests_and_its_signup_is_listed_as_failed,
    what_nobody_wanted_in_time_expires,
    a_late_confirmation_counts_once,
    a_step_that_is_said_again_changes_nothing_more,
    only_own_notifications_are_marked_and_listed,
    sessions_open_rotate_once_and_end,
    attempts_at_logging_in_are_listed_newest_first,
    records_come_with_what_is_told_about_them,
    an_address_is_proved_once_and_counted,
    what_people_type_is_a_value_and_nothing_else,
    operators_look_up_requeue_and_remove_jobs,
    what_operators_set_is_kept,
    what_another_program_asks_for_is_stored_once,
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
        refresh_hash: format!("refresh of {id}"),
        expires_at: WallMs(100_000),
    }
}

fn run(job: &NewJob, attempt: u16) -> RunEnd {
    RunEnd {
        job: job.id,
        notification: job.notification.clone(),
        attempt,
        tier: "mail",
        code: Some(451),
        reason: "later".to_owned(),
    }
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

async fn what_is_answered_is_there_after_it_is_opened_again(site: &Site) {
    let open = site.open().await;
    let (_id, jobs) = new_user(&open.store, "a@b.example", welcome("n1")).await;
    let due_at = WallMs(500);
    open.store
        .run_delayed(run(&jobs[0], 1), "retry-1", due_at, WallMs(6))
        .await
        .unwrap();
    open.close().await;

    let open = site.open().await;
    let store = &open.store;
    let left = store.open_jobs().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(
        (left[0].attempt, &left[0].parked),
        (2, &Some(("retry-1".to_owned(), due_at)))
    );
    let job = &left[0].job;
    store
        .run_delivered(run(job, 2), None, None, WallMs(7))
        .await
        .unwrap();
    assert!(store.open_jobs().await.unwrap().is_empty());
    let (listed, total) = store
        .notifications_of(job.user, Channel::Email, ALL)
        .await
        .unwrap();
    assert_eq!(
        (total, listed[0].status.as_str(), listed[0].attempts),
        (1, "delivered", 2)
    );
    let listed = json_of(&listed[0]);
    assert_eq!(
        statuses(&listed["deliveryHistory"]),
        ["pending", "queued", "failed", "delivered"]
    );
    let found = store.user_by_email("a@b.example".to_owned()).await.unwrap();
    assert_eq!(found.unwrap().password_hash, "$argon2id$h");
    open.close().await;
}

async fn an_address_belongs_to_one_account_and_a_refusal_leaves_nothing(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let signups = (0..20).map(|number| {
        let news = welcome(&format!("n{number}"));
        store.create_user(user("a@b.example"), news, WallMs(5))
    });
    let results = join_all(signups).await;
    let (made, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    for refusal in refused {
        let error = refusal.unwrap_err();
        assert!(
            matches!(error, StoreError::Taken { field: "email" }),
            "{error}"
        );
    }
    assert_eq!(store.open_jobs().await.unwrap().len(), 1);
    let mut stored = 0;
    for number in 0..20 {
        let found = store.notification(format!("n{number}")).await.unwrap();
        stored += usize::from(found.is_some());
    }
    assert_eq!(stored, 1);
    open.close().await;
}

async fn numbers_are_given_once_under_many_hands(site: &Site) {
    let open = site.open().await;
    let (store, second) = (&open.store, site.open().await);
    let signups = (0..40).map(|number| {
        let store = if number % 2 == 0 {
            store
        } else {
            &second.store
        };
        let email = format!("p{number}@b.example");
        let news = welcome(&format!("n{number}"));
        async move {
            store
                .create_user(user(&email), news, WallMs(5))
                .await
                .unwrap()
        }
    });
    let made = join_all(signups).await;
    let users: BTreeSet<UserId> = made.iter().map(|(id, _)| *id).collect();
    let jobs: BTreeSet<i64> = made
        .iter()
        .flat_map(|(_, jobs)| jobs)
        .map(|job| job.id)
        .collect();
    assert_eq!((users.len(), jobs.len()), (40, 40));
    let left = store.open_jobs().await.unwrap();
    assert!(left.is_sorted_by_key(|left| left.job.id));
    assert_eq!(left.len(), 40);
    let page = Page {
        offset: 30,
        limit: 7,
    };
    let (listed, total) = store.signups(Which::All, page).await.unwrap();
    let listed = json_of(&listed);
    let numbers: Vec<u64> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|signup| signup["userId"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!((total, numbers.len()), (40, 7));
    assert!(numbers.is_sorted_by(|one, next| one > next), "{numbers:?}");
    second.close().await;
    open.close().await;
}

async fn a_run_is_told_wherever_its_message_is_listed(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, jobs) = new_user(store, "a@b.example", welcome("n1")).await;
    let told = json_of(&store.welcome_email(id).await.unwrap());
    assert_eq!(told["status"], "queued");
    assert_eq!(told["notificationId"], "n1");
    assert_eq!(told["jobId"], json!(jobs[0].id.to_string()));
    let begun = RunEnd {
        code: None,
        reason: String::new(),
        ..run(&jobs[0], 1)
    };
    store.run_began(begun, WallMs(6)).await.unwrap();
    let told = json_of(&store.welcome_email(id).await.unwrap());
    assert_eq!(
        (&told["status"], &told["attempts"]),
        (&json!("sending"), &json!(1))
    );
    let (listed, _) = store
        .notifications_of(id, Channel::Email, ALL)
        .await
        .unwrap();
    assert_eq!(listed[0].status, "processing");
    store
        .run_delivered(run(&jobs[0], 1), Some("<m@h>".to_owned()), None, WallMs(7))
        .await
        .unwrap();
    let told = json_of(&store.welcome_email(id).await.unwrap());
    assert_eq!(
        (&told["status"], &told["messageId"]),
        (&json!("delivered"), &json!("<m@h>"))
    );
    let history = &told["deliveryHistory"];
    assert_eq!(
        statuses(history),
        ["pending", "queued", "sending", "delivered"]
    );
    assert_eq!(history[3]["code"], 451);
    assert_eq!(history[3]["at"], "1970-01-01T00:00:00.007Z");
    assert!(history[2].get("reason").is_none(), "{history}");
    let stored = store.notification("n1".to_owned()).await.unwrap().unwrap();
    assert!(stored.is_delivered);
    assert_eq!(
        (stored.recipient.id, stored.recipient.email.as_str()),
        (id, "a@b.example")
    );
    assert!(store.welcome_email(UserId(999)).await.unwrap().is_none());
    open.close().await;
}

async fn a_dead_letter_rests_and_its_signup_is_listed_as_failed(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (_, jobs) = new_user(store, "a@b.example", welcome("n1")).await;
    new_user(store, "b@b.example", welcome("n2")).await;
    store.run_dead(run(&jobs[0], 3), WallMs(6)).await.unwrap();
    assert_eq!(store.dead_job_count().await.unwrap(), 1);
    assert_eq!(store.open_jobs().await.unwrap().len(), 1);
    let (failed, total) = store.signups(Which::EmailFailed, ALL).await.unwrap();
    let failed = json_of(&failed);
    assert_eq!((total, &failed[0]["email"]), (1, &json!("a@b.example")));
    let told = &failed[0]["welcomeEmail"];
    assert_eq!(
        (
            &told["status"],
            &told["reason"],
            &told["code"],
            &told["attempts"]
        ),
        (&json!("failed"), &json!("later"), &json!(451), &json!(3))
    );
    let statistics = json_of(&store.signup_statistics().await.unwrap());
    assert_eq!(
        statistics["welcomeEmails"],
        json!({"queued": 1, "sending": 0, "delivered": 0, "failed": 1})
    );
    open.close().await;
}

async fn what_nobody_wanted_in_time_expires(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, _) = new_user(store, "a@b.example", Vec::new()).await;
    let jobs = store
        .record_login(
            session("s1", id),
            both("n1", NotificationType::Login),
            WallMs(6),
        )
        .await
        .unwrap();
    let in_app = &jobs[1];
    assert_eq!(in_app.channel, Channel::InApp);
    store
        .run_expired(run(in_app, 1), WallMs(90_001))
        .await
        .unwrap();
    let left = store.open_jobs().await.unwrap();
    assert_eq!((left.len(), left[0].job.channel), (1, Channel::Email));
    let (listed, _) = store
        .notifications_of(id, Channel::InApp, ALL)
        .await
        .unwrap();
    assert_eq!(listed[0].status, "expired");
    let (logins, _) = store.logins(Which::All, Some(id), ALL).await.unwrap();
    let logins = json_of(&logins);
    assert_eq!(logins[0]["loginInAppNotification"]["status"], "failed");
    assert_eq!(logins[0]["loginAlertEmail"]["status"], "queued");
    open.close().await;
}

async fn a_late_confirmation_counts_once(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, _) = new_user(store, "a@b.example", Vec::new()).await;
    let (other, _) = new_user(store, "b@b.example", Vec::new()).await;
    let login = both("n1", NotificationType::Login);
    let jobs = store
        .record_login(session("s1", id), login, WallMs(6))
        .await
        .unwrap();
    let confirm = |user, at| {
        store.confirm_late(
            user,
            "n1-in-app".to_owned(),
            "socket".to_owned(),
            WallMs(at),
        )
    };
    assert!(!confirm(other, 7).await.unwrap(), "not one's own");
    assert!(confirm(id, 8).await.unwrap());
    assert!(!confirm(id, 9).await.unwrap(), "confirmed before");
    // The run that had given up meanwhile leaves it as it is.
    let due_at = WallMs(100);
    store
        .run_delayed(run(&jobs[1], 1), "in-app-retry", due_at, WallMs(10))
        .await
        .unwrap();
    let stored = store
        .notification("n1-in-app".to_owned())
        .await
        .unwrap()
        .unwrap();
    assert!(stored.is_delivered);
    store
        .run_delivered(run(&jobs[1], 2), None, None, WallMs(11))
        .await
        .unwrap();
    let (listed, _) = store
        .notifications_of(id, Channel::InApp, ALL)
        .await
        .unwrap();
    let listed = &listed[0];
    assert_eq!(
        (
            listed.delivered_at,
            listed.socket_id.as_deref(),
            listed.status.as_str()
        ),
        (Some(WallMs(8)), Some("socket"), "delivered")
    );
    let (logins, _) = store.logins(Which::All, None, ALL).await.unwrap();
    assert_eq!(
        json_of(&logins)[0]["loginInAppNotification"]["status"],
        "delivered"
    );
    open.close().await;
}

async fn a_step_that_is_said_again_changes_nothing_more(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, jobs) = new_user(store, "a@b.example", welcome("n1")).await;
    for at in [6, 7] {
        store
            .run_delayed(run(&jobs[0], 1), "retry-1", WallMs(500), WallMs(at))
            .await
            .unwrap();
    }
    let left = store.open_jobs().await.unwrap();
    assert_eq!((left.len(), left[0].attempt), (1, 2));
    for at in [8, 9] {
        store
            .run_delivered(run(&jobs[0], 2), None, None, WallMs(at))
            .await
            .unwrap();
    }
    assert!(store.open_jobs().await.unwrap().is_empty());
    let (listed, _) = store
        .notifications_of(id, Channel::Email, ALL)
        .await
        .unwrap();
    assert_eq!(
        (listed[0].attempts, listed[0].delivered_at),
        (2, Some(WallMs(8)))
    );
    open.close().await;
}

async fn only_own_notifications_are_marked_and_listed(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (ada, _) = new_user(store, "a@b.example", welcome("a")).await;
    let (bob, _) = new_user(store, "b@b.example", welcome("b")).await;
    let ids = ["b", "a", "nobody"].map(str::to_owned).to_vec();
    let own = store.mark_read(ada, ids, WallMs(7)).await.unwrap();
    assert_eq!(own, ["a"]);
    let again = store
        .mark_read(ada, vec!["a".to_owned()], WallMs(8))
        .await
        .unwrap();
    assert_eq!(again, ["a"]);
    let (listed, total) = store
        .notifications_of(ada, Channel::Email, ALL)
        .await
        .unwrap();
    assert_eq!((total, listed[0].read_at), (1, Some(WallMs(7))));
    let (listed, _) = store
        .notifications_of(bob, Channel::Email, ALL)
        .await
        .unwrap();
    assert_eq!(listed[0].read_at, None);
    assert!(
        store
            .mark_read(ada, Vec::new(), WallMs(9))
            .await
            .unwrap()
            .is_empty()
    );
    open.close().await;
}

async fn sessions_open_rotate_once_and_end(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, _) = new_user(store, "a@b.example", Vec::new()).await;
    for (name, at) in [("s1", 6), ("s2", 7)] {
        store
            .open_session(session(name, id), WallMs(at))
            .await
            .unwrap();
    }
    let is_open = |name: &str, at| store.is_session_open(name.to_owned(), WallMs(at));
    assert!(is_open("s1", 99_999).await.unwrap());
    assert!(!is_open("s1", 100_000).await.unwrap(), "past its time");
    assert!(!is_open("s3", 8).await.unwrap());
    let rotate =
        |old: &str, new: &str, at| store.rotate_refresh(old.to_owned(), new.to_owned(), WallMs(at));
    let rotated = rotate("refresh of s1", "next", 9).await.unwrap();
    assert_eq!(rotated, Some((id, "s1".to_owned())));
    assert_eq!(
        rotate("refresh of s1", "third", 10).await.unwrap(),
        None,
        "used"
    );
    assert_eq!(
        rotate("next", "late", 100_000).await.unwrap(),
        None,
        "past its time"
    );
    let (first, second) = tokio::join!(rotate("next", "one", 11), rotate("next", "two", 11));
    let winners = [first.unwrap(), second.unwrap()];
    assert_eq!(winners.iter().flatten().count(), 1, "one of two at once");
    let listed = store.open_sessions(id, WallMs(12)).await.unwrap();
    let listed: Vec<(&str, WallMs)> = listed
        .iter()
        .map(|session| (session.id.as_str(), session.refreshed_at))
        .collect();
    assert_eq!(listed, [("s2", WallMs(7)), ("s1", WallMs(11))]);
    let end = |name: &str| store.end_session(name.to_owned(), WallMs(12));
    store
        .open_session(session("s4", id), WallMs(8))
        .await
        .unwrap();
    assert!(end("s4").await.unwrap());
    assert!(!end("s4").await.unwrap(), "ended before");
    assert!(!end("nobody").await.unwrap());
    assert!(!is_open("s4", 13).await.unwrap());
    assert_eq!(store.end_sessions(id, WallMs(13)).await.unwrap(), 2);
    assert_eq!(store.end_sessions(id, WallMs(14)).await.unwrap(), 0);
    assert!(!is_open("s2", 15).await.unwrap());
    assert!(
        store
            .open_sessions(id, WallMs(15))
            .await
            .unwrap()
            .is_empty()
    );
    open.close().await;
}

async fn attempts_at_logging_in_are_listed_newest_first(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, _) = new_user(store, "a@b.example", Vec::new()).await;
    store
        .record_failed_login(Some(id), WallMs(6))
        .await
        .unwrap();
    store.record_failed_login(None, WallMs(7)).await.unwrap();
    let login = both("n1", NotificationType::Login);
    let jobs = store
        .record_login(session("s1", id), login, WallMs(8))
        .await
        .unwrap();
    let (all, total) = store.logins(Which::All, None, ALL).await.unwrap();
    let all = json_of(&all);
    assert_eq!(total, 3);
    let kinds: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|login| {
            (
                login["loginSuccessful"].as_bool().unwrap(),
                login["userId"].is_string(),
            )
        })
        .collect();
    assert_eq!(kinds, [(true, true), (false, false), (false, true)]);
    assert_eq!(all[0]["username"], "Ada");
    assert_eq!(all[2]["email"], "a@b.example");
    assert_eq!(
        all[0]["loginAlertEmail"]["jobId"],
        json!(jobs[0].id.to_string())
    );
    assert_eq!(all[0]["loginAlertEmail"]["notificationId"], "n1");
    assert_eq!(
        all[0]["loginInAppNotification"]["jobId"],
        json!(jobs[1].id.to_string())
    );
    let (own, total) = store.logins(Which::All, Some(id), ALL).await.unwrap();
    assert_eq!((own.len(), total), (2, 2));
    store.run_dead(run(&jobs[0], 3), WallMs(9)).await.unwrap();
    let (failed, total) = store.logins(Which::EmailFailed, None, ALL).await.unwrap();
    assert_eq!(
        (json_of(&failed)[0]["sessionId"].as_str(), total),
        (Some("s1"), 1)
    );
    open.close().await;
}

async fn records_come_with_what_is_told_about_them(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (ada, _) = new_user(store, "a@b.example", Vec::new()).await;
    let (bob, _) = new_user(store, "b@b.example", Vec::new()).await;
    let purchase = NewPurchase {
        id: "p1".to_owned(),
        user: ada,
        item: "Tea".to_owned(),
        amount: 4.0,
        currency: "EUR".to_owned(),
    };
    let told = both("n1", NotificationType::Purchase);
    let jobs = store
        .record_purchase(purchase, told, WallMs(6))
        .await
        .unwrap();
    assert_eq!(
        jobs.iter().map(|job| job.user).collect::<Vec<_>>(),
        [ada, ada]
    );
    let request = |id: &str, to| NewFriendRequest {
        id: id.to_owned(),
        from: ada,
        to,
    };
    let told = both("n2", NotificationType::FriendRequest);
    let jobs = store
        .record_friend_request(request("f1", bob), told, WallMs(7))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(jobs[1].user, bob);
    let told = both("n3", NotificationType::FriendRequest);
    let nobody = store.record_friend_request(request("f2", UserId(999)), told, WallMs(8));
    assert!(nobody.await.unwrap().is_none());
    assert!(store.notification("n3".to_owned()).await.unwrap().is_none());
    let reset = NewReset {
        id: "r1".to_owned(),
        user: bob,
        token_hash: "hash".to_owned(),
        expires_at: WallMs(100),
    };
    let told = vec![news("n4", Channel::Email, NotificationType::ResetPassword)];
    store.record_reset(reset, told, WallMs(9)).await.unwrap();
    let (listed, _) = store
        .notifications_of(bob, Channel::Email, ALL)
        .await
        .unwrap();
    let shown: Vec<_> = listed
        .iter()
        .map(|item| (item.kind.as_str(), item.message.as_str()))
        .collect();
    // What a reset says holds its code.
    assert_eq!(shown, [("reset_password", ""), ("friend_request", "m")]);
    for job in store.open_jobs().await.unwrap() {
        let done = store.run_delivered(run(&job.job, 1), None, None, WallMs(10));
        done.await.unwrap();
    }
    assert!(store.open_jobs().await.unwrap().is_empty());
    open.close().await;
}

async fn an_address_is_proved_once_and_counted(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, _) = new_user(store, "a@b.example", Vec::new()).await;
    new_user(store, "b@b.example", Vec::new()).await;
    let verify = || store.verify_email("token of a@b.example".to_owned(), WallMs(9));
    assert_eq!(verify().await.unwrap(), Some(id));
    assert_eq!(verify().await.unwrap(), None, "used");
    let statistics = json_of(&store.signup_statistics().await.unwrap());
    assert_eq!(
        (&statistics["total"], &statistics["verified"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        statistics["perDay"],
        json!([{"day": "1970-01-01", "count": 2}])
    );
    let (listed, _) = store.signups(Which::All, ALL).await.unwrap();
    let verified = &json_of(&listed)[1];
    assert_eq!(verified["emailVerified"], true);
    assert_eq!(verified["updatedAt"], "1970-01-01T00:00:00.009Z");
    open.close().await;
}

async fn what_people_type_is_a_value_and_nothing_else(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, _) = new_user(store, "a@b.example", welcome("n1")).await;
    for typed in [
        "{\"$ne\":null}",
        "$where",
        "' OR 1=1 --",
        "a@b.example\0",
        ".*",
    ] {
        let typed = typed.to_owned();
        assert!(store.user_by_email(typed.clone()).await.unwrap().is_none());
        assert!(store.notification(typed.clone()).await.unwrap().is_none());
        assert!(
            !store
                .is_session_open(typed.clone(), WallMs(6))
                .await
                .unwrap()
        );
        let marked = store.mark_read(id, vec![typed.clone()], WallMs(6)).await;
        assert!(marked.unwrap().is_empty());
        let rotated = store.rotate_refresh(typed.clone(), typed, WallMs(6)).await;
        assert!(rotated.unwrap().is_none());
    }
    let odd = NewUser {
        username: "$set.{\"a\":1}".to_owned(),
        ..user("$gt@b.example")
    };
    store.create_user(odd, Vec::new(), WallMs(7)).await.unwrap();
    let found = store
        .user_by_email("$gt@b.example".to_owned())
        .await
        .unwrap();
    assert_eq!(found.unwrap().username, "$set.{\"a\":1}");
    open.close().await;
}

async fn operators_look_up_requeue_and_remove_jobs(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, _) = new_user(store, "a@b.example", Vec::new()).await;
    let login = both("n1", NotificationType::Login);
    let jobs = store
        .record_login(session("s1", id), login, WallMs(6))
        .await
        .unwrap();
    let one = |job: &NewJob| store.job_records(JobFilter::One(job.id), ALL);
    let (found, total) = one(&jobs[1]).await.unwrap();
    assert_eq!(
        (total, found[0].channel, found[0].user),
        (1, Channel::InApp, id)
    );
    assert!(found[0].stored.is_some() && !found[0].is_dead);
    for job in &jobs {
        store.run_dead(run(job, 3), WallMs(7)).await.unwrap();
    }
    let (dead, total) = store.job_records(JobFilter::Dead, ALL).await.unwrap();
    let numbers: Vec<i64> = dead.iter().map(|record| record.id).collect();
    assert_eq!((total, numbers), (2, vec![jobs[0].id, jobs[1].id]));
    assert!(dead.iter().all(|record| record.is_dead));
    let failed = JobFilter::Ended(Channel::Email, "failed");
    let (ended, total) = store.job_records(failed, ALL).await.unwrap();
    assert_eq!((total, ended[0].id), (1, jobs[0].id));

    let requeued = store.requeue_dead(jobs[0].id, WallMs(8)).await.unwrap();
    let requeued = requeued.unwrap();
    assert_eq!((requeued.job.id, requeued.attempt), (jobs[0].id, 1));
    assert!(requeued.parked.is_none());
    let again = store.requeue_dead(jobs[0].id, WallMs(9)).await.unwrap();
    assert!(again.is_none(), "it is not dead any more");
    assert_eq!(store.open_jobs().await.unwrap().len(), 1);
    let (found, _) = one(&jobs[0]).await.unwrap();
    let notification = json_of(&found[0].notification);
    assert_eq!(notification["status"], "pending");
    assert_eq!(
        statuses(&notification["deliveryHistory"]),
        ["pending", "queued", "failed", "queued"]
    );
    let done = store.run_delivered(run(&jobs[0], 1), None, None, WallMs(10));
    done.await.unwrap();
    let (found, _) = one(&jobs[0]).await.unwrap();
    assert!(found[0].stored.is_none());

    let removal = Removal {
        status: "removed",
        tier: "dlq",
        reason: "no longer wanted".to_owned(),
    };
    let both = vec![jobs[0].id, jobs[1].id, 999];
    let removed = store.remove_jobs(both, removal, WallMs(11)).await.unwrap();
    assert_eq!(removed, 1, "the other is delivered");
    assert_eq!(store.dead_job_count().await.unwrap(), 0);
    let (logins, _) = store.logins(Which::All, Some(id), ALL).await.unwrap();
    let logins = json_of(&logins);
    assert_eq!(logins[0]["loginAlertEmail"]["status"], "delivered");
    assert_eq!(logins[0]["loginInAppNotification"]["status"], "failed");
    let delivered = JobFilter::Ended(Channel::Email, "delivered");
    let (ended, total) = store.job_records(delivered, ALL).await.unwrap();
    assert_eq!((total, ended[0].id), (1, jobs[0].id));
    open.close().await;
}

async fn what_operators_set_is_kept(site: &Site) {
    let open = site.open().await;
    let set = |name: &str, value: Option<&str>| {
        let value = value.map(str::to_owned);
        open.store.set_setting(name.to_owned(), value)
    };
    set("b", Some("1")).await.unwrap();
    set("a", Some("2")).await.unwrap();
    set("b", Some("3")).await.unwrap();
    set("c", Some("4")).await.unwrap();
    set("c", None).await.unwrap();
    set("d", None).await.unwrap();
    open.close().await;
    let open = site.open().await;
    let kept = open.store.settings().await.unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(kept, [pair("a", "2"), pair("b", "3")]);
    open.close().await;
}

async fn what_another_program_asks_for_is_stored_once(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, _) = new_user(store, "a@b.example", welcome("n1")).await;
    let asked = || news("f1", Channel::Email, NotificationType::Signup);
    let nobody = store.adopt(UserId(999), asked(), WallMs(6)).await.unwrap();
    assert!(matches!(nobody, Adopted::NoUser), "{nobody:?}");
    let at_once = (0..4).map(|_| store.adopt(id, asked(), WallMs(7)));
    let mut numbers = BTreeSet::new();
    let mut job = None;
    for adopted in join_all(at_once).await {
        let Ok(Adopted::Open(open)) = adopted else {
            panic!("{adopted:?}");
        };
        numbers.insert(open.id);
        job = Some(open);
    }
    assert_eq!(numbers.len(), 1);
    let done = store.run_delivered(run(&job.unwrap(), 1), None, None, WallMs(8));
    done.await.unwrap();
    let over = store.adopt(id, asked(), WallMs(9)).await.unwrap();
    assert!(matches!(over, Adopted::Over), "{over:?}");
    // The signup's own welcome is another message.
    let welcome = json_of(&store.welcome_email(id).await.unwrap());
    assert_eq!(welcome["status"], "queued");
    open.close().await;
}
