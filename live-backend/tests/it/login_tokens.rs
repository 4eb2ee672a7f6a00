//! A login's document has `sessionToken`: the digest of the token that was given out, never the token.

use crate::harness::{Backend, Folder};
use crate::services::Mongod;
use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::Path;

/// What `printf %s TOKEN | sha256sum` prints.
fn digest(token: &str) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(token.as_bytes()) {
        write!(text, "{byte:02x}").expect("a text takes all");
    }
    text
}

fn token(session: &Value) -> &str {
    session["sessionToken"].as_str().expect("a token")
}

/// Whether any file under `folder` holds the text.
fn is_held(folder: &Path, text: &str) -> bool {
    let mut entries = std::fs::read_dir(folder).expect("a folder");
    entries.any(|entry| {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            return is_held(&path, text);
        }
        // A file that went away meanwhile holds nothing.
        let held = std::fs::read(&path).unwrap_or_default();
        held.windows(text.len()).any(|it| it == text.as_bytes())
    })
}

#[tokio::test]
async fn who_has_a_token_finds_its_login_and_the_files_never_hold_the_token() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let first = backend.user("ada").await;
    let second = backend.log_in("ada").await;
    let admin = backend.read("/api/logins").await;
    let (status, own) = backend.get("/api/logins", Some(token(&second))).await;
    assert_eq!((status, &own["total"]), (200, &serde_json::json!(2)));
    assert_eq!(admin["logins"], own["logins"]);
    let told = own["logins"].as_array().expect("a list").iter();
    let told: Vec<&str> = told.map(token).collect();
    let expected = [&second, &first].map(|it| digest(token(it)));
    assert_eq!(told, expected, "newest first, by sha256sum of each token");
    backend.stop();
    for session in [&first, &second] {
        for key in ["sessionToken", "refreshToken"] {
            let secret = session[key].as_str().expect("a token");
            assert!(!is_held(folder.path(), secret), "{key} is stored");
        }
        assert!(is_held(folder.path(), &digest(token(session))), "stored");
    }
}

#[tokio::test]
async fn one_login_is_one_document_with_every_field_in_mongodb() {
    let Some(server) = Mongod::start().await else {
        return;
    };
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &["--store", &server.url("logins")]);
    let ada = backend.user("ada").await;
    let client = mongodb::Client::with_uri_str(server.url("logins")).await;
    let logins = client.expect("it answers").database("logins");
    let logins = logins.collection::<Document>("logins");
    assert_eq!(logins.count_documents(doc! {}).await.expect("a count"), 1);
    let by_token = doc! { "sessionToken": digest(token(&ada)) };
    let login = logins.find_one(by_token).await.expect("it answers");
    let login = login.expect("found by the digest of its token");
    let id: i64 = ada["userId"].as_str().expect("an id").parse().expect("int");
    assert_eq!(login.get("userId"), Some(&Bson::Int64(id)));
    assert_eq!(login.get("username"), Some(&"ada".into()));
    assert_eq!(login.get("email"), Some(&"ada@people.example".into()));
    assert_eq!(login.get("loginSuccessful"), Some(&true.into()));
    assert!(login.get_datetime("createdAt").is_ok(), "{login}");
    for told in ["loginAlertEmail", "loginInAppNotification"] {
        let message = login.get_document(told).expect("what was told");
        assert!(message.get_str("notificationId").is_ok(), "{login}");
    }
    // The collection itself takes no token, and still what older versions wrote.
    let older = doc! {
        "_id": "older", "loginSuccessful": true, "sessionId": "s", "createdAt": DateTime::now()
    };
    logins.insert_one(&older).await.expect("it is as before");
    let mut bad = older.clone();
    bad.insert("_id", "bad");
    bad.insert("sessionToken", token(&ada));
    logins
        .insert_one(bad)
        .await
        .expect_err("a token is no digest");
    let listed = backend.read("/api/logins").await;
    let listed = listed["logins"].as_array().expect("a list");
    let tokens: Vec<&Value> = listed.iter().map(|it| &it["sessionToken"]).collect();
    assert_eq!(
        tokens,
        [&Value::Null, &Value::from(digest(token(&ada)))],
        "the older one has none"
    );
    backend.stop();
}
