//! The built program on a real MongoDB: the first flow, what lies there, restarts, bad addresses.
//!
//! Belongs here: what holds with `--store mongodb://…` only. Does not belong here: what every store does
//! (the suite beside the stores).

use crate::harness::{Backend, Folder, command, count, notification, sound_reel, until};
use crate::services::{Mongod, Redis, free_port};
use ::mongodb::Database;
use ::mongodb::bson::{Bson, Document, doc};
use flowreel_engine::model::event::EventKind;
use flowreel_live_backend::load::Http;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, interval};

const DATABASE: &str = "flow";
/// How long the store is away.
const OUTAGE: Duration = Duration::from_secs(10);

async fn database(server: &Mongod) -> Database {
    let client = ::mongodb::Client::with_uri_str(server.url(DATABASE)).await;
    client.expect("it answers").database(DATABASE)
}

async fn one(database: &Database, collection: &str, filter: Document) -> Option<Document> {
    let collection = database.collection(collection);
    collection.find_one(filter).await.expect("it answers")
}

async fn number_of(database: &Database, collection: &str, filter: Document) -> u64 {
    let collection = database.collection::<Document>(collection);
    let counted = collection.count_documents(filter).await;
    counted.expect("it answers")
}

/// Follows dots into a document.
fn at<'a>(document: &'a Document, path: &str) -> Option<&'a Bson> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let value = document.get(first)?;
    if rest.is_empty() {
        return Some(value);
    }
    at(value.as_document()?, rest)
}

#[tokio::test]
async fn the_first_flow_lies_in_mongodb_for_others_to_see() {
    let Some(server) = Mongod::start().await else {
        return;
    };
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &["--store", &server.url(DATABASE)]);
    let ada = backend.user("ada").await;
    let token = ada["sessionToken"].as_str().expect("a token");
    let mut socket = backend.socket(token).await;
    assert_eq!(notification(&mut socket).await["type"], "login");
    let purchase = json!({"item": "Blue lantern", "amount": 12.5, "currency": "EUR"});
    let (status, bought) = backend.post("/api/purchases", &purchase, Some(token)).await;
    assert_eq!(status, 201, "{bought}");
    assert_eq!(notification(&mut socket).await["type"], "purchase");
    until("a mail that names the item", async || {
        let mails = backend.mails();
        let is_there = mails.iter().any(|mail| mail.contains("Blue lantern"));
        is_there.then_some(())
    })
    .await;
    let bob = backend.user("bob").await;
    let body = json!({"toUserId": ada["userId"]});
    let bob_token = bob["sessionToken"].as_str();
    let (status, asked) = backend.post("/api/friend-requests", &body, bob_token).await;
    assert_eq!(status, 201, "{asked}");
    assert_eq!(notification(&mut socket).await["type"], "friend_request");
    let forgot = json!({"email": "ada@people.example"});
    let (status, reset) = backend.post("/api/reset-password", &forgot, None).await;
    assert!((200..300).contains(&status), "{reset}");
    let again =
        json!({"username": "ada", "email": "ada@people.example", "password": "correct horse 1"});
    let (status, refused) = backend.post("/api/signups", &again, None).await;
    assert_eq!((status, &refused["error"]["field"]), (409, &json!("email")));

    let database = database(&server).await;
    let ada_id: i64 = ada["userId"].as_str().unwrap().parse().unwrap();
    until("every job for her to be done", async || {
        (number_of(&database, "jobs", doc! { "userId": ada_id }).await == 0).then_some(())
    })
    .await;
    let signup = one(&database, "signups", doc! { "userId": ada_id })
        .await
        .unwrap();
    assert!(
        signup
            .get_str("password")
            .unwrap()
            .starts_with("$argon2id$")
    );
    assert_eq!(
        at(&signup, "welcomeEmail.status"),
        Some(&"delivered".into())
    );
    let login = one(&database, "logins", doc! { "userId": ada_id })
        .await
        .unwrap();
    assert!(login.get_bool("loginSuccessful").unwrap());
    let purchase = one(&database, "purchases", doc! {}).await.unwrap();
    assert_eq!(purchase.get_str("item").unwrap(), "Blue lantern");
    let friend = one(&database, "friendRequests", doc! {}).await.unwrap();
    assert_eq!(friend.get_i64("toUserId").unwrap(), ada_id);
    let reset = one(&database, "resetPasswords", doc! { "userId": ada_id })
        .await
        .unwrap();
    // What a record says of its messages is what the messages say themselves.
    for (record, field, collection) in [
        (&signup, "welcomeEmail", "emailNotifications"),
        (&login, "loginAlertEmail", "emailNotifications"),
        (&login, "loginInAppNotification", "inAppNotifications"),
        (&purchase, "emailNotification", "emailNotifications"),
        (&purchase, "inAppNotification", "inAppNotifications"),
        (&friend, "emailNotification", "emailNotifications"),
        (&friend, "inAppNotification", "inAppNotifications"),
        (&reset, "emailNotification", "emailNotifications"),
    ] {
        let id = at(record, &format!("{field}.notificationId")).expect("an id");
        let message = one(&database, collection, doc! { "_id": id })
            .await
            .unwrap();
        assert_eq!(
            message.get_str("status").unwrap(),
            "delivered",
            "{field}: {message}"
        );
        for name in ["status", "jobId", "attempts", "deliveryHistory"] {
            let told = at(record, &format!("{field}.{name}"));
            assert_eq!(told, message.get(name), "{field}.{name}");
        }
        assert_eq!(at(&message, "recipient.userId"), Some(&Bson::Int64(ada_id)));
    }
    let in_app = one(&database, "inAppNotifications", doc! { "type": "purchase" })
        .await
        .unwrap();
    assert!(in_app.get_str("socketId").is_ok(), "{in_app}");
    assert!(in_app.get_datetime("deliveredAt").is_ok(), "{in_app}");
    socket.close().await;
    let events = sound_reel(&backend.stop());
    assert!(count(&events, EventKind::InAppAcknowledged) >= 3);
}

#[tokio::test]
async fn what_one_server_writes_another_reads() {
    let Some(server) = Mongod::start().await else {
        return;
    };
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &["--store", &server.url(DATABASE)]);
    let at = |name: &str| Http::new(backend.ready()["urls"][name].as_str().expect("a URL"));
    let body =
        json!({"username": "ada", "email": "ada@people.example", "password": "correct horse 1"});
    let written = at("server-1").post("/api/signups", &body, None).await;
    assert_eq!(written.expect("an answer").0, 201);
    let body = json!({"email": "ada@people.example", "password": "correct horse 1"});
    let read = at("server-3").post("/api/logins", &body, None).await;
    assert_eq!(read.expect("an answer").0, 200);
    drop(backend.stop());
}

#[tokio::test]
async fn a_restart_of_mongodb_under_way_loses_nothing_that_was_answered() {
    let Some(mut server) = Mongod::start().await else {
        return;
    };
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &["--store", &server.url(DATABASE)]);
    let (mut accepted, mut refused) = (Vec::new(), 0);
    for number in 0..24 {
        if number == 6 {
            server.kill();
        }
        if number == 10 {
            server.restart().await;
        }
        let name = format!("p{number}");
        let body = json!({"username": name, "email": format!("{name}@people.example"), "password": "correct horse 1"});
        let (status, answer) = backend.post("/api/signups", &body, None).await;
        match status {
            201 => accepted.push(name),
            503 => {
                assert_eq!(answer["error"]["code"], "store_unavailable", "{answer}");
                refused += 1;
            }
            other => panic!("{other}: {answer}"),
        }
    }
    assert!(
        refused >= 4 && accepted.len() >= 18,
        "{refused} refused, {accepted:?}"
    );
    let database = database(&server).await;
    for name in &accepted {
        let email = format!("{name}@people.example");
        let found = one(&database, "signups", doc! { "email": email }).await;
        assert!(found.is_some(), "{name} was answered and is gone");
    }
    // The mails of all of them go out: the queue is as whole as the store.
    until("every welcome to be sent", async || {
        let mails = backend.mails();
        let is_sent = |name: &String| {
            mails
                .iter()
                .any(|mail| mail.contains(&format!("{name}@people.example")))
        };
        accepted.iter().all(is_sent).then_some(())
    })
    .await;
    until("every job to be done", async || {
        (number_of(&database, "jobs", doc! {}).await == 0).then_some(())
    })
    .await;
    drop(backend.stop());
}

#[tokio::test]
async fn ten_seconds_without_the_store_lose_no_job_and_every_job_is_done_afterwards() {
    let (Some(mut server), Some(redis)) = (Mongod::start().await, Redis::start().await) else {
        return;
    };
    let folder = Folder::new();
    // Rests of five minutes take 3 s.
    let (store, queue) = (server.url(DATABASE), redis.url());
    let arguments = ["--retry-scale", "100", "--store", &store, "--queue", &queue];
    let mut backend = Backend::start(folder.path(), &arguments);
    let ada = backend.user("ada").await;
    let token = ada["sessionToken"].as_str().expect("a token");
    let mut socket = backend.socket(token).await;
    let items: Vec<String> = (0..12).map(|number| format!("lantern {number}.")).collect();
    for item in &items {
        let body = json!({"item": item, "amount": 1.5, "currency": "EUR"});
        let (status, answer) = backend.post("/api/purchases", &body, Some(token)).await;
        assert_eq!(status, 201, "{answer}");
    }
    server.kill();
    let (begun, mut ticks) = (Instant::now(), interval(Duration::from_millis(250)));
    let body =
        json!({"username": "bea", "email": "bea@people.example", "password": "correct horse 1"});
    while begun.elapsed() < OUTAGE {
        ticks.tick().await;
        let (status, answer) = backend.post("/api/signups", &body, None).await;
        assert_eq!(status, 503, "{answer}");
    }
    server.restart().await;
    let mut untold: BTreeSet<&String> = items.iter().collect();
    while !untold.is_empty() {
        let news = notification(&mut socket).await;
        let message = news["message"].as_str().expect("a text").to_owned();
        untold.retain(|item| !message.contains(item.as_str()));
    }
    until("every mail", async || {
        let mails = backend.mails();
        let is_sent = |item: &String| mails.iter().any(|mail| mail.contains(item.as_str()));
        items.iter().all(is_sent).then_some(())
    })
    .await;
    // Dead letters would be jobs as well.
    let database = database(&server).await;
    until("every job to be done", async || {
        (number_of(&database, "jobs", doc! {}).await == 0).then_some(())
    })
    .await;
    drop(backend.stop());
}

#[tokio::test]
async fn open_jobs_are_taken_up_by_the_next_process() {
    let Some(server) = Mongod::start().await else {
        return;
    };
    let folder = Folder::new();
    let url = server.url(DATABASE);
    let mut backend = Backend::start(folder.path(), &["--store", &url]);
    // Nobody listens, so the in-app notification waits.
    let ada = backend.user("ada").await;
    let database = database(&server).await;
    until("the run without a socket", async || {
        let waiting = doc! { "channel": "in-app", "state": "delayed" };
        (number_of(&database, "jobs", waiting).await == 1).then_some(())
    })
    .await;
    backend.kill();
    let mut backend = Backend::start(folder.path(), &["--store", &url]);
    let token = ada["sessionToken"].as_str().expect("a token");
    let mut socket = backend.socket(token).await;
    assert_eq!(notification(&mut socket).await["type"], "login");
    until("every job to be done", async || {
        (number_of(&database, "jobs", doc! {}).await == 0).then_some(())
    })
    .await;
    socket.close().await;
    drop(backend.stop());
}

#[test]
fn addresses_that_lead_nowhere_end_the_start_with_one_sentence() {
    let folder = Folder::new();
    let nowhere = format!("mongodb://ada:s3cret@127.0.0.1:{}/d", free_port());
    for (address, code) in [
        (nowhere.as_str(), 3),
        ("mongodb://ada:s3cret@host:port/d", 2),
        ("postgres://ada:s3cret@host/d", 2),
    ] {
        let output = command(folder.path())
            .args(["--port-base", "0", "--record", "off", "--store", address])
            .output()
            .expect("the program was built with this test");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(output.stdout.is_empty(), "{output:?}");
        assert!(!said.contains("s3cret"), "{said}");
        let sentences = said
            .lines()
            .filter(|line| line.starts_with("flowreel-live: "));
        assert_eq!(sentences.count(), 1, "{said}");
    }
}
