//! Queues on Redis when something dies: the process in its runs, Redis itself, both stopped and killed.
//!
//! Belongs here: nothing lost, nothing twice. Does not belong here: the layout (redis_queues).

use crate::harness::{Backend, Folder, until};
use crate::redis_queues::{ask, sign_up};
use crate::services::Redis;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Mails that a test waits for, at five a second.
const MAILS: usize = 12;

fn message_ids(mails: &[String]) -> BTreeSet<String> {
    let id = |mail: &String| {
        let line = mail.lines().find(|line| line.starts_with("Message-ID:"))?;
        Some(line.to_owned())
    };
    mails.iter().filter_map(id).collect()
}

async fn all_arrive_once(backend: &Backend) {
    until("every mail", async || {
        (message_ids(&backend.mails()).len() == MAILS).then_some(())
    })
    .await;
}

/// The relay keeps a message once and says so where it comes again.
async fn nothing_was_sent_twice(backend: &Backend) {
    for user in 1..=MAILS {
        let path = format!("/api/signups/{user}/welcome-email-status");
        let told = until("the mail to be noted", async || {
            let told = backend.read(&path).await;
            (told["status"] == "delivered").then_some(told)
        })
        .await;
        let history = told["deliveryHistory"].to_string();
        assert!(history.contains("kept as"), "{told}");
        assert!(!history.contains("kept before"), "sent twice: {told}");
    }
}

#[tokio::test]
async fn a_killed_process_loses_no_job_and_the_next_one_runs_what_it_held() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let folder = Folder::new();
    let arguments = ["--queue", &redis.url()];
    let mut backend = Backend::start(folder.path(), &arguments);
    for number in 0..MAILS {
        sign_up(&backend, &format!("ada{number}")).await;
    }
    until("the first mail", async || {
        (!backend.mails().is_empty()).then_some(())
    })
    .await;
    backend.kill();
    let backend = Backend::start(folder.path(), &arguments);
    all_arrive_once(&backend).await;
    // The jobs of the dead process are over as well.
    until("every job to be over", async || {
        let mut connection = redis.connection().await;
        let active: u64 = ask(&mut connection, &["LLEN", "bull:mail:active"]).await;
        let waiting: u64 = ask(&mut connection, &["ZCARD", "bull:mail:prioritized"]).await;
        (active + waiting == 0).then_some(())
    })
    .await;
}

async fn check_an_outage(end: impl FnOnce(&mut Redis)) {
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--queue", &redis.url()]);
    for number in 0..MAILS / 2 {
        sign_up(&backend, &format!("ada{number}")).await;
    }
    until("the first mail", async || {
        (!backend.mails().is_empty()).then_some(())
    })
    .await;
    end(&mut redis);
    for number in MAILS / 2..MAILS {
        sign_up(&backend, &format!("ada{number}")).await;
    }
    redis.restart().await;
    all_arrive_once(&backend).await;
    nothing_was_sent_twice(&backend).await;
}

#[tokio::test]
async fn redis_may_stop_and_come_back_and_what_is_accepted_meanwhile_is_delivered() {
    check_an_outage(Redis::stop).await;
}

#[tokio::test]
async fn redis_may_be_killed_and_come_back_and_what_is_accepted_meanwhile_is_delivered() {
    check_an_outage(Redis::kill).await;
}

#[tokio::test]
async fn a_command_is_carried_out_and_answered_while_redis_is_away() {
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--queue", &redis.url()]);
    let token = Some(backend.admin_token.as_str());
    let address = "/api/live-view/control";
    redis.kill();
    let slow = json!({"fault": {"target": "smtp", "kind": "slow", "factor": 2}});
    let (status, begun) = backend.post(address, &slow, token).await;
    assert_eq!(status, 200, "{begun}");
    let set = json!({"set": {"delays.queueing": 3}});
    let (status, now) = backend.post(address, &set, token).await;
    assert_eq!(status, 200, "{now}");
    assert_eq!(now["settings"]["delays.queueing"], 3);
    assert_eq!(now["faults"][0]["id"], begun["fault"]["id"]);
    // Whether a queue is paused is known to Redis alone.
    let paused = "queues.mail.paused";
    assert_eq!(now["settings"].get(paused), Some(&Value::Null));
    redis.restart().await;
    until("the queues to be known again", async || {
        let (status, now) = backend.get(address, token).await;
        assert_eq!(status, 200, "{now}");
        (now["settings"][paused] == false && now["settings"]["delays.queueing"] == 3).then_some(())
    })
    .await;
    until("the command to be kept for other processes", async || {
        let mut connection = redis.connection().await;
        let field = ["HGET", "flowreel:in-force", "set:delays.queueing"];
        let kept: Option<String> = ask(&mut connection, &field).await;
        (kept.as_deref() == Some("3")).then_some(())
    })
    .await;
}
