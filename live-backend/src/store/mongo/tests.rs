//! What is MongoDB's own: documents as others see them, refusals, outages.
//!
//! Belongs here: behaviour on a real mongod. Does not belong here: what every store does (suite).

use super::server::Server;
use super::*;
use crate::models::{Channel, NotificationType, Priority, WallMs};
use crate::store::jobs::{NewJob, RunEnd};
use crate::store::notifications::News;
use crate::store::step::RunStep;
use crate::store::users::NewUser;
use flowreel_engine::model::id::RequestId;
use mongodb::bson::{DateTime, Document};

fn user(email: &str) -> NewUser {
    NewUser {
        username: "Ada".to_owned(),
        email: email.to_owned(),
        password_hash: "$argon2id$h".to_owned(),
        verification_hash: None,
    }
}

fn welcome(id: &str) -> Vec<News> {
    vec![News {
        id: id.to_owned(),
        channel: Channel::Email,
        kind: NotificationType::Signup,
        title: "t".to_owned(),
        message: "m".to_owned(),
        priority: Priority::High,
        expires_at: None,
        origin: None,
    }]
}

fn run(job: &NewJob, attempt: u16) -> RunEnd {
    RunEnd {
        job: job.id,
        request: RequestId(0),
        notification: job.notification.clone(),
        channel: Channel::Email,
        attempt,
        code: Some(451),
        reason: "later".to_owned(),
        is_missed: false,
    }
}

#[tokio::test]
async fn documents_have_the_fields_of_their_collection_and_others_are_refused() {
    let Some(server) = Server::start().await else {
        return;
    };
    let mongo = Mongo::open(&server.address("fields")).await.unwrap();
    let created = mongo.create_user(user("a@b.example"), welcome("n1"), WallMs(5));
    let (_, jobs) = created.await.unwrap();
    let delayed = RunStep::Delayed {
        station: "retry-1",
        due_at: WallMs(500),
    };
    mongo
        .step(run(&jobs[0], 1), delayed, WallMs(6))
        .await
        .unwrap();
    let database = server.client().await.database("fields");
    let read = |name: &str| database.collection::<Document>(name);
    let signup = read("signups").find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(signup.get_i64("userId").unwrap(), 1);
    assert_eq!(signup.get_str("password").unwrap(), "$argon2id$h");
    assert!(!signup.get_bool("emailVerified").unwrap());
    assert_eq!(
        signup.get_datetime("createdAt").unwrap(),
        &DateTime::from_millis(5)
    );
    let told = signup.get_document("welcomeEmail").unwrap();
    assert_eq!(told.get_i64("jobId").unwrap(), jobs[0].id);
    assert_eq!(told.get_str("notificationId").unwrap(), "n1");
    assert_eq!(told.get_array("deliveryHistory").unwrap().len(), 3);
    let email = read("emailNotifications")
        .find_one(doc! {})
        .await
        .unwrap()
        .unwrap();
    let retries = email.get_array("retryHistory").unwrap();
    assert_eq!(retries.len(), 1);
    let retry = retries[0].as_document().unwrap();
    assert_eq!(
        (
            retry.get_datetime("time").unwrap(),
            retry.get_str("tier").unwrap(),
            retry.get_str("error").unwrap()
        ),
        (&DateTime::from_millis(6), "mail", "later")
    );
    let recipient = email.get_document("recipient").unwrap();
    assert_eq!(recipient.get_i64("userId").unwrap(), 1);

    let mut bad = signup.clone();
    bad.remove("_id");
    bad.insert("userId", 2_i64);
    bad.insert("email", "b@b.example");
    read("signups").insert_one(bad.clone()).await.unwrap();
    let wrong: [(&str, Bson); 4] = [
        ("password", "plain".into()),
        ("emailVerified", "yes".into()),
        ("userId", "3".into()),
        ("createdAt", 5_i64.into()),
    ];
    for (number, (field, value)) in wrong.into_iter().enumerate() {
        let mut worse = bad.clone();
        worse.insert("userId", 10 + i64::try_from(number).unwrap());
        worse.insert("email", format!("{number}@b.example"));
        worse.remove("_id");
        worse.insert(field, value);
        let refused = read("signups").insert_one(worse).await.unwrap_err();
        let error = StoreError::from(refused);
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "{field}: {error}"
        );
    }
    let update = doc! { "$set": { "status": "sent" } };
    let refused = read("emailNotifications").update_one(doc! {}, update).await;
    assert!(refused.is_err());
    let indexes = read("signups").list_index_names().await.unwrap();
    for name in ["email_unique", "userId_unique"] {
        assert!(indexes.contains(&name.to_owned()), "{indexes:?}");
    }
    let mut twice = read("signups").find_one(doc! {}).await.unwrap().unwrap();
    twice.insert("_id", "another");
    twice.insert("email", "another@b.example");
    let refused = read("signups").insert_one(twice).await.unwrap_err();
    assert!(refused.to_string().contains("userId_unique"), "{refused}");
}

#[tokio::test]
async fn a_beginning_whose_answer_was_lost_is_told_once() {
    let Some(server) = Server::start().await else {
        return;
    };
    let mongo = Mongo::open(&server.address("again")).await.unwrap();
    let created = mongo.create_user(user("a@b.example"), welcome("n1"), WallMs(5));
    let (_, jobs) = created.await.unwrap();
    // The same run at the same moment is the same word; at another moment it is another run.
    for at in [6, 6, 7] {
        let begun = mongo.step(run(&jobs[0], 1), RunStep::Began, WallMs(at));
        begun.await.unwrap();
    }
    let database = server.client().await.database("again");
    let read = async |name: &str| {
        let collection = database.collection::<Document>(name);
        collection.find_one(doc! {}).await.unwrap().unwrap()
    };
    let email = read("emailNotifications").await;
    assert_eq!(email.get_array("deliveryHistory").unwrap().len(), 4);
    let signup = read("signups").await;
    let told = signup.get_document("welcomeEmail").unwrap();
    assert_eq!(told.get_array("deliveryHistory").unwrap().len(), 4);
}

#[tokio::test]
async fn collections_are_brought_up_to_date_and_newer_ones_refused() {
    let Some(server) = Server::start().await else {
        return;
    };
    let address = server.address("versions");
    let database = server.client().await.database("versions");
    // Made by somebody else, without a validator.
    database.create_collection("signups").await.unwrap();
    let opened = futures_util::future::join_all((0..3).map(|_| Mongo::open(&address))).await;
    for mongo in opened {
        mongo.unwrap();
    }
    let bad = doc! { "userId": 1_i64 };
    let refused = database.collection("signups").insert_one(bad).await;
    assert!(refused.is_err());
    let newer = doc! { "$set": { "version": 99_i64 } };
    database
        .collection::<Document>("schema")
        .update_one(doc! { "_id": "version" }, newer)
        .await
        .unwrap();
    let error = Mongo::open(&address).await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("version 99"), "{error}");
}

#[tokio::test]
async fn a_single_server_is_refused() {
    let Some(server) = Server::start_alone().await else {
        return;
    };
    let error = Mongo::open(&server.address("alone"))
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, StoreError::NoReplicaSet { .. }), "{error}");
    assert!(error.to_string().contains("--replSet"), "{error}");
}

#[tokio::test]
async fn an_outage_is_answered_in_bounded_time_and_ends_by_itself() {
    let Some(mut server) = Server::start().await else {
        return;
    };
    let mongo = Mongo::open(&server.address("outage")).await.unwrap();
    let created = mongo.create_user(user("a@b.example"), welcome("n1"), WallMs(5));
    let (_, jobs) = created.await.unwrap();
    server.kill();
    let bound = CALL_MAX * 2 + Duration::from_secs(2);
    let refused = tokio::time::timeout(bound, async {
        let found = mongo.user_by_email("a@b.example".to_owned()).await;
        assert!(
            matches!(found, Err(StoreError::Unavailable { .. })),
            "{found:?}"
        );
        mongo
            .create_user(user("b@b.example"), welcome("n2"), WallMs(6))
            .await
    })
    .await
    .expect("bounded");
    assert!(
        matches!(refused, Err(StoreError::Unavailable { .. })),
        "{refused:?}"
    );
    assert!(!mongo.is_well().await);
    // A run that has ended says so until it is heard.
    let said = mongo.step(run(&jobs[0], 1), RunStep::DELIVERED, WallMs(7));
    let (said, ()) = tokio::join!(said, server.restart());
    said.unwrap();
    assert!(mongo.is_well().await);
    assert!(mongo.open_jobs().await.unwrap().is_empty());
    let again = mongo
        .create_user(user("b@b.example"), welcome("n3"), WallMs(8))
        .await;
    assert_eq!(again.unwrap().1.len(), 1);

    // One that stands still keeps its connections and answers nothing.
    server.signal("-STOP");
    let hanging = tokio::time::timeout(bound, async {
        loop {
            // A thread of it that ran just then may answer once more.
            let asked = mongo.user_by_email("a@b.example".to_owned()).await;
            if asked.is_err() {
                break asked;
            }
        }
    });
    let hanging = hanging.await.expect("bounded");
    assert!(
        matches!(hanging, Err(StoreError::Unavailable { .. })),
        "{hanging:?}"
    );
    mongo.stop_waiting();
    let last = run(&jobs[0], 2);
    let given_up = tokio::time::timeout(bound, mongo.step(last, RunStep::Began, WallMs(9)));
    assert!(
        given_up.await.expect("bounded").is_err(),
        "who stops does not wait"
    );
    server.signal("-CONT");
}

#[tokio::test]
async fn nobody_at_the_address_is_said_in_one_sentence() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let text = format!("mongodb://ada:s3cret@127.0.0.1:{port}/d");
    let address = MongoAddress::parse(&text).unwrap();
    let error = Mongo::open(&address).await.map(|_| ()).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains(&format!("mongodb://127.0.0.1:{port}/d")),
        "{error}"
    );
    assert!(
        !error.contains("s3cret") && !error.contains('\n'),
        "{error}"
    );
}

#[tokio::test]
async fn a_transaction_that_its_process_left_holds_nobody_up() {
    let Some(server) = Server::start().await else {
        return;
    };
    let address = server.address("left");
    let (gone, mongo) = (Mongo::open(&address).await.unwrap(), Mongo::open(&address));
    let mongo = mongo.await.unwrap();
    let created = mongo.create_user(user("a@b.example"), welcome("n1"), WallMs(5));
    let (_, jobs) = created.await.unwrap();
    // As if it had been killed here.
    let mut left = gone.inner.client.start_session().await.unwrap();
    left.start_transaction().await.unwrap();
    let emails = gone.collection::<Document>(names::notifications_on(Channel::Email));
    let touched = doc! { "$set": { "title": "left" } };
    let touch = emails.update_one(doc! { "_id": "n1" }, touched);
    let touch = touch.session(&mut left).await.unwrap();
    assert_eq!(touch.modified_count, 1);

    let step = mongo.step(run(&jobs[0], 1), RunStep::DELIVERED, WallMs(6));
    // A minute by the server's own limit.
    tokio::time::timeout(CALL_MAX * 4, step)
        .await
        .unwrap()
        .unwrap();
    let ended = left.commit_transaction().await.unwrap_err();
    assert!(
        ended.contains_label(mongodb::error::TRANSIENT_TRANSACTION_ERROR),
        "whoever is only slow does it again: {ended}"
    );
    let found = mongo
        .notification("n1".to_owned(), Channel::Email)
        .await
        .unwrap()
        .unwrap();
    assert!(found.is_delivered);
    assert_eq!(found.news.title, "t");
}

#[tokio::test]
async fn steps_of_one_request_take_turns_and_others_do_not_wait() {
    let Some(server) = Server::start().await else {
        return;
    };
    let mongo = Mongo::open(&server.address("turns")).await.unwrap();
    let mut steps = Vec::new();
    for (at, request) in [(1, 7), (2, 8)] {
        let created = mongo.create_user(
            user(&format!("a{at}@b.example")),
            welcome(&format!("n{at}")),
            WallMs(5),
        );
        let (_, jobs) = created.await.unwrap();
        let run = RunEnd {
            request: RequestId(request),
            ..run(&jobs[0], 1)
        };
        steps.push(mongo.step(run, RunStep::DELIVERED, WallMs(6)));
    }
    let (of_other, own) = (steps.pop().unwrap(), steps.pop().unwrap());
    let turn = mongo.turn(RequestId(7)).await;
    let mut own = std::pin::pin!(own);
    tokio::select! {
        biased;
        _stored = &mut own => panic!("it did not wait for its turn"),
        stored = of_other => stored.unwrap(),
    }
    drop(turn);
    own.await.unwrap();
    // Once the process stops, nobody waits for whoever is stuck.
    let _held = mongo.turn(RequestId(7)).await;
    mongo.stop_waiting();
    assert!(mongo.turn(RequestId(7)).await.is_none());
}
