//! Many jobs over Redis: how many connections a process takes for them, and what is kept of their requests.

use crate::harness::{Backend, Folder, count, sound_reel, until};
use crate::redis_queues::ask;
use crate::services::Redis;
use flowreel_engine::model::event::EventKind;
use serde_json::{Value, json};
use std::cell::Cell;

/// More than are kept in memory.
const JOBS: u64 = 1010;
/// Connections of one process.
const CONNECTIONS_MAX: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_jobs_take_ten_connections_at_most_and_the_last_thousand_requests_are_listed() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &["--queue", &redis.url()]);
    let set = json!({"set": {"workers.mail.rate_per_s": 10000, "workers.mail.concurrency": 50}});
    backend.act("/api/live-view/control", &set).await;
    let body = json!({"type": "reset-password", "count": JOBS, "interval": 1});
    let sent = backend.act("/api/live-view/simulate", &body).await;
    let ids = sent["requestIds"].as_array().expect("a list").clone();
    assert_eq!(ids.len() as u64, JOBS);
    let own = redis.connection().await;
    let most = Cell::new(0);
    until("every job to be done", async || {
        let mut own = own.clone();
        let clients: String = ask(&mut own, &["CLIENT", "LIST"]).await;
        // One connection is this test's own.
        most.set(most.get().max(clients.lines().count() - 1));
        let counted = backend.read("/api/queues/mail").await;
        (counted["completed"] == JOBS).then_some(())
    })
    .await;
    let most = most.get();
    assert!((1..=CONNECTIONS_MAX).contains(&most), "{most} connections");
    let listed = until("the last thousand requests", async || {
        let listed = backend.read("/api/live-view/requests?limit=1000").await;
        let rows = listed["requests"].as_array().expect("a list");
        let is_over = |row: &Value| row["status"] == "completed";
        rows.iter().all(is_over).then_some(listed)
    })
    .await;
    assert_eq!(listed["total"], 1000);
    let events = sound_reel(&backend.stop());
    assert_eq!(count(&events, EventKind::RequestBegun) as u64, JOBS);
    // Offered at a thousand a second; what a machine makes of that is told and bounds nothing.
    let mut begun = events
        .iter()
        .filter(|it| it.kind == EventKind::RequestBegun);
    let first = begun.next().expect("a request").t_ns.as_s();
    let last = begun.next_back().expect("a request").t_ns.as_s();
    let gaps = f64::from(u32::try_from(JOBS - 1).expect("few"));
    let rate = gaps / (last - first);
    println!("{JOBS} requests at {rate:.0}/s, {most} connections at most");
    assert_eq!(count(&events, EventKind::RequestFinished) as u64, JOBS);
}
