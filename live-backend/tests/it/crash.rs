//! A process that dies loses no accepted job: the next one delivers it.

use crate::harness::{Backend, Folder, until};
use crate::kills::{joined, segments};
use serde_json::json;
use std::collections::BTreeMap;

const USER_COUNT: usize = 12;
/// Runs of mail jobs in progress at most; each may be repeated when its process dies before it is noted.
const IN_PROGRESS_MAX: usize = 5;

#[tokio::test]
async fn after_a_kill_the_next_process_delivers_what_was_accepted() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    // Five mails a second leave, so most of these wait when the process dies.
    for number in 0..USER_COUNT {
        let body = json!({
            "username": format!("user-{number}"),
            "email": format!("user-{number}@people.example"),
            "password": "correct horse 1",
        });
        let (status, answer) = backend.post("/api/signups", &body, None).await;
        assert_eq!(status, 201, "{answer}");
    }
    until("the first mail", async || {
        (!backend.mails().is_empty()).then_some(())
    })
    .await;
    backend.kill();
    let before = backend.mails().len();
    assert!(before < USER_COUNT, "some mails still wait");

    let mut backend = Backend::start(folder.path(), &[]);
    until("every mail", async || {
        (recipients(&backend).len() == USER_COUNT).then_some(())
    })
    .await;
    until("every job to be done", async || {
        let status = backend.status().await;
        (status["metrics"]["activeRequests"] == 0).then_some(())
    })
    .await;
    let copies = recipients(&backend);
    assert!(copies.values().all(|&count| count == 1), "{copies:?}");
    // The relay keeps a message once and says so where it comes again.
    let mut repeated = 0;
    for user in 1..=USER_COUNT {
        let path = format!("/api/signups/{user}/welcome-email-status");
        let told = backend.read(&path).await;
        assert_eq!(told["status"], "delivered", "{told}");
        let told = told.to_string();
        let is_again = told.contains("kept before");
        assert!(is_again || told.contains("kept as"), "{told}");
        repeated += usize::from(is_again);
    }
    assert!(repeated <= IN_PROGRESS_MAX, "{repeated} mails came again");
    backend.stop();
    // Both processes recorded one run: what waited went on under its own requests.
    let (_, gaps) = joined(&segments(&folder.path().join("recordings")));
    assert_eq!(gaps, 1);
}

/// Mails per recipient.
fn recipients(backend: &Backend) -> BTreeMap<String, usize> {
    let mut copies = BTreeMap::new();
    for mail in backend.mails() {
        let to = mail.lines().find_map(|line| line.strip_prefix("To: "));
        let to = to.expect("a mail has a recipient").trim().to_owned();
        *copies.entry(to).or_insert(0) += 1;
    }
    copies
}
