//! Users who are made administrators: by whom, from when on, and who cannot be taken away.

use crate::harness::{Backend, Folder, sound_reel};
use crate::services::Mongod;
use bytes::Bytes;
use flowreel_engine::model::event::EventKind;
use hyper::Method;
use serde_json::{Value, json};

async fn set_role(
    backend: &Backend,
    user: &Value,
    role: &str,
    token: Option<&str>,
) -> (u16, Value) {
    let user = user.as_str().expect("an id");
    let path = format!("/api/users/{user}/role");
    let body = Bytes::from(json!({ "role": role }).to_string());
    let answer = backend.http.send(Method::PUT, &path, body, token).await;
    answer.expect("an answer")
}

async fn renewed(backend: &Backend, session: &Value) -> Value {
    let body = json!({"refreshToken": session["refreshToken"]});
    let (status, answer) = backend.post("/api/session", &body, None).await;
    assert_eq!(status, 201, "{answer}");
    answer
}

async fn may_look(backend: &Backend, session: &Value) -> u16 {
    let token = session["sessionToken"].as_str();
    backend.get("/api/queues", token).await.0
}

async fn administrators_are_made_and_the_last_one_stays(arguments: &[&str]) {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), arguments);
    let (ada, eve) = (backend.user("ada").await, backend.user("eve").await);
    let (ada_id, eve_id) = (&ada["userId"], &eve["userId"]);
    let local = backend.admin_token.clone();
    let admin = Some(local.as_str());
    let own = ada["sessionToken"].as_str();
    assert_eq!(set_role(&backend, ada_id, "admin", None).await.0, 401);
    assert_eq!(set_role(&backend, ada_id, "admin", own).await.0, 403);
    for (user, role, expected) in [
        (ada_id, "emperor", 400),
        (&json!("999"), "admin", 404),
        (&json!("x"), "admin", 400),
        // A user who is one stays one.
        (ada_id, "user", 200),
    ] {
        let (status, answer) = set_role(&backend, user, role, admin).await;
        assert_eq!(status, expected, "{user} {role}: {answer}");
    }
    let (status, answer) = set_role(&backend, ada_id, "admin", admin).await;
    assert_eq!(
        (status, &answer),
        (200, &json!({"userId": ada_id, "role": "admin"}))
    );
    // The token at hand says what it said; the next one says it.
    assert_eq!(may_look(&backend, &ada).await, 403);
    let ada = renewed(&backend, &ada).await;
    assert_eq!(may_look(&backend, &ada).await, 200);
    let token = ada["sessionToken"].as_str();
    let (status, answer) = set_role(&backend, ada_id, "user", token).await;
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (409, Some("conflict"))
    );
    assert_eq!(set_role(&backend, eve_id, "admin", token).await.0, 200);
    assert_eq!(set_role(&backend, ada_id, "user", token).await.0, 200);
    let ada = renewed(&backend, &ada).await;
    assert_eq!(may_look(&backend, &ada).await, 403);
    assert_eq!(set_role(&backend, eve_id, "user", admin).await.0, 409);
    let events = sound_reel(&backend.stop());
    let changes = events
        .iter()
        .filter(|event| event.kind == EventKind::ControlApplied);
    assert_eq!(changes.count(), 4);

    // Over a restart, and by a login.
    let mut backend = Backend::start(folder.path(), arguments);
    let eve = backend.log_in("eve").await;
    assert_eq!(may_look(&backend, &eve).await, 200);
    backend.stop();
}

#[tokio::test]
async fn an_administrator_makes_others_and_the_last_one_stays() {
    administrators_are_made_and_the_last_one_stays(&[]).await;
}

#[tokio::test]
async fn on_mongodb_an_administrator_makes_others_and_the_last_one_stays() {
    let Some(mongod) = Mongod::start().await else {
        return;
    };
    let url = mongod.url("roles");
    administrators_are_made_and_the_last_one_stays(&["--store", &url]).await;
}
