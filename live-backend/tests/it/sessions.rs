//! Sessions from outside: renewing, stolen refresh tokens, logging out, guessing passwords.

use crate::harness::{Backend, Folder, mails_in, until};
use crate::raw::{exchange, request, status};
use serde_json::{Value, json};

async fn renew(backend: &Backend, token: &Value) -> (u16, Value) {
    let body = json!({ "refreshToken": token });
    backend.post("/api/session", &body, None).await
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_used_again_ends_its_session() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let ada = backend.user("ada").await;
    let other = backend.log_in("ada").await;
    let path = format!("/api/session/{}", ada["userId"].as_str().unwrap());
    let (status, second) = renew(&backend, &ada["refreshToken"]).await;
    assert_eq!(status, 201, "{second}");
    let (status, third) = renew(&backend, &second["refreshToken"]).await;
    assert_eq!(status, 201, "{third}");
    let token = third["sessionToken"].as_str();
    assert_eq!(backend.http.get(&path, token).await.unwrap().0, 200);
    // The thief comes with the first one.
    let (status, answer) = renew(&backend, &ada["refreshToken"]).await;
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (401, Some("unauthorized"))
    );
    assert_eq!(
        renew(&backend, &third["refreshToken"]).await.0,
        401,
        "nor the owner's"
    );
    for token in [token, ada["sessionToken"].as_str()] {
        assert_eq!(
            backend.http.get(&path, token).await.unwrap().0,
            401,
            "the whole family ended"
        );
    }
    let token = other["sessionToken"].as_str();
    assert_eq!(
        backend.http.get(&path, token).await.unwrap().0,
        200,
        "another login goes on"
    );
    for made_up in [
        json!("x"),
        json!(ada["sessionToken"]),
        json!("a.b.c"),
        json!(""),
    ] {
        let (status, _answer) = renew(&backend, &made_up).await;
        assert!(
            status == 401 || made_up == "" && status == 400,
            "{made_up}: {status}"
        );
    }
    // Nothing that opens a session lies in the store.
    let stored = std::fs::read(folder.path().join("data/store.sqlite3")).unwrap();
    let journal = std::fs::read(folder.path().join("data/store.sqlite3-wal")).unwrap_or_default();
    for token in [
        &ada["refreshToken"],
        &second["refreshToken"],
        &third["sessionToken"],
    ] {
        let token = token.as_str().unwrap().as_bytes();
        for bytes in [&stored, &journal] {
            assert!(!bytes.windows(token.len()).any(|part| part == token));
        }
    }
}

#[tokio::test]
async fn a_password_opens_a_session_and_where_there_is_none_it_is_not_found() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let ada = backend.user("ada").await;
    let body = json!({"email": "ada@people.example", "password": "correct horse 1"});
    let (status, second) = backend.post("/api/session", &body, None).await;
    assert_eq!(status, 201, "{second}");
    assert_eq!(second["userId"], ada["userId"]);
    assert!(second["refreshToken"].is_string() && second["expiresInS"].is_u64());
    let path = format!("/api/session/{}", ada["userId"].as_str().unwrap());
    let token = second["sessionToken"].as_str();
    let (status, shown) = backend.get(&path, token).await;
    assert_eq!(status, 200, "{shown}");
    assert_eq!(
        (&shown["userId"], &shown["username"]),
        (&ada["userId"], &json!("ada"))
    );
    assert_eq!(shown["sessions"].as_array().map(Vec::len), Some(2));
    // Whoever logs in by password is told; whoever opens a session is not.
    let told = backend.notifications_of(&second).await;
    assert_eq!(told.len(), 1, "{told:?}");

    let wrong = json!({"email": "ada@people.example", "password": "wrong horse 1"});
    let (status, answer) = backend.post("/api/session", &wrong, None).await;
    assert_eq!(status, 401, "{answer}");
    assert!(answer["sessionToken"].is_null(), "{answer}");
    let admin = Some(backend.admin_token.as_str());
    assert_eq!(backend.get("/api/session/999", admin).await.0, 404);
    assert_eq!(backend.get("/api/session/999", token).await.0, 403);
    assert_eq!(backend.get(&path, None).await.0, 401);
}

#[tokio::test]
async fn logging_out_ends_every_session_of_the_user_and_no_other() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let (ada, eve) = (backend.user("ada").await, backend.user("eve").await);
    let again = backend.log_in("ada").await;
    let base = backend.http.base();
    let line = format!("DELETE /api/session/{}", ada["userId"].as_str().unwrap());
    let by = |user: &Value| {
        format!(
            "authorization: Bearer {}\r\n",
            user["sessionToken"].as_str().unwrap()
        )
    };
    assert_eq!(
        status(&exchange(base, request(&line, &by(&eve), "")).await),
        403
    );
    let answer = exchange(base, request(&line, &by(&ada), "")).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains(r#""endedCount":2"#),
        "{answer}"
    );
    for user in [&ada, &again] {
        let path = format!("/api/session/{}", user["userId"].as_str().unwrap());
        let token = user["sessionToken"].as_str();
        assert_eq!(backend.http.get(&path, token).await.unwrap().0, 401);
        assert_eq!(renew(&backend, &user["refreshToken"]).await.0, 401);
    }
    let path = format!("/api/session/{}", eve["userId"].as_str().unwrap());
    let shown = backend
        .http
        .get(&path, eve["sessionToken"].as_str())
        .await
        .unwrap();
    assert_eq!((shown.0, &shown.1["userId"]), (200, &eve["userId"]));
}

async fn hash_count(backend: &Backend) -> u64 {
    let text = exchange(backend.http.base(), request("GET /metrics", "", "")).await;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("flowreel_password_hashes_total "));
    line.and_then(|number| number.trim().parse().ok())
        .expect("it is counted")
}

#[tokio::test]
async fn guessing_is_slowed_down_and_tells_nothing_about_who_exists() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    backend.user("ada").await;
    let mut answers = Vec::new();
    for name in ["ada", "nobody"] {
        let email = format!("{name}@people.example");
        let body = json!({"email": email, "password": "wrong horse 1"});
        let before = hash_count(&backend).await;
        let mut of_name = Vec::new();
        for _ in 0..12 {
            of_name.push(backend.post("/api/logins", &body, None).await);
        }
        assert_eq!(
            hash_count(&backend).await - before,
            10,
            "as much work for {name}"
        );
        answers.push(of_name);
    }
    let statuses: Vec<u16> = answers[0].iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [vec![401; 10], vec![429; 2]].concat());
    for (known, unknown) in answers[0].iter().zip(&answers[1]).take(10) {
        assert_eq!(known, unknown);
    }
    let body = json!({"email": "ada@people.example", "password": "correct horse 1"}).to_string();
    let answer = exchange(backend.http.base(), request("POST /api/logins", "", &body)).await;
    assert!(
        answer.starts_with("HTTP/1.1 429") && answer.contains("retry-after: "),
        "{answer}"
    );
    assert!(answer.contains(r#""code":"too_many_attempts""#), "{answer}");
    // Others are not hindered, and failed tries stand in the history.
    let eve = backend.user("eve").await;
    assert!(eve["sessionToken"].is_string());
    let token = Some(backend.admin_token.as_str());
    let (_, logins) = backend
        .http
        .get("/api/logins?limit=100", token)
        .await
        .unwrap();
    let failed = logins["logins"].as_array().unwrap().iter();
    assert_eq!(
        failed
            .filter(|login| login["loginSuccessful"] == false)
            .count(),
        20
    );
}

#[tokio::test]
async fn a_reset_answers_alike_whether_somebody_has_the_address_or_not() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    backend.user("ada").await;
    let mut shapes = Vec::new();
    for name in ["nobody", "ada"] {
        let body = json!({"email": format!("{name}@people.example")});
        let (status, answer) = backend.post("/api/reset-passwords", &body, None).await;
        let keys: Vec<String> = answer.as_object().unwrap().keys().cloned().collect();
        shapes.push((status, keys));
    }
    assert_eq!(shapes[0], (202, vec!["requestId".to_owned()]));
    assert_eq!(shapes[0], shapes[1]);
    let data = folder.path().join("data");
    let resets = until("the mail", async || {
        let mails = mails_in(&data);
        let is_reset = |mail: &&String| mail.contains("Subject: Reset your password");
        let resets: Vec<String> = mails.iter().filter(is_reset).cloned().collect();
        (!resets.is_empty()).then_some(resets)
    })
    .await;
    assert!(
        resets
            .iter()
            .all(|mail| mail.contains("ada@people.example"))
    );
    assert!(!mails_in(&data).iter().any(|mail| mail.contains("nobody@")));
}
