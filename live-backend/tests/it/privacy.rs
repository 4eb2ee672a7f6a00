//! What must not be written down: passwords, tokens, names and addresses of people, in logs and reels.

use crate::harness::{Backend, Folder, mails_in, until};
use flowreel_engine::recording::ReelReader;
use serde_json::json;
use std::collections::BTreeSet;

const NAME: &str = "Zyxmarkedname";
const ADDRESS: &str = "zyxmarkedaddress@people.example";
const PASSWORD: &str = "zyxmarkedpassword 1";
const ITEM: &str = "Zyxmarkeditem";

#[tokio::test]
async fn names_addresses_passwords_and_tokens_stand_neither_in_logs_nor_in_reels() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &["--retry-scale", "1000"]);
    let signup = json!({"username": NAME, "email": ADDRESS, "password": PASSWORD});
    assert_eq!(backend.post("/api/signups", &signup, None).await.0, 201);
    let login = json!({"email": ADDRESS, "password": PASSWORD});
    let (status, session) = backend.post("/api/logins", &login, None).await;
    assert_eq!(status, 200);
    let wrong = json!({"email": ADDRESS, "password": format!("{PASSWORD}x")});
    assert_eq!(backend.post("/api/logins", &wrong, None).await.0, 401);
    let fault = json!({"fault": {"target": "smtp", "kind": "error-rate", "probability": 1, "code": 550, "for": "2s"}});
    let admin = Some(backend.admin_token.as_str());
    assert_eq!(
        backend
            .post("/api/live-view/control", &fault, admin)
            .await
            .0,
        200
    );
    let token = session["sessionToken"].as_str();
    let purchase = json!({"item": ITEM, "amount": 1, "currency": "EUR"});
    assert_eq!(
        backend.post("/api/purchases", &purchase, token).await.0,
        201
    );
    let reset = json!({"email": ADDRESS});
    assert_eq!(
        backend.post("/api/reset-passwords", &reset, None).await.0,
        202
    );
    assert_eq!(
        backend
            .post("/api/signups/verify/zyxmarkedtoken", &json!({}), None)
            .await
            .0,
        400
    );
    let data = folder.path().join("data");
    until("the welcome mail", async || {
        let mails = mails_in(&data);
        mails.iter().any(|mail| mail.contains(NAME)).then_some(())
    })
    .await;
    let renewed = json!({"refreshToken": session["refreshToken"]});
    assert_eq!(backend.post("/api/session", &renewed, None).await.0, 201);
    let reel = backend.stop();
    let log = backend.log();

    let mut secrets = vec!["zyxmarked".to_owned()];
    for key in ["sessionToken", "refreshToken"] {
        secrets.push(session[key].as_str().unwrap().to_owned());
    }
    secrets.push(backend.admin_token.clone());
    secrets.push(std::fs::read_to_string(data.join("jwt-secret")).unwrap());
    let recorded = everything_in(&reel);
    assert!(recorded.len() > 1000, "the reel was read");
    for secret in &secrets {
        let secret = secret.to_lowercase();
        assert!(
            !log.to_lowercase().contains(&secret),
            "{secret} in the log:\n{log}"
        );
        assert!(
            !recorded.to_lowercase().contains(&secret),
            "{secret} in the reel"
        );
    }
    for line in [
        ("POST", "/api/signups", 201),
        ("POST", "/api/logins", 401),
        ("POST", "/api/signups/verify/{token}", 400),
    ] {
        let (method, path, status) = line;
        let found = log.lines().find(|text| {
            text.contains(&format!("method={method}"))
                && text.contains(&format!("path=\"{path}\""))
                && text.contains(&format!("status={status}"))
        });
        let found = found.unwrap_or_else(|| panic!("{line:?} in {log}"));
        for part in [
            "INFO",
            "flowreel_live_backend::middleware::record",
            "ms=",
            "server=\"server-",
            "request.id=",
        ] {
            assert!(found.contains(part), "{part} in {found}");
        }
    }
}

/// Every event, detail and name of a reel as text.
fn everything_in(path: &std::path::Path) -> String {
    let mut reel = ReelReader::open(path).expect("a reel");
    let mut text = format!("{:?} {:?}", reel.meta(), reel.topology());
    let (mut details, mut block) = (BTreeSet::new(), Vec::new());
    for position in 0..reel.event_blocks().len() {
        assert!(reel.read_events(position, &mut block).expect("readable"));
        for event in &block {
            details.insert(event.detail);
            text.push_str(&format!("{event:?}\n"));
        }
    }
    assert!(!details.is_empty(), "some events have details");
    for id in details {
        let detail = reel.read_detail(id).expect("readable");
        text.push_str(&format!("{detail:?}\n"));
    }
    text
}
