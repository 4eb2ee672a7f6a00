//! What was done can be read again: pages, totals, failed mails, proved addresses, figures for monitoring.

use crate::harness::{Backend, Folder, until};
use serde_json::{Value, json};

async fn get(backend: &Backend, path: &str, token: Option<&str>) -> (u16, Value) {
    backend.http.get(path, token).await.expect("an answer")
}

async fn sign_up(backend: &Backend, name: &str) -> String {
    let email = format!("{name}@people.example");
    let body = json!({"username": name, "email": email, "password": "correct horse 1"});
    let (status, answer) = backend.post("/api/signups", &body, None).await;
    assert_eq!(status, 201, "{answer}");
    answer["userId"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn signups_come_in_pages_with_their_totals_and_never_a_password() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    for number in 0..25 {
        sign_up(&backend, &format!("user-{number}")).await;
    }
    let admin = Some(backend.admin_token.clone());
    let admin = admin.as_deref();
    for (page, length) in [(1, 10), (2, 10), (3, 5), (4, 0)] {
        let path = format!("/api/signups?page={page}&limit=10");
        let (status, answer) = get(&backend, &path, admin).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(
            (&answer["total"], &answer["page"]),
            (&json!(25), &json!(page))
        );
        assert_eq!(answer["signups"].as_array().map(Vec::len), Some(length));
        assert!(!answer.to_string().contains("assword"), "{answer}");
    }
    let (_, newest) = get(&backend, "/api/signups?limit=1", admin).await;
    assert_eq!(newest["signups"][0]["username"], "user-24");
    let (_, totals) = get(&backend, "/api/signups/statistics", admin).await;
    assert_eq!(
        (&totals["total"], &totals["verified"]),
        (&json!(25), &json!(0))
    );
    let of_days: u64 = totals["perDay"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|day| day["count"].as_u64())
        .sum();
    assert_eq!(of_days, 25);
    let by_status = totals["welcomeEmails"].as_object().expect("a map");
    assert_eq!(
        by_status.values().filter_map(Value::as_u64).sum::<u64>(),
        25
    );

    for path in [
        "/api/signups",
        "/api/signups/statistics",
        "/api/signups/welcome-emails/failed",
        "/api/logins/alert-emails/failed",
    ] {
        assert_eq!(get(&backend, path, None).await.0, 401, "{path}");
        let user = backend.log_in("user-1").await;
        let token = user["sessionToken"].as_str();
        assert_eq!(get(&backend, path, token).await.0, 403, "{path}");
    }
    let (status, answer) = get(&backend, "/api/signups?limit=0", admin).await;
    assert_eq!((status, &answer["error"]["field"]), (400, &json!("limit")));
}

#[tokio::test]
async fn a_mail_that_was_given_up_is_listed_with_its_reason() {
    let folder = Folder::new();
    // 300 s become 0.1 s, 1,800 s become 0.6 s.
    let backend = Backend::start(folder.path(), &["--retry-scale", "3000"]);
    let admin = Some(backend.admin_token.clone());
    let admin = admin.as_deref();
    let user = backend.user("ada").await;
    let (id, token) = (
        user["userId"].as_str().expect("an id"),
        user["sessionToken"].as_str(),
    );
    let path = format!("/api/signups/{id}/welcome-email-status");
    let welcomed = until("the welcome to be delivered", async || {
        let (status, answer) = get(&backend, &path, token).await;
        assert_eq!(status, 200, "{answer}");
        (answer["status"] == "delivered").then_some(answer)
    })
    .await;
    let history: Vec<_> = welcomed["deliveryHistory"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    let statuses: Vec<_> = history
        .iter()
        .filter_map(|entry| entry["status"].as_str())
        .collect();
    assert_eq!(statuses, ["pending", "queued", "sending", "delivered"]);
    assert!(
        welcomed["messageId"].is_string() && welcomed["jobId"].is_string(),
        "{welcomed}"
    );
    assert_eq!(
        get(&backend, "/api/signups/999/welcome-email-status", admin)
            .await
            .0,
        404
    );

    let fault = json!({"fault": {
        "target": "smtp", "kind": "error-rate", "probability": 1.0, "for": "1h",
    }});
    let (status, answer) = backend.post("/api/live-view/control", &fault, admin).await;
    assert_eq!(status, 200, "{answer}");
    sign_up(&backend, "bob").await;
    backend.log_in("ada").await;
    for (path, list, tracked) in [
        (
            "/api/signups/welcome-emails/failed",
            "signups",
            "welcomeEmail",
        ),
        (
            "/api/logins/alert-emails/failed",
            "logins",
            "loginAlertEmail",
        ),
    ] {
        let failed = until("the mail to be given up", async || {
            let (status, answer) = get(&backend, path, admin).await;
            assert_eq!(status, 200, "{answer}");
            (answer["total"] == 1).then_some(answer)
        })
        .await;
        let told = &failed[list][0][tracked];
        assert_eq!(
            (&told["status"], &told["attempts"]),
            (&json!("failed"), &json!(3))
        );
        assert!(
            told["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty()),
            "{told}"
        );
        assert!(
            told["code"].as_u64().is_some_and(|code| code >= 400),
            "{told}"
        );
    }
}

#[tokio::test]
async fn the_token_in_the_welcome_proves_the_address_once() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    let user = backend.user("ada").await;
    let mail = until("the welcome", async || {
        let mails = backend.mails();
        mails
            .into_iter()
            .find(|mail| mail.contains("/api/signups/verify/"))
    })
    .await;
    let (_, after) = mail
        .split_once("/api/signups/verify/")
        .expect("it was looked for");
    let token: String = after.chars().take_while(char::is_ascii_hexdigit).collect();
    let path = format!("/api/signups/verify/{token}");
    let (status, answer) = backend.post(&path, &json!({}), None).await;
    assert_eq!(
        (status, &answer["emailVerified"]),
        (200, &json!(true)),
        "{answer}"
    );
    assert_eq!(answer["userId"], user["userId"]);
    for path in [path.as_str(), "/api/signups/verify/0123456789abcdef"] {
        let (status, answer) = backend.post(path, &json!({}), None).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (400, &json!("invalid_token")),
            "{path}"
        );
    }
    let admin = Some(backend.admin_token.as_str());
    let (_, listed) = get(&backend, "/api/signups", admin).await;
    assert_eq!(listed["signups"][0]["emailVerified"], true);
}

#[tokio::test]
async fn the_login_history_holds_failed_attempts_and_is_ones_own() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    backend.user("ada").await;
    let bob = backend.user("bob").await;
    let wrong = json!({"email": "bob@people.example", "password": "wrong horse 2"});
    assert_eq!(backend.post("/api/logins", &wrong, None).await.0, 401);
    let (status, own) = get(&backend, "/api/logins", bob["sessionToken"].as_str()).await;
    assert_eq!((status, &own["total"]), (200, &json!(2)), "{own}");
    let ended: Vec<_> = own["logins"].as_array().expect("a list").iter().collect();
    let successes: Vec<_> = ended
        .iter()
        .map(|login| &login["loginSuccessful"])
        .collect();
    assert_eq!(successes, [&json!(false), &json!(true)], "newest first");
    assert_eq!(ended[1]["userId"], bob["userId"]);
    assert!(ended[1]["loginAlertEmail"]["jobId"].is_string(), "{own}");
    assert!(
        ended[1]["loginInAppNotification"]["notificationId"].is_string(),
        "{own}"
    );
    let admin = Some(backend.admin_token.as_str());
    assert_eq!(get(&backend, "/api/logins", admin).await.1["total"], 3);
}
